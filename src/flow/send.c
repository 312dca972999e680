/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Send: a running guest moves to another host.
 *
 *     running     found; the other host reached, asked whether it can take it; copied round by round
 *     suspended   the rest is copied; the other host has all of it, and says so
 *                 ---- until here every failure lets it run on here ----
 *     either      the other host is told to run it, and does, or tells that it did not
 *     there       the copy here is destroyed
 *
 * docs/handoff.md is the specification of the end; flow/stock.h of xl's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "config/config.h"
#include "flow/change.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/native.h"
#include "flow/outgoing.h"
#include "flow/preflight.h"
#include "flow/settle.h"
#include "flow/stock.h"
#include "flow/task.h"
#include "xen/suspend.h"

#define CHECKS_MS 120000
#define NO_SUCH_COMMAND 127     /* the shell there says so */
#define READY_MS 240000         /* its devices, QEMU among them */
#define RUNNING_MS 90000        /* longer than it waits for the commit, and so to hear of that */
#define ASK_MS 60000            /* to be told how it ended, when the link is lost behind commit */
#define ASK_EACH_MS 2000
#define STOCK_SILENCE_MS 180000

struct sending {
    struct wh_task task;
    struct wh_send_how how;
    char *host, *command, *config, *name, *force;       /* the caller's, copied */

    struct wh_outgoing guest;
    struct wh_dialled link;
    struct wh_parcel wire;
    struct wh_leftover record;
    char job[WH_UUID_TEXT];
    enum wh_source_state state;
    json_object *checks;
    bool found, elides, prepares, marks;        /* the last three: what the other end can */
    int64_t begun_ns, suspended_ns, sent_ns, ready_ns, running_ns;
};

static struct wh_destination destination(const struct sending *s)
{
    static const char *const native[] = { "wherry", "migrate-receive", NULL };
    static const char *const stock[] = { "xl", "migrate-receive", NULL, NULL, NULL };
    static const char *const stock_p[] = { "xl", "migrate-receive", "-p", NULL };
    static const char *const stock_e[] = { "xl", "migrate-receive", "-e", NULL };
    static const char *const stock_ep[] = { "xl", "migrate-receive", "-e", "-p", NULL };
    const char *const *remote = native;

    if (s->how.protocol == WH_PROTOCOL_STOCK)
        remote = s->how.no_monitor ? (s->how.paused ? stock_ep : stock_e)
                                   : s->how.paused ? stock_p : stock;
    return (struct wh_destination){ .host = s->host, .command = s->command, .remote = remote };
}

/* -------------------------------------------------------------------------------- telling */

static void event(struct sending *s, json_object *o)
{
    json_object_object_add(o, "job", json_object_new_string(s->job));
    wh_job_tell(&s->task.job, json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    json_object_put(o);
}

static json_object *event_of(const char *what)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "event", json_object_new_string(what));
    return o;
}

static void number(json_object *o, const char *key, uint64_t n)
{
    json_object_object_add(o, key, json_object_new_uint64(n));
}

static void each_round(void *arg, const struct wh_live_round *was, const struct wh_round *now,
                       enum wh_next next, const char *why)
{
    struct sending *s = arg;
    json_object *o = event_of("round");

    number(o, "round", was->number);
    number(o, "pages", was->pages);
    number(o, "zero_pages", was->zeros);
    number(o, "deferred_pages", was->owed);
    number(o, "ms", was->ms);
    number(o, "left_pages", now->left);
    number(o, "bytes_per_second", now->rate);
    number(o, "dirty_pages_per_second", now->dirty_rate);
    number(o, "expected_downtime_ms", wh_policy_pause_ms(now));
    number(o, "link_bytes", s->wire.sent);
    json_object_object_add(o, "next", json_object_new_string(next == WH_GO_ON ? "round"
                                                             : next == WH_GIVE_UP ? "give up"
                                                             : "suspend"));
    if (*why)
        json_object_object_add(o, "why", json_object_new_string(why));
    event(s, o);
}

