/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The legacy stream's body and tail; legacy_head.c has what comes before. */
#include "wire/legacy_parts.h"

#include <stdio.h>

#include "base/own.h"
#include "wire/libxc.h"
#include "wire/libxl.h"

#define BATCH_MAX 1024
#define VCPU_ID_MAX 4095
#define TOOLSTACK_MAX (64u << 10)
#define EXTENDED_BYTES 128
#define QEMU_SIGNATURE 21

/* clang-format off */
/* type: the chunk's number; a page batch, whose number is its size, stands as 1. */
static const struct wh_row rows[] = {
    { .name = "header", .min = 8, .max = 8, .guests = WH_ANY_GUEST, .flags = WH_HEADER, .says = "the number of pfns, in the writer's word; for PV guests the extended info and the p2m frames" },
    { 0,              "END",                          0, 0,   0, WH_ANY_GUEST, .says = "end of the body; the tail follows" },
    { 1,              "PAGE_BATCH",                   8, UINT32_MAX, 0, WH_ANY_GUEST, .says = "up to 1024 words (type in bits 31-28, pfn in 27-0), then the contents" },
    { (uint32_t)-1,   "VERIFY_MODE",                  0, 0,   0, WH_ANY_GUEST, .says = "pages are sent again to be compared" },
    { (uint32_t)-2,   "VCPU_INFO",                   12, 516, 0, WH_ANY_GUEST, .says = "i32 greatest id, u64 bitmap of online vCPUs" },
    { (uint32_t)-3,   "HVM_IDENT_PT",                12, 12,  0, WH_HVM,       .opens = 12, .says = "HVM parameter 12" },
    { (uint32_t)-4,   "HVM_VM86_TSS",                12, 12,  0, WH_HVM,       .opens = 15, .says = "HVM parameter 15" },
    { (uint32_t)-5,   "TMEM",                         0, 0,   0, 0,            .says = "refused" },
    { (uint32_t)-6,   "TMEM_EXTRA",                   0, 0,   0, 0,            .says = "refused" },
    { (uint32_t)-7,   "TSC_INFO",                    20, 20,  0, WH_ANY_GUEST, .says = "u32 mode, u64 nsec, u32 khz, u32 incarnation, packed" },
    { (uint32_t)-8,   "HVM_CONSOLE_PFN",             12, 12,  0, WH_HVM,       .opens = 17, .says = "HVM parameter 17" },
    { (uint32_t)-9,   "LAST_CHECKPOINT",              0, 0,   0, WH_ANY_GUEST, .says = "Remus: no more epochs" },
    { (uint32_t)-10,  "HVM_ACPI_IOPORTS_LOCATION",   12, 12,  0, WH_HVM,       .opens = 19, .says = "HVM parameter 19" },
    { (uint32_t)-11,  "HVM_VIRIDIAN",                12, 12,  0, WH_HVM,       .opens = 9,  .says = "HVM parameter 9" },
    { (uint32_t)-12,  "COMPRESSED_DATA",              0, 0,   0, 0,            .says = "refused" },
    { (uint32_t)-13,  "ENABLE_COMPRESSION",           0, 0,   0, 0,            .says = "refused" },
    { (uint32_t)-14,  "HVM_GENERATION_ID_ADDR",      12, 12,  0, WH_HVM,       .opens = 34, .says = "HVM parameter 34" },
    { (uint32_t)-15,  "HVM_PAGING_RING_PFN",         12, 12,  0, WH_HVM,       .opens = 27, .says = "HVM parameter 27" },
    { (uint32_t)-16,  "HVM_MONITOR_RING_PFN",        12, 12,  0, WH_HVM,       .opens = 28, .says = "HVM parameter 28" },
    { (uint32_t)-17,  "HVM_SHARING_RING_PFN",        12, 12,  0, WH_HVM,       .opens = 29, .says = "HVM parameter 29" },
    { (uint32_t)-18,  "TOOLSTACK",                    4, 4 + TOOLSTACK_MAX, 0, WH_ANY_GUEST, .says = "u32 length, QEMU's physmap" },
    { (uint32_t)-19,  "HVM_IOREQ_SERVER_PFN",        12, 12,  0, WH_HVM,       .opens = 32, .says = "HVM parameter 32" },
    { (uint32_t)-20,  "HVM_NR_IOREQ_SERVER_PAGES",   12, 12,  0, WH_HVM,       .opens = 33, .says = "HVM parameter 33" },
};

