/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restoring PV guests: the image's numbers become this machine's as memory is given.
 *
 * Page tables may name pages that come later: those are given memory first.  When everything is
 * there: vCPUs, pins, the guest's own p2m. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "mem/pv.h"
#include "wire/libxc.h"

#define SLACK_PFNS (UINT64_C(1) << 20)      /* a PV guest's numbers may have a PCI hole of 4 GiB */

/* --------------------------------------------------------------------------------- size */

static bool grow(struct wh_restore *r, uint64_t end)
{
    struct wh_pv *pv = r->pv;
    uint64_t per = WH_PAGE_SIZE / pv->at->width, old = pv->sized ? pv->max_pfn + 1 : 0;

    if (pv->sized && end <= pv->max_pfn)
        return true;
    if (end >= 4 * r->max_pages + SLACK_PFNS)
        return wh_fail(&r->op->err, WH_STREAM, "the image's guest numbers its pages up to %#" PRIx64
                       ", its configuration allows it %" PRIu64, end, r->max_pages);
    uint64_t *mfn = calloc(end + 1, sizeof *mfn);
    uint8_t *type = calloc(end + 1, 1);
    uint64_t *frame = calloc(end / per + 1, sizeof *frame);
    if (!mfn || !type || !frame) {
        free(mfn);
        free(type);
        free(frame);
        return wh_fail_sys(&r->op->err, ENOMEM, "a PV guest's tables");
    }
    if (old > 0) {
        memcpy(mfn, pv->mfn, old * sizeof *mfn);
        memcpy(type, pv->type, old);
        memcpy(frame, pv->frame_pfn, pv->frames * sizeof *frame);
    }
    free(pv->mfn);
    free(pv->type);
    free(pv->frame_pfn);
    pv->mfn = mfn;
    pv->type = type;
    pv->frame_pfn = frame;
    pv->frames = end / per + 1;
    pv->max_pfn = end;
    pv->sized = true;
    return true;
}

bool wh_restore_frame(struct wh_restore *r, uint64_t end, uint64_t which, uint64_t pfn)
{
    if (!r->pv || !grow(r, end))
        return false;
    if (which >= r->pv->frames || pfn > r->pv->max_pfn)
        return wh_fail(&r->op->err, WH_STREAM, "page %" PRIu64 " of the guest's p2m is pfn %#" PRIx64
                       ", beyond its end", which, pfn);
    r->pv->frame_pfn[which] = pfn + 1;
    return true;
}

/* ------------------------------------------------------------------------------- memory */

bool wh_pv_learn(struct wh_op *op, struct wh_pv *pv, const uint64_t *pfn, const uint64_t *mfn,
                 size_t n)
{
    (void)op;
    for (size_t i = 0; i < n; i++)
        pv->mfn[pfn[i]] = mfn[i] + 1;
    return true;
}

bool wh_pv_in_range(struct wh_restore *r, uint64_t pfn)
{
    return (r->pv->sized && pfn <= r->pv->max_pfn) ||
           wh_fail(&r->op->err, WH_STREAM, "the image names page %#" PRIx64 ", beyond the guest's "
                   "last", pfn);
}

bool wh_pv_place(struct wh_restore *r, const uint64_t *pfn, size_t n, uint8_t **to)
{
    uint64_t frame[WH_BATCH_MAX];
    void *p;

    for (size_t i = 0; i < n; i++)
        frame[i] = r->pv->mfn[pfn[i]] - 1;
    if (!wh_xen_map(r->op, r->xen, r->domid, true, frame, n, NULL, &p))
        return false;
    *to = p;
    return true;
}

/* Memory for all that a table names and that has none yet. */
static bool populate_named(struct wh_restore *r, unsigned level, const uint64_t *pte)
{
    uint64_t pfn[512];
    size_t n = 0;

    for (unsigned i = 0; i < 512; i++) {
        uint64_t named = (pte[i] & WH_PTE_FRAME) >> 12;

        if (!(pte[i] & WH_PTE_PRESENT) || !wh_pte_is_guests(r->pv, level, i, false))
            continue;
        if (!wh_pv_in_range(r, named))
            return false;
        if (r->pv->mfn[named] == 0)
            pfn[n++] = named;
    }
    return n == 0 || wh_restore_populate(r, pfn, n);
}

