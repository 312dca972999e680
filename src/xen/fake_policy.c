/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's CPU policies, in the wire's layout: the host's, which is the most that a guest can
 * have, and what its guests are given of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

#define ALL UINT32_MAX          /* a leaf without subleaves */
#define MPX 0x4000u             /* of 7's ebx, and its states of 0xd's eax */
#define MPX_STATES 0x18u
#define ITSC 0x100u             /* of 0x80000007's edx */
#define SVM 4u                  /* of 0x80000001's ecx */
#define FAULTING 0x80000000u    /* of MSR 0xce: CPUID can be made to fault */

struct leaf {
    uint32_t leaf, subleaf, reg[4];
};

struct msr {
    uint32_t index, flags;
    uint64_t value;
};

/* A processor that has a little of everything. */
static const struct leaf leaves_of_host[] = {
    { 0, ALL, { 0xd, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 1, ALL, { 0xa00f11, 0x800, 0xf7fa3203, 0x178bfbff } },
    { 7, 0, { 2, 0x219d47a9, 0x40070c, 0x10 } },
    { 7, 1, { 0x10, 0, 0, 0 } },
    { 7, 2, { 0, 0, 0, 0 } },
    { 0xd, 0, { 0x2ff, 0, 2696, 0 } },
    { 0xd, 1, { 0xf, 0, 0, 0 } },
    { 0xd, 2, { 256, 576, 0, 0 } },
    { 0xd, 3, { 64, 960, 0, 0 } },
    { 0xd, 4, { 64, 1024, 0, 0 } },
    { 0xd, 5, { 64, 1088, 0, 0 } },
    { 0xd, 6, { 512, 1152, 0, 0 } },
    { 0xd, 7, { 1024, 1664, 0, 0 } },
    { 0xd, 9, { 8, 2688, 0, 0 } },
    { 0x80000000, ALL, { 0x80000021, 0x68747541, 0x444d4163, 0x69746e65 } },
    { 0x80000001, ALL, { 0xa00f11, 0, 0x044001f7, 0x2e500800 } },
    { 0x80000007, ALL, { 0, 0, 0, ITSC } },
    { 0x80000008, ALL, { 0x3030, 0x100d001, 0, 0 } },
    { 0x80000021, ALL, { 0x44, 0, 0, 0 } },
};
static const struct msr msrs_of_host[] = { { 0xce, 0, FAULTING }, { 0x10a, 0, 0x21 } };

void wh_fake_hand_out(const struct fake_blob *b, void **bytes, size_t *n)
{
    *n = b->n;
    *bytes = NULL;
    if (!b->n)
        return;
    *bytes = wh_fake_alloc(b->n);
    memcpy(*bytes, b->bytes, b->n);
}

/* -------------------------------------------------------------------------- the host's */

static void know(struct wh_fake *f)
{
    if (f->leaves.n)
        return;
    wh_fake_blob_set(&f->leaves, leaves_of_host, sizeof leaves_of_host);
    wh_fake_blob_set(&f->msrs, msrs_of_host, sizeof msrs_of_host);
}

static struct leaf *find(const struct fake_blob *b, uint32_t leaf, uint32_t subleaf)
{
    struct leaf *l = b->bytes;

    for (size_t i = 0; i < b->n / sizeof *l; i++) {
        if (l[i].leaf == leaf && (l[i].subleaf == subleaf || l[i].subleaf == ALL))
            return &l[i];
    }
    return NULL;
}

uint32_t wh_fake_leaf(struct wh_fake *f, uint32_t leaf, uint32_t subleaf, unsigned reg)
{
    FAKE_LOCKED(f);

    know(f);
    const struct leaf *l = find(&f->leaves, leaf, subleaf);
    return l ? l->reg[reg] : 0;
}

void wh_fake_set_leaf(struct wh_fake *f, uint32_t leaf, uint32_t subleaf, unsigned reg,
                      uint32_t value)
{
    FAKE_LOCKED(f);

    know(f);
    struct leaf *l = find(&f->leaves, leaf, subleaf);
    if (!l)
        wh_fake_die("such a leaf");
    l->reg[reg] = value;
}

void wh_fake_set_msr(struct wh_fake *f, uint32_t index, uint64_t value)
{
    FAKE_LOCKED(f);

    know(f);
    struct msr *m = f->msrs.bytes;
    for (size_t i = 0; i < WH_COUNT(msrs_of_host); i++) {
        if (m[i].index == index)
            m[i].value = value;
    }
}

bool wh_fake_host_policy(FAKE_OP, bool hvm, void **leaves, size_t *leaf_bytes, void **msrs,
                         size_t *msr_bytes)
{
    (void)op;
    (void)hvm;
    know(f);
    wh_fake_hand_out(&f->leaves, leaves, leaf_bytes);
    wh_fake_hand_out(&f->msrs, msrs, msr_bytes);
    return true;
}

/* Leaves that Xen keeps for itself, and the highest numbers: it looks at no features. */
static bool refuses(struct wh_fake *f, const struct fake_blob *guest, char why[WH_WHY])
{
    static const uint32_t counts[] = { 0, 7, 0x80000000 };
    const struct leaf *l = guest->bytes;

    for (size_t i = 0; i < guest->n / sizeof *l; i++) {
        if (l[i].leaf >= 0x40000000u && l[i].leaf < 0x80000000u)
            return snprintf(why, WH_WHY, "leaf %#x, subleaf %#x", l[i].leaf, l[i].subleaf);
    }
    for (size_t i = 0; i < WH_COUNT(counts); i++) {
        const struct leaf *its = find(guest, counts[i], 0), *ours = find(&f->leaves, counts[i], 0);

        if (its && ours && its->reg[0] > ours->reg[0])
            return snprintf(why, WH_WHY, "leaf %#x, subleaf %#x", its->leaf, its->subleaf);
    }
    why[0] = '\0';
    return false;
}

bool wh_fake_policy_fits(FAKE_OP, bool hvm, const void *leaves, size_t leaf_bytes,
                         const void *msrs, size_t msr_bytes, char why[WH_WHY])
{
    wh_auto_free void *copy = wh_fake_alloc(leaf_bytes + 1);
    struct fake_blob guest = { copy, leaf_bytes };

    (void)op;
    (void)hvm;
    (void)msrs;
    (void)msr_bytes;
    know(f);
    memcpy(copy, leaves, leaf_bytes);
    refuses(f, &guest, why);
    return true;
}

/* ------------------------------------------------------------------------- a guest's */

static void take_away(const struct fake_blob *b, uint32_t leaf, unsigned reg, uint32_t bits)
{
    struct leaf *l = find(b, leaf, 0);

    if (l)
        l->reg[reg] &= ~bits;
}

bool wh_fake_default_policy(FAKE_OP_D, bool restoring, bool itsc, bool nested)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the default CPU policy");

    if (!d)
        return false;
    know(f);
    wh_fake_blob_set(&d->leaves, f->leaves.bytes, f->leaves.n);
    wh_fake_blob_set(&d->msrs, f->msrs.bytes, f->msrs.n);
    if (!restoring) {
        take_away(&d->leaves, 7, 1, MPX);
        take_away(&d->leaves, 0xd, 0, MPX_STATES);
    }
    take_away(&d->leaves, 0x80000007, 3, itsc ? 0 : ITSC);
    take_away(&d->leaves, 0x80000001, 2, nested ? 0 : SVM);
    if (!d->spec.hvm)
        ((struct msr *)d->msrs.bytes)->value = 0;
    return true;
}

