/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest in memory that writes, has its balloon let out and blown up while it is copied: what comes
 * back is what it was when it was suspended. */
#include <pthread.h>

#include "engine.h"
#include "mem/live.h"
#include "xen/here.h"

#define GUEST_MB 8
#define BELOW (GUEST_MB * 256)      /* its memory, but for a few special pages under 4 GiB */
#define ABOVE 0x100010u             /* above the highest frame that any of it has */
#define HOT 3                       /* pages with a meaning of their own */
#define ZEROED 5
#define GONE 7
#define HOLE 200                    /* the first of those without memory */

/* What the guest does by itself before each call of the hypervisor; n: of this call, from 1. */
struct life {
    struct host *h;
    uint32_t domid;
    void (*live)(struct life *, const char *call, unsigned n);
    struct { const char *call; unsigned n; } had[64];
    uint64_t seed, written;
    bool busy;
};

static void wrote(struct life *l, uint64_t pfn, int with)
{
    uint8_t *p = wh_fake_page(l->h->fake, l->domid, pfn);

    if (!p)
        return;
    if (with < 0)
        for (size_t i = 0; i < WH_PAGE_SIZE; i += 8)
            memcpy(p + i, &(uint64_t){ unit_random(&l->seed) }, 8);
    else
        memset(p, with, WH_PAGE_SIZE);
    wh_fake_dirty(l->h->fake, l->domid, pfn);
    l->written++;
}

static void wrote_some(struct life *l, unsigned n)
{
    while (n-- > 0)
        wrote(l, unit_below(&l->seed, BELOW), -1);
}

static void heard(void *arg, const char *call)
{
    struct life *l = arg;
    size_t i = 0;

    while (l->had[i].call && strcmp(l->had[i].call, call) != 0)
        i++;
    assert_true(i + 1 < WH_COUNT(l->had));
    l->had[i].call = call;
    l->had[i].n++;
    if (!l->busy && wh_fake_state(l->h->fake, l->domid).running) {
        l->busy = true;
        l->live(l, call, l->had[i].n);
        l->busy = false;
    }
}

/* How often it was called so far. */
static unsigned had(const struct life *l, const char *call)
{
    for (size_t i = 0; l->had[i].call; i++)
        if (strcmp(l->had[i].call, call) == 0)
            return l->had[i].n;
    return 0;
}

/* A guest, and how it is to be saved: in so many rounds if it writes enough. */
struct run {
    struct life life;
    struct wh_fake_guest guest;
    struct wh_save s;
    struct wh_live l;
};

static void begin(struct run *r, struct host *h, const struct wh_fake_guest *g, unsigned rounds,
                  void (*live)(struct life *, const char *, unsigned))
{
    *r = (struct run){ .guest = *g };
    r->life = (struct life){ .h = h, .domid = wh_fake_guest(h->fake, g), .live = live, .seed = 99 };
    r->s = (struct wh_save){ .op = &h->op, .xen = h->xen, .out = &h->sink, .index = &h->index,
                             .domid = r->life.domid, .live = &r->l };
    /* Who has time is not stopped for coming no nearer. */
    r->l = (struct wh_live){ .want = { .timeout_ms = 600000, .max_rounds = rounds,
                                       .max_bytes = WH_NO_LIMIT }, .fixed_ms = 1 };
    if (live)
        wh_fake_listen(h->fake, heard, &r->life);
}

static bool suspend(struct run *r)
{
    return wh_xen_shutdown(r->s.op, r->s.xen, r->s.domid, WH_SUSPEND);
}

static bool save(struct run *r)
{
    return wh_save_begin(&r->s) && wh_live_begin(&r->s) && wh_live_rounds(&r->s) && suspend(r) &&
           wh_save_rest(&r->s) && wh_sink_end(r->s.op, r->s.out) && wh_live_end(&r->s);
}

static void finish(struct run *r)
{
    wh_fake_listen(r->life.h->fake, NULL, NULL);
    assert_false(wh_fake_state(r->life.h->fake, r->life.domid).logdirty);
    wh_live_free(&r->l);
    wh_save_free(&r->s);
}

