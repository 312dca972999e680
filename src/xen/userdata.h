/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the toolstack keeps of a domain in files, where libxl keeps it.
 *
 *     /var/lib/xen/userdata-d.DOMID.UUID.libxl-json               its configuration
 *     /var/lib/xen/userdata-l.DOMID.UUID.domain-userdata-lock     held while that is changed
 *     /var/run/xen/domid-history                                  "SECOND DOMID": freed lately */
#ifndef WH_XEN_USERDATA_H
#define WH_XEN_USERDATA_H

#include "xen/here.h"

/* The domain's lock, as libxl takes it; -1: op has failed.  Waits within the step. */
int wh_userdata_lock(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid);
void wh_userdata_unlock(const struct wh_here *h, uint32_t domid, const char *uuid, int *lock);

/* Any file locked in the same way: whoever unlocks it removes it, then closes it. */
int wh_userdata_lock_file(struct wh_op *op, const char *path);

/* The configuration, appearing whole and mode 0600.  text has a NUL, which is stored too. */
bool wh_userdata_write(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid,
                       const char *text);

/* The same, of who has the domain's lock. */
bool wh_userdata_replace(struct wh_op *op, const struct wh_here *h, uint32_t domid,
                         const char *uuid, const char *text);

/* The configuration of a domain that gets another uuid. */
bool wh_userdata_move(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *from,
                      const char *to);

/* All files of the domain, also those of other users of libxl. */
bool wh_userdata_remove(struct wh_op *op, const struct wh_here *h, uint32_t domid,
                        const char *uuid);

/* Domain numbers are not used again for a minute: whoever still means the old domain would mean
 * the new one. */
bool wh_history_add(struct wh_op *op, const struct wh_here *h, uint32_t domid);
bool wh_history_recent(struct wh_op *op, const struct wh_here *h, uint32_t domid, bool *recent);

#endif
