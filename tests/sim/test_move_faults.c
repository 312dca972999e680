/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fault sweep of a move between two hosts in memory.  A run that goes well tells what calls of its
 * backend each side makes, and what steps it announces; then each of these is where something happens,
 * in a run of its own: a call fails, is done and not answered, hangs, is met by a cancel; the process
 * is killed there; the link is cut, both ways or one, or goes deaf; the side stalls.  A call or a step
 * that is new cannot be forgotten.
 *
 * After each the operator runs recover on both sides, and this holds: the guest never ran on both; it
 * runs on one; its copy that went was the same as the one that runs; a side without a record has
 * settled it by itself; nothing else is left on either.
 *
 * WHERRY_TEST_FULL=1 tries everything at every place; else by a hash of what it is.
 * WHERRY_TEST_ONE="target step 12 killed" tries one, in this process. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "move_world.h"

#define AT_ONCE 24
#define ENDS_S 100              /* a run that lasts longer hangs */
#define RECOVERS 3

static const char *const sides[] = { "source", "target" };
static const char *const whens[] = { "call", "shielded", "step", "record" };
static const char *const whats[] = {
    [GOES_WELL] = "well", [CALL_FAILS] = "fails", [CALL_LOST] = "lost", [CALL_HANGS] = "hangs",
    [CALL_CANCELLED] = "cancel", [CALL_CANCELLED_IN] = "cancel-in", [IS_KILLED] = "killed",
    [IS_CANCELLED] = "cancelled", [LINK_CUT] = "cut", [LINK_CUT_THERE] = "cut-there",
    [LINK_CUT_BACK] = "cut-back", [LINK_DEAF] = "deaf", [STALLS] = "stalls",
    [STALLS_SHORTLY] = "stalls-shortly", [DISK_FAILS] = "disk", [SOMEBODY_COMES] = "somebody",
};

static bool is_hvm;
static const struct wh_send_how plainly = { .no_monitor = true };

/* How often what was tried, and how it ended; in memory that the children share. */
struct tally {
    _Atomic unsigned tried, met, here, there, refused, waited;
};
static struct tally *tally;

/* --------------------------------------------------------------------------------- one try */

static void say_event(char text[200], const struct move *m, const struct move_event *e)
{
    snprintf(text, 200, "%s %s %llu %s %llu (at \"%s\")", sides[e->side], whens[e->when],
             (unsigned long long)e->n, whats[e->what], (unsigned long long)e->turn, m->met_at);
}

