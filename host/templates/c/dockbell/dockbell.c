/* What dockbell calls, and memory for it. Renewed by `dockbell plugin build`. */
#include "dockbell.h"

#include <stdlib.h>
#include <string.h>

/* Memory for what a call is given and what it makes: handed out one behind the other, free all at once when the next call
   begins. An event has some hundred to some thousand bytes; what does not fit comes from malloc. */
#define ARENA 32768
#define ALIGN 8
static _Alignas(ALIGN) char arena[ARENA];
static size_t used;
static bool over;
static struct block { struct block *next; int64_t align[]; } *blocks;

void *dockbell_alloc(size_t bytes) {
    if (over) {
        over = false;
        used = 0;
        while (blocks) {
            struct block *next = blocks->next;
            free(blocks);
            blocks = next;
        }
    }
    if (bytes <= ARENA - used) {
        void *at = arena + used;
        used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        return at;
    }
    struct block *block = bytes < SIZE_MAX - sizeof(struct block) - ALIGN ? malloc(sizeof(struct block) + ALIGN + bytes) : NULL;
    if (!block) {
        dockbell_log(DOCKBELL_ERROR, "out of memory");
        __builtin_trap();
    }
    block->next = blocks;
    blocks = block;
    return block->align;
}

bool dockbell_equal(dockbell_string one, dockbell_string other) {
    return one.len == other.len && memcmp(one.ptr, other.ptr, one.len) == 0;
}

bool dockbell_starts_with(dockbell_string string, dockbell_string start) {
    return string.len >= start.len && memcmp(string.ptr, start.ptr, start.len) == 0;
}

static dockbell_string value(dockbell_pairs pairs, const char *name) {
    dockbell_string wanted = {name, strlen(name)};
    for (size_t i = 0; i < pairs.len; i++)
        if (dockbell_equal(pairs.ptr[i].name, wanted)) return pairs.ptr[i].value;
    return (dockbell_string){NULL, 0};
}

dockbell_string dockbell_attribute(const dockbell_event *event, const char *name) { return value(event->attributes, name); }
dockbell_string dockbell_fact(const dockbell_event *event, const char *name) { return value(event->facts, name); }

static void put(dockbell_text *text, const char *from, size_t bytes) {
    if (text->room - text->len <= bytes) {
        size_t room = 2 * (text->len + bytes) + 64;
        char *larger = dockbell_alloc(room);
        if (text->len) memcpy(larger, text->ptr, text->len);
        text->ptr = larger;
        text->room = room;
    }
    if (bytes) memcpy(text->ptr + text->len, from, bytes);
    text->len += bytes;
    text->ptr[text->len] = 0;
}

static void add(dockbell_text *text, const char *format, va_list values) {
    put(text, "", 0);
    for (const char *at; *format; format = at) {
        at = strchr(format, '%');
        if (!at) at = format + strlen(format);
        put(text, format, (size_t)(at - format));
        if (!*at) break;
        if (*++at == 's') {
            const char *string = va_arg(values, const char *);
            put(text, string, strlen(string));
        } else if (*at == 'S') {
            dockbell_string string = va_arg(values, dockbell_string);
            put(text, string.ptr, string.len);
        } else if (*at == 'd') {
            int64_t number = va_arg(values, int64_t);
            uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
            char digits[20], *digit = digits + sizeof digits;
            do *--digit = (char)('0' + left % 10); while (left /= 10);
            if (number < 0) put(text, "-", 1);
            put(text, digit, (size_t)(digits + sizeof digits - digit));
        } else {
            put(text, "%", 1);
        }
        if (*at) at++;
    }
}

void dockbell_add(dockbell_text *text, const char *format, ...) {
    va_list values;
    va_start(values, format);
    add(text, format, values);
    va_end(values);
}

const char *dockbell_print(const char *format, ...) {
    dockbell_text text = {0};
    va_list values;
    va_start(values, format);
    add(&text, format, values);
    va_end(values);
    return text.ptr;
}

#ifdef __wasm__

__attribute__((import_module("dockbell:plugin/logging@0.1.0"), import_name("log")))
extern void host_log(int32_t level, const char *ptr, size_t len);

void dockbell_log(enum dockbell_level level, const char *message) { host_log(level, message, strlen(message)); }

