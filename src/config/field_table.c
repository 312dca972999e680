/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rows.  Paths, order, names and defaults are libxl's of Xen 4.17. */
#include <limits.h>

#include "config/field.h"

const struct wh_names wh_field_types[] = {
    { WH_TYPE_HVM, "hvm", NULL },
    { WH_TYPE_PV,  "pv",  NULL },
    { WH_TYPE_PVH, "pvh", NULL },
    { 0 },
};

const struct wh_names wh_field_actions[] = {
    { WH_ACTION_DESTROY,          "destroy",          NULL },
    { WH_ACTION_RESTART,          "restart",          NULL },
    { WH_ACTION_RESTART_RENAME,   "restart_rename",   "rename-restart" },
    { WH_ACTION_PRESERVE,         "preserve",         NULL },
    { WH_ACTION_COREDUMP_DESTROY, "coredump_destroy", "coredump-destroy" },
    { WH_ACTION_COREDUMP_RESTART, "coredump_restart", "coredump-restart" },
    { WH_ACTION_SOFT_RESET,       "soft_reset",       "soft-reset" },
    { 0 },
};

static const struct wh_names schedulers[] = {
    { WH_SCHED_UNKNOWN,  "unknown",  NULL },
    { WH_SCHED_SEDF,     "sedf",     NULL },
    { WH_SCHED_CREDIT,   "credit",   NULL },
    { WH_SCHED_CREDIT2,  "credit2",  NULL },
    { WH_SCHED_ARINC653, "arinc653", NULL },
    { WH_SCHED_RTDS,     "rtds",     NULL },
    { WH_SCHED_NULL,     "null",     NULL },
    { 0 },
};

static const struct wh_names tsc_modes[] = {
    { WH_TSC_DEFAULT,         "default",         NULL },
    { WH_TSC_ALWAYS_EMULATE,  "always_emulate",  NULL },
    { WH_TSC_NATIVE,          "native",          NULL },
    { WH_TSC_NATIVE_PARAVIRT, "native_paravirt", NULL },
    { 0 },
};

static const struct wh_names timer_modes[] = {
    { WH_TIMER_UNKNOWN,                 "unknown",                   NULL },
    { WH_TIMER_DELAY_FOR_MISSED_TICKS,  "delay_for_missed_ticks",    NULL },
    { WH_TIMER_NO_DELAY,                "no_delay_for_missed_ticks", NULL },
    { WH_TIMER_NO_MISSED_TICKS_PENDING, "no_missed_ticks_pending",   NULL },
    { WH_TIMER_ONE_MISSED_TICK_PENDING, "one_missed_tick_pending",   NULL },
    { 0 },
};

static const struct wh_names altp2m_modes[] = {
    { WH_ALTP2M_DISABLED, "disabled", NULL },
    { WH_ALTP2M_MIXED,    "mixed",    NULL },
    { WH_ALTP2M_EXTERNAL, "external", NULL },
    { WH_ALTP2M_LIMITED,  "limited",  NULL },
    { 0 },
};

static const struct wh_names passthroughs[] = {
    { WH_PASSTHROUGH_DEFAULT,  "default",  NULL },
    { WH_PASSTHROUGH_DISABLED, "disabled", NULL },
    { WH_PASSTHROUGH_ENABLED,  "enabled",  NULL },
    { WH_PASSTHROUGH_SYNC_PT,  "sync_pt",  NULL },
    { WH_PASSTHROUGH_SHARE_PT, "share_pt", NULL },
    { 0 },
};

static const struct wh_names backends[] = {
    { WH_DISK_UNKNOWN,    "unknown",    NULL },
    { WH_DISK_PHY,        "phy",        NULL },
    { WH_DISK_TAP,        "tap",        NULL },
    { WH_DISK_QDISK,      "qdisk",      NULL },
    { WH_DISK_STANDALONE, "standalone", NULL },
    { 0 },
};

static const struct wh_names formats[] = {
    { WH_FORMAT_UNKNOWN, "unknown", NULL },
    { WH_FORMAT_QCOW,    "qcow",    NULL },
    { WH_FORMAT_QCOW2,   "qcow2",   NULL },
    { WH_FORMAT_VHD,     "vhd",     NULL },
    { WH_FORMAT_RAW,     "raw",     NULL },
    { WH_FORMAT_EMPTY,   "empty",   NULL },
    { WH_FORMAT_QED,     "qed",     NULL },
    { 0 },
};

