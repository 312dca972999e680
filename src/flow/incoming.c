/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/incoming.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "dm/qemu.h"
#include "dm/state.h"
#include "flow/cfgfile.h"
#include "flow/emulator.h"
#include "flow/input.h"
#include "flow/plan.h"
#include "wire/legacy.h"
#include "wire/libxc.h"
#include "wire/libxl.h"
#include "wire/xl.h"

#define TRADITIONAL 1               /* emulator id of a device model that is no more */

void wh_incoming_init(struct wh_incoming *in, struct wh_here *h, const char *from)
{
    *in = (struct wh_incoming){ .here = h, .from = from, .config = wh_config_empty() };
    wh_restore_init(&in->mem);
}

void wh_incoming_let_go(struct wh_incoming *in)
{
    wh_restore_free(&in->mem);
    wh_qemu_drop(&in->made.qemu);
    free(wh_take_ptr(&in->emulator.p));
    free(wh_take_ptr(&in->physmap.p));
}

void wh_incoming_free(struct wh_incoming *in)
{
    wh_config_free(&in->config);
}

/* -------------------------------------------------------------------- the configuration */

/* Another configuration changes nothing of what the devices' state is of. */
static bool take_machine(struct wh_op *op, struct wh_incoming *in, const struct wh_image *i)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err whatever = { 0 };

    if (in->config.type != WH_TYPE_HVM || in->config.machine || !i->config ||
        !(i->xl_mandatory & WH_XL_CONFIG_JSON) ||
        !wh_config_read_json(&whatever, i->config, i->config_length, &c) || !c.machine)
        return true;
    in->config.machine = strdup(c.machine);
    return in->config.machine || wh_fail_sys(&op->err, ENOMEM, "restore");
}

static bool read_config(struct wh_op *op, struct wh_incoming *in, const struct wh_image *i)
{
    if (in->config_path)
        return wh_cfgfile_read(op, in->config_path, NULL, &in->config, NULL) && take_machine(op, in, i);
    if (!i->config)
        return wh_fail(&op->err, WH_USAGE, "the image has no configuration: give one "
                       "(wherry restore CONFIG FILE)");
    if (!(i->xl_mandatory & WH_XL_CONFIG_JSON)) {
        wh_auto_warnings struct wh_warnings unheard = { 0 };
        struct wh_xlcfg from = { .text = i->config, .n = strlen(i->config),
                                 .file = "the image's configuration" };

        return wh_config_parse_xlcfg(&op->err, &from, &in->config, &unheard) &&
               wh_config_check_foreign(&op->err, &in->config);
    }
    return wh_config_read_json(&op->err, i->config, i->config_length, &in->config) &&
           wh_config_check_foreign(&op->err, &in->config);
}

static bool name_it(struct wh_op *op, struct wh_incoming *in)
{
    char *name = NULL;

    if (!in->suffix)
        return true;
    if (asprintf(&name, "%s%s", in->config.name ? in->config.name : "", in->suffix) < 0)
        return wh_fail_sys(&op->err, ENOMEM, "receive");
    free(in->config.name);
    in->config.name = name;
    return true;
}

