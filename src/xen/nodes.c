/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore nodes that are written together. */
#include "xen/nodes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void wh_nodes_as(struct wh_nodes *l, uint32_t owner, uint32_t reader)
{
    l->owned = true;
    l->owner = owner;
    l->reader = reader;
}

void wh_nodes_like(struct wh_nodes *l)
{
    l->owned = false;
}

static bool grow(struct wh_nodes *l)
{
    size_t room = l->room ? 2 * l->room : 64;

    if (l->n < l->room)
        return true;
    struct wh_node *of = realloc(l->of, room * sizeof *of);
    if (!of)
        return false;
    l->of = of;
    l->room = room;
    return true;
}

static void add(struct wh_nodes *l, const char *value, const char *path, va_list al)
{
    struct wh_node node = { .owned = l->owned, .owner = l->owner, .reader = l->reader };

    if (vasprintf(&node.path, path, al) < 0)
        node.path = NULL;
    if (value)
        node.value = strdup(value);
    if (!node.path || (value && !node.value) || !grow(l)) {
        l->lost = true;
        free(node.path);
        free(node.value);
        return;
    }
    l->of[l->n++] = node;
}

void wh_nodes_add(struct wh_nodes *l, const char *value, const char *path, ...)
{
    va_list al;

    va_start(al, path);
    add(l, value, path, al);
    va_end(al);
}

void wh_nodes_number(struct wh_nodes *l, uint64_t value, const char *path, ...)
{
    char text[24];
    va_list al;

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    va_start(al, path);
    add(l, text, path, al);
    va_end(al);
}

void wh_nodes_free(struct wh_nodes *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->of[i].path);
        free(l->of[i].value);
    }
    free(l->of);
    *l = (struct wh_nodes){ 0 };
}

static bool write_one(struct wh_op *op, struct wh_store *st, uint32_t tx, const struct wh_node *n)
{
    struct wh_perm perm[] = { { n->owner, false, false }, { n->reader, true, false } };

    if (n->value ? !wh_store_write(op, st, tx, n->value, "%s", n->path)
                 : !wh_store_mkdir(op, st, tx, "%s", n->path))
        return false;
    return !n->owned || wh_store_perms(op, st, tx, perm, n->reader == WH_NOBODY ? 1 : 2, "%s",
                                       n->path);
}

static bool write_all(struct wh_op *op, struct wh_store *st, uint32_t tx, const struct wh_nodes *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!write_one(op, st, tx, &l->of[i]))
            return false;
    }
    return true;
}

bool wh_nodes_write(struct wh_op *op, struct wh_store *st, const struct wh_nodes *l,
                    bool (*check)(struct wh_op *, struct wh_store *, uint32_t tx, const void *arg),
                    const void *arg)
{
    bool again = true;
    uint32_t tx;

    if (l->lost)
        return wh_fail_sys(&op->err, ENOMEM, "write to xenstore");
    while (again) {
        if (!wh_store_begin(op, st, &tx))
            return false;
        if ((check && !check(op, st, tx, arg)) || !write_all(op, st, tx, l)) {
            wh_store_abort(op, st, tx);
            return false;
        }
        if (!wh_store_commit(op, st, tx, &again))
            return false;
    }
    return true;
}
