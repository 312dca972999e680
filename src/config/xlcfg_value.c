/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One key of xl.cfg: what it says, where it says it, and what is wrong with that. */
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/xlcfg.h"

/* ------------------------------------------------------------------------------ telling */

static unsigned line_of(const struct wh_xlcfg_reader *r, const char *key)
{
    for (size_t i = r->keys.n; i > 0; i--) {
        const struct wh_xlcfg_key *k = &r->keys.of[i - 1];

        if (k->n == strlen(key) && memcmp(k->name, key, k->n) == 0)
            return k->line;
    }
    return 0;
}

void wh_xlcfg_place(const struct wh_xlcfg_reader *r, unsigned line, char *text, size_t size)
{
    if (line > r->file_lines && r->from->more)
        snprintf(text, size, "command line");
    else
        snprintf(text, size, "%s:%u", r->from->file, line < r->file_lines ? line : r->file_lines);
}

bool wh_xlcfg_wrong(struct wh_xlcfg_reader *r, const char *key, const char *format, ...)
{
    char where[300], what[600];
    va_list args;

    wh_xlcfg_place(r, line_of(r, key), where, sizeof where);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return wh_fail(r->err, WH_USAGE, "%s: %s%s%s", where, key, *what == '[' ? "" : ": ", what);
}

void wh_xlcfg_warn(struct wh_xlcfg_reader *r, const char *key, const char *format, ...)
{
    char where[300], what[600];
    va_list args;

    wh_xlcfg_place(r, line_of(r, key), where, sizeof where);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    wh_warnings_add(r->warnings, "%s: %s%s%s", where, key, *what == '[' ? "" : ": ", what);
}

void wh_xlcfg_said(struct wh_xlcfg_reader *r, char *text, size_t size)
{
    fflush(r->report);
    r->said[r->nsaid] = '\0';
    r->nsaid = 0;
    snprintf(text, size, "%.*s", (int)strcspn(r->said, "\n"), r->said);
}

void wh_xlcfg_said_of(struct wh_xlcfg_reader *r, char *text, size_t size)
{
    static const char *const before[] = { "config parsing error in ", "disk specification: ",
                                          "vif: " };
    size_t n = strlen(r->from->file);
    char *p = text;

    wh_xlcfg_said(r, text, size);
    if (strncmp(p, r->from->file, n) == 0 && strncmp(p + n, ": ", 2) == 0)
        p += n + 2;
    for (size_t i = 0; i < WH_COUNT(before); i++)
        p += strncmp(p, before[i], strlen(before[i])) == 0 ? strlen(before[i]) : 0;
    memmove(text, p, strlen(p) + 1);
}

/* ------------------------------------------------------------------------------- values */

bool wh_xlcfg_string(struct wh_xlcfg_reader *r, const char *key, const char **text)
{
    int e = xlu_cfg_get_string(r->cfg, key, text, 1);

    if (e == 0 && !wh_json_is_text(*text))
        return wh_xlcfg_wrong(r, key, "expected UTF-8 text");
    if (e == 0)
        return true;
    *text = NULL;
    return e == ESRCH || wh_xlcfg_wrong(r, key, "expected a single value, found a list");
}

bool wh_xlcfg_list(struct wh_xlcfg_reader *r, const char *key, XLU_ConfigList **list, int *n)
{
    int e = xlu_cfg_get_list(r->cfg, key, list, n, 1);

    if (e == 0)
        return true;
    *list = NULL;
    *n = 0;
    return e == ESRCH || wh_xlcfg_wrong(r, key, "expected a list, found a single value");
}

bool wh_xlcfg_item(struct wh_xlcfg_reader *r, const char *key, const XLU_ConfigList *list, int i,
                   const char **text)
{
    *text = xlu_cfg_get_listitem(list, i);
    if (!*text)
        return wh_xlcfg_wrong(r, key, "[%d]: expected a string, found a list", i);
    return wh_json_is_text(*text) || wh_xlcfg_wrong(r, key, "[%d]: expected UTF-8 text", i);
}

/* A whole number as xl reads it: white space in front, any base of C's. */
static bool number(const char *text, int64_t *n)
{
    char *end;

    errno = 0;
    *n = strtoll(text, &end, 0);
    return end != text && *end == '\0' && errno == 0;
}

static bool number_value(struct wh_xlcfg_reader *r, const char *key, const char *named,
                         const struct wh_field *f, void *base, const char *text)
{
    int64_t unit = f->unit > 0 ? f->unit : 1, least = (f->least + unit - 1) / unit, n;

    if (!number(text, &n) || n < least || n > f->most / unit)
        return wh_xlcfg_wrong(r, key, "%s%sexpected a number from %lld to %lld, found \"%.100s\"",
                              named, *named ? ": " : "", (long long)least,
                              (long long)(f->most / unit), text);
    wh_field_set(f, base, n * unit);
    return true;
}