bool wh_pv_frame(const struct wh_restore *r, uint64_t pfn, uint64_t *frame)
{
    const struct wh_pv *pv = r->pv;

    if (!pv->sized || pfn > pv->max_pfn || pv->mfn[pfn] == 0)
        return false;
    *frame = pv->mfn[pfn] - 1;
    return true;
}

/* False: it names a page that has no memory. */
static bool translate(const struct wh_restore *r, unsigned level, uint64_t pte[512])
{
    uint64_t frame;

    for (unsigned i = 0; i < 512; i++) {
        if (!wh_pte_is_guests(r->pv, level, i, false)) {
            pte[i] = 0;
        } else if (pte[i] & WH_PTE_PRESENT) {
            if (!wh_pv_frame(r, (pte[i] & WH_PTE_FRAME) >> 12, &frame))
                return false;
            pte[i] = (pte[i] & ~WH_PTE_FRAME) | frame << 12;
        }
    }
    return true;
}

static bool localise(struct wh_restore *r, unsigned level, uint8_t *page)
{
    uint64_t pte[512];

    if (level > r->pv->at->levels)
        return wh_fail(&r->op->err, WH_STREAM, "a page table of level %u in a 32-bit guest", level);
    memcpy(pte, page, sizeof pte);
    if (!populate_named(r, level, pte))
        return false;
    translate(r, level, pte);
    memcpy(page, pte, sizeof pte);
    return true;
}

bool wh_pv_localise_known(const struct wh_restore *r, uint64_t entry, uint8_t *page)
{
    unsigned type = wh_page_type(entry);
    uint64_t pte[512];

    if (type != r->pv->type[wh_page_pfn(entry)])
        return false;
    if (type == WH_PAGE_NOTAB)
        return true;
    memcpy(pte, page, sizeof pte);
    bool known = translate(r, type & ~(unsigned)WH_PAGE_PIN, pte);
    memcpy(page, pte, sizeof pte);
    return known;
}

bool wh_pv_placed(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *to)
{
    for (size_t i = 0; i < n; i++) {
        unsigned type = wh_page_type(entry[i]);

        r->pv->type[wh_page_pfn(entry[i])] = (uint8_t)type;
        if (type != WH_PAGE_NOTAB &&
            !localise(r, type & ~(unsigned)WH_PAGE_PIN, to + i * WH_PAGE_SIZE))
            return false;
    }
    return true;
}

bool wh_pv_given(struct wh_restore *r, const char *what, uint64_t pfn, bool top, uint64_t *mfn)
{
    struct wh_pv *pv = r->pv;
    unsigned want = top ? pv->at->levels : WH_PAGE_NOTAB;

    if (!pv->sized || pfn > pv->max_pfn || pv->mfn[pfn] == 0)
        return wh_fail(&r->op->err, WH_STREAM, "the guest's %s is page %#" PRIx64 ", which the image "
                       "does not have", what, pfn);
    if ((pv->type[pfn] & ~(unsigned)WH_PAGE_PIN) != want)
        return wh_fail(&r->op->err, WH_STREAM, "the guest's %s is page %#" PRIx64 ", which is of type "
                       "%s", what, pfn, wh_page_type_name(pv->type[pfn]));
    *mfn = pv->mfn[pfn] - 1;
    return true;
}

/* ------------------------------------------------------------------------------ records */

/* Only what the guest itself wrote is taken over: who its events come from is this host's. */
static bool set_shared_info(struct wh_restore *r, const uint8_t *from)
{
    const struct wh_pv_layout *at = r->pv->at;
    struct wh_domain d;
    bool there;
    void *p;

    if (!wh_xen_domain(r->op, r->xen, r->domid, &d, &there))
        return false;
    if (!there || !wh_xen_map(r->op, r->xen, r->domid, true, &d.shared_info, 1, NULL, &p))
        return there ? false : wh_fail(&r->op->err, WH_XEN, "domain %u is gone", r->domid);
    uint8_t *to = p;
    memcpy(to, from, at->pending);                              /* vcpu_info */
    memcpy(to + at->arch, from + at->arch, at->shared_end - at->arch);
    wh_pv_set(r->pv, to, at->frame_lists, 0);
    memset(to + at->pending, 0, at->bitmap);
    memset(to + at->mask, 0xff, at->bitmap);
    for (unsigned v = 0; v < 32; v++)
        wh_pv_set(r->pv, to, v * 64 + at->pending_sel, 0);
    wh_xen_unmap(r->xen, p, 1);
    return true;
}

