/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An operation: a linear function that can be cancelled anywhere.
 *
 * It has one stack, one error, a named step with a deadline, an eventfd that cancels it, and an
 * undo list.  The caller's thread runs it, or a job's (job.h); the code is the same.
 *
 *     wh_step(op, "write the image", WH_FOREVER);
 *     if (!wh_undo_push(op, "remove the unfinished file", remove_file, path, 0))
 *         return false;
 *     if (!write_image(op, fd)) {
 *         wh_undo_run(op);              the cancel that brought us here does not stop the undo
 *         return false;
 *     }
 *     wh_undo_forget(op);               committed: from here nothing is taken back
 *
 * Everything that can take long waits in wh_wait, the only place that blocks.  What cannot wait
 * there (fsync, a hypercall) is listed in HACKING.md with its bound. */
#ifndef WH_BASE_OP_H
#define WH_BASE_OP_H

#include <limits.h>
#include <stdatomic.h>

#include "base/error.h"

#define WH_FOREVER (-1)
#define WH_UNDO_MAX 16

struct wh_op;

/* One thing to take back.  Plain data only: it outlives the frame that pushed it. */
struct wh_undo {
    const char *name;                                       /* "remove the unfinished file" */
    bool (*run)(struct wh_op *op, const struct wh_undo *u); /* may wait; must be idempotent */
    uint64_t number;                                        /* a domid, an fd */
    char text[PATH_MAX];                                    /* a path, a node */
};

struct wh_op {
    struct wh_err err;              /* the first failure */
    struct wh_err undo_err;         /* the first failure while undoing it */
    int cancel_fd;                  /* eventfd; readable: cancelled */
    int notify_fd;                  /* eventfd told of steps and progress, -1: nobody listens */
    int64_t notified_ns;            /* when it last was of progress */
    int64_t deadline_ns;            /* CLOCK_MONOTONIC, or WH_FOREVER */
    int64_t budget_ms;              /* what the step was given */
    bool shielded;                  /* undo is running: the cancel is not seen */
    unsigned undos;
    struct wh_undo *undo;           /* WH_UNDO_MAX of them */
    /* Called about every second by the operation's thread, in its waits and where it asks whether to
     * go on: who is busy for long may tell another that it lives.  May not wait itself.  NULL: nobody
     * asks. */
    void (*tick)(void *arg);
    void *tick_arg;
    int64_t ticked_ns;
    /* Told of each step, and about once a second, also where nothing goes on, by the thread that works.
     * May not wait.  NULL: nobody wants to know. */
    void (*told)(void *arg);
    void *told_arg;
    int64_t told_ns;                /* when it last was */
    int signal;                     /* which of this process cancels it; 0: none does */
    void *world;                    /* what they act on, if not on files: a struct wh_here */
    _Atomic(const char *) step;     /* read by other threads, as are the next two */
    _Atomic uint64_t done, total;   /* bytes; total 0: not known */
};

/* CLOCK_MONOTONIC. */
int64_t wh_now_ns(void);

/* Ready an operation for one run.  Undone by wh_op_done. */
bool wh_op_init(struct wh_op *op);
void wh_op_done(struct wh_op *op);

/* Ask it to stop.  From any thread and from a signal handler; idempotent. */
void wh_op_cancel(struct wh_op *op);

/* Name what comes next and bound it.  The name must be a constant. */
void wh_step(struct wh_op *op, const char *name, int64_t budget_ms);

/* Bound a part of the step more tightly than the step is.  wh_unbound puts back what was. */
struct wh_bound {
    int64_t deadline_ns, budget_ms;
};
struct wh_bound wh_bound(struct wh_op *op, int64_t most_ms);
void wh_unbound(struct wh_op *op, struct wh_bound before);

/* Every budget is divided by this: 1.  Only tests change it, before any operation starts (or by
 * WHERRY_HURRY in a command's environment), so that what hangs until its deadline is seen to within
 * a second. */
extern _Atomic unsigned wh_op_hurry;

/* Told of each step before it begins; it may keep the operation there.  NULL.  Only tests set it, as
 * they do the other. */
extern void (*wh_op_watch)(struct wh_op *op, const char *step);

/* Wait until fd is ready for events (poll's), or fail with WH_CANCELLED or WH_TIMEOUT.  fd -1
 * waits for nothing but those.  Never returns true without the fd being ready. */
bool wh_wait(struct wh_op *op, int fd, short events);

/* The same question without waiting, for loops that compute. */
bool wh_go_on(struct wh_op *op);

/* Let so many milliseconds pass, or fail as wh_wait. */
bool wh_nap(struct wh_op *op, unsigned ms);

/* How far it is.  Cheap; tells the listener at most every 50 ms. */
void wh_progress(struct wh_op *op, uint64_t done, uint64_t total);

/* Remember how to take back what was just done to the world.  If there is no room the thing is
 * taken back at once and the operation fails: nothing is ever done that cannot be undone. */
bool wh_undo_push(struct wh_op *op, const char *name,
                  bool (*run)(struct wh_op *, const struct wh_undo *), const char *text,
                  uint64_t number);

/* What was pushed with this function and text is not to be taken back any more; the rest is. */
void wh_undo_drop(struct wh_op *op, bool (*run)(struct wh_op *, const struct wh_undo *),
                  const char *text);

/* Take everything back, last first, each within budget of its own, shielded from the cancel.  The
 * operation's error stays the one that made this necessary. */
void wh_undo_run(struct wh_op *op);

/* Committed: what stood on the list is no longer to be taken back. */
void wh_undo_forget(struct wh_op *op);

#endif
