/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This host: the real hypervisor and xenstore, and where stock Xen keeps its files. */
#include "xen/here.h"

#include <string.h>

bool wh_here_open(struct wh_op *op, struct wh_here *h)
{
    memset(h, 0, sizeof *h);
    h->lib = "/var/lib/xen";
    h->run = "/var/run/xen";
    h->log = "/var/log/xen";
    h->scripts = "/etc/xen/scripts";
    h->state = "/var/lib/wherry";
    h->gauges = "/run/wherry";
    h->xen = wh_xen_open_real(op);
    if (!h->xen)
        return false;
    h->store = wh_store_open(op);
    if (h->store)
        return true;
    wh_here_close(h);
    return false;
}

/* Also of one that is only half open. */
void wh_here_close(struct wh_here *h)
{
    wh_store_close(h->store);
    wh_xen_close(h->xen);
    h->store = NULL;
    h->xen = NULL;
}
