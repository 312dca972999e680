/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cd-insert and cd-eject on a host in memory, with a QEMU that is played: QEMU, xenstore and the
 * stored configuration agree on the medium, whatever fails on the way; and at each of QEMU's
 * commands the latter two name what QEMU has or nothing: who is killed there has said nothing
 * false. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/json.h"
#include "cd_qemu.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/task.h"
#include "unit.h"
#include "xen/fake.h"

#define HDC 5632
#define HDD 5696

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here;
    uint32_t win;
    char folder[PATH_MAX], old[PATH_MAX], fresh[PATH_MAX], socket[PATH_MAX];
    char stored[2 * PATH_MAX], lie[4 * PATH_MAX];   /* lie: what was said falsely, and by whom */
    struct qemu qemu;
    struct player player;
    struct qmp_server server;
    bool listens;
};

/* ------------------------------------------------------------------------------ the host */

static const char *uuid_of(struct world *w, char text[WH_UUID_TEXT])
{
    struct wh_domain d;
    bool there;

    assert_true(wh_xen_domain(&w->op, w->here.xen, w->win, &d, &there) && there);
    return wh_find_uuid(&d, text);
}

static void store(struct world *w)
{
    char text[4 * PATH_MAX];
    int n = snprintf(text, sizeof text,
                     "{ \"c_info\": { \"type\": \"hvm\", \"name\": \"win\" }, "
                     "\"b_info\": { \"max_vcpus\": 1, \"type.hvm\": { } }, \"disks\": [ "
                     "{ \"pdev_path\": \"/hda\", \"vdev\": \"hda\", \"format\": \"raw\", "
                     "\"readwrite\": 1 }, "
                     "{ \"pdev_path\": \"%s\", \"vdev\": \"hdc\", \"format\": \"raw\", "
                     "\"removable\": 1, \"is_cdrom\": 1, \"irq\": 7 }, "
                     "{ \"vdev\": \"hdd\", \"format\": \"empty\", \"removable\": 1, "
                     "\"is_cdrom\": 1 } ], \"key\": \"kept\" }", w->old);

    wh_auto_fd int fd = open(w->stored, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, (size_t)n + 1), n + 1);
}

static void put_device(struct world *w, unsigned id, const char *params)
{
    char back[128], front[128];

    snprintf(back, sizeof back, "/local/domain/0/backend/qdisk/%u/%u", w->win, id);
    snprintf(front, sizeof front, "/local/domain/%u/device/vbd/%u", w->win, id);
    wh_fake_write(w->f, 0, back, "/libxl/%u/device/vbd/%u/backend", w->win, id);
    wh_fake_write(w->f, 0, front, "/libxl/%u/device/vbd/%u/frontend", w->win, id);
    wh_fake_write(w->f, 0, params, "/libxl/%u/device/vbd/%u/params", w->win, id);
    wh_fake_write(w->f, 0, params, "%s/params", back);
}

/* hdc has the old medium, of a set that QEMU was started with; hdd is empty. */
static void begin_anew(struct world *w)
{
    char params[PATH_MAX + 8];

    snprintf(params, sizeof params, "aio:%s", w->old);
    put_device(w, HDC, params);
    put_device(w, HDD, "");
    store(w);
    w->qemu = (struct qemu){ .set = { [3] = { .used = true } } };
    snprintf(w->qemu.set[3].path, PATH_MAX, "%s", w->old);
    snprintf(w->qemu.hdc.medium, PATH_MAX, "%s", w->old);
    strcpy(w->qemu.hdc.name, "/dev/fdset/3");
}

