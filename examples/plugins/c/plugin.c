/* allow-names: lets only events of containers pass whose name is on a list. */
#include "dockbell.h"

static dockbell_strings names, actions;
/* Whether what is no container (images, networks, dockbell itself) passes. */
static bool others = true;

const char *plugin_configure(dockbell_string config) {
    const dockbell_key keys[] = {
        {.name = "names", .strings = &names}, {.name = "actions", .strings = &actions}, {.name = "others", .flag = &others}};
    const char *error = dockbell_configure(config, keys, sizeof keys / sizeof *keys);
    if (!error && names.len == 0) error = "`names` is missing: names of containers, in which `*` stands for any text";
    return error;
}

/* Whether a name fits a pattern. At a mismatch the last `*` takes one character more, so the time is bounded by the product of
   the two lengths. */
static bool fits(dockbell_string pattern, dockbell_string name) {
    size_t p = 0, n = 0, star = pattern.len, from = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star = p++;
            from = n;
        } else if (p < pattern.len && pattern.ptr[p] == name.ptr[n]) {
            p++, n++;
        } else if (star < pattern.len) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') p++;
    return p == pattern.len;
}

static bool any(dockbell_strings patterns, dockbell_string text) {
    for (size_t i = 0; i < patterns.len; i++)
        if (fits(patterns.ptr[i], text)) return true;
    return false;
}

const char *plugin_accept(const dockbell_event *event, bool *pass) {
    if (!dockbell_is(event->kind, "container")) {
        *pass = others;
        return NULL;
    }
    dockbell_string name = dockbell_attribute(event, "name");
    if (name.ptr == NULL) return dockbell_print("an event of the container %S has no name", event->actor_id);
    *pass = any(names, name) && (actions.len == 0 || any(actions, event->action));
    return NULL;
}
