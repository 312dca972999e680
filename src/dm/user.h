/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whom a restricted QEMU runs as, and how all that runs as it is ended.
 *
 *     xen-qemuuser-range-base   uid 131072     the domain's QEMU has 131072 + DOMID to itself
 *     xen-qemuuser-shared       uid 998        all domains' have the same
 *
 * A uid that is one domain's alone can be cleared: whatever a QEMU that was taken over has started
 * runs as it.  One that is shared, or was named, is never cleared: others' QEMUs may have it. */
#ifndef WH_DM_USER_H
#define WH_DM_USER_H

#include <sys/types.h>

#include "xen/here.h"

struct wh_qemu_user {
    uid_t uid;
    gid_t gid;
    bool alone;                     /* nothing but this domain's QEMU has the uid */
};

/* named: by the configuration; NULL: the host's.  Fails with WH_USAGE where there is none. */
bool wh_qemu_user(struct wh_op *op, uint32_t domid, const char *named, struct wh_qemu_user *u);

/* Whether that uid is this domain's alone. */
bool wh_qemu_user_is_of(uint64_t uid, uint32_t domid);

/* Kill all processes of a uid of the range: SIGKILL, from a process that they cannot signal.
 * A uid that is not the domain's is refused. */
bool wh_qemu_clear_user(struct wh_op *op, struct wh_here *h, uint64_t uid, uint32_t domid);

#endif
