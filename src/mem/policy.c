/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mem/policy.h"

#include "wire/record.h"

#define FEW 64              /* pages: fewer are not worth a round */
#define STALLED 3           /* rounds that came no nearer: more will not either */

/* No sum overflows: what is as long as that never ends. */
uint64_t wh_policy_pause_ms(const struct wh_round *r)
{
    double ms = r->rate ? (double)r->left * WH_PAGE_SIZE * 1000 / (double)r->rate : 0;

    ms += (double)r->fixed_ms;
    return ms < 1e18 ? (uint64_t)ms : WH_NO_LIMIT;
}

/* What would have been sent after one more round. */
static bool too_much(const struct wh_precopy *p, const struct wh_round *r)
{
    return p->max_bytes != WH_NO_LIMIT &&
           (r->sent_bytes > p->max_bytes || r->left > (p->max_bytes - r->sent_bytes) / WH_PAGE_SIZE);
}

enum wh_next wh_policy_next(const struct wh_precopy *p, const struct wh_round *r, const char **why)
{
    uint64_t pause = wh_policy_pause_ms(r);

    if (r->left < FEW || (r->rate > 0 && pause <= p->downtime_ms)) {
        *why = "the pause will be as short as wanted";
        return WH_SUSPEND_NOW;
    }
    if (p->timeout_ms != WH_NO_LIMIT && r->elapsed_ms >= p->timeout_ms) {
        *why = "the time for copying is over";
        return p->force ? WH_SUSPEND_NOW : WH_GIVE_UP;
    }
    if (r->round >= p->max_rounds) {
        *why = "that was the last round";
        return WH_SUSPEND_NOW;
    }
    if (too_much(p, r)) {
        *why = "another round would be more than may be written";
        return WH_SUSPEND_NOW;
    }
    /* Who set a time wants it used. */
    if (r->stalled >= STALLED && p->timeout_ms == WH_NO_LIMIT) {
        *why = "the guest writes as fast as it is copied";
        return WH_SUSPEND_NOW;
    }
    *why = "";
    return WH_GO_ON;
}
