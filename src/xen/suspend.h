/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stopping a guest where it can be picked up again, and letting it go on.
 *
 *     control/shutdown = "suspend"  ->  the guest takes it (the node is emptied)
 *                                   ->  it shuts down with reason "suspend"
 *
 * A guest that does not take the request in time keeps running: the request is withdrawn. */
#ifndef WH_XEN_SUSPEND_H
#define WH_XEN_SUSPEND_H

#include "xen/here.h"

#define WH_SUSPEND_MS 60000         /* to take the request, and again to shut down */

/* On success the domain is suspended, and "let the guest run on" stands on the undo list (where it
 * is from the moment the request is made).  op->world is the struct wh_here. */
bool wh_suspend(struct wh_op *op, struct wh_here *h, uint32_t domid);

/* Let a domain that has suspended run on where it stopped; the guest is told that its suspend was
 * cancelled, and keeps its devices.  Of one that is not suspended nothing is changed. */
bool wh_run_on(struct wh_op *op, struct wh_here *h, uint32_t domid);

/* The same of one that was asked to suspend and may not have, yet: the request is withdrawn, and a
 * guest that has taken it is waited for.  asked: it certainly was; one that then neither suspends
 * nor can be told off it in a minute is a failure, since it may do so any time. */
bool wh_suspend_undo(struct wh_op *op, struct wh_here *h, uint32_t domid, bool asked);

#endif
