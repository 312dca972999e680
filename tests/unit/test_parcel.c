/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames between two wherries: what goes in comes out, and that one lives is heard. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/bytes.h"
#include "parcel_ends.h"

/* ------------------------------------------------------------------------------ the link */

/* What send does in place of all that it is asked: a byte of it, or nothing, twice out of three times. */
static _Atomic unsigned meddles, sends;

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    unsigned turn = meddles ? sends++ % 3 : 2;

    if (turn == 0) {
        errno = turn % 2 ? EAGAIN : EINTR;
        return -1;
    }
    return sendto(fd, p, turn == 1 ? (n + 2) / 3 : n, flags, NULL, 0);
}

/* ----------------------------------------------------------------------- one who sends it all */

struct sender {
    struct wh_op op;
    struct ends *e;
    enum wh_packing packing;
    uint64_t limit;
    const uint8_t *p;
    size_t n;
    uint64_t seed, sent, packed;
    bool ok, marks;
    pthread_t thread;
};

/* With marks: all that went in has been taken, or is in the hands of one read. */
static bool flush(struct sender *s, struct wh_sink *k)
{
    if (!wh_sink_flush(&s->op, k))
        return false;
    assert_true(!s->marks || k->at - atomic_load(&taken) <= MOST);
    return true;
}

static bool send_all(struct sender *s, struct wh_parcel *p)
{
    struct wh_op *op = &s->op;
    struct wh_sink k;
    bool ok = wh_parcel_say(op, p, message("before"));

    p->marks = s->marks;
    if (!ok || !wh_parcel_sink(op, p, &k))
        return false;
    for (size_t at = 0, n; ok && at < s->n; at += n) {
        n = 1 + unit_below(&s->seed, 1u << unit_below(&s->seed, 20));
        n = n < s->n - at ? n : s->n - at;
        ok = wh_sink_write(op, &k, s->p + at, n) &&
             (unit_below(&s->seed, 20) > 0 || flush(s, &k));
    }
    ok = ok && wh_sink_end(op, &k);
    wh_sink_close(&k);
    return ok && wh_parcel_say(op, p, message("after"));
}

static void *run_sender(void *arg)
{
    struct sender *s = arg;
    struct wh_parcel p;

    wh_step(&s->op, "talk", 60000);
    s->ok = wh_parcel_open(&s->op, &p, s->e->in[0], s->e->out[0], "the peer");
    p.packing = s->packing;
    p.limit = s->limit;
    s->ok = s->ok && send_all(s, &p);
    s->sent = p.sent;
    s->packed = p.packed;
    shut(&s->op, &p);
    return NULL;
}

static void begin_sending(struct sender *s)
{
    assert_true(wh_op_init(&s->op));
    assert_int_equal(pthread_create(&s->thread, NULL, run_sender, s), 0);
}

static void end_sending(struct sender *s)
{
    pthread_join(s->thread, NULL);
    wh_op_done(&s->op);
}

/* A third zeros, a third like text, a third random. */
static uint8_t *mixed(size_t n)
{
    uint8_t *p = unit_bytes(9, n);
    uint64_t seed = 4;

    for (size_t at = 0, some; at < n; at += some) {
        unsigned kind = (unsigned)unit_below(&seed, 3);

        some = 1 + unit_below(&seed, 300000);
        some = some < n - at ? some : n - at;
        for (size_t i = at; kind < 2 && i < at + some; i++)
            p[i] = kind == 0 ? 0 : (uint8_t)"the wherry carries "[p[i] % 19];
    }
    return p;
}

static void what_goes_in_comes_out(void **state)
{
    static const enum wh_packing packings[] = { WH_PACK_AUTO, WH_PACK_ALWAYS, WH_PACK_NEVER };
    wh_auto_free uint8_t *bytes = mixed(BYTES);
    struct wh_op *op = *state;

    for (unsigned i = 0; i < 2 * WH_COUNT(packings); i++) {
        struct ends e = join(i & 1);
        struct sender s = { .e = &e, .packing = packings[i / 2], .p = bytes, .n = BYTES, .seed = i + 1,
                            .marks = i < WH_COUNT(packings) };
        struct wh_parcel p;
        open_at(op, &p, &e, 1);

        begin_sending(&s);
        bool ok = read_all(op, &p, bytes, BYTES);
        end_sending(&s);
        assert_ok(op);
        assert_true(ok && s.ok);
        assert_int_equal(s.sent, p.received);
        assert_true(packings[i / 2] == WH_PACK_NEVER ? s.sent > BYTES && s.packed == 0
                    : packings[i / 2] == WH_PACK_ALWAYS ? s.sent < BYTES : true);
        shut(op, &p);
        hang_up(&e, 0);
        hang_up(&e, 1);
    }
}

