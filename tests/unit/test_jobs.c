/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs and cancel on a host in memory: what somebody works on is seen, how far it is, and it is asked to
 * stop; what a dead process left is not, and nobody else is signalled. */
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/json.h"
#include "cli/cli.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/task.h"
#include "unit.h"
#include "xen/fake.h"

#define MOVE "6a4d2a9e-2e0b-4c55-a4d0-1f0f5a2d8b11"

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here, other;         /* other: as another process has it */
    struct wh_domain web;
    char folder[PATH_MAX], jobs[PATH_MAX], gauges[PATH_MAX];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    bool there;

    *state = w;
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->jobs, sizeof w->jobs, "%.4000s/jobs", w->folder);
    snprintf(w->gauges, sizeof w->gauges, "%.4000s/gauges", w->folder);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .state = w->folder,
                                .gauges = w->gauges };
    w->other = w->here;
    w->other.xen = wh_fake_xen(w->f);
    w->other.store = wh_fake_store(w->f);
    uint32_t domid = wh_fake_guest_pvh(w->f, "web", 4, 1, 90);
    assert_true(wh_xen_domain(&w->op, w->here.xen, domid, &w->web, &there) && there);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_store_close(w->other.store);
    wh_xen_close(w->other.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    unit_remove_folder(w->jobs);
    unit_remove_folder(w->gauges);
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

static struct wh_job *on(struct world *w, struct wh_job *j)
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->other;
    return j;
}

/* ---------------------------------------------------------------------- somebody's work */

/* Of this process, and as if of the command: SIGUSR1 is what stops it. */
struct work {
    struct wh_leftover record;
    volatile bool asked;
};

static struct work *asked;

static void hear(int signal_number)
{
    (void)signal_number;
    asked->asked = true;
}

static void begin_work(struct world *w, struct work *k, const char *verb, const char *state,
                       bool has_domain)
{
    static const struct wh_domain none;

    *k = (struct work){ .asked = false };
    asked = k;
    signal(SIGUSR1, hear);
    w->op.signal = SIGUSR1;
    assert_true(wh_leftover_move(&w->op, &w->here, &k->record, verb, MOVE, state,
                                 has_domain ? &w->web : &none, NULL));
}

static void end_work(struct world *w, struct work *k)
{
    assert_true(wh_leftover_done(&w->op, &k->record));
    wh_leftover_close(&w->op, &k->record);
}

static json_object *list(struct world *w, struct wh_job **j)
{
    *j = on(w, wh_jobs_new());
    if (wh_job_run(*j) != WH_OK)
        print_error("%s\n", wh_job_error(*j));
    assert_int_equal(wh_job_result(*j), WH_OK);
    return wh_task_result(*j);
}

static size_t files(const char *folder)
{
    DIR *d = opendir(folder);
    size_t n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

static void put_text(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];

    mkdir(folder, 0700);
    snprintf(path, sizeof path, "%.3000s/%.200s", folder, name);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* A number of a process that has been, and is no more. */
static pid_t dead(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

/* -------------------------------------------------------------------------------- jobs */

static void nothing_is_listed(void **state)
{
    auto_job j = NULL;

    assert_int_equal(json_object_array_length(list(*state, &j)), 0);
}

static void work_is_listed(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    wh_step(&w->op, "copy the running guest", WH_FOREVER);
    json_object *o = json_object_array_get_idx(list(w, &j), 0);
    assert_string_equal(wh_json_string(o, "job", ""), MOVE);
    assert_string_equal(wh_json_string(o, "verb", ""), "send");
    assert_string_equal(wh_json_string(o, "state", ""), "copying");
    assert_string_equal(wh_json_string(o, "name", ""), "web");
    assert_string_equal(wh_json_string(o, "step", ""), "copy the running guest");
    assert_int_equal(wh_json_number(o, "domid", 0), w->web.domid);
    assert_int_equal(wh_json_number(o, "pid", 0), getpid());
    assert_true(json_object_get_boolean(json_object_object_get(o, "can_cancel")));
    end_work(w, &k);
}

static void an_arrival_is_listed_before_it_has_a_domain(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "receive", "receiving", false);
    json_object *o = json_object_array_get_idx(list(w, &j), 0), *domid;
    assert_true(json_object_object_get_ex(o, "domid", &domid) && !domid);
    end_work(w, &k);
}

static void progress_is_listed(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    wh_step(&w->op, "copy the running guest", WH_FOREVER);
    unit_sleep_ms(50);
    w->op.told_ns = 0;                  /* a second ago */
    wh_progress(&w->op, 5 << 20, 20 << 20);
    json_object *o = json_object_array_get_idx(list(w, &j), 0);
    assert_int_equal(wh_json_number(o, "bytes", 0), 5 << 20);
    assert_int_equal(wh_json_number(o, "total_bytes", 0), 20 << 20);
    assert_in_range(wh_json_number(o, "bytes_per_second", 0), 1 << 20, 100 << 20);
    assert_true(json_object_object_get(o, "seconds_left") != NULL);
    end_work(w, &k);
}

static void progress_is_written_once_a_second(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    wh_step(&w->op, "copy the running guest", WH_FOREVER);
    wh_progress(&w->op, 5 << 20, 20 << 20);
    json_object *o = json_object_array_get_idx(list(w, &j), 0);
    assert_int_equal(wh_json_number(o, "bytes", 1), 0);
    end_work(w, &k);
}

static void the_end_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    assert_int_equal(files(w->gauges), 1);
    end_work(w, &k);
    assert_int_equal(files(w->gauges), 0);
    wh_step(&w->op, "something else", WH_FOREVER);
    assert_int_equal(files(w->gauges), 0);
    assert_int_equal(json_object_array_length(list(w, &j)), 0);
}