static void touch(const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static json_object *read_stored(struct world *w)
{
    wh_auto_fd int fd = open(w->stored, O_RDONLY | O_CLOEXEC);
    wh_auto_free uint8_t *text = NULL;
    const char *why;
    size_t n, at;

    if (fd < 0)
        return NULL;
    text = unit_slurp(fd, &n);
    return wh_json_parse((char *)text, n, &why, &at);
}

/* On QEMU's thread, which must not fail a test. */
static void says(struct world *w, const char *who, const char *path)
{
    const char *medium = w->qemu.hdc.medium;

    if (!w->lie[0] && path && *path && strcmp(path, medium) != 0)
        snprintf(w->lie, sizeof w->lie, "%s: %s, in the drive: '%s'", who, path, medium);
}

static void witness(void *arg)
{
    struct world *w = arg;
    wh_auto_free char *back = wh_fake_node(w->f, "/local/domain/0/backend/qdisk/%u/%u/params",
                                           w->win, HDC);
    wh_auto_free char *ours = wh_fake_node(w->f, "/libxl/%u/device/vbd/%u/params", w->win, HDC);
    wh_auto_json json_object *o = read_stored(w);
    json_object *disks = o ? json_object_object_get(o, "disks") : NULL;

    says(w, "the backend", back ? strchr(back, ':') + 1 : NULL);
    says(w, "the toolstack's node", ours ? strchr(ours, ':') + 1 : NULL);
    if (disks)
        says(w, "the configuration",
             wh_json_string(json_object_array_get_idx(disks, 1), "pdev_path", ""));
}

static void listen_at(struct world *w, struct misdeed m)
{
    w->server = (struct qmp_server){ .choose = choose, .answer = answer,
                                      .arg = &w->player };
    w->player = (struct player){ &w->qemu, .misdeed = m, .witness = witness, .arg = w };
    unlink(w->socket);
    qmp_server_listen(&w->server, w->socket);
    w->listens = true;
}

static void stop_listening(struct world *w)
{
    if (w->listens)
        qmp_server_close(&w->server);
    w->listens = false;
    if (w->lie[0])
        print_error("%s\n", w->lie);
    assert_string_equal(w->lie, "");
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    char uuid[WH_UUID_TEXT];

    *state = w;
    wh_op_hurry = 25;                   /* QEMU's ten seconds are 400 ms */
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->old, sizeof w->old, "%.4000s/old.iso", w->folder);
    snprintf(w->fresh, sizeof w->fresh, "%.4000s/fresh.iso", w->folder);
    touch(w->old);
    touch(w->fresh);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .state = w->folder };
    w->win = wh_fake_guest(w->f, &(struct wh_fake_guest){ .kind = WH_FAKE_HVM, .mb = 4,
                                                          .name = "win", .zero_percent = 90 });
    snprintf(w->socket, sizeof w->socket, "%.4000s/qmp-libxl-%u", w->folder, w->win);
    snprintf(w->stored, sizeof w->stored, "%s/userdata-d.%u.%s.libxl-json", w->folder, w->win,
             uuid_of(w, uuid));
    begin_anew(w);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    stop_listening(w);
    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    unit_remove_folder(w->folder);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

#define auto_job __attribute__((cleanup(drop_job), unused)) struct wh_job *
static void drop_job(struct wh_job **j)
{
    wh_job_free(*j);
}

static struct wh_job *perform(struct world *w, struct wh_job *j)
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    wh_job_run(j);
    return j;
}

#define assert_done(j)                                                                             \
    do {                                                                                           \
        if (wh_job_result(j) != WH_OK)                                                             \
            print_error("%s\n", wh_job_error(j));                                                  \
        assert_int_equal(wh_job_result(j), WH_OK);                                                 \
    } while (0)

#define assert_refuses(j, kind, why)                                                               \
    do {                                                                                           \
        if (wh_job_result(j) != (kind))                                                            \
            print_error("%s\n", wh_job_error(j));                                                  \
        assert_int_equal(wh_job_result(j), (kind));                                                \
        assert_says(wh_job_error(j), why);                                                         \
    } while (0)

/* ------------------------------------------------------------------------------- looking */

static void assert_stored(struct world *w, size_t disk, const char *path, const char *format)
{
    wh_auto_json json_object *o = read_stored(w);
    json_object *disks;

    assert_non_null(o);
    assert_true(json_object_object_get_ex(o, "disks", &disks));
    json_object *d = json_object_array_get_idx(disks, disk);
    assert_string_equal(wh_json_string(d, "pdev_path", ""), path);
    assert_string_equal(wh_json_string(d, "format", ""), format);
    assert_string_equal(wh_json_string(o, "key", ""), "kept");
    assert_string_equal(wh_json_string(json_object_array_get_idx(disks, 0), "pdev_path", ""),
                        "/hda");
    assert_int_equal(wh_json_number(json_object_array_get_idx(disks, 1), "irq", 0), 7);
}

