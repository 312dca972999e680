/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finishing a domain that has its memory: what it reads in xenstore, its devices, and what the
 * toolstack keeps of it. */
#include <stdio.h>
#include <sys/time.h>

#include "base/own.h"
#include "flow/devices.h"
#include "flow/emulator.h"
#include "flow/plan.h"
#include "xen/nodes.h"
#include "xen/userdata.h"

#define FINISH_MS 30000

static void add_image(struct wh_nodes *l, const struct wh_plan *p)
{
    const struct wh_config *c = &p->c;

    if (c->type == WH_TYPE_HVM) {
        wh_nodes_add(l, c->hvm.timeoffset ? c->hvm.timeoffset : "", "/vm/%s/rtc/timeoffset", p->uuid);
        wh_nodes_add(l, "hvm", "/vm/%s/image/ostype", p->uuid);
    }
    if (c->type != WH_TYPE_PV)
        return;
    wh_nodes_add(l, "linux", "/vm/%s/image/ostype", p->uuid);
    if (c->kernel)
        wh_nodes_add(l, c->kernel, "/vm/%s/image/kernel", p->uuid);
    if (c->ramdisk)
        wh_nodes_add(l, c->ramdisk, "/vm/%s/image/ramdisk", p->uuid);
    if (c->cmdline)
        wh_nodes_add(l, c->cmdline, "/vm/%s/image/cmdline", p->uuid);
}

/* What hvmloader reads.  A restored guest has had it. */
static void add_platform(struct wh_nodes *l, const struct wh_config *c, const struct wh_made *m)
{
    const struct { const char *key; bool on; } yes[] = {
        { "acpi", c->acpi == WH_YES }, { "acpi_s3", c->hvm.acpi_s3 == WH_YES },
        { "acpi_s4", c->hvm.acpi_s4 == WH_YES },
        { "acpi_laptop_slate", c->hvm.acpi_laptop_slate == WH_YES },
    };

    if (m->restoring || c->type != WH_TYPE_HVM)
        return;
    for (size_t i = 0; i < WH_COUNT(yes); i++)
        wh_nodes_add(l, yes[i].on ? "1" : "0", "/local/domain/%u/platform/%s", m->domid,
                     yes[i].key);
    if (c->hvm.mmio_hole_memkb)
        wh_nodes_number(l, c->hvm.mmio_hole_memkb * 1024, "/local/domain/%u/platform/mmio_hole_size",
                        m->domid);
    wh_nodes_add(l, "qemu_xen", "/local/domain/%u/platform/device-model", m->domid);
}

static void add_build(struct wh_nodes *l, const struct wh_plan *p, const struct wh_made *m)
{
    const struct wh_config *c = &p->c;
    struct timeval now;
    char start[32];

    gettimeofday(&now, NULL);
    snprintf(start, sizeof start, "%lld.%02d", (long long)now.tv_sec, (int)now.tv_usec / 10000);
    wh_nodes_number(l, c->max_memkb, "/local/domain/%u/memory/static-max", m->domid);
    wh_nodes_number(l, c->target_memkb - (c->type == WH_TYPE_HVM ? c->video_memkb : 0),
                    "/local/domain/%u/memory/target", m->domid);
    wh_nodes_number(l, c->video_memkb, "/local/domain/%u/memory/videoram", m->domid);
    wh_nodes_number(l, m->domid, "/local/domain/%u/domid", m->domid);
    wh_nodes_number(l, m->store_port, "/local/domain/%u/store/port", m->domid);
    wh_nodes_number(l, m->store_frame, "/local/domain/%u/store/ring-ref", m->domid);
    for (unsigned i = 0; i < (unsigned)c->max_vcpus; i++)
        wh_nodes_add(l, wh_bits_has(&c->avail_vcpus, i) ? "online" : "offline",
                     "/local/domain/%u/cpu/%u/availability", m->domid, i);
    wh_nodes_add(l, start, "/vm/%s/start_time", p->uuid);
    add_image(l, p);
    add_platform(l, c, m);
}

/* Only now: the daemon looks at the ring page at once. */
static bool introduce(struct wh_op *op, struct wh_here *h, const struct wh_plan *p,
                      const struct wh_made *m)
{
    wh_auto_nodes struct wh_nodes l = { 0 };

    wh_step(op, "introduce the domain to xenstore", FINISH_MS);
    add_build(&l, p, m);
    return wh_nodes_write(op, h->store, &l, NULL, NULL) &&
           wh_store_introduce(op, h->store, m->domid, m->store_frame, m->store_port);
}

bool wh_domain_prepare(struct wh_op *op, struct wh_here *h, const struct wh_config *complete,
                       struct wh_made *m)
{
    wh_auto_plan struct wh_plan plan = { .c = wh_config_empty() };

    m->prepared = wh_plan_make(op, complete, &plan) && wh_devices_attach_nics(op, h, &plan.c, m) &&
                  wh_devices_attach_early(op, h, &plan.c, m);
    return m->prepared;
}

bool wh_domain_finish(struct wh_op *op, struct wh_here *h, const struct wh_config *complete,
                      struct wh_made *m)
{
    wh_auto_plan struct wh_plan plan = { .c = wh_config_empty() };

    if (!wh_plan_make(op, complete, &plan) || !wh_emulator_fit(op, h, m) || !introduce(op, h, &plan, m) ||
        !wh_devices_attach_disks(op, h, &plan.c, m) || !wh_devices_attach_console(op, h, m) ||
        (!m->prepared && !wh_devices_attach_nics(op, h, &plan.c, m)) ||
        (plan.c.type == WH_TYPE_HVM && (!wh_emulator_start(op, h, &plan.c, m) ||
                                        !wh_devices_attach_taps(op, h, &plan.c, m))))
        return false;
    wh_step(op, "store the configuration", FINISH_MS);
    return wh_userdata_write(op, h, m->domid, plan.uuid, plan.json);
}
