/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/outgoing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "dm/program.h"
#include "dm/qemu.h"
#include "dm/state.h"
#include "flow/cfgfile.h"
#include "flow/domain.h"
#include "flow/emulator.h"
#include "flow/find.h"
#include "wire/libxl.h"
#include "wire/xl.h"
#include "xen/suspend.h"

#define EMULATOR_QEMU 2u
#define EMULATOR_MS 60000

void wh_outgoing_init(struct wh_outgoing *o, struct wh_here *h)
{
    *o = (struct wh_outgoing){ .here = h };
    wh_index_init(&o->index);
}

void wh_outgoing_let_go(struct wh_outgoing *o)
{
    wh_qmp_close(wh_take_ptr(&o->qmp));
    wh_state_drop(&o->taking);
    wh_save_free(&o->save);
}

void wh_outgoing_free(struct wh_outgoing *o)
{
    wh_digest_free(o->sink.digest);
    wh_sink_close(&o->sink);
    wh_index_free(&o->index);
    wh_live_free(&o->live);
    wh_again_free(&o->again);
    free(o->state);
    free(o->name);
    free(o->json);
}

/* ----------------------------------------------------------------------------- running */

/* The file given in place of what is stored; who the guest is stays. */
static bool given_config(struct wh_op *op, struct wh_outgoing *o, const char *path)
{
    wh_auto_config struct wh_config c = wh_config_empty();

    if (!wh_cfgfile_read(op, path, NULL, &c, NULL))
        return false;
    memcpy(c.uuid.byte, o->d.uuid, sizeof c.uuid.byte);
    free(c.name);
    c.name = strdup(o->name ? o->name : "");
    free(c.machine);
    c.machine = o->qmp ? strdup(o->machine) : NULL;
    if (!c.name || (o->qmp && !c.machine))
        return wh_fail_sys(&op->err, ENOMEM, "save");
    o->json = wh_config_complete(&op->err, &c) ? wh_config_write_json(&op->err, &c) : NULL;
    return o->json != NULL;
}

/* What QEMU said last, behind what it did not do. */
static bool blame(struct wh_op *op, const struct wh_outgoing *o)
{
    char log[PATH_MAX];

    if ((op->err.kind != WH_PEER && op->err.kind != WH_TIMEOUT) || !o->name)
        return false;
    wh_qemu_log_path(o->here, o->name, log);
    return wh_qemu_blame(op, log);
}

/* Reached before the guest is touched: one that does not answer would only be found out then. */
static bool find_emulator(struct wh_op *op, struct wh_outgoing *o)
{
    return !o->d.emulated || (wh_qemu_reach(op, o->here, o->d.domid, &o->qmp) &&
                              wh_qemu_machine(op, o->qmp, o->machine)) || blame(op, o);
}

/* The configuration tells a restore how many QEMU is to have, and it is of when the guest began. */
static bool check_vcpus(struct wh_op *op, const struct wh_outgoing *o, const struct wh_config *c)
{
    unsigned stored = wh_bits_count(&c->avail_vcpus);
    size_t now;

    if (!wh_qemu_vcpus(op, o->qmp, &now))
        return false;
    return now == (stored > 0 ? stored : 1) ||
           wh_fail(&op->err, WH_USAGE, "domain %u has %zu vcpus now, and began with %u: saving such a "
                   "guest is not yet supported", o->d.domid, now, stored);
}

/* What no restore could give it again, or Xen cannot save. */
static bool refuse(struct wh_op *op, const struct wh_outgoing *o)
{
    wh_auto_config struct wh_config c = wh_config_empty();

    if (!o->d.emulated || !wh_config_read_json(&op->err, o->json, strlen(o->json), &c))
        return !o->d.emulated;
    if (c.lacks)
        return wh_fail(&op->err, WH_USAGE, "domain %u has %s, which wherry restore could not give it "
                       "again: xl save saves it", o->d.domid, c.lacks);
    if (!check_vcpus(op, o, &c))
        return false;
    return (c.nested_hvm != WH_YES && c.hvm.nested_hvm != WH_YES) ||
           wh_fail(&op->err, WH_USAGE, "domain %u may run guests of its own (nestedhvm): their state "
                   "is Xen's and cannot be saved", o->d.domid);
}

