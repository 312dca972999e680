/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sources: a file, a pipe, a socket and a buffer are the same stream, however it is read, and
 * whoever is shown it on the way. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/sink.h"
#include "base/source.h"
#include "unit.h"

#define BYTES (1500000u)

static uint8_t *data;

static int make_data(void **state)
{
    (void)state;
    data = unit_bytes(99, BYTES);
    return 0;
}

static int drop_data(void **state)
{
    (void)state;
    free(data);
    return 0;
}

/* ------------------------------------------------------------------------------- kinds */

/* A writer that gives a descriptor the data in pieces of any size. */
struct feeder {
    int fd;
    uint64_t seed;
    pthread_t thread;
};

static void *feed(void *arg)
{
    struct feeder *f = arg;

    for (size_t at = 0; at < BYTES;) {
        size_t n = 1 + unit_below(&f->seed, unit_below(&f->seed, 2) ? 100 : 200000);
        ssize_t put = write(f->fd, data + at, n < BYTES - at ? n : BYTES - at);

        if (put < 0)
            break;
        at += (size_t)put;
    }
    close(f->fd);
    return NULL;
}

static int fed(struct feeder *f, int pair[2], uint64_t seed)
{
    f->fd = pair[1];
    f->seed = seed;
    assert_int_equal(pthread_create(&f->thread, NULL, feed, f), 0);
    return pair[0];
}

enum kind { MEMORY, FILE_START, FILE_MIDDLE, PIPE, SOCKET, KINDS };

struct fixture {
    struct wh_source s;
    int fd;
    struct feeder feeder;
    bool feeding;
};

static int open_kind(struct fixture *x, enum kind kind, uint64_t seed)
{
    int pair[2];

    x->feeding = kind == PIPE || kind == SOCKET;
    switch (kind) {
    case FILE_START:
        return unit_file(data, BYTES);
    case FILE_MIDDLE: {
        wh_auto_free uint8_t *longer = calloc(1, BYTES + 4321);
        memcpy(longer + 4321, data, BYTES);
        int fd = unit_file(longer, BYTES + 4321);
        assert_int_equal(lseek(fd, 4321, SEEK_SET), 4321);
        return fd;
    }
    case PIPE:
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        return fed(&x->feeder, pair, seed);
    case SOCKET:
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        return fed(&x->feeder, pair, seed);
    default:
        return -1;
    }
}

static void begin(struct wh_op *op, struct fixture *x, enum kind kind, uint64_t seed)
{
    x->fd = open_kind(x, kind, seed);
    if (x->fd < 0)
        wh_source_memory(&x->s, data, BYTES);
    else
        assert_true(wh_source_open(op, &x->s, x->fd));
    assert_int_equal(x->s.size, x->feeding ? WH_SOURCE_UNKNOWN : BYTES);
}

static void finish(struct fixture *x)
{
    wh_source_close(&x->s);
    wh_close_fd(&x->fd);
    if (x->feeding)
        pthread_join(x->feeder.thread, NULL);
}

/* ---------------------------------------------------------------------------- property */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* One random use; what it gives must be what the array has there. */
static void step(struct wh_op *op, struct wh_source *s, uint64_t *seed, size_t *at)
{
    static uint8_t to[400000];
    size_t left = BYTES - *at, want, got;
    const uint8_t *p;
    uint64_t gone;

    switch (unit_below(seed, 4)) {
    case 0:
        want = unit_below(seed, unit_below(seed, 2) ? 50 : WH_SOURCE_WINDOW + 1);
        assert_true(wh_source_peek(op, s, want, &p, &got));
        assert_int_equal(got, least(want, left));
        assert_memory_equal(p, data + *at, got);
        got = unit_below(seed, got + 1);
        assert_true(wh_source_take(op, s, got));
        break;
    case 1:
        want = unit_below(seed, unit_below(seed, 2) ? 50 : 300000);
        assert_true(wh_source_skip(op, s, want, &gone));
        assert_int_equal(gone, least(want, left));
        got = gone;
        break;
    case 2:
        want = unit_below(seed, sizeof to);
        assert_true(wh_source_read(op, s, to, want, &got));
        assert_int_equal(got, least(want, left));
        assert_memory_equal(to, data + *at, got);
        break;
    default:
        want = 1 + unit_below(seed, 8);
        assert_true(wh_source_peek(op, s, want, &p, &got));
        assert_int_equal(got, least(want, left));
        assert_memory_equal(p, data + *at, got);
        assert_true(wh_source_take(op, s, got));
    }
    *at += got;
    assert_int_equal(s->at, *at);
}

static void check_digest(struct wh_digest *d)
{
    uint8_t want[WH_DIGEST_BYTES], got[WH_DIGEST_BYTES];

    wh_digest_of(data, BYTES, want);
    wh_digest_get(d, got);
    assert_memory_equal(got, want, sizeof want);
}

