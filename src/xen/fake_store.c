/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's xenstore as a daemon: requests taken apart, done, answered, as domain 0's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen/fake_link.h"

#include <xen/io/xs_wire.h>

#define NAMES_MAX 65536

/* A request, and its answer as it grows. */
struct asked {
    struct wh_fake *f;
    struct fake_link *link;
    struct fake_tx *tx;                 /* NULL: none */
    struct fake_tree *tree;             /* the transaction's, or all's */
    uint32_t type;
    const char *path, *rest;            /* payload: path\0 rest */
    size_t rest_n;
    const char *payload;
    size_t payload_n;
    char reply[NAMES_MAX];
    size_t reply_n;
};

static void answer(struct asked *q, const void *bytes, size_t n)
{
    if (q->reply_n + n > sizeof q->reply)
        wh_fake_die("an answer that is too long");
    memcpy(q->reply + q->reply_n, bytes, n);
    q->reply_n += n;
}

static void answer_text(struct asked *q, const char *text)
{
    answer(q, text, strlen(text) + 1);
}

/* ---------------------------------------------------------------------------- transactions */

/* Remember that the transaction depends on this node as it now is. */
static void touch_at(struct asked *q, const char *path)
{
    for (const struct fake_touched *t = q->tx->touched; t; t = t->next)
        if (strcmp(t->path, path) == 0)
            return;
    struct fake_touched *t = wh_fake_alloc(sizeof *t + strlen(path) + 1);
    strcpy(t->path, path);
    t->generation = wh_fake_generation(q->tree, path);
    t->next = q->tx->touched;
    q->tx->touched = t;
}

static void touch(struct asked *q)
{
    if (q->tx)
        touch_at(q, q->path);
}

static void touch_below(void *arg, const char *path, struct fake_node *n)
{
    (void)n;
    touch_at(arg, path);
}

static void note_change(struct asked *q)
{
    struct fake_change *c;

    touch(q);
    if (!q->tx)
        return;
    c = wh_fake_alloc(sizeof *c + q->payload_n + 1);
    c->type = q->type;
    c->n = q->payload_n;
    memcpy(c->payload, q->payload, q->payload_n);
    *q->tx->last = c;
    q->tx->last = &c->next;
}

static int begin(struct asked *q)
{
    struct fake_tx *tx = wh_fake_alloc(sizeof *tx);
    char text[16];

    tx->id = q->link->next_tx++;
    tx->tree = wh_fake_tree_copy(q->f->tree);
    tx->last = &tx->first;
    tx->next = q->link->txs;
    q->link->txs = tx;
    snprintf(text, sizeof text, "%u", tx->id);
    answer_text(q, text);
    return 0;
}

/* A guest that answers just when the request is to be taken back. */
static void answer_late(struct wh_fake *f, const struct fake_tx *tx)
{
    char path[64];

    for (struct fake_domain *d = f->domains; d; d = d->next) {
        snprintf(path, sizeof path, "/local/domain/%u/control/shutdown", d->domid);
        for (const struct fake_touched *t = tx->touched; t; t = t->next)
            if (d->answer == WH_FAKE_LATE && d->answering == 2 && strcmp(t->path, path) == 0 &&
                wh_fake_node_at(tx->tree, path))
                d->answering = wh_fake_acknowledge(f, d);
    }
}

static bool still_true(const struct wh_fake *f, const struct fake_tx *tx)
{
    for (const struct fake_touched *t = tx->touched; t; t = t->next)
        if (wh_fake_generation(f->tree, t->path) != t->generation)
            return false;
    return true;
}

static int dispatch(struct asked *q);

static void replay(struct asked *q, const struct fake_change *c)
{
    struct asked *again = wh_fake_alloc(sizeof *again);

    again->f = q->f;
    again->link = q->link;
    again->tree = q->f->tree;
    again->type = c->type;
    again->payload = c->payload;
    again->payload_n = c->n;
    dispatch(again);
    free(again);
}

static int end(struct asked *q)
{
    struct fake_tx *tx = q->tx;
    struct wh_fake *f = q->f;
    bool commit = strcmp(q->path, "T") == 0, again;

    if (!tx)
        return ENOENT;
    if (commit)
        answer_late(f, tx);
    again = commit && (f->conflicts || !still_true(f, tx));
    f->conflicts -= commit && f->conflicts;
    for (const struct fake_change *c = tx->first; c && commit && !again; c = c->next)
        replay(q, c);
    wh_fake_tx_free(q->link, tx);
    q->tx = NULL;
    answer_text(q, "OK");
    return again ? EAGAIN : 0;
}

/* ------------------------------------------------------------------------------------ nodes */

static int get_value(struct asked *q)
{
    const struct fake_node *n = wh_fake_node_at(q->tree, q->path);

    touch(q);
    if (!n)
        return ENOENT;
    answer(q, n->value, n->value_n);
    return 0;
}

