/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The page index: every record is covered, whatever their number. */
#include "unit.h"
#include "wire/index.h"

static uint64_t at_of(uint64_t record)
{
    return 1000 + 8 * record;
}

static uint64_t pfn_of(uint64_t record)
{
    return record * 7919 % 100003;
}

static void add_records(struct wh_index *x, uint64_t n)
{
    wh_index_init(x);
    for (uint64_t i = 0; i < n; i++)
        wh_index_add(x, at_of(i), pfn_of(i), pfn_of(i) + 3);
}

/* The entries' records, one after the other, are those that were added. */
static void check_cover(const struct wh_index *x, uint64_t n)
{
    uint64_t record = 0;

    for (size_t k = 0; k < x->count; k++) {
        const struct wh_index_entry *e = &x->entry[k];
        uint64_t first = UINT64_MAX, last = 0;

        assert_int_equal(e->at, at_of(record));
        assert_true(e->records >= 1 && e->records <= x->per);
        for (uint64_t i = 0; i < e->records; i++, record++) {
            first = pfn_of(record) < first ? pfn_of(record) : first;
            last = pfn_of(record) + 3 > last ? pfn_of(record) + 3 : last;
        }
        assert_int_equal(e->first, first);
        assert_int_equal(e->last, last);
    }
    assert_int_equal(record, n);
}

static void empty(void **state)
{
    struct wh_index x;

    (void)state;
    wh_index_init(&x);
    assert_int_equal(x.count, 0);
    assert_false(x.off);
    wh_index_free(&x);
    wh_index_free(&x);
}

static void one_each(void **state)
{
    struct wh_index x;

    (void)state;
    add_records(&x, WH_INDEX_MAX);
    assert_int_equal(x.count, WH_INDEX_MAX);
    assert_int_equal(x.per, 1);
    check_cover(&x, WH_INDEX_MAX);
    wh_index_free(&x);
    assert_int_equal(x.count, 0);
}

static void one_more(void **state)
{
    struct wh_index x;

    (void)state;
    add_records(&x, WH_INDEX_MAX + 1);
    assert_int_equal(x.count, WH_INDEX_MAX / 2 + 1);
    assert_int_equal(x.per, 2);
    check_cover(&x, WH_INDEX_MAX + 1);
    wh_index_free(&x);
}

static void many(void **state)
{
    static const uint64_t counts[] = { 1, 2, 63, 64, 65, 129, 8191, 16383, 16384, 16385, 16386,
                                       100000, 1000001 };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(counts); i++) {
        struct wh_index x;

        add_records(&x, counts[i]);
        assert_true(x.count <= WH_INDEX_MAX);
        check_cover(&x, counts[i]);
        wh_index_free(&x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("an index begins empty and may be freed twice", empty),
        TEST("up to the limit every record has its entry", one_each),
        TEST("one record more and an entry covers two", one_more),
        TEST("any number of records is covered, in order", many),
    };

    return cmocka_run_group_tests_name("index", tests, NULL, NULL);
}
