/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A configuration as JSON: what is read, what is refused and with which words, what is written, and
 * what is made of it before a guest is built. */
#include "config/config.h"
#include "unit.h"

#define UUID "b7ad599f-af34-4ae5-9ad4-5ae6a79079d3"

/* A PVH guest's, with more at each place. */
static char *json(const char *c_info, const char *b_info, const char *more)
{
    char *text;

    if (asprintf(&text, "{\"c_info\": {\"type\": \"pvh\", \"name\": \"g\","
                 " \"uuid\": \"" UUID "\"%s%s},"
                 " \"b_info\": {\"max_memkb\": 65536, \"target_memkb\": 65536,"
                 " \"type.pvh\": {}%s%s}%s%s}", *c_info ? ", " : "", c_info, *b_info ? ", " : "", b_info,
                 *more ? ", " : "", more) < 0)
        text = NULL;
    assert_non_null(text);
    return text;
}

static bool read_text(const char *text, struct wh_config *c, struct wh_err *err)
{
    return wh_config_read_json(err, text, strlen(text), c);
}

static void everything(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };
    wh_auto_free char *text = json(
        "\"pool_name\": \"my pool\", \"hap\": \"True\", \"driver_domain\": \"<default>\", \"new\": 1",
        "\"max_vcpus\": 3, \"avail_vcpus\": [2, 0], \"vcpu_hard_affinity\": [[1], [], [0, 5]],"
        " \"rtc_timeoffset\": 4294967295, \"timer_mode\": \"one_missed_tick_pending\","
        " \"sched_params\": {\"sched\": \"credit2\", \"weight\": 7, \"cap\": 0, \"slice\": 3},"
        " \"cpuid\": {\"cpuid\": [], \"msr\": []}, \"max_grant_frames\": 64, \"kernel\": null,"
        " \"arch_x86\": {\"msr_relaxed\": \"False\"}",
        "\"disks\": [{\"vdev\": \"xvda\", \"pdev_path\": \"/d\", \"readwrite\": 1, \"backend\":"
        " \"qdisk\", \"direct_io_safe\": true, \"trusted\": \"False\"}, {}],"
        " \"nics\": [{\"mac\": \"00:16:3e:00:00:01\", \"rate_bytes_per_interval\": 5000000000}],"
        " \"on_crash\": \"preserve\"");

    (void)state;
    if (!read_text(text, &c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(c.type, WH_TYPE_PVH);
    assert_string_equal(c.name, "g");
    assert_int_equal(c.uuid.byte[0], 0xb7);
    assert_string_equal(c.pool_name, "my pool");
    assert_int_equal(c.hap, WH_YES);
    assert_int_equal(c.oos, WH_UNSAID);
    assert_int_equal(c.max_vcpus, 3);
    assert_int_equal(wh_bits_count(&c.avail_vcpus), 2);
    assert_int_equal(c.hard_affinity.n, 3);
    assert_true(wh_bits_has(&c.hard_affinity.of[2], 5));
    assert_int_equal(c.rtc_timeoffset, UINT32_MAX);
    assert_int_equal(c.timer_mode, WH_TIMER_ONE_MISSED_TICK_PENDING);
    assert_int_equal(c.sched_params.weight, 7);
    assert_int_equal(c.sched_params.period, WH_UNSET_INT);
    assert_non_null(c.cpuid);
    assert_int_equal(c.max_grant_frames, 64);
    assert_true(c.max_maptrack_frames == WH_UNSET_U32 && c.video_memkb == WH_UNSET_MEMKB);
    assert_int_equal(c.msr_relaxed, WH_NO);
    assert_null(c.kernel);
    assert_int_equal(c.ndisks, 2);
    assert_int_equal(c.disks[0].backend, WH_DISK_QDISK);
    assert_true(c.disks[0].readwrite && c.disks[0].direct_io_safe && !c.disks[0].removable);
    assert_int_equal(c.disks[0].trusted, WH_NO);
    assert_null(c.disks[1].vdev);
    assert_true(c.nics[0].rate_bytes_per_interval == 5000000000 && c.nics[0].devid == -1);
    assert_int_equal(c.on_crash, WH_ACTION_PRESERVE);
    assert_int_equal(c.on_reboot, WH_ACTION_DESTROY);
    assert_null(c.lacks);
}

static void refused(void **state)
{
    static const struct { const char *c_info, *b_info, *more, *says; } bad[] = {
        { "\"name\": \"a/b\"", "", "", "c_info.name: it has a '/'" },
        { "\"name\": \"a\\nb\"", "", "", "c_info.name: it has a control character" },
        { "\"name\": \"a\\u0000b\"", "", "", "c_info.name: expected a string" },
        { "\"name\": \"\"", "", "", "c_info.name: it is not a name" },
        { "\"name\": \"..\"", "", "", "c_info.name: it is not a name" },
        { "\"name\": 5", "", "", "c_info.name: expected a string, found 5" },
        { "\"uuid\": \"../../x\"", "", "", "c_info.uuid: expected a uuid, found \"" },
        { "\"type\": \"pvx\"", "", "", "c_info.type: expected one of hvm pv pvh, found \"pvx\"" },
        { "\"type\": \"pv\"", "", "", "b_info: expected type.pv, found" },
        { "\"hap\": 1", "", "", "c_info.hap: expected \"True\", \"False\" or \"<default>\", found 1" },
        { "\"pool_name\": \"/\"", "", "", "c_info.pool_name: it has a '/'" },
        { "", "\"type.pv\": {}", "", "b_info: expected type.pvh, found type.pv" },
        { "", "\"max_vcpus\": 8193", "", "b_info.max_vcpus: expected a number from 0 to 8192" },
        { "", "\"max_vcpus\": -1", "", "b_info.max_vcpus" },
        { "", "\"max_vcpus\": 1.5", "", "b_info.max_vcpus: expected a number from 0 to 8192, found 1.5" },
        { "", "\"max_vcpus\": \"1\"", "", "b_info.max_vcpus" },
        { "", "\"avail_vcpus\": [8192]", "", "b_info.avail_vcpus: expected numbers from 0 to 8191" },
        { "", "\"avail_vcpus\": [-1]", "", "b_info.avail_vcpus" },
        { "", "\"avail_vcpus\": {}", "", "b_info.avail_vcpus: expected an array" },
        { "", "\"vcpu_hard_affinity\": [1]", "", "b_info.vcpu_hard_affinity: expected an array" },
        { "", "\"max_memkb\": 0", "", "b_info.max_memkb: expected a number from 1 to" },
        { "", "\"max_memkb\": 18446744073709551615", "", "b_info.max_memkb" },
        { "", "\"rtc_timeoffset\": 4294967296", "", "b_info.rtc_timeoffset" },
        { "", "\"rtc_timeoffset\": -1", "", "b_info.rtc_timeoffset" },
        { "", "\"sched_params\": []", "", "b_info.sched_params: expected an object, found []" },
        { "", "\"sched_params\": {\"weight\": 65536}", "", "b_info.sched_params.weight" },
        { "", "\"type.pvh\": {\"pvshim\": 1}", "", "b_info.type.pvh.pvshim: expected" },
        { "", "\"kernel\": \"a\\u0001\"", "", "b_info.kernel: it has a control character" },
        { "", "", "\"disks\": {}", "disks: expected an array of at most 256 objects, found {" },
        { "", "", "\"disks\": [1]", "disks: expected an array of at most 256 objects, found 1" },
        { "", "", "\"disks\": [{}, {\"vdev\": \"../x\"}]", "disks[1].vdev: expected letters" },
        { "", "", "\"disks\": [{\"removable\": 2}]", "disks[0].removable: expected 0, 1, true" },
        { "", "", "\"disks\": [{\"format\": \"zip\"}]", "disks[0].format: expected one of unknown q" },
        { "", "", "\"disks\": [{\"backend_domname\": \"a/b\"}]", "disks[0].backend_domname: it has a" },
        { "", "", "\"disks\": [{\"backend_domid\": 32752}]", "disks[0].backend_domid: expected" },
        { "", "", "\"nics\": [{\"mac\": \"x\"}]", "nics[0].mac: expected a MAC address, found \"x\"" },
        { "", "", "\"nics\": [{\"bridge\": \"a;b\"}]", "nics[0].bridge: expected letters" },
        { "", "", "\"nics\": [{\"bridge\": \"-b\"}]", "nics[0].bridge: it begins with a '-'" },
        { "", "", "\"nics\": [{\"ifname\": \"abcdefghijklmnop\"}]", "nics[0].ifname: it is too long" },
        { "", "", "\"nics\": [{\"ip\": \"1.2.3.4 $(x)\"}]", "nics[0].ip: expected an address" },
        { "", "", "\"nics\": [{\"devid\": 65536}]", "nics[0].devid: expected a number" },
        { "", "", "\"on_crash\": \"explode\"", "on_crash: expected one of destroy restart" },
        { "", "", "\"c_info\": []", "c_info: expected an object" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(bad[i].c_info, bad[i].b_info, bad[i].more);
        struct wh_err err = { 0 };

        if (read_text(text, &c, &err))
            fail_msg("taken: %s", text);
        assert_int_equal(err.kind, WH_STREAM);
        assert_says(err.text, "the guest's configuration: ");
        assert_says(err.text, bad[i].says);
        assert_true(c.type == WH_TYPE_NONE && !c.name && !c.disks && c.ndisks == 0);
    }
}

static void not_json(void **state)
{
    static const char *const texts[] = { "", "[]", "5", "{", "{} x", "{\"b_info\": {}}", "null" };
    wh_auto_config struct wh_config c = wh_config_empty();

    (void)state;
    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        struct wh_err err = { 0 };

        if (read_text(texts[i], &c, &err))
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(err.kind, WH_STREAM);
    }
}

/* An array of n of these. */
static char *many(const char *before, const char *one, size_t n, const char *after)
{
    char *text = malloc(strlen(before) + n * (strlen(one) + 1) + strlen(after) + 1), *end;

    assert_non_null(text);
    end = stpcpy(text, before);
    for (size_t i = 0; i < n; i++)
        end = stpcpy(stpcpy(end, one), i + 1 < n ? "," : "");
    strcpy(end, after);
    return text;
}

static void bounds(void **state)
{
    static const struct { const char *before, *one; size_t most; } lists[] = {
        { "\"disks\": [", "{}", WH_CONFIG_DISKS }, { "\"nics\": [", "{}", WH_CONFIG_NICS },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(lists); i++) {
        for (size_t n = lists[i].most; n <= lists[i].most + 1; n++) {
            wh_auto_config struct wh_config c = wh_config_empty();
            wh_auto_free char *list = many(lists[i].before, lists[i].one, n, "]");
            wh_auto_free char *text = json("", "", list);
            struct wh_err err = { 0 };

            assert_int_equal(read_text(text, &c, &err), n == lists[i].most);
            assert_true(n == lists[i].most || strstr(err.text, "at most 256 objects"));
        }
    }
}

static void too_long(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *spaces = many("{\"x\": [", "0", WH_CONFIG_JSON / 2, "]}");
    struct wh_err err = { 0 };

    (void)state;
    assert_false(read_text(spaces, &c, &err));
    assert_says(err.text, "too long");
    err = (struct wh_err){ 0 };
    spaces[WH_CONFIG_JSON - 1] = '\0';
    assert_false(read_text(spaces, &c, &err));
    assert_says(err.text, "too many values");
}

/* --------------------------------------------------------------------- complete, settle */

static void lacks(void **state)
{
    static const struct { const char *c_info, *b_info, *more, *says; } bad[] = {
        { "\"ssid_label\": \"x\"", "", "", "c_info.ssid_label: is not yet supported" },
        { "", "\"iomem\": [{\"start\": 1}]", "", "b_info.iomem: is not yet supported" },
        { "", "\"device_model\": \"/tmp/x\"", "", "b_info.device_model: is not yet supported" },
        { "", "\"extra\": [\"-x\"]", "", "b_info.extra: is not yet supported" },
        { "", "\"type.pvh\": {\"pvshim\": \"True\"}", "", "pvshim: is not yet supported" },
        { "", "\"nested_hvm\": \"True\"", "", "b_info.nested_hvm: is for hvm guests only" },
        { "\"passthrough\": \"enabled\"", "", "", "c_info.passthrough: is not yet supported" },
        { "", "\"tsc_mode\": \"native_paravirt\"", "", "b_info.tsc_mode: " },
        { "", "", "\"pcidevs\": [{}]", "pcidevs: is not yet supported" },
        { "", "", "\"vfbs\": [{}]", "vfbs: is not yet supported" },
        { "", "\"max_vcpus\": 129", "", "b_info.max_vcpus: expected at most 128, found 129" },
        { "", "\"max_vcpus\": 2, \"avail_vcpus\": [0, 2]", "", "expected vCPUs below 2, found 2" },
        { "", "\"avail_vcpus\": [0, 1]", "", "b_info.avail_vcpus: expected vCPUs below 1, found 1" },
        { "", "\"vcpu_soft_affinity\": [[0], [0]]", "", "b_info.vcpu_affinity: expected at most 1" },
        { "", "\"target_memkb\": 65537", "", "b_info.target_memkb: expected at most" },
        { "", "\"max_memkb\": 1023, \"target_memkb\": 1023", "", "b_info.max_memkb: expected at l" },
        { "", "", "\"disks\": [{\"pdev_path\": \"/x\"}]", "disks[0].vdev: expected xvda" },
        { "", "", "\"disks\": [{\"vdev\": \"zz\"}]", "disks[0].vdev: expected xvda, hda, sda..., f" },
        { "", "", "\"disks\": [{\"vdev\": \"xvda\"}]", "disks[0].pdev_path: expected a path" },
        { "", "", "\"disks\": [{\"vdev\": \"xvda\", \"specification\": \"virtio\"}]", "virtio" },
        { "", "", "\"disks\": [{\"vdev\": \"xvda\", \"colo_enable\": \"True\"}]",
          "disks[0].colo_enable: is not yet supported" },
        { "", "", "\"disks\": [{\"vdev\": \"xvda\", \"pdev_path\": \"/x\"},"
                  " {\"vdev\": \"d0\", \"pdev_path\": \"/y\"}]", "disks[1].vdev: d0 is disks[0]'s too" },
        { "", "", "\"nics\": [{\"devid\": 1}, {}, {\"devid\": 1}]", "nics[2].devid: 1 is nics[0]'s" },
        { "", "", "\"nics\": [{\"nictype\": \"vif_ioemu\"}]", "nics[0].nictype: ioemu is for hvm" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(bad[i].c_info, bad[i].b_info, bad[i].more);
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
    static const struct { const char *c_info, *b_info, *more; } good[] = {
        { "\"ssidref\": 0, \"xsdata\": {}", "", "" },
        { "", "\"vnuma_nodes\": [], \"device_model\": \"\", \"device_model_stubdomain\": \"False\"", "" },
        { "", "\"type.pvh\": {\"pvshim\": \"False\"}", "\"pcidevs\": [], \"vfbs\": null" },
        { "", "\"bootloader\": \"pygrub\", \"future\": {\"x\": [1]}", "\"virtios\": [{}]" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(good); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json(good[i].c_info, good[i].b_info, good[i].more);
        struct wh_err err = { 0 };

        if (!read_text(text, &c, &err) || !wh_config_complete(&err, &c))
            fail_msg("%s: %s", text, err.text);
    }
}

static void drawn(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *text = json("\"uuid\": null", "\"target_memkb\": null, \"arch_x86\": {}",
                                   "\"nics\": [{}, {\"devid\": 0}, {\"mac\": \"2:0:0:0:0:1\"}]");
    wh_auto_free char *first = NULL, *second = NULL;
    struct wh_err err = { 0 };

    (void)state;
    assert_true(read_text(text, &c, &err) && wh_config_complete(&err, &c));
    assert_false(wh_uuid_is_zero(c.uuid));
    assert_int_equal(c.target_memkb, 65536);
    assert_int_equal(c.video_memkb, 0);
    assert_int_equal(c.msr_relaxed, WH_YES);        /* an old image: it did not say */
    assert_true(c.nics[0].devid == 1 && c.nics[1].devid == 0 && c.nics[2].devid == 2);
    assert_false(wh_mac_is_zero(c.nics[0].mac) || wh_mac_is_zero(c.nics[1].mac));
    assert_int_equal(c.nics[2].mac.byte[0], 2);
    first = wh_config_write_json(&err, &c);
    assert_true(wh_config_complete(&err, &c));
    second = wh_config_write_json(&err, &c);
    assert_string_equal(first, second);
}

static void settled(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *text = json("", "\"max_vcpus\": 2", "\"nics\": [{}, {\"bridge\": \"b\"}],"
                                   " \"disks\": [{\"vdev\": \"hda\", \"pdev_path\": \"/\"}]");
    struct wh_err err = { 0 };

    (void)state;
    assert_true(read_text(text, &c, &err) && wh_config_complete(&err, &c));
    assert_true(wh_config_settle(&err, &c));
    assert_int_equal(wh_bits_count(&c.avail_vcpus), 1);
    assert_int_equal(c.shadow_memkb, 4 * (256 * 2 + 64));
    assert_int_equal(c.event_channels, 1023);
    assert_int_equal(c.timer_mode, WH_TIMER_NO_DELAY);
    assert_true(c.acpi == WH_YES && c.vpmu == WH_NO && c.oos == WH_YES);
    assert_int_equal(c.passthrough, WH_PASSTHROUGH_DISABLED);
    assert_string_equal(c.nics[0].bridge, "xenbr0");
    assert_string_equal(c.nics[1].bridge, "b");
    assert_string_equal(c.nics[0].script, "/etc/xen/scripts/vif-bridge");
    assert_int_equal(c.nics[0].trusted, WH_YES);
    assert_int_equal(c.disks[0].discard_enable, WH_NO);
    assert_true(c.max_grant_frames == WH_UNSET_U32 && c.sched_params.weight == WH_UNSET_INT);
}

static void foreign(void **state)
{
    static const struct { const char *more; bool good; } cases[] = {
        { "\"nics\": [{\"script\": \"vif-bridge\"}]", true },
        { "\"nics\": [{\"script\": \"/etc/xen/scripts/vif-route\"}]", true },
        { "\"nics\": [{\"script\": \"/tmp/x\"}]", false },
        { "\"nics\": [{}, {\"script\": \"../x\"}]", false },
        { "\"nics\": [{\"script\": \"\"}]", false },
        { "\"nics\": [{\"script\": \"/etc/xen/scripts/../x\"}]", false },
        { "\"nics\": [{\"script\": \"/etc/xen/scripts/..\"}]", false },
        { "\"disks\": [{\"script\": \"block-iscsi\"}]", true },
        { "\"disks\": [{\"script\": \"/etc/xen/scriptsx\"}]", false },
        { "\"disks\": [{\"script\": \"a/b\"}]", false },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(cases); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_free char *text = json("", "", cases[i].more);
        struct wh_err err = { 0 };

        assert_true(read_text(text, &c, &err));
        if (wh_config_check_foreign(&err, &c) != cases[i].good)
            fail_msg("%s: %s", cases[i].more, err.text);
        assert_int_equal(err.kind, cases[i].good ? WH_OK : WH_STREAM);
    }
}

/* ------------------------------------------------------------------------------ writing */

static void written(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *text = NULL;
    struct wh_err err = { 0 };

    (void)state;
    c.type = WH_TYPE_PV;
    c.name = strdup("a\"\\\t\x01 caf\xc3\xa9/");
    c.pv.e820_host = WH_NO;
    c.pvh.pvshim = WH_YES;      /* of another type: not written */
    text = wh_config_write_json(&err, &c);
    assert_string_equal(text,
        "{\n    \"c_info\": {\n        \"type\": \"pv\",\n"
        "        \"name\": \"a\\\"\\\\\\t\\u0001 caf\xc3\xa9/\"\n    },\n"
        "    \"b_info\": {\n        \"sched_params\": {\n\n        },\n"
        "        \"type.pv\": {\n            \"e820_host\": \"False\"\n        },\n"
        "        \"arch_arm\": {\n\n        },\n        \"arch_x86\": {\n\n        }\n    }\n}\n");
}

/* What no row knows outlives reading and writing; what is unset afterwards goes. */
static void kept(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *text = json("\"future\": [1, 2.50, null]", "\"kernel\": \"/k\", \"x\": {}",
                                   "\"disks\": [{\"vdev\": \"xvda\", \"new\": true}], \"y\": -7");
    wh_auto_free char *again = NULL;
    struct wh_err err = { 0 };

    (void)state;
    assert_true(read_text(text, &c, &err));
    free(wh_take_ptr(&c.kernel));
    again = wh_config_write_json(&err, &c);
    assert_says(again, "\"future\": [\n            1,\n            2.50,\n            null\n");
    assert_says(again, "\"x\": {\n\n        }");
    assert_says(again, "\"new\": true");
    assert_says(again, "\"y\": -7");
    assert_null(strstr(again, "kernel"));
}

static void overlaid(void **state)
{
    wh_auto_free char *text = json("\"domid\": 4294967295, \"future\": 1", "\"kernel\": \"/k\","
                                   " \"sched_params\": {\"period\": 9, \"slice\": 3}",
                                   "\"usbdevs\": []");
    wh_auto_free char *now_text = NULL;
    struct wh_bits online = { 0 };
    struct wh_err err = { 0 };
    struct wh_config_now now = {
        .name = "other", .uuid = { { 1, 2 } }, .max_vcpus = 4, .online = &online,
        .target_memkb = 1234, .max_memkb = WH_UNSET_MEMKB,
        .sched = { WH_SCHED_CREDIT, 256, 0, -1, -1, -1 },
    };

    (void)state;
    assert_true(wh_bits_add(&online, 0) && wh_bits_add(&online, 3));
    now_text = wh_config_overlay(&err, text, strlen(text) + 1, &now);
    assert_says(now_text, "\"name\": \"other\"");
    assert_says(now_text, "\"uuid\": \"01020000-0000-0000-0000-000000000000\"");
    assert_null(strstr(now_text, "domid"));
    assert_says(now_text, "\"future\": 1");
    assert_says(now_text, "\"max_vcpus\": 4,\n        \"avail_vcpus\": [\n            0,\n"
                          "            3\n        ],\n        \"max_memkb\": 65536,\n"
                          "        \"target_memkb\": 1234,\n        \"sched_params\": {\n"
                          "            \"sched\": \"credit\",\n            \"weight\": 256,\n"
                          "            \"cap\": 0,\n            \"slice\": 3\n        },\n");
    assert_says(now_text, "\"usbdevs\": [");
    wh_bits_free(&online);
}

static void not_overlaid(void **state)
{
    static const char *const texts[] = { "", "{}", "[]", "{\"c_info\": {}, \"b_info\": 1}", "{" };
    struct wh_config_now now = { .name = "a", .target_memkb = WH_UNSET_MEMKB,
                                 .max_memkb = WH_UNSET_MEMKB };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        struct wh_err err = { 0 };

        assert_null(wh_config_overlay(&err, texts[i], strlen(texts[i]), &now));
        assert_says(err.text, "the stored configuration: expected libxl's JSON");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("libxl's JSON fills the struct", everything),
        TEST("hostile values are refused by their path", refused),
        TEST("what is not an object with a type is refused", not_json),
        TEST("lists are bounded", bounds),
        TEST("text and values are bounded", too_long),
        TEST("what cannot be built is refused by its path", lacks),
        TEST("what asks for nothing is no hindrance", says_nothing),
        TEST("what must stay the same is drawn up once", drawn),
        TEST("what nobody said gets libxl's default", settled),
        TEST("an image chooses no script", foreign),
        TEST("JSON is written as libxl writes it", written),
        TEST("what we know nothing of stays", kept),
        TEST("the facts of now are put over what was stored", overlaid),
        TEST("only a stored configuration is overlaid", not_overlaid),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
