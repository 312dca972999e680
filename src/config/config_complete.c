/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between reading a configuration and building the guest: what cannot be had is refused, what must
 * not change later is drawn up, what is left to libxl's defaults gets them. */
#include <errno.h>
#include <string.h>

#include "config/config_hvm.h"
#include "config/field.h"
#include "config/vdev.h"

#define SCRIPTS "/etc/xen/scripts/"
#define LEAST_MEMKB 1024
#define HVM_VCPUS 128               /* PVH guests, too */

/* ------------------------------------------------------------------------------- refuse */

static bool refuse(struct wh_err *err, const char *path, const char *why)
{
    return wh_fail(err, WH_USAGE, "%s: %s", path, why);
}

static bool check_kind(struct wh_err *err, const struct wh_config *c)
{
    if (wh_field_guest(c->type) == 0)
        return refuse(err, "c_info.type", "expected hvm, pv or pvh, found nothing");
    if (c->lacks)
        return refuse(err, c->lacks, "is not yet supported");
    if (c->pvh.pvshim == WH_YES)
        return refuse(err, "b_info.type.pvh.pvshim", "is not yet supported");
    if (c->nested_hvm == WH_YES && c->type != WH_TYPE_HVM)
        return refuse(err, "b_info.nested_hvm", "is for hvm guests only");
    if (c->passthrough > WH_PASSTHROUGH_DISABLED)
        return refuse(err, "c_info.passthrough", "is not yet supported");
    if (c->tsc_mode == WH_TSC_NATIVE_PARAVIRT)
        return refuse(err, "b_info.tsc_mode", "Xen no longer has native_paravirt");
    if (!c->name)
        return refuse(err, "c_info.name", "expected a name, found none");
    return true;
}

/* libxl lets every guest's disks and displays have it; here it is the HVM guest's alone. */
static bool check_device_model(struct wh_err *err, const struct wh_config *c)
{
    const char *said = c->device_model && *c->device_model ? "b_info.device_model" :
                       c->device_model_user && *c->device_model_user ? "b_info.device_model_user" :
                       c->nextra > 0 ? "b_info.extra" : NULL;

    return !said || c->type == WH_TYPE_HVM || refuse(err, said, "is not yet supported");
}

static bool check_vcpus(struct wh_err *err, const struct wh_config *c)
{
    int most = c->type == WH_TYPE_PV ? WH_CONFIG_VCPUS : HVM_VCPUS;
    unsigned max = c->max_vcpus > 0 ? (unsigned)c->max_vcpus : 1;

    if (c->max_vcpus > most)
        return wh_fail(err, WH_USAGE, "b_info.max_vcpus: expected at most %d, found %d", most,
                       c->max_vcpus);
    if (wh_bits_end(&c->avail_vcpus) > max)
        return wh_fail(err, WH_USAGE, "b_info.avail_vcpus: expected vCPUs below %u, found %u", max,
                       wh_bits_end(&c->avail_vcpus) - 1);
    if (c->hard_affinity.n > max || c->soft_affinity.n > max)
        return wh_fail(err, WH_USAGE, "b_info.vcpu_affinity: expected at most %u, found %zu", max,
                       c->hard_affinity.n > max ? c->hard_affinity.n : c->soft_affinity.n);
    return true;
}

static bool check_memory(struct wh_err *err, const struct wh_config *c)
{
    if (c->max_memkb != WH_UNSET_MEMKB && c->max_memkb < LEAST_MEMKB)
        return wh_fail(err, WH_USAGE, "b_info.max_memkb: expected at least %d, found %llu",
                       LEAST_MEMKB, (unsigned long long)c->max_memkb);
    if (c->target_memkb != WH_UNSET_MEMKB && c->max_memkb != WH_UNSET_MEMKB &&
        c->target_memkb > c->max_memkb)
        return wh_fail(err, WH_USAGE,
                       "b_info.target_memkb: expected at most b_info.max_memkb (%llu), found %llu",
                       (unsigned long long)c->max_memkb, (unsigned long long)c->target_memkb);
    return true;
}

