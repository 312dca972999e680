/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Receive: a guest arrives from another host, whose wherry or xl sends it.
 *
 *     nothing     who calls, and for what; whether this host can take it
 *     paused      a domain is made and filled as the stream comes, devices and all: "ready"
 *                 ---- until here every failure leaves no domain; behind ready it is given up for
 *                      ever, in the record, before it is destroyed ----
 *     running     the source has said so: the record says "committed" before it runs
 *
 * docs/handoff.md is the specification; flow/stock.h of xl's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/change.h"
#include "flow/find.h"
#include "flow/incoming.h"
#include "flow/native.h"
#include "flow/preflight.h"
#include "flow/settle.h"
#include "flow/stock.h"
#include "flow/task.h"

#define HELLO_MS 60000
#define COMMIT_MS 60000
#define BYE_MS 15000
#define TRY_MS 60000                /* for the source to destroy its copy, before which the guest cannot be let run */
#define TRY_EACH_MS 500
#define TAKE_EACH_MS 250            /* between two looks whether another is done with the record */
#define ASKED_MS 60000              /* as long as a source asks, once its link is lost */
#define STALL_MS 240000             /* the source's longest between two frames: it asks the guest to suspend,
                                       waits until it has, stops QEMU */
#define STOCK_SILENCE_MS 180000
#define STOCK_FAILED 0xff           /* the status of a guest that does not run; xl's ERROR_FAIL */

struct receiving {
    struct wh_task task;
    struct wh_receive_how how;
    char *listen;

    struct wh_incoming guest;
    struct wh_dialled link;
    struct wh_parcel wire;
    struct wh_leftover record;
    char job[WH_UUID_TEXT];
    enum wh_target_state state;
    bool paused, alone, forget;         /* forget: the source will not ask */
    bool told;                          /* it knows that we have failed */
    bool runs;                          /* or is paused, as was asked for */
    uint64_t stream_bytes, page_bytes, emulator_bytes;
    int64_t begun_ns, ready_ns, told_ns;        /* it was said hello, ready, and to run it */
    char *name;                         /* what it is called in the end; NULL: as it came */
};

/* ------------------------------------------------------------------------------------ states */

static bool enter(struct wh_op *op, struct receiving *r, enum wh_target_state next)
{
    if (!wh_target_may(r->state, next))
        return wh_fail(&op->err, WH_SYSTEM, "an arrival cannot go from %s to %s",
                       wh_target_state_name(r->state), wh_target_state_name(next));
    if (!wh_leftover_state(op, &r->record, wh_target_state_name(next)))
        return false;
    r->state = next;
    if (next == WH_TARGET_READY)
        r->ready_ns = wh_now_ns();
    return true;
}

/* On disk before there is a domain. */
static bool open_record(struct wh_op *op, struct receiving *r, const char *job)
{
    static const struct wh_domain none;
    json_object *more = json_object_new_object();

    json_object_object_add(more, "name", wh_json_text(r->name));
    json_object_object_add(more, "paused", json_object_new_boolean(r->paused));
    json_object_object_add(more, "alone", json_object_new_boolean(r->alone));
    snprintf(r->job, sizeof r->job, "%s", job);
    r->state = WH_TARGET_RECEIVING;
    return wh_leftover_move(op, r->task.here, &r->record, "receive", job,
                            wh_target_state_name(r->state), &none, more);
}

/* ------------------------------------------------------------------------------------ filling */

static bool fill(struct wh_op *op, struct receiving *r)
{
    struct wh_source src;
    struct wh_walk walk;

    if (!wh_parcel_source(op, &r->wire, &src))
        return false;
    bool ok = wh_walk_init(&walk, op, &src, &wh_incoming_watch, &r->guest);
    walk.channel = r->wire.raw;
    wh_step(op, "receive the guest", WH_FOREVER);
    ok = ok && wh_walk_stream(&walk);
    r->stream_bytes = src.at;
    r->page_bytes = walk.image.page_data * WH_PAGE_SIZE;
    r->emulator_bytes = r->guest.emulator.n;
    if (!ok && op->err.kind == WH_STREAM)
        wh_while(&op->err, "%s", r->link.what);
    wh_walk_free(&walk);
    wh_source_close(&src);
    return ok && wh_incoming_connect(op, &r->guest);
}

