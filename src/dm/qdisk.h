/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU as the backend of a PV or PVH guest's disks (-xen-attach). */
#ifndef WH_DM_QDISK_H
#define WH_DM_QDISK_H

#include "xen/here.h"

struct wh_qdisk {
    uint32_t domid;
    const char *name;           /* the guest's, for the log */
    uint64_t memory_kb;
};

/* Start it and wait until it serves. */
bool wh_qdisk_start(struct wh_op *op, struct wh_here *h, const struct wh_qdisk *q);


#endif
