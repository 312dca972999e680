/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The saving and the restoring engine on a host in memory: what was saved is what comes back. */
#include "engine.h"

static void save(struct host *h, uint32_t domid, struct wh_save *s)
{
    *s = (struct wh_save){ .op = &h->op, .xen = h->xen, .out = &h->sink, .index = &h->index,
                           .domid = domid, .elide_zeros = h->alloc_is_zero };
    assert_works(h, wh_xen_shutdown(&h->op, h->xen, domid, WH_SUSPEND));
    assert_works(h, wh_save_begin(s));
    assert_works(h, wh_save_rest(s));
    assert_works(h, wh_sink_end(&h->op, &h->sink));
    wh_save_free(s);
}

static void comes_back(struct host *h, const struct wh_fake_guest *g)
{
    uint32_t from = wh_fake_guest(h->fake, g), to;
    struct wh_save s;
    char why[256];

    save(h, from, &s);
    to = empty_domain(h, g);
    assert_works(h, restore(h, to, g));
    if (!wh_fake_same(h->fake, from, h->fake, to, why, sizeof why))
        fail_msg("the guest that came back is another one: %s", why);
}

static void a_pvh_guest_comes_back_as_it_was(void **state)
{
    comes_back(*state, &(struct wh_fake_guest){ .name = "g", .mb = 40, .seed = 1,
                                                .zero_percent = 50, .holes_percent = 5,
                                                .vcpus = 3 });
}

static void memory_of_former_guests_does_not_show_through(void **state)
{
    wh_fake_stale(((struct host *)*state)->fake, true);
    comes_back(*state, &(struct wh_fake_guest){ .name = "g", .mb = 16, .seed = 4,
                                                .zero_percent = 80 });
}

static void a_64_bit_pv_guest_comes_back_as_it_was(void **state)
{
    comes_back(*state, &(struct wh_fake_guest){ .kind = WH_FAKE_PV, .name = "g", .mb = 24,
                                                .seed = 2, .zero_percent = 30, .vcpus = 2,
                                                .holes_percent = 3 });
}

static void a_pv_guest_with_a_tree_comes_back_as_it_was(void **state)
{
    comes_back(*state, &(struct wh_fake_guest){ .kind = WH_FAKE_PV, .name = "g", .mb = 24,
                                                .seed = 3, .p2m = WH_FAKE_TREE });
}

static void a_32_bit_pv_guest_comes_back_as_it_was(void **state)
{
    comes_back(*state, &(struct wh_fake_guest){ .kind = WH_FAKE_PV, .name = "g", .mb = 24,
                                                .seed = 5, .width = 4, .vcpus = 2 });
}

static void a_32_bit_pv_guest_with_a_tree_comes_back_as_it_was(void **state)
{
    comes_back(*state, &(struct wh_fake_guest){ .kind = WH_FAKE_PV, .name = "g", .mb = 24,
                                                .seed = 6, .width = 4, .p2m = WH_FAKE_TREE });
}

/* -------------------------------------------------------------------------------- zeros */

#define PAGES 2500              /* more than fit into two mappings */

/* Each page's first byte: 0, or what it was filled with. */
static void fill(struct wh_restore *r, uint64_t first, uint64_t end, uint8_t with)
{
    uint64_t entry[WH_BATCH_MAX];
    uint8_t *to;

    for (uint64_t at = first, n; at < end; at += n) {
        n = end - at < WH_BATCH_MAX ? end - at : WH_BATCH_MAX;
        for (uint64_t i = 0; i < n; i++)
            entry[i] = at + i;
        assert_true(wh_restore_place(r, entry, n, &to));
        memset(to, with, n * WH_PAGE_SIZE);
        assert_true(wh_restore_placed(r, entry, n, to, true));
    }
}

static void alloc(struct wh_restore *r, uint64_t first, uint64_t end)
{
    uint64_t entry[PAGES];

    for (uint64_t i = first; i < end; i++)
        entry[i - first] = (uint64_t)WH_PAGE_XALLOC << 60 | i;
    assert_true(wh_restore_entries(r, entry, end - first));
}

static void assert_filled(struct host *h, uint32_t domid, uint64_t first, uint64_t end, uint8_t with)
{
    for (uint64_t pfn = first; pfn < end; pfn++) {
        const uint8_t *p = wh_fake_page(h->fake, domid, pfn);

        assert_non_null(p);
        assert_true(p[0] == with && memcmp(p, p + 1, WH_PAGE_SIZE - 1) == 0);
    }
}

