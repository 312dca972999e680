/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stepper as a PV guest: what of it outlives a suspend, and how. */
#include "hypercall.h"
#include "machine.h"
#include "pv.h"

#include <xen/sched.h>

void pv_main(struct start_info *start);
void machine_main(void);

static struct start_info *start;

/* Shared info is laid over this page; when it is not, the page underneath is an ordinary one. */
static char shared_page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void map_shared_info(void)
{
    pv_map_at(shared_page, (uint64_t)start->shared_info | PTE_READ_WRITE);
    machine.shared = (volatile struct shared_info *)shared_page;
}

/* No table may mention a frame that is not ours when the tools turn frames into pfns. */
static void unmap_shared_info(void)
{
    machine.shared = NULL;
    pv_map_at(shared_page, pv_machine(pfn_of(shared_page)) | PTE_READ_WRITE);
}

static void find_rings(void)
{
    machine.console = page_at(pv_pfn(start->console.domU.mfn));
    machine.console_port = start->console.domU.evtchn;
    machine.store = page_at(pv_pfn(start->store_mfn));
    machine.store_port = start->store_evtchn;
}

/* start_info holds the new domain's frames; what shared info told the tools is to be told anew. */
static void connect(void)
{
    map_shared_info();
    find_rings();
    pv_show_p2m();
}

/* The tools find start_info by the frame that the third argument, rdx, holds, and want pfns
 * where it has frames of ours. */
bool machine_suspend(void)
{
    struct sched_shutdown shutdown = { .reason = SHUTDOWN_suspend };
    long result;

    unmap_shared_info();
    start->store_mfn = pv_pfn(start->store_mfn);
    start->console.domU.mfn = pv_pfn(start->console.domU.mfn);
    result = hypercall(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (unsigned long)&shutdown,
                       pv_machine(pfn_of(start)) >> PAGE_SHIFT, 0);
    if (result == 1) {
        start->store_mfn = pv_machine(start->store_mfn) >> PAGE_SHIFT;
        start->console.domU.mfn = pv_machine(start->console.domU.mfn) >> PAGE_SHIFT;
        map_shared_info();
        return true;
    }
    connect();
    return false;
}

/* Xen's tools lay out: image, p2m, start_info, rings, page tables, stack.  All up to the tables'
 * end is in use, and all below the image is free. */
static void find_memory(void)
{
    uint64_t end = pv_map_all();

    machine_add_range(0, pfn_of(image_start));
    machine_add_range(pv_first_free(), end);
}

void pv_main(struct start_info *info)
{
    start = info;
    machine.flavour = "pv";
    hypercall(__HYPERVISOR_fpu_taskswitch, 0, 0, 0, 0);
    pv_find_p2m(start);
    find_rings();
    words_read((const char *)start->cmd_line);
    map_shared_info();
    find_memory();
    pv_show_p2m();
    machine_main();
}
