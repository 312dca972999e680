/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PV guest of the fake, as Linux lays one out, small:
 *
 *     pfn 1            start_info            2  store ring        3  console ring
 *         4 ...        a descriptor table a vcpu
 *         then         p2m pages; for the tree its middle and top pages
 *         then         page tables: a direct map of all memory; for the linear p2m a map of its
 *                      pages; an empty table for user mode (64-bit)
 *
 * All of these are pages of the guest among the others, and hold machine frames, which is what a
 * save and restore must see through. */
#include <stdio.h>
#include <string.h>

#include "xen/fake_parts.h"

#define START_INFO 1u
#define STORE      2u
#define CONSOLE    3u
#define GDT        4u

#define DIRECT_64 UINT64_C(0xffff888000000000)
#define P2M_64    UINT64_C(0xffffc90000000000)
#define DIRECT_32 UINT64_C(0xc0000000)
#define P2M_32    UINT64_C(0xe0000000)

struct builder {
    struct wh_fake *f;
    struct fake_domain *d;
    const struct wh_fake_guest *g;
    uint64_t pages;
    uint64_t next;              /* the next pfn for a page with a purpose */
    uint64_t p2m, p2m_pages;    /* first pfn, and how many */
    uint64_t top;               /* pfn of the top page table */
    uint64_t user;              /* of the one for user mode; 0: none */
    uint64_t list_list;         /* of the tree's top page */
    uint64_t seed;
};

static uint64_t mfn_of(const struct builder *b, uint64_t pfn)
{
    return b->d->pfn[pfn].mfn;
}

static uint64_t new_page(struct builder *b)
{
    uint64_t pfn = b->next++;

    if (pfn >= b->pages / 2)
        wh_fake_die("a PV guest that is too small for its page tables");
    memset(fake_at(b->d, pfn), 0, FAKE_PAGE);
    return pfn;
}

/* The i-th of a page's words of the guest's width. */
static void put_word(const struct builder *b, uint64_t pfn, uint64_t i, uint64_t value)
{
    memcpy(fake_at(b->d, pfn) + i * b->d->width, &value, b->d->width);
}

/* ----------------------------------------------------------------------------------- the p2m */

static void fill_p2m(struct builder *b)
{
    uint64_t per_page = FAKE_PAGE / b->d->width;

    b->p2m = b->next;
    b->p2m_pages = (b->pages + per_page - 1) / per_page;
    for (uint64_t i = 0; i < b->p2m_pages; i++)
        new_page(b);
    for (uint64_t pfn = 0; pfn < b->p2m_pages * per_page; pfn++)
        put_word(b, b->p2m + pfn / per_page, pfn % per_page,
                 pfn < b->pages && fake_has(b->d, pfn) ? mfn_of(b, pfn) : WH_NO_FRAME);
}

/* top page -> middle pages -> p2m pages */
static void fill_tree(struct builder *b)
{
    uint64_t per_page = FAKE_PAGE / b->d->width, middle = 0;

    b->list_list = new_page(b);
    for (uint64_t i = 0; i < b->p2m_pages; i++) {
        if (i % per_page == 0) {
            middle = new_page(b);
            put_word(b, b->list_list, i / per_page, mfn_of(b, middle));
        }
        put_word(b, middle, i % per_page, mfn_of(b, b->p2m + i));
    }
    b->d->lists_first = b->list_list;
    b->d->lists_last = b->next - 1;
}

/* ------------------------------------------------------------------------------ page tables */

static uint64_t *entry_of(const struct builder *b, uint64_t table, uint64_t vaddr, unsigned level)
{
    uint64_t *entry = (uint64_t *)(void *)fake_at(b->d, table);

    return &entry[vaddr >> (12 + 9 * (level - 1)) & (b->d->width == 4 && level == 3 ? 3 : 511)];
}

/* Map one page at vaddr, with the tables that takes. */
static void map_at(struct builder *b, uint64_t vaddr, uint64_t pfn)
{
    uint64_t table = b->top;

    for (unsigned level = b->d->width == 4 ? 3 : 4; level > 1; level--) {
        uint64_t *entry = entry_of(b, table, vaddr, level);

        if (!*entry)            /* a PAE L3's entries have few legal bits */
            *entry = mfn_of(b, new_page(b)) << 12 | (b->d->width == 4 && level == 3 ? 1 : 0x67);
        table = wh_fake_pfn_of(b->f, b->d, *entry >> 12 & 0xffffffffff);
    }
    *entry_of(b, table, vaddr, 1) = mfn_of(b, pfn) << 12 | UINT64_C(0x8000000000000063);
}

