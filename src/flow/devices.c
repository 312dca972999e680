/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's disks, network interfaces and console. */
#include "flow/devices.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "config/vdev.h"
#include "flow/find.h"
#include "xen/device.h"
#include "dm/qdisk.h"

#define NODES_MS 30000              /* for writing a device's nodes */
#define EARLY_MOST 64               /* disks */

static bool find_backend(struct wh_op *op, struct wh_here *h, const char *name, uint32_t domid,
                         uint32_t *backend)
{
    *backend = domid;
    return !name || wh_domain_find(op, h, name, backend);
}

/* ------------------------------------------------------------------------------- disks */

/* What QEMU is told of the path. */
static const char *const formats[] = {
    [WH_FORMAT_RAW] = "aio", [WH_FORMAT_QCOW] = "qcow", [WH_FORMAT_QCOW2] = "qcow2",
    [WH_FORMAT_VHD] = "vhd", [WH_FORMAT_QED] = "qed",
};

const char *wh_devices_format(enum wh_disk_format format)
{
    return format < WH_COUNT(formats) && formats[format] ? formats[format]
                                                         : formats[WH_FORMAT_RAW];
}

/* The kernel serves raw files, block devices, and what a script makes of a name; QEMU the rest. */
static bool choose(struct wh_op *op, const struct wh_disk *d, bool local, bool *qdisk)
{
    enum wh_disk_format format = d->format == WH_FORMAT_UNKNOWN ? WH_FORMAT_RAW : d->format;
    struct stat st;

    *qdisk = d->backend == WH_DISK_QDISK;
    *qdisk |= !d->pdev_path && d->backend == WH_DISK_UNKNOWN;   /* an empty drive */
    if (d->backend == WH_DISK_TAP)
        return wh_fail(&op->err, WH_USAGE, "the backend type tap is no more: use qdisk");
    if (!d->pdev_path || !local)
        return true;
    if (!d->script && stat(d->pdev_path, &st) < 0)
        return wh_fail_sys(&op->err, errno, "%s", d->pdev_path);
    bool kernel = d->script || S_ISBLK(st.st_mode) || S_ISREG(st.st_mode);
    if (!d->script && !kernel)
        return wh_fail(&op->err, WH_USAGE, "%s: expected a file or a block device", d->pdev_path);
    if (d->backend == WH_DISK_PHY && format != WH_FORMAT_RAW)
        return wh_fail(&op->err, WH_USAGE, "backend type phy takes raw disks only");
    if (d->backend == WH_DISK_QDISK && d->script)
        return wh_fail(&op->err, WH_USAGE, "backend type qdisk takes no script");
    *qdisk |= d->backend == WH_DISK_UNKNOWN && format != WH_FORMAT_RAW;
    return true;
}

/* A PV guest is told which ABI its rings have; it may be a 32-bit one. */
static bool find_abi(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                     const struct wh_made *m, const char **abi)
{
    unsigned width;

    *abi = NULL;
    if (c->type != WH_TYPE_PV)
        return true;
    if (!wh_xen_get_width(op, h->xen, m->domid, &width))
        return false;
    *abi = width == 4 ? "x86_32-abi" : "x86_64-abi";
    return true;
}

static bool attach_disk(struct wh_op *op, struct wh_here *h, const struct wh_disk *d,
                        const struct wh_made *m, const char *abi, bool *qemu)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    char script[PATH_MAX] = "";
    struct wh_vbd_spec s = {
        .domid = m->domid, .vdev = d->vdev, .path = d->pdev_path, .script = script, .abi = abi,
        .readwrite = d->readwrite, .cdrom = d->is_cdrom, .removable = d->removable,
        .direct_io_safe = d->direct_io_safe, .trusted = d->trusted != WH_NO,
        .discard = d->discard_enable == WH_YES,
        .params_type = wh_devices_format(d->format),
    };

    wh_step(op, "make a disk", NODES_MS);
    if (!wh_vdev_number(d->vdev, &s.number, NULL, NULL) ||
        !find_backend(op, h, d->backend_domname, d->backend_domid, &s.backend) ||
        !choose(op, d, s.backend == 0, &s.qdisk))
        return false;
    if (!s.qdisk && s.path &&
        !wh_hotplug_path(op, h, d->script ? d->script : "block", !m->restoring, script))
        return false;
    struct wh_device device = wh_vbd_nodes(&l, &s);
    *qemu |= s.qdisk && s.backend == 0;
    return wh_device_attach(op, h, &device, &l);
}

static bool is_early(const struct wh_made *m, size_t i)
{
    return i < EARLY_MOST && m->early_disks >> i & 1;
}

/* Nothing of it is kept in memory here while it waits: the kernel's backend reads and writes the device
 * itself.  A file is served through the host's cache, as QEMU's disks are, and what that holds would be old
 * when the guest comes. */
