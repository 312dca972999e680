/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watch events that have come and wait to be taken.
 *
 * A guest can make events as fast as it can write, so the queue must not grow with them: an event
 * that equals a waiting one is dropped, and so is, once WH_EVENTS_MAX wait, one whose token any
 * waiting one has.  An event says "look again", so that whoever looks when it is taken has missed
 * nothing.  What remains is bounded by the number of our own watches. */
#ifndef WH_XEN_STORE_EVENTS_H
#define WH_XEN_STORE_EVENTS_H

#include "xen/store.h"

#define WH_EVENTS_MAX 1024

struct wh_events {
    struct wh_events_one *first, **last;
    size_t n;
};

void wh_events_init(struct wh_events *q);
void wh_events_drop(struct wh_events *q);
/* False: no memory. */
bool wh_events_put(struct wh_events *q, const char *path, const char *token);
/* False: there is none. */
bool wh_events_take(struct wh_events *q, struct wh_store_event *e);
/* Forget those of a watch that is gone. */
void wh_events_forget(struct wh_events *q, const char *path, const char *token);

/* Is path the node or below it? */
bool wh_events_below(const char *path, const char *node);

#endif
