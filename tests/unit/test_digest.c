/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XXH3-128: known values, and the same from pieces. */
#include "base/digest.h"
#include "unit.h"

#define BYTES 100000

static void hex(const uint8_t *p, char *text)
{
    for (int i = 0; i < WH_DIGEST_BYTES; i++)
        sprintf(text + 2 * i, "%02x", p[i]);
}

/* As xxh128sum prints them. */
static void known(void **state)
{
    static const struct {
        const char *of, *is;
    } want[] = {
        { "", "99aa06d3014798d86001c324468d497f" },
        { "abc", "06b05ab6733a618578af5f94892f3950" },
    };
    uint8_t digest[WH_DIGEST_BYTES];
    char text[2 * WH_DIGEST_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < WH_COUNT(want); i++) {
        wh_digest_of(want[i].of, strlen(want[i].of), digest);
        hex(digest, text);
        assert_string_equal(text, want[i].is);
    }
}

static void pieces(void **state)
{
    uint64_t seed = 1;
    wh_auto_free uint8_t *p = unit_bytes(2, BYTES);
    uint8_t whole[WH_DIGEST_BYTES], summed[WH_DIGEST_BYTES];

    (void)state;
    wh_digest_of(p, BYTES, whole);
    for (int round = 0; round < 20; round++) {
        struct wh_digest *d = wh_digest_new();

        assert_non_null(d);
        for (size_t at = 0, n; at < BYTES; at += n) {
            n = unit_below(&seed, 1u << (round % 15 + 1));
            n = n < BYTES - at ? n : BYTES - at;
            wh_digest_feed(d, p + at, n);
        }
        wh_digest_get(d, summed);
        wh_digest_free(d);
        assert_memory_equal(summed, whole, sizeof whole);
    }
}

/* Zeros, which are gone through faster, among other bytes, wherever they begin. */
static void zeros(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t before = unit_below(&seed, 3000), n = unit_below(&seed, 1u << (round % 18 + 1)),
               after = unit_below(&seed, 3000), all = before + n + after;
        wh_auto_free uint8_t *p = unit_bytes((uint64_t)round + 1, all + 1);
        uint8_t whole[WH_DIGEST_BYTES], summed[WH_DIGEST_BYTES];
        struct wh_digest *d = wh_digest_new();

        assert_non_null(d);
        memset(p + before, 0, n);
        wh_digest_of(p, all, whole);
        if (round % 3 == 0)
            wh_digest_thread(d);
        if (round % 3 == 1) {
            wh_digest_feed(d, p, all);
        } else {
            wh_digest_feed(d, p, before);
            wh_digest_zeros(d, n);
            wh_digest_lend(d, p + before + n, after);
        }
        wh_digest_get(d, summed);
        wh_digest_free(d);
        assert_memory_equal(summed, whole, sizeof whole);
    }
}

/* By a thread: bytes that are lent, among those that are gone when the call returns. */
static void lent(void **state)
{
    uint64_t seed = 2;
    wh_auto_free uint8_t *p = unit_bytes(3, BYTES);
    uint8_t whole[WH_DIGEST_BYTES], summed[WH_DIGEST_BYTES];

    (void)state;
    wh_digest_of(p, BYTES, whole);
    for (int round = 0; round < 20; round++) {
        struct wh_digest *d = wh_digest_new();
        uint8_t *gone = malloc(BYTES);

        assert_true(d && gone);
        wh_digest_thread(d);
        for (size_t at = 0, n; at < BYTES; at += n) {
            n = unit_below(&seed, 1u << (round % 15 + 1));
            n = n < BYTES - at ? n : BYTES - at;
            if (unit_below(&seed, 8)) {
                wh_digest_lend(d, p + at, n);
                continue;
            }
            memcpy(gone, p + at, n);
            wh_digest_feed(d, gone, n);
            memset(gone, 0, n);
        }
        if (round % 2)
            wh_digest_get(d, summed);
        else
            memcpy(summed, whole, sizeof whole);    /* it is freed with pieces lent */
        wh_digest_free(d);
        free(gone);
        assert_memory_equal(summed, whole, sizeof whole);
    }
}

static void goes_on(void **state)
{
    struct wh_digest *d = wh_digest_new();
    uint8_t got[WH_DIGEST_BYTES], want[WH_DIGEST_BYTES];

    (void)state;
    wh_digest_feed(d, "ab", 2);
    wh_digest_get(d, got);
    wh_digest_of("ab", 2, want);
    assert_memory_equal(got, want, sizeof want);
    wh_digest_feed(d, "c", 1);
    wh_digest_get(d, got);
    wh_digest_of("abc", 3, want);
    assert_memory_equal(got, want, sizeof want);
    wh_digest_free(d);
    wh_digest_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("known texts have the digests that xxh128sum prints", known),
        TEST("pieces have the digest of the whole", pieces),
        TEST("many zeros have the digest of as many zeros", zeros),
        TEST("a thread makes the same digest of what is lent to it", lent),
        TEST("a digest may be asked for and feeding goes on", goes_on),
    };

    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
