/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PAGE_DATA, the record that a stream consists of: count, entries, contents.
 *
 *     u32 count | u32 0 | u64 entry x count | 4096 bytes for each entry that has contents
 *
 * Entries are held up to WH_ENTRIES_MAX at a time; a record of more (nearly all of them holes) is
 * told of in several pieces.  Contents are shown from the source's window or skipped. */
#include "base/bytes.h"
#include "wire/libxc.h"
#include "wire/walk.h"

#define CONTENTS_AT_ONCE (WH_SOURCE_WINDOW / WH_PAGE_SIZE)

static const char *const type_names[16] = {
    "notab",      "l1tab",      "l2tab",      "l3tab",      "l4tab",  "type 5", "type 6", "type 7",
    "type 8",     "l1tab pinned", "l2tab pinned", "l3tab pinned", "l4tab pinned", "broken",
    "xalloc",     "xtab",
};

const char *wh_page_type_name(unsigned type)
{
    return type_names[type & 15];
}

struct batch {
    uint64_t count, data;       /* entries; of them with contents */
    uint64_t first, last;       /* least and greatest pfn */
    uint64_t limit;             /* pfns are below it */
    bool bad_type, bad_bits, bad_pfn;       /* told of already, once a record */
    bool progressive;           /* too many entries to be held until the record is whole */
};

const char *wh_page_type_wrong(const struct wh_image *i, unsigned type)
{
    bool table = type != WH_PAGE_NOTAB && type < WH_PAGE_BROKEN;

    if (!wh_page_type_legal(type))
        return "a type of 0x0-0x4, 0x9-0xf";
    if (i->guest == WH_HVM && table)
        return "notab, broken, xalloc or xtab in an HVM guest";
    if (i->width == 4 && (type & ~(unsigned)WH_PAGE_PIN) == WH_PAGE_L4TAB && table)
        return "no l4tab in a 32-bit guest";
    return NULL;
}

static bool check_type(struct wh_walk *w, struct batch *b, uint64_t entry, uint64_t at)
{
    const char *want = wh_page_type_wrong(&w->image, wh_page_type(entry));

    if (!want || b->bad_type)
        return true;
    b->bad_type = true;
    return wh_flaw(w, WH_RULE_PAGE_TYPE, at, want, wh_text("%#x", wh_page_type(entry)).s);
}

static bool check_pfn(struct wh_walk *w, struct batch *b, uint64_t entry, uint64_t at)
{
    uint64_t pfn = wh_page_pfn(entry);

    if (pfn < b->limit || b->bad_pfn)
        return true;
    b->bad_pfn = true;
    return wh_flaw(w, WH_RULE_PFN_RANGE, at,
                   wh_text("a pfn below %#llx", (unsigned long long)b->limit).s,
                   wh_text("%#llx", (unsigned long long)pfn).s);
}

static bool check_bits(struct wh_walk *w, struct batch *b, uint64_t entry, uint64_t at)
{
    if ((entry >> 52 & 0xff) == 0 || b->bad_bits)
        return true;
    b->bad_bits = true;
    return wh_flaw(w, WH_RULE_RESERVED, at, "bits 59 to 52 of an entry to be zero",
                   wh_text("%#llx", (unsigned long long)entry).s);
}

static void keep_data(struct wh_walk *w, struct batch *b, const uint64_t *entry, size_t n)
{
    bool wanted = w->watch->pages || w->watch->place;

    for (size_t k = 0; wanted && k < n && b->data + k < WH_ENTRIES_MAX; k++)
        w->data[b->data + k] = entry[k];
    b->data += n;
}

/* Entries mostly come in runs, of one type and of pfns that follow each other: what holds for the
 * ends of a run holds for all of it. */
static bool check_run(struct wh_walk *w, struct batch *b, const uint64_t *entry, size_t n,
                      uint64_t at)
{
    uint64_t first = wh_page_pfn(entry[0]), last = wh_page_pfn(entry[n - 1]);

    if (first < b->first)
        b->first = first;
    if (last > b->last)
        b->last = last;
    if (!check_bits(w, b, entry[0], at) || !check_type(w, b, entry[0], at))
        return false;
    if (last >= b->limit) {
        uint64_t wrong = first < b->limit ? b->limit - first : 0;   /* the first of the run */

        if (!check_pfn(w, b, entry[wrong], at + 8 * wrong))
            return false;
    }
    if (wh_page_has_data(entry[0]))
        keep_data(w, b, entry, n);
    return true;
}

/* Eight entries at a time without a branch: the differences that are not 1 leave bits in wrong. */
size_t wh_run_length(const uint64_t *entry, size_t n)
{
    size_t k = 1;

    while (k + 8 <= n) {
        uint64_t wrong = (entry[k + 7] ^ entry[k - 1]) >> 52;

        for (size_t j = 0; j < 8; j++)
            wrong |= entry[k + j] - entry[k + j - 1] - 1;
        if (wrong)
            break;
        k += 8;
    }
    while (k < n && entry[k] == entry[k - 1] + 1 && (entry[k] & WH_PFN_MASK) != 0)
        k++;
    return k;
}

static bool check_entries(struct wh_walk *w, struct batch *b, const uint64_t *entry, size_t n,
                          uint64_t at)
{
    for (size_t k = 0, m; k < n; k += m) {
        m = wh_run_length(entry + k, n - k);
        if (!check_run(w, b, entry + k, m, at + 8 * k))
            return false;
    }
    return true;
}

void wh_count_round(struct wh_image *i, uint64_t first_pfn, uint64_t last_pfn)
{
    if (!i->page_seen || first_pfn < i->round_last_pfn)
        i->rounds++;
    i->page_seen = true;
    i->round_last_pfn = last_pfn;
}

