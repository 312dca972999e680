/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xen/suspend.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

#define PARAM_CALLBACK 0            /* nonzero: the guest has PV drivers */
#define PARAM_SLEEP 14              /* nonzero: which of ACPI's states it sleeps in */
#define RAX64 0x258                 /* of a vCPU's context, where a hypercall's result goes */
#define EAX32 0x21c
#define LATE_MS 60000               /* for a guest that took the request as it was withdrawn */
#define UNSURE_MS 10000             /* the same where it may never have been asked */

static const char node[] = "/local/domain/%u/control/shutdown";

/* ------------------------------------------------------------------------------ running on */

/* SCHEDOP_shutdown returns 1: "your suspend was cancelled". */
static bool tell_guest(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    wh_auto_free uint8_t *context = malloc(WH_VCPU_CONTEXT);
    unsigned width = 8;

    if (!context)
        return wh_fail(&op->err, WH_SYSTEM, "no memory to resume domain %u", d->domid);
    if (!d->hvm && !wh_xen_get_width(op, h->xen, d->domid, &width))
        return false;
    if (!wh_xen_get_context(op, h->xen, d->domid, 0, context))
        return false;
    memset(context + (width == 8 ? RAX64 : EAX32), 0, width);
    context[width == 8 ? RAX64 : EAX32] = 1;
    return wh_xen_set_context(op, h->xen, d->domid, 0, context);
}

bool wh_run_on(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    struct wh_domain d;
    uint64_t callback = 1;
    bool there;

    if (!wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    /* Who was killed between the two halves of this left xenstored believing in the shutdown. */
    if (there && !d.shutdown && !d.dying)
        return wh_store_resume(op, h->store, domid);
    if (!there || d.reason != WH_SUSPEND)
        return true;
    if (d.hvm && !wh_xen_get_param(op, h->xen, domid, PARAM_CALLBACK, &callback))
        return false;
    /* A guest whose devices do not work would read all ones from its disk: it stays as it is. */
    if (d.emulated && h->run_devices && !h->run_devices(op, h, domid))
        return false;
    return (callback == 0 || tell_guest(op, h, &d)) && wh_xen_resume(op, h->xen, domid) &&
           wh_store_resume(op, h->store, domid);
}

/* --------------------------------------------------------------------------- suspending */

enum outcome { ASKED, TAKEN, SUSPENDED, GONE, ELSEWHERE };

static bool see(struct wh_op *op, struct wh_here *h, uint32_t domid, enum outcome *seen,
                struct wh_domain *d)
{
    wh_auto_free char *value = NULL;
    bool there;

    if (!wh_xen_domain(op, h->xen, domid, d, &there))
        return false;
    *seen = !there || d->dying ? GONE
            : !d->shutdown     ? ASKED
            : d->reason == WH_SUSPEND ? SUSPENDED : ELSEWHERE;
    if (*seen != ASKED)
        return true;
    if (!wh_store_read(op, h->store, 0, &value, node, domid))
        return false;
    *seen = value && strcmp(value, "suspend") == 0 ? ASKED : TAKEN;
    return true;
}

/* Take the request back, unless the guest has taken it: a transaction tells which came first. */
static bool withdraw(struct wh_op *op, struct wh_here *h, uint32_t domid, bool *taken)
{
    for (bool again = true; again;) {
        wh_auto_free char *value = NULL;
        uint32_t tx;

        if (!wh_store_begin(op, h->store, &tx))
            return false;
        if (!wh_store_read(op, h->store, tx, &value, node, domid)) {
            wh_store_abort(op, h->store, tx);
            return false;
        }
        *taken = !value || strcmp(value, "suspend") != 0;
        if (*taken) {
            wh_store_abort(op, h->store, tx);
            return true;
        }
        if (!wh_store_write(op, h->store, tx, "", node, domid)) {
            wh_store_abort(op, h->store, tx);
            return false;
        }
        if (!wh_store_commit(op, h->store, tx, &again))
            return false;
    }
    return true;
}

/* Wait for the next sign of something: an event of ours, or a tenth of a second. */
static bool pass_time(struct wh_op *op, struct wh_here *h)
{
    struct wh_bound before = wh_bound(op, 100);
    struct wh_store_event e;
    struct wh_err err = op->err;
    bool ok = wh_store_event(op, h->store, &e);

    wh_unbound(op, before);
    if (!ok && op->err.kind == WH_TIMEOUT)
        op->err = err;
    return op->err.kind == err.kind && wh_go_on(op);
}

/* It took the request: it is on its way to suspend, and is to be met there. */
static bool meet(struct wh_op *op, struct wh_here *h, uint32_t domid, bool asked)
{
    struct wh_err before = op->err;
    struct wh_domain d;
    enum outcome seen = TAKEN;

    wh_step(op, "wait for the guest, which took the request to suspend", asked ? LATE_MS : UNSURE_MS);
    while (seen == TAKEN || seen == ASKED) {
        if (pass_time(op, h) && see(op, h, domid, &seen, &d))
            continue;
        if (asked || op->err.kind != WH_TIMEOUT)
            return wh_while(&op->err, "the guest took the request to suspend and may yet do so");
        op->err = before;
        break;
    }
    wh_step(op, "let the guest run on", 30000);
    return true;
}

bool wh_suspend_undo(struct wh_op *op, struct wh_here *h, uint32_t domid, bool asked)
{
    struct wh_domain d;
    enum outcome seen;
    bool taken = false;

    if (!see(op, h, domid, &seen, &d))
        return false;
    if (seen == TAKEN && !asked && d.emulated && !wh_xen_resume(op, h->xen, domid))
        return false;                   /* it may have been stopped unasked, and not be stopped yet */
    if ((seen == ASKED || seen == TAKEN) && !withdraw(op, h, domid, &taken))
        return false;
    return (!taken || meet(op, h, domid, asked)) && wh_run_on(op, h, domid);
}

/* An empty node is one that the guest has taken, or that was never written: who pushed this knows. */
static const char asked[] = "asked";

static bool run_on(struct wh_op *op, const struct wh_undo *u)
{
    return wh_suspend_undo(op, op->world, (uint32_t)u->number, strcmp(u->text, asked) == 0);
}

/* Until the guest is as far as wanted. */
static bool await(struct wh_op *op, struct wh_here *h, uint32_t domid, enum outcome wanted)
{
    struct wh_domain d;
    enum outcome seen;

    for (;;) {
        if (!see(op, h, domid, &seen, &d))
            return false;
        if (seen == GONE)
            return wh_fail(&op->err, WH_GUEST, "domain %u is gone", domid);
        if (seen == ELSEWHERE)
            return wh_fail(&op->err, WH_GUEST, "domain %u shut down for another reason (%u) than "
                           "to suspend", domid, (unsigned)d.reason);
        if (seen >= wanted)
            return true;
        if (!pass_time(op, h))
            return false;
    }
}

static bool ask(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_step(op, "ask the guest to suspend", WH_SUSPEND_MS);
    if (!wh_store_watch(op, h->store, "suspend", node, domid) ||
        !wh_store_watch(op, h->store, "release", "@releaseDomain") ||
        !wh_undo_push(op, "let the guest run on", run_on, "", domid) ||
        !wh_store_write(op, h->store, 0, "suspend", node, domid))
        return false;
    wh_undo_drop(op, run_on, "");
    if (!wh_undo_push(op, "let the guest run on", run_on, asked, domid))
        return false;
    if (!await(op, h, domid, TAKEN))
        return op->err.kind == WH_TIMEOUT
                   ? wh_while(&op->err, "the guest does not take the request to suspend") : false;
    wh_step(op, "wait until the guest has suspended", WH_SUSPEND_MS);
    if (!await(op, h, domid, SUSPENDED))
        return op->err.kind == WH_TIMEOUT
                   ? wh_while(&op->err, "the guest took the request to suspend and does not") : false;
    return true;
}

/* Where a vCPU waits for its QEMU, Xen shuts it down only later: that is taken back too. */
static bool run_on_unasked(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_here *h = op->world;
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, h->xen, (uint32_t)u->number, &d, &there))
        return false;
    if (there && !d.shutdown && !d.dying && !wh_xen_resume(op, h->xen, d.domid))
        return false;
    return wh_run_on(op, h, (uint32_t)u->number);
}

