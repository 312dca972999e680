/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Are two domains the same guest?  Frames differ between them, so whatever holds frames is compared
 * by the pfns they stand for. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xen/fake_parts.h"

#define FRAME_BITS UINT64_C(0x000ffffffffff000)

/* One domain of its host, and the other of its. */
struct pair {
    struct wh_fake *f[2];
    struct fake_domain *d[2];
    char *why;
    size_t size;
};

static bool __attribute__((format(printf, 2, 3))) differ(struct pair *p, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(p->why, p->size, format, ap);
    va_end(ap);
    return false;
}

static bool same_blob(struct pair *p, const struct fake_blob *a, const struct fake_blob *b,
                      const char *what)
{
    if (a->n != b->n)
        return differ(p, "%s: %zu and %zu bytes", what, a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        if (((const uint8_t *)a->bytes)[i] != ((const uint8_t *)b->bytes)[i])
            return differ(p, "%s: differ at byte %zu", what, i);
    return true;
}

/* The pfn that a frame of the i-th domain stands for; what is no frame of its stands for itself. */
static uint64_t meaning(const struct pair *p, unsigned i, uint64_t frame)
{
    uint64_t pfn = wh_fake_pfn_of(p->f[i], p->d[i], frame);

    return pfn == WH_NO_FRAME ? frame : pfn;
}

static uint64_t get(const struct pair *p, const uint8_t *bytes, size_t at)
{
    uint64_t value = 0;

    memcpy(&value, bytes + at, p->d[0]->width);
    return value;
}

/* A word that is a frame in both. */
static bool same_frame(struct pair *p, const uint8_t *a, const uint8_t *b, size_t at,
                       const char *what)
{
    uint64_t pa = meaning(p, 0, get(p, a, at)), pb = meaning(p, 1, get(p, b, at));

    return pa == pb || differ(p, "%s: stands for pfn %#llx and %#llx", what,
                              (unsigned long long)pa, (unsigned long long)pb);
}

/* ------------------------------------------------------------------------------------- pages */

static bool xen_s(const struct pair *p, unsigned level, unsigned i)
{
    bool wide = p->d[0]->width == 8;

    return wide ? level == 4 && i >= 256 && i < 272 : level == 2 && i >= 428;
}

static bool same_table(struct pair *p, uint64_t pfn, unsigned level, const uint64_t *a,
                       const uint64_t *b)
{
    for (unsigned i = 0; i < 512; i++) {
        uint64_t ma = a[i], mb = b[i];

        if (xen_s(p, level, i))
            continue;
        if (ma & 1)
            ma = (ma & ~FRAME_BITS) | meaning(p, 0, (ma & FRAME_BITS) >> 12) << 12;
        if (mb & 1)
            mb = (mb & ~FRAME_BITS) | meaning(p, 1, (mb & FRAME_BITS) >> 12) << 12;
        if (ma != mb)
            return differ(p, "pfn %#llx, a table of level %u: entry %u means %#llx and %#llx",
                          (unsigned long long)pfn, level, i, (unsigned long long)ma,
                          (unsigned long long)mb);
    }
    return true;
}

static bool same_p2m(struct pair *p, uint64_t pfn, const uint8_t *a, const uint8_t *b)
{
    unsigned width = p->d[0]->width;

    for (size_t at = 0; at < FAKE_PAGE; at += width)
        if (!same_frame(p, a, b, at, "an entry of the p2m"))
            return differ(p, "pfn %#llx of the p2m: entry %zu differs", (unsigned long long)pfn,
                          at / width);
    return true;
}

static bool same_start_info(struct pair *p, const uint8_t *a, const uint8_t *b)
{
    bool wide = p->d[0]->width == 8;

    if (memcmp(a, b, 0x20 + p->d[0]->width) != 0)
        return differ(p, "start_info: the magic or the number of pages differs");
    return same_frame(p, a, b, wide ? 0x38 : 0x2c, "start_info: the store's ring") &&
           same_frame(p, a, b, wide ? 0x48 : 0x34, "start_info: the console's ring");
}

static uint64_t start_info_of(const struct pair *p)
{
    bool wide = p->d[0]->width == 8;

    return meaning(p, 0, get(p, p->d[0]->vcpu[0].context, wide ? 0x268 : 0x20c));
}

/* A restore clears the rings of an HVM guest, and leaves a PV guest's lists of its p2m stale. */
static bool may_differ(const struct fake_domain *d, uint64_t pfn)
{
    if (d->spec.hvm)
        return pfn == d->param[1] || pfn == d->param[17] || pfn == d->param[5] ||
               pfn == d->param[6];
    return d->lists_last && pfn >= d->lists_first && pfn <= d->lists_last;
}

static bool same_page(struct pair *p, uint64_t pfn)
{
    const struct fake_domain *a = p->d[0], *b = p->d[1];
    const uint8_t *pa = fake_at(a, pfn), *pb = fake_at(b, pfn);
    unsigned type = a->pfn[pfn].type;

    if (type != b->pfn[pfn].type)
        return differ(p, "pfn %#llx: its types are %u and %u", (unsigned long long)pfn, type,
                      b->pfn[pfn].type);
    if (type == FAKE_BROKEN || may_differ(a, pfn))
        return true;
    if (!a->spec.hvm && type != FAKE_NOTAB)
        return same_table(p, pfn, type & 7, (const uint64_t *)(const void *)pa,
                          (const uint64_t *)(const void *)pb);
    if (a->p2m_last && pfn >= a->p2m_first && pfn <= a->p2m_last)
        return same_p2m(p, pfn, pa, pb);
    if (!a->spec.hvm && pfn == start_info_of(p))
        return same_start_info(p, pa, pb);
    return memcmp(pa, pb, FAKE_PAGE) == 0 ||
           differ(p, "pfn %#llx: its contents differ", (unsigned long long)pfn);
}

static bool same_memory(struct pair *p)
{
    for (uint64_t pfn = 0;; pfn++) {
        uint64_t first = fake_next(p->d[0], pfn), second = fake_next(p->d[1], pfn);

        pfn = first < second ? first : second;
        if (pfn == UINT64_MAX)
            return true;
        bool a = fake_has(p->d[0], pfn), b = fake_has(p->d[1], pfn);

        /* Broken memory does not travel. */
        if (a != b && !(a && p->d[0]->pfn[pfn].type == FAKE_BROKEN))
            return differ(p, "pfn %#llx: memory only in the %s", (unsigned long long)pfn,
                          a ? "first" : "second");
        if (a && b && !same_page(p, pfn))
            return false;
    }
}

/* ---------------------------------------------------------------------------- vcpus and others */

/* The context with its frames as pfns. */
static void plain_context(const struct pair *p, unsigned i, uint32_t v, uint8_t *c)
{
    const struct fake_domain *d = p->d[i];
    bool wide = d->width == 8;
    size_t w = d->width, gdt = wide ? 0x12e0 : 0xa50, cr3 = wide ? 0x1390 : 0xaa8;
    size_t edx = wide ? 0x268 : 0x20c;
    uint64_t value;

    memcpy(c, d->vcpu[v].context, WH_VCPU_CONTEXT);
    for (unsigned j = 0; j < 16; j++) {
        value = meaning(p, i, get(p, c, gdt + j * w));
        memcpy(c + gdt + j * w, &value, w);
    }
    value = wh_fake_cr3(d, meaning(p, i, wh_fake_cr3_frame(d, get(p, c, cr3))));
    memcpy(c + cr3, &value, w);
    if (wide) {
        value = meaning(p, i, get(p, c, 0x1380) >> 12) << 12;
        memcpy(c + 0x1380, &value, w);
    }
    value = meaning(p, i, get(p, c, edx));
    if (v == 0)
        memcpy(c + edx, &value, w);
}

static bool same_vcpu(struct pair *p, uint32_t v)
{
    const struct fake_vcpu *a = &p->d[0]->vcpu[v], *b = &p->d[1]->vcpu[v];
    uint8_t ca[WH_VCPU_CONTEXT], cb[WH_VCPU_CONTEXT];

    if (a->online != b->online)
        return differ(p, "vcpu %u is online only in one", v);
    if (!a->online || p->d[0]->spec.hvm)
        return true;
    plain_context(p, 0, v, ca);
    plain_context(p, 1, v, cb);
    for (size_t i = 0; i < sizeof ca; i++)
        if (ca[i] != cb[i])
            return differ(p, "vcpu %u: its registers differ at %#zx", v, i);
    return same_blob(p, &a->blob[0], &b->blob[0], "a vcpu's extended state") &&
           same_blob(p, &a->blob[1], &b->blob[1], "a vcpu's XSAVE area") &&
           same_blob(p, &a->blob[2], &b->blob[2], "a vcpu's MSRs");
}

/* What the event channels' state and the time leave of it. */
static bool same_shared_info(struct pair *p)
{
    const uint8_t *a = p->f[0]->heap_base + p->d[0]->shared_info * FAKE_PAGE;
    const uint8_t *b = p->f[1]->heap_base + p->d[1]->shared_info * FAKE_PAGE;
    bool wide = p->d[0]->width == 8;
    size_t w = p->d[0]->width, sel = wide ? 8 : 4;

    for (size_t v = 0; v < 32; v++) {
        size_t at = v * 64;

        if (memcmp(a + at, b + at, sel) != 0 ||
            memcmp(a + at + sel + w, b + at + sel + w, 64 - sel - w) != 0)
            return differ(p, "shared info: vcpu %zu's part differs", v);
    }
    if (get(p, a, wide ? 0xc10 : 0x90c) != get(p, b, wide ? 0xc10 : 0x90c) ||
        memcmp(a + (wide ? 0xc30 : 0x91c), b + (wide ? 0xc30 : 0x91c), 2 * w) != 0)
        return differ(p, "shared info: max_pfn, p2m_vaddr or p2m_generation differs");
    return true;
}

static bool same_params(struct pair *p)
{
    static const uint8_t saved[] = { 1, 5, 6, 27, 28, 29, 37, 17, 19, 9, 12, 34, 32, 33, 36, 38 };

    for (size_t i = 0; i < WH_COUNT(saved); i++)
        if (p->d[0]->param[saved[i]] != p->d[1]->param[saved[i]])
            return differ(p, "HVM parameter %u is %#llx and %#llx", saved[i],
                          (unsigned long long)p->d[0]->param[saved[i]],
                          (unsigned long long)p->d[1]->param[saved[i]]);
    return true;
}

static bool same_kind(struct pair *p)
{
    const struct fake_domain *a = p->d[0], *b = p->d[1];

    if (a->spec.hvm != b->spec.hvm || a->spec.emulated != b->spec.emulated ||
        a->vcpus != b->vcpus || a->width != b->width)
        return differ(p, "they are of different kinds, widths or numbers of vcpus");
    if (a->tsc.mode != b->tsc.mode || a->tsc.khz != b->tsc.khz ||
        a->tsc.elapsed_ns != b->tsc.elapsed_ns || a->tsc.incarnation != b->tsc.incarnation)
        return differ(p, "their TSCs differ");
    return same_blob(p, &a->leaves, &b->leaves, "CPUID") &&
           same_blob(p, &a->msrs, &b->msrs, "MSRs");
}

bool wh_fake_same(struct wh_fake *f, uint32_t a, struct wh_fake *g, uint32_t b, char *why,
                  size_t size)
{
    struct pair p = { { f, g }, { wh_fake_find(f, a), wh_fake_find(g, b) }, why, size };

    if (!p.d[0] || !p.d[1])
        return differ(&p, "there is no %s domain", p.d[0] ? "second" : "first");
    if (!same_kind(&p) || !same_memory(&p))
        return false;
    for (uint32_t v = 0; v < p.d[0]->vcpus; v++)
        if (!same_vcpu(&p, v))
            return false;
    if (!p.d[0]->spec.hvm)
        return same_shared_info(&p);
    return same_params(&p) &&
           same_blob(&p, &p.d[0]->hvm_context, &p.d[1]->hvm_context, "the HVM context");
}
