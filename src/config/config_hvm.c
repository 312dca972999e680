/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HVM guest's configuration before it is built: its device model, its disks as that one has
 * them, the interface that it finds.
 *
 *     hda, xvda   first disk of the first IDE bus     sda   first disk of a SCSI bus
 *     hdc, xvdc   first disk of the second one        xvde  seen by the guest's own driver alone
 */
#include "config/config_hvm.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "config/field.h"
#include "config/vdev.h"

#define TYPE_HVM   "b_info.type.hvm."
#define IDE_DISKS  4
#define AHCI_DISKS 6

static bool said(const char *text)
{
    return text && *text;
}

/* ------------------------------------------------------------------------------ devices */

static bool check_model(struct wh_err *err, const struct wh_config *c)
{
    if (c->device_model_version == WH_DM_QEMU_TRADITIONAL)
        return wh_fail(err, WH_USAGE, "b_info.device_model_version: qemu_xen_traditional is not "
                       "supported");
    if (c->hvm.bios == WH_BIOS_ROMBIOS)
        return wh_fail(err, WH_USAGE, TYPE_HVM "bios: rombios is qemu_xen_traditional's, which is "
                       "not supported");
    if (!said(c->kernel) && (said(c->ramdisk) || said(c->cmdline)))
        return wh_fail(err, WH_USAGE, "b_info.kernel: expected one, there is a %s",
                       said(c->ramdisk) ? "ramdisk" : "cmdline");
    if ((c->nested_hvm == WH_YES || c->hvm.nested_hvm == WH_YES) &&
        (c->altp2m != WH_ALTP2M_DISABLED || c->hvm.altp2m == WH_YES))
        return wh_fail(err, WH_USAGE, "b_info.nested_hvm: cannot be had together with altp2m");
    return true;
}

/* QEMU takes each letter once. */
static bool check_boot(struct wh_err *err, const char *boot)
{
    for (const char *p = boot; p && *p; p++) {
        if (!strchr("acdn", *p) || strchr(p + 1, *p))
            return wh_fail(err, WH_USAGE, TYPE_HVM "boot: expected a, c, d and n, each once at most, "
                           "found \"%s\"", boot);
    }
    return true;
}

/* A host and no other kind of socket that QEMU knows; the display stands in one place. */
static bool check_vnc(struct wh_err *err, const struct wh_config *c)
{
    const char *listen = c->hvm.vnc.listen;

    if (listen && strncmp(listen, "unix:", 5) == 0)
        return wh_fail(err, WH_USAGE, TYPE_HVM "vnc.listen: expected a host's address, found \"%s\"",
                       listen);
    if (listen && strchr(listen, ':') && c->hvm.vnc.display != 0)
        return wh_fail(err, WH_USAGE, TYPE_HVM "vnc.display: expected none, for vnc.listen is "
                       "\"%s\", found %d", listen, c->hvm.vnc.display);
    return true;
}

static bool check_usb(struct wh_err *err, const char *device)
{
    return strcmp(device, "tablet") == 0 || strcmp(device, "mouse") == 0 ||
           strcmp(device, "keyboard") == 0 ||
           wh_fail(err, WH_USAGE, TYPE_HVM "usbdevice: expected tablet, mouse or keyboard, found "
                   "\"%s\"", device);
}

static bool check_ports(struct wh_err *err, const struct wh_config *c)
{
    if (said(c->hvm.serial) && c->hvm.nserial_list > 0)
        return wh_fail(err, WH_USAGE, TYPE_HVM "serial: expected none, there is a serial_list");
    if (said(c->hvm.usbdevice) && c->hvm.nusbdevice_list > 0)
        return wh_fail(err, WH_USAGE, TYPE_HVM "usbdevice: expected none, there is a "
                       "usbdevice_list");
    if (said(c->hvm.usbdevice) && !check_usb(err, c->hvm.usbdevice))
        return false;
    for (size_t i = 0; i < c->hvm.nusbdevice_list; i++) {
        if (!check_usb(err, c->hvm.usbdevice_list[i]))
            return false;
    }
    return true;
}

static bool check_viridian(struct wh_err *err, const struct wh_config *c)
{
    uint32_t groups = wh_config_viridian(c);

    for (unsigned i = 0; i < WH_VIRIDIAN_GROUPS; i++) {
        if (wh_bits_has(&c->hvm.viridian_enable, i) && wh_bits_has(&c->hvm.viridian_disable, i))
            return wh_fail(err, WH_USAGE, TYPE_HVM "viridian_disable: %s is in viridian_enable, too",
                           wh_field_name(wh_field_viridian, (int)i));
    }
    return groups == 0 || (groups & 1u << WH_VIRIDIAN_BASE) ||
           wh_fail(err, WH_USAGE, TYPE_HVM "viridian_enable: expected base with the others, found "
                   "none");
}

