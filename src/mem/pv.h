/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PV guests: their frames are the machine's, so an image is written in the guest's own numbers
 * (pfns) and everything that holds a machine frame (mfn) is translated on the way out and back:
 * page tables, the p2m, start info, the GDT, cr3.
 *
 *     save:      m2p (Xen's, read only) mfn -> pfn, checked against the guest's p2m
 *     restore:   p2m built as memory is given,      pfn -> mfn
 *
 * All of a guest's tables are the guest's to write: nothing in them is believed unchecked. */
#ifndef WH_MEM_PV_H
#define WH_MEM_PV_H

#include "mem/restore.h"
#include "mem/save.h"

/* Where things stand in the two layouts of guest structures (facts: 4.17's ABI). */
struct wh_pv_layout {
    unsigned width, levels;
    uint16_t max_pfn, frame_lists, p2m_cr3, p2m_vaddr, generation;      /* in shared info */
    uint16_t pending_sel;                                   /* in a vcpu_info, 64 bytes each */
    uint16_t pending, mask, bitmap;                         /* evtchn bits, and their bytes */
    uint16_t wallclock, arch, shared_end;
    uint16_t rdx, gdt_frames, gdt_ents, cr1, cr3, context;  /* in a vCPU's context */
    uint16_t nr_pages, si_shared, si_flags, store_mfn, store_port, console_mfn, console_port;
};
extern const struct wh_pv_layout wh_pv32, wh_pv64;

struct wh_pv_vcpu {
    struct wh_blob basic, extended, xsave, msrs;
};

struct wh_pv {
    const struct wh_pv_layout *at;
    uint64_t max_pfn;

    /* save */
    uint64_t machine_frames, compat;
    const uint64_t *m2p;
    size_t m2p_pages;
    void *shared, *p2m_pages;           /* mapped: shared info; the guest's p2m */
    uint64_t *p2m_frame;                /* mfns of its p2m_count pages */
    size_t p2m_count;

    /* restore */
    bool sized;
    uint64_t *mfn;                      /* of each pfn, plus one; 0: none */
    uint8_t *type;                      /* what each pfn was last sent as */
    uint64_t *frame_pfn;                /* of each page of the p2m, plus one */
    size_t frames;
    struct wh_pv_vcpu *vcpu;
    uint32_t vcpus;
};

/* For a restore; the layout is told by the image. */
bool wh_pv_new(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_pv **pv);
void wh_pv_free(struct wh_xen *x, struct wh_pv *pv);

static inline uint64_t wh_pv_word(const struct wh_pv *pv, const void *p, size_t at)
{
    const uint8_t *b = (const uint8_t *)p + at;
    uint64_t v = 0;

    __builtin_memcpy(&v, b, pv->at->width);
    return v;
}

static inline void wh_pv_set(const struct wh_pv *pv, void *p, size_t at, uint64_t v)
{
    __builtin_memcpy((uint8_t *)p + at, &v, pv->at->width);
}

/* cr3 as the guest has it <-> the frame in it: 32-bit guests keep the frame's high bits low. */
static inline uint64_t wh_pv_cr3_frame(const struct wh_pv *pv, uint64_t cr3)
{
    uint32_t c = (uint32_t)cr3;

    return pv->at->width == 8 ? cr3 >> 12 : (c >> 12 | c << 20);
}

static inline uint64_t wh_pv_frame_cr3(const struct wh_pv *pv, uint64_t frame)
{
    uint32_t f = (uint32_t)frame;

    return pv->at->width == 8 ? frame << 12 : (f << 12 | f >> 20);
}

#define WH_PTE_FRAME   UINT64_C(0x000ffffffffff000)
#define WH_PTE_PRESENT 1u
#define WH_PTE_LARGE   0x80u

/* Which entries of a table of that level (1-4) are the guest's. */
bool wh_pte_is_guests(const struct wh_pv *pv, unsigned level, unsigned i, bool xens_l2);

/* pv_p2m.c: find the suspended guest's p2m and map it. */
bool wh_pv_find_p2m(struct wh_save *s);
/* The frame of a pfn, WH_NO_FRAME if none; the pfn of a frame, likewise, if it is the guest's. */
uint64_t wh_pv_mfn(const struct wh_pv *pv, uint64_t pfn);
uint64_t wh_pv_pfn(const struct wh_pv *pv, uint64_t mfn);

bool wh_pv_put_pages(struct wh_save *s, const struct wh_batch *b, uint8_t *pages);

/* restore_pv.c */
bool wh_pv_learn(struct wh_op *op, struct wh_pv *pv, const uint64_t *pfn, const uint64_t *mfn,
                 size_t n);
bool wh_pv_in_range(struct wh_restore *r, uint64_t pfn);
bool wh_pv_place(struct wh_restore *r, const uint64_t *pfn, size_t n, uint8_t **to);
bool wh_pv_placed(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *to);
/* To compare what comes again: the frame that was given to a pfn, and its contents in this machine's
 * numbers.  Nothing is given memory; false: it is not what it was. */
bool wh_pv_frame(const struct wh_restore *r, uint64_t pfn, uint64_t *frame);
bool wh_pv_localise_known(const struct wh_restore *r, uint64_t entry, uint8_t *page);
/* The frame that was given to a pfn that must be an ordinary page (or, top, a top page table). */
bool wh_pv_given(struct wh_restore *r, const char *what, uint64_t pfn, bool top, uint64_t *mfn);
bool wh_pv_set_vcpus(struct wh_restore *r);

#endif
