/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The set of page numbers, held against a plain array of booleans. */
#include "base/sparse.h"
#include "unit.h"

#define CHUNK (UINT64_C(1) << 15)           /* numbers a bitmap covers */
#define PART (UINT64_C(1) << 30)            /* and an array of 2^15 of those */
#define PLENTY (16u << 20)
#define END (UINT64_C(1) << WH_SPARSE_BITS)

static void set_range(struct wh_sparse *s, uint64_t first, uint64_t end)
{
    for (uint64_t n = first; n < end; n++)
        assert_false(wh_sparse_set(s, n));
}

static void empty(void **state)
{
    struct wh_sparse s;
    uint64_t a, b;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    assert_false(wh_sparse_has(&s, 0));
    assert_false(wh_sparse_has(&s, UINT64_MAX));
    assert_false(wh_sparse_run(&s, 0, &a, &b));
    assert_int_equal(wh_sparse_count(&s, 0, UINT64_MAX), 0);
    wh_sparse_clear(&s, 5);
    wh_sparse_clear(&s, UINT64_MAX);
    assert_int_equal(s.used, 0);
    wh_sparse_free(&s);
}

static void set_and_clear(void **state)
{
    struct wh_sparse s;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    assert_false(wh_sparse_set(&s, 7));
    assert_true(wh_sparse_set(&s, 7));
    assert_true(wh_sparse_has(&s, 7));
    assert_false(wh_sparse_has(&s, 6));
    assert_false(wh_sparse_has(&s, 8));
    assert_int_equal(s.count, 1);
    wh_sparse_clear(&s, 7);
    wh_sparse_clear(&s, 7);
    assert_false(wh_sparse_has(&s, 7));
    assert_int_equal(s.count, 0);
    assert_false(s.full);
    wh_sparse_free(&s);
}

/* Numbers near the borders of bitmaps, chunks and parts. */
static uint64_t somewhere(uint64_t *seed)
{
    static const uint64_t base[] = { 0, CHUNK - 40, 2 * CHUNK - 3, PART - 70, END - 100 };

    return base[unit_below(seed, WH_COUNT(base))] + unit_below(seed, 100);
}

/* Where a number stands in the array: the places above do not overlap. */
static size_t slot(uint64_t n)
{
    return n >= END - 100 ? 400 + (size_t)(n - (END - 100))
           : n >= PART - 70 ? 300 + (size_t)(n - (PART - 70))
           : n >= 2 * CHUNK - 3 ? 200 + (size_t)(n - (2 * CHUNK - 3))
           : n >= CHUNK - 40 ? 100 + (size_t)(n - (CHUNK - 40)) : (size_t)n;
}

static void as_an_array(void **state)
{
    bool in[500] = { false };
    uint64_t seed = 3, count = 0;
    struct wh_sparse s;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    for (int i = 0; i < 20000; i++) {
        uint64_t n = somewhere(&seed);
        bool *had = &in[slot(n)], set = unit_below(&seed, 5) < 3;

        assert_int_equal(wh_sparse_has(&s, n), *had);
        if (set)
            assert_int_equal(wh_sparse_set(&s, n), *had);
        else
            wh_sparse_clear(&s, n);
        count = count - *had + set;
        *had = set;
        assert_int_equal(s.count, count);
        if (i % 64 == 0)
            assert_int_equal(wh_sparse_count(&s, 0, END), count);
    }
    assert_false(s.full);
    wh_sparse_free(&s);
}

static void runs(void **state)
{
    struct wh_sparse s;
    uint64_t a, b;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    set_range(&s, 5, 7);
    set_range(&s, CHUNK - 2, 2 * CHUNK + 3);    /* a full chunk in the middle */
    set_range(&s, PART - 1, PART + 1);
    set_range(&s, END - 1, END);
    assert_true(wh_sparse_run(&s, 0, &a, &b) && a == 5 && b == 7);
    assert_true(wh_sparse_run(&s, 6, &a, &b) && a == 6 && b == 7);
    assert_true(wh_sparse_run(&s, b, &a, &b) && a == CHUNK - 2 && b == 2 * CHUNK + 3);
    assert_true(wh_sparse_run(&s, b, &a, &b) && a == PART - 1 && b == PART + 1);
    assert_true(wh_sparse_run(&s, b, &a, &b) && a == END - 1 && b == END);
    assert_false(wh_sparse_run(&s, b, &a, &b));
    assert_int_equal(wh_sparse_count(&s, 6, CHUNK), 1 + 2);
    assert_int_equal(wh_sparse_count(&s, CHUNK + 10, CHUNK + 20), 10);
    assert_int_equal(wh_sparse_count(&s, 20, 20), 0);
    wh_sparse_free(&s);
}

