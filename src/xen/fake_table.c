/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Page tables of the fake's PV guests, as Xen checks them: a frame becomes a table of a level when
 * it is pinned, loaded or referred to by a table of the level above, and then every entry that is
 * present must lead to one of the guest's own frames, which must be a table of the level below.
 * So tables that a restore has filled with wrong frames are refused here. */
#include <string.h>

#include "xen/fake_parts.h"

#define ENTRIES    512u
#define FRAME_BITS UINT64_C(0x000ffffffffff000)
#define XEN_L4     256u         /* 16 slots from here on are Xen's in a 64-bit guest */
#define XEN_L2     428u         /* and from here on in the last L2 of a 32-bit one */

uint64_t wh_fake_cr3_frame(const struct fake_domain *d, uint64_t cr3)
{
    uint32_t low = (uint32_t)cr3;

    return d->width == 4 ? (uint64_t)(low >> 12 | low << 20) : cr3 >> 12;
}

uint64_t wh_fake_cr3(const struct fake_domain *d, uint64_t frame)
{
    uint32_t low = (uint32_t)frame;

    return d->width == 4 ? (uint64_t)(low << 12 | low >> 20) : frame << 12;
}

static unsigned top_level(const struct fake_domain *d)
{
    return d->width == 4 ? 3 : 4;
}

/* Xen puts its own entries into the tables it runs on. */
static void add_xen(const struct wh_fake *f, const struct fake_domain *d, unsigned level,
                    bool last_l2, uint64_t *entry)
{
    if (d->width == 8 && level == 4)
        for (unsigned i = XEN_L4; i < XEN_L4 + 16; i++)
            entry[i] = (uint64_t)i << 12 | 0x63;
    if (last_l2)
        for (unsigned i = XEN_L2; i < ENTRIES; i++)
            entry[i] = (fake_compat_at(f) + i - XEN_L2) << 12 | 0x63;
}

static bool xen_s(const struct fake_domain *d, unsigned level, bool last_l2, unsigned i)
{
    return (d->width == 8 && level == 4 && i >= XEN_L4 && i < XEN_L4 + 16) ||
           (last_l2 && i >= XEN_L2) || (d->width == 4 && level == 3 && i > 3);
}

static bool check(struct wh_fake *f, struct fake_domain *d, unsigned level, uint64_t mfn,
                  bool last_l2)
{
    uint64_t pfn = wh_fake_pfn_of(f, d, mfn);

    if (!fake_has(d, pfn) || level < 1 || level > top_level(d))
        return false;
    struct fake_pfn *p = &d->pfn[pfn];
    if ((p->type & 7) == level)
        return true;
    if (p->type != FAKE_NOTAB)
        return false;
    p->type = (uint8_t)level;           /* before its entries: a table may refer to itself */

    uint64_t *entry = (uint64_t *)(void *)fake_at(d, pfn);
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t to = (entry[i] & FRAME_BITS) >> 12;
        bool below_last = d->width == 4 && level == 3 && i == 3;

        if (xen_s(d, level, last_l2, i) || !(entry[i] & 1))
            continue;
        if (level == 1 ? wh_fake_pfn_of(f, d, to) == WH_NO_FRAME
                       : entry[i] & 0x80 || !check(f, d, level - 1, to, below_last)) {
            p->type = FAKE_NOTAB;
            return false;
        }
    }
    add_xen(f, d, level, last_l2, entry);
    return true;
}

bool wh_fake_table(struct wh_fake *f, struct fake_domain *d, unsigned level, uint64_t mfn)
{
    return check(f, d, level, mfn, false);
}
