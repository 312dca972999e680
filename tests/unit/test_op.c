/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operation: whatever it waits for, a cancel and a deadline end it, and what was done is
 * taken back all the same. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/sink.h"
#include "base/source.h"
#include "unit.h"

#define BEFORE_MS 30        /* how long an operation is left waiting before it is cancelled */

/* -------------------------------------------------------------------- kinds of waits */

/* Something to wait for in vain: fd of the end that the operation uses. */
struct vain {
    int fd, other;
};

static void make_pipe(struct vain *v, int end)
{
    int p[2];

    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    v->fd = p[end];
    v->other = p[1 - end];
}

static void make_socket(struct vain *v)
{
    int p[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    v->fd = p[0];
    v->other = p[1];
}

static void drop_vain(struct vain *v)
{
    wh_close_fd(&v->fd);
    wh_close_fd(&v->other);
}

static bool wait_fd(struct wh_op *op)
{
    struct vain v;

    make_pipe(&v, 0);
    bool ok = wh_wait(op, v.fd, POLLIN);
    drop_vain(&v);
    return ok;
}

static bool wait_nothing(struct wh_op *op)
{
    return wh_wait(op, -1, 0);
}

static bool use_source(struct wh_op *op, struct vain *v, struct wh_digest *digest,
                       bool (*use)(struct wh_op *, struct wh_source *))
{
    struct wh_source s;

    assert_true(wh_source_open(op, &s, v->fd));
    s.digest = digest;
    assert_int_equal(write(v->other, "some", 4), 4);
    bool ok = use(op, &s);
    wh_source_close(&s);
    wh_digest_free(digest);
    drop_vain(v);
    return ok;
}

static bool peek(struct wh_op *op, struct wh_source *s)
{
    const uint8_t *p;
    size_t got;

    return wh_source_peek(op, s, 1000, &p, &got);
}

static bool read_more(struct wh_op *op, struct wh_source *s)
{
    char to[1000];
    size_t got;

    return wh_source_read(op, s, to, sizeof to, &got);
}

static bool skip_more(struct wh_op *op, struct wh_source *s)
{
    uint64_t gone;

    return wh_source_skip(op, s, 1u << 20, &gone);
}

static bool peek_pipe(struct wh_op *op)
{
    struct vain v;

    make_pipe(&v, 0);
    return use_source(op, &v, NULL, peek);
}

static bool read_socket(struct wh_op *op)
{
    struct vain v;

    make_socket(&v);
    return use_source(op, &v, NULL, read_more);
}

static bool skip_pipe(struct wh_op *op)
{
    struct vain v;

    make_pipe(&v, 0);
    return use_source(op, &v, NULL, skip_more);
}

static bool skip_pipe_digested(struct wh_op *op)
{
    struct vain v;

    make_pipe(&v, 0);
    return use_source(op, &v, wh_digest_new(), skip_more);
}

/* More than any buffer on the way holds. */
static bool use_sink(struct wh_op *op, struct vain *v)
{
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, v->fd));
    bool ok = wh_sink_zeros(op, &k, 16u << 20) && wh_sink_flush(op, &k);
    wh_sink_close(&k);
    drop_vain(v);
    return ok;
}

static bool write_pipe(struct wh_op *op)
{
    struct vain v;

    make_pipe(&v, 1);
    return use_sink(op, &v);
}

static bool write_socket(struct wh_op *op)
{
    struct vain v;

    make_socket(&v);
    return use_sink(op, &v);
}

static bool copy_to_pipe(struct wh_op *op)
{
    static uint8_t some[4u << 20];
    wh_auto_fd int from = unit_file(some, sizeof some);
    struct wh_sink k;
    struct vain v;
    uint64_t gone;

    make_pipe(&v, 1);
    assert_true(wh_sink_open(op, &k, v.fd));
    bool ok = wh_sink_copy(op, &k, from, 0, sizeof some, &gone);
    wh_sink_close(&k);
    drop_vain(&v);
    return ok;
}

static const struct wait {
    const char *name;
    bool (*run)(struct wh_op *op);
} waits[] = {
    { "wait for a descriptor", wait_fd },
    { "wait for nothing", wait_nothing },
    { "peek into a pipe", peek_pipe },
    { "read a socket", read_socket },
    { "skip in a pipe", skip_pipe },
    { "skip in a pipe with a digest", skip_pipe_digested },
    { "write to a full pipe", write_pipe },
    { "write to a full socket", write_socket },
    { "copy to a full pipe", copy_to_pipe },
};

/* ------------------------------------------------------------------------------ cancel */

