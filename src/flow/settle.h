/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What becomes of a move that nobody works on any more (docs/handoff.md): by its record, by the domain,
 * and at the source by what the target says.  Recover does it, and so does a receiver before it answers
 * one who asks. */
#ifndef WH_FLOW_SETTLE_H
#define WH_FLOW_SETTLE_H

#include "flow/leftover.h"
#include "link/dial.h"

struct wh_settle {
    struct wh_here *here;
    struct wh_leftover *record;     /* held by the caller */
    json_object *says;
    bool look_only;                 /* tell, change nothing */
    const char *fenced;             /* the host that the operator says is off; NULL: none */

    const char *found, *action;     /* out: in words; NULL: there is nothing to tell */
    bool done;                      /* out: what action says has been done */
    bool forget;                    /* out: the record may go */
};

bool wh_settle_send(struct wh_op *op, struct wh_settle *s);
bool wh_settle_receive(struct wh_op *op, struct wh_settle *s);

/* The other host as the record has it. */
struct wh_destination wh_settle_peer(json_object *record);

/* Behind commit: the guest runs, unless it has or is to wait; then it gets its own name and its monitor.
 * No part of it is done twice. */
bool wh_settle_run(struct wh_op *op, struct wh_here *h, uint32_t domid, json_object *record);
bool wh_settle_name(struct wh_op *op, struct wh_here *h, uint32_t domid, json_object *record);

/* The source's copy runs on; and it is called by its own name again, *called: unless another has that. */
bool wh_settle_back(struct wh_op *op, struct wh_here *h, const struct wh_domain *d);
bool wh_settle_call(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name,
                    bool *called);

#endif