static bool check_disk(struct wh_err *err, const struct wh_config *c, size_t i)
{
    const struct wh_disk *d = &c->disks[i];
    uint32_t number, other;

    if (!d->vdev || !wh_vdev_number(d->vdev, &number, NULL, NULL))
        return wh_fail(err, WH_USAGE, "disks[%zu].vdev: expected xvda, hda, sda..., found %s", i,
                       d->vdev ? d->vdev : "nothing");
    if (d->specification == WH_SPEC_VIRTIO || d->backend == WH_DISK_STANDALONE)
        return wh_fail(err, WH_USAGE, "disks[%zu]: virtio disks are not yet supported", i);
    if (d->colo_restore_enable == WH_YES)
        return wh_fail(err, WH_USAGE, "disks[%zu]: colo is not yet supported", i);
    if ((!d->pdev_path || !*d->pdev_path) && d->format != WH_FORMAT_EMPTY)
        return wh_fail(err, WH_USAGE, "disks[%zu].pdev_path: expected a path, found none", i);
    for (size_t k = 0; k < i; k++) {
        if (wh_vdev_number(c->disks[k].vdev, &other, NULL, NULL) && other == number)
            return wh_fail(err, WH_USAGE, "disks[%zu].vdev: %s is disks[%zu]'s too", i, d->vdev, k);
    }
    return true;
}

static bool check_nic(struct wh_err *err, const struct wh_config *c, size_t i)
{
    if (c->nics[i].nictype == WH_NIC_VIF_IOEMU && c->type != WH_TYPE_HVM)
        return wh_fail(err, WH_USAGE, "nics[%zu].nictype: ioemu is for hvm guests only", i);
    for (size_t k = 0; k < i; k++) {
        if (c->nics[i].devid >= 0 && c->nics[k].devid == c->nics[i].devid)
            return wh_fail(err, WH_USAGE, "nics[%zu].devid: %d is nics[%zu]'s too", i,
                           c->nics[i].devid, k);
    }
    return true;
}

static bool check(struct wh_err *err, const struct wh_config *c)
{
    if (!check_kind(err, c) || !check_device_model(err, c) || !check_vcpus(err, c) ||
        !check_memory(err, c))
        return false;
    for (size_t i = 0; i < c->ndisks; i++) {
        if (!check_disk(err, c, i))
            return false;
    }
    for (size_t i = 0; i < c->nnics; i++) {
        if (!check_nic(err, c, i))
            return false;
    }
    return c->type != WH_TYPE_HVM || wh_config_hvm_check(err, c);
}

/* ----------------------------------------------------------------------------- complete */

static void maybe(enum wh_maybe *m, enum wh_maybe otherwise)
{
    if (*m == WH_UNSAID)
        *m = otherwise;
}

static bool devid_taken(const struct wh_config *c, int devid)
{
    for (size_t i = 0; i < c->nnics; i++) {
        if (c->nics[i].devid == devid)
            return true;
    }
    return false;
}

static bool complete_nics(struct wh_err *err, struct wh_config *c)
{
    int next = 0;

    for (size_t i = 0; i < c->nnics; i++) {
        struct wh_nic *nic = &c->nics[i];

        while (nic->devid < 0 && devid_taken(c, next))
            next++;
        if (nic->devid < 0)
            nic->devid = next;
        if (c->type != WH_TYPE_HVM)
            nic->nictype = WH_NIC_VIF;
        else if (nic->nictype == WH_NIC_UNKNOWN)
            nic->nictype = WH_NIC_VIF_IOEMU;
        if (wh_mac_is_zero(nic->mac) && !wh_mac_make(&nic->mac))
            return wh_fail_sys(err, errno, "draw a MAC address");
    }
    return true;
}

/* One of the two is enough to know both. */
static void complete_memory(struct wh_config *c)
{
    if (c->max_memkb == WH_UNSET_MEMKB)
        c->max_memkb = c->target_memkb != WH_UNSET_MEMKB ? c->target_memkb : 32 * 1024;
    if (c->target_memkb == WH_UNSET_MEMKB)
        c->target_memkb = c->max_memkb;
    if (c->video_memkb == WH_UNSET_MEMKB)
        c->video_memkb = c->type == WH_TYPE_HVM ? wh_config_hvm_video_memkb(c) : 0;
}