static bool deliver(struct wh_walk *w, const struct wh_rec *r, size_t n)
{
    struct wh_image *i = &w->image;

    wh_count_round(i, wh_page_pfn(w->entry[0]), wh_page_pfn(w->entry[n - 1]));
    i->page_entries += n;
    return !w->watch->entries || w->watch->entries(w, r, w->entry, n);
}

static bool read_some_entries(struct wh_walk *w, const struct wh_rec *r, struct batch *b,
                              uint64_t done, size_t n)
{
    const size_t most = 4096;       /* 32 KiB of the window */
    const uint8_t *p;

    w->contents_at = r->body_at + 8 + 8 * b->count + b->data * WH_PAGE_SIZE;
    for (size_t k = 0, m; k < n; k += m) {
        m = n - k < most ? n - k : most;
        if (!wh_need(w, 8 * m, &p))
            return false;
        wh_le64_array(w->entry + k, p, m);
        if (!check_entries(w, b, w->entry + k, m, r->body_at + 8 + 8 * (done + k)))
            return false;
    }
    return !b->progressive || deliver(w, r, n);
}

static bool read_entries(struct wh_walk *w, const struct wh_rec *r, struct batch *b)
{
    b->progressive = b->count > WH_ENTRIES_MAX;
    for (uint64_t done = 0, n; done < b->count; done += n) {
        n = b->count - done < WH_ENTRIES_MAX ? b->count - done : WH_ENTRIES_MAX;
        if (!read_some_entries(w, r, b, done, (size_t)n))
            return false;
    }
    return true;
}

bool wh_show_contents(struct wh_walk *w, uint64_t n)
{
    const uint8_t *p;

    for (uint64_t k = 0, m; k < n; k += m) {
        m = n - k < CONTENTS_AT_ONCE ? n - k : CONTENTS_AT_ONCE;
        if (!wh_need(w, (size_t)m * WH_PAGE_SIZE, &p) ||
            !w->watch->pages(w, w->data + k, (size_t)m, p))
            return false;
    }
    return true;
}

/* The same, read to where the watcher wants it. */
static bool place_contents(struct wh_walk *w, uint64_t n)
{
    uint8_t *to;

    for (uint64_t k = 0, m; k < n; k += m) {
        m = n - k < WH_PLACE_MAX ? n - k : WH_PLACE_MAX;
        if (!w->watch->place(w, w->data + k, (size_t)m, &to))
            return false;
        w->src->lend = true;
        bool whole = wh_need_read(w, to, (size_t)m * WH_PAGE_SIZE);
        w->src->lend = false;
        wh_digest_settle(w->src->digest);
        if (!w->watch->placed(w, w->data + k, (size_t)m, to, whole) || !whole)
            return false;
    }
    return true;
}

static bool read_head(struct wh_walk *w, const struct wh_rec *r, struct batch *b)
{
    struct wh_rec head = *r;

    if (!wh_need(w, 8, &head.body))
        return false;
    head.length = 8;
    b->count = wh_le32(head.body);
    return wh_rec_check_fields(w, &head);
}

bool wh_pages_bulk(struct wh_walk *w, const struct wh_rec *r)
{
    bool laid_out = w->image.guest == WH_PV && w->image.has_frames;
    struct batch b = { .first = UINT64_MAX,
                       .limit = laid_out ? w->image.frames_end + 1 : WH_PFN_LIMIT };
    uint64_t rest;

    if (!read_head(w, r, &b))
        return false;
    if (b.count == 0)
        return wh_flaw(w, WH_RULE_COUNT, r->body_at, "at least one entry", "0") &&
               wh_need_skip(w, r->length - 8);
    if (8 + 8 * b.count > r->length)
        return wh_flaw(w, WH_RULE_LENGTH, r->at,
                       wh_text("at least %llu bytes for %llu entries",
                               (unsigned long long)(8 + 8 * b.count),
                               (unsigned long long)b.count).s,
                       wh_text("%u", r->length).s) &&
               wh_need_skip(w, r->length - 8);
    if (w->image.seen[WH_LAYER_LIBXC] >>
            (wh_row_find(&wh_layer_libxc, WH_LIBXC_TSC_INFO) - wh_layer_libxc.rows) & 1 &&
        !wh_flaw_pedantic(w, r->at, "PAGE_DATA before X86_TSC_INFO", "it behind"))
        return false;

    if (!read_entries(w, r, &b))
        return false;
    rest = r->length - 8 - 8 * b.count;
    if (rest != b.data * WH_PAGE_SIZE)
        return ((b.bad_type && w->op->err.kind == WH_OK) ||
                wh_flaw(w, WH_RULE_LENGTH, r->at,
                        wh_text("%llu bytes: %llu entries, %llu with contents",
                                (unsigned long long)(8 + 8 * b.count + b.data * WH_PAGE_SIZE),
                                (unsigned long long)b.count, (unsigned long long)b.data).s,
                        wh_text("%u", r->length).s)) &&
               wh_need_skip(w, rest);
    /* Who places contents knows first which pages lie beside them. */
    bool told = b.progressive || w->watch->place;
    if (!b.progressive && w->watch->place && !deliver(w, r, (size_t)b.count))
        return false;
    if (!(w->watch->place   ? place_contents(w, b.data)
          : w->watch->pages ? wh_show_contents(w, b.data) : wh_need_skip(w, rest)))
        return false;
    w->image.page_records++;
    w->image.page_data += b.data;
    if (!w->image.verifying && w->image.epochs == 0)
        wh_index_add(&w->index, r->at, b.first, b.last);
    return told || deliver(w, r, (size_t)b.count);
}
