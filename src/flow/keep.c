/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/keep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "config/uuid.h"
#include "flow/find.h"
#include "xen/device.h"
#include "xen/nodes.h"
#include "dm/qemu.h"
#include "xen/userdata.h"

#define KEEP_MS 30000

static bool give_devices_up(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_auto_free struct wh_device *list = NULL;
    size_t n, kept = 0;

    if (!wh_qemu_end(op, h, domid) || !wh_device_list(op, h, domid, &list, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].kind, "console") != 0)       /* what it said last is worth reading */
            list[kept++] = list[i];
    }
    return wh_device_detach_all(op, h, list, kept);
}

static bool write_nodes(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *name,
                        const char *uuid)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    char vm[WH_UUID_TEXT + 4];

    snprintf(vm, sizeof vm, "/vm/%s", uuid);
    wh_nodes_as(&l, 0, domid);
    wh_nodes_add(&l, NULL, "%s", vm);
    wh_nodes_like(&l);
    wh_nodes_add(&l, name, "%s/name", vm);
    wh_nodes_add(&l, uuid, "%s/uuid", vm);
    wh_nodes_add(&l, vm, "/local/domain/%u/vm", domid);
    wh_nodes_add(&l, name, "/local/domain/%u/name", domid);
    return wh_nodes_write(op, h->store, &l, NULL, NULL);
}

bool wh_keep(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name)
{
    char old[WH_UUID_TEXT], text[WH_UUID_TEXT], kept[512], when[32];
    time_t now = time(NULL);
    struct wh_uuid fresh;
    struct tm t;

    if (!wh_uuid_make(&fresh))
        return wh_fail_sys(&op->err, errno, "draw a uuid");
    gmtime_r(&now, &t);
    strftime(when, sizeof when, "%Y%m%dT%H%M%SZ", &t);
    snprintf(kept, sizeof kept, "%s-%s", name, when);
    wh_uuid_print(fresh, text);
    wh_find_uuid(d, old);
    if (!give_devices_up(op, h, d->domid))
        return false;
    wh_step(op, "keep the domain under another name", KEEP_MS);
    return wh_xen_set_uuid(op, h->xen, d->domid, fresh.byte) &&
           wh_userdata_move(op, h, d->domid, old, text) &&
           write_nodes(op, h, d->domid, kept, text) &&
           wh_store_remove(op, h->store, 0, "/vm/%s", old);
}
