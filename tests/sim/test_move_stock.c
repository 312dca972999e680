/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move with a stock tool at the other end, which is played here byte by byte: each of its messages as it
 * should be, missing, wrong, late, cut. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "move_world.h"
#include "wire/libxc.h"
#include "wire/walk.h"

#define AT_ONCE 12
#define ROOM (16u << 20)

#define BANNER "xl migration receiver ready, send binary domain data.\n"
#define READY  "domain received, ready to unpause"
#define GO     "domain is yours, you are cleared to unpause"
#define REPORT "my copy unpause results are as follows"

static const struct wh_send_how to_stock = { .protocol = WH_PROTOCOL_STOCK, .no_monitor = true };

static uint8_t *stream;                 /* what a sender says up to its go */
static size_t stream_n;

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fputc('\n', stderr);                                                                       \
        _exit(1);                                                                                  \
    } while (0)

/* Both ends ours, in the stock protocol; what was said is kept. */
static void the_two_ends_fit(void **state)
{
    char error[1100];
    struct move m;

    (void)state;
    wh_op_hurry = 4;
    move_open(&m, false);
    m.said = stream;
    m.room = ROOM;
    move_serve(&m);
    move_run(&m, &to_stock);
    if (m.kind != WH_OK || m.callers->kind != WH_OK)
        fail_msg("%s; there: %s", m.error, m.callers->error);
    assert_true(move_runs(&m.t) && !move_runs(&m.s) && !m.twice);
    assert_string_equal(m.torn, "");
    assert_string_equal(wh_json_string(m.result, "protocol", ""), "stock");
    move_serve_no_more(&m);
    assert_memory_equal(m.said, "Xen saved domain, xl format", 27);
    assert_true(m.saids > sizeof GO && memcmp(m.said + m.saids - sizeof GO, GO, sizeof GO) == 0);
    stream_n = m.saids - sizeof GO;
    assert_int_equal(move_records(&m.s, "", NULL) + move_records(&m.t, "", NULL), 0);
    assert_int_equal(move_perform(&m.t, wh_destroy_new("g"), error), WH_OK);
    wh_auto_free char *here = move_left(&m.s);
    wh_auto_free char *there = move_left(&m.t);
    if (here || there)
        fail_msg("%s%s", here ? here : "", there ? there : "");
    move_close(&m);
}

/* --------------------------------------------------------------------------- sent twice (--debug) */

#define ALTERED 0x2bc               /* the guest does not write to it */

static void alters(struct move *m, enum move_side side, const char *call)
{
    if (side == SOURCE && strcmp(call, "grants") == 0)
        wh_fake_page(m->s.f, m->domid, ALTERED)[0] ^= 1;
}

static bool sees_verify(struct wh_walk *w, const struct wh_rec *r)
{
    *(unsigned *)w->arg += r->layer->id == WH_LAYER_LIBXC && r->type == WH_LIBXC_VERIFY;
    return true;
}

/* What was said is a stream, and has the record, behind which all pages come again. */
static void check_stream(const struct move *m)
{
    static const struct wh_watch watch = { .record = sees_verify };
    wh_auto_fd int fd = memfd_create("said", MFD_CLOEXEC);
    size_t n = m->saids - sizeof GO;
    unsigned verifies = 0;
    struct wh_source src;
    struct wh_walk w;
    struct wh_op op;

    assert_true(wh_op_init(&op));
    assert_int_equal(pwrite(fd, m->said, n, 0), n);
    assert_true(wh_source_open(&op, &src, fd) && wh_walk_init(&w, &op, &src, &watch, &verifies));
    if (!wh_walk_stream(&w))
        fail_msg("%s", op.err.text);
    assert_int_equal(verifies, 1);
    assert_in_range(w.image.page_data, 2 * MOVE_MB * 256 - 40, 4 * MOVE_MB * 256);
    wh_walk_free(&w);
    wh_source_close(&src);
    wh_op_done(&op);
}

/* As stock's own receiver, ours only tells: that sender does not leave out what may differ. */
static void what_differs_is_told_and_the_guest_taken(void **state)
{
    struct wh_send_how how = to_stock;
    struct move m;

    (void)state;
    how.debug = true;
    wh_op_hurry = 4;
    move_open(&m, false);
    wh_auto_free uint8_t *said = malloc(ROOM);
    m.said = said;
    m.room = ROOM;
    m.hears = alters;
    move_serve(&m);
    move_run(&m, &how);
    m.hears = NULL;
    if (m.kind != WH_OK || m.callers->kind != WH_OK)
        fail_msg("%s; there: %s", m.error, m.callers->error);
    json_object *told = wh_task_result(m.callers->job);
    assert_int_equal(wh_json_number(told, "differing_pages", 9), 1);
    assert_int_equal(wh_json_number(told, "first_differing_pfn", 9), ALTERED);
    assert_int_equal(wh_json_number(told, "compared_pages", 9),
                     wh_json_number(m.result, "compared_pages", 8));
    assert_true(move_runs(&m.t) && !move_runs(&m.s) && !m.twice);
    move_serve_no_more(&m);
    check_stream(&m);
    move_close(&m);
}

