/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks: which nodes they have. */
#include <stdio.h>
#include <string.h>

#include "xen/device.h"

/* phy: the kernel's backend takes what the script made of the path.  qdisk: QEMU's takes the path
 * with how to open it in front, and dies of one without. */
static void put_target(struct wh_nodes *l, const struct wh_device *d, const struct wh_vbd_spec *s)
{
    wh_auto_free char *params = NULL;

    if (!s->qdisk && !s->path) {
        wh_device_back(l, d, "params", "");
    } else if (!s->qdisk) {
        wh_device_back(l, d, "params", s->path);
        wh_device_back(l, d, "script", s->script);
    } else if (asprintf(&params, "%s:%s", s->params_type, s->path ? s->path : "") >= 0) {
        wh_device_back(l, d, "params", params);
    } else {
        params = NULL;
        l->lost = true;
    }
}

struct wh_device wh_vbd_nodes(struct wh_nodes *l, const struct wh_vbd_spec *s)
{
    struct wh_device d = { .kind = "vbd", .domid = s->domid, .id = s->number,
                           .backend = s->backend };

    strcpy(d.backend_kind, s->qdisk ? "qdisk" : "vbd");
    wh_device_begin(l, &d);
    put_target(l, &d, s);
    wh_device_back_number(l, &d, "frontend-id", s->domid);
    wh_device_back(l, &d, "online", "1");
    wh_device_back(l, &d, "removable", s->removable || s->cdrom ? "1" : "0");
    wh_device_back(l, &d, "bootable", "1");
    wh_device_back(l, &d, "state", "1");
    wh_device_back(l, &d, "dev", s->vdev);
    wh_device_back(l, &d, "type", s->qdisk ? "qdisk" : "phy");
    wh_device_back(l, &d, "mode", s->readwrite ? "w" : "r");
    wh_device_back(l, &d, "device-type", s->cdrom ? "cdrom" : "disk");
    if (s->direct_io_safe)
        wh_device_back(l, &d, "direct-io-safe", "1");
    wh_device_back(l, &d, "discard-enable", s->discard ? "1" : "0");
    wh_device_back(l, &d, "specification", "xen");
    wh_device_front_number(l, &d, "backend-id", s->backend);
    wh_device_front(l, &d, "state", "1");
    wh_device_front_number(l, &d, "virtual-device", s->number);
    wh_device_front(l, &d, "device-type", s->cdrom ? "cdrom" : "disk");
    wh_device_front(l, &d, "trusted", s->trusted ? "1" : "0");
    if (s->abi)
        wh_device_front(l, &d, "protocol", s->abi);
    return d;
}
