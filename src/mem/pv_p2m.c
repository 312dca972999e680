/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding a suspended PV guest's p2m: by page tables (p2m_cr3, p2m_vaddr) or by the older tree of
 * frame lists.
 *
 *     linear:  cr3 -> ... -> L1 entries of [p2m_vaddr, + one word a pfn)  = the p2m's pages
 *     tree:    frame_lists -> top page of frames -> pages of frames       = the p2m's pages
 *
 * Each step takes the frames found so far, maps those pages, and collects a range of their
 * entries. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/own.h"
#include "mem/pv.h"

#define HOLE_PFNS (UINT64_C(1) << 20)       /* a guest's numbers may have a PCI hole of 4 GiB */

uint64_t wh_pv_mfn(const struct wh_pv *pv, uint64_t pfn)
{
    unsigned width = pv->at->width;
    uint64_t mfn = wh_pv_word(pv, pv->p2m_pages, pfn * width);

    /* The guest's marks for "none" and for frames of others have high bits, or all. */
    return pfn <= pv->max_pfn && mfn < pv->machine_frames ? mfn : WH_NO_FRAME;
}

uint64_t wh_pv_pfn(const struct wh_pv *pv, uint64_t mfn)
{
    uint64_t pfn = mfn < pv->machine_frames ? pv->m2p[mfn] : WH_NO_FRAME;

    return pfn <= pv->max_pfn && wh_pv_mfn(pv, pfn) == mfn ? pfn : WH_NO_FRAME;
}

static bool is_frame(struct wh_save *s, uint64_t mfn, const char *of)
{
    if (mfn != 0 && mfn < s->pv->machine_frames)
        return true;
    return wh_fail(&s->op->err, WH_GUEST, "domain %u's p2m: its %s holds %#" PRIx64
                   ", which is no frame of this machine", s->domid, of, mfn);
}

/* The entries first..last (as numbers over all of the tables in from) of width bytes each. */
static bool collect(struct wh_save *s, const uint64_t *from, size_t tables, uint64_t first,
                    uint64_t last, unsigned width, bool ptes, const char *of, uint64_t **to)
{
    uint64_t per = WH_PAGE_SIZE / width, n = last - first + 1;
    void *p;

    *to = calloc(n, sizeof **to);
    if (!*to)
        return wh_fail_sys(&s->op->err, ENOMEM, "find the guest's p2m");
    if (last / per - first / per >= tables)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u's p2m is larger than its tables", s->domid);
    if (!wh_xen_map(s->op, s->xen, s->domid, false, from, tables, NULL, &p))
        return wh_while(&s->op->err, "the guest's p2m: its %s", of);
    bool ok = true;
    for (uint64_t i = 0; ok && i < n; i++) {
        const uint8_t *at = (const uint8_t *)p + (first % per + i) * width;
        uint64_t v = 0;

        __builtin_memcpy(&v, at, width);
        (*to)[i] = ptes ? (v & WH_PTE_FRAME) >> 12 : v;
        ok = is_frame(s, (*to)[i], of);
    }
    wh_xen_unmap(s->xen, p, tables);
    return ok;
}

/* Entries at the end of the L2 that are all alike lead to one page of "no memory here", which the
 * guest shares: the p2m really ends before. */
static void cut_tail(struct wh_pv *pv, const uint64_t *frame, uint64_t n, uint64_t first_entry,
                     uint64_t vaddr)
{
    uint64_t keep = n;

    while (keep > 1 && frame[keep - 2] == frame[n - 1])
        keep--;
    if (keep == n)
        return;                         /* the last one is like no other */
    uint64_t pages = ((first_entry + keep - 1) << 9) - (vaddr >> 12 & ((UINT64_C(1) << 36) - 1));
    uint64_t end = pages * (WH_PAGE_SIZE / pv->at->width);
    if (end > 0 && end - 1 < pv->max_pfn)
        pv->max_pfn = end - 1;
}

static bool check_range(struct wh_save *s, uint64_t start, uint64_t end)
{
    bool wide = s->pv->at->width == 8;
    uint64_t xen_first = wide ? UINT64_C(0xffff800000000000) : 0xf5800000;
    uint64_t xen_last = wide ? UINT64_C(0xffff87ffffffffff) : 0xffffffff;
    uint64_t sign = start >> 47;
    bool sane = end > start && (start >= xen_last || end < xen_first) &&
                (wide ? (sign == 0 || sign == 0x1ffff) && end >> 47 == sign : end >> 32 == 0);

    return sane || wh_fail(&s->op->err, WH_GUEST, "domain %u's p2m stands at %#" PRIx64 " to %#"
                           PRIx64 ", where none can be", s->domid, start, end);
}

