/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's arguments for a guest's devices.  Their order is libxl's: it decides in which PCI slot a
 * device is, and with that whether the state of another's QEMU fits ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "config/vdev.h"
#include "dm/qemu.h"
#include "flow/emulator.h"
#include "xen/process.h"

#define IDE_DISKS 4
#define USUAL_HOLE 0xf0000000u      /* where the devices' memory begins */
#define AHCI_DISKS 6

/* ------------------------------------------------------------------------------- display */

static void add_vnc(struct wh_args *a, const struct wh_config *c)
{
    const char *listen = c->hvm.vnc.listen ? c->hvm.vnc.listen : "127.0.0.1";
    const char *password = c->hvm.vnc.passwd && *c->hvm.vnc.passwd ? ",password=on" : "";
    const char *any = c->hvm.vnc.findunused != WH_NO ? ",to=99" : "";

    wh_args_add(a, "-vnc");
    if (c->hvm.vnc.enable != WH_YES)
        wh_args_add(a, "none");
    else if (strchr(listen, ':'))
        wh_args_format(a, "%s%s%s", listen, password, any);
    else
        wh_args_format(a, "%s:%d%s%s", listen, c->hvm.vnc.display > 0 ? c->hvm.vnc.display : 0,
                       password, any);
    wh_args_add(a, "-display");
    wh_args_add(a, "none");
    if (c->hvm.keymap) {
        wh_args_add(a, "-k");
        wh_args_add(a, c->hvm.keymap);
    }
}

static void add_vga(struct wh_args *a, const struct wh_config *c)
{
    unsigned long long mib = c->video_memkb / 1024;

    switch (c->hvm.vga) {
    case WH_VGA_STD:
        wh_args_add(a, "-device");
        wh_args_format(a, "VGA,vgamem_mb=%llu", mib);
        break;
    case WH_VGA_QXL:
        wh_args_add(a, "-device");
        wh_args_format(a, "qxl-vga,vram_size_mb=%llu,ram_size_mb=%llu", mib / 2, mib / 2);
        break;
    case WH_VGA_NONE:
        break;
    default:
        wh_args_add(a, "-device");
        wh_args_format(a, "cirrus-vga,vgamem_mb=%llu", mib);
    }
}

/* -------------------------------------------------------------------------- small devices */

/* The SCSI disks' controller: it is before all other cards. */
static void add_controller(struct wh_args *a, const struct wh_config *c)
{
    bool scsi = false;

    for (size_t i = 0; i < c->ndisks; i++)
        scsi |= !c->disks[i].is_cdrom && strncmp(c->disks[i].vdev, "sd", 2) == 0;
    if (scsi) {
        wh_args_add(a, "-device");
        wh_args_add(a, "lsi53c895a");
    }
}

static void add_serials(struct wh_args *a, const struct wh_config *c)
{
    for (size_t i = 0; i < c->hvm.nserial_list; i++) {
        wh_args_add(a, "-serial");
        wh_args_add(a, c->hvm.serial_list[i]);
    }
    if (c->hvm.serial && *c->hvm.serial) {
        wh_args_add(a, "-serial");
        wh_args_add(a, c->hvm.serial);
    }
}

static void add_usb_device(struct wh_args *a, const char *what)
{
    wh_args_add(a, "-usbdevice");
    wh_args_add(a, what);
}

static void add_usb(struct wh_args *a, const struct wh_config *c)
{
    if (c->hvm.usb != WH_YES && !c->hvm.usbdevice && c->hvm.nusbdevice_list == 0)
        return;
    wh_args_add(a, "-usb");
    if (c->hvm.usbdevice)
        add_usb_device(a, c->hvm.usbdevice);
    for (size_t i = 0; i < c->hvm.nusbdevice_list; i++)
        add_usb_device(a, c->hvm.usbdevice_list[i]);
}

