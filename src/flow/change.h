/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Change a domain's nodes in xenstore, all of them at once or none, and only while it is there: a
 * domain that has gone meanwhile must not leave nodes behind. */
#ifndef WH_FLOW_CHANGE_H
#define WH_FLOW_CHANGE_H

#include "xen/here.h"

typedef bool wh_changer(struct wh_op *op, struct wh_here *h, uint32_t tx,
                        const struct wh_domain *d, void *arg);

/* Runs change in a transaction, again if somebody else wrote meanwhile.  A domain that is gone sets
 * *there to false and is no failure; with there NULL it is one. */
bool wh_change(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, wh_changer *change,
               void *arg, bool *there);

/* Names become parts of paths in xenstore and of files, and stand in tables. */
bool wh_change_name_good(struct wh_op *op, const char *name);

/* Its name, in both places; refused where another domain has it. */
bool wh_change_name(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name);

#endif