static void assert_params(struct world *w, unsigned id, const char *value)
{
    wh_auto_free char *back = wh_fake_node(w->f, "/local/domain/0/backend/qdisk/%u/%u/params",
                                           w->win, id);
    wh_auto_free char *ours = wh_fake_node(w->f, "/libxl/%u/device/vbd/%u/params", w->win, id);

    assert_string_equal(back, value);
    assert_string_equal(ours, value);
}

/* Whoever comes next finds no lock. */
static void assert_unlocked(struct world *w)
{
    char path[2 * PATH_MAX], uuid[WH_UUID_TEXT];
    static const char *const locks[] = { "qmp-socket-lock", "domain-userdata-lock" };

    for (size_t i = 0; i < WH_COUNT(locks); i++) {
        snprintf(path, sizeof path, "%s/userdata-l.%u.%s.%s", w->folder, w->win, uuid_of(w, uuid),
                 locks[i]);
        assert_int_equal(access(path, F_OK), -1);
    }
}

/* All three say that hdc has this medium. */
static void assert_agreed(struct world *w, const char *path)
{
    char params[PATH_MAX + 8];

    snprintf(params, sizeof params, "aio:%s", path);
    assert_string_equal(w->qemu.hdc.medium, path);
    assert_false(w->qemu.hdc.filled);
    assert_params(w, HDC, params);
    assert_stored(w, 1, path, *path ? "raw" : "empty");
    assert_unlocked(w);
}

/* ------------------------------------------------------------------------------- changing */

static void a_medium_takes_the_place_of_another(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    wh_fake_conflict(w->f, 2);
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_done(j);
    assert_agreed(w, w->fresh);
    assert_true(w->qemu.forced);
    assert_int_equal(sets_of(&w->qemu), 1);         /* the old medium's is given back */
    assert_string_equal(w->qemu.hdc.format, "raw");
    assert_string_equal(wh_json_string(wh_task_result(j), "vdev", ""), "hdc");
    assert_string_equal(wh_json_string(wh_task_result(j), "file", ""), w->fresh);
    assert_string_equal(wh_json_string(wh_task_result(j), "old_file", ""), w->old);
    assert_string_equal(w->qemu.hdd.medium, "");
}

static void an_empty_drive_gets_a_medium(void **state)
{
    struct world *w = *state;
    char params[PATH_MAX + 8];

    listen_at(w, (struct misdeed){ 0 });
    auto_job j = perform(w, wh_cd_insert_new("win", "hdd", w->fresh));
    assert_done(j);
    snprintf(params, sizeof params, "aio:%s", w->fresh);
    assert_string_equal(w->qemu.hdd.medium, w->fresh);
    assert_params(w, HDD, params);
    assert_stored(w, 2, w->fresh, "raw");
    assert_stored(w, 1, w->old, "raw");
}

static void a_medium_is_taken_out(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    for (int i = 0; i < 2; i++) {
        auto_job j = perform(w, wh_cd_eject_new("win", "hdc"));

        assert_done(j);
        assert_agreed(w, "");
        assert_int_equal(sets_of(&w->qemu), 0);
        assert_null(wh_json_string(wh_task_result(j), "file", NULL));
    }
}

static void a_type_may_stand_before_the_path(void **state)
{
    static const struct {
        const char *type, *format, *params, *qemu;
    } rows[] = {
        { "raw", "raw", "aio", "raw" },         { "phy", "raw", "aio", "raw" },
        { "file", "raw", "aio", "raw" },        { "aio", "raw", "aio", "raw" },
        { "qcow2", "qcow2", "qcow2", "qcow2" }, { "qcow", "qcow", "qcow", "qcow" },
        { "vhd", "vhd", "vhd", "vpc" },         { "qed", "qed", "qed", "qed" },
    };
    struct world *w = *state;
    char file[PATH_MAX + 16];

    listen_at(w, (struct misdeed){ 0 });
    for (size_t i = 0; i < WH_COUNT(rows); i++) {
        snprintf(file, sizeof file, "%s:%s", rows[i].type, w->fresh);
        auto_job j = perform(w, wh_cd_insert_new("win", "hdd", file));
        assert_done(j);
        snprintf(file, sizeof file, "%s:%s", rows[i].params, w->fresh);
        assert_params(w, HDD, file);
        assert_stored(w, 2, w->fresh, rows[i].format);
        assert_string_equal(w->qemu.hdd.format, rows[i].qemu);
    }
}