/* A state of the handoff: on disk before what it permits is done. */
static bool enter(struct wh_op *op, struct sending *s, enum wh_source_state next)
{
    if (!wh_source_may(s->state, next) ||
        !wh_leftover_state(op, &s->record, wh_source_state_name(next)))
        return op->err.kind != WH_OK ? false
               : wh_fail(&op->err, WH_SYSTEM, "a move cannot go from %s to %s",
                         wh_source_state_name(s->state), wh_source_state_name(next));
    s->state = next;
    json_object *o = event_of("state");
    json_object_object_add(o, "state", json_object_new_string(wh_source_state_name(next)));
    event(s, o);
    return true;
}

/* -------------------------------------------------------------------------------- running */

/* What it is called here while it is handed over: an earlier move that is in doubt has left one so. */
static bool away_is_free(struct wh_op *op, struct sending *s)
{
    wh_auto_free char *name = NULL;
    uint32_t other;
    size_t count;

    if (asprintf(&name, "%s" WH_STOCK_AWAY, s->guest.name) < 0)
        return wh_fail_sys(&op->err, ENOMEM, "send");
    return wh_find_named(op, s->task.here, 0, name, &other, &count) &&
           (count == 0 || wh_fail(&op->err, WH_USAGE, "domain %u is called '%s', as this one is while it is "
                                  "handed over: wherry recover, if an earlier move left it", other, name));
}

static bool find(struct wh_op *op, struct sending *s)
{
    if (!wh_outgoing_find(op, &s->guest, wh_task_who(&s->task), s->config) ||
        !wh_leftover_free(op, s->task.here, &s->guest.d, WH_TO_COPY, NULL))
        return false;
    if (!s->guest.name)
        return wh_fail(&op->err, WH_USAGE, "domain %u has no name", s->guest.d.domid);
    if (strlen(s->guest.name) + sizeof WH_STOCK_AWAY - 1 > WH_CONFIG_NAME)
        return wh_fail(&op->err, WH_USAGE, "domain %u: a guest that moves has a name of at most %zu bytes",
                       s->guest.d.domid, WH_CONFIG_NAME - (sizeof WH_STOCK_AWAY - 1));
    return away_is_free(op, s);
}

static bool reach(struct wh_op *op, struct sending *s)
{
    struct wh_destination to = destination(s);
    if (s->how.own_link)
        wh_dial_own(&s->link, s->how.in, s->how.out, s->host);
    if (wh_native_reach(op, &to, &s->link, &s->wire))
        return true;
    if (s->how.protocol != WH_PROTOCOL_AUTO || s->how.own_link || op->err.kind != WH_PEER)
        return false;
    if (wh_native_leave(op, &s->link, &s->wire, true) != NO_SUCH_COMMAND)
        return false;
    op->err = (struct wh_err){ 0 };
    event(s, event_of("no wherry there"));
    s->how.protocol = WH_PROTOCOL_STOCK;
    to = destination(s);
    return wh_native_reach(op, &to, &s->link, &s->wire);
}

/* The offer, and what the other host finds of it. */
static bool agree(struct wh_op *op, struct sending *s)
{
    json_object *hello = wh_native_message("hello", s->job), *facts = NULL;
    wh_auto_json json_object *theirs = NULL;

    wh_native_introduce(hello);
    json_object_object_add(hello, "purpose",
                           json_object_new_string(s->how.look_only ? "look" : "move"));
    json_object_object_add(hello, "name", wh_json_text(s->name ? s->name : s->guest.name));
    json_object_object_add(hello, "paused", json_object_new_boolean(s->how.paused));
    json_object_object_add(hello, "alone", json_object_new_boolean(s->how.no_monitor));
    if (!wh_preflight_facts(op, s->task.here, &s->guest.d, s->guest.json, &facts)) {
        json_object_put(hello);
        return false;
    }
    json_object_object_add(facts, "name", wh_json_text(s->name ? s->name : s->guest.name));
    json_object_object_add(hello, "facts", facts);
    wh_step(op, "ask whether the guest can go there", CHECKS_MS);
    if (!wh_parcel_say(op, &s->wire, hello) ||
        !wh_native_await(op, &s->wire, "hello", s->job, &theirs) ||
        !wh_native_agrees(op, &s->wire, theirs))
        return false;
    s->elides = wh_native_can(theirs, "zeros");
    s->prepares = wh_native_can(theirs, "prepares");
    s->marks = wh_native_can(theirs, "marks");
    s->checks = json_object_get(json_object_object_get(theirs, "checks"));
    return !s->how.debug || wh_native_can(theirs, "verify") ||
           wh_fail(&op->err, WH_PEER, "the wherry of %s is too old to compare what is sent again", s->link.what);
}

