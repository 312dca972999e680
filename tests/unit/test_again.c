/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All pages are sent twice, and who restores compares: what differs is found and not written over, and
 * what may differ is left out. */
#include "base/holes.h"
#include "engine.h"
#include "mem/again.h"
#include "mem/live.h"
#include "xen/fake_parts.h"

#define MB 8
#define PAGES (MB * 256)
#define STORE_HVM 0xfeffcu          /* the rings of guests in memory */
#define CONSOLE_HVM 0xfefffu
#define STORE_PV 2
#define CONSOLE_PV 3
#define AT 72                       /* what is altered of a page: in an entry of a table, that it was used */
#define BIT 0x20

static const struct wh_fake_guest pvh = { .name = "g", .mb = MB, .seed = 1, .zero_percent = 30,
                                          .holes_percent = 5, .vcpus = 2 };
static const struct wh_fake_guest hvm = { .kind = WH_FAKE_HVM, .name = "g", .mb = MB, .seed = 2 };
static const struct wh_fake_guest pv = { .kind = WH_FAKE_PV, .name = "g", .mb = MB, .seed = 3,
                                         .zero_percent = 50, .holes_percent = 3 };
static const struct wh_fake_guest pv32 = { .kind = WH_FAKE_PV, .name = "g", .mb = MB, .seed = 4,
                                           .width = 4, .p2m = WH_FAKE_TREE };

struct again {
    struct host *h;
    const struct wh_fake_guest *guest;
    uint32_t from, to;
    struct wh_save s;
    struct wh_live live;
    struct wh_again again;
    uint64_t alters[4];             /* pages that change between the passes; 0: none */
    uint64_t empties;               /* and one that becomes zeros */
    bool forgets;                   /* what the pages were when they were sent first */
    unsigned passes;
};

/* The grants are looked at between the passes.  Nobody is told of what is written. */
static void heard(void *arg, const char *call)
{
    struct again *a = arg;

    if (strcmp(call, "grants") != 0)
        return;
    a->passes++;
    for (size_t i = 0; i < WH_COUNT(a->alters) && a->alters[i]; i++)
        wh_fake_page(a->h->fake, a->from, a->alters[i])[AT] ^= BIT;
    if (a->empties)
        memset(wh_fake_page(a->h->fake, a->from, a->empties), 0, WH_PAGE_SIZE);
    if (a->forgets)
        memset(a->again.sum, 0, a->again.frames * sizeof *a->again.sum);
}

static bool copy_running(struct again *a)
{
    a->s.live = &a->live;
    a->live = (struct wh_live){ .want = { .downtime_ms = 1000, .timeout_ms = 60000, .max_rounds = 2,
                                          .max_bytes = WH_NO_LIMIT } };
    return wh_live_begin(&a->s) && wh_live_rounds(&a->s);
}

static void guest(struct again *a, struct host *h, const struct wh_fake_guest *g)
{
    a->h = h;
    a->guest = g;
    a->from = wh_fake_guest(h->fake, g);
}

/* Into the host's file, with both passes. */
static void save(struct again *a, bool live)
{
    struct host *h = a->h;

    a->s = (struct wh_save){ .op = &h->op, .xen = h->xen, .out = &h->sink, .index = &h->index,
                             .domid = a->from, .again = &a->again, .elide_zeros = h->alloc_is_zero };
    wh_fake_listen(h->fake, heard, a);
    assert_works(h, wh_save_begin(&a->s));
    assert_works(h, !live || copy_running(a));
    assert_works(h, wh_xen_shutdown(&h->op, h->xen, a->from, WH_SUSPEND));
    assert_works(h, wh_save_rest(&a->s));
    assert_works(h, wh_sink_end(&h->op, &h->sink) && (!live || wh_live_end(&a->s)));
    wh_fake_listen(h->fake, NULL, NULL);
    assert_int_equal(a->passes, 1);
    wh_save_free(&a->s);
    wh_live_free(&a->live);
    wh_again_free(&a->again);
}

struct found {
    bool ok;
    uint64_t compared, differ, first;
};

/* What the restoring engine finds; its domain is a->to. */
static struct found restored(struct again *a, bool must_match)
{
    struct host *h = a->h;
    struct wh_source src;
    struct wh_walk w;
    struct way to;

