/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xl.cfg text -> struct wh_config.
 *
 *     name = "web"                a row of the table each, but for those with code of their own
 *     memory = 512
 *     disk = [ "/dev/vg/web,raw,xvda,w" ]
 */
#include "config/xlcfg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- keys with their own code */

static bool read_type(struct wh_xlcfg_reader *r)
{
    const char *type, *builder;

    if (!wh_xlcfg_string(r, "type", &type) || !wh_xlcfg_string(r, "builder", &builder))
        return false;
    if (builder)
        wh_xlcfg_warn(r, "builder", "is deprecated, type does the same");
    if (!type)
        type = builder && strcmp(builder, "hvm") == 0 ? "hvm" : "pv";
    if (builder && strcmp(builder, strcmp(type, "pv") == 0 ? "generic" : type) != 0)
        return wh_xlcfg_wrong(r, "builder", "expected what type says (%s), found \"%.100s\"", type,
                              builder);
    for (const struct wh_names *n = wh_field_types; n->json; n++) {
        if (strcmp(n->json, type) == 0)
            r->c->type = (enum wh_type)n->value;
    }
    if (r->c->type == WH_TYPE_NONE)
        return wh_xlcfg_wrong(r, "type", "expected hvm, pv or pvh, found \"%.100s\"", type);
    return true;
}

static bool read_row(struct wh_xlcfg_reader *r, const struct wh_field *f)
{
    XLU_ConfigList *list;
    const char *text;
    int n;

    if (f->kind == WH_FIELD_STRINGS)
        return wh_xlcfg_list(r, f->key, &list, &n) && wh_xlcfg_strings(r, f->key, f, list, n);
    return wh_xlcfg_string(r, f->key, &text) &&
           (!text || wh_xlcfg_value(r, f->key, "", f, r->c, text));
}

static bool read_rows(struct wh_xlcfg_reader *r)
{
    for (const struct wh_field *f = wh_fields; f->kind != WH_FIELD_END; f++) {
        if (wh_field_keyed(f, r->c->type) && !read_row(r, f))
            return false;
    }
    return true;
}

static bool read_memory(struct wh_xlcfg_reader *r)
{
    struct wh_config *c = r->c;

    if (c->max_memkb == WH_UNSET_MEMKB)
        c->max_memkb = c->target_memkb;
    if (c->max_memkb == WH_UNSET_MEMKB)
        return wh_fail(r->err, WH_USAGE, "%s: memory: expected MiB, found none", r->from->file);
    if (c->target_memkb != WH_UNSET_MEMKB && c->target_memkb > c->max_memkb)
        return wh_xlcfg_wrong(r, "maxmem", "expected at least what memory says (%llu), found %llu",
                              (unsigned long long)c->target_memkb / 1024,
                              (unsigned long long)c->max_memkb / 1024);
    return true;
}

static bool read_count(struct wh_xlcfg_reader *r, const char *key, int *count)
{
    static const struct wh_field vcpus = { .kind = WH_FIELD_INT, .least = 1,
                                           .most = WH_CONFIG_VCPUS };
    const char *text;

    if (!wh_xlcfg_string(r, key, &text))
        return false;
    return !text || wh_xlcfg_value(r, key, "", &vcpus, count, text);
}

static bool read_vcpus(struct wh_xlcfg_reader *r)
{
    int online = 0, max = 0;

    if (!read_count(r, "vcpus", &online) || !read_count(r, "maxvcpus", &max))
        return false;
    if (max > 0 && online > max)
        return wh_xlcfg_wrong(r, "maxvcpus", "expected at least what vcpus says (%d), found %d",
                              online, max);
    r->c->max_vcpus = max > 0 ? max : online;
    return wh_bits_add_range(&r->c->avail_vcpus, 0, (unsigned)online) ||
           wh_fail(r->err, WH_SYSTEM, "out of memory");
}

static bool read_cmdline(struct wh_xlcfg_reader *r)
{
    static const struct wh_field row = { .kind = WH_FIELD_STRING, .chars = WH_CHARS_TEXT,
                                         .most = WH_CONFIG_STRING };
    const char *cmdline, *root, *extra;
    wh_auto_free char *built = NULL;

    if (!wh_xlcfg_string(r, "cmdline", &cmdline) || !wh_xlcfg_string(r, "root", &root) ||
        !wh_xlcfg_string(r, "extra", &extra))
        return false;
    if (cmdline) {
        if (root || extra)
            wh_xlcfg_warn(r, root ? "root" : "extra", "is ignored, cmdline is set");
        return wh_xlcfg_value(r, "cmdline", "", &row, &r->c->cmdline, cmdline);
    }
    if (!root && !extra)
        return true;
    if (asprintf(&built, "%s%s%s%s", root ? "root=" : "", root ? root : "",
                 root && extra ? " " : "", extra ? extra : "") < 0)
        return wh_fail(r->err, WH_SYSTEM, "out of memory");
    return wh_xlcfg_value(r, root ? "root" : "extra", "", &row, &r->c->cmdline, built);
}