static void a_path_is_stored_from_the_root(void **state)
{
    struct world *w = *state;
    wh_auto_free char *before = getcwd(NULL, 0);

    listen_at(w, (struct misdeed){ 0 });
    assert_int_equal(chdir(w->folder), 0);
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", "fresh.iso"));
    assert_int_equal(chdir(before), 0);
    assert_done(j);
    assert_agreed(w, w->fresh);
}

static void a_block_device_is_named_as_one(void **state)
{
    static const char *const devices[] = { "/dev/loop0", "/dev/vda", "/dev/sda", "/dev/nvme0n1" };
    struct world *w = *state;
    const char *device = NULL;

    for (size_t i = 0; i < WH_COUNT(devices) && !device; i++) {
        struct stat st;
        wh_auto_fd int fd = open(devices[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISBLK(st.st_mode))
            device = devices[i];
    }
    if (!device)
        skip();
    listen_at(w, (struct misdeed){ 0 });
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", device));
    assert_done(j);
    assert_agreed(w, device);
    assert_string_equal(w->qemu.hdc.name, "json:{\"driver\": \"raw\", \"file\": {\"driver\": "
                        "\"host_device\", \"filename\": \"/dev/fdset/0\"}}");
    auto_job back = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_done(back);
    assert_int_equal(sets_of(&w->qemu), 0);
}

/* QEMU has the old one still, and nothing is said of it. */
static void what_a_killed_one_left_the_next_puts_right(void **state)
{
    struct world *w = *state;
    wh_auto_free char *old = strdup(w->old);

    w->old[0] = '\0';
    store(w);
    put_device(w, HDC, "aio:");
    strcpy(w->old, old);
    listen_at(w, (struct misdeed){ 0 });
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_done(j);
    assert_null(wh_json_string(wh_task_result(j), "old_file", NULL));
    assert_agreed(w, w->fresh);
    assert_int_equal(sets_of(&w->qemu), 1);
}

/* ------------------------------------------------------------------------------- refusing */

/* QEMU's drive is looked at, at most. */
static void assert_untouched(struct world *w)
{
    assert_agreed(w, w->old);
    assert_int_equal(w->qemu.ejects, 0);
    assert_int_equal(sets_of(&w->qemu), 1);
    assert_params(w, HDD, "");
}

static void only_cd_drives_of_hvm_guests_have_media(void **state)
{
    static const struct {
        const char *who, *vdev, *why;
    } rows[] = {
        { "win", "hda", "hda of domain 1 is no CD drive: its CD drives are hdc, hdd" },
        { "win", "hdb", "hdb of domain 1 is not there: its CD drives are hdc, hdd" },
        { "win", "xvdc", "is not there" },
        { "win", "cdrom", "'cdrom' is no name of a drive" },
        { "web", "hdc", "is no HVM guest" },
        { "0", "hdc", "is no HVM guest" },
        { "nobody", "hdc", "there is no domain 'nobody'" },
    };
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    wh_fake_guest_pvh(w->f, "web", 4, 1, 90);
    for (size_t i = 0; i < WH_COUNT(rows); i++) {
        auto_job in = perform(w, wh_cd_insert_new(rows[i].who, rows[i].vdev, w->fresh));
        auto_job out = perform(w, wh_cd_eject_new(rows[i].who, rows[i].vdev));

        assert_refuses(in, WH_USAGE, rows[i].why);
        assert_refuses(out, WH_USAGE, rows[i].why);
        assert_untouched(w);
    }
}

static void what_is_no_file_is_no_medium(void **state)
{
    static const struct {
        const char *name;
        enum wh_kind kind;
        const char *why;
    } rows[] = {
        { "none.iso", WH_SYSTEM, "none.iso: No such file" },
        { "raw:none.iso", WH_SYSTEM, "/none.iso: No such file" },
        { "http://fresh.iso", WH_SYSTEM, "No such file" },
        { ".", WH_USAGE, "expected a file or a block device" },
        { "fifo", WH_USAGE, "expected a file or a block device" },
        { "/dev/null", WH_USAGE, "expected a file or a block device" },
        { "", WH_USAGE, "found no name" },
        { "phy:", WH_USAGE, "found no name" },
        { "a\x01" "b", WH_USAGE, "the file's name: " },
        { "a\xff" "b", WH_USAGE, "the file's name: " },
    };
    struct world *w = *state;
    wh_auto_free char *before = getcwd(NULL, 0);

    listen_at(w, (struct misdeed){ 0 });
    assert_int_equal(chdir(w->folder), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    touch("a\x01" "b");
    touch("a\xff" "b");
    for (size_t i = 0; i < WH_COUNT(rows); i++) {
        auto_job j = perform(w, wh_cd_insert_new("win", "hdc", rows[i].name));

        assert_refuses(j, rows[i].kind, rows[i].why);
        assert_untouched(w);
    }
    assert_int_equal(chdir(before), 0);
}

static void a_drive_that_is_not_as_it_should_be_is_let_be(void **state)
{
    struct world *w = *state;

    auto_job deaf = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(deaf, WH_SYSTEM, "reach the QEMU of domain 1");
    listen_at(w, (struct misdeed){ 0 });
    wh_fake_write(w->f, 0, "/local/domain/0/backend/vbd/1/5632",
                  "/libxl/%u/device/vbd/5632/backend", w->win);
    auto_job served = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(served, WH_XEN, "is not served by this host's QEMU");
    assert_true(wh_store_remove(&w->op, w->here.store, 0, "/libxl/%u/device/vbd/5632", w->win));
    auto_job gone = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(gone, WH_XEN, "is not served by this host's QEMU");
    begin_anew(w);
    assert_int_equal(unlink(w->stored), 0);
    auto_job none = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(none, WH_XEN, "no configuration is stored");
    assert_int_equal(w->qemu.ejects, 0);
}

static void a_guest_that_is_being_saved_or_restored_is_let_be(void **state)
{
    struct world *w = *state;
    struct wh_outfile out = { .plain = true };
    struct wh_leftover l = { 0 };
    struct wh_domain d;
    bool there;

    assert_true(wh_xen_domain(&w->op, w->here.xen, w->win, &d, &there) && there);
    for (int i = 0; i < 3; i++) {
        if (i == 0) {
            assert_true(wh_leftover_save(&w->op, &w->here, &l, &d, &out, true));
        } else if (i == 1) {
            assert_true(wh_leftover_restore(&w->op, &w->here, &l, d.domid, d.uuid));
        }
        listen_at(w, (struct misdeed){ 0 });
        auto_job in = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
        auto_job out_of = perform(w, wh_cd_eject_new("win", "hdc"));
        stop_listening(w);
        if (i == 2) {
            assert_done(in);
            assert_done(out_of);
            assert_agreed(w, "");
            continue;
        }
        assert_refuses(in, WH_USAGE, "domain 1 is being created, saved or restored");
        assert_refuses(out_of, WH_USAGE, "domain 1 is being created, saved or restored");
        assert_untouched(w);
        assert_int_equal(w->qemu.commands, 0);
        assert_true(wh_leftover_done(&w->op, &l));
    }
}

/* ------------------------------------------------------------------------ what goes wrong */

static void a_drive_that_stays_shut_keeps_its_medium(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    w->qemu.refuses = "eject";
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_PEER, "open drive hdc: QMP command eject: QEMU refuses: GenericError: "
                   "the drive is bewitched");
    assert_null(strstr(wh_job_error(j), "could not"));
    assert_untouched(w);
    unsigned commands = w->qemu.commands;
    w->qemu.refuses = "query-block";
    auto_job blind = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(blind, WH_PEER, "QMP command query-block");
    assert_untouched(w);
    assert_true(w->qemu.commands <= commands + 2);
}

static void where_the_new_medium_does_not_go_in_the_old_is_put_back(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    w->qemu.loathes = "fresh";
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_PEER, "fresh.iso into hdc: QMP command blockdev-change-medium: ");
    assert_null(strstr(wh_job_error(j), "could not"));
    assert_agreed(w, w->old);
    assert_int_equal(sets_of(&w->qemu), 1);
    auto_job empty = perform(w, wh_cd_insert_new("win", "hdd", w->fresh));
    assert_refuses(empty, WH_PEER, "into hdd");
    assert_string_equal(w->qemu.hdd.medium, "");
    assert_params(w, HDD, "");
    assert_stored(w, 2, "", "empty");
}

