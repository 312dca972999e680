/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore's connection: a daemon that stalls, babbles or dies makes an operation fail, in time,
 * and nothing worse. */
#include <sys/ioctl.h>

#include "daemon.h"

/* -------------------------------------------------------------------------- slow and late */

static void one_byte_at_a_time(struct daemon *d, const struct xsd_sockmsg *head,
                               const char *payload)
{
    char all[HEAD + 5];

    (void)payload;
    memcpy(all, &(struct xsd_sockmsg){ head->type, head->req_id, 0, 5 }, HEAD);
    memcpy(all + HEAD, "hello", 5);
    for (size_t i = 0; i < sizeof all; i++) {
        send_all(d->fd, all + i, 1);
        unit_sleep_ms(1);
    }
}

static void takes_answers_byte_by_byte(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, one_byte_at_a_time);
    wh_auto_free char *text = NULL;

    assert_true(wh_store_read(op, st, 0, &text, "/a"));
    assert_string_equal(text, "hello");
    stop(st, &d);
}

/* Keeps its answers to itself until it is told to go on; then they come, oldest first. */
static void keeps(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    char text[32];

    (void)payload;
    d->kept[d->n++] = *head;
    if (!d->go)
        return;
    for (unsigned i = 0; i < d->n; i++)
        reply(d, &d->kept[i], text, (size_t)sprintf(text, "answer %u", i));
    d->n = 0;
}

static void a_stalled_daemon_is_a_timeout(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, keeps);
    wh_auto_free char *text = NULL;
    int64_t began = unit_now_ms();

    wh_step(op, "look at the guest", 50);
    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_TIMEOUT);
    assert_says(op->err.text, "store read /a: xenstored has not answered within 50 ms at the step "
                "\"look at the guest\"");
    assert_in_range(unit_now_ms() - began, 45, 50 + SOON_MS);
    stop(st, &d);
}

static void a_stalled_daemon_is_a_timeout_without_a_deadline(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, keeps);
    wh_auto_free char *text = NULL;
    int64_t began = unit_now_ms();

    wh_op_hurry = 500;
    wh_step(op, "copy", WH_FOREVER);
    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    wh_op_hurry = 1;
    assert_kind(op, WH_TIMEOUT);
    assert_says(op->err.text, "within 30000 ms");
    assert_in_range(unit_now_ms() - began, 55, 60 + SOON_MS);
    assert_true(op->deadline_ns == WH_FOREVER);
    stop(st, &d);
}

static void *cancel_soon(void *op)
{
    unit_sleep_ms(30);
    wh_op_cancel(op);
    return NULL;
}

static void a_cancel_is_seen_and_a_shield_hides_it(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, keeps);
    wh_auto_free char *text = NULL;
    pthread_t thread;
    int64_t began = unit_now_ms();

    pthread_create(&thread, NULL, cancel_soon, op);
    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_CANCELLED);
    assert_in_range(unit_now_ms() - began, 25, 30 + SOON_MS);
    pthread_join(thread, NULL);

    /* The late answer to the first request is not taken for the second's. */
    memset(&op->err, 0, sizeof op->err);
    op->shielded = true;
    d.go = true;
    assert_true(wh_store_read(op, st, 0, &text, "/b"));
    assert_string_equal(text, "answer 1");
    assert_ok(op);
    stop(st, &d);
}

static void a_cancelled_operation_asks_nothing_more(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    bool again;

    ANSWER(&d, "OK\0");
    wh_op_cancel(op);
    assert_false(wh_store_write(op, st, 0, "x", "/a"));
    assert_kind(op, WH_CANCELLED);
    assert_int_equal(d.requests, 0);
    assert_false(wh_store_commit(op, st, 3, &again));       /* but this it does */
    assert_asked(&d, XS_TRANSACTION_END, "F\0");
    assert_int_equal(d.requests, 1);
    wh_store_abort(op, st, 4);
    assert_int_equal(d.tx, 4);
    assert_kind(op, WH_CANCELLED);
    assert_false(op->shielded);
    stop(st, &d);
}