    a->to = empty_domain(h, a->guest);
    prepare(&to, h, a->to, a->guest);
    to.r.must_match = must_match;
    assert_true(wh_source_open(&h->op, &src, h->fd) && wh_walk_init(&w, &h->op, &src, &watch, &to));
    assert_works(h, wh_walk_stream(&w));
    struct found f = { .ok = wh_restore_finish(&to.r), .compared = to.r.compared,
                       .differ = to.r.differ.count, .first = wh_compare_first(&to.r) };
    wh_walk_free(&w);
    wh_source_close(&src);
    wh_restore_free(&to.r);
    return f;
}

static uint8_t byte_of(const struct again *a, uint32_t domid, uint64_t pfn)
{
    return wh_fake_page(a->h->fake, domid, pfn)[AT];
}

/* Just this one page differs, and the restored guest has what it was. */
static void finds_only(struct again *a, uint64_t pfn)
{
    struct found f = restored(a, false);

    if (!f.ok)
        fail_msg("%s", a->h->op.err.text);
    assert_int_equal(f.differ, 1);
    assert_int_equal(f.first, pfn);
    assert_int_equal(byte_of(a, a->from, pfn) ^ BIT, byte_of(a, a->to, pfn));
}

static void finds_nothing(struct again *a)
{
    struct found f = restored(a, true);

    if (!f.ok)
        fail_msg("%s", a->h->op.err.text);
    assert_int_equal(f.differ, 0);
    assert_int_equal(f.compared, a->again.pages);
}

/* ------------------------------------------------------------------------------------- good */

static void is_the_same(struct host *h, const struct wh_fake_guest *g, bool live)
{
    struct again a = { 0 };
    char why[256];

    guest(&a, h, g);
    save(&a, live);
    finds_nothing(&a);
    assert_int_equal(a.again.left_out, 2);          /* the rings are granted */
    assert_in_range(a.again.pages, wh_fake_state(h->fake, a.from).pages - 3,
                    wh_fake_state(h->fake, a.from).pages);
    assert_in_range(a.s.found - a.again.pages, 2, live ? 99 : 2);
    if (!wh_fake_same(h->fake, a.from, h->fake, a.to, why, sizeof why))
        fail_msg("the guest that came back is another one: %s", why);
}

static void a_pvh_guest_is_the_same_twice(void **state)
{
    is_the_same(*state, &pvh, false);
}

static void a_pvh_guest_that_ran_is_the_same_twice(void **state)
{
    is_the_same(*state, &pvh, true);
}

static void an_hvm_guest_without_its_zeros_is_the_same_twice(void **state)
{
    ((struct host *)*state)->alloc_is_zero = true;
    is_the_same(*state, &hvm, true);
}

static void a_pv_guest_is_the_same_twice(void **state)
{
    is_the_same(*state, &pv, false);
}

static void a_32_bit_pv_guest_is_the_same_twice(void **state)
{
    is_the_same(*state, &pv32, false);
}

/* Where a page is to be found is where it was first. */
static void the_second_pass_is_not_in_the_index(void **state)
{
    struct host *h = *state;
    struct again a = { 0 };

    guest(&a, h, &pvh);
    save(&a, false);
    assert_int_equal(h->index.count * 2, a.s.batches);
}

/* ------------------------------------------------------------------------------------ wrong */

/* Sent while the guest ran, and another since: nobody knows why. */
static void what_changed_unseen_is_found_and_not_written_over(void **state)
{
    struct host *h = *state;
    struct again a = { .alters = { 900, 1500 } };

    guest(&a, h, &hvm);
    save(&a, true);
    struct found f = restored(&a, true);
    assert_false(f.ok);
    assert_int_equal(h->op.err.kind, WH_STREAM);
    assert_says(h->op.err.text, "2 of ");
    assert_says(h->op.err.text, "pages that were sent again are not what they were the first time, the "
                                "first of them page 0x384");
    assert_int_equal(byte_of(&a, a.from, 1500) ^ BIT, byte_of(&a, a.to, 1500));
}