static void where_the_old_is_gone_too_the_drive_is_empty_and_all_say_so(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    w->qemu.loathes = "fresh";
    assert_int_equal(unlink(w->old), 0);
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_PEER, "; and could not put the old medium back: the drive is empty now: ");
    assert_says(wh_job_error(j), "old.iso: No such file");
    assert_agreed(w, "");
    assert_int_equal(sets_of(&w->qemu), 0);
    begin_anew(w);
    touch(w->old);
    w->qemu.refuses = "blockdev-change-medium";
    auto_job both = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(both, WH_PEER, "put the old medium back: the drive is empty now: ");
    assert_agreed(w, "");
}

static void an_old_medium_that_is_gone_keeps_no_new_one_out(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ 0 });
    assert_int_equal(unlink(w->old), 0);
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_done(j);
    assert_agreed(w, w->fresh);
}

static const char *const commands[] = { "query-block", "eject", "remove-fd", "add-fd",
                                        "blockdev-change-medium" };

/* The command is done or not, and its answer does not come: QEMU is asked anew. */
static void a_connection_that_breaks_leaves_the_old_medium(void **state)
{
    static const enum qmp_trick tricks[] = { QMP_CLOSES, QMP_HALF, QMP_NOT_JSON };
    struct world *w = *state;

    for (size_t t = 0; t < WH_COUNT(tricks); t++) {
        for (size_t i = 0; i < 2 * WH_COUNT(commands); i++) {
            listen_at(w, (struct misdeed){ .trick = tricks[t], .at = commands[i / 2],
                                              .times = 1, .undone = i % 2 });
            auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
            stop_listening(w);
            assert_refuses(j, WH_PEER, commands[i / 2]);
            assert_int_equal(j->op.undo_err.kind, WH_OK);
            assert_agreed(w, w->old);
            begin_anew(w);
        }
    }
}