static void add_kernel(struct wh_args *a, const struct wh_config *c)
{
    const struct { const char *option, *value; } all[] = {
        { "-kernel", c->kernel }, { "-initrd", c->ramdisk }, { "-append", c->cmdline },
    };

    for (size_t i = 0; i < WH_COUNT(all); i++) {
        if (!all[i].value)
            continue;
        wh_args_add(a, all[i].option);
        wh_args_add(a, all[i].value);
    }
}

static void add_processors(struct wh_args *a, const struct wh_config *c)
{
    unsigned online = wh_bits_count(&c->avail_vcpus);

    if (c->max_vcpus <= 1)
        return;
    wh_args_add(a, "-smp");
    if (online > 0 && online < (unsigned)c->max_vcpus)
        wh_args_format(a, "%u,maxcpus=%d", online, c->max_vcpus);
    else
        wh_args_format(a, "%d,maxcpus=%d", c->max_vcpus, c->max_vcpus);
}

/* ------------------------------------------------------------------------------- network */

static void add_nics(struct wh_args *a, const struct wh_config *c, uint32_t domid)
{
    bool any = false;

    for (size_t i = 0; i < c->nnics; i++) {
        const struct wh_nic *nic = &c->nics[i];
        wh_auto_free char *bridge = wh_args_value(nic->bridge ? nic->bridge : "");
        char mac[WH_MAC_TEXT];

        if (nic->nictype != WH_NIC_VIF_IOEMU)
            continue;
        any = true;
        a->lost |= !bridge;
        wh_args_add(a, "-device");
        wh_args_format(a, "%s,id=nic%d,netdev=net%d,mac=%s", nic->model ? nic->model : "rtl8139",
                       nic->devid, nic->devid, wh_mac_print(nic->mac, mac));
        wh_args_add(a, "-netdev");
        wh_args_format(a, "type=tap,id=net%d,ifname=vif%u.%d-emu,br=%s,script=no,downscript=no",
                       nic->devid, domid, nic->devid, bridge ? bridge : "");
    }
    if (!any) {
        wh_args_add(a, "-net");
        wh_args_add(a, "none");
    }
}

/* --------------------------------------------------------------------------------- disks */

static const char *const formats[] = {
    [WH_FORMAT_RAW] = "raw", [WH_FORMAT_QCOW] = "qcow", [WH_FORMAT_QCOW2] = "qcow2",
    [WH_FORMAT_VHD] = "vpc", [WH_FORMAT_QED] = "qed",
};

const char *wh_emulator_format(enum wh_disk_format format)
{
    return format < WH_COUNT(formats) && formats[format] ? formats[format] : "raw";
}

static const char *format_of(const struct wh_disk *d)
{
    return wh_emulator_format(d->format);
}

/* A disk as QEMU is told of it. */
struct drive {
    const struct wh_disk *d;
    uint32_t number;
    unsigned disk;              /* 0: hda, sda, xvda */
    char *file;                 /* "file=/images/a.img": NULL: the drive is empty */
};

static void free_drive(struct drive *v)
{
    free(v->file);
}

static void add_cdrom(struct wh_args *a, const struct drive *v)
{
    wh_args_add(a, "-drive");
    if (v->file)
        wh_args_format(a, "if=none,readonly=on,id=ide-%u,%s,format=%s", v->number, v->file,
                       format_of(v->d));
    else
        wh_args_format(a, "if=none,readonly=on,id=ide-%u", v->number);
    wh_args_add(a, "-device");
    wh_args_format(a, "ide-cd,id=ide-%u,drive=ide-%u,bus=ide.%u,unit=%u", v->number, v->number,
                   v->disk / 2, v->disk % 2);
}

