/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed images: what a packing sink writes is a zstd file of what it was given, whoever reads
 * it, and however it ends nothing is left. */
#include <errno.h>
#include <sys/socket.h>

#include "link/crew.h"
#include "link/frames.h"
#include "packed.h"

/* ------------------------------------------------------------------------- round trips */

/* Pieces, zeros and copies of any size; what they come to, in *want. */
static size_t write_randomly(struct wh_op *op, struct wh_sink *k, uint64_t *seed, uint8_t *want)
{
    wh_auto_fd int from = unit_file(data, BYTES);
    size_t total = unit_below(seed, 2) ? unit_below(seed, BYTES) : unit_below(seed, 3000);
    uint64_t gone;

    while (k->at < total) {
        size_t at = k->at, most = unit_below(seed, 2) ? 90 : 400000;
        size_t n = least(unit_below(seed, most), total - at);

        switch (unit_below(seed, 4)) {
        case 0:
            assert_true(wh_sink_zeros(op, k, n));
            memset(want + at, 0, n);
            break;
        case 1:
            assert_true(wh_sink_copy(op, k, from, at, n, &gone));
            assert_int_equal(gone, n);
            memcpy(want + at, data + at, n);
            break;
        case 2:
            assert_true(unit_below(seed, 8) > 0 || wh_sink_flush(op, k));
            break;
        default:
            assert_true(wh_sink_write(op, k, data + at, n));
            memcpy(want + at, data + at, n);
        }
    }
    return total;
}

static void one_round_trip(struct wh_op *op, uint64_t seed)
{
    static const int levels[] = { 1, 1, 3, -5, 12 };
    wh_auto_free uint8_t *want = malloc(BYTES);
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_digest *d = wh_digest_new();
    struct feeder f;
    struct wh_sink k;
    uint8_t is[WH_DIGEST_BYTES], should[WH_DIGEST_BYTES];
    size_t n, packed_n;

    assert_true(wh_sink_open(op, &k, fd));
    k.digest = d;
    assert_true(wh_pack_with(op, &k, levels[seed % 5], 1 + unit_below(&seed, 300000),
                             1 + (unsigned)unit_below(&seed, WH_CREW_WORKERS)));
    n = write_randomly(op, &k, &seed, want);
    assert_true(wh_sink_end(op, &k));
    wh_sink_close(&k);
    wh_digest_get(d, is);
    wh_digest_free(d);
    wh_digest_of(want, n, should);
    assert_memory_equal(is, should, sizeof is);

    wh_auto_free uint8_t *file = unit_slurp(fd, &packed_n);
    lseek(fd, 0, SEEK_SET);
    check_reads(op, fd, want, n);
    wh_auto_fd int pipe = through_pipe(&f, file, packed_n);
    check_reads(op, pipe, want, n);
    pthread_join(f.thread, NULL);
}

static void round_trips(void **state)
{
    struct wh_op *op = *state;

    for (uint64_t seed = 1; seed <= 30; seed++)
        one_round_trip(op, seed * 1000003);
    assert_ok(op);
}

static void by_zstd(void **state)
{
    static const size_t sizes[] = { 0, 1, 70000, BYTES };
    struct wh_op *op = *state;
    size_t n, plain_n;

    for (size_t i = 0; i < WH_COUNT(sizes); i++) {
        wh_auto_fd int fd = packed(op, sizes[i], i == 2 ? 12 : 1, 65536);
        wh_auto_free uint8_t *file = unit_slurp(fd, &n);
        wh_auto_fd int tested = command("zstd -tq -", file, n);
        wh_auto_fd int out = command("zstd -dcq", file, n);
        wh_auto_free uint8_t *plain = unit_slurp(out, &plain_n);

        assert_true(tested >= 0);
        assert_int_equal(plain_n, sizes[i]);
        assert_memory_equal(plain, data, plain_n);
    }
}