static bool can_be_early(const struct wh_config *c, const struct wh_disk *d)
{
    struct stat st;

    return c->type != WH_TYPE_PV &&                 /* its ABI is not known before its processors are */
           d->pdev_path && !d->script && !d->backend_domname && d->backend_domid == 0 &&
           (d->backend == WH_DISK_PHY || d->backend == WH_DISK_UNKNOWN) &&
           (d->format == WH_FORMAT_RAW || d->format == WH_FORMAT_UNKNOWN) &&
           stat(d->pdev_path, &st) == 0 && S_ISBLK(st.st_mode);
}

bool wh_devices_attach_early(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                             struct wh_made *m)
{
    bool qemu;

    for (size_t i = 0; i < c->ndisks && i < EARLY_MOST; i++) {
        if (!can_be_early(c, &c->disks[i]))
            continue;
        if (!attach_disk(op, h, &c->disks[i], m, NULL, &qemu))
            return wh_while(&op->err, "disk %s", c->disks[i].vdev);
        m->early_disks |= UINT64_C(1) << i;
    }
    return true;
}

bool wh_devices_attach_disks(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                             const struct wh_made *m)
{
    bool qemu = false;
    const char *abi;

    if (!find_abi(op, h, c, m, &abi))
        return false;
    for (size_t i = 0; i < c->ndisks; i++) {
        if (!is_early(m, i) && !attach_disk(op, h, &c->disks[i], m, abi, &qemu))
            return wh_while(&op->err, "disk %s", c->disks[i].vdev);
    }
    struct wh_qdisk q = { m->domid, c->name, c->max_memkb };
    /* An HVM guest's own QEMU serves its disks too. */
    return !qemu || c->type == WH_TYPE_HVM || wh_qdisk_start(op, h, &q);
}

/* ------------------------------------------------------------------- network, console */

static bool attach_nic(struct wh_op *op, struct wh_here *h, const struct wh_nic *nic,
                       const struct wh_made *m)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    char script[PATH_MAX], mac[WH_MAC_TEXT];
    struct wh_vif_spec s = {
        .domid = m->domid, .id = (uint32_t)nic->devid, .mac = wh_mac_print(nic->mac, mac),
        .bridge = nic->bridge, .ip = nic->ip, .ifname = nic->ifname, .gateway = nic->gatewaydev,
        .script = script, .rate_bytes = nic->rate_bytes_per_interval,
        .rate_usecs = nic->rate_interval_usecs, .mtu = nic->mtu, .trusted = nic->trusted != WH_NO,
        .emulated = nic->nictype == WH_NIC_VIF_IOEMU,
    };

    wh_step(op, "make a network interface", NODES_MS);
    if (!find_backend(op, h, nic->backend_domname, nic->backend_domid, &s.backend) ||
        !wh_hotplug_path(op, h, nic->script, !m->restoring, script))
        return false;
    struct wh_device device = wh_vif_nodes(&l, &s);
    return wh_device_attach(op, h, &device, &l);
}

bool wh_devices_attach_nics(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                            const struct wh_made *m)
{
    for (size_t i = 0; i < c->nnics; i++) {
        if (!attach_nic(op, h, &c->nics[i], m))
            return wh_while(&op->err, "network interface %d", c->nics[i].devid);
    }
    return true;
}

bool wh_devices_attach_taps(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                            const struct wh_made *m)
{
    for (size_t i = 0; i < c->nnics; i++) {
        const struct wh_nic *nic = &c->nics[i];
        struct wh_device d = { "vif", "vif", m->domid, (uint32_t)nic->devid, 0 };

        if (nic->nictype == WH_NIC_VIF_IOEMU &&
            (!find_backend(op, h, nic->backend_domname, nic->backend_domid, &d.backend) ||
             !wh_hotplug_connect_tap(op, h, &d)))
            return wh_while(&op->err, "network interface %d", nic->devid);
    }
    return true;
}

bool wh_devices_attach_console(struct wh_op *op, struct wh_here *h, const struct wh_made *m)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    struct wh_console_spec s = { m->domid, m->console_domid, m->console_port, m->console_frame };
    struct wh_device device = wh_console_nodes(&l, &s);

    wh_step(op, "make the console", NODES_MS);
    return wh_device_attach(op, h, &device, &l);
}

/* A keyboard and a mouse, which QEMU serves. */
bool wh_devices_attach_keyboard(struct wh_op *op, struct wh_here *h, const struct wh_made *m)
{
    wh_auto_nodes struct wh_nodes l = { 0 };
    struct wh_device device = wh_vkbd_nodes(&l, m->domid);

    wh_step(op, "make the keyboard", NODES_MS);
    return wh_device_attach(op, h, &device, &l);
}
