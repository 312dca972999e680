/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a monitor waits for: that xenstore tells of a domain's end, or that the domain's QEMU ends.
 *
 *     wh_auto(wh_lookout_end) struct wh_lookout l = WH_LOOKOUT_NONE;
 *
 *     wh_store_watch(op, h->store, ...) && wh_lookout_begin(op, h, domid, &l)
 *     while (... wh_lookout_wait(op, h, &l) ...)
 *         if (wh_lookout_lost(&l, &domain)) ...                its QEMU has ended, and it lives
 */
#ifndef WH_FLOW_LOOKOUT_H
#define WH_FLOW_LOOKOUT_H

#include "xen/here.h"

struct wh_lookout {
    int qemu;                   /* pidfd; -1: there is none, or it has ended */
    int either;
    bool ended, late, told;
    char log[PATH_MAX];         /* QEMU's */
};
#define WH_LOOKOUT_NONE { .qemu = -1, .either = -1 }

/* What the step waits for from here on is the lookout's to say. */
bool wh_lookout_begin(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_lookout *l);
void wh_lookout_end(struct wh_lookout *l);

/* Until something may have happened. */
bool wh_lookout_wait(struct wh_op *op, struct wh_here *h, struct wh_lookout *l);

/* Whether the domain, which is there, has been left by its QEMU; true once. */
bool wh_lookout_lost(struct wh_lookout *l, const struct wh_domain *d);

#endif
