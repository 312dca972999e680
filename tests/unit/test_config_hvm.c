/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration of an HVM guest: what it has beside the others'.  What becomes of good xl.cfg
 * text: test_config_golden.c. */
#include "config/config.h"
#include "unit.h"

/* An HVM guest's JSON, with more at each place. */
static char *json(const char *b_info, const char *hvm, const char *more)
{
    char *text;

    if (asprintf(&text, "{\"c_info\": {\"type\": \"hvm\", \"name\": \"g\"}, \"b_info\": {\"max_memkb\":"
                 " 262144, \"type.hvm\": {\"vga\": {}%s%s}%s%s}%s%s}", *hvm ? ", " : "", hvm,
                 *b_info ? ", " : "", b_info, *more ? ", " : "", more) < 0)
        text = NULL;
    assert_non_null(text);
    return text;
}

static bool read_text(const char *text, struct wh_config *c, struct wh_err *err)
{
    return wh_config_read_json(err, text, strlen(text), c);
}

static void complete(struct wh_config *c, const char *b_info, const char *hvm, const char *more)
{
    wh_auto_free char *text = json(b_info, hvm, more);
    struct wh_err err = { 0 };

    if (!read_text(text, c, &err) || !wh_config_complete(&err, c))
        fail_msg("%s: %s", text, err.text);
}

static void settle(struct wh_config *c, const char *b_info, const char *hvm, const char *more)
{
    struct wh_err err = { 0 };

    complete(c, b_info, hvm, more);
    if (!wh_config_settle(&err, c))
        fail_msg("%s", err.text);
}

/* -------------------------------------------------------------------------------- JSON */

static void everything(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };
    wh_auto_free char *text = json(
        "\"device_model_version\": \"qemu_xen\", \"device_model\": \"/q\", \"device_model_user\":"
        " \"xen-qemuuser-1\", \"extra\": [\"-a\", \"b c\"], \"extra_hvm\": [\"\"], \"dm_restrict\":"
        " \"True\", \"apic\": \"False\"",
        "\"firmware\": \"/f\", \"bios\": \"ovmf\", \"pae\": \"False\", \"acpi_s3\": \"True\", \"nx\":"
        " \"<default>\", \"viridian\": \"True\", \"viridian_enable\": [8], \"viridian_disable\": [1],"
        " \"timeoffset\": \"-3600\", \"mmio_hole_memkb\": 1048576, \"system_firmware\": \"/s\","
        " \"smbios_firmware\": \"/m\", \"acpi_firmware\": \"/a\", \"hdtype\": \"ahci\", \"vga\":"
        " {\"kind\": \"std\"}, \"vnc\": {\"enable\": \"True\", \"listen\": \"[::1%eth0]\", \"passwd\":"
        " \"a,b\", \"display\": 3, \"findunused\": \"False\"}, \"keymap\": \"en-us\", \"serial_list\":"
        " [\"pty\", \"null\"], \"boot\": \"dc\", \"usb\": \"True\", \"usbdevice\": \"tablet\","
        " \"vkb_device\": \"False\", \"xen_platform_pci\": \"False\", \"ms_vm_genid\":"
        " [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255]", "");

    (void)state;
    if (!read_text(text, &c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(c.type, WH_TYPE_HVM);
    assert_int_equal(c.device_model_version, WH_DM_QEMU);
    assert_string_equal(c.device_model, "/q");
    assert_string_equal(c.device_model_user, "xen-qemuuser-1");
    assert_true(c.nextra == 2 && c.nextra_hvm == 1);
    assert_string_equal(c.extra[1], "b c");
    assert_string_equal(c.extra_hvm[0], "");
    assert_true(c.dm_restrict == WH_YES && c.apic == WH_NO);
    assert_string_equal(c.hvm.firmware, "/f");
    assert_int_equal(c.hvm.bios, WH_BIOS_OVMF);
    assert_true(c.hvm.pae == WH_NO && c.hvm.acpi_s3 == WH_YES && c.hvm.nx == WH_UNSAID);
    assert_true(c.hvm.viridian == WH_YES && wh_bits_has(&c.hvm.viridian_enable, 8));
    assert_true(wh_bits_has(&c.hvm.viridian_disable, 1));
    assert_string_equal(c.hvm.timeoffset, "-3600");
    assert_int_equal(c.hvm.mmio_hole_memkb, 1048576);
    assert_string_equal(c.hvm.system_firmware, "/s");
    assert_string_equal(c.hvm.smbios_firmware, "/m");
    assert_string_equal(c.hvm.acpi_firmware, "/a");
    assert_true(c.hvm.hdtype == WH_HDTYPE_AHCI && c.hvm.vga == WH_VGA_STD);
    assert_true(c.hvm.vnc.enable == WH_YES && c.hvm.vnc.findunused == WH_NO);
    assert_string_equal(c.hvm.vnc.listen, "[::1%eth0]");
    assert_string_equal(c.hvm.vnc.passwd, "a,b");
    assert_int_equal(c.hvm.vnc.display, 3);
    assert_string_equal(c.hvm.keymap, "en-us");
    assert_true(!c.hvm.serial && c.hvm.nserial_list == 2);
    assert_string_equal(c.hvm.serial_list[1], "null");
    assert_string_equal(c.hvm.boot, "dc");
    assert_true(c.hvm.usb == WH_YES && c.hvm.xen_platform_pci == WH_NO);
    assert_string_equal(c.hvm.usbdevice, "tablet");
    assert_int_equal(c.hvm.vkb_device, WH_NO);
    assert_true(c.hvm.genid.byte[1] == 1 && c.hvm.genid.byte[15] == 255);
    assert_null(c.lacks);
}

/* What was read is written, by the struct alone, and read again. */
static void both_ways(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };
    wh_auto_free char *text = NULL, *again = NULL;

    (void)state;
    complete(&c, "\"extra\": [\"a\\\"b\"]", "\"ms_vm_genid\": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"
             " 13, 14, 15, 200], \"serial_list\": [\"pty\"]", "");
    free(wh_take_ptr(&c.origin));
    text = wh_config_write_json(&err, &c);
    assert_says(text, "\"extra\": [\n            \"a\\\"b\"\n        ]");
    assert_says(text, "\"ms_vm_genid\": [\n                1,\n                2,\n");
    assert_says(text, "                200\n            ],\n            \"serial_list\": [\n");
    assert_true(read_text(text, &c, &err));
    again = wh_config_write_json(&err, &c);
    assert_string_equal(text, again);
}