static void who_need_not_match_is_told_and_has_the_first(void **state)
{
    struct again a = { .alters = { 901 } };

    guest(&a, *state, &hvm);
    save(&a, true);
    finds_only(&a, 901);
}

static void a_page_is_compared_with_zeros(void **state)
{
    static const struct wh_fake_guest empty = { .name = "g", .mb = MB, .zero_percent = 100 };
    struct host *h = *state;
    struct again a = { .alters = { 1000 } };

    h->alloc_is_zero = true;
    guest(&a, h, &empty);
    save(&a, true);
    finds_only(&a, 1000);
}

static void zeros_are_compared_with_a_page(void **state)
{
    struct host *h = *state;
    struct again a = { .empties = 1001 };

    h->alloc_is_zero = true;
    guest(&a, h, &hvm);
    save(&a, true);
    struct found f = restored(&a, false);
    assert_true(f.ok);
    assert_int_equal(f.differ, 1);
    assert_int_equal(f.first, 1001);
    assert_false(wh_page_is_zero(wh_fake_page(h->fake, a.to, 1001)));
}

/* It is not given memory, either. */
static void a_page_that_comes_only_the_second_time_is_found(void **state)
{
    struct host *h = *state;
    struct wh_restore r = { .op = &h->op, .xen = h->xen, .hvm = true, .max_pages = PAGES };
    const uint64_t entry[] = { 5, 6 };
    uint8_t *to;

    wh_restore_init(&r);
    r.domid = empty_domain(h, &hvm);
    assert_true(wh_restore_place(&r, entry, 1, &to));
    memset(to, 0x55, WH_PAGE_SIZE);
    assert_true(wh_restore_placed(&r, entry, 1, to, true));
    assert_true(wh_compare_begin(&r));
    assert_true(wh_restore_place(&r, entry, 2, &to));
    memset(to, 0x55, 2 * WH_PAGE_SIZE);
    assert_true(wh_restore_placed(&r, entry, 2, to, true));
    assert_int_equal(r.compared, 2);
    assert_int_equal(r.differ.count, 1);
    assert_int_equal(wh_compare_first(&r), 6);
    assert_null(wh_fake_page(h->fake, r.domid, 6));
    wh_restore_free(&r);
}

static void a_pv_guest_s_page_tables_are_compared(void **state)
{
    struct again a = { .forgets = true };

    guest(&a, *state, &pv);
    const struct fake_domain *d = wh_fake_find(a.h->fake, a.from);
    while ((d->pfn[a.alters[0]].type & 7) != WH_PAGE_L1TAB)
        a.alters[0]++;
    save(&a, false);
    finds_only(&a, a.alters[0]);
}

/* ------------------------------------------------------------------------------- may differ */

static void what_changes_while_it_is_suspended_is_left_out(void **state)
{
    struct again a = { .alters = { 900, 1500 } };

    guest(&a, *state, &hvm);
    save(&a, false);                /* all of it was sent while it was suspended */
    assert_int_equal(a.again.left_out, 2 + 2);
    finds_nothing(&a);
}

static void a_pv_guest_s_pages_that_change_meanwhile_are_left_out(void **state)
{
    struct again a = { .alters = { 900, 901, 1500 } };

    guest(&a, *state, &pv);
    for (size_t i = 0; i < 3; i++)
        while (!wh_fake_page(a.h->fake, a.from, a.alters[i]))
            a.alters[i]++;
    save(&a, false);
    assert_int_equal(a.again.left_out, 2 + 3);
    finds_nothing(&a);
}

static void grant(struct again *a, unsigned which, unsigned version, uint16_t flags, uint64_t frame)
{
    uint8_t entry[16] = { 0 };
    void *p;

    memcpy(entry, &flags, sizeof flags);
    memcpy(entry + (version == 1 ? 4 : 8), &frame, version == 1 ? 4 : 8);
    assert_works(a->h, wh_xen_map_grants(&a->h->op, a->h->xen, a->from, 0, &p));
    memcpy((uint8_t *)p + which * (version == 1 ? 8 : 16), entry, version == 1 ? 8 : 16);
    wh_xen_unmap_grants(a->h->xen, p);
}