static void check_tee(struct wh_op *op, struct wh_sink *k, int fd)
{
    size_t n;

    assert_int_equal(k->at, BYTES);
    assert_true(wh_sink_flush(op, k));
    wh_auto_free uint8_t *teed = unit_slurp(fd, &n);
    assert_int_equal(n, BYTES);
    assert_memory_equal(teed, data, BYTES);
}

static void one_run(struct wh_op *op, enum kind kind, bool digest, bool tee, uint64_t seed)
{
    wh_auto_fd int out = tee ? unit_file("", 0) : -1;
    struct fixture x;
    struct wh_sink k = { .fd = -1 };
    size_t at = 0;

    begin(op, &x, kind, seed);
    x.s.digest = digest ? wh_digest_new() : NULL;
    if (tee) {
        assert_true(wh_sink_open(op, &k, out));
        x.s.tee = &k;
    }
    while (at < BYTES)
        step(op, &x.s, &seed, &at);
    for (int i = 0; i < 5; i++)
        step(op, &x.s, &seed, &at);         /* there is nothing behind the end, again and again */
    if (digest)
        check_digest(x.s.digest);
    if (tee)
        check_tee(op, &k, out);
    wh_digest_free(x.s.digest);
    wh_sink_close(&k);
    finish(&x);
    assert_ok(op);
}

static void same_bytes(void **state)
{
    (void)state;
    for (int kind = MEMORY; kind < KINDS; kind++) {
        for (unsigned with = 0; with < 4; with++) {
            for (uint64_t seed = 1; seed <= 6; seed++) {
                struct wh_op op;

                assert_true(wh_op_init(&op));
                one_run(&op, (enum kind)kind, with & 1, with & 2, seed * 1000003 + with);
                wh_op_done(&op);
            }
        }
    }
}

/* ----------------------------------------------------------------------------- details */

static void short_counts(void **state)
{
    struct wh_op *op = *state;
    static uint8_t to[BYTES + 10];

    for (int kind = MEMORY; kind < KINDS; kind++) {
        struct fixture x;
        const uint8_t *p;
        uint64_t gone;
        size_t got;

        begin(op, &x, (enum kind)kind, 5);
        assert_true(wh_source_skip(op, &x.s, BYTES - 5, &gone));
        assert_int_equal(gone, BYTES - 5);
        assert_true(wh_source_peek(op, &x.s, 6, &p, &got));
        assert_int_equal(got, 5);
        assert_memory_equal(p, data + BYTES - 5, 5);
        assert_true(wh_source_skip(op, &x.s, UINT64_MAX / 2, &gone));
        assert_int_equal(gone, 5);
        assert_true(wh_source_skip(op, &x.s, UINT64_MAX / 2, &gone));
        assert_int_equal(gone, 0);
        assert_true(wh_source_read(op, &x.s, to, sizeof to, &got));
        assert_int_equal(got, 0);
        finish(&x);

        begin(op, &x, (enum kind)kind, 6);
        assert_true(wh_source_read(op, &x.s, to, sizeof to, &got));
        assert_int_equal(got, BYTES);
        assert_memory_equal(to, data, BYTES);
        finish(&x);
    }
}

static void seeking(void **state)
{
    struct wh_op *op = *state;
    static const enum kind seekable[] = { MEMORY, FILE_START, FILE_MIDDLE };

    for (size_t i = 0; i < WH_COUNT(seekable); i++) {
        uint64_t seed = 8;
        struct fixture x;

        begin(op, &x, seekable[i], 1);
        for (int k = 0; k < 100; k++) {
            size_t at = unit_below(&seed, BYTES + 1);

            wh_source_seek(&x.s, at);
            assert_int_equal(x.s.at, at);
            step(op, &x.s, &seed, &at);
        }
        finish(&x);
    }
}

/* The caller's descriptor keeps its place, which is where another source would begin. */
static void file_keeps_place(void **state)
{
    struct wh_op *op = *state;
    struct fixture x;
    uint64_t seed = 9;
    size_t at = 0;

    begin(op, &x, FILE_MIDDLE, 1);
    while (at < BYTES)
        step(op, &x.s, &seed, &at);
    assert_int_equal(lseek(x.fd, 0, SEEK_CUR), 4321);
    finish(&x);
}