static void fill_tables(struct builder *b)
{
    bool wide = b->d->width == 8;
    uint64_t direct = wide ? b->pages : b->pages < 131072 ? b->pages : 131072;

    b->top = new_page(b);
    for (uint64_t pfn = 0; pfn < direct; pfn++) {
        uint64_t vaddr = (wide ? DIRECT_64 : DIRECT_32) + pfn * FAKE_PAGE;

        if (fake_has(b->d, pfn))
            map_at(b, vaddr, pfn);
    }
    for (uint64_t i = 0; b->g->p2m == WH_FAKE_LINEAR && i < b->p2m_pages; i++)
        map_at(b, (wide ? P2M_64 : P2M_32) + i * FAKE_PAGE, b->p2m + i);
    if (wide)
        b->user = new_page(b);
    else
        map_at(b, 0x08048000, GDT);     /* so that there is more than one L2 */
}

/* An entry that is not present may hold anything, and keeps it. */
static void leave_swapped(struct builder *b)
{
    uint64_t table = b->top;

    for (unsigned level = b->d->width == 4 ? 3 : 4; level > 1; level--)
        table = wh_fake_pfn_of(b->f, b->d,
                               *entry_of(b, table, b->d->width == 8 ? DIRECT_64 : DIRECT_32,
                                         level) >> 12 & 0xffffffffff);
    *(uint64_t *)(void *)fake_at(b->d, table) = UINT64_C(0x123456789a) << 8;
}

static void pin(struct builder *b, uint64_t pfn)
{
    if (!wh_fake_table(b->f, b->d, b->d->width == 4 ? 3 : 4, mfn_of(b, pfn)))
        wh_fake_die("page tables of a PV guest that are not right");
    b->d->pfn[pfn].type |= FAKE_PINNED;
}

/* ------------------------------------------------------------------- start_info, shared_info */

static void put_at(uint8_t *page, size_t at, uint64_t value, size_t n)
{
    memcpy(page + at, &value, n);
}

static void fill_start_info(const struct builder *b)
{
    uint8_t *p = fake_at(b->d, START_INFO);
    size_t w = b->d->width;
    bool wide = w == 8;

    memset(p, 0, FAKE_PAGE);
    strcpy((char *)p, wide ? "xen-3.0-x86_64" : "xen-3.0-x86_32p");
    put_at(p, 0x20, b->pages, w);
    put_at(p, wide ? 0x28 : 0x24, b->d->shared_info * FAKE_PAGE, w);
    put_at(p, wide ? 0x38 : 0x2c, mfn_of(b, STORE), w);
    put_at(p, wide ? 0x40 : 0x30, 1, 4);
    put_at(p, wide ? 0x48 : 0x34, mfn_of(b, CONSOLE), w);
    put_at(p, wide ? 0x50 : 0x38, 2, 4);
}

static void fill_shared_info(struct builder *b)
{
    uint8_t *p = b->f->heap_base + b->d->shared_info * FAKE_PAGE;
    bool wide = b->d->width == 8, linear = b->g->p2m == WH_FAKE_LINEAR;
    size_t w = b->d->width;

    for (size_t i = 0; i < (wide ? 0xc10u : 0x90cu); i += 4)
        put_at(p, i, wh_fake_random(&b->seed), 4);
    put_at(p, wide ? 0xc10 : 0x90c, b->pages, w);
    put_at(p, wide ? 0xc18 : 0x910, linear ? WH_NO_FRAME : mfn_of(b, b->list_list), w);
    put_at(p, wide ? 0xc28 : 0x918, linear ? wh_fake_cr3(b->d, mfn_of(b, b->top)) : 0, w);
    put_at(p, wide ? 0xc30 : 0x91c, linear ? (wide ? P2M_64 : P2M_32) : 0, w);
    put_at(p, wide ? 0xc38 : 0x920, 4, w);
}

/* -------------------------------------------------------------------------------------- vcpus */

static void fill_blobs(struct builder *b, uint32_t v)
{
    struct fake_vcpu *vcpu = &b->d->vcpu[v];
    uint64_t bytes[848 / 8];

    for (size_t i = 0; i < WH_COUNT(bytes); i++)
        bytes[i] = wh_fake_random(&b->seed);
    bytes[0] = v | UINT64_C(64) << 32;
    wh_fake_blob_set(&vcpu->blob[WH_VCPU_EXTENDED], bytes, 64);
    bytes[0] = bytes[1] = 7;
    wh_fake_blob_set(&vcpu->blob[WH_VCPU_XSAVE], bytes, 848);
    bytes[0] = 0xc0011030;
    bytes[2] = 0xc0011031;
    if (v == 0)
        wh_fake_blob_set(&vcpu->blob[WH_VCPU_MSRS], bytes, 32);
}