static void add_disk(struct wh_args *a, const struct wh_config *c, const struct drive *v)
{
    bool scsi = strncmp(v->d->vdev, "sd", 2) == 0, ahci = c->hvm.hdtype == WH_HDTYPE_AHCI;

    wh_args_add(a, "-drive");
    if (scsi) {
        wh_args_format(a, "%s,id=scsi0-hd%u,format=%s,if=none,readonly=%s,cache=writeback", v->file,
                       v->disk, format_of(v->d), v->d->readwrite ? "off" : "on");
        wh_args_add(a, "-device");
        wh_args_format(a, "scsi-hd,drive=scsi0-hd%u,scsi-id=%u", v->disk, v->disk);
    } else if (ahci) {
        wh_args_format(a, "%s,if=none,id=ahcidisk-%u,format=%s,cache=writeback", v->file, v->disk,
                       format_of(v->d));
        wh_args_add(a, "-device");
        wh_args_format(a, "ide-hd,bus=ahci0.%u,unit=0,drive=ahcidisk-%u", v->disk, v->disk);
    } else {
        wh_args_format(a, "%s,if=ide,index=%u,media=disk,format=%s,cache=writeback", v->file,
                       v->disk, format_of(v->d));
    }
}

/* Whether QEMU shows the guest such a disk: the others are the PV backend's alone. */
static bool is_shown(const struct wh_config *c, const struct drive *v)
{
    const struct wh_disk *d = v->d;
    unsigned most = c->hvm.hdtype == WH_HDTYPE_AHCI ? AHCI_DISKS : IDE_DISKS;

    if (d->is_cdrom)
        return true;
    return d->pdev_path && !d->script && d->backend_domid == 0 && !d->backend_domname &&
           (strncmp(d->vdev, "sd", 2) == 0 || v->disk < most);
}

/* ------------------------------------------------------------------- their files, passed */

void wh_emulator_close(struct wh_emulator_files *f)
{
    while (f->n > 0)
        close(f->fd[--f->n]);
}

