/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Destroying a domain, whoever made it, in whatever state it is: nothing of it is left.
 *
 *     paused      it does nothing any more; QEMU has written what it had of its disks
 *     alone       its devices are closed and their scripts run
 *     forgotten   its nodes and files are gone
 *     gone        Xen has its memory back */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/task.h"
#include "xen/device.h"
#include "dm/qemu.h"
#include "xen/userdata.h"

#define NODES_MS 30000
#define XEN_MS 300000               /* for giving back a large guest's memory */

static bool detach(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_auto_free struct wh_device *list = NULL;
    size_t n;

    wh_step(op, "list the devices", NODES_MS);
    return wh_device_list(op, h, domid, &list, &n) && wh_device_detach_all(op, h, list, n);
}

static bool remove_vm(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *uuid)
{
    char vm[WH_UUID_TEXT + 4];
    wh_auto_free char *its = NULL;

    wh_step(op, "remove the domain's nodes", NODES_MS);
    snprintf(vm, sizeof vm, "/vm/%s", uuid);
    if (!wh_store_read(op, h->store, 0, &its, "/local/domain/%u/vm", domid))
        return false;
    /* Else it is another's, which has this uuid by now. */
    return !its || strcmp(its, vm) != 0 || wh_store_remove(op, h->store, 0, "%s", vm);
}

static bool remove_nodes(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    static const char *const nodes[] = { "/local/domain/%u", "/libxl/%u",
                                         "/local/domain/0/device-model/%u" };
    char path[PATH_MAX];
    bool ok = true;

    for (size_t i = 0; i < WH_COUNT(nodes); i++) {
        snprintf(path, sizeof path, nodes[i], domid);
        ok &= wh_store_remove(op, h->store, 0, "%s", path);
    }
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/qemu-%s.%u", h->lib, i ? "resume" : "save", domid);
        unlink(path);
    }
    return ok;
}

/* Once begun it goes to its end, within each step's time: half a domain is of no use to anybody.
 * What fails is told, and does not keep the rest from being done, once its QEMU has ended. */
static bool destroy(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    char uuid[WH_UUID_TEXT];
    uint32_t domid = d->domid;
    bool ok = true;

    wh_find_uuid(d, uuid);
    wh_step(op, "pause the domain", NODES_MS);
    ok &= d->dying || wh_xen_pause(op, h->xen, domid);
    /* A domain without its nodes tells nobody which QEMU was its: as long as that may live, both stay. */
    if (!wh_qemu_end(op, h, domid))
        return wh_while(&op->err, "destroy domain %u", domid);
    ok &= detach(op, h, domid);
    ok &= remove_vm(op, h, domid, uuid);
    ok &= remove_nodes(op, h, domid);
    wh_step(op, "remove the domain's files", NODES_MS);
    ok &= wh_userdata_remove(op, h, domid, uuid);
    ok &= wh_history_add(op, h, domid);
    wh_step(op, "destroy the domain", XEN_MS);
    ok &= wh_xen_destroy(op, h->xen, domid);
    return ok || wh_while(&op->err, "destroy domain %u", domid);
}

bool wh_domain_destroy(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    bool shielded = op->shielded, there, ok;
    struct wh_domain d;

    if (domid == 0)
        return wh_fail(&op->err, WH_USAGE, "domain 0 runs this host: it is not destroyed");
    wh_step(op, "look at the domain", NODES_MS);
    if (!wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    if (!there)
        return true;
    op->shielded = true;
    ok = destroy(op, h, &d);
    op->shielded = shielded;
    return ok;
}

/* Nodes of backends here whose devices could not be taken away while the domain was there. */
static bool remove_backends(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_auto_free char **kinds = NULL;
    bool ok = true;
    size_t n;

    if (!wh_store_list(op, h->store, 0, &kinds, &n, "/local/domain/0/backend"))
        return false;
    for (size_t i = 0; i < n; i++)
        ok &= wh_store_remove(op, h->store, 0, "/local/domain/0/backend/%s/%u", kinds[i], domid);
    return ok;
}

bool wh_domain_clear(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *uuid)
{
    wh_auto_free struct wh_domain *d = NULL;
    bool number_free = true, uuid_free = true, ok = true;
    char its[WH_UUID_TEXT];
    size_t n;

    if (domid == 0)             /* a record of what never had a domain: not this host's own nodes */
        return true;
    if (!wh_find_all(op, h->xen, &d, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        bool same = strcmp(wh_find_uuid(&d[i], its), uuid) == 0;

        number_free &= same || d[i].domid != domid;         /* it itself may be dying yet */
        uuid_free &= !same || d[i].domid == domid;
    }
    wh_step(op, "remove what is left of the domain", NODES_MS);
    if (number_free)
        ok &= remove_nodes(op, h, domid) && remove_backends(op, h, domid) &&
              wh_userdata_remove(op, h, domid, uuid);
    if (uuid_free)
        ok &= wh_store_remove(op, h->store, 0, "/vm/%s", uuid);
    return ok;
}

bool wh_domain_take_away(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_err *beside)
{
    char uuid[WH_UUID_TEXT];
    struct wh_domain d;
    bool there;

    *beside = (struct wh_err){ 0 };
    if (!wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    if (!there || wh_domain_destroy(op, h, domid))
        return true;
    wh_find_uuid(&d, uuid);
    struct wh_err why = op->err;
    op->err = (struct wh_err){ 0 };
    if (wh_xen_domain(op, h->xen, domid, &d, &there) && (!there || d.dying) &&
        wh_domain_clear(op, h, domid, uuid)) {
        *beside = why;
        return true;
    }
    op->err = why;
    return false;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    wh_auto_free char *name = NULL;
    struct wh_domain d;

    wh_step(op, "find the domain", NODES_MS);
    if (!wh_find_one(op, t->here, wh_task_who(t) ? wh_task_who(t) : "", &d) ||
        !wh_find_name(op, t->here, d.domid, &name) || !wh_domain_destroy(op, t->here, d.domid))
        return false;
    t->result = wh_find_json(&d, name);
    return true;
}

struct wh_job *wh_destroy_new(const char *domain)
{
    struct wh_task *t = wh_task_make(sizeof *t, domain, run);

    return t ? &t->job : NULL;
}