/* The last of three vcpus and more is not up. */
static void fill_vcpu(struct builder *b, uint32_t v)
{
    struct fake_vcpu *vcpu = &b->d->vcpu[v];
    uint8_t *c = vcpu->context;
    bool wide = b->d->width == 8;
    size_t w = b->d->width, used = wide ? 0x1430 : 0xaf0;

    for (size_t i = 0; i < used; i += 8)
        put_at(c, i, wh_fake_random(&b->seed), 8);
    put_at(c, 0x200, 0x25, wide ? 8 : 4);                   /* flags: online, in kernel, i387 */
    put_at(c, wide ? 0x268 : 0x20c, v == 0 ? mfn_of(b, START_INFO) : 0, w);
    memset(c + (wide ? 0x12e0 : 0xa50), 0, 16 * w);
    put_at(c, wide ? 0x12e0 : 0xa50, mfn_of(b, GDT + v), w);
    put_at(c, wide ? 0x1360 : 0xa90, 28, w);
    put_at(c, wide ? 0x1390 : 0xaa8, wh_fake_cr3(b->d, mfn_of(b, b->top)), w);
    if (wide)
        put_at(c, 0x1380, v == 0 ? mfn_of(b, b->user) << 12 : 0, 8);
    vcpu->set = true;
    vcpu->online = v < 2 || v + 1 < b->d->vcpus;
    fill_blobs(b, v);
}

void wh_fake_fill_pv(struct wh_fake *f, struct fake_domain *d, const struct wh_fake_guest *g,
                     uint64_t *store, uint64_t *console)
{
    struct builder b = { .f = f, .d = d, .g = g, .pages = (uint64_t)g->mb * 256,
                         .next = GDT + d->vcpus, .seed = g->seed * 2654435761u + 1 };

    for (uint64_t pfn = 0; pfn < b.pages; pfn++) {
        if (pfn >= b.pages / 2 && wh_fake_random(&b.seed) % 100 < g->holes_percent)
            continue;
        if (wh_fake_add(f, d, pfn))
            wh_fake_die("memory for a guest");
        wh_fake_contents(d, pfn, g, &b.seed);
    }
    fill_p2m(&b);
    if (g->p2m == WH_FAKE_TREE)
        fill_tree(&b);
    fill_tables(&b);
    leave_swapped(&b);
    pin(&b, b.top);
    if (b.user)
        pin(&b, b.user);
    fill_start_info(&b);
    fill_shared_info(&b);
    for (uint32_t v = 0; v < d->vcpus; v++)
        fill_vcpu(&b, v);
    d->p2m_first = b.p2m;
    d->p2m_last = b.p2m + b.p2m_pages - 1;
    *store = mfn_of(&b, STORE);
    *console = mfn_of(&b, CONSOLE);
}

/* -------------------------------------------------------------------- suspending, running again */

static uint64_t get_at(const uint8_t *page, size_t at, size_t n)
{
    uint64_t value = 0;

    memcpy(&value, page + at, n);
    return value;
}

/* A PV guest that suspends leaves pfns in start_info; one that is told its suspend was cancelled
 * (1 in eax) puts the frames back itself. */
void wh_fake_pv_suspended(struct wh_fake *f, struct fake_domain *d, bool suspended)
{
    bool wide = d->width == 8;
    size_t w = d->width, fields[2] = { wide ? 0x38 : 0x2c, wide ? 0x48 : 0x34 };
    const uint8_t *c = d->vcpu[0].context;
    uint64_t pfn = wh_fake_pfn_of(f, d, get_at(c, wide ? 0x268 : 0x20c, w));

    if (!fake_has(d, pfn) || (!suspended && get_at(c, wide ? 0x258 : 0x21c, w) != 1))
        return;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t was = get_at(fake_at(d, pfn), fields[i], w);

        if (suspended)
            put_at(fake_at(d, pfn), fields[i], wh_fake_pfn_of(f, d, was), w);
        else if (fake_has(d, was))
            put_at(fake_at(d, pfn), fields[i], d->pfn[was].mfn, w);
    }
}
