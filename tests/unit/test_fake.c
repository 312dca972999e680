/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake Xen's hypervisor: it must refuse what Xen refuses and see what is left behind, or the
 * tests that stand on it prove nothing. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "world.h"

/* ---------------------------------------------------------------------------------- domains */

static void a_domain_lives_and_dies(void **state)
{
    struct world w = begin(state);
    wh_auto_free char *before = wh_fake_check(w.f);
    struct wh_domain d;
    bool there;
    uint32_t domid = make(&w, true, 100);

    assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
    assert_true(there && d.paused && d.hvm && !d.shutdown && d.reason == WH_RUNNING);
    assert_int_equal(d.max_pages, 100);
    assert_int_equal(wh_fake_running(w.f), 0);
    assert_true(wh_xen_unpause(w.op, w.x, domid));
    assert_int_equal(wh_fake_running(w.f), 1);
    assert_refused(&w, wh_xen_unpause(w.op, w.x, domid), "Invalid argument");
    assert_true(wh_xen_shutdown(w.op, w.x, domid, WH_SUSPEND));
    assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
    assert_true(d.shutdown && d.reason == WH_SUSPEND);
    assert_int_equal(wh_fake_running(w.f), 0);
    assert_true(wh_xen_resume(w.op, w.x, domid));
    assert_int_equal(wh_fake_running(w.f), 1);
    assert_true(wh_xen_destroy(w.op, w.x, domid));
    assert_true(wh_xen_destroy(w.op, w.x, domid));
    assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
    assert_false(there);
    assert_refused(&w, wh_xen_pause(w.op, w.x, domid), "No such process");
    wh_auto_free char *after = wh_fake_check(w.f);
    assert_string_equal(after, before);
    end(&w);
}

static void lists_domains_in_order(void **state)
{
    struct world w = begin(state);
    struct wh_domain d[8];
    size_t n;

    for (int i = 0; i < 4; i++)
        make(&w, i % 2, 1);
    assert_true(wh_xen_domains(w.op, w.x, 0, d, 8, &n));
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(d[i].domid, i);
    assert_true(wh_xen_domains(w.op, w.x, 3, d, 1, &n));
    assert_int_equal(n, 1);
    assert_int_equal(d[0].domid, 3);
    end(&w);
}

static void event_channels_end(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 1), port;

    for (uint32_t i = 1; i <= 3; i++) {
        assert_true(wh_xen_port(w.op, w.x, domid, 0, &port));
        assert_int_equal(port, i);
    }
    assert_refused(&w, wh_xen_port(w.op, w.x, domid, 0, &port), "No space");
    end(&w);
}

/* ----------------------------------------------------------------------------------- memory */

static void memory_is_limited_and_given_once(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 700);
    uint64_t big[] = { 512 }, odd[] = { 3 }, one[] = { 7 }, many[] = { 0, 1, 2 }, n;

    assert_true(wh_xen_populate(w.op, w.x, domid, big, 1, 9));
    assert_int_equal(big[0], 512);
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, odd, 1, 1), "Invalid argument");
    assert_true(wh_xen_populate(w.op, w.x, domid, one, 1, 0));
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, one, 1, 0), "File exists");
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, big, 1, 9), "File exists");
    assert_true(wh_xen_populate(w.op, w.x, domid, many, 3, 0));
    big[0] = 1024;
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, big, 1, 9), "Cannot allocate memory");
    assert_true(wh_xen_release(w.op, w.x, domid, many, 2));
    assert_refused(&w, wh_xen_release(w.op, w.x, domid, many, 1), "Invalid argument");
    assert_true(wh_xen_populate(w.op, w.x, domid, many, 2, 0));
    assert_true(wh_xen_max_memory(w.op, w.x, domid, 100000));
    wh_fake_set_free(w.f, 0);
    one[0] = 9;
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, one, 1, 0), "Cannot allocate memory");
    assert_true(wh_xen_frames(w.op, w.x, domid, &n));
    assert_true(n >= 1024);
    one[0] = UINT64_C(1) << 40;
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, one, 1, 0), "Invalid argument");
    end(&w);
}

