/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* struct wh_config -> libxl's JSON.
 *
 * The tree starts as what the configuration was read from, or empty; every row then puts its
 * member where libxl has it, or takes it away.  So what no row knows stays. */
#include <string.h>

#include "config/field.h"
#include "config/print.h"

/* -------------------------------------------------------------------------------- tree */

/* Length of the path without its last step; 0: it has one only. */
static size_t parent_length(const char *path)
{
    const char *last = strrchr(path, '/');

    return last ? (size_t)(last - path) : 0;
}

static const char *leaf(const char *path)
{
    size_t n = parent_length(path);

    return path + n + (n > 0);
}

/* The object that holds a row's member; NULL: not there. */
static json_object *holder(json_object *o, const char *path)
{
    char key[64];

    for (size_t n; (n = strcspn(path, "/")), path[n] == '/'; path += n + 1) {
        memcpy(key, path, n);
        key[n] = '\0';
        if (!json_object_object_get_ex(o, key, &o) || !json_object_is_type(o, json_type_object))
            return NULL;
    }
    return json_object_is_type(o, json_type_object) ? o : NULL;
}

static bool siblings(const struct wh_field *a, const struct wh_field *b)
{
    size_t n = parent_length(a->path);

    return n == parent_length(b->path) && strncmp(a->path, b->path, n) == 0;
}

/* Add a member before those of later rows: what stands behind it is taken out and put back. */
static bool insert(json_object *o, const struct wh_field *f, json_object *added)
{
    bool replaces = json_object_object_get_ex(o, leaf(f->path), NULL);

    if (json_object_object_add(o, leaf(f->path), added) != 0) {
        json_object_put(added);
        return false;
    }
    if (replaces)
        return true;
    for (const struct wh_field *later = f + 1; later->kind != WH_FIELD_END; later++) {
        json_object *v;

        if (!siblings(f, later) || !json_object_object_get_ex(o, leaf(later->path), &v))
            continue;
        json_object_get(v);
        json_object_object_del(o, leaf(later->path));
        if (json_object_object_add(o, leaf(later->path), v) != 0) {
            json_object_put(v);
            return false;
        }
    }
    return true;
}

/* ------------------------------------------------------------------------------- values */

static json_object *bits(const struct wh_bits *b)
{
    json_object *array = json_object_new_array();

    for (unsigned i = 0; array && i < wh_bits_end(b); i++) {
        if (wh_bits_has(b, i))
            json_object_array_add(array, json_object_new_int((int)i));
    }
    return array;
}

static json_object *strings(const struct wh_field *f, const void *base)
{
    char *const *of = *(char *const *const *)wh_field_member(f, base);
    json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < *wh_field_count(f, base); i++)
        json_object_array_add(array, json_object_new_string(of[i]));
    return array;
}

static json_object *genid(const struct wh_uuid *u)
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < sizeof u->byte; i++)
        json_object_array_add(array, json_object_new_int(u->byte[i]));
    return array;
}

static json_object *affinity(const struct wh_affinity *a)
{
    json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < a->n; i++)
        json_object_array_add(array, bits(&a->of[i]));
    return array;
}

static json_object *kept_json(const char *text)
{
    const char *why;
    size_t at;

    return wh_field_tree(text, strlen(text), &why, &at);
}

static bool put_table(json_object *o, const struct wh_field *table, const void *base,
                      enum wh_type type);

/* The list in place of the one that was there.  Where an item has the same place and the list the
 * same length, what we know nothing of in it stays. */
static json_object *list(const struct wh_field *f, const void *base, enum wh_type type,
                         json_object *was)
{
    const char *items = *(char *const *)wh_field_member(f, base);
    size_t n = *wh_field_count(f, base);
    bool same = json_object_is_type(was, json_type_array) && json_object_array_length(was) == n;
    json_object *array = json_object_new_array();

    for (size_t i = 0; array && i < n; i++) {
        json_object *one = same ? json_object_get(json_object_array_get_idx(was, i))
                                : json_object_new_object();

        if (!one || json_object_array_add(array, one) != 0 ||
            !put_table(one, f->list->fields, items + i * f->list->size, type)) {
            json_object_put(array);
            return NULL;
        }
    }
    return array;
}

static json_object *value(const struct wh_field *f, const void *base)
{
    const void *m = wh_field_member(f, base);
    char text[WH_UUID_TEXT > WH_MAC_TEXT ? WH_UUID_TEXT : WH_MAC_TEXT];
    int64_t n;

    switch (f->kind) {
    case WH_FIELD_STRUCT:
        return json_object_new_object();
    case WH_FIELD_STRING:
        return json_object_new_string(*(char *const *)m);
    case WH_FIELD_STRINGS:
        return strings(f, base);
    case WH_FIELD_JSON:
        return kept_json(*(char *const *)m);
    case WH_FIELD_BITS:
        return bits(m);
    case WH_FIELD_AFFINITY:
        return affinity(m);
    case WH_FIELD_UUID:
        return json_object_new_string(wh_uuid_print(*(const struct wh_uuid *)m, text));
    case WH_FIELD_GENID:
        return genid(m);
    case WH_FIELD_MAC:
        return json_object_new_string(wh_mac_print(*(const struct wh_mac *)m, text));
    case WH_FIELD_BOOL:
        return json_object_new_boolean(*(const bool *)m);
    default:
        break;
    }
    n = wh_field_get(f, base);
    if (f->kind == WH_FIELD_MAYBE)
        return json_object_new_string(n == WH_YES ? "True" : "False");
    if (f->kind == WH_FIELD_ENUM)
        return json_object_new_string(wh_field_name(f->names, (int)n));
    return json_object_new_int64(n);
}

/* -------------------------------------------------------------------------------- rows */

static bool put_row(json_object *root, const struct wh_field *f, const void *base,
                    enum wh_type type)
{
    bool known = f->kind != WH_FIELD_LACK && f->kind != WH_FIELD_KEPT;
    json_object *o = holder(root, f->path), *was = NULL, *now;

    if (!o || !known)
        return true;
    json_object_object_get_ex(o, leaf(f->path), &was);
    if (f->kind == WH_FIELD_STRUCT && json_object_is_type(was, json_type_object) &&
        wh_field_applies(f, type))
        return true;
    if (wh_field_unsaid(f, base) || !wh_field_applies(f, type)) {
        json_object_object_del(o, leaf(f->path));
        return true;
    }
    now = f->kind == WH_FIELD_LIST ? list(f, base, type, was) : value(f, base);
    return now && insert(o, f, now);
}

static bool put_table(json_object *o, const struct wh_field *table, const void *base,
                      enum wh_type type)
{
    for (const struct wh_field *f = table; f->kind != WH_FIELD_END; f++) {
        if (!put_row(o, f, base, type))
            return false;
    }
    return true;
}

bool wh_field_put(json_object *root, const char *path, const struct wh_config *c)
{
    for (const struct wh_field *f = wh_fields; f->kind != WH_FIELD_END; f++) {
        if (strcmp(f->path, path) == 0)
            return put_row(root, f, c, c->type);
    }
    return false;
}

char *wh_config_write_json(struct wh_err *err, const struct wh_config *c)
{
    wh_auto_json json_object *root = c->origin ? kept_json(c->origin) : json_object_new_object();
    char *text = root && put_table(root, wh_fields, c, c->type) ? wh_print_json(root) : NULL;

    if (!text)
        wh_fail(err, WH_SYSTEM, "write the guest's configuration: out of memory");
    return text;
}
