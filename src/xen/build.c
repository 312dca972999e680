/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fresh guest's memory, by libxenguest's domain builder: PV; PVH, which is an HVM container that
 * starts in its kernel; HVM, which starts in hvmloader.
 *
 *     PVH   0: low memory | from 3.75 GiB a hole: ACPI tables, special pages | 4 GiB: the rest
 *     HVM   0: low memory, less VGA's 128 KiB at 640 KiB | a hole: devices' memory | 4 GiB: the rest
 *
 * The builder's calls cannot be cancelled; each is bounded by the guest's size. */
#include "xen/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <xen/hvm/hvm_info_table.h>
#include <xenctrl.h>
#include <xenguest.h>

#include "base/own.h"
#include "xen/acpi.h"

#define PAGE 4096
#define GIB4 (UINT64_C(1) << 32)
#define HOLE (UINT64_C(256) << 20)          /* below 4 GiB, as Xen's toolstack has it */
#define PARAM_STORE_PORT 2
#define PARAM_CONSOLE_PORT 18
#define RANGES 5
#define VGA_PAGES 0x20
#define BIOS_MOST (64u << 20)               /* bytes of a BIOS's file */

struct builder {
    struct wh_op *op;
    struct wh_xen *x;
    uint32_t domid;
    struct wh_build *b;
    struct xc_dom_image *dom;
    struct e820entry map[RANGES];
    uint32_t ranges;
};

static bool did(struct builder *w, int rc, const char *what)
{
    return rc == 0 || wh_real_fail(w->op, w->x, w->domid, what);
}

/* The same, of a file: a guest's kernel may be anything. */
static bool did_with(struct builder *w, int rc, const char *what, const char *path)
{
    char text[512];

    snprintf(text, sizeof text, "%s %s", what, path);
    return did(w, rc, text);
}

/* The builder puts it beside hvmloader and tells it where. */
static bool load_bios(struct builder *w, const char *path)
{
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return wh_fail_sys(&w->op->err, errno, "the BIOS %s", path);
    if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > BIOS_MOST)
        return wh_fail(&w->op->err, WH_USAGE, "the BIOS %s: expected a file of at most %u MiB", path,
                       BIOS_MOST >> 20);
    uint8_t *bytes = malloc((size_t)st.st_size);
    if (!bytes || xc_dom_register_external(w->dom, bytes, (size_t)st.st_size) != 0) {
        free(bytes);
        return did(w, -1, "memory for the BIOS");
    }
    ssize_t n = pread(fd, bytes, (size_t)st.st_size, 0);
    if (n != st.st_size)
        return wh_fail_sys(&w->op->err, n < 0 ? errno : EIO, "read the BIOS %s", path);
    w->dom->system_firmware_module.data = bytes;
    w->dom->system_firmware_module.length = (uint32_t)n;
    return true;
}

static bool load(struct builder *w)
{
    const struct wh_build *b = w->b;

    if (!did_with(w, xc_dom_kernel_file(w->dom, b->kernel), "reading the kernel", b->kernel) ||
        (b->bios && !load_bios(w, b->bios)))
        return false;
    return !b->ramdisk || did_with(w, xc_dom_module_file(w->dom, b->ramdisk, NULL),
                                   "reading the ramdisk", b->ramdisk);
}

/* -------------------------------------------------------------------------- HVM and PVH */

static void add_range(struct builder *w, uint64_t from, uint64_t end, uint32_t type)
{
    if (end > from)
        w->map[w->ranges++] = (struct e820entry){ from, end - from, type };
}

/* Whole MiB: what the builder counts in. */
static void lay_out(struct builder *w)
{
    uint64_t size = w->b->mmio_hole_kb ? w->b->mmio_hole_kb * 1024 : HOLE;
    uint64_t bytes = w->b->memory_kb / 1024 << 20, hole = GIB4 - size;
    struct xc_dom_image *dom = w->dom;

    dom->container_type = XC_DOM_HVM_CONTAINER;
    dom->device_model = w->b->emulated;
    dom->vga_hole_size = w->b->emulated ? VGA_PAGES : 0;
    dom->mmio_start = hole;
    dom->mmio_size = size;
    dom->lowmem_end = bytes < hole ? bytes : hole;
    dom->highmem_end = bytes > hole ? GIB4 + bytes - hole : 0;
    dom->target_pages = w->b->target_kb / 4;
    dom->max_vcpus = w->b->vcpus;
}

static bool give_acpi(struct builder *w)
{
    uint8_t *tables;
    size_t n;

    if (!wh_acpi_make(w->op, WH_ACPI_ADDRESS, w->b->vcpus, w->b->online, &tables, &n))
        return false;
    if (xc_dom_register_external(w->dom, tables, n) != 0) {
        free(tables);
        return did(w, -1, "memory for the ACPI tables");
    }
    w->dom->acpi_modules[0] = (struct xc_hvm_firmware_module){
        .data = tables, .length = (uint32_t)n, .guest_addr_out = WH_ACPI_ADDRESS,
    };
    return true;
}