/* Does not even read until it is told to. */
static void *reads_late(void *arg)
{
    struct daemon *d = arg;

    while (!d->go)
        unit_sleep_ms(1);
    return daemon_runs(d);
}

/* A daemon on a socket that holds little, and does not read yet. */
static struct wh_store *start_narrow(struct wh_op *op, struct daemon *d, int *ours)
{
    int p[2], small = 1;

    *d = (struct daemon){ .serve = canned };
    ANSWER(d, "OK\0");
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    setsockopt(p[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    d->fd = p[0];
    *ours = p[1];
    assert_int_equal(pthread_create(&d->thread, NULL, reads_late, d), 0);
    return wh_store_on_fd(op, p[1]);
}

static void what_was_half_sent_is_sent_to_its_end(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    char value[4000];
    int ours;
    struct wh_store *st = start_narrow(op, &d, &ours);

    memset(value, 'v', sizeof value);
    value[sizeof value - 1] = '\0';
    /* The kernel takes three pieces of a bit over 2000 bytes each: the second request is cut. */
    for (int i = 0; i < 4; i++) {
        wh_step(op, "fill", 5);
        assert_false(wh_store_write(op, st, 0, i == 0 ? value + 2000 : value, "/a"));
        assert_kind(op, WH_TIMEOUT);
        memset(&op->err, 0, sizeof op->err);
    }
    wh_step(op, "go on", 5000);
    d.go = true;
    assert_true(wh_store_write(op, st, 0, "last", "/b"));
    assert_ok(op);
    assert_asked(&d, XS_WRITE, "/b\0last");
    assert_int_equal(d.requests, 3);
    stop(st, &d);
}

/* Answers nothing to what fills its socket. */
static void but_the_filling(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    if (head->type == XS_CONTROL)
        d->requests--;
    else
        canned(d, head, payload);
}

static void what_had_not_begun_to_be_sent_never_is(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    int ours;
    struct wh_store *st = start_narrow(op, &d, &ours);
    struct xsd_sockmsg filling = { .type = XS_CONTROL };

    d.serve = but_the_filling;
    while (send(ours, &filling, sizeof filling, MSG_DONTWAIT) == sizeof filling)
        ;
    wh_step(op, "in vain", 5);
    assert_false(wh_store_write(op, st, 0, "too late", "/a"));
    assert_kind(op, WH_TIMEOUT);
    memset(&op->err, 0, sizeof op->err);
    wh_step(op, "go on", 5000);
    d.go = true;
    assert_true(wh_store_write(op, st, 0, "last", "/b"));
    assert_asked(&d, XS_WRITE, "/b\0last");
    assert_int_equal(d.requests, 1);
    stop(st, &d);
}

/* -------------------------------------------------------------------------------- babble */

static uint32_t bad_length;

static void answers_with_a_length(struct daemon *d, const struct xsd_sockmsg *head,
                                  const char *payload)
{
    struct xsd_sockmsg bad = { head->type, head->req_id, 0, bad_length };

    (void)payload;
    send_all(d->fd, &bad, sizeof bad);
    send_all(d->fd, "xxxxxxxx", 8);
}

static void a_length_that_cannot_be_ends_the_connection(void **state)
{
    static const uint32_t lengths[] = { UINT32_MAX, UINT32_MAX - 15, 0x80000000, 4097 };
    struct wh_op *op = *state;
    char *text;

    for (size_t i = 0; i < WH_COUNT(lengths); i++) {
        struct daemon d;
        struct wh_store *st = start(op, &d, answers_with_a_length);

        bad_length = lengths[i];
        memset(&op->err, 0, sizeof op->err);
        assert_false(wh_store_read(op, st, 0, &text, "/a"));
        assert_kind(op, WH_XEN);
        assert_says(op->err.text, "longer than 4096 bytes");
        memset(&op->err, 0, sizeof op->err);
        assert_false(wh_store_read(op, st, 0, &text, "/a"));
        assert_says(op->err.text, "the connection to xenstored is lost");
        stop(st, &d);
    }
}

static void wrong_id(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    (void)payload;
    send_message(d, head->type, head->req_id + d->n, 0, "x", 1);
}

static void an_answer_to_no_request_ends_the_connection(void **state)
{
    static const unsigned ahead[] = { 1, 1000, UINT32_MAX, UINT32_MAX - 5 };
    struct wh_op *op = *state;
    char *text;

    for (size_t i = 0; i < WH_COUNT(ahead); i++) {
        struct daemon d;
        struct wh_store *st = start(op, &d, wrong_id);

        d.n = ahead[i];
        memset(&op->err, 0, sizeof op->err);
        assert_false(wh_store_read(op, st, 0, &text, "/a"));
        assert_kind(op, WH_XEN);
        assert_says(op->err.text, "never made");
        stop(st, &d);
    }
}

static void wrong_type(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    (void)payload;
    send_message(d, XS_WRITE, head->req_id, 0, "x", 1);
}

static void another_kind_of_answer_ends_the_connection(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, wrong_type);
    char *text;

    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "another kind of reply");
    stop(st, &d);
}