static void to_a_pipe(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int want = packed(op, BYTES, 1, 100000);
    int pair[2];
    struct wh_sink k;
    size_t n;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    wh_auto_free uint8_t *file = unit_slurp(want, &n), *got = malloc(n + 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct wh_op mine;

        close(pair[0]);
        bool ok = wh_op_init(&mine) && wh_sink_open(&mine, &k, pair[1]) &&
                  wh_pack_with(&mine, &k, 1, 100000, 3) && wh_sink_write(&mine, &k, data, BYTES) &&
                  wh_sink_end(&mine, &k);
        _exit(!ok);
    }
    close(pair[1]);
    size_t at = 0;
    for (ssize_t m; (m = read(pair[0], got + at, n + 1 - at)) > 0;)
        at += (size_t)m;
    close(pair[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(at, n);
    assert_memory_equal(got, file, n);
}

static void after_a_flush(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_sink k;
    size_t n;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_pack(op, &k, 0));
    assert_true(wh_sink_write(op, &k, data, 12345));
    assert_int_equal(lseek(fd, 0, SEEK_END), 0);
    assert_true(wh_sink_flush(op, &k));
    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    assert_int_equal(n, k.stage->out);
    wh_auto_fd int copy = unit_file(file, n);
    check_reads(op, copy, data, 12345);
    assert_true(wh_sink_write(op, &k, data + 12345, 999));
    assert_true(wh_sink_end(op, &k));
    wh_sink_close(&k);
    lseek(fd, 0, SEEK_SET);
    check_reads(op, fd, data, 12345 + 999);
}

static void levels(void **state)
{
    static const int wrong[] = { -6, 20, 1000000, INT_MIN, INT_MAX };
    size_t size[3] = { 0 };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(wrong); i++) {
        wh_auto_fd int fd = unit_file("", 0);
        struct wh_op op;
        struct wh_sink k;

        assert_true(wh_op_init(&op) && wh_sink_open(&op, &k, fd));
        assert_false(wh_pack(&op, &k, wrong[i]));
        assert_kind(&op, WH_USAGE);
        assert_says(op.err.text, "a level of compression is -5 to 19, not ");
        wh_sink_close(&k);
        wh_op_done(&op);
    }
    for (int i = 0; i < 3; i++) {
        struct wh_op op;

        assert_true(wh_op_init(&op));
        wh_auto_fd int fd = packed(&op, 400000, i == 0 ? -5 : i == 1 ? 0 : 19, 2u << 20);
        size[i] = (size_t)lseek(fd, 0, SEEK_END);
        lseek(fd, 0, SEEK_SET);
        check_reads(&op, fd, data, 400000);
        wh_op_done(&op);
    }
    assert_true(size[0] > size[1] && size[1] > size[2]);
}

/* ----------------------------------------------------------------------------- endings */

struct late {
    struct wh_op *op;
    long ms;
};

static void *cancel_later(void *arg)
{
    struct late *l = arg;

    unit_sleep_ms(l->ms);
    wh_op_cancel(l->op);
    return NULL;
}

/* Nobody reads the pipe. */
static void cancelled(void **state)
{
    struct wh_op *op = *state;
    struct late late = { op, 50 };
    struct wh_sink k;
    pthread_t thread;
    int pair[2];
    bool ok = true;

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    assert_true(wh_sink_open(op, &k, pair[1]));
    assert_true(wh_pack_with(op, &k, 1, 100000, 4));
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &late), 0);
    while (ok)
        ok = wh_sink_write(op, &k, data, BYTES);
    int64_t begun = unit_now_ms();
    wh_sink_close(&k);
    assert_true(unit_now_ms() - begun < SOON_MS);
    assert_kind(op, WH_CANCELLED);
    pthread_join(thread, NULL);
    close(pair[0]);
    close(pair[1]);
}

/* A frame takes seconds at the highest level: its compression is given up. */
static void cancelled_slow(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_pack_with(op, &k, 19, BYTES, 1));
    int64_t begun = unit_now_ms();
    assert_true(wh_sink_write(op, &k, data, BYTES) && wh_sink_flush(op, &k));
    int64_t whole_ms = unit_now_ms() - begun;
    assert_true(wh_sink_write(op, &k, data, BYTES));
    unit_sleep_ms(1);
    begun = unit_now_ms();
    wh_sink_close(&k);
    assert_true(unit_now_ms() - begun < whole_ms / 2);
    assert_ok(op);
}

static void full(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    struct wh_sink k;
    bool ok = true;

    assert_true(wh_sink_open(op, &k, fd));
    k.name = "the file";
    assert_true(wh_pack_with(op, &k, 1, 300000, 2));
    for (int i = 0; ok && i < 100; i++)
        ok = wh_sink_write(op, &k, data, BYTES);
    assert_false(ok);
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->err.sys, ENOSPC);
    assert_says(op->err.text, "write the file");
    wh_sink_close(&k);
}

static void no_reader(void **state)
{
    struct wh_op *op = *state;
    struct wh_sink k;
    int pair[2];

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    close(pair[0]);
    assert_true(wh_sink_open(op, &k, pair[1]));
    assert_true(wh_pack_with(op, &k, 1, 300000, 2));
    assert_false(wh_sink_write(op, &k, data, BYTES) && wh_sink_end(op, &k));
    assert_int_equal(op->err.sys, EPIPE);
    wh_sink_close(&k);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("what was packed is read again, from a file and a pipe", round_trips),
        OP_TEST("zstd finds it whole and makes the same bytes of it", by_zstd),
        OP_TEST("a socket gets the same bytes as a file", to_a_pipe),
        OP_TEST("after a flush all that was given can be read", after_a_flush),
        OP_TEST("levels are zstd's from -5 to 19", levels),
        OP_TEST("a cancel ends the packing for a reader that sleeps", cancelled),
        OP_TEST("a slow level is given up within a frame", cancelled_slow),
        OP_TEST("a full disk is told of", full),
        OP_TEST("a reader that left is told of", no_reader),
    };
    return cmocka_run_group_tests(tests, make_data, drop_data);
}
