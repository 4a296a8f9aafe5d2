/* Filters and formatters for dockbell in C. The structs lie in memory as the interface (wit/v0.1) passes them, so that nothing
   is copied or converted. Renewed by `dockbell plugin build`. */
#ifndef DOCKBELL_H
#define DOCKBELL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* UTF-8, not ended by a zero. `printf("%.*s", (int)text.len, text.ptr)` prints one. */
typedef struct { const char *ptr; size_t len; } dockbell_string;
typedef struct { const dockbell_string *ptr; size_t len; } dockbell_strings;
typedef struct { dockbell_string name, value; } dockbell_pair;
typedef struct { const dockbell_pair *ptr; size_t len; } dockbell_pairs;

/* One event; wit/v0.1/types.wit says what each part means. */
typedef struct {
    dockbell_string engine, kind, action, detail, actor_id, scope;
    int64_t time_nanos;
    dockbell_pairs attributes, facts;
} dockbell_event;

typedef struct { dockbell_string what; uint32_t count; } dockbell_count;

/* What one message is made of. */
typedef struct {
    dockbell_string route, group, phase;
    int64_t since_nanos, until_nanos;
    uint32_t total;
    struct { const dockbell_count *ptr; size_t len; } counts;
    struct { const dockbell_event *ptr; size_t len; } events;
    dockbell_strings notes;
} dockbell_batch;

/* ---- What your plugin defines. Each answers NULL, or the text of an error. ---- */

/* Once on each fresh instance: the plugin's `config` as JSON. An error stops dockbell's start. */
const char *plugin_configure(dockbell_string config);
/* A filter: set `*pass`. Variables keep their values from event to event, until a call fails. */
const char *plugin_accept(const dockbell_event *event, bool *pass);
/* A formatter: the subject and the text of one message. dockbell_add fills them. */
typedef struct dockbell_text dockbell_text;
const char *plugin_format(const dockbell_batch *batch, dockbell_text *subject, dockbell_text *text);

/* ---- What helps. Everything that a call is given or allocates here is gone when the next one begins. ---- */

/* A literal as a string, and whether a string is one. */
#define dockbell_literal(literal) ((dockbell_string){"" literal, sizeof(literal) - 1})
#define dockbell_is(string, literal) dockbell_equal((string), dockbell_literal(literal))
bool dockbell_equal(dockbell_string one, dockbell_string other);
bool dockbell_starts_with(dockbell_string string, dockbell_string start);

/* The value of an attribute or a fact; { NULL, 0 } where there is none. Labels are attributes, so whoever builds an image can
   forge each but `name` and `image`; facts are dockbell's own. */
dockbell_string dockbell_attribute(const dockbell_event *event, const char *name);
dockbell_string dockbell_fact(const dockbell_event *event, const char *name);

/* Memory until the next call. Never NULL: without memory the call ends, and dockbell says so. */
void *dockbell_alloc(size_t bytes);
/* Text made of others, ended by a zero: `printf`'s %s (of char *), %S (of dockbell_string), %d (of int64_t) and %%. */
const char *dockbell_print(const char *format, ...);

/* A text that grows. */
struct dockbell_text { char *ptr; size_t len, room; };
void dockbell_add(dockbell_text *text, const char *format, ...);

/* A line in dockbell's log, under the plugin's name. */
enum dockbell_level { DOCKBELL_TRACE, DOCKBELL_DEBUG, DOCKBELL_INFO, DOCKBELL_WARN, DOCKBELL_ERROR };
void dockbell_log(enum dockbell_level level, const char *message);

/* ---- The configuration (config.c) ---- */

/* A key that the configuration may have, and where its value goes: into the one place that is not NULL. */
typedef struct {
    const char *name;
    dockbell_string *string;
    dockbell_strings *strings;
    int64_t *number;
    bool *flag;
} dockbell_key;

/* Reads `config`; a key that is not among `keys` is an error. What it reads stays for good. */
const char *dockbell_configure(dockbell_string config, const dockbell_key *keys, size_t count);

#endif