/* A guest without PV drivers cannot be asked, and need not: it does not see that it was stopped. */
static bool stop_unasked(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_step(op, "stop the guest, which has no PV drivers", WH_SUSPEND_MS);
    return wh_store_watch(op, h->store, "release", "@releaseDomain") &&
           wh_undo_push(op, "let the guest run on", run_on_unasked, "", domid) &&
           wh_xen_shutdown(op, h->xen, domid, WH_SUSPEND) && await(op, h, domid, SUSPENDED);
}

/* In ACPI's sleep there is nobody who would answer. */
static bool can_be_asked(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, bool *can)
{
    uint64_t callback = 1, sleep = 0;

    if (d->emulated && (!wh_xen_get_param(op, h->xen, d->domid, PARAM_CALLBACK, &callback) ||
                        !wh_xen_get_param(op, h->xen, d->domid, PARAM_SLEEP, &sleep)))
        return false;
    *can = callback != 0 && sleep == 0;
    return true;
}

bool wh_suspend(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    bool there, ok, can;
    struct wh_domain d;

    if (!wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    if (!there)
        return wh_fail(&op->err, WH_GUEST, "domain %u is gone", domid);
    if (d.shutdown)
        return wh_fail(&op->err, WH_GUEST, "domain %u has shut down already (reason %u)%s", domid,
                       (unsigned)d.reason, d.reason == WH_SUSPEND
                       ? ": it was suspended by something else; wherry recover shows it" : "");
    ok = can_be_asked(op, h, &d, &can) &&
         (can ? ask(op, h, domid) : stop_unasked(op, h, domid));
    struct wh_err err = op->err;
    bool shielded = op->shielded;
    op->shielded = true;
    if (wh_store_unwatch(op, h->store, "suspend", node, domid))
        wh_store_unwatch(op, h->store, "release", "@releaseDomain");
    op->shielded = shielded;
    op->err = err;
    return ok;
}