static uint32_t restored(struct run *r)
{
    uint32_t to = empty_domain(r->life.h, &r->guest);

    assert_works(r->life.h, restore(r->life.h, to, &r->guest));
    return to;
}

static void comes_back(struct run *r)
{
    struct host *h = r->life.h;
    char why[256];

    assert_works(h, save(r));
    finish(r);
    if (!wh_fake_same(h->fake, r->life.domid, h->fake, restored(r), why, sizeof why))
        fail_msg("the guest that came back is another one: %s", why);
}

static const struct wh_fake_guest pvh = { .name = "g", .mb = GUEST_MB, .seed = 1, .zero_percent = 30,
                                          .vcpus = 2 };
static const struct wh_fake_guest holed = { .name = "g", .mb = GUEST_MB, .seed = 2,
                                            .holes_percent = 10 };
static const struct wh_fake_guest hvm = { .kind = WH_FAKE_HVM, .name = "g", .mb = GUEST_MB, .seed = 3 };
static const struct wh_fake_guest pv = { .kind = WH_FAKE_PV, .name = "g", .mb = GUEST_MB, .seed = 4,
                                         .zero_percent = 50 };

/* ------------------------------------------------------------------------------- writing */

static void writes(struct life *l, const char *call, unsigned n)
{
    (void)call, (void)n;
    wrote_some(l, 40);
    assert_true(l->h->op.done <= l->h->op.total);
}

static void a_pvh_guest_that_writes_comes_back_as_it_was_when_it_was_suspended(void **state)
{
    struct run r;

    begin(&r, *state, &pvh, 6, writes);
    comes_back(&r);
    assert_true(r.life.written > 500 && r.l.rest_pages > 0);
    assert_int_equal(r.l.round.round, 6);
    assert_string_equal(r.l.why, "that was the last round");
}

static void an_hvm_guest_that_writes_comes_back_as_it_was_when_it_was_suspended(void **state)
{
    struct run r;

    begin(&r, *state, &hvm, 6, writes);
    comes_back(&r);
    assert_int_equal(r.l.round.round, 6);
}

static bool devices_write(struct wh_op *op, void *arg)
{
    (void)op;
    wrote_some(arg, 40);
    return true;
}

static void what_devices_write_as_their_state_is_taken_is_sent(void **state)
{
    struct run r;

    begin(&r, *state, &hvm, 6, writes);
    r.l.meanwhile = devices_write;
    r.l.meanwhile_arg = &r.life;
    comes_back(&r);
}

static void writes_little(struct life *l, const char *call, unsigned n)
{
    (void)n;
    if (strcmp(call, "logdirty") == 0)
        wrote_some(l, 5);
}

static void a_guest_that_writes_little_is_suspended_after_one_round(void **state)
{
    struct run r;

    begin(&r, *state, &pvh, 30, writes_little);
    comes_back(&r);
    assert_int_equal(r.l.round.round, 1);
    assert_string_equal(r.l.why, "the pause will be as short as wanted");
    assert_true(r.l.rest_pages > 0 && r.l.rest_pages < 64);
    assert_true(r.s.looked_at < 60000);         /* of a million frames */
}

static void writes_one_all_the_time(struct life *l, const char *call, unsigned n)
{
    (void)n;
    wrote(l, HOT, -1);
    for (uint64_t i = 0; strcmp(call, "logdirty") == 0 && i < 100; i++)
        wrote(l, 64 + (n * 128 + i) % (BELOW - 64), -1);
}

/* How often each page is in the image. */
struct counted {
    unsigned times[BELOW], allocated;
};

static bool count_entries(struct wh_walk *w, const struct wh_rec *rec, const uint64_t *entry, size_t n)
{
    struct counted *c = w->arg;

    (void)rec;
    for (size_t i = 0; i < n; i++) {
        if (wh_page_pfn(entry[i]) < BELOW && wh_page_has_data(entry[i]))
            c->times[wh_page_pfn(entry[i])]++;
        c->allocated += wh_page_type(entry[i]) == WH_PAGE_XALLOC;
    }
    return true;
}

