/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/report.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "wire/libxl.h"
#include "wire/xl.h"

/* What a report's sets may take together, whatever a stream says.  Of a guest with data and zeros in
 * every 128 MiB that is enough for 90 GiB; of one that is all there, for any. */
#define SETS_BYTES (4u << 20)

void wh_report_init(struct wh_report *r)
{
    memset(r, 0, sizeof *r);
    wh_sparse_init(&r->pages.seen, SETS_BYTES);
    wh_sparse_init_shared(&r->pages.contents, &r->pages.seen);
    wh_sparse_init_shared(&r->pages.zero, &r->pages.seen);
    wh_sparse_init_shared(&r->pages.table, &r->pages.seen);
}

void wh_report_free(struct wh_report *r)
{
    wh_sparse_free(&r->pages.contents);
    wh_sparse_free(&r->pages.zero);
    wh_sparse_free(&r->pages.table);
    wh_sparse_free(&r->pages.seen);
    json_object_put(r->config);
    free(r->image.config);
}

void wh_report_record(struct wh_report *r, const struct wh_rec *rec)
{
    struct wh_tally *t = NULL, *unknown = r->unknown[rec->layer->id];

    if (rec->row && (rec->row->flags & WH_HEADER))
        return;
    if (rec->row)
        t = &r->known[rec->layer->id][rec->row - rec->layer->rows];
    for (unsigned i = 0; !t && i < WH_TALLY_UNKNOWN; i++) {
        if (unknown[i].count == 0 || unknown[i].type == rec->type)
            t = &unknown[i];
    }
    if (!t) {
        r->unknown_more++;
        return;
    }
    t->type = rec->type;
    t->count++;
    t->bytes += rec->length;
}

void wh_report_entries(struct wh_report *r, const uint64_t *entry, size_t n)
{
    /* Runs of one type and of pfns that follow each other, which is what streams are made of. */
    for (size_t i = 0, k; i < n; i += k) {
        uint64_t first = wh_page_pfn(entry[i]);

        k = wh_run_length(entry + i, n - i);
        r->by_type[wh_page_type(entry[i])] += k;
        wh_sparse_set_run(&r->pages.seen, first, first + k);
    }
}

static bool is_zero(const uint8_t *p)
{
    return p[0] == 0 && memcmp(p, p + 1, WH_PAGE_SIZE - 1) == 0;
}

static void put(struct wh_sparse *s, uint64_t pfn, bool in)
{
    if (in)
        wh_sparse_set(s, pfn);
    else
        wh_sparse_clear(s, pfn);
}

/* A page that is sent again is what it was sent as last. */
void wh_report_pages(struct wh_report *r, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t pfn = wh_page_pfn(entry[i]);

        wh_sparse_set(&r->pages.contents, pfn);
        put(&r->pages.zero, pfn, is_zero(contents + i * WH_PAGE_SIZE));
        put(&r->pages.table, pfn, (wh_page_type(entry[i]) & ~(unsigned)WH_PAGE_PIN) != 0);
    }
}

const char *wh_format_name(enum wh_format f)
{
    static const char *const name[] = { "unknown", "xl", "libxl", "libxc", "legacy" };

    return name[f];
}

const char *wh_guest_name(const struct wh_image *i)
{
    return i->guest == WH_PV ? "x86-pv" : i->guest == WH_HVM ? "x86-hvm" : NULL;
}

/* ------------------------------------------------------------------------------- JSON */

static json_object *number(uint64_t n)
{
    return json_object_new_uint64(n);
}

static json_object *text(const char *s)
{
    return wh_json_text(s);
}

static void add(json_object *o, const char *key, json_object *value)
{
    json_object_object_add(o, key, value);
}

static json_object *xl_json(const struct wh_report *r)
{
    json_object *o;

    if (r->image.container != WH_FORMAT_XL)
        return NULL;
    o = json_object_new_object();
    add(o, "mandatory_flags", number(r->image.xl_mandatory));
    add(o, "optional_flags", number(r->image.xl_optional));
    if (r->config)
        add(o, "config", json_object_get(r->config));
    else
        add(o, "config", text(r->image.config));
    return o;
}

static json_object *libxl_json(const struct wh_image *i)
{
    json_object *o;

    if (!i->has_libxl)
        return NULL;
    o = json_object_new_object();
    add(o, "version", number(i->libxl_version));
    add(o, "legacy", json_object_new_boolean((i->libxl_options & WH_LIBXL_LEGACY) != 0));
    return o;
}

