/* Tests of allow-names on your own machine; README.md says how to run them. */
#undef NDEBUG
#include <assert.h>
#include <string.h>

#include "dockbell.h"

static const char *config(const char *json) { return plugin_configure((dockbell_string){json, strlen(json)}); }

static bool passes(const char *kind, const char *name, const char *action) {
    dockbell_pair attributes[] = {{dockbell_literal("name"), {name, strlen(name)}}};
    dockbell_event event = {.kind = {kind, strlen(kind)}, .action = {action, strlen(action)}, .attributes = {attributes, 1}};
    bool pass;
    assert(plugin_accept(&event, &pass) == NULL);
    return pass;
}

int main(void) {
    assert(config("{\"names\": [\"web-*\", \"*-db-*\", \"caf\\u00e9\"]}") == NULL);
    assert(passes("container", "web-1", "die") && passes("container", "web-", "die") && passes("container", "shop-db-1", "start"));
    assert(passes("container", "café", "die"));
    assert(!passes("container", "web", "die") && !passes("container", "a-web-1", "die") && !passes("container", "", "die"));
    assert(passes("network", "bridge", "connect"));

    assert(config("{ \"names\" : [\"*\"], \"actions\": [ \"die\" ], \"others\": false}") == NULL);
    assert(passes("container", "any", "die") && !passes("container", "any", "start") && !passes("image", "any", "pull"));

    dockbell_event nameless = {.kind = dockbell_literal("container"), .actor_id = dockbell_literal("4f2a")};
    bool pass;
    assert(strcmp(plugin_accept(&nameless, &pass), "an event of the container 4f2a has no name") == 0);

    assert(strstr(config("{\"name\": []}"), "unknown key `name`; there is `names`, `actions`, `others`"));
    assert(strstr(config("{\"names\": \"web\"}"), "`names` must be a list of texts"));
    assert(strstr(config("{\"names\": [], \"others\": 1}"), "`others` must be true or false"));
    assert(strstr(config("{\"names\": [\"\\ud800\"]}"), "`names` must be a list of texts"));
    assert(strstr(config("{\"names\": [\"a\""), "`names` must be"));
    assert(strstr(config("[]"), "no table"));
    return 0;
}
