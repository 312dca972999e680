/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the unit tests share: an operation a test, a folder, time, bytes that only look random.
 *
 *     static void ends_soon(void **state)
 *     {
 *         struct wh_op *op = *state;
 *         ...
 *     }
 *     const struct CMUnitTest tests[] = { OP_TEST("a cancel ends it soon", ends_soon) };
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/op.h"
#include "base/own.h"

#define TEST(says, run)    { says, run, NULL, NULL, NULL }
#define OP_TEST(says, run) { says, run, unit_op_setup, unit_op_teardown, NULL }

/* A cancel is seen within milliseconds; this is what a busy machine under a sanitizer is given. */
#define SOON_MS 100

#define assert_ok(op)         unit_assert_kind(op, WH_OK, __FILE__, __LINE__)
#define assert_kind(op, kind) unit_assert_kind(op, kind, __FILE__, __LINE__)
#define assert_says(text, part) unit_assert_says(text, part, __FILE__, __LINE__)

static inline int64_t unit_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline void unit_sleep_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static inline int unit_op_setup(void **state)
{
    struct wh_op *op = malloc(sizeof *op);

    *state = op;
    return op && wh_op_init(op) ? 0 : -1;
}

static inline int unit_op_teardown(void **state)
{
    wh_op_done(*state);
    free(*state);
    return 0;
}

static inline void unit_assert_kind(const struct wh_op *op, enum wh_kind kind, const char *file,
                                    int line)
{
    if (op->err.kind == kind)
        return;
    print_error("%s:%d: expected %s, found %s: %s\n", file, line, wh_kind_name(kind),
                wh_kind_name(op->err.kind), op->err.text);
    fail();
}

static inline void unit_assert_says(const char *text, const char *part, const char *file, int line)
{
    if (text && strstr(text, part))
        return;
    print_error("%s:%d: \"%s\" is not in: %s\n", file, line, part, text ? text : "(nothing)");
    fail();
}

/* ------------------------------------------------------------------------------ random */

/* xorshift: the same bytes on every machine. */
static inline uint64_t unit_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static inline uint64_t unit_below(uint64_t *seed, uint64_t n)
{
    return unit_random(seed) % n;
}

static inline uint8_t *unit_bytes(uint64_t seed, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(unit_random(&seed) >> 32);
    return p;
}

/* ------------------------------------------------------------------------------- files */

/* A file without a name that holds these bytes, at its beginning. */
static inline int unit_file(const void *p, size_t n)
{
    FILE *f = tmpfile();
    int fd;

    assert_non_null(f);
    fd = dup(fileno(f));
    fclose(f);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, p, n, 0), n);
    return fd;
}

/* All of a file from its beginning; *n its length. */
static inline uint8_t *unit_slurp(int fd, size_t *n)
{
    off_t size = lseek(fd, 0, SEEK_END);
    uint8_t *p = malloc((size_t)size + 1);

    assert_non_null(p);
    assert_int_equal(pread(fd, p, (size_t)size, 0), size);
    p[size] = 0;
    *n = (size_t)size;
    return p;
}

/* A folder of the test's own, to be removed by unit_remove_folder. */
static inline void unit_folder(char *path, size_t size)
{
    const char *tmp = getenv("TMPDIR");

    snprintf(path, size, "%s/wherry-unit-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(path));
}

/* The folder and all that is directly in it. */
static inline void unit_remove_folder(const char *path)
{
    DIR *d = opendir(path);
    char name[PATH_MAX + 260];

    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        remove(name);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

#endif