/* -------------------------------------------------------------------------------- disks */

/* A number for the place that the device model has for the disk; -1: it does not have it. */
static int place(const struct wh_config *c, const struct wh_disk *d)
{
    bool ahci = c->hvm.hdtype == WH_HDTYPE_AHCI && !d->is_cdrom;
    uint32_t number;
    unsigned disk;

    if (!isalpha((unsigned char)*d->vdev) || !wh_vdev_number(d->vdev, &number, &disk, NULL))
        return -1;
    if (strncmp(d->vdev, "sd", 2) == 0 && !d->is_cdrom)
        return -1;
    if (disk >= (ahci ? AHCI_DISKS : IDE_DISKS))
        return -1;
    return (int)disk + (ahci ? IDE_DISKS : 0);
}

static bool check_disk(struct wh_err *err, const struct wh_config *c, size_t i)
{
    const struct wh_disk *d = &c->disks[i];
    int at = place(c, d);

    if (d->is_cdrom && d->backend != WH_DISK_UNKNOWN && d->backend != WH_DISK_QDISK)
        return wh_fail(err, WH_USAGE, "disks[%zu].backend: a CD drive of an hvm guest is qdisk's", i);
    if (at >= 0 && !d->is_cdrom && !d->readwrite)
        return wh_fail(err, WH_USAGE, "disks[%zu].readwrite: %s would be emulated, where a disk that "
                       "is no CD cannot be read-only", i, d->vdev);
    for (size_t k = 0; at >= 0 && k < i; k++) {
        if (place(c, &c->disks[k]) == at)
            return wh_fail(err, WH_USAGE, "disks[%zu].vdev: %s is emulated in the place of "
                           "disks[%zu]'s %s", i, d->vdev, k, c->disks[k].vdev);
    }
    return true;
}

