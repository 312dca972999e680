/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a domain: it is there, without memory, and every failure from now on takes it away. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/plan.h"
#include "flow/task.h"
#include "xen/nodes.h"
#include "xen/userdata.h"

#define MAKE_MS 30000
#define SLACK_KB 1024               /* what libxl lets a domain have beyond its memory */
#define RECENT_TRIES 100            /* domain numbers freed lately that are passed over */

/* HVM parameters. */
enum { VIRIDIAN = 9, TIMER_MODE = 10, HPET_ENABLED = 11, VPT_ALIGN = 16, ALTP2M = 35 };

struct making {
    struct wh_here *h;
    const struct wh_plan *plan;
    struct wh_made *m;
};

/* ------------------------------------------------------------------------- the domain */

/* Where the domain is gone and nothing of it is left, a script that failed once more is no failure:
 * why it failed first is being told. */
static bool undo_make(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_err beside;

    return wh_domain_take_away(op, op->world, (uint32_t)u->number, &beside);
}

/* Pools have their names in xenstore. */
static bool find_pool(struct wh_op *op, struct making *w, uint32_t *pool)
{
    const char *wanted = w->plan->c.pool_name;
    wh_auto_free char **ids = NULL;
    size_t n;

    *pool = w->plan->c.poolid;
    if (!wanted)
        return true;
    if (!wh_store_list(op, w->h->store, 0, &ids, &n, "/local/pool"))
        return false;
    for (size_t i = 0; i < n; i++) {
        wh_auto_free char *name = NULL;

        if (!wh_store_read(op, w->h->store, 0, &name, "/local/pool/%s/name", ids[i]))
            return false;
        *pool = (uint32_t)strtoul(ids[i], NULL, 10);
        if (name && strcmp(name, wanted) == 0)
            return true;
    }
    return wh_fail(&op->err, WH_USAGE, "there is no cpupool '%s'", wanted);
}

static bool specify(struct wh_op *op, struct making *w, struct wh_domain_spec *s)
{
    const struct wh_config *c = &w->plan->c;
    bool hvm = c->type != WH_TYPE_PV;

    *s = (struct wh_domain_spec){
        .hvm = hvm,
        .hap = hvm && c->hap != WH_NO,
        .emulated = c->type == WH_TYPE_HVM,
        .nested = c->nested_hvm == WH_YES,
        .oos_off = c->oos == WH_NO,
        .vpmu = c->vpmu == WH_YES,
        .msr_relaxed = c->msr_relaxed == WH_YES,
        .vcpus = (uint32_t)c->max_vcpus,
        .event_channels = c->event_channels,
        .grant_frames = (int32_t)c->max_grant_frames,
        .maptrack_frames = (int32_t)c->max_maptrack_frames,
        .grant_version = c->max_grant_version > 0 ? (uint32_t)c->max_grant_version : 2,
        .vmtrace_bytes = c->vmtrace_buf_kb > 0 ? (uint32_t)c->vmtrace_buf_kb * 1024 : 0,
    };
    memcpy(s->uuid, c->uuid.byte, sizeof s->uuid);
    return find_pool(op, w, &s->cpupool);
}