static void no_folder_is_no_failure(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    w->here.gauges = w->other.gauges = "/proc/no/such/folder";
    begin_work(w, &k, "send", "copying", true);
    wh_step(&w->op, "copy the running guest", WH_FOREVER);
    assert_ok(&w->op);
    json_object *o = json_object_array_get_idx(list(w, &j), 0), *step;
    assert_true(json_object_object_get_ex(o, "step", &step) && !step);
    end_work(w, &k);
}

static void leftovers_are_not_listed(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    close(k.record.fd);                 /* it lives, and has let go of it */
    assert_int_equal(json_object_array_length(list(w, &j)), 0);
    k.record.open = false;
    wh_leftover_close(&w->op, &k.record);
}

static void records_of_the_dead_are_not_listed_nor_touched(void **state)
{
    struct world *w = *state;
    char text[200];
    auto_job j = NULL;

    snprintf(text, sizeof text, "{\"verb\":\"save\",\"domid\":3,\"pid\":%d,\"start\":5}\n", dead());
    put_text(w->jobs, "save-3.json", text);
    put_text(w->jobs, "save-4.json", "");
    put_text(w->jobs, "save-5.json", "no JSON\n");
    assert_int_equal(json_object_array_length(list(w, &j)), 0);
    assert_int_equal(files(w->jobs), 3);
}

/* By jobs, and by recover if it is to do anything. */
static void gauges_of_the_dead_are_removed(void **state)
{
    struct world *w = *state;
    struct work k;
    char text[100];
    auto_job j = NULL;
    auto_job looks = NULL;
    auto_job recover = NULL;

    begin_work(w, &k, "send", "copying", true);
    snprintf(text, sizeof text, "{\"pid\":%d,\"start\":5,\"step\":\"x\"}\n", dead());
    put_text(w->gauges, "save-3.json", text);
    snprintf(text, sizeof text, "{\"pid\":%d,\"start\":5,\"step\":\"x\"}\n", getpid());
    put_text(w->gauges, "save-4.json", text);       /* its number is another's now */
    put_text(w->gauges, "notes", "not ours");
    snprintf(text, sizeof text, ".%d-save-5.json", dead());         /* killed while exchanging */
    put_text(w->gauges, text, "{");
    snprintf(text, sizeof text, ".%d-save-6.json", getpid());
    put_text(w->gauges, text, "{");
    looks = wh_recover_new(&(struct wh_recover_how){ .look_only = true });
    assert_int_equal(wh_job_run(on(w, looks)), WH_OK);
    assert_int_equal(files(w->gauges), 6);
    assert_int_equal(json_object_array_length(list(w, &j)), 1);
    assert_int_equal(files(w->gauges), 3);
    snprintf(text, sizeof text, ".%d-save-5.json", dead());
    put_text(w->gauges, text, "{");
    recover = wh_recover_new(&(struct wh_recover_how){ 0 });
    assert_int_equal(wh_job_run(on(w, recover)), WH_OK);
    assert_int_equal(files(w->gauges), 3);
    end_work(w, &k);
}

static void a_gauge_of_another_process_is_not_believed(void **state)
{
    struct world *w = *state;
    struct work k;
    auto_job j = NULL;

    begin_work(w, &k, "send", "copying", true);
    put_text(w->gauges, "send-" MOVE ".json", "{\"pid\":1,\"start\":1,\"step\":\"a lie\"}\n");
    json_object *o = json_object_array_get_idx(list(w, &j), 0), *step;
    assert_true(json_object_object_get_ex(o, "step", &step) && !step);
    end_work(w, &k);
}

