/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections to the fake's xenstore: their watches and transactions. */
#ifndef WH_XEN_FAKE_LINK_H
#define WH_XEN_FAKE_LINK_H

#include "xen/fake_parts.h"
#include "xen/fake_tree.h"
#include "xen/store_events.h"

struct fake_watch {
    struct fake_watch *next;
    char path[WH_STORE_PATH], token[64];
};

/* A path that a transaction has looked at, and what it did. */
struct fake_touched {
    struct fake_touched *next;
    uint64_t generation;                /* then; 0: it was not there */
    char path[];
};

struct fake_change {
    struct fake_change *next;
    uint32_t type;
    size_t n;
    char payload[];
};

struct fake_tx {
    struct fake_tx *next;
    uint32_t id;
    struct fake_tree *tree;
    struct fake_touched *touched;
    struct fake_change *first, **last;  /* in their order */
};

struct fake_link {
    struct wh_store store;
    struct fake_link *next;
    struct wh_fake *fake;
    struct wh_events events;
    int ready;                          /* eventfd: readable while there are events */
    struct fake_watch *watches;
    struct fake_tx *txs;
    uint32_t next_tx;
};

/* fake_link.c */
void wh_fake_fire(struct wh_fake *f, const char *path);
void wh_fake_fire_removed(struct wh_fake *f, const char *path, struct fake_node *n);
int wh_fake_watch(struct fake_link *l, const char *path, const char *token);
int wh_fake_unwatch(struct fake_link *l, const char *path, const char *token);
void wh_fake_tx_free(struct fake_link *l, struct fake_tx *tx);
/* Domain 0 has written a node: does that ask a guest for something? */
void wh_fake_asked(struct wh_fake *f, const char *path, const char *value);

/* fake_store.c */
bool wh_fake_ask(struct wh_op *op, struct wh_store *st, uint32_t type, uint32_t tx,
                 const void *payload, size_t n, char **reply, size_t *reply_n, int *refused);

#endif
