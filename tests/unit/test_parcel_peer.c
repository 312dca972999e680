/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames of a peer that is not what it should be: hostile, silent, noisy.  It comes to an end. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <zstd.h>

#include "base/bytes.h"
#include "parcel_ends.h"

/* ------------------------------------------------------------------------- a hostile peer */

/* A conversation as its bytes. */
struct talk {
    uint8_t *p;
    size_t n;
};

static void add(struct talk *t, const void *p, size_t n)
{
    t->p = realloc(t->p, t->n + n + 1);
    assert_non_null(t->p);
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void add_frame(struct talk *t, unsigned kind, const void *body, size_t n, size_t plain)
{
    uint8_t head[HEAD] = { 0 };

    wh_put_le32(head, 0x59524857);
    head[4] = (uint8_t)kind;
    wh_put_le32(head + 8, (uint32_t)n);
    wh_put_le32(head + 12, (uint32_t)plain);
    add(t, head, HEAD);
    add(t, body, n);
}

static void add_text(struct talk *t, const char *text)
{
    add_frame(t, MESSAGE, text, strlen(text), strlen(text));
}

#define BEFORE "{\"type\":\"word\",\"text\":\"before\"}"
#define AFTER  "{\"type\":\"word\",\"text\":\"after\"}"
static const uint8_t text[] = "what a guest is made of, a little at a time, at a time, at a time";

static void add_end(struct talk *t, const void *p, size_t n)
{
    struct wh_digest *d = wh_digest_new();
    uint8_t digest[WH_DIGEST_BYTES];

    assert_non_null(d);
    wh_digest_feed(d, p, n);
    wh_digest_get(d, digest);
    wh_digest_free(d);
    add_frame(t, END, digest, sizeof digest, 0);
}

static void add_packed(struct talk *t, const void *p, size_t n, size_t says)
{
    wh_auto_free uint8_t *packed = malloc(ZSTD_compressBound(n));
    size_t size = ZSTD_compress(packed, ZSTD_compressBound(n), p, n, 1);

    assert_false(ZSTD_isError(size));
    add_frame(t, PACKED, packed, size, says);
}

/* All of it good: a message, the stream in two frames, its end, a message. */
static struct talk good_talk(void)
{
    struct talk t = { 0 };

    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, text, 20, 20);
    add_frame(&t, NOTHING, "", 0, 0);
    add_packed(&t, text + 20, sizeof text - 20, sizeof text - 20);
    add_end(&t, text, sizeof text);
    add_text(&t, AFTER);
    return t;
}

enum { ALL_AT_ONCE, BYTE_BY_BYTE };
enum { HANGS_UP, STAYS };

struct speaker {
    int fd, pace, then;
    const uint8_t *p;
    size_t n;
};

static void *speak(void *arg)
{
    const struct speaker *s = arg;
    size_t step = s->pace == BYTE_BY_BYTE ? 1 : s->n;

    for (size_t at = 0; at < s->n; at += step)
        if (sendto(s->fd, s->p + at, step < s->n - at ? step : s->n - at, MSG_NOSIGNAL, NULL, 0) < 0)
            break;
    if (s->then == HANGS_UP)
        shutdown(s->fd, SHUT_RDWR);
    return NULL;
}

/* How the reader finds it. */
static bool listen_to(struct wh_op *op, const uint8_t *p, size_t n, int pace, int then, int64_t silence)
{
    struct ends e = join(false);
    struct speaker s = { .fd = e.in[0], .pace = pace, .then = then, .p = p, .n = n };
    pthread_t thread;

    fcntl(s.fd, F_SETFL, 0);
    struct wh_parcel parcel;
    open_at(op, &parcel, &e, 1);
    parcel.silence_ms = silence;
    assert_int_equal(pthread_create(&thread, NULL, speak, &s), 0);
    bool ok = read_all(op, &parcel, text, sizeof text);
    shut(op, &parcel);
    hang_up(&e, 1);
    pthread_join(thread, NULL);
    hang_up(&e, 0);
    assert_true(ok == (op->err.kind == WH_OK));
    return ok;
}