static const char *const phases[] = { NULL };

const struct wh_layer wh_layer_legacy = { WH_LAYER_LEGACY, "legacy", "The legacy stream (before Xen 4.6)", rows, WH_COUNT(rows), UINT32_MAX, phases };
/* clang-format on */

/* ------------------------------------------------------------------------------- emit */

bool wh_legacy_emit(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, const void *p,
                    size_t n)
{
    const struct wh_legacy_watch *to = w->watch->legacy;

    return !to || (to->begin(w, layer, type, (uint32_t)n) && (n == 0 || to->bytes(w, p, n)) &&
                   to->end(w));
}

static bool emit_contents(struct wh_walk *w, const struct wh_layer *layer, uint32_t type,
                          const void *head, size_t n, uint32_t contents)
{
    const struct wh_legacy_watch *to = w->watch->legacy;

    if (!to)
        return wh_need_skip(w, contents);
    return to->begin(w, layer, type, (uint32_t)n + contents) && (n == 0 || to->bytes(w, head, n)) &&
           to->contents(w, contents) && to->end(w);
}

/* ------------------------------------------------------------------------------ pages */

/* The type's four bits move from 31-28 to 63-60.  Entries that say nothing but "could not be
 * mapped" are dropped, as stock's converter does; a batch of only those leaves no record. */
static bool translate(struct wh_walk *w, const struct wh_legacy *g, const uint8_t *p, size_t n,
                      size_t *count)
{
    size_t kept = 0;

    for (size_t k = 0; k < n; k++) {
        uint64_t word = wh_legacy_word(g, p + k * g->word);

        if (word > UINT32_MAX)
            return wh_flaw_fatal(w, WH_RULE_RESERVED, w->src->at - (n - k) * g->word,
                                 "bits 63 to 32 of an entry to be zero",
                                 wh_text("%#llx", (unsigned long long)word).s);
        if (word != 0xf0000000)
            w->entry[kept++] = (word & 0xf0000000) << 32 | (word & 0x0fffffff);
    }
    *count = kept;
    return true;
}

