/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: run here or on a thread, watched through a descriptor, cancelled at any time. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "base/job.h"
#include "image.h"
#include "unit.h"
#include "wire/put.h"
#include "wire/trailer.h"
#include "wire/xl.h"

/* ------------------------------------------------------------------------- made-up jobs */

/* A job that says and undoes what it is told. */
struct made {
    struct wh_job job;
    bool wait, fail, undo_fails;
    int undone;
    bool *dropped;
};

static bool undo(struct wh_op *op, const struct wh_undo *u)
{
    struct made *m = (struct made *)(uintptr_t)u->number;

    m->undone++;
    return !m->undo_fails || wh_fail(&op->err, WH_SYSTEM, "it is stuck");
}

static bool run(struct wh_op *op, struct wh_job *job)
{
    struct made *m = (struct made *)job;

    wh_step(op, "do something", WH_FOREVER);
    if (!wh_undo_push(op, "take it back", undo, "", (uintptr_t)m))
        return false;
    wh_progress(op, 5u << 20, 10u << 20);
    if (m->wait && !wh_wait(op, -1, 0))
        return false;
    if (m->fail)
        return wh_fail(&op->err, WH_PEER, "the peer left");
    wh_undo_forget(op);
    job->json = strdup("{}");
    return true;
}

static void drop(struct wh_job *job)
{
    struct made *m = (struct made *)job;

    if (m->dropped)
        *m->dropped = true;
}

static struct made *make(void)
{
    struct made *m = wh_job_make(sizeof *m, "made up", run, drop);

    assert_non_null(m);
    return m;
}

static void poll_to_end(struct wh_job *j)
{
    struct pollfd p = { wh_job_fd(j), POLLIN, 0 };

    while (wh_job_state(j, NULL) != WH_JOB_ENDED)
        assert_int_equal(poll(&p, 1, 5000), 1);
}

static void in_place(void **state)
{
    struct made *m = make();
    struct wh_progress p;

    (void)state;
    assert_int_equal(wh_job_state(&m->job, NULL), WH_JOB_NEW);
    assert_int_equal(wh_job_run(&m->job), WH_OK);
    assert_int_equal(wh_job_state(&m->job, &p), WH_JOB_ENDED);
    assert_string_equal(p.step, "do something");
    assert_int_equal(p.done, 5u << 20);
    assert_int_equal(p.total, 10u << 20);
    assert_string_equal(wh_job_error(&m->job), "");
    assert_string_equal(wh_job_json(&m->job), "{}");
    assert_int_equal(wh_job_wait(&m->job), WH_OK);
    assert_int_equal(m->undone, 0);
    wh_job_free(&m->job);
    wh_job_free(NULL);
}

static void on_a_thread(void **state)
{
    struct made *m = make();
    struct pollfd p = { wh_job_fd(&m->job), POLLIN, 0 };

    (void)state;
    assert_true(wh_job_start(&m->job));
    poll_to_end(&m->job);
    assert_int_equal(wh_job_wait(&m->job), WH_OK);
    wh_job_state(&m->job, NULL);
    assert_int_equal(poll(&p, 1, 0), 0);        /* it has been told, and is silent again */
    assert_int_equal(wh_job_wait(&m->job), WH_OK);
    assert_string_equal(wh_job_json(&m->job), "{}");
    wh_job_free(&m->job);
}

static void failing(void **state)
{
    struct made *m = make();

    (void)state;
    m->fail = true;
    assert_true(wh_job_start(&m->job));
    poll_to_end(&m->job);
    assert_int_equal(wh_job_wait(&m->job), WH_PEER);
    assert_string_equal(wh_job_error(&m->job), "the peer left");
    assert_null(wh_job_json(&m->job));
    assert_int_equal(m->undone, 1);
    wh_job_free(&m->job);
}

static void failing_undo(void **state)
{
    struct made *m = make();

    (void)state;
    m->fail = m->undo_fails = true;
    assert_int_equal(wh_job_run(&m->job), WH_PEER);
    assert_string_equal(wh_job_error(&m->job),
                        "the peer left; and could not take it back: it is stuck");
    wh_job_free(&m->job);
}

static void cancelled(void **state)
{
    struct made *m = make();
    int64_t begun;

    (void)state;
    m->wait = true;
    assert_true(wh_job_start(&m->job));
    unit_sleep_ms(20);
    assert_int_equal(wh_job_state(&m->job, NULL), WH_JOB_RUNNING);
    begun = unit_now_ms();
    wh_job_cancel(&m->job);
    poll_to_end(&m->job);
    assert_in_range(unit_now_ms() - begun, 0, SOON_MS);
    assert_int_equal(wh_job_wait(&m->job), WH_CANCELLED);
    assert_says(wh_job_error(&m->job), "do something");
    assert_int_equal(m->undone, 1);
    wh_job_free(&m->job);
}

