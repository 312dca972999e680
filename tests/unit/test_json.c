/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON from outside: what is parsed, what is refused, and what refusing costs. */
#include <malloc.h>

#include "base/json.h"
#include "unit.h"

static json_object *parse(const char *text, const char **why, size_t *at)
{
    return wh_json_parse(text, strlen(text), why, at);
}

static void good(void **state)
{
    static const char *const texts[] = {
        "{}", "[]", "{\"a\": [1, 2.5, -3, true, false, null, \"\\u00e9\\\"]\"]}", "17", "\"x\"",
        " {\"a\":{}} \n", "null",
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        const char *why;
        size_t at;
        wh_auto_json json_object *o = parse(texts[i], &why, &at);

        if (strcmp(texts[i], "null") != 0 && !o)
            fail_msg("%s: %s at %zu", texts[i], why, at);
    }
}

static void bad(void **state)
{
    static const char *const texts[] = {
        "", " ", "{", "}", "{]", "[1,]", "{\"a\"}", "{\"a\":1,}", "{} {}", "{}x", "\"", "\"\\",
        "nul", "{a:1}", "'x'", "{\"a\":\"\xff\"}", "[1 2]", "\\", "{\"a\":\"\n\"}x",
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(texts); i++) {
        const char *why = NULL;
        size_t at = 0;
        wh_auto_json json_object *o = parse(texts[i], &why, &at);

        if (o || !why)
            fail_msg("accepted: %s", texts[i]);
        assert_string_equal(why, "not JSON");
        assert_true(at <= strlen(texts[i]));
    }
}

static void nuls(void **state)
{
    const char *why;
    size_t at;

    (void)state;
    wh_auto_json json_object *ends = wh_json_parse("{}\0\0", 4, &why, &at);
    assert_non_null(ends);
    wh_auto_json json_object *within = wh_json_parse("{\0}", 3, &why, &at);
    assert_null(within);
    assert_string_equal(why, "not JSON");
    wh_auto_json json_object *only = wh_json_parse("\0\0", 2, &why, &at);
    assert_null(only);
}

static void nested(const char *open, const char *close, unsigned depth, char *text)
{
    text[0] = '\0';
    for (unsigned i = 0; i < depth; i++)
        text = stpcpy(text, open);
    for (unsigned i = 0; i < depth; i++)
        text = stpcpy(text, close);
}

static void depth(void **state)
{
    static char text[200000];
    const char *why;
    size_t at;

    (void)state;
    nested("[", "]", WH_JSON_DEPTH - 1, text);
    wh_auto_json json_object *o = parse(text, &why, &at);
    assert_non_null(o);
    nested("[", "]", WH_JSON_DEPTH + 1, text);
    wh_auto_json json_object *deep = parse(text, &why, &at);
    assert_null(deep);
    assert_int_equal(at, WH_JSON_DEPTH);
    nested("[", "]", 10000, text);
    wh_auto_json json_object *deeper = parse(text, &why, &at);
    assert_null(deeper);
    assert_says(why, "deep");
    text[0] = '"';
    memset(text + 1, '[', 1000);
    strcpy(text + 1001, "\"");
    wh_auto_json json_object *quoted = parse(text, &why, &at);
    assert_non_null(quoted);
}

/* The costliest texts of a MiB that are let through stay within what is said. */
static void memory(void **state)
{
    static const char *const pieces[] = { "{},", "[],", "1,", "\"\",", "[[]],", "{\"a\":{}},",
                                          "1.5,", "{\"\":1}," };
    wh_auto_free char *text = malloc(1u << 20);

    (void)state;
    for (size_t i = 0; i < WH_COUNT(pieces); i++) {
        for (size_t n = 1000; n < 1u << 20; n += n / 2) {
            const char *why;
            size_t at, piece = strlen(pieces[i]);
            char *end = text;

            *end++ = '[';
            while ((size_t)(end - text) + piece + 2 < n)
                end = stpcpy(end, pieces[i]);
            end[-1] = ']';
            size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
            wh_auto_json json_object *o = wh_json_parse(text, (size_t)(end - text), &why, &at);
            size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;

            assert_true(o || strcmp(why, "too many values") == 0);
            /* Strings and the texts of fractions are kept as they stand. */
            if (o && after - before > WH_JSON_MEMORY + n)
                fail_msg("%zu bytes of %s take %zu", n, pieces[i], after - before);
        }
    }
}

static void paths(void **state)
{
    static const char text[] = "{\"b_info\": {\"max_memkb\": 18446744073709551615, \"n\": \"x\","
                               " \"type.pv\": {}}, \"list\": [1], \"half\": 0.5, \"no\": null}";
    const char *why;
    size_t at;

    (void)state;
    wh_auto_json json_object *o = parse(text, &why, &at);
    assert_non_null(o);
    assert_true(wh_json_number(o, "b_info.max_memkb", 7) == UINT64_MAX);
    assert_int_equal(wh_json_number(o, "b_info.n", 7), 7);
    assert_int_equal(wh_json_number(o, "b_info.missing", 7), 7);
    assert_int_equal(wh_json_number(o, "missing.max_memkb", 7), 7);
    assert_int_equal(wh_json_number(o, "list.max_memkb", 7), 7);
    assert_int_equal(wh_json_number(o, "half", 7), 7);
    assert_int_equal(wh_json_number(o, "no", 7), 7);
    assert_int_equal(wh_json_number(NULL, "no", 7), 7);
    assert_string_equal(wh_json_string(o, "b_info.n", "?"), "x");
    assert_string_equal(wh_json_string(o, "b_info.max_memkb", "?"), "?");
    assert_string_equal(wh_json_string(o, "b_info", "?"), "?");
    assert_true(wh_json_has(o, "b_info", "type.pv"));
    assert_false(wh_json_has(o, "b_info", "type.hvm"));
    assert_false(wh_json_has(o, "list", "x"));
    assert_false(wh_json_has(NULL, "b_info", "x"));
}

static void long_keys(void **state)
{
    const char *why;
    char key[200];
    size_t at;

    (void)state;
    wh_auto_json json_object *o = parse("{\"a\": 1}", &why, &at);
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(wh_json_number(o, key, 7), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("JSON of every kind is parsed", good),
        TEST("what is not JSON is refused with a place", bad),
        TEST("NULs end the text and may not stand in it", nuls),
        TEST("text is nested 32 deep at most, in quotes as deep as it likes", depth),
        TEST("what is parsed takes no more memory than is said", memory),
        TEST("members are found along a path, or are missing", paths),
        TEST("a key that is too long is missing", long_keys),
    };

    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