/* --------------------------------------------------------------------------------- the talk */

static bool says(int fd, const void *p, size_t n)
{
    const char *at = p;

    for (ssize_t done; n > 0; at += done, n -= (size_t)done) {
        struct pollfd w = { fd, POLLOUT, 0 };

        poll(&w, 1, 5000);
        done = sendto(fd, at, n, MSG_NOSIGNAL, NULL, 0);
        if (done < 0 && errno != EAGAIN)
            return false;
        done = done < 0 ? 0 : done;
    }
    return true;
}

/* Just this, and soon. */
static bool hears(int fd, const void *want, size_t n)
{
    char got[256];

    for (size_t at = 0; at < n;) {
        struct pollfd w = { fd, POLLIN, 0 };
        ssize_t some = poll(&w, 1, 8000) == 1 ? read(fd, got + at, n - at) : 0;

        if (some <= 0)
            return false;
        at += (size_t)some;
    }
    return memcmp(got, want, n) == 0;
}

/* ------------------------------------------------------------------------- a stock sender */

enum ending { ALL, EOF_AFTER, SILENCE_AFTER };

/* clang-format off */
static const struct sends {
    const char *says;
    size_t stream_part;                 /* of 32 of it */
    const char *go;
    size_t go_n;
    enum ending then;
    bool runs, turned_back;             /* it is told that it may run its own */
} sends[] = {
    { "all of it",              32, GO, sizeof GO,      ALL,           true,  false },
    { "nothing",                 0, "", 0,              EOF_AFTER,     false, false },
    { "a little",                1, "", 0,              EOF_AFTER,     false, false },
    { "half",                   16, "", 0,              EOF_AFTER,     false, false },
    { "most of it",             31, "", 0,              EOF_AFTER,     false, false },
    { "half, then silence",     16, "", 0,              SILENCE_AFTER, false, false },
    { "no go",                  32, "", 0,              EOF_AFTER,     false, true  },
    { "half a go",              32, GO, 20,             EOF_AFTER,     false, true  },
    { "another go",             32, READY "..........", sizeof GO, EOF_AFTER, false, true },
    { "a go that is late",      32, "", 0,              SILENCE_AFTER, false, true  },
};
/* clang-format on */

static void send_it(const struct sends *s)
{
    static const uint8_t well = 0, ill = 0xff;
    struct move m;
    char error[1100];

    alarm(100);
    wh_op_hurry = 100;
    move_open(&m, false);
    move_serve(&m);
    int fd = move_call(&m);
    if (!hears(fd, BANNER, sizeof BANNER - 1))
        FAIL("%s: no banner", s->says);
    if (!says(fd, stream, stream_n * s->stream_part / 32))
        FAIL("%s: the stream is not taken", s->says);
    bool whole = s->stream_part == 32;
    if (s->then == EOF_AFTER && !whole)
        shutdown(fd, SHUT_WR);
    if (whole && !hears(fd, READY, sizeof READY))
        FAIL("%s: it is not ready", s->says);
    says(fd, s->go, s->go_n);
    if (s->then == EOF_AFTER)
        shutdown(fd, SHUT_WR);
    if (s->runs && (!hears(fd, REPORT, sizeof REPORT) || !hears(fd, &well, 1)))
        FAIL("%s: it does not report that it runs", s->says);
    if (s->turned_back &&
        (!hears(fd, REPORT, sizeof REPORT) || !hears(fd, &ill, 1) || !hears(fd, GO, sizeof GO)))
        FAIL("%s: it does not let its source run", s->says);
    char more;
    if (read(fd, &more, 1) == 1)
        FAIL("%s: it says more", s->says);
    while (m.callers == NULL)
        unit_sleep_ms(1);
    move_await_receivers(&m);
    if (move_runs(&m.t) != s->runs)
        FAIL("%s: it runs %s", s->says, move_runs(&m.t) ? "there" : "nowhere");
    if (s->runs && move_perform(&m.t, wh_destroy_new("g"), error) != WH_OK)
        FAIL("%s: %s", s->says, error);
    close(fd);
    move_serve_no_more(&m);
    wh_auto_free char *left = move_left(&m.t);
    if (left || move_records(&m.t, "", NULL) > 0)
        FAIL("%s: %s", s->says, left ? left : "a record");
    move_close(&m);
}

