/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a guest that is copied while it runs is suspended: what was asked, what was seen, what comes. */
#include "mem/policy.h"
#include "unit.h"

#define MANY 100000             /* pages */
#define MB (UINT64_C(1) << 20)
#define ASKED { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT, .max_rounds = 30, .max_bytes = WH_NO_LIMIT }

/* Where nothing else is said: four seconds' worth of pages, in the second round. */
#define SEEN .round = 2, .left = MANY, .best = WH_NO_LIMIT, .rate = 100 * MB, .elapsed_ms = 1000

#define SHORT "the pause will be as short as wanted"
#define TIME "the time for copying is over"
#define ROUNDS "that was the last round"
#define BYTES "another round would be more than may be written"
#define STALLED "the guest writes as fast as it is copied"

/* Later ones of two initialisers count: SEEN is what a row changes. */
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma clang diagnostic ignored "-Winitializer-overrides"
#endif

static const struct {
    const char *name;
    struct wh_precopy asked;
    struct wh_round seen;
    enum wh_next next;
    const char *why;
} rows[] = {
    { "there is far to go", ASKED, { SEEN }, WH_GO_ON, "" },

    { "what is left fits into the pause", ASKED,
      { SEEN, .left = 7000 }, WH_SUSPEND_NOW, SHORT },
    { "it just fits", ASKED,
      { SEEN, .left = 7680 }, WH_SUSPEND_NOW, SHORT },
    { "a page more does not", ASKED,
      { SEEN, .left = 7720 }, WH_GO_ON, "" },
    { "it would fit but for what a pause takes beside", ASKED,
      { SEEN, .left = 7000, .fixed_ms = 50 }, WH_GO_ON, "" },
    { "a longer pause was asked for", { .downtime_ms = 4000, .timeout_ms = WH_NO_LIMIT,
                                        .max_rounds = 30, .max_bytes = WH_NO_LIMIT },
      { SEEN }, WH_SUSPEND_NOW, SHORT },

    { "nothing is left", ASKED, { SEEN, .left = 0 }, WH_SUSPEND_NOW, SHORT },
    { "few pages are left, and the way is slow", ASKED,
      { SEEN, .left = 63, .rate = 1 }, WH_SUSPEND_NOW, SHORT },
    { "one more than few, and the way is slow", ASKED,
      { SEEN, .left = 64, .rate = 1 }, WH_GO_ON, "" },

    { "the time is over", { .downtime_ms = 300, .timeout_ms = 1000, .max_rounds = 30,
                            .max_bytes = WH_NO_LIMIT },
      { SEEN }, WH_GIVE_UP, TIME },
    { "the time is over, whatever the pause", { .downtime_ms = 300, .timeout_ms = 1000, .force = true,
                                                .max_rounds = 30, .max_bytes = WH_NO_LIMIT },
      { SEEN }, WH_SUSPEND_NOW, TIME },
    { "there is a millisecond left", { .downtime_ms = 300, .timeout_ms = 1001, .max_rounds = 30,
                                       .max_bytes = WH_NO_LIMIT },
      { SEEN }, WH_GO_ON, "" },
    { "the time is over, but it fits", { .downtime_ms = 300, .timeout_ms = 1000, .max_rounds = 30,
                                         .max_bytes = WH_NO_LIMIT },
      { SEEN, .left = 7000 }, WH_SUSPEND_NOW, SHORT },
    { "to force it takes a time", { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT, .force = true,
                                    .max_rounds = 30, .max_bytes = WH_NO_LIMIT },
      { SEEN }, WH_GO_ON, "" },

    { "the last but one round", ASKED, { SEEN, .round = 29 }, WH_GO_ON, "" },
    { "the last round", ASKED, { SEEN, .round = 30 }, WH_SUSPEND_NOW, ROUNDS },
    { "time goes before rounds", { .downtime_ms = 300, .timeout_ms = 1000, .max_rounds = 30,
                                   .max_bytes = WH_NO_LIMIT },
      { SEEN, .round = 30 }, WH_GIVE_UP, TIME },

    { "another round may just be written", { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT,
                                             .max_rounds = 30, .max_bytes = 2 * MANY * 4096ull },
      { SEEN, .sent_bytes = MANY * 4096ull }, WH_GO_ON, "" },
    { "another round would be a page too much", { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT,
                                                  .max_rounds = 30, .max_bytes = 2 * MANY * 4096ull },
      { SEEN, .sent_bytes = (MANY + 1) * 4096ull }, WH_SUSPEND_NOW, BYTES },
    { "it is too much already", { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT, .max_rounds = 30,
                                  .max_bytes = MB },
      { SEEN, .sent_bytes = 2 * MB }, WH_SUSPEND_NOW, BYTES },

    { "two rounds came no nearer", ASKED, { SEEN, .stalled = 2 }, WH_GO_ON, "" },
    { "three rounds came no nearer", ASKED, { SEEN, .stalled = 3 }, WH_SUSPEND_NOW, STALLED },
    { "they did, and there is time", { .downtime_ms = 300, .timeout_ms = 5000, .max_rounds = 30,
                                       .max_bytes = WH_NO_LIMIT },
      { SEEN, .stalled = 9 }, WH_GO_ON, "" },

    { "nobody knows how fast the way is", ASKED, { SEEN, .rate = 0 }, WH_GO_ON, "" },
    { "nor does it matter for few pages", ASKED,
      { SEEN, .rate = 0, .left = 63 }, WH_SUSPEND_NOW, SHORT },

    { "more is left than bytes can be counted", ASKED,
      { SEEN, .left = UINT64_MAX }, WH_GO_ON, "" },
    { "as much as wraps to nothing", ASKED,
      { SEEN, .left = UINT64_C(1) << 52 }, WH_GO_ON, "" },
    { "as much as wraps, of what may be written", { .downtime_ms = 300, .timeout_ms = WH_NO_LIMIT,
                                                    .max_rounds = 30, .max_bytes = WH_NO_LIMIT - 1 },
      { SEEN, .left = UINT64_C(1) << 52, .sent_bytes = MB }, WH_SUSPEND_NOW, BYTES },
    { "any pause will do", { .downtime_ms = WH_NO_LIMIT, .timeout_ms = WH_NO_LIMIT, .max_rounds = 30,
                             .max_bytes = WH_NO_LIMIT },
      { SEEN, .left = UINT64_MAX, .rate = 1 }, WH_SUSPEND_NOW, SHORT },
};