static void mappings_are_the_memory(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 100);
    uint64_t frame[] = { 5, 6, 7, 20, 6 };
    uint8_t *p, *q;
    int err[5];

    assert_true(wh_xen_populate(w.op, w.x, domid, frame, 4, 0));
    assert_true(wh_xen_map(w.op, w.x, domid, true, frame, 5, err, (void **)&p));
    for (int i = 0; i < 5; i++) {
        assert_int_equal(err[i], 0);
        memset(p + i * 4096, 'a' + i, 4096);
    }
    assert_int_equal(p[4096], 'e');             /* the second and the last are one page */
    assert_int_equal(wh_fake_page(w.f, domid, 20)[4095], 'd');
    assert_true(wh_xen_map(w.op, w.x, domid, false, frame, 3, NULL, (void **)&q));
    assert_int_equal(q[2 * 4096], 'c');
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, "memory of domain 1: 5 pages are mapped");
    assert_says(text, "memory of domain 1: 3 pages are mapped");
    wh_xen_unmap(w.x, p, 5);
    wh_xen_unmap(w.x, q, 3);
    wh_auto_free char *rest = wh_fake_check(w.f);
    assert_null(strstr(rest, "mapped"));
    end(&w);
}

static void holes_are_told_of_frame_by_frame(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 100);
    uint64_t frame[] = { 5, 6 }, ask[] = { 4, 5, 6, 7, UINT64_MAX };
    uint8_t *p;
    int err[5];

    assert_true(wh_xen_populate(w.op, w.x, domid, frame, 2, 0));
    assert_true(wh_xen_map(w.op, w.x, domid, false, ask, 5, err, (void **)&p));
    assert_int_equal(err[0], EINVAL);
    assert_int_equal(err[1], 0);
    assert_int_equal(err[2], 0);
    assert_int_equal(err[3], EINVAL);
    assert_int_equal(err[4], EINVAL);
    assert_int_equal(p[4096] + p[2 * 4096], 0);
    wh_xen_unmap(w.x, p, 5);
    assert_refused(&w, wh_xen_map(w.op, w.x, domid, false, ask, 5, NULL, (void **)&p),
                   "Invalid argument");
    assert_true(wh_xen_types(w.op, w.x, domid, ask, 5));
    assert_int_equal(ask[0], 15);
    assert_int_equal(ask[1], 0);
    assert_int_equal(ask[4], 15);
    wh_auto_free char *rest = wh_fake_check(w.f);
    assert_null(strstr(rest, "mapped"));
    end(&w);
}

/* A mapping for reading is for reading only: who writes to it dies. */
static void mappings_for_reading_cannot_be_written(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 100);
    uint64_t frame[] = { 5 };
    uint8_t *p;
    int status;

    assert_true(wh_xen_populate(w.op, w.x, domid, frame, 1, 0));
    assert_true(wh_xen_map(w.op, w.x, domid, false, frame, 1, NULL, (void **)&p));
    pid_t child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile uint8_t *)p = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    wh_xen_unmap(w.x, p, 1);
    end(&w);
}

static void what_is_mapped_outlives_its_domain_and_is_seen(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 100);
    uint64_t frame[] = { 5 };
    uint8_t *p;

    assert_true(wh_xen_populate(w.op, w.x, domid, frame, 1, 0));
    assert_true(wh_xen_map(w.op, w.x, domid, true, frame, 1, NULL, (void **)&p));
    assert_true(wh_xen_destroy(w.op, w.x, domid));
    p[0] = 1;
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, "memory of domain 1: 1 pages are mapped");
    wh_xen_unmap(w.x, p, 1);
    end(&w);
}