static bool walk_tables(struct wh_save *s, uint64_t cr3)
{
    struct wh_pv *pv = s->pv;
    unsigned bits = pv->at->width == 8 ? 48 : 32;
    uint64_t vaddr = wh_pv_word(pv, pv->shared, pv->at->p2m_vaddr);
    uint64_t mask = (UINT64_C(1) << bits) - 1, table = 0, found = 1;
    wh_auto_free uint64_t *frame = calloc(1, sizeof *frame);

    if (!frame)
        return wh_fail_sys(&s->op->err, ENOMEM, "find the guest's p2m");
    frame[0] = wh_pv_cr3_frame(pv, cr3);
    if (!is_frame(s, frame[0], "cr3"))
        return false;
    for (unsigned level = pv->at->levels; level > 0; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t pages = pv->max_pfn / (WH_PAGE_SIZE / pv->at->width) + 1;
        uint64_t end = vaddr + pages * WH_PAGE_SIZE - 1;
        uint64_t *next;

        if (!check_range(s, vaddr, end))
            return false;
        uint64_t first = (vaddr & mask) >> shift, last = (end & mask) >> shift;
        /* Of the tables found, those that this range is in: the first is number `table`. */
        if (first >> 9 != table || (last >> 9) - table >= found)
            return wh_fail(&s->op->err, WH_GUEST, "domain %u's p2m is not where it says", s->domid);
        bool ok = collect(s, frame, (last >> 9) - table + 1, first, last, 8, true, "page tables",
                          &next);
        free(frame);
        frame = next;
        if (!ok)
            return false;
        table = first;
        found = last - first + 1;
        if (level == 2)
            cut_tail(pv, frame, found, first, vaddr & mask);
    }
    pv->p2m_count = pv->max_pfn / (WH_PAGE_SIZE / pv->at->width) + 1;
    pv->p2m_frame = wh_take_ptr(&frame);
    return true;
}

static bool walk_tree(struct wh_save *s)
{
    struct wh_pv *pv = s->pv;
    unsigned width = pv->at->width;
    uint64_t per = WH_PAGE_SIZE / width;
    uint64_t top = wh_pv_word(pv, pv->shared, pv->at->frame_lists);
    uint64_t tops = pv->max_pfn / (per * per) + 1, keep;
    wh_auto_free uint64_t *mid = NULL;

    if (tops > per)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u says it has %" PRIu64 " pages, which its "
                       "p2m cannot hold", s->domid, pv->max_pfn + 1);
    if (!is_frame(s, top, "list of lists") ||
        !collect(s, &top, 1, 0, tops - 1, width, false, "list of lists", &mid))
        return false;
    for (keep = tops; keep > 1 && mid[keep - 2] == mid[tops - 1]; keep--)
        ;
    if (keep < tops && keep * per * per - 1 < pv->max_pfn)
        pv->max_pfn = keep * per * per - 1;
    pv->p2m_count = pv->max_pfn / per + 1;
    return collect(s, mid, (pv->p2m_count - 1) / per + 1, 0, pv->p2m_count - 1, width, false,
                   "lists", &pv->p2m_frame);
}

bool wh_pv_find_p2m(struct wh_save *s)
{
    struct wh_pv *pv = s->pv;
    uint64_t shared = s->info.shared_info;

    if (!wh_xen_map(s->op, s->xen, s->domid, false, &shared, 1, NULL, &pv->shared))
        return wh_while(&s->op->err, "the guest's shared info");
    uint64_t count = wh_pv_word(pv, pv->shared, pv->at->max_pfn);
    uint64_t cr3 = wh_pv_word(pv, pv->shared, pv->at->p2m_cr3);
    /* More could not be restored, and a hostile guest would make us map without end. */
    if (count < 2 || count > 4 * s->info.max_pages + HOLE_PFNS)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u says it has %" PRIu64 " pages, where it may "
                       "have %" PRIu64 ": it has not got far enough, or is broken", s->domid, count,
                       s->info.max_pages);
    pv->max_pfn = count - 1;
    return (cr3 ? walk_tables(s, cr3) : walk_tree(s)) &&
           wh_xen_map(s->op, s->xen, s->domid, false, pv->p2m_frame, pv->p2m_count, NULL,
                      &pv->p2m_pages);
}