static bool give_map(struct builder *w)
{
    struct xc_dom_image *dom = w->dom;
    const struct xc_hvm_firmware_module *acpi = &dom->acpi_modules[0];
    uint64_t special = (uint64_t)X86_HVM_END_SPECIAL_REGION * PAGE;
    uint64_t acpi_end = (acpi->guest_addr_out + acpi->length + PAGE - 1) / PAGE * PAGE;

    add_range(w, 0, dom->lowmem_end, E820_RAM);
    if (acpi->length > 0)
        add_range(w, acpi->guest_addr_out, acpi_end, E820_ACPI);
    if (!w->b->emulated)
        add_range(w, special - X86_HVM_NR_SPECIAL_PAGES * PAGE, special, E820_RESERVED);
    add_range(w, GIB4, dom->highmem_end, E820_RAM);
    dom->e820 = w->map;
    dom->e820_entries = w->ranges;
    return did(w, xc_domain_set_memory_map(wh_real(w->x)->xc, w->domid, w->map, w->ranges),
               "the memory map");
}

static bool give_ports(struct builder *w)
{
    xc_interface *xc = wh_real(w->x)->xc;

    return did(w, xc_hvm_param_set(xc, w->domid, PARAM_STORE_PORT, w->b->store_port),
               "the port of xenstore") &&
           did(w, xc_hvm_param_set(xc, w->domid, PARAM_CONSOLE_PORT, w->b->console_port),
               "the port of the console");
}

/* hvmloader's table: the builder has filled it, for as many vCPUs as there could be. */
static bool tell_hvmloader(struct builder *w)
{
    const struct wh_build *b = w->b;
    uint64_t frame = HVM_INFO_PFN;
    struct hvm_info_table *t;
    uint8_t sum = 0;
    void *page;

    if (!wh_xen_map(w->op, w->x, w->domid, true, &frame, 1, NULL, &page))
        return false;
    t = (struct hvm_info_table *)((char *)page + HVM_INFO_OFFSET);
    t->apic_mode = b->apic;
    t->nr_vcpus = b->vcpus;
    memset(t->vcpu_online, 0, sizeof t->vcpu_online);
    memcpy(t->vcpu_online, b->vcpus_on,
           b->vcpus_on_bytes < sizeof t->vcpu_online ? b->vcpus_on_bytes : sizeof t->vcpu_online);
    t->checksum = 0;
    for (size_t i = 0; i < t->length && i < sizeof *t; i++)
        sum = (uint8_t)(sum + ((uint8_t *)t)[i]);
    t->checksum = (uint8_t)-sum;
    wh_xen_unmap(w->x, page, 1);
    return true;
}

/* ---------------------------------------------------------------------------------- all */

/* This call's answer is yes or no. */
static bool runs_here(struct builder *w)
{
    return xc_dom_compat_check(w->dom) ||
           wh_fail(&w->op->err, WH_USAGE, "%s is for %s, which this Xen does not run",
                   w->b->kernel, w->dom->guest_type);
}

static bool build(struct builder *w)
{
    struct xc_dom_image *dom = w->dom;
    bool hvm = w->b->hvm;
    uint64_t kb = hvm ? w->b->memory_kb : w->b->target_kb;

    dom->console_evtchn = w->b->console_port;
    dom->console_domid = w->b->console_domid;
    dom->xenstore_evtchn = w->b->store_port;
    dom->xenstore_domid = w->b->store_domid;
    dom->claim_enabled = w->b->claim;
    if (hvm)
        lay_out(w);
    return load(w) &&
           did(w, xc_dom_boot_xen_init(dom, wh_real(w->x)->xc, w->domid), "beginning to build") &&
           did_with(w, xc_dom_parse_image(dom), "understanding the kernel", w->b->kernel) &&
           runs_here(w) &&
           did(w, xc_dom_mem_init(dom, (unsigned)(kb / 1024)), "the memory's layout") &&
           did(w, xc_dom_boot_mem_init(dom), "giving memory") &&
           (!hvm || w->b->emulated || !w->b->acpi || give_acpi(w)) && (!hvm || give_map(w)) &&
           did(w, xc_dom_build_image(dom), "loading the kernel") &&
           did(w, xc_dom_boot_image(dom), "the start-of-day pages") &&
           (!hvm || give_ports(w)) && (!w->b->emulated || tell_hvmloader(w)) &&
           did(w, xc_dom_gnttab_init(dom), "the grant table");
}

bool wh_real_build(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_build *b)
{
    struct builder w = { .op = op, .x = x, .domid = domid, .b = b };

    w.dom = xc_dom_allocate(wh_real(x)->xc, b->cmdline, NULL);
    if (!w.dom)
        return wh_real_fail(op, x, domid, "memory for building");
    bool ok = build(&w);
    if (ok) {
        b->store_frame = xc_dom_p2m(w.dom, w.dom->xenstore_pfn);
        b->console_frame = xc_dom_p2m(w.dom, w.dom->console_pfn);
    }
    xc_dom_release(w.dom);
    return ok;
}