/* A child's failure, which is its end. */
#define FAIL(m, e, ...)                                                                            \
    do {                                                                                           \
        char event_[200];                                                                          \
        say_event(event_, m, e);                                                                   \
        fprintf(stderr, "%s: ", event_);                                                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n    sender: %s\n    receiver: %s\n", (m)->error,                        \
                first_receiver(m));                                                                \
        fflush(stderr);                                                                            \
        _exit(1);                                                                                  \
    } while (0)

static const char *first_receiver(const struct move *m)
{
    const struct caller *c = m->callers;

    while (c && c->next)
        c = c->next;
    return c ? c->error : "(none)";
}

static void check_never_twice(struct move *m, const struct move_event *e, const char *when)
{
    if (m->twice || (move_runs(&m->s) && move_runs(&m->t)))
        FAIL(m, e, "%s: the guest runs on both", when);
    if (*m->early)
        FAIL(m, e, "%s: %s", when, m->early);
    if (*m->torn)
        FAIL(m, e, "%s: the copy that is destroyed is not what runs: %s", when, m->torn);
}

/* Where nobody has a record of it any more it is settled. */
static void check_by_itself(struct move *m, const struct move_event *e)
{
    bool record = move_records(&m->s, "send", NULL) > 0;

    if (m->kind == WH_OK && !m->killed && !move_runs(&m->t) && move_records(&m->t, "receive", NULL) == 0)
        FAIL(m, e, "it has moved, and does not run there");
    if (!record && !move_runs(&m->s) && !move_runs(&m->t) && move_records(&m->t, "receive", NULL) == 0)
        FAIL(m, e, "it runs nowhere, and there is no record");
    if (!record && !m->killed && m->kind != WH_OK && !move_runs(&m->s))
        FAIL(m, e, "the sender has failed without a record, and it does not run here");
}

/* A user reads what was being done, why it failed, where the guest is now, and what to do. */
static void check_text(struct move *m, const struct move_event *e)
{
    bool runs = strstr(m->error, "runs on here") || strstr(m->error, "runs on, it was not moved");
    bool doubt = strstr(m->error, "wherry recover") != NULL;
    bool began = m->s.steps > 0 && strstr(m->error, "domain ") != NULL;

    if (m->killed || m->kind == WH_OK)
        return;
    if (!*m->error)
        FAIL(m, e, "it failed and says nothing");
    if (runs && !move_runs(&m->s))
        FAIL(m, e, "it says that the guest runs on, and it does not");
    if (!runs && !doubt && began && !move_runs(&m->s))
        FAIL(m, e, "it does not say where the guest is");
    if (!move_runs(&m->s) && !doubt)
        FAIL(m, e, "the guest does not run here, and nobody is told what to do");
}

static void recover_both(struct move *m, const struct move_event *e)
{
    wh_auto_free char *s = NULL;
    wh_auto_free char *t = NULL;

    for (int i = 0; i < RECOVERS; i++) {
        struct side *order[] = { &m->s, &m->t };
        bool target_first = e->n % 2;

        free(s);
        free(t);
        s = t = NULL;
        for (int j = 0; j < 2; j++) {
            struct side *h = order[j ^ target_first];
            char **text = h == &m->s ? &s : &t;

            *text = move_recover(m, h, false);
            check_never_twice(m, e, "recover");
        }
        if (strcmp(s, "[]") == 0 && strcmp(t, "[]") == 0)
            return;
    }
    FAIL(m, e, "recover finds no end: %s and there %s", s, t);
}

/* A running guest's QEMU runs too, has the disk, and tells nothing any more of what it writes. */
static void check_qemu(struct move *m, const struct move_event *e, struct side *h)
{
    wh_auto_free char *story = is_hvm ? hvm_story(h->folder) : NULL;
    uint32_t domid = h == &m->s ? m->domid : wh_fake_newest(h->f);
    char on[64], off[64], runs[64], stops[64], has[64], gives[64];

    if (!is_hvm)
        return;
    if (hvm_running(h->folder) != 1)
        FAIL(m, e, "the guest runs, and %u QEMUs", hvm_running(h->folder));
    snprintf(on, sizeof on, "qemu %u: dirty log on", domid);
    snprintf(off, sizeof off, "qemu %u: dirty log off", domid);
    snprintf(runs, sizeof runs, "qemu %u: cont", domid);
    snprintf(stops, sizeof stops, "qemu %u: stop", domid);
    if (hvm_last(story, on) > hvm_last(story, off))
        FAIL(m, e, "the guest runs on, and its QEMU still tells what it writes");
    if (hvm_last(story, stops) > hvm_last(story, runs))
        FAIL(m, e, "the guest runs, and its devices have stopped");
    snprintf(has, sizeof has, "qemu %u: has its disk", domid);
    snprintf(gives, sizeof gives, "qemu %u: gives its disk up", domid);
    if (hvm_last(story, gives) >= hvm_last(story, has))
        FAIL(m, e, "the guest runs, and its QEMU does not have its disk");
    if (h == &m->t && hvm_at(story, has) < hvm_at(story, runs))
        FAIL(m, e, "the target's QEMU had the disk before it was told to run");
}

static void check_left(struct move *m, const struct move_event *e)
{
    char error[1100], name[600];

    m->began = false;
    for (struct side *h = &m->s; h <= &m->t; h++) {
        bool runs = move_runs(h);

        if (runs)
            check_qemu(m, e, h);
        if (runs && wh_fake_state(h->f, h == &m->s ? m->domid : wh_fake_newest(h->f)).logdirty)
            FAIL(m, e, "log-dirty is still on");
        if (runs && move_perform(h, wh_destroy_new("g"), error) != WH_OK)
            FAIL(m, e, "\"g\" cannot be destroyed: %s", error);
        wh_auto_free char *left = move_left(h);
        if (left)
            FAIL(m, e, "the %s: %s", h == &m->s ? "source" : "target", left);
    }
    if (move_records(&m->s, "", name) > 0)
        FAIL(m, e, "%s is left", name);
    if (move_records(&m->t, "", name) > move_records(&m->t, "receive", NULL))
        FAIL(m, e, "%s is left", name);
}

static void count(struct move *m, const struct move_event *e)
{
    tally->tried++;
    tally->met += m->met;
    if (m->kind != WH_OK && !m->killed)
        tally->refused++;
    if (move_records(&m->s, "send", NULL) > 0 && e->what != IS_KILLED)
        tally->waited++;
}

static void try_it(const struct move_event *e)
{
    struct move m;

    alarm(ENDS_S);
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, is_hvm);
    unsigned fds = wh_fake_fds();
    move_serve(&m);
    m.event = *e;
    move_run(&m, &plainly);
    struct move_event was = *e;
    m.event = (struct move_event){ 0 };
    check_never_twice(&m, &was, "the move");
    check_by_itself(&m, &was);
    if (e->when != AT_SHIELDED)
        check_text(&m, &was);
    count(&m, e);
    recover_both(&m, &was);
    move_serve_no_more(&m);
    if (move_runs(&m.s) == move_runs(&m.t))
        FAIL(&m, &was, "in the end it runs on %s", move_runs(&m.s) ? "both" : "neither");
    tally->here += move_runs(&m.s);
    tally->there += move_runs(&m.t);
    check_left(&m, &was);
    if (e->what != IS_KILLED && wh_fake_fds() + (m.met || true) < fds)
        FAIL(&m, &was, "%u descriptors before, %u after", fds, wh_fake_fds());
    move_close(&m);
}

