/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Create, destroy and the monitor on a host in memory: a guest that is made looks as it should, and
 * whatever fails on the way leaves nothing of it. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/json.h"
#include "flow/domain.h"
#include "flow/monitor.h"
#include "flow/task.h"
#include "unit.h"
#include "xen/fake.h"

#define UUID "0123abcd-0123-4567-89ab-0123456789ab"
#define PLAIN "name='new'\ntype='pvh'\nkernel='/k'\nmemory=8\nuuid='" UUID "'\n"

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here;
    char folder[PATH_MAX], config[PATH_MAX];
};

static void write_config(struct world *w, const char *text)
{
    FILE *f = fopen(w->config, "we");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    wh_op_hurry = 50;
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->config, sizeof w->config, "%.4000s/new.cfg", w->folder);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .log = w->folder,
                                .scripts = w->folder, .state = w->folder };
    write_config(w, PLAIN);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char jobs[PATH_MAX];

    wh_op_hurry = 1;
    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    snprintf(jobs, sizeof jobs, "%.4000s/jobs", w->folder);
    unit_remove_folder(jobs);
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

static struct wh_job *make(struct world *w, bool paused)
{
    struct wh_create_how how = { .paused = paused, .no_monitor = true };

    return wh_create_new(w->config, &how);
}

static uint32_t create(struct world *w, bool paused)
{
    auto_job j = perform(w, make(w, paused));

    if (wh_job_result(j) != WH_OK)
        print_error("%s\n", wh_job_error(j));
    assert_int_equal(wh_job_result(j), WH_OK);
    return (uint32_t)wh_json_number(wh_task_result(j), "domid", 0);
}

static void destroy(struct world *w, uint32_t domid)
{
    char who[16];

    snprintf(who, sizeof who, "%u", domid);
    auto_job j = perform(w, wh_destroy_new(who));
    if (wh_job_result(j) != WH_OK)
        print_error("%s\n", wh_job_error(j));
    assert_int_equal(wh_job_result(j), WH_OK);
}

/* Records of what is under way. */
static unsigned records(const struct world *w)
{
    char path[PATH_MAX];
    struct dirent *e;
    unsigned n = 0;

    snprintf(path, sizeof path, "%.4000s/jobs", w->folder);
    DIR *folder = opendir(path);
    while (folder && (e = readdir(folder)))
        n += e->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return n;
}

/* Files of domains; the history of numbers stays. */
static unsigned files(const struct world *w)
{
    DIR *folder = opendir(w->folder);
    struct dirent *e;
    unsigned n = 0;

    while ((e = readdir(folder)))
        n += strncmp(e->d_name, "userdata-", 9) == 0;
    closedir(folder);
    return n;
}

#define assert_node(w, value, ...)                                                                 \
    do {                                                                                           \
        wh_auto_free char *is = wh_fake_node((w)->f, __VA_ARGS__);                                 \
        assert_non_null(is);                                                                       \
        assert_string_equal(is, value);                                                            \
    } while (0)

#define assert_refuses(w, kind, why)                                                               \
    do {                                                                                           \
        auto_job j_ = perform(w, make(w, false));                                                  \
        assert_int_equal(wh_job_result(j_), kind);                                                 \
        assert_says(wh_job_error(j_), why);                                                        \
    } while (0)

/* ------------------------------------------------------------------------------- create */