static void count_pages(struct host *h, struct counted *c)
{
    static const struct wh_watch counting = { .entries = count_entries };
    struct wh_source src;
    struct wh_walk w;

    *c = (struct counted){ 0 };
    lseek(h->fd, 0, SEEK_SET);
    assert_true(wh_source_open(&h->op, &src, h->fd) && wh_walk_init(&w, &h->op, &src, &counting, c));
    assert_works(h, wh_walk_stream(&w));
    wh_walk_free(&w);
    wh_source_close(&src);
}

static void a_page_that_is_written_all_the_time_waits_for_the_end(void **state)
{
    struct counted c;
    struct run r;

    begin(&r, *state, &pvh, 8, writes_one_all_the_time);
    comes_back(&r);
    assert_int_equal(r.l.round.round, 8);
    count_pages(*state, &c);
    assert_int_equal(c.times[HOT], 3);          /* the first two rounds, and the last */
}

/* ------------------------------------------------------------------------------- zeros */

static void becomes_zero(struct life *l, const char *call, unsigned n)
{
    if (strcmp(call, "logdirty") != 0)
        return;
    for (uint64_t i = 0; i < 100; i++)
        wrote(l, 256 * n + i, (int)n);
    wrote(l, ZEROED, n < 3 ? 0x77 : 0);
}

static void a_page_that_becomes_zeros_is_zeros_again_to_a_reader_who_knows(void **state)
{
    struct host *h = *state;
    struct counted c;
    struct run r;

    begin(&r, h, &pvh, 5, becomes_zero);
    r.s.elide_zeros = true;
    h->alloc_is_zero = true;
    comes_back(&r);
    count_pages(h, &c);
    assert_true(c.times[ZEROED] >= 1 && c.times[ZEROED] < 5);
    assert_int_equal(c.allocated, r.s.zeros);
    assert_true(r.s.zeros > BELOW / 4);

    /* A stock reader does not; that is why the saver has to be told to whom it speaks. */
    h->alloc_is_zero = false;
    uint32_t stock = restored(&r);
    assert_int_equal(wh_fake_page(h->fake, stock, ZEROED)[0], 0x77);
}

static void a_pv_guest_s_zeros_are_not_elided(void **state)
{
    struct host *h = *state;
    char why[256];
    struct run r;

    begin(&r, h, &pv, 0, NULL);
    r.s.live = NULL;
    r.s.elide_zeros = true;
    assert_works(h, wh_save_begin(&r.s) && suspend(&r) && wh_save_rest(&r.s) &&
                 wh_sink_end(&h->op, &h->sink));
    finish(&r);
    assert_int_equal(r.s.zeros, 0);
    if (!wh_fake_same(h->fake, r.life.domid, h->fake, restored(&r), why, sizeof why))
        fail_msg("the guest that came back is another one: %s", why);
}

/* ------------------------------------------------------------------------- the balloon */

static void loses_one_as_it_is_mapped(struct life *l, const char *call, unsigned n)
{
    if (strcmp(call, "map") == 0 && n == 1)
        wh_fake_take_page(l->h->fake, l->domid, GONE);
    if (strcmp(call, "logdirty") == 0 && n > 1) {
        wrote_some(l, 100);
        wrote(l, GONE + 1, -1);
    }
    if (strcmp(call, "map") == 0 && had(l, "logdirty") == 2 &&
        wh_fake_page(l->h->fake, l->domid, GONE + 1))
        wh_fake_take_page(l->h->fake, l->domid, GONE + 1);
}