static bool run_it(struct wh_op *op, struct receiving *r)
{
    wh_auto_json json_object *says = NULL;

    wh_step(op, "let the guest run", 60000);
    r->runs = wh_leftover_read(op, &r->record, &says) &&
              wh_settle_run(op, r->task.here, r->guest.made.domid, says);
    return r->runs;
}

/* What can be done while it runs. */
static bool name_it(struct wh_op *op, struct receiving *r)
{
    wh_auto_json json_object *says = NULL;

    wh_step(op, "give the guest its name", 60000);
    return wh_leftover_read(op, &r->record, &says) &&
           wh_settle_name(op, r->task.here, r->guest.made.domid, says);
}

/* Where somebody has destroyed it meanwhile the source's copy is the guest. */
static bool is_there(struct wh_op *op, struct receiving *r)
{
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, r->task.here->xen, r->guest.made.domid, &d, &there))
        return false;
    return (there && !d.dying && memcmp(d.uuid, r->guest.config.uuid.byte, sizeof d.uuid) == 0) ||
           wh_fail(&op->err, WH_GUEST, "domain %u is gone: somebody has destroyed it", r->guest.made.domid);
}

/* It is the guest from here on: nothing destroys it any more. */
static bool commit(struct wh_op *op, struct receiving *r)
{
    if (!is_there(op, r))
        return false;
    r->told_ns = wh_now_ns();
    op->shielded = true;
    r->record.committed = true;         /* also if what is on disk is not known */
    if (!enter(op, r, WH_TARGET_COMMITTED)) {
        wh_undo_forget(op);
        return false;
    }
    wh_undo_forget(op);
    wh_incoming_let_go(&r->guest);
    return true;
}

/* Behind "committed" it would be too late to find out. */
static bool name_fits(struct wh_op *op, struct receiving *r)
{
    uint32_t other;
    size_t count;

    if (!wh_change_name_good(op, r->name) || !wh_find_named(op, r->task.here, 0, r->name, &other, &count))
        return wh_while(&op->err, "what the guest is to be called");
    return count == 0 || wh_fail(&op->err, WH_USAGE, "domain %u is called '%s' already", other, r->name);
}

/* The name that the guest had until it left the suffix to us. */
static bool own_name(struct wh_op *op, struct receiving *r)
{
    const char *name = r->guest.config.name;
    size_t n = strlen(name), suffix = strlen(WH_STOCK_INCOMING);

    if (r->name)
        return name_fits(op, r);
    r->name = strndup(name, n > suffix ? n - suffix : n);
    return r->name ? name_fits(op, r) && wh_leftover_text(op, &r->record, "name", r->name)
                   : wh_fail(&op->err, WH_SYSTEM, "no memory");
}

static void number(json_object *o, const char *key, uint64_t n)
{
    json_object_object_add(o, key, json_object_new_uint64(n));
}

static uint64_t ms(int64_t from, int64_t until)
{
    return until > from ? (uint64_t)(until - from) / 1000000 : 0;
}

/* Before what was received is let go. */
static void tell(struct receiving *r)
{
    json_object *o = json_object_new_object();
    char uuid[WH_UUID_TEXT];

    json_object_object_add(o, "domid", json_object_new_int64(r->guest.made.domid));
    json_object_object_add(o, "name", wh_json_text(r->name));
    json_object_object_add(o, "uuid",
                           json_object_new_string(wh_uuid_print(r->guest.config.uuid, uuid)));
    json_object_object_add(o, "job", json_object_new_string(r->job));
    json_object_object_add(o, "guest", json_object_new_string(r->paused ? "paused" : "running"));
    number(o, "link_bytes", r->wire.received);
    number(o, "stream_bytes", r->stream_bytes);
    wh_incoming_tell(&r->guest, o);
    json_object *kinds = json_object_new_object();
    number(kinds, "pages", r->page_bytes);
    number(kinds, "emulator", r->emulator_bytes);
    number(kinds, "other", r->stream_bytes - r->page_bytes - r->emulator_bytes);
    json_object_object_add(o, "bytes", kinds);
    r->task.result = o;
}

