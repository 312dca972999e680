/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fresh guest's memory and processors. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"
#include "flow/domain.h"
#include "flow/plan.h"

#define BUILD_MS 300000             /* a guest of a terabyte takes minutes */

/* Xen gives a guest memory only if it has it: said first, in words. */
static bool check_room(struct wh_op *op, struct wh_here *h, const struct wh_config *c)
{
    uint64_t need_kb = c->target_memkb + c->shadow_memkb, free_kb;
    struct wh_host host;

    if (!wh_xen_host(op, h->xen, &host))
        return false;
    free_kb = host.free_pages * 4;
    if (c->type == WH_TYPE_PV)
        need_kb = c->target_memkb;
    return need_kb <= free_kb ||
           wh_fail(&op->err, WH_XEN, "the guest needs %llu MiB, the host has %llu MiB free",
                   (unsigned long long)(need_kb / 1024), (unsigned long long)(free_kb / 1024));
}

/* A guest whose clock is emulated, or that never moves, may rely on its TSC. */
static bool set_policy(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                       uint32_t domid)
{
    bool itsc = c->disable_migrate == WH_YES || c->tsc_mode == WH_TSC_ALWAYS_EMULATE;

    return wh_xen_default_policy(op, h->xen, domid, false, itsc, c->nested_hvm == WH_YES);
}

/* The first of them that is there; NULL: none. */
static const char *first_of(const char *const *paths, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (access(paths[i], R_OK) == 0)
            return paths[i];
    }
    return NULL;
}

static bool find_hvmloader(struct wh_op *op, struct wh_here *h, char path[PATH_MAX])
{
    static const char *const places[] = { "/usr/lib/xen/boot/hvmloader",
                                          "/usr/local/lib/xen/boot/hvmloader" };
    struct wh_host host;

    if (!wh_xen_host(op, h->xen, &host))
        return false;
    snprintf(path, PATH_MAX, "/usr/lib/xen-%u.%u/boot/hvmloader", host.major, host.minor);
    const char *other = access(path, R_OK) == 0 ? NULL : first_of(places, WH_COUNT(places));
    if (other)
        snprintf(path, PATH_MAX, "%s", other);
    return access(path, R_OK) == 0 || wh_fail_sys(&op->err, errno, "hvmloader, %s", path);
}

static bool find_bios(struct wh_op *op, const struct wh_config *c, const char **path)
{
    static const char *const seabios[] = { "/usr/share/seabios/bios-256k.bin",
                                           "/usr/lib/xen/boot/seabios.bin" };
    static const char *const ovmf[] = { "/usr/share/ovmf/OVMF.fd", "/usr/lib/xen/boot/ovmf.bin" };
    bool uefi = c->hvm.bios == WH_BIOS_OVMF;

    if (c->hvm.bios == WH_BIOS_ROMBIOS)
        return wh_fail(&op->err, WH_USAGE, "bios: rombios goes with the old device model alone, "
                       "expected seabios or ovmf");
    *path = c->hvm.system_firmware ? c->hvm.system_firmware
            : uefi ? first_of(ovmf, WH_COUNT(ovmf)) : first_of(seabios, WH_COUNT(seabios));
    return *path || wh_fail(&op->err, WH_USAGE, "bios: there is no %s on this host",
                            uefi ? ovmf[0] : seabios[0]);
}

/* An HVM guest starts in hvmloader; a kernel that is named is QEMU's to load.  What the display has
 * of its memory it does not get twice. */
static bool set_emulated(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                         char loader[PATH_MAX], struct wh_build *b)
{
    if (c->hvm.smbios_firmware || c->hvm.acpi_firmware)
        return wh_fail(&op->err, WH_USAGE, "%s is not yet supported", c->hvm.smbios_firmware
                       ? "smbios_firmware" : "acpi_firmware");
    if (!c->hvm.firmware && !find_hvmloader(op, h, loader))
        return false;
    b->emulated = true;
    b->kernel = c->hvm.firmware ? c->hvm.firmware : loader;
    b->ramdisk = b->cmdline = NULL;
    b->memory_kb -= c->video_memkb;
    b->target_kb -= c->video_memkb;
    b->apic = c->apic == WH_YES;
    b->mmio_hole_kb = c->hvm.mmio_hole_memkb;
    return find_bios(op, c, &b->bios);
}

bool wh_domain_build(struct wh_op *op, struct wh_here *h, const struct wh_config *complete,
                     struct wh_made *m)
{
    wh_auto_plan struct wh_plan plan = { .c = wh_config_empty() };
    const struct wh_config *c = &plan.c;
    uint8_t on[WH_BITS_MAX / 8] = { 0 };
    char loader[PATH_MAX];

    wh_step(op, "build the guest", BUILD_MS);
    if (!wh_plan_make(op, complete, &plan) || !check_room(op, h, c))
        return false;
    if (!c->kernel && c->type != WH_TYPE_HVM)
        return wh_fail(&op->err, WH_USAGE, "the configuration names no kernel");
    struct wh_build b = {
        .hvm = c->type != WH_TYPE_PV, .kernel = c->kernel, .ramdisk = c->ramdisk,
        .cmdline = c->cmdline, .memory_kb = c->max_memkb, .target_kb = c->target_memkb,
        .vcpus = (uint32_t)c->max_vcpus, .online = wh_bits_count(&c->avail_vcpus),
        .acpi = c->acpi == WH_YES, .claim = c->claim_mode == WH_YES,
        .store_port = m->store_port, .console_port = m->console_port,
        .store_domid = m->store_domid, .console_domid = m->console_domid,
        .vcpus_on = on, .vcpus_on_bytes = sizeof on,
    };
    for (unsigned i = 0; i < wh_bits_end(&c->avail_vcpus) && i < WH_BITS_MAX; i++)
        on[i / 8] |= (uint8_t)(wh_bits_has(&c->avail_vcpus, i) << i % 8);
    if ((c->type == WH_TYPE_HVM && !set_emulated(op, h, c, loader, &b)) ||
        !set_policy(op, h, c, m->domid) || !wh_xen_build(op, h->xen, m->domid, &b))
        return false;
    m->store_frame = b.store_frame;
    m->console_frame = b.console_frame;
    return true;
}