/* Of the second, which an earlier round had sent, the restored guest has what there was of it. */
static void a_page_that_goes_as_it_is_mapped_is_left_out(void **state)
{
    struct host *h = *state;
    struct run r;

    begin(&r, h, &pvh, 3, loses_one_as_it_is_mapped);
    assert_works(h, save(&r));
    finish(&r);
    uint32_t to = restored(&r);
    assert_null(wh_fake_page(h->fake, r.life.domid, GONE));
    assert_null(wh_fake_page(h->fake, to, GONE));
    assert_null(wh_fake_page(h->fake, r.life.domid, GONE + 1));
    for (uint64_t pfn = 0; pfn < BELOW; pfn++) {
        const uint8_t *is = wh_fake_page(h->fake, r.life.domid, pfn);

        if (is)
            assert_memory_equal(is, wh_fake_page(h->fake, to, pfn), WH_PAGE_SIZE);
    }
}

static void loses_one_and_gets_it_back(struct life *l, const char *call, unsigned n)
{
    if (strcmp(call, "map") == 0 && n == 1)
        wh_fake_take_page(l->h->fake, l->domid, GONE);
    if (strcmp(call, "map") == 0 && n == 3) {
        wh_fake_give_page(l->h->fake, l->domid, GONE);
        wrote(l, GONE, -1);
    }
}

static void a_page_that_goes_and_comes_back_is_sent(void **state)
{
    struct run r;

    begin(&r, *state, &pvh, 3, loses_one_and_gets_it_back);
    comes_back(&r);
}

static void loses_one_at_the_end(struct life *l, const char *call, unsigned n)
{
    wrote_some(l, 40);
    if (strcmp(call, "shutdown") == 0 && n == 1) {
        wrote(l, GONE, -1);
        wh_fake_take_page(l->h->fake, l->domid, GONE);
    }
}

static void a_page_that_is_gone_when_it_is_the_last_s_turn_is_left_out(void **state)
{
    struct host *h = *state;
    struct run r;

    begin(&r, h, &pvh, 3, loses_one_at_the_end);
    assert_works(h, save(&r));
    finish(&r);
    assert_null(wh_fake_page(h->fake, r.life.domid, GONE));
    restored(&r);
}

/* Not the guest's doing: it is suspended. */
static void takes_one(void *arg, const char *call)
{
    struct life *l = arg;

    if (strcmp(call, "map") == 0 && !wh_fake_state(l->h->fake, l->domid).running &&
        wh_fake_page(l->h->fake, l->domid, GONE))
        wh_fake_take_page(l->h->fake, l->domid, GONE);
}

static void a_page_that_goes_under_the_suspended_guest_fails_the_save(void **state)
{
    struct host *h = *state;
    struct wh_here here = { .xen = h->xen };
    struct run r;

    h->op.world = &here;
    begin(&r, h, &pvh, 3, NULL);
    wh_fake_listen(h->fake, takes_one, &r.life);
    assert_works(h, wh_save_begin(&r.s) && wh_live_begin(&r.s) && wh_live_rounds(&r.s) && suspend(&r));
    wrote(&r.life, GONE, -1);
    assert_false(wh_save_rest(&r.s));
    assert_int_equal(h->op.err.kind, WH_XEN);
    assert_says(h->op.err.text, "map frame 0x7 of domain");
    wh_undo_run(&h->op);
    assert_int_equal(h->op.undo_err.kind, WH_OK);
    finish(&r);
}

/* Let out at once, in front of what is being copied: as many as there were have then been seen
 * before those at the end have. */
static void grows_at_once(struct life *l, const char *call, unsigned n)
{
    if (strcmp(call, "map") != 0 || n != 1)
        return;
    for (uint64_t pfn = 0; pfn < BELOW; pfn++)
        if (!wh_fake_page(l->h->fake, l->domid, pfn))
            wh_fake_give_page(l->h->fake, l->domid, pfn);
}

static void a_guest_whose_balloon_is_let_out_at_once_comes_back_whole(void **state)
{
    struct run r;

    begin(&r, *state, &holed, 3, grows_at_once);
    comes_back(&r);
}