static void cancelled_before(void **state)
{
    struct made *m = make();

    (void)state;
    m->wait = true;
    wh_job_cancel(&m->job);
    assert_int_equal(wh_job_run(&m->job), WH_CANCELLED);
    wh_job_free(&m->job);
}

/* Past the point of no return there is nothing to cancel. */
static void cancelled_late(void **state)
{
    struct made *m = make();

    (void)state;
    wh_job_run(&m->job);
    wh_job_cancel(&m->job);
    assert_int_equal(wh_job_result(&m->job), WH_OK);
    wh_job_free(&m->job);
}

static void freed_running(void **state)
{
    struct made *m = make();
    bool dropped = false;
    int64_t begun;

    (void)state;
    m->wait = true;
    m->dropped = &dropped;
    assert_true(wh_job_start(&m->job));
    unit_sleep_ms(10);
    begun = unit_now_ms();
    wh_job_free(&m->job);
    assert_in_range(unit_now_ms() - begun, 0, SOON_MS);
    assert_true(dropped);
}

static void freed_new(void **state)
{
    struct made *m = make();
    bool dropped = false;

    (void)state;
    m->dropped = &dropped;
    wh_job_free(&m->job);
    assert_true(dropped);
}

/* Several times as many as there are processors, each cancelled at another moment. */
static void many(void **state)
{
    struct made *m[64];

    (void)state;
    for (size_t i = 0; i < WH_COUNT(m); i++) {
        m[i] = make();
        m[i]->wait = i % 2;
        assert_true(wh_job_start(&m[i]->job));
        if (i % 4 == 1)
            wh_job_cancel(&m[i]->job);
    }
    for (size_t i = 3; i < WH_COUNT(m); i += 4)
        wh_job_cancel(&m[i]->job);
    for (size_t i = 0; i < WH_COUNT(m); i++) {
        poll_to_end(&m[i]->job);
        assert_int_equal(wh_job_wait(&m[i]->job), i % 2 ? WH_CANCELLED : WH_OK);
        wh_job_free(&m[i]->job);
    }
}

static struct wh_job *signalled;

static void cancel_by_signal(int number)
{
    (void)number;
    wh_job_cancel(signalled);
}

/* While the program's own thread takes no signal, no other does; when it does, it may cancel. */
static void signals(void **state)
{
    struct made *m = make();
    sigset_t set, pending;

    (void)state;
    m->wait = true;
    signalled = &m->job;
    signal(SIGALRM, cancel_by_signal);
    assert_true(wh_job_start(&m->job));
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGALRM);
    unit_sleep_ms(20);
    sigpending(&pending);
    assert_true(sigismember(&pending, SIGALRM));
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    assert_int_equal(wh_job_wait(&m->job), WH_CANCELLED);
    wh_job_free(&m->job);
}

/* No thread is to be had with a stack larger than the machine. */
static void no_thread(void **state)
{
    struct made *m = make();
    pthread_attr_t normal, huge;

    (void)state;
    pthread_getattr_default_np(&normal);
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, (size_t)1 << 46);
    assert_int_equal(pthread_setattr_default_np(&huge), 0);
    bool started = wh_job_start(&m->job);
    assert_int_equal(pthread_setattr_default_np(&normal), 0);
    assert_false(started);
    poll_to_end(&m->job);
    assert_int_equal(wh_job_wait(&m->job), WH_SYSTEM);
    assert_says(wh_job_error(&m->job), "start a thread");
    assert_int_equal(m->undone, 0);
    wh_job_free(&m->job);
    pthread_attr_destroy(&normal);
    pthread_attr_destroy(&huge);
}

/* ------------------------------------------------------------------------------- input */

static void missing_input(void **state)
{
    static const char *const paths[] = { "no/such/file", "/", "" };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(paths); i++) {
        struct wh_job *j = wh_verify_new(paths[i], 0);

        assert_int_equal(wh_job_run(j), WH_SYSTEM);
        assert_says(wh_job_error(j), i == 0 ? "No such file" : paths[i]);
        assert_null(wh_job_json(j));
        assert_int_equal(wh_findings(j), 0);
        wh_job_free(j);
    }
}

