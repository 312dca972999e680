/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore's client: what it says on the wire, and what it makes of answers. */
#include "daemon.h"

/* -------------------------------------------------------------------------- on the wire */

static void says_what_the_protocol_wants(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    struct wh_perm perm[] = { { 0, false, false }, { 3, true, false }, { 4, false, true },
                              { 5, true, true } };
    uint32_t tx = 0;
    bool again = true;

    ANSWER(&d, "OK\0");
    assert_true(wh_store_write(op, st, 7, "value", "/local/domain/%u/name", 3));
    assert_asked(&d, XS_WRITE, "/local/domain/3/name\0value");
    assert_int_equal(d.tx, 7);
    assert_true(wh_store_mkdir(op, st, 0, "/a"));
    assert_asked(&d, XS_MKDIR, "/a\0");
    assert_true(wh_store_remove(op, st, 0, "/a"));
    assert_asked(&d, XS_RM, "/a\0");
    assert_true(wh_store_perms(op, st, 0, perm, 4, "/a"));
    assert_asked(&d, XS_SET_PERMS, "/a\0n0\0r3\0w4\0b5\0");
    assert_true(wh_store_watch(op, st, "token", "@releaseDomain"));
    assert_asked(&d, XS_WATCH, "@releaseDomain\0token\0");
    assert_true(wh_store_unwatch(op, st, "token", "@releaseDomain"));
    assert_asked(&d, XS_UNWATCH, "@releaseDomain\0token\0");
    assert_true(wh_store_commit(op, st, 9, &again));
    assert_asked(&d, XS_TRANSACTION_END, "T\0");
    assert_int_equal(d.tx, 9);
    assert_false(again);
    wh_store_abort(op, st, 9);
    assert_asked(&d, XS_TRANSACTION_END, "F\0");
    assert_true(wh_store_introduce(op, st, 3, 0xfeff8, 1));
    assert_asked(&d, XS_INTRODUCE, "3\0" "1044472\0" "1\0");
    assert_true(wh_store_resume(op, st, 3));
    assert_asked(&d, XS_RESUME, "3\0");
    assert_true(wh_store_release(op, st, 3));
    assert_asked(&d, XS_RELEASE, "3\0");
    ANSWER(&d, "12\0");
    assert_true(wh_store_begin(op, st, &tx));
    assert_asked(&d, XS_TRANSACTION_START, "\0");
    assert_int_equal(tx, 12);
    assert_ok(op);
    stop(st, &d);
}

static void understands_answers(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    char *text, **names;
    size_t n;
    uint64_t number;
    struct wh_perm perm[2];

    ANSWER(&d, "a value");
    assert_true(wh_store_read(op, st, 0, &text, "/a"));
    assert_asked(&d, XS_READ, "/a\0");
    assert_string_equal(text, "a value");
    free(text);
    ANSWER(&d, "");
    assert_true(wh_store_read(op, st, 0, &text, "/a"));
    assert_string_equal(text, "");
    free(text);
    ANSWER(&d, "18446744073709551615");
    assert_true(wh_store_read_number(op, st, 0, &number, 5, "/a"));
    assert_true(number == UINT64_MAX);
    ANSWER(&d, "a\0bc\0");
    assert_true(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "bc");
    free(names);
    ANSWER(&d, "");
    assert_true(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_int_equal(n, 0);
    assert_null(names);
    ANSWER(&d, "n0\0b3\0r4\0");
    assert_true(wh_store_get_perms(op, st, 0, perm, 2, &n, "/a"));
    assert_int_equal(n, 2);
    assert_false(perm[0].read || perm[0].write || perm[0].domid);
    assert_true(perm[1].read && perm[1].write && perm[1].domid == 3);
    assert_ok(op);
    stop(st, &d);
}

static void takes_what_is_no_number_for_none(void **state)
{
    static const char *const texts[] = { "", "-1", "1 ", " 1", "0x1", "18446744073709551616",
                                         "99999999999999999999999", "1\n" };
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    uint64_t number;

    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        d.answer = texts[i];
        d.answer_n = strlen(texts[i]);
        assert_true(wh_store_read_number(op, st, 0, &number, 77, "/a"));
        assert_int_equal(number, 77);
    }
    stop(st, &d);
}

