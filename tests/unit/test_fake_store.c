/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake Xen's xenstore, its guests' answers, its faults, and its comparing of guests. */
#include "world.h"

/* --------------------------------------------------------------------------------- xenstore */

static void the_tree_is_written_read_and_listed(void **state)
{
    struct world w = begin(state);
    char *text, **names;
    size_t n;
    struct wh_perm perm[3] = { { 0, false, false }, { 3, true, false } };

    assert_true(wh_store_write(w.op, w.st, 0, "v", "/a/b/c"));
    assert_true(wh_store_write(w.op, w.st, 0, "w", "/a/b/a"));
    assert_true(wh_store_mkdir(w.op, w.st, 0, "/a/d"));
    assert_true(wh_store_read(w.op, w.st, 0, &text, "/a/b/c"));
    assert_string_equal(text, "v");
    free(text);
    assert_true(wh_store_list(w.op, w.st, 0, &names, &n, "/a/b"));
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "a");
    free(names);
    assert_true(wh_store_perms(w.op, w.st, 0, perm, 2, "/a/b"));
    assert_true(wh_store_write(w.op, w.st, 0, "x", "/a/b/new"));
    assert_true(wh_store_get_perms(w.op, w.st, 0, perm, 3, &n, "/a/b/new"));
    assert_int_equal(n, 2);
    assert_true(perm[1].read && perm[1].domid == 3);
    assert_true(wh_store_remove(w.op, w.st, 0, "/a/b"));
    assert_true(wh_store_read(w.op, w.st, 0, &text, "/a/b/c"));
    assert_null(text);
    assert_true(wh_store_remove(w.op, w.st, 0, "/a/b"));
    assert_true(wh_store_remove(w.op, w.st, 0, "/nobody/there"));
    wh_auto_free char *tree = wh_fake_tree(w.f);
    assert_says(tree, "/a = \"\"  (n0)\n/a/d = \"\"  (n0)\n");
    end(&w);
}

static void a_thousand_children_are_listed(void **state)
{
    struct world w = begin(state);
    char **names;
    size_t n;

    for (unsigned i = 0; i < 1000; i++)
        assert_true(wh_store_mkdir(w.op, w.st, 0, "/a/a-name-of-some-length-%03u", i));
    assert_true(wh_store_list(w.op, w.st, 0, &names, &n, "/a"));
    assert_int_equal(n, 1000);
    assert_string_equal(names[999], "a-name-of-some-length-999");
    free(names);
    end(&w);
}

static void a_transaction_is_all_or_nothing(void **state)
{
    struct world w = begin(state);
    struct wh_store *other = wh_fake_store(w.f);
    uint32_t tx;
    char *text;
    bool again;

    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_write(w.op, w.st, tx, "1", "/a/b"));
    assert_true(wh_store_read(w.op, other, 0, &text, "/a/b"));
    assert_null(text);
    wh_auto_free char *open = wh_fake_check(w.f);
    assert_says(open, "transaction 1 is open");
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_false(again);
    assert_true(wh_store_read(w.op, other, 0, &text, "/a/b"));
    assert_string_equal(text, "1");
    free(text);

    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_read(w.op, w.st, tx, &text, "/a/b"));
    free(text);
    assert_true(wh_store_write(w.op, w.st, tx, "2", "/a/c"));
    assert_true(wh_store_write(w.op, other, 0, "3", "/a/b"));
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_true(again);
    assert_null(wh_fake_node(w.f, "/a/c"));

    assert_true(wh_store_begin(w.op, w.st, &tx));       /* what it has not seen does not matter */
    assert_true(wh_store_write(w.op, w.st, tx, "2", "/a/c"));
    assert_true(wh_store_write(w.op, other, 0, "4", "/a/b"));
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_false(again);

    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_remove(w.op, w.st, tx, "/a"));
    wh_store_abort(w.op, w.st, tx);
    wh_auto_free char *kept = wh_fake_node(w.f, "/a/c");
    assert_string_equal(kept, "2");
    wh_auto_free char *closed = wh_fake_check(w.f);
    assert_null(strstr(closed, "transaction"));
    wh_fake_conflict(w.f, 1);
    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_true(again);
    end(&w);
}