static void each_row_is_answered_as_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(rows); i++) {
        const char *why = NULL;
        enum wh_next next = wh_policy_next(&rows[i].asked, &rows[i].seen, &why);

        if (next != rows[i].next || !why || strcmp(why, rows[i].why) != 0)
            fail_msg("%s: expected %u, \"%s\"; found %u, \"%s\"", rows[i].name,
                     (unsigned)rows[i].next, rows[i].why, (unsigned)next, why ? why : "");
    }
}

static void a_pause_is_its_pages_at_the_rate_of_the_way_and_what_it_takes_beside(void **state)
{
    static const struct {
        uint64_t left, rate, fixed_ms, pause_ms;
    } pauses[] = {
        { 0,          MB,       0,          0 },
        { 0,          MB,       70,         70 },
        { 256,        MB,       0,          1000 },
        { 256,        MB,       50,         1050 },
        { 25600,      100 * MB, 0,          1000 },
        { 1,          4096,     0,          1000 },
        { 1,          8192000,  0,          0 },
        { 1u << 26,   1000 * MB, 0,         262144 },
        { 1000,       0,        50,         50 },
        { UINT64_MAX, 1,        50,         WH_NO_LIMIT },
        { 0,          1,        UINT64_MAX, WH_NO_LIMIT },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(pauses); i++) {
        struct wh_round r = { .left = pauses[i].left, .rate = pauses[i].rate,
                              .fixed_ms = pauses[i].fixed_ms };

        assert_int_equal(wh_policy_pause_ms(&r), pauses[i].pause_ms);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_answered_as_it_says),
        cmocka_unit_test(a_pause_is_its_pages_at_the_rate_of_the_way_and_what_it_takes_beside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
