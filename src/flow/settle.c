/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/settle.h"

#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/change.h"
#include "flow/domain.h"
#include "flow/emulator.h"
#include "flow/find.h"
#include "flow/handoff.h"
#include "flow/monitor.h"
#include "flow/native.h"
#include "flow/stock.h"
#include "mem/live.h"
#include "xen/suspend.h"

#define KEPT_S (7 * 24 * 3600)      /* a target's record, for a source that asks */

static const char *const receiver[] = { "wherry", "migrate-receive", NULL };

struct wh_destination wh_settle_peer(json_object *record)
{
    json_object *command = json_object_object_get(record, "command");

    return (struct wh_destination){ .host = wh_json_string(record, "host", ""),
                                    .command = json_object_get_string(command),
                                    .remote = receiver };
}

/* One that was made, and its maker killed before he had its number: there is nothing of it but its uuid. */
static bool look_for_uuid(struct wh_op *op, const struct wh_settle *s, struct wh_domain *d, bool *there)
{
    wh_auto_free struct wh_domain *all = NULL;
    char uuid[WH_UUID_TEXT];
    size_t n;

    if (!wh_find_all(op, s->here->xen, &all, &n))
        return false;
    for (size_t i = 0; i < n && !*there; i++) {
        wh_auto_free char *name = NULL;

        if (all[i].domid == 0 || !all[i].paused || all[i].cpu_ns > 0 || all[i].dying ||
            strcmp(wh_find_uuid(&all[i], uuid), wh_json_string(s->says, "uuid", "")) != 0)
            continue;
        if (!wh_find_name(op, s->here, all[i].domid, &name))
            return false;
        *there = !name;
        *d = all[i];
    }
    return true;
}

/* The record's domain, if it is still that one. */
static bool look(struct wh_op *op, const struct wh_settle *s, struct wh_domain *d, bool *there)
{
    char uuid[WH_UUID_TEXT];

    *there = false;
    if (!wh_leftover_is_current(s->says))
        return true;
    if (wh_json_number(s->says, "domid", 0) == 0)
        return look_for_uuid(op, s, d, there);
    if (!wh_xen_domain(op, s->here->xen, (uint32_t)wh_json_number(s->says, "domid", 0), d, there))
        return false;
    *there = *there && !d->dying &&
             strcmp(wh_find_uuid(d, uuid), wh_json_string(s->says, "uuid", "")) == 0;
    return true;
}

static bool call_it(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name)
{
    wh_auto_free char *now = NULL;

    return wh_find_name(op, h, d->domid, &now) &&
           ((now && strcmp(now, name) == 0) || wh_change_name(op, h, d, name));
}

static bool take_away(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    struct wh_err beside = { 0 };

    return wh_domain_take_away(op, h, domid, &beside);
}

/* ---------------------------------------------------------------------------- the source */

bool wh_settle_back(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    return (!d->hvm || wh_live_off(op, h->xen, d->domid)) && wh_emulator_tell_no_more(op, h, d) &&
           (d->shutdown || wh_emulator_run(op, h, d)) && wh_suspend_undo(op, h, d->domid, false);
}

/* A guest does not stand still over what it is called. */
bool wh_settle_call(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name,
                    bool *called)
{
    struct wh_err before = op->err;

    *called = !*name || call_it(op, h, d, name);
    if (*called || op->err.kind != WH_USAGE)
        return *called;
    op->err = before;
    return true;
}

/* Of a guest that was this host's. */
static const char *gone(const struct wh_settle *s)
{
    return wh_leftover_is_current(s->says) ? "none: there is no such domain any more"
                                           : "none: the guest died with this host: start it from its disks";
}

static bool run_here(struct wh_op *op, struct wh_settle *s, const struct wh_domain *d, bool there)
{
    s->action = there ? "the guest runs on" : gone(s);
    if (s->look_only)
        return true;
    if (strcmp(wh_json_string(s->says, "state", ""), "ours") != 0 &&
        !wh_leftover_state(op, s->record, "ours"))
        return false;
    bool called = true;
    if (there && (!wh_settle_back(op, s->here, d) ||
                  !wh_settle_call(op, s->here, d, wh_json_string(s->says, "name", ""), &called)))
        return false;
    s->action = called ? s->action : "the guest runs on, but not by its own name: another has it (wherry rename)";
    s->forget = s->done = true;
    return true;
}

static bool destroy_here(struct wh_op *op, struct wh_settle *s, const struct wh_domain *d, bool there)
{
    bool runs = there && !d->shutdown;

    s->action = runs ? "none: somebody has let it run" : there ? "the copy here is destroyed"
                : "none: the copy here is gone";
    if (s->look_only || runs)
        return true;
    if (strcmp(wh_json_string(s->says, "state", ""), "done") != 0 &&
        !wh_leftover_state(op, s->record, "done"))
        return false;
    s->forget = s->done = true;
    return there ? take_away(op, s->here, d->domid)
                 : !wh_leftover_is_current(s->says) ||
                       wh_domain_clear(op, s->here, (uint32_t)wh_json_number(s->says, "domid", 0),
                                       wh_json_string(s->says, "uuid", ""));
}