static void batches_are_bounded(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 5000);
    static uint64_t frame[WH_BATCH_MAX + 1];

    for (size_t i = 0; i < WH_COUNT(frame); i++)
        frame[i] = i;
    assert_refused(&w, wh_xen_types(w.op, w.x, domid, frame, WH_BATCH_MAX + 1), "too long");
    assert_refused(&w, wh_xen_populate(w.op, w.x, domid, frame, WH_BATCH_MAX + 1, 0), "Invalid");
    assert_true(wh_xen_populate(w.op, w.x, domid, frame, WH_BATCH_MAX, 0));
    assert_true(wh_xen_types(w.op, w.x, domid, frame, WH_BATCH_MAX));
    end(&w);
}

static void log_dirty_tells_what_was_written(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 50);
    uint8_t bits[256 * MB / 8];
    uint64_t dirty;

    assert_refused(&w, wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_CLEAN, false, bits, 256 * MB,
                                       &dirty), "Invalid argument");
    assert_true(wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_ON, false, NULL, 0, NULL));
    assert_refused(&w, wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_ON, false, NULL, 0, NULL),
                   "Invalid argument");
    wh_fake_dirty(w.f, domid, 3);
    wh_fake_dirty(w.f, domid, 9);
    assert_true(wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_PEEK, false, bits, 256 * MB, &dirty));
    assert_int_equal(dirty, 2);
    assert_true(wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_CLEAN, true, bits, 256 * MB, &dirty));
    assert_int_equal(dirty, 2);
    assert_int_equal(bits[0], 8);
    assert_int_equal(bits[1], 2);
    assert_true(wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_CLEAN, true, bits, 256 * MB, &dirty));
    assert_int_equal(dirty, 0);
    wh_auto_free char *text = wh_fake_check(w.f);
    assert_says(text, "log-dirty is on");
    assert_true(wh_xen_logdirty(w.op, w.x, domid, WH_DIRTY_OFF, false, NULL, 0, NULL));
    wh_auto_free char *rest = wh_fake_check(w.f);
    assert_null(strstr(rest, "log-dirty"));

    uint32_t pv = wh_fake_guest_pv(w.f, "p", MB, 1, 50, 8, WH_FAKE_LINEAR);
    assert_refused(&w, wh_xen_logdirty(w.op, w.x, pv, WH_DIRTY_ON, false, NULL, 0, NULL),
                   "not supported");
    wh_fake_pv_logdirty(w.f, true);
    assert_true(wh_xen_logdirty(w.op, w.x, pv, WH_DIRTY_ON, false, NULL, 0, NULL));
    end(&w);
}

static void a_guest_writes_by_itself_while_it_runs(struct wh_fake *f, uint32_t domid, void *arg)
{
    ++*wh_fake_page(f, domid, 4);
    wh_fake_dirty(f, domid, 4);
    ++*(unsigned *)arg;
}

static void guests_run_between_calls(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    unsigned ran = 0;
    struct wh_domain d;
    bool there;

    wh_fake_run(w.f, domid, a_guest_writes_by_itself_while_it_runs, &ran);
    for (int i = 0; i < 3; i++)
        assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
    assert_int_equal(ran, 3);
    assert_true(wh_xen_pause(w.op, w.x, domid));        /* it still ran just before */
    for (int i = 0; i < 3; i++)
        assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
    assert_int_equal(ran, 4);
    assert_int_equal(*wh_fake_page(w.f, domid, 4), 4);
    end(&w);
}

/* --------------------------------------------------------------------------- HVM and policies */

static void hvm_parameters_have_their_rules(void **state)
{
    static const uint32_t once[] = { 5, 6, 9, 32, 33, 35, 38 }, gone[] = { 4, 13, 24, 26, 39, 99 };
    struct world w = begin(state);
    uint32_t domid = make(&w, true, 1), pv = make(&w, false, 1);
    uint64_t value;

    for (size_t i = 0; i < WH_COUNT(once); i++) {
        assert_true(wh_xen_set_param(w.op, w.x, domid, once[i], 0));
        assert_true(wh_xen_set_param(w.op, w.x, domid, once[i], 5));
        assert_true(wh_xen_set_param(w.op, w.x, domid, once[i], 5));
        assert_refused(&w, wh_xen_set_param(w.op, w.x, domid, once[i], 6), "File exists");
    }
    for (size_t i = 0; i < WH_COUNT(gone); i++)
        assert_refused(&w, wh_xen_set_param(w.op, w.x, domid, gone[i], 1), "Invalid argument");
    assert_true(wh_xen_set_param(w.op, w.x, domid, 1, 5));
    assert_true(wh_xen_set_param(w.op, w.x, domid, 1, 6));
    assert_true(wh_xen_get_param(w.op, w.x, domid, 1, &value));
    assert_int_equal(value, 6);
    assert_refused(&w, wh_xen_get_param(w.op, w.x, pv, 1, &value), "Invalid argument");
    end(&w);
}