static bool check(struct wh_op *op, struct sending *s)
{
    const char *forced[] = { s->force };

    if (s->how.protocol == WH_PROTOCOL_STOCK)       /* whose target is not asked */
        s->checks = json_object_new_array();
    if (!json_object_is_type(s->checks, json_type_array) ||
        (s->how.protocol != WH_PROTOCOL_STOCK && json_object_array_length(s->checks) == 0))
        return wh_fail(&op->err, WH_PEER, "%s: its answer is no list of checks", s->link.what);
    if (!wh_preflight_source(op, s->task.here, &s->guest.d, s->guest.json, s->checks))
        return false;
    bool ok = wh_preflight_passed(op, s->checks, forced, s->force ? 1 : 0);
    json_object *o = event_of("checks");
    json_object_object_add(o, "checks", json_object_get(s->checks));
    event(s, o);
    return ok;
}

/* A stock receiver is told nothing and asked nothing. */
static bool open_link(struct wh_op *op, struct sending *s)
{
    if (s->how.protocol == WH_PROTOCOL_STOCK && s->how.look_only)
        return check(op, s);
    if (!reach(op, s))
        return false;
    s->wire.raw = s->how.protocol == WH_PROTOCOL_STOCK;
    s->wire.limit = s->how.bandwidth;
    s->wire.packing = s->how.packing < 0 ? WH_PACK_NEVER
                      : s->how.packing > 0 ? WH_PACK_ALWAYS : WH_PACK_AUTO;
    s->wire.level = s->how.packing > 0 ? s->how.packing : 1;
    if (s->wire.raw)
        s->wire.silence_ms = s->wire.stall_ms = STOCK_SILENCE_MS;
    return (s->wire.raw || agree(op, s)) && check(op, s);
}

static bool open_record(struct wh_op *op, struct sending *s)
{
    json_object *more = json_object_new_object();

    json_object_object_add(more, "name", wh_json_text(s->guest.name));
    json_object_object_add(more, "host", wh_json_text(s->host));
    json_object_object_add(more, "own_link", json_object_new_boolean(s->how.own_link));
    if (s->command)
        json_object_object_add(more, "command", wh_json_text(s->command));
    json_object_object_add(more, "stock", json_object_new_boolean(s->wire.raw));
    s->state = WH_SOURCE_COPYING;
    return wh_leftover_move(op, s->task.here, &s->record, "send", s->job,
                            wh_source_state_name(s->state), &s->guest.d, more);
}

/* Its devices there are connected while it runs here, as far as they can be; the rest is reckoned with. */
static bool await_prepared(struct wh_op *op, struct sending *s)
{
    wh_auto_json json_object *o = NULL;

    if (!s->prepares)
        return true;
    wh_step(op, "wait until the other host is prepared", READY_MS);
    if (!wh_sink_flush(op, &s->guest.sink) ||
        !wh_native_await(op, &s->wire, "prepared", s->job, &o))
        return false;
    uint64_t rest = wh_json_number(o, "rest_ms", 0);
    s->guest.elsewhere_ms = rest < READY_MS ? rest : READY_MS;
    return true;
}

static bool copy_running(struct wh_op *op, struct sending *s)
{
    s->begun_ns = wh_now_ns();
    wh_step(op, "write what never changes", WH_FOREVER);
    if (!wh_parcel_sink(op, &s->wire, &s->guest.sink) || !wh_outgoing_begin(op, &s->guest))
        return false;
    s->guest.save.elide_zeros = s->elides;
    s->guest.save.again = s->how.debug ? &s->guest.again : NULL;
    s->guest.live.told = each_round;
    s->guest.live.arg = s;
    if (!await_prepared(op, s))
        return false;
    s->wire.marks = s->marks;
    return wh_outgoing_rounds(op, &s->guest, &s->how.rounds);
}

/* ------------------------------------------------------------------------------ suspended */

