/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whatever an HVM guest's QEMU does wrong, at each of the commands that it is given: the operation
 * ends within its time in an error that names the command, the guest is where it should be, and
 * nothing is left over. */
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "dm/qemu.h"
#include "hvm_world.h"

#define LATE_MS 8000            /* what a busy machine under a sanitizer is given for any of it */

/* What a trick comes to where an answer is expected, or a greeting.  Those that flood are played at
 * one command alone: it is a busy quarter of a second. */
static enum wh_kind kind_of(enum qmp_trick trick, bool greeting)
{
    switch (trick) {
    case QMP_BEHAVES:
    case QMP_DRIBBLES:
    case QMP_DESCRIPTORS:
    case QMP_EMPTY_LINES:
        return WH_OK;
    case QMP_EVENT_FIRST:
    case QMP_EVENTS:
        return greeting ? WH_PEER : WH_OK;
    case QMP_STALLS:
        return WH_TIMEOUT;
    case QMP_EVENTS_ONLY:
        return greeting ? WH_PEER : WH_TIMEOUT;
    default:
        return WH_PEER;
    }
}

/* Where the client does no more than elsewhere a few of each sort are enough. */
static bool is_played(enum qmp_trick trick, const char *at)
{
    static const char *const alike[] = { "qmp_capabilities", "change-vnc-password", "query-vnc",
                                         "remove-fd" };

    for (size_t i = 0; i < WH_COUNT(alike); i++)
        if (strcmp(at, alike[i]) == 0 && trick > QMP_STALLS && trick != QMP_NOT_JSON &&
            trick != QMP_TWICE && trick != QMP_REFUSES && trick != QMP_EVENTS)
            return false;
    return trick != QMP_EVENTS_ONLY || strcmp(at, "stop") == 0 || strcmp(at, "query-status") == 0;
}

/* It was this, within its time, and says where. */
static void assert_ended(const struct outcome *o, enum wh_kind kind, int64_t begun,
                         const char *context, const char *says)
{
    if (o->kind != kind)
        fail_msg("%s: expected %s, found %s: %s", context, wh_kind_name(kind),
                 wh_kind_name(o->kind), o->error);
    if (kind != WH_OK && !strstr(o->error, says))
        fail_msg("%s: \"%s\" is not in: %s", context, says, o->error);
    if (unit_now_ms() - begun > LATE_MS)
        fail_msg("%s: it took %lld ms: %s", context, (long long)(unit_now_ms() - begun), o->error);
}

/* Only what is waited for in vain is hurried: a busy machine may be slow to do the rest. */
static void hurry(enum wh_kind kind)
{
    wh_op_hurry = kind == WH_TIMEOUT ? HURRY : BRISK;
}

/* Every trick at every one of those commands. */
static void each(struct world *w, const char *const *at, size_t n,
                 void (*run)(struct world *, enum wh_kind, const char *context, const char *says))
{
    char context[128];

    for (size_t i = 0; i < n; i++) {
        bool greeting = strcmp(at[i], "greeting") == 0;

        for (int trick = QMP_BEHAVES; trick < QMP_TRICKS; trick++) {
            if (!is_played((enum qmp_trick)trick, at[i]))
                continue;
            enum wh_kind kind = kind_of((enum qmp_trick)trick, greeting);
            snprintf(context, sizeof context, "trick %d at %s", trick, at[i]);
            hvm_play(w->folder, at[i], trick);
            hurry(kind);
            run(w, kind, context, greeting ? "QEMU" : at[i]);
            wh_op_hurry = BRISK;
            hvm_play(w->folder, NULL, 0);
        }
    }
}

/* -------------------------------------------------------------------------------- create */

static void try_create(struct world *w, enum wh_kind kind, const char *context, const char *says)
{
    int64_t begun = unit_now_ms();
    struct outcome o = create(w, false);

    assert_ended(&o, kind, begun, context, says);
    hvm_play(w->folder, NULL, 0);
    if (o.kind == WH_OK)
        must(destroy(w));
    assert_int_equal(o.undo, WH_OK);
    assert_nothing_left(w, context);
}

static void create_and_every_trick(void **state)
{
    static const char *const at[] = { "greeting", "qmp_capabilities", "query-status",
                                      "query-chardev", "change-vnc-password", "query-vnc", "cont" };

    hvm_config(((struct world *)*state)->folder, "vnc=1\nvncpasswd='secret'\n");
    each(*state, at, WH_COUNT(at), try_create);
}