struct canceller {
    struct wh_op *op;
    int64_t at_ms;
    pthread_t thread;
};

static void *cancel_later(void *arg)
{
    struct canceller *c = arg;

    unit_sleep_ms(BEFORE_MS);
    c->at_ms = unit_now_ms();
    wh_op_cancel(c->op);
    return NULL;
}

/* One operation a wait, cancelled by a thread. */
static void thread_cancels(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(waits); i++) {
        struct wh_op op;
        struct canceller c = { .op = &op };

        assert_true(wh_op_init(&op));
        wh_step(&op, waits[i].name, WH_FOREVER);
        assert_int_equal(pthread_create(&c.thread, NULL, cancel_later, &c), 0);
        assert_false(waits[i].run(&op));
        int64_t ended = unit_now_ms();
        pthread_join(c.thread, NULL);
        assert_kind(&op, WH_CANCELLED);
        assert_says(op.err.text, waits[i].name);
        assert_in_range(ended - c.at_ms, 0, SOON_MS);
        wh_op_done(&op);
    }
}

static struct wh_op *signalled;
static _Atomic int64_t signalled_ms;

static void cancel_by_signal(int number)
{
    (void)number;
    signalled_ms = unit_now_ms();
    wh_op_cancel(signalled);
}

static void ignore_signal(int number)
{
    (void)number;
}

static void alarm_in(void (*handler)(int), long ms, long again_ms)
{
    struct sigaction act = { .sa_handler = handler };
    struct itimerval when = { { 0, again_ms * 1000 }, { 0, ms * 1000 } };

    sigaction(SIGALRM, &act, NULL);
    setitimer(ITIMER_REAL, &when, NULL);
}

/* The handler runs on the very thread that waits. */
static void signal_cancels(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(waits); i++) {
        struct wh_op op;

        assert_true(wh_op_init(&op));
        wh_step(&op, waits[i].name, WH_FOREVER);
        signalled = &op;
        alarm_in(cancel_by_signal, BEFORE_MS, 0);
        assert_false(waits[i].run(&op));
        assert_kind(&op, WH_CANCELLED);
        assert_in_range(unit_now_ms() - signalled_ms, 0, SOON_MS);
        wh_op_done(&op);
    }
}

static void cancelled_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(waits); i++) {
        struct wh_op op;

        assert_true(wh_op_init(&op));
        wh_op_cancel(&op);
        wh_op_cancel(&op);
        int64_t begun = unit_now_ms();
        assert_false(waits[i].run(&op));
        assert_in_range(unit_now_ms() - begun, 0, SOON_MS);
        assert_kind(&op, WH_CANCELLED);
        wh_op_done(&op);
    }
}

static void cancel_before_ready(void **state)
{
    struct wh_op *op = *state;
    struct vain v;

    make_pipe(&v, 1);
    wh_op_cancel(op);
    assert_false(wh_wait(op, v.fd, POLLOUT));
    assert_kind(op, WH_CANCELLED);
    drop_vain(&v);
}

static void computing(void **state)
{
    struct wh_op *op = *state;

    wh_step(op, "count", WH_FOREVER);
    assert_true(wh_go_on(op));
    wh_op_cancel(op);
    assert_false(wh_go_on(op));
    assert_kind(op, WH_CANCELLED);
    assert_says(op->err.text, "count");
}

/* They do not block, but a long run of them must be stoppable. */
static void files_too(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file("some", 4);
    struct wh_source s;
    struct wh_sink k;

    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_sink_open(op, &k, fd));
    wh_op_cancel(op);
    assert_false(peek(op, &s));
    assert_kind(op, WH_CANCELLED);
    op->err.kind = WH_OK;
    assert_true(wh_sink_write(op, &k, "x", 1));
    assert_false(wh_sink_flush(op, &k));
    assert_kind(op, WH_CANCELLED);
    wh_source_close(&s);
    wh_sink_close(&k);
}

/* ---------------------------------------------------------------------------- deadline */

static void deadline(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(waits); i++) {
        struct wh_op op;
        int64_t begun = unit_now_ms();

        assert_true(wh_op_init(&op));
        wh_step(&op, waits[i].name, 20);
        assert_false(waits[i].run(&op));
        assert_kind(&op, WH_TIMEOUT);
        assert_says(op.err.text, waits[i].name);
        assert_says(op.err.text, "20 ms");
        assert_in_range(unit_now_ms() - begun, 19, 20 + SOON_MS);
        wh_op_done(&op);
    }
}