static bool copy_suspended(struct wh_op *op, struct sending *s)
{
    if (!enter(op, s, WH_SOURCE_SUSPENDED) || !wh_outgoing_stop(op, &s->guest))
        return false;
    s->suspended_ns = wh_now_ns();
    if (!s->wire.raw)
        s->wire.stall_ms = WH_SILENCE_MS;       /* to be alive is no reason for it to stand still */
    if (!wh_outgoing_rest(op, &s->guest) || !wh_outgoing_end(op, &s->guest) ||
        !wh_sink_end(op, &s->guest.sink))
        return false;
    s->sent_ns = wh_now_ns();
    return enter(op, s, WH_SOURCE_SENT);
}

static bool await_ready(struct wh_op *op, struct sending *s)
{
    json_object *o = NULL;

    wh_step(op, "wait until the other host has all of it", READY_MS);
    bool ok = s->wire.raw ? wh_stock_await(op, &s->wire, WH_STOCK_READY)
                          : wh_native_await(op, &s->wire, "ready", s->job, &o);
    json_object_put(o);
    s->ready_ns = wh_now_ns();
    return ok;
}

/* ----------------------------------------------------------------------------- handing over */

static bool away(struct wh_op *op, struct sending *s)
{
    wh_auto_free char *name = NULL;

    if (asprintf(&name, "%s" WH_STOCK_AWAY, s->guest.name) < 0)
        return wh_fail_sys(&op->err, ENOMEM, "send");
    return wh_change_name(op, s->task.here, &s->guest.d, name);
}

static bool undo_away(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_here *h = op->world;
    struct wh_domain d;
    bool there;

    return wh_xen_domain(op, h->xen, (uint32_t)u->number, &d, &there) &&
           (!there || wh_change_name(op, h, &d, u->text));
}

/* From here this host does not run it, unless the other is known not to. */
static bool commit(struct wh_op *op, struct sending *s)
{
    if (!wh_go_on(op) || !wh_outgoing_still(op, &s->guest) ||
        !wh_undo_push(op, "give it its name back", undo_away, s->guest.name, s->guest.d.domid) ||
        !away(op, s))
        return false;
    wh_step(op, "hand it over", RUNNING_MS);
    op->shielded = true;
    if (!enter(op, s, WH_SOURCE_INTENT)) {
        op->shielded = false;
        return false;
    }
    wh_undo_forget(op);
    s->record.committed = true;
    return true;
}

enum end { RUNS_THERE, NOT_TAKEN, UNKNOWN };

static enum end ask_native(struct wh_op *op, struct sending *s)
{
    wh_auto_json json_object *o = NULL;
    enum wh_target_state target = WH_TARGET_UNKNOWN;
    const char *type;

    /* One who has given up has said so before he hung up. */
    if (!wh_native_say(op, &s->wire, "commit", s->job))
        op->err = (struct wh_err){ 0 };
    if (!wh_parcel_hear(op, &s->wire, &o, &type))
        return UNKNOWN;
    if (strcmp(wh_json_string(o, "job", ""), s->job) != 0)
        return UNKNOWN;
    if (strcmp(type, "running") == 0)
        return RUNS_THERE;
    if (strcmp(type, "answer") == 0)
        wh_target_state_named(wh_json_string(o, "state", ""), &target);
    if (target == WH_TARGET_ABORTED)
        wh_fail(&op->err, WH_PEER, "%s: %.600s", s->link.what, wh_json_string(o, "text", "it was given up"));
    return target == WH_TARGET_COMMITTED ? RUNS_THERE : target == WH_TARGET_ABORTED ? NOT_TAKEN : UNKNOWN;
}

static enum end ask_stock(struct wh_op *op, struct sending *s)
{
    uint8_t status;

    if (!wh_stock_say(op, &s->wire, WH_STOCK_GO) || !wh_stock_await(op, &s->wire, WH_STOCK_REPORT) ||
        !wh_parcel_raw_read(op, &s->wire, &status, 1))
        return UNKNOWN;
    if (status == 0)
        return RUNS_THERE;
    return wh_stock_await(op, &s->wire, WH_STOCK_GO) ? NOT_TAKEN : UNKNOWN;
}