/* To be written to, only to be read, to be transferred, and not at all. */
static void grants_are_looked_at(struct host *h, unsigned version)
{
    struct again a = { .alters = { 1000, 1001, 1002, 1003 } };

    guest(&a, h, &hvm);
    wh_fake_find(h->fake, a.from)->grant_version = version;
    grant(&a, 0, version, 1, STORE_HVM);
    grant(&a, 1, version, 1, CONSOLE_HVM);
    grant(&a, 5, version, 1 | 8 | 16, 1000);
    grant(&a, 6, version, 1 | 4, 1001);
    grant(&a, 7, version, 2, 1002);
    grant(&a, 8, version, 1, UINT64_C(0xfffffff0));
    /* Their halves, taken for entries, would grant page 1003. */
    grant(&a, 9, version, 2, 1);
    grant(&a, 10, version, 1003, 0);
    save(&a, true);
    struct found f = restored(&a, false);
    assert_int_equal(f.differ, 3);
    assert_int_equal(f.first, 1001);
    assert_true(f.ok);
}

static void what_others_may_write_to_is_left_out(void **state)
{
    grants_are_looked_at(*state, 1);
}

static void what_others_may_write_to_is_left_out_of_a_table_of_version_2(void **state)
{
    grants_are_looked_at(*state, 2);
}

static void a_pv_guest_s_grants_are_of_its_frames(void **state)
{
    struct again a = { .alters = { 900, 901 }, .forgets = true };

    guest(&a, *state, &pv);
    for (size_t i = 0; i < 2; i++)
        while (!wh_fake_page(a.h->fake, a.from, a.alters[i]) || (i && a.alters[1] == a.alters[0]))
            a.alters[i]++;
    grant(&a, 9, 1, 1, wh_fake_find(a.h->fake, a.from)->pfn[a.alters[0]].mfn);
    save(&a, false);
    finds_only(&a, a.alters[1]);
}

/* Nobody has granted them, and they are not what they were: they are cleared, or begin anew. */
static void rings_may_be_anything(struct host *h, const struct wh_fake_guest *g, uint64_t store,
                                  uint64_t console)
{
    struct again a = { .alters = { store, console }, .forgets = true };

    guest(&a, h, g);
    grant(&a, 0, 1, 0, 0);
    grant(&a, 1, 1, 0, 0);
    save(&a, false);
    assert_int_equal(a.again.left_out, 0);
    finds_nothing(&a);
}

static void an_hvm_guest_s_rings_may_be_anything(void **state)
{
    rings_may_be_anything(*state, &pvh, STORE_HVM, CONSOLE_HVM);
}

static void a_pv_guest_s_rings_may_be_anything(void **state)
{
    rings_may_be_anything(*state, &pv, STORE_PV, CONSOLE_PV);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        HOST_TEST(a_pvh_guest_is_the_same_twice),
        HOST_TEST(a_pvh_guest_that_ran_is_the_same_twice),
        HOST_TEST(an_hvm_guest_without_its_zeros_is_the_same_twice),
        HOST_TEST(a_pv_guest_is_the_same_twice),
        HOST_TEST(a_32_bit_pv_guest_is_the_same_twice),
        HOST_TEST(the_second_pass_is_not_in_the_index),
        HOST_TEST(what_changed_unseen_is_found_and_not_written_over),
        HOST_TEST(who_need_not_match_is_told_and_has_the_first),
        HOST_TEST(a_page_is_compared_with_zeros),
        HOST_TEST(zeros_are_compared_with_a_page),
        HOST_TEST(a_page_that_comes_only_the_second_time_is_found),
        HOST_TEST(a_pv_guest_s_page_tables_are_compared),
        HOST_TEST(what_changes_while_it_is_suspended_is_left_out),
        HOST_TEST(a_pv_guest_s_pages_that_change_meanwhile_are_left_out),
        HOST_TEST(what_others_may_write_to_is_left_out),
        HOST_TEST(what_others_may_write_to_is_left_out_of_a_table_of_version_2),
        HOST_TEST(a_pv_guest_s_grants_are_of_its_frames),
        HOST_TEST(an_hvm_guest_s_rings_may_be_anything),
        HOST_TEST(a_pv_guest_s_rings_may_be_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
