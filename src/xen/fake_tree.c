/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree of the fake's xenstore. */
#include "xen/fake_tree.h"

#include <stdio.h>
#include <string.h>

#include "xen/fake_parts.h"

static struct fake_node *new_node(const char *name, size_t n)
{
    struct fake_node *node = wh_fake_alloc(sizeof *node);

    node->name = wh_fake_alloc(n + 1);
    memcpy(node->name, name, n);
    node->value = wh_fake_alloc(1);
    return node;
}

static void free_node(struct fake_node *n)
{
    while (n->child) {
        struct fake_node *child = n->child;

        n->child = child->next;
        free_node(child);
    }
    free(n->name);
    free(n->value);
    free(n);
}

static struct fake_node *copy_node(const struct fake_node *n)
{
    struct fake_node *copy = new_node(n->name, strlen(n->name)), **last = &copy->child;

    free(copy->value);
    copy->value = wh_fake_alloc(n->value_n + 1);
    memcpy(copy->value, n->value, n->value_n);
    copy->value_n = n->value_n;
    memcpy(copy->perm, n->perm, sizeof copy->perm);
    copy->perms = n->perms;
    copy->generation = n->generation;
    for (const struct fake_node *child = n->child; child; child = child->next) {
        *last = copy_node(child);
        last = &(*last)->next;
    }
    return copy;
}

struct fake_tree *wh_fake_tree_new(void)
{
    struct fake_tree *t = wh_fake_alloc(sizeof *t);

    t->root = new_node("", 0);
    t->root->perms = 1;
    t->root->generation = ++t->generation;
    return t;
}

struct fake_tree *wh_fake_tree_copy(const struct fake_tree *t)
{
    struct fake_tree *copy = wh_fake_alloc(sizeof *copy);

    copy->root = copy_node(t->root);
    copy->generation = t->generation;
    return copy;
}

void wh_fake_tree_free(struct fake_tree *t)
{
    free_node(t->root);
    free(t);
}

/* --------------------------------------------------------------------------------- finding */

/* The first name of a path; *path moves behind it.  0: none is left. */
static size_t first_name(const char **path, const char **name)
{
    *name = *path + strspn(*path, "/");
    size_t n = strcspn(*name, "/");
    *path = *name + n;
    return n;
}

/* Where a child of that name stands, or would. */
static struct fake_node **place_of(struct fake_node *parent, const char *name, size_t n,
                                   bool *there)
{
    struct fake_node **at = &parent->child;
    int order = 1;

    for (; *at; at = &(*at)->next) {
        order = strncmp((*at)->name, name, n);
        if (order == 0)
            order = (*at)->name[n] != '\0';
        if (order >= 0)
            break;
    }
    *there = *at && order == 0;
    return at;
}

struct fake_node *wh_fake_node_at(const struct fake_tree *t, const char *path)
{
    struct fake_node *at = t->root;
    const char *name;

    for (size_t n; (n = first_name(&path, &name)) > 0;) {
        bool there;
        struct fake_node **child = place_of(at, name, n, &there);

        if (!there)
            return NULL;
        at = *child;
    }
    return at;
}

uint64_t wh_fake_generation(const struct fake_tree *t, const char *path)
{
    const struct fake_node *n = wh_fake_node_at(t, path);

    return n ? n->generation : 0;
}

/* -------------------------------------------------------------------------------- changing */

static struct fake_node *add_child(struct fake_tree *t, struct fake_node *parent,
                                   struct fake_node **at, const char *name, size_t n, uint32_t as)
{
    struct fake_node *node = new_node(name, n);

    memcpy(node->perm, parent->perm, sizeof node->perm);
    node->perms = parent->perms;
    if (as)
        node->perm[0].domid = as;
    node->next = *at;
    *at = node;
    node->generation = ++t->generation;
    parent->generation = ++t->generation;
    return node;
}

struct fake_node *wh_fake_node_make(struct fake_tree *t, const char *path, uint32_t as)
{
    struct fake_node *at = t->root;
    const char *name;

    for (size_t n; (n = first_name(&path, &name)) > 0;) {
        bool there;
        struct fake_node **child = place_of(at, name, n, &there);

        at = there ? *child : add_child(t, at, child, name, n, as);
    }
    return at;
}

void wh_fake_node_value(struct fake_tree *t, struct fake_node *n, const void *value, size_t size)
{
    free(n->value);
    n->value = wh_fake_alloc(size + 1);
    if (size)
        memcpy(n->value, value, size);
    n->value_n = size;
    n->generation = ++t->generation;
}

bool wh_fake_node_remove(struct fake_tree *t, const char *path)
{
    struct fake_node *parent = t->root, **child = NULL;
    const char *name;
    bool there = false;

    for (size_t n; (n = first_name(&path, &name)) > 0;) {
        if (child)
            parent = *child;
        child = place_of(parent, name, n, &there);
        if (!there)
            return false;
    }
    if (!child)
        return false;                   /* the root stays */
    struct fake_node *gone = *child;
    *child = gone->next;
    free_node(gone);
    parent->generation = ++t->generation;
    return true;
}

void wh_fake_node_walk(struct fake_node *n, const char *path,
                       void (*at)(void *arg, const char *path, struct fake_node *n), void *arg)
{
    char below[WH_STORE_PATH];

    at(arg, path[0] ? path : "/", n);
    for (struct fake_node *child = n->child; child; child = child->next) {
        snprintf(below, sizeof below, "%s/%s", strcmp(path, "/") == 0 ? "" : path, child->name);
        wh_fake_node_walk(child, below, at, arg);
    }
}

/* Domain 0 may everything; an owner may with its own; others as listed, else as the first says. */
bool wh_fake_may(const struct fake_node *n, uint32_t domid, bool write)
{
    if (domid == 0 || n->perm[0].domid == domid)
        return true;
    for (size_t i = 1; i < n->perms; i++)
        if (n->perm[i].domid == domid)
            return write ? n->perm[i].write : n->perm[i].read;
    return write ? n->perm[0].write : n->perm[0].read;
}