static uint64_t first_hole(struct life *l)
{
    uint64_t pfn = 0;

    while (wh_fake_page(l->h->fake, l->domid, pfn))
        pfn++;
    assert_true(pfn < BELOW);
    return pfn;
}

static void gets_what_it_does_not_touch(struct life *l, const char *call, unsigned n)
{
    if (strcmp(call, "logdirty") == 0 && n == 2) {
        wh_fake_give_page(l->h->fake, l->domid, first_hole(l));
        wh_fake_give_page(l->h->fake, l->domid, ABOVE + 300);
        wh_fake_give_page(l->h->fake, l->domid, ABOVE);
        wrote(l, ABOVE, 0x66);
    }
    if (strcmp(call, "shutdown") == 0 && n == 1)
        wh_fake_give_page(l->h->fake, l->domid, first_hole(l));
}

static void pages_that_come_and_are_not_touched_are_there_in_the_end(void **state)
{
    struct run r;

    begin(&r, *state, &holed, 3, gets_what_it_does_not_touch);
    comes_back(&r);
}

static void grows_upwards(struct life *l, const char *call, unsigned n)
{
    (void)n;
    if (strcmp(call, "logdirty") == 0 && n < 6)
        for (uint64_t i = 0; i < 30; i++) {
            wh_fake_give_page(l->h->fake, l->domid, ABOVE + n * 1000 + i);
            wrote(l, ABOVE + n * 1000 + i, -1);
        }
    wrote_some(l, 30);
}

static void frames_above_the_former_highest_are_sent(void **state)
{
    struct run r;

    begin(&r, *state, &holed, 6, grows_upwards);
    comes_back(&r);
}

/* --------------------------------------------------------------------- how it ends */

static void one_whom_a_killed_saver_left_log_dirty_is_saved(void **state)
{
    struct host *h = *state;
    uint64_t none;
    struct run r;

    begin(&r, h, &pvh, 3, writes);
    assert_works(h, wh_xen_logdirty(&h->op, h->xen, r.s.domid, WH_DIRTY_ON, false, NULL, 0, &none));
    comes_back(&r);
}

static void a_guest_that_writes_too_much_is_given_up_when_the_time_is_over(void **state)
{
    struct host *h = *state;
    struct wh_here here = { .xen = h->xen };
    struct run r;

    h->op.world = &here;
    begin(&r, h, &pvh, 1000000, writes);
    r.l.want.timeout_ms = 100;
    assert_works(h, wh_save_begin(&r.s) && wh_live_begin(&r.s));
    assert_false(wh_live_rounds(&r.s));
    assert_int_equal(h->op.err.kind, WH_TIMEOUT);
    assert_true(wh_fake_state(h->fake, r.s.domid).logdirty);
    wh_undo_run(&h->op);
    assert_int_equal(h->op.undo_err.kind, WH_OK);
    assert_true(wh_fake_state(h->fake, r.s.domid).running);
    finish(&r);
}

static void one_that_writes_too_much_is_stopped_when_the_time_is_over_if_so_asked_for(void **state)
{
    struct run r;

    begin(&r, *state, &pvh, 1000000, writes);
    r.l.want.timeout_ms = 100;
    r.l.want.force = true;
    comes_back(&r);
    assert_string_equal(r.l.why, "the time for copying is over");
}

static void an_image_does_not_grow_beyond_what_it_may_by_more_than_its_last_pages(void **state)
{
    struct host *h = *state;
    uint64_t most = BELOW * WH_PAGE_SIZE * 3 / 2;
    struct run r;

    begin(&r, h, &pvh, 1000000, writes);
    r.l.want.max_bytes = most;
    comes_back(&r);
    assert_string_equal(r.l.why, "another round would be more than may be written");
    assert_true(r.l.round.sent_bytes <= most);
    assert_true(h->sink.at <= most + (r.l.rest_pages + 16) * WH_PAGE_SIZE);
}

/* ---------------------------------------------------------------------------- a thread */

#define WATCHED 500

