/* Tests of my-plugin on your own machine; README.md says how to run them. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "dockbell.h"

static bool passes(dockbell_string action, dockbell_string code) {
    dockbell_pair attributes[] = {{dockbell_literal("exitCode"), code}};
    dockbell_event event = {.kind = dockbell_literal("container"), .action = action, .attributes = {attributes, 1}};
    bool pass;
    assert(plugin_accept(&event, &pass) == NULL);
    return pass;
}

int main(void) {
    assert(plugin_configure(dockbell_literal("{}")) == NULL);
    assert(passes(dockbell_literal("die"), dockbell_literal("1")));
    assert(!passes(dockbell_literal("die"), dockbell_literal("0")));
    assert(!passes(dockbell_literal("start"), dockbell_literal("1")));
    assert(plugin_configure(dockbell_literal("{\"lowest\": 2}")) == NULL);
    assert(!passes(dockbell_literal("die"), dockbell_literal("1")));
    assert(strstr(plugin_configure(dockbell_literal("{\"low\": 2}")), "unknown key `low`; there is `lowest`"));
    assert(strstr(plugin_configure(dockbell_literal("{\"lowest\": \"2\"}")), "`lowest` must be a whole number"));
    return 0;
}