/* It never says what it has: nothing is recorded then. */
static void a_qemu_that_stalls_leaves_no_medium_named(void **state)
{
    struct world *w = *state;
    char params[PATH_MAX + 8];

    for (size_t i = 0; i < WH_COUNT(commands); i += 2) {
        const char *medium = i > 0 ? "" : w->old;

        listen_at(w, (struct misdeed){ .trick = QMP_STALLS, .at = commands[i], .times = 1 });
        auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
        stop_listening(w);
        assert_refuses(j, WH_TIMEOUT, commands[i]);
        assert_int_equal(i > 0, strstr(wh_job_error(j), "; and could not put the old") != NULL);
        snprintf(params, sizeof params, "aio:%s", medium);
        assert_params(w, HDC, params);
        assert_stored(w, 1, medium, *medium ? "raw" : "empty");
        assert_unlocked(w);
        begin_anew(w);
    }
}

static void a_qemu_that_has_gone_leaves_no_medium_named(void **state)
{
    struct world *w = *state;

    listen_at(w, (struct misdeed){ .trick = QMP_CLOSES, .at = "eject" });
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_PEER, "; and could not put the old medium back: QMP command eject");
    assert_params(w, HDC, "aio:");
    assert_stored(w, 1, "", "empty");
    assert_unlocked(w);
}

static void bar_path(struct world *w, char path[2 * PATH_MAX])
{
    char uuid[WH_UUID_TEXT];

    snprintf(path, 2 * PATH_MAX, "%s/userdata-n.%u.%s.libxl-json", w->folder, w->win,
             uuid_of(w, uuid));
}

static void a_configuration_that_cannot_be_written_leaves_the_drive_alone(void **state)
{
    struct world *w = *state;
    char path[2 * PATH_MAX];

    listen_at(w, (struct misdeed){ 0 });
    bar_path(w, path);
    assert_int_equal(mkdir(path, 0700), 0);         /* where it is written to first */
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_SYSTEM, "libxl-json: Is a directory");
    assert_null(strstr(wh_job_error(j), "could not"));
    assert_untouched(w);
    auto_job out = perform(w, wh_cd_eject_new("win", "hdc"));
    assert_refuses(out, WH_SYSTEM, "libxl-json: Is a directory");
    assert_untouched(w);
}

static void a_configuration_that_cannot_be_written_any_more_names_no_medium(void **state)
{
    struct world *w = *state;
    char path[2 * PATH_MAX], params[PATH_MAX + 8];

    listen_at(w, (struct misdeed){ 0 });
    bar_path(w, path);
    w->qemu.bars = path;
    auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
    assert_refuses(j, WH_SYSTEM, "; and could not record what is in the drive: ");
    assert_string_equal(w->qemu.hdc.medium, w->old);
    snprintf(params, sizeof params, "aio:%s", w->old);
    assert_params(w, HDC, params);
    assert_stored(w, 1, "", "empty");
    assert_unlocked(w);
}