/* Of the pause what was here, from the stream's end on. */
static void tell_times(struct receiving *r)
{
    json_object *o = r->task.result, *parts = json_object_new_object();
    int64_t now = wh_now_ns();

    number(o, "total_ms", ms(r->begun_ns, now));
    number(o, "downtime_ms", ms(r->guest.filled_ns, now));
    number(parts, "processors_ms", ms(r->guest.filled_ns, r->guest.set_ns));
    number(parts, "devices_ms", ms(r->guest.set_ns, r->ready_ns));
    number(parts, "commit_ms", ms(r->ready_ns, r->told_ns));
    number(parts, "run_ms", ms(r->told_ns, now));
    json_object_object_add(o, "downtime", parts);
}

/* ------------------------------------------------------------------------------------- native */

/* What it takes here between the stream's end and ready: made known before the guest is suspended. */
#define REST_MS 100             /* processors, console, nodes, a record on disk */
#define REST_DISK_MS 100        /* each, or as long as another device took */
#define REST_STATE_MS 200       /* QEMU takes its devices' state */
#define REST_QEMU_MS 500        /* and starts, where it has not yet */

static uint64_t reckon_rest(const struct wh_incoming *in, int64_t took_ns)
{
    const struct wh_config *c = &in->config;
    size_t early = (size_t)__builtin_popcountll(in->made.early_disks), done = c->nnics + early;
    uint64_t each = done ? (uint64_t)took_ns / done / 1000000 : 0, ms = REST_MS;

    each = each > REST_DISK_MS ? each : REST_DISK_MS;
    ms += each * (c->ndisks - early);
    if (c->type != WH_TYPE_HVM)
        return ms;
    for (size_t i = 0; i < c->nnics; i++)
        ms += c->nics[i].nictype == WH_NIC_VIF ? 0 : each;      /* its tap */
    return ms + REST_STATE_MS + (in->made.qemu.is ? 0 : REST_QEMU_MS);
}

static bool prepare(struct wh_op *op, struct wh_incoming *in)
{
    struct receiving *r = in->arg;
    int64_t begun = wh_now_ns();

    if (!wh_domain_prepare(op, in->here, &in->config, &in->made))
        return false;
    json_object *o = wh_native_message("prepared", r->job);
    json_object_object_add(o, "rest_ms", json_object_new_uint64(
        reckon_rest(in, wh_now_ns() - begun)));
    return wh_parcel_say(op, &r->wire, o);
}

static bool hear_commit(struct wh_op *op, struct receiving *r, bool *commit_it)
{
    wh_auto_json json_object *o = NULL;
    const char *type;

    wh_step(op, "wait to be told to run it", COMMIT_MS);
    if (!wh_parcel_hear(op, &r->wire, &o, &type))
        return false;
    bool ours = strcmp(wh_json_string(o, "job", ""), r->job) == 0;
    r->forget = ours && strcmp(type, "bye") == 0;
    *commit_it = ours && strcmp(type, "commit") == 0;
    return *commit_it || wh_fail(&op->err, WH_PEER, "%s takes the guest back", r->link.what);
}

/* A commit that comes before it was answered. */
static bool heard_bye(struct wh_op *op, struct receiving *r)
{
    struct wh_err before = op->err;
    bool bye = false, heard = true;

    op->err = (struct wh_err){ 0 };
    wh_step(op, "wait for the goodbye", BYE_MS);
    for (int i = 0; i < 2 && heard && !bye; i++) {
        wh_auto_json json_object *o = NULL;
        const char *type;

        heard = wh_parcel_hear(op, &r->wire, &o, &type);
        bye = heard && strcmp(type, "bye") == 0 && strcmp(wh_json_string(o, "job", ""), r->job) == 0;
    }
    op->err = before;
    return bye;
}

/* Where it was lost the record stays, for the source may ask. */
static void hear_bye(struct wh_op *op, struct receiving *r)
{
    struct wh_err before = op->err;

    if (heard_bye(op, r))
        wh_leftover_done(op, &r->record);
    op->err = before;
}

