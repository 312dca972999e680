/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest from a complete configuration; the verb create and the monitor share it. */
#ifndef WH_FLOW_CREATE_H
#define WH_FLOW_CREATE_H

#include "flow/domain.h"
#include "flow/leftover.h"

/* Made, built, finished; paused.  What it has done stands on the undo list, and in the record for
 * the case that we are killed. */
bool wh_create_domain(struct wh_op *op, struct wh_here *h, const struct wh_config *complete,
                      struct wh_made *m, struct wh_leftover *record);

/* It runs, and nothing is undone any more; or it has failed, and everything is. */
bool wh_create_settle(struct wh_op *op, struct wh_here *h, const struct wh_made *m, bool paused,
                      struct wh_leftover *record);

#endif
