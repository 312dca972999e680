/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Somebody else wants something of a guest that moves: as the sender begins each of its steps, and while it
 * goes on.  Whoever is first has the guest and the other is refused, or comes when all is over: it never
 * runs twice, its copy is never torn, and it is in one place in the end. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "move_world.h"

#define AT_ONCE 12
#define ENDS_S 100
#define SOON 60                 /* ms that the other has before the move goes on */
#define DALLIES 150
#define RECOVERS 3

static bool is_hvm;
static const struct wh_send_how plainly = { .no_monitor = true };

/* ------------------------------------------------------------------------------- the other */

static struct wh_job *send_it(struct move *m)
{
    return wh_send_new("g", m->at, &plainly);
}

static struct wh_job *save_it(struct move *m)
{
    char path[300];

    snprintf(path, sizeof path, "%s/image", m->folder);
    return wh_save_new("g", path, &(struct wh_save_how){ .keep_running = true, .live = true });
}

static struct wh_job *recover_it(struct move *m)
{
    (void)m;
    return wh_recover_new(&(struct wh_recover_how){ .domain = "g" });
}

static struct wh_job *recover_all(struct move *m)
{
    (void)m;
    return wh_recover_new(&(struct wh_recover_how){ .domain = NULL });
}

static struct wh_job *unpause_it(struct move *m)
{
    (void)m;
    return wh_unpause_new("g");
}

static const struct other {
    const char *name;
    struct wh_job *(*make)(struct move *m);
} others[] = {
    { "migrate", send_it }, { "save --live", save_it }, { "recover g", recover_it }, { "recover", recover_all },
    { "unpause", unpause_it },
};

/* As another process: its own handles. */
static struct {
    const struct other *is;
    struct wh_here here;
    struct wh_job *job;
    pthread_t thread;
    bool began, broke_in;
    atomic_bool ended;
    enum wh_kind kind;
    char error[1100];
} other;

static void *work(void *arg)
{
    (void)arg;
    other.kind = wh_job_run(other.job);
    snprintf(other.error, sizeof other.error, "%s", wh_job_error(other.job));
    other.ended = true;
    return NULL;
}

/* Where the move has a record of the guest, who comes is refused at once. */
static void come(struct move *m)
{
    bool has = move_records(&m->s, "send-", NULL) == 1;

    other.here = m->s.here;
    other.here.xen = wh_fake_xen(m->s.f);
    other.here.store = wh_fake_store(m->s.f);
    other.job = other.is->make(m);
    assert_non_null(other.job);
    ((struct wh_task *)other.job)->here = &other.here;
    other.began = true;
    assert_int_equal(pthread_create(&other.thread, NULL, work, NULL), 0);
    for (int i = 0; i < SOON && !other.ended; i++)
        unit_sleep_ms(1);
    other.broke_in = has && other.ended && other.kind != WH_USAGE && other.is->make != recover_all;
}

static void await_other(void)
{
    if (!other.began)
        return;
    pthread_join(other.thread, NULL);
    wh_job_free(other.job);
    wh_store_close(other.here.store);
    wh_xen_close(other.here.xen);
}

/* It is a while before the copy goes: who waits for the guest's QEMU has the time to get it. */
static void (*step_begins)(struct wh_op *op, const char *name);
static struct move *slow;

static void dally(struct wh_op *op, const char *name)
{
    bool ends = strcmp(name, "say goodbye") == 0 || strcmp(name, "destroy the copy here") == 0;

    step_begins(op, name);
    if (ends && slow->job && op == &slow->job->op)
        unit_sleep_ms(DALLIES);
}

/* --------------------------------------------------------------------------------- one try */

struct tally {
    _Atomic unsigned steps, moved, other_did, refused;
    char step[400][48];
};
static struct tally *tally;

