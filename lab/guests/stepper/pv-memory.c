/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PV guest's memory.
 *
 * The tools map the image and what they put behind it, and a little more; the rest of memory is
 * mapped here, in tables of level 1 made of the first free pages.  p2m[pfn] is the frame behind a
 * page; Xen's m2p[frame] is the way back. */
#include "hypercall.h"
#include "pv.h"

#define SPAN (PAGE_SIZE / sizeof(uint64_t))     /* pages one table of level 1 maps */
#define LISTS 4

static unsigned long *p2m;
static uint64_t pages;              /* of the guest */
static uint64_t tables, tables_end; /* the tools' page tables, then ours: read only to us */
static uint64_t top_table;

static const unsigned long *const m2p = (const void *)0xffff800000000000ul;

void pv_find_p2m(const struct start_info *start)
{
    p2m = (unsigned long *)start->mfn_list;
    pages = start->nr_pages;
    top_table = start->pt_base >> PAGE_SHIFT;
    tables = top_table;
    tables_end = top_table + start->nr_pt_frames;
}

uint64_t pv_machine(uint64_t pfn)
{
    return (uint64_t)p2m[pfn] << PAGE_SHIFT;
}

uint64_t pv_pfn(uint64_t mfn)
{
    return m2p[mfn];
}

void pv_map_at(void *p, uint64_t pte)
{
    if (hypercall(__HYPERVISOR_update_va_mapping, (unsigned long)p, pte, UVMF_INVLPG, 0))
        print_fatal("update_va_mapping failed\n");
}

static uint64_t *table_of(uint64_t entry)
{
    return page_at(pv_pfn((entry & 0xffffffffff000ull) >> PAGE_SHIFT));
}

/* The table of level 2 for the first GiB, found through the levels above it. */
static uint64_t *find_level2(void)
{
    uint64_t *level4 = page_at(top_table), *level3 = table_of(level4[0]);

    return table_of(level3[0]);
}

/* Make the page a table that maps `first` and what follows, and hang it into level 2.  All tables,
 * itself too, must be mapped read only by then; those still to be made must not. */
static void add_level1(uint64_t *level2, uint64_t page, uint64_t first)
{
    uint64_t *table = page_at(page);
    struct mmu_update update;

    for (unsigned i = 0; i < SPAN; i++) {
        uint64_t pfn = first + i;
        bool is_table = pfn >= tables && pfn <= page;

        table[i] = pfn >= pages ? 0 : pv_machine(pfn) | (is_table ? PTE_READ_ONLY : PTE_READ_WRITE);
    }
    pv_map_at(table, pv_machine(page) | PTE_READ_ONLY);
    update.ptr = pv_machine(pfn_of(level2)) + first / SPAN * sizeof(uint64_t);
    update.val = pv_machine(page) | PTE_READ_WRITE;
    if (hypercall(__HYPERVISOR_mmu_update, (unsigned long)&update, 1, 0, DOMID_SELF))
        print_fatal("mmu_update failed\n");
}

/* The tools' mapping ends at a multiple of 4 MiB and leaves at least 128 pages behind the tables:
 * enough for the tables of the first GiB but the last quarter, which the first ones have mapped
 * by then. */
uint64_t pv_map_all(void)
{
    uint64_t *level2 = find_level2(), page = tables_end, end = pages;
    unsigned missing = 0;

    if (end > SPAN * SPAN)
        end = SPAN * SPAN;
    for (uint64_t first = 0; first < end; first += SPAN)
        missing += !(level2[first / SPAN] & 1);
    tables_end += missing;
    for (uint64_t first = 0; first < end; first += SPAN) {
        if (!(level2[first / SPAN] & 1))
            add_level1(level2, page++, first);
    }
    return end;
}

uint64_t pv_first_free(void)
{
    return tables_end;
}

/* The p2m as a tree: a page of the frames of pages of the frames of the p2m's pages. */
static uint64_t show_tree(void)
{
    static unsigned long top[PAGE_SIZE / sizeof(long)] __attribute__((aligned(PAGE_SIZE)));
    static unsigned long list[LISTS][PAGE_SIZE / sizeof(long)] __attribute__((aligned(PAGE_SIZE)));
    const unsigned fan = PAGE_SIZE / sizeof(long);
    uint64_t p2m_pages = (pages + fan - 1) / fan;

    if (p2m_pages > LISTS * fan)
        print_fatal("p2m=tree: too much memory\n");
    for (unsigned i = 0; i < p2m_pages; i++)
        list[i / fan][i % fan] = pv_machine(pfn_of(p2m) + i) >> PAGE_SHIFT;
    for (unsigned i = 0; i < LISTS; i++)
        top[i] = pv_machine(pfn_of(list[i])) >> PAGE_SHIFT;
    return pv_machine(pfn_of(top)) >> PAGE_SHIFT;
}

void pv_show_p2m(void)
{
    volatile struct arch_shared_info *arch = &machine.shared->arch;

    arch->max_pfn = pages;
    arch->pfn_to_mfn_frame_list_list = words.tree ? show_tree() : ~0ul;
    arch->p2m_vaddr = words.tree ? 0 : (unsigned long)p2m;
    arch->p2m_generation = 0;
    barrier();
    arch->p2m_cr3 = words.tree ? 0 : pv_machine(top_table);
}