/* Refused, for this reason; the operation is as before. */
static void assert_refused(struct wh_op *op, struct talk *t, const char *why)
{
    assert_false(listen_to(op, t->p, t->n, ALL_AT_ONCE, HANGS_UP, 60000));
    assert_true(op->err.kind == WH_PEER || op->err.kind == WH_STREAM);
    assert_says(op->err.text, why);
    op->err = (struct wh_err){ 0 };
    free(t->p);
    *t = (struct talk){ 0 };
}

static void a_good_peer_may_be_slow(void **state)
{
    struct talk t = good_talk();

    assert_true(listen_to(*state, t.p, t.n, ALL_AT_ONCE, STAYS, 60000));
    assert_true(listen_to(*state, t.p, t.n, BYTE_BY_BYTE, HANGS_UP, 60000));
    free(t.p);
}

static void every_truncation_is_refused(void **state)
{
    struct talk t = good_talk();
    struct wh_op *op = *state;

    for (size_t n = 0; n < t.n; n++) {
        assert_false(listen_to(op, t.p, n, ALL_AT_ONCE, HANGS_UP, 60000));
        assert_kind(op, WH_PEER);
        assert_says(op->err.text, "the peer has hung up");
        op->err = (struct wh_err){ 0 };
    }
    free(t.p);
}

/* Each bit of each head: nothing but what was meant comes out. */
static void every_bit_of_a_head_counts(void **state)
{
    struct talk t = good_talk();
    struct wh_op *op = *state;

    for (size_t at = 0; at + HEAD <= t.n; at += HEAD + wh_le32(t.p + at + 8)) {
        for (size_t bit = 0; bit < HEAD * 8; bit++) {
            t.p[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(listen_to(op, t.p, t.n, ALL_AT_ONCE, HANGS_UP, 60000));
            assert_true(op->err.kind == WH_PEER || op->err.kind == WH_STREAM);
            op->err = (struct wh_err){ 0 };
            t.p[at + bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    free(t.p);
}

static void what_is_no_frame_is_refused(void **state)
{
    struct talk t = { 0 };

    add(&t, "Permission denied (publickey).\n", 31);
    assert_refused(*state, &t, "no frame");
    add_frame(&t, 0, "", 0, 0);
    assert_refused(*state, &t, "no known kind");
    add_frame(&t, 8, "", 0, 0);
    assert_refused(*state, &t, "no known kind");
    add_text(&t, BEFORE);
    t.p[5] = 1;
    assert_refused(*state, &t, "no known kind");
    add_text(&t, BEFORE);
    t.p[7] = 0x80;
    assert_refused(*state, &t, "no known kind");
}

static void lengths_are_bounded(void **state)
{
    wh_auto_free uint8_t *much = calloc(1, 2 * PIECE);
    struct talk t = { 0 };

    memset(much, ' ', 2 * PIECE);
    memcpy(much, BEFORE, sizeof BEFORE - 1);
    add_frame(&t, MESSAGE, much, PIECE + 1, PIECE + 1);
    assert_refused(*state, &t, "too long");
    add_frame(&t, MESSAGE, BEFORE, sizeof BEFORE - 1, 0);
    assert_refused(*state, &t, "too long");
    add_frame(&t, MESSAGE, "", 0, 0);
    assert_refused(*state, &t, "too short");
    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, much, PIECE + 1, PIECE + 1);
    assert_refused(*state, &t, "too long");
    add_text(&t, BEFORE);
    add_frame(&t, PACKED, much, 2 * PIECE, 10);
    assert_refused(*state, &t, "too long");
    add_text(&t, BEFORE);
    add_frame(&t, END, much, 15, 0);
    assert_refused(*state, &t, "too short");
    add_frame(&t, NOTHING, much, 1, 0);
    assert_refused(*state, &t, "too long");
    add_frame(&t, PLAIN, much, 10, 11);
    assert_refused(*state, &t, "too long");
    /* The longest that there may be. */
    add_frame(&t, MESSAGE, much, PIECE, PIECE);
    add(&t, "x", 1);
    assert_refused(*state, &t, "hung up");
}

static void what_is_no_zstd_of_that_length_is_refused(void **state)
{
    wh_auto_free uint8_t *zeros = calloc(1, 64 * PIECE);
    struct talk t = { 0 };

    /* A bomb: sixteen megabytes in a few bytes. */
    add_text(&t, BEFORE);
    add_packed(&t, zeros, 64 * PIECE, PIECE);
    assert_refused(*state, &t, "compressed frame");
    add_text(&t, BEFORE);
    add_packed(&t, text, sizeof text, sizeof text - 1);
    assert_refused(*state, &t, "compressed frame");
    add_text(&t, BEFORE);
    add_packed(&t, text, sizeof text, sizeof text + 1);
    assert_refused(*state, &t, "compressed frame");
    add_text(&t, BEFORE);
    add_frame(&t, PACKED, text, 30, 30);
    assert_refused(*state, &t, "compressed frame");
    add_text(&t, BEFORE);
    add_packed(&t, text, 0, 0);
    assert_refused(*state, &t, "too short");
}

/* zstd would take its formats of before the first version, and several frames, as one. */
static void one_frame_of_todays_zstd_it_is(void **state)
{
    static const uint8_t old[] = "\x27\xb5\x2f\xfd\x20\x0c\x40\x00\x0ctwelve bytes\xc0\0";
    static const uint8_t skipped[] = "\x50\x2a\x4d\x18\0\0\0";
    uint8_t two[2 * sizeof text];
    struct talk t = { 0 };

    add_text(&t, BEFORE);
    add_frame(&t, PACKED, old, sizeof old, 12);
    assert_refused(*state, &t, "compressed frame");
    memcpy(two, skipped, sizeof skipped);
    size_t n = sizeof skipped + ZSTD_compress(two + sizeof skipped, sizeof two - sizeof skipped, text, 20, 1);
    add_text(&t, BEFORE);
    add_frame(&t, PACKED, two, n, 20);
    assert_refused(*state, &t, "compressed frame");
    memmove(two, two + sizeof skipped, n - sizeof skipped);
    memcpy(two + n - sizeof skipped, skipped, sizeof skipped);
    add_text(&t, BEFORE);
    add_frame(&t, PACKED, two, n, 20);
    assert_refused(*state, &t, "compressed frame");
}

static void what_is_not_due_is_refused(void **state)
{
    struct talk t = { 0 };

    add_frame(&t, PLAIN, text, 20, 20);
    assert_refused(*state, &t, "a message was due");
    add_end(&t, "", 0);
    assert_refused(*state, &t, "a message was due");
    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, text, 20, 20);
    add_text(&t, AFTER);
    assert_refused(*state, &t, "in the middle of the stream");
    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, text, sizeof text, sizeof text);
    add_end(&t, text, sizeof text);
    add_end(&t, text, sizeof text);
    assert_refused(*state, &t, "a message was due");
}

static void another_digest_is_refused(void **state)
{
    struct talk t = { 0 };

    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, text, sizeof text, sizeof text);
    add_end(&t, text, sizeof text - 1);
    assert_refused(*state, &t, "digests differ");
}