/* Stored files and nodes go by the uuid: two domains with one would share them. */
static bool check_uuid(struct wh_op *op, struct making *w)
{
    wh_auto_free struct wh_domain *all = NULL;
    size_t n;

    if (!wh_find_all(op, w->h->xen, &all, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (all[i].domid != w->m->domid && !all[i].dying &&
            memcmp(all[i].uuid, w->plan->c.uuid.byte, sizeof all[i].uuid) == 0)
            return wh_fail(&op->err, WH_USAGE, "domain %u has the uuid %s already", all[i].domid,
                           w->plan->uuid);
    }
    return true;
}

/* A guest that arrives has a record already: killed in the moment between making its domain and writing down
 * the number, it is found by the uuid. */
static bool announce(struct wh_op *op, struct making *w)
{
    struct wh_leftover *l = w->m->record;

    return !l || !l->open || (check_uuid(op, w) && wh_leftover_text(op, l, "uuid", w->plan->uuid));
}

/* Xen gives numbers in a circle: of a domain whose number was another's a moment ago it is better
 * to try the next. */
static bool create(struct wh_op *op, struct making *w, const struct wh_domain_spec *s)
{
    bool recent = true;

    for (int i = 0; recent; i++) {
        if (!wh_xen_create(op, w->h->xen, s, &w->m->domid))
            return false;
        if (!wh_undo_push(op, "destroy the unfinished domain", undo_make, "", w->m->domid) ||
            !wh_history_recent(op, w->h, w->m->domid, &recent))
            return false;
        recent = recent && i < RECENT_TRIES;
        if (recent && !wh_xen_destroy(op, w->h->xen, w->m->domid))
            return false;
        op->undos -= recent;
    }
    return true;
}

/* ----------------------------------------------------------------------------- xenstore */

/* Within the transaction that gives the domain its name: nobody else has it, and what a domain with
 * this number or uuid may have left is gone. */
static bool clear(struct wh_op *op, struct wh_store *st, uint32_t tx, const void *arg)
{
    const struct making *w = arg;
    uint32_t other = WH_DOMID_NONE, domid = w->m->domid;
    size_t count;

    if (!wh_find_named(op, w->h, tx, w->plan->c.name, &other, &count))
        return false;
    if (count > 0 && other != domid)
        return wh_fail(&op->err, WH_USAGE, "domain %u is called '%s' already", other,
                       w->plan->c.name);
    return wh_store_remove(op, st, tx, "/local/domain/%u", domid) &&
           wh_store_remove(op, st, tx, "/libxl/%u", domid) &&
           wh_store_remove(op, st, tx, "/vm/%s", w->plan->uuid);
}

static void add_own(struct wh_nodes *l, const struct wh_plan *p, uint32_t domid)
{
    static const char *const guests[] = { "data", "drivers", "feature", "attr", "error" };
    static const char *const asked[] = { "shutdown", "feature-poweroff", "feature-reboot",
                                         "feature-suspend", "sysrq", "feature-s3", "feature-s4" };
    size_t hvm_only = p->c.type == WH_TYPE_HVM ? 0 : 2;
    bool old = p->c.xend_suspend_evtchn_compat == WH_YES;

    wh_nodes_as(l, domid, WH_NOBODY);
    wh_nodes_add(l, old ? NULL : "", "/local/domain/%u/device%s", domid,
                 old ? "" : "/suspend/event-channel");
    for (size_t i = 0; i < WH_COUNT(asked) - hvm_only; i++)
        wh_nodes_add(l, "", "/local/domain/%u/control/%s", domid, asked[i]);
    for (size_t i = 0; i < WH_COUNT(guests); i++)
        wh_nodes_add(l, NULL, "/local/domain/%u/%s", domid, guests[i]);
    for (size_t i = 0; p->c.driver_domain == WH_YES && i < 2; i++)
        wh_nodes_add(l, NULL, "/local/domain/%u/%s", domid, i ? "device-model" : "libxl");
}

static void add_skeleton(struct wh_nodes *l, const struct wh_plan *p, uint32_t domid)
{
    static const char *const readable[] = { "cpu", "memory", "device", "control", "hvmloader" };
    static const char *const types[] = { [WH_TYPE_HVM] = "hvm", [WH_TYPE_PV] = "pv",
                                         [WH_TYPE_PVH] = "pvh" };
    size_t hvm_only = p->c.type == WH_TYPE_HVM ? 0 : 1;

    wh_nodes_as(l, 0, domid);
    wh_nodes_add(l, NULL, "/local/domain/%u", domid);
    wh_nodes_add(l, NULL, "/vm/%s", p->uuid);
    for (size_t i = 0; i < WH_COUNT(readable) - hvm_only; i++)
        wh_nodes_add(l, NULL, "/local/domain/%u/%s", domid, readable[i]);
    wh_nodes_add(l, "1", "/local/domain/%u/control/platform-feature-multiprocessor-suspend", domid);
    wh_nodes_add(l, "1", "/local/domain/%u/control/platform-feature-xs_reset_watches", domid);
    add_own(l, p, domid);
    wh_nodes_as(l, 0, WH_NOBODY);
    wh_nodes_add(l, NULL, "/libxl/%u", domid);
    wh_nodes_add(l, NULL, "/libxl/%u/device", domid);
    wh_nodes_like(l);
    wh_nodes_add(l, types[p->c.type], "/libxl/%u/type", domid);
    wh_nodes_add(l, "qemu_xen", "/libxl/%u/dm-version", domid);
    wh_nodes_add(l, p->c.name, "/vm/%s/name", p->uuid);
    wh_nodes_add(l, p->uuid, "/vm/%s/uuid", p->uuid);
    wh_nodes_add(l, p->c.name, "/local/domain/%u/name", domid);
}

static bool write_skeleton(struct wh_op *op, struct making *w)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    char vm[WH_UUID_TEXT + 4];

    snprintf(vm, sizeof vm, "/vm/%s", w->plan->uuid);
    add_skeleton(&l, w->plan, w->m->domid);
    wh_nodes_add(&l, vm, "/local/domain/%u/vm", w->m->domid);
    return wh_nodes_write(op, w->h->store, &l, clear, w);
}

