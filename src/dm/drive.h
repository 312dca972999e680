/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A drive of a guest's QEMU whose medium is changed while the guest runs.
 *
 * QEMU gets the new medium as a descriptor: one that is restricted can open nothing itself.  The
 * descriptor is in a set of QEMU's, by which it opens the medium again when it has to; the set is to
 * be given back when the medium is out.
 *
 *     wh_drive_look(op, qmp, "ide-5632", &set)
 *     wh_drive_eject(op, qmp, "ide-5632") && wh_drive_release(op, qmp, set)
 *     wh_drive_insert(op, qmp, "ide-5632", fd, "raw") */
#ifndef WH_DM_DRIVE_H
#define WH_DM_DRIVE_H

#include "dm/qmp.h"

#define WH_DRIVE_ID 24
#define WH_DRIVE_NO_SET (-1)

/* "ide-5632": what QEMU calls the drive of that number, in libxl's arguments as in ours. */
const char *wh_drive_id(uint32_t number, char id[WH_DRIVE_ID]);

/* The set of descriptors that the drive's medium is in; WH_DRIVE_NO_SET: QEMU opened it by its
 * path, or there is none.  Fails with WH_PEER where QEMU has no such drive. */
bool wh_drive_look(struct wh_op *op, struct wh_qmp *qmp, const char *id, int64_t *set);

/* Out with the medium, also one that the guest has locked in; an empty drive stays so. */
bool wh_drive_eject(struct wh_op *op, struct wh_qmp *qmp, const char *id);

/* Into the empty drive, to be read only; fd: a file or a block device (lent), format: QEMU's word.
 * A failure, unless it is the connection's, leaves the drive empty. */
bool wh_drive_insert(struct wh_op *op, struct wh_qmp *qmp, const char *id, int fd,
                     const char *format);

/* Of a set that QEMU has not got any more nothing is done. */
bool wh_drive_release(struct wh_op *op, struct wh_qmp *qmp, int64_t set);

#endif