bool wh_outgoing_find(struct wh_op *op, struct wh_outgoing *o, const char *who, const char *config)
{
    wh_step(op, "look at the domain", 30000);
    if (!wh_find_one(op, o->here, who, &o->d) || !wh_find_name(op, o->here, o->d.domid, &o->name))
        return false;
    if (o->d.domid == 0)
        return wh_fail(&op->err, WH_USAGE, "domain 0 cannot be saved");
    if (o->d.paused)
        return wh_fail(&op->err, WH_USAGE, "domain %u is paused and cannot suspend: unpause it "
                       "first", o->d.domid);
    return find_emulator(op, o) &&
           (config ? given_config(op, o, config)
                   : wh_domain_config(op, o->here, o->d.domid, o->qmp ? o->machine : NULL,
                                      &o->json)) &&
           refuse(op, o);
}

bool wh_outgoing_begin(struct wh_op *op, struct wh_outgoing *o)
{
    struct wh_xl xl = { .mandatory_flags = WH_XL_CONFIG_JSON | WH_XL_STREAM_V2, .config = o->json,
                        .length = strlen(o->json) + 1 };

    o->save = (struct wh_save){ .op = op, .xen = o->here->xen, .out = &o->sink,
                                .index = &o->index, .domid = o->d.domid };
    wh_step(op, "write what never changes", WH_FOREVER);
    return wh_put_xl(op, &o->sink, &xl) && wh_put_libxl_header(op, &o->sink, 0) &&
           wh_put_record(op, &o->sink, &wh_layer_libxl, WH_LIBXL_LIBXC_CONTEXT, NULL, 0) &&
           wh_save_begin(&o->save);
}

/* ---------------------------------------------------------------------- live */

#define DOWNTIME_MS 300
#define ROUNDS 30
#define PAUSE_MS 100            /* suspending, a tail, handing over, when nothing else is known */
#define EMULATOR_PAUSE_MS 50    /* its devices' state */

static bool undo_tell_dirty(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_here *h = op->world;
    struct wh_domain d;
    bool there;

    return wh_xen_domain(op, h->xen, (uint32_t)u->number, &d, &there) &&
           (!there || d.dying || wh_emulator_tell_no_more(op, h, &d));
}

static void want(struct wh_outgoing *o, const struct wh_live_how *how)
{
    struct wh_live *l = &o->live;

    l->want.downtime_ms = how->downtime_ms ? how->downtime_ms : DOWNTIME_MS;
    l->want.timeout_ms = how->timeout_ms ? how->timeout_ms : WH_NO_LIMIT;
    l->want.force = how->force;
    l->want.max_rounds = how->max_rounds ? how->max_rounds : ROUNDS;
    if (l->want.max_bytes == 0)
        l->want.max_bytes = WH_NO_LIMIT;
    l->fixed_ms = PAUSE_MS + (o->qmp ? EMULATOR_PAUSE_MS : 0) + o->elsewhere_ms;
}

/* Without shadow paging Xen keeps no note of what a PV guest writes to. */
static bool begin_rounds(struct wh_op *op, struct wh_outgoing *o, const struct wh_live_how *how)
{
    o->save.live = &o->live;
    if (!o->d.hvm)
        o->not_live = "Xen does not keep note of what PV guests write to";
    if (how->mode == WH_LIVE_NO)
        o->not_live = "as asked for";
    if (!o->not_live)
        return wh_live_begin(&o->save);
    o->save.live = NULL;
    return how->mode != WH_LIVE_REQUIRE ||
           wh_fail(&op->err, WH_USAGE, "domain %u cannot be copied while it runs: %s", o->d.domid,
                   o->not_live);
}

/* Xen does not see what QEMU writes to the guest's memory. */
static bool begin_telling(struct wh_op *op, struct wh_outgoing *o)
{
    if (!o->qmp)
        return true;
    if (!wh_undo_push(op, "QEMU tells no more of what it writes", undo_tell_dirty, "", o->d.domid))
        return false;
    if (wh_qemu_tell_dirty(op, o->qmp, true))
        return true;
    wh_while(&op->err, "domain %u cannot be copied while it runs", o->d.domid);
    return blame(op, o);
}

bool wh_outgoing_rounds(struct wh_op *op, struct wh_outgoing *o, const struct wh_live_how *how)
{
    want(o, how);
    if (!begin_rounds(op, o, how))
        return false;
    if (!o->save.live)
        return true;
    return begin_telling(op, o) && wh_live_rounds(&o->save);
}

bool wh_outgoing_rounds_end(struct wh_op *op, struct wh_outgoing *o)
{
    if (!o->save.live || !o->live.on)
        return true;
    return wh_live_end(&o->save) && (!o->qmp || wh_qemu_tell_dirty(op, o->qmp, false));
}

/* --------------------------------------------------------------------------- suspended */

/* Somebody else (xl, another's recover) may have let it run on meanwhile: what was copied since is
 * torn, and the guest is not ours to destroy. */
