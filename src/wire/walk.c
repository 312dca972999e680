/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The walk: containers, framing, and the columns of the tables that hold for every record. */
#include "wire/walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "wire/legacy.h"
#include "wire/trailer.h"
#include "wire/xl.h"

bool wh_walk_init(struct wh_walk *w, struct wh_op *op, struct wh_source *src,
                  const struct wh_watch *watch, void *arg)
{
    *w = (struct wh_walk){ .op = op, .src = src, .watch = watch, .arg = arg };
    w->layer = &wh_layer_xl;
    w->place = "header";
    wh_index_init(&w->index);
    w->entry = malloc(WH_ENTRIES_MAX * sizeof *w->entry);
    w->data = malloc(WH_ENTRIES_MAX * sizeof *w->data);
    return (w->entry && w->data) || wh_fail_sys(&op->err, ENOMEM, "read a stream");
}

void wh_walk_free(struct wh_walk *w)
{
    free(w->body);
    free(w->entry);
    free(w->data);
    free(w->image.config);
    free(w->image.extra);
    wh_index_free(&w->index);
    w->body = NULL;
    w->entry = w->data = NULL;
    w->image.config = NULL;
    w->image.extra = NULL;
}

/* ------------------------------------------------------------------------------- flaws */

struct wh_text wh_text(const char *format, ...)
{
    struct wh_text t;
    va_list ap;

    va_start(ap, format);
    vsnprintf(t.s, sizeof t.s, format, ap);
    va_end(ap);
    return t;
}

static bool fail(struct wh_walk *w, const struct wh_finding *f)
{
    return wh_fail(&w->op->err, WH_STREAM, "offset %#" PRIx64 ": %s %s: %s: expected %s, found %s",
                   f->offset, f->layer, f->record, f->rule, f->expected, f->found);
}

static bool report(struct wh_walk *w, enum wh_rule rule, uint64_t at, const char *expected,
                   const char *found, bool fatal)
{
    char scratch[16];
    struct wh_finding f = {
        .offset = at,
        .layer = w->layer->name,
        .record = w->rec ? wh_rec_name(w->rec, scratch, sizeof scratch) : w->place,
        .rule = wh_rules[rule].name,
        .expected = expected,
        .found = found,
        .pedantic = rule == WH_RULE_LETTER,
    };

    if (!f.pedantic)
        w->findings++;
    if (w->watch->finding)
        w->watch->finding(w, &f);
    if (fatal || (!w->watch->finding && !f.pedantic))
        return fail(w, &f);
    return true;
}

bool wh_flaw(struct wh_walk *w, enum wh_rule rule, uint64_t at, const char *expected,
             const char *found)
{
    return report(w, rule, at, expected, found, false);
}

bool wh_flaw_fatal(struct wh_walk *w, enum wh_rule rule, uint64_t at, const char *expected,
                   const char *found)
{
    return report(w, rule, at, expected, found, true);
}

bool wh_flaw_pedantic(struct wh_walk *w, uint64_t at, const char *expected, const char *found)
{
    return !w->pedantic || report(w, WH_RULE_LETTER, at, expected, found, false);
}

/* ------------------------------------------------------------------------------- bytes */

static bool ends_early(struct wh_walk *w, uint64_t want, uint64_t got)
{
    return wh_flaw_fatal(w, WH_RULE_TRUNCATED, w->src->at,
                         wh_text("%" PRIu64 " more bytes", want).s,
                         wh_text("the end of the stream after %" PRIu64, got).s);
}

bool wh_need(struct wh_walk *w, size_t n, const uint8_t **p)
{
    size_t got;

    if (!wh_source_peek(w->op, w->src, n, p, &got))
        return false;
    if (!wh_source_take(w->op, w->src, got))
        return false;
    return got == n || ends_early(w, n, got);
}

bool wh_need_read(struct wh_walk *w, void *to, size_t n)
{
    size_t got;

    if (!wh_source_read(w->op, w->src, to, n, &got))
        return false;
    return got == n || ends_early(w, n, got);
}

bool wh_need_skip(struct wh_walk *w, uint64_t n)
{
    uint64_t gone;

    if (!wh_source_skip(w->op, w->src, n, &gone))
        return false;
    return gone == n || ends_early(w, n, gone);
}

