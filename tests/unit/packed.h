/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of compressed images share: bytes that compress in part, files of them packed by
 * us and by zstd, and one way to read those. */
#ifndef TESTS_PACKED_H
#define TESTS_PACKED_H

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/sink.h"
#include "base/source.h"
#include "link/pack.h"
#include "link/unpack.h"
#include "unit.h"

#define BYTES 3000000u

static uint8_t *data;               /* a third zeros, a third like text, a third random */

static inline int make_data(void **state)
{
    uint64_t seed = 3;

    (void)state;
    signal(SIGPIPE, SIG_IGN);
    data = unit_bytes(17, BYTES);
    for (size_t at = 0, n; at < BYTES; at += n) {
        unsigned kind = (unsigned)unit_below(&seed, 3);

        n = 1 + unit_below(&seed, 40000);
        n = n < BYTES - at ? n : BYTES - at;
        for (size_t i = at; i < at + n && kind < 2; i++)
            data[i] = kind == 0 ? 0 : (uint8_t)"the wherry carries "[data[i] % 19];
    }
    return 0;
}

static inline int drop_data(void **state)
{
    (void)state;
    free(data);
    return 0;
}

static inline size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ----------------------------------------------------------------------------- helpers */

/* A file with the first n bytes of the data, packed. */
static inline int packed(struct wh_op *op, size_t n, int level, size_t frame)
{
    int fd = unit_file("", 0);
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_pack_with(op, &k, level, frame, 2));
    assert_true(wh_sink_write(op, &k, data, n));
    assert_true(wh_sink_end(op, &k));
    assert_int_equal(k.at, n);
    assert_int_equal(k.stage->out, lseek(fd, 0, SEEK_END));
    wh_sink_close(&k);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static inline void open_packed(struct wh_op *op, struct wh_source *s, int fd)
{
    assert_true(wh_source_open(op, s, fd));
    assert_true(wh_unpack(op, s));
    assert_non_null(s->feed);
}

/* Read it all.  False: the operation has failed; what came before was right. */
static inline bool reads_right(struct wh_op *op, struct wh_source *s, const uint8_t *want, size_t n,
                        size_t *total)
{
    static uint8_t to[100000];
    size_t got = 1;

    for (*total = 0; got > 0; *total += got) {
        if (!wh_source_read(op, s, to, sizeof to, &got))
            return false;
        assert_true(got <= n - *total);
        assert_memory_equal(to, want + *total, got);
    }
    return true;
}

/* That all of an fd's zstd is these bytes. */
static inline void check_reads(struct wh_op *op, int fd, const uint8_t *want, size_t n)
{
    struct wh_source s;
    size_t total;

    open_packed(op, &s, fd);
    assert_true(reads_right(op, &s, want, n, &total));
    assert_int_equal(total, n);
    wh_source_close(&s);
    assert_ok(op);
}

/* A file of what a shell command says, given these bytes. */
static inline int command(const char *words, const void *p, size_t n)
{
    int in = unit_file(p, n), out = unit_file("", 0), status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        lseek(in, 0, SEEK_SET);
        dup2(in, 0);
        dup2(out, 1);
        execl("/bin/sh", "sh", "-c", words, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(in);
    lseek(out, 0, SEEK_SET);
    return out;
}

/* A feeder of a pipe, in small pieces. */
struct feeder {
    int fd;
    const uint8_t *p;
    size_t n;
    pthread_t thread;
};

static inline void *feed(void *arg)
{
    struct feeder *f = arg;
    uint64_t seed = 5;

    for (size_t at = 0; at < f->n;) {
        size_t n = least(1 + unit_below(&seed, 70000), f->n - at);
        ssize_t put = write(f->fd, f->p + at, n);

        if (put < 0)
            break;
        at += (size_t)put;
    }
    close(f->fd);
    return NULL;
}

static inline int through_pipe(struct feeder *f, const uint8_t *p, size_t n)
{
    int pair[2];

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    *f = (struct feeder){ .fd = pair[1], .p = p, .n = n };
    assert_int_equal(pthread_create(&f->thread, NULL, feed, f), 0);
    return pair[0];
}

#endif