/* ------------------------------------------------------------------------------- limits */

static bool set_affinity(struct wh_op *op, struct making *w, const struct wh_affinity *a, bool soft)
{
    for (size_t i = 0; i < a->n; i++) {
        uint8_t map[WH_BITS_MAX / 8] = { 0 };
        unsigned end = wh_bits_end(&a->of[i]);

        for (unsigned b = 0; b < end; b++)
            map[b / 8] |= (uint8_t)(wh_bits_has(&a->of[i], b) << b % 8);
        if (end > 0 && !wh_xen_set_affinity(op, w->h->xen, w->m->domid, (uint32_t)i, soft, map,
                                            sizeof map))
            return false;
    }
    return true;
}

static bool set_schedule(struct wh_op *op, struct making *w)
{
    const struct wh_sched_params *p = &w->plan->c.sched_params;
    struct wh_sched s;

    if (p->weight < 0 && p->cap < 0)
        return true;
    if (!wh_xen_get_sched(op, w->h->xen, w->m->domid, &s))
        return false;
    s.weight = p->weight >= 0 ? (uint32_t)p->weight : s.weight;
    s.cap = p->cap >= 0 ? (uint32_t)p->cap : s.cap;
    return wh_xen_set_sched(op, w->h->xen, w->m->domid, &s);
}

/* Seconds by which the guest's clock is to be off UTC. */
static int64_t clock_offset(const struct wh_config *c)
{
    int64_t offset = (int32_t)c->rtc_timeoffset;
    time_t now = time(NULL);
    struct tm t;

    if (c->localtime == WH_YES && localtime_r(&now, &t))
        offset += t.tm_gmtoff;
    return offset;
}

static bool set_clocks(struct wh_op *op, struct making *w)
{
    const struct wh_config *c = &w->plan->c;
    struct wh_tsc tsc = { .mode = (uint32_t)c->tsc_mode };
    int64_t offset = clock_offset(c);

    return wh_xen_set_tsc(op, w->h->xen, w->m->domid, &tsc) &&
           (offset == 0 || wh_xen_time_offset(op, w->h->xen, w->m->domid, offset));
}