bool wh_at_end(struct wh_walk *w, bool *end)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(w->op, w->src, 1, &p, &got))
        return false;
    *end = got == 0;
    return true;
}

bool wh_enter(struct wh_walk *w, const struct wh_layer *layer)
{
    return !w->watch->enter || w->watch->enter(w, layer);
}

bool wh_leave(struct wh_walk *w, const struct wh_layer *layer, bool at_end)
{
    return !w->watch->leave || w->watch->leave(w, layer, at_end);
}

bool wh_need_body(struct wh_walk *w, uint32_t length)
{
    const size_t piece = WH_SOURCE_WINDOW;

    for (size_t had = 0, n; had < length || !w->body; had += n) {
        n = length - had < piece ? length - had : piece;
        if (w->body_size < had + n || !w->body) {
            size_t size = had + n < 64 ? 64 : had + n;
            uint8_t *more = realloc(w->body, size);

            if (!more)
                return wh_fail_sys(&w->op->err, ENOMEM, "read a record of %u bytes", length);
            w->body = more;
            w->body_size = size;
        }
        if (!wh_need_read(w, w->body + had, n))
            return false;
    }
    return true;
}

/* ----------------------------------------------------------------------------- records */

static bool tell(struct wh_walk *w, const struct wh_rec *r)
{
    if (r->row && r->row->apply)
        r->row->apply(&w->image, r);
    return !w->watch->record || w->watch->record(w, r);
}

bool wh_walk_header(struct wh_walk *w, const struct wh_layer *layer, const char *name)
{
    const struct wh_row *row = wh_row_named(layer, name);
    struct wh_rec r = { .layer = layer, .row = row, .length = row->min };

    w->layer = layer;
    w->rec = &r;
    r.at = r.body_at = w->src->at;
    if (!wh_need_body(w, r.length))
        return false;
    r.body = w->body;
    bool ok = (!row->check || row->check(w, &r)) && wh_rec_check_fields(w, &r) && tell(w, &r);
    w->rec = NULL;
    return ok;
}

enum admit { ADMIT_TAKE, ADMIT_SKIP, ADMIT_STOP };

/* A record that no table has.  libxc readers skip those with bit 31, but not inside a Remus
 * epoch; libxl's refuse them all. */
static enum admit admit_unknown(struct wh_walk *w, const struct wh_rec *r)
{
    bool optional = r->type & WH_REC_OPTIONAL;
    bool skippable = r->layer->id == WH_LAYER_LIBXC || r->layer->id == WH_LAYER_TRAILER;
    const char *want = !skippable          ? "a record that libxl knows"
                       : w->image.epochs   ? "no optional record inside a checkpointed stream"
                                           : "a known record, or an optional one (bit 31)";

    if (optional && skippable && !(r->layer->id == WH_LAYER_LIBXC && w->image.epochs > 0))
        return ADMIT_SKIP;
    return wh_flaw(w, WH_RULE_UNKNOWN, r->at, want, wh_text("type %#" PRIx32, r->type).s)
               ? ADMIT_SKIP
               : ADMIT_STOP;
}

static struct wh_text phase_names(const struct wh_layer *layer, unsigned phases)
{
    struct wh_line l = { .used = 0 };

    for (unsigned i = 0; layer->phases[i]; i++) {
        if (phases >> i & 1)
            wh_say(&l, "%s%s", l.used ? " or " : "", layer->phases[i]);
    }
    return wh_text("%s", l.used ? l.text : "no place in this direction");
}

/* A layer is taken to be further on than it says: what should have come before is missed once, and
 * forgiven if it comes late or never. */
static void jump_ahead(struct wh_walk *w, const struct wh_layer *layer, unsigned phase)
{
    struct wh_image *i = &w->image;
    unsigned skipped = phase - 1;

    i->phase[layer->id] = phase;
    i->forgiven[layer->id] |= skipped;
    for (size_t k = 0; k < layer->count; k++) {
        unsigned in = layer->rows[k].in;

        if ((layer->rows[k].flags & WH_NEEDED) && (in & -in & skipped))
            i->missed[layer->id] |= 1u << k;
    }
}

/* One flaw a jump: of a record too early the rest is judged as if its phase had come.  Where the
 * record marks the stream's structure there is no way to go on. */
