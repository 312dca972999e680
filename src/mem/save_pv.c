/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saving PV guests: pages with their tables in the guest's numbers, shared info, vCPUs. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/holes.h"
#include "base/own.h"
#include "mem/again.h"
#include "mem/pv.h"
#include "wire/libxc.h"
#include "wire/walk.h"

#define M2P_PAGES 512               /* of a chunk of 2 MiB */
#define GDT_MOST 7168               /* entries; above are Xen's */

static bool map_m2p(struct wh_save *s)
{
    struct wh_pv *pv = s->pv;
    wh_auto_free uint64_t *list = NULL;
    size_t n;
    void *p;

    if (!wh_xen_m2p(s->op, s->xen, &pv->machine_frames, &list, &n, &pv->compat))
        return false;
    wh_auto_free uint64_t *frame = calloc(n * M2P_PAGES, sizeof *frame);
    if (!frame)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    for (size_t i = 0; i < n * M2P_PAGES; i++)
        frame[i] = list[i / M2P_PAGES] + i % M2P_PAGES;
    if (!wh_xen_map(s->op, s->xen, WH_DOMID_XEN, false, frame, n * M2P_PAGES, NULL, &p))
        return false;
    pv->m2p = p;
    pv->m2p_pages = n * M2P_PAGES;
    return true;
}

bool wh_save_pv_begin(struct wh_save *s)
{
    uint8_t body[8] = { 0 };
    unsigned width;

    if (!wh_xen_get_width(s->op, s->xen, s->domid, &width) ||
        !wh_pv_new(s->op, s->xen, s->domid, &s->pv))
        return false;
    s->pv->at = width == 4 ? &wh_pv32 : &wh_pv64;
    body[0] = (uint8_t)s->pv->at->width;
    body[1] = (uint8_t)s->pv->at->levels;
    return map_m2p(s) && wh_save_record(s, WH_LIBXC_PV_INFO, body, sizeof body);
}

/* -------------------------------------------------------------------------------- pages */

static bool put_frames(struct wh_save *s)
{
    struct wh_pv *pv = s->pv;
    size_t n = 8 + 8 * pv->p2m_count;
    wh_auto_free uint8_t *body = malloc(n);

    if (!body)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    wh_put_le32(body, 0);
    wh_put_le32(body + 4, (uint32_t)pv->max_pfn);
    for (size_t i = 0; i < pv->p2m_count; i++) {
        uint64_t pfn = wh_pv_pfn(pv, pv->p2m_frame[i]);

        if (pfn == WH_NO_FRAME)
            return wh_fail(&s->op->err, WH_GUEST, "domain %u's p2m lies in frame %#" PRIx64
                           ", which is not its own", s->domid, pv->p2m_frame[i]);
        wh_put_le64(body + 8 + 8 * i, pfn);
    }
    return wh_save_record(s, WH_LIBXC_P2M_FRAMES, body, n);
}

bool wh_save_pv_range(struct wh_save *s)
{
    wh_auto_free struct wh_batch *b = malloc(sizeof *b);
    size_t data;

    if (!b)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    for (uint64_t at = 0; at <= s->pv->max_pfn; at += WH_BATCH_MAX) {
        for (b->n = 0; b->n < WH_BATCH_MAX && at + b->n <= s->pv->max_pfn; b->n++) {
            b->pfn[b->n] = at + b->n;
            b->frame[b->n] = wh_pv_mfn(s->pv, at + b->n);
        }
        if (!wh_batch_send(s, b, &data))
            return false;
    }
    return true;
}

bool wh_save_pv_pages(struct wh_save *s)
{
    return wh_pv_find_p2m(s) && put_frames(s) &&
           (!s->again || wh_again_room(s, s->pv->max_pfn + 1)) && wh_save_pv_range(s);
}

/* A page table in the guest's numbers.  The guest is suspended: what does not translate now never
 * will. */
static bool normalise(struct wh_save *s, unsigned level, uint64_t table, const uint8_t *page,
                      uint64_t to[512])
{
    struct wh_pv *pv = s->pv;

    if (level > pv->at->levels)
        return wh_fail(&s->op->err, WH_GUEST, "a page table of level %u in a 32-bit guest", level);
    memcpy(to, page, WH_PAGE_SIZE);
    bool xens_l2 = pv->at->width == 4 && level == 2 && (to[428] & WH_PTE_PRESENT) &&
                   (to[428] & WH_PTE_FRAME) >> 12 == pv->compat;
    for (unsigned i = 0; i < 512; i++) {
        if (!wh_pte_is_guests(pv, level, i, xens_l2)) {
            to[i] = 0;
            continue;
        }
        if (!(to[i] & WH_PTE_PRESENT))
            continue;
        uint64_t mfn = (to[i] & WH_PTE_FRAME) >> 12, pfn = wh_pv_pfn(pv, mfn);
        if ((to[i] & WH_PTE_LARGE) && level > 1)
            return wh_fail(&s->op->err, WH_GUEST, "domain %u maps a superpage (page %#" PRIx64
                           ", entry %u): that cannot be moved", s->domid, table, i);
        if (pfn == WH_NO_FRAME)
            return wh_fail(&s->op->err, WH_GUEST, "domain %u maps frame %#" PRIx64 ", which is not "
                           "its own (level %u page table %#" PRIx64 ", entry %u)", s->domid, mfn,
                           level, table, i);
        to[i] = (to[i] & ~WH_PTE_FRAME) | pfn << 12;
    }
    return true;
}