static void names_of(const struct fake_node *n, struct asked *names)
{
    for (const struct fake_node *child = n->child; child; child = child->next)
        answer_text(names, child->name);
}

static int list(struct asked *q)
{
    const struct fake_node *n = wh_fake_node_at(q->tree, q->path);

    touch(q);
    if (!n)
        return ENOENT;
    names_of(n, q);
    return q->reply_n > XENSTORE_PAYLOAD_MAX ? E2BIG : 0;
}

/* generation\0, as many whole names as fit, and one \0 more at the end of the list. */
static int list_part(struct asked *q)
{
    const struct fake_node *n = wh_fake_node_at(q->tree, q->path);
    struct asked *all = wh_fake_alloc(sizeof *all);
    size_t from = strtoul(q->rest, NULL, 10), some;
    char text[24];

    touch(q);
    if (n)
        names_of(n, all);
    if (!n || from > all->reply_n) {
        free(all);
        return n ? EINVAL : ENOENT;
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)n->generation);
    answer_text(q, text);
    some = all->reply_n - from;
    if (some > XENSTORE_PAYLOAD_MAX - 32) {
        some = XENSTORE_PAYLOAD_MAX - 32;
        while (all->reply[from + some - 1])
            some--;
    }
    answer(q, all->reply + from, some);
    if (from + some == all->reply_n)
        answer(q, "", 1);
    free(all);
    return 0;
}

static int set_value(struct asked *q)
{
    char *value = wh_fake_alloc(q->rest_n + 1);

    note_change(q);
    memcpy(value, q->rest, q->rest_n);
    wh_fake_node_value(q->tree, wh_fake_node_make(q->tree, q->path, 0), q->rest, q->rest_n);
    if (!q->tx) {
        wh_fake_fire(q->f, q->path);
        wh_fake_asked(q->f, q->path, value);
    }
    free(value);
    answer_text(q, "OK");
    return 0;
}

static int make_node(struct asked *q)
{
    bool there = wh_fake_node_at(q->tree, q->path);

    note_change(q);
    if (!there)
        wh_fake_node_make(q->tree, q->path, 0);
    if (!there && !q->tx)
        wh_fake_fire(q->f, q->path);
    answer_text(q, "OK");
    return 0;
}

static int remove_node(struct asked *q)
{
    struct fake_node *n = wh_fake_node_at(q->tree, q->path);
    char parent[WH_STORE_PATH];

    note_change(q);
    if (strcmp(q->path, "/") == 0)
        return EINVAL;
    snprintf(parent, sizeof parent, "%s", q->path);
    *strrchr(parent, '/') = '\0';
    if (!n && !wh_fake_node_at(q->tree, parent))
        return ENOENT;
    if (n && !q->tx)
        wh_fake_fire_removed(q->f, q->path, n);
    if (n && q->tx)                     /* what it makes there again was there before, to others */
        wh_fake_node_walk(n, q->path, touch_below, q);
    if (n)
        wh_fake_node_remove(q->tree, q->path);
    answer_text(q, "OK");
    return 0;
}

static int get_perms(struct asked *q)
{
    const struct fake_node *n = wh_fake_node_at(q->tree, q->path);
    char text[16];

    touch(q);
    if (!n)
        return ENOENT;
    for (size_t i = 0; i < n->perms; i++) {
        snprintf(text, sizeof text, "%c%u", "nrwb"[n->perm[i].read + 2 * n->perm[i].write],
                 n->perm[i].domid);
        answer_text(q, text);
    }
    return 0;
}

static int set_perms(struct asked *q)
{
    struct fake_node *n = wh_fake_node_at(q->tree, q->path);
    struct wh_perm perm[FAKE_PERMS_MAX];
    size_t perms = 0;

    note_change(q);
    if (!n)
        return ENOENT;
    for (const char *p = q->rest; p < q->rest + q->rest_n; p += strlen(p) + 1) {
        if (!*p || !strchr("nrwb", *p) || perms == FAKE_PERMS_MAX)
            return EINVAL;
        perm[perms++] = (struct wh_perm){ .domid = (uint32_t)strtoul(p + 1, NULL, 10),
                                          .read = *p == 'r' || *p == 'b',
                                          .write = *p == 'w' || *p == 'b' };
    }
    if (!perms)
        return EINVAL;
    memcpy(n->perm, perm, sizeof n->perm);
    n->perms = perms;
    n->generation = ++q->tree->generation;
    if (!q->tx)
        wh_fake_fire(q->f, q->path);
    answer_text(q, "OK");
    return 0;
}

/* ---------------------------------------------------------------------------------- watches */

static int watch(struct asked *q)
{
    int sys = wh_fake_watch(q->link, q->path, q->rest);

    answer_text(q, "OK");
    return sys;
}

static int unwatch(struct asked *q)
{
    int sys = wh_fake_unwatch(q->link, q->path, q->rest);

    answer_text(q, "OK");
    return sys;
}

