/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/field.h"

#include <stdio.h>
#include <string.h>

/* What is asked for and what is set share these: who has only a const struct does not write. */
void *wh_field_member(const struct wh_field *f, const void *base)
{
    return (char *)(uintptr_t)base + f->at;
}

size_t *wh_field_count(const struct wh_field *f, const void *base)
{
    return (size_t *)(void *)((char *)(uintptr_t)base + f->list->count_at);
}

unsigned wh_field_guest(enum wh_type type)
{
    return type == WH_TYPE_HVM ? WH_FIELD_HVM : type == WH_TYPE_PV ? WH_FIELD_PV :
           type == WH_TYPE_PVH ? WH_FIELD_PVH : 0;
}

bool wh_field_applies(const struct wh_field *f, enum wh_type type)
{
    return f->guests == 0 || (f->guests & wh_field_guest(type));
}

bool wh_field_keyed(const struct wh_field *f, enum wh_type type)
{
    return f->key && wh_field_applies(f, type) &&
           (f->keyed == 0 || (f->keyed & wh_field_guest(type)));
}

const char *wh_field_name(const struct wh_names *names, int value)
{
    for (; names->json; names++) {
        if (names->value == value)
            return names->json;
    }
    return NULL;
}

int64_t wh_field_get(const struct wh_field *f, const void *base)
{
    const void *m = wh_field_member(f, base);

    switch (f->kind) {
    case WH_FIELD_U64:
        return (int64_t)*(const uint64_t *)m;
    case WH_FIELD_U32:
        return *(const uint32_t *)m;
    case WH_FIELD_FLAG:
    case WH_FIELD_BOOL:
        return *(const bool *)m;
    default:
        return *(const int *)m;         /* an enum is as wide */
    }
}

void wh_field_set(const struct wh_field *f, void *base, int64_t value)
{
    void *m = wh_field_member(f, base);

    switch (f->kind) {
    case WH_FIELD_U64:
        *(uint64_t *)m = (uint64_t)value;
        break;
    case WH_FIELD_U32:
        *(uint32_t *)m = (uint32_t)value;
        break;
    case WH_FIELD_FLAG:
    case WH_FIELD_BOOL:
        *(bool *)m = value != 0;
        break;
    default:
        *(int *)m = (int)value;
    }
}

static void init_one(const struct wh_field *f, void *base)
{
    switch (f->kind) {
    case WH_FIELD_U64:
    case WH_FIELD_U32:
    case WH_FIELD_INT:
    case WH_FIELD_FLAG:
    case WH_FIELD_BOOL:
    case WH_FIELD_MAYBE:
    case WH_FIELD_ENUM:
        wh_field_set(f, base, f->unsaid);
        break;
    case WH_FIELD_STRING:
    case WH_FIELD_JSON:
        *(char **)wh_field_member(f, base) = NULL;
        break;
    case WH_FIELD_BITS:
        *(struct wh_bits *)wh_field_member(f, base) = (struct wh_bits){ 0 };
        break;
    case WH_FIELD_AFFINITY:
        *(struct wh_affinity *)wh_field_member(f, base) = (struct wh_affinity){ 0 };
        break;
    case WH_FIELD_UUID:
    case WH_FIELD_GENID:
        *(struct wh_uuid *)wh_field_member(f, base) = (struct wh_uuid){ 0 };
        break;
    case WH_FIELD_MAC:
        *(struct wh_mac *)wh_field_member(f, base) = (struct wh_mac){ 0 };
        break;
    case WH_FIELD_LIST:
    case WH_FIELD_STRINGS:
        *(void **)wh_field_member(f, base) = NULL;
        *wh_field_count(f, base) = 0;
        break;
    default:
        break;
    }
}

void wh_field_init_all(const struct wh_field *table, void *base)
{
    for (const struct wh_field *f = table; f->kind != WH_FIELD_END; f++)
        init_one(f, base);
}

static void free_affinity(struct wh_affinity *a)
{
    for (size_t i = 0; i < a->n; i++)
        wh_bits_free(&a->of[i]);
    free(a->of);
}

