/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shut down and reboot, which the guest is asked for:
 *
 *     we      control/shutdown = "poweroff"            ASKED
 *     guest   control/shutdown = ""                    TAKEN   it is shutting down now
 *     Xen     the domain has shut down                 OVER    its monitor destroys or restarts it
 *     Xen     the domain is gone                       GONE
 *
 * A guest without PV drivers can be sent an ACPI event instead (SENT), which no guest acknowledges and
 * nobody can take back.
 *
 * A request that is not taken is withdrawn, so that the guest does not obey it at a time when
 * nobody expects it any more. */
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/change.h"
#include "flow/find.h"
#include "flow/task.h"

#define TAKE_MS 60000           /* as long as stock toolstacks give the guest */
#define PARAM_CALLBACK_IRQ 0    /* not 0: the HVM guest has PV drivers */

enum stage { NOT_ASKED, ASKED, TAKEN, SENT, OVER, GONE };

struct guest {
    struct wh_domain d;         /* as it was when it was found */
    char *name;
    enum stage stage;
    bool watched;
    bool button;                /* it is asked by an ACPI event */
    const char *reason;         /* of OVER */
    const char *why;            /* it was not asked, or did not take it */
};

struct power {
    struct wh_task task;
    struct wh_power how;
    struct guest *guest;
    size_t n;
};

static const char *word(const struct power *p)
{
    return p->how.reboot ? "reboot" : "poweroff";
}

/* -------------------------------------------------------------------------- whom to ask */

static bool has_drivers(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, bool *has)
{
    uint64_t irq = 1;

    if (d->emulated && !wh_xen_get_param(op, h->xen, d->domid, PARAM_CALLBACK_IRQ, &irq))
        return false;
    *has = irq != 0;
    return true;
}

/* Why this guest cannot be asked, or NULL. */
static bool obstacle(struct wh_op *op, struct power *p, struct guest *g)
{
    bool drivers;

    if (!has_drivers(op, p->task.here, &g->d, &drivers))
        return false;
    if (g->d.domid == 0)
        g->why = "is this host itself: use shutdown(8)";
    else if (g->d.dying)
        g->why = "is going away already";
    else if (g->d.shutdown)
        g->why = "has shut down already";
    else if (g->d.paused)
        g->why = "is paused and cannot answer: unpause it first";
    else if (!drivers && p->how.reboot)
        g->why = "has no PV drivers to be asked through, and Xen has no ACPI event for a reboot";
    else if (!drivers && !p->how.acpi)
        g->why = "has no PV drivers to be asked through (-F sends an ACPI event)";
    g->button = !drivers;
    return true;
}

static bool gather(struct wh_op *op, struct power *p)
{
    const char *who = wh_task_who(&p->task);
    wh_auto_free struct wh_domain *d = NULL;
    size_t n;

    if (!wh_find_these(op, p->task.here, who, &d, &n))
        return false;
    p->guest = calloc(n, sizeof *p->guest);
    if (!p->guest)
        return wh_fail(&op->err, WH_SYSTEM, "no memory for %zu domains", n);
    for (size_t i = 0; i < n; i++) {
        if (!who && (d[i].domid == 0 || d[i].dying || d[i].shutdown))
            continue;
        struct guest *g = &p->guest[p->n++];
        g->d = d[i];
        if (!wh_find_name(op, p->task.here, g->d.domid, &g->name) || !obstacle(op, p, g))
            return false;
    }
    return true;
}

/* --------------------------------------------------------------------------- the request */

struct exchange {
    const char *from, *to;      /* from NULL: whatever it was */
    bool done;
};

/* If control/shutdown has the one value it gets the other. */
static bool exchange(struct wh_op *op, struct wh_here *h, uint32_t tx, const struct wh_domain *d,
                     void *arg)
{
    struct exchange *x = arg;
    wh_auto_free char *now = NULL;

    if (!wh_store_read(op, h->store, tx, &now, "/local/domain/%u/control/shutdown", d->domid))
        return false;
    x->done = !x->from || (now && strcmp(now, x->from) == 0);
    return !x->done ||
           wh_store_write(op, h->store, tx, x->to, "/local/domain/%u/control/shutdown", d->domid);
}

/* Those that have not taken it are asked no more; one that takes it at the last moment counts. */
static bool withdraw(struct wh_op *op, struct power *p)
{
    bool there;

    for (size_t i = 0; i < p->n; i++) {
        struct guest *g = &p->guest[i];
        struct exchange x = { .from = word(p), .to = "" };

        if (g->stage != ASKED)
            continue;
        if (!wh_change(op, p->task.here, &g->d, exchange, &x, &there))
            return false;
        g->stage = !there ? GONE : x.done ? NOT_ASKED : TAKEN;
        if (g->stage == NOT_ASKED)
            g->why = "did not take the request within its time";
    }
    return true;
}

static bool withdraw_all(struct wh_op *op, const struct wh_undo *u)
{
    (void)u;
    return withdraw(op, (struct power *)op);        /* the op is the task's first member */
}

static bool ask_one(struct wh_op *op, struct power *p, struct guest *g)
{
    struct exchange x = { .to = word(p) };
    bool there;

    if (!wh_store_watch(op, p->task.here->store, "asked", "/local/domain/%u/control/shutdown",
                        g->d.domid))
        return false;
    g->watched = true;
    g->stage = ASKED;                       /* before: a write whose answer is lost is taken back */
    if (!wh_change(op, p->task.here, &g->d, exchange, &x, &there))
        return false;
    if (!there)
        g->stage = GONE;
    return true;
}

static bool press_button(struct wh_op *op, struct power *p, struct guest *g)
{
    g->stage = SENT;                        /* before: it may be though its answer is lost */
    return wh_xen_power_button(op, p->task.here->xen, g->d.domid);
}