static void a_page_to_be_allocated_is_zeroed_if_it_is_new_or_zeros_are_elided(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .name = "g", .mb = 16 };
    struct wh_restore r = { .op = &h->op, .xen = h->xen, .hvm = true, .max_pages = 4096 };

    wh_fake_stale(h->fake, true);
    wh_restore_init(&r);
    r.domid = empty_domain(h, &g);
    fill(&r, 0, 100, 0x5a);
    alloc(&r, 0, PAGES);
    assert_filled(h, r.domid, 0, 100, 0x5a);
    assert_filled(h, r.domid, 100, PAGES, 0);

    fill(&r, 0, PAGES, 0x5b);
    r.alloc_is_zero = true;
    uint64_t before = wh_fake_calls(h->fake);
    alloc(&r, 10, PAGES);
    assert_filled(h, r.domid, 0, 10, 0x5b);
    assert_filled(h, r.domid, 10, PAGES, 0);
    assert_true(wh_fake_calls(h->fake) - before <= 6);      /* map and unmap, three times */
    wh_restore_free(&r);
}

/* ------------------------------------------------------------------------------ economy */

static void holes_are_not_asked_about_once_all_pages_are_found(void **state)
{
    struct host *h = *state;
    uint32_t domid = wh_fake_guest_pvh(h->fake, "g", 32, 1, 0);
    struct wh_save s;

    save(h, domid, &s);
    assert_true(s.looked_at < 32 * 256 + 32 * 1024);     /* of a million frames */
    assert_true(s.found >= 32 * 256 - 1);
}

static void zero_pages_are_holes_of_the_file(void **state)
{
    struct host *h = *state;
    uint32_t domid = wh_fake_guest_pvh(h->fake, "g", 32, 1, 100);
    struct wh_save s;

    save(h, domid, &s);
    assert_true(h->sink.holes > (30u << 20));
    assert_true(h->sink.at > (32u << 20));
}

static void whole_superpages_are_given_in_one_piece(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .name = "g", .mb = 32, .seed = 1 };
    uint32_t domid = wh_fake_guest(h->fake, &g), to;
    struct wh_save s;

    save(h, domid, &s);
    to = empty_domain(h, &g);
    uint64_t before = wh_fake_calls(h->fake);
    assert_works(h, restore(h, to, &g));
    assert_true(wh_fake_calls(h->fake) - before < 120);
}

static void superpages_are_given_whole_where_zeros_are_elided(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .name = "g", .mb = 32, .seed = 1, .zero_percent = 50 };
    uint32_t domid = wh_fake_guest(h->fake, &g), to;
    struct wh_save s;

    h->alloc_is_zero = true;
    save(h, domid, &s);
    assert_true(s.zeros > 1000);
    to = empty_domain(h, &g);
    assert_works(h, restore(h, to, &g));
    assert_true(h->superpages >= 15);
}

/* ---------------------------------------------------------------------------------- a GiB */

#define GIB (UINT64_C(1) << 18)

static void begin_large(struct host *h, struct wh_restore *r, uint64_t most, uint64_t free_pages)
{
    struct wh_fake_guest g = { .name = "g", .mb = (most >> 8) - 1 };

    *r = (struct wh_restore){ .op = &h->op, .xen = h->xen, .hvm = true, .max_pages = most, .own_pages = GIB };
    wh_fake_set_free(h->fake, free_pages);
    wh_restore_init(r);
    r->domid = empty_domain(h, &g);
}

static uint64_t pages_of(struct host *h, uint32_t domid)
{
    struct wh_domain d;
    bool there;

    assert_works(h, wh_xen_domain(&h->op, h->xen, domid, &d, &there));
    return d.pages;
}

static void a_gib_is_given_at_once_and_what_is_not_named_is_taken_back(void **state)
{
    struct host *h = *state;
    struct wh_restore r;

    wh_fake_stale(h->fake, true);
    begin_large(h, &r, GIB + 512, 2 * GIB);
    fill(&r, 0, 1024, 0x5b);
    assert_int_equal(r.gigapages, 1);
    assert_int_equal(r.superpages, 0);
    assert_int_equal(pages_of(h, r.domid), GIB);
    alloc(&r, 1024, 1500);
    fill(&r, 1600, 1601, 0x5c);
    alloc(&r, 0, 10);                   /* these have contents */
    assert_true(wh_restore_has(&r, 1600));
    assert_false(wh_restore_has(&r, 1599));
    wh_restore_finish(&r);              /* it lacks all the rest of a guest */
    assert_int_equal(pages_of(h, r.domid), 1501);
    assert_filled(h, r.domid, 0, 1024, 0x5b);
    assert_filled(h, r.domid, 1024, 1500, 0);
    assert_filled(h, r.domid, 1600, 1601, 0x5c);
    assert_null(wh_fake_page(h->fake, r.domid, 1599));
    fill(&r, 1599, 1600, 0x5d);         /* and is given again, if it comes to that */
    assert_filled(h, r.domid, 1599, 1600, 0x5d);
    wh_restore_free(&r);
}