static int by_pfn(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool check_batch(struct wh_walk *w, const struct wh_legacy *g, uint64_t at,
                        const uint64_t *entry, size_t n)
{
    uint64_t sorted[BATCH_MAX];

    for (size_t k = 0; k < n; k++) {
        const char *want = wh_page_type_wrong(&w->image, wh_page_type(entry[k]));

        if (want)
            return wh_flaw_fatal(w, WH_RULE_PAGE_TYPE, at, want,
                                 wh_text("%#x", wh_page_type(entry[k])).s);
        if (w->image.guest == WH_PV && wh_page_pfn(entry[k]) >= g->pages &&
            !wh_flaw(w, WH_RULE_PFN_RANGE, at,
                     wh_text("a pfn below %#llx", (unsigned long long)g->pages).s,
                     wh_text("%#llx", (unsigned long long)wh_page_pfn(entry[k])).s))
            return false;
    }
    memcpy(sorted, entry, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_pfn);
    for (size_t k = 1; k < n; k++) {
        if (sorted[k] == sorted[k - 1])
            return wh_flaw(w, WH_RULE_DUPLICATE, at, "a pfn once a batch",
                           wh_text("%#llx twice", (unsigned long long)wh_page_pfn(sorted[k])).s);
    }
    return true;
}

static bool page_batch(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r, size_t n)
{
    uint8_t head[8 + 8 * BATCH_MAX] = { 0 };
    uint32_t contents = 0;
    const uint8_t *p;
    size_t kept = 0;

    if (n > BATCH_MAX)
        return wh_flaw_fatal(w, WH_RULE_COUNT, r->at, "a batch of up to 1024 pages",
                             wh_text("%zu", n).s);
    if (!wh_need(w, n * g->word, &p))
        return false;
    if (!translate(w, g, p, n, &kept))
        return false;
    if (!check_batch(w, g, r->body_at, w->entry, kept))
        return false;
    for (size_t k = 0; k < kept; k++) {
        wh_put_le64(head + 8 + 8 * k, w->entry[k]);
        if (wh_page_has_data(w->entry[k]))
            w->data[contents / WH_PAGE_SIZE] = w->entry[k];
        contents += wh_page_has_data(w->entry[k]) ? WH_PAGE_SIZE : 0;
    }
    wh_put_le32(head, (uint32_t)kept);
    r->length = (uint32_t)(n * g->word) + contents;
    if (kept == 0)
        return true;
    w->contents_at = w->src->at;
    if (w->watch->pages ? !wh_show_contents(w, contents / WH_PAGE_SIZE)
                        : !emit_contents(w, &wh_layer_libxc, WH_LIBXC_PAGE_DATA, head,
                                         8 + 8 * kept, contents))
        return false;
    w->image.page_records++;
    wh_count_round(&w->image, wh_page_pfn(w->entry[0]), wh_page_pfn(w->entry[kept - 1]));
    w->image.page_entries += kept;
    w->image.page_data += contents / WH_PAGE_SIZE;
    return !w->watch->entries || w->watch->entries(w, r, w->entry, kept);
}

/* ----------------------------------------------------------------------------- chunks */

static bool vcpu_info(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r)
{
    const uint8_t *p;

    if (!wh_need(w, 4, &p))
        return false;
    uint32_t max = wh_le32(p);
    if (max > VCPU_ID_MAX)
        return wh_flaw_fatal(w, WH_RULE_VALUE, r->body_at, "a greatest vcpu id up to 4095",
                             wh_text("%u", max).s);
    if (!wh_need(w, (max / 64 + 1) * 8, &p))
        return false;
    for (unsigned k = 0; k <= max / 64; k++)
        g->online[k] = wh_le64(p + 8 * k);
    r->length = 4 + (max / 64 + 1) * 8;
    return true;
}

static bool param(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r)
{
    const uint8_t *p;

    r->length = 12;
    if (!wh_need(w, 12, &p))
        return false;
    if (g->params == WH_LEGACY_PARAMS)
        return wh_flaw_fatal(w, WH_RULE_COUNT, r->at, "HVM parameters once each", "more");
    wh_put_le64(g->param + 8 + 16 * g->params, r->row->opens);
    wh_put_le64(g->param + 16 + 16 * g->params, wh_le64(p + 4));
    g->params++;
    return true;
}

static bool tsc_info(struct wh_walk *w, struct wh_rec *r)
{
    uint8_t body[24] = { 0 };
    const uint8_t *p;

    r->length = 20;
    if (!wh_need(w, 20, &p))
        return false;
    wh_put_le32(body, wh_le32(p));
    wh_put_le32(body + 4, wh_le32(p + 12));
    wh_put_le64(body + 8, wh_le64(p + 4));
    wh_put_le32(body + 16, wh_le32(p + 16));
    w->image.tsc_mode = wh_le32(p);
    w->image.tsc_khz = wh_le32(p + 12);
    return wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_TSC_INFO, body, sizeof body);
}

static bool other_chunk(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r)
{
    switch ((int32_t)r->type) {
    case -1:
        w->image.verifying = true;
        return true;
    case -2:
        return vcpu_info(w, g, r);
    case -7:
        return tsc_info(w, r);
    case -9:
        return true;
    case -18:
        return wh_legacy_toolstack(w, g, r);
    default:
        return param(w, g, r);
    }
}