static void a_transaction_may_make_anew_what_it_removed(void **state)
{
    struct world w = begin(state);
    bool again;
    uint32_t tx;

    assert_true(wh_store_write(w.op, w.st, 0, "old", "/vm/1/name"));
    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_remove(w.op, w.st, tx, "/vm/1"));
    assert_true(wh_store_write(w.op, w.st, tx, "new", "/vm/1/name"));
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_false(again);
    wh_auto_free char *now = wh_fake_node(w.f, "/vm/1/name");
    assert_string_equal(now, "new");
    end(&w);
}

static void watches_fire_for_what_is_below_them(void **state)
{
    struct world w = begin(state);
    struct wh_store *other = wh_fake_store(w.f);
    struct wh_store_event e;
    bool there;

    assert_true(wh_store_watch(w.op, w.st, "t", "/a"));
    assert_true(wh_store_event(w.op, w.st, &e));        /* at once */
    assert_string_equal(e.path, "/a");
    assert_true(wh_store_write(w.op, other, 0, "1", "/a/b/c"));
    assert_true(wh_store_event(w.op, w.st, &e));
    assert_string_equal(e.path, "/a/b/c");
    assert_string_equal(e.token, "t");
    assert_true(wh_store_write(w.op, other, 0, "1", "/ab"));
    assert_true(wh_store_event_now(w.op, w.st, &e, &there));
    assert_false(there);
    assert_true(wh_store_watch(w.op, w.st, "below", "/a/b/c"));
    assert_true(wh_store_event(w.op, w.st, &e));
    assert_true(wh_store_remove(w.op, other, 0, "/a"));
    for (int i = 0; i < 2; i++)
        assert_true(wh_store_event(w.op, w.st, &e));
    assert_true(wh_store_unwatch(w.op, w.st, "t", "/a"));
    assert_true(wh_store_unwatch(w.op, w.st, "below", "/a/b/c"));
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_null(strstr(text, "watched"));
    wh_step(w.op, "wait", 20);
    assert_false(wh_store_event(w.op, w.st, &e));
    assert_kind(w.op, WH_TIMEOUT);
    end(&w);
}

static void nodes_of_a_domain_that_is_gone_are_seen(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    wh_auto_free char *before = wh_fake_check(w.f);

    assert_null(strstr(before, "gone"));
    assert_true(wh_store_mkdir(w.op, w.st, 0, "/local/domain/0/backend/vbd/%u/51712", domid));
    assert_true(wh_xen_destroy(w.op, w.x, domid));
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, "/libxl/1 is of a domain that is gone\n");
    assert_says(text, "/local/domain/1 is of a domain that is gone\n");
    assert_says(text, "/local/domain/0/backend/vbd/1 is of a domain that is gone\n");
    assert_says(text, "/vm/");
    assert_null(wh_fake_node(w.f, "/local/domain/1/control/shutdown"));     /* it was its own */
    end(&w);
}

static void introducing_needs_the_ring_s_grant(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 10);
    uint8_t *p;
    const uint8_t entry[8] = { 1, 0, 0, 0, 5, 0, 0, 0 };

    assert_refused(&w, wh_store_introduce(w.op, w.st, domid, 5, 1), "Invalid argument");
    assert_true(wh_xen_map_grants(w.op, w.x, domid, 0, (void **)&p));
    memcpy(p + 8, entry, 8);
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, "the grant table of domain 1: 1 pages are mapped");
    wh_xen_unmap_grants(w.x, p);
    assert_true(wh_store_introduce(w.op, w.st, domid, 5, 1));
    assert_true(wh_store_release(w.op, w.st, domid));
    end(&w);
}

/* --------------------------------------------------------------------------------- suspending */