bool wh_pv_put_pages(struct wh_save *s, const struct wh_batch *b, uint8_t *pages)
{
    uint64_t table[512];
    size_t plain = 0;               /* pages in front of `pages` that wait to be written as they are */

    for (size_t i = 0; i < b->n; i++) {
        unsigned type = wh_page_type(b->entry[i]);

        if (!wh_page_has_data(b->entry[i]))
            continue;
        if (type == WH_PAGE_NOTAB) {
            plain++;
            continue;
        }
        if (!wh_sink_pages(s->op, s->out, pages, plain, WH_GUESTS))
            return false;
        pages += plain * WH_PAGE_SIZE;
        if (!normalise(s, type & ~(unsigned)WH_PAGE_PIN, b->pfn[i], pages, table) ||
            !wh_sink_pages(s->op, s->out, table, 1, WH_OURS))
            return false;
        pages += WH_PAGE_SIZE;
        plain = 0;
    }
    return wh_sink_pages(s->op, s->out, pages, plain, WH_GUESTS);
}

/* -------------------------------------------------------------------------------- vCPUs */

static bool translate(struct wh_save *s, uint32_t vcpu, const char *what, uint64_t mfn,
                      uint64_t *pfn)
{
    *pfn = wh_pv_pfn(s->pv, mfn);
    return *pfn != WH_NO_FRAME ||
           wh_fail(&s->op->err, WH_GUEST, "domain %u's vcpu %u: its %s is frame %#" PRIx64
                   ", which is not the guest's", s->domid, vcpu, what, mfn);
}

static bool translate_context(struct wh_save *s, uint32_t vcpu, uint8_t *c)
{
    struct wh_pv *pv = s->pv;
    const struct wh_pv_layout *at = pv->at;
    uint64_t ents = wh_pv_word(pv, c, at->gdt_ents), pfn;

    if (vcpu == 0) {
        if (!translate(s, vcpu, "start info", wh_pv_word(pv, c, at->rdx), &pfn))
            return false;
        wh_pv_set(pv, c, at->rdx, pfn);
    }
    if (ents > GDT_MOST)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u's vcpu %u has %" PRIu64 " GDT entries",
                       s->domid, vcpu, ents);
    for (unsigned i = 0; i < (ents + 511) / 512; i++) {
        unsigned where = at->gdt_frames + i * at->width;

        if (!translate(s, vcpu, "GDT", wh_pv_word(pv, c, where), &pfn))
            return false;
        wh_pv_set(pv, c, where, pfn);
    }
    if (!translate(s, vcpu, "cr3", wh_pv_cr3_frame(pv, wh_pv_word(pv, c, at->cr3)), &pfn))
        return false;
    wh_pv_set(pv, c, at->cr3, wh_pv_frame_cr3(pv, pfn));
    uint64_t user = at->width == 8 ? wh_pv_word(pv, c, at->cr1) : 0;
    if (user) {
        if (!translate(s, vcpu, "user cr3", user >> 12, &pfn))
            return false;
        wh_pv_set(pv, c, at->cr1, pfn << 12 | 1);
    }
    return true;
}

static bool put_vcpu_record(struct wh_save *s, uint32_t type, uint32_t vcpu, const void *p,
                            size_t n)
{
    wh_auto_free uint8_t *body = calloc(1, 8 + n);

    if (!body)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    wh_put_le32(body, vcpu);
    memcpy(body + 8, p, n);
    return wh_save_record(s, type, body, 8 + n);
}

static bool put_blob(struct wh_save *s, uint32_t type, uint32_t vcpu, enum wh_vcpu_blob what)
{
    wh_auto_free void *p = NULL;
    size_t n;

    return wh_xen_get_blob(s->op, s->xen, s->domid, vcpu, what, &p, &n) &&
           (n == 0 || put_vcpu_record(s, type, vcpu, p, n));
}

static bool put_vcpu(struct wh_save *s, uint32_t vcpu)
{
    wh_auto_free uint8_t *context = calloc(1, WH_VCPU_CONTEXT);

    if (!context)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    return wh_xen_get_context(s->op, s->xen, s->domid, vcpu, context) &&
           translate_context(s, vcpu, context) &&
           put_vcpu_record(s, WH_LIBXC_VCPU_BASIC, vcpu, context, s->pv->at->context) &&
           put_blob(s, WH_LIBXC_VCPU_EXTENDED, vcpu, WH_VCPU_EXTENDED) &&
           put_blob(s, WH_LIBXC_VCPU_XSAVE, vcpu, WH_VCPU_XSAVE) &&
           put_blob(s, WH_LIBXC_VCPU_MSRS, vcpu, WH_VCPU_MSRS);
}

bool wh_save_pv_tail(struct wh_save *s)
{
    if (!wh_save_record(s, WH_LIBXC_SHARED_INFO, s->pv->shared, WH_PAGE_SIZE))
        return false;
    for (uint32_t v = 0; v <= s->info.vcpu_last; v++) {
        struct wh_vcpu info;

        if (!wh_xen_vcpu(s->op, s->xen, s->domid, v, &info))
            return false;
        if (info.online && !put_vcpu(s, v))
            return false;
    }
    return true;
}
