/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every table has in common: finding a row, judging and printing fixed fields. */
#include "wire/record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "wire/walk.h"

const struct wh_layer *const wh_layers[WH_LAYERS] = {
    [WH_LAYER_XL] = &wh_layer_xl,           [WH_LAYER_LIBXL] = &wh_layer_libxl,
    [WH_LAYER_LIBXC] = &wh_layer_libxc,     [WH_LAYER_LEGACY] = &wh_layer_legacy,
    [WH_LAYER_TRAILER] = &wh_layer_trailer,
};

const struct wh_row *wh_row_find(const struct wh_layer *layer, uint32_t type)
{
    for (size_t i = 0; i < layer->count; i++) {
        if (layer->rows[i].type == type && !(layer->rows[i].flags & WH_HEADER))
            return &layer->rows[i];
    }
    return NULL;
}

const struct wh_row *wh_row_named(const struct wh_layer *layer, const char *name)
{
    for (size_t i = 0; i < layer->count; i++) {
        if (strcmp(layer->rows[i].name, name) == 0)
            return &layer->rows[i];
    }
    assert(!"a row of this name is in the table");
    return NULL;
}

const char *wh_rec_name(const struct wh_rec *r, char *scratch, size_t n)
{
    if (r->row)
        return r->row->name;
    snprintf(scratch, n, "%#" PRIx32, r->type);
    return scratch;
}

static bool length_fits(const struct wh_row *row, uint32_t length)
{
    return length >= row->min && length <= row->max &&
           (row->unit == 0 || (length - row->min) % row->unit == 0);
}

bool wh_rec_check_length(struct wh_walk *w, const struct wh_rec *r)
{
    const struct wh_row *row = r->row;
    struct wh_text want;

    if (length_fits(row, r->length))
        return true;
    if (row->min == row->max)
        want = wh_text("%u bytes", row->min);
    else if (row->unit > 1)
        want = wh_text("%u to %u bytes in steps of %u", row->min, row->max, row->unit);
    else
        want = wh_text("%u to %u bytes", row->min, row->max);
    wh_flaw(w, WH_RULE_LENGTH, r->at, want.s, wh_text("%u", r->length).s);
    return false;
}

static uint64_t value_of(const struct wh_member *f, const uint8_t *body)
{
    return wh_uint(body + f->at, f->size, f->big);
}

static bool check_field(struct wh_walk *w, const struct wh_rec *r, const struct wh_member *f)
{
    uint64_t v = value_of(f, r->body);
    bool fatal = r->row->flags & WH_HEADER;
    enum wh_rule rule = f->form == WH_ZERO ? WH_RULE_RESERVED : WH_RULE_VALUE;
    struct wh_text want = wh_text("%s to be zero", f->name), got;

    if (f->form == WH_ZERO ? v == 0 : f->most == 0 || (v >= f->least && v <= f->most))
        return true;
    got = wh_text(f->form == WH_DEC ? "%" PRIu64 : "%#" PRIx64, v);
    if (f->form != WH_ZERO && f->least == f->most)
        want = wh_text(f->form == WH_DEC ? "%s %" PRIu64 : "%s %#" PRIx64, f->name, f->least);
    else if (f->form != WH_ZERO)
        want = wh_text(f->form == WH_DEC ? "%s %" PRIu64 " to %" PRIu64
                                         : "%s %#" PRIx64 " to %#" PRIx64,
                       f->name, f->least, f->most);
    return fatal && f->form != WH_ZERO
               ? wh_flaw_fatal(w, rule, r->body_at + f->at, want.s, got.s)
               : wh_flaw(w, rule, r->body_at + f->at, want.s, got.s);
}

bool wh_rec_check_fields(struct wh_walk *w, const struct wh_rec *r)
{
    for (const struct wh_member *f = r->row->fields; f && f->name; f++) {
        if (f->at + f->size <= r->length && !check_field(w, r, f))
            return false;
    }
    return true;
}

void wh_say(struct wh_line *l, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(l->text + l->used, sizeof l->text - l->used, format, ap);
    va_end(ap);
    if (n > 0)
        l->used = l->used + (size_t)n < sizeof l->text ? l->used + (size_t)n : sizeof l->text - 1;
}

void wh_rec_print(const struct wh_rec *r, struct wh_line *l)
{
    const char *gap = "";

    if (!r->row || !r->body)
        return;
    for (const struct wh_member *f = r->row->fields; f && f->name; f++) {
        if (f->form == WH_ZERO || f->at + f->size > r->length)
            continue;
        wh_say(l, "%s%s=", gap, f->name);
        wh_say(l, f->form == WH_DEC ? "%" PRIu64 : "%#" PRIx64, value_of(f, r->body));
        gap = " ";
    }
    if (r->row->print) {
        wh_say(l, "%s", gap);
        r->row->print(r, l);
    }
}

uint64_t wh_rec_field(const struct wh_rec *r, const char *name)
{
    for (const struct wh_member *f = r->row->fields; f && f->name; f++) {
        if (strcmp(f->name, name) == 0)
            return f->at + f->size <= r->length ? value_of(f, r->body) : 0;
    }
    assert(!"a field of this name is in the table");
    return 0;
}