/* What a toolstack does: ask, wait until the node is empty, then until it has shut down. */
static bool suspend(struct world *w, uint32_t domid)
{
    struct wh_store_event e;
    struct wh_domain d;
    bool there = true;

    wh_step(w->op, "suspend", 400);
    if (!wh_store_watch(w->op, w->st, "gone", "@releaseDomain") ||
        !wh_store_watch(w->op, w->st, "ack", "/local/domain/%u/control/shutdown", domid) ||
        !wh_store_write(w->op, w->st, 0, "suspend", "/local/domain/%u/control/shutdown", domid))
        return false;
    for (bool acked = false; !acked;) {
        wh_auto_free char *value = NULL;

        if (!wh_store_event(w->op, w->st, &e) ||
            !wh_store_read(w->op, w->st, 0, &value, "/local/domain/%u/control/shutdown", domid))
            return false;
        acked = !value || !*value;
    }
    for (d.shutdown = false; there && !d.shutdown;) {
        if (!wh_store_event(w->op, w->st, &e))
            return false;
        if (strcmp(e.token, "gone") == 0 && !wh_xen_domain(w->op, w->x, domid, &d, &there))
            return false;
    }
    return there && d.reason == WH_SUSPEND;
}

static void unwatch(struct world *w, uint32_t domid)
{
    memset(&w->op->err, 0, sizeof w->op->err);
    wh_step(w->op, "clean up", WH_FOREVER);
    assert_true(wh_store_unwatch(w->op, w->st, "gone", "@releaseDomain"));
    assert_true(wh_store_unwatch(w->op, w->st, "ack", "/local/domain/%u/control/shutdown", domid));
}

static void a_guest_suspends_again_only_when_xenstored_knows_it_ran(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    struct wh_fake_state s;

    for (int i = 0; i < 3; i++) {
        assert_true(suspend(&w, domid));
        unwatch(&w, domid);
        assert_true(wh_xen_resume(w.op, w.x, domid));
        assert_true(wh_store_resume(w.op, w.st, domid));
    }
    s = wh_fake_state(w.f, domid);
    assert_true(s.running);
    assert_int_equal(s.suspends, 3);
    assert_int_equal(s.resumes, 3);
    assert_int_equal(s.store_resumes, 3);
    assert_true(suspend(&w, domid));
    unwatch(&w, domid);
    assert_true(wh_xen_resume(w.op, w.x, domid));
    assert_false(suspend(&w, domid));           /* nobody told xenstored */
    assert_kind(w.op, WH_TIMEOUT);
    end(&w);
}

static void guests_answer_in_many_ways(void **state)
{
    static const struct { enum wh_fake_answer how; enum wh_kind kind; bool acked; const char *is; }
    ways[] = {
        { WH_FAKE_DEAF,       WH_TIMEOUT, false, ": running" },
        { WH_FAKE_LATE,       WH_TIMEOUT, false, ": running" },
        { WH_FAKE_STALLS,     WH_TIMEOUT, true,  ": running" },
        { WH_FAKE_CRASHES,    WH_OK,      true,  ": crashed" },
        { WH_FAKE_POWERS_OFF, WH_OK,      true,  ": powered off" },
        { WH_FAKE_VANISHES,   WH_OK,      true,  "is of a domain that is gone" },
    };

    for (size_t i = 0; i < WH_COUNT(ways); i++) {
        struct world w = begin(state);
        uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);

        wh_fake_answer(w.f, domid, ways[i].how);
        assert_false(suspend(&w, domid));
        assert_kind(w.op, ways[i].kind);
        wh_auto_free char *node = wh_fake_node(w.f, "/local/domain/1/control/shutdown");
        assert_int_equal(!node || !*node, ways[i].acked);
        wh_auto_free char *text = wh_fake_check(w.f);
        assert_says(text, ways[i].is);
        unwatch(&w, domid);
        end(&w);
    }
}

/* It empties the node while the request is being taken back: that does not commit. */
static void a_late_answer_counts(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100), tx;
    bool again;
    char *value;

    wh_fake_answer(w.f, domid, WH_FAKE_LATE);
    assert_false(suspend(&w, domid));
    unwatch(&w, domid);
    assert_true(wh_store_begin(w.op, w.st, &tx));
    assert_true(wh_store_read(w.op, w.st, tx, &value, "/local/domain/1/control/shutdown"));
    assert_string_equal(value, "suspend");
    free(value);
    assert_true(wh_store_write(w.op, w.st, tx, "", "/local/domain/1/control/shutdown"));
    assert_true(wh_store_commit(w.op, w.st, tx, &again));
    assert_true(again);
    assert_true(wh_store_read(w.op, w.st, 0, &value, "/local/domain/1/control/shutdown"));
    assert_string_equal(value, "");
    free(value);
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, ": suspended");
    end(&w);
}

