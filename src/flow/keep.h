/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keeping a domain that has shut down, out of the way of its successor. */
#ifndef WH_FLOW_KEEP_H
#define WH_FLOW_KEEP_H

#include "xen/here.h"

/* It gets the name NAME-20251121T234500Z and another uuid, and gives its devices up: the successor
 * needs them, and it will not run again. */
bool wh_keep(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name);

#endif