/* ------------------------------------------------------------------------------- all of them */

static unsigned running, failed;

static void await_one(void)
{
    int status;

    assert_true(wait(&status) > 0);
    running--;
    failed += status != 0;
}

static void beside(const struct move_event *e)
{
    if (running == AT_ONCE)
        await_one();
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        try_it(e);
        _exit(0);
    }
    running++;
}

/* What a run makes when nothing happens. */
struct clean {
    uint64_t n[2][MOVE_WHENS];
    char step[2][400][48];
};

static void run_clean(struct clean *c)
{
    struct move m;

    wh_op_hurry = 2;
    move_open(&m, is_hvm);
    move_serve(&m);
    move_run(&m, &plainly);
    if (m.kind != WH_OK)
        fail_msg("%s; there: %s", m.error, first_receiver(&m));
    for (int side = 0; side < 2; side++) {
        struct side *h = side == SOURCE ? &m.s : &m.t;

        c->n[side][AT_CALL] = wh_fake_calls(h->f);
        c->n[side][AT_SHIELDED] = wh_fake_shielded_calls(h->f);
        c->n[side][AT_STEP] = h->steps;
        c->n[side][AT_RECORD] = h->records;
        memcpy(c->step[side], h->step, sizeof h->step);
    }
    move_serve_no_more(&m);
    move_close(&m);
}

/* One in so many, by what it is: not always the same calls meet the same. */
static bool is_chosen(const struct move_event *e, unsigned one_in)
{
    uint64_t seed = e->turn * 65536 + e->n * 128 + e->what * 8u + e->when * 2u + e->side + 1;

    unit_random(&seed);
    return getenv("WHERRY_TEST_FULL") || (unit_random(&seed) >> 33) % one_in == 0;
}

static void await_all(void)
{
    while (running > 0)
        await_one();
    assert_int_equal(failed, 0);
    assert_int_equal(tally->here + tally->there, tally->tried);
}

static void sweep(enum move_when when, enum move_what first, enum move_what last, unsigned one_in)
{
    static struct clean c;

    run_clean(&c);
    for (struct move_event e = { .when = when }; e.side <= TARGET; e.side++)
        for (e.n = 1; e.n <= c.n[e.side][when]; e.n++)
            for (e.what = first; e.what <= last; e.what++)
                if (is_chosen(&e, one_in))
                    beside(&e);
    await_all();
    print_message("%llu and %llu %ss: tried %u, met %u; %u moved not, %u were left to recover; in the end "
                  "%u ran at the source and %u at the target\n",
                  (unsigned long long)c.n[SOURCE][when], (unsigned long long)c.n[TARGET][when],
                  whens[when], tally->tried, tally->met, tally->refused, tally->waited, tally->here,
                  tally->there);
    assert_true(tally->tried > 5 && tally->met > tally->tried / 2);
}

#define TURNS 6
#define UNDO_CALLS 30               /* more than an undo makes */

/* A side is turned back by a cancel, and one of the calls by which it undoes what it had begun fails as
 * well, hangs, or is its last. */