static void a_guest_that_may_not_write_cannot_answer(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    struct wh_perm perm[] = { { 0, false, false }, { domid, true, false } };

    assert_true(wh_fake_write(w.f, domid, "x", "/local/domain/1/control/sysrq"));
    assert_false(wh_fake_write(w.f, domid, "x", "/local/domain/1/name"));
    assert_true(wh_store_perms(w.op, w.st, 0, perm, 2, "/local/domain/1/control/shutdown"));
    assert_false(suspend(&w, domid));
    assert_kind(w.op, WH_TIMEOUT);
    end(&w);
}

/* A PV guest leaves pfns in start_info, and puts frames back when it is told it was cancelled. */
static void a_pv_guest_changes_start_info_as_it_suspends(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pv(w.f, "p", MB, 1, 50, 8, WH_FAKE_LINEAR);
    uint8_t *si = wh_fake_page(w.f, domid, 1), context[WH_VCPU_CONTEXT];
    uint64_t store = word(si, 0x38, 8), console = word(si, 0x48, 8);

    assert_true(store > 4096);
    assert_true(suspend(&w, domid));
    unwatch(&w, domid);
    assert_int_equal(word(si, 0x38, 8), 2);
    assert_int_equal(word(si, 0x48, 8), 3);
    assert_true(wh_xen_get_context(w.op, w.x, domid, 0, context));
    memcpy(context + 0x258, &(uint64_t){ 1 }, 8);
    assert_true(wh_xen_set_context(w.op, w.x, domid, 0, context));
    assert_true(wh_xen_resume(w.op, w.x, domid));
    assert_int_equal(word(si, 0x38, 8), store);
    assert_int_equal(word(si, 0x48, 8), console);
    end(&w);
}

/* ------------------------------------------------------------------------------------ faults */

static bool some_calls(struct world *w)
{
    struct wh_domain d;
    bool there;

    wh_step(w->op, "some calls", 30000);
    return wh_xen_domain(w->op, w->x, 1, &d, &there) &&
           wh_store_write(w->op, w->st, 0, "1", "/x") &&
           wh_store_write(w->op, w->st, 0, "2", "/y") && wh_xen_pause(w->op, w->x, 1);
}

static void reset(struct world *w)
{
    wh_op_done(w->op);
    assert_true(wh_op_init(w->op));
}

static void the_kth_call_meets_its_fault(void **state)
{
    static const struct { enum wh_fault how; enum wh_kind kind; } ways[] = {
        { WH_FAULT_FAIL, WH_XEN },
        { WH_FAULT_HANG, WH_TIMEOUT },
        { WH_FAULT_CANCEL, WH_CANCELLED },
    };
    static const char *const names[] = { "domains", "store write", "store write", "pause" };
    struct world w = begin(state);
    int64_t began = unit_now_ms();

    wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    wh_fake_fault(w.f, 0, WH_FAULT_NONE);
    assert_true(some_calls(&w));
    assert_int_equal(wh_fake_calls(w.f), 4);
    assert_null(wh_fake_fault_hit(w.f));
    wh_op_hurry = 1000;
    for (size_t i = 0; i < WH_COUNT(ways); i++) {
        for (uint64_t k = 1; k <= 4; k++) {
            wh_fake_fault(w.f, k, ways[i].how);
            assert_false(some_calls(&w));
            assert_kind(w.op, ways[i].kind);
            assert_string_equal(wh_fake_fault_hit(w.f), names[k - 1]);
            assert_int_equal(wh_fake_calls(w.f), k);
            reset(&w);
        }
    }
    wh_op_hurry = 1;
    assert_in_range(unit_now_ms() - began, 0, 4000);
    wh_fake_fault(w.f, 0, WH_FAULT_NONE);
    struct wh_fake_state s = wh_fake_state(w.f, 1);
    assert_int_equal(s.pauses, 1);
    end(&w);
}

