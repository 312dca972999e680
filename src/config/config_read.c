/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libxl's JSON -> struct wh_config, row by row.  The text may come from an image: nothing in it is
 * believed. */
#include <stdio.h>
#include <string.h>

#include "config/field.h"

struct reader {
    struct wh_err *err;
    struct wh_config *c;
    char prefix[32];            /* "disks[2].": where the table stands; "" for the whole */
};

static bool wrong(struct reader *r, const struct wh_field *f, const char *expected, json_object *v)
{
    char path[128], prefix[sizeof r->prefix];
    const char *text = v ? json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN) : "null";

    return wh_fail(r->err, WH_STREAM, "%s%s: expected %s, found %.100s",
                   wh_field_dotted(r->prefix, prefix, sizeof prefix),
                   wh_field_dotted(f->path, path, sizeof path), expected, text);
}

static bool no_memory(struct reader *r)
{
    return wh_fail(r->err, WH_SYSTEM, "out of memory");
}

/* The member that a path names below o; false: there is none. */
static bool look(json_object *o, const char *path, json_object **found)
{
    char key[64];

    while (*path) {
        size_t n = strcspn(path, "/");

        if (n >= sizeof key || !json_object_is_type(o, json_type_object))
            return false;
        memcpy(key, path, n);
        key[n] = '\0';
        if (!json_object_object_get_ex(o, key, &o))
            return false;
        path += n + (path[n] == '/');
    }
    *found = o;
    return true;
}

/* ------------------------------------------------------------------------------- values */

/* A JSON string as C has them: without a NUL inside. */
static const char *plain(json_object *v)
{
    const char *text = json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;

    return text && strlen(text) == (size_t)json_object_get_string_len(v) ? text : NULL;
}

static bool read_string(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    char **to = wh_field_member(f, base), path[128];
    const char *text = plain(v), *why;

    if (!text)
        return wrong(r, f, "a string", v);
    why = wh_field_refuses(f, text);
    if (why)
        return wh_fail(r->err, WH_STREAM, "%s%s: %s", r->prefix,
                       wh_field_dotted(f->path, path, sizeof path), why);
    *to = strdup(text);
    return *to || no_memory(r);
}

static bool read_strings(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;
    char ***to = wh_field_member(f, base), path[128], expected[64];

    snprintf(expected, sizeof expected, "an array of at most %zu strings", f->list->most);
    if (n > f->list->most)
        return wrong(r, f, expected, v);
    *to = n > 0 ? calloc(n, sizeof **to) : NULL;
    if (n > 0 && !*to)
        return no_memory(r);
    for (size_t i = 0; i < n; i++) {
        const char *text = plain(json_object_array_get_idx(v, i));
        const char *why = text ? wh_field_refuses(f, text) : NULL;

        if (!text)
            return wrong(r, f, expected, json_object_array_get_idx(v, i));
        if (why)
            return wh_fail(r->err, WH_STREAM, "%s%s[%zu]: %s", r->prefix,
                           wh_field_dotted(f->path, path, sizeof path), i, why);
        (*to)[i] = strdup(text);
        if (!(*to)[i])
            return no_memory(r);
        *wh_field_count(f, base) = i + 1;
    }
    return true;
}

/* Within what the row allows; a negative number of an unsigned field is of xl.cfg only. */
static bool in_range(const struct wh_field *f, json_object *v, int64_t *n)
{
    int64_t least = f->kind != WH_FIELD_INT && f->least < 0 ? 0 : f->least;

    if (!json_object_is_type(v, json_type_int))
        return false;
    *n = json_object_get_int64(v);          /* what is greater than INT64_MAX becomes that */
    return (*n >= least && *n <= f->most) || (*n == f->unsaid && *n >= INT32_MIN);
}

static bool read_number(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    char expected[64];
    int64_t n;

    if (!in_range(f, v, &n)) {
        snprintf(expected, sizeof expected, "a number from %lld to %lld", (long long)f->least,
                 (long long)f->most);
        return wrong(r, f, expected, v);
    }
    wh_field_set(f, base, n);
    return true;
}

/* libxl writes 0 and 1 for some, true and false for others; either is taken for either. */
static bool read_bool(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    int64_t n = json_object_get_int64(v);

    if (json_object_is_type(v, json_type_boolean))
        n = json_object_get_boolean(v);
    else if (!json_object_is_type(v, json_type_int) || n < 0 || n > 1)
        return wrong(r, f, "0, 1, true or false", v);
    wh_field_set(f, base, n);
    return true;
}

static bool read_maybe(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    const char *text = plain(v);

    if (text && strcmp(text, "True") == 0)
        wh_field_set(f, base, WH_YES);
    else if (text && strcmp(text, "False") == 0)
        wh_field_set(f, base, WH_NO);
    else if (!text || strcmp(text, "<default>") != 0)
        return wrong(r, f, "\"True\", \"False\" or \"<default>\"", v);
    return true;
}

