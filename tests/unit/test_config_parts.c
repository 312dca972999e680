/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The small parts of a configuration: uuids, MACs, disks' names, sets of CPUs. */
#include "config/bits.h"
#include "base/json.h"
#include "config/mac.h"
#include "config/uuid.h"
#include "config/vdev.h"
#include "unit.h"

static void uuids(void **state)
{
    static const char *const bad[] = {
        "", "b7ad599f", "b7ad599faf344ae59ad45ae6a79079d3", "b7ad599f-af34-4ae5-9ad4-5ae6a79079d",
        "b7ad599f-af34-4ae5-9ad4-5ae6a79079d33", "b7ad599f-af34-4ae5-9ad4_5ae6a79079d3",
        "g7ad599f-af34-4ae5-9ad4-5ae6a79079d3", " b7ad599f-af34-4ae5-9ad4-5ae6a79079d3",
        "b7ad599f-af34-4ae5-9ad4-5ae6a79079d3 ", "b7ad599faf-34-4ae5-9ad4-5ae6a79079d3",
        "b7ad599f-af34-4ae5-9ad45ae6a-79079d3",
    };
    char text[WH_UUID_TEXT];
    struct wh_uuid u = { { 1 } };

    (void)state;
    assert_true(wh_uuid_parse("B7AD599F-af34-4AE5-9ad4-5ae6a79079d3", &u));
    assert_int_equal(u.byte[0], 0xb7);
    assert_int_equal(u.byte[15], 0xd3);
    assert_string_equal(wh_uuid_print(u, text), "b7ad599f-af34-4ae5-9ad4-5ae6a79079d3");
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        struct wh_uuid kept = u;

        if (wh_uuid_parse(bad[i], &u))
            fail_msg("taken for a uuid: %s", bad[i]);
        assert_true(wh_uuid_equal(u, kept));
    }
}

static void new_uuids(void **state)
{
    struct wh_uuid a = { 0 }, b = { 0 };
    char text[WH_UUID_TEXT];

    (void)state;
    assert_true(wh_uuid_make(&a) && wh_uuid_make(&b));
    assert_false(wh_uuid_equal(a, b));
    assert_false(wh_uuid_is_zero(a));
    assert_true(wh_uuid_is_zero((struct wh_uuid){ 0 }));
    wh_uuid_print(a, text);
    assert_int_equal(text[14], '4');
    assert_non_null(strchr("89ab", text[19]));
}

static void macs(void **state)
{
    static const struct { const char *text, *printed; } good[] = {
        { "00:16:3e:12:34:56", "00:16:3e:12:34:56" }, { "0:16:3E:a:B:c", "00:16:3e:0a:0b:0c" },
        { "00-16-3e-12-34-56", "00:16:3e:12:34:56" }, { "ff:ff:ff:ff:ff:ff", "ff:ff:ff:ff:ff:ff" },
    };
    static const char *const bad[] = {
        "", ":", "00:16:3e:12:34", "00:16:3e:12:34:", "00:16:3e:12:34:56:78", "00:16:3e:12:34:567",
        "00:16:3e:12-34:56", "0016:3e:12:34:56", "00163e123456", "00:16:3e:12:34:5g",
        " 00:16:3e:12:34:56", "00:16:3e::34:56", "00.16.3e.12.34.56", "-1:16:3e:12:34:56",
    };
    char text[WH_MAC_TEXT];
    struct wh_mac m;

    (void)state;
    for (size_t i = 0; i < WH_COUNT(good); i++) {
        if (!wh_mac_parse(good[i].text, &m))
            fail_msg("refused: %s", good[i].text);
        assert_string_equal(wh_mac_print(m, text), good[i].printed);
    }
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        if (wh_mac_parse(bad[i], &m))
            fail_msg("taken for a MAC: %s", bad[i]);
    }
}

static void new_macs(void **state)
{
    static const uint8_t xen[3] = { 0x00, 0x16, 0x3e };
    struct wh_mac a, b;
    unsigned different = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        assert_true(wh_mac_make(&a) && wh_mac_make(&b));
        assert_memory_equal(a.byte, xen, 3);
        assert_true(a.byte[3] < 0x80);
        assert_false(wh_mac_is_zero(a));
        different += memcmp(&a, &b, sizeof a) != 0;
    }
    assert_true(different > 4);
}

