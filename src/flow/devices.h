/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a configuration's disks and network interfaces to devices that work. */
#ifndef WH_FLOW_DEVICES_H
#define WH_FLOW_DEVICES_H

#include "flow/domain.h"

/* Those disks that may be connected while another copy of the guest writes to them; the others after. */
bool wh_devices_attach_early(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                             struct wh_made *m);
bool wh_devices_attach_disks(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                             const struct wh_made *m);
bool wh_devices_attach_console(struct wh_op *op, struct wh_here *h, const struct wh_made *m);
bool wh_devices_attach_keyboard(struct wh_op *op, struct wh_here *h, const struct wh_made *m);
/* An emulated card has a tap besides, which is there once QEMU is. */
bool wh_devices_attach_nics(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                            const struct wh_made *m);
bool wh_devices_attach_taps(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                            const struct wh_made *m);

/* What the backend qdisk is told of a format, in front of the path: "aio" ... */
const char *wh_devices_format(enum wh_disk_format format);

#endif