static bool pass(struct wh_op *op, struct wh_args *a, struct wh_emulator_files *f, const char *path,
                 int how, size_t set)
{
    if (f->n == WH_QEMU_FILES_MOST)
        return wh_fail(&op->err, WH_USAGE, "dm_restrict: QEMU can be passed the files of %d disks, "
                       "and these are more", WH_QEMU_FILES_MOST / 2);
    int fd = open(path, how | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    wh_args_add(a, "-add-fd");
    wh_args_format(a, "fd=%d,set=%zu", WH_QEMU_FILES + (int)f->n, set);
    f->fd[f->n++] = fd;
    return true;
}

/* QEMU opens a disk again when a restored guest begins to run, and by then can reach no file: what
 * it may open is in a set of descriptors, to read and, if the guest may, to write.  It locks none of them: as
 * the set stays open so would the lock, and the guest could not be let go to another host that sees it. */
static bool name_passed(struct wh_op *op, struct wh_args *a, struct wh_emulator_files *f,
                        struct drive *v)
{
    const char *path = v->d->pdev_path;
    size_t set = f->n + 1;
    struct stat st;

    if (!pass(op, a, f, path, O_RDONLY, set) ||
        (v->d->readwrite && !v->d->is_cdrom && !pass(op, a, f, path, O_RDWR, set)))
        return false;
    if (fstat(f->fd[set - 1], &st) < 0)
        return wh_fail_sys(&op->err, errno, "%s", path);
    if (v->d->readwrite && !S_ISBLK(st.st_mode) && f->bytes < WH_LIMIT_NONE)
        f->bytes = strcmp(format_of(v->d), "raw") != 0 ? WH_LIMIT_NONE
                   : (uint64_t)st.st_size > f->bytes ? (uint64_t)st.st_size : f->bytes;
    if (asprintf(&v->file, "file.driver=%s,file.filename=/dev/fdset/%zu,file.locking=off",
                 S_ISBLK(st.st_mode) ? "host_device" : "file", set) < 0)
        v->file = NULL;
    a->lost |= !v->file;
    return true;
}

/* "nbd:..." and its like are no files to QEMU. */
static bool name_file(struct wh_op *op, struct wh_args *a, struct wh_emulator_files *f,
                      struct drive *v)
{
    const char *path = v->d->pdev_path;

    if (!path)
        return true;
    if (path[0] != '/')
        return wh_fail(&op->err, WH_USAGE, "disk %s: an HVM guest's disk needs a path from the root, "
                       "found %.200s", v->d->vdev, path);
    if (f)
        return name_passed(op, a, f, v);
    wh_auto_free char *value = wh_args_value(path);
    if (!value || asprintf(&v->file, "file=%s", value) < 0)
        v->file = NULL;
    a->lost |= !v->file;
    return true;
}

static bool add_one(struct wh_op *op, struct wh_args *a, const struct wh_config *c,
                    const struct wh_disk *d, struct wh_emulator_files *f)
{
    wh_auto(free_drive) struct drive v = { .d = d };
    unsigned partition;

    if (!wh_vdev_number(d->vdev, &v.number, &v.disk, &partition) || partition > 0 ||
        !is_shown(c, &v))
        return true;
    if (!name_file(op, a, f, &v) || a->lost)
        return a->lost;
    if (d->is_cdrom)
        add_cdrom(a, &v);
    else
        add_disk(a, c, &v);
    return true;
}

static bool add_disks(struct wh_op *op, struct wh_args *a, const struct wh_config *c,
                      struct wh_emulator_files *f)
{
    if (c->hvm.hdtype == WH_HDTYPE_AHCI) {
        wh_args_add(a, "-device");
        wh_args_add(a, "ahci,id=ahci0");
    }
    for (size_t i = 0; i < c->ndisks; i++) {
        if (!add_one(op, a, c, &c->disks[i], f))
            return false;
    }
    return true;
}

/* ----------------------------------------------------------------------------- all of it */

struct hole {
    char s[48];
};

/* Where memory below 4 GiB ends, if that is lower than usual: as the guest's own was laid out. */
static struct hole hole(const struct wh_config *c)
{
    uint64_t end = (UINT64_C(1) << 32) - c->hvm.mmio_hole_memkb * 1024;
    struct hole h = { "" };

    if (c->hvm.mmio_hole_memkb > 0 && end < USUAL_HOLE)
        snprintf(h.s, sizeof h.s, ",max-ram-below-4g=%llu", (unsigned long long)end);
    return h;
}

static void add_all(struct wh_args *a, char *const *of, size_t n)
{
    for (size_t i = 0; i < n; i++)
        wh_args_add(a, of[i]);
}

bool wh_emulator_arguments(struct wh_op *op, const struct wh_config *c, uint32_t domid,
                           const char *machine, struct wh_args *a, struct wh_emulator_files *files)
{
    bool platform = c->hvm.xen_platform_pci != WH_NO;

    add_vnc(a, c);
    add_controller(a, c);
    add_kernel(a, c);
    add_serials(a, c);
    if (c->hvm.nographic == WH_YES)
        wh_args_add(a, "-nographic");
    add_vga(a, c);
    wh_args_add(a, "-boot");
    wh_args_format(a, "order=%s", c->hvm.boot ? c->hvm.boot : "cda");
    add_usb(a, c);
    if (c->acpi == WH_NO)
        wh_args_add(a, "-no-acpi");
    add_processors(a, c);
    add_nics(a, c, domid);
    add_all(a, c->extra, c->nextra);
    wh_args_add(a, "-machine");
    wh_args_format(a, "%s%s,suppress-vmdesc=on%s", machine ? machine : platform ? "xenfv" : "pc",
                   platform ? "" : ",accel=xen", hole(c).s);
    add_all(a, c->extra_hvm, c->nextra_hvm);
    wh_args_add(a, "-m");
    wh_args_format(a, "%llu", (unsigned long long)(c->max_memkb - c->video_memkb) / 1024);
    return add_disks(op, a, c, files);
}