static bool move(struct wh_op *op, struct receiving *r)
{
    bool commit_it;

    r->guest.mem.alloc_is_zero = r->guest.mem.must_match = true;
    if (!fill(op, r) || !own_name(op, r) || !enter(op, r, WH_TARGET_READY) ||
        !wh_native_say(op, &r->wire, "ready", r->job) || !hear_commit(op, r, &commit_it))
        return false;
    tell(r);
    if (!commit(op, r) || !run_it(op, r))
        return false;
    tell_times(r);
    bool said = wh_native_say(op, &r->wire, "running", r->job);
    if (!said)
        op->err = (struct wh_err){ 0 };     /* it runs: the source will ask */
    if (!name_it(op, r))
        return false;
    if (said)
        hear_bye(op, r);
    return true;
}

/* As its record says.  Of a guest that has arrived the answer is that it has, even where it cannot be let run yet:
 * that may wait for what the source's copy still has. */
static bool settle(struct wh_op *op, struct receiving *r, bool *waits)
{
    wh_auto_json json_object *record = NULL;
    enum wh_target_state state = WH_TARGET_UNKNOWN;
    struct wh_err before = op->err;

    *waits = false;
    if (!wh_leftover_read(op, &r->record, &record))
        return false;
    struct wh_settle s = { .here = r->task.here, .record = &r->record, .says = record };
    if (wh_settle_receive(op, &s))
        return true;
    *waits = op->err.kind != WH_CANCELLED &&
             wh_target_state_named(wh_json_string(record, "state", ""), &state) &&
             state == WH_TARGET_COMMITTED;
    if (*waits)
        op->err = before;
    return *waits;
}

/* Whoever asks is told what is on disk, and that is settled first if nobody works on it. */
static bool look_up(struct wh_op *op, struct receiving *r, const char *job, const char **state, bool *waits)
{
    wh_auto_json json_object *record = NULL;
    enum wh_target_state now = WH_TARGET_UNKNOWN;
    bool held;

    *waits = false;
    if (!wh_leftover_find(op, r->task.here, &r->record, "receive", job, &record, &held))
        return false;
    if (record && !held) {
        json_object_put(wh_take_ptr(&record));
        if (!settle(op, r, waits) || !wh_leftover_read(op, &r->record, &record))
            return false;
    }
    wh_target_state_named(wh_json_string(record, "state", ""), &now);
    *state = wh_target_state_name(now);
    return true;
}

/* The source destroys its copy when it has said goodbye.  What comes of nothing is recover's. */
static bool try_on(struct wh_op *op, struct receiving *r)
{
    bool waits = true;

    wh_step(op, "wait until the guest can be let run", TRY_MS);
    struct wh_bound whole = { op->deadline_ns, op->budget_ms };
    while (waits && wh_nap(op, TRY_EACH_MS) && settle(op, r, &waits))
        wh_unbound(op, whole);
    return !waits && op->err.kind == WH_OK;
}

/* Who answered before us may have it for a moment yet. */
static bool take_free(struct wh_op *op, struct receiving *r, const char *job, bool *waits)
{
    bool held = true, had = r->record.open;

    while (!r->record.open && held) {
        wh_auto_json json_object *record = NULL;

        if (!wh_leftover_find(op, r->task.here, &r->record, "receive", job, &record, &held) ||
            (held && !wh_nap(op, TAKE_EACH_MS)))
            return false;
    }
    return r->record.open && (had || settle(op, r, waits));
}

static bool answer(struct wh_op *op, struct receiving *r, const char *job)
{
    json_object *hello = wh_native_message("hello", job), *o;
    wh_auto_json json_object *bye = NULL;
    struct wh_err before;
    const char *state = "unknown";
    bool waits;

    wh_step(op, "answer what became of a move", 120000);
    wh_native_introduce(hello);
    r->record.committed = true;             /* it stays, unless the source says goodbye */
    if (!wh_parcel_say(op, &r->wire, hello) || !look_up(op, r, job, &state, &waits))
        return false;
    wh_step(op, "answer what became of a move", 120000);    /* what was tried may have taken all of its time */
    o = wh_native_message("answer", job);
    json_object_object_add(o, "state", json_object_new_string(state));
    if (!wh_parcel_say(op, &r->wire, o))
        return false;
    before = op->err;
    wh_step(op, "wait for the goodbye", BYE_MS);
    if (wh_native_await(op, &r->wire, "bye", job, &bye) && take_free(op, r, job, &waits) &&
        (!waits || try_on(op, r)))
        wh_leftover_done(op, &r->record);
    op->err = before;
    return true;
}