/* A target that is asked in the stock protocol has nobody who would answer; to one that was reached over
 * a caller's own link there is no way. */
static bool can_be_asked(json_object *record)
{
    return *wh_json_string(record, "host", "") &&
           !wh_json_true(record, "stock") &&
           !wh_json_true(record, "own_link");
}

static bool ask(struct wh_op *op, struct wh_settle *s, enum wh_target_state *target)
{
    struct wh_destination to = wh_settle_peer(s->says);
    struct wh_err before = op->err;
    bool ok = can_be_asked(s->says) &&
              wh_native_ask(op, &to, wh_json_string(s->says, "job", ""), target, false);

    if (op->err.kind != WH_CANCELLED)
        op->err = before;
    return ok;
}

/* The target forgets what is settled.  That it does not hear it is no failure. */
static void tell(struct wh_op *op, struct wh_settle *s)
{
    struct wh_destination to = wh_settle_peer(s->says);
    struct wh_err before = op->err;
    enum wh_target_state whatever;

    if (can_be_asked(s->says))
        wh_native_ask(op, &to, wh_json_string(s->says, "job", ""), &whatever, true);
    op->err = before;
}

/* While it cannot be known. */
static const char *what_to_do(bool answered, enum wh_target_state target, bool there)
{
    if (answered && target != WH_TARGET_UNKNOWN)
        return "none: a process there still works on it. Run wherry recover again in a moment";
    if (answered)
        return there ? "none: the guest stays suspended. Look on that host whether it runs there, by whatever "
                       "name; only if it does not: wherry recover --fenced HOST"
                     : "none: the copy here is gone. Look on that host whether the guest runs there; if not, start it "
                       "from its disks, and wherry recover --fenced HOST";
    return there ? "none: the guest stays suspended. Bring that host up, and run wherry recover again; or, if "
                   "it is off for good: wherry recover --fenced HOST"
                 : "none: the copy here is gone. Bring that host up, and run wherry recover again; or, if it is off for "
                   "good: start the guest from its disks, and wherry recover --fenced HOST";
}

static bool settle_intent(struct wh_op *op, struct wh_settle *s, const struct wh_domain *d, bool there)
{
    bool fenced = s->fenced && strcmp(s->fenced, wh_json_string(s->says, "host", "")) == 0;
    enum wh_target_state target = WH_TARGET_UNKNOWN;

    if (s->look_only && can_be_asked(s->says)) {    /* who is asked settles its side */
        s->found = "a move whose end the other host knows";
        s->action = fenced ? "that host is asked, and if it does not answer the guest runs on"
                           : "that host is asked, and the guest runs on or the copy here is destroyed";
        return true;
    }
    bool answered = ask(op, s, &target);

    if (op->err.kind == WH_CANCELLED)
        return false;
    wh_step(op, "settle a move", 120000);
    enum wh_fate fate = wh_source_fate(WH_SOURCE_INTENT, answered, target, fenced);
    s->found = fate == WH_FATE_DESTROY ? "a move that came to its end: the guest runs there"
               : fate == WH_FATE_RUN && answered && target == WH_TARGET_ABORTED
                   ? "a move that the other host has given up"
               : fate == WH_FATE_RUN ? "a move to a host that is off"
               : !answered ? "a move of which the other host does not tell how it ended"
               : target == WH_TARGET_UNKNOWN ? "a move of which the other host knows nothing"
                                             : "a move that the other host has not settled yet";
    s->action = what_to_do(answered, target, there);
    if (fate == WH_FATE_WAIT)
        return true;
    if (!(fate == WH_FATE_RUN ? run_here(op, s, d, there) : destroy_here(op, s, d, there)))
        return false;
    if (answered && s->done)
        tell(op, s);
    return true;
}

bool wh_settle_send(struct wh_op *op, struct wh_settle *s)
{
    enum wh_source_state state;
    struct wh_domain d = { 0 };
    bool there;

    s->found = "an interrupted move to another host";
    if (!wh_source_state_named(wh_json_string(s->says, "state", ""), &state)) {
        s->action = "none: its record is of another version of wherry";
        return true;
    }
    if (!look(op, s, &d, &there))
        return false;
    if (state == WH_SOURCE_INTENT)
        return settle_intent(op, s, &d, there);
    bool runs = wh_source_fate(state, false, WH_TARGET_UNKNOWN, false) == WH_FATE_RUN;
    if (!(runs ? run_here(op, s, &d, there) : destroy_here(op, s, &d, there)))
        return false;
    if (s->done && (state == WH_SOURCE_OURS || state == WH_SOURCE_DONE))
        tell(op, s);
    return true;
}

/* ---------------------------------------------------------------------------- the target */

static bool get(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_domain *d)
{
    bool there;

    return wh_xen_domain(op, h->xen, domid, d, &there) &&
           (there || wh_fail(&op->err, WH_GUEST, "domain %u is gone", domid));
}