/* Its vCPU, in a thread: word by word it writes the number of its step all over a page. */
struct vcpu {
    struct host *h;
    uint32_t domid;
    pthread_t thread;
    atomic_bool stop;
    uint64_t step, at[WATCHED];
};

static void *run_vcpu(void *arg)
{
    struct vcpu *v = arg;
    uint64_t seed = 5;

    while (!atomic_load(&v->stop)) {
        uint64_t pfn = unit_below(&seed, unit_below(&seed, 3) ? 20 : WATCHED);
        volatile uint64_t *p = (void *)wh_fake_page(v->h->fake, v->domid, pfn);

        v->at[pfn] = ++v->step;
        for (size_t i = 0; i < WH_PAGE_SIZE / sizeof *p; i++)
            p[i] = v->step;
        wh_fake_dirty(v->h->fake, v->domid, pfn);
    }
    return NULL;
}

static void a_guest_that_writes_at_the_same_time_loses_nothing(void **state)
{
    struct host *h = *state;
    struct vcpu v = { .h = h };
    struct run r;
    uint64_t word[WH_PAGE_SIZE / 8];

    begin(&r, h, &pvh, 12, NULL);
    v.domid = r.s.domid;
    assert_works(h, wh_save_begin(&r.s) && wh_live_begin(&r.s));
    assert_int_equal(pthread_create(&v.thread, NULL, run_vcpu, &v), 0);
    bool ok = wh_live_rounds(&r.s);
    atomic_store(&v.stop, true);
    pthread_join(v.thread, NULL);
    assert_works(h, ok && suspend(&r) && wh_save_rest(&r.s) && wh_sink_end(&h->op, &h->sink) &&
                 wh_live_end(&r.s));
    finish(&r);
    uint32_t to = restored(&r);
    for (uint64_t pfn = 0; pfn < WATCHED; pfn++) {
        memcpy(word, wh_fake_page(h->fake, to, pfn), sizeof word);
        for (size_t i = 0; v.at[pfn] && i < WH_COUNT(word); i++)
            if (word[i] != v.at[pfn])
                fail_msg("word %zu of page %llu is of step %llu, and it was written in step %llu", i,
                         (unsigned long long)pfn, (unsigned long long)word[i],
                         (unsigned long long)v.at[pfn]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        HOST_TEST(a_pvh_guest_that_writes_comes_back_as_it_was_when_it_was_suspended),
        HOST_TEST(an_hvm_guest_that_writes_comes_back_as_it_was_when_it_was_suspended),
        HOST_TEST(what_devices_write_as_their_state_is_taken_is_sent),
        HOST_TEST(a_guest_that_writes_little_is_suspended_after_one_round),
        HOST_TEST(a_page_that_is_written_all_the_time_waits_for_the_end),
        HOST_TEST(a_page_that_becomes_zeros_is_zeros_again_to_a_reader_who_knows),
        HOST_TEST(a_pv_guest_s_zeros_are_not_elided),
        HOST_TEST(a_page_that_goes_as_it_is_mapped_is_left_out),
        HOST_TEST(a_page_that_goes_and_comes_back_is_sent),
        HOST_TEST(a_page_that_is_gone_when_it_is_the_last_s_turn_is_left_out),
        HOST_TEST(a_page_that_goes_under_the_suspended_guest_fails_the_save),
        HOST_TEST(a_guest_whose_balloon_is_let_out_at_once_comes_back_whole),
        HOST_TEST(pages_that_come_and_are_not_touched_are_there_in_the_end),
        HOST_TEST(frames_above_the_former_highest_are_sent),
        HOST_TEST(one_whom_a_killed_saver_left_log_dirty_is_saved),
        HOST_TEST(a_guest_that_writes_too_much_is_given_up_when_the_time_is_over),
        HOST_TEST(one_that_writes_too_much_is_stopped_when_the_time_is_over_if_so_asked_for),
        HOST_TEST(an_image_does_not_grow_beyond_what_it_may_by_more_than_its_last_pages),
        HOST_TEST(a_guest_that_writes_at_the_same_time_loses_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