static bool greet_back(struct wh_op *op, struct receiving *r, json_object *hello, const char *job)
{
    json_object *ours = wh_native_message("hello", job), *checks = NULL;

    if (!wh_preflight_check(op, r->task.here, json_object_object_get(hello, "facts"), &checks)) {
        json_object_put(ours);
        return false;
    }
    wh_native_introduce(ours);
    json_object_object_add(ours, "checks", checks);
    return wh_parcel_say(op, &r->wire, ours);
}

static bool native(struct wh_op *op, struct receiving *r)
{
    wh_auto_json json_object *hello = NULL;
    const char *type, *job, *purpose;

    wh_step(op, "hear what the sender wants", HELLO_MS);
    if (!wh_parcel_hear(op, &r->wire, &hello, &type))
        return false;
    job = wh_json_string(hello, "job", "");
    purpose = wh_json_string(hello, "purpose", "");
    if (strcmp(type, "hello") != 0)
        return wh_fail(&op->err, WH_PEER, "%s said \"%.20s\" first, not hello", r->link.what, type);
    if (!wh_native_agrees(op, &r->wire, hello))
        return false;
    if (strcmp(purpose, "ask") == 0)
        return answer(op, r, job);
    if (strcmp(purpose, "look") == 0)
        return greet_back(op, r, hello, job);
    if (strcmp(purpose, "move") != 0)
        return wh_fail(&op->err, WH_PEER, "%s wants \"%.20s\", of which this wherry knows nothing",
                       r->link.what, purpose);
    r->paused = r->how.paused || wh_json_true(hello, "paused");
    r->alone = r->how.no_monitor || wh_json_true(hello, "alone");
    r->name = json_object_object_get_ex(hello, "name", NULL) ? strdup(wh_json_string(hello, "name", ""))
                                                             : NULL;
    if (r->name && !wh_change_name_good(op, r->name))
        return wh_while(&op->err, "what the guest is to be called");
    r->guest.made_it = wh_native_can(hello, "prepares") ? prepare : NULL;
    return open_record(op, r, job) && greet_back(op, r, hello, job) && move(op, r);
}

/* -------------------------------------------------------------------------------------- stock */

/* The copy here is gone when this is called: the sender may run its own again. */
static void report_failure(struct wh_op *op, struct receiving *r)
{
    static const uint8_t status = STOCK_FAILED;
    struct wh_err why = op->err;

    op->err = (struct wh_err){ 0 };
    wh_step(op, "tell the sender", 10000);
    if (wh_stock_say(op, &r->wire, WH_STOCK_REPORT) &&
        wh_parcel_raw_write(op, &r->wire, &status, 1))
        wh_stock_say(op, &r->wire, WH_STOCK_GO);
    op->err = why;
}

static bool stock(struct wh_op *op, struct receiving *r)
{
    static const uint8_t well;
    struct wh_uuid u;
    char job[WH_UUID_TEXT];

    r->wire.silence_ms = STOCK_SILENCE_MS;
    r->paused = r->how.paused;
    r->alone = r->how.no_monitor;
    if (!wh_uuid_make(&u) || !open_record(op, r, wh_uuid_print(u, job)))
        return false;
    if (!fill(op, r) || !own_name(op, r) || !enter(op, r, WH_TARGET_READY) ||
        !wh_stock_say(op, &r->wire, WH_STOCK_READY))
        return false;
    wh_step(op, "wait to be told to run it", STOCK_SILENCE_MS);
    if (!wh_stock_await(op, &r->wire, WH_STOCK_GO))
        return false;
    tell(r);
    if (!commit(op, r) || !run_it(op, r))
        return false;
    tell_times(r);
    wh_step(op, "tell the sender", 30000);
    if (!wh_stock_say(op, &r->wire, WH_STOCK_REPORT) ||
        !wh_parcel_raw_write(op, &r->wire, &well, 1))
        op->err = (struct wh_err){ 0 };     /* it runs; nobody can ask */
    return name_it(op, r) && wh_leftover_done(op, &r->record);
}