bool wh_settle_run(struct wh_op *op, struct wh_here *h, uint32_t domid, json_object *record)
{
    struct wh_domain d;

    if (!get(op, h, domid, &d))
        return false;
    return !d.paused || d.cpu_ns > 0 || wh_json_true(record, "paused") ||
           (wh_emulator_run(op, h, &d) && wh_xen_unpause(op, h->xen, domid));
}

/* It may have got another name since, by an operator, or be on its way from here. */
static bool is_as_it_came(const char *name, const char *own)
{
    size_t n = name ? strlen(name) : 0, suffix = strlen(WH_STOCK_INCOMING);

    return !name ||
           (n > suffix && strcmp(name + n - suffix, WH_STOCK_INCOMING) == 0 && strcmp(name, own) != 0);
}

bool wh_settle_name(struct wh_op *op, struct wh_here *h, uint32_t domid, json_object *record)
{
    const char *own = wh_json_string(record, "name", "");
    wh_auto_free char *name = NULL;
    struct wh_domain d;

    if (!get(op, h, domid, &d) || !wh_find_name(op, h, domid, &name))
        return false;
    bool called = !*own || !is_as_it_came(name, own) || wh_change_name(op, h, &d, own);
    struct wh_err why = op->err;
    op->err = (struct wh_err){ 0 };
    /* Whatever it is called. */
    bool watched = wh_json_true(record, "alone") || wh_monitor_watches(h, domid) ||
                   wh_monitor_start(op, h, domid);
    if (!called)
        op->err = why;
    return called && watched;
}

static bool give_up(struct wh_op *op, struct wh_settle *s, const struct wh_domain *d, bool there)
{
    bool ran = there && (!d->paused || d->cpu_ns > 0);
    bool never = strcmp(wh_json_string(s->says, "state", ""), "receiving") == 0;

    if (ran && strcmp(wh_json_string(s->says, "state", ""), "ready") == 0) {
        /* All of it was there, and it may have written to its disks: the source's copy is the old one. */
        s->action = "it is this host's guest: somebody has let it run";
        s->done = !s->look_only;
        return s->look_only || wh_leftover_state(op, s->record, "committed");
    }
    s->action = ran ? "none: somebody has let the domain run"
                : there ? "the unfinished domain is destroyed" : "none: there is no such domain any more";
    if (s->look_only || ran)
        return true;
    if (strcmp(wh_json_string(s->says, "state", ""), "aborted") != 0 &&
        !wh_leftover_state(op, s->record, "aborted"))
        return false;
    s->done = true;
    s->forget = never;          /* it was never said to be ready: no source waits to hear of it */
    return there ? take_away(op, s->here, d->domid)
                 : !wh_leftover_is_current(s->says) ||
                       wh_domain_clear(op, s->here, (uint32_t)wh_json_number(s->says, "domid", 0),
                                       wh_json_string(s->says, "uuid", ""));
}

static bool let_run(struct wh_op *op, struct wh_settle *s, const struct wh_domain *d, bool there)
{
    wh_auto_free char *name = NULL;

    s->found = "a guest that has arrived";
    if (!there) {
        s->action = wh_leftover_is_current(s->says) ? NULL : gone(s);
        return true;
    }
    if (!wh_find_name(op, s->here, d->domid, &name))
        return false;
    bool waits = d->paused && d->cpu_ns == 0 && !wh_json_true(s->says, "paused");
    bool watched = d->shutdown || wh_json_true(s->says, "alone") || wh_monitor_watches(s->here, d->domid);
    s->action = waits ? "the guest is let run"
                : is_as_it_came(name, wh_json_string(s->says, "name", "")) ? "the guest gets its name"
                : watched ? NULL : "the guest is watched over";
    if (!s->action || s->look_only)
        return true;
    s->done = true;
    return wh_settle_run(op, s->here, d->domid, s->says) &&
           wh_settle_name(op, s->here, d->domid, s->says);
}

static bool is_old(json_object *record)
{
    uint64_t when = wh_json_number(record, "time", 0), now = (uint64_t)time(NULL);

    return now > when && now - when > KEPT_S;
}

bool wh_settle_receive(struct wh_op *op, struct wh_settle *s)
{
    enum wh_target_state state;
    struct wh_domain d = { 0 };
    bool there, ok;

    s->found = "an interrupted arrival";
    if (!wh_target_state_named(wh_json_string(s->says, "state", ""), &state)) {
        s->action = "none: its record is of another version of wherry";
        return true;
    }
    if (!look(op, s, &d, &there))
        return false;
    if (wh_target_fate(state) == WH_FATE_RUN)
        ok = let_run(op, s, &d, there);
    else
        ok = give_up(op, s, &d, there);
    if (state == WH_TARGET_ABORTED && !there)
        s->action = NULL;       /* it was settled before, and is kept for one who asks */
    /* What runs here is told of to a source that comes back however late. */
    if ((state == WH_TARGET_ABORTED || (state == WH_TARGET_COMMITTED && !there)) && is_old(s->says))
        s->forget = !s->look_only;
    return ok;
}
