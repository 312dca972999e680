/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When to stop copying a guest that runs, and suspend it: one pure function, asked before each round
 * but the first.
 *
 *     round 0     every page
 *     round n     what was written to meanwhile, but for pages that are written all the time
 *     last        the guest is suspended; what is left: the pause is as long as that takes */
#ifndef WH_MEM_POLICY_H
#define WH_MEM_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define WH_NO_LIMIT UINT64_MAX

/* What the user asked for. */
struct wh_precopy {
    uint64_t downtime_ms;           /* the pause that is aimed at */
    uint64_t timeout_ms;            /* for all rounds; WH_NO_LIMIT: none */
    bool force;                     /* then: suspend it whatever the pause will be; else give up */
    unsigned max_rounds;
    uint64_t max_bytes;             /* of pages, as for a file; WH_NO_LIMIT */
};

/* What has been seen. */
struct wh_round {
    unsigned round;                 /* that would come next: from 1 on */
    uint64_t left;                  /* pages that would have to be sent now, were this the last */
    uint64_t best;                  /* the fewest that ever were left; WH_NO_LIMIT: never asked */
    unsigned stalled;               /* rounds in a row that came no nearer to it */
    uint64_t sent_bytes;            /* of pages, in all rounds */
    uint64_t rate;                  /* bytes of pages a second that the way takes; 0: not known */
    uint64_t dirty_rate;            /* pages a second that the guest writes to */
    uint64_t fixed_ms;              /* what a pause takes beside its pages */
    uint64_t elapsed_ms;            /* since round 0 began */
};

enum wh_next { WH_GO_ON, WH_SUSPEND_NOW, WH_GIVE_UP };

/* *why: in words, for a report. */
enum wh_next wh_policy_next(const struct wh_precopy *p, const struct wh_round *r, const char **why);

/* How long the guest would be stopped, were this the last round. */
uint64_t wh_policy_pause_ms(const struct wh_round *r);

#endif