static bool read_keys(struct wh_xlcfg_reader *r)
{
    struct wh_config *c = r->c;

    /* What xl sets and libxl would not. */
    c->run_hotplug_scripts = WH_YES;
    c->claim_mode = WH_YES;
    c->on_reboot = WH_ACTION_RESTART;
    c->on_soft_reset = WH_ACTION_SOFT_RESET;

    if (!read_type(r) || !read_rows(r) || !read_memory(r) || !read_vcpus(r) || !read_cmdline(r) ||
        !wh_xlcfg_cpus(r) || !wh_xlcfg_disks(r) || !wh_xlcfg_nics(r) || !wh_xlcfg_hvm(r) ||
        !wh_xlcfg_others(r))
        return false;
    return c->name || wh_fail(r->err, WH_USAGE, "%s: name: expected a name, found none",
                              r->from->file);
}

/* -------------------------------------------------------------------------------- whole */

static unsigned lines(const char *text, size_t n)
{
    unsigned count = n > 0 && text[n - 1] != '\n';

    for (size_t i = 0; i < n; i++)
        count += text[i] == '\n';
    return count;
}

/* The file's text and what was added to it: each ends in a newline of its own. */
static bool join(struct wh_xlcfg_reader *r)
{
    const struct wh_xlcfg *from = r->from;
    const char *more = from->more ? from->more : "";
    size_t more_n = strlen(more);
    char *end;

    if (from->n > WH_CONFIG_TEXT || more_n > WH_CONFIG_TEXT)
        return wh_fail(r->err, WH_USAGE, "%s: expected at most %u bytes, found %zu", from->file,
                       WH_CONFIG_TEXT, from->n > WH_CONFIG_TEXT ? from->n : more_n);
    if (memchr(from->text, '\0', from->n))
        return wh_fail(r->err, WH_USAGE, "%s: expected text, found a NUL", from->file);
    r->text = malloc(from->n + more_n + 3);
    if (!r->text)
        return wh_fail(r->err, WH_SYSTEM, "out of memory");
    end = mempcpy(r->text, from->text, from->n);
    if (from->n > 0 && end[-1] != '\n')
        *end++ = '\n';
    r->file_lines = lines(r->text, (size_t)(end - r->text));
    end = mempcpy(end, more, more_n);
    if (more_n > 0)
        *end++ = '\n';
    *end = '\0';
    r->n = (size_t)(end - r->text);
    return true;
}

/* What libxlutil says of text it does not take: "FILE:LINE: config parsing error ...". */
static bool not_taken(struct wh_xlcfg_reader *r)
{
    char said[512], where[300];
    size_t n = strlen(r->from->file);
    unsigned long line;
    char *what;

    wh_xlcfg_said(r, said, sizeof said);
    if (strncmp(said, r->from->file, n) != 0 || said[n] != ':')
        return wh_fail(r->err, WH_USAGE, "%s: %s", r->from->file,
                       *said ? said : "libxlutil does not take it");
    line = strtoul(said + n + 1, &what, 10);
    line += strstr(what, "near <newline>") != NULL;     /* of which it names the line before */
    wh_xlcfg_place(r, (unsigned)line, where, sizeof where);
    return wh_fail(r->err, WH_USAGE, "%s%s", where, what);
}

/* Keeps the beginning: libxlutil has something to say of each wrong byte. */
static ssize_t hear(void *cookie, const char *text, size_t n)
{
    struct wh_xlcfg_reader *r = cookie;
    size_t room = sizeof r->said - 1 - r->nsaid, take = n < room ? n : room;

    memcpy(r->said + r->nsaid, text, take);
    r->nsaid += take;
    return (ssize_t)n;
}

static bool parse(struct wh_xlcfg_reader *r)
{
    if (!join(r))
        return false;
    r->report = fopencookie(r, "w", (cookie_io_functions_t){ .write = hear });
    r->cfg = r->report ? xlu_cfg_init(r->report, r->from->file) : NULL;
    if (!r->cfg)
        return wh_fail(r->err, WH_SYSTEM, "out of memory");
    if (!wh_xlcfg_scan(r->text, r->n, &r->keys))
        return wh_fail(r->err, WH_USAGE, "%s: expected at most %d keys", r->from->file,
                       WH_XLCFG_KEYS);
    if (xlu_cfg_readdata(r->cfg, r->text, (int)r->n) != 0)
        return not_taken(r);
    return read_keys(r);
}

bool wh_config_parse_xlcfg(struct wh_err *err, const struct wh_xlcfg *from, struct wh_config *c,
                           struct wh_warnings *warnings)
{
    struct wh_xlcfg_reader r = { .err = err, .from = from, .c = c, .warnings = warnings };
    bool ok;

    wh_config_free(c);
    ok = parse(&r);
    if (r.cfg)
        xlu_cfg_destroy(r.cfg);
    if (r.report)
        fclose(r.report);
    free(r.text);
    free(r.keys.of);
    if (!ok)
        wh_config_free(c);
    return ok;
}