/* Somebody takes its name when the sender is about to say go: it runs all the same, and that is told. */
static void the_sender_hears_that_it_runs_whatever_comes_after(void **state)
{
    static const uint8_t well = 0;
    char error[1100];
    struct move m;

    (void)state;
    wh_op_hurry = 20;
    move_open(&m, false);
    move_serve(&m);
    int fd = move_call(&m);
    assert_true(hears(fd, BANNER, sizeof BANNER - 1) && says(fd, stream, stream_n) &&
                hears(fd, READY, sizeof READY));
    uint32_t other = wh_fake_guest_pvh(m.t.f, "g", 1, 1, 50);
    assert_true(says(fd, GO, sizeof GO) && hears(fd, REPORT, sizeof REPORT) && hears(fd, &well, 1));
    move_await_receivers(&m);
    assert_true(m.callers->kind != WH_OK);
    assert_says(m.callers->error, "is called 'g' already");
    assert_says(m.callers->error, "the guest runs here, and wherry recover gives it its name");
    assert_int_equal(move_records(&m.t, "receive-", NULL), 1);
    close(fd);
    move_serve_no_more(&m);
    snprintf(error, sizeof error, "%u", other);
    assert_int_equal(move_perform(&m.t, wh_destroy_new(error), error), WH_OK);
    wh_auto_free char *says = move_recover(&m, &m.t, false);
    assert_says(says, "the guest gets its name");
    assert_true(move_runs(&m.t));
    assert_int_equal(move_perform(&m.t, wh_destroy_new("g"), error), WH_OK);
    move_close(&m);
}

/* ------------------------------------------------------------------------- a stock receiver */

enum end { HERE, GONE, WAITS };

/* clang-format off */
static const struct takes {
    const char *says;
    const char *banner, *ready;         /* "": it hangs up instead */
    const char *report;
    int status;                         /* -1: none */
    const char *back;
    bool late;                          /* what comes behind go does so, and too late */
    enum end end;
    const char *why;
} takes[] = {
    { "well",                       BANNER, READY, REPORT,  0,    "", false, GONE,  "" },
    { "no banner",                  "",     READY, REPORT,  0,    "", false, HERE,  "hung up" },
    { "another banner", "Last login: Sun Nov 22 15:00:00 2026 from 10.0.0.1  \n\n\n", READY, REPORT,
                                                            0,    "", false, HERE,  "no receiver's greeting" },
    { "no ready",                   BANNER, "",    REPORT,  0,    "", false, HERE,  "hung up" },
    { "another ready",              BANNER, "domain received, ready to pause..", REPORT,
                                                            0,    "", false, HERE,  "did not say" },
    { "no report",                  BANNER, READY, "",      0,    "", false, WAITS, "xl list" },
    { "another report",             BANNER, READY, "my copy unpause results are as unknown", 0, "", false, WAITS, "xl list" },
    { "no status",                  BANNER, READY, REPORT, -1,    "", false, WAITS, "xl list" },
    { "it failed, and is gone",     BANNER, READY, REPORT,  0xff, GO, false, HERE,  "has not taken the guest" },
    { "it failed, and says no more", BANNER, READY, REPORT, 0xff, "", false, WAITS, "xl list" },
    { "it failed, and says other",  BANNER, READY, REPORT,  0xff, READY "..........", false, WAITS, "xl list" },
    { "a report that is late",      BANNER, READY, REPORT,  0,    "", true,  WAITS, "xl list" },
};
/* clang-format on */

struct taker {
    const struct takes *t;
    int fd;
};

/* Until nothing has come for a while: the sender waits. */
static size_t swallow(int fd)
{
    struct pollfd w = { fd, POLLIN, 0 };
    static char bytes[65536];
    size_t total = 0;

    for (ssize_t n; poll(&w, 1, 1500) == 1 && (n = read(fd, bytes, sizeof bytes)) > 0;)
        total += (size_t)n;
    return total;
}

static void *take_it(void *arg)
{
    const struct taker *k = arg;
    const struct takes *t = k->t;
    uint8_t status = (uint8_t)t->status;
    bool on = *t->banner && says(k->fd, t->banner, sizeof BANNER - 1);

    on = on && swallow(k->fd) > 0 && *t->ready && says(k->fd, t->ready, sizeof READY) &&
         hears(k->fd, GO, sizeof GO);
    if (on && t->late)
        unit_sleep_ms(6500);
    on = on && *t->report && says(k->fd, t->report, sizeof REPORT) && t->status >= 0 &&
         says(k->fd, &status, 1);
    if (on && *t->back)
        says(k->fd, t->back, sizeof GO);
    shutdown(k->fd, SHUT_RDWR);
    return NULL;
}