/* Holes are not read; what is there in the memory goes all the same. */
static void holes(void **state)
{
    struct wh_op *op = *state;
    uint64_t seed = 11;

    for (int round = 0; round < 20; round++) {
        int fd = memfd_create("holes", MFD_CLOEXEC);
        uint8_t *plain = calloc(1, BYTES), *to = malloc(BYTES), want[WH_DIGEST_BYTES],
                is[WH_DIGEST_BYTES];
        struct wh_source s;

        assert_true(fd >= 0 && plain && to);
        assert_int_equal(ftruncate(fd, BYTES), 0);
        for (int k = 0; k < round; k++) {
            size_t at = unit_below(&seed, BYTES - 70000), n = 1 + unit_below(&seed, 70000);

            memcpy(plain + at, data + at, n);
            assert_int_equal(pwrite(fd, data + at, n, (off_t)at), (ssize_t)n);
        }
        memset(to, 0xaa, BYTES);
        memset(to + BYTES / 2, 0, BYTES / 4);
        assert_true(wh_source_open(op, &s, fd));
        s.digest = wh_digest_new();
        if (round % 2) {
            s.lend = true;
            wh_digest_thread(s.digest);
        }
        for (size_t at = 0, n, got; at < BYTES; at += n) {
            n = 1 + unit_below(&seed, 400000);
            n = n < BYTES - at ? n : BYTES - at;
            assert_true(wh_source_read(op, &s, to + at, n, &got));
            assert_int_equal(got, n);
        }
        assert_memory_equal(to, plain, BYTES);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
        wh_digest_get(s.digest, is);
        wh_digest_of(plain, BYTES, want);
        assert_memory_equal(is, want, sizeof want);
        wh_digest_free(s.digest);
        wh_source_close(&s);
        close(fd);
        free(plain);
        free(to);
    }
}

static void file_from_its_end(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file(data, 100);
    const uint8_t *p;
    struct wh_source s;
    size_t got;

    lseek(fd, 200, SEEK_SET);
    assert_true(wh_source_open(op, &s, fd));
    assert_int_equal(s.size, 0);
    assert_true(wh_source_peek(op, &s, 1, &p, &got));
    assert_int_equal(got, 0);
    wh_source_close(&s);
}

/* What a reader polls for may be gone when it reads: others read from the same pipe. */
static void nonblocking(void **state)
{
    struct wh_op *op = *state;
    struct fixture x;
    uint64_t seed = 10;
    size_t at = 0;

    begin(op, &x, PIPE, 3);
    assert_int_equal(fcntl(x.fd, F_SETFL, O_NONBLOCK), 0);
    while (at < BYTES)
        step(op, &x.s, &seed, &at);
    finish(&x);
}

static void not_to_be_read(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int folder = open("/", O_RDONLY | O_DIRECTORY);
    struct wh_source s;
    const uint8_t *p;
    size_t got;
    int pair[2];

    assert_false(wh_source_open(op, &s, folder));
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->err.sys, EISDIR);
    wh_source_close(&s);

    op->err = (struct wh_err){ .kind = WH_OK };
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_true(wh_source_open(op, &s, pair[1]));
    close(pair[0]);
    assert_false(wh_source_peek(op, &s, 1, &p, &got));
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->err.sys, EBADF);
    wh_source_close(&s);
    close(pair[1]);

    op->err = (struct wh_err){ .kind = WH_OK };
    assert_false(wh_source_open(op, &s, -1));
    assert_kind(op, WH_SYSTEM);
}

static void progress(void **state)
{
    struct wh_op *op = *state;

    for (int kind = MEMORY; kind < KINDS; kind++) {
        struct fixture x;
        uint64_t gone;
        char to[10];
        size_t got;

        begin(op, &x, (enum kind)kind, 7);
        assert_true(wh_source_read(op, &x.s, to, sizeof to, &got));
        assert_int_equal(op->done, 10);
        assert_true(wh_source_skip(op, &x.s, BYTES - 20, &gone));
        assert_int_equal(op->done, BYTES - 10);
        assert_int_equal(op->total, x.feeding ? 0 : BYTES);
        finish(&x);
    }
}

static void a_full_tee_fails(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int full = open("/dev/full", O_WRONLY);
    struct wh_sink k;
    struct fixture x;
    uint64_t gone;

    for (int kind = MEMORY; kind < KINDS; kind++) {
        op->err = (struct wh_err){ .kind = WH_OK };
        begin(op, &x, (enum kind)kind, 7);
        assert_true(wh_sink_open(op, &k, full));
        x.s.tee = &k;
        assert_false(wh_source_skip(op, &x.s, BYTES, &gone));
        assert_kind(op, WH_SYSTEM);
        assert_int_equal(op->err.sys, ENOSPC);
        wh_sink_close(&k);
        wh_close_fd(&x.fd);                 /* the feeder leaves when nobody reads */
        x.fd = -1;
        finish(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every kind of source gives the same bytes, to digest and tee too", same_bytes),
        OP_TEST("at the end counts are short and nothing fails", short_counts),
        OP_TEST("a source that can seek goes anywhere", seeking),
        OP_TEST("the caller's descriptor keeps its place", file_keeps_place),
        OP_TEST("holes of a file are zeros", holes),
        OP_TEST("a descriptor behind its file's end is an empty stream", file_from_its_end),
        OP_TEST("a descriptor that does not block is waited for", nonblocking),
        OP_TEST("a folder, a write end and no descriptor are system errors", not_to_be_read),
        OP_TEST("progress counts what was read and what was skipped", progress),
        OP_TEST("a tee that cannot be written fails the reading", a_full_tee_fails),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("source", tests, make_data, drop_data);
}