static bool read_enum(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    const char *text = plain(v);
    char known[256] = "one of";
    size_t used = strlen(known);

    for (const struct wh_names *n = f->names; n->json; n++) {
        if (text && strcmp(text, n->json) == 0) {
            wh_field_set(f, base, n->value);
            return true;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", n->json);
    }
    return wrong(r, f, known, v);
}

static bool add_bits(struct reader *r, const struct wh_field *f, struct wh_bits *to,
                     json_object *v)
{
    size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;

    if (n > WH_BITS_MAX)
        return wrong(r, f, "an array of numbers", v);
    for (size_t i = 0; i < n; i++) {
        json_object *one = json_object_array_get_idx(v, i);
        int64_t bit = json_object_is_type(one, json_type_int) ? json_object_get_int64(one) : -1;

        if (bit < 0 || bit >= WH_BITS_MAX)
            return wrong(r, f, "numbers from 0 to 8191", one);
        if (!wh_bits_add(to, (unsigned)bit))
            return no_memory(r);
    }
    return true;
}

static bool read_affinity(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    struct wh_affinity *to = wh_field_member(f, base);
    size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;

    if (n > WH_CONFIG_VCPUS)
        return wrong(r, f, "an array of arrays", v);
    if (n == 0)
        return true;
    to->of = calloc(n, sizeof *to->of);
    if (!to->of)
        return no_memory(r);
    to->n = n;
    for (size_t i = 0; i < n; i++) {
        if (!add_bits(r, f, &to->of[i], json_object_array_get_idx(v, i)))
            return false;
    }
    return true;
}

static bool read_uuid(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    const char *text = plain(v);

    return (text && wh_uuid_parse(text, wh_field_member(f, base))) || wrong(r, f, "a uuid", v);
}

static bool read_genid(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    struct wh_uuid *to = wh_field_member(f, base);

    if (!json_object_is_type(v, json_type_array) ||
        json_object_array_length(v) != sizeof to->byte)
        return wrong(r, f, "an array of 16 bytes", v);
    for (size_t i = 0; i < sizeof to->byte; i++) {
        json_object *one = json_object_array_get_idx(v, i);
        int64_t byte = json_object_is_type(one, json_type_int) ? json_object_get_int64(one) : -1;

        if (byte < 0 || byte > UINT8_MAX)
            return wrong(r, f, "bytes from 0 to 255", one);
        to->byte[i] = (uint8_t)byte;
    }
    return true;
}

static bool read_mac(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    const char *text = plain(v);

    return (text && wh_mac_parse(text, wh_field_member(f, base))) ||
           wrong(r, f, "a MAC address", v);
}

static bool read_json(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    char **to = wh_field_member(f, base);

    *to = strdup(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN));
    return *to || no_memory(r);
}

/* -------------------------------------------------------------------------------- rows */

/* Whether a value says as much as its absence. */
static bool says_nothing(const struct wh_field *f, json_object *v)
{
    const char *text = plain(v);

    if (text && f->nothing && strcmp(text, f->nothing) == 0)
        return true;

    switch (json_object_get_type(v)) {
    case json_type_null:
        return true;
    case json_type_array:
        return json_object_array_length(v) == 0;
    case json_type_string:
        return !text || !*text || strcmp(text, "False") == 0 || strcmp(text, "<default>") == 0;
    case json_type_object:
        return json_object_object_length(v) == 0;
    default:
        return !json_object_get_boolean(v);
    }
}

static bool note_lack(struct reader *r, const struct wh_field *f, json_object *v)
{
    char path[128];

    if (r->c->lacks || !wh_field_applies(f, r->c->type) || says_nothing(f, v))
        return true;
    if (asprintf(&r->c->lacks, "%s%s", r->prefix,
                 wh_field_dotted(f->path, path, sizeof path)) < 0) {
        r->c->lacks = NULL;
        return no_memory(r);
    }
    return true;
}

static bool read_table(struct reader *r, const struct wh_field *table, void *base,
                       json_object *o);

static bool read_list(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : SIZE_MAX;
    char **items = wh_field_member(f, base), expected[64];
    bool ok = true;

    snprintf(expected, sizeof expected, "an array of at most %zu objects", f->list->most);
    if (n > f->list->most)
        return wrong(r, f, expected, v);
    *items = n > 0 ? calloc(n, f->list->size) : NULL;
    if (n > 0 && !*items)
        return no_memory(r);
    for (size_t i = 0; i < n; i++)
        f->list->init(*items + i * f->list->size);
    *wh_field_count(f, base) = n;
    for (size_t i = 0; ok && i < n; i++) {
        json_object *one = json_object_array_get_idx(v, i);

        if (!json_object_is_type(one, json_type_object))
            return wrong(r, f, expected, one);
        snprintf(r->prefix, sizeof r->prefix, "%s[%zu].", f->path, i);
        ok = read_table(r, f->list->fields, *items + i * f->list->size, one);
    }
    r->prefix[0] = '\0';
    return ok;
}