/* What guests are: long runs, which take no memory but slots. */
static void full_chunks(void **state)
{
    struct wh_sparse s;
    size_t empty_part;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    wh_sparse_set(&s, CHUNK);
    empty_part = s.used;
    set_range(&s, 0, CHUNK);
    assert_int_equal(s.used, empty_part);
    assert_true(wh_sparse_has(&s, 0) && wh_sparse_has(&s, CHUNK - 1));
    assert_true(wh_sparse_set(&s, 100));
    assert_int_equal(s.count, CHUNK + 1);

    wh_sparse_clear(&s, 100);
    assert_false(wh_sparse_has(&s, 100));
    assert_true(wh_sparse_has(&s, 99) && wh_sparse_has(&s, 101));
    assert_int_equal(s.count, CHUNK);
    assert_false(wh_sparse_set(&s, 100));
    assert_int_equal(s.used, empty_part);
    wh_sparse_free(&s);
}

/* Runs of any length over chunks in any state, as if number by number. */
static void whole_runs(void **state)
{
    static bool in[4 * CHUNK];
    uint64_t seed = 6;

    (void)state;
    for (int round = 0; round < 20; round++) {
        struct wh_sparse s;
        uint64_t count = 0, base = (uint64_t)round * (PART / 4) / CHUNK * CHUNK;

        memset(in, 0, sizeof in);
        wh_sparse_init(&s, PLENTY);
        for (int i = 0; i < 12; i++) {
            uint64_t a = unit_below(&seed, 4 * CHUNK), b = unit_below(&seed, 4 * CHUNK + 1);

            a = unit_below(&seed, 3) ? a : a / CHUNK * CHUNK;
            b = unit_below(&seed, 3) ? b : b / CHUNK * CHUNK;
            wh_sparse_set_run(&s, base + a, base + b);
            for (uint64_t n = a; n < b; n++) {
                count += !in[n];
                in[n] = true;
            }
            a = unit_below(&seed, 4 * CHUNK);
            wh_sparse_clear(&s, base + a);
            count -= in[a];
            in[a] = false;
            assert_int_equal(s.count, count);
            assert_int_equal(wh_sparse_count(&s, base, base + 4 * CHUNK), count);
        }
        for (uint64_t n = 0; n < 4 * CHUNK; n++)
            assert_int_equal(wh_sparse_has(&s, base + n), in[n]);
        wh_sparse_free(&s);
    }
}

static void runs_past_the_end(void **state)
{
    struct wh_sparse s;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    wh_sparse_set_run(&s, END - 3, END + 5);
    assert_true(s.full);
    assert_int_equal(s.count, 3);
    assert_int_equal(wh_sparse_count(&s, 0, UINT64_MAX), 3);
    wh_sparse_free(&s);
}

static void too_great(void **state)
{
    struct wh_sparse s;

    (void)state;
    wh_sparse_init(&s, PLENTY);
    assert_false(wh_sparse_set(&s, END));
    assert_true(s.full);
    assert_false(wh_sparse_set(&s, UINT64_MAX));
    assert_false(wh_sparse_has(&s, END));
    assert_int_equal(s.count, 0);
    wh_sparse_free(&s);
}

static void limit(void **state)
{
    struct wh_sparse s;
    uint64_t seed = 4;

    (void)state;
    wh_sparse_init(&s, 2u << 20);
    for (int i = 0; i < 100000; i++) {
        wh_sparse_set(&s, unit_below(&seed, END));
        assert_true(s.used <= s.limit);
    }
    assert_true(s.full);
    assert_true(s.count > 0 && s.count == wh_sparse_count(&s, 0, END));
    wh_sparse_free(&s);
    assert_int_equal(s.used, 0);
    assert_int_equal(s.limit, 2u << 20);
    assert_false(s.full);
}

/* Three sets out of one purse: together they take no more than it has. */
static void shared_limit(void **state)
{
    struct wh_sparse purse, s[2];
    uint64_t seed = 5;

    (void)state;
    wh_sparse_init(&purse, 2u << 20);
    wh_sparse_init_shared(&s[0], &purse);
    wh_sparse_init_shared(&s[1], &purse);
    for (int i = 0; i < 1000; i++) {
        wh_sparse_set(&purse, unit_below(&seed, PART));
        wh_sparse_set(&s[i % 2], unit_below(&seed, PART));
        assert_true(purse.used <= purse.limit);
        assert_int_equal(s[0].used + s[1].used, 0);
    }
    assert_true(purse.full || s[0].full || s[1].full);
    assert_true(s[0].count > 0 && s[1].count > 0);
    wh_sparse_free(&s[0]);
    wh_sparse_free(&s[1]);
    assert_int_equal(s[0].count, 0);
    wh_sparse_free(&s[0]);
    wh_sparse_free(&purse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an empty set has nothing and takes nothing", empty),
        TEST("a number is in the set from set to clear", set_and_clear),
        TEST("random sets and clears give what an array of booleans gives", as_an_array),
        TEST("runs reach over chunks and parts", runs),
        TEST("a chunk all of which is set takes no memory", full_chunks),
        TEST("runs are set as if number by number", whole_runs),
        TEST("a run past 2^40 is set up to there and makes the set full", runs_past_the_end),
        TEST("numbers of 2^40 and above make the set full", too_great),
        TEST("scattered numbers meet the limit and no more", limit),
        TEST("sets that share a limit meet it together", shared_limit),
    };

    return cmocka_run_group_tests_name("sparse", tests, NULL, NULL);
}
