/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's configuration: one struct, three forms of it.
 *
 *     xl.cfg text  --parse-->  struct wh_config  --write-->  libxl's JSON (libxl-json, save files)
 *                                      ^  `---------------read---------------'
 *
 * One table (field.c) says of every field its JSON path, its key in xl.cfg, its type, its default
 * and which guests have it; all three go by it.
 *
 * A field that nobody set holds "not said" (WH_UNSAID, WH_UNSET_*, NULL, an empty array): that is
 * what xl stores and what the JSON leaves out.  To create a guest:
 *
 *     wh_auto_config struct wh_config c = wh_config_empty();
 *
 *     if (!wh_config_parse_xlcfg(err, &source, &c, &warnings) || !wh_config_complete(err, &c))
 *         return false;
 *     json = wh_config_write_json(err, &c);       what xl would have stored
 *     if (!json || !wh_config_settle(err, &c))    now every default has its value
 *         return false;
 *     ... build by c, store json with its NUL
 *
 * To restore: wh_config_read_json instead of parse; the rest is the same. */
#ifndef WH_CONFIG_CONFIG_H
#define WH_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/own.h"
#include "config/bits.h"
#include "config/mac.h"
#include "config/uuid.h"

/* More of these is refused, whatever the text says. */
#define WH_CONFIG_VCPUS   8192
#define WH_CONFIG_DISKS   256
#define WH_CONFIG_NICS    256
#define WH_CONFIG_ARGS    256             /* of one list of the device model's arguments */
#define WH_CONFIG_PORTS   16              /* serial ones, USB devices */
#define WH_CONFIG_TEXT    (512u << 10)      /* bytes of xl.cfg */
#define WH_CONFIG_JSON    (8u << 20)        /* bytes of JSON */
#define WH_CONFIG_PINS    200000            /* CPUs in all affinities: 390 vCPUs on 512 of them */
#define WH_CONFIG_STRING  65536             /* bytes of one value */
#define WH_CONFIG_NAME    255               /* bytes of a name */
#define WH_CONFIG_MEMKB   (UINT64_C(1) << 38)

/* "not said" of numbers. */
#define WH_UNSET_MEMKB    UINT64_MAX
#define WH_UNSET_U32      UINT32_MAX
#define WH_UNSET_INT      (-1)

/* libxl's defbool: "<default>", "True", "False". */
enum wh_maybe { WH_NO = -1, WH_UNSAID = 0, WH_YES = 1 };

/* Numbers are libxl's. */
enum wh_type { WH_TYPE_NONE = -1, WH_TYPE_HVM = 1, WH_TYPE_PV = 2, WH_TYPE_PVH = 3 };

enum wh_action {
    WH_ACTION_DESTROY = 1, WH_ACTION_RESTART, WH_ACTION_RESTART_RENAME, WH_ACTION_PRESERVE,
    WH_ACTION_COREDUMP_DESTROY, WH_ACTION_COREDUMP_RESTART, WH_ACTION_SOFT_RESET,
};

enum wh_scheduler {
    WH_SCHED_UNKNOWN = 0, WH_SCHED_SEDF = 4, WH_SCHED_CREDIT = 5, WH_SCHED_CREDIT2 = 6,
    WH_SCHED_ARINC653 = 7, WH_SCHED_RTDS = 8, WH_SCHED_NULL = 9,
};

enum wh_tsc_mode { WH_TSC_DEFAULT, WH_TSC_ALWAYS_EMULATE, WH_TSC_NATIVE, WH_TSC_NATIVE_PARAVIRT };

enum wh_timer_mode {
    WH_TIMER_UNKNOWN = -1, WH_TIMER_DELAY_FOR_MISSED_TICKS = 0, WH_TIMER_NO_DELAY = 1,
    WH_TIMER_NO_MISSED_TICKS_PENDING = 2, WH_TIMER_ONE_MISSED_TICK_PENDING = 3,
};

enum wh_altp2m { WH_ALTP2M_DISABLED, WH_ALTP2M_MIXED, WH_ALTP2M_EXTERNAL, WH_ALTP2M_LIMITED };

enum wh_passthrough {
    WH_PASSTHROUGH_DEFAULT, WH_PASSTHROUGH_DISABLED, WH_PASSTHROUGH_ENABLED,
    WH_PASSTHROUGH_SYNC_PT, WH_PASSTHROUGH_SHARE_PT,
};

enum wh_disk_backend {
    WH_DISK_UNKNOWN, WH_DISK_PHY, WH_DISK_TAP, WH_DISK_QDISK, WH_DISK_STANDALONE,
};

enum wh_disk_format {
    WH_FORMAT_UNKNOWN, WH_FORMAT_QCOW, WH_FORMAT_QCOW2, WH_FORMAT_VHD, WH_FORMAT_RAW,
    WH_FORMAT_EMPTY, WH_FORMAT_QED,
};

enum wh_disk_spec { WH_SPEC_UNKNOWN, WH_SPEC_XEN, WH_SPEC_VIRTIO };
enum wh_nic_type { WH_NIC_UNKNOWN, WH_NIC_VIF_IOEMU, WH_NIC_VIF };

enum wh_device_model { WH_DM_UNKNOWN = 0, WH_DM_QEMU_TRADITIONAL = 1, WH_DM_QEMU = 2 };
enum wh_bios { WH_BIOS_UNKNOWN = 0, WH_BIOS_ROMBIOS = 1, WH_BIOS_SEABIOS = 2, WH_BIOS_OVMF = 3 };
enum wh_vga {
    WH_VGA_UNKNOWN = 0, WH_VGA_CIRRUS = 1, WH_VGA_STD = 2, WH_VGA_NONE = 3, WH_VGA_QXL = 4,
};
enum wh_hdtype { WH_HDTYPE_IDE = 1, WH_HDTYPE_AHCI = 2 };

/* Parts of the interface that Hyper-V gives its guests. */
enum wh_viridian {
    WH_VIRIDIAN_BASE, WH_VIRIDIAN_FREQ, WH_VIRIDIAN_TIME_REF_COUNT, WH_VIRIDIAN_REFERENCE_TSC,
    WH_VIRIDIAN_HCALL_REMOTE_TLB_FLUSH, WH_VIRIDIAN_APIC_ASSIST, WH_VIRIDIAN_CRASH_CTL,
    WH_VIRIDIAN_SYNIC, WH_VIRIDIAN_STIMER, WH_VIRIDIAN_HCALL_IPI, WH_VIRIDIAN_EX_PROCESSOR_MASKS,
    WH_VIRIDIAN_NO_VP_LIMIT, WH_VIRIDIAN_CPU_HOTPLUG,
    WH_VIRIDIAN_GROUPS,         /* how many there are */
};

struct wh_disk {
    uint32_t backend_domid;
    char *backend_domname;      /* NULL: by domid */
    char *pdev_path;            /* NULL: an empty drive */
    char *vdev;                 /* "xvda"; its number: wh_vdev_number (vdev.h) */
    enum wh_disk_backend backend;       /* UNKNOWN: the creator finds out what the path is */
    enum wh_disk_format format;
    char *script;               /* NULL: "block" for phy */
    bool removable, readwrite, is_cdrom;
    bool direct_io_safe;
    enum wh_maybe discard_enable;
    enum wh_disk_spec specification;
    enum wh_maybe colo_restore_enable;  /* never YES; libxl writes the NO */
    enum wh_maybe trusted;
};

struct wh_nic {
    uint32_t backend_domid;
    char *backend_domname;
    int devid;                  /* -1: not said */
    int mtu;                    /* 0: not said, the bridge's (libxl tells the frontend alone) */
    char *model;
    struct wh_mac mac;          /* all zero: not said */
    char *ip, *bridge, *ifname, *script, *gatewaydev;
    enum wh_nic_type nictype;
    uint64_t rate_bytes_per_interval;   /* 0: no limit */
    uint32_t rate_interval_usecs;
    enum wh_maybe trusted;
};

/* -1: not said, Xen's own is kept. */
struct wh_sched_params {
    enum wh_scheduler sched;
    int weight, cap, period, budget, extratime;
};

/* An array of CPU sets, one a vCPU. */
struct wh_affinity {
    struct wh_bits *of;
    size_t n;
};

struct wh_config {
    /* c_info */
    enum wh_type type;
    char *name;
    uint32_t domid;             /* 0, UINT32_MAX: any; else the one that xl save -D has kept */
    struct wh_uuid uuid;        /* all zero: not said */
    char *pool_name;
    uint32_t poolid;
    enum wh_maybe hap, oos, run_hotplug_scripts, driver_domain, xend_suspend_evtchn_compat;
    enum wh_passthrough passthrough;

    /* b_info */
    int max_vcpus;
    struct wh_bits avail_vcpus;
    struct wh_affinity hard_affinity, soft_affinity;
    enum wh_maybe numa_placement;
    uint64_t max_memkb, target_memkb, video_memkb, shadow_memkb, iommu_memkb;
    enum wh_tsc_mode tsc_mode;
    uint32_t rtc_timeoffset;
    enum wh_maybe localtime, disable_migrate;
    char *cpuid;                /* the JSON of the policy as it stood; NULL: none */
    uint32_t max_grant_frames, max_maptrack_frames;
    int max_grant_version;
    enum wh_device_model device_model_version;
    char *device_model;         /* a program's path; NULL: the host's QEMU */
    char *device_model_user;
    char **extra, **extra_hvm;  /* arguments for the device model: of any guest's, of an HVM one's */
    size_t nextra, nextra_hvm;
    struct wh_sched_params sched_params;
    enum wh_maybe claim_mode;
    uint32_t event_channels;
    char *kernel, *cmdline, *ramdisk;
    enum wh_maybe acpi, apic, nested_hvm, dm_restrict;
    enum wh_timer_mode timer_mode;
    enum wh_altp2m altp2m;
    int vmtrace_buf_kb;
    enum wh_maybe vpmu, msr_relaxed;
    struct {
        char *firmware;         /* instead of hvmloader */
        enum wh_bios bios;
        enum wh_maybe pae, acpi_s3, acpi_s4, acpi_laptop_slate, nx, hpet, vpt_align;
        enum wh_maybe viridian; /* the usual groups of it; what comes of all three: below */
        struct wh_bits viridian_enable, viridian_disable;
        char *timeoffset;       /* as xend once gave it */
        uint64_t mmio_hole_memkb;       /* settled 0: hvmloader's own */
        char *system_firmware, *smbios_firmware, *acpi_firmware;
        enum wh_hdtype hdtype;
        enum wh_maybe nographic;
        enum wh_vga vga;
        struct {
            enum wh_maybe enable;
            char *listen;       /* "127.0.0.1"; with a display, "127.0.0.1:5", if display is 0 */
            char *passwd;
            int display;
            enum wh_maybe findunused;
        } vnc;
        char *keymap;
        char *serial, **serial_list;    /* one of them */
        size_t nserial_list;
        char *boot;             /* of "acdn" */
        enum wh_maybe usb;
        char *usbdevice, **usbdevice_list;      /* one of them */
        size_t nusbdevice_list;
        enum wh_maybe vkb_device, xen_platform_pci;
        struct wh_uuid genid;   /* all zero: none */
        /* What libxl once had here and b_info has now; complete moves them. */
        enum wh_maybe apic, acpi, nested_hvm, altp2m;
        enum wh_timer_mode timer_mode;
    } hvm;
    struct {
        uint64_t slack_memkb;
        enum wh_maybe e820_host;
    } pv;
    struct {
        enum wh_maybe pvshim;
    } pvh;

    struct wh_disk *disks;
    size_t ndisks;
    struct wh_nic *nics;
    size_t nnics;
    enum wh_action on_poweroff, on_reboot, on_watchdog, on_crash, on_soft_reset;

    char *machine;              /* that its QEMU emulates ("xenfv-3.1"): of an image; NULL: not said */

    /* What a JSON configuration has that this version cannot give a guest: its path ("pcidevs").
     * NULL: nothing.  The first of them; wh_config_complete refuses it. */
    char *lacks;

    /* The JSON it was read from, NULL: none.  What we know nothing of is written as it came. */
    char *origin;
};

/* Nothing said.  Freed by wh_config_free; idempotent. */
struct wh_config wh_config_empty(void);
void wh_config_free(struct wh_config *c);
#define wh_auto_config wh_auto(wh_config_free)

/* Read libxl's JSON (a NUL at the end is not part of it).  Unknown keys are passed over; c->lacks
 * names what is known but cannot be had.  Hostile text is refused with WH_STREAM and the path of
 * what is wrong ("b_info.max_vcpus: ...").  c is replaced; after a failure it is empty. */
bool wh_config_read_json(struct wh_err *err, const char *text, size_t n, struct wh_config *c);

/* The same as JSON, laid out as libxl does, with a NUL that is not counted.  NULL: it failed. */
char *wh_config_write_json(struct wh_err *err, const struct wh_config *c);

/* What the hypervisor and xenstore say of a running guest. */
struct wh_config_now {
    const char *name;
    struct wh_uuid uuid;
    int max_vcpus;                          /* 0: as stored */
    const struct wh_bits *online;           /* vCPUs; NULL: as stored */
    uint64_t target_memkb, max_memkb;       /* WH_UNSET_MEMKB: as stored */
    struct wh_sched_params sched;           /* sched UNKNOWN: as stored */
    const char *machine;                    /* NULL: as stored */
};

/* The stored JSON of a running guest brought up to date, for a save file.  What it says that we do
 * not know stays.  NULL: it failed. */
char *wh_config_overlay(struct wh_err *err, const char *stored, size_t n,
                        const struct wh_config_now *now);

/* Lines for people. */
struct wh_warnings {
    char **text;
    size_t n;
};
#define WH_WARNINGS_MAX 256     /* more are dropped */
bool wh_warnings_add(struct wh_warnings *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void wh_warnings_free(struct wh_warnings *w);
#define wh_auto_warnings wh_auto(wh_warnings_free)

struct wh_xlcfg {
    const char *text;           /* of the file; no NUL is needed */
    size_t n;
    const char *file;           /* its name, for texts */
    const char *more;           /* "vcpus=2\nname='x'": read after it; NULL: none */
    unsigned host_cpus;         /* physical CPUs, for cpus="all"; 0: not known, such are refused */
};

/* Read xl.cfg text.  Keys that neither xl nor we know become warnings; keys of what cannot be had
 * yet, and wrong values, are WH_USAGE failures: "FILE:LINE: ...".  c is replaced; after a failure
 * it is empty. */
bool wh_config_parse_xlcfg(struct wh_err *err, const struct wh_xlcfg *from, struct wh_config *c,
                           struct wh_warnings *warnings);

/* Make it whole: what has to be the same after a restore and was not said is drawn up now (uuid,
 * MACs, devids, target memory...).  Refuses what cannot be created.  The JSON of the result is what
 * is stored with the guest.  May be done again. */
bool wh_config_complete(struct wh_err *err, struct wh_config *c);

/* What a configuration may not say that came with an image, however well formed: a hotplug script
 * that is not one of the host's own (/etc/xen/scripts), a device model, its arguments, its user, a
 * file that it writes to.  For restore and receive; WH_STREAM. */
bool wh_config_check_foreign(struct wh_err *err, const struct wh_config *c);

/* Put libxl's default in for all that is still "not said", as a builder needs it.  After
 * wh_config_complete and after the JSON was written. */
bool wh_config_settle(struct wh_err *err, struct wh_config *c);

/* The groups of Hyper-V's interface that an HVM guest gets: bit n is enum wh_viridian's n. */
uint32_t wh_config_viridian(const struct wh_config *c);

#endif