static void assert_name(struct move *m, const struct takes *t, const char *name)
{
    wh_auto_free char *is = wh_fake_node(m->s.f, "/local/domain/%u/name", m->domid);

    if (!is || strcmp(is, name) != 0)
        FAIL("%s: it is called %s", t->says, is ? is : "nothing");
}

static void check_waiting(struct move *m, const struct takes *t)
{
    char error[1100];
    struct wh_recover_how by_name = { .domain = "g--migratedaway" };

    assert_name(m, t, "g--migratedaway");
    wh_auto_free char *text = move_recover(m, &m->s, false);
    if (!strstr(text, "stays suspended") || move_runs(&m->s))
        FAIL("%s: recover does not wait: %s", t->says, text);
    if (move_perform(&m->s, wh_recover_new(&by_name), error) == WH_OK || move_runs(&m->s))
        FAIL("%s: it is let run by its name alone", t->says);
    if (move_perform(&m->s, wh_recover_new(&(struct wh_recover_how){ .fenced = "other" }), error) != WH_OK ||
        move_runs(&m->s))
        FAIL("%s: it is let run since another host is off", t->says);
    if (move_perform(&m->s, wh_recover_new(&(struct wh_recover_how){ .fenced = "web2" }), error) != WH_OK ||
        !move_runs(&m->s))
        FAIL("%s: it is not let run though the host is off: %s", t->says, error);
}

static void be_taken(const struct takes *t)
{
    struct wh_send_how how = to_stock;
    struct move m;
    pthread_t thread;
    char error[1100];
    int pair[2];

    alarm(100);
    wh_op_hurry = 20;
    move_open(&m, false);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        FAIL("no sockets");
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    struct taker k = { t, pair[1] };
    pthread_create(&thread, NULL, take_it, &k);
    how.own_link = true;
    how.in = how.out = pair[0];
    snprintf(m.at, sizeof m.at, "web2");
    move_run(&m, &how);
    pthread_join(thread, NULL);
    if (fcntl(pair[0], F_GETFD) < 0)
        FAIL("%s: the caller's own link was closed", t->says);
    if (!strstr(m.error, t->why))
        FAIL("%s: it does not say \"%s\": %s", t->says, t->why, m.error);
    if (move_runs(&m.s) != (t->end == HERE) || wh_fake_state(m.s.f, m.domid).there != (t->end != GONE))
        FAIL("%s: where is it? %s", t->says, m.error);
    if (t->end == WAITS)
        check_waiting(&m, t);
    if (t->end != GONE)
        assert_name(&m, t, "g");
    if (t->end != GONE && move_perform(&m.s, wh_destroy_new("g"), error) != WH_OK)
        FAIL("%s: %s", t->says, error);
    wh_auto_free char *left = move_left(&m.s);
    if (left || move_records(&m.s, "", NULL) > 0)
        FAIL("%s: %s", t->says, left ? left : "a record");
    close(pair[0]);
    close(pair[1]);
    move_close(&m);
}

/* ---------------------------------------------------------------------------------- all of them */

static unsigned running, failed;

static void await_one(void)
{
    int status;

    assert_true(wait(&status) > 0);
    running--;
    failed += status != 0;
}

static bool child(void)
{
    if (running == AT_ONCE)
        await_one();
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    running++;
    return pid == 0;
}

static void all_ends(void)
{
    while (running > 0)
        await_one();
    assert_int_equal(failed, 0);
}

static void each_message_of_a_sender_may_be_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(sends); i++) {
        if (child()) {
            send_it(&sends[i]);
            _exit(0);
        }
    }
    all_ends();
}

static void each_message_of_a_receiver_may_be_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(takes); i++) {
        if (child()) {
            be_taken(&takes[i]);
            _exit(0);
        }
    }
    all_ends();
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST("the two ends fit", the_two_ends_fit),
        TEST("what differs is told, and the guest taken", what_differs_is_told_and_the_guest_taken),
        TEST("each message of a sender may be wrong", each_message_of_a_sender_may_be_wrong),
        TEST("the sender hears that it runs, whatever comes after",
             the_sender_hears_that_it_runs_whatever_comes_after),
        TEST("each message of a receiver may be wrong", each_message_of_a_receiver_may_be_wrong),
    };

    signal(SIGPIPE, SIG_IGN);
    stream = malloc(ROOM);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    free(stream);
    return rc;
}
