/* Tests of my-plugin on your own machine; README.md says how to run them. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "dockbell.h"

int main(void) {
    assert(plugin_configure(dockbell_literal("{}")) == NULL);
    assert(strstr(plugin_configure(dockbell_literal("{\"colour\": true}")), "unknown key `colour`"));
    dockbell_pair attributes[] = {{dockbell_literal("name"), dockbell_literal("web-1")}};
    dockbell_event event = {
        .engine = dockbell_literal("local"), .action = dockbell_literal("die"), .attributes = {attributes, 1}};
    dockbell_batch batch = {.route = dockbell_literal("default"), .total = 1, .events = {&event, 1}};
    dockbell_text subject = {0}, text = {0};
    assert(plugin_format(&batch, &subject, &text) == NULL);
    assert(strcmp(subject.ptr, "1 events of default") == 0);
    assert(strcmp(text.ptr, "local web-1 die\n") == 0);
    return 0;
}
