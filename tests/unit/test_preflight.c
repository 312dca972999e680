/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is looked at before a guest moves: each check, where it holds and where it does not, with
 * its exact text; facts of any kind; names that are forced. */
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/preflight.h"
#include "config/uuid.h"
#include "flow/features.h"
#include "flow/look.h"
#include "flow/preflight.h"
#include "unit.h"
#include "xen/fake.h"
#include "xen/here.h"

#define UUID "b7ad599f-af34-4ae5-9ad4-5ae6a7907906"

/* Two hosts; a guest on the first. */
struct world {
    struct wh_op op;
    struct wh_fake *f, *g;
    struct wh_here source, target;
    struct wh_domain d;
    char folder[PATH_MAX], scripts[PATH_MAX + 16], net[PATH_MAX + 16], disk[PATH_MAX + 16],
         qemu[PATH_MAX + 16], config[10000];
    json_object *facts, *checks;
};

static void put_file(const char *path, const char *text, mode_t mode)
{
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static void make_folders(struct world *w)
{
    char path[2 * PATH_MAX];

    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->scripts, sizeof w->scripts, "%s/scripts", w->folder);
    snprintf(w->net, sizeof w->net, "%s/net", w->folder);
    snprintf(w->disk, sizeof w->disk, "%s/disk", w->folder);
    snprintf(w->qemu, sizeof w->qemu, "%s/qemu", w->folder);
    assert_int_equal(mkdir(w->scripts, 0700), 0);
    assert_int_equal(mkdir(w->net, 0700), 0);
    snprintf(path, sizeof path, "%s/xenbr0", w->net);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/xenbr0/bridge", w->net);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/vif-bridge", w->scripts);
    put_file(path, "", 0700);
    put_file(w->disk, "12345", 0600);
    put_file(w->qemu, "#!/bin/sh\necho 'xenfv-3.1   Xen'\n", 0700);
}

static struct wh_domain domain(struct world *w, uint32_t domid)
{
    struct wh_domain d;
    bool there;

    assert_true(wh_xen_domain(&w->op, w->source.xen, domid, &d, &there) && there);
    return d;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    assert_true(wh_op_init(&w->op));
    make_folders(w);
    w->f = wh_fake_new(64);
    w->g = wh_fake_new(64);
    w->source = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f) };
    w->target = (struct wh_here){ .xen = wh_fake_xen(w->g), .store = wh_fake_store(w->g),
                                  .scripts = w->scripts, .net = w->net, .qemu = w->qemu };
    w->d = domain(w, wh_fake_guest_pvh(w->f, "web", 4, 1, 90));
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char path[2 * PATH_MAX];

    json_object_put(w->facts);
    json_object_put(w->checks);
    wh_store_close(w->source.store);
    wh_store_close(w->target.store);
    wh_xen_close(w->source.xen);
    wh_xen_close(w->target.xen);
    wh_fake_free(w->f);
    wh_fake_free(w->g);
    wh_op_done(&w->op);
    for (const char *const *name = (const char *const[]){ "scripts/vif-bridge", "scripts",
                                                          "net/xenbr0/bridge", "net/xenbr0", "net",
                                                          "fifo", NULL };
         *name; name++) {
        snprintf(path, sizeof path, "%s/%s", w->folder, *name);
        remove(path);
    }
    unit_remove_folder(w->folder);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

/* A guest's configuration; more: of the outermost object, after a comma. */
static void configure(struct world *w, const char *type, const char *b_info, const char *more)
{
    snprintf(w->config, sizeof w->config,
             "{\"c_info\": {\"type\": \"%s\", \"name\": \"web\", \"uuid\": \"" UUID "\"}, "
             "\"b_info\": {\"max_vcpus\": 1, \"max_memkb\": 16384, \"target_memkb\": 16384, "
             "%s\"shadow_memkb\": 1024, \"type.%s\": {}%s}%s}",
             type, strcmp(type, "hvm") == 0 ? "" : "\"video_memkb\": 0, \"kernel\": \"/k\", ", type,
             b_info, more);
}

static void gather(struct world *w)
{
    json_object_put(w->facts);
    w->facts = NULL;
    assert_true(wh_preflight_facts(&w->op, &w->source, &w->d, w->config, &w->facts));
}

static void check(struct world *w)
{
    json_object_put(w->checks);
    w->checks = NULL;
    assert_true(wh_preflight_check(&w->op, &w->target, w->facts, &w->checks));
    assert_ok(&w->op);
    assert_non_null(w->checks);
}

static json_object *find(json_object *checks, const char *name)
{
    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        json_object *o = json_object_array_get_idx(checks, i);

        if (strcmp(wh_json_string(o, "check", ""), name) == 0)
            return o;
    }
    fail_msg("there is no check %s", name);
    return NULL;
}

