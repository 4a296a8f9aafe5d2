/* my-plugin: one line per event. */
#include "dockbell.h"

const char *plugin_configure(dockbell_string config) {
    return dockbell_configure(config, NULL, 0);
}

const char *plugin_format(const dockbell_batch *batch, dockbell_text *subject, dockbell_text *text) {
    dockbell_add(subject, "%d events of %S", (int64_t)batch->total, batch->group.len ? batch->group : batch->route);
    for (size_t i = 0; i < batch->events.len; i++) {
        const dockbell_event *event = &batch->events.ptr[i];
        dockbell_string name = dockbell_attribute(event, "name");
        dockbell_add(text, "%S %S %S\n", event->engine, name.len ? name : event->actor_id, event->action);
    }
    for (size_t i = 0; i < batch->notes.len; i++) dockbell_add(text, "note: %S\n", batch->notes.ptr[i]);
    return NULL;
}