/* The link is lost: over new ones, for a while. */
static enum end ask_again(struct wh_op *op, struct sending *s)
{
    struct wh_destination to = destination(s);
    int64_t until = wh_now_ns() + (int64_t)ASK_MS * 1000000 / wh_op_hurry;
    struct wh_err why = op->err;
    enum wh_target_state target;
    enum end end = UNKNOWN;

    wh_native_leave(op, &s->link, &s->wire, true);
    while (end == UNKNOWN && wh_now_ns() < until && !s->wire.raw && !s->how.own_link) {
        op->err = (struct wh_err){ 0 };
        if (wh_native_ask(op, &to, s->job, &target, false))
            end = target == WH_TARGET_COMMITTED ? RUNS_THERE
                  : target == WH_TARGET_ABORTED ? NOT_TAKEN : UNKNOWN;
        op->err = (struct wh_err){ 0 };
        wh_step(op, "ask the other host how it ended", ASK_MS);
        if (end == UNKNOWN && !wh_nap(op, ASK_EACH_MS / wh_op_hurry))
            break;
    }
    op->err = end == RUNS_THERE ? (struct wh_err){ 0 } : why;
    return end;
}

/* The target need not keep it in mind any more: what became of it is on disk here.  Over a new link
 * where that is lost which it came by.  Whether it was said. */
static bool say_goodbye(struct wh_op *op, struct sending *s)
{
    struct wh_destination to = destination(s);
    struct wh_err before = op->err;
    enum wh_target_state whatever;
    bool said = true;

    op->err = (struct wh_err){ 0 };
    wh_step(op, "say goodbye", 5000);
    if (!s->wire.raw && s->wire.parts)
        said = wh_native_say(op, &s->wire, "bye", s->job);
    else if (!s->wire.raw && !s->how.own_link)
        said = wh_native_ask(op, &to, s->job, &whatever, true);
    op->err = before;
    return said;
}

/* Why the target has not taken it, and that it is here. */
static bool come_back(struct wh_op *op, struct sending *s)
{
    struct wh_err why = op->err;
    struct wh_domain d;
    bool there = false, called = false;

    op->err = (struct wh_err){ 0 };
    wh_outgoing_let_go(&s->guest);
    wh_step(op, "let the guest run on", 60000);
    bool ok = enter(op, s, WH_SOURCE_OURS) &&
              wh_xen_domain(op, s->task.here->xen, s->guest.d.domid, &d, &there) &&
              (there || wh_fail(&op->err, WH_GUEST, "domain %u is gone", s->guest.d.domid)) &&
              wh_settle_back(op, s->task.here, &d);
    if (!ok)
        return wh_while(&op->err, "%s has not taken the guest, and it does not run here either: wherry "
                        "recover lets it", s->link.what);
    ok = wh_settle_call(op, s->task.here, &d, s->guest.name, &called);
    say_goodbye(op, s);
    ok = ok && wh_leftover_done(op, &s->record);
    op->err = ok ? why : op->err;
    if (op->err.kind == WH_OK)
        wh_fail(&op->err, WH_PEER, "%s has not taken the guest", s->link.what);
    else
        wh_while(&op->err, "%s has not taken the guest", s->link.what);
    if (ok && !called)
        wh_while(&op->err, "it is called %s" WH_STOCK_AWAY " still, for another has its name (wherry rename)",
                 s->guest.name);
    wh_outgoing_say_where(op, &s->guest, "it was not moved");
    return false;
}

static bool doubt(struct wh_op *op, struct sending *s)
{
    if (op->err.kind == WH_OK)
        wh_fail(&op->err, WH_PEER, "%s did not say whether it runs the guest", s->link.what);
    if (s->wire.raw)
        return wh_while(&op->err, "the guest may run on %s, and stays suspended here as %s" WH_STOCK_AWAY
                        ". Look there (xl list): if %s runs, wherry destroy %s" WH_STOCK_AWAY " here; if "
                        "there is none, or only %s" WH_STOCK_INCOMING ", which is to be destroyed first, "
                        "wherry recover --fenced %s", s->host, s->guest.name, s->guest.name, s->guest.name,
                        s->guest.name, s->host);
    if (s->how.own_link)
        return wh_while(&op->err, "the guest may run on %s, which cannot be asked again, and stays suspended "
                        "here. Look there: if it runs, wherry destroy %s" WH_STOCK_AWAY " here; if it does "
                        "not, and wherry recover there has nothing to do, wherry recover --fenced %s",
                        s->host, s->guest.name, s->host);
    return wh_while(&op->err, "the guest may run on %s, and stays suspended here: wherry recover asks that "
                    "host when it can be reached again", s->host);
}