/* ------------------------------------------------------------------------------ cancel */

static const char *outcome(struct wh_job *j)
{
    return wh_json_string(wh_task_result(j), "outcome", "");
}

/* Started, until the work has heard of it. */
static struct wh_job *cancel(struct world *w, struct work *k, const char *name, uint64_t wait_ms)
{
    struct wh_job *j = on(w, wh_cancel_new(name, wait_ms));

    assert_true(wh_job_start(j));
    for (int i = 0; i < 500 && !k->asked && wh_job_state(j, NULL) != WH_JOB_ENDED; i++)
        unit_sleep_ms(10);
    return j;
}

static void what_is_taken_back_is_cancelled(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    assert_true(k.asked);
    end_work(w, &k);
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_string_equal(outcome(j), "cancelled");
    assert_string_equal(wh_json_string(wh_task_result(j), "verb", ""), "send");
}

static void the_longest_wait_is_no_short_one(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    auto_job j = cancel(w, &k, MOVE, UINT64_MAX);
    unit_sleep_ms(50);
    assert_true(wh_job_state(j, NULL) != WH_JOB_ENDED);
    end_work(w, &k);
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_string_equal(outcome(j), "cancelled");
}

static void the_name_of_its_record_is_one_too(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "receive", "receiving", false);
    auto_job j = cancel(w, &k, "receive-" MOVE, 10000);
    assert_true(k.asked);
    end_work(w, &k);
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_string_equal(outcome(j), "cancelled");
}

static void what_came_to_its_end_meanwhile_was_too_late(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "receive", "receiving", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    end_work(w, &k);                    /* and its domain is there */
    assert_int_equal(wh_job_wait(j), WH_USAGE);
    assert_string_equal(outcome(j), "too late");
    assert_says(wh_job_error(j), "too late");
}

static void what_cannot_be_taken_back_is_not_signalled(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "intent", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    assert_int_equal(wh_job_wait(j), WH_USAGE);
    assert_string_equal(outcome(j), "too late");
    assert_false(k.asked);
    end_work(w, &k);
}

static void what_passes_the_point_while_it_is_awaited_is_too_late(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "sent", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    assert_true(wh_leftover_state(&w->op, &k.record, "intent"));
    assert_int_equal(wh_job_wait(j), WH_USAGE);
    assert_string_equal(outcome(j), "too late");
    end_work(w, &k);
}

static void an_arrival_that_was_given_up_may_keep_its_record(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "receive", "ready", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    assert_true(wh_leftover_state(&w->op, &k.record, "aborted"));
    k.record.committed = true;
    wh_leftover_close(&w->op, &k.record);
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_string_equal(outcome(j), "cancelled");
}

static void what_ends_unsettled_is_for_recover(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    auto_job j = cancel(w, &k, MOVE, 10000);
    k.record.committed = true;
    wh_leftover_close(&w->op, &k.record);
    assert_int_equal(wh_job_wait(j), WH_PEER);
    assert_says(wh_job_error(j), "wherry recover");
    assert_string_equal(outcome(j), "left");
}

static void who_does_not_stop_is_waited_for_so_long(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    auto_job j = cancel(w, &k, MOVE, 300);
    assert_int_equal(wh_job_wait(j), WH_TIMEOUT);
    assert_string_equal(outcome(j), "asked");
    end_work(w, &k);
}

static void who_does_not_wait_only_asks(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    auto_job j = cancel(w, &k, MOVE, 0);
    assert_int_equal(wh_job_wait(j), WH_OK);
    assert_string_equal(outcome(j), "asked");
    assert_true(k.asked);
    end_work(w, &k);
}

static void a_program_that_embeds_jobs_is_not_signalled(void **state)
{
    struct world *w = *state;
    struct work k;

    begin_work(w, &k, "send", "copying", true);
    end_work(w, &k);
    w->op.signal = 0;
    assert_true(wh_leftover_move(&w->op, &w->here, &k.record, "send", MOVE, "copying", &w->web, NULL));
    auto_job j = cancel(w, &k, MOVE, 1000);
    assert_int_equal(wh_job_wait(j), WH_USAGE);
    assert_says(wh_job_error(j), "not to be asked by a signal");
    assert_false(k.asked);
    end_work(w, &k);
}

