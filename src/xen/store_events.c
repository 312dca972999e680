/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watch events that wait to be taken: a list in the order they came. */
#include "xen/store_events.h"

#include <stdlib.h>
#include <string.h>

struct wh_events_one {
    struct wh_events_one *next;
    const char *token;          /* behind the path */
    char path[];
};

void wh_events_init(struct wh_events *q)
{
    q->first = NULL;
    q->last = &q->first;
    q->n = 0;
}

/* Take the one that *where points at out of the list. */
static void cut(struct wh_events *q, struct wh_events_one **where)
{
    struct wh_events_one *one = *where;

    *where = one->next;
    if (q->last == &one->next)
        q->last = where;
    q->n--;
    free(one);
}

void wh_events_drop(struct wh_events *q)
{
    while (q->first)
        cut(q, &q->first);
}

/* Does a waiting one say what this one would? */
static bool waits_already(const struct wh_events *q, const char *path, const char *token)
{
    for (const struct wh_events_one *one = q->first; one; one = one->next)
        if (strcmp(one->token, token) == 0 &&
            (q->n >= WH_EVENTS_MAX || strcmp(one->path, path) == 0))
            return true;
    return false;
}

bool wh_events_put(struct wh_events *q, const char *path, const char *token)
{
    size_t path_n = strlen(path) + 1, token_n = strlen(token) + 1;

    if (waits_already(q, path, token))
        return true;
    struct wh_events_one *one = malloc(sizeof *one + path_n + token_n);
    if (!one)
        return false;
    one->next = NULL;
    one->token = one->path + path_n;
    memcpy(one->path, path, path_n);
    memcpy(one->path + path_n, token, token_n);
    *q->last = one;
    q->last = &one->next;
    q->n++;
    return true;
}

bool wh_events_take(struct wh_events *q, struct wh_store_event *e)
{
    if (!q->first)
        return false;
    strncpy(e->path, q->first->path, sizeof e->path - 1);
    strncpy(e->token, q->first->token, sizeof e->token - 1);
    e->path[sizeof e->path - 1] = e->token[sizeof e->token - 1] = '\0';
    cut(q, &q->first);
    return true;
}

bool wh_events_below(const char *path, const char *node)
{
    size_t n = strlen(node);

    if (strcmp(node, "/") == 0)
        return path[0] == '/';
    return strncmp(path, node, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

void wh_events_forget(struct wh_events *q, const char *path, const char *token)
{
    for (struct wh_events_one **where = &q->first; *where;) {
        if (strcmp((*where)->token, token) == 0 && wh_events_below((*where)->path, path))
            cut(q, where);
        else
            where = &(*where)->next;
    }
}
