/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration that is stored for a domain, in the file that libxl keeps for it, by us or by
 * libxl (flow/domain.h: wh_domain_config). */
#ifndef WH_FLOW_STORED_H
#define WH_FLOW_STORED_H

#include "xen/here.h"

/* As it stands in the file; malloc'd and NUL-terminated, NULL: there is none. */
bool wh_stored_read(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, char **text,
                    size_t *n);

/* Overlaid with what the domain is now, and its QEMU's kind of machine (NULL: not known); NULL:
 * there is none. */
bool wh_stored_now(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                   const char *machine, char **text);

#endif
