/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/json.h"

#include <stdlib.h>
#include <string.h>

/* What json-c 0.16 allocates for a value, rounded up: an object comes with a table of 16 slots. */
#define OBJECT_COST 800
#define VALUE_COST 80

/* Depth and number of values, without building anything.  Text that is not JSON may pass: the
 * parser has the last word. */
static const char *too_much(const char *text, size_t n, size_t *at)
{
    size_t cost = VALUE_COST;
    unsigned depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        *at = i;
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
            continue;
        }
        quoted = c == '"';
        if (c == '{' || c == '[') {
            cost += OBJECT_COST;
            if (++depth > WH_JSON_DEPTH)
                return "more than 32 levels deep";
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',' || c == ':') {
            cost += VALUE_COST;
        }
        if (cost > WH_JSON_MEMORY)
            return "too many values";
    }
    return NULL;
}

json_object *wh_json_parse(const char *text, size_t n, const char **why, size_t *at)
{
    json_object *o = NULL;
    json_tokener *t;

    while (n > 0 && text[n - 1] == '\0')
        n--;
    *why = too_much(text, n, at);
    if (*why)
        return NULL;
    t = json_tokener_new_ex(WH_JSON_DEPTH);
    if (!t) {
        *why = "out of memory";
        return NULL;
    }
    json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    if (memchr(text, '\0', n) == NULL)
        o = json_tokener_parse_ex(t, text, (int)n);
    if (!o && json_tokener_get_error(t) == json_tokener_continue)
        o = json_tokener_parse_ex(t, "", -1);       /* a number alone ends with the text */
    *at = json_tokener_get_parse_end(t);
    *why = o ? NULL : "not JSON";
    json_tokener_free(t);
    return o;
}

static json_object *look(json_object *o, const char *path, json_type type)
{
    char key[64];

    while (o && *path) {
        size_t n = strcspn(path, ".");

        if (n >= sizeof key || !json_object_is_type(o, json_type_object))
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        if (!json_object_object_get_ex(o, key, &o))
            return NULL;
        path += n + (path[n] == '.');
    }
    return json_object_is_type(o, type) ? o : NULL;
}

uint64_t wh_json_number(json_object *o, const char *path, uint64_t missing)
{
    json_object *v = look(o, path, json_type_int);

    return v ? json_object_get_uint64(v) : missing;
}

const char *wh_json_string(json_object *o, const char *path, const char *missing)
{
    json_object *v = look(o, path, json_type_string);

    return v ? json_object_get_string(v) : missing;
}

bool wh_json_has(json_object *o, const char *object, const char *key)
{
    json_object *v = look(o, object, json_type_object);

    return v && json_object_object_get_ex(v, key, NULL);
}

/* Bytes of the UTF-8 sequence at p; 0: there is none. */
static unsigned sequence(const unsigned char *p)
{
    unsigned n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) || (*p == 0xf0 && p[1] < 0x90) ||
        (*p == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

json_object *wh_json_text(const char *text)
{
    static const char replacement[] = "\xef\xbf\xbd";
    size_t room = text ? 3 * strlen(text) + 1 : 0, used = 0;
    char *clean = text ? malloc(room) : NULL;
    json_object *o;

    if (!clean)
        return NULL;
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        unsigned n = sequence(p);

        memcpy(clean + used, n ? (const char *)p : replacement, n ? n : 3);
        used += n ? n : 3;
        p += n ? n : 1;
    }
    o = json_object_new_string_len(clean, (int)used);
    free(clean);
    return o;
}