bool wh_config_hvm_check(struct wh_err *err, const struct wh_config *c)
{
    if (!check_model(err, c) || !check_boot(err, c->hvm.boot) || !check_vnc(err, c) ||
        !check_ports(err, c) || !check_viridian(err, c))
        return false;
    for (size_t i = 0; i < c->ndisks; i++) {
        if (!check_disk(err, c, i))
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------- memory */

uint64_t wh_config_hvm_video_memkb(const struct wh_config *c)
{
    switch (c->hvm.vga) {
    case WH_VGA_NONE:
        return 0;
    case WH_VGA_STD:
        return 16 * 1024;
    case WH_VGA_QXL:
        return 128 * 1024;
    default:
        return 8 * 1024;
    }
}

bool wh_config_hvm_check_video(struct wh_err *err, const struct wh_config *c)
{
    uint64_t least = wh_config_hvm_video_memkb(c);
    enum wh_vga vga = c->hvm.vga ? c->hvm.vga : WH_VGA_CIRRUS;

    if (c->video_memkb < least)
        return wh_fail(err, WH_USAGE, "b_info.video_memkb: expected at least %llu for %s, found %llu",
                       (unsigned long long)least, wh_field_name(wh_field_vgas, (int)vga),
                       (unsigned long long)c->video_memkb);
    uint64_t memory = c->target_memkb < c->max_memkb ? c->target_memkb : c->max_memkb;
    if (c->video_memkb >= memory)
        return wh_fail(err, WH_USAGE, "b_info.video_memkb: expected less than the guest's memory "
                       "(%llu), found %llu", (unsigned long long)memory,
                       (unsigned long long)c->video_memkb);
    return true;
}

/* ---------------------------------------------------------------------- move and settle */

static void move(enum wh_maybe *to, enum wh_maybe *from)
{
    if (*to == WH_UNSAID)
        *to = *from;
    *from = WH_UNSAID;
}

void wh_config_hvm_move(struct wh_config *c)
{
    move(&c->apic, &c->hvm.apic);
    move(&c->nested_hvm, &c->hvm.nested_hvm);
    if (c->timer_mode == WH_TIMER_UNKNOWN)
        c->timer_mode = c->hvm.timer_mode;
    c->hvm.timer_mode = WH_TIMER_UNKNOWN;
}

uint32_t wh_config_viridian(const struct wh_config *c)
{
    static const uint32_t usual = 1u << WH_VIRIDIAN_BASE | 1u << WH_VIRIDIAN_FREQ |
        1u << WH_VIRIDIAN_TIME_REF_COUNT | 1u << WH_VIRIDIAN_APIC_ASSIST |
        1u << WH_VIRIDIAN_CRASH_CTL | 1u << WH_VIRIDIAN_NO_VP_LIMIT | 1u << WH_VIRIDIAN_CPU_HOTPLUG;
    uint32_t groups = c->hvm.viridian == WH_YES ? usual : 0;

    for (unsigned i = 0; i < WH_VIRIDIAN_GROUPS; i++) {
        if (wh_bits_has(&c->hvm.viridian_enable, i))
            groups |= 1u << i;
        if (wh_bits_has(&c->hvm.viridian_disable, i))
            groups &= ~(1u << i);
    }
    return groups;
}

static bool text(struct wh_err *err, char **to, const char *otherwise)
{
    if (!*to)
        *to = strdup(otherwise);
    return *to || wh_fail(err, WH_SYSTEM, "out of memory");
}

static void maybe(enum wh_maybe *m, enum wh_maybe otherwise)
{
    if (*m == WH_UNSAID)
        *m = otherwise;
}

/* What was said to be nothing is not said: a program, a file, a port named "" there is none. */
static void settle_texts(struct wh_config *c)
{
    char **const texts[] = {
        &c->device_model, &c->device_model_user, &c->kernel, &c->ramdisk, &c->hvm.firmware,
        &c->hvm.system_firmware, &c->hvm.smbios_firmware, &c->hvm.acpi_firmware, &c->hvm.timeoffset,
        &c->hvm.vnc.passwd, &c->hvm.keymap, &c->hvm.serial, &c->hvm.usbdevice,
    };

    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        if (!said(*texts[i]))
            free(wh_take_ptr(texts[i]));
    }
}

static void settle_platform(struct wh_config *c)
{
    if (c->hvm.acpi == WH_NO)           /* libxl wants both */
        c->acpi = WH_NO;
    if (c->altp2m == WH_ALTP2M_DISABLED && c->hvm.altp2m == WH_YES)
        c->altp2m = WH_ALTP2M_MIXED;
    if (c->hvm.bios == WH_BIOS_UNKNOWN)
        c->hvm.bios = WH_BIOS_SEABIOS;
    if (c->hvm.vga == WH_VGA_UNKNOWN)
        c->hvm.vga = WH_VGA_CIRRUS;
    if (c->hvm.mmio_hole_memkb == WH_UNSET_MEMKB)
        c->hvm.mmio_hole_memkb = 0;
    maybe(&c->hvm.pae, WH_YES);
    maybe(&c->hvm.acpi, WH_YES);
    maybe(&c->hvm.acpi_s3, WH_YES);
    maybe(&c->hvm.acpi_s4, WH_YES);
    maybe(&c->hvm.acpi_laptop_slate, WH_NO);
    maybe(&c->hvm.nx, WH_YES);
    maybe(&c->hvm.viridian, WH_NO);
    maybe(&c->hvm.hpet, WH_YES);
    maybe(&c->hvm.vpt_align, WH_YES);
    maybe(&c->hvm.altp2m, WH_NO);
    maybe(&c->hvm.nographic, WH_NO);
    maybe(&c->hvm.usb, WH_NO);
    maybe(&c->hvm.vkb_device, WH_YES);
    maybe(&c->hvm.xen_platform_pci, WH_YES);
}

static void settle_disks(struct wh_config *c)
{
    for (size_t i = 0; i < c->ndisks; i++) {
        struct wh_disk *d = &c->disks[i];

        if (d->is_cdrom)
            d->backend = WH_DISK_QDISK;
        if (d->format == WH_FORMAT_EMPTY)
            free(wh_take_ptr(&d->pdev_path));       /* xl says "" of an empty drive */
    }
}

bool wh_config_hvm_settle(struct wh_err *err, struct wh_config *c)
{
    settle_texts(c);
    settle_platform(c);
    settle_disks(c);
    maybe(&c->hvm.vnc.enable, WH_YES);
    if (c->hvm.vnc.enable == WH_YES) {
        maybe(&c->hvm.vnc.findunused, WH_YES);
        if (!text(err, &c->hvm.vnc.listen, "127.0.0.1"))
            return false;
    }
    return text(err, &c->hvm.boot, "cda");
}
