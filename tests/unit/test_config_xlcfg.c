/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xl.cfg text: what is wrong is refused with its file and line, what has no effect is warned of.
 * What becomes of good text: test_config_golden.c. */
#include "config/config.h"
#include "unit.h"

static bool parse(const char *text, const char *more, struct wh_config *c, struct wh_warnings *w,
                  struct wh_err *err)
{
    struct wh_xlcfg from = { text, strlen(text), "g.cfg", more, 4 };

    return wh_config_parse_xlcfg(err, &from, c, w);
}

/* A PVH guest's text with this on lines 4 and up. */
#define HEAD "name = 'g'; type = 'pvh'\nmemory = 64\nkernel = '/k'\n"
#define PVHEAD "name = 'g'; type = 'pv'\nmemory = 64\nkernel = '/k'\n"

static void refused(void **state)
{
    static const struct { const char *text, *says; } bad[] = {
        { HEAD "vcpus = 0", "g.cfg:4: vcpus: expected a number from 1 to 8192, found \"0\"" },
        { HEAD "vcpus = 'x'", "g.cfg:4: vcpus: expected a number from 1 to 8192, found \"x\"" },
        { HEAD "vcpus = '2 '", "g.cfg:4: vcpus: expected a number" },
        { HEAD "vcpus = [ 1 ]", "g.cfg:4: vcpus: expected a single value, found a list" },
        { HEAD "vcpus = 2\n\nmaxvcpus = 1", "g.cfg:6: maxvcpus: expected at least what vcpus says (2)" },
        { HEAD "vcpus = 99999999999999999999", "g.cfg:4: vcpus: expected a number" },
        { HEAD "memory = 0", "g.cfg:4: memory: expected a number from 1 to 268435456, found \"0\"" },
        { HEAD "maxmem = 63", "g.cfg:4: maxmem: expected at least what memory says (64), found 63" },
        { HEAD "#\n# x\nmemory = '-1'", "g.cfg:6: memory: expected a number" },
        { "name = 'g'", "g.cfg: memory: expected MiB, found none" },
        { "memory = 4", "g.cfg: name: expected a name, found none" },
        { "memory = 4\nname = ''", "g.cfg:2: name: it is not a name" },
        { "memory = 4\nname = 'a/b'", "g.cfg:2: name: it has a '/'" },
        { "memory = 4\nname = 'a\xe9'", "g.cfg:2: name: expected UTF-8 text" },
        { "memory = 4\nname = [ 'a' ]", "g.cfg:2: name: expected a single value, found a list" },
        { HEAD "uuid = 'x'", "g.cfg:4: uuid: expected a uuid, found \"x\"" },
        { HEAD "type = 'xyz'", "g.cfg:4: type: expected hvm, pv or pvh, found \"xyz\"" },
        { HEAD "builder = 'generic'", "g.cfg:4: builder: expected what type says (pvh)" },
        { HEAD "localtime = 2", "g.cfg:4: localtime: expected 0 or 1, found \"2\"" },
        { HEAD "localtime = 'yes'", "g.cfg:4: localtime: expected 0 or 1, found \"yes\"" },
        { HEAD "on_crash = 'coredump_restart'", "g.cfg:4: on_crash: expected one of destroy, restart, "
                                                "rename-restart, preserve, coredump-destroy" },
        { HEAD "tsc_mode = 'fast'", "g.cfg:4: tsc_mode: expected one of default, always_emulate, " },
        { HEAD "tsc_mode = 4", "g.cfg:4: tsc_mode: expected one of default" },
        { HEAD "timer_mode = 'unknown'", "g.cfg:4: timer_mode: expected one of delay_for_missed" },
        { HEAD "cpu_weight = 65536", "g.cfg:4: cpu_weight: expected a number from 0 to 65535" },
        { HEAD "max_grant_version = 3", "g.cfg:4: max_grant_version: expected a number from 0 to 2" },
        { HEAD "rtc_timeoffset = 4294967296", "g.cfg:4: rtc_timeoffset: expected a number from -21" },
        { HEAD "cpus = '3-1'", "g.cfg:4: cpus: expected CPUs like 0-3,^1, found \"3-1\"" },
        { HEAD "cpus = '1,'", "g.cfg:4: cpus: expected CPUs like 0-3,^1, found \"1,\"" },
        { HEAD "cpus = '1;2'", "g.cfg:4: cpus: expected CPUs like" },
        { HEAD "cpus = '^1'", "g.cfg:4: cpus: expected a CPU of this host, found none in \"^1\"" },
        { HEAD "cpus = '8'", "g.cfg:4: cpus: expected a CPU of this host, found none in \"8\"" },
        { HEAD "cpus = 'nodes:0'", "g.cfg:4: cpus: CPUs by NUMA node are not yet supported" },
        { HEAD "cpus_soft = [ '0', [] ]\nvcpus = 2", "g.cfg:4: cpus_soft[1]: expected a string, fo" },
        { HEAD "disk = 'phy:/x,xvda,w'", "g.cfg:4: disk: expected a list, found a single value" },
        { HEAD "disk = [ 'phy:/x,xvda,w',\n '/x' ]", "g.cfg:4: disk[1]: no vdev specified in `/x'" },
        { HEAD "disk = [ '/x,raw,xvda,w,colo,colo-host=a,colo-port=1,colo-export=e,active-disk=a,"
               "hidden-disk=h' ]", "g.cfg:4: disk[0]" },
        { HEAD "disk = [ '/x,zip,xvda,w' ]", "g.cfg:4: disk[0]: unknown value for format: near `zip'" },
        { HEAD "disk = [ '/x,raw,../a,w' ]", "g.cfg:4: disk[0].vdev: expected letters" },
        { HEAD "vif = [ 'mac=zz' ]", "g.cfg:4: vif[0].mac: expected a MAC address, found \"zz\"" },
        { HEAD "vif = [ '', 'bridge' ]", "g.cfg:4: vif[1]: expected KEY=VALUE, found \"bridge\"" },
        { HEAD "vif = [ 'x=1' ]", "g.cfg:4: vif[0].x: no such key" },
        { HEAD "vif = [ 'bridge=a b' ]", "g.cfg:4: vif[0].bridge: expected letters" },
        { HEAD "vif = [ 'type=e1000' ]", "g.cfg:4: vif[0].type: expected one of ioemu, vif, found" },
        { HEAD "vif = [ 'rate=fast' ]", "g.cfg:4: vif[0].rate: invalid rate in `fast'" },
        { HEAD "vif = [ 'mtu=-1' ]", "g.cfg:4: vif[0].mtu: expected a number from 0 to 65535" },
        { HEAD "vif = [ 'forwarddev=x' ]", "g.cfg:4: vif[0].forwarddev: colo is not yet supported" },
        { HEAD "pvshim_cmdline = 'x'\npvshim = 'yes'", "g.cfg:5: pvshim: expected 0 or 1" },
        { HEAD "pci = [ '00:01.0' ]", "g.cfg:4: pci: is not yet supported" },
        { HEAD "bootloader = 'pygrub'", "g.cfg:4: bootloader: is not yet supported" },
        { HEAD "cpuid = 'host,tm=0'", "g.cfg:4: cpuid: is not yet supported" },
        { HEAD "vfb = [ 'vnc=1' ]", "g.cfg:4: vfb: is not yet supported" },
        { PVHEAD "vnc = 1", "g.cfg:4: vnc: is not yet supported" },
        { HEAD "vnuma = [ [ 'pnode=0' ] ]", "g.cfg:4: vnuma: is not yet supported" },
        { HEAD "device_model_args = [ '-x' ]", "g.cfg:4: device_model_args: is not yet supported" },
        { HEAD "vcpus =\n", "g.cfg:4: config parsing error near <newline>: syntax error" },
        { HEAD "vcpus = yes\n", "g.cfg:4: config parsing error near `yes'" },
        { HEAD "\nvcpus = 'a\n", "g.cfg:5: config parsing error near `'a': lexical error" },
        { HEAD "disk = [ [ 'a' ]", "g.cfg:" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_warnings struct wh_warnings w = { 0 };
        struct wh_err err = { 0 };

        if (parse(bad[i].text, NULL, &c, &w, &err))
            fail_msg("taken: %s", bad[i].text);
        assert_int_equal(err.kind, WH_USAGE);
        if (strncmp(err.text, bad[i].says, strlen(bad[i].says)) != 0)
            fail_msg("expected %s, found %s", bad[i].says, err.text);
        assert_true(c.type == WH_TYPE_NONE && !c.name && !c.disks && !c.nics);
    }
}

static void warned(void **state)
{
    static const struct { const char *text, *says; } odd[] = {
        { HEAD "memroy = 5", "g.cfg:4: memroy: is no key that xl knows, ignored" },
        { HEAD "boot = 'c'\nboot = 'd'", "g.cfg:5: boot: has no effect on a pvh guest" },
        { HEAD "e820_host = 1", "g.cfg:4: e820_host: has no effect on a pvh guest" },
        { PVHEAD "timer_mode = 'no_missed_ticks_pending'", "timer_mode: has no effect on a pv guest" },
        { HEAD "vnc = 1", "g.cfg:4: vnc: has no effect on a pvh guest" },
        { HEAD "slice = 30", "g.cfg:4: slice: has no effect on a pvh guest" },
        { HEAD "tsc_mode = 2", "g.cfg:4: tsc_mode: numbers are deprecated, \"native\" says the same" },
        { HEAD "cmdline = 'a'\nextra = 'b'", "g.cfg:5: extra: is ignored, cmdline is set" },
        { PVHEAD "builder = 'generic'", "g.cfg:4: builder: is deprecated" },
        { HEAD "vif = [ 'accel=1' ]", "g.cfg:4: vif[0].accel: is not supported by anything" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(odd); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_warnings struct wh_warnings w = { 0 };
        struct wh_err err = { 0 };

        if (!parse(odd[i].text, NULL, &c, &w, &err))
            fail_msg("%s", err.text);
        if (w.n != 1)
            fail_msg("%s: %zu warnings", odd[i].text, w.n);
        assert_says(w.text[0], odd[i].says);
    }
}

static void silent(void **state)
{
    static const char *const plain[] = {
        HEAD "pci = [ ]", HEAD "vfb = []", HEAD "cpuid = 'host'", HEAD "bootloader = ''",
        HEAD "serial = ''", HEAD "usb = 0", PVHEAD "vnc = 0", PVHEAD "tee = 'none'",
        HEAD "# boot = 'c'\nextra = 'boot = c # not a comment'", HEAD "pvshim = 0",
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(plain); i++) {
        wh_auto_config struct wh_config c = wh_config_empty();
        wh_auto_warnings struct wh_warnings w = { 0 };
        struct wh_err err = { 0 };

        if (!parse(plain[i], NULL, &c, &w, &err))
            fail_msg("%s", err.text);
        if (w.n > 0)
            fail_msg("%s", w.text[0]);
    }
}

static void overrides(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };

    (void)state;
    assert_true(parse(HEAD "vcpus = 1 # no newline", "vcpus=2\nname='h'", &c, &w, &err));
    assert_int_equal(c.max_vcpus, 2);
    assert_string_equal(c.name, "h");
    assert_false(parse(HEAD "vcpus = 1", "vcpus=0", &c, &w, &err));
    assert_says(err.text, "command line: vcpus: expected a number");
    err = (struct wh_err){ 0 };
    assert_false(parse(HEAD, "a=\n", &c, &w, &err));
    assert_says(err.text, "command line: config parsing error");
    err = (struct wh_err){ 0 };
    assert_true(parse(HEAD, "colour=1", &c, &w, &err));
    assert_string_equal(w.text[0], "command line: colour: is no key that xl knows, ignored");
}

static void bounds(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    wh_auto_free char *text = malloc(WH_CONFIG_TEXT + 2);
    struct wh_xlcfg from = { text, WH_CONFIG_TEXT + 1, "g.cfg", NULL, 4 };
    struct wh_err err = { 0 };
    size_t n;

    (void)state;
    memset(text, '\n', WH_CONFIG_TEXT + 1);
    memcpy(text, HEAD, strlen(HEAD));
    assert_false(wh_config_parse_xlcfg(&err, &from, &c, &w));
    assert_says(err.text, "g.cfg: expected at most 524288 bytes, found 524289");
    err = (struct wh_err){ 0 };
    from.n--;
    assert_true(wh_config_parse_xlcfg(&err, &from, &c, &w));
    text[WH_CONFIG_TEXT / 2] = '\0';
    assert_false(wh_config_parse_xlcfg(&err, &from, &c, &w));
    assert_says(err.text, "g.cfg: expected text, found a NUL");
    err = (struct wh_err){ 0 };
    for (n = 0; n < 5000; n++)
        memcpy(text + 4 * n, "a=1\n", 4);
    from.n = 4 * n;
    assert_false(wh_config_parse_xlcfg(&err, &from, &c, &w));
    assert_says(err.text, "g.cfg: expected at most 4096 keys");
}

/* vcpus * CPUs is what the JSON has to hold. */
static void pins(void **state)
{
    static const char text[] = HEAD "vcpus = 8192\ncpus = 'all'";
    struct wh_xlcfg from = { text, strlen(text), "g.cfg", NULL, 4096 };
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };

    (void)state;
    assert_false(wh_config_parse_xlcfg(&err, &from, &c, &w));
    assert_says(err.text, "g.cfg:5: cpus: expected at most 100000 CPUs for all vCPUs together");
    err = (struct wh_err){ 0 };
    from.host_cpus = 0;
    assert_false(wh_config_parse_xlcfg(&err, &from, &c, &w));
    assert_says(err.text, "g.cfg:5: cpus: \"all\" is not known here");
    err = (struct wh_err){ 0 };
    from.host_cpus = 512;
    from.more = "vcpus=128\nmaxvcpus=128";
    assert_true(wh_config_parse_xlcfg(&err, &from, &c, &w));
    wh_auto_free char *json = wh_config_write_json(&err, &c);
    assert_non_null(json);
    assert_true(wh_config_read_json(&err, json, strlen(json), &c));
    assert_int_equal(wh_bits_count(&c.hard_affinity.of[127]), 512);
}

/* A warning is not worth the memory of a hostile text. */
static void few_warnings(void **state)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };
    wh_auto_free char *text = malloc(65536);
    char *end = stpcpy(text, HEAD);

    (void)state;
    for (int i = 0; i < 1000; i++)
        end += sprintf(end, "k%d = 1\n", i);
    assert_true(parse(text, NULL, &c, &w, &err));
    assert_int_equal(w.n, WH_WARNINGS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is wrong is refused with its line", refused),
        TEST("what has no effect is warned of, once", warned),
        TEST("what asks for nothing is passed over", silent),
        TEST("what the command line adds comes last", overrides),
        TEST("text and keys are bounded", bounds),
        TEST("pinned CPUs are bounded by what JSON can hold", pins),
        TEST("warnings are bounded", few_warnings),
    };

    return cmocka_run_group_tests_name("config xlcfg", tests, NULL, NULL);
}
