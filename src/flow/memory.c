/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory a domain is to have: the target that its balloon driver reads, and the limit that
 * Xen keeps.
 *
 *     target     /local/domain/N/memory/target: without its video memory; at most static-max
 *     limit      Xen's: with it, and 1 MiB more, as stock toolstacks have it
 *     maximum    /local/domain/N/memory/static-max */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/change.h"
#include "flow/find.h"
#include "flow/task.h"

#define KIB_A_PAGE 4
#define DOM0_LEAST_KIB (128u << 10)
#define KIB_MAX (UINT64_C(1) << 38)
#define SLACK_KIB 1024

struct memory {
    struct wh_task task;
    bool most;                          /* set the maximum, not the target */
    uint64_t kib;
    struct wh_domain d;
    uint64_t target_kib, most_kib, video_kib;   /* as xenstore has them before */
    uint64_t value;                     /* for the node that is changed */
};

static bool look(struct wh_op *op, struct memory *m)
{
    struct wh_here *h = m->task.here;
    const char *who = wh_task_who(&m->task);

    if (!wh_find_one(op, h, who ? who : "", &m->d))
        return false;
    return wh_store_read_number(op, h->store, 0, &m->target_kib, 0,
                                "/local/domain/%u/memory/target", m->d.domid) &&
           wh_store_read_number(op, h->store, 0, &m->most_kib, m->d.max_pages * KIB_A_PAGE,
                                "/local/domain/%u/memory/static-max", m->d.domid) &&
           wh_store_read_number(op, h->store, 0, &m->video_kib, 0,
                                "/local/domain/%u/memory/videoram", m->d.domid);
}

static bool check(struct wh_op *op, const struct memory *m)
{
    if (m->kib == 0 || m->kib > KIB_MAX)
        return wh_fail(&op->err, WH_USAGE, "no domain can have %llu KiB of memory",
                       (unsigned long long)m->kib);
    if (m->most && m->kib < m->target_kib + m->video_kib)
        return wh_fail(&op->err, WH_USAGE, "expected at least the %llu KiB that domain %u is to "
                       "have now, not %llu", (unsigned long long)(m->target_kib + m->video_kib),
                       m->d.domid, (unsigned long long)m->kib);
    if (!m->most && m->kib > m->most_kib)
        return wh_fail(&op->err, WH_USAGE, "expected at most the %llu KiB that domain %u was "
                       "started with (static-max), not %llu", (unsigned long long)m->most_kib,
                       m->d.domid, (unsigned long long)m->kib);
    if (m->kib <= m->video_kib)
        return wh_fail(&op->err, WH_USAGE, "expected more than the %llu KiB of video memory",
                       (unsigned long long)m->video_kib);
    if (m->d.domid == 0 && m->kib < DOM0_LEAST_KIB)
        return wh_fail(&op->err, WH_USAGE, "domain 0 needs at least %u KiB", DOM0_LEAST_KIB);
    return true;
}

static const char *node(const struct memory *m)
{
    return m->most ? "static-max" : "target";
}

static bool write_node(struct wh_op *op, struct wh_here *h, uint32_t tx, const struct wh_domain *d,
                       void *arg)
{
    const struct memory *m = arg;
    char value[24];

    snprintf(value, sizeof value, "%llu", (unsigned long long)m->value);
    return wh_store_write(op, h->store, tx, value, "/local/domain/%u/memory/%s", d->domid, node(m));
}

/* The node too, if its write was done and only the answer lost. */
static bool put_back(struct wh_op *op, const struct wh_undo *u)
{
    struct memory *m = (struct memory *)op;         /* the op is the task's first member */
    bool there = true;

    m->value = m->most ? m->most_kib : m->target_kib;
    return (!m->value || wh_change(op, m->task.here, &m->d, write_node, m, &there)) &&
           (!there || wh_xen_max_memory(op, m->task.here->xen, m->d.domid, u->number));
}

/* Xen's limit first: a guest that is told to have more may take it at once. */
static bool set(struct wh_op *op, struct memory *m)
{
    m->value = m->kib - (m->most ? 0 : m->video_kib);
    return wh_undo_push(op, "put the memory limit back", put_back, "",
                        m->d.max_pages * KIB_A_PAGE) &&
           wh_xen_max_memory(op, m->task.here->xen, m->d.domid, m->kib + SLACK_KIB) &&
           wh_change(op, m->task.here, &m->d, write_node, m, NULL);
}

static bool change(struct wh_op *op, struct wh_task *t)
{
    struct memory *m = (struct memory *)t;
    wh_auto_free char *name = NULL;

    wh_step(op, "set the domain's memory", WH_STORE_MS);
    if (!look(op, m) || !check(op, m) || !wh_find_name(op, t->here, m->d.domid, &name))
        return false;
    if (!set(op, m))
        return wh_while(&op->err, "set the memory of domain %u", m->d.domid);
    t->result = wh_find_json(&m->d, name);
    json_object_object_add(t->result, m->most ? "static_max_kib" : "target_kib",
                           json_object_new_uint64(m->kib));
    json_object_object_add(t->result, "max_memory_kib", json_object_new_uint64(m->kib + SLACK_KIB));
    return true;
}

static struct wh_job *make(const char *domain, uint64_t kib, bool most)
{
    struct memory *m = wh_task_make(sizeof *m, domain, change);

    if (!m)
        return NULL;
    m->kib = kib;
    m->most = most;
    return &m->task.job;
}

struct wh_job *wh_memory_new(const char *domain, uint64_t kib)
{
    return make(domain, kib, false);
}

struct wh_job *wh_max_memory_new(const char *domain, uint64_t kib)
{
    return make(domain, kib, true);
}
