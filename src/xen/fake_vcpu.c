/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's vcpus and what a guest's kind has of its own: contexts, page tables pinned,
 * HVM context and parameters. */
#include <errno.h>
#include <string.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

#define HVM_MAGIC    0x54381286u
#define VGCF_ONLINE  0x20u
#define GDT_ENTS_MAX 7168u

static struct fake_vcpu *get_vcpu(FAKE_OP_D, uint32_t vcpu, const char *what,
                                  struct fake_domain **d)
{
    *d = wh_fake_get(op, f, domid, what);
    if (!*d)
        return NULL;
    if (vcpu < (*d)->vcpus)
        return &(*d)->vcpu[vcpu];
    wh_fake_refuse(op, domid, what, EINVAL);
    return NULL;
}

/* -------------------------------------------------------------------------------- width */

bool wh_fake_width(FAKE_OP_D, bool set, unsigned *bytes)
{
    const char *what = "the word's width";
    struct fake_domain *d = wh_fake_get(op, f, domid, what);

    if (!d)
        return false;
    if (!set) {
        *bytes = d->width;
        return true;
    }
    if ((*bytes != 4 && *bytes != 8) || d->spec.hvm)
        return wh_fake_refuse(op, domid, what, EINVAL);
    if (d->pages && *bytes != d->width)
        return wh_fake_refuse(op, domid, what, EACCES);
    d->width = *bytes;
    return true;
}

/* ------------------------------------------------------------------------------ contexts */

/* Where things are in a PV guest's context, by its width. */
static const struct layout {
    size_t flags, gdt_frames, gdt_ents, cr1, cr3;
} layouts[] = {
    [0] = { 0x200, 0xa50, 0xa90, 0, 0xaa8 },
    [1] = { 0x200, 0x12e0, 0x1360, 0x1380, 0x1390 },
};

static uint64_t word(const struct fake_domain *d, const uint8_t *context, size_t at)
{
    uint64_t value = 0;

    memcpy(&value, context + at, d->width);     /* both ends are little */
    return value;
}

static bool owns_gdt(struct wh_fake *f, const struct fake_domain *d, const struct layout *l,
                     const uint8_t *context)
{
    uint64_t ents = word(d, context, l->gdt_ents);

    if (ents > GDT_ENTS_MAX)
        return false;
    for (uint64_t i = 0; i < (ents + 511) / 512; i++) {
        uint64_t pfn = wh_fake_pfn_of(f, d, word(d, context, l->gdt_frames + i * d->width));

        if (!fake_has(d, pfn) || d->pfn[pfn].type != FAKE_NOTAB)
            return false;
    }
    return true;
}

/* Xen takes a PV guest's registers only with page tables and descriptors that are its own. */
static bool can_run(struct wh_fake *f, struct fake_domain *d, const uint8_t *context)
{
    const struct layout *l = &layouts[d->width == 8];
    unsigned top = d->width == 8 ? 4 : 3;
    uint64_t cr1 = l->cr1 ? word(d, context, l->cr1) : 0;

    if (!wh_fake_table(f, d, top, wh_fake_cr3_frame(d, word(d, context, l->cr3))))
        return false;
    if (cr1 && !wh_fake_table(f, d, top, wh_fake_cr3_frame(d, cr1)))
        return false;
    return owns_gdt(f, d, l, context);
}

bool wh_fake_get_context(FAKE_OP_D, uint32_t vcpu, void *bytes)
{
    struct fake_domain *d;
    struct fake_vcpu *v = get_vcpu(op, f, domid, vcpu, "a vcpu's registers", &d);

    if (!v)
        return false;
    if (!v->set)
        return wh_fake_refuse(op, domid, "a vcpu's registers", ENODATA);
    memcpy(bytes, v->context, sizeof v->context);
    return true;
}

bool wh_fake_set_context(FAKE_OP_D, uint32_t vcpu, const void *bytes)
{
    const char *what = "setting a vcpu's registers";
    struct fake_domain *d;
    struct fake_vcpu *v = get_vcpu(op, f, domid, vcpu, what, &d);
    uint64_t flags;

    if (!v)
        return false;
    if (!d->spec.hvm && !can_run(f, d, bytes))
        return wh_fake_refuse(op, domid, what, EINVAL);
    memcpy(v->context, bytes, sizeof v->context);
    v->set = true;
    flags = d->spec.hvm ? VGCF_ONLINE : word(d, v->context, layouts[d->width == 8].flags);
    v->online = flags & VGCF_ONLINE;
    return true;
}

bool wh_fake_get_blob(FAKE_OP_D, uint32_t vcpu, enum wh_vcpu_blob what, void **bytes, size_t *n)
{
    struct fake_domain *d;
    struct fake_vcpu *v = get_vcpu(op, f, domid, vcpu, "a vcpu's state", &d);

    *bytes = NULL;
    *n = 0;
    if (v)
        wh_fake_hand_out(&v->blob[what], bytes, n);
    return v;
}