static void turned_back(void **state)
{
    static const enum move_what ways[] = { CALL_FAILS, CALL_LOST, CALL_HANGS, IS_KILLED };
    static struct clean c;

    (void)state;
    run_clean(&c);
    for (struct move_event e = { .when = AT_SHIELDED }; e.side <= TARGET; e.side++)
        for (unsigned turn = 1; turn <= TURNS; turn++)
            for (e.n = 1; e.n <= UNDO_CALLS; e.n++)
                for (size_t i = 0; i < WH_COUNT(ways); i++) {
                    e.turn = c.n[e.side][AT_CALL] * turn / TURNS;
                    e.what = ways[i];
                    if (is_chosen(&e, is_hvm ? 24 : 6))
                        beside(&e);
                }
    await_all();
    print_message("turned back in %d places: tried %u, met %u; %u moved not, %u were left to recover\n",
                  2 * TURNS, tally->tried, tally->met, tally->refused, tally->waited);
    assert_true(tally->met > tally->tried / 4);
}

static void at_every_record(void **state)
{
    (void)state;
    sweep(AT_RECORD, IS_KILLED, IS_KILLED, 1);
    sweep(AT_RECORD, DISK_FAILS, DISK_FAILS, 1);
}

static void every_call(void **state)
{
    (void)state;
    sweep(AT_CALL, CALL_FAILS, CALL_CANCELLED_IN, is_hvm ? 24 : 7);
}

static void every_shielded_call(void **state)
{
    (void)state;
    sweep(AT_SHIELDED, CALL_FAILS, CALL_HANGS, is_hvm ? 8 : 1);
}

static void killed_at_every_call(void **state)
{
    (void)state;
    sweep(AT_CALL, IS_KILLED, IS_KILLED, is_hvm ? 10 : 2);
}

static void killed_at_every_shielded_call(void **state)
{
    (void)state;
    sweep(AT_SHIELDED, IS_KILLED, IS_KILLED, is_hvm ? 4 : 1);
}

static void killed_at_every_step(void **state)
{
    (void)state;
    sweep(AT_STEP, IS_KILLED, IS_CANCELLED, is_hvm ? 4 : 1);
}

static void cut_at_every_step(void **state)
{
    (void)state;
    sweep(AT_STEP, LINK_CUT, LINK_CUT_BACK, is_hvm ? 8 : 1);
}

static void deaf_at_every_step(void **state)
{
    (void)state;
    sweep(AT_STEP, LINK_DEAF, LINK_DEAF, is_hvm ? 4 : 1);
}

static void stalled_at_every_step(void **state)
{
    (void)state;
    sweep(AT_STEP, STALLS, STALLS_SHORTLY, is_hvm ? 8 : 2);
}

/* ------------------------------------------------------------------------------- which of them */

static int find(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

static int try_one(const char *text)
{
    char side[16], when[16], what[16];
    unsigned long long n, turn = 0;

    if (sscanf(text, "%15s %15s %llu %15s %llu", side, when, &n, what, &turn) < 4)
        return 2;
    int i = find(sides, 2, side), j = find(whens, MOVE_WHENS, when), k = find(whats, MOVE_WHATS, what);
    if (i < 0 || j < 0 || k < 0)
        return 2;
    try_it(&(struct move_event){ (enum move_side)i, (enum move_when)j, n, (enum move_what)k, turn });
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    *tally = (struct tally){ 0 };
    failed = 0;
    return 0;
}

#define SWEEP(says, run) { says, run, set_up, NULL, NULL }

/* "pvh" or "hvm", and which tests. */
int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        SWEEP("every call at fault", every_call),
        SWEEP("every shielded call at fault", every_shielded_call),
        SWEEP("killed at every call", killed_at_every_call),
        SWEEP("killed at every shielded call", killed_at_every_shielded_call),
        SWEEP("killed or cancelled at every step", killed_at_every_step),
        SWEEP("the link is cut at every step", cut_at_every_step),
        SWEEP("the link is deaf from every step on", deaf_at_every_step),
        SWEEP("stalled at every step", stalled_at_every_step),
        SWEEP("turned back, and its undo is at fault", turned_back),
        SWEEP("killed at every record, and the disk fails", at_every_record),
    };
    const char *one = getenv("WHERRY_TEST_ONE");

    signal(SIGPIPE, SIG_IGN);
    is_hvm = argc > 1 && strcmp(argv[1], "hvm") == 0;
    tally = mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (one)
        return try_one(one);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
