/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of the fake's xenstore: nodes with value, permissions and generation.  A transaction
 * has a copy of it, and the paths it has looked at, with the generation they had then; it can be
 * committed while none of them has changed. */
#ifndef WH_XEN_FAKE_TREE_H
#define WH_XEN_FAKE_TREE_H

#include "xen/store.h"

#define FAKE_PERMS_MAX 8

struct fake_node {
    struct fake_node *next, *child;     /* siblings sorted by name */
    char *name;
    uint8_t *value;
    size_t value_n;
    struct wh_perm perm[FAKE_PERMS_MAX];
    size_t perms;
    uint64_t generation;                /* of value, permissions, or the set of children */
};

struct fake_tree {
    struct fake_node *root;
    uint64_t generation;
};

struct fake_tree *wh_fake_tree_new(void);
struct fake_tree *wh_fake_tree_copy(const struct fake_tree *t);
void wh_fake_tree_free(struct fake_tree *t);

struct fake_node *wh_fake_node_at(const struct fake_tree *t, const char *path);
/* 0: there is no such node. */
uint64_t wh_fake_generation(const struct fake_tree *t, const char *path);
/* The node, made with its parents if it was not there: theirs are the permissions of the nearest
 * that was, and `as` the owner unless it is 0. */
struct fake_node *wh_fake_node_make(struct fake_tree *t, const char *path, uint32_t as);
void wh_fake_node_value(struct fake_tree *t, struct fake_node *n, const void *value, size_t size);
/* False: it was not there. */
bool wh_fake_node_remove(struct fake_tree *t, const char *path);
/* Every node at and below n, parents first. */
void wh_fake_node_walk(struct fake_node *n, const char *path,
                       void (*at)(void *arg, const char *path, struct fake_node *n), void *arg);
bool wh_fake_may(const struct fake_node *n, uint32_t domid, bool write);

#endif