static bool one_chunk(struct wh_walk *w, struct wh_legacy *g, bool *last)
{
    struct wh_rec r = { .layer = &wh_layer_legacy, .at = w->src->at };
    const uint8_t *p;

    w->rec = NULL;
    w->place = "chunk";
    if (!wh_need(w, 4, &p))
        return false;
    int32_t n = (int32_t)wh_le32(p);
    r.type = n > 0 ? 1 : (uint32_t)n;
    r.row = wh_row_find(&wh_layer_legacy, r.type);
    r.body_at = w->src->at;
    w->rec = &r;
    if (!r.row)
        return wh_flaw_fatal(w, WH_RULE_UNKNOWN, r.at, "a chunk from -20 to 1024",
                             wh_text("%d", n).s);
    if (!r.row->guests)
        return wh_flaw_fatal(w, WH_RULE_UNKNOWN, r.at, "no tmem, no compression",
                             wh_text("chunk %d", n).s);
    if (!(r.row->guests & w->image.guest))
        return wh_flaw_fatal(w, WH_RULE_GUEST_TYPE, r.at, "an HVM guest", "a PV image");

    *last = n == 0;
    if (n > 0 ? !page_batch(w, g, &r, (size_t)n) : n < 0 && !other_chunk(w, g, &r))
        return false;
    bool ok = !w->watch->record || w->watch->record(w, &r);
    w->rec = NULL;
    return ok;
}

static bool walk_body(struct wh_walk *w, struct wh_legacy *g)
{
    for (bool last = false; !last;) {
        if (!one_chunk(w, g, &last))
            return false;
    }
    if (g->params == 0)
        return true;
    wh_put_le32(g->param, g->params);
    return wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_HVM_PARAMS, g->param, 8 + 16 * g->params);
}

/* -------------------------------------------------------------------------------- tail */

static bool walk_vcpu(struct wh_walk *w, const struct wh_legacy *g, uint32_t id)
{
    uint8_t head[8] = { 0 };
    const uint8_t *p;

    w->place = "vcpu";
    wh_put_le32(head, id);
    w->image.vcpus = id + 1;
    if (!emit_contents(w, &wh_layer_libxc, WH_LIBXC_VCPU_BASIC, head, 8, g->context_bytes))
        return false;
    if (g->has_extended &&
        !emit_contents(w, &wh_layer_libxc, WH_LIBXC_VCPU_EXTENDED, head, 8, EXTENDED_BYTES))
        return false;
    if (g->xsave_bytes == 0)
        return true;

    uint64_t at = w->src->at;
    if (!wh_need(w, 16, &p))
        return false;
    if (wh_le64(p + 8) != g->xsave_bytes - 16)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at + 8,
                             wh_text("%u bytes of xsave state", g->xsave_bytes - 16).s,
                             wh_text("%llu", (unsigned long long)wh_le64(p + 8)).s);
    return emit_contents(w, &wh_layer_libxc, WH_LIBXC_VCPU_XSAVE, head, 8, g->xsave_bytes - 16);
}

static bool walk_pv_tail(struct wh_walk *w, struct wh_legacy *g)
{
    const uint8_t *p;
    uint64_t at = w->src->at;

    w->place = "unmapped pfns";
    if (!wh_need(w, 4, &p))
        return false;
    uint32_t unmapped = wh_le32(p);
    if (unmapped > g->pages)
        return wh_flaw_fatal(w, WH_RULE_COUNT, at,
                             wh_text("at most %llu unmapped pfns", (unsigned long long)g->pages).s,
                             wh_text("%u", unmapped).s);
    if (!wh_need_skip(w, (uint64_t)unmapped * g->word))
        return false;
    for (uint32_t id = 0; id <= VCPU_ID_MAX; id++) {
        if ((g->online[id / 64] >> (id % 64) & 1) && !walk_vcpu(w, g, id))
            return false;
    }
    w->place = "shared info";
    return emit_contents(w, &wh_layer_libxc, WH_LIBXC_SHARED_INFO, NULL, 0, WH_PAGE_SIZE) &&
           wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_END, NULL, 0);
}