static void hvm_contexts_must_be_chains(void **state)
{
    struct world w = begin(state);
    uint32_t domid = wh_fake_guest_pvh(w.f, "g", MB, 1, 100);
    void *bytes;
    size_t n;

    assert_true(wh_xen_get_hvm_context(w.op, w.x, domid, &bytes, &n));
    assert_true(wh_xen_set_hvm_context(w.op, w.x, domid, bytes, n));
    for (size_t cut = 0; cut < n; cut += 1 + cut / 3)
        assert_refused(&w, wh_xen_set_hvm_context(w.op, w.x, domid, bytes, cut), "Invalid");
    ((uint8_t *)bytes)[8] ^= 1;
    assert_refused(&w, wh_xen_set_hvm_context(w.op, w.x, domid, bytes, n), "Invalid argument");
    free(bytes);
    end(&w);
}

static void policies_travel(void **state)
{
    struct world w = begin(state);
    uint32_t a = make(&w, true, 1), b = make(&w, true, 1);
    void *leaves, *msrs;
    size_t leaf_bytes, msr_bytes;

    assert_true(wh_xen_default_policy(w.op, w.x, a, false, false, false));
    assert_true(wh_xen_get_policy(w.op, w.x, a, &leaves, &leaf_bytes, &msrs, &msr_bytes));
    assert_int_equal(leaf_bytes, 19 * 24);
    assert_int_equal(msr_bytes, 2 * 16);
    assert_true(wh_xen_set_policy(w.op, w.x, b, leaves, leaf_bytes, msrs, msr_bytes));
    assert_refused(&w, wh_xen_set_policy(w.op, w.x, b, leaves, 25, msrs, 0), "Invalid argument");
    memcpy(leaves, &(uint32_t){ 0x40000100 }, 4);
    assert_refused(&w, wh_xen_set_policy(w.op, w.x, b, leaves, leaf_bytes, msrs, msr_bytes),
                   "leaf 0x40000100");
    free(leaves);
    free(msrs);
    end(&w);
}

static void a_host_has_a_policy_too(void **state)
{
    struct world w = begin(state);
    wh_auto_free void *leaves = NULL, *msrs = NULL;
    size_t leaf_bytes, msr_bytes;
    char why[WH_WHY];

    assert_true(wh_xen_host_policy(w.op, w.x, true, &leaves, &leaf_bytes, &msrs, &msr_bytes));
    assert_int_equal(leaf_bytes, 19 * 24);
    assert_int_equal(msr_bytes, 2 * 16);
    assert_true(wh_xen_policy_fits(w.op, w.x, true, leaves, leaf_bytes, msrs, msr_bytes, why));
    assert_string_equal(why, "");
    assert_int_equal(wh_fake_leaf(w.f, 0, 0, 0), 13);
    wh_fake_set_leaf(w.f, 0, 0, 0, 7);
    assert_true(wh_xen_policy_fits(w.op, w.x, true, leaves, leaf_bytes, msrs, msr_bytes, why));
    assert_string_equal(why, "leaf 0, subleaf 0xffffffff");
    end(&w);
}

/* --------------------------------------------------------------------------------------- PV */

/* The guest's own way from its registers to its memory leads where it should: through cr3 to the
 * page tables, and through shared info to the p2m. */