static bool fits(enum wh_vcpu_blob what, uint32_t vcpu, const void *bytes, size_t n)
{
    uint32_t inner;

    if (what == WH_VCPU_XSAVE)
        return n >= 16;
    if (what == WH_VCPU_MSRS)
        return n % 16 == 0;
    if (n < 8 || n > 128)
        return false;
    memcpy(&inner, bytes, sizeof inner);
    return inner == vcpu;
}

bool wh_fake_set_blob(FAKE_OP_D, uint32_t vcpu, enum wh_vcpu_blob what, const void *bytes, size_t n)
{
    struct fake_domain *d;
    struct fake_vcpu *v = get_vcpu(op, f, domid, vcpu, "setting a vcpu's state", &d);

    if (!v)
        return false;
    if (!fits(what, vcpu, bytes, n))
        return wh_fake_refuse(op, domid, "setting a vcpu's state", EINVAL);
    wh_fake_blob_set(&v->blob[what], bytes, n);
    return true;
}

bool wh_fake_pin(FAKE_OP_D, const struct wh_pinned *p, size_t n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "pinning page tables");

    if (!d)
        return false;
    if (n > WH_BATCH_MAX || d->spec.hvm)
        return wh_fake_refuse(op, domid, "pinning page tables", EINVAL);
    for (size_t i = 0; i < n; i++) {
        if (!wh_fake_table(f, d, (unsigned)p[i].level + 1, p[i].mfn))
            return wh_fake_refuse(op, domid, "pinning page tables", EINVAL);
        d->pfn[wh_fake_pfn_of(f, d, p[i].mfn)].type |= FAKE_PINNED;
    }
    return true;
}

/* ----------------------------------------------------------------------------- HVM, PVH */

bool wh_fake_get_hvm_context(FAKE_OP_D, void **bytes, size_t *n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the HVM context");

    *bytes = NULL;
    if (!d)
        return false;
    if (!d->spec.hvm)
        return wh_fake_refuse(op, domid, "the HVM context", EINVAL);
    wh_fake_hand_out(&d->hvm_context, bytes, n);
    return true;
}

/* u16 typecode, u16 instance, u32 length, data; the first is the header, the last the end. */
static bool is_context(const uint8_t *p, size_t n)
{
    uint32_t magic_version[2];
    bool first = true;

    for (size_t at = 0; n - at >= 8;) {
        uint16_t code;
        uint32_t length;

        memcpy(&code, p + at, sizeof code);
        memcpy(&length, p + at + 4, sizeof length);
        if (length > n - at - 8 || first != (code == 1))
            return false;
        if (first && length != 24)
            return false;
        if (first)
            memcpy(magic_version, p + at + 8, sizeof magic_version);
        if (first && (magic_version[0] != HVM_MAGIC || magic_version[1] != 1))
            return false;
        if (code == 0)
            return length == 0;
        first = false;
        at += 8 + length;
    }
    return false;
}

bool wh_fake_set_hvm_context(FAKE_OP_D, const void *bytes, size_t n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "setting the HVM context");

    if (!d)
        return false;
    if (!d->spec.hvm || !is_context(bytes, n))
        return wh_fake_refuse(op, domid, "setting the HVM context", EINVAL);
    wh_fake_blob_set(&d->hvm_context, bytes, n);
    for (uint32_t v = 0; v < d->vcpus; v++)
        d->vcpu[v].online = d->vcpu[v].set = true;
    return true;
}

enum { ONCE = 1, GONE = 2 };

/* clang-format off */
static const uint8_t param_rule[FAKE_PARAMS] = {
    [4]  = GONE,    /* PAE_ENABLED */
    [5]  = ONCE,    /* IOREQ_PFN */
    [6]  = ONCE,    /* BUFIOREQ_PFN */
    [9]  = ONCE,    /* VIRIDIAN */
    [13] = GONE,    /* DM_DOMAIN */
    [20] = GONE, [21] = GONE, [22] = GONE, [23] = GONE, [25] = GONE,    /* MEMORY_EVENT_* */
    [24] = GONE,    /* NESTEDHVM */
    [26] = GONE,    /* BUFIOREQ_EVTCHN */
    [32] = ONCE,    /* IOREQ_SERVER_PFN */
    [33] = ONCE,    /* NR_IOREQ_SERVER_PAGES */
    [35] = ONCE,    /* ALTP2M */
    [38] = ONCE,    /* MCA_CAP */
};
/* clang-format on */

bool wh_fake_hvm_param(FAKE_OP_D, bool set, uint32_t index, uint64_t *value)
{
    const char *what = set ? "setting an HVM parameter" : "an HVM parameter";
    struct fake_domain *d = wh_fake_get(op, f, domid, what);

    if (!d)
        return false;
    if (!d->spec.hvm || index >= FAKE_PARAMS || param_rule[index] == GONE)
        return wh_fake_refuse(op, domid, what, EINVAL);
    if (!set) {
        *value = d->param[index];
        return true;
    }
    if (param_rule[index] == ONCE && d->param[index] && d->param[index] != *value)
        return wh_fake_refuse(op, domid, what, EEXIST);
    d->param[index] = *value;
    return true;
}
