/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What saving and restoring a PV guest share: layouts, page tables. */
#include "mem/pv.h"

#include <errno.h>
#include <stdlib.h>

#define XEN_FIRST_SLOT 256          /* of a 64-bit L4: Xen's own */
#define XEN_LAST_SLOT  271
#define COMPAT_SLOT    428          /* of a 32-bit L2 at the top: 0xf5800000 >> 21 & 511 */

const struct wh_pv_layout wh_pv64 = {
    .width = 8, .levels = 4,
    .max_pfn = 0xc10, .frame_lists = 0xc18, .p2m_cr3 = 0xc28, .p2m_vaddr = 0xc30,
    .generation = 0xc38,
    .pending_sel = 8, .pending = 0x800, .mask = 0xa00, .bitmap = 512,
    .wallclock = 0xc00, .arch = 0xc10, .shared_end = 0xc40,
    .rdx = 0x268, .gdt_frames = 0x12e0, .gdt_ents = 0x1360, .cr1 = 0x1380, .cr3 = 0x1390,
    .context = 5168,
    .nr_pages = 0x20, .si_shared = 0x28, .si_flags = 0x30, .store_mfn = 0x38, .store_port = 0x40,
    .console_mfn = 0x48, .console_port = 0x50,
};

const struct wh_pv_layout wh_pv32 = {
    .width = 4, .levels = 3,
    .max_pfn = 0x90c, .frame_lists = 0x910, .p2m_cr3 = 0x918, .p2m_vaddr = 0x91c,
    .generation = 0x920,
    .pending_sel = 4, .pending = 0x800, .mask = 0x880, .bitmap = 128,
    .wallclock = 0x900, .arch = 0x90c, .shared_end = 0x928,
    .rdx = 0x20c, .gdt_frames = 0xa50, .gdt_ents = 0xa90, .cr1 = 0xaa0, .cr3 = 0xaa8,
    .context = 2800,
    .nr_pages = 0x20, .si_shared = 0x24, .si_flags = 0x28, .store_mfn = 0x2c, .store_port = 0x30,
    .console_mfn = 0x34, .console_port = 0x38,
};

bool wh_pv_new(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_pv **pv)
{
    (void)x;
    (void)domid;
    *pv = calloc(1, sizeof **pv);
    if (!*pv)
        return wh_fail_sys(&op->err, ENOMEM, "a PV guest's tables");
    (*pv)->at = &wh_pv64;
    (*pv)->compat = WH_NO_FRAME;
    return true;
}

void wh_pv_free(struct wh_xen *x, struct wh_pv *pv)
{
    if (!pv)
        return;
    wh_xen_unmap(x, (void *)(uintptr_t)pv->m2p, pv->m2p_pages);
    wh_xen_unmap(x, pv->shared, 1);
    wh_xen_unmap(x, pv->p2m_pages, pv->p2m_count);
    for (uint32_t i = 0; i < pv->vcpus; i++) {
        free(pv->vcpu[i].basic.p);
        free(pv->vcpu[i].extended.p);
        free(pv->vcpu[i].xsave.p);
        free(pv->vcpu[i].msrs.p);
    }
    free(pv->vcpu);
    free(pv->p2m_frame);
    free(pv->mfn);
    free(pv->type);
    free(pv->frame_pfn);
    free(pv);
}

bool wh_pte_is_guests(const struct wh_pv *pv, unsigned level, unsigned i, bool xens_l2)
{
    if (pv->at->width == 8)
        return level != 4 || i < XEN_FIRST_SLOT || i > XEN_LAST_SLOT;
    return level == 3 ? i < 4 : level != 2 || !xens_l2 || i < COMPAT_SLOT;
}