static bool make(struct wh_op *op, struct wh_incoming *in, const struct wh_image *i)
{
    struct wh_config *c = &in->config;
    wh_auto_plan struct wh_plan plan = { .c = wh_config_empty() };

    if (!read_config(op, in, i) || !name_it(op, in) || !wh_config_complete(&op->err, c) ||
        !wh_emulator_check(op, in->here, c) || !wh_plan_make(op, c, &plan))
        return false;
    in->made.record = in->record;
    if (!wh_domain_make(op, in->here, c, true, &in->made))
        return false;
    in->target_kb = plan.c.target_memkb + 1024;
    in->made_any = true;
    in->mem.op = op;
    in->mem.xen = in->here->xen;
    in->mem.domid = in->made.domid;
    in->mem.hvm = c->type != WH_TYPE_PV;
    in->mem.vcpus = (uint32_t)plan.c.max_vcpus;
    in->mem.max_pages = (plan.c.max_memkb + 1024) / 4;
    if (plan.c.target_memkb == plan.c.max_memkb)
        in->mem.own_pages = (plan.c.max_memkb - plan.c.video_memkb) / 4;
    in->mem.store_domid = in->made.store_domid;
    in->mem.console_domid = in->made.console_domid;
    in->mem.store_port = in->made.store_port;
    in->mem.console_port = in->made.console_port;
    /* A page of a PV guest that is mapped to be written is no page table for as long. */
    if (in->then_exit && in->mem.hvm)
        wh_xen_ends_soon(in->mem.xen);
    if (!wh_emulator_begin(op, in->here, &plan.c, &in->made) ||
        (in->made_it && !in->made_it(op, in)))
        return false;
    wh_step(op, "fill the guest's memory", WH_FOREVER);
    return true;
}

/* ---------------------------------------------------------------------------- the walk */

static bool enter(struct wh_walk *w, const struct wh_layer *layer)
{
    struct wh_incoming *in = w->arg;

    return layer->id != WH_LAYER_LIBXC || in->made_any || make(w->op, in, &w->image);
}

/* Whose state it is: of another device model's than QEMU nothing can be made here. */
static bool check_emulator(struct wh_walk *w, const struct wh_incoming *in, uint32_t id)
{
    if (in->config.type != WH_TYPE_HVM)
        return wh_fail(&w->op->err, WH_STREAM, "the image holds a device model's state, and its guest "
                       "is none that has one");
    return id != TRADITIONAL || wh_fail(&w->op->err, WH_USAGE, "the image holds the state of "
                                        "qemu-traditional, which is no more");
}

static bool emulator_nodes(struct wh_walk *w, struct wh_incoming *in, const struct wh_rec *r)
{
    const char *pairs = (const char *)r->body + 8, *wrong;

    if (!check_emulator(w, in, wh_le32(r->body)))
        return false;
    wrong = wh_physmap_wrong(pairs, r->length - 8);
    if (wrong)
        return wh_fail(&w->op->err, WH_STREAM, "QEMU's nodes in the image: %s", wrong);
    return wh_blob_set(w->op, &in->physmap, pairs, r->length - 8);
}

static bool libxl_record(struct wh_walk *w, struct wh_incoming *in, const struct wh_rec *r)
{
    if (!r->row || r->row->flags & WH_HEADER)
        return true;
    if (r->type == WH_LIBXL_EMULATOR_XENSTORE_DATA)
        return emulator_nodes(w, in, r);
    return r->type != WH_LIBXL_EMULATOR_CONTEXT || check_emulator(w, in, w->image.emulator_id);
}

static bool record(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_incoming *in = w->arg;

    if (r->layer->id == WH_LAYER_LIBXL)
        return libxl_record(w, in, r);
    if (r->layer->id != WH_LAYER_LIBXC || !w->image.has_libxc)
        return wh_check_config(w, r);
    if (!in->told_guest) {
        in->told_guest = true;
        if (!wh_restore_domain(&in->mem, &w->image))
            return false;
    }
    return (r->row && r->row->flags & WH_HEADER) || wh_restore_record(&in->mem, w, r);
}

/* QEMU's state as it comes; the record's row bounds it. */
static bool blob(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n)
{
    struct wh_incoming *in = w->arg;
    uint8_t *more;

    if (r->layer->id != WH_LAYER_LIBXL || r->type != WH_LIBXL_EMULATOR_CONTEXT)
        return true;
    more = realloc(in->emulator.p, in->emulator.n + n);
    if (!more)
        return wh_fail_sys(&w->op->err, ENOMEM, "keep QEMU's state");
    memcpy(more + in->emulator.n, p, n);
    in->emulator.p = more;
    in->emulator.n += n;
    return true;
}