static void a_pv_guest_is_laid_out_as_linux_does(void **state)
{
    static const struct { unsigned width; enum wh_fake_p2m p2m; } kinds[] = {
        { 8, WH_FAKE_LINEAR }, { 8, WH_FAKE_TREE }, { 4, WH_FAKE_LINEAR }, { 4, WH_FAKE_TREE } };

    for (size_t k = 0; k < WH_COUNT(kinds); k++) {
        struct world w = begin(state);
        unsigned width = kinds[k].width;
        uint32_t domid = wh_fake_guest_pv(w.f, "p", MB, k + 1, 50, width, kinds[k].p2m);
        struct wh_domain d;
        bool there;
        uint8_t *info, context[WH_VCPU_CONTEXT];
        uint64_t *list, frames, compat, si, type;
        size_t chunks;
        uint64_t *m2p;

        assert_true(wh_xen_domain(w.op, w.x, domid, &d, &there));
        assert_true(wh_xen_map(w.op, w.x, domid, false, &d.shared_info, 1, NULL, (void **)&info));
        assert_int_equal(word(info, width == 8 ? 0xc10 : 0x90c, width), 256 * MB);
        assert_true(!word(info, width == 8 ? 0xc28 : 0x918, width) ==
                    (kinds[k].p2m == WH_FAKE_TREE));
        wh_xen_unmap(w.x, info, 1);
        type = d.shared_info;
        assert_true(wh_xen_types(w.op, w.x, domid, &type, 1));
        assert_int_equal(type, 15);

        assert_true(wh_xen_m2p(w.op, w.x, &frames, &list, &chunks, &compat));
        uint64_t all[512];
        for (size_t i = 0; i < 512; i++)
            all[i] = list[0] + i;
        assert_true(wh_xen_map(w.op, w.x, WH_DOMID_XEN, false, all, 512, NULL, (void **)&m2p));
        assert_true(wh_xen_get_context(w.op, w.x, domid, 0, context));
        si = word(context, width == 8 ? 0x268 : 0x20c, width);
        assert_int_equal(m2p[si], 1);
        uint8_t *page;
        assert_true(wh_xen_map(w.op, w.x, domid, false, &si, 1, NULL, (void **)&page));
        assert_memory_equal(page, "xen-3.0-x86_", 12);
        assert_int_equal(m2p[word(page, width == 8 ? 0x38 : 0x2c, width)], 2);
        wh_xen_unmap(w.x, page, 1);

        uint64_t cr3 = word(context, width == 8 ? 0x1390 : 0xaa8, width);
        type = width == 8 ? cr3 >> 12 : ((cr3 >> 12 | cr3 << 20) & 0xffffffff);
        assert_true(wh_xen_types(w.op, w.x, domid, &type, 1));
        assert_int_equal(type, width == 8 ? 12 : 11);
        wh_xen_unmap(w.x, m2p, 512);
        free(list);
        end(&w);
    }
}

/* Registers that lead to another's page tables, or to none, are refused. */
static void a_pv_guest_runs_on_its_own_tables_only(void **state)
{
    struct world w = begin(state);
    uint32_t a = wh_fake_guest_pv(w.f, "a", MB, 1, 50, 8, WH_FAKE_LINEAR);
    uint32_t b = wh_fake_guest_pv(w.f, "b", MB, 1, 50, 8, WH_FAKE_LINEAR);
    uint8_t context[WH_VCPU_CONTEXT], was[8];
    struct wh_pinned p = { WH_PIN_L4, 0 };

    assert_true(wh_xen_get_context(w.op, w.x, a, 0, context));
    assert_true(wh_xen_set_context(w.op, w.x, a, 0, context));
    assert_refused(&w, wh_xen_set_context(w.op, w.x, b, 0, context), "Invalid argument");
    memcpy(was, context + 0x12e0, 8);
    memset(context + 0x12e0, 0xff, 8);          /* a descriptor table that is nobody's */
    assert_refused(&w, wh_xen_set_context(w.op, w.x, a, 0, context), "Invalid argument");
    memcpy(context + 0x12e0, was, 8);
    memset(context + 0x1390, 0, 8);             /* page tables that are nobody's */
    assert_refused(&w, wh_xen_set_context(w.op, w.x, a, 0, context), "Invalid argument");
    assert_refused(&w, wh_xen_pin(w.op, w.x, a, &p, 1), "Invalid argument");
    end(&w);
}