static void refused(void **state)
{
    static const struct { const char *b_info, *hvm, *more, *says; } bad[] = {
        { "\"extra\": \"-x\"", "", "", "b_info.extra: expected an array of at most 256 strings" },
        { "\"extra\": [5]", "", "", "b_info.extra: expected an array of at most 256 strings, found 5" },
        { "\"extra\": [\"a\", \"b\\n\"]", "", "", "b_info.extra[1]: it has a control character" },
        { "\"extra_hvm\": [null]", "", "", "b_info.extra_hvm: expected an array" },
        { "\"device_model_user\": \"a,b\"", "", "", "b_info.device_model_user: expected letters" },
        { "\"device_model_version\": \"kvm\"", "", "", "b_info.device_model_version: expected one of" },
        { "", "\"bios\": \"coreboot\"", "", "type.hvm.bios: expected one of unknown rombios" },
        { "", "\"vga\": {\"kind\": \"vmware\"}", "", "type.hvm.vga.kind: expected one of unknown ci" },
        { "", "\"vga\": []", "", "type.hvm.vga: expected an object, found []" },
        { "", "\"hdtype\": \"nvme\"", "", "type.hvm.hdtype: expected one of ide ahci" },
        { "", "\"vnc\": {\"listen\": \"1.2.3.4,to=9\"}", "", "vnc.listen: expected a host's address" },
        { "", "\"vnc\": {\"listen\": \"unix:/run/x\"}", "", "vnc.listen: expected a host's address" },
        { "", "\"vnc\": {\"passwd\": \"a\\nb\"}", "", "vnc.passwd: it has a control character" },
        { "", "\"vnc\": {\"display\": 59636}", "", "vnc.display: expected a number from 0 to 59635" },
        { "", "\"keymap\": \"../x\"", "", "type.hvm.keymap: expected letters, digits and -_. only" },
        { "", "\"keymap\": \"-k\"", "", "type.hvm.keymap: it begins with a '-'" },
        { "", "\"boot\": \"c\\u0001\"", "", "type.hvm.boot: it has a control character" },
        { "", "\"mmio_hole_memkb\": 262143", "", "type.hvm.mmio_hole_memkb: expected a number from" },
        { "", "\"mmio_hole_memkb\": 3932161", "", "type.hvm.mmio_hole_memkb: expected a number from" },
        { "", "\"viridian_enable\": [\"base\"]", "", "viridian_enable: expected numbers from 0 to" },
        { "", "\"ms_vm_genid\": [1]", "", "type.hvm.ms_vm_genid: expected an array of 16 bytes" },
        { "", "\"ms_vm_genid\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,256]", "", "expected bytes from 0 to 255" },
        { "", "\"serial_list\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "", "at most 16 strings" },
        { "", "", "\"nics\": [{\"model\": \"e1000,romfile\"}]", "nics[0].model: expected letters" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(bad[i].b_info, bad[i].hvm, bad[i].more);
        struct wh_err err = { 0 };

        if (read_text(text, &c, &err))
            fail_msg("taken: %s", text);
        assert_int_equal(err.kind, WH_STREAM);
        assert_says(err.text, bad[i].says);
    }
}

/* --------------------------------------------------------------------- complete, settle */

#define HDA "{\"vdev\": \"hda\", \"pdev_path\": \"/a\", \"readwrite\": 1}"

static void not_built(void **state)
{
    static const struct { const char *b_info, *hvm, *more, *says; } bad[] = {
        { "", "\"spice\": {\"enable\": \"True\"}", "", "b_info.type.hvm.spice.enable: is not yet" },
        { "", "\"sdl\": {\"enable\": \"True\"}", "", "b_info.type.hvm.sdl.enable: is not yet" },
        { "", "\"gfx_passthru\": \"True\"", "", "b_info.type.hvm.gfx_passthru: is not yet" },
        { "", "\"soundhw\": \"ac97\"", "", "b_info.type.hvm.soundhw: is not yet" },
        { "", "\"usbversion\": 2", "", "b_info.type.hvm.usbversion: is not yet" },
        { "", "\"vendor_device\": \"xenserver\"", "", "b_info.type.hvm.vendor_device: is not yet" },
        { "", "\"rdm\": {\"strategy\": \"host\"}", "", "b_info.type.hvm.rdm.strategy: is not yet" },
        { "", "\"mca_caps\": 1", "", "b_info.type.hvm.mca_caps: is not yet" },
        { "\"device_model_stubdomain\": \"True\"", "", "", "b_info.device_model_stubdomain: is not" },
        { "\"device_model_version\": \"qemu_xen_traditional\"", "", "", "qemu_xen_traditional is not" },
        { "", "\"bios\": \"rombios\"", "", "b_info.type.hvm.bios: rombios is qemu_xen_traditional's" },
        { "\"ramdisk\": \"/r\"", "", "", "b_info.kernel: expected one, there is a ramdisk" },
        { "\"cmdline\": \"a\"", "", "", "b_info.kernel: expected one, there is a cmdline" },
        { "\"nested_hvm\": \"True\", \"altp2m\": \"mixed\"", "", "", "b_info.nested_hvm: cannot be had" },
        { "\"nested_hvm\": \"True\"", "\"altp2m\": \"True\"", "", "b_info.nested_hvm: cannot be had" },
        { "", "\"nested_hvm\": \"True\", \"altp2m\": \"True\"", "", "b_info.nested_hvm: cannot be had" },
        { "\"max_vcpus\": 129", "", "", "b_info.max_vcpus: expected at most 128, found 129" },
        { "\"video_memkb\": 8191", "", "", "b_info.video_memkb: expected at least 8192 for cirrus, fo" },
        { "\"video_memkb\": 16383", "\"vga\": {\"kind\": \"std\"}", "", "expected at least 16384 for std" },
        { "\"video_memkb\": 16384", "\"vga\": {\"kind\": \"qxl\"}", "", "at least 131072 for qxl" },
        { "\"video_memkb\": 262144", "", "", "expected less than the guest's memory (262144), found 262144" },
        { "", "\"boot\": \"e\"", "", "type.hvm.boot: expected a, c, d and n, each once at most, found" },
        { "", "\"boot\": \"cdc\"", "", "type.hvm.boot: expected a, c, d and n, each once at most" },
        { "", "\"boot\": \"c,menu=on\"", "", "type.hvm.boot: expected a, c, d and n" },
        { "", "\"vnc\": {\"listen\": \"unix:x\"}", "", "vnc.listen: expected a host's address" },
        { "", "\"vnc\": {\"listen\": \"::1:3\", \"display\": 4}", "", "vnc.display: expected none, for" },
        { "", "\"serial\": \"pty\", \"serial_list\": [\"pty\"]", "", "type.hvm.serial: expected none" },
        { "", "\"usbdevice\": \"disk:/x\"", "", "usbdevice: expected tablet, mouse or keyboard, found" },
        { "", "\"usbdevice_list\": [\"mouse\", \"\"]", "", "usbdevice: expected tablet, mouse or keyb" },
        { "", "\"usbdevice\": \"mouse\", \"usbdevice_list\": [\"mouse\"]", "", "usbdevice: expected none" },
        { "", "\"viridian_enable\": [0, 8], \"viridian_disable\": [8]", "",
          "viridian_disable: stimer is in viridian_enable, too" },
        { "", "\"viridian_enable\": [8]", "", "viridian_enable: expected base with the others" },
        { "", "\"viridian\": \"True\", \"viridian_disable\": [0]", "", "expected base with the others" },
        { "", "", "\"disks\": [{\"vdev\": \"hde\", \"pdev_path\": \"/a\", \"readwrite\": 1}]",
          "disks[0].vdev: expected xvda, hda, sda..., found hde" },
        { "", "", "\"disks\": [{\"vdev\": \"hda\", \"pdev_path\": \"/a\"}]",
          "disks[0].readwrite: hda would be emulated" },
        { "", "\"hdtype\": \"ahci\"", "\"disks\": [{\"vdev\": \"xvdf\", \"pdev_path\": \"/a\"}]",
          "disks[0].readwrite: xvdf would be emulated" },
        { "", "", "\"disks\": [" HDA ", {\"vdev\": \"xvda\", \"pdev_path\": \"/b\", \"readwrite\": 1}]",
          "disks[1].vdev: xvda is emulated in the place of disks[0]'s hda" },
        { "", "", "\"disks\": [" HDA ", {\"vdev\": \"sda\", \"format\": \"empty\", \"is_cdrom\": 1}]",
          "disks[1].vdev: sda is emulated in the place of disks[0]'s hda" },
        { "", "", "\"disks\": [{\"vdev\": \"hdc\", \"pdev_path\": \"/a\", \"is_cdrom\": 1, \"backend\":"
                  " \"phy\"}]", "disks[0].backend: a CD drive of an hvm guest is qdisk's" },
        { "", "", "\"disks\": [{\"vdev\": \"hdc\", \"is_cdrom\": 1, \"pdev_path\": \"\"}]",
          "disks[0].pdev_path: expected a path, found none" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(bad[i].b_info, bad[i].hvm, bad[i].more);
        struct wh_err err = { 0 };

        if (!read_text(text, &c, &err))
            fail_msg("%s: %s", text, err.text);
        if (wh_config_complete(&err, &c))
            fail_msg("taken: %s", text);
        assert_int_equal(err.kind, WH_USAGE);
        assert_says(err.text, bad[i].says);
    }
}

static void says_nothing(void **state)
{
    static const struct { const char *b_info, *hvm, *more; } good[] = {
        { "", "\"spice\": {\"enable\": \"False\", \"port\": 6000, \"usbredirection\": 1}", "" },
        { "", "\"sdl\": {\"enable\": \"<default>\", \"opengl\": \"True\"}", "" },
        { "", "\"gfx_passthru\": \"False\", \"gfx_passthru_kind\": \"igd\", \"soundhw\": \"\"", "" },
        { "", "\"usbversion\": 0, \"vendor_device\": \"none\", \"mca_caps\": 0", "" },
        { "", "\"rdm\": {\"strategy\": \"ignore\", \"policy\": \"relaxed\"}", "" },
        { "", "\"rdm_mem_boundary_memkb\": 2097152, \"usbdevice\": \"\", \"serial\": \"\"", "" },
        { "\"extra_pv\": [\"-x\"], \"nested_hvm\": \"True\", \"cmdline\": \"\"", "", "" },
        { "\"kernel\": \"/k\", \"cmdline\": \"a\", \"ramdisk\": \"/r\"", "\"boot\": \"\"", "" },
        { "\"video_memkb\": 0", "\"vga\": {\"kind\": \"none\"}", "" },
        { "\"video_memkb\": 65536", "\"vnc\": {\"listen\": \"[::1]:5\"}", "" },
        { "", "", "\"disks\": [{\"vdev\": \"xvde\", \"pdev_path\": \"/a\"},"
                  " {\"vdev\": \"sda\", \"pdev_path\": \"/a\"}, " HDA "]" },
        { "", "\"hdtype\": \"ahci\"", "\"disks\": [" HDA ", {\"vdev\": \"xvda\", \"is_cdrom\": 1,"
                                      " \"format\": \"empty\"}]" },
        { "", "", "\"disks\": [" HDA ", {\"vdev\": \"51712\", \"pdev_path\": \"/b\"}]" },
        { "", "\"viridian\": \"True\", \"viridian_enable\": [8, 63], \"viridian_disable\": [1]", "" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(good); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();

        complete(&c, good[i].b_info, good[i].hvm, good[i].more);
    }
}

/* What other guests have nothing of is no hindrance to them, and stays. */
static void of_others(void **state)
{
    static const char text[] =
        "{\"c_info\": {\"type\": \"pvh\", \"name\": \"g\"}, \"b_info\": {\"type.pvh\": {},"
        " \"dm_restrict\": \"True\", \"device_model_version\": \"qemu_xen_traditional\","
        " \"extra_hvm\": [\"-x\"], \"apic\": \"False\"}}";
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *again = NULL;
    struct wh_err err = { 0 };

    (void)state;
    assert_true(read_text(text, &c, &err) && wh_config_complete(&err, &c));
    again = wh_config_write_json(&err, &c);
    assert_says(again, "\"dm_restrict\": \"True\"");
    assert_says(again, "qemu_xen_traditional");
    assert_says(again, "\"extra_hvm\": [\n            \"-x\"\n        ]");
    assert_null(strstr(again, "type.hvm"));
}

static void settled(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();

    (void)state;
    settle(&c, "", "", "\"nics\": [{}, {\"nictype\": \"vif\", \"model\": \"e1000\"}], \"disks\": ["
           "{\"vdev\": \"hdc\", \"format\": \"empty\", \"pdev_path\": \"\", \"is_cdrom\": 1}]");
    assert_int_equal(c.video_memkb, 8192);
    assert_int_equal(c.shadow_memkb, 4 * (256 + 256));
    assert_true(c.acpi == WH_YES && c.apic == WH_YES && c.nested_hvm == WH_NO);
    assert_true(c.dm_restrict == WH_NO && c.device_model_version == WH_DM_QEMU);
    assert_int_equal(c.timer_mode, WH_TIMER_NO_DELAY);
    assert_int_equal(c.hvm.bios, WH_BIOS_SEABIOS);
    assert_true(c.hvm.vga == WH_VGA_CIRRUS && c.hvm.hdtype == WH_HDTYPE_IDE);
    assert_true(c.hvm.pae == WH_YES && c.hvm.nx == WH_YES && c.hvm.hpet == WH_YES);
    assert_true(c.hvm.acpi_s3 == WH_YES && c.hvm.acpi_s4 == WH_YES && c.hvm.vpt_align == WH_YES);
    assert_true(c.hvm.acpi_laptop_slate == WH_NO && c.hvm.viridian == WH_NO);
    assert_true(c.hvm.nographic == WH_NO && c.hvm.usb == WH_NO);
    assert_true(c.hvm.xen_platform_pci == WH_YES && c.hvm.vkb_device == WH_YES);
    assert_int_equal(c.hvm.mmio_hole_memkb, 0);
    assert_string_equal(c.hvm.boot, "cda");
    assert_true(c.hvm.vnc.enable == WH_YES && c.hvm.vnc.findunused == WH_YES);
    assert_string_equal(c.hvm.vnc.listen, "127.0.0.1");
    assert_true(!c.hvm.serial && !c.hvm.keymap && wh_uuid_is_zero(c.hvm.genid));
    assert_true(c.nics[0].nictype == WH_NIC_VIF_IOEMU && c.nics[1].nictype == WH_NIC_VIF);
    assert_string_equal(c.nics[0].model, "rtl8139");
    assert_string_equal(c.nics[1].model, "e1000");
    assert_null(c.disks[0].pdev_path);
    assert_int_equal(c.disks[0].backend, WH_DISK_QDISK);
}

/* Without the processor's own paging both the p2m and the shadows take of it. */
static void shadow(void **state)
{
    static const char text[] = "{\"c_info\": {\"type\": \"hvm\", \"name\": \"g\", \"hap\": \"False\"},"
                               " \"b_info\": {\"max_memkb\": 262144, \"type.hvm\": {}}}";
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };

    (void)state;
    assert_true(read_text(text, &c, &err) && wh_config_complete(&err, &c));
    assert_true(wh_config_settle(&err, &c));
    assert_int_equal(c.shadow_memkb, 4 * (256 + 2 * 256));
}

static void said(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();

    (void)state;
    settle(&c, "\"device_model\": \"\"", "\"boot\": \"n\", \"vnc\": {\"enable\": \"False\"},"
           " \"hpet\": \"False\", \"vga\": {\"kind\": \"none\"}, \"bios\": \"ovmf\", \"acpi\": \"False\","
           " \"altp2m\": \"True\", \"serial\": \"\", \"mmio_hole_memkb\": 524288", "");
    assert_null(c.device_model);
    assert_null(c.hvm.serial);
    assert_string_equal(c.hvm.boot, "n");
    assert_true(c.hvm.vnc.enable == WH_NO && c.hvm.hpet == WH_NO && c.acpi == WH_NO);
    assert_null(c.hvm.vnc.listen);
    assert_int_equal(c.altp2m, WH_ALTP2M_MIXED);
    assert_true(c.video_memkb == 0 && c.hvm.bios == WH_BIOS_OVMF);
    assert_int_equal(c.hvm.mmio_hole_memkb, 524288);
}

/* The display's memory has to be the same after a restore: it is stored. */
static void video(void **state)
{
    static const struct { const char *kind; unsigned mib; } kinds[] = {
        { "cirrus", 8 }, { "std", 16 }, { "none", 0 }, { "qxl", 128 }, { "unknown", 8 },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(kinds); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        char hvm[64];

        snprintf(hvm, sizeof hvm, "\"vga\": {\"kind\": \"%s\"}", kinds[i].kind);
        complete(&c, "", hvm, "");
        assert_int_equal(c.video_memkb, kinds[i].mib * 1024);
    }
}

/* Images of before 4.10. */
static void moved(void **state)
{
    static const char old[] = "\"apic\": \"False\", \"nested_hvm\": \"True\", \"timer_mode\":"
                              " \"one_missed_tick_pending\"";
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *text = NULL;
    struct wh_err err = { 0 };

    (void)state;
    complete(&c, "", old, "");
    assert_true(c.apic == WH_NO && c.nested_hvm == WH_YES);
    assert_int_equal(c.timer_mode, WH_TIMER_ONE_MISSED_TICK_PENDING);
    text = wh_config_write_json(&err, &c);
    assert_says(text, "\n        \"timer_mode\": \"one_missed_tick_pending\",\n"
                      "        \"nested_hvm\": \"True\",\n        \"apic\": \"False\",\n");
    assert_null(strstr(text, "            \"apic\""));
    complete(&c, "\"apic\": \"True\", \"timer_mode\": \"no_missed_ticks_pending\"", old, "");
    assert_true(c.apic == WH_YES && c.nested_hvm == WH_YES);
    assert_int_equal(c.timer_mode, WH_TIMER_NO_MISSED_TICKS_PENDING);
}

static void viridian(void **state)
{
    static const struct { const char *hvm; uint32_t groups; } cases[] = {
        { "\"viridian\": \"False\"", 0 },
        { "\"viridian\": \"True\"", 0x1867 },
        { "\"viridian\": \"True\", \"viridian_enable\": [8], \"viridian_disable\": [1]", 0x1965 },
        { "\"viridian_enable\": [0, 12, 13, 63]", 0x1001 },
        { "\"viridian_disable\": [3]", 0 },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(cases); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();

        complete(&c, "", cases[i].hvm, "");
        assert_int_equal(wh_config_viridian(&c), cases[i].groups);
    }
}

/* ------------------------------------------------------------------------------ foreign */

static void foreign(void **state)
{
    static const struct { const char *b_info, *hvm, *says; } cases[] = {
        { "", "\"serial\": \"pty\", \"vnc\": {\"listen\": \"0.0.0.0\"}", NULL },
        { "\"dm_restrict\": \"True\", \"device_model_user\": \"xen-qemuuser-shared\"", "", NULL },
        { "\"device_model\": \"\", \"device_model_user\": \"\", \"extra\": []", "\"serial\": \"\"", NULL },
        { "", "\"serial_list\": [\"null\", \"none\", \"pty\"]", NULL },
        { "\"device_model\": \"/tmp/x\"", "", "b_info.device_model: expected none, found /tmp/x: only a" },
        { "\"extra\": [\"-monitor\"]", "", "b_info.extra: expected none, found -monitor: only a conf" },
        { "\"extra_hvm\": [\"-x\"]", "", "b_info.extra_hvm: expected none, found -x: only a configura" },
        { "\"device_model_user\": \"root\"", "", "b_info.device_model_user: expected xen-qemuuser-.." },
        { "", "\"serial\": \"file:/etc/passwd\"", "type.hvm.serial: expected pty, null or none, found f" },
        { "", "\"serial_list\": [\"pty\", \"tcp:h:1\"]", "type.hvm.serial: expected pty, null or none" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(cases); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(cases[i].b_info, cases[i].hvm, "");
        struct wh_err err = { 0 };

        assert_true(read_text(text, &c, &err));
        if (wh_config_check_foreign(&err, &c) != !cases[i].says)
            fail_msg("%s: %s", text, err.text);
        assert_int_equal(err.kind, cases[i].says ? WH_STREAM : WH_OK);
        if (cases[i].says)
            assert_says(err.text, cases[i].says);
    }
}

/* ------------------------------------------------------------------------------- xl.cfg */

#define HEAD "name = 'g'; type = 'hvm'\nmemory = 64\n"

static bool parse(const char *text, struct wh_config *c, struct wh_warnings *w, struct wh_err *err)
{
    struct wh_xlcfg from = { .text = text, .n = strlen(text), .file = "g.cfg" };

    return wh_config_parse_xlcfg(err, &from, c, w);
}

static void not_parsed(void **state)
{
    static const struct { const char *text, *says; } bad[] = {
        { HEAD "bios = 'x'", "g.cfg:3: bios: expected one of rombios, seabios, ovmf, found \"x\"" },
        { HEAD "vga = 'std'", "g.cfg:3: vga: expected one of cirrus, stdvga, none, qxl, found \"std\"" },
        { HEAD "stdvga = 'yes'", "g.cfg:3: stdvga: expected 0 or 1, found \"yes\"" },
        { HEAD "hdtype = 'scsi'", "g.cfg:3: hdtype: expected one of ide, ahci, found \"scsi\"" },
        { HEAD "pae = 2", "g.cfg:3: pae: expected 0 or 1, found \"2\"" },
        { HEAD "mmio_hole = 255", "g.cfg:3: mmio_hole: expected a number from 256 to 3840, found" },
        { HEAD "device_model_version = 'qemu'", "g.cfg:3: device_model_version: expected one of" },
        { HEAD "device_model_args = '-x'", "g.cfg:3: device_model_args: expected a list, found a" },
        { HEAD "device_model_args = [ 'a', [] ]", "g.cfg:3: device_model_args[1]: expected a string" },
        { HEAD "device_model_args_hvm = [ 'a\n' ]", "g.cfg:3: config parsing error" },
        { HEAD "serial = [ 'pty', '\\n' ]", "g.cfg:3: serial[1]: it has a control character" },
        { HEAD "serial = [ '','','','','','','','','','','','','','','','','' ]",
          "g.cfg:3: serial: expected at most 16, found 17" },
        { HEAD "usbdevice = [ [ 'a' ] ]", "g.cfg:3: usbdevice[0]: expected a string, found a list" },
        { HEAD "viridian = 'x'", "g.cfg:3: viridian: expected 0 or 1, found \"x\"" },
        { HEAD "viridian = [ 'base', '!x' ]", "g.cfg:3: viridian[1]: no such group: \"!x\"" },
        { HEAD "ms_vm_genid = 'x'", "g.cfg:3: ms_vm_genid: expected generate or none, found \"x\"" },
        { HEAD "vnclisten = '/x'", "g.cfg:3: vnclisten: expected a host's address" },
        { HEAD "vncdisplay = 'x'", "g.cfg:3: vncdisplay: expected a number from 0 to 59635" },
        { HEAD "vif = [ 'model=e1000;x' ]", "g.cfg:3: vif[0].model: expected letters, digits and -_." },
        { HEAD "spice = 1", "g.cfg:3: spice: is not yet supported" },
        { HEAD "sdl = 1", "g.cfg:3: sdl: is not yet supported" },
        { HEAD "gfx_passthru = 'igd'", "g.cfg:3: gfx_passthru: is not yet supported" },
        { HEAD "soundhw = 'hda'", "g.cfg:3: soundhw: is not yet supported" },
        { HEAD "rdm = 'strategy=host'", "g.cfg:3: rdm: is not yet supported" },
        { HEAD "rdm_mem_boundary = 1", "g.cfg:3: rdm_mem_boundary: is not yet supported" },
        { HEAD "usbversion = 2", "g.cfg:3: usbversion: is not yet supported" },
        { HEAD "vkb_device = 1", "g.cfg:3: vkb_device: is not yet supported" },
        { HEAD "vendor_device = 'xenserver'", "g.cfg:3: vendor_device: is not yet supported" },
        { HEAD "mca_caps = [ 'lmce' ]", "g.cfg:3: mca_caps: is not yet supported" },
        { HEAD "device_model_stubdomain_override = 1", "g.cfg:3: device_model_stubdomain_override: is" },
        { HEAD "stubdomain_memory = 128", "g.cfg:3: stubdomain_memory: is not yet supported" },
        { HEAD "vfb = [ 'vnc=1' ]", "g.cfg:3: vfb: is not yet supported" },
        { HEAD "pci = [ '00:01.0' ]", "g.cfg:3: pci: is not yet supported" },
        { "name = 'g'; builder = 'hvm'; type = 'pv'\nmemory = 64", "g.cfg:1: builder: expected what" },
        { "name = 'g'; type = 'pvh'\ndevice_model_override = '/q'\nmemory = 64\nkernel = '/k'",
          "g.cfg:2: device_model_override: is not yet supported" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_warnings struct wh_warnings w = { 0 };
        struct wh_err err = { 0 };

        if (parse(bad[i].text, &c, &w, &err))
            fail_msg("taken: %s", bad[i].text);
        assert_int_equal(err.kind, WH_USAGE);
        if (strncmp(err.text, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("expected %s, found %s", bad[i].says, err.text);
    }
}

/* Warned of this once, or (NULL) not at all. */
static void parsed(void **state)
{
    static const struct { const char *text, *says; } good[] = {
        { HEAD "spice = 0\nsdl = 0\nsoundhw = ''\nusbversion = 0\nvendor_device = 'none'", NULL },
        { HEAD "mca_caps = []\nrdm = ''\ngfx_passthru = 0\nvkb_device = 0\nopengl = 0", NULL },
        { HEAD "device_model_stubdomain_override = 0\nstubdomain_memory = 0\nviridian = []", NULL },
        { HEAD "ms_vm_genid = 'none'\nfirmware = 'bios'\napic = 1\nserial = []", NULL },
        { HEAD "kernel = '/usr/lib/xen-4.17/boot/hvmloader'", "g.cfg:3: kernel: is ignored" },
        { HEAD "kernel = 'hvmloader'", "g.cfg:3: kernel: is ignored, firmware_override takes another" },
        { HEAD "device_model = '/x'", "g.cfg:3: device_model: has no effect on an hvm guest" },
        { HEAD "spiceport = 6000", "g.cfg:3: spiceport: has no effect on an hvm guest" },
        { HEAD "e820_host = 1", "g.cfg:3: e820_host: has no effect on an hvm guest" },
        { HEAD "bootloader = 'pygrub'", "g.cfg:3: bootloader: has no effect on an hvm guest" },
        { "name = 'g'; builder = 'hvm'\nmemory = 64", "g.cfg:1: builder: is deprecated" },
        { "name = 'g'; kernel = '/k'\nmemory = 64\nserial = [ 'pty' ]", "serial: has no effect on a pv" },
        { "name = 'g'; kernel = '/k'\nmemory = 64\nviridian = 0\nms_vm_genid = 'none'\nhdtype = ''", NULL },
        { "name = 'g'; kernel = '/k'\nmemory = 64\ndm_restrict = 1", "dm_restrict: has no effect on a pv" },
        { "name = 'g'; kernel = '/k'\nmemory = 64\napic = 1", "g.cfg:3: apic: has no effect on a pv" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(good); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_warnings struct wh_warnings w = { 0 };
        struct wh_err err = { 0 };

        if (!parse(good[i].text, &c, &w, &err))
            fail_msg("%s", err.text);
        if (w.n != (good[i].says != NULL))
            fail_msg("%s: %zu warnings: %s", good[i].text, w.n, w.n > 0 ? w.text[0] : "");
        if (good[i].says)
            assert_says(w.text[0], good[i].says);
    }
}

/* Drawn for each guest, and then the guest's: it is stored. */
static void drawn(void **state)
{
    wh_auto_config struct wh_config a = wh_config_empty(), b = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    wh_auto_free char *text = NULL;
    struct wh_err err = { 0 };

    (void)state;
    assert_true(parse(HEAD "ms_vm_genid = 'generate'", &a, &w, &err));
    assert_true(parse(HEAD "ms_vm_genid = 'generate'", &b, &w, &err));
    assert_false(wh_uuid_is_zero(a.hvm.genid) || wh_uuid_equal(a.hvm.genid, b.hvm.genid));
    text = wh_config_write_json(&err, &a);
    assert_true(read_text(text, &b, &err));
    assert_true(wh_uuid_equal(a.hvm.genid, b.hvm.genid));
}

/* One key stands for another; the more particular one counts. */
static void instead(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };

    (void)state;
    assert_true(parse(HEAD "stdvga = 1\nvga = 'cirrus'", &c, &w, &err));
    assert_int_equal(c.hvm.vga, WH_VGA_CIRRUS);
    assert_true(parse(HEAD "stdvga = 0", &c, &w, &err));
    assert_int_equal(c.hvm.vga, WH_VGA_CIRRUS);
    assert_true(parse(HEAD "bios = 'ovmf'\nfirmware = 'seabios'", &c, &w, &err));
    assert_int_equal(c.hvm.bios, WH_BIOS_SEABIOS);
    assert_true(parse(HEAD "bios = 'ovmf'\nfirmware = 'bios'", &c, &w, &err));
    assert_int_equal(c.hvm.bios, WH_BIOS_OVMF);
    assert_true(parse(HEAD "firmware = '/f'\nfirmware_override = '/g'", &c, &w, &err));
    assert_string_equal(c.hvm.firmware, "/f");
    assert_true(parse(HEAD "viridian = [ 'base', '!base', 'base', 'freq', '!freq' ]", &c, &w, &err));
    assert_int_equal(wh_config_viridian(&c), 1);
    assert_true(parse(HEAD "viridian = [ 'all', '!stimer' ]", &c, &w, &err));
    assert_int_equal(wh_config_viridian(&c), 0x1eff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("libxl's JSON fills the struct", everything),
        TEST("what is read is written and read again", both_ways),
        TEST("hostile values are refused by their path", refused),
        TEST("what cannot be built is refused by its path", not_built),
        TEST("what asks for nothing is no hindrance", says_nothing),
        TEST("what is of no use to another guest stays", of_others),
        TEST("what nobody said gets libxl's default", settled),
        TEST("a guest on shadow paging has memory for both tables", shadow),
        TEST("what somebody said is kept", said),
        TEST("the display's memory is of its kind", video),
        TEST("what libxl once had elsewhere is moved", moved),
        TEST("the groups of Hyper-V's interface are those of libxl", viridian),
        TEST("an image chooses no program and no file to write to", foreign),
        TEST("what is wrong in xl.cfg is refused with its line", not_parsed),
        TEST("what has no effect is warned of, what asks for nothing is not", parsed),
        TEST("a generation id is drawn once", drawn),
        TEST("keys stand for others", instead),
    };

    return cmocka_run_group_tests_name("config hvm", tests, NULL, NULL);
}
