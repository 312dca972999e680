/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What json-c 0.16 allocates for a value, rounded up: an object comes with a table of 16 slots. */
#define OBJECT_COST 800
#define VALUE_COST 112          /* of a fraction, which keeps its text */
#define LONGEST_NUMBER 64

/* The length of a number at text, as JSON has them; 0: there is none. */
static size_t number(const char *text, size_t n)
{
    size_t i = n > 0 && text[0] == '-', digits = i;

    while (i < n && isdigit((unsigned char)text[i]))
        i++;
    if (i == digits || (i > digits + 1 && text[digits] == '0'))
        return 0;
    if (i < n && text[i] == '.') {
        for (digits = ++i; i < n && isdigit((unsigned char)text[i]); i++)
            ;
        if (i == digits)
            return 0;
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        i += 1 + (i + 1 < n && (text[i + 1] == '+' || text[i + 1] == '-'));
        for (digits = i; i < n && isdigit((unsigned char)text[i]); i++)
            ;
        if (i == digits)
            return 0;
    }
    return i;
}

/* Whether json-c has room for it: of a greater integer it would make another number. */
static bool holds(const char *text, size_t length)
{
    char copy[LONGEST_NUMBER + 1] = { 0 };

    if (length > LONGEST_NUMBER)
        return false;
    memcpy(copy, text, length);
    errno = 0;
    if (strpbrk(copy, ".eE") == NULL)
        (void)(*copy == '-' ? (uint64_t)strtoll(copy, NULL, 10) : strtoull(copy, NULL, 10));
    return errno == 0;
}

/* A word outside strings: json-c also takes NaN, Infinity and numbers like "1.", even when told
 * to be strict. */
static size_t word(const char *text, size_t n)
{
    static const char *const words[] = { "true", "false", "null" };
    size_t length = number(text, n);

    if (length > 0)
        return holds(text, length) ? length : 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        length = strlen(words[i]);
        if (n >= length && memcmp(text, words[i], length) == 0)
            return length;
    }
    return 0;
}

struct scan {
    const char *text;
    size_t n, at;
    size_t cost, most;
    unsigned depth;
};

static const char *scan_string(struct scan *s)
{
    for (s->at++; s->at < s->n && s->text[s->at] != '"'; s->at++) {
        if ((unsigned char)s->text[s->at] < 0x20)
            return "not JSON";
        s->at += s->text[s->at] == '\\';
    }
    s->at++;
    return NULL;
}

static const char *scan_one(struct scan *s)
{
    char c = s->text[s->at];
    size_t length;

    switch (c) {
    case '"':
        return scan_string(s);
    case '{':
    case '[':
        s->cost += OBJECT_COST;
        s->at++;
        return ++s->depth > WH_JSON_DEPTH ? "more than 32 levels deep" : NULL;
    case '}':
    case ']':
        s->depth -= s->depth > 0;
        s->at++;
        return NULL;
    case ',':
    case ':':
        s->cost += VALUE_COST;
        s->at++;
        return NULL;
    case ' ':
    case '\t':
    case '\n':
    case '\r':
        s->at++;
        return NULL;
    default:
        length = word(s->text + s->at, s->n - s->at);
        s->at += length;
        return length > 0 ? NULL : "not JSON";
    }
}

/* What parsing would cost, without building anything, and what the parser would wrongly take.
 * Other text that is not JSON may pass: the parser has the last word. */
static const char *unfit(const char *text, size_t n, size_t most, size_t *at)
{
    struct scan s = { .text = text, .n = n, .cost = VALUE_COST, .most = most };
    const char *why = NULL;

    while (s.at < n && !why) {
        *at = s.at;
        why = scan_one(&s);
        if (!why && s.cost > s.most)
            why = "too many values";
    }
    return why;
}

json_object *wh_json_parse(const char *text, size_t n, const char **why, size_t *at)
{
    return wh_json_parse_within(text, n, WH_JSON_MEMORY, why, at);
}

json_object *wh_json_parse_within(const char *text, size_t n, size_t memory, const char **why,
                                  size_t *at)
{
    json_object *o = NULL;
    json_tokener *t;

    while (n > 0 && text[n - 1] == '\0')
        n--;
    *why = unfit(text, n, memory, at);
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

bool wh_json_true(json_object *o, const char *key)
{
    return json_object_get_boolean(json_object_object_get(o, key));
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

bool wh_json_is_text(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (unsigned n; *p && (n = sequence(p)) > 0; p += n)
        ;
    return *p == '\0';
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