static const struct wh_names specs[] = {
    { WH_SPEC_UNKNOWN, "unknown", NULL },
    { WH_SPEC_XEN,     "xen",     NULL },
    { WH_SPEC_VIRTIO,  "virtio",  NULL },
    { 0 },
};

static const struct wh_names nic_types[] = {
    { WH_NIC_UNKNOWN,   "unknown",   NULL },
    { WH_NIC_VIF_IOEMU, "vif_ioemu", "ioemu" },
    { WH_NIC_VIF,       "vif",       NULL },
    { 0 },
};

static const struct wh_names device_models[] = {
    { WH_DM_UNKNOWN,          "unknown",              NULL },
    { WH_DM_QEMU_TRADITIONAL, "qemu_xen_traditional", "qemu-xen-traditional" },
    { WH_DM_QEMU,             "qemu_xen",             "qemu-xen" },
    { 0 },
};

const struct wh_names wh_field_bioses[] = {
    { WH_BIOS_UNKNOWN, "unknown", NULL },
    { WH_BIOS_ROMBIOS, "rombios", NULL },
    { WH_BIOS_SEABIOS, "seabios", NULL },
    { WH_BIOS_OVMF,    "ovmf",    NULL },
    { 0 },
};

const struct wh_names wh_field_vgas[] = {
    { WH_VGA_UNKNOWN, "unknown", NULL },
    { WH_VGA_CIRRUS,  "cirrus",  NULL },
    { WH_VGA_STD,     "std",     "stdvga" },
    { WH_VGA_NONE,    "none",    NULL },
    { WH_VGA_QXL,     "qxl",     NULL },
    { 0 },
};

static const struct wh_names hdtypes[] = {
    { WH_HDTYPE_IDE,  "ide",  NULL },
    { WH_HDTYPE_AHCI, "ahci", NULL },
    { 0 },
};

const struct wh_names wh_field_viridian[] = {
    { WH_VIRIDIAN_BASE,                   "base",                   NULL },
    { WH_VIRIDIAN_FREQ,                   "freq",                   NULL },
    { WH_VIRIDIAN_TIME_REF_COUNT,         "time_ref_count",         NULL },
    { WH_VIRIDIAN_REFERENCE_TSC,          "reference_tsc",          NULL },
    { WH_VIRIDIAN_HCALL_REMOTE_TLB_FLUSH, "hcall_remote_tlb_flush", NULL },
    { WH_VIRIDIAN_APIC_ASSIST,            "apic_assist",            NULL },
    { WH_VIRIDIAN_CRASH_CTL,              "crash_ctl",              NULL },
    { WH_VIRIDIAN_SYNIC,                  "synic",                  NULL },
    { WH_VIRIDIAN_STIMER,                 "stimer",                 NULL },
    { WH_VIRIDIAN_HCALL_IPI,              "hcall_ipi",              NULL },
    { WH_VIRIDIAN_EX_PROCESSOR_MASKS,     "ex_processor_masks",     NULL },
    { WH_VIRIDIAN_NO_VP_LIMIT,            "no_vp_limit",            NULL },
    { WH_VIRIDIAN_CPU_HOTPLUG,            "cpu_hotplug",            NULL },
    { 0 },
};

/* ----------------------------------------------------------------------------- columns */

#define C(member) offsetof(struct wh_config, member)
#define D(member) offsetof(struct wh_disk, member)
#define N(member) offsetof(struct wh_nic, member)