static void a_guest_is_made(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    char path[PATH_MAX];
    struct stat st;

    assert_true(wh_fake_state(w->f, domid).running);
    assert_node(w, "new", "/local/domain/%u/name", domid);
    assert_node(w, "/vm/" UUID, "/local/domain/%u/vm", domid);
    assert_node(w, "8192", "/local/domain/%u/memory/target", domid);
    assert_node(w, "online", "/local/domain/%u/cpu/0/availability", domid);
    assert_node(w, "pvh", "/libxl/%u/type", domid);
    assert_node(w, "xenconsoled", "/local/domain/%u/console/type", domid);
    assert_true(wh_fake_write(w->f, domid, "1", "/local/domain/%u/control/feature-suspend", domid));
    assert_false(wh_fake_write(w->f, domid, "x", "/local/domain/%u/name", domid));
    snprintf(path, sizeof path, "%.3900s/userdata-d.%u." UUID ".libxl-json", w->folder, domid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void it_is_left_paused(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, true);

    assert_true(wh_fake_state(w->f, domid).there);
    assert_false(wh_fake_state(w->f, domid).running);
}

static void a_dry_run_makes_nothing(void **state)
{
    struct world *w = *state;
    struct wh_create_how how = { .dry_run = true, .more = "vcpus=2\n" };
    auto_job j = wh_create_new(w->config, &how);

    assert_int_equal(wh_job_run(j), WH_OK);
    json_object *c = json_object_object_get(wh_task_result(j), "config");
    assert_int_equal(wh_json_number(c, "b_info.max_vcpus", 0), 2);
    assert_int_equal(wh_fake_calls(w->f), 0);
}

static void a_name_in_use_is_refused(void **state)
{
    struct world *w = *state;

    wh_fake_guest_pvh(w->f, "new", 4, 1, 90);
    wh_auto_free char *before = wh_fake_check(w->f);
    assert_refuses(w, WH_USAGE, "is called 'new' already");
    wh_auto_free char *after = wh_fake_check(w->f);
    assert_string_equal(before, after);
}

static void a_uuid_in_use_is_refused(void **state)
{
    struct world *w = *state;
    uint32_t first = create(w, false);

    write_config(w, PLAIN "name='other'\n");
    assert_refuses(w, WH_USAGE, "has the uuid " UUID " already");
    assert_true(wh_fake_state(w->f, first).running);
    assert_node(w, "new", "/vm/" UUID "/name");
    assert_int_equal(files(w), 1);
}

static void a_number_just_freed_is_not_used(void **state)
{
    struct world *w = *state;
    uint32_t first = create(w, false), second;

    destroy(w, first);
    second = create(w, false);
    assert_int_not_equal(first, second);
}

static void lack_of_memory_is_said(void **state)
{
    struct world *w = *state;

    write_config(w, PLAIN "memory=100\n");
    assert_refuses(w, WH_XEN, "the guest needs 101 MiB, the host has ");
    write_config(w, PLAIN "pool='none'\n");
    assert_refuses(w, WH_USAGE, "there is no cpupool 'none'");
}

/* ------------------------------------------------------------------------------ destroy */

static void nothing_is_left(void **state)
{
    struct world *w = *state;

    wh_auto_free char *before = wh_fake_tree(w->f);
    destroy(w, create(w, false));
    wh_auto_free char *after = wh_fake_tree(w->f);
    assert_int_equal(files(w), 0);
    assert_false(wh_fake_state(w->f, wh_fake_newest(w->f)).there);
    assert_null(strstr(after, UUID));
    assert_non_null(before);
}

/* Destroying it failed on the way, and it is gone: recover, and whoever takes a domain back, clears. */
static void what_is_left_is_cleared(void **state)
{
    struct world *w = *state;
    wh_auto_free char *before = wh_fake_check(w->f);
    bool hit = true;

    for (uint64_t k = 1; hit; k++) {
        uint32_t domid = create(w, true);

        wh_fake_fault_shielded(w->f, k, WH_FAULT_FAIL);
        auto_job j = perform(w, wh_destroy_new("new"));
        hit = wh_fake_shielded_hit(w->f) != NULL;
        wh_fake_fault_shielded(w->f, 0, WH_FAULT_NONE);
        assert_int_equal(wh_job_result(j), hit ? WH_XEN : WH_OK);
        if (wh_fake_state(w->f, domid).there)
            destroy(w, domid);
        wh_store_close(w->here.store);
        w->here.store = wh_fake_store(w->f);
        assert_true(wh_domain_clear(&w->op, &w->here, domid, UUID));
        wh_auto_free char *after = wh_fake_check(w->f);
        assert_string_equal(before, after);
        assert_int_equal(files(w), 0);
    }
}

/* Its own backend's nodes are gone already: no other's may be taken for the folder that is left. */
static void others_backends_stay(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);

    assert_true(wh_store_remove(&w->op, w->here.store, 0, "/local/domain/0/backend/console/%u",
                                domid));
    assert_true(wh_fake_write(w->f, 0, "1", "/local/domain/0/backend/console/99/0/state"));
    destroy(w, domid);
    assert_node(w, "1", "/local/domain/0/backend/console/99/0/state");
}

static void domain_0_stays(void **state)
{
    struct world *w = *state;
    auto_job j = perform(w, wh_destroy_new("0"));

    assert_int_equal(wh_job_result(j), WH_USAGE);
}

/* ------------------------------------------------------------------- whatever goes wrong */

static void connect_anew(struct world *w)
{
    wh_store_close(w->here.store);
    w->here.store = wh_fake_store(w->f);
}