static void late_but_ready(void **state)
{
    struct wh_op *op = *state;
    struct vain v;

    make_pipe(&v, 1);
    wh_step(op, "write", 1);
    unit_sleep_ms(5);
    assert_true(wh_wait(op, v.fd, POLLOUT));
    assert_false(wh_go_on(op));
    assert_kind(op, WH_TIMEOUT);
    drop_vain(&v);
}

static void next_step(void **state)
{
    struct wh_op *op = *state;

    wh_step(op, "first", 1);
    unit_sleep_ms(5);
    wh_step(op, "second", WH_FOREVER);
    assert_true(wh_go_on(op));
    wh_step(op, "third", 1);
    assert_false(wait_nothing(op));
    assert_says(op->err.text, "third");
}

static void hurried(void **state)
{
    struct wh_op *op = *state;
    int64_t begun = unit_now_ms();

    setenv("WHERRY_HURRY", "1000", 1);
    wh_step(op, "wait", 20000);
    unsetenv("WHERRY_HURRY");
    assert_false(wait_nothing(op));
    assert_kind(op, WH_TIMEOUT);
    assert_in_range(unit_now_ms() - begun, 19, 20 + SOON_MS);
}

/* Signals that cancel nothing neither end a wait nor make it longer. */
static void interrupted(void **state)
{
    struct wh_op *op = *state;
    int64_t begun = unit_now_ms();

    alarm_in(ignore_signal, 2, 2);
    wh_step(op, "wait", 50);
    bool ok = wait_fd(op);
    alarm_in(ignore_signal, 0, 0);
    assert_false(ok);
    assert_kind(op, WH_TIMEOUT);
    assert_in_range(unit_now_ms() - begun, 49, 50 + SOON_MS);
}

static void ready(void **state)
{
    struct wh_op *op = *state;
    struct vain v;

    make_pipe(&v, 0);
    assert_int_equal(write(v.other, "x", 1), 1);
    assert_true(wh_wait(op, v.fd, POLLIN));
    drop_vain(&v);
    make_pipe(&v, 0);
    wh_close_fd(&v.other);
    v.other = -1;
    assert_true(wh_wait(op, v.fd, POLLIN));     /* the end of a stream is something to read */
    drop_vain(&v);
}

/* -------------------------------------------------------------------------------- undo */

/* What the entries below write down as they run. */
static char journal[256];

static bool note(struct wh_op *op, const struct wh_undo *u)
{
    size_t used = strlen(journal);

    (void)op;
    snprintf(journal + used, sizeof journal - used, "%.20s%llu ", u->text,
             (unsigned long long)u->number);
    return true;
}

static bool note_and_fail(struct wh_op *op, const struct wh_undo *u)
{
    note(op, u);
    return wh_fail(&op->err, WH_XEN, "no such %s", u->text);
}

static bool note_after_wait(struct wh_op *op, const struct wh_undo *u)
{
    struct vain v;

    make_pipe(&v, 0);
    wh_step(op, "wait while undoing", 20);
    bool ok = wh_wait(op, v.fd, POLLIN);
    drop_vain(&v);
    assert_false(ok);
    snprintf(journal + strlen(journal), 64, "%s", wh_kind_name(op->err.kind));
    return u->number == 0;
}

static bool note_after_byte(struct wh_op *op, const struct wh_undo *u)
{
    bool ok = wh_wait(op, (int)u->number, POLLIN);

    snprintf(journal + strlen(journal), 64, "%s", ok ? "came" : wh_kind_name(op->err.kind));
    return ok;
}

static void push(struct wh_op *op, bool (*run)(struct wh_op *, const struct wh_undo *),
                 const char *text, uint64_t number)
{
    assert_true(wh_undo_push(op, "take it back", run, text, number));
}

static void last_first(void **state)
{
    struct wh_op *op = *state;

    journal[0] = '\0';
    push(op, note, "a", 1);
    push(op, note, "b", 2);
    push(op, note, "c", 3);
    wh_fail(&op->err, WH_STREAM, "why");
    wh_undo_run(op);
    assert_string_equal(journal, "c3 b2 a1 ");
    wh_undo_run(op);
    assert_string_equal(journal, "c3 b2 a1 ");
    assert_kind(op, WH_STREAM);
    assert_string_equal(op->err.text, "why");
    assert_int_equal(op->undo_err.kind, WH_OK);
}

static void forgotten(void **state)
{
    struct wh_op *op = *state;

    journal[0] = '\0';
    push(op, note, "a", 1);
    wh_undo_forget(op);
    push(op, note, "b", 2);
    wh_undo_run(op);
    assert_string_equal(journal, "b2 ");
}