static void a_message_is_an_object_with_a_type(void **state)
{
    static const char *const wrong[] = { "x", "[1]", "\"type\"", "{}", "{\"type\":3}", "{\"type\":\"\"}",
                                         "{\"type\":\"a\"", "{\"type\":\"a\"} x", "null" };
    char nested[4000] = "";
    struct talk t = { 0 };

    for (size_t i = 0; i < WH_COUNT(wrong); i++) {
        add_text(&t, wrong[i]);
        assert_refused(*state, &t, "no JSON object with a type");
    }
    memset(nested, '[', sizeof nested - 1);
    add_text(&t, nested);
    assert_refused(*state, &t, "no JSON object with a type");
    add_frame(&t, MESSAGE, "{\"type\":\"a\0b\"}", 14, 14);
    assert_refused(*state, &t, "no JSON object with a type");
}

static void a_failure_there_is_one_here(void **state)
{
    struct talk t = { 0 };

    add_text(&t, "{\"type\":\"failed\",\"text\":\"there is no bridge\"}");
    assert_refused(*state, &t, "the peer: there is no bridge");
    add_text(&t, BEFORE);
    add_frame(&t, PLAIN, text, 20, 20);
    add_text(&t, "{\"type\":\"failed\",\"text\":7}");
    assert_refused(*state, &t, "the peer: it failed");
}

/* ------------------------------------------------------------------------- silence, and noise */

