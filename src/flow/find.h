/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains of this host: all of them, what they are called, and the one that somebody means
 * (wh_domain_find, flow/domain.h). */
#ifndef WH_FLOW_FIND_H
#define WH_FLOW_FIND_H

#include <json-c/json.h>

#include "config/uuid.h"
#include "xen/here.h"

/* Every domain, by ascending number; *d is malloc'd. */
bool wh_find_all(struct wh_op *op, struct wh_xen *x, struct wh_domain **d, size_t *n);

/* The one that who means, with what Xen says of it. */
bool wh_find_one(struct wh_op *op, struct wh_here *h, const char *who, struct wh_domain *d);

/* That one, or all if who is NULL; *d is malloc'd. */
bool wh_find_these(struct wh_op *op, struct wh_here *h, const char *who, struct wh_domain **d,
                   size_t *n);

/* Its name, malloc'd; NULL: it has none (a domain that is being made, or is dying). */
bool wh_find_name(struct wh_op *op, struct wh_here *h, uint32_t domid, char **name);

/* How many domains have this name, as a transaction (or 0) sees it, and the lowest number of them. */
bool wh_find_named(struct wh_op *op, struct wh_here *h, uint32_t tx, const char *name,
                   uint32_t *domid, size_t *count);

/* One more than the highest number of a vcpu; 0: it has none yet. */
uint32_t wh_find_vcpus(const struct wh_domain *d);

const char *wh_find_uuid(const struct wh_domain *d, char text[WH_UUID_TEXT]);
const char *wh_find_type(const struct wh_domain *d);        /* "pv", "pvh", "hvm" */
/* "poweroff", "reboot" ...; NULL: it has not shut down. */
const char *wh_find_reason(const struct wh_domain *d);

/* {"domid", "name", "uuid"}: what every answer about a domain begins with. */
json_object *wh_find_json(const struct wh_domain *d, const char *name);

#endif
