/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host: its hypervisor, its xenstore, and the folders that stock Xen keeps things in.  Tests
 * make one of fakes and a temporary folder. */
#ifndef WH_XEN_HERE_H
#define WH_XEN_HERE_H

#include "xen/store.h"
#include "xen/xen.h"

struct wh_here {
    struct wh_xen *xen;
    struct wh_store *store;
    const char *lib;            /* "/var/lib/xen": userdata files */
    const char *run;            /* "/var/run/xen": locks, sockets, pids */
    const char *log;            /* "/var/log/xen" */
    const char *scripts;        /* "/etc/xen/scripts" */
    const char *state;          /* "/var/lib/wherry": what is under way, ours */
    const char *gauges;         /* "/run/wherry": how far it is; NULL: that is not written down */
    const char *net;            /* the host's network interfaces; NULL: /sys/class/net */
    const char *qemu;           /* the device model's program; NULL: looked for */
    /* Let the emulated devices of a guest work again, which is to be before it runs on.  NULL: there
     * is nothing that emulates. */
    bool (*run_devices)(struct wh_op *op, struct wh_here *h, uint32_t domid);
};

bool wh_here_open(struct wh_op *op, struct wh_here *h);
void wh_here_close(struct wh_here *h);

#endif