static void closes(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    (void)payload;
    send_all(d->fd, head, 10);
    shutdown(d->fd, SHUT_RDWR);
}

static void a_closed_connection_is_an_error(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, closes);
    char *text;

    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "xenstored closed it");
    memset(&op->err, 0, sizeof op->err);
    assert_false(wh_store_write(op, st, 0, "x", "/a"));
    assert_kind(op, WH_XEN);
    stop(st, &d);
}

static void a_daemon_that_is_gone_is_an_error(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);

    shutdown(d.fd, SHUT_RDWR);
    assert_false(wh_store_write(op, st, 0, "x", "/a"));     /* and no SIGPIPE */
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "the connection to xenstored is lost");
    stop(st, &d);
}

static void an_unknown_refusal(struct daemon *d, const struct xsd_sockmsg *head,
                               const char *payload)
{
    (void)payload;
    send_message(d, XS_ERROR, head->req_id, 0, "EWHATEVER", 9);
}

static void a_refusal_nobody_knows_is_one(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, an_unknown_refusal);
    char *text;

    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "store read /a: Input/output error");
    stop(st, &d);
}

/* -------------------------------------------------------------------------------- events */

static void event(struct daemon *d, const char *bytes, size_t n)
{
    send_message(d, XS_WATCH_EVENT, 0, 0, bytes, n);
}

static void many_events(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    char text[64];

    (void)payload;
    for (unsigned i = 0; i < 5000; i++)
        event(d, text, (size_t)sprintf(text, "/a/%u%ctoken", i, '\0') + 1);
    event(d, "/b\0other", 9);
    event(d, "/b\0other", 9);
    reply(d, head, "hello", 5);
}

static void events_by_the_thousand_are_merged_and_none_that_matters_is_lost(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, many_events);
    wh_auto_free char *text = NULL;
    struct wh_store_event e;
    unsigned of_token = 0, of_other = 0;
    bool there = true;

    assert_true(wh_store_read(op, st, 0, &text, "/a"));
    assert_string_equal(text, "hello");
    while (there) {
        assert_true(wh_store_event_now(op, st, &e, &there));
        of_token += there && strcmp(e.token, "token") == 0;
        of_other += there && strcmp(e.token, "other") == 0;
    }
    assert_int_equal(of_token, 1024);
    assert_int_equal(of_other, 1);
    stop(st, &d);
}

/* The socket is full of events before anything is asked, and what is asked is never answered: the
 * deadline ends it before all of them are taken. */