static void silence_is_a_loss(void **state)
{
    struct talk t = good_talk();
    struct wh_op *op = *state;

    for (size_t n = 0; n < t.n; n += 7) {
        int64_t begun = unit_now_ms();

        assert_false(listen_to(op, t.p, n, ALL_AT_ONCE, STAYS, 20));
        assert_kind(op, WH_PEER);
        assert_says(op->err.text, "has said nothing for too long");
        assert_in_range(unit_now_ms() - begun, 20, 20 + 5 * SOON_MS);
        op->err = (struct wh_err){ 0 };
    }
    free(t.p);
}

static void one_who_takes_nothing_is_lost(void **state)
{
    wh_auto_free uint8_t *bytes = unit_bytes(3, BYTES);
    struct wh_op *op = *state;

    for (int pipes = 0; pipes < 2; pipes++) {
        struct ends e = join(pipes);
        struct wh_parcel p;
        open_at(op, &p, &e, 0);
        struct wh_sink k;

        p.silence_ms = 30;
        p.packing = WH_PACK_NEVER;
        assert_true(wh_parcel_sink(op, &p, &k));
        assert_false(wh_sink_write(op, &k, bytes, BYTES) && wh_sink_end(op, &k));
        assert_kind(op, WH_PEER);
        assert_says(op->err.text, "takes nothing any more");
        op->err = (struct wh_err){ 0 };
        /* Half a frame is out: what came behind it would be taken for the rest. */
        uint64_t sent = p.sent;
        assert_false(wh_parcel_say(op, &p, message("never")));
        assert_kind(op, WH_PEER);
        assert_int_equal(p.sent, sent);
        op->err = (struct wh_err){ 0 };
        wh_sink_close(&k);
        shut(op, &p);
        hang_up(&e, 0);
        hang_up(&e, 1);
    }
}

static void one_who_has_hung_up_is_told_of(void **state)
{
    struct wh_op *op = *state;

    signal(SIGPIPE, SIG_IGN);
    for (int pipes = 0; pipes < 2; pipes++) {
        struct ends e = join(pipes);
        struct wh_parcel p;
        open_at(op, &p, &e, 0);

        hang_up(&e, 1);
        assert_false(wh_parcel_say(op, &p, message("x")));
        assert_kind(op, WH_PEER);
        assert_says(op->err.text, "send to the peer");
        op->err = (struct wh_err){ 0 };
        assert_false(hear(op, &p, "x"));
        assert_kind(op, WH_PEER);
        op->err = (struct wh_err){ 0 };
        shut(op, &p);
        hang_up(&e, 0);
    }
}

struct noise {
    int fd;
    atomic_bool stop;
};

static void *make_noise(void *arg)
{
    struct noise *n = arg;
    struct talk t = { 0 };

    for (int i = 0; i < 1000; i++)
        add_frame(&t, NOTHING, "", 0, 0);
    while (!n->stop)
        if (sendto(n->fd, t.p, t.n, MSG_NOSIGNAL, NULL, 0) < 0)
            break;
    free(t.p);
    return NULL;
}

/* Of one who says without end that he lives. */
static void noise_keeps_nobody_from_a_deadline(void **state)
{
    struct wh_op *op = *state;

    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct ends e = join(false);
        struct noise n = { .fd = e.in[0] };
        pthread_t thread;

        fcntl(n.fd, F_SETFL, 0);
        struct wh_parcel p;
        open_at(op, &p, &e, 1);
        assert_int_equal(pthread_create(&thread, NULL, make_noise, &n), 0);
        int64_t begun = unit_now_ms();
        wh_step(op, "hear a word", cancelled ? WH_FOREVER : 50);
        if (cancelled)
            wh_op_cancel(op);
        assert_false(hear(op, &p, "word"));
        assert_true(op->err.kind == (cancelled ? WH_CANCELLED : WH_TIMEOUT));
        assert_in_range(unit_now_ms() - begun, 0, 50 + 10 * SOON_MS);
        op->err = (struct wh_err){ 0 };
        n.stop = true;
        hang_up(&e, 1);
        pthread_join(thread, NULL);
        hang_up(&e, 0);
        shut(op, &p);
    }
}

/* One who says that he lives, and takes a page at a time. */
struct idler {
    int in, out;
    unsigned each_ms;
    atomic_bool stop;
    pthread_t thread;
};