static bool walk_hvm_tail(struct wh_walk *w)
{
    static const uint64_t magic[3] = { 5, 6, 1 };   /* IOREQ_PFN, BUFIOREQ_PFN, STORE_PFN */
    uint8_t params[8 + 3 * 16] = { 3 };
    const uint8_t *p;

    w->place = "magic pfns";
    if (!wh_need(w, 24, &p))
        return false;
    for (unsigned k = 0; k < 3; k++) {
        wh_put_le64(params + 8 + 16 * k, magic[k]);
        wh_put_le64(params + 16 + 16 * k, wh_le64(p + 8 * k));
    }
    if (!wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_HVM_PARAMS, params, sizeof params))
        return false;

    w->place = "HVM context";
    uint64_t at = w->src->at;
    if (!wh_need(w, 4, &p))
        return false;
    uint32_t length = wh_le32(p);
    if (length == 0 || length > WH_WHOLE_MAX)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at, wh_text("1 to %u bytes", WH_WHOLE_MAX).s,
                             wh_text("%u", length).s);
    struct wh_rec r = { .layer = &wh_layer_legacy, .length = length, .body_at = w->src->at };
    if (!wh_need_body(w, length))
        return false;
    r.body = w->body;
    return wh_hvm_context_check(w, &r) &&
           wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_HVM_CONTEXT, w->body, length) &&
           wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_END, NULL, 0);
}

/* QEMU's state, which libxl appended.  A stream of libxc's alone has none. */
static bool walk_qemu(struct wh_walk *w)
{
    const uint8_t head[8] = { 0 };      /* emulator unknown, index 0 */
    const uint8_t *p;
    bool end;

    if (!wh_at_end(w, &end) || end)
        return w->op->err.kind == WH_OK;
    w->place = "QEMU's state";
    uint64_t at = w->src->at;
    if (!wh_need(w, QEMU_SIGNATURE, &p))
        return false;
    if (memcmp(p, "DeviceModelRecord0002", QEMU_SIGNATURE) != 0)
        return wh_flaw_fatal(w, WH_RULE_FORMAT, at, "\"DeviceModelRecord0002\"",
                             memcmp(p, "QemuDeviceModelRecord", QEMU_SIGNATURE) == 0
                                 ? "\"QemuDeviceModelRecord\", which is too old"
                             : memcmp(p, "RemusDeviceModelState", QEMU_SIGNATURE) == 0
                                 ? "\"RemusDeviceModelState\", a Remus stream"
                                 : "something else");
    if (!wh_need(w, 4, &p))
        return false;
    uint32_t length = wh_le32(p);
    if (length > wh_layer_libxl.length_max - 8)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at + QEMU_SIGNATURE, "at most 64 MiB",
                             wh_text("%u bytes", length).s);
    w->image.emulator_bytes = length;
    return emit_contents(w, &wh_layer_libxl, WH_LIBXL_EMULATOR_CONTEXT, head, sizeof head, length);
}

bool wh_walk_legacy(struct wh_walk *w)
{
    struct wh_legacy g = { .online = { 0 } };

    w->layer = &wh_layer_legacy;
    w->rec = NULL;
    if (!wh_legacy_head(w, &g) || !walk_body(w, &g))
        return false;
    if (!(w->image.guest == WH_PV ? walk_pv_tail(w, &g) : walk_hvm_tail(w)))
        return false;
    if (g.physmap.used > 0 &&
        !wh_legacy_emit(w, &wh_layer_libxl, WH_LIBXL_EMULATOR_XENSTORE_DATA, g.physmap.bytes,
                        g.physmap.used))
        return false;
    if (w->image.guest == WH_HVM && !walk_qemu(w))
        return false;
    w->place = "end";
    return wh_legacy_emit(w, &wh_layer_libxl, WH_LIBXL_END, NULL, 0);
}