static bool maybe_value(struct wh_xlcfg_reader *r, const char *key, const struct wh_field *f,
                        void *base, const char *text)
{
    int64_t n;

    if (!number(text, &n) || n < 0 || n > 1)
        return wh_xlcfg_wrong(r, key, "expected 0 or 1, found \"%.100s\"", text);
    wh_field_set(f, base, n ? WH_YES : WH_NO);
    return true;
}

/* Some enumerations once were numbers in xl.cfg. */
static bool numbered(const struct wh_field *f)
{
    return strcmp(f->key, "tsc_mode") == 0 || strcmp(f->key, "timer_mode") == 0 ||
           strcmp(f->key, "altp2m") == 0;
}

static bool enum_value(struct wh_xlcfg_reader *r, const char *key, const char *named,
                       const struct wh_field *f, void *base, const char *text)
{
    char known[256] = "";
    size_t used = 0;
    int64_t as_number;
    bool is_number = numbered(f) && number(text, &as_number);

    for (const struct wh_names *n = f->names; n->json; n++) {
        const char *name = n->xlcfg ? n->xlcfg : n->json;

        if (strcmp(name, "unknown") == 0)
            continue;
        if (is_number ? as_number == n->value : strcmp(text, name) == 0) {
            wh_field_set(f, base, n->value);
            if (is_number)
                wh_xlcfg_warn(r, key, "numbers are deprecated, \"%s\" says the same", name);
            return true;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", name);
    }
    return wh_xlcfg_wrong(r, key, "%s%sexpected one of %s, found \"%.100s\"", named,
                          *named ? ": " : "", known, text);
}

static bool string_value(struct wh_xlcfg_reader *r, const char *key, const char *named,
                         const struct wh_field *f, void *base, const char *text)
{
    char **to = wh_field_member(f, base);
    const char *why = wh_field_refuses(f, text);

    if (why)
        return wh_xlcfg_wrong(r, key, "%s%s%s", named, *named ? ": " : "", why);
    free(*to);
    *to = strdup(text);
    return *to || wh_fail(r->err, WH_SYSTEM, "out of memory");
}

const struct wh_field *wh_xlcfg_row(const char *path)
{
    const struct wh_field *f = wh_fields;

    while (f->kind != WH_FIELD_END && strcmp(f->path, path) != 0)
        f++;
    assert(f->kind != WH_FIELD_END);
    return f;
}

bool wh_xlcfg_strings(struct wh_xlcfg_reader *r, const char *key, const struct wh_field *f,
                      const XLU_ConfigList *list, int n)
{
    char ***to = wh_field_member(f, r->c);

    if ((size_t)n > f->list->most)
        return wh_xlcfg_wrong(r, key, "expected at most %zu, found %d", f->list->most, n);
    *to = n > 0 ? calloc((size_t)n, sizeof **to) : NULL;
    if (n > 0 && !*to)
        return wh_fail(r->err, WH_SYSTEM, "out of memory");
    for (int i = 0; i < n; i++) {
        const char *text, *why;

        if (!wh_xlcfg_item(r, key, list, i, &text))
            return false;
        why = wh_field_refuses(f, text);
        if (why)
            return wh_xlcfg_wrong(r, key, "[%d]: %s", i, why);
        (*to)[i] = strdup(text);
        if (!(*to)[i])
            return wh_fail(r->err, WH_SYSTEM, "out of memory");
        *wh_field_count(f, r->c) = (size_t)i + 1;
    }
    return true;
}

bool wh_xlcfg_value(struct wh_xlcfg_reader *r, const char *key, const char *named,
                    const struct wh_field *f, void *base, const char *text)
{
    switch (f->kind) {
    case WH_FIELD_STRING:
        return string_value(r, key, named, f, base, text);
    case WH_FIELD_MAYBE:
        return maybe_value(r, key, f, base, text);
    case WH_FIELD_ENUM:
        return enum_value(r, key, named, f, base, text);
    case WH_FIELD_UUID:
        return wh_uuid_parse(text, wh_field_member(f, base)) ||
               wh_xlcfg_wrong(r, key, "expected a uuid, found \"%.100s\"", text);
    case WH_FIELD_MAC:
        return wh_mac_parse(text, wh_field_member(f, base)) ||
               wh_xlcfg_wrong(r, key, "%s: expected a MAC address, found \"%.100s\"", named, text);
    default:
        return number_value(r, key, named, f, base, text);
    }
}