static void assert_check(struct world *w, const char *name, bool ok, const char *format, ...)
{
    json_object *o = find(w->checks, name);
    char text[2 * PATH_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    assert_string_equal(wh_json_string(o, "text", ""), text);
    assert_int_equal(json_object_get_boolean(json_object_object_get(o, "ok")), ok);
}

/* The facts of such a guest, and what the target finds. */
static void try(struct world *w, const char *type, const char *b_info, const char *more)
{
    configure(w, type, b_info, more);
    gather(w);
    check(w);
}

/* ---------------------------------------------------------------------------- all is well */

static void a_guest_that_can_come(void **state)
{
    static const char *const names[] = { "config", "xen", "memory", "name", "uuid", "cpu", "disks",
                                         "network", "devicemodel", "clock" };
    struct world *w = *state;
    char more[PATH_MAX + 256];

    snprintf(more, sizeof more, ", \"disks\": [{\"pdev_path\": \"%s\", \"vdev\": \"xvda\", "
             "\"format\": \"raw\", \"readwrite\": 1}], \"nics\": [{\"devid\": 0, \"bridge\": "
             "\"xenbr0\", \"script\": \"vif-bridge\"}, {\"devid\": 1, \"script\": "
             "\"vif-bridge\"}]", w->disk);
    try(w, "pvh", "", more);
    for (size_t i = 0; i < WH_COUNT(names); i++)
        assert_string_equal(wh_json_string(json_object_array_get_idx(w->checks, i), "check", ""),
                            names[i]);
    assert_check(w, "config", true, "the target can give the guest what it says");
    assert_check(w, "xen", true, "Xen 4.17 on the target, 4.17 on the source");
    assert_check(w, "name", true, "nobody on the target is called 'web'");
    assert_check(w, "uuid", true, "nobody on the target has " UUID);
    assert_check(w, "cpu", true, "the target's has all that the guest was told of");
    assert_check(w, "disks", true, "1 disk, all that it needs on the target is there");
    assert_check(w, "network", true, "2 interfaces, all that they need on the target is there");
    assert_check(w, "devicemodel", true, "the guest needs none");
    assert_check(w, "clock", true, "the hosts' clocks agree");
    assert_true(wh_preflight_source(&w->op, &w->source, &w->d, w->config, w->checks));
    assert_check(w, "clock", true, "the hosts' clocks agree");
    assert_check(w, "guest", true, "it runs, and can be asked to suspend");
    assert_check(w, "passthrough", true, "it has no device of this host");
    assert_check(w, "nestedhvm", true, "it runs no guests of its own");
    assert_check(w, "logdirty", true, "it can be copied while it runs");
    assert_true(wh_json_true(find(w->checks, "logdirty"), "live"));
    assert_true(wh_preflight_passed(&w->op, w->checks, NULL, 0));
}

/* -------------------------------------------------------------------------------- host */

static void set_number(struct world *w, const char *path, const char *key, uint64_t n)
{
    json_object *o = path ? json_object_object_get(w->facts, path) : w->facts;

    json_object_object_add(o, key, json_object_new_uint64(n));
}

static void an_older_xen_takes_no_guest(void **state)
{
    struct world *w = *state;

    try(w, "pvh", "", "");
    set_number(w, "xen", "minor", 18);
    check(w);
    assert_check(w, "xen", false, "Xen 4.17 on the target, 4.18 on the source: no guest goes to an "
                 "older one");
    set_number(w, "xen", "major", 3);
    check(w);
    assert_check(w, "xen", true, "Xen 4.17 on the target, 3.18 on the source");
    set_number(w, "xen", "major", 1u << 20);
    check(w);
    assert_check(w, "xen", false, "the source does not say which Xen it has");
}

static void memory_is_counted(void **state)
{
    struct world *w = *state;

    try(w, "pvh", "", "");
    set_number(w, NULL, "memory_kib", 512 << 10);
    wh_fake_set_free(w->g, 300 * 256);
    check(w);
    assert_check(w, "memory", false, "needs 517 MiB, 300 MiB are free on the target");
    wh_fake_set_free(w->g, 517 * 256);
    check(w);
    assert_check(w, "memory", true, "needs 517 MiB, 517 MiB are free on the target");
    wh_fake_set_free(w->g, 517 * 256 - 1);
    check(w);
    assert_check(w, "memory", false, "needs 517 MiB, 516 MiB are free on the target");
    set_number(w, NULL, "memory_kib", UINT64_MAX);
    check(w);
    assert_check(w, "memory", false, "the source does not say how much the guest has");
}

static void names_and_uuids_are_one_domains(void **state)
{
    struct world *w = *state;
    uint32_t domid = wh_fake_guest_pvh(w->g, "web", 4, 1, 90), other = domid;
    struct wh_domain_spec spec = { .hvm = true, .hap = true, .vcpus = 1, .event_channels = 3 };
    struct wh_uuid u;

    assert_true(wh_uuid_parse(UUID, &u));
    memcpy(spec.uuid, u.byte, sizeof spec.uuid);
    try(w, "pvh", "", "");
    assert_check(w, "name", false, "domain %u of the target is called 'web' already", domid);
    assert_check(w, "uuid", true, "nobody on the target has " UUID);
    assert_true(wh_xen_create(&w->op, w->target.xen, &spec, &domid));
    check(w);
    assert_check(w, "uuid", false, "domain %u of the target has " UUID " already", domid);
    assert_true(wh_store_write(&w->op, w->target.store, 0, "db", "/local/domain/%u/name", other));
    assert_true(wh_store_write(&w->op, w->target.store, 0, "web", "/local/domain/%u/name", domid));
    check(w);
    assert_check(w, "name", false, "domain %u of the target is called 'web' already, and is the guest "
                 "itself, or a copy of it", domid);
}

static void clocks_are_compared(void **state)
{
    struct world *w = *state;
    struct timespec t;

    try(w, "pvh", "", "");
    clock_gettime(CLOCK_REALTIME, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000;
    set_number(w, NULL, "time_ms", now - 30000);
    check(w);
    assert_says(wh_json_string(find(w->checks, "clock"), "text", ""), "the hosts' clocks differ by 3");
    assert_true(json_object_get_boolean(json_object_object_get(find(w->checks, "clock"), "ok")));
    set_number(w, NULL, "time_ms", now + 120000);
    check(w);
    assert_false(json_object_get_boolean(json_object_object_get(find(w->checks, "clock"), "ok")));
    /* What took long on the way is no difference of clocks. */
    set_number(w, NULL, "time_ms", now - 30000);
    check(w);
    json_object_object_add(find(w->checks, "clock"), "time_ms", json_object_new_uint64(now - 20000));
    assert_true(wh_preflight_source(&w->op, &w->source, &w->d, w->config, w->checks));
    assert_check(w, "clock", true, "the hosts' clocks agree");
    json_object_object_del(w->facts, "time_ms");
    check(w);
    assert_check(w, "clock", true, "the source does not say what time it is");
}

/* --------------------------------------------------------------------------- processors */

static void lose(struct world *w, uint32_t leaf, uint32_t subleaf, unsigned reg, uint32_t bits)
{
    wh_fake_set_leaf(w->g, leaf, subleaf, reg, wh_fake_leaf(w->g, leaf, subleaf, reg) & ~bits);
}

static void features_are_named(void **state)
{
    struct world *w = *state;

    lose(w, 7, 0, 1, 1u << 16);
    lose(w, 1, UINT32_MAX, 2, 1u << 30 | 1u << 27);      /* osxsave does not count */
    lose(w, 0xd, 1, 0, 8);
    lose(w, 0x80000008, UINT32_MAX, 1, 1u << 12);
    wh_fake_set_msr(w->g, 0x10a, 1);
    try(w, "pvh", "", "");
    assert_check(w, "cpu", false,
                 "the target's processor: it lacks rdrand, xsaves, avx512f, ibpb, mds_no");
    json_object *all = json_object_object_get(find(w->checks, "cpu"), "features");
    assert_int_equal(json_object_array_length(all), 5);
    assert_string_equal(json_object_get_string(json_object_array_get_idx(all, 2)), "avx512f");
}

static void more_than_features_is_compared(void **state)
{
    struct world *w = *state;

    wh_fake_set_leaf(w->g, 0, UINT32_MAX, 0, 7);
    lose(w, 0xd, 0, 0, 0x200);
    wh_fake_set_leaf(w->g, 0xd, 2, 1, 832);
    wh_fake_set_leaf(w->g, 0x80000008, UINT32_MAX, 0, 0x3027);
    try(w, "pvh", "", "");
    assert_check(w, "cpu", false, "the target's processor: its highest CPUID leaf is 0x7, the guest's "
                 "0xd; its physical addresses have 39 bits, the guest's 48; its XSAVE state avx is 256 "
                 "bytes at 832, the guest's 256 at 576; it has no XSAVE state pkru");
    wh_fake_set_leaf(w->g, 0, UINT32_MAX, 1, 0x756e6547);
    check(w);
    assert_says(wh_json_string(find(w->checks, "cpu"), "text", ""),
                "its processor is GenuenticAMD, the guest's AuthenticAMD");
}

static void many_features_are_counted(void **state)
{
    struct world *w = *state;

    lose(w, 1, UINT32_MAX, 2, UINT32_MAX);
    lose(w, 7, 0, 1, UINT32_MAX);
    try(w, "pvh", "", "");
    const char *text = wh_json_string(find(w->checks, "cpu"), "text", "");
    assert_says(text, "the target's processor: it lacks sse3, pclmulqdq, ssse3, fma, ");
    assert_says(text, " and 8 more");
}

/* Xen has the last word: of a leaf of its own we say nothing. */
static void what_xen_refuses_is_told(void **state)
{
    struct world *w = *state;
    json_object *row = json_object_new_array();

    try(w, "pvh", "", "");
    for (size_t i = 0; i < 6; i++)
        json_object_array_add(row, json_object_new_uint64(i ? 0 : 0x40000100));
    json_object_array_add(json_object_object_get(json_object_object_get(w->facts, "policy"),
                                                 "leaves"), row);
    check(w);
    assert_check(w, "cpu", false, "the target's processor: its Xen refuses the guest's policy "
                 "(leaf 0x40000100, subleaf 0)");
}

/* Xen's own names and numbers. */
static const struct {
    const char *name;
    unsigned number;
} xens[] = {
#define XEN_CPUFEATURE(name, number) { #name, number },
#include <xen/arch-x86/cpufeatureset.h>
};

static void features_are_called_as_xen_calls_them(void **state)
{
    size_t named = 0;

    (void)state;
    for (size_t i = 0; i < WH_COUNT(xens); i++) {
        const char *ours = wh_feature_name(xens[i].number / 32, xens[i].number % 32);
        char name[32] = "";

        for (size_t c = 0; xens[i].name[c]; c++)
            name[c] = (char)tolower((unsigned char)xens[i].name[c]);
        if (ours)
            assert_string_equal(ours, name);
        else
            fail_msg("%s has no name", name);
    }
    for (unsigned n = 0; n < (WH_FEATURE_WORDS - 1) * 32; n++)
        named += wh_feature_name(n / 32, n % 32) != NULL;
    assert_int_equal(named, WH_COUNT(xens));
}

/* ------------------------------------------------------------------------------ devices */

static void try_disk(struct world *w, const char *path, const char *more)
{
    char text[2 * PATH_MAX];

    snprintf(text, sizeof text, ", \"disks\": [{\"pdev_path\": \"%s\", \"vdev\": \"xvda\", "
             "\"format\": \"raw\"%s}]", path, more);
    try(w, "pvh", "", text);
}

static void disks_are_looked_for(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX + 16];

    try(w, "pvh", "", "");
    assert_check(w, "disks", true, "the guest has none");
    try_disk(w, "/nowhere/x", "");
    assert_check(w, "disks", false, "on the target: xvda: /nowhere/x: No such file or directory");
    try_disk(w, "disk", "");
    assert_check(w, "disks", false, "on the target: xvda: disk is no absolute path");
    try_disk(w, w->folder, "");
    assert_check(w, "disks", false, "on the target: xvda: %s is no file or block device", w->folder);
    snprintf(path, sizeof path, "%s/fifo", w->folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    try_disk(w, path, "");
    assert_check(w, "disks", false, "on the target: xvda: %s is no file or block device", path);
    try_disk(w, w->disk, ", \"backend_domid\": 3");
    assert_check(w, "disks", false, "on the target: xvda is served by domain 3, and numbers are each "
                 "host's own");
    try_disk(w, w->disk, ", \"backend_domname\": \"store\"");
    assert_check(w, "disks", false, "on the target: xvda: there is no domain 'store' to serve it");
    wh_fake_guest_pvh(w->g, "store", 4, 1, 90);
    check(w);
    assert_check(w, "disks", true, "1 disk, all that it needs on the target is there");
    try_disk(w, "anything", ", \"script\": \"block-none\"");
    assert_check(w, "disks", false, "on the target: xvda: the script 'block-none': No such file or "
                 "directory");
}

static void a_disk_has_the_same_size(void **state)
{
    struct world *w = *state;

    try_disk(w, w->disk, "");
    assert_check(w, "disks", true, "1 disk, all that it needs on the target is there");
    put_file(w->disk, "1234567", 0600);
    check(w);
    assert_check(w, "disks", false, "on the target: xvda: %s has 7 bytes, 5 on the source", w->disk);
}

static void a_disk_is_written_as_asked(void **state)
{
    struct world *w = *state;
    bool root = getuid() == 0;

    put_file(w->disk, "12345", 0400);
    if (root)                       /* who may write everything; it is the real one who is asked of */
        assert_int_equal(setreuid(65534, (uid_t)-1), 0);
    try_disk(w, w->disk, "");
    assert_check(w, "disks", true, "1 disk, all that it needs on the target is there");
    try_disk(w, w->disk, ", \"readwrite\": 1");
    if (root)
        assert_int_equal(setreuid(0, (uid_t)-1), 0);
    assert_check(w, "disks", false, "on the target: xvda: %s cannot be written", w->disk);
}

static void bridges_are_looked_for(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX + 64];

    try(w, "pvh", "", ", \"nics\": [{\"devid\": 0, \"bridge\": \"br7\", \"script\": "
        "\"vif-bridge\"}, {\"devid\": 1, \"bridge\": \"br45678901234567\", \"script\": "
        "\"vif-bridge\"}, {\"devid\": 2, \"script\": \"vif-route\", \"bridge\": \"br7\"}]");
    assert_check(w, "network", false, "on the target: interface 0: there is no bridge br7; interface 1: "
                 "'br45678901234567' is no name of a bridge; interface 2: the script 'vif-route': No "
                 "such file or directory");
    snprintf(path, sizeof path, "%s/vif-bridge", w->scripts);
    assert_int_equal(unlink(path), 0);
    try(w, "pvh", "", ", \"nics\": [{\"devid\": 0, \"script\": \"vif-bridge\"}]");
    assert_says(wh_json_string(find(w->checks, "network"), "text", ""), "vif-bridge': No such file");
}

static void what_has_no_room_is_counted(void **state)
{
    struct world *w = *state;
    char more[8000] = ", \"nics\": [";

    for (unsigned i = 0; i < 100; i++)
        snprintf(more + strlen(more), sizeof more - strlen(more),
                 "%s{\"devid\": %u, \"bridge\": \"nobridge\", \"script\": \"vif-bridge\"}", i ? ", " : "", i);
    strcat(more, "]");
    try(w, "pvh", "", more);
    const char *text = wh_json_string(find(w->checks, "network"), "text", "");
    assert_says(text, "interface 5: there is no bridge nobridge; ");
    assert_says(text, "; and ");
    assert_true(strlen(text) < 1000);
}

#define MACHINE ", \"wherry_machine\": \"xenfv-3.1\""

static void the_device_model_is_asked(void **state)
{
    struct world *w = *state;

    try(w, "hvm", "", "");
    assert_check(w, "config", true, "the target can give the guest what it says");
    assert_check(w, "devicemodel", true, "QEMU is there on the target");
    try(w, "hvm", "", MACHINE);
    assert_check(w, "devicemodel", true, "the target's QEMU has the machine xenfv-3.1");
    put_file(w->qemu, "#!/bin/sh\necho 'xenfv-4.2   Xen'\n", 0700);
    check(w);
    assert_check(w, "devicemodel", false, "on the target: the guest was saved of a QEMU machine "
                 "xenfv-3.1, which this host's QEMU does not have");
    put_file(w->qemu, "#!/bin/sh\nexit 1\n", 0700);
    check(w);
    assert_check(w, "devicemodel", false, "on the target: %s does not start, or does not know "
                 "-machine", w->qemu);
    try(w, "hvm", "", ", \"wherry_machine\": \"pc-1.0\"");
    assert_check(w, "devicemodel", false, "on the target: the image's configuration: 'pc-1.0' is no "
                 "machine of QEMU's for this guest");
    try(w, "hvm", ", \"dm_restrict\": \"True\", \"device_model_user\": \"xen-qemuuser-nobody\"", "");
    assert_check(w, "devicemodel", false, "on the target: device_model_user: there is no user "
                 "xen-qemuuser-nobody");
    try(w, "pvh", "", ", \"disks\": [{\"pdev_path\": \"/x\", \"vdev\": \"xvda\", \"format\": "
        "\"qcow2\"}]");
    assert_check(w, "devicemodel", true, "QEMU is there on the target");
}

/* What a configuration that comes from elsewhere may not say is not used: above all, nothing is run. */
static void a_program_of_the_senders_is_not_run(void **state)
{
    static const char *const model = ", \"device_model\": \"%s\"%s";
    struct world *w = *state;
    char program[PATH_MAX + 16], ran[PATH_MAX + 16], text[4 * PATH_MAX];

    snprintf(program, sizeof program, "%s/program", w->folder);
    snprintf(ran, sizeof ran, "%s/ran", w->folder);
    snprintf(text, sizeof text, "#!/bin/sh\n: >%s\necho 'xenfv-3.1   Xen'\n", ran);
    put_file(program, text, 0700);
    for (size_t i = 0; i < 2; i++) {
        /* Where another thing is refused first, too. */
        snprintf(text, sizeof text, model, program, i ? ", \"device_model_user\": \"root\"" : "");
        try(w, "hvm", text, i ? MACHINE ", \"nics\": [{\"devid\": 0, \"script\": \"/x\"}]" : MACHINE);
        assert_int_not_equal(access(ran, F_OK), 0);
        assert_check(w, "devicemodel", false, "the guest's configuration cannot be used");
        assert_check(w, "network", false, "the guest's configuration cannot be used");
    }
    remove(program);
}

static void a_qemu_that_hangs_is_not_waited_for(void **state)
{
    struct world *w = *state;
    int64_t began = unit_now_ms();

    put_file(w->qemu, "#!/bin/sh\nexec sleep 60\n", 0700);
    wh_op_hurry = 100;
    configure(w, "hvm", "", MACHINE);
    gather(w);
    check(w);
    wh_op_hurry = 1;
    assert_says(wh_json_string(find(w->checks, "devicemodel"), "text", ""), "on the target: ");
    assert_false(json_object_get_boolean(json_object_object_get(find(w->checks, "devicemodel"), "ok")));
    assert_true(unit_now_ms() - began < 20000);
}

/* -------------------------------------------------------------------------- configuration */

static void what_cannot_be_had_is_refused(void **state)
{
    struct world *w = *state;

    try(w, "pvh", "", ", \"pcidevs\": [{\"bus\": 3}]");
    assert_check(w, "config", false, "pcidevs: is not yet supported");
    assert_check(w, "disks", true, "the guest has none");
    assert_true(wh_preflight_source(&w->op, &w->source, &w->d, w->config, w->checks));
    assert_check(w, "passthrough", false, "it has devices of this host, which cannot move");
    try(w, "pvh", ", \"device_model\": \"/bin/sh\"", "");
    assert_check(w, "config", false, "b_info.device_model: expected none, found /bin/sh: only a "
                 "configuration of your own may say it");
    snprintf(w->config, sizeof w->config, "{\"c_info\": []}");
    gather(w);
    check(w);
    for (size_t i = 0; i < 5; i++)
        assert_check(w, (const char *const[]){ "name", "uuid", "disks", "network",
                                               "devicemodel" }[i],
                     false, "the guest's configuration cannot be used");
}

/* -------------------------------------------------------------------------- the source */

static void look_at(struct world *w, const struct wh_domain *d)
{
    json_object_put(w->checks);
    w->checks = json_object_new_array();
    assert_true(wh_preflight_source(&w->op, &w->source, d, w->config, w->checks));
}

static void a_guest_must_be_able_to_suspend(void **state)
{
    struct world *w = *state;
    struct wh_domain d = w->d;

    configure(w, "pvh", "", "");
    d.paused = true;
    look_at(w, &d);
    assert_check(w, "guest", false, "it is paused, and a paused guest cannot suspend");
    d.shutdown = true;
    d.reason = WH_CRASH;
    look_at(w, &d);
    assert_check(w, "guest", false, "it has shut down (crash)");
    d.dying = true;
    look_at(w, &d);
    assert_check(w, "guest", false, "it is being destroyed");
}

static void devices_of_the_host_stay(void **state)
{
    struct world *w = *state;

    configure(w, "pvh", ", \"nested_hvm\": \"True\"", "");
    assert_true(wh_fake_write(w->f, 0, "1", "/libxl/%u/device/pci/0/num_devs", w->d.domid));
    look_at(w, &w->d);
    assert_check(w, "passthrough", false, "it has PCI devices of this host, which cannot move");
    assert_check(w, "nestedhvm", false,
                 "nested virtualization is on, and guests of its own would not survive");
}

static void a_pv_guest_may_have_to_stop(void **state)
{
    struct world *w = *state;
    struct wh_domain pv = domain(w, wh_fake_guest_pv(w->f, "db", 4, 2, 90, 8, WH_FAKE_LINEAR));

    configure(w, "pv", "", "");
    look_at(w, &pv);
    assert_check(w, "logdirty", true, "this Xen cannot tell which pages of a PV guest change: it is "
                 "suspended while it is copied");
    assert_false(wh_json_true(find(w->checks, "logdirty"), "live"));
    assert_true(wh_preflight_passed(&w->op, w->checks, NULL, 0));
    wh_fake_pv_logdirty(w->f, true);
    look_at(w, &pv);
    assert_check(w, "logdirty", true, "it can be copied while it runs");
    assert_true(wh_json_true(find(w->checks, "logdirty"), "live"));
}

/* ------------------------------------------------------------------------------- forcing */

static json_object *made(const char *text)
{
    const char *why;
    size_t at;
    json_object *o = wh_json_parse(text, strlen(text), &why, &at);

    assert_non_null(o);
    return o;
}

/* Up to two of forced; NULL: no more. */
static void assert_not_passed(struct world *w, enum wh_kind kind, const char *says, const char *a,
                              const char *b)
{
    const char *const forced[] = { a, b };
    size_t n = (size_t)(a != NULL) + (b != NULL);

    assert_false(wh_preflight_passed(&w->op, w->checks, forced, n));
    assert_kind(&w->op, kind);
    assert_string_equal(w->op.err.text, says);
    w->op.err = (struct wh_err){ 0 };
}

static void what_does_not_hold_can_be_forced(void **state)
{
    struct world *w = *state;

    w->checks = made("[{\"check\": \"xen\", \"ok\": true}, {\"check\": \"cpu\", \"ok\": false, "
                     "\"text\": \"it lacks avx\"}, {\"check\": \"disks\", \"ok\": false, \"text\": "
                     "\"no disk\"}, {\"check\": \"later\", \"ok\": false}]");
    assert_not_passed(w, WH_USAGE, "cpu: it lacks avx; 2 more checks do not hold", NULL, NULL);
    assert_not_passed(w, WH_USAGE, "cpu: it lacks avx; 1 more check does not hold", "disks",
                      NULL);
    assert_not_passed(w, WH_USAGE, "later: it does not hold", "disks,cpu", NULL);
    assert_not_passed(w, WH_USAGE, "there is no check 'dsks' to be forced", "cpu,dsks", NULL);
    assert_not_passed(w, WH_USAGE, "there is no check 'avx' to be forced", "cpu", "avx");
    assert_true(wh_preflight_passed(&w->op, w->checks,
                                    (const char *const[]){ "cpu,disks,memory", "later" }, 2));
    assert_false(json_object_object_get_ex(find(w->checks, "xen"), "forced", NULL));
    assert_true(json_object_object_get_ex(find(w->checks, "cpu"), "forced", NULL));
}

static void an_answer_may_be_anything(void **state)
{
    static const char *const answers[] = { "[1, null, [], {}, \"x\"]", "[{\"check\": 1, \"ok\": 1}]",
                                           "[{\"ok\": \"no\", \"text\": []}]" };
    struct world *w = *state;
    FILE *f = tmpfile();

    for (size_t i = 0; i < WH_COUNT(answers); i++) {
        json_object_put(w->checks);
        w->checks = made(answers[i]);
        configure(w, "pvh", "", "");
        wh_preflight_passed(&w->op, w->checks, (const char *const[]){ "cpu" }, 1);
        w->op.err = (struct wh_err){ 0 };
        wh_preflight_print(f, w->checks);
        assert_true(wh_preflight_source(&w->op, &w->source, &w->d, w->config, w->checks));
    }
    fclose(f);
    json_object_put(w->checks);
    w->checks = made("{}");
    assert_not_passed(w, WH_PEER, "the target's answer is no list of checks", NULL, NULL);
    assert_false(wh_preflight_source(&w->op, &w->source, &w->d, w->config, w->checks));
}

static void people_get_a_table(void **state)
{
    struct world *w = *state;
    wh_auto_free char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    w->checks = made("[{\"check\": \"xen\", \"ok\": true, \"text\": \"well\"}, {\"check\": \"cpu\", "
                     "\"ok\": false, \"forced\": true, \"text\": \"it lacks avx\"}, {\"check\": "
                     "\"devicemodel\", \"ok\": false, \"text\": \"\\u001b[31mred\"}]");
    wh_preflight_print(f, w->checks);
    fclose(f);
    assert_string_equal(text, "xen          ok      well\n"
                              "cpu          forced  it lacks avx\n"
                              "devicemodel  NO      ?[31mred\n");
}

static void scripts_get_json_without_controls(void **state)
{
    wh_auto_json json_object *o = json_object_new_object();
    wh_auto_free char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    /* As what a peer said is where it is cut in the middle of a character. */
    json_object_object_add(o, "error", wh_json_text("a/b \033[2J \xc2\x9b" "2J\x7f \xc3\xa9 \xc2\xa0 \xe2\x82"));
    wh_cli_json(f, o, JSON_C_TO_STRING_PLAIN);
    fclose(f);
    assert_string_equal(text, "{\"error\":\"a/b \\u001b[2J \\u009b2J\\u007f \xc3\xa9 \xc2\xa0 "
                              "\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

/* ----------------------------------------------------------------------------- hostility */

static void facts_may_be_anything(void **state)
{
    static const char *const wrong[] = { "{}", "[]", "1", "null", "\"\"", "[[[[[[[[[[[[]]]]]]]]]]]]",
                                         "{\"config\": {}, \"xen\": 4, \"policy\": []}",
                                         "{\"config\": \"{\", \"disks\": 1, \"memory_kib\": -1}",
                                         "{\"policy\": {\"leaves\": [[1]], \"msrs\": {}}}",
                                         "{\"policy\": {\"leaves\": [], \"msrs\": []}}",
                                         "{\"time_ms\": -5, \"type\": [], \"xen\": {\"major\": \"4\"}}",
                                         "{\"time_ms\": 18446744073709551615}" };
    struct world *w = *state;

    for (size_t i = 0; i < WH_COUNT(wrong); i++) {
        const char *why;
        size_t at;

        json_object_put(w->facts);
        w->facts = wh_json_parse(wrong[i], strlen(wrong[i]), &why, &at);
        check(w);
        assert_check(w, "cpu", false, "the source does not say what processor the guest has");
        assert_check(w, "memory", false, "the source does not say how much the guest has");
        assert_check(w, "xen", false, "the source does not say which Xen it has");
        assert_false(wh_preflight_passed(&w->op, w->checks, NULL, 0));
        w->op.err = (struct wh_err){ 0 };
    }
}

static void a_policy_may_be_anything(void **state)
{
    static const char *const wrong[] = {
        "{\"leaves\": [[1, 2, 3, 4, 5]], \"msrs\": []}",
        "{\"leaves\": [[1, 2, 3, 4, 5, 4294967296]], \"msrs\": []}",
        "{\"leaves\": [[1, 2, 3, 4, 5, -1]], \"msrs\": []}",
        "{\"leaves\": [[1, 2, 3, 4, 5, \"6\"]], \"msrs\": []}",
        "{\"leaves\": [[1, 2, 3, 4, 5, 6]], \"msrs\": [[1]]}",
        "{\"leaves\": [[1, 2, 3, 4, 5, 6]], \"msrs\": [[4294967296, 1]]}",
        "{\"leaves\": [[1, 2, 3, 4, 5, 6]]}",
    };
    struct wh_policy p;

    (void)state;
    for (size_t i = 0; i < WH_COUNT(wrong); i++) {
        wh_auto_json json_object *o = made(wrong[i]);

        assert_false(wh_policy_read(o, &p));
        assert_null(p.leaves);
    }
    wh_auto_json json_object *good = made("{\"leaves\": [[1, 2, 3, 4, 5, 4294967295]], \"msrs\": "
                                          "[[1, 18446744073709551615]]}");
    assert_true(wh_policy_read(good, &p));
    wh_auto_json json_object *again = wh_policy_json(&p);
    assert_true(json_object_equal(good, again));
    json_object *leaves = json_object_object_get(good, "leaves");
    for (size_t i = 0; i < 1024; i++)
        json_object_array_add(leaves, json_object_get(json_object_array_get_idx(leaves, 0)));
    wh_policy_free(&p);
    assert_false(wh_policy_read(good, &p));
}

/* Every stretch of good facts cut out, and every byte another. */
static void facts_may_be_broken(void **state)
{
    struct world *w = *state;
    uint64_t seed = 7;

    configure(w, "pvh", "", ", \"nics\": [{\"devid\": 0}]");
    gather(w);
    wh_auto_free char *good = strdup(json_object_to_json_string(w->facts));
    wh_auto_free char *bad = strdup(good);
    size_t n = strlen(good);
    for (size_t i = 0; i < 400; i++) {
        const char *why;
        size_t at;

        memcpy(bad, good, n);
        for (size_t k = 0; k < 3; k++)
            bad[unit_below(&seed, n)] = "{}[]\",:0189-nt"[unit_below(&seed, 14)];
        wh_auto_json json_object *o = wh_json_parse(bad, n, &why, &at);
        wh_auto_json json_object *checks = NULL;
        assert_true(wh_preflight_check(&w->op, &w->target, o, &checks));
    }
}

static void a_host_that_cannot_be_asked_is_a_failure(void **state)
{
    struct world *w = *state;

    configure(w, "pvh", "", ", \"nics\": [{\"devid\": 0}]");
    gather(w);
    wh_fake_fault(w->g, 0, WH_FAULT_NONE);
    check(w);
    uint64_t calls = wh_fake_calls(w->g);
    assert_true(calls > 4);
    for (uint64_t k = 1; k <= calls; k++) {
        json_object *checks = w->facts;

        wh_fake_fault(w->g, k, WH_FAULT_FAIL);
        assert_false(wh_preflight_check(&w->op, &w->target, w->facts, &checks));
        assert_null(checks);
        assert_kind(&w->op, WH_XEN);
        assert_says(w->op.err.text, "look whether the guest can come: ");
        w->op.err = (struct wh_err){ 0 };
    }
}

static void looking_is_bounded(void **state)
{
    struct world *w = *state;
    struct wh_look l;

    assert_true(wh_look(&w->op, w->disk, 1000, &l));
    assert_int_equal(l.sys, 0);
    assert_true(S_ISREG(l.mode) && l.writable);
    assert_int_equal(l.bytes, 5);
    assert_true(wh_look(&w->op, w->disk, 0, &l));       /* no time at all: it may be there or late */
    assert_ok(&w->op);
    wh_op_cancel(&w->op);
    assert_false(wh_look(&w->op, w->disk, 1000, &l));
    assert_kind(&w->op, WH_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST("a guest that can come", a_guest_that_can_come),
        WORLD_TEST("an older Xen takes no guest", an_older_xen_takes_no_guest),
        WORLD_TEST("memory is counted", memory_is_counted),
        WORLD_TEST("names and uuids are one domain's", names_and_uuids_are_one_domains),
        WORLD_TEST("clocks are compared", clocks_are_compared),
        WORLD_TEST("features are named", features_are_named),
        WORLD_TEST("more than features is compared", more_than_features_is_compared),
        WORLD_TEST("many features are counted", many_features_are_counted),
        WORLD_TEST("what Xen refuses is told", what_xen_refuses_is_told),
        TEST("features are called as Xen calls them", features_are_called_as_xen_calls_them),
        WORLD_TEST("disks are looked for", disks_are_looked_for),
        WORLD_TEST("a disk has the same size", a_disk_has_the_same_size),
        WORLD_TEST("a disk is written as asked", a_disk_is_written_as_asked),
        WORLD_TEST("bridges are looked for", bridges_are_looked_for),
        WORLD_TEST("what has no room is counted", what_has_no_room_is_counted),
        WORLD_TEST("the device model is asked", the_device_model_is_asked),
        WORLD_TEST("a program of the sender's is not run", a_program_of_the_senders_is_not_run),
        WORLD_TEST("a QEMU that hangs is not waited for", a_qemu_that_hangs_is_not_waited_for),
        WORLD_TEST("what cannot be had is refused", what_cannot_be_had_is_refused),
        WORLD_TEST("a guest must be able to suspend", a_guest_must_be_able_to_suspend),
        WORLD_TEST("devices of the host stay", devices_of_the_host_stay),
        WORLD_TEST("a PV guest may have to stop", a_pv_guest_may_have_to_stop),
        WORLD_TEST("what does not hold can be forced", what_does_not_hold_can_be_forced),
        WORLD_TEST("an answer may be anything", an_answer_may_be_anything),
        WORLD_TEST("people get a table", people_get_a_table),
        TEST("scripts get JSON without controls", scripts_get_json_without_controls),
        WORLD_TEST("facts may be anything", facts_may_be_anything),
        TEST("a policy may be anything", a_policy_may_be_anything),
        WORLD_TEST("facts may be broken", facts_may_be_broken),
        WORLD_TEST("a host that cannot be asked is a failure",
                   a_host_that_cannot_be_asked_is_a_failure),
        WORLD_TEST("looking is bounded", looking_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
