/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network interfaces: which nodes they have. */
#include <stdio.h>

#include "xen/device.h"

#define USUAL_MTU 1500          /* what libxl tells the guest where the configuration says none */

static void put_rate(struct wh_nodes *l, const struct wh_device *d, const struct wh_vif_spec *s)
{
    char rate[48];

    if (s->rate_bytes == 0)
        return;
    snprintf(rate, sizeof rate, "%llu,%u", (unsigned long long)s->rate_bytes, s->rate_usecs);
    wh_device_back(l, d, "rate", rate);
}

static void put_if_any(struct wh_nodes *l, const struct wh_device *d, const char *key,
                       const char *value)
{
    if (value)
        wh_device_back(l, d, key, value);
}

struct wh_device wh_vif_nodes(struct wh_nodes *l, const struct wh_vif_spec *s)
{
    struct wh_device d = { .kind = "vif", .backend_kind = "vif", .domid = s->domid, .id = s->id,
                           .backend = s->backend };
    char mtu[12];

    wh_device_begin(l, &d);
    wh_device_back_number(l, &d, "frontend-id", s->domid);
    wh_device_back(l, &d, "online", "1");
    wh_device_back(l, &d, "state", "1");
    wh_device_back(l, &d, "script", s->script);
    put_if_any(l, &d, "vifname", s->ifname);
    wh_device_back(l, &d, "mac", s->mac);
    put_if_any(l, &d, "ip", s->ip);
    put_if_any(l, &d, "gatewaydev", s->gateway);
    put_rate(l, &d, s);
    put_if_any(l, &d, "bridge", s->bridge);
    wh_device_back_number(l, &d, "handle", s->id);
    wh_device_back(l, &d, "type", s->emulated ? "vif_ioemu" : "vif");
    wh_device_back(l, &d, "hotplug-status", "");
    wh_device_front_number(l, &d, "backend-id", s->backend);
    wh_device_front(l, &d, "state", "1");
    wh_device_front_number(l, &d, "handle", s->id);
    wh_device_front(l, &d, "mac", s->mac);
    wh_device_front(l, &d, "trusted", s->trusted ? "1" : "0");
    snprintf(mtu, sizeof mtu, "%d", s->mtu > 0 ? s->mtu : USUAL_MTU);
    if (s->mtu > 0)
        wh_device_back(l, &d, "mtu", mtu);
    wh_device_told(l, &d, "mtu", mtu);
    return d;
}