static void a_flood_of_events_does_not_stop_the_clock(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    int p[2], left = 0;
    wh_auto_free char *text = NULL;
    struct xsd_sockmsg head = { .type = XS_WATCH_EVENT, .len = 9 };
    char many[1000][sizeof head + 9];

    for (size_t i = 0; i < WH_COUNT(many); i++) {
        memcpy(many[i], &head, sizeof head);
        memcpy(many[i] + sizeof head, "/a\0token", 9);
    }
    d = (struct daemon){ .serve = keeps };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    d.fd = p[0];
    assert_int_equal(pthread_create(&d.thread, NULL, daemon_runs, &d), 0);
    while (send(p[0], many, sizeof many, MSG_DONTWAIT) == sizeof many)
        ;
    struct wh_store *st = wh_store_on_fd(op, p[1]);
    wh_step(op, "look", 1);
    assert_false(wh_store_read(op, st, 0, &text, "/a"));
    assert_kind(op, WH_TIMEOUT);
    assert_int_equal(ioctl(p[1], FIONREAD, &left), 0);
    assert_true(left > 0);
    stop(st, &d);
}

static void an_event_soon(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    static const char long_token[100] = "/a\0this-token-is-longer-than-any-token-of-ours-"
                                        "could-ever-be-so-that-it-is-not-for-us";

    (void)payload;
    reply(d, head, "OK", 3);
    unit_sleep_ms(20);
    event(d, long_token, sizeof long_token);
    event(d, "/local/domain/3/state\0state\0" "more", 33);
}

static void events_are_waited_for_and_seen_on_the_descriptor(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, an_event_soon);
    struct wh_store_event e;
    struct pollfd p = { .fd = wh_store_fd(st), .events = POLLIN };
    bool there = true;

    assert_true(p.fd >= 0);
    assert_true(wh_store_watch(op, st, "state", "/local/domain/3/state"));
    assert_int_equal(poll(&p, 1, 0), 0);
    assert_true(wh_store_event_now(op, st, &e, &there));
    assert_false(there);
    assert_int_equal(poll(&p, 1, 1000), 1);
    assert_true(wh_store_event(op, st, &e));
    assert_string_equal(e.path, "/local/domain/3/state");
    assert_string_equal(e.token, "state");
    assert_int_equal(poll(&p, 1, 0), 0);

    wh_step(op, "wait", 20);
    assert_false(wh_store_event(op, st, &e));
    assert_kind(op, WH_TIMEOUT);
    stop(st, &d);
}

static void an_event_first(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    (void)payload;
    event(d, "/a/b\0t", 7);
    reply(d, head, "OK", 3);
}

static void an_event_that_came_with_an_answer_is_on_the_descriptor(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, an_event_first);
    struct wh_store_event e;
    struct pollfd p = { .fd = wh_store_fd(st), .events = POLLIN };
    bool there;

    assert_true(wh_store_write(op, st, 0, "x", "/a"));
    assert_int_equal(poll(&p, 1, 0), 1);
    assert_true(wh_store_event_now(op, st, &e, &there));
    assert_true(there);
    assert_string_equal(e.path, "/a/b");
    assert_int_equal(poll(&p, 1, 0), 0);
    stop(st, &d);
}

static void bad_event(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = { { "", 0 }, { "/a", 2 }, { "/a", 3 }, { "/a\0t", 4 } };

    (void)head;
    (void)payload;
    event(d, bad[d->n].bytes, bad[d->n].n);
}

static void an_event_without_path_and_token_ends_the_connection(void **state)
{
    struct wh_op *op = *state;
    char *text;

    for (unsigned i = 0; i < 4; i++) {
        struct daemon d;
        struct wh_store *st = start(op, &d, bad_event);

        d.n = i;
        memset(&op->err, 0, sizeof op->err);
        assert_false(wh_store_read(op, st, 0, &text, "/a"));
        assert_kind(op, WH_XEN);
        assert_says(op->err.text, "no path and token");
        stop(st, &d);
    }
}

/* ------------------------------------------------------------------------------- opening */

