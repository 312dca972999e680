/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PV guest's start info and vCPUs, in this machine's numbers. */
#include <string.h>

#include "base/own.h"
#include "mem/pv.h"
#include "wire/libxc.h"

#define VCPU_ONLINE 32              /* in a context's flags, at 0x200 in both layouts */
#define CONTEXT_FLAGS 0x200
#define GDT_MOST 7168

/* The guest wrote pfns into store and console before it suspended; it reads mfns when it wakes. */
static bool set_start_info(struct wh_restore *r, uint64_t mfn)
{
    const struct wh_pv_layout *at = r->pv->at;
    struct wh_pv *pv = r->pv;
    struct wh_domain d;
    uint64_t store, console;
    bool there;
    void *p;

    if (!wh_xen_domain(r->op, r->xen, r->domid, &d, &there))
        return false;
    if (!wh_xen_map(r->op, r->xen, r->domid, true, &mfn, 1, NULL, &p))
        return false;
    const uint64_t ring[] = { wh_pv_word(pv, p, at->store_mfn), wh_pv_word(pv, p, at->console_mfn) };
    bool ok = wh_pv_given(r, "xenstore page", ring[0], false, &store) &&
              wh_pv_given(r, "console page", ring[1], false, &console);
    if (ok) {
        wh_pv_set(pv, p, at->nr_pages, pv->max_pfn + 1);
        wh_pv_set(pv, p, at->si_shared, d.shared_info << 12);
        memset((uint8_t *)p + at->si_flags, 0, 4);
        wh_pv_set(pv, p, at->store_mfn, store);
        memcpy((uint8_t *)p + at->store_port, &r->store_port, 4);
        wh_pv_set(pv, p, at->console_mfn, console);
        memcpy((uint8_t *)p + at->console_port, &r->console_port, 4);
        for (unsigned i = 0; r->verifying && i < 2; i++)
            wh_sparse_clear(&r->differ, ring[i]);
        r->store_frame = store;
        r->console_frame = console;
    }
    wh_xen_unmap(r->xen, p, 1);
    return ok;
}

static bool translate_context(struct wh_restore *r, uint32_t id, uint8_t *c)
{
    const struct wh_pv_layout *at = r->pv->at;
    struct wh_pv *pv = r->pv;
    uint64_t ents = wh_pv_word(pv, c, at->gdt_ents), mfn;
    uint32_t flags;

    if (id == 0) {
        if (!wh_pv_given(r, "start info", wh_pv_word(pv, c, at->rdx), false, &mfn) ||
            !set_start_info(r, mfn))
            return false;
        wh_pv_set(pv, c, at->rdx, mfn);
    }
    memcpy(&flags, c + CONTEXT_FLAGS, 4);
    flags |= VCPU_ONLINE;
    memcpy(c + CONTEXT_FLAGS, &flags, 4);
    if (ents > GDT_MOST)
        return wh_fail(&r->op->err, WH_STREAM, "vcpu %u has %llu GDT entries", id,
                       (unsigned long long)ents);
    for (unsigned i = 0; i < (ents + 511) / 512; i++) {
        unsigned where = at->gdt_frames + i * at->width;

        if (!wh_pv_given(r, "GDT", wh_pv_word(pv, c, where), false, &mfn))
            return false;
        wh_pv_set(pv, c, where, mfn);
    }
    if (!wh_pv_given(r, "cr3", wh_pv_cr3_frame(pv, wh_pv_word(pv, c, at->cr3)), true, &mfn))
        return false;
    wh_pv_set(pv, c, at->cr3, wh_pv_frame_cr3(pv, mfn));
    uint64_t user = at->width == 8 ? wh_pv_word(pv, c, at->cr1) : 0;
    if (user & 1) {
        if (!wh_pv_given(r, "user cr3", user >> 12, true, &mfn))
            return false;
        wh_pv_set(pv, c, at->cr1, mfn << 12);
    }
    return true;
}

static bool set_blob(struct wh_restore *r, uint32_t id, enum wh_vcpu_blob what,
                     const struct wh_blob *b)
{
    return b->n == 0 || wh_xen_set_blob(r->op, r->xen, r->domid, id, what, b->p, b->n);
}

static bool set_vcpu(struct wh_restore *r, uint32_t id, const struct wh_pv_vcpu *v)
{
    uint8_t context[WH_VCPU_CONTEXT] = { 0 };

    if (v->basic.n == 0)
        return true;                /* it was offline */
    if (v->basic.n != r->pv->at->context)
        return wh_fail(&r->op->err, WH_STREAM, "vcpu %u's registers are %zu bytes, not %u", id,
                       v->basic.n, r->pv->at->context);
    memcpy(context, v->basic.p, v->basic.n);
    return translate_context(r, id, context) &&
           wh_xen_set_context(r->op, r->xen, r->domid, id, context) &&
           set_blob(r, id, WH_VCPU_EXTENDED, &v->extended) &&
           set_blob(r, id, WH_VCPU_XSAVE, &v->xsave) &&
           set_blob(r, id, WH_VCPU_MSRS, &v->msrs);
}

bool wh_pv_set_vcpus(struct wh_restore *r)
{
    if (r->pv->vcpu[0].basic.n == 0)
        return wh_fail(&r->op->err, WH_STREAM, "the image has no vcpu 0");
    for (uint32_t id = 0; id < r->pv->vcpus; id++)
        if (!set_vcpu(r, id, &r->pv->vcpu[id]))
            return false;
    return true;
}