#define STRING(at, longest, set) WH_FIELD_STRING, at, .most = longest, .chars = WH_CHARS_##set
#define TEXT(at)                 STRING(at, WH_CONFIG_STRING, TEXT)
#define INT(at, none, min, max)  WH_FIELD_INT, at, none, min, max
#define U32(at, none, min, max)  WH_FIELD_U32, at, none, min, max
#define U64(at, none, min, max)  WH_FIELD_U64, at, none, min, max
#define MEMKB(at, min)           U64(at, (int64_t)WH_UNSET_MEMKB, min, WH_CONFIG_MEMKB)
#define GRANTS(at)               U32(at, WH_UNSET_U32, 0, WH_UNSET_U32 - 1)
#define SCHED(at, min, max)      INT(at, WH_UNSET_INT, min, max)
#define MAYBE(at)                WH_FIELD_MAYBE, at
#define FLAG(at)                 WH_FIELD_FLAG, at
#define ENUM(at, none, of)       WH_FIELD_ENUM, at, none, .names = of
#define ACTION(at)               ENUM(at, WH_ACTION_DESTROY, wh_field_actions)
#define LIST(at, of)             WH_FIELD_LIST, at, .list = &of
#define STRINGS(at, of, longest, set) \
    WH_FIELD_STRINGS, at, .most = longest, .chars = WH_CHARS_##set, .list = &of

#define STRUCT WH_FIELD_STRUCT
#define LACK   WH_FIELD_LACK
#define KEPT   WH_FIELD_KEPT
#define END    { NULL, NULL, .kind = WH_FIELD_END }

#define PV  .guests = WH_FIELD_PV
#define PVH .guests = WH_FIELD_PVH
#define HVM .guests = WH_FIELD_HVM
#define HVM_KEY .keyed = WH_FIELD_HVM       /* libxl has it for any guest, and we for these */
#define MIB .unit = 1024

#define DOMID_MAX    0x7fef
#define PATH_LONGEST 4000
#define HOLE_LEAST   (UINT64_C(256) << 10)      /* KiB below 4 GiB, as xl has it */
#define HOLE_MOST    (UINT64_C(3840) << 10)
#define DISPLAY_MAX  (65535 - 5900)             /* TCP ports */

#define LIST_OF_STRINGS(most, count) { NULL, sizeof(char *), most, C(count), NULL }

static const struct wh_list extra = LIST_OF_STRINGS(WH_CONFIG_ARGS, nextra);
static const struct wh_list extra_hvm = LIST_OF_STRINGS(WH_CONFIG_ARGS, nextra_hvm);
static const struct wh_list serials = LIST_OF_STRINGS(WH_CONFIG_PORTS, hvm.nserial_list);
static const struct wh_list usbdevices = LIST_OF_STRINGS(WH_CONFIG_PORTS, hvm.nusbdevice_list);

/* ------------------------------------------------------------------------------ guests */

