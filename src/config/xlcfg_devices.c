/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* disk = [ "/dev/vg/a,raw,xvda,w" ], which libxlutil takes apart, and
 * vif = [ "mac=00:16:3e:00:00:01,bridge=xenbr0" ], which it does not. */
#include <stdio.h>
#include <string.h>

#include "config/xlcfg.h"

/* ------------------------------------------------------------------------------- disks */

static bool take_string(struct wh_xlcfg_reader *r, const char *named, const char *member,
                        char **to, const char *text)
{
    for (const struct wh_field *f = wh_field_disks.fields; f->kind != WH_FIELD_END; f++) {
        const char *why = text && strcmp(f->path, member) == 0 ? wh_field_refuses(f, text) : NULL;

        if (why)
            return wh_xlcfg_wrong(r, "disk", "%s.%s: %s", named, member, why);
    }
    *to = text ? strdup(text) : NULL;
    return !text || *to || wh_fail(r->err, WH_SYSTEM, "out of memory");
}

static enum wh_maybe maybe(libxl_defbool b)
{
    return libxl_defbool_is_default(b) ? WH_UNSAID : libxl_defbool_val(b) ? WH_YES : WH_NO;
}

static bool take_disk(struct wh_xlcfg_reader *r, const char *named, const libxl_device_disk *from,
                      struct wh_disk *to)
{
    if (!libxl_defbool_is_default(from->colo_enable))
        return wh_xlcfg_wrong(r, "disk", "%s: colo is not yet supported", named);
    to->backend_domid = from->backend_domid;
    to->backend = (enum wh_disk_backend)from->backend;
    to->format = (enum wh_disk_format)from->format;
    to->removable = from->removable != 0;
    to->readwrite = from->readwrite != 0;
    to->is_cdrom = from->is_cdrom != 0;
    to->direct_io_safe = from->direct_io_safe;
    to->discard_enable = maybe(from->discard_enable);
    to->specification = (enum wh_disk_spec)from->specification;
    to->trusted = maybe(from->trusted);
    return take_string(r, named, "backend_domname", &to->backend_domname, from->backend_domname) &&
           take_string(r, named, "pdev_path", &to->pdev_path, from->pdev_path) &&
           take_string(r, named, "vdev", &to->vdev, from->vdev) &&
           take_string(r, named, "script", &to->script, from->script);
}

static bool read_disk(struct wh_xlcfg_reader *r, const char *spec, int i, struct wh_disk *to)
{
    libxl_device_disk disk;
    char named[32], said[512];
    bool ok;

    snprintf(named, sizeof named, "[%d]", i);
    libxl_device_disk_init(&disk);
    ok = xlu_disk_parse(r->cfg, 1, &spec, &disk) == 0;
    wh_xlcfg_said_of(r, said, sizeof said);
    if (!ok)
        wh_xlcfg_wrong(r, "disk", "%s: %s", named, *said ? said : "expected a disk");
    else if (*said)
        wh_xlcfg_warn(r, "disk", "%s: %s", named, said);
    ok = ok && take_disk(r, named, &disk, to);
    libxl_device_disk_dispose(&disk);
    return ok;
}

/* Room for n of a list's structs, none of them said anything of. */
static bool make(struct wh_xlcfg_reader *r, const char *key, const struct wh_list *list, int n,
                 void *items)
{
    char *made = n > 0 ? calloc((size_t)n, list->size) : NULL;

    if (n > 0 && (size_t)n > list->most) {
        free(made);
        return wh_xlcfg_wrong(r, key, "expected at most %zu, found %d", list->most, n);
    }
    if (n > 0 && !made)
        return wh_fail(r->err, WH_SYSTEM, "out of memory");
    for (int i = 0; i < n; i++)
        list->init(made + (size_t)i * list->size);
    *(void **)items = made;
    *(size_t *)(void *)((char *)r->c + list->count_at) = (size_t)n;
    return true;
}

