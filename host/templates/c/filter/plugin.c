/* my-plugin: tells only containers that ended with an exit code of their own. */
#include "dockbell.h"

/* The lowest exit code that is told: `config = { lowest = 2 }`. */
static int64_t lowest = 1;

const char *plugin_configure(dockbell_string config) {
    const dockbell_key keys[] = {{.name = "lowest", .number = &lowest}};
    return dockbell_configure(config, keys, sizeof keys / sizeof *keys);
}

const char *plugin_accept(const dockbell_event *event, bool *pass) {
    *pass = false;
    dockbell_string code = dockbell_attribute(event, "exitCode");
    if (!dockbell_is(event->action, "die") || code.ptr == NULL) return NULL;
    int64_t number = 0;
    for (size_t i = 0; i < code.len; i++) {
        if (code.ptr[i] < '0' || code.ptr[i] > '9') return dockbell_print("`%S` is not an exit code", code);
        number = 10 * number + (code.ptr[i] - '0');
    }
    *pass = number >= lowest;
    return NULL;
}