static void vdevs(void **state)
{
    static const struct { const char *vdev; uint32_t number; unsigned disk, partition; } good[] = {
        { "xvda",    51712,          0,  0 },     { "xvda1",     51713,              0,   1 },
        { "xvdb",    51728,          1,  0 },     { "xvdp15",    51967,              15,  15 },
        { "xvdq",    (1u << 28) + 4096,  16,  0 }, { "xvda16",   (1u << 28) + 16,    0,   16 },
        { "xvdaa",   (1u << 28) + 6656,  26,  0 }, { "xvdz255",  (1u << 28) + 6655,  25,  255 },
        { "hda",     768,            0,  0 },     { "hdb",       832,                1,   0 },
        { "hdb3",    835,            1,  3 },     { "hdc",       5632,               2,   0 },
        { "hdd63",   5759,           3,  63 },    { "sda",       2048,               0,   0 },
        { "sdp15",   2303,           15, 15 },    { "d0",        51712,              0,   0 },
        { "d0p1",    51713,          0,  1 },     { "d30p2",     (1u << 28) + 7682,  30,  2 },
        { "51712",   51712,          0,  0 },     { "0xca00",    51712,              0,   0 },
        { "0",       0,              0,  0 },
    };
    static const char *const bad[] = {
        "", "x", "xvd", "xvdA", "xvda0", "xvda01", "xvda256", "xvda-1", "xvda1x", "xvda/1", "zda",
        "hde", "hda64", "sdq", "sda16", "sdaa", "d", "d00", "d0p", "d0p256", "d1048576", "d0p01",
        "xvdzzzzzzzz", "536870912", "99999999999999999999", "-1", "1 ", "0x", "../xvda", "ioemu:hda",
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(good); i++) {
        uint32_t number = 1;
        unsigned disk = 1, partition = 1;

        if (!wh_vdev_number(good[i].vdev, &number, &disk, &partition) ||
            number != good[i].number || disk != good[i].disk || partition != good[i].partition)
            fail_msg("%s: number %u, disk %u, partition %u", good[i].vdev, number, disk, partition);
    }
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        uint32_t number;

        if (wh_vdev_number(bad[i], &number, NULL, NULL))
            fail_msg("taken for a disk: %s", bad[i]);
    }
}

static void bits(void **state)
{
    struct wh_bits a = { 0 }, b = { 0 };

    (void)state;
    assert_int_equal(wh_bits_end(&a), 0);
    assert_true(wh_bits_add(&a, 0) && wh_bits_add(&a, 64) && wh_bits_add(&a, WH_BITS_MAX - 1));
    assert_false(wh_bits_add(&a, WH_BITS_MAX));
    assert_true(wh_bits_has(&a, 64) && !wh_bits_has(&a, 63) && !wh_bits_has(&a, 1u << 31));
    assert_int_equal(wh_bits_count(&a), 3);
    assert_int_equal(wh_bits_end(&a), WH_BITS_MAX);
    wh_bits_remove(&a, WH_BITS_MAX - 1);
    wh_bits_remove(&a, 1u << 31);
    assert_int_equal(wh_bits_end(&a), 65);
    assert_true(wh_bits_add(&b, 64));
    assert_false(wh_bits_equal(&a, &b));
    assert_true(wh_bits_add_range(&b, 0, 1));
    assert_true(wh_bits_equal(&a, &b) && wh_bits_equal(&b, &a));
    wh_bits_remove(&a, 64);
    assert_true(wh_bits_copy(&b, &a));
    assert_int_equal(wh_bits_count(&b), 1);
    wh_bits_free(&a);
    assert_int_equal(wh_bits_count(&b), 1);
    assert_true(wh_bits_copy(&b, &a));
    assert_int_equal(wh_bits_end(&b), 0);
    wh_bits_free(&b);
}

static void texts(void **state)
{
    (void)state;
    assert_true(wh_json_is_text(""));
    assert_true(wh_json_is_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\xa3"));
    assert_false(wh_json_is_text("caf\xe9"));
    assert_false(wh_json_is_text("\xc3"));
    assert_false(wh_json_is_text("a\xed\xa0\x80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a uuid is 36 characters of its form", uuids),
        TEST("a new uuid is random, version 4", new_uuids),
        TEST("a MAC is six bytes in hex", macs),
        TEST("a new MAC is of Xen's", new_macs),
        TEST("a disk's name gives its number", vdevs),
        TEST("a set holds numbers below 8192", bits),
        TEST("text is UTF-8 or it is not", texts),
    };

    return cmocka_run_group_tests_name("config parts", tests, NULL, NULL);
}
