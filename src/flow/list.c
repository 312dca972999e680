/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What domains there are, with their configuration if that is asked for; where their vCPUs run. */
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "dm/program.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/stored.h"
#include "flow/task.h"

#define KIB_A_PAGE 4
#define CPUS_MAX 8192

struct list {
    struct wh_task task;
    bool config;
};

/* One word for it: what it is, not what it has been. */
static const char *state(const struct wh_domain *d)
{
    return d->dying      ? "dying"
           : d->shutdown ? "shutdown"
           : d->paused   ? "paused"
           : d->running  ? "running"
           : d->blocked  ? "blocked"
                         : "ready";
}

/* xl's six letters. */
static const char *flags(const struct wh_domain *d, char text[7])
{
    static const char why[] = "-rscwS";         /* by enum wh_shutdown */
    char letter = (size_t)d->reason < sizeof why - 1 ? why[d->reason] : '?';

    text[0] = d->running ? 'r' : '-';
    text[1] = d->blocked ? 'b' : '-';
    text[2] = d->paused ? 'p' : '-';
    text[3] = d->shutdown ? 's' : '-';
    text[4] = d->shutdown ? letter : '-';
    text[5] = d->dying ? 'd' : '-';
    text[6] = '\0';
    return text;
}

static bool pool_name(struct wh_op *op, struct wh_here *h, uint32_t pool, char **name)
{
    return wh_store_read(op, h->store, 0, name, "/local/pool/%u/name", pool);
}

/* A domain that has no configuration stored, as one that is being made, is told of without. */
static bool add_config(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                       json_object *o)
{
    wh_auto_free char *text = NULL;
    const char *why;
    size_t at;

    if (!wh_stored_now(op, h, d, NULL, &text))
        return false;
    json_object_object_add(o, "config", text ? wh_json_parse(text, strlen(text), &why, &at) : NULL);
    return true;
}

static bool one(struct wh_op *op, const struct list *l, const struct wh_domain *d,
                json_object *all)
{
    struct wh_here *h = l->task.here;
    wh_auto_free char *name = NULL, *pool = NULL;
    bool has_qemu, qemu_lives;
    char letters[7];

    if (!wh_find_name(op, h, d->domid, &name) || !pool_name(op, h, d->cpupool, &pool) ||
        !wh_qemu_lives(op, h, d->domid, &has_qemu, &qemu_lives))
        return false;
    json_object *o = wh_find_json(d, name);
    json_object_array_add(all, o);
    json_object_object_add(o, "type", json_object_new_string(wh_find_type(d)));
    json_object_object_add(o, "state", json_object_new_string(state(d)));
    json_object_object_add(o, "shutdown_reason", wh_json_text(wh_find_reason(d)));
    json_object_object_add(o, "flags", json_object_new_string(flags(d, letters)));
    json_object_object_add(o, "vcpus", json_object_new_uint64(d->vcpus_online));
    json_object_object_add(o, "memory_kib", json_object_new_uint64(
                               (d->pages + d->outstanding_pages) * KIB_A_PAGE));
    json_object_object_add(o, "max_memory_kib", json_object_new_uint64(d->max_pages * KIB_A_PAGE));
    json_object_object_add(o, "cpu_ns", json_object_new_uint64(d->cpu_ns));
    json_object_object_add(o, "cpupool", wh_json_text(pool));
    json_object_object_add(o, "device_model",
                           wh_json_text(!has_qemu ? NULL : qemu_lives ? "running" : "gone"));
    return !l->config || add_config(op, h, d, o);
}

static bool list(struct wh_op *op, struct wh_task *t)
{
    wh_auto_json json_object *all = json_object_new_array();
    wh_auto_free struct wh_domain *d = NULL;
    size_t n;

    wh_step(op, "look at the domains", WH_STORE_MS);
    if (!wh_find_these(op, t->here, wh_task_who(t), &d, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!one(op, (struct list *)t, &d[i], all))
            return false;
    }
    t->result = wh_take_ptr(&all);
    return true;
}

struct wh_job *wh_list_new(const char *domain, bool config)
{
    struct list *l = wh_task_make(sizeof *l, domain, list);

    if (!l)
        return NULL;
    l->config = config;
    return &l->task.job;
}

/* ------------------------------------------------------------------------------- vCPUs */

/* [0, 1, 5]: the CPUs of a map. */
static json_object *cpus(const uint8_t *map, unsigned n)
{
    json_object *o = json_object_new_array();

    for (unsigned i = 0; i < n; i++) {
        if (map[i / 8] >> i % 8 & 1)
            json_object_array_add(o, json_object_new_uint64(i));
    }
    return o;
}

