/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Copying a guest that runs: rounds over what it writes to (log-dirty), until the policy says that
 * the rest is little enough to be copied while it is suspended.
 *
 *     struct wh_live l = { .want = ..., .told = each_round };
 *     s.live = &l;
 *     wh_live_begin(&s)      Xen keeps note of what is written to      (undo: it stops that)
 *     wh_live_rounds(&s)     every page, then what was written to      running
 *                                                                      -> suspended
 *     wh_save_rest(&s)       what is left, the tail, END
 *     wh_live_end(&s)        Xen stops it
 *
 * A page that two rounds in a row find written to is hot: it waits until a round finds it has cooled
 * down, or for the last.
 *
 *     found written to:   this round      last round
 *                         yes             no            sent
 *                         yes             yes           owed
 *                         no              (owed)        sent
 *
 * Xen does not say that memory was given to the guest, only that it was written to.  What came and
 * was not touched is looked for before the guest is suspended; and after, if it has come or gone since. */
#ifndef WH_MEM_LIVE_H
#define WH_MEM_LIVE_H

#include "mem/policy.h"
#include "mem/save.h"

struct wh_live_round {
    unsigned number;
    uint64_t pages, zeros, owed;    /* sent with contents, without; put off */
    uint64_t ms, busy_ms;           /* as long as it took, and what of that the pages did */
};

struct wh_live {
    struct wh_precopy want;
    uint64_t fixed_ms;              /* what a pause takes beside its pages, as far as is known */
    /* After each round: what it was, what is left now and what comes next.  NULL: nobody asks. */
    void (*told)(void *arg, const struct wh_live_round *was, const struct wh_round *now,
                 enum wh_next next, const char *why);
    void *arg;
    /* Suspended: what goes on beside the copy comes to its end before what was written to is asked for the
     * last time.  NULL: nothing does. */
    bool (*meanwhile)(struct wh_op *op, void *arg);
    void *meanwhile_arg;

    struct wh_round round;
    const char *why;                /* why the rounds ended */
    bool on;
    uint64_t frames;                /* that the bitmaps have room for */
    uint64_t *dirty, *before, *owed, *next, *sent;
    uint64_t found;                 /* wh_save's, after the last round */
    uint64_t pages;                 /* that it had when the missing were looked for */
    uint64_t nowhere;               /* of those that it began with */
    int64_t begun_ns, cleaned_ns;
    uint64_t rest_pages;            /* sent while it was suspended */
};

bool wh_live_begin(struct wh_save *s);
bool wh_live_rounds(struct wh_save *s);
bool wh_live_end(struct wh_save *s);
void wh_live_free(struct wh_live *l);

/* Log-dirty off, whoever has left it on: what is undone, and what recover does. */
bool wh_live_off(struct wh_op *op, struct wh_xen *x, uint32_t domid);

/* ------------------------------------------------------------- for the engine's own files */

/* Suspended: what is still owed, and what was written to last. */
bool wh_live_last(struct wh_save *s);
/* A page could not be sent now. */
void wh_live_owe(struct wh_live *l, uint64_t pfn);
/* These have been. */
void wh_live_sent(struct wh_live *l, const struct wh_batch *b);

#endif