static void a_call_can_be_done_all_the_same(void **state)
{
    struct world w = begin(state);

    wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    wh_fake_fault(w.f, 2, WH_FAULT_LOST);
    assert_false(some_calls(&w));
    assert_kind(w.op, WH_TIMEOUT);
    wh_auto_free char *x = wh_fake_node(w.f, "/x");
    assert_string_equal(x, "1");
    assert_null(wh_fake_node(w.f, "/y"));
    reset(&w);
    wh_fake_fault(w.f, 3, WH_FAULT_CANCEL_IN);
    assert_false(some_calls(&w));
    assert_kind(w.op, WH_CANCELLED);
    wh_auto_free char *y = wh_fake_node(w.f, "/y");
    assert_string_equal(y, "2");
    assert_int_equal(wh_fake_state(w.f, 1).pauses, 0);
    end(&w);
}

static void a_commit_that_fails_leaves_no_transaction(void **state)
{
    static const enum wh_fault ways[] = { WH_FAULT_FAIL, WH_FAULT_LOST, WH_FAULT_HANG,
                                          WH_FAULT_CANCEL, WH_FAULT_CANCEL_IN };

    for (size_t i = 0; i < WH_COUNT(ways); i++) {
        struct world w = begin(state);
        uint32_t tx;
        bool again;

        wh_op_hurry = 1000;
        wh_fake_fault(w.f, 3, ways[i]);
        assert_true(wh_store_begin(w.op, w.st, &tx));
        assert_true(wh_store_write(w.op, w.st, tx, "1", "/x"));
        assert_int_equal(wh_store_commit(w.op, w.st, tx, &again), ways[i] == WH_FAULT_CANCEL_IN);
        wh_op_hurry = 1;
        assert_string_equal(wh_fake_fault_hit(w.f), "store commit");
        wh_auto_free char *text = wh_fake_check(w.f);
        assert_null(strstr(text, "transaction"));
        end(&w);
        reset(&(struct world){ .op = *state });
    }
}

static bool undo_calls(struct wh_op *op, const struct wh_undo *u)
{
    struct world *w;

    memcpy(&w, &(void *){ (void *)(uintptr_t)u->number }, sizeof w);
    return wh_xen_unpause(op, w->x, 1);
}

static void faults_of_the_undo_are_its_own(void **state)
{
    struct world w = begin(state);

    wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    for (int undo = 0; undo < 2; undo++) {
        wh_fake_fault(w.f, !undo, WH_FAULT_FAIL);
        wh_fake_fault_shielded(w.f, undo, WH_FAULT_FAIL);
        assert_int_equal(some_calls(&w), undo);
        if (!undo)
            reset(&w);
        if (!undo)
            assert_true(wh_xen_pause(w.op, w.x, 1));
        assert_true(wh_undo_push(w.op, "unpause", undo_calls, "", (uintptr_t)&w));
        wh_undo_run(w.op);
        assert_int_equal(w.op->undo_err.kind, undo ? WH_XEN : WH_OK);
        assert_int_equal(wh_fake_state(w.f, 1).running, !undo);
    }
    end(&w);
}

/* ------------------------------------------------------------------------------- comparing */

static void equal_seeds_are_equal_guests(void **state)
{
    static const struct wh_fake_guest kinds[] = {
        { .kind = WH_FAKE_PVH, .name = "g", .mb = MB, .seed = 1, .zero_percent = 30,
          .holes_percent = 10, .vcpus = 2 },
        { .kind = WH_FAKE_HVM, .name = "g", .mb = MB, .seed = 2 },
        { .kind = WH_FAKE_PV, .name = "g", .mb = MB, .seed = 3, .holes_percent = 20, .vcpus = 3 },
        { .kind = WH_FAKE_PV, .name = "g", .mb = MB, .seed = 4, .width = 4, .p2m = WH_FAKE_TREE },
    };
    char why[256];

    for (size_t i = 0; i < WH_COUNT(kinds); i++) {
        struct world w = begin(state), v = begin(state);
        struct wh_fake_guest other = kinds[i];

        other.seed += 100;
        wh_fake_guest(v.f, &other);             /* so that the machine frames differ */
        uint32_t a = wh_fake_guest(w.f, &kinds[i]), b = wh_fake_guest(v.f, &kinds[i]);
        why[0] = '\0';
        if (!wh_fake_same(w.f, a, v.f, b, why, sizeof why))
            print_error("kind %zu: %s\n", i, why);
        assert_string_equal(why, "");
        assert_false(wh_fake_same(w.f, a, v.f, 1, why, sizeof why));

        uint64_t last = 256 * MB - 1;
        while (!wh_fake_page(w.f, a, last))
            last--;
        *wh_fake_page(w.f, a, last) ^= 1;
        assert_false(wh_fake_same(w.f, a, v.f, b, why, sizeof why));
        assert_says(why, "its contents differ");
        end(&w);
        end(&v);
    }
}