static void on_signal(int number)
{
    (void)number;
}

/* Interrupted all the time, and given little each time. */
static void it_comes_out_of_a_link_that_takes_little_at_a_time(void **state)
{
    wh_auto_free uint8_t *bytes = mixed(BYTES);
    struct sigaction a = { .sa_handler = on_signal }, before;
    struct wh_op *op = *state;
    struct ends e = join(false);
    struct sender s = { .e = &e, .p = bytes, .n = BYTES, .seed = 5 };
    struct wh_parcel p;
    open_at(op, &p, &e, 1);

    sigaction(SIGUSR1, &a, &before);
    meddles = 1;
    begin_sending(&s);
    assert_true(hear(op, &p, "before"));
    for (int i = 0; i < 100; i++)
        pthread_kill(s.thread, SIGUSR1);
    bool ok = read_stream(op, &p, bytes, BYTES) && hear(op, &p, "after");
    end_sending(&s);
    meddles = 0;
    sigaction(SIGUSR1, &before, NULL);
    assert_ok(op);
    assert_true(ok && s.ok);
    shut(op, &p);
    hang_up(&e, 0);
    hang_up(&e, 1);
}

static void a_limit_is_kept(void **state)
{
    wh_auto_free uint8_t *bytes = unit_bytes(3, BYTES);
    struct wh_op *op = *state;
    struct ends e = join(false);
    struct sender s = { .e = &e, .packing = WH_PACK_NEVER, .limit = 4000000, .p = bytes, .n = BYTES,
                        .seed = 2 };
    struct wh_parcel p;
    open_at(op, &p, &e, 1);
    int64_t begun = unit_now_ms();

    begin_sending(&s);
    assert_true(read_all(op, &p, bytes, BYTES));
    end_sending(&s);
    /* The last piece's time is not waited for. */
    assert_in_range(unit_now_ms() - begun, (BYTES - PIECE) / 4000 - 20, 60000);
    shut(op, &p);
    hang_up(&e, 0);
    hang_up(&e, 1);
}

static void a_limit_does_not_keep_from_a_cancel(void **state)
{
    wh_auto_free uint8_t *bytes = unit_bytes(3, 3 * PIECE);
    struct ends e = join(false);
    struct sender s = { .e = &e, .packing = WH_PACK_NEVER, .limit = 1000, .p = bytes, .n = 3 * PIECE,
                        .seed = 2 };

    (void)state;
    begin_sending(&s);
    unit_sleep_ms(20);
    wh_op_cancel(&s.op);
    int64_t begun = unit_now_ms();
    pthread_join(s.thread, NULL);
    assert_in_range(unit_now_ms() - begun, 0, SOON_MS);
    assert_int_equal(s.op.err.kind, WH_CANCELLED);
    wh_op_done(&s.op);
    hang_up(&e, 0);
    hang_up(&e, 1);
}

/* ------------------------------------------------------------------------------ it lives */

struct waiter {
    struct wh_op op;
    struct ends *e;
    unsigned each_ms, times;
    bool ticks, ok;
    pthread_t thread;
};

/* Busy with something else, in waits that are long or short. */
static void *wait_long(void *arg)
{
    struct waiter *w = arg;
    struct wh_parcel p;

    wh_step(&w->op, "wait", WH_FOREVER);
    w->ok = wh_parcel_open(&w->op, &p, w->e->in[0], w->e->out[0], "the peer");
    if (!w->ticks)
        w->op.tick = NULL;
    for (unsigned i = 0; w->ok && i < w->times; i++)
        w->ok = w->each_ms ? wh_nap(&w->op, w->each_ms) : wh_go_on(&w->op);
    w->ok = w->ok && wh_parcel_say(&w->op, &p, message("at last"));
    shut(&w->op, &p);
    return NULL;
}

static bool is_waited_for(struct wh_op *op, bool pipes, unsigned each_ms, unsigned times, bool ticks)
{
    struct ends e = join(pipes);
    struct waiter w = { .e = &e, .each_ms = each_ms, .times = times, .ticks = ticks };

    assert_true(wh_op_init(&w.op));
    struct wh_parcel p;
    open_at(op, &p, &e, 1);
    wh_step(op, "wait", WH_FOREVER);
    p.silence_ms = 300 * HURRY;
    assert_int_equal(pthread_create(&w.thread, NULL, wait_long, &w), 0);
    bool ok = hear(op, &p, "at last");
    pthread_join(w.thread, NULL);
    wh_op_done(&w.op);
    shut(op, &p);
    hang_up(&e, 0);
    hang_up(&e, 1);
    return ok;
}