/* A cancelled operation whose undo waits: the wait takes its time. */
static void shielded_wait(void **state)
{
    struct wh_op *op = *state;
    int64_t begun;

    journal[0] = '\0';
    push(op, note_after_wait, "", 0);
    wh_op_cancel(op);
    assert_false(wait_nothing(op));
    begun = unit_now_ms();
    wh_undo_run(op);
    assert_in_range(unit_now_ms() - begun, 19, 20 + SOON_MS);
    assert_string_equal(journal, "timeout");
    assert_kind(op, WH_CANCELLED);
    assert_false(op->shielded);
    assert_false(wh_go_on(op));
}

struct writer {
    int fd;
    pthread_t thread;
};

static void *write_later(void *arg)
{
    struct writer *w = arg;

    unit_sleep_ms(20);
    assert_int_equal(write(w->fd, "x", 1), 1);
    return NULL;
}

static void shielded_byte(void **state)
{
    struct wh_op *op = *state;
    struct writer w;
    struct vain v;

    journal[0] = '\0';
    make_pipe(&v, 0);
    w.fd = v.other;
    push(op, note_after_byte, "", (uint64_t)v.fd);
    wh_step(op, "too short", 1);
    wh_op_cancel(op);
    assert_false(wait_nothing(op));
    assert_int_equal(pthread_create(&w.thread, NULL, write_later, &w), 0);
    wh_undo_run(op);
    pthread_join(w.thread, NULL);
    assert_string_equal(journal, "came");
    drop_vain(&v);
}

/* The step that ran out of time does not take the undo's. */
static void own_budget(void **state)
{
    struct wh_op *op = *state;
    struct writer w;
    struct vain v;

    journal[0] = '\0';
    make_pipe(&v, 0);
    w.fd = v.other;
    push(op, note_after_byte, "", (uint64_t)v.fd);
    wh_step(op, "too short", 1);
    assert_false(wait_nothing(op));
    assert_int_equal(pthread_create(&w.thread, NULL, write_later, &w), 0);
    wh_undo_run(op);
    pthread_join(w.thread, NULL);
    assert_string_equal(journal, "came");
    assert_kind(op, WH_TIMEOUT);
    assert_string_equal(op->step, "too short");
    drop_vain(&v);
}

static void failing_undo(void **state)
{
    struct wh_op *op = *state;

    journal[0] = '\0';
    push(op, note, "a", 1);
    assert_true(wh_undo_push(op, "put the bridge back", note_and_fail, "bridge", 2));
    assert_true(wh_undo_push(op, "resume the guest", note_and_fail, "guest", 3));
    wh_fail(&op->err, WH_STREAM, "why");
    wh_undo_run(op);
    assert_string_equal(journal, "guest3 bridge2 a1 ");
    assert_kind(op, WH_STREAM);
    assert_string_equal(op->err.text, "why");
    assert_int_equal(op->undo_err.kind, WH_XEN);
    assert_string_equal(op->undo_err.text, "resume the guest: no such guest");
}

static void too_many(void **state)
{
    struct wh_op *op = *state;

    journal[0] = '\0';
    for (unsigned i = 0; i < WH_UNDO_MAX; i++)
        push(op, note, "n", i);
    assert_false(wh_undo_push(op, "one more", note, "more", 99));
    assert_string_equal(journal, "more99 ");
    assert_kind(op, WH_SYSTEM);
    wh_undo_run(op);
    assert_memory_equal(journal, "more99 n15 n14 ", 15);
    assert_string_equal(journal + strlen(journal) - 6, "n1 n0 ");
}

/* Undone at once is undone as at any other time: shielded, and not in place of the error. */
static void too_many_shielded(void **state)
{
    struct wh_op *op = *state;
    struct writer w;
    struct vain v;

    make_pipe(&v, 0);
    w.fd = v.other;
    for (unsigned i = 0; i < WH_UNDO_MAX; i++)
        push(op, note, "n", i);
    journal[0] = '\0';
    wh_op_cancel(op);
    assert_int_equal(pthread_create(&w.thread, NULL, write_later, &w), 0);
    assert_false(wh_undo_push(op, "one more", note_after_byte, "", (uint64_t)v.fd));
    pthread_join(w.thread, NULL);
    assert_string_equal(journal, "came");
    assert_false(wh_undo_push(op, "another", note_and_fail, "guest", 0));
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->undo_err.kind, WH_XEN);
    assert_string_equal(op->undo_err.text, "another: no such guest");
    wh_undo_forget(op);
    drop_vain(&v);
}