/* ------------------------------------------------------------------------------ the operation */

static bool open_link(struct wh_op *op, struct receiving *r)
{
    if (r->listen) {
        struct wh_listener l;

        wh_step(op, "wait for a sender", WH_FOREVER);
        bool ok = wh_dial_listen(op, &l, r->listen) && wh_dial_accept(op, &l, &r->link);
        wh_dial_listen_no_more(&l);
        return ok;
    }
    int in = r->how.own_link ? r->how.in : STDIN_FILENO;
    int out = r->how.own_link ? r->how.out : STDOUT_FILENO;
    wh_dial_own(&r->link, in, out, "the sender");
    return wh_dial_unblock(op, &r->link);
}

/* Which of the two protocols it speaks: .raw. */
static bool greet(struct wh_op *op, struct receiving *r)
{
    char first[4];

    if (!wh_parcel_open(op, &r->wire, r->link.in, r->link.out, r->link.what))
        return false;
    wh_step(op, "greet the sender", HELLO_MS);
    r->wire.raw = true;
    r->wire.silence_ms = STOCK_SILENCE_MS;
    if (!wh_parcel_raw_write(op, &r->wire, WH_BANNER, WH_BANNER_BYTES) ||
        !wh_parcel_raw_peek(op, &r->wire, first, sizeof first))
        return false;
    r->begun_ns = wh_now_ns();
    r->wire.silence_ms = WH_SILENCE_MS;
    r->wire.raw = memcmp(first, "WHRY", sizeof first) != 0;
    r->wire.stall_ms = r->wire.raw ? r->wire.stall_ms : STALL_MS;
    return true;
}

static bool receive(struct wh_op *op, struct receiving *r)
{
    return open_link(op, r) && greet(op, r) && (r->wire.raw ? stock(op, r) : native(op, r));
}

/* On disk it is, and destroying what was made here may take long: the source need not wait for that.  Where
 * it may have said commit by now, this is the answer. */
static void say_aborted(struct wh_op *op, struct receiving *r, bool answer)
{
    json_object *o = wh_native_message(answer ? "answer" : "failed", r->job);

    if (answer)
        json_object_object_add(o, "state", json_object_new_string(wh_target_state_name(r->state)));
    wh_native_say_last(op, &r->wire, o);
    r->told = true;
}

/* For ever, in the record, before the copy goes. */
static void give_up(struct wh_op *op, struct receiving *r)
{
    struct wh_err why = op->err;
    bool asked = r->state == WH_TARGET_READY, answer = asked && !r->wire.raw && !r->forget;

    op->shielded = true;
    op->err = (struct wh_err){ 0 };
    bool known = !r->record.open || r->state == WH_TARGET_UNKNOWN || enter(op, r, WH_TARGET_ABORTED);
    op->err = why;
    if (known && r->state == WH_TARGET_ABORTED)
        say_aborted(op, r, answer);
    if (known)
        wh_undo_run(op);
    else
        wh_undo_forget(op);                 /* recover reads what there is, and goes by it */
    r->record.committed = r->record.committed || !known || answer;
    if (answer && known && op->undo_err.kind == WH_OK && !r->wire.lost && !r->wire.failed)
        hear_bye(op, r);
    if (asked && r->wire.raw && op->undo_err.kind == WH_OK && known)
        report_failure(op, r);
}

/* ------------------------------------------------------------------ asked, over another link */