static bool check_phase(struct wh_walk *w, const struct wh_rec *r, bool *flawed)
{
    unsigned id = r->layer->id, phase = w->image.phase[id], in = r->row->in;

    *flawed = !(in & (phase | w->image.forgiven[id]));
    if (!*flawed)
        return true;
    struct wh_text want = phase_names(r->layer, in), got = phase_names(r->layer, phase);
    if ((r->row->flags & WH_MARK) && r->row->type != 0)
        return wh_flaw_fatal(w, WH_RULE_ORDER, r->at, want.s, got.s);
    if (!wh_flaw(w, WH_RULE_ORDER, r->at, want.s, got.s))
        return false;
    if (!(r->row->flags & WH_MARK) && (in & -in) > phase)
        jump_ahead(w, r->layer, in & -in);
    return true;
}

static enum admit admit(struct wh_walk *w, const struct wh_rec *r)
{
    const struct wh_row *row = r->row;
    uint32_t bit = row ? 1u << (row - r->layer->rows) : 0;
    uint32_t *seen = &w->image.seen[r->layer->id];
    bool flawed;

    if (!row)
        return admit_unknown(w, r);
    if (w->image.guest && !(row->guests & w->image.guest))
        return wh_flaw(w, WH_RULE_GUEST_TYPE, r->at,
                       row->guests & WH_PV ? "a PV guest" : "an HVM guest",
                       row->guests & WH_PV ? "an HVM image" : "a PV image")
                   ? ADMIT_SKIP
                   : ADMIT_STOP;
    if ((row->flags & WH_SINCE_V3) && w->image.libxc_version < 3)
        return wh_flaw(w, WH_RULE_VERSION, r->at, "this record in version 3 and later",
                       wh_text("version %u", w->image.libxc_version).s)
                   ? ADMIT_SKIP
                   : ADMIT_STOP;
    if (!check_phase(w, r, &flawed))
        return ADMIT_STOP;
    if (!flawed && (row->flags & WH_ONCE) && (*seen & bit) &&
        !wh_flaw(w, WH_RULE_DUPLICATE, r->at, "one of these", "another"))
        return ADMIT_STOP;
    *seen |= bit;
    if (!wh_rec_check_length(w, r))
        return w->op->err.kind == WH_OK ? ADMIT_SKIP : ADMIT_STOP;
    return ADMIT_TAKE;
}

static bool check_padding(struct wh_walk *w, const struct wh_rec *r)
{
    unsigned n = wh_padding(r->length);
    const uint8_t *p;

    if (n == 0)
        return true;
    if (!wh_need(w, n, &p))
        return false;
    for (unsigned i = 0; i < n; i++) {
        if (p[i] != 0)
            return wh_flaw(w, WH_RULE_PADDING, r->body_at + r->length + i, "zero",
                           wh_text("%#x", p[i]).s);
    }
    return true;
}

static bool take_body(struct wh_walk *w, struct wh_rec *r)
{
    if (r->row->flags & WH_BULK)
        return r->row->bulk(w, r);
    if (!wh_need_body(w, r->length))
        return false;
    r->body = w->body;
    return wh_rec_check_fields(w, r) && (!r->row->check || r->row->check(w, r));
}

/* Told of, but not believed; what it marks in the stream's structure it marks all the same. */
static bool pass_over(struct wh_walk *w, struct wh_rec *r)
{
    bool ok = !w->watch->record || w->watch->record(w, r);

    if (r->row && !(r->row->flags & WH_MARK))
        r->row = NULL;
    return ok;
}

static bool follow(struct wh_walk *w, const struct wh_layer *layer, struct wh_rec *r)
{
    if (r->length > layer->length_max)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r->at,
                             wh_text("at most %u bytes", layer->length_max).s,
                             wh_text("%u", r->length).s);
    enum admit a = admit(w, r);
    if (a == ADMIT_STOP || (w->watch->before && !w->watch->before(w, r)))
        return false;
    if (a == ADMIT_SKIP ? !wh_need_skip(w, r->length) : !take_body(w, r))
        return false;
    if (!check_padding(w, r))
        return false;
    if (r->row && ((r->row->flags & WH_MARK) ? r->row->opens != 0
                                             : r->row->opens > w->image.phase[layer->id]))
        w->image.phase[layer->id] = r->row->opens;
    return a == ADMIT_SKIP ? pass_over(w, r) : tell(w, r);
}

