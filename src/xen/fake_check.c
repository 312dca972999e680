/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is on the fake host, as text: a test compares it with what there was. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xen/fake_link.h"

struct text {
    char *of;
    size_t n;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *format, ...)
{
    char more[2 * WH_STORE_VALUE];
    va_list ap;

    va_start(ap, format);
    size_t n = (size_t)vsnprintf(more, sizeof more, format, ap);
    va_end(ap);
    if (n >= sizeof more)
        n = sizeof more - 1;
    char *grown = realloc(t->of, t->n + n + 1);
    if (!grown)
        wh_fake_die("memory");
    t->of = grown;
    memcpy(t->of + t->n, more, n);
    t->n += n;
    t->of[t->n] = '\0';
}

static const char *state_of(const struct fake_domain *d)
{
    static const char *const reasons[] = { "powered off", "rebooting", "suspended", "crashed" };

    if (d->shutdown)
        return (unsigned)d->reason < WH_COUNT(reasons) ? reasons[d->reason] : "shut down";
    return d->pause_count ? "paused" : "running";
}

static void add_domains(struct text *out, const struct wh_fake *f)
{
    for (const struct fake_domain *d = f->domains; d; d = d->next) {
        add(out, "domain %u \"%s\": %s, %" PRIu64 " pages, %u ports%s%s\n", d->domid, d->name,
            state_of(d), d->pages, d->ports, d->shutdown && d->pause_count ? ", paused" : "",
            d->introduced ? "" : ", not introduced");
        if (d->logdirty)
            add(out, "domain %u: log-dirty is on\n", d->domid);
    }
}

static void add_maps(struct text *out, const struct wh_fake *f)
{
    for (const struct fake_map *m = f->maps; m; m = m->next)
        add(out, "%s of domain %u: %zu pages are mapped\n",
            m->grants ? "the grant table" : "memory", m->domid, m->n);
}

static void add_links(struct text *out, const struct wh_fake *f)
{
    for (const struct fake_link *l = f->links; l; l = l->next) {
        for (const struct fake_tx *tx = l->txs; tx; tx = tx->next)
            add(out, "transaction %u is open\n", tx->id);
        for (const struct fake_watch *w = l->watches; w; w = w->next)
            add(out, "%s is watched (%s)\n", w->path, w->token);
    }
}

/* ----------------------------------------------------------------------------------- orphans */

struct orphans {
    struct text *out;
    struct wh_fake *f;
    char last[WH_STORE_PATH];           /* what is below it was told of with it */
};

static bool is_uuid(const struct fake_domain *d, const char *text)
{
    char own[FAKE_UUID];

    wh_fake_uuid(d, own);
    return strcmp(own, text) == 0;
}

/* Is the path a domain's, and the domain not there? */
static bool is_orphan(const struct wh_fake *f, const char *path)
{
    unsigned domid;
    int end = 0;
    char uuid[40];

    if (sscanf(path, "/vm/%39[^/]%n", uuid, &end) == 1 && end && !path[end]) {
        for (const struct fake_domain *d = f->domains; d; d = d->next)
            if (is_uuid(d, uuid))
                return false;
        return true;
    }
    if ((sscanf(path, "/local/domain/%u%n", &domid, &end) == 1 && end && !path[end]) ||
        (sscanf(path, "/libxl/%u%n", &domid, &end) == 1 && end && !path[end]) ||
        (sscanf(path, "/local/domain/0/device-model/%u%n", &domid, &end) == 1 && end &&
         !path[end]) ||
        (sscanf(path, "/local/domain/0/backend/%*[^/]/%u%n", &domid, &end) == 1 && end &&
         !path[end])) {
        for (const struct fake_domain *d = f->domains; d; d = d->next)
            if (d->domid == domid)
                return false;
        return domid != 0;
    }
    return false;
}

static void note_orphan(void *arg, const char *path, struct fake_node *n)
{
    struct orphans *o = arg;

    (void)n;
    if ((o->last[0] && wh_events_below(path, o->last)) || !is_orphan(o->f, path))
        return;
    add(o->out, "%s is of a domain that is gone\n", path);
    snprintf(o->last, sizeof o->last, "%s", path);
}

char *wh_fake_check(struct wh_fake *f)
{
    FAKE_LOCKED(f);
    struct text out = { 0 };
    struct orphans o = { .out = &out, .f = f };

    add_domains(&out, f);
    add(&out, "%" PRIu64 " pages are free\n", f->free_pages);
    add_maps(&out, f);
    add_links(&out, f);
    wh_fake_node_walk(f->tree->root, "", note_orphan, &o);
    return out.of;
}

/* -------------------------------------------------------------------------------------- nodes */

static void print_node(void *arg, const char *path, struct fake_node *n)
{
    struct text *out = arg;

    add(out, "%s = \"%s\"  (", path, (const char *)n->value);
    for (size_t i = 0; i < n->perms; i++)
        add(out, "%s%c%u", i ? "," : "", "nrwb"[n->perm[i].read + 2 * n->perm[i].write],
            n->perm[i].domid);
    add(out, ")\n");
}

char *wh_fake_tree(struct wh_fake *f)
{
    FAKE_LOCKED(f);
    struct text out = { 0 };

    wh_fake_node_walk(f->tree->root, "", print_node, &out);
    return out.of;
}