static bool keep_vcpu(struct wh_restore *r, const struct wh_rec *rec)
{
    uint32_t id = wh_le32(rec->body);
    struct wh_pv *pv = r->pv;

    if (id >= r->vcpus)
        return wh_fail(&r->op->err, WH_STREAM, "the image has a vcpu %u, its configuration %u of "
                       "them", id, r->vcpus);
    if (!pv->vcpu) {
        pv->vcpu = calloc(r->vcpus, sizeof *pv->vcpu);
        if (!pv->vcpu)
            return wh_fail_sys(&r->op->err, ENOMEM, "restore");
        pv->vcpus = r->vcpus;
    }
    struct wh_pv_vcpu *v = &pv->vcpu[id];
    struct wh_blob *b = rec->type == WH_LIBXC_VCPU_BASIC      ? &v->basic
                        : rec->type == WH_LIBXC_VCPU_EXTENDED ? &v->extended
                        : rec->type == WH_LIBXC_VCPU_XSAVE    ? &v->xsave : &v->msrs;
    return wh_blob_set(r->op, b, rec->body + 8, rec->length - 8);
}

static bool set_width(struct wh_restore *r, unsigned width)
{
    r->pv->at = width == 4 ? &wh_pv32 : &wh_pv64;
    return width == 8 || wh_xen_set_width(r->op, r->xen, r->domid, width);
}

bool wh_restore_pv_record(struct wh_restore *r, const struct wh_walk *w, const struct wh_rec *rec)
{
    (void)w;
    switch (rec->type) {
    case WH_LIBXC_PV_INFO:
        return set_width(r, rec->body[0]);
    case WH_LIBXC_SHARED_INFO:
        return set_shared_info(r, rec->body);
    case WH_LIBXC_VCPU_BASIC:
    case WH_LIBXC_VCPU_EXTENDED:
    case WH_LIBXC_VCPU_XSAVE:
    case WH_LIBXC_VCPU_MSRS:
        return keep_vcpu(r, rec);
    default:
        return true;
    }
}

/* -------------------------------------------------------------------------- all is there */

static bool pin(struct wh_restore *r)
{
    wh_auto_free struct wh_pinned *p = calloc(WH_BATCH_MAX, sizeof *p);
    size_t n = 0;

    if (!p)
        return wh_fail_sys(&r->op->err, ENOMEM, "restore");
    for (uint64_t pfn = 0; pfn <= r->pv->max_pfn; pfn++) {
        if (!(r->pv->type[pfn] & WH_PAGE_PIN) || r->pv->mfn[pfn] == 0)
            continue;
        p[n++] = (struct wh_pinned){ (enum wh_pin)((r->pv->type[pfn] & 7) - 1),
                                     r->pv->mfn[pfn] - 1 };
        if (n == WH_BATCH_MAX) {
            if (!wh_xen_pin(r->op, r->xen, r->domid, p, n))
                return false;
            n = 0;
        }
    }
    return n == 0 || wh_xen_pin(r->op, r->xen, r->domid, p, n);
}

/* The guest's own table of where its pages are, in place of the one of where they were. */
static bool write_p2m(struct wh_restore *r)
{
    struct wh_pv *pv = r->pv;
    unsigned width = pv->at->width;
    uint64_t per = WH_PAGE_SIZE / width, mfn;

    for (size_t k = 0; k < pv->frames; k++) {
        void *p;

        if (pv->frame_pfn[k] == 0)
            return wh_fail(&r->op->err, WH_STREAM, "the image does not say where page %zu of the "
                           "guest's p2m is", k);
        if (!wh_pv_given(r, "p2m", pv->frame_pfn[k] - 1, false, &mfn) ||
            !wh_xen_map(r->op, r->xen, r->domid, true, &mfn, 1, NULL, &p))
            return false;
        for (uint64_t i = 0; i < per; i++) {
            uint64_t pfn = k * per + i;
            uint64_t is = pfn <= pv->max_pfn && pv->mfn[pfn] ? pv->mfn[pfn] - 1 : UINT64_MAX;

            wh_pv_set(pv, p, i * width, is);
        }
        wh_xen_unmap(r->xen, p, 1);
    }
    return true;
}

bool wh_restore_pv_finish(struct wh_restore *r)
{
    if (!r->pv->sized || !r->pv->vcpu)
        return wh_fail(&r->op->err, WH_STREAM, "the image has no %s",
                       r->pv->sized ? "vcpus" : "p2m");
    return wh_pv_set_vcpus(r) && pin(r) && write_p2m(r);
}