bool wh_config_complete(struct wh_err *err, struct wh_config *c)
{
    if (!check(err, c))
        return false;
    if (wh_uuid_is_zero(c->uuid) && !wh_uuid_make(&c->uuid))
        return wh_fail_sys(err, errno, "draw a uuid");
    wh_config_hvm_move(c);
    complete_memory(c);
    if (c->type == WH_TYPE_HVM && !wh_config_hvm_check_video(err, c))
        return false;
    maybe(&c->msr_relaxed, WH_NO);
    if (c->domid == 0)
        c->domid = UINT32_MAX;
    for (size_t i = 0; i < c->ndisks; i++)
        maybe(&c->disks[i].colo_restore_enable, WH_NO);
    return complete_nics(err, c);
}

/* ------------------------------------------------------------------------------- settle */

static bool text(struct wh_err *err, char **to, const char *otherwise)
{
    if (!*to)
        *to = strdup(otherwise);
    return *to || wh_fail(err, WH_SYSTEM, "out of memory");
}

/* 256 pages a vCPU, and a page for a MiB of guest: of its p2m, of its shadows, or of both. */
static uint64_t shadow_memkb(const struct wh_config *c)
{
    unsigned tables = c->type != WH_TYPE_PV && c->hap == WH_NO ? 2 : 1;

    return 4 * (256 * (uint64_t)c->max_vcpus + tables * (c->max_memkb / 1024));
}

static bool settle_devices(struct wh_err *err, struct wh_config *c)
{
    for (size_t i = 0; i < c->ndisks; i++) {
        struct wh_disk *d = &c->disks[i];

        maybe(&d->discard_enable, d->readwrite ? WH_YES : WH_NO);
        maybe(&d->trusted, WH_YES);
        d->specification = WH_SPEC_XEN;
    }
    for (size_t i = 0; i < c->nnics; i++) {
        struct wh_nic *nic = &c->nics[i];

        maybe(&nic->trusted, WH_YES);
        if (!text(err, &nic->script, SCRIPTS "vif-bridge") || !text(err, &nic->bridge, "xenbr0") ||
            !text(err, &nic->model, "rtl8139"))
            return false;
    }
    return true;
}

static void settle_build(struct wh_config *c)
{
    maybe(&c->numa_placement, WH_YES);
    maybe(&c->localtime, WH_NO);
    maybe(&c->disable_migrate, WH_NO);
    maybe(&c->claim_mode, WH_NO);
    maybe(&c->acpi, c->type == WH_TYPE_PV ? WH_NO : WH_YES);
    maybe(&c->apic, WH_YES);
    maybe(&c->nested_hvm, WH_NO);
    maybe(&c->dm_restrict, WH_NO);
    c->device_model_version = WH_DM_QEMU;
    maybe(&c->vpmu, WH_NO);
    maybe(&c->pv.e820_host, WH_NO);
    maybe(&c->pvh.pvshim, WH_NO);
    if (c->shadow_memkb == WH_UNSET_MEMKB)
        c->shadow_memkb = shadow_memkb(c);
    if (c->iommu_memkb == WH_UNSET_MEMKB)
        c->iommu_memkb = 0;
    if (c->pv.slack_memkb == WH_UNSET_MEMKB)
        c->pv.slack_memkb = 0;
    if (c->timer_mode == WH_TIMER_UNKNOWN)
        c->timer_mode = WH_TIMER_NO_DELAY;
    if (c->event_channels == 0)
        c->event_channels = 1023;
}

bool wh_config_settle(struct wh_err *err, struct wh_config *c)
{
    maybe(&c->oos, WH_YES);
    maybe(&c->run_hotplug_scripts, WH_YES);
    maybe(&c->driver_domain, WH_NO);
    maybe(&c->xend_suspend_evtchn_compat, WH_NO);
    c->passthrough = WH_PASSTHROUGH_DISABLED;
    c->max_vcpus = c->max_vcpus > 0 ? c->max_vcpus : 1;
    if (wh_bits_end(&c->avail_vcpus) == 0 && !wh_bits_add(&c->avail_vcpus, 0))
        return wh_fail(err, WH_SYSTEM, "out of memory");
    settle_build(c);
    return settle_devices(err, c) && (c->type != WH_TYPE_HVM || wh_config_hvm_settle(err, c));
}