static bool entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    struct wh_incoming *in = w->arg;

    (void)r;
    return wh_restore_entries(&in->mem, entry, n);
}

static bool place(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t **to)
{
    struct wh_incoming *in = w->arg;

    return wh_restore_place(&in->mem, entry, n, to);
}

static bool placed(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t *to, bool whole)
{
    struct wh_incoming *in = w->arg;

    return wh_restore_placed(&in->mem, entry, n, to, whole);
}

static bool frame(struct wh_walk *w, uint64_t which, uint64_t pfn)
{
    struct wh_incoming *in = w->arg;

    return wh_restore_frame(&in->mem, w->image.frames_end, which, pfn);
}

static bool start_legacy(struct wh_walk *w)
{
    return wh_fail(&w->op->err, WH_USAGE, "the image is of the time before Xen 4.6: wherry convert "
                   "makes one of it that can be restored");
}

static const struct wh_legacy_watch legacy = { .start = start_legacy };
const struct wh_watch wh_incoming_watch = { .enter = enter, .record = record, .entries = entries,
                                       .frame = frame, .place = place, .placed = placed, .blob = blob,
                                       .legacy = &legacy };

/* ------------------------------------------------------------------------- whole */

/* An HVM guest's devices go on from their state, or not at all. */
static bool hand_over(struct wh_op *op, struct wh_incoming *in)
{
    const char *wrong = wh_state_wrong(in->emulator.p, in->emulator.n);

    if (in->config.type != WH_TYPE_HVM)
        return true;
    if (wrong)
        return wh_fail(&op->err, WH_STREAM, "%s: its device model's state: %s", in->from,
                       in->emulator.n ? wrong : "there is none");
    in->made.emulator = in->emulator.p;
    in->made.emulator_bytes = in->emulator.n;
    in->made.physmap = (const char *)in->physmap.p;
    in->made.physmap_bytes = in->physmap.n;
    return true;
}

bool wh_incoming_connect(struct wh_op *op, struct wh_incoming *in)
{
    in->filled_ns = wh_now_ns();
    if (!in->made_any)
        return wh_fail(&op->err, WH_STREAM, "%s: no memory image in it", in->from);
    if (!hand_over(op, in))
        return false;
    wh_step(op, "set the processors", 60000);
    if (!wh_restore_finish(&in->mem))
        return false;
    in->set_ns = wh_now_ns();
    in->made.store_frame = in->mem.store_frame;
    in->made.console_frame = in->mem.console_frame;
    wh_step(op, "connect the devices", 120000);
    return wh_domain_finish(op, in->here, &in->config, &in->made) &&
           wh_xen_max_memory(op, in->here->xen, in->made.domid, in->target_kb);
}

void wh_incoming_tell(const struct wh_incoming *in, json_object *o)
{
    const struct wh_restore *m = &in->mem;

    json_object_object_add(o, "pages", json_object_new_uint64(m->populated.count));
    json_object_object_add(o, "zero_pages", json_object_new_uint64(m->zeros));
    json_object_object_add(o, "superpages", json_object_new_uint64(m->superpages));
    json_object_object_add(o, "gigapages", json_object_new_uint64(m->gigapages));
    if (!m->verifying)
        return;
    json_object_object_add(o, "compared_pages", json_object_new_uint64(m->compared));
    json_object_object_add(o, "differing_pages", json_object_new_uint64(m->differ.count));
    json_object_object_add(o, "first_differing_pfn",
                           m->differ.count ? json_object_new_uint64(wh_compare_first(m)) : NULL);
}

/* The guest's devices work before it does. */
bool wh_incoming_run(struct wh_op *op, struct wh_incoming *in)
{
    struct wh_here *h = in->here;

    return (in->config.type != WH_TYPE_HVM || wh_qemu_run_on(op, h, in->made.domid)) &&
           wh_xen_unpause(op, h->xen, in->made.domid);
}
