/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pause and unpause.  Xen counts: what was paused twice has to be unpaused twice. */
#include "base/own.h"
#include "base/json.h"
#include "flow/emulator.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/task.h"

struct pause {
    struct wh_task task;
    bool on;
};

/* Where a guest was never let run its QEMU waits, too.  One that has run has one that works, if it has
 * one that can be reached. */
static bool ready(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    if (!wh_leftover_free(op, h, d, WH_TO_RUN, NULL))
        return false;
    if (!d->paused || d->shutdown || wh_emulator_run(op, h, d))
        return true;
    if (d->cpu_ns == 0 || op->err.kind == WH_CANCELLED)
        return wh_while(&op->err, "domain %u has never run and stays paused (destroy it, and create or "
                        "restore it again)", d->domid);
    op->err = (struct wh_err){ 0 };
    return true;
}

static bool pause_it(struct wh_op *op, struct wh_task *t)
{
    const char *who = wh_task_who(t);
    bool on = ((struct pause *)t)->on;
    wh_auto_free char *name = NULL;
    struct wh_domain d;

    wh_step(op, on ? "pause the domain" : "unpause the domain", WH_STORE_MS);
    if (!wh_find_one(op, t->here, who ? who : "", &d) ||
        !wh_find_name(op, t->here, d.domid, &name))
        return false;
    if (d.domid == 0)
        return wh_fail(&op->err, WH_USAGE, "domain 0 is this host itself and is never paused");
    if (!on && !ready(op, t->here, &d))
        return false;
    wh_step(op, on ? "pause the domain" : "unpause the domain", WH_STORE_MS);
    if (!(on ? wh_xen_pause : wh_xen_unpause)(op, t->here->xen, d.domid))
        return wh_while(&op->err, "%s domain %u", on ? "pause" : "unpause", d.domid);
    t->result = wh_find_json(&d, name);
    return true;
}

static struct wh_job *make(const char *domain, bool on)
{
    struct pause *p = wh_task_make(sizeof *p, domain, pause_it);

    if (!p)
        return NULL;
    p->on = on;
    return &p->task.job;
}

struct wh_job *wh_pause_new(const char *domain)
{
    return make(domain, true);
}

struct wh_job *wh_unpause_new(const char *domain)
{
    return make(domain, false);
}