static void given_input(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = image_file(op, WH_PV, image_xl);
    struct wh_job *j = wh_verify_new("a name", 0);

    wh_job_input(j, fd);
    assert_int_equal(wh_job_run(j), WH_OK);
    assert_says(wh_job_json(j), "\"a name\"");
    wh_job_free(j);
    assert_true(fcntl(fd, F_GETFD) >= 0);       /* the caller's: left open */

    j = wh_verify_new("a name", 0);
    wh_job_input(j, fd);
    lseek(fd, 8, SEEK_SET);                     /* it is read from where it stands */
    assert_int_equal(wh_job_run(j), WH_STREAM);
    assert_true(wh_findings(j) >= 1);
    wh_job_free(j);
}

/* The writer is slow and never ends: a cancel does not wait for it. */
static void slow_input(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int file = image_file(op, WH_HVM, image_xl);
    struct wh_job *j = wh_inspect_new("pipe", WH_DIGEST | WH_PAGES);
    struct wh_progress progress;
    int64_t begun;
    int pair[2];
    size_t n;

    wh_auto_free uint8_t *p = unit_slurp(file, &n);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_int_equal(write(pair[1], p, n / 2), n / 2);
    wh_job_input(j, pair[0]);
    assert_true(wh_job_start(j));
    do {
        unit_sleep_ms(1);
        wh_job_state(j, &progress);
    } while (progress.done < 1000);
    assert_string_equal(progress.step, "read the image");
    assert_int_equal(progress.total, 0);
    begun = unit_now_ms();
    wh_job_cancel(j);
    assert_int_equal(wh_job_wait(j), WH_CANCELLED);
    assert_in_range(unit_now_ms() - begun, 0, SOON_MS);
    wh_job_free(j);
    close(pair[0]);
    close(pair[1]);
}

/* A named pipe that nobody has opened to write: opening it to read must not hang either. */
static void named_pipe(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int file = image_file(op, WH_PV, image_xl);
    char folder[200], path[300];
    size_t n;

    wh_auto_free uint8_t *p = unit_slurp(file, &n);
    unit_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (int write_it = 0; write_it < 2; write_it++) {
        struct wh_job *j = wh_verify_new(path, 0);

        assert_true(wh_job_start(j));
        unit_sleep_ms(20);
        assert_int_equal(wh_job_state(j, NULL), WH_JOB_RUNNING);
        if (write_it) {
            wh_auto_fd int fd = open(path, O_WRONLY);

            for (size_t at = 0; at < n; at += 1000)
                assert_true(write(fd, p + at, n - at < 1000 ? n - at : 1000) > 0);
        } else {
            wh_job_cancel(j);
        }
        assert_int_equal(wh_job_wait(j), write_it ? WH_OK : WH_CANCELLED);
        wh_job_free(j);
    }
    unit_remove_folder(folder);
}

static void findings(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int file = image_file(op, WH_PV, image_xl);
    struct wh_job *j = wh_verify_new("cut", 0);
    struct wh_finding f;
    size_t n;

    wh_auto_free uint8_t *p = unit_slurp(file, &n);
    wh_auto_fd int cut = unit_file(p, n - 1);
    lseek(cut, 0, SEEK_SET);
    wh_job_input(j, cut);
    assert_int_equal(wh_job_run(j), WH_STREAM);
    assert_int_equal(wh_findings(j), 1);
    assert_true(wh_finding_get(j, 0, &f));
    assert_string_equal(f.layer, "libxl");
    assert_string_equal(f.rule, "truncated");
    assert_int_equal(f.offset, n - 1);
    assert_false(f.pedantic);
    assert_false(wh_finding_get(j, 1, &f));
    wh_job_free(j);

    j = wh_inspect_new("no verification", 0);
    assert_int_equal(wh_findings(j), 0);
    assert_false(wh_finding_get(j, 0, &f));
    wh_job_free(j);
}

static bool list_as_config(struct wh_op *op, struct wh_sink *k, enum wh_guest guest)
{
    return wh_put_xl(op, k, &(struct wh_xl){ .mandatory_flags = WH_XL_CONFIG_JSON | WH_XL_STREAM_V2,
                                             .config = "[1]", .length = 4 }) &&
           image_libxl(op, k, guest);
}

static void same_findings(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int file = image_file(op, WH_HVM, list_as_config);
    struct wh_job *j = wh_verify_new("list", 0);

    wh_job_input(j, file);
    assert_int_equal(wh_job_run(j), WH_STREAM);
    assert_int_equal(wh_findings(j), 1);
    wh_job_free(j);
    j = wh_inspect_new("list", 0);
    wh_job_input(j, file);
    assert_int_equal(wh_job_run(j), WH_STREAM);
    assert_says(wh_job_json(j), "\"findings\":1");
    wh_job_free(j);
}

