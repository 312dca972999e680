/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore nodes that are to appear together: they are collected first, then written in one
 * transaction, which is begun anew as often as somebody else wrote meanwhile.
 *
 *     wh_auto_nodes struct wh_nodes l = { 0 };
 *
 *     wh_nodes_as(&l, 0, domid);                       the owner, and who else may read
 *     wh_nodes_add(&l, "1", "/local/domain/%u/device/vbd/51712/state", domid);
 *     if (!wh_nodes_write(op, store, &l, NULL, NULL))
 *
 * Lack of memory while collecting is told by writing. */
#ifndef WH_XEN_NODES_H
#define WH_XEN_NODES_H

#include "base/own.h"
#include "xen/store.h"

#define WH_NOBODY UINT32_MAX

struct wh_node {
    char *path, *value;             /* value NULL: the node is made if it is not there */
    bool owned;
    uint32_t owner, reader;
};

struct wh_nodes {
    struct wh_node *of;
    size_t n, room;
    bool owned;                     /* by what wh_nodes_as said; else their parent's */
    uint32_t owner, reader;
    bool lost;
};

/* Nodes added from here on are owner's, readable by reader (WH_NOBODY: by none); wh_nodes_like
 * leaves theirs to what xenstore gives them, which is their parent's. */
void wh_nodes_as(struct wh_nodes *l, uint32_t owner, uint32_t reader);
void wh_nodes_like(struct wh_nodes *l);
void wh_nodes_add(struct wh_nodes *l, const char *value, const char *path, ...)
    __attribute__((format(printf, 3, 4)));
/* A number in decimal. */
void wh_nodes_number(struct wh_nodes *l, uint64_t value, const char *path, ...)
    __attribute__((format(printf, 3, 4)));
void wh_nodes_free(struct wh_nodes *l);
#define wh_auto_nodes wh_auto(wh_nodes_free)

/* check, if there is one, looks at the store within the same transaction, before it is written. */
bool wh_nodes_write(struct wh_op *op, struct wh_store *st, const struct wh_nodes *l,
                    bool (*check)(struct wh_op *, struct wh_store *, uint32_t tx, const void *arg),
                    const void *arg);

#endif
