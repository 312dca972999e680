/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error value: first failure, context in front, and never past its end. */
#include <errno.h>

#include "base/error.h"
#include "unit.h"

static void kinds(void **state)
{
    static const struct {
        enum wh_kind kind;
        const char *name;
        int code;
    } want[] = {
        { WH_OK, "ok", 0 },           { WH_STREAM, "stream", 1 }, { WH_USAGE, "usage", 2 },
        { WH_SYSTEM, "system", 3 },   { WH_TIMEOUT, "timeout", 4 }, { WH_PEER, "peer", 5 },
        { WH_GUEST, "guest", 6 },     { WH_XEN, "xen", 7 }, { WH_CANCELLED, "cancelled", 130 },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(want); i++) {
        assert_string_equal(wh_kind_name(want[i].kind), want[i].name);
        assert_int_equal(wh_kind_exit(want[i].kind), want[i].code);
    }
}

static void strange_kinds(void **state)
{
    (void)state;
    assert_string_equal(wh_kind_name((enum wh_kind)99), "unknown");
    assert_string_equal(wh_kind_name((enum wh_kind)-1), "unknown");
    assert_int_equal(wh_kind_exit((enum wh_kind)99), 3);
    assert_int_equal(wh_kind_exit((enum wh_kind)-1), 3);
}

static void first_wins(void **state)
{
    struct wh_err e = { WH_OK, 0, "" };

    (void)state;
    assert_false(wh_fail(&e, WH_STREAM, "expected %d", 1));
    assert_false(wh_fail(&e, WH_USAGE, "second"));
    assert_false(wh_fail_sys(&e, EIO, "third"));
    assert_int_equal(e.kind, WH_STREAM);
    assert_int_equal(e.sys, 0);
    assert_string_equal(e.text, "expected 1");
}

static void system_says_why(void **state)
{
    struct wh_err e = { WH_OK, 0, "" };

    (void)state;
    assert_false(wh_fail_sys(&e, ENOENT, "open %s", "x.save"));
    assert_int_equal(e.kind, WH_SYSTEM);
    assert_int_equal(e.sys, ENOENT);
    assert_string_equal(e.text, "open x.save: No such file or directory");
}

static void context(void **state)
{
    struct wh_err e = { WH_OK, 0, "" };

    (void)state;
    wh_fail(&e, WH_STREAM, "no END");
    assert_false(wh_while(&e, "record %d", 3));
    assert_false(wh_while(&e, "x.save"));
    assert_string_equal(e.text, "x.save: record 3: no END");
    assert_int_equal(e.kind, WH_STREAM);
}

/* A canary behind the text, which every way of filling it must leave alone. */
struct fenced {
    struct wh_err e;
    char fence[16];
};

static const char *long_text(size_t n)
{
    static char text[8192];

    memset(text, 'x', n);
    text[n] = '\0';
    return text;
}

static void long_texts(void **state)
{
    (void)state;
    for (size_t n = sizeof(((struct wh_err *)0)->text) - 6; n < 4000; n += n < 1040 ? 1 : 500) {
        struct fenced f = { .fence = "still here" }, g = f;

        wh_fail(&f.e, WH_STREAM, "%s", long_text(n));
        assert_int_equal(strlen(f.e.text), sizeof f.e.text - 1 < n ? sizeof f.e.text - 1 : n);
        wh_while(&f.e, "%s", long_text(n));
        assert_true(strlen(f.e.text) < sizeof f.e.text);
        assert_string_equal(f.fence, "still here");
        wh_fail_sys(&g.e, ENOENT, "%s", long_text(n));
        assert_true(strlen(g.e.text) < sizeof g.e.text);
        assert_string_equal(g.fence, "still here");
    }
}

static void context_is_kept(void **state)
{
    struct wh_err e = { WH_OK, 0, "" };

    (void)state;
    wh_fail(&e, WH_STREAM, "%s", long_text(2000));
    wh_while(&e, "guest.save");
    assert_memory_equal(e.text, "guest.save: xxx", 15);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every kind has its name and its exit code", kinds),
        TEST("a kind that is none has a name and an exit code too", strange_kinds),
        TEST("the first failure wins", first_wins),
        TEST("a failed system call says why", system_says_why),
        TEST("context is put in front", context),
        TEST("long texts are cut off inside the error", long_texts),
        TEST("of context and failure the context is kept", context_is_kept),
    };

    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