const struct wh_field wh_fields[] = {
    { "c_info",                        NULL, STRUCT },
    { "c_info/type",                   NULL, ENUM(C(type), WH_TYPE_NONE, wh_field_types) },
    { "c_info/hap",                    "hap", MAYBE(C(hap)) },
    { "c_info/oos",                    "oos", MAYBE(C(oos)) },
    { "c_info/ssidref",                NULL, LACK },
    { "c_info/ssid_label",             NULL, LACK },
    { "c_info/name",                   "name", STRING(C(name), WH_CONFIG_NAME, NAME) },
    { "c_info/domid",                  NULL, U32(C(domid), 0, 0, UINT32_MAX) },
    { "c_info/uuid",                   "uuid", WH_FIELD_UUID, C(uuid) },
    { "c_info/xsdata",                 NULL, LACK },
    { "c_info/platformdata",           NULL, LACK },
    { "c_info/poolid",                 NULL, U32(C(poolid), 0, 0, UINT32_MAX) },
    { "c_info/pool_name",              "pool", STRING(C(pool_name), WH_CONFIG_NAME, NAME) },
    { "c_info/run_hotplug_scripts",    NULL, MAYBE(C(run_hotplug_scripts)) },
    { "c_info/driver_domain",          "driver_domain", MAYBE(C(driver_domain)) },
    { "c_info/passthrough",            "passthrough",
                                       ENUM(C(passthrough), WH_PASSTHROUGH_DEFAULT, passthroughs) },
    { "c_info/xend_suspend_evtchn_compat", "xend_suspend_evtchn_compat",
                                       MAYBE(C(xend_suspend_evtchn_compat)) },

    { "b_info",                        NULL, STRUCT },
    { "b_info/max_vcpus",              NULL, INT(C(max_vcpus), 0, 0, WH_CONFIG_VCPUS) },
    { "b_info/avail_vcpus",            NULL, WH_FIELD_BITS, C(avail_vcpus) },
    { "b_info/cpumap",                 NULL, LACK },
    { "b_info/nodemap",                NULL, LACK },
    { "b_info/vcpu_hard_affinity",     NULL, WH_FIELD_AFFINITY, C(hard_affinity) },
    { "b_info/vcpu_soft_affinity",     NULL, WH_FIELD_AFFINITY, C(soft_affinity) },
    { "b_info/numa_placement",         NULL, MAYBE(C(numa_placement)) },
    { "b_info/tsc_mode",               "tsc_mode", ENUM(C(tsc_mode), WH_TSC_DEFAULT, tsc_modes) },
    { "b_info/max_memkb",              "maxmem", MEMKB(C(max_memkb), 1), MIB },
    { "b_info/target_memkb",           "memory", MEMKB(C(target_memkb), 1), MIB },
    { "b_info/video_memkb",            "videoram", MEMKB(C(video_memkb), 0), MIB },
    { "b_info/shadow_memkb",           "shadow_memory", MEMKB(C(shadow_memkb), 0), MIB },
    { "b_info/iommu_memkb",            NULL, MEMKB(C(iommu_memkb), 0) },
    { "b_info/rtc_timeoffset",         "rtc_timeoffset",
                                       U32(C(rtc_timeoffset), 0, INT32_MIN, UINT32_MAX) },
    { "b_info/exec_ssidref",           NULL, LACK },
    { "b_info/exec_ssid_label",        NULL, LACK },
    { "b_info/localtime",              "localtime", MAYBE(C(localtime)) },
    { "b_info/disable_migrate",        "nomigrate", MAYBE(C(disable_migrate)) },
    { "b_info/cpuid",                  NULL, WH_FIELD_JSON, C(cpuid) },
    { "b_info/blkdev_start",           NULL, KEPT },
    { "b_info/vnuma_nodes",            NULL, LACK },
    { "b_info/max_grant_frames",       "max_grant_frames", GRANTS(C(max_grant_frames)) },
    { "b_info/max_maptrack_frames",    "max_maptrack_frames", GRANTS(C(max_maptrack_frames)) },
    { "b_info/max_grant_version",      "max_grant_version",
                                       INT(C(max_grant_version), WH_UNSET_INT, 0, 2) },
    { "b_info/device_model_version",   "device_model_version",
                                       ENUM(C(device_model_version), WH_DM_UNKNOWN, device_models),
                                       HVM_KEY },
    { "b_info/device_model_stubdomain", NULL, LACK },
    { "b_info/stubdomain_memkb",       NULL, KEPT },
    { "b_info/stubdomain_kernel",      NULL, KEPT },
    { "b_info/stubdomain_cmdline",     NULL, KEPT },
    { "b_info/stubdomain_ramdisk",     NULL, KEPT },
    { "b_info/device_model",           "device_model_override",
                                       STRING(C(device_model), PATH_LONGEST, TEXT), HVM_KEY },
    { "b_info/device_model_ssidref",   NULL, LACK },
    { "b_info/device_model_ssid_label", NULL, LACK },
    { "b_info/device_model_user",      "device_model_user",
                                       STRING(C(device_model_user), 63, PART), HVM_KEY },
    { "b_info/extra",                  "device_model_args",
                                       STRINGS(C(extra), extra, PATH_LONGEST, TEXT), HVM_KEY },
    { "b_info/extra_pv",               NULL, LACK, PV },
    { "b_info/extra_hvm",              "device_model_args_hvm",
                                       STRINGS(C(extra_hvm), extra_hvm, PATH_LONGEST, TEXT),
                                       HVM_KEY },
    { "b_info/sched_params",           NULL, STRUCT },
    { "b_info/sched_params/sched",     NULL, ENUM(C(sched_params.sched), WH_SCHED_UNKNOWN,
                                                  schedulers) },
    { "b_info/sched_params/weight",    "cpu_weight", SCHED(C(sched_params.weight), 0, 65535) },
    { "b_info/sched_params/cap",       "cap", SCHED(C(sched_params.cap), 0, 65535) },
    { "b_info/sched_params/period",    "period", SCHED(C(sched_params.period), 0, INT_MAX) },
    { "b_info/sched_params/budget",    NULL, SCHED(C(sched_params.budget), 0, INT_MAX) },
    { "b_info/sched_params/extratime", "extratime", SCHED(C(sched_params.extratime), 0, 1) },
    { "b_info/sched_params/slice",     NULL, KEPT },
    { "b_info/sched_params/latency",   NULL, KEPT },
    { "b_info/ioports",                NULL, LACK },
    { "b_info/irqs",                   NULL, LACK },
    { "b_info/iomem",                  NULL, LACK },
    { "b_info/claim_mode",             NULL, MAYBE(C(claim_mode)) },
    { "b_info/event_channels",         "max_event_channels",
                                       U32(C(event_channels), 0, 0, UINT32_MAX) },
    { "b_info/kernel",                 "kernel", TEXT(C(kernel)) },
    { "b_info/cmdline",                NULL, TEXT(C(cmdline)) },
    { "b_info/ramdisk",                "ramdisk", TEXT(C(ramdisk)) },
    { "b_info/device_tree",            NULL, LACK },
    { "b_info/acpi",                   "acpi", MAYBE(C(acpi)) },
    { "b_info/bootloader",             NULL, KEPT },        /* has done its work */
    { "b_info/bootloader_args",        NULL, KEPT },
    { "b_info/timer_mode",             "timer_mode",
                                       ENUM(C(timer_mode), WH_TIMER_UNKNOWN, timer_modes),
                                       .guests = WH_FIELD_HVM | WH_FIELD_PVH },
    { "b_info/nested_hvm",             "nestedhvm", MAYBE(C(nested_hvm)) },
    { "b_info/apic",                   "apic", MAYBE(C(apic)), HVM_KEY },
    { "b_info/dm_restrict",            "dm_restrict", MAYBE(C(dm_restrict)), HVM_KEY },
    { "b_info/tee",                    NULL, KEPT },
    { "b_info/type.hvm",               NULL, STRUCT, HVM },
    { "b_info/type.hvm/firmware",      "firmware_override",
                                       STRING(C(hvm.firmware), PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/bios",          "bios", ENUM(C(hvm.bios), WH_BIOS_UNKNOWN, wh_field_bioses),
                                       HVM },
    { "b_info/type.hvm/pae",           "pae", MAYBE(C(hvm.pae)), HVM },
    { "b_info/type.hvm/apic",          NULL, MAYBE(C(hvm.apic)), HVM },
    { "b_info/type.hvm/acpi",          NULL, MAYBE(C(hvm.acpi)), HVM },
    { "b_info/type.hvm/acpi_s3",       "acpi_s3", MAYBE(C(hvm.acpi_s3)), HVM },
    { "b_info/type.hvm/acpi_s4",       "acpi_s4", MAYBE(C(hvm.acpi_s4)), HVM },
    { "b_info/type.hvm/acpi_laptop_slate", "acpi_laptop_slate",
                                       MAYBE(C(hvm.acpi_laptop_slate)), HVM },
    { "b_info/type.hvm/nx",            "nx", MAYBE(C(hvm.nx)), HVM },
    { "b_info/type.hvm/viridian",      NULL, MAYBE(C(hvm.viridian)), HVM },
    { "b_info/type.hvm/viridian_enable", NULL, WH_FIELD_BITS, C(hvm.viridian_enable), HVM },
    { "b_info/type.hvm/viridian_disable", NULL, WH_FIELD_BITS, C(hvm.viridian_disable), HVM },
    { "b_info/type.hvm/timeoffset",    NULL, STRING(C(hvm.timeoffset), 63, TEXT), HVM },
    { "b_info/type.hvm/hpet",          "hpet", MAYBE(C(hvm.hpet)), HVM },
    { "b_info/type.hvm/vpt_align",     "vpt_align", MAYBE(C(hvm.vpt_align)), HVM },
    { "b_info/type.hvm/mmio_hole_memkb", "mmio_hole",
                                       U64(C(hvm.mmio_hole_memkb), (int64_t)WH_UNSET_MEMKB,
                                           HOLE_LEAST, HOLE_MOST), HVM, MIB },
    { "b_info/type.hvm/timer_mode",    NULL, ENUM(C(hvm.timer_mode), WH_TIMER_UNKNOWN, timer_modes),
                                       HVM },
    { "b_info/type.hvm/nested_hvm",    NULL, MAYBE(C(hvm.nested_hvm)), HVM },
    { "b_info/type.hvm/altp2m",        "altp2mhvm", MAYBE(C(hvm.altp2m)), HVM },
    { "b_info/type.hvm/system_firmware", "bios_path_override",
                                       STRING(C(hvm.system_firmware), PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/smbios_firmware", "smbios_firmware",
                                       STRING(C(hvm.smbios_firmware), PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/acpi_firmware", "acpi_firmware",
                                       STRING(C(hvm.acpi_firmware), PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/hdtype",        "hdtype", ENUM(C(hvm.hdtype), WH_HDTYPE_IDE, hdtypes), HVM },
    { "b_info/type.hvm/nographic",     "nographic", MAYBE(C(hvm.nographic)), HVM },
    { "b_info/type.hvm/vga",           NULL, STRUCT, HVM },
    { "b_info/type.hvm/vga/kind",      "vga", ENUM(C(hvm.vga), WH_VGA_UNKNOWN, wh_field_vgas), HVM },
    { "b_info/type.hvm/vnc",           NULL, STRUCT, HVM },
    { "b_info/type.hvm/vnc/enable",    "vnc", MAYBE(C(hvm.vnc.enable)), HVM },
    { "b_info/type.hvm/vnc/listen",    "vnclisten", STRING(C(hvm.vnc.listen), 255, HOST), HVM },
    { "b_info/type.hvm/vnc/passwd",    "vncpasswd", STRING(C(hvm.vnc.passwd), 255, TEXT), HVM },
    { "b_info/type.hvm/vnc/display",   "vncdisplay", INT(C(hvm.vnc.display), 0, 0, DISPLAY_MAX), HVM },
    { "b_info/type.hvm/vnc/findunused", "vncunused", MAYBE(C(hvm.vnc.findunused)), HVM },
    { "b_info/type.hvm/keymap",        "keymap", STRING(C(hvm.keymap), 63, PART), HVM },
    { "b_info/type.hvm/sdl",           NULL, STRUCT, HVM },
    { "b_info/type.hvm/sdl/enable",    NULL, LACK, HVM },
    { "b_info/type.hvm/sdl/opengl",    NULL, KEPT, HVM },
    { "b_info/type.hvm/sdl/display",   NULL, KEPT, HVM },
    { "b_info/type.hvm/sdl/xauthority", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice",         NULL, STRUCT, HVM },
    { "b_info/type.hvm/spice/enable",  NULL, LACK, HVM },
    { "b_info/type.hvm/spice/port",    NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/tls_port", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/host",    NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/disable_ticketing", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/passwd",  NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/agent_mouse", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/vdagent", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/clipboard_sharing", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/usbredirection", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/image_compression", NULL, KEPT, HVM },
    { "b_info/type.hvm/spice/streaming_video", NULL, KEPT, HVM },
    { "b_info/type.hvm/gfx_passthru",  NULL, LACK, HVM },
    { "b_info/type.hvm/gfx_passthru_kind", NULL, KEPT, HVM },
    { "b_info/type.hvm/serial",        NULL, STRING(C(hvm.serial), PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/boot",          "boot", STRING(C(hvm.boot), 63, TEXT), HVM },
    { "b_info/type.hvm/usb",           "usb", MAYBE(C(hvm.usb)), HVM },
    { "b_info/type.hvm/usbversion",    NULL, LACK, HVM },
    { "b_info/type.hvm/usbdevice",     NULL, STRING(C(hvm.usbdevice), 63, TEXT), HVM },
    { "b_info/type.hvm/vkb_device",    "vkb_device", MAYBE(C(hvm.vkb_device)), HVM },
    { "b_info/type.hvm/soundhw",       NULL, LACK, HVM },
    { "b_info/type.hvm/xen_platform_pci", "xen_platform_pci", MAYBE(C(hvm.xen_platform_pci)), HVM },
    { "b_info/type.hvm/usbdevice_list", NULL,
                                       STRINGS(C(hvm.usbdevice_list), usbdevices, 63, TEXT), HVM },
    { "b_info/type.hvm/vendor_device", NULL, LACK, HVM, .nothing = "none" },
    { "b_info/type.hvm/ms_vm_genid",   NULL, WH_FIELD_GENID, C(hvm.genid), HVM },
    { "b_info/type.hvm/serial_list",   NULL,
                                       STRINGS(C(hvm.serial_list), serials, PATH_LONGEST, TEXT), HVM },
    { "b_info/type.hvm/rdm",           NULL, STRUCT, HVM },
    { "b_info/type.hvm/rdm/strategy",  NULL, LACK, HVM, .nothing = "ignore" },
    { "b_info/type.hvm/rdm/policy",    NULL, KEPT, HVM },
    { "b_info/type.hvm/rdm_mem_boundary_memkb", NULL, KEPT, HVM },
    { "b_info/type.hvm/mca_caps",      NULL, LACK, HVM },
    { "b_info/type.pv",                NULL, STRUCT, PV },
    { "b_info/type.pv/kernel",         NULL, KEPT, PV },
    { "b_info/type.pv/slack_memkb",    NULL, MEMKB(C(pv.slack_memkb), 0), PV },
    { "b_info/type.pv/bootloader",     NULL, KEPT, PV },
    { "b_info/type.pv/bootloader_args", NULL, KEPT, PV },
    { "b_info/type.pv/cmdline",        NULL, KEPT, PV },
    { "b_info/type.pv/ramdisk",        NULL, KEPT, PV },
    { "b_info/type.pv/features",       NULL, KEPT, PV },
    { "b_info/type.pv/e820_host",      "e820_host", MAYBE(C(pv.e820_host)), PV },
    { "b_info/type.pvh",               NULL, STRUCT, PVH },
    { "b_info/type.pvh/pvshim",        "pvshim", MAYBE(C(pvh.pvshim)), PVH },
    { "b_info/type.pvh/pvshim_path",   NULL, KEPT, PVH },
    { "b_info/type.pvh/pvshim_cmdline", NULL, KEPT, PVH },
    { "b_info/type.pvh/pvshim_extra",  NULL, KEPT, PVH },
    { "b_info/arch_arm",               NULL, STRUCT },
    { "b_info/arch_x86",               NULL, STRUCT },
    { "b_info/arch_x86/msr_relaxed",   "msr_relaxed", MAYBE(C(msr_relaxed)) },
    { "b_info/altp2m",                 "altp2m",
                                       ENUM(C(altp2m), WH_ALTP2M_DISABLED, altp2m_modes) },
    { "b_info/vmtrace_buf_kb",         "vmtrace_buf_kb", INT(C(vmtrace_buf_kb), 0, 0, 1 << 20) },
    { "b_info/vpmu",                   "vpmu", MAYBE(C(vpmu)) },

    { "disks",                         NULL, LIST(C(disks), wh_field_disks) },
    { "nics",                          NULL, LIST(C(nics), wh_field_nics) },
    { "pcidevs",                       NULL, LACK },
    { "rdms",                          NULL, LACK },
    { "dtdevs",                        NULL, LACK },
    { "vfbs",                          NULL, LACK },
    { "vkbs",                          NULL, LACK },
    { "vtpms",                         NULL, LACK },
    { "p9s",                           NULL, LACK },
    { "pvcallsifs",                    NULL, LACK },
    { "vdispls",                       NULL, LACK },
    { "vsnds",                         NULL, LACK },
    { "channels",                      NULL, LACK },
    { "usbctrls",                      NULL, LACK },
    { "usbdevs",                       NULL, LACK },
    { "on_poweroff",                   "on_poweroff", ACTION(C(on_poweroff)) },
    { "on_reboot",                     "on_reboot", ACTION(C(on_reboot)) },
    { "on_watchdog",                   "on_watchdog", ACTION(C(on_watchdog)) },
    { "on_crash",                      "on_crash", ACTION(C(on_crash)) },
    { "on_soft_reset",                 "on_soft_reset", ACTION(C(on_soft_reset)) },
    /* Ours: stock tools pass over it. */
    { "wherry_machine",                NULL, STRING(C(machine), 63, WORD), HVM },
    END,
};

/* ----------------------------------------------------------------------------- devices */

static const struct wh_field disk_fields[] = {
    { "backend_domid",          NULL, U32(D(backend_domid), 0, 0, DOMID_MAX) },
    { "backend_domname",        NULL, STRING(D(backend_domname), WH_CONFIG_NAME, NAME) },
    { "pdev_path",              NULL, STRING(D(pdev_path), PATH_LONGEST, TEXT) },
    { "vdev",                   NULL, STRING(D(vdev), 31, WORD) },
    { "backend",                NULL, ENUM(D(backend), WH_DISK_UNKNOWN, backends) },
    { "format",                 NULL, ENUM(D(format), WH_FORMAT_UNKNOWN, formats) },
    { "script",                 NULL, STRING(D(script), 255, TEXT) },
    { "removable",              NULL, FLAG(D(removable)) },
    { "readwrite",              NULL, FLAG(D(readwrite)) },
    { "is_cdrom",               NULL, FLAG(D(is_cdrom)) },
    { "direct_io_safe",         NULL, WH_FIELD_BOOL, D(direct_io_safe) },
    { "discard_enable",         NULL, MAYBE(D(discard_enable)) },
    { "specification",          NULL, ENUM(D(specification), WH_SPEC_UNKNOWN, specs) },
    { "transport",              NULL, KEPT },
    { "irq",                    NULL, KEPT },
    { "base",                   NULL, KEPT },
    { "colo_enable",            NULL, LACK },
    { "colo_restore_enable",    NULL, MAYBE(D(colo_restore_enable)) },
    { "colo_host",              NULL, KEPT },
    { "colo_port",              NULL, KEPT },
    { "colo_export",            NULL, KEPT },
    { "active_disk",            NULL, KEPT },
    { "hidden_disk",            NULL, KEPT },
    { "trusted",                NULL, MAYBE(D(trusted)) },
    END,
};

static const struct wh_field nic_fields[] = {
    { "backend_domid",          NULL, U32(N(backend_domid), 0, 0, DOMID_MAX) },
    { "backend_domname",        "backend", STRING(N(backend_domname), WH_CONFIG_NAME, NAME) },
    { "devid",                  "devid", INT(N(devid), WH_UNSET_INT, 0, 65535) },
    { "mtu",                    "mtu", INT(N(mtu), 0, 0, 65535) },
    { "model",                  "model", STRING(N(model), 63, PART) },
    { "mac",                    "mac", WH_FIELD_MAC, N(mac) },
    { "ip",                     "ip", STRING(N(ip), 255, ADDRESS) },
    { "bridge",                 "bridge", STRING(N(bridge), 255, WORD) },
    { "ifname",                 "vifname", STRING(N(ifname), 15, WORD) },
    { "script",                 "script", STRING(N(script), 255, TEXT) },
    { "nictype",                "type", ENUM(N(nictype), WH_NIC_UNKNOWN, nic_types) },
    { "rate_bytes_per_interval", NULL, U64(N(rate_bytes_per_interval), 0, 0, INT64_MAX) },
    { "rate_interval_usecs",    NULL, U32(N(rate_interval_usecs), 0, 0, UINT32_MAX) },
    { "gatewaydev",             "gatewaydev", STRING(N(gatewaydev), 255, WORD) },
    { "coloft_forwarddev",      NULL, LACK },
    { "trusted",                NULL, MAYBE(N(trusted)) },
    END,
};

static void init_disk(void *one)
{
    wh_field_init_all(disk_fields, one);
}

static void init_nic(void *one)
{
    wh_field_init_all(nic_fields, one);
}

const struct wh_list wh_field_disks = {
    disk_fields, sizeof(struct wh_disk), WH_CONFIG_DISKS, C(ndisks), init_disk,
};

const struct wh_list wh_field_nics = {
    nic_fields, sizeof(struct wh_nic), WH_CONFIG_NICS, C(nnics), init_nic,
};
