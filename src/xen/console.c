/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's first console, which xenconsoled serves, and an HVM guest's keyboard, which QEMU does:
 * which nodes they have. */
#include "xen/device.h"

#define CONSOLE_BYTES 1048576       /* of output are kept while nobody reads */

struct wh_device wh_console_nodes(struct wh_nodes *l, const struct wh_console_spec *s)
{
    struct wh_device d = { .kind = "console", .backend_kind = "console", .domid = s->domid,
                           .id = 0, .backend = s->backend };
    char front[256];

    wh_device_begin(l, &d);
    wh_device_back_number(l, &d, "frontend-id", s->domid);
    wh_device_back(l, &d, "online", "1");
    wh_device_back(l, &d, "state", "1");
    wh_device_back(l, &d, "protocol", "vt100");
    wh_device_front_number(l, &d, "backend-id", s->backend);
    wh_device_told(l, &d, "type", "xenconsoled");
    wh_device_told(l, &d, "output", "pty");
    wh_device_told(l, &d, "tty", "");
    wh_device_path(&d, WH_FRONT, front);
    wh_nodes_as(l, s->backend, s->domid);
    wh_nodes_number(l, CONSOLE_BYTES, "%s/limit", front);
    wh_nodes_number(l, s->port, "%s/port", front);
    wh_nodes_number(l, s->frame, "%s/ring-ref", front);
    return d;
}

struct wh_device wh_vkbd_nodes(struct wh_nodes *l, uint32_t domid)
{
    struct wh_device d = { .kind = "vkbd", .backend_kind = "vkbd", .domid = domid };

    wh_device_begin(l, &d);
    wh_device_back_number(l, &d, "frontend-id", domid);
    wh_device_back(l, &d, "online", "1");
    wh_device_back(l, &d, "state", "1");
    wh_device_front_number(l, &d, "backend-id", 0);
    wh_device_front(l, &d, "state", "1");
    return d;
}
