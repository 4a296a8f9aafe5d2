/* The configuration: an object of JSON with texts, lists of texts, whole numbers, and true or false. Renewed by `dockbell
   plugin build`. */
#include "dockbell.h"

#include <stdlib.h>
#include <string.h>

typedef struct { const char *at, *end; } reader;

static void blank(reader *in) {
    while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at) in->at++;
}

static bool take(reader *in, char wanted) {
    blank(in);
    bool there = in->at < in->end && *in->at == wanted;
    in->at += there;
    return there;
}

static bool word(reader *in, const char *wanted) {
    size_t len = strlen(wanted);
    blank(in);
    bool there = (size_t)(in->end - in->at) >= len && memcmp(in->at, wanted, len) == 0;
    if (there) in->at += len;
    return there;
}

static bool hex(reader *in, uint32_t *value) {
    *value = 0;
    for (int i = 0; i < 4; i++, in->at++) {
        const char *digits = "0123456789abcdefABCDEF", *digit;
        if (in->at >= in->end || !*in->at || !(digit = strchr(digits, *in->at))) return false;
        uint32_t number = (uint32_t)(digit - digits);
        *value = *value << 4 | (number < 16 ? number : number - 6);
    }
    return true;
}

/* A text, its escapes replaced. It is never longer than it was in JSON. */
static bool text(reader *in, dockbell_string *value) {
    if (!take(in, '"')) return false;
    char *made = malloc((size_t)(in->end - in->at) + 1), *to = made;
    if (!made) return false;
    while (in->at < in->end && *in->at != '"') {
        if (*in->at != '\\') {
            *to++ = *in->at++;
            continue;
        }
        if (++in->at >= in->end) return false;
        char escape = *in->at++;
        static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
        const char *known = escape ? strchr(from, escape) : NULL;
        uint32_t code, low;
        if (known) {
            *to++ = into[known - from];
        } else if (escape == 'u' && hex(in, &code)) {
            if (code >> 10 == 0x36) {
                if (!word(in, "\\u") || !hex(in, &low) || low >> 10 != 0x37) return false;
                code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
            }
            if (code < 0x80) *to++ = (char)code;
            else if (code < 0x800) *to++ = (char)(0xc0 | code >> 6), *to++ = (char)(0x80 | (code & 63));
            else {
                if (code < 0x10000) *to++ = (char)(0xe0 | code >> 12);
                else *to++ = (char)(0xf0 | code >> 18), *to++ = (char)(0x80 | (code >> 12 & 63));
                *to++ = (char)(0x80 | (code >> 6 & 63)), *to++ = (char)(0x80 | (code & 63));
            }
        } else {
            return false;
        }
    }
    *value = (dockbell_string){made, (size_t)(to - made)};
    return take(in, '"');
}

static bool texts(reader *in, dockbell_strings *value) {
    if (!take(in, '[')) return false;
    dockbell_string *made = NULL;
    size_t count = 0;
    while (!take(in, ']')) {
        if (count && !take(in, ',')) return false;
        made = realloc(made, (count + 1) * sizeof *made);
        if (!made || !text(in, &made[count++])) return false;
    }
    *value = (dockbell_strings){made, count};
    return true;
}

static bool number(reader *in, int64_t *value) {
    blank(in);
    bool negative = take(in, '-');
    const char *first = in->at;
    int64_t made = 0;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9' && in->at - first < 18; in->at++) made = 10 * made + (*in->at - '0');
    *value = negative ? -made : made;
    return in->at > first && (in->at == in->end || !strchr("0123456789.eE", *in->at));
}

static bool flag(reader *in, bool *value) {
    *value = word(in, "true");
    return *value || word(in, "false");
}

static const char *known(const dockbell_key *keys, size_t count) {
    const char *list = "none";
    for (size_t i = 0; i < count; i++) list = i ? dockbell_print("%s, `%s`", list, keys[i].name) : dockbell_print("`%s`", keys[i].name);
    return list;
}

const char *dockbell_configure(dockbell_string config, const dockbell_key *keys, size_t count) {
    reader in = {config.ptr, config.ptr + config.len};
    bool first = true;
    if (!take(&in, '{')) return "`config` is no table";
    for (; !take(&in, '}'); first = false) {
        dockbell_string name;
        if ((!first && !take(&in, ',')) || !text(&in, &name) || !take(&in, ':')) return "`config` cannot be read as JSON";
        const dockbell_key *key = keys;
        while (key < keys + count && !dockbell_equal(name, (dockbell_string){key->name, strlen(key->name)})) key++;
        if (key == keys + count) return dockbell_print("unknown key `%S`; there is %s", name, known(keys, count));
        if (key->string && !text(&in, key->string)) return dockbell_print("`%s` must be a text", key->name);
        if (key->strings && !texts(&in, key->strings)) return dockbell_print("`%s` must be a list of texts", key->name);
        if (key->number && !number(&in, key->number)) return dockbell_print("`%s` must be a whole number", key->name);
        if (key->flag && !flag(&in, key->flag)) return dockbell_print("`%s` must be true or false", key->name);
    }
    return NULL;
}
