/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's xenstore as others meet it: connections, watches and their events, guests writing. */
#include "xen/fake_link.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

/* -------------------------------------------------------------------------------- watches */

static void tell(struct fake_link *l, const char *path, const char *token)
{
    uint64_t one = 1;

    if (!wh_events_put(&l->events, path, token))
        wh_fake_die("memory");
    if (write(l->ready, &one, sizeof one) != sizeof one)
        wh_fake_die("an eventfd");
}

void wh_fake_fire(struct wh_fake *f, const char *path)
{
    for (struct fake_link *l = f->links; l; l = l->next)
        for (struct fake_watch *w = l->watches; w; w = w->next)
            if (wh_events_below(path, w->path))
                tell(l, path, w->token);
}

void wh_fake_special(struct wh_fake *f, const char *name)
{
    wh_fake_fire(f, name);
}

static void fire_exactly(void *arg, const char *path, struct fake_node *n)
{
    struct wh_fake *f = arg;

    (void)n;
    for (struct fake_link *l = f->links; l; l = l->next)
        for (struct fake_watch *w = l->watches; w; w = w->next)
            if (strcmp(path, w->path) == 0)
                tell(l, path, w->token);
}

/* To be called before it is removed. */
void wh_fake_fire_removed(struct wh_fake *f, const char *path, struct fake_node *n)
{
    wh_fake_node_walk(n, path, fire_exactly, f);
    wh_fake_fire(f, path);
}

static struct fake_watch **find_watch(struct fake_link *l, const char *path, const char *token)
{
    struct fake_watch **at = &l->watches;

    while (*at && (strcmp((*at)->path, path) != 0 || strcmp((*at)->token, token) != 0))
        at = &(*at)->next;
    return at;
}

int wh_fake_watch(struct fake_link *l, const char *path, const char *token)
{
    if (*find_watch(l, path, token))
        return EEXIST;
    struct fake_watch *w = wh_fake_alloc(sizeof *w);
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(w->token, sizeof w->token, "%s", token);
    w->next = l->watches;
    l->watches = w;
    tell(l, path, token);
    return 0;
}

int wh_fake_unwatch(struct fake_link *l, const char *path, const char *token)
{
    struct fake_watch **at = find_watch(l, path, token), *w = *at;

    if (!w)
        return ENOENT;
    *at = w->next;
    free(w);
    wh_events_forget(&l->events, path, token);
    return 0;
}

/* ------------------------------------------------------------------------- guests that write */

/* Of which domain is this the node by which it is asked to shut down?  NULL: of none. */
static struct fake_domain *asked_by(struct wh_fake *f, const char *path)
{
    unsigned domid;
    int end = 0;

    if (sscanf(path, "/local/domain/%u/control/shutdown%n", &domid, &end) != 1 || !end || path[end])
        return NULL;
    return wh_fake_find(f, domid);
}

void wh_fake_asked(struct wh_fake *f, const char *path, const char *value)
{
    static const struct {
        const char *word;
        enum wh_shutdown why;
    } words[] = { { "suspend", WH_SUSPEND }, { "poweroff", WH_POWEROFF }, { "halt", WH_POWEROFF },
                  { "reboot", WH_REBOOT } };
    struct fake_domain *d = asked_by(f, path);

    if (!d)
        return;
    d->answering = 0;
    for (size_t i = 0; i < WH_COUNT(words); i++) {
        if (strcmp(value, words[i].word) == 0) {
            d->asked = words[i].why;
            d->answering = 2;
        }
    }
}

bool wh_fake_store_set(struct wh_fake *f, uint32_t as, const char *path, const char *value)
{
    struct fake_node *n = wh_fake_node_at(f->tree, path);
    char parent[WH_STORE_PATH];

    snprintf(parent, sizeof parent, "%s", path);
    while (!n && parent[0]) {
        *strrchr(parent, '/') = '\0';
        n = wh_fake_node_at(f->tree, parent);
    }
    if (!wh_fake_may(n, as, true))
        return false;
    n = wh_fake_node_make(f->tree, path, as);
    wh_fake_node_value(f->tree, n, value, strlen(value));
    wh_fake_fire(f, path);
    if (as == 0)
        wh_fake_asked(f, path, value);
    return true;
}

bool wh_fake_write(struct wh_fake *f, uint32_t domid, const char *value, const char *path, ...)
{
    FAKE_LOCKED(f);
    char text[WH_STORE_PATH];
    va_list ap;

    va_start(ap, path);
    vsnprintf(text, sizeof text, path, ap);
    va_end(ap);
    return wh_fake_store_set(f, domid, text, value);
}