static void texts_are_copied(void **state)
{
    struct wh_op *op = *state;
    char path[PATH_MAX];

    journal[0] = '\0';
    strcpy(path, "mine");
    push(op, note, path, 7);
    strcpy(path, "other");
    wh_undo_run(op);
    assert_string_equal(journal, "mine7 ");
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    push(op, note, path, 0);
    assert_int_equal(strlen(op->undo[0].text), sizeof path - 1);
    wh_undo_forget(op);
}

/* ---------------------------------------------------------------------------- progress */

/* How many times, since it was last asked; an eventfd would add them up. */
static unsigned told(const struct vain *v)
{
    uint64_t one;
    unsigned times = 0;

    while (read(v->other, &one, sizeof one) == sizeof one)
        times++;
    return times;
}

/* Waking the listener costs more than reading does: it is told of the first MiB, and of others
 * when 50 ms have gone by. */
static void listener(void **state)
{
    struct wh_op *op = *state;
    struct vain v;

    make_pipe(&v, 1);
    assert_int_equal(fcntl(v.other, F_SETFL, O_NONBLOCK), 0);
    op->notify_fd = v.fd;
    wh_step(op, "first", WH_FOREVER);
    assert_int_equal(told(&v), 1);
    wh_progress(op, (1u << 20) - 1, 5u << 20);
    assert_int_equal(told(&v), 0);
    for (uint64_t done = 1u << 20; done < 4u << 20; done += 1000)
        wh_progress(op, done, 5u << 20);
    assert_in_range(told(&v), 1, 2);
    unit_sleep_ms(60);
    wh_progress(op, 5u << 20, 5u << 20);
    assert_int_equal(told(&v), 1);
    assert_string_equal(op->step, "first");
    assert_int_equal(op->done, 5u << 20);
    assert_int_equal(op->total, 5u << 20);
    op->notify_fd = -1;
    wh_progress(op, 0, 0);
    drop_vain(&v);
}

struct teller {
    struct wh_op *op;
    unsigned times;
    uint64_t done;
};

static void count(void *arg)
{
    struct teller *t = arg;

    t->times++;
    t->done = t->op->done;
}

/* Who stands still has gone on since he was last told of. */
static void told_of_a_standstill(void **state)
{
    struct wh_op *op = *state;
    struct teller t = { .op = op };

    op->told = count;
    op->told_arg = &t;
    wh_step(op, "stand still", 1200);
    assert_int_equal(t.times, 1);
    wh_progress(op, 5u << 20, 0);
    assert_int_equal(t.times, 1);
    assert_false(wait_nothing(op));
    assert_kind(op, WH_TIMEOUT);
    assert_int_equal(t.times, 2);
    assert_int_equal(t.done, 5u << 20);
    op->told = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a cancel from another thread ends every kind of wait at once", thread_cancels),
        TEST("a cancel from a signal handler ends every kind of wait at once", signal_cancels),
        TEST("a cancel that came before ends every kind of wait at once", cancelled_before),
        OP_TEST("a cancel is seen before a ready descriptor", cancel_before_ready),
        OP_TEST("a cancel is seen by loops that compute", computing),
        OP_TEST("a cancel is seen between reads and writes of files", files_too),
        TEST("a deadline ends every kind of wait as a timeout that names the step", deadline),
        OP_TEST("what is ready is taken after the deadline too", late_but_ready),
        OP_TEST("the next step has its own deadline", next_step),
        OP_TEST("the environment's hurry makes deadlines shorter", hurried),
        OP_TEST("signals do not end a wait", interrupted),
        OP_TEST("a wait ends when its descriptor is ready, or at its end", ready),
        OP_TEST("undo runs once, last first, and keeps the error", last_first),
        OP_TEST("what is forgotten is not undone", forgotten),
        OP_TEST("undo waits although the operation is cancelled", shielded_wait),
        OP_TEST("undo gets what it waits for although the operation is cancelled", shielded_byte),
        OP_TEST("undo has time of its own after a timeout", own_budget),
        OP_TEST("a failing undo is reported, and the others run", failing_undo),
        OP_TEST("one thing too many to undo is undone at once", too_many),
        OP_TEST("one thing too many is undone although cancelled", too_many_shielded),
        OP_TEST("an undo entry owns its text", texts_are_copied),
        OP_TEST("a listener is told of steps, and of progress now and then", listener),
        OP_TEST("where an operation stands still is told of too", told_of_a_standstill),
    };

    return cmocka_run_group_tests_name("op", tests, NULL, NULL);
}