static bool answer_of_ours(struct wh_op *op, struct receiving *r)
{
    wh_auto_json json_object *hello = NULL;
    const char *type;

    if (!greet(op, r))
        return false;
    wh_step(op, "hear who asks", HELLO_MS);
    if (!r->wire.raw && !wh_parcel_hear(op, &r->wire, &hello, &type))
        return false;
    if (r->wire.raw || strcmp(type, "hello") != 0 ||
        strcmp(wh_json_string(hello, "purpose", ""), "ask") != 0 ||
        strcmp(wh_json_string(hello, "job", ""), r->job) != 0)
        return wh_fail(&op->err, WH_PEER, "who listens here has had a guest, and only waits to be asked of "
                       "it");
    json_object *ours = wh_native_message("hello", r->job);
    wh_native_introduce(ours);
    json_object *state = wh_native_message("answer", r->job);
    json_object_object_add(state, "state", json_object_new_string(wh_target_state_name(r->state)));
    bool ok = wh_native_agrees(op, &r->wire, hello) && wh_parcel_say(op, &r->wire, ours);
    if (!ok) {
        json_object_put(state);
        return false;
    }
    if (!wh_parcel_say(op, &r->wire, state))
        return false;
    bool waits = r->state == WH_TARGET_COMMITTED && !r->runs;
    struct wh_err before = op->err;
    if (heard_bye(op, r) && (!waits || try_on(op, r)))
        wh_leftover_done(op, &r->record);
    op->err = before;
    return true;
}

/* The sender asks over new links what became of it, where the first was lost.  Elsewhere that starts a new
 * receiver; at a socket there are only we. */
static void stay(struct wh_op *op, struct receiving *r)
{
    struct wh_err why = op->err;
    bool shielded = op->shielded;
    struct wh_listener l;

    op->shielded = false;                   /* a cancel only ends this */
    op->err = (struct wh_err){ 0 };
    wh_step(op, "wait to be asked how it ended", ASKED_MS);
    struct wh_bound whole = { op->deadline_ns, op->budget_ms };
    bool there = wh_dial_listen(op, &l, r->listen);
    while (r->record.open && there) {
        op->err = (struct wh_err){ 0 };
        wh_step(op, "wait to be asked how it ended", ASKED_MS);
        wh_unbound(op, whole);
        there = wh_dial_accept(op, &l, &r->link);
        if (there)
            wh_native_leave(op, &r->link, &r->wire, answer_of_ours(op, r));
    }
    wh_dial_listen_no_more(&l);
    op->shielded = shielded;
    op->err = why;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct receiving *r = (struct receiving *)t;

    wh_incoming_init(&r->guest, t->here, "the sender");
    r->guest.suffix = WH_STOCK_INCOMING;
    r->guest.made.moves = true;
    r->guest.record = &r->record;
    r->guest.arg = r;
    r->link = (struct wh_dialled){ .in = -1, .out = -1 };
    bool ok = receive(op, r);

    wh_incoming_let_go(&r->guest);          /* before the domain goes */
    /* Where the record may say "committed" on disk and may not, recover goes by what it says. */
    if (!ok && !r->record.committed)
        give_up(op, r);
    if (!ok && r->runs)
        wh_while(&op->err, "the guest runs here, and wherry recover gives it its name");
    else if (!ok && r->state == WH_TARGET_COMMITTED)
        wh_while(&op->err, "the guest has arrived and is this host's: wherry recover lets it run");
    if (!ok && r->state == WH_TARGET_READY)
        wh_while(&op->err, "the guest has arrived, and whether it is this host's is not known to be on "
                 "disk: wherry recover goes by what there is");
    bool stays = r->listen && !r->wire.raw && r->record.open && r->record.committed &&
                 (r->state == WH_TARGET_COMMITTED || r->state == WH_TARGET_ABORTED) &&
                 op->undo_err.kind == WH_OK;
    wh_native_leave(op, &r->link, &r->wire, ok || r->told);
    if (stays)
        stay(op, r);
    wh_leftover_close(op, &r->record);
    wh_incoming_free(&r->guest);
    return ok;
}

static void drop(struct wh_task *t)
{
    free(((struct receiving *)t)->listen);
    free(((struct receiving *)t)->name);
}

struct wh_job *wh_receive_new(const struct wh_receive_how *how)
{
    struct receiving *r = wh_task_make(sizeof *r, NULL, run);

    if (!r)
        return NULL;
    r->task.drop = drop;
    r->how = *how;
    r->listen = how->listen ? strdup(how->listen) : NULL;
    if (how->listen && !r->listen) {
        wh_job_free(&r->task.job);
        return NULL;
    }
    return &r->task.job;
}
