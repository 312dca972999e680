/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stepper as a PVH guest. */
#include "hypercall.h"
#include "machine.h"

#include <xen/arch-x86/cpuid.h>
#include <xen/arch-x86/hvm/start_info.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define MAPPED (4ull << 30 >> PAGE_SHIFT)   /* by start-pvh.S */
#define CALLBACK_VECTOR 0xf3                /* never taken: interrupts are off */

#define PC_HOLE 0xa0                        /* pages: 640 KiB to 1 MiB */
#define PC_HOLE_END 0x100
#define CODE_SELECTOR 8                     /* of start-pvh.S */
#define EXCEPTIONS 32
#define ENTRY_BYTES 16                      /* from one exception's entry to the next */
#define PRESENT_INTERRUPT_GATE 0x8e00

void pvh_main(const struct hvm_start_info *start);
void pvh_exception(const uint64_t frame[]);
void machine_main(void);

extern char exception_entries[];

struct gate {
    uint16_t offset_low, selector, type, offset_middle;
    uint32_t offset_high, reserved;
};

static uint64_t shared_pfn;
static char cmdline[512];

/* An exception without a gate is a triple fault, and that a reboot that looks like one asked for. */
static void load_gates(void)
{
    static struct gate gates[EXCEPTIONS];
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) pointer = {
        sizeof gates - 1, (uintptr_t)gates,
    };

    for (unsigned i = 0; i < EXCEPTIONS; i++) {
        uint64_t entry = (uintptr_t)exception_entries + i * ENTRY_BYTES;

        gates[i] = (struct gate){
            .offset_low = entry & 0xffff,
            .selector = CODE_SELECTOR,
            .type = PRESENT_INTERRUPT_GATE,
            .offset_middle = entry >> 16 & 0xffff,
            .offset_high = entry >> 32,
        };
    }
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

void pvh_exception(const uint64_t frame[])
{
    uint64_t address;

    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    print("exception %u error=0x%x rip=0x%x cr2=0x%x\n", frame[0], frame[1], frame[2], address);
    print_fatal("an exception\n");
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

/* Without Xen there is nobody to tell but QEMU's debug port. */
static void no_xen(void)
{
    for (const char *s = "stepper: no Xen here\n"; *s; s++)
        __asm__ volatile("outb %%al, $0xe9" : : "a"(*s));
    for (;;)
        __asm__ volatile("cli; hlt");
}

/* Xen's leaves may lie higher when it also shows Hyper-V's.  The page is filled anew in each new
 * domain: the host may have another way into its hypervisor. */
static void fill_hypercall_page(void)
{
    uint32_t leaf, r[4];

    for (leaf = XEN_CPUID_FIRST_LEAF; leaf < XEN_CPUID_FIRST_LEAF + 0x10000; leaf += 0x100) {
        cpuid(leaf, r);
        if (r[1] == XEN_CPUID_SIGNATURE_EBX && r[2] == XEN_CPUID_SIGNATURE_ECX &&
            r[3] == XEN_CPUID_SIGNATURE_EDX)
            break;
    }
    if (leaf == XEN_CPUID_FIRST_LEAF + 0x10000)
        no_xen();
    cpuid(leaf + 2, r);
    __asm__ volatile("wrmsr" : : "c"(r[1]), "a"((uint32_t)(uintptr_t)hypercall_page), "d"(0)
                     : "memory");
}

static uint64_t get_param(uint32_t index)
{
    struct xen_hvm_param param = { .domid = DOMID_SELF, .index = index };

    if (hypercall2(__HYPERVISOR_hvm_op, HVMOP_get_param, &param))
        print_fatal("HVMOP_get_param failed\n");
    return param.value;
}

/* The tools take a guest without a callback for one that cannot be told that its suspend was
 * cancelled. */
static void set_callback(void)
{
    struct xen_hvm_param param = {
        .domid = DOMID_SELF,
        .index = HVM_PARAM_CALLBACK_IRQ,
        .value = (uint64_t)HVM_PARAM_CALLBACK_TYPE_VECTOR << 56 | CALLBACK_VECTOR,
    };

    if (hypercall2(__HYPERVISOR_hvm_op, HVMOP_set_param, &param))
        print_fatal("HVMOP_set_param failed\n");
}

static void map_shared_info(void)
{
    struct xen_add_to_physmap add = {
        .domid = DOMID_SELF,
        .space = XENMAPSPACE_shared_info,
        .gpfn = shared_pfn,
    };

    if (hypercall2(__HYPERVISOR_memory_op, XENMEM_add_to_physmap, &add))
        print_fatal("no shared info\n");
    machine.shared = page_at(shared_pfn);
}

static void find_rings(void)
{
    machine.console = page_at(get_param(HVM_PARAM_CONSOLE_PFN));
    machine.console_port = get_param(HVM_PARAM_CONSOLE_EVTCHN);
    machine.store = page_at(get_param(HVM_PARAM_STORE_PFN));
    machine.store_port = get_param(HVM_PARAM_STORE_EVTCHN);
}

static void connect(void)
{
    fill_hypercall_page();
    map_shared_info();
    find_rings();
    set_callback();
}

/* All RAM but the image.  Shared info goes into the hole after the last of it. */
static void find_memory(const struct hvm_start_info *start)
{
    const struct hvm_memmap_table_entry *map = page_at(0);

    map = (const void *)((const char *)map + start->memmap_paddr);
    for (uint32_t i = 0; i < start->memmap_entries; i++) {
        uint64_t first = (map[i].addr + PAGE_SIZE - 1) >> PAGE_SHIFT;
        uint64_t end = (map[i].addr + map[i].size) >> PAGE_SHIFT;

        if (map[i].type != XEN_HVM_MEMMAP_TYPE_RAM || first >= MAPPED)
            continue;
        machine_add_range(first, end < MAPPED ? end : MAPPED);
        shared_pfn = end + 16;
    }
    machine_drop_range(pfn_of(image_start), pfn_of(image_end));
}

/* Where start_info lies is soon stepped on, so all that is wanted of it is copied. */
static void read_start_info(const struct hvm_start_info *start)
{
    const char *line = (const char *)(uintptr_t)start->cmdline_paddr;

    find_memory(start);
    /* Whoever was given none may be an HVM guest, which has VGA and ROMs below 1 MiB. */
    if (!line)
        machine_drop_range(PC_HOLE, PC_HOLE_END);
    else
        memcpy(cmdline, line, strlen(line) < sizeof cmdline ? strlen(line) : sizeof cmdline - 1);
}

bool machine_suspend(void)
{
    struct sched_shutdown shutdown = { .reason = SHUTDOWN_suspend };

    if (hypercall2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &shutdown) == 1)
        return true;
    connect();
    return false;
}

void pvh_main(const struct hvm_start_info *start)
{
    machine.flavour = "pvh";
    load_gates();
    fill_hypercall_page();
    read_start_info(start);
    connect();
    machine_drop_range(pfn_of(machine.console), pfn_of(machine.console) + 1);
    machine_drop_range(pfn_of(machine.store), pfn_of(machine.store) + 1);
    words_read(cmdline);
    machine_main();
}