/* A listening socket in a folder of its own, named by XENSTORED_PATH. */
static int listens(char *folder, size_t size, int backlog)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    unit_folder(folder, size);
    snprintf(a.sun_path, sizeof a.sun_path, "%.80s/socket", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, backlog), 0);
    setenv("XENSTORED_PATH", a.sun_path, 1);
    return fd;
}

static void opens_the_daemon_s_socket(void **state)
{
    struct wh_op *op = *state;
    char folder[64];
    wh_auto_fd int fd = listens(folder, sizeof folder, 5);
    struct wh_store *st = wh_store_open(op);

    assert_non_null(st);
    wh_store_close(st);
    unit_remove_folder(folder);
    assert_null(wh_store_open(op));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "no xenstored on this host");
    unsetenv("XENSTORED_PATH");
}

static void a_daemon_that_does_not_accept_is_a_timeout(void **state)
{
    struct wh_op *op = *state;
    char folder[64];
    wh_auto_fd int fd = listens(folder, sizeof folder, 0);
    struct wh_store *st[8] = { 0 };
    int64_t began = unit_now_ms();

    wh_step(op, "open", 80);
    for (size_t i = 0; i < WH_COUNT(st) && (i == 0 || st[i - 1]); i++)
        st[i] = wh_store_open(op);
    assert_kind(op, WH_TIMEOUT);
    assert_in_range(unit_now_ms() - began, 75, 80 + SOON_MS);
    for (size_t i = 0; i < WH_COUNT(st); i++)
        wh_store_close(st[i]);
    unit_remove_folder(folder);
    unsetenv("XENSTORED_PATH");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("an answer may come byte by byte", takes_answers_byte_by_byte),
        OP_TEST("a stalled daemon is a timeout", a_stalled_daemon_is_a_timeout),
        OP_TEST("a stalled daemon is a timeout even in a step without a deadline",
                a_stalled_daemon_is_a_timeout_without_a_deadline),
        OP_TEST("a cancel is seen, a shield hides it, late answers are thrown away",
                a_cancel_is_seen_and_a_shield_hides_it),
        OP_TEST("a cancelled operation asks nothing more, but aborts its transaction",
                a_cancelled_operation_asks_nothing_more),
        OP_TEST("what was half sent is sent to its end", what_was_half_sent_is_sent_to_its_end),
        OP_TEST("what had not begun to be sent never is", what_had_not_begun_to_be_sent_never_is),
        OP_TEST("a length that cannot be ends the connection",
                a_length_that_cannot_be_ends_the_connection),
        OP_TEST("an answer to no request ends the connection",
                an_answer_to_no_request_ends_the_connection),
        OP_TEST("another kind of answer ends the connection",
                another_kind_of_answer_ends_the_connection),
        OP_TEST("a closed connection is an error", a_closed_connection_is_an_error),
        OP_TEST("a daemon that is gone is an error", a_daemon_that_is_gone_is_an_error),
        OP_TEST("a refusal nobody knows is one", a_refusal_nobody_knows_is_one),
        OP_TEST("events by the thousand are merged, and none that matters is lost",
                events_by_the_thousand_are_merged_and_none_that_matters_is_lost),
        OP_TEST("a flood of events does not stop the clock",
                a_flood_of_events_does_not_stop_the_clock),
        OP_TEST("events are waited for, and seen on the descriptor",
                events_are_waited_for_and_seen_on_the_descriptor),
        OP_TEST("an event that came with an answer is on the descriptor",
                an_event_that_came_with_an_answer_is_on_the_descriptor),
        OP_TEST("an event without path and token ends the connection",
                an_event_without_path_and_token_ends_the_connection),
        OP_TEST("the daemon's socket is opened", opens_the_daemon_s_socket),
        OP_TEST("a daemon that does not accept is a timeout",
                a_daemon_that_does_not_accept_is_a_timeout),
    };

    return cmocka_run_group_tests_name("store_socket", tests, NULL, NULL);
}