/* ---------------------------------------------------------------------------------- domains */

/* Xenstored maps the ring by grant 1, which must be there. */
static bool has_ring(const struct wh_fake *f, const struct fake_domain *d, unsigned long frame)
{
    const uint8_t *entry = f->heap_base + d->grants * FAKE_PAGE + 8;
    uint16_t flags_domid[2];
    uint32_t granted;

    memcpy(flags_domid, entry, sizeof flags_domid);
    memcpy(&granted, entry + 4, sizeof granted);
    return flags_domid[0] == 1 && flags_domid[1] == 0 && granted == (uint32_t)frame;
}

static int introduce(struct asked *q)
{
    struct fake_domain *d = wh_fake_find(q->f, (uint32_t)strtoul(q->path, NULL, 10));

    if (!d || !has_ring(q->f, d, strtoul(q->rest, NULL, 10)))
        return EINVAL;
    d->introduced = true;
    wh_fake_special(q->f, "@introduceDomain");
    answer_text(q, "OK");
    return 0;
}

static int release(struct asked *q)
{
    struct fake_domain *d = wh_fake_find(q->f, (uint32_t)strtoul(q->path, NULL, 10));

    if (!d || !d->introduced)
        return ENOENT;
    d->introduced = false;
    wh_fake_special(q->f, "@releaseDomain");
    answer_text(q, "OK");
    return 0;
}

static int resume(struct asked *q)
{
    struct fake_domain *d = wh_fake_find(q->f, (uint32_t)strtoul(q->path, NULL, 10));

    if (!d || !d->introduced)
        return ENOENT;
    d->told_of_shutdown = false;
    d->counts.store_resumes++;
    answer_text(q, "OK");
    return 0;
}

/* --------------------------------------------------------------------------------- requests */

/* clang-format off */
static const struct row {
    int (*run)(struct asked *q);
    bool path;                          /* begins with an absolute one */
} rows[] = {
    [XS_DIRECTORY]         = { list,        true },
    [XS_READ]              = { get_value,   true },
    [XS_GET_PERMS]         = { get_perms,   true },
    [XS_WATCH]             = { watch,       false },
    [XS_UNWATCH]           = { unwatch,     false },
    [XS_TRANSACTION_START] = { begin,       false },
    [XS_TRANSACTION_END]   = { end,         false },
    [XS_INTRODUCE]         = { introduce,   false },
    [XS_RELEASE]           = { release,     false },
    [XS_WRITE]             = { set_value,   true },
    [XS_MKDIR]             = { make_node,   true },
    [XS_RM]                = { remove_node, true },
    [XS_SET_PERMS]         = { set_perms,   true },
    [XS_RESUME]            = { resume,      false },
    [XS_DIRECTORY_PART]    = { list_part,   true },
};
/* clang-format on */

static int dispatch(struct asked *q)
{
    size_t n = strnlen(q->payload, q->payload_n);

    if (q->type >= WH_COUNT(rows) || !rows[q->type].run)
        return ENOSYS;
    if (n == q->payload_n)
        return EINVAL;
    q->path = q->payload;
    q->rest = q->payload + n + 1;
    q->rest_n = q->payload_n - n - 1;
    if (rows[q->type].path && q->path[0] != '/')
        return EINVAL;
    return rows[q->type].run(q);
}

static int find_tx(struct asked *q, uint32_t id)
{
    q->tree = q->f->tree;
    if (!id)
        return 0;
    for (q->tx = q->link->txs; q->tx && q->tx->id != id; q->tx = q->tx->next)
        ;
    if (q->tx)
        q->tree = q->tx->tree;
    return q->tx ? 0 : ENOENT;
}

bool wh_fake_ask(struct wh_op *op, struct wh_store *st, uint32_t type, uint32_t tx,
                 const void *payload, size_t n, char **reply, size_t *reply_n, int *refused)
{
    struct fake_link *l = st->state;
    FAKE_LOCKED(l->fake);
    wh_auto_free struct asked *q = wh_fake_alloc(sizeof *q);
    wh_auto_free char *copy = wh_fake_alloc(n + 1);

    wh_fake_guests_go(l->fake);
    memcpy(copy, payload, n);           /* with a NUL behind it */
    q->f = l->fake;
    q->link = l;
    q->type = type;
    q->payload = copy;
    q->payload_n = n;
    *refused = find_tx(q, tx);
    if (!*refused)
        *refused = dispatch(q);
    if (l->fake->lost == op) {
        l->fake->lost = NULL;
        return wh_fail(&op->err, WH_TIMEOUT, "xenstored has not answered: made to lose its answer");
    }
    *reply_n = *refused ? 0 : q->reply_n;
    *reply = wh_fake_alloc(*reply_n + 1);
    memcpy(*reply, q->reply, *reply_n);
    return true;
}