static void takes_absence_for_no_failure(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    char *text, **names;
    size_t n;
    uint64_t number;
    struct wh_perm perm;
    bool again = false;

    ANSWER(&d, "ENOENT\0");
    assert_true(wh_store_read(op, st, 0, &text, "/a"));
    assert_null(text);
    assert_true(wh_store_read_number(op, st, 0, &number, 5, "/a"));
    assert_int_equal(number, 5);
    assert_true(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_null(names);
    assert_true(wh_store_get_perms(op, st, 0, &perm, 1, &n, "/a"));
    assert_int_equal(n, 0);
    assert_true(wh_store_remove(op, st, 0, "/a"));
    assert_true(wh_store_unwatch(op, st, "t", "/a"));
    assert_true(wh_store_release(op, st, 3));
    ANSWER(&d, "EAGAIN\0");
    assert_true(wh_store_commit(op, st, 1, &again));
    assert_true(again);
    assert_ok(op);
    ANSWER(&d, "ENOENT\0");
    assert_false(wh_store_write(op, st, 5, "x", "/a/b"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "store write /a/b: No such file or directory");
    stop(st, &d);
}

/* Each is an answer that cannot be: the call fails, and says whose fault it was. */
static void refuses_answers_that_cannot_be(void **state)
{
    static const struct {
        const char *answer;
        size_t n;
        char call;
    } bad[] = {
        { "a", 1, 'l' }, { "a\0b", 3, 'l' }, { "\0", 1, 'l' }, { "a\0\0b\0", 5, 'l' },
        { "", 0, 't' }, { "0", 2, 't' }, { "x", 2, 't' }, { "4294967296", 11, 't' },
        { "n", 2, 'p' }, { "x0", 3, 'p' }, { "n0", 2, 'p' }, { "n0\0r-1", 7, 'p' },
        { "n4294967296", 12, 'p' }, { "\0", 1, 'p' },
    };
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    struct wh_perm perm[8];
    char **names;
    size_t n;
    uint32_t tx;

    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        d.answer = bad[i].answer;
        d.answer_n = bad[i].n;
        memset(&op->err, 0, sizeof op->err);
        bool ok = bad[i].call == 'l' ? wh_store_list(op, st, 0, &names, &n, "/a")
                  : bad[i].call == 't' ? wh_store_begin(op, st, &tx)
                                       : wh_store_get_perms(op, st, 0, perm, 8, &n, "/a");
        if (ok)
            print_error("answer %zu was believed\n", i);
        assert_false(ok);
        assert_kind(op, WH_XEN);
        assert_says(op->err.text, "xenstored answered with");
    }
    stop(st, &d);
}

/* ---------------------------------------------------------------------------- long lists */

/* 100 children "child-NNN" in parts of 64 bytes or so; the node changes while the first try is
 * under way. */
static void in_parts(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    char all[1000], part[128];
    size_t at, n = 0;

    if (head->type == XS_DIRECTORY) {
        send_message(d, XS_ERROR, head->req_id, 0, "E2BIG", 6);
        return;
    }
    for (unsigned i = 0; i < 100; i++)
        n += (size_t)sprintf(all + n, "child-%03u", i) + 1;
    at = strtoul(payload + strlen(payload) + 1, NULL, 10);
    size_t m = (size_t)sprintf(part, "%d", ++d->n < 5 ? 1 : 2) + 1;
    size_t some = n - at < 60 ? n - at : 60;
    memcpy(part + m, all + at, some);
    m += some;
    if (at + some == n)
        part[m++] = '\0';
    reply(d, head, part, m);
}

static void reads_long_lists_in_parts(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, in_parts);
    wh_auto_free char **names = NULL;
    size_t n;

    assert_true(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_int_equal(n, 100);
    assert_string_equal(names[0], "child-000");
    assert_string_equal(names[99], "child-099");
    stop(st, &d);
}

static void always_changes(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    char part[64];

    (void)payload;
    if (head->type == XS_DIRECTORY)
        send_message(d, XS_ERROR, head->req_id, 0, "E2BIG", 6);
    else
        reply(d, head, part, (size_t)sprintf(part, "%u%cchild", ++d->n, '\0') + 1);
}

static void gives_up_on_a_list_that_always_changes(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, always_changes);
    char **names;
    size_t n;

    assert_false(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "changes faster");
    assert_true(d.requests < 100);
    stop(st, &d);
}