bool wh_outgoing_still_suspended(struct wh_op *op, const struct wh_outgoing *o)
{
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, o->here->xen, o->d.domid, &d, &there))
        return false;
    if (there && memcmp(d.uuid, o->d.uuid, sizeof d.uuid) == 0 && d.shutdown && !d.dying &&
        d.reason == WH_SUSPEND)
        return true;
    return wh_fail(&op->err, WH_GUEST, "domain %u did not stay suspended while it was saved",
                   o->d.domid);
}

static bool take_state(struct wh_op *op, void *arg)
{
    struct wh_outgoing *o = arg;

    wh_step(op, "take the state of the emulated devices", EMULATOR_MS);
    return wh_state_end(op, o->qmp, &o->taking, &o->state, &o->state_n) || blame(op, o);
}

/* Before memory is copied, to which the devices write; but Xen keeps note of what QEMU writes while it
 * writes their state, where it does of what the guest writes.  The connection, and its lock, are kept
 * until the file is whole: nobody else lets them go on. */
static bool stop_emulator(struct wh_op *op, struct wh_outgoing *o)
{
    if (!o->d.emulated)
        return true;
    wh_step(op, "stop the emulated devices", EMULATOR_MS);
    if (!wh_qemu_stop(op, o->qmp) || !wh_state_begin(op, o->qmp, &o->taking, o->leaves))
        return blame(op, o);
    o->live.meanwhile = take_state;
    o->live.meanwhile_arg = o;
    return o->save.live || take_state(op, o);
}

/* Nor have its devices gone on meanwhile, which write to its memory. */
bool wh_outgoing_still(struct wh_op *op, struct wh_outgoing *o)
{
    return wh_outgoing_still_suspended(op, o) && (!o->qmp || wh_qemu_still_stopped(op, o->qmp));
}

bool wh_outgoing_stop(struct wh_op *op, struct wh_outgoing *o)
{
    o->stopped_ns = wh_now_ns();
    return wh_suspend(op, o->here, o->d.domid) && stop_emulator(op, o);
}

static bool put_emulator(struct wh_op *op, struct wh_outgoing *o, uint32_t type, const void *bytes,
                         size_t n)
{
    wh_auto_free uint8_t *body = malloc(8 + n);

    if (!body)
        return wh_fail_sys(&op->err, ENOMEM, "save");
    wh_put_le32(body, EMULATOR_QEMU);
    wh_put_le32(body + 4, 0);
    memcpy(body + 8, bytes, n);
    return wh_put_record(op, &o->sink, &wh_layer_libxl, type, body, 8 + n);
}

static bool copy_emulator(struct wh_op *op, struct wh_outgoing *o)
{
    wh_auto_free char *pairs = NULL;
    size_t n;

    if (!o->d.emulated)
        return true;
    return wh_physmap_read(op, o->here, o->d.domid, &pairs, &n) &&
           (n == 0 || put_emulator(op, o, WH_LIBXL_EMULATOR_XENSTORE_DATA, pairs, n)) &&
           put_emulator(op, o, WH_LIBXL_EMULATOR_CONTEXT, o->state, o->state_n);
}

bool wh_outgoing_rest(struct wh_op *op, struct wh_outgoing *o)
{
    wh_step(op, "copy the suspended guest", WH_FOREVER);
    return wh_save_rest(&o->save) && copy_emulator(op, o);
}

bool wh_outgoing_end(struct wh_op *op, struct wh_outgoing *o)
{
    return wh_put_record(op, &o->sink, &wh_layer_libxl, WH_LIBXL_END, NULL, 0);
}

/* ------------------------------------------------------------------------------- failed */

void wh_outgoing_say_where(struct wh_op *op, const struct wh_outgoing *o, const char *what_not)
{
    struct wh_err why = op->err;
    struct wh_domain d = { 0 };
    bool there = false;

    op->shielded = true;
    op->err = (struct wh_err){ 0 };
    wh_step(op, "look at the domain", 10000);
    bool known = wh_xen_domain(op, o->here->xen, o->d.domid, &d, &there);
    op->err = why;
    if (op->undo_err.kind != WH_OK || !known)
        snprintf(op->err.text, sizeof op->err.text, "%.800s; domain %u may not run: wherry recover "
                 "settles it", why.text, o->d.domid);
    else if (!there || d.shutdown)
        snprintf(op->err.text, sizeof op->err.text, "%.800s; domain %u %s, %.120s", why.text,
                 o->d.domid, there ? "has shut down" : "is gone", what_not);
    else
        snprintf(op->err.text, sizeof op->err.text, "%.800s; domain %u runs on, %.120s", why.text,
                 o->d.domid, what_not);
}