char *wh_fake_node(struct wh_fake *f, const char *path, ...)
{
    FAKE_LOCKED(f);
    char text[WH_STORE_PATH];
    va_list ap;

    va_start(ap, path);
    vsnprintf(text, sizeof text, path, ap);
    va_end(ap);
    const struct fake_node *n = wh_fake_node_at(f->tree, text);
    if (!n)
        return NULL;
    char *value = wh_fake_alloc(n->value_n + 1);
    memcpy(value, n->value, n->value_n);
    return value;
}

/* --------------------------------------------------------------------------- domains that go */

struct owned {
    uint32_t domid;
    char path[WH_STORE_PATH];
};

static void note_owned(void *arg, const char *path, struct fake_node *n)
{
    struct owned *o = arg;

    if (!o->path[0] && n->perm[0].domid == o->domid)
        snprintf(o->path, sizeof o->path, "%s", path);
}

/* Xenstored removes what a domain that it knew has owned; all else is left to the toolstack. */
void wh_fake_store_gone(struct wh_fake *f, const struct fake_domain *d)
{
    struct owned o = { .domid = d->domid };

    if (!d->introduced)
        return;
    for (;;) {
        o.path[0] = '\0';
        wh_fake_node_walk(f->tree->root, "", note_owned, &o);
        if (!o.path[0])
            return;
        wh_fake_fire_removed(f, o.path, wh_fake_node_at(f->tree, o.path));
        wh_fake_node_remove(f->tree, o.path);
    }
}

/* ----------------------------------------------------------------------------- connections */

void wh_fake_tx_free(struct fake_link *l, struct fake_tx *tx)
{
    struct fake_tx **at = &l->txs;

    while (*at != tx)
        at = &(*at)->next;
    *at = tx->next;
    while (tx->touched) {
        struct fake_touched *t = tx->touched;

        tx->touched = t->next;
        free(t);
    }
    while (tx->first) {
        struct fake_change *c = tx->first;

        tx->first = c->next;
        free(c);
    }
    wh_fake_tree_free(tx->tree);
    free(tx);
}

struct fake_link *wh_fake_link_free(struct fake_link *l)
{
    struct fake_link *next = l->next;

    while (l->txs)
        wh_fake_tx_free(l, l->txs);
    while (l->watches) {
        struct fake_watch *w = l->watches;

        l->watches = w->next;
        free(w);
    }
    wh_events_drop(&l->events);
    close(l->ready);
    free(l);
    return next;
}

static void close_link(struct wh_store *st)
{
    struct fake_link *l = st->state;
    struct wh_fake *f = l->fake;
    FAKE_LOCKED(f);

    for (struct fake_link **at = &f->links; *at; at = &(*at)->next) {
        if (*at == l) {
            *at = wh_fake_link_free(l);
            return;
        }
    }
}

/* Will a guest do something if it is only let? */
static bool guests_will(const struct wh_fake *f)
{
    for (const struct fake_domain *d = f->domains; d; d = d->next) {
        bool waits = d->answer == WH_FAKE_DEAF || d->answer == WH_FAKE_LATE;

        if (fake_runs(d) && (d->answering == 1 || (d->answering == 2 && !waits)))
            return true;
    }
    return false;
}

/* *more: another look is worth it at once. */
static void look(struct fake_link *l, struct wh_store_event *e, bool *there, bool *more)
{
    struct wh_fake *f = l->fake;
    FAKE_LOCKED(f);
    uint64_t rung;

    wh_fake_guests_go(f);
    *there = wh_events_take(&l->events, e);
    *more = guests_will(f) || l->events.n;
    if (!l->events.n && read(l->ready, &rung, sizeof rung) < 0 && errno != EAGAIN)
        wh_fake_die("an eventfd");
}

static bool next_event(struct wh_op *op, struct wh_store *st, bool wait, struct wh_store_event *e,
                       bool *there)
{
    struct fake_link *l = st->state;
    bool more;

    for (;;) {
        look(l, e, there, &more);
        if (*there || (!wait && !more))
            return true;
        if (!more && !wh_wait(op, l->ready, POLLIN))
            return false;
        if (!wh_go_on(op))
            return false;
    }
}

static int ready_fd(struct wh_store *st)
{
    struct fake_link *l = st->state;

    return l->ready;
}

static bool gate(struct wh_op *op, struct wh_store *st, const char *call)
{
    struct fake_link *l = st->state;

    return wh_fake_gate(op, l->fake, call);
}

static const struct wh_store_calls calls = {
    .close = close_link,
    .ask = wh_fake_ask,
    .event = next_event,
    .fd = ready_fd,
};

struct wh_store *wh_fake_store(struct wh_fake *f)
{
    struct fake_link *l = wh_fake_alloc(sizeof *l);
    FAKE_LOCKED(f);

    l->store = (struct wh_store){ .calls = &calls, .state = l, .gate = gate };
    l->fake = f;
    l->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->ready < 0)
        wh_fake_die("an eventfd");
    wh_events_init(&l->events);
    l->next_tx = 1;
    l->next = f->links;
    f->links = l;
    return &l->store;
}