/* A file whose trailer's index, under a right digest, points anywhere. */
static int lying_index(struct wh_op *op, struct wh_index_entry lie)
{
    int fd = image_file(op, WH_HVM, image_xl);
    struct wh_index x = { .entry = &lie, .count = 1 };
    struct wh_trailer t = { .producer = "a liar", .index = &x };
    struct wh_sink k;
    size_t n;

    wh_auto_free uint8_t *p = unit_slurp(fd, &n);
    wh_digest_of(p, n, t.digest);
    t.stream = n;
    lseek(fd, 0, SEEK_END);
    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_trailer_write(op, &k, &t) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void lying_indexes(void **state)
{
    static const struct wh_index_entry lies[] = {
        { 0, 0, UINT64_MAX, 1 },
        { 3, 0, 100, 1 },
        { 117, 0, 100, UINT64_MAX },
        { 1u << 20, 0, 100, 1 },
        { UINT64_C(1) << 63, 0, 100, 1 },
        { UINT64_MAX - 100, 0, 100, UINT64_MAX },
        { 117, 0, 100, 0 },
    };
    struct wh_op *op = *state;

    for (size_t i = 0; i < WH_COUNT(lies); i++) {
        wh_auto_fd int fd = lying_index(op, lies[i]);
        struct wh_job *j = wh_page_new("lies", 2);

        wh_job_input(j, fd);
        enum wh_kind kind = wh_job_run(j);
        if (kind != WH_OK && kind != WH_STREAM)
            fail_msg("lie %zu: %s: %s", i, wh_kind_name(kind), wh_job_error(j));
        wh_job_free(j);
    }
}

static bool write_to_nobody(struct wh_op *op, struct wh_job *job)
{
    int ends[2];

    (void)job;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close(ends[0]);
    ssize_t n = write(ends[1], "x", 1);
    int sys = errno;
    close(ends[1]);
    return n == 1 || wh_fail_sys(&op->err, sys, "write");
}

static volatile sig_atomic_t broken;

static void on_broken(int number)
{
    (void)number;
    broken++;
}

/* Another process's end that closes while a guest is suspended would end the program that moves it. */
static void a_pipe_that_nobody_reads(void **state)
{
    struct sigaction a = { .sa_handler = on_broken }, before;
    sigset_t set, pending, was;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(sigaction(SIGPIPE, &a, &before), 0);
    for (int blocked = 0; blocked < 3; blocked++) {     /* 2: one of the program's own is due already */
        struct wh_job *j = wh_job_make(sizeof(struct wh_job), "", write_to_nobody, NULL);

        broken = 0;
        pthread_sigmask(blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
        if (blocked == 2)
            raise(SIGPIPE);
        assert_int_equal(wh_job_run(j), WH_SYSTEM);
        assert_non_null(strstr(wh_job_error(j), "Broken pipe"));
        pthread_sigmask(SIG_BLOCK, NULL, &was);
        assert_int_equal(sigismember(&was, SIGPIPE), blocked > 0);
        sigpending(&pending);
        assert_int_equal(sigismember(&pending, SIGPIPE), blocked == 2);
        assert_int_equal(broken, 0);
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        assert_int_equal(broken, blocked == 2);
        wh_job_free(j);
    }
    sigaction(SIGPIPE, &before, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a job run in place ends with its result", in_place),
        TEST("a job on a thread tells its descriptor of its end", on_a_thread),
        TEST("a failing job undoes and says why", failing),
        TEST("a job whose undo fails says both", failing_undo),
        TEST("a cancelled job ends at once and undoes", cancelled),
        TEST("a job cancelled before it runs is cancelled", cancelled_before),
        TEST("a cancel after the end changes nothing", cancelled_late),
        TEST("a running job is cancelled when it is freed", freed_running),
        TEST("a new job can be freed", freed_new),
        TEST("many jobs run at once and are cancelled apart", many),
        TEST("a signal handler may cancel, and jobs take no signals", signals),
        TEST("a pipe that nobody reads ends a job, and not the program", a_pipe_that_nobody_reads),
        TEST("a job without a thread has ended and says so", no_thread),
        TEST("an input that is not to be opened is a system error with its path", missing_input),
        OP_TEST("an input that is given is read from where it stands and left open", given_input),
        OP_TEST("a pipe that never ends is no hindrance to a cancel", slow_input),
        OP_TEST("a named pipe is waited for, its first writer too", named_pipe),
        OP_TEST("findings are kept and can be asked for", findings),
        OP_TEST("an inspection counts the findings that a verification has", same_findings),
        OP_TEST("an index that points anywhere is the image's fault", lying_indexes),
    };

    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
