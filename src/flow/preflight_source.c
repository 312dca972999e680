/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preflight on the source: what a target is told of a guest, and what only the source can see. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/features.h"
#include "flow/find.h"
#include "flow/look.h"
#include "flow/preflight_parts.h"

#define ASK_MS 10000
#define DISKS_MS 30000

/* -------------------------------------------------------------------------------- facts */

static bool add_xen(struct wh_op *op, struct wh_here *h, json_object *facts)
{
    json_object *o = json_object_new_object();
    struct wh_host host;

    json_object_object_add(facts, "xen", o);
    if (!wh_xen_host(op, h->xen, &host))
        return false;
    json_object_object_add(o, "major", json_object_new_uint64(host.major));
    json_object_object_add(o, "minor", json_object_new_uint64(host.minor));
    return true;
}

static bool add_policy(struct wh_op *op, struct wh_here *h, uint32_t domid, json_object *facts)
{
    wh_auto(wh_policy_free) struct wh_policy p = { 0 };

    if (!wh_xen_get_policy(op, h->xen, domid, &p.leaves, &p.leaf_bytes, &p.msrs, &p.msr_bytes))
        return false;
    json_object_object_add(facts, "policy", wh_policy_json(&p));
    return true;
}

/* How large its raw disks are: a target with others of that path is told apart. */
static bool add_disks(struct wh_op *op, const struct wh_config *c, json_object *facts)
{
    json_object *all = json_object_new_array();

    json_object_object_add(facts, "disks", all);
    for (size_t i = 0; i < c->ndisks; i++) {
        const struct wh_disk *d = &c->disks[i];
        struct wh_look l;

        if (!wh_check_plain_disk(d) || d->pdev_path[0] != '/')
            continue;
        if (!wh_look(op, d->pdev_path, WH_LOOK_MS, &l))
            return false;
        if (l.sys || !(S_ISBLK(l.mode) || S_ISREG(l.mode)))
            continue;
        json_object *o = json_object_new_object();
        json_object_object_add(o, "vdev", wh_json_text(d->vdev));
        json_object_object_add(o, "bytes", json_object_new_uint64(l.bytes));
        json_object_array_add(all, o);
    }
    return true;
}

static bool gather(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                   const char *config_json, json_object *facts)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };

    wh_step(op, "ask what the guest needs", DISKS_MS);
    json_object_object_add(facts, "type", json_object_new_string(wh_find_type(d)));
    json_object_object_add(facts, "memory_kib", json_object_new_uint64(d->pages * 4));
    json_object_object_add(facts, "config", wh_json_text(config_json));
    if (!add_xen(op, h, facts) || !add_policy(op, h, d->domid, facts))
        return false;
    /* What cannot be read here the target says. */
    if (wh_config_read_json(&err, config_json, strlen(config_json), &c) &&
        !add_disks(op, &c, facts))
        return false;
    json_object_object_add(facts, "time_ms", json_object_new_int64(wh_check_now_ms()));
    return true;
}

bool wh_preflight_facts(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                        const char *config_json, json_object **facts)
{
    *facts = json_object_new_object();
    if (gather(op, h, d, config_json, *facts))
        return true;
    json_object_put(*facts);
    *facts = NULL;
    return wh_while(&op->err, "ask what domain %u needs", d->domid);
}

/* -------------------------------------------------------------------------------- checks */

/* A paused guest takes no request, and would be moved for good as it is. */
static void check_guest(const struct wh_domain *d, json_object *checks)
{
    const char *reason = wh_find_reason(d);

    if (d->dying)
        wh_check_add(checks, "guest", false, "it is being destroyed");
    else if (reason)
        wh_check_add(checks, "guest", false, "it has shut down (%s)", reason);
    else if (d->paused)
        wh_check_add(checks, "guest", false, "it is paused, and a paused guest cannot suspend");
    else
        wh_check_add(checks, "guest", true, "it runs, and can be asked to suspend");
}

static bool count_devices(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *kind,
                          size_t *count)
{
    wh_auto_free char **ids = NULL;
    size_t n = 0;

    if (!wh_store_list(op, h->store, 0, &ids, &n, "/libxl/%u/device/%s", domid, kind))
        return false;
    *count += n;
    return true;
}

static bool check_passthrough(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                              const struct wh_config *c, json_object *checks)
{
    bool said = c->lacks && (strstr(c->lacks, "pcidevs") || strstr(c->lacks, "dtdevs") ||
                             strstr(c->lacks, "usb"));
    size_t pci = 0, usb = 0;

    if (!count_devices(op, h, d->domid, "pci", &pci) ||
        !count_devices(op, h, d->domid, "vusb", &usb))
        return false;
    if (pci || usb || said)
        wh_check_add(checks, "passthrough", false, "it has %s of this host, which cannot move",
                     pci ? "PCI devices" : usb ? "USB devices" : "devices");
    else
        wh_check_add(checks, "passthrough", true, "it has no device of this host");
    return true;
}

static void check_nested(const struct wh_config *c, json_object *checks)
{
    if (c->nested_hvm == WH_YES || c->hvm.nested_hvm == WH_YES)
        wh_check_add(checks, "nestedhvm", false,
                     "nested virtualization is on, and guests of its own would not survive");
    else
        wh_check_add(checks, "nestedhvm", true, "it runs no guests of its own");
}

/* Which pages of a PV guest change only shadow paging tells, and not every Xen has that. */
static bool check_logdirty(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                           json_object *checks)
{
    struct wh_host host;

    if (!wh_xen_host(op, h->xen, &host))
        return false;
    bool live = d->hvm || host.shadow;
    json_object *o = wh_check_add(checks, "logdirty", true, "%s",
                                  live ? "it can be copied while it runs"
                                       : "this Xen cannot tell which pages of a PV guest change: it "
                                         "is suspended while it is copied");
    json_object_object_add(o, "live", json_object_new_boolean(live));
    return true;
}

/* ------------------------------------------------------------------------------- clocks */

/* The answer was made between when the facts went and now: half of that is how sure we can be. */
static void settle_clock(json_object *checks)
{
    int64_t now = wh_check_now_ms();

    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        json_object *o = json_object_array_get_idx(checks, i);
        uint64_t sent = wh_json_number(o, "sent_ms", 0), theirs = wh_json_number(o, "time_ms", 0);

        if (strcmp(wh_json_string(o, "check", ""), "clock") != 0 || sent == 0 || theirs == 0 ||
            sent > (uint64_t)now || theirs > INT64_MAX)
            continue;
        int64_t unsure = (now - (int64_t)sent) / 2;
        wh_auto_json json_object *better = json_object_new_array();
        wh_check_clock(better, (int64_t)sent + unsure, (int64_t)theirs, unsure);
        json_object_array_put_idx(checks, i,
                                  json_object_get(json_object_array_get_idx(better, 0)));
    }
}

bool wh_preflight_source(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                         const char *config_json, json_object *checks)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };

    wh_step(op, "look at the guest", ASK_MS);
    if (!json_object_is_type(checks, json_type_array))
        return wh_fail(&op->err, WH_PEER, "the target's answer is no list of checks");
    settle_clock(checks);
    /* One that cannot be read says nothing; the target has refused it. */
    wh_config_read_json(&err, config_json, strlen(config_json), &c);
    check_guest(d, checks);
    if (!check_passthrough(op, h, d, &c, checks))
        return false;
    check_nested(&c, checks);
    return check_logdirty(op, h, d, checks);
}
