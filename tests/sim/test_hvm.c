/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HVM guests on a host in memory, with a fake QEMU that is a process of its own: it is started, heard
 * of, its state goes out and in, in the right order. */
#include "base/bytes.h"
#include "hvm_world.h"

/* ------------------------------------------------------------------------ all that goes well */

static void it_is_started(void **state)
{
    struct world *w = *state;
    char text[64], path[400];
    struct stat st;

    hvm_config(w->folder, "serial='pty'\nvnc=1\nvncpasswd='secret'\n");
    uint32_t n = must(create(w, false)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    assert_true(wh_fake_state(w->f, n).running);
    assert_int_equal(hvm_running(w->folder), 1);
    /* Nothing passes into it but its own. */
    told(story, line_of(text, n, "has 0 1 2 4 5"));
    told(story, line_of(text, n, "> -S"));
    told(story, line_of(text, n, "> xenfv,suppress-vmdesc=on"));
    assert_order(story, "xen: build", line_of(text, n, "> -S"));
    assert_order(story, line_of(text, n, "query-status"), line_of(text, n, "cont"));
    assert_order(story, line_of(text, n, "change-vnc-password"), line_of(text, n, "query-vnc"));
    assert_order(story, line_of(text, n, "cont"), "xen: pause");
    assert_not_told(story, line_of(text, n, "> -incoming"));
    assert_node(w, "/dev/pts/7", "/local/domain/%u/serial/0/tty", n);
    assert_node(w, NULL, "/local/domain/%u/serial/1/tty", n);
    assert_node(w, NULL, "/local/domain/%u/serial/99/tty", n);
    assert_node(w, "5907", "/local/domain/%u/console/vnc-port", n);
    assert_node(w, "secret", "/local/domain/%u/console/vnc-pass", n);
    snprintf(path, sizeof path, "%s/qmp-libxl-%u", w->folder, n);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    wh_auto_free char *litter = hvm_litter(w->folder);
    assert_null(strstr(litter, "userdata-l"));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void it_waits_with_the_guest(void **state)
{
    struct world *w = *state;
    char text[64];

    uint32_t n = must(create(w, true)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    assert_not_told(story, line_of(text, n, "cont"));
    assert_false(wh_fake_state(w->f, n).running);
    must(perform(w, wh_unpause_new("g")));
    wh_auto_free char *later = hvm_story(w->folder);
    told(later, line_of(text, n, "cont"));
    assert_true(wh_fake_state(w->f, n).running);
}

/* The guest has suspended, then its devices stop, then its memory is read. */
static void its_state_is_taken(void **state)
{
    struct world *w = *state;
    char stop[64], text[64];

    uint32_t n = must(create(w, false)).domid;
    wh_auto_free char *first = hvm_story(w->folder);
    must(save(w, &to_file));
    wh_auto_free char *story = hvm_story(w->folder);
    const char *saving = story + strlen(first);
    line_of(stop, n, "stop");
    assert_order(saving, line_of(text, n, "qom-get"), "xen: store write");
    assert_order(saving, "xen: store write", stop);     /* it was asked to suspend */
    assert_order(saving, stop, "xen: map");
    assert_order(saving, stop, line_of(text, n, "add-fd"));
    assert_order(saving, line_of(text, n, "add-fd"), line_of(text, n, "xen-save-devices-state"));
    assert_order(saving, line_of(text, n, "xen-save-devices-state"), "xen: map");
    assert_order(saving, line_of(text, n, "xen-save-devices-state"),
                 line_of(text, n, "remove-fd"));
    assert_not_told(saving, line_of(text, n, "cont"));
    assert_not_told(saving, line_of(text, n, "sets were left: 1"));
    assert_true(is_there(w->file));
    assert_nothing_left(w, "saved");
}

static void it_goes_on_from_it(void **state)
{
    struct world *w = *state;
    char text[64];
    size_t size, given;

    uint32_t n = must(create(w, false)).domid;
    must(save(w, &to_file));
    wh_auto_free uint8_t *out = slurp(w, "out", n, &size);
    wh_auto_free char *first = hvm_story(w->folder);
    uint32_t m = must(restore(w, false)).domid;
    wh_auto_free uint8_t *in = slurp(w, "in", m, &given);
    assert_int_equal(size, given);
    assert_memory_equal(in, out, size);
    wh_auto_free char *story = hvm_story(w->folder);
    const char *restoring = story + strlen(first);
    told(restoring, line_of(text, m, "has 0 1 2 4 5 6"));
    told(restoring, line_of(text, m, "> fd:6"));
    told(restoring, line_of(text, m, "> xenfv-3.1,suppress-vmdesc=on"));
    assert_order(restoring, line_of(text, m, "query-status"), line_of(text, m, "cont"));
    assert_order(restoring, line_of(text, m, "cont"), "xen: pause");
    assert_order(restoring, "xen: set_hvm_context", line_of(text, m, "has its state"));
    assert_true(wh_fake_state(w->f, m).running);
    assert_int_equal(hvm_running(w->folder), 1);

    /* And again: what it writes comes of what it was given. */
    assert_int_equal(unlink(w->file), 0);
    must(save(w, &to_file));
    wh_auto_free uint8_t *second = slurp(w, "out", m, &size);
    assert_int_equal(wh_le64(second + 8), 2);
    must(restore(w, true));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void it_goes_on_after_a_checkpoint(void **state)
{
    struct world *w = *state;
    char text[64];

    uint32_t n = must(create(w, false)).domid;
    wh_auto_free char *first = hvm_story(w->folder);
    must(save(w, &keeping));
    wh_auto_free char *story = hvm_story(w->folder);
    assert_order(story + strlen(first), line_of(text, n, "cont"), "xen: resume");
    assert_true(wh_fake_state(w->f, n).running);
    assert_int_equal(hvm_running(w->folder), 1);
    assert_int_equal(unlink(w->file), 0);
    must(save(w, &pausing));
    assert_true(wh_fake_state(w->f, n).there);
    assert_false(wh_fake_state(w->f, n).running);
    assert_int_equal(wh_fake_state(w->f, n).resumes, 2);
    must(perform(w, wh_unpause_new("g")));
    assert_true(wh_fake_state(w->f, n).running);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* It has no PV drivers: it is stopped, not asked, and does not see that it was. */
static void a_guest_without_drivers_is_stopped(void **state)
{
    struct world *w = *state;
    char text[64];

    uint32_t n = must(create(w, false)).domid;
    assert_true(wh_xen_set_param(&w->op, w->here.xen, n, PARAM_CALLBACK, 0));
    wh_auto_free char *first = hvm_story(w->folder);
    must(save(w, &keeping));
    wh_auto_free char *story = hvm_story(w->folder);
    const char *saving = story + strlen(first);
    assert_order(saving, "xen: shutdown", line_of(text, n, "stop"));
    assert_order(saving, line_of(text, n, "cont"), "xen: resume");
    assert_not_told(saving, "xen: set_context");
    assert_true(wh_fake_state(w->f, n).running);
    assert_int_equal(unlink(w->file), 0);
    must(save(w, &to_file));
    uint32_t m = must(restore(w, false)).domid;
    assert_true(wh_fake_state(w->f, m).running);
    assert_int_equal(unlink(w->file), 0);
    hvm_play(w->folder, "xen-save-devices-state", QMP_REFUSES);
    assert_int_equal(save(w, &to_file).kind, WH_PEER);
    assert_true(wh_fake_state(w->f, m).running);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* How often it was begun. */
static unsigned begins(const char *story)
{
    unsigned n = 0;

    for (; (story = strstr(story, "begins as")); story++)
        n++;
    return n;
}

/* What old versions of QEMU keep in xenstore moves with their state. */
static void its_nodes_move(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    assert_true(wh_fake_write(w->f, 0, "f0000000",
                              "/local/domain/0/device-model/%u/physmap/1f000/start_addr", n));
    assert_true(wh_fake_write(w->f, 0, "800000",
                              "/local/domain/0/device-model/%u/physmap/1f000/size", n));
    assert_true(wh_fake_write(w->f, 0, "no business of ours",
                              "/local/domain/0/device-model/%u/physmap/1f000/more", n));
    hvm_play(w->folder, "2.11", 1);
    must(save(w, &to_file));
    wh_auto_free char *first = hvm_story(w->folder);
    uint32_t m = must(restore(w, false)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    /* They come behind its memory, and it reads them as it begins. */
    assert_int_equal(begins(story + strlen(first)), 2);
    assert_node(w, "f0000000", "/local/domain/0/device-model/%u/physmap/1f000/start_addr", m);
    assert_node(w, "800000", "/local/domain/0/device-model/%u/physmap/1f000/size", m);
    assert_node(w, NULL, "/local/domain/0/device-model/%u/physmap/1f000/more", m);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* One that would keep what it read of the disks before the guest was here. */
static void it_is_begun_late(void **state)
{
    struct world *w = *state;
    char text[64], more[400];

    snprintf(more, sizeof more, "disk=['%s/bios,vhd,hda,rw']\n", w->folder);
    hvm_config(w->folder, more);
    must(create(w, false));
    must(save(w, &to_file));
    wh_auto_free char *first = hvm_story(w->folder);
    uint32_t m = must(restore(w, false)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    assert_int_equal(begins(story + strlen(first)), 1);
    assert_order(story + strlen(first), "xen: set_hvm_context", line_of(text, m, "> fd:6"));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* And the others before there is memory: what cannot be is found by then. */
static void it_is_begun_early(void **state)
{
    struct world *w = *state;
    static const struct { const char *disk, *more; bool early; } tries[] = {
        { "raw,hda,rw", "", true },   { "raw,hda,rw", "dm_restrict=1\n", true },
        { "qcow2,hda,rw", "", true }, { "qcow2,hda,rw", "dm_restrict=1\n", false },
        { "vhd,hda,rw", "", false },
    };

    for (size_t i = 0; i < WH_COUNT(tries); i++) {
        char more[400];

        hvm_config(w->folder, "");
        must(create(w, false));
        must(save(w, &to_file));
        snprintf(more, sizeof more, "device_model_user='nobody-of-this-host'\n%sdisk=['%s/bios,%s']\n",
                 tries[i].more, w->folder, tries[i].disk);
        hvm_config(w->folder, more);
        wh_auto_free char *first = hvm_story(w->folder);
        struct wh_restore_how how = { .config = w->config, .no_monitor = true };
        struct outcome o = perform(w, wh_restore_new(w->file, &how));
        wh_auto_free char *story = hvm_story(w->folder);
        assert_int_not_equal(o.kind, WH_OK);
        assert_non_null(strstr(o.error, "nobody-of-this-host"));
        assert_int_equal(strstr(story + strlen(first), "xen: populate") == NULL, tries[i].early);
        assert_nothing_left(w, tries[i].disk);
        assert_int_equal(unlink(w->file), 0);
    }
}

/* The trick keeps the first from what it was begun for. */
static void assert_begun_anew(struct world *w, const char *trick, int n)
{
    char text[64];

    must(create(w, false));
    must(save(w, &to_file));
    hvm_play(w->folder, trick, n);
    wh_auto_free char *first = hvm_story(w->folder);
    uint32_t m = must(restore(w, false)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    const char *restoring = story + strlen(first);
    assert_int_equal(begins(restoring), 2);
    const char *second = strstr(strstr(restoring, "begins as") + 1, "begins as");
    told(second, line_of(text, m, "has its state"));
    assert_true(wh_fake_state(w->f, m).running);
    assert_int_equal(hvm_running(w->folder), 1);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void an_old_one_is_begun_anew(void **state)
{
    assert_begun_anew(*state, "2.12", 1);
}

/* As one does that has no other way to its pages of Xen than the guest's memory. */
static void one_that_needs_memory_is_begun_anew(void **state)
{
    struct world *w = *state;

    assert_begun_anew(w, "start", 2);
    /* And of what was begun when all was there it is the end. */
    hvm_play(w->folder, NULL, 0);
    hvm_play(w->folder, "start", 1);
    assert_int_equal(create(w, false).kind, WH_PEER);
    assert_nothing_left(w, "not created");
}

/* A user of its own, a root of its own, and disks that it was passed, to read and to write: who may
 * start such a one may test it. */
static void it_is_restricted(void **state)
{
    struct world *w = *state;
    char text[PATH_MAX + 64], more[800];

    if (geteuid() != 0)
        skip();
    snprintf(more, sizeof more, "dm_restrict=1\ndevice_model_user='nobody'\ndisk=["
             "'%s/bios,raw,hda,rw,backendtype=qdisk', '%s/bios,raw,hdc:cdrom,r,backendtype=qdisk']\n",
             w->folder, w->folder);
    hvm_config(w->folder, more);
    uint32_t n = must(create(w, false)).domid;
    wh_auto_free char *story = hvm_story(w->folder);
    told(story, line_of(text, n, "has 0 1 2 4 5 6 7 8"));
    told(story, line_of(text, n, "> fd=6,set=1"));
    assert_non_null(strstr(story, "> file.driver=file,file.filename=/dev/fdset/1,file.locking=off,if=ide,"));
    told(story, line_of(text, n, "> fd=7,set=1"));
    told(story, line_of(text, n, "> fd=8,set=3"));
    assert_order(story, line_of(text, n, "> -xen-domid-restrict"), line_of(text, n, "> -chroot"));
    snprintf(text, sizeof text, "qemu %u: > %s/qemu-root-%u", n, w->folder, n);
    told(story, text);
    assert_not_told(story, line_of(text, n, "> -sandbox"));
    must(save(w, &to_file));
    assert_nothing_left(w, "saved");
    hvm_play(w->folder, "version", 1);
    /* Whom it runs as is not an image's to say. */
    assert_int_equal(restore(w, false).kind, WH_STREAM);
    struct wh_restore_how how = { .config = w->config, .no_monitor = true };
    uint32_t m = must(perform(w, wh_restore_new(w->file, &how))).domid;
    wh_auto_free char *later = hvm_story(w->folder);
    told(later, line_of(text, m, "> -sandbox"));
    told(later, line_of(text, m, "has 0 1 2 4 5 6 7 8 9"));
    told(later, line_of(text, m, "> fd:9"));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST("well: QEMU is started before the guest runs, with nothing but what is its",
                   it_is_started),
        WORLD_TEST("well: QEMU waits as long as the guest is paused", it_waits_with_the_guest),
        WORLD_TEST("well: QEMU's state is taken of a guest that does not run", its_state_is_taken),
        WORLD_TEST("well: QEMU goes on from the bytes that it wrote", it_goes_on_from_it),
        WORLD_TEST("well: QEMU goes on where the guest does", it_goes_on_after_a_checkpoint),
        WORLD_TEST("well: a guest without PV drivers is stopped, not asked",
                   a_guest_without_drivers_is_stopped),
        WORLD_TEST("well: QEMU's nodes move with its state", its_nodes_move),
        WORLD_TEST("well: QEMU is begun late where it would keep what is old", it_is_begun_late),
        WORLD_TEST("well: QEMU is begun before memory comes", it_is_begun_early),
        WORLD_TEST("well: an old QEMU is begun anew", an_old_one_is_begun_anew),
        WORLD_TEST("well: a QEMU that needs memory is begun anew", one_that_needs_memory_is_begun_anew),
        WORLD_TEST("well: QEMU is restricted", it_is_restricted),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