bool wh_fake_get_policy(FAKE_OP_D, void **leaves, size_t *leaf_bytes, void **msrs,
                        size_t *msr_bytes)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the CPU policy");

    *leaves = *msrs = NULL;
    if (!d)
        return false;
    wh_fake_hand_out(&d->leaves, leaves, leaf_bytes);
    wh_fake_hand_out(&d->msrs, msrs, msr_bytes);
    return true;
}

bool wh_fake_set_policy(FAKE_OP_D, const void *leaves, size_t leaf_bytes, const void *msrs,
                        size_t msr_bytes)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "setting the CPU policy");
    char why[WH_WHY];

    if (!d)
        return false;
    if (leaf_bytes % sizeof(struct leaf) || msr_bytes % sizeof(struct msr))
        return wh_fake_refuse(op, domid, "setting the CPU policy", EINVAL);
    if (!wh_fake_policy_fits(op, f, d->spec.hvm, leaves, leaf_bytes, msrs, msr_bytes, why))
        return false;
    if (*why)
        return wh_fail(&op->err, WH_XEN, "this host's CPU cannot give the guest CPUID %s as it "
                       "had it", why);
    if (leaf_bytes)
        wh_fake_blob_set(&d->leaves, leaves, leaf_bytes);
    if (msr_bytes)
        wh_fake_blob_set(&d->msrs, msrs, msr_bytes);
    return true;
}