static bool ask(struct wh_op *op, struct power *p)
{
    if (!wh_undo_push(op, "withdraw the request", withdraw_all, "", 0))
        return false;
    for (size_t i = 0; i < p->n; i++) {
        struct guest *g = &p->guest[i];

        if (!g->why && !(g->button ? press_button : ask_one)(op, p, g))
            return wh_while(&op->err, "ask domain %u", g->d.domid);
    }
    return true;
}

/* ------------------------------------------------------------------------------ waiting */

/* A guest that is suspended, for a moment, by somebody who saves it, is not over. */
static bool look(struct wh_op *op, struct power *p, struct guest *g)
{
    wh_auto_free char *now = NULL;
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, p->task.here->xen, g->d.domid, &d, &there))
        return false;
    if (!there || d.dying || memcmp(d.uuid, g->d.uuid, sizeof d.uuid) != 0) {
        g->stage = GONE;
    } else if (d.shutdown && d.reason != WH_SUSPEND) {
        g->stage = OVER;
        g->reason = wh_find_reason(&d);
    } else if (g->stage == ASKED) {
        if (!wh_store_read(op, p->task.here->store, 0, &now, "/local/domain/%u/control/shutdown",
                           g->d.domid))
            return false;
        g->stage = now && strcmp(now, word(p)) == 0 ? ASKED : TAKEN;
    }
    return true;
}

/* Until no guest that was asked is at an earlier stage. */
static bool wait_for(struct wh_op *op, struct power *p, enum stage stage)
{
    struct wh_store_event e;
    size_t before;

    for (;;) {
        before = 0;
        for (size_t i = 0; i < p->n; i++) {
            struct guest *g = &p->guest[i];

            if (g->stage != NOT_ASKED && g->stage < stage && !look(op, p, g))
                return false;
            before += g->stage != NOT_ASKED && g->stage < stage;
        }
        if (before == 0)
            return true;
        if (!wh_store_event(op, p->task.here->store, &e))
            return false;
    }
}

/* Time running out is no failure of the operation yet: others may have taken it. */
static bool wait_taken(struct wh_op *op, struct power *p)
{
    wh_step(op, "wait for the guest to take the request", TAKE_MS);
    if (wait_for(op, p, TAKEN))
        return true;
    if (op->err.kind != WH_TIMEOUT)
        return false;
    op->err = (struct wh_err){ .kind = WH_OK };
    wh_step(op, "withdraw the request", WH_STORE_MS);
    return withdraw(op, p);
}

static bool wait_over(struct wh_op *op, struct power *p)
{
    wh_step(op, "wait for the guest to shut down", WH_FOREVER);
    return p->how.wait == 0 || wait_for(op, p, p->how.wait == 1 ? OVER : GONE);
}

/* A failed operation leaves its watches to the connection's end. */
static bool unwatch(struct wh_op *op, struct power *p)
{
    struct wh_store *st = p->task.here->store;

    wh_step(op, "end the watches", WH_STORE_MS);
    for (size_t i = 0; i < p->n; i++) {
        if (p->guest[i].watched && !wh_store_unwatch(op, st, "asked",
                                                     "/local/domain/%u/control/shutdown",
                                                     p->guest[i].d.domid))
            return false;
    }
    return wh_store_unwatch(op, st, "gone", "@releaseDomain");
}

/* ---------------------------------------------------------------------------- the answer */

static void tell(struct power *p)
{
    static const char *const words[] = { "not asked", "asked", "taken", "sent", "shutdown",
                                         "gone" };

    p->task.result = json_object_new_array();
    for (size_t i = 0; i < p->n; i++) {
        const struct guest *g = &p->guest[i];
        json_object *o = wh_find_json(&g->d, g->name);

        json_object_array_add(p->task.result, o);
        json_object_object_add(o, "stage", json_object_new_string(words[g->stage]));
        json_object_object_add(o, "shutdown_reason", wh_json_text(g->reason));
        json_object_object_add(o, "error", wh_json_text(g->why));
    }
}

static bool verdict(struct wh_op *op, const struct power *p)
{
    const struct guest *first = NULL;
    size_t failed = 0;

    for (size_t i = 0; i < p->n; i++) {
        failed += p->guest[i].why != NULL;
        if (p->guest[i].why && !first)
            first = &p->guest[i];
    }
    if (!first)
        return true;
    wh_fail(&op->err, WH_GUEST, "domain %u (%s) %s", first->d.domid,
            first->name ? first->name : "no name", first->why);
    return p->n == 1 || wh_while(&op->err, "%zu of %zu domains", failed, p->n);
}

static bool power(struct wh_op *op, struct wh_task *t)
{
    struct power *p = (struct power *)t;

    wh_step(op, "ask the guest to shut down", WH_STORE_MS);
    if (!gather(op, p) || !wh_store_watch(op, t->here->store, "gone", "@releaseDomain"))
        return false;
    bool ok = ask(op, p) && wait_taken(op, p);
    if (ok) {
        wh_undo_forget(op);             /* what a guest has taken cannot be taken back */
        ok = wait_over(op, p) && unwatch(op, p);
    }
    tell(p);
    return ok && verdict(op, p);
}

static void drop(struct wh_task *t)
{
    struct power *p = (struct power *)t;

    for (size_t i = 0; i < p->n; i++)
        free(p->guest[i].name);
    free(p->guest);
}

struct wh_job *wh_power_new(const char *domain, const struct wh_power *how)
{
    struct power *p = wh_task_make(sizeof *p, domain, power);

    if (!p)
        return NULL;
    p->task.drop = drop;
    p->how = *how;
    return &p->task.job;
}