static void whatever_call_fails_all_agree(void **state)
{
    static const enum wh_fault faults[] = { WH_FAULT_FAIL, WH_FAULT_LOST, WH_FAULT_HANG,
                                            WH_FAULT_CANCEL, WH_FAULT_CANCEL_IN };
    struct world *w = *state;
    unsigned met = 0;

    for (size_t how = 0; how < WH_COUNT(faults); how++) {
        bool hit = true;

        /* What hangs takes its time, and QEMU has to be given some: not every call does. */
        for (uint64_t k = 1; hit; k += faults[how] == WH_FAULT_HANG ? 7 : 1) {
            wh_auto_free char *before = wh_fake_check(w->f);

            listen_at(w, (struct misdeed){ 0 });
            wh_fake_fault(w->f, k, faults[how]);
            auto_job j = perform(w, wh_cd_insert_new("win", "hdc", w->fresh));
            hit = wh_fake_fault_hit(w->f) != NULL;
            wh_fake_fault(w->f, 0, WH_FAULT_NONE);
            met += hit;
            stop_listening(w);                      /* it may still do what was given up on */
            assert_int_equal(j->op.undo_err.kind, WH_OK);
            assert_agreed(w, wh_job_result(j) == WH_OK ? w->fresh : w->old);
            wh_store_close(w->here.store);          /* in earnest the job's: with its watches */
            w->here.store = wh_fake_store(w->f);
            begin_anew(w);
            wh_auto_free char *after = wh_fake_check(w->f);
            assert_string_equal(before, after);
        }
    }
    assert_true(met > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST("a medium takes the place of another", a_medium_takes_the_place_of_another),
        WORLD_TEST("an empty drive gets a medium", an_empty_drive_gets_a_medium),
        WORLD_TEST("a medium is taken out, an empty drive stays so", a_medium_is_taken_out),
        WORLD_TEST("a type may stand before the path", a_type_may_stand_before_the_path),
        WORLD_TEST("a path is stored from the root", a_path_is_stored_from_the_root),
        WORLD_TEST("a block device is named as one", a_block_device_is_named_as_one),
        WORLD_TEST("what a killed one left, the next puts right",
                   what_a_killed_one_left_the_next_puts_right),
        WORLD_TEST("only CD drives of HVM guests have media",
                   only_cd_drives_of_hvm_guests_have_media),
        WORLD_TEST("what is no file is no medium", what_is_no_file_is_no_medium),
        WORLD_TEST("a drive that is not as it should be is let be",
                   a_drive_that_is_not_as_it_should_be_is_let_be),
        WORLD_TEST("a guest that is being saved or restored is let be",
                   a_guest_that_is_being_saved_or_restored_is_let_be),
        WORLD_TEST("a drive that stays shut keeps its medium",
                   a_drive_that_stays_shut_keeps_its_medium),
        WORLD_TEST("where the new medium does not go in, the old is put back",
                   where_the_new_medium_does_not_go_in_the_old_is_put_back),
        WORLD_TEST("where the old is gone too, the drive is empty and all say so",
                   where_the_old_is_gone_too_the_drive_is_empty_and_all_say_so),
        WORLD_TEST("an old medium that is gone keeps no new one out",
                   an_old_medium_that_is_gone_keeps_no_new_one_out),
        WORLD_TEST("a connection that breaks leaves the old medium",
                   a_connection_that_breaks_leaves_the_old_medium),
        WORLD_TEST("a QEMU that stalls leaves no medium named",
                   a_qemu_that_stalls_leaves_no_medium_named),
        WORLD_TEST("a QEMU that has gone leaves no medium named",
                   a_qemu_that_has_gone_leaves_no_medium_named),
        WORLD_TEST("a configuration that cannot be written leaves the drive alone",
                   a_configuration_that_cannot_be_written_leaves_the_drive_alone),
        WORLD_TEST("a configuration that cannot be written any more names no medium",
                   a_configuration_that_cannot_be_written_any_more_names_no_medium),
        WORLD_TEST("whatever call fails, all agree", whatever_call_fails_all_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