static void free_list(const struct wh_field *f, void *base)
{
    char *items = *(char **)wh_field_member(f, base);

    for (size_t i = 0; i < *wh_field_count(f, base); i++)
        wh_field_free_all(f->list->fields, items + i * f->list->size);
    free(items);
}

static void free_strings(const struct wh_field *f, void *base)
{
    char **strings = *(char ***)wh_field_member(f, base);

    for (size_t i = 0; i < *wh_field_count(f, base); i++)
        free(strings[i]);
    free(strings);
}

void wh_field_free_all(const struct wh_field *table, void *base)
{
    for (const struct wh_field *f = table; f->kind != WH_FIELD_END; f++) {
        if (f->kind == WH_FIELD_STRING || f->kind == WH_FIELD_JSON)
            free(*(char **)wh_field_member(f, base));
        else if (f->kind == WH_FIELD_BITS)
            wh_bits_free(wh_field_member(f, base));
        else if (f->kind == WH_FIELD_AFFINITY)
            free_affinity(wh_field_member(f, base));
        else if (f->kind == WH_FIELD_LIST)
            free_list(f, base);
        else if (f->kind == WH_FIELD_STRINGS)
            free_strings(f, base);
    }
    wh_field_init_all(table, base);
}

bool wh_field_unsaid(const struct wh_field *f, const void *base)
{
    const void *m = wh_field_member(f, base);

    switch (f->kind) {
    case WH_FIELD_STRUCT:
        return false;
    case WH_FIELD_STRING:
    case WH_FIELD_JSON:
        return *(char *const *)m == NULL;
    case WH_FIELD_BITS:
        return wh_bits_end(m) == 0;
    case WH_FIELD_AFFINITY:
        return ((const struct wh_affinity *)m)->n == 0;
    case WH_FIELD_UUID:
    case WH_FIELD_GENID:
        return wh_uuid_is_zero(*(const struct wh_uuid *)m);
    case WH_FIELD_MAC:
        return wh_mac_is_zero(*(const struct wh_mac *)m);
    case WH_FIELD_LIST:
    case WH_FIELD_STRINGS:
        return *wh_field_count(f, base) == 0;
    case WH_FIELD_LACK:
    case WH_FIELD_KEPT:
        return true;
    default:
        return wh_field_get(f, base) == f->unsaid;
    }
}

/* Beside letters and digits. */
static const struct {
    const char *also, *expected;
} sets[] = {
    [WH_CHARS_WORD]    = { "-_.,:@",   "expected letters, digits and -_.,:@ only" },
    [WH_CHARS_ADDRESS] = { "-_.,:@ /", "expected an address" },
    [WH_CHARS_PART]    = { "-_.",      "expected letters, digits and -_. only" },
    [WH_CHARS_HOST]    = { "-_.:[]%",  "expected a host's address" },
};

static bool within(enum wh_chars set, unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr(sets[set].also, c) != NULL;
}

const char *wh_field_refuses(const struct wh_field *f, const char *text)
{
    bool few = f->chars < WH_COUNT(sets) && sets[f->chars].also;

    if (strlen(text) > (size_t)f->most)
        return "it is too long";
    if (f->chars == WH_CHARS_NAME && (*text == '\0' || strcmp(text, ".") == 0 ||
                                      strcmp(text, "..") == 0))
        return "it is not a name";
    if (few && f->chars != WH_CHARS_ADDRESS && *text == '-')
        return "it begins with a '-'";          /* an option to whatever program gets it */
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            return "it has a control character";
        if (f->chars == WH_CHARS_NAME && *p == '/')
            return "it has a '/'";
        if (few && !within(f->chars, *p))
            return sets[f->chars].expected;
    }
    return NULL;
}

const char *wh_field_dotted(const char *path, char *text, size_t size)
{
    snprintf(text, size, "%s", path);
    for (char *p = text; *p; p++) {
        if (*p == '/')
            *p = '.';
    }
    return text;
}