static void one_who_is_busy_tells_that_he_lives(void **state)
{
    struct wh_op *op = *state;

    wh_op_hurry = HURRY;
    for (int pipes = 0; pipes < 2; pipes++) {
        assert_true(is_waited_for(op, pipes, 900, 1, true));
        assert_true(is_waited_for(op, pipes, 5, 180, true));
        assert_false(is_waited_for(op, pipes, 900, 1, false));
        assert_says(op->err.text, "has said nothing for too long");
        op->err = (struct wh_err){ 0 };
    }
    wh_op_hurry = 1;
}

/* What was not begun was not cut off: of a cancel the other end is told. */
static void one_who_is_cancelled_can_say_so(void **state)
{
    struct wh_op *op = *state;
    struct ends e = join(false);
    struct wh_parcel a, b;
    struct wh_op other;

    assert_true(wh_op_init(&other));
    open_at(op, &a, &e, 0);
    open_at(&other, &b, &e, 1);
    wh_step(op, "talk", WH_FOREVER);
    wh_step(&other, "talk", WH_FOREVER);
    wh_op_cancel(op);
    assert_false(wh_parcel_say(op, &a, message("not said")));
    assert_kind(op, WH_CANCELLED);
    op->err = (struct wh_err){ 0 };
    op->shielded = true;
    assert_true(wh_parcel_say(op, &a, message("whole")));
    assert_true(hear(&other, &b, "whole"));
    shut(op, &a);
    shut(&other, &b);
    wh_op_done(&other);
    hang_up(&e, 0);
    hang_up(&e, 1);
}

/* A tick that does not go out whole is finished before anything else is said. */
static void a_tick_cuts_no_frame(void **state)
{
    struct wh_op *op = *state;
    struct ends e = join(false);
    struct wh_parcel a, b;
    struct wh_op other;

    assert_true(wh_op_init(&other));
    open_at(op, &a, &e, 0);
    void (*tick)(void *) = op->tick;
    open_at(&other, &b, &e, 1);
    wh_op_hurry = 1000;         /* the next tick is due in two milliseconds */
    for (unsigned i = 0; i < 40; i++) {
        meddles = 1;
        sends = i % 3;
        for (unsigned j = 0; j < i % 4 + 1; j++) {
            unit_sleep_ms(3);
            tick(&a);
        }
        meddles = 0;
        wh_step(op, "talk", WH_FOREVER);
        wh_step(&other, "talk", WH_FOREVER);
        assert_true(wh_parcel_say(op, &a, message("whole")));
        b.silence_ms = 60000000;
        assert_true(hear(&other, &b, "whole"));
    }
    wh_op_hurry = 1;
    shut(op, &a);
    shut(&other, &b);
    wh_op_done(&other);
    hang_up(&e, 0);
    hang_up(&e, 1);
}

/* -------------------------------------------------------------------------------- raw bytes */

static void raw_bytes_are_as_they_are(void **state)
{
    struct wh_op *op = *state, other;
    struct ends e = join(true);
    char got[8] = "";

    assert_true(wh_op_init(&other));
    struct wh_parcel a, b;

    open_at(op, &a, &e, 0);
    open_at(&other, &b, &e, 1);
    assert_true(wh_parcel_raw_write(op, &a, "WHRY, or not", 13));
    assert_true(wh_parcel_raw_peek(&other, &b, got, 4));
    assert_memory_equal(got, "WHRY", 4);
    assert_true(wh_parcel_raw_read(&other, &b, got, 6));
    assert_memory_equal(got, "WHRY, ", 6);
    /* What was read ahead is not lost when frames follow. */
    assert_true(wh_parcel_say(op, &a, message("framed")));
    assert_true(wh_parcel_raw_read(&other, &b, got, 7));
    assert_true(hear(&other, &b, "framed"));
    hang_up(&e, 0);
    assert_false(wh_parcel_raw_peek(&other, &b, got, 4));
    assert_says(other.err.text, "has hung up");
    shut(op, &a);
    shut(&other, &b);
    wh_op_done(&other);
    hang_up(&e, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OP_TEST("what goes in comes out, packed or not", what_goes_in_comes_out),
        OP_TEST("it comes out of a link that takes little at a time",
                it_comes_out_of_a_link_that_takes_little_at_a_time),
        OP_TEST("a limit is kept", a_limit_is_kept),
        OP_TEST("a limit does not keep from a cancel", a_limit_does_not_keep_from_a_cancel),
        OP_TEST("one who is busy tells that he lives", one_who_is_busy_tells_that_he_lives),
        OP_TEST("one who is cancelled can say so", one_who_is_cancelled_can_say_so),
        OP_TEST("a tick cuts no frame", a_tick_cuts_no_frame),
        OP_TEST("raw bytes are as they are", raw_bytes_are_as_they_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