static void create_goes_wrong(struct world *w, const char *word, int n, enum wh_kind kind,
                              const char *says)
{
    char context[64];

    snprintf(context, sizeof context, "create, %s %d", word, n);
    hvm_play(w->folder, word, n);
    hurry(kind);
    try_create(w, kind, context, says);
    wh_op_hurry = BRISK;
}

static void create_and_what_else(void **state)
{
    struct world *w = *state;

    hvm_config(w->folder, "vnc=1\n");
    create_goes_wrong(w, "start", 1, WH_PEER, "disk image: ?[2JNo such file");
    create_goes_wrong(w, "status", 1, WH_PEER, "a state of its own: expected prelaunch");
    create_goes_wrong(w, "vnc", 1, WH_PEER, "what is no address and port");
    create_goes_wrong(w, "query-status", QMP_TRICKS, WH_PEER, "query-status");
}

static void create_without_a_program(void **state)
{
    struct world *w = *state;
    char context[32] = "no QEMU";

    w->here.qemu = "/nowhere/qemu";
    try_create(w, WH_SYSTEM, context, "start /nowhere/qemu: No such file");
}

/* ---------------------------------------------------------------------------------- save */

/* Asked of it itself. */
static void assert_status(struct world *w, uint32_t domid, const char *status, const char *context)
{
    wh_auto_json json_object *answer = NULL;
    struct wh_qmp *qmp;

    if (!wh_qemu_reach(&w->op, &w->here, domid, &qmp) ||
        !wh_qmp_call(&w->op, qmp, "query-status", NULL, -1, &answer))
        fail_msg("%s: %s", context, w->op.err.text);
    if (strcmp(wh_json_string(answer, "status", ""), status) != 0)
        fail_msg("%s: QEMU is %s", context, wh_json_string(answer, "status", "nowhere"));
    wh_qmp_close(qmp);
}

/* What a guest's host looks like before it is saved, and after that failed. */
struct picture {
    char *xen, *litter;
    size_t told;
    unsigned fds;
};

static struct picture look(struct world *w)
{
    wh_auto_free char *story = hvm_story(w->folder);

    return (struct picture){ wh_fake_check(w->f), hvm_litter(w->folder), strlen(story),
                             wh_fake_fds() };
}

static void drop(struct picture *p)
{
    free(p->xen);
    free(p->litter);
}

/* Guest and QEMU run as they did. */
static void assert_runs_on(struct world *w, const struct picture *was, const char *context)
{
    uint32_t domid = wh_fake_newest(w->f);
    wh_auto(drop) struct picture is = look(w);

    if (!wh_fake_state(w->f, domid).running)
        fail_msg("%s: the guest does not run", context);
    assert_status(w, domid, "running", context);
    if (is_there(w->file) || records(w) > 0)
        fail_msg("%s: there is a file, or a record", context);
    if (strcmp(was->xen, is.xen) != 0 || strcmp(was->litter, is.litter) != 0 || was->fds != is.fds)
        fail_msg("%s: before (%u descriptors)\n%s%safter (%u)\n%s%s", context, was->fds, was->xen,
                 was->litter, is.fds, is.xen, is.litter);
    assert_int_equal(hvm_running(w->folder), 1);
}

static void try_save(struct world *w, enum wh_kind kind, const char *context, const char *says)
{
    wh_auto(drop) struct picture was = look(w);
    int64_t begun = unit_now_ms();
    char stop[64], cont[64];

    struct outcome o = save(w, &keeping);
    assert_ended(&o, kind, begun, context, says);
    assert_int_equal(o.undo, WH_OK);
    wh_auto_free char *story = hvm_story(w->folder);
    const char *saving = story + was.told;
    line_of(stop, wh_fake_newest(w->f), "stop");
    line_of(cont, wh_fake_newest(w->f), "cont");
    if (hvm_last(saving, cont) < hvm_last(saving, stop))
        fail_msg("%s: QEMU is not let go on", context);
    if (o.kind == WH_OK)
        assert_int_equal(unlink(w->file), 0);
    else if (hvm_last(saving, stop) >= 0)
        assert_says(o.error, "runs on");
    hvm_play(w->folder, NULL, 0);
    assert_runs_on(w, &was, context);
}