/* A restored guest's Hyper-V interface is the image's. */
static bool set_emulation(struct wh_op *op, struct making *w)
{
    const struct wh_config *c = &w->plan->c;
    uint64_t viridian = w->m->restoring ? 0 : wh_config_viridian(c);
    struct wh_xen *x = w->h->xen;
    uint32_t domid = w->m->domid;

    return wh_xen_set_param(op, x, domid, HPET_ENABLED, c->hvm.hpet == WH_YES) &&
           wh_xen_set_param(op, x, domid, VPT_ALIGN, c->hvm.vpt_align == WH_YES) &&
           (viridian == 0 || wh_xen_set_param(op, x, domid, VIRIDIAN, viridian));
}

static bool set_kind(struct wh_op *op, struct making *w)
{
    const struct wh_config *c = &w->plan->c;
    struct wh_xen *x = w->h->xen;
    uint32_t domid = w->m->domid;

    if (c->type == WH_TYPE_PV)
        return wh_xen_memmap_limit(op, x, domid, c->max_memkb + c->pv.slack_memkb);
    return (c->type != WH_TYPE_HVM || set_emulation(op, w)) &&
           wh_xen_set_param(op, x, domid, TIMER_MODE, (uint64_t)c->timer_mode) &&
           (c->altp2m == WH_ALTP2M_DISABLED ||
            wh_xen_set_param(op, x, domid, ALTP2M, (uint64_t)c->altp2m)) &&
           wh_xen_paging_pool(op, x, domid, c->shadow_memkb * 1024);
}

static bool open_ports(struct wh_op *op, struct making *w)
{
    struct wh_made *m = w->m;
    uint64_t store, console;

    if (!wh_store_read_number(op, w->h->store, 0, &store, 0, "/tool/xenstored/domid") ||
        !wh_store_read_number(op, w->h->store, 0, &console, 0, "/tool/xenconsoled/domid"))
        return false;
    m->store_domid = (uint32_t)store;
    m->console_domid = (uint32_t)console;
    return wh_xen_port(op, w->h->xen, m->domid, m->store_domid, &m->store_port) &&
           wh_xen_port(op, w->h->xen, m->domid, m->console_domid, &m->console_port);
}

/* A guest that was told to shrink and had not yet when it was saved is as large as it was: who
 * restores it lowers the limit when all is there. */
static uint64_t most_kb(const struct making *w)
{
    return w->m->restoring ? w->plan->c.max_memkb : w->plan->c.target_memkb;
}

/* What a killed process leaves is known of from here on: of a create and a restore, whose records are named for
 * the number, a domain without memory or name may be left of the moment before. */
static bool record(struct wh_op *op, struct making *w)
{
    struct wh_leftover *l = w->m->record;

    return !l || (w->m->restoring ? wh_leftover_restore : wh_leftover_create)(
                     op, w->h, l, w->m->domid, w->plan->c.uuid.byte);
}

static bool limit(struct wh_op *op, struct making *w)
{
    const struct wh_config *c = &w->plan->c;

    return wh_xen_max_vcpus(op, w->h->xen, w->m->domid, (uint32_t)c->max_vcpus) &&
           set_affinity(op, w, &c->hard_affinity, false) &&
           set_affinity(op, w, &c->soft_affinity, true) &&
           wh_xen_max_memory(op, w->h->xen, w->m->domid, most_kb(w) + SLACK_KB) &&
           open_ports(op, w) && set_kind(op, w) && set_clocks(op, w) && set_schedule(op, w);
}

bool wh_domain_make(struct wh_op *op, struct wh_here *h, const struct wh_config *c, bool restoring,
                    struct wh_made *m)
{
    wh_auto_plan struct wh_plan plan = { .c = wh_config_empty() };
    struct making w = { h, &plan, m };
    struct wh_domain_spec spec;

    *m = (struct wh_made){ .domid = WH_DOMID_NONE, .restoring = restoring, .moves = m->moves,
                            .record = m->record };
    wh_step(op, "make the domain", MAKE_MS);
    return wh_plan_make(op, c, &plan) && specify(op, &w, &spec) && announce(op, &w) &&
           create(op, &w, &spec) && record(op, &w) && check_uuid(op, &w) && write_skeleton(op, &w) && limit(op, &w);
}
