/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers on a bounded ring of slots that are taken back in the order in which they were given.
 *
 *           taken         claimed       given          taken + slots
 *     ........|==done==|at work|==waiting==|.... free ....|
 *
 *     wh_crew_open(op, &c, slots, workers, work, arg)
 *     while (more) {
 *         if (!wh_crew_has_room(&c) && !wh_crew_wait(op, &c)) ...
 *         ... fill slot wh_crew_next(&c) ...
 *         wh_crew_give(&c);
 *     }
 *
 * All calls are the operation's thread's; slots are numbers, what is in them is the caller's.  A
 * worker sees its slot and its own number: it decides nothing, logs nothing, and does not know of
 * the operation. */
#ifndef WH_LINK_CREW_H
#define WH_LINK_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/op.h"

#define WH_CREW_WORKERS 8       /* the most */
#define WH_CREW_SLOTS (WH_CREW_WORKERS + 2)

struct wh_crew {
    void (*work)(void *arg, unsigned slot, unsigned worker);
    void *arg;
    unsigned slots, workers;
    pthread_t thread[WH_CREW_WORKERS];
    pthread_mutex_t lock;
    pthread_cond_t more;            /* for workers: given has grown, or stop */
    int done_fd;                    /* for the operation: eventfd, rung if it is .waiting */
    bool waiting;
    uint64_t given, claimed, taken; /* counts; slot number is the count modulo slots */
    bool done[WH_CREW_SLOTS];
    atomic_bool stop;
};

/* How many workers suit this machine: a processor that we may run on each, at most eight. */
unsigned wh_crew_size(void);

/* Start the workers.  To be closed after a failure too. */
bool wh_crew_open(struct wh_op *op, struct wh_crew *c, unsigned slots, unsigned workers,
                  void (*work)(void *arg, unsigned slot, unsigned worker), void *arg);

/* Join the workers.  What was given and is not done stays undone.  They are waited for: long work
 * asks wh_crew_stopping now and then. */
void wh_crew_close(struct wh_crew *c);

static inline bool wh_crew_stopping(const struct wh_crew *c)
{
    return atomic_load_explicit(&c->stop, memory_order_relaxed);
}

static inline unsigned wh_crew_pending(const struct wh_crew *c)
{
    return (unsigned)(c->given - c->taken);
}

static inline bool wh_crew_has_room(const struct wh_crew *c)
{
    return c->given - c->taken < c->slots;
}

/* The slot that is to be filled and given, where there is room; the oldest that was given. */
static inline unsigned wh_crew_next(const struct wh_crew *c)
{
    return (unsigned)(c->given % c->slots);
}

static inline unsigned wh_crew_oldest(const struct wh_crew *c)
{
    return (unsigned)(c->taken % c->slots);
}

void wh_crew_give(struct wh_crew *c);

/* Whether the oldest is done; wait until it is, by the operation's wait.  Something is pending. */
bool wh_crew_is_done(struct wh_crew *c);
bool wh_crew_wait(struct wh_op *op, struct wh_crew *c);

/* The oldest, which is done, is free again. */
void wh_crew_take(struct wh_crew *c);

#endif