static bool meet_one(struct world *w, uint64_t k, enum wh_fault how)
{
    wh_auto_free char *before = wh_fake_check(w->f);

    wh_fake_fault(w->f, k, how);
    wh_op_hurry = how == WH_FAULT_HANG ? 2000 : 100;
    auto_job j = perform(w, make(w, false));
    wh_op_hurry = 100;
    bool hit = wh_fake_fault_hit(w->f) != NULL;
    wh_fake_fault(w->f, 0, WH_FAULT_NONE);
    connect_anew(w);
    if (wh_job_result(j) == WH_OK)
        destroy(w, (uint32_t)wh_json_number(wh_task_result(j), "domid", 0));
    else
        assert_int_equal(j->op.undo_err.kind, WH_OK);
    connect_anew(w);
    wh_auto_free char *after = wh_fake_check(w->f);
    assert_string_equal(before, after);
    assert_int_equal(files(w), 0);
    assert_int_equal(records(w), 0);
    return hit;
}

static void every_fault_leaves_nothing(void **state)
{
    static const enum wh_fault faults[] = { WH_FAULT_FAIL, WH_FAULT_LOST, WH_FAULT_HANG,
                                            WH_FAULT_CANCEL, WH_FAULT_CANCEL_IN };
    struct world *w = *state;
    unsigned met = 0;

    for (size_t how = 0; how < WH_COUNT(faults); how++) {
        for (uint64_t k = 1; meet_one(w, k, faults[how]); k++)
            met++;
    }
    assert_true(met > 300);
}

static void somebody_else_writes_meanwhile(void **state)
{
    struct world *w = *state;

    wh_fake_conflict(w->f, 5);
    create(w, false);
}

/* ------------------------------------------------------------------------------ monitor */

static void hush(const char *line)
{
    (void)line;
}

/* Until it has looked at the domain and waits for what will become of it. */
static void await_watch(struct wh_job *j)
{
    struct wh_progress now;

    for (int i = 0; i < 10000; i++) {
        assert_int_not_equal(wh_job_state(j, &now), WH_JOB_ENDED);
        if (strcmp(now.step, "wait for the guest to shut down") == 0)
            return;
        unit_sleep_ms(1);
    }
    fail_msg("the monitor does not come to watch");
}

/* Watch over the domain from another thread, let it shut down, and wait for the monitor's end. */
static struct wh_job *monitor(struct world *w, uint32_t domid, enum wh_shutdown why, unsigned quick)
{
    char number[16];

    snprintf(number, sizeof number, "%u", domid);
    struct wh_monitor how = { .domain = number, .quick = quick, .say = hush };
    struct wh_job *j = wh_monitor_new(&how);
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    struct wh_xen *other = wh_fake_xen(w->f);
    assert_true(wh_job_start(j));
    await_watch(j);
    assert_true(wh_xen_shutdown(&w->op, other, domid, why));
    wh_job_wait(j);
    wh_xen_close(other);
    if (wh_job_result(j) != WH_OK)
        print_error("%s\n", wh_job_error(j));
    assert_int_equal(wh_job_result(j), WH_OK);
    return j;
}

static void it_starts_a_guest_again(void **state)
{
    struct world *w = *state;
    uint32_t first = create(w, false);
    auto_job j = monitor(w, first, WH_REBOOT, 2);
    uint32_t next = (uint32_t)wh_json_number(wh_task_result(j), "next", 0);

    assert_false(wh_fake_state(w->f, first).there);
    assert_int_not_equal(next, first);
    assert_true(wh_fake_state(w->f, next).running);
    assert_node(w, "new", "/local/domain/%u/name", next);
    assert_int_equal(wh_json_number(wh_task_result(j), "quick", 0), 3);
    assert_int_equal(files(w), 1);
}

static void it_does_not_so_for_ever(void **state)
{
    struct world *w = *state;
    auto_job j = monitor(w, create(w, false), WH_REBOOT, 4);

    assert_int_equal(wh_json_number(wh_task_result(j), "next", 0), 0);
    assert_int_equal(wh_fake_running(w->f), 0);
    assert_int_equal(files(w), 0);
}

static void it_destroys(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    auto_job j = monitor(w, domid, WH_POWEROFF, 0);

    assert_false(wh_fake_state(w->f, domid).there);
}

static void it_preserves(void **state)
{
    struct world *w = *state;

    write_config(w, PLAIN "on_crash='preserve'\n");
    uint32_t domid = create(w, false);
    auto_job j = monitor(w, domid, WH_CRASH, 0);
    assert_true(wh_fake_state(w->f, domid).there);
    assert_node(w, "new", "/local/domain/%u/name", domid);
}