bool wh_xlcfg_disks(struct wh_xlcfg_reader *r)
{
    XLU_ConfigList *list;
    int n;

    if (!wh_xlcfg_list(r, "disk", &list, &n) ||
        !make(r, "disk", &wh_field_disks, n, &r->c->disks))
        return false;
    for (int i = 0; i < n; i++) {
        const char *spec;

        if (!wh_xlcfg_item(r, "disk", list, i, &spec) ||
            !read_disk(r, spec, i, &r->c->disks[i]))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------- vifs */

static bool read_rate(struct wh_xlcfg_reader *r, const char *named, const char *text,
                      struct wh_nic *nic)
{
    libxl_device_nic parsed;
    char said[512];
    bool ok;

    libxl_device_nic_init(&parsed);
    ok = xlu_vif_parse_rate(r->cfg, text, &parsed) == 0;
    wh_xlcfg_said_of(r, said, sizeof said);
    nic->rate_bytes_per_interval = parsed.rate_bytes_per_interval;
    nic->rate_interval_usecs = parsed.rate_interval_usecs;
    libxl_device_nic_dispose(&parsed);
    return ok || wh_xlcfg_wrong(r, "vif", "%s: %s", named, *said ? said : "expected a rate");
}

/* A word without a value. */
static bool read_flag(struct wh_xlcfg_reader *r, const char *named, const char *word,
                      struct wh_nic *nic)
{
    if (strcmp(word, "trusted") == 0)
        nic->trusted = WH_YES;
    else if (strcmp(word, "untrusted") == 0)
        nic->trusted = WH_NO;
    else
        return wh_xlcfg_wrong(r, "vif", "%s: expected KEY=VALUE, found \"%.100s\"", named, word);
    return true;
}

static bool read_pair(struct wh_xlcfg_reader *r, int i, const char *key, const char *text,
                      struct wh_nic *nic)
{
    char named[96];

    snprintf(named, sizeof named, "[%d].%.64s", i, key);
    if (strcmp(key, "rate") == 0)
        return read_rate(r, named, text, nic);
    if (strcmp(key, "accel") == 0) {
        wh_xlcfg_warn(r, "vif", "%s: is not supported by anything", named);
        return true;
    }
    if (strcmp(key, "netdev") == 0)
        key = "gatewaydev";             /* as it was once called */
    for (const struct wh_field *f = wh_field_nics.fields; f->kind != WH_FIELD_END; f++) {
        if (f->key && strcmp(f->key, key) == 0)
            return wh_xlcfg_value(r, "vif", named, f, nic, text);
    }
    if (strcmp(key, "forwarddev") == 0 || strncmp(key, "colo_", 5) == 0)
        return wh_xlcfg_wrong(r, "vif", "%s: colo is not yet supported", named);
    return wh_xlcfg_wrong(r, "vif", "%s: no such key", named);
}

/* "a=b,c, d=e": the text is taken apart where it stands. */
static bool read_nic(struct wh_xlcfg_reader *r, char *spec, int i, struct wh_nic *nic)
{
    char named[32];

    snprintf(named, sizeof named, "[%d]", i);
    for (char *word; (word = strsep(&spec, ",")) != NULL;) {
        char *equals;

        word += strspn(word, " \t");
        for (size_t n = strlen(word); n > 0 && strchr(" \t", word[n - 1]); n--)
            word[n - 1] = '\0';
        equals = strchr(word, '=');
        if (equals)
            *equals = '\0';
        if (*word == '\0' && !equals)
            continue;
        if (equals ? !read_pair(r, i, word, equals + 1, nic) : !read_flag(r, named, word, nic))
            return false;
    }
    if (nic->devid < 0)
        nic->devid = i;
    return true;
}

bool wh_xlcfg_nics(struct wh_xlcfg_reader *r)
{
    XLU_ConfigList *list;
    int n;

    if (!wh_xlcfg_list(r, "vif", &list, &n) || !make(r, "vif", &wh_field_nics, n, &r->c->nics))
        return false;
    for (int i = 0; i < n; i++) {
        wh_auto_free char *copy = NULL;
        const char *spec;

        if (!wh_xlcfg_item(r, "vif", list, i, &spec))
            return false;
        copy = strdup(spec);
        if (!copy)
            return wh_fail(r->err, WH_SYSTEM, "out of memory");
        if (!read_nic(r, copy, i, &r->c->nics[i]))
            return false;
    }
    return true;
}