bool wh_walk_record(struct wh_walk *w, const struct wh_layer *layer, struct wh_rec *r)
{
    const uint8_t *p;

    *r = (struct wh_rec){ .layer = layer, .at = w->src->at };
    w->layer = layer;
    w->rec = NULL;
    w->place = "record";
    if (!wh_need(w, WH_REC_HEADER, &p))
        return false;
    r->type = wh_le32(p);
    r->length = wh_le32(p + 4);
    r->row = wh_row_find(layer, r->type);
    r->body_at = w->src->at;

    w->rec = r;
    bool ok = follow(w, layer, r);
    w->rec = NULL;
    return ok;
}

/* -------------------------------------------------------------------------- containers */

static bool detect(struct wh_walk *w, enum wh_format *format)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(w->op, w->src, WH_XL_MAGIC_BYTES, &p, &got))
        return false;
    if (got >= WH_XL_MAGIC_BYTES && memcmp(p, wh_xl_magic, WH_XL_MAGIC_BYTES) == 0)
        *format = WH_FORMAT_XL;
    else if (got >= 8 && memcmp(p, "LibxlFmt", 8) == 0)
        *format = WH_FORMAT_LIBXL;
    else if (got >= 12 && wh_be64(p) == UINT64_MAX && memcmp(p + 8, "XENF", 4) == 0)
        *format = WH_FORMAT_LIBXC;
    else if (wh_legacy_plausible(w, p, got))
        *format = WH_FORMAT_LEGACY;
    else if (got == 0)
        return wh_flaw_fatal(w, WH_RULE_TRUNCATED, 0, "a Xen image", "an empty input");
    else if (got >= 4 && wh_le32(p) == 0xfd2fb528)
        return wh_flaw_fatal(w, WH_RULE_FORMAT, 0, "a Xen image",
                             "zstd-compressed data in it");
    else
        return wh_flaw_fatal(w, WH_RULE_FORMAT, 0,
                             "an xl, libxl, libxc or legacy stream", "something else");
    return true;
}

/* After the last END: nothing, or, in an xl save file, the trailer. */
static bool walk_rest(struct wh_walk *w)
{
    bool end = false, ours = false;

    w->place = "END";
    if (w->channel)
        return true;
    if (!wh_at_end(w, &end) || end)
        return end;
    if (!wh_trailer_here(w, &ours))
        return false;
    if (ours && w->image.container == WH_FORMAT_XL) {
        if (!wh_walk_trailer(w) || !wh_at_end(w, &end) || end)
            return end;
    }
    /* xl restore does not look behind END: a save file on a volume longer than it is whole. */
    if (w->image.container == WH_FORMAT_XL && !w->watch->finding)
        return true;
    return wh_flaw(w, WH_RULE_TRAILING_DATA, w->src->at, "the end of the stream", "more bytes");
}

static bool walk_container(struct wh_walk *w)
{
    enum wh_format inner = WH_FORMAT_NONE;

    if (!detect(w, &inner))
        return false;
    w->image.container = inner;
    if (inner == WH_FORMAT_XL) {
        if (!wh_walk_xl(w))
            return false;
        inner = w->image.xl_mandatory & WH_XL_STREAM_V2 ? WH_FORMAT_LIBXL : WH_FORMAT_LEGACY;
    }
    switch (inner) {
    case WH_FORMAT_LIBXL:
        return wh_walk_libxl(w);
    case WH_FORMAT_LIBXC:
        return wh_walk_libxc(w);
    default:
        return wh_walk_legacy(w);
    }
}

/* The source has failed, and said why. */
static void tell_feed_flaw(struct wh_walk *w, const struct wh_feed_flaw *flaw)
{
    struct wh_finding f = {
        .offset = w->src->at,
        .layer = "zstd",
        .record = flaw->place,
        .rule = wh_rules[WH_RULE_COMPRESSION].name,
        .expected = flaw->expected,
        .found = flaw->found,
    };

    w->findings++;
    if (w->watch->finding)
        w->watch->finding(w, &f);
}

bool wh_walk_stream(struct wh_walk *w)
{
    bool whole = walk_container(w);

    w->image.complete = whole;
    if (whole)
        whole = walk_rest(w);
    if (w->src->feed && w->src->feed->flaw.expected)
        tell_feed_flaw(w, &w->src->feed->flaw);
    w->image.size = w->src->size == WH_SOURCE_UNKNOWN ? w->src->at : w->src->size;
    return whole;
}