static void it_lets_the_suspended_alone(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    struct wh_monitor how = { .domain = "new", .say = hush };
    auto_job j = wh_monitor_new(&how);
    struct wh_xen *other = wh_fake_xen(w->f);

    ((struct wh_task *)j)->here = &w->here;
    assert_true(wh_job_start(j));
    await_watch(j);
    assert_true(wh_xen_shutdown(&w->op, other, domid, WH_SUSPEND));
    unit_sleep_ms(50);
    assert_int_equal(wh_job_state(j, NULL), WH_JOB_RUNNING);
    assert_true(wh_xen_destroy(&w->op, other, domid));
    assert_int_equal(wh_job_wait(j), WH_OK);
    wh_xen_close(other);
}

static const char *heard;

static void hear(const char *line)
{
    heard = strstr(line, "is watched already") ? "already" : heard;
}

static void a_second_one_leaves_it_to_the_first(void **state)
{
    struct world *w = *state;
    struct wh_here here = w->here;
    uint32_t domid = create(w, false);
    struct wh_monitor how = { .domain = "new", .say = hush }, too = { .domain = "new", .say = hear };
    auto_job j = wh_monitor_new(&how);
    auto_job k = wh_monitor_new(&too);

    here.xen = wh_fake_xen(w->f);
    here.store = wh_fake_store(w->f);
    ((struct wh_task *)j)->here = &w->here;
    ((struct wh_task *)k)->here = &here;
    assert_true(wh_job_start(j));
    await_watch(j);
    assert_int_equal(wh_job_run(k), WH_OK);
    assert_non_null(heard);
    assert_int_equal(wh_job_state(j, NULL), WH_JOB_RUNNING);
    assert_true(wh_xen_destroy(&w->op, here.xen, domid));
    assert_int_equal(wh_job_wait(j), WH_OK);
    wh_store_close(here.store);
    wh_xen_close(here.xen);
}

/* ------------------------------------------------------------- the monitor, and QEMU's end */

static char told[1200];
static atomic_uint times_told;

static void listen_for_qemu(const char *line)
{
    if (!strstr(line, "QEMU"))
        return;
    snprintf(told, sizeof told, "%s", line);
    times_told++;
}

/* A process that looks like the domain's: this program, which does nothing under that name. */
static pid_t start_qemu(struct world *w, uint32_t domid)
{
    char number[16], pid_text[16], log[PATH_MAX];
    int ready[2];

    snprintf(number, sizeof number, "%u", domid);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);           /* of a test that fails nothing stays */
        execl("/proc/self/exe", "qemu", "-xen-domid", number, NULL);
        _exit(1);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], number, 1), 0);         /* it has become the program */
    close(ready[0]);
    snprintf(pid_text, sizeof pid_text, "%d", (int)pid);
    wh_fake_write(w->f, 0, pid_text, "/local/domain/%u/image/device-model-pid", domid);
    snprintf(log, sizeof log, "%.4000s/qemu-dm-new.log", w->folder);
    FILE *f = fopen(log, "we");
    assert_non_null(f);
    fputs("begun\nout of \x1bmemory\n", f);
    fclose(f);
    return pid;
}

static void kill_qemu(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static bool is_told(unsigned ms)
{
    for (unsigned i = 0; i < ms && times_told == 0; i++)
        unit_sleep_ms(1);
    return times_told > 0;
}

static struct wh_job *watch(struct world *w)
{
    struct wh_monitor how = { .domain = "new", .say = listen_for_qemu };
    struct wh_job *j = wh_monitor_new(&how);

    times_told = 0;
    ((struct wh_task *)j)->here = &w->here;
    assert_true(wh_job_start(j));
    return j;
}

static void it_tells_that_qemu_has_ended(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    pid_t pid = start_qemu(w, domid);
    struct wh_xen *other = wh_fake_xen(w->f);
    auto_job j = watch(w);

    await_watch(j);
    assert_false(is_told(50));
    kill_qemu(pid);
    assert_true(is_told(5000));
    assert_says(told, "has ended, and the domain has not; its log ends: begun|out of ?memory (");
    unit_sleep_ms(1500);                            /* longer than a destroying may take */
    assert_int_equal(wh_job_state(j, NULL), WH_JOB_RUNNING);
    assert_true(wh_xen_shutdown(&w->op, other, domid, WH_POWEROFF));
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_int_equal(times_told, 1);
    assert_false(wh_fake_state(w->f, domid).there);
    wh_xen_close(other);
}

static void it_keeps_quiet_where_the_domain_goes_too(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, true);
    pid_t pid = start_qemu(w, domid);
    struct wh_xen *other = wh_fake_xen(w->f);
    auto_job j = watch(w);

    await_watch(j);
    kill_qemu(pid);
    unit_sleep_ms(100);
    assert_true(wh_xen_destroy(&w->op, other, domid));
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_int_equal(times_told, 0);
    wh_xen_close(other);
}