static bool affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu, bool soft,
                     unsigned ncpus, json_object **ret)
{
    uint8_t map[CPUS_MAX / 8] = { 0 };

    if (!wh_xen_get_affinity(op, x, domid, vcpu, soft, map, (ncpus + 7) / 8))
        return false;
    *ret = cpus(map, ncpus);
    return true;
}

static bool vcpu(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t id, unsigned ncpus,
                 json_object *all)
{
    struct wh_vcpu v;
    wh_auto_json json_object *hard = NULL, *soft = NULL;

    if (!wh_xen_vcpu(op, x, domid, id, &v) ||
        !affinity(op, x, domid, id, false, ncpus, &hard) ||
        !affinity(op, x, domid, id, true, ncpus, &soft))
        return false;
    json_object *o = json_object_new_object();
    json_object_array_add(all, o);
    json_object_object_add(o, "vcpu", json_object_new_uint64(id));
    json_object_object_add(o, "online", json_object_new_boolean(v.online));
    json_object_object_add(o, "running", json_object_new_boolean(v.running));
    json_object_object_add(o, "blocked", json_object_new_boolean(v.blocked));
    json_object_object_add(o, "cpu", v.online ? json_object_new_uint64(v.cpu) : NULL);
    json_object_object_add(o, "cpu_ns", json_object_new_uint64(v.cpu_ns));
    json_object_object_add(o, "hard_affinity", wh_take_ptr(&hard));
    json_object_object_add(o, "soft_affinity", wh_take_ptr(&soft));
    return true;
}

static bool vcpus_of(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                     unsigned ncpus, json_object *domains)
{
    wh_auto_json json_object *o = NULL;
    wh_auto_free char *name = NULL;

    if (!wh_find_name(op, h, d->domid, &name))
        return false;
    o = wh_find_json(d, name);
    json_object *all = json_object_new_array();
    json_object_object_add(o, "host_cpus", json_object_new_uint64(ncpus));
    json_object_object_add(o, "vcpus", all);
    for (uint32_t id = 0; id < wh_find_vcpus(d); id++) {
        if (!vcpu(op, h->xen, d->domid, id, ncpus, all))
            return wh_while(&op->err, "look at vcpu %u of domain %u", id, d->domid);
    }
    json_object_array_add(domains, wh_take_ptr(&o));
    return true;
}

/* One of all domains may go while they are looked at: then it is left out. */
static bool has_gone(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    struct wh_err why = op->err;
    struct wh_domain now;
    bool there = true;

    if (why.kind != WH_XEN)
        return false;
    op->err = (struct wh_err){ .kind = WH_OK };
    if (wh_xen_domain(op, h->xen, d->domid, &now, &there) && (!there || now.dying))
        return true;
    op->err = why;
    return false;
}

static bool vcpus(struct wh_op *op, struct wh_task *t)
{
    wh_auto_json json_object *all = json_object_new_array();
    wh_auto_free struct wh_domain *d = NULL;
    struct wh_host host;
    size_t n;

    wh_step(op, "look at the vcpus", WH_STORE_MS);
    if (!wh_xen_host(op, t->here->xen, &host) ||
        !wh_find_these(op, t->here, wh_task_who(t), &d, &n))
        return false;
    unsigned ncpus = host.max_cpu_id + 1 < CPUS_MAX ? host.max_cpu_id + 1 : CPUS_MAX;
    for (size_t i = 0; i < n; i++) {
        if (!vcpus_of(op, t->here, &d[i], ncpus, all) &&
            (wh_task_who(t) || !has_gone(op, t->here, &d[i])))
            return false;
    }
    t->result = wh_take_ptr(&all);
    return true;
}

struct wh_job *wh_vcpus_new(const char *domain)
{
    struct wh_task *t = wh_task_make(sizeof *t, domain, vcpus);

    return t ? &t->job : NULL;
}

/* ------------------------------------------------------------------------ who is meant */

static bool find(struct wh_op *op, struct wh_task *t)
{
    wh_auto_free char *name = NULL;
    struct wh_domain d;

    wh_step(op, "find the domain", WH_STORE_MS);
    if (!wh_find_one(op, t->here, wh_task_who(t) ? wh_task_who(t) : "", &d) ||
        !wh_find_name(op, t->here, d.domid, &name))
        return false;
    t->result = wh_find_json(&d, name);
    json_object_object_add(t->result, "type", json_object_new_string(wh_find_type(&d)));
    return true;
}

struct wh_job *wh_find_new(const char *domain)
{
    struct wh_task *t = wh_task_make(sizeof *t, domain, find);

    return t ? &t->job : NULL;
}