static void nobody_else_is_signalled(void **state)
{
    struct world *w = *state;
    char text[300], boot[40] = "", path[PATH_MAX];
    wh_auto_fd int from = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

    /* This process has that number and holds the record, but is not the one that wrote it. */
    assert_int_equal(read(from, boot, 36), 36);
    snprintf(text, sizeof text, "{\"verb\":\"save\",\"domid\":3,\"boot\":\"%s\",\"pid\":%d,\"start\":5,"
             "\"signal\":%d}\n", boot, getpid(), SIGKILL);
    put_text(w->jobs, "save-3.json", text);
    snprintf(path, sizeof path, "%.3000s/save-3.json", w->jobs);
    wh_auto_fd int held = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(held, LOCK_EX | LOCK_NB), 0);
    auto_job j = on(w, wh_cancel_new("save-3", 1000));
    assert_int_equal(wh_job_run(j), WH_USAGE);
    assert_says(wh_job_error(j), "there is no job 'save-3'");
}

static void a_move_from_here_to_here_is_two(void **state)
{
    struct world *w = *state;
    struct work k, l;

    begin_work(w, &k, "send", "copying", true);
    begin_work(w, &l, "receive", "receiving", false);
    auto_job j = cancel(w, &l, MOVE, 1000);
    assert_int_equal(wh_job_wait(j), WH_USAGE);
    assert_says(wh_job_error(j), "send-" MOVE);
    end_work(w, &l);
    end_work(w, &k);
}

/* -------------------------------------------------------------------- another process */

/* A job that waits until it is cancelled, as the command runs it. */
static bool wait_for_it(struct wh_op *op, struct wh_task *t)
{
    static const struct wh_domain none;
    struct wh_leftover record = { 0 };

    wh_step(op, "wait for nothing", WH_FOREVER);
    bool ok = wh_leftover_move(op, t->here, &record, "receive", MOVE, "receiving", &none, NULL) &&
              wh_wait(op, -1, 0);
    wh_leftover_close(op, &record);
    return ok;
}

static pid_t command(struct world *w, int ignored)
{
    struct wh_cli_way way = { .patient = true };
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    struct wh_task *t = wh_task_make(sizeof *t, NULL, wait_for_it);
    if (ignored)
        signal(ignored, SIG_IGN);
    if (!freopen("/dev/null", "w", stderr))
        _exit(99);
    t->here = &w->here;
    _exit(wh_cli_job_so(&t->job, &way, NULL, NULL));
}

static void stop_command(struct world *w, int ignored)
{
    pid_t pid = command(w, ignored);
    int status;

    for (int i = 0; i < 1000 && files(w->gauges) == 0; i++)
        unit_sleep_ms(10);
    auto_job j = on(w, wh_cancel_new(MOVE, 20000));
    if (wh_job_run(j) != WH_OK)
        print_error("%s\n", wh_job_error(j));
    assert_int_equal(wh_job_result(j), WH_OK);
    assert_string_equal(outcome(j), "cancelled");
    assert_int_equal(wh_json_number(wh_task_result(j), "pid", 0), pid);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), wh_kind_exit(WH_CANCELLED));
}

static void the_command_is_stopped(void **state)
{
    stop_command(*state, 0);
}

/* A shell that is no terminal's starts what stands before a & so. */
static void a_command_in_the_background_is_stopped(void **state)
{
    stop_command(*state, SIGINT);
}

static void a_killed_command_is_not_listed(void **state)
{
    struct world *w = *state;
    pid_t pid = command(w, 0);
    auto_job j = NULL;

    for (int i = 0; i < 1000 && files(w->gauges) == 0; i++)
        unit_sleep_ms(10);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(json_object_array_length(list(w, &j)), 0);
    assert_int_equal(files(w->gauges), 0);
    assert_int_equal(files(w->jobs), 1);    /* recover's */
}

/* -------------------------------------------------------------------------- a real save */

static struct wh_job *saving;

static void stop(int signal_number)
{
    (void)signal_number;
    wh_job_cancel(saving);
}

static void configure(struct world *w)
{
    char name[200], text[500], uuid[WH_UUID_TEXT];

    wh_find_uuid(&w->web, uuid);
    snprintf(name, sizeof name, "userdata-d.%u.%s.libxl-json", w->web.domid, uuid);
    snprintf(text, sizeof text, "{\"c_info\":{\"type\":\"pvh\",\"name\":\"web\",\"uuid\":\"%s\"},"
             "\"b_info\":{\"max_vcpus\":1,\"max_memkb\":4096,\"target_memkb\":4096,\"kernel\":\"/k\","
             "\"type.pvh\":{}}}", uuid);
    put_text(w->folder, name, text);
}