static bool runs_there(struct wh_op *op, struct sending *s)
{
    return wh_while(&op->err, "the guest runs on %s; of its copy here something is left, which wherry "
                    "recover takes away", s->host);
}

static bool settle(struct wh_op *op, struct sending *s)
{
    wh_step(op, "wait until it runs there", RUNNING_MS);
    enum end end = s->wire.raw ? ask_stock(op, s) : ask_native(op, s);

    if (end == UNKNOWN)
        end = ask_again(op, s);
    s->running_ns = wh_now_ns();
    if (end == NOT_TAKEN)
        return come_back(op, s);
    if (end == UNKNOWN)
        return doubt(op, s);
    if (!enter(op, s, WH_SOURCE_DONE))
        return runs_there(op, s);
    bool said = say_goodbye(op, s);     /* destroying may take longer than anybody waits for that */
    wh_outgoing_let_go(&s->guest);      /* until here nobody else lets its devices go on */
    wh_step(op, "destroy the copy here", 120000);
    return (wh_domain_destroy(op, s->task.here, s->guest.d.domid) &&
            (!said || wh_leftover_done(op, &s->record))) || runs_there(op, s);
}

/* ---------------------------------------------------------------------------------- telling */

static uint64_t ms(int64_t from, int64_t until)
{
    return until > from ? (uint64_t)(until - from) / 1000000 : 0;
}

/* By its record: what cannot be known is not said to be here. */
static const char *where(const struct sending *s)
{
    return s->state == WH_SOURCE_DONE ? "moved" : s->state == WH_SOURCE_INTENT ? "unknown" : "here";
}

static json_object *bytes_by_kind(const struct sending *s)
{
    const struct wh_save *save = &s->guest.save;
    const struct wh_again *again = &s->guest.again;
    uint64_t pages = (save->found - save->zeros + again->pages - again->zeros) * WH_PAGE_SIZE;
    json_object *o = json_object_new_object();

    number(o, "pages", pages);
    number(o, "emulator", s->guest.state_n);
    number(o, "other", s->guest.sink.at - pages - s->guest.state_n);
    number(o, "packed", s->wire.plain);
    number(o, "packed_to", s->wire.packed);
    return o;
}

static void tell(struct sending *s, bool moved)
{
    json_object *o = wh_find_json(&s->guest.d, s->guest.name);
    const struct wh_save *save = &s->guest.save;

    json_object_object_add(o, "job", json_object_new_string(s->job));
    json_object_object_add(o, "host", wh_json_text(s->host));
    json_object_object_add(o, "guest", json_object_new_string(where(s)));
    json_object_object_add(o, "protocol", json_object_new_string(s->wire.raw ? "stock" : "native"));
    json_object_object_add(o, "live", json_object_new_boolean(!s->guest.not_live));
    if (s->guest.not_live)
        json_object_object_add(o, "not_live", json_object_new_string(s->guest.not_live));
    json_object_object_add(o, "checks", json_object_get(s->checks));
    s->task.result = o;
    if (!moved)
        return;
    number(o, "total_ms", ms(s->begun_ns, s->running_ns));
    number(o, "rounds", s->guest.live.round.round);
    number(o, "pages", save->found - save->zeros);
    number(o, "zero_pages", save->zeros);
    number(o, "pause_pages", s->guest.live.rest_pages);
    if (s->how.debug) {
        number(o, "compared_pages", s->guest.again.pages);
        number(o, "not_compared_pages", s->guest.again.left_out);
    }
    number(o, "stream_bytes", s->guest.sink.at);
    number(o, "link_bytes", s->wire.sent);
    json_object_object_add(o, "bytes", bytes_by_kind(s));
    number(o, "downtime_ms", ms(s->guest.stopped_ns, s->running_ns));
    json_object *parts = json_object_new_object();
    number(parts, "suspend_ms", ms(s->guest.stopped_ns, s->suspended_ns));
    number(parts, "copy_ms", ms(s->suspended_ns, s->sent_ns));
    number(parts, "target_ms", ms(s->sent_ns, s->ready_ns));
    number(parts, "handoff_ms", ms(s->ready_ns, s->running_ns));
    json_object_object_add(o, "downtime", parts);
}