static void never_ends(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    char part[4096];

    (void)payload;
    memset(part, 'x', sizeof part);
    part[0] = '1';
    part[1] = part[sizeof part - 1] = '\0';
    if (head->type == XS_DIRECTORY)
        send_message(d, XS_ERROR, head->req_id, 0, "E2BIG", 6);
    else
        reply(d, head, part, sizeof part);
}

static void bounds_a_list_that_never_ends(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, never_ends);
    char **names;
    size_t n;

    assert_false(wh_store_list(op, st, 0, &names, &n, "/a"));
    assert_kind(op, WH_XEN);
    assert_says(op->err.text, "more than a megabyte");
    stop(st, &d);
}

/* ------------------------------------------------------------------------- never is it cut */

static void refuses_what_does_not_fit(void **state)
{
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    char long_text[4200], token[65];

    ANSWER(&d, "OK\0");
    memset(long_text, 'a', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    memset(token, 't', 64);
    token[64] = '\0';

    /* The longest that fit. */
    assert_true(wh_store_write(op, st, 0, long_text + sizeof long_text - 1 - 4093, "/a"));
    assert_int_equal(d.payload_n, 4096);
    assert_true(wh_store_mkdir(op, st, 0, "/%s", long_text + sizeof long_text - 1 - 3070));
    assert_int_equal(d.payload_n, 3072);
    assert_true(wh_store_watch(op, st, token + 1, "/a"));
    int before = d.requests;

    assert_false(wh_store_write(op, st, 0, long_text + sizeof long_text - 1 - 4094, "/a"));
    assert_says(op->err.text, "4097 bytes, at most 4096");
    memset(&op->err, 0, sizeof op->err);
    assert_false(wh_store_mkdir(op, st, 0, "/%s", long_text + sizeof long_text - 1 - 3071));
    assert_says(op->err.text, "3072 bytes, at most 3071");
    memset(&op->err, 0, sizeof op->err);
    assert_false(wh_store_watch(op, st, token, "/a"));
    assert_says(op->err.text, "a token of 64 bytes");
    assert_int_equal(d.requests, before);
    stop(st, &d);
}

static void refuses_paths_that_are_none(void **state)
{
    static const char *const bad[] = { "", "a", "a/b", "/a/", "//a", "/a//b", "/a b", "/a\n",
                                       "/a.b", "/a\xc3\xa4", "/a%", "../a" };
    struct wh_op *op = *state;
    struct daemon d;
    struct wh_store *st = start(op, &d, canned);
    char *value;

    ANSWER(&d, "x");
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        memset(&op->err, 0, sizeof op->err);
        assert_false(wh_store_read(op, st, 0, &value, "%s", bad[i]));
        assert_kind(op, WH_XEN);
        assert_says(op->err.text, "the path");
    }
    assert_int_equal(d.requests, 0);
    memset(&op->err, 0, sizeof op->err);
    assert_true(wh_store_read(op, st, 0, &value, "/"));
    free(value);
    stop(st, &d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("requests are what the protocol wants", says_what_the_protocol_wants),
        OP_TEST("answers are understood", understands_answers),
        OP_TEST("what is no number is none", takes_what_is_no_number_for_none),
        OP_TEST("absence is no failure where it need not be", takes_absence_for_no_failure),
        OP_TEST("answers that cannot be are refused", refuses_answers_that_cannot_be),
        OP_TEST("a long list is read in parts", reads_long_lists_in_parts),
        OP_TEST("a list that always changes is given up", gives_up_on_a_list_that_always_changes),
        OP_TEST("a list that never ends is bounded", bounds_a_list_that_never_ends),
        OP_TEST("what does not fit is an error, not cut", refuses_what_does_not_fit),
        OP_TEST("what is no path is refused", refuses_paths_that_are_none),
    };

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