/* How dockbell asks for memory (`realloc` of the canonical ABI). It never makes anything larger. */
__attribute__((export_name("cabi_realloc")))
void *cabi_realloc(void *old, size_t old_bytes, size_t align, size_t bytes) {
    (void)align;
    if (bytes == 0) return (void *)ALIGN;
    void *made = dockbell_alloc(bytes);
    if (old_bytes) memcpy(made, old, old_bytes < bytes ? old_bytes : bytes);
    return made;
}

/* A `result` whose error is a text. */
static struct result {
    uint8_t is_error;
    union { bool pass; dockbell_string error; struct { const void *ptr; size_t len; } list; };
} answer;

static struct result *ended(const char *error) {
    over = true;
    answer.is_error = error != NULL;
    if (error) answer.error = (dockbell_string){error, strlen(error)};
    return &answer;
}

__attribute__((export_name("dockbell:plugin/setup@0.1.0#configure")))
struct result *export_configure(const char *ptr, size_t len) {
    return ended(plugin_configure((dockbell_string){ptr, len}));
}

#ifdef DOCKBELL_FILTER
__attribute__((export_name("dockbell:plugin/filter@0.1.0#accept")))
struct result *export_accept(const dockbell_event *event) {
    bool pass = true;
    struct result *result = ended(plugin_accept(event, &pass));
    if (!result->is_error) result->pass = pass;
    return result;
}

static dockbell_string next(const char **text, const uint32_t **ends, uint32_t *start) {
    dockbell_string string = {*text + *start, **ends - *start};
    *start = *(*ends)++;
    return string;
}

/* The same event with all its texts in one, and where each ends; six of them are before the pairs. */
__attribute__((export_name("dockbell:plugin/packed-filter@0.1.0#accept")))
struct result *export_accept_packed(
    const char *text, size_t len, const uint32_t *ends, size_t ends_len, uint32_t attributes, int64_t time_nanos) {
    (void)len;
    size_t count = (ends_len / sizeof *ends - 6) / 2;
    dockbell_pair *pairs = dockbell_alloc(count * sizeof *pairs);
    uint32_t start = 0;
    dockbell_event event = {.time_nanos = time_nanos};
    dockbell_string *const heads[] = {
        &event.engine, &event.kind, &event.action, &event.detail, &event.actor_id, &event.scope};
    for (size_t i = 0; i < 6; i++) *heads[i] = next(&text, &ends, &start);
    for (size_t i = 0; i < count; i++) {
        pairs[i].name = next(&text, &ends, &start);
        pairs[i].value = next(&text, &ends, &start);
    }
    event.attributes.ptr = pairs;
    event.attributes.len = attributes;
    event.facts.ptr = pairs + attributes;
    event.facts.len = count - attributes;
    return export_accept(&event);
}
#else
__attribute__((export_name("dockbell:plugin/formatter@0.1.0#format")))
struct result *export_format(
    const char *route, size_t route_len, const char *group, size_t group_len, const char *phase, size_t phase_len,
    int64_t since, int64_t until, uint32_t total, const dockbell_count *counts, size_t counts_len,
    const dockbell_event *events, size_t events_len, const dockbell_string *notes, size_t notes_len) {
    dockbell_batch batch = {
        {route, route_len}, {group, group_len}, {phase, phase_len}, since, until, total,
        {counts, counts_len}, {events, events_len}, {notes, notes_len}};
    dockbell_text subject = {0}, text = {0};
    const char *error = plugin_format(&batch, &subject, &text);
    /* A `notification` with one `alternative` and no fields. */
    static struct { dockbell_string media_type, content; } plain;
    static struct { dockbell_string subject; const void *forms; size_t forms_len; const void *fields; size_t fields_len; } made;
    plain.media_type = dockbell_literal("text/plain");
    plain.content = (dockbell_string){text.ptr, text.len};
    made.subject = (dockbell_string){subject.ptr, subject.len};
    made.forms = &plain;
    made.forms_len = 1;
    struct result *result = ended(error);
    if (!error) result->list.ptr = &made, result->list.len = 1;
    return result;
}
#endif

#else /* In tests, on your own machine. */

#include <stdio.h>

void dockbell_log(enum dockbell_level level, const char *message) { fprintf(stderr, "log %d: %s\n", (int)level, message); }

#endif