static void building_makes_a_guest(void **state)
{
    for (int hvm = 0; hvm < 2; hvm++) {
        struct world w = begin(state);
        uint32_t domid = make(&w, hvm, 3000);
        struct wh_build b = { .hvm = hvm, .kernel = "vmlinuz", .memory_kb = 8192,
                              .target_kb = 8192, .vcpus = 2, .store_port = 1, .console_port = 2 };

        assert_true(wh_xen_build(w.op, w.x, domid, &b));
        assert_true(wh_store_introduce(w.op, w.st, domid, b.store_frame, 1));
        assert_true(wh_xen_unpause(w.op, w.x, domid));
        assert_int_equal(wh_fake_running(w.f), 1);
        assert_refused(&w, wh_xen_build(w.op, w.x, domid, &b), "Invalid argument");
        end(&w);
    }
}

static void stale_memory_is_not_zero(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 10);
    uint64_t a[] = { 1 }, b[] = { 2 };

    assert_true(wh_xen_populate(w.op, w.x, domid, a, 1, 0));
    wh_fake_stale(w.f, true);
    assert_true(wh_xen_populate(w.op, w.x, domid, b, 1, 0));
    assert_int_equal(wh_fake_page(w.f, domid, 1)[0], 0);
    assert_true(wh_fake_page(w.f, domid, 2)[0] != 0);
    end(&w);
}

static void nothing_of_the_fake_itself_stays(void **state)
{
    unsigned before = wh_fake_fds();

    for (int i = 0; i < 10; i++) {
        struct world w = begin(state);

        wh_fake_guest_pvh(w.f, "g", MB, 1, 50);
        wh_fake_guest_pv(w.f, "p", MB, 1, 50, 8, WH_FAKE_TREE);
        wh_fake_store(w.f);
        wh_fake_xen(w.f);
        end(&w);
    }
    assert_int_equal(wh_fake_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("the tree is written, read and listed", the_tree_is_written_read_and_listed),
        OP_TEST("a thousand children are listed", a_thousand_children_are_listed),
        OP_TEST("a transaction is all or nothing", a_transaction_is_all_or_nothing),
        OP_TEST("a transaction may make anew what it removed",
                a_transaction_may_make_anew_what_it_removed),
        OP_TEST("watches fire for what is below them", watches_fire_for_what_is_below_them),
        OP_TEST("nodes of a domain that is gone are seen", nodes_of_a_domain_that_is_gone_are_seen),
        OP_TEST("introducing needs the ring's grant", introducing_needs_the_ring_s_grant),
        OP_TEST("a guest suspends again only when xenstored knows it ran",
                a_guest_suspends_again_only_when_xenstored_knows_it_ran),
        OP_TEST("guests answer in many ways", guests_answer_in_many_ways),
        OP_TEST("a late answer counts", a_late_answer_counts),
        OP_TEST("a guest that may not write cannot answer",
                a_guest_that_may_not_write_cannot_answer),
        OP_TEST("a PV guest changes start_info as it suspends",
                a_pv_guest_changes_start_info_as_it_suspends),
        OP_TEST("the k-th call meets its fault", the_kth_call_meets_its_fault),
        OP_TEST("a call can be done all the same", a_call_can_be_done_all_the_same),
        OP_TEST("a commit that fails leaves no transaction",
                a_commit_that_fails_leaves_no_transaction),
        OP_TEST("faults of the undo are its own", faults_of_the_undo_are_its_own),
        OP_TEST("equal seeds are equal guests", equal_seeds_are_equal_guests),
        OP_TEST("building makes a guest", building_makes_a_guest),
        OP_TEST("stale memory is not zero", stale_memory_is_not_zero),
        OP_TEST("nothing of the fake itself stays", nothing_of_the_fake_itself_stays),
    };

    return cmocka_run_group_tests_name("fake_store", tests, NULL, NULL);
}