/* Every entry counts, down to the last one of the lowest table. */
static void a_table_refers_to_its_guest_s_frames_only(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, false, 100), other = make(&w, false, 100);
    uint64_t own[] = { 0, 1 }, foreign[] = { 0 };
    struct wh_pinned p = { WH_PIN_L1, 0 };

    assert_true(wh_xen_populate(w.op, w.x, domid, own, 2, 0));
    assert_true(wh_xen_populate(w.op, w.x, other, foreign, 1, 0));
    uint64_t *table = (uint64_t *)(void *)wh_fake_page(w.f, domid, 0);
    p.mfn = own[0];
    table[0] = own[1] << 12 | 1;
    table[511] = foreign[0] << 12 | 1;
    assert_refused(&w, wh_xen_pin(w.op, w.x, domid, &p, 1), "Invalid argument");
    table[511] = foreign[0] << 12;              /* not present: anything goes */
    assert_true(wh_xen_pin(w.op, w.x, domid, &p, 1));
    assert_true(wh_xen_types(w.op, w.x, domid, own, 2));
    assert_int_equal(own[0], 9);
    assert_int_equal(own[1], 0);
    p.level = WH_PIN_L2;
    assert_refused(&w, wh_xen_pin(w.op, w.x, domid, &p, 1), "Invalid argument");
    end(&w);
}

static void width_is_set_before_memory(void **state)
{
    struct world w = begin(state);
    uint32_t domid = make(&w, false, 10);
    uint64_t frame[] = { 0 };
    unsigned width;

    assert_true(wh_xen_get_width(w.op, w.x, domid, &width));
    assert_int_equal(width, 8);
    assert_true(wh_xen_set_width(w.op, w.x, domid, 4));
    assert_true(wh_xen_populate(w.op, w.x, domid, frame, 1, 0));
    assert_true(frame[0] != 0);
    assert_refused(&w, wh_xen_set_width(w.op, w.x, domid, 8), "Permission denied");
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("a domain lives and dies", a_domain_lives_and_dies),
        OP_TEST("domains are listed in order", lists_domains_in_order),
        OP_TEST("event channels end", event_channels_end),
        OP_TEST("memory is limited, and given once", memory_is_limited_and_given_once),
        OP_TEST("mappings are the memory", mappings_are_the_memory),
        OP_TEST("holes are told of frame by frame", holes_are_told_of_frame_by_frame),
        OP_TEST("mappings for reading cannot be written", mappings_for_reading_cannot_be_written),
        OP_TEST("what is mapped outlives its domain, and is seen",
                what_is_mapped_outlives_its_domain_and_is_seen),
        OP_TEST("batches are bounded", batches_are_bounded),
        OP_TEST("log-dirty tells what was written", log_dirty_tells_what_was_written),
        OP_TEST("guests run between calls", guests_run_between_calls),
        OP_TEST("HVM parameters have their rules", hvm_parameters_have_their_rules),
        OP_TEST("HVM contexts must be chains", hvm_contexts_must_be_chains),
        OP_TEST("policies travel", policies_travel),
        OP_TEST("a host has a policy too", a_host_has_a_policy_too),
        OP_TEST("a PV guest is laid out as Linux does", a_pv_guest_is_laid_out_as_linux_does),
        OP_TEST("a PV guest runs on its own tables only", a_pv_guest_runs_on_its_own_tables_only),
        OP_TEST("a table refers to its guest's frames only",
                a_table_refers_to_its_guest_s_frames_only),
        OP_TEST("width is set before memory", width_is_set_before_memory),
    };

    return cmocka_run_group_tests_name("fake", tests, NULL, NULL);
}