static void it_tells_of_a_domain_that_stays_paused_later(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, true);
    pid_t pid = start_qemu(w, domid);
    struct wh_xen *other = wh_fake_xen(w->f);
    auto_job j = watch(w);

    await_watch(j);
    kill_qemu(pid);
    assert_false(is_told(200));
    assert_true(is_told(10000));
    await_watch(j);
    assert_true(wh_xen_destroy(&w->op, other, domid));
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_int_equal(times_told, 1);
    wh_xen_close(other);
}

static void it_tells_of_a_qemu_that_is_no_more(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    struct wh_xen *other = wh_fake_xen(w->f);
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)getpid());     /* its number is another's by now */
    wh_fake_write(w->f, 0, pid, "/local/domain/%u/image/device-model-pid", domid);
    auto_job j = watch(w);
    assert_true(is_told(10000));
    assert_says(told, "its log is empty");
    assert_true(wh_xen_destroy(&w->op, other, domid));
    assert_int_equal(wh_job_wait(j), WH_OK);
    wh_xen_close(other);
}

static void assert_model(struct world *w, const char *word)
{
    auto_job j = perform(w, wh_list_new("new", false));

    assert_int_equal(wh_job_result(j), WH_OK);
    json_object *o = json_object_array_get_idx(wh_task_result(j), 0);
    assert_string_equal(wh_json_string(o, "device_model", "none"), word);
}

static void whether_the_device_model_lives_is_listed(void **state)
{
    struct world *w = *state;
    uint32_t domid = create(w, false);
    char pid[16];

    assert_model(w, "none");
    pid_t qemu = start_qemu(w, domid);
    assert_model(w, "running");
    kill_qemu(qemu);
    assert_model(w, "gone");
    snprintf(pid, sizeof pid, "%d", (int)getpid());     /* somebody else's by now */
    wh_fake_write(w->f, 0, pid, "/local/domain/%u/image/device-model-pid", domid);
    assert_model(w, "gone");
}

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "qemu") == 0)
        return pause();
    const struct CMUnitTest tests[] = {
        WORLD_TEST("create makes a guest with its nodes, its rights and its file", a_guest_is_made),
        WORLD_TEST("create leaves a guest paused that is to be", it_is_left_paused),
        WORLD_TEST("a dry run tells the configuration and makes nothing", a_dry_run_makes_nothing),
        WORLD_TEST("a name that is in use is refused, and nothing is left",
                   a_name_in_use_is_refused),
        WORLD_TEST("a uuid that is in use is refused, and its owner unharmed",
                   a_uuid_in_use_is_refused),
        WORLD_TEST("a number that was freed just now is not used", a_number_just_freed_is_not_used),
        WORLD_TEST("lack of memory and of a pool is said in words", lack_of_memory_is_said),
        WORLD_TEST("destroy leaves no domain, no node, no file", nothing_is_left),
        WORLD_TEST("what a destroy that failed left is cleared", what_is_left_is_cleared),
        WORLD_TEST("destroy leaves other domains' backends alone", others_backends_stay),
        WORLD_TEST("domain 0 is not destroyed", domain_0_stays),
        WORLD_TEST("whatever backend call fails, hangs or is cancelled: nothing is left",
                   every_fault_leaves_nothing),
        WORLD_TEST("nodes are written although others write meanwhile",
                   somebody_else_writes_meanwhile),
        WORLD_TEST("the monitor starts a guest again that reboots", it_starts_a_guest_again),
        WORLD_TEST("but not one that dies at once for the fifth time", it_does_not_so_for_ever),
        WORLD_TEST("the monitor destroys a guest that powers off", it_destroys),
        WORLD_TEST("the monitor leaves alone what is to be preserved", it_preserves),
        WORLD_TEST("a second monitor leaves the guest to the first",
                   a_second_one_leaves_it_to_the_first),
        WORLD_TEST("the monitor leaves a suspended guest to who suspended it",
                   it_lets_the_suspended_alone),
        WORLD_TEST("the monitor tells that a guest's QEMU has ended, and watches on",
                   it_tells_that_qemu_has_ended),
        WORLD_TEST("but not where the domain is being taken away",
                   it_keeps_quiet_where_the_domain_goes_too),
        WORLD_TEST("of a paused domain it tells when that has not gone a while later",
                   it_tells_of_a_domain_that_stays_paused_later),
        WORLD_TEST("the monitor tells of a QEMU that was gone before",
                   it_tells_of_a_qemu_that_is_no_more),
        WORLD_TEST("whether a domain's device model lives is listed",
                   whether_the_device_model_lives_is_listed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