/* Into a pipe that nobody reads: there it stays until it is stopped. */
static void a_save_is_seen_and_stopped(void **state)
{
    struct world *w = *state;
    struct wh_save_how how = { .no_trailer = true };
    int ends[2], out = dup(STDOUT_FILENO);
    char name[40];
    auto_job j = NULL;

    configure(w);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    saving = wh_save_new("web", "-", &how);
    ((struct wh_task *)saving)->here = &w->here;
    saving->op.signal = SIGUSR2;
    signal(SIGUSR2, stop);
    assert_true(wh_job_start(saving));
    for (int i = 0; i < 500 && files(w->gauges) == 0; i++)
        unit_sleep_ms(10);
    json_object *o = json_object_array_get_idx(list(w, &j), 0);
    assert_string_equal(wh_json_string(o, "verb", ""), "save");
    assert_string_equal(wh_json_string(o, "name", ""), "web");
    snprintf(name, sizeof name, "save-%u", w->web.domid);
    assert_string_equal(wh_json_string(o, "job", ""), name);
    auto_job c = on(w, wh_cancel_new(name, 10000));
    assert_int_equal(wh_job_run(c), WH_OK);
    assert_string_equal(outcome(c), "cancelled");
    assert_int_equal(wh_job_wait(saving), WH_CANCELLED);
    dup2(out, STDOUT_FILENO);
    close(out);
    close(ends[0]);
    close(ends[1]);
    wh_job_free(saving);
    assert_int_equal(files(w->gauges), 0);
    assert_int_equal(files(w->jobs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST("nothing is listed where nobody works", nothing_is_listed),
        WORLD_TEST("what somebody works on is listed, with its step and its state", work_is_listed),
        WORLD_TEST("an arrival is listed before it has a domain",
                   an_arrival_is_listed_before_it_has_a_domain),
        WORLD_TEST("how far it is is listed, how fast it goes and how long it will take",
                   progress_is_listed),
        WORLD_TEST("progress is written down once a second", progress_is_written_once_a_second),
        WORLD_TEST("the end of the work leaves nothing", the_end_leaves_nothing),
        WORLD_TEST("that it cannot be written down is no failure", no_folder_is_no_failure),
        WORLD_TEST("what nobody holds is not listed", leftovers_are_not_listed),
        WORLD_TEST("records of dead processes are not listed, nor touched",
                   records_of_the_dead_are_not_listed_nor_touched),
        WORLD_TEST("gauges of dead processes are removed", gauges_of_the_dead_are_removed),
        WORLD_TEST("a gauge of another process is not believed",
                   a_gauge_of_another_process_is_not_believed),
        WORLD_TEST("what is taken back is cancelled", what_is_taken_back_is_cancelled),
        WORLD_TEST("the longest wait is no short one", the_longest_wait_is_no_short_one),
        WORLD_TEST("a job is called as its record, too", the_name_of_its_record_is_one_too),
        WORLD_TEST("of what came to its end meanwhile it is said that it was too late",
                   what_came_to_its_end_meanwhile_was_too_late),
        WORLD_TEST("what cannot be taken back any more is not signalled",
                   what_cannot_be_taken_back_is_not_signalled),
        WORLD_TEST("what passes that point while it is awaited is told of at once",
                   what_passes_the_point_while_it_is_awaited_is_too_late),
        WORLD_TEST("an arrival that was given up may keep its record",
                   an_arrival_that_was_given_up_may_keep_its_record),
        WORLD_TEST("what ends without having settled is left to recover",
                   what_ends_unsettled_is_for_recover),
        WORLD_TEST("who does not stop is waited for so long and no longer",
                   who_does_not_stop_is_waited_for_so_long),
        WORLD_TEST("who does not wait only asks", who_does_not_wait_only_asks),
        WORLD_TEST("a program that embeds jobs is not signalled",
                   a_program_that_embeds_jobs_is_not_signalled),
        WORLD_TEST("a process that has the number of a dead one is not signalled",
                   nobody_else_is_signalled),
        WORLD_TEST("a move from a host to itself is two jobs", a_move_from_here_to_here_is_two),
        WORLD_TEST("the command is stopped, and ends as interrupted", the_command_is_stopped),
        WORLD_TEST("a command that ignores interrupts is stopped",
                   a_command_in_the_background_is_stopped),
        WORLD_TEST("a killed command is not listed, and its record is left to recover",
                   a_killed_command_is_not_listed),
        WORLD_TEST("a save is seen, and stopped from elsewhere", a_save_is_seen_and_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