static void *idle(void *arg)
{
    struct idler *i = arg;
    struct talk t = { 0 };
    char page[4096];

    add_frame(&t, NOTHING, "", 0, 0);
    while (!i->stop) {
        if (write(i->out, t.p, t.n) == 0 || read(i->in, page, sizeof page) == 0)
            break;
        unit_sleep_ms(i->each_ms);
    }
    free(t.p);
    return NULL;
}

enum idles { IT_SENDS_NOTHING, IT_TAKES_LITTLE, IT_TAKES_ENOUGH, IT_ANSWERS_NO_MARK };

static bool is_borne(struct wh_op *op, struct wh_parcel *p, enum idles how)
{
    wh_auto_free uint8_t *bytes = unit_bytes(3, BYTES);
    struct wh_source s;
    struct wh_sink k;
    uint8_t some[16];
    size_t n;

    if (how == IT_SENDS_NOTHING) {
        bool came = wh_parcel_source(op, p, &s) && wh_source_read(op, &s, some, sizeof some, &n);
        wh_source_close(&s);
        return came;
    }
    p->packing = WH_PACK_NEVER;
    p->marks = how == IT_ANSWERS_NO_MARK;
    assert_true(wh_parcel_sink(op, p, &k));
    bool ok = wh_sink_write(op, &k, bytes, p->marks ? 5 : BYTES) &&
              (p->marks ? wh_sink_flush(op, &k) : wh_sink_end(op, &k));
    wh_sink_close(&k);
    return ok;
}

static void to_be_alive_is_not_enough(void **state)
{
    static const char *const why[] = { "the peer lives, and has sent nothing of the guest for too long",
                                       "the peer lives, and has taken nothing of the guest for too long",
                                       NULL,        /* each piece is in time, and all of them are not */
                                       "the peer lives, and has taken nothing of the guest for too long" };
    struct wh_op *op = *state;

    for (unsigned how = 0; how < WH_COUNT(why); how++) {
        struct ends e = join(true);
        struct idler i = { .in = e.in[0], .out = e.out[0], .each_ms = how == IT_TAKES_LITTLE ? 50 : 10 };
        struct wh_parcel p;
        open_at(op, &p, &e, 1);

        wh_step(op, "move", WH_FOREVER);
        p.stall_ms = how == IT_TAKES_ENOUGH ? 3000 : 200;
        assert_int_equal(pthread_create(&i.thread, NULL, idle, &i), 0);
        int64_t begun = unit_now_ms();
        assert_true(is_borne(op, &p, how) == !why[how]);
        assert_in_range(unit_now_ms() - begun, p.stall_ms, p.stall_ms + 60 * SOON_MS);
        assert_true(op->err.kind == (why[how] ? WH_PEER : WH_OK));
        if (why[how])
            assert_says(op->err.text, why[how]);
        assert_true(p.lost == (how == IT_TAKES_LITTLE));       /* in the middle of a frame */
        op->err = (struct wh_err){ 0 };
        i.stop = true;
        pthread_join(i.thread, NULL);
        shut(op, &p);
        hang_up(&e, 0);
        hang_up(&e, 1);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OP_TEST("a good peer may be slow", a_good_peer_may_be_slow),
        OP_TEST("every truncation is refused", every_truncation_is_refused),
        OP_TEST("every bit of a head counts", every_bit_of_a_head_counts),
        OP_TEST("what is no frame is refused", what_is_no_frame_is_refused),
        OP_TEST("lengths are bounded", lengths_are_bounded),
        OP_TEST("what is no zstd of that length is refused", what_is_no_zstd_of_that_length_is_refused),
        OP_TEST("a compressed frame is one of today's zstd", one_frame_of_todays_zstd_it_is),
        OP_TEST("what is not due is refused", what_is_not_due_is_refused),
        OP_TEST("another digest is refused", another_digest_is_refused),
        OP_TEST("a message is an object with a type", a_message_is_an_object_with_a_type),
        OP_TEST("a failure there is one here", a_failure_there_is_one_here),
        OP_TEST("silence is a loss", silence_is_a_loss),
        OP_TEST("one who takes nothing is lost", one_who_takes_nothing_is_lost),
        OP_TEST("one who has hung up is told of", one_who_has_hung_up_is_told_of),
        OP_TEST("to be alive is not enough", to_be_alive_is_not_enough),
        OP_TEST("noise keeps nobody from a deadline", noise_keeps_nobody_from_a_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