static void a_gib_given_ahead_leaves_room_for_what_else_the_guest_has(void **state)
{
    struct host *h = *state;
    struct wh_restore r;

    begin_large(h, &r, GIB, 2 * GIB);
    fill(&r, 0, 1024, 0x5b);
    assert_int_equal(r.gigapages, 1);
    fill(&r, 4 * GIB, 4 * GIB + 100, 0x5c);
    assert_filled(h, r.domid, 0, 1024, 0x5b);
    assert_filled(h, r.domid, 4 * GIB, 4 * GIB + 100, 0x5c);
    assert_int_equal(pages_of(h, r.domid), 1124);
    wh_restore_free(&r);
    begin_large(h, &r, GIB, 2 * GIB);
    fill(&r, 0, 1024, 0x5b);
    uint64_t both[] = { 1024, 4 * GIB };
    uint8_t *p;
    assert_works(h, wh_restore_place(&r, both, 2, &p));
    memset(p, 0x5c, 2 * WH_PAGE_SIZE);
    assert_works(h, wh_restore_placed(&r, both, 2, p, true));
    assert_filled(h, r.domid, 1024, 1025, 0x5c);
    assert_int_equal(pages_of(h, r.domid), 1026);
    wh_restore_free(&r);
}

static void a_gib_that_is_not_to_be_had_or_not_the_guests_is_given_in_parts(void **state)
{
    struct host *h = *state;
    struct wh_restore r;

    begin_large(h, &r, GIB + 512, GIB / 2);
    fill(&r, 0, 1024, 0x5b);
    assert_int_equal(r.gigapages, 0);
    assert_int_equal(r.superpages, 2);
    wh_restore_free(&r);
    for (unsigned way = 0; way < 3; way++) {
        uint64_t at = way == 0 ? 0 : way == 1 ? 512 : 4 * GIB;

        begin_large(h, &r, GIB + 512, 2 * GIB);
        r.own_pages -= way == 0 ? 1 : 0;
        fill(&r, at, at + 512, 0x5b);
        assert_int_equal(r.gigapages, 0);
        assert_int_equal(r.superpages, 1);
        wh_restore_free(&r);
    }
}

/* ---------------------------------------------------------------------------- hostility */

static void an_image_larger_than_its_domain_is_refused(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .name = "g", .mb = 32, .seed = 1 };
    uint32_t domid = wh_fake_guest(h->fake, &g), to;
    struct wh_save s;

    save(h, domid, &s);
    g.mb = 16;
    to = empty_domain(h, &g);
    assert_false(restore(h, to, &g));
    assert_int_equal(h->op.err.kind, WH_STREAM);
    assert_string_equal(h->op.err.text, "the image has more pages than the 17 MiB that its "
                                        "configuration allows");
}

static void more_vcpus_than_configured_are_refused(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .kind = WH_FAKE_PV, .name = "g", .mb = 16, .seed = 1, .vcpus = 4 };
    uint32_t domid = wh_fake_guest(h->fake, &g), to;
    struct wh_save s;

    save(h, domid, &s);
    g.vcpus = 2;
    to = empty_domain(h, &g);
    assert_false(restore(h, to, &g));
    assert_string_equal(h->op.err.text, "the image has a vcpu 2, its configuration 2 of them");
}

static void an_image_of_the_other_kind_of_guest_is_refused(void **state)
{
    struct host *h = *state;
    struct wh_fake_guest g = { .kind = WH_FAKE_PV, .name = "g", .mb = 16, .seed = 1 };
    uint32_t domid = wh_fake_guest(h->fake, &g), to;
    struct wh_save s;

    save(h, domid, &s);
    g.kind = WH_FAKE_PVH;
    to = empty_domain(h, &g);
    assert_false(restore(h, to, &g));
    assert_int_equal(h->op.err.kind, WH_STREAM);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        HOST_TEST(a_pvh_guest_comes_back_as_it_was),
        HOST_TEST(memory_of_former_guests_does_not_show_through),
        HOST_TEST(a_64_bit_pv_guest_comes_back_as_it_was),
        HOST_TEST(a_pv_guest_with_a_tree_comes_back_as_it_was),
        HOST_TEST(a_32_bit_pv_guest_comes_back_as_it_was),
        HOST_TEST(a_32_bit_pv_guest_with_a_tree_comes_back_as_it_was),
        HOST_TEST(a_page_to_be_allocated_is_zeroed_if_it_is_new_or_zeros_are_elided),
        HOST_TEST(holes_are_not_asked_about_once_all_pages_are_found),
        HOST_TEST(zero_pages_are_holes_of_the_file),
        HOST_TEST(whole_superpages_are_given_in_one_piece),
        HOST_TEST(superpages_are_given_whole_where_zeros_are_elided),
        HOST_TEST(a_gib_is_given_at_once_and_what_is_not_named_is_taken_back),
        HOST_TEST(a_gib_given_ahead_leaves_room_for_what_else_the_guest_has),
        HOST_TEST(a_gib_that_is_not_to_be_had_or_not_the_guests_is_given_in_parts),
        HOST_TEST(an_image_larger_than_its_domain_is_refused),
        HOST_TEST(more_vcpus_than_configured_are_refused),
        HOST_TEST(an_image_of_the_other_kind_of_guest_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
