/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HVM guest's device model: QEMU, started with what the configuration says. */
#ifndef WH_FLOW_EMULATOR_H
#define WH_FLOW_EMULATOR_H

#include "dm/args.h"
#include "dm/qemu.h"
#include "flow/domain.h"

/* Keyboard, QEMU (from m->emulator if the guest is restored), its serial and VNC nodes.  The devices
 * do nothing yet: wh_emulator_run. */
bool wh_emulator_start(struct wh_op *op, struct wh_here *h, const struct wh_config *c, struct wh_made *m);

/* Of a guest that is restored, before its memory comes: QEMU makes its devices beside that, where nothing
 * is lost by it.  m->qemu is to be dropped where there is no wh_emulator_start. */
bool wh_emulator_begin(struct wh_op *op, struct wh_here *h, const struct wh_config *c, struct wh_made *m);

/* Behind the stream, before the disks are attached, which a QEMU takes with it as it ends: one goes again
 * that has begun without the nodes that it needs. */
bool wh_emulator_fit(struct wh_op *op, struct wh_here *h, struct wh_made *m);

/* Let the devices work.  Of a guest that has no device model nothing is done. */
bool wh_emulator_run(struct wh_op *op, struct wh_here *h, const struct wh_domain *d);

/* A guest whose copying was broken off runs on: its QEMU tells no more of what it writes.  One that
 * has refused to has never begun. */
bool wh_emulator_tell_no_more(struct wh_op *op, struct wh_here *h, const struct wh_domain *d);

/* Whether this host's QEMU has the kind of machine that an image was saved of, which its
 * configuration says: an image without is one of stock tools. */
bool wh_emulator_check(struct wh_op *op, struct wh_here *h, const struct wh_config *c);

/* The files of a guest's disks, opened for a QEMU that can open none. */
struct wh_emulator_files {
    int fd[WH_QEMU_FILES_MOST];
    size_t n;
    uint64_t bytes;             /* of the largest that may be written; WH_LIMIT_NONE: may grow */
};
void wh_emulator_close(struct wh_emulator_files *f);

/* The machine's arguments; machine: what kind QEMU is to emulate, NULL: its usual one.  files: the
 * disks are opened and passed; NULL: QEMU opens them. */
bool wh_emulator_arguments(struct wh_op *op, const struct wh_config *c, uint32_t domid,
                           const char *machine, struct wh_args *a, struct wh_emulator_files *files);

/* What its QEMU calls a format: "raw", "vpc" ... */
const char *wh_emulator_format(enum wh_disk_format format);

#endif