static bool read_row(struct reader *r, const struct wh_field *f, void *base, json_object *v)
{
    switch (f->kind) {
    case WH_FIELD_STRUCT:
        return json_object_is_type(v, json_type_object) || wrong(r, f, "an object", v);
    case WH_FIELD_LACK:
        return note_lack(r, f, v);
    case WH_FIELD_STRING:
        return read_string(r, f, base, v);
    case WH_FIELD_STRINGS:
        return read_strings(r, f, base, v);
    case WH_FIELD_U64:
    case WH_FIELD_U32:
    case WH_FIELD_INT:
        return read_number(r, f, base, v);
    case WH_FIELD_FLAG:
    case WH_FIELD_BOOL:
        return read_bool(r, f, base, v);
    case WH_FIELD_MAYBE:
        return read_maybe(r, f, base, v);
    case WH_FIELD_ENUM:
        return read_enum(r, f, base, v);
    case WH_FIELD_BITS:
        return add_bits(r, f, wh_field_member(f, base), v);
    case WH_FIELD_AFFINITY:
        return read_affinity(r, f, base, v);
    case WH_FIELD_UUID:
        return read_uuid(r, f, base, v);
    case WH_FIELD_GENID:
        return read_genid(r, f, base, v);
    case WH_FIELD_MAC:
        return read_mac(r, f, base, v);
    case WH_FIELD_JSON:
        return read_json(r, f, base, v);
    case WH_FIELD_LIST:
        return read_list(r, f, base, v);
    default:
        return true;
    }
}

static bool read_table(struct reader *r, const struct wh_field *table, void *base,
                       json_object *o)
{
    for (const struct wh_field *f = table; f->kind != WH_FIELD_END; f++) {
        json_object *v;

        /* libxl's reader takes null for a member that is not there. */
        if (!look(o, f->path, &v) || v == NULL)
            continue;
        if (!read_row(r, f, base, v))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------- whole */

/* c_info says what it is, b_info has the part of that type and of no other: libxl goes by the
 * one when it creates a domain and by the other when it builds it. */
static bool check_type(struct reader *r, json_object *o)
{
    const char *name = wh_field_name(wh_field_types, (int)r->c->type);

    if (!name)
        return wh_fail(r->err, WH_STREAM, "c_info.type: expected hvm, pv or pvh, found nothing");
    for (const struct wh_names *n = wh_field_types; n->json; n++) {
        char path[64];
        json_object *v;

        snprintf(path, sizeof path, "b_info/type.%s", n->json);
        if (look(o, path, &v) == (n->value == (int)r->c->type))
            continue;
        if (n->value == (int)r->c->type)
            return wh_fail(r->err, WH_STREAM, "b_info: expected type.%s, found none", n->json);
        return wh_fail(r->err, WH_STREAM, "b_info: expected type.%s, found type.%s", name,
                       n->json);
    }
    return true;
}

json_object *wh_field_tree(const char *text, size_t n, const char **why, size_t *at)
{
    *at = 0;
    *why = "too long";
    return n <= WH_CONFIG_JSON ? wh_json_parse_within(text, n, WH_FIELD_MEMORY, why, at) : NULL;
}

static bool read_whole(struct wh_err *err, const char *text, size_t n, struct wh_config *c)
{
    struct reader r = { .err = err, .c = c };
    const char *why = NULL;
    size_t at = 0;

    wh_auto_json json_object *o = wh_field_tree(text, n, &why, &at);
    if (!o || !json_object_is_type(o, json_type_object))
        return wh_fail(err, WH_STREAM, "expected a JSON object: %s at byte %zu",
                       why ? why : "another value", at);
    if (!read_table(&r, wh_fields, c, o) || !check_type(&r, o))
        return false;
    while (n > 0 && text[n - 1] == '\0')
        n--;
    c->origin = strndup(text, n);
    return c->origin || no_memory(&r);
}

bool wh_config_read_json(struct wh_err *err, const char *text, size_t n, struct wh_config *c)
{
    wh_config_free(c);
    if (read_whole(err, text, n, c)) {
        /* Images from before Xen 4.16 do not say it, and their guests were allowed it. */
        if (c->msr_relaxed == WH_UNSAID)
            c->msr_relaxed = WH_YES;
        return true;
    }
    wh_config_free(c);
    return wh_while(err, "the guest's configuration");
}