static json_object *libxc_json(const struct wh_image *i)
{
    json_object *o;
    char xen[32];

    if (!i->has_libxc)
        return NULL;
    o = json_object_new_object();
    snprintf(xen, sizeof xen, "%u.%u", i->xen_major, i->xen_minor);
    add(o, "version", number(i->libxc_version));
    add(o, "guest", text(wh_guest_name(i)));
    add(o, "xen", text(xen));
    return o;
}

static json_object *legacy_json(const struct wh_image *i)
{
    json_object *o;

    if (!i->has_legacy)
        return NULL;
    o = json_object_new_object();
    add(o, "width", number(i->legacy_width));
    add(o, "guest", text(wh_guest_name(i)));
    add(o, "p2m_size", number(i->legacy_pages));
    return o;
}

static void add_tally(json_object *list, const char *layer, const char *type,
                      const struct wh_tally *t)
{
    json_object *o;

    if (t->count == 0)
        return;
    o = json_object_new_object();
    add(o, "layer", text(layer));
    add(o, "type", text(type));
    add(o, "count", number(t->count));
    add(o, "bytes", number(t->bytes));
    json_object_array_add(list, o);
}

static json_object *records_json(const struct wh_report *r)
{
    json_object *list = json_object_new_array();
    char name[16];

    for (unsigned l = 0; l < WH_LAYERS; l++) {
        if (l == WH_LAYER_TRAILER)
            continue;               /* it is not the image's */
        for (size_t i = 0; i < wh_layers[l]->count; i++)
            add_tally(list, wh_layers[l]->name, wh_layers[l]->rows[i].name, &r->known[l][i]);
        for (unsigned i = 0; i < WH_TALLY_UNKNOWN; i++) {
            snprintf(name, sizeof name, "%#x", r->unknown[l][i].type);
            add_tally(list, wh_layers[l]->name, name, &r->unknown[l][i]);
        }
    }
    return list;
}

static json_object *pages_json(const struct wh_report *r)
{
    json_object *o = json_object_new_object();
    const struct wh_sparse *seen = &r->pages.seen;

    add(o, "entries", number(r->image.page_entries));
    add(o, "data", number(r->image.page_data));
    add(o, "xtab", number(r->by_type[WH_PAGE_XTAB]));
    add(o, "xalloc", number(r->by_type[WH_PAGE_XALLOC]));
    add(o, "broken", number(r->by_type[WH_PAGE_BROKEN]));
    add(o, "distinct", seen->full ? NULL : number(seen->count));
    if (r->mapped && !r->pages.zero.full)
        add(o, "zero", number(r->pages.zero.count));
    return o;
}

static json_object *trailer_json(const struct wh_report *r)
{
    char digest[2 * WH_DIGEST_BYTES + 1];
    json_object *o;

    if (!r->image.has_trailer)
        return NULL;
    o = json_object_new_object();
    wh_digest_text(r->image.trailer_digest, digest);
    add(o, "offset", number(r->image.trailer_at));
    add(o, "stream_length", number(r->image.trailer_stream));
    add(o, "xxh3_128", text(digest));
    add(o, "digest", text(wh_digest_word(r->digest)));
    add(o, "producer", text(r->image.trailer_producer));
    add(o, "time", number(r->image.trailer_time));
    add(o, "index_entries", number(r->image.trailer_index_entries));
    return o;
}

static json_object *compression_json(const struct wh_report *r)
{
    json_object *o;

    if (!r->packed)
        return NULL;
    o = json_object_new_object();
    add(o, "format", text("zstd"));
    add(o, "size", number(r->packing.size));
    add(o, "frames", number(r->packing.frames));
    add(o, "seek_table", json_object_new_boolean(r->packing.indexed));
    return o;
}

json_object *wh_report_json(const struct wh_report *r)
{
    const struct wh_image *i = &r->image;
    json_object *o = json_object_new_object();

    add(o, "container", text(wh_format_name(i->container)));
    add(o, "complete", json_object_new_boolean(i->complete));
    add(o, "size", number(i->size));
    add(o, "compression", compression_json(r));
    add(o, "xl", xl_json(r));
    add(o, "libxl", libxl_json(i));
    add(o, "libxc", libxc_json(i));
    add(o, "legacy", legacy_json(i));
    add(o, "records", records_json(r));
    add(o, "pages", pages_json(r));
    add(o, "vcpus", number(i->vcpus));
    add(o, "rounds", number(i->rounds));
    add(o, "epochs", number(i->epochs));
    add(o, "emulator_bytes", number(i->emulator_bytes));
    add(o, "trailer", trailer_json(r));
    add(o, "findings", number(r->findings));
    add(o, "first_finding", r->has_first ? text(r->first) : NULL);
    return o;
}