#define FAIL(m, ...)                                                                               \
    do {                                                                                           \
        fprintf(stderr, "%s at \"%s\": ", other.is ? other.is->name : "nobody", (m)->met_at);      \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n    sender: %s\n    other: %s\n", (m)->error, other.error);             \
        fflush(stderr);                                                                            \
        _exit(1);                                                                                  \
    } while (0)

static void check_end(struct move *m)
{
    char name[600];

    for (int i = 0; i < RECOVERS; i++) {
        free(move_recover(m, &m->s, false));
        free(move_recover(m, &m->t, false));
    }
    if (m->twice || *m->torn)
        FAIL(m, "the guest ran on both, or was torn: %s", m->torn);
    if (move_runs(&m->s) + move_runs(&m->t) != 1)
        FAIL(m, "in the end it runs %s", move_runs(&m->s) ? "on both" : "nowhere");
    if (move_records(&m->s, "", name) > 0)
        FAIL(m, "%s is left", name);
    if (move_runs(&m->s) && wh_fake_state(m->s.f, m->domid).logdirty)
        FAIL(m, "Xen still keeps note of what it writes to");
    wh_auto_free char *left = move_runs(&m->t) ? move_left(&m->s) : move_left(&m->t);
    if (left)
        FAIL(m, "%s", left);
}

static void try_it(uint64_t step)
{
    struct move m;

    alarm(ENDS_S);
    wh_op_hurry = 4;
    move_open(&m, is_hvm);
    m.somebody = come;
    slow = &m;
    step_begins = wh_op_watch;
    wh_op_watch = dally;
    m.event = (struct move_event){ SOURCE, AT_STEP, step, SOMEBODY_COMES, 0 };
    move_serve(&m);
    move_run(&m, &plainly);
    await_other();
    if (step > 0 && !m.met)
        FAIL(&m, "it did not come to step %llu", (unsigned long long)step);
    if (m.twice || *m.torn)
        FAIL(&m, "the guest ran on both, or was torn: %s", m.torn);
    if (other.broke_in)
        FAIL(&m, "it was not refused");
    if (m.kind == WH_OK && other.is && other.is->make == send_it && other.kind == WH_OK)
        FAIL(&m, "both moved it");
    if (step == 0)
        for (uint64_t i = 1; i <= m.s.steps && i < WH_COUNT(tally->step); i++)
            snprintf(tally->step[i], sizeof tally->step[i], "%s", m.s.step[i]);
    if (step == 0)
        tally->steps = (unsigned)m.s.steps;
    tally->moved += m.kind == WH_OK;
    tally->other_did += other.began && other.kind == WH_OK;
    tally->refused += other.began && other.kind != WH_OK;
    check_end(&m);
    move_serve_no_more(&m);
    move_close(&m);
}

/* ------------------------------------------------------------------------------------- all */

static unsigned running, failed;

static void await_one(void)
{
    int status;

    assert_true(wait(&status) > 0);
    running--;
    failed += status != 0;
}

static void try_in_a_child(const struct other *is, uint64_t step)
{
    if (running == AT_ONCE)
        await_one();
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        other.is = is;
        try_it(step);
        _exit(0);
    }
    running++;
}

static void await_all(void)
{
    while (running > 0)
        await_one();
}

static bool was_before(uint64_t step)
{
    for (uint64_t i = 1; i < step; i++)
        if (strcmp(tally->step[i], tally->step[step]) == 0)
            return true;
    return false;
}

static void meets(const char *name)
{
    failed = 0;
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(tally, MAP_FAILED);
    try_in_a_child(NULL, 0);
    await_all();
    assert_int_equal(failed, 0);
    assert_in_range(tally->steps, 15, WH_COUNT(tally->step) - 1);
    for (const struct other *is = others; is < others + WH_COUNT(others); is++)
        for (uint64_t step = 1; strcmp(is->name, name) == 0 && step <= tally->steps; step++)
            if (!was_before(step))
                try_in_a_child(is, step);
    await_all();
    assert_int_equal(failed, 0);
    print_message("%u moved, the other did what it wanted %u times and was refused %u times\n", tally->moved,
                  tally->other_did, tally->refused);
    assert_true(tally->moved > 1);
    munmap(tally, sizeof *tally);
}

static void another_move(void **state)
{
    (void)state;
    meets("migrate");
}

static void a_save(void **state)
{
    (void)state;
    meets("save --live");
}

static void a_recover_of_it(void **state)
{
    (void)state;
    meets("recover g");
}

static void a_recover_of_all(void **state)
{
    (void)state;
    meets("recover");
}

static void an_unpause(void **state)
{
    (void)state;
    meets("unpause");
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST("a move meets another of the same guest", another_move),
        TEST("a move meets a save of the same guest", a_save),
        TEST("a move meets a recover of its guest", a_recover_of_it),
        TEST("a move meets a recover", a_recover_of_all),
        TEST("a move meets an unpause of its guest", an_unpause),
    };

    signal(SIGPIPE, SIG_IGN);
    is_hvm = argc > 1 && strcmp(argv[1], "hvm") == 0;
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