static void save_and_every_trick(void **state)
{
    static const char *const at[] = { "greeting", "qmp_capabilities", "qom-get", "stop", "add-fd",
                                      "xen-save-devices-state", "remove-fd" };
    struct world *w = *state;

    must(create(w, false));
    each(w, at, WH_COUNT(at), try_save);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void save_goes_wrong(struct world *w, const char *word, int n, const char *says)
{
    char context[64];

    snprintf(context, sizeof context, "save, %s %d", word, n);
    hvm_play(w->folder, word, n);
    try_save(w, WH_PEER, context, says);
}

static void save_and_what_else(void **state)
{
    struct world *w = *state;

    must(create(w, false));
    save_goes_wrong(w, "machine", 1, "does not say which machine it is");
    save_goes_wrong(w, "fdset", 1, "did not say as which");
    save_goes_wrong(w, "state", 1, "QEMU's state is none: it does not begin with QEVM");
    save_goes_wrong(w, "state", 2, "QEMU's state has 0 bytes");
    save_goes_wrong(w, "state", 3, "QEMU's state is none: it is not of version 3");
    save_goes_wrong(w, "state", 4, "QEMU's state has 67108865 bytes");
    save_goes_wrong(w, "state", 5, "QEMU's state is none: it is shorter than its header");
}

/* Nobody may talk to it meanwhile: the guest is not touched. */
static void save_waits_for_the_lock(void **state)
{
    struct world *w = *state;
    char path[400];

    uint32_t n = must(create(w, false)).domid;
    wh_auto(drop) struct picture was = look(w);
    snprintf(path, sizeof path, "%s/userdata-l.%u.0123abcd-0123-4567-89ab-0123456789ab."
             "qmp-socket-lock", w->folder, n);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    wh_op_hurry = HURRY;
    struct outcome o = save(w, &keeping);
    wh_op_hurry = BRISK;
    assert_int_equal(o.kind, WH_TIMEOUT);
    assert_says(o.error, "wait for the lock");
    assert_int_equal(wh_fake_state(w->f, n).suspends, 0);
    assert_true(is_there(path));
    assert_int_equal(unlink(path), 0);
    close(fd);
    assert_runs_on(w, &was, "the lock is another's");
}

/* It fails, and so does letting the guest run on: recover does that. */
static void save_is_not_undone(void **state)
{
    struct world *w = *state;

    must(create(w, false));
    wh_auto(drop) struct picture was = look(w);
    hvm_play(w->folder, "xen-save-devices-state", QMP_REFUSES);
    hvm_play(w->folder, "cont", QMP_CLOSES);
    struct outcome o = save(w, &keeping);
    assert_int_equal(o.kind, WH_PEER);
    assert_int_equal(o.undo, WH_PEER);
    assert_says(o.error, "xen-save-devices-state");
    assert_says(o.error, "may not run: wherry recover settles it");
    assert_int_equal(records(w), 1);
    assert_int_equal(recover(w).kind, WH_PEER);
    assert_int_equal(records(w), 1);
    hvm_play(w->folder, NULL, 0);
    must(recover(w));
    assert_runs_on(w, &was, "recovered");
}

/* The file is whole, and the guest cannot be let run on: it stays suspended, and recover does that. */
static void a_checkpoint_is_not_settled(void **state)
{
    const struct wh_save_how *const hows[] = { &keeping, &pausing };
    struct world *w = *state;

    for (size_t i = 0; i < WH_COUNT(hows); i++) {
        uint32_t n = must(create(w, false)).domid;
        hvm_play(w->folder, "cont", QMP_REFUSES);
        struct outcome o = save(w, hows[i]);
        assert_int_equal(o.kind, WH_PEER);
        assert_says(o.error, "QMP command cont");
        assert_says(o.error, "the image may be whole");
        assert_true(is_there(w->file));
        assert_false(wh_fake_state(w->f, n).running);
        assert_int_equal(recover(w).kind, WH_PEER);
        hvm_play(w->folder, NULL, 0);
        must(recover(w));
        assert_status(w, n, "running", "recovered");
        assert_int_equal(wh_fake_state(w->f, n).resumes, 1);
        assert_int_equal(wh_fake_state(w->f, n).running, i == 0);
        must(destroy(w));
        assert_int_equal(unlink(w->file), 0);
        assert_nothing_left(w, "destroyed");
    }
}

/* It dies at the moment it is to write its state: nothing can let the guest run. */
static void it_ends_while_it_saves(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    hvm_play(w->folder, "xen-save-devices-state", QMP_TRICKS);
    struct outcome o = save(w, &to_file);
    assert_int_equal(o.kind, WH_PEER);
    assert_says(o.error, "xen-save-devices-state");
    assert_says(o.error, "may not run");
    assert_true(wh_fake_state(w->f, n).there);
    assert_false(is_there(w->file));
    assert_int_equal(processes(w, 0), 0);
    assert_int_not_equal(recover(w).kind, WH_OK);
    assert_true(wh_fake_state(w->f, n).there);
    must(destroy(w));
    must(recover(w));
    assert_nothing_left(w, "destroyed");
}

/* ------------------------------------------------------------------------------- restore */

static void try_restore(struct world *w, enum wh_kind kind, const char *context, const char *says)
{
    int64_t begun = unit_now_ms();

    struct outcome o = restore(w, false);
    assert_ended(&o, kind, begun, context, says);
    assert_true(is_there(w->file));
    hvm_play(w->folder, NULL, 0);
    if (o.kind == WH_OK)
        must(destroy(w));
    assert_int_equal(o.undo, WH_OK);
    assert_nothing_left(w, context);
}

static void restore_and_every_trick(void **state)
{
    static const char *const at[] = { "greeting", "qmp_capabilities", "query-status",
                                      "query-chardev" };

    leave_an_image(*state);
    each(*state, at, WH_COUNT(at), try_restore);
}

static void restore_goes_wrong(struct world *w, const char *word, int n, enum wh_kind kind,
                               const char *says)
{
    char context[64];

    snprintf(context, sizeof context, "restore, %s %d", word, n);
    hvm_play(w->folder, word, n);
    hurry(kind);
    try_restore(w, kind, context, says);
    wh_op_hurry = BRISK;
}

static void restore_and_what_else(void **state)
{
    struct world *w = *state;

    leave_an_image(w);
    restore_goes_wrong(w, "start", 1, WH_PEER, "disk image: ?[2JNo such file");
    restore_goes_wrong(w, "status", 1, WH_PEER, "a state of its own: expected paused");
    restore_goes_wrong(w, "incoming", 1, WH_PEER, "load of migration failed: Input/output error");
    restore_goes_wrong(w, "incoming", 2, WH_TIMEOUT, "QEMU goes on from the guest's state");
    wh_auto_free char *first = hvm_story(w->folder);
    char kept[PATH_MAX];
    snprintf(kept, sizeof kept, "%s/wherry-qemu-machines", w->folder);
    assert_int_equal(unlink(kept), 0);          /* of the same program, which has told them before */
    restore_goes_wrong(w, "machines", 1, WH_USAGE, "which this host's QEMU does not have");
    wh_auto_free char *story = hvm_story(w->folder);
    assert_not_told(story + strlen(first), "xen: create");
}

/* All is there but that it runs: it stays, paused, and recover lets it run. */
static void a_restored_guest_waits(void **state)
{
    struct world *w = *state;

    leave_an_image(w);
    hvm_play(w->folder, "cont", QMP_REFUSES);
    struct outcome o = restore(w, false);
    assert_int_equal(o.kind, WH_PEER);
    assert_says(o.error, "QMP command cont");
    assert_says(o.error, "is restored and whole, but paused");
    uint32_t n = wh_fake_newest(w->f);
    assert_true(wh_fake_state(w->f, n).there);
    assert_false(wh_fake_state(w->f, n).running);
    assert_int_equal(recover(w).kind, WH_PEER);
    hvm_play(w->folder, NULL, 0);
    must(recover(w));
    assert_true(wh_fake_state(w->f, n).running);
    assert_status(w, n, "running", "recovered");
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* -------------------------------------------------------------------------------- cancel */

/* The operation is cancelled as it waits for the answer to that command. */
static struct outcome cancel_at(struct world *w, struct wh_job *j, const char *command)
{
    struct outcome o = { .kind = WH_OK };
    char line[64];
    bool told_of = false;

    wh_auto_free char *first = hvm_story(w->folder);
    ((struct wh_task *)j)->here = &w->here;
    hvm_play(w->folder, command, QMP_STALLS);
    assert_true(wh_job_start(j));
    for (int i = 0; !told_of && i < 2000; i++) {
        wh_auto_free char *story = hvm_story(w->folder);

        told_of = hvm_at(story + strlen(first), line_of(line, wh_fake_newest(w->f), command)) >= 0;
        unit_sleep_ms(2);
    }
    assert_true(told_of);
    int64_t begun = unit_now_ms();
    wh_job_cancel(j);
    o.kind = wh_job_wait(j);
    o.undo = j->op.undo_err.kind;
    snprintf(o.error, sizeof o.error, "%s", wh_job_error(j));
    wh_job_free(j);
    hvm_play(w->folder, NULL, 0);
    assert_ended(&o, WH_CANCELLED, begun, command, "");
    return o;
}

static void a_cancel_is_heard(void **state)
{
    static const char *const at[] = { "qom-get", "stop", "xen-save-devices-state" };
    struct wh_create_how create_how = { .no_monitor = true };
    struct wh_restore_how restore_how = { .no_monitor = true };
    struct world *w = *state;

    assert_int_equal(cancel_at(w, wh_create_new(w->config, &create_how), "query-status").undo,
                     WH_OK);
    assert_nothing_left(w, "create, cancelled");
    must(create(w, false));
    for (size_t i = 0; i < WH_COUNT(at); i++) {
        wh_auto(drop) struct picture was = look(w);

        assert_int_equal(cancel_at(w, wh_save_new("g", w->file, &to_file), at[i]).undo, WH_OK);
        assert_runs_on(w, &was, at[i]);
    }
    must(save(w, &to_file));
    assert_int_equal(cancel_at(w, wh_restore_new(w->file, &restore_how), "query-status").undo,
                     WH_OK);
    assert_nothing_left(w, "restore, cancelled");
}

/* ------------------------------------------------------------------------------- its end */

/* Five seconds, in which it could write what it has of the disks. */
static void one_that_does_not_end_is_killed(void **state)
{
    struct world *w = *state;

    hvm_play(w->folder, "term", 1);
    must(create(w, false));
    wh_op_hurry = 2;
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* The node names a process that is no QEMU of this domain's. */
static void another_process_is_let_be(void **state)
{
    struct world *w = *state;
    char pid[16];

    uint32_t n = must(create(w, false)).domid;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pause();
        _exit(0);
    }
    wh_auto_free char *its = wh_fake_node(w->f, "/local/domain/%u/image/device-model-pid", n);
    assert_non_null(its);
    snprintf(pid, sizeof pid, "%d", (int)child);
    assert_true(wh_fake_write(w->f, 0, pid, "/local/domain/%u/image/device-model-pid", n));
    must(destroy(w));
    assert_int_equal(kill(child, 0), 0);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(kill(atoi(its), SIGKILL), 0);
    assert_nothing_left(w, "destroyed");
}

/* Whatever of xenstore's fails: a domain that is gone has no QEMU any more, one that is there can be
 * destroyed again. */
static void no_domain_goes_before_it(void **state)
{
    struct world *w = *state;
    bool hit = true;
    unsigned stayed = 0;
    char number[16];

    for (uint64_t k = 1; hit; k++) {
        uint32_t n = must(create(w, true)).domid;

        wh_fake_fault_shielded(w->f, k, WH_FAULT_FAIL);
        destroy(w);
        hit = wh_fake_shielded_hit(w->f) != NULL;
        wh_fake_fault_shielded(w->f, 0, WH_FAULT_NONE);
        wh_store_close(w->here.store);      /* what it could not give back goes with that */
        w->here.store = wh_fake_store(w->f);
        bool there = wh_fake_state(w->f, n).there;
        stayed += there;
        snprintf(number, sizeof number, "%u", n);
        if (there)
            must(perform(w, wh_destroy_new(number)));
        assert_false(wh_fake_state(w->f, n).there);
        assert_int_equal(hvm_running(w->folder), 0);
    }
    assert_true(stayed >= 2);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST("create: every trick of QEMU's", create_and_every_trick),
        WORLD_TEST("create: what else QEMU does", create_and_what_else),
        WORLD_TEST("create: there is no such QEMU", create_without_a_program),
        WORLD_TEST("save: every trick of QEMU's, and the guest runs on", save_and_every_trick),
        WORLD_TEST("save: what else QEMU does, and the guest runs on", save_and_what_else),
        WORLD_TEST("save: somebody else talks to QEMU", save_waits_for_the_lock),
        WORLD_TEST("save: it fails, and recover lets the guest run on", save_is_not_undone),
        WORLD_TEST("save: the guest is not let run on, and recover does so",
                   a_checkpoint_is_not_settled),
        WORLD_TEST("save: QEMU ends", it_ends_while_it_saves),
        WORLD_TEST("restore: every trick of QEMU's", restore_and_every_trick),
        WORLD_TEST("restore: what else QEMU does", restore_and_what_else),
        WORLD_TEST("restore: the guest is not let run, and recover does so",
                   a_restored_guest_waits),
        WORLD_TEST("a cancel is heard while QEMU does not answer", a_cancel_is_heard),
        WORLD_TEST("a QEMU that does not end when it is asked is killed",
                   one_that_does_not_end_is_killed),
        WORLD_TEST("a domain does not go before its QEMU", no_domain_goes_before_it),
        WORLD_TEST("a process that is no QEMU is let be", another_process_is_let_be),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