/* -------------------------------------------------------------------------- the operation */

static bool send_it(struct wh_op *op, struct sending *s)
{
    if (!find(op, s))
        return false;
    s->found = true;
    if (!open_link(op, s))
        return false;
    if (s->how.look_only)
        return true;
    if (!open_record(op, s) ||
        !copy_running(op, s) ||                 /* running */
        !copy_suspended(op, s) ||               /* suspended */
        !await_ready(op, s) ||
        !commit(op, s))                         /* here or there: it cannot be taken back */
        return false;
    return settle(op, s);                       /* there */
}

/* The other end may have said why before it hung up. */
static void hear_why(struct wh_op *op, struct sending *s)
{
    struct wh_err why = op->err;
    json_object *o = NULL;
    const char *type;

    if (!s->wire.lost || !s->wire.parts || s->wire.raw)
        return;
    op->err = (struct wh_err){ 0 };
    wh_step(op, "hear why", 1000);
    wh_parcel_hear(op, &s->wire, &o, &type);
    json_object_put(o);
    if (!s->wire.failed)
        op->err = why;
}

/* Before the commit: it is ours, and runs on. */
static void take_back(struct wh_op *op, struct sending *s)
{
    struct wh_err why = op->err;
    const char *step = op->step;

    op->shielded = true;
    op->err = (struct wh_err){ 0 };
    if (s->record.open && wh_source_may(s->state, WH_SOURCE_OURS))
        enter(op, s, WH_SOURCE_OURS);
    op->err = why;
    wh_outgoing_let_go(&s->guest);
    wh_undo_run(op);                /* it runs: all the rest has time */
    hear_why(op, s);
    if (s->state == WH_SOURCE_OURS && s->wire.parts && !s->wire.lost && s->sent_ns)
        say_goodbye(op, s);
    wh_native_leave(op, &s->link, &s->wire, false);
    if (!s->found)
        return;
    if (op->err.kind != WH_USAGE && !strstr(op->err.text, step))
        wh_while(&op->err, "%s", step);
    wh_outgoing_say_where(op, &s->guest, "it was not moved");
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct sending *s = (struct sending *)t;
    struct wh_uuid u;

    wh_outgoing_init(&s->guest, t->here);
    s->guest.leaves = true;
    s->link = (struct wh_dialled){ .in = -1, .out = -1 };
    if (!wh_uuid_make(&u))
        return wh_fail_sys(&op->err, errno, "make an id");
    wh_uuid_print(u, s->job);
    if (s->how.then_exit)
        wh_xen_ends_soon(t->here->xen);
    bool ok = send_it(op, s);

    if (!ok && !s->record.committed)
        take_back(op, s);
    if (ok || s->checks)
        tell(s, ok && !s->how.look_only);
    wh_native_leave(op, &s->link, &s->wire, true);
    wh_outgoing_let_go(&s->guest);
    wh_leftover_close(op, &s->record);
    return ok;
}

static void drop(struct wh_task *t)
{
    struct sending *s = (struct sending *)t;

    wh_outgoing_free(&s->guest);
    json_object_put(s->checks);
    free(s->host);
    free(s->command);
    free(s->config);
    free(s->name);
    free(s->force);
}

static bool copy_text(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return *to || !from;
}

struct wh_job *wh_send_new(const char *domain, const char *host, const struct wh_send_how *how)
{
    struct sending *s = wh_task_make(sizeof *s, domain, run);

    if (!s)
        return NULL;
    s->task.drop = drop;
    s->how = *how;
    if (copy_text(&s->host, host) && copy_text(&s->command, how->command) &&
        copy_text(&s->config, how->config) && copy_text(&s->name, how->name) &&
        copy_text(&s->force, how->force))
        return &s->task.job;
    wh_job_free(&s->task.job);
    return NULL;
}
