/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a guest's emulated devices: QEMU's to write and read, ours to carry. */
#ifndef WH_DM_STATE_H
#define WH_DM_STATE_H

#include "dm/qmp.h"
#include "xen/here.h"

#define WH_STATE_MOST ((64u << 20) - 8)     /* bytes, in a record of its own; a few thousand are usual */

/* Have it written into a descriptor that we pass, which a restricted QEMU can use as well; bytes
 * malloc'd.  The guest must not run; QEMU must have been stopped, and is asked for nothing else before
 * the end.  leaves: it gives its disks up, and the locks of their files, which another host's is to have;
 * wh_qemu_cont takes them back. */
struct wh_state_taking {
    int file;                   /* 0: none is being taken */
    uint64_t set;
};

bool wh_state_begin(struct wh_op *op, struct wh_qmp *qmp, struct wh_state_taking *t, bool leaves);
bool wh_state_end(struct wh_op *op, struct wh_qmp *qmp, struct wh_state_taking *t, uint8_t **bytes,
                  size_t *n);
/* There will be no end. */
void wh_state_drop(struct wh_state_taking *t);

/* Why those bytes cannot be QEMU's state, a constant; NULL: they may be. */
const char *wh_state_wrong(const uint8_t *bytes, size_t n);

/* Into a socket that QEMU reads them from. */
bool wh_state_hand(struct wh_op *op, int fd, const uint8_t *bytes, size_t n);

/* What QEMU keeps in xenstore that has to move with its state: "physmap" nodes of old versions, as
 * pairs of strings key NUL value NUL.  *n 0: nothing. */
bool wh_physmap_read(struct wh_op *op, struct wh_here *h, uint32_t domid, char **pairs, size_t *n);
/* Why such pairs, which came with an image, are refused; NULL: they may be written. */
const char *wh_physmap_wrong(const char *pairs, size_t n);
bool wh_physmap_write(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *pairs,
                      size_t n);

#endif
