/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Live saves on a host in memory: of guests that can be copied while they run and of those that
 * cannot, and of an HVM guest with its QEMU, which writes to its memory too. */
#include "dm/qemu.h"
#include "hvm_world.h"

#define COMMAND "xen-set-global-dirty-log"

static const struct wh_save_how living = { .live = true, .keep_running = true,
                                           .rounds = { .mode = WH_LIVE_REQUIRE } };

/* QEMU is running, and whether it tells of what it writes. */
static bool tells(struct world *w, uint32_t domid)
{
    wh_auto_json json_object *answer = NULL;
    struct wh_qmp *qmp;

    assert_true(wh_qemu_reach(&w->op, &w->here, domid, &qmp));
    assert_true(wh_qmp_call(&w->op, qmp, "query-status", NULL, -1, &answer));
    assert_string_equal(wh_json_string(answer, "status", ""), "running");
    wh_qmp_close(qmp);
    return json_object_get_boolean(json_object_object_get(answer, "dirty-log"));
}

/* The guest and QEMU as before, but for what was asked for. */
static void assert_runs_on(struct world *w, uint32_t domid, bool file)
{
    assert_true(wh_fake_state(w->f, domid).running);
    assert_false(wh_fake_state(w->f, domid).logdirty);
    assert_false(tells(w, domid));
    assert_int_equal(is_there(w->file), file);
    assert_int_equal(records(w), 0);
}

/* ------------------------------------------------------------------------------- its QEMU */

static void it_tells_as_long_as_the_guest_is_copied(void **state)
{
    struct world *w = *state;
    char on[64], off[64], stop[64], cont[64];

    uint32_t n = must(create(w, false)).domid;
    wh_auto_free char *first = hvm_story(w->folder);
    must(save(w, &living));
    wh_auto_free char *story = hvm_story(w->folder);
    const char *saving = story + strlen(first);
    line_of(on, n, "dirty log on");
    line_of(off, n, "dirty log off");
    line_of(stop, n, "stop");
    line_of(cont, n, "cont");
    assert_order(saving, "xen: logdirty", on);
    assert_order(saving, on, "xen: types");
    assert_order(saving, "xen: types", stop);
    assert_order(saving, stop, off);
    assert_order(saving, off, cont);
    assert_runs_on(w, n, true);
    must(destroy(w));
    must(restore(w, false));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void it_tells_no_more_of_a_guest_that_waits(void **state)
{
    struct wh_save_how how = { .live = true, .paused = true };
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    must(save(w, &how));
    assert_false(wh_fake_state(w->f, n).logdirty);
    assert_false(tells(w, n));
    must(destroy(w));
}

static void it_tells_no_more_after_a_failure(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    hvm_play(w->folder, "xen-save-devices-state", QMP_REFUSES);
    struct outcome o = save(w, &living);
    assert_int_equal(o.kind, WH_PEER);
    assert_int_equal(o.undo, WH_OK);
    assert_runs_on(w, n, false);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static void one_that_cannot_tell_is_found_out_before_anything_is_copied(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    for (int i = 0; i < 2; i++) {
        wh_auto_free char *first = hvm_story(w->folder);

        if (i == 0)
            hvm_play_once(w->folder, COMMAND, QMP_REFUSES);
        else
            hvm_play(w->folder, "old", 1);
        struct outcome o = save(w, &living);
        hvm_play(w->folder, NULL, 0);
        wh_auto_free char *story = hvm_story(w->folder);
        assert_int_equal(o.kind, WH_PEER);
        assert_int_equal(o.undo, WH_OK);
        assert_says(o.error, COMMAND);
        assert_says(o.error, "cannot be copied while it runs");
        assert_says(o.error, "runs on");
        assert_not_told(story + strlen(first), "xen: types");
        assert_runs_on(w, n, false);
    }
    must(save(w, &keeping));            /* stopped all the while, it can be saved */
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

static bool is_fine(enum qmp_trick trick)
{
    return trick == QMP_BEHAVES || trick == QMP_DRIBBLES || trick == QMP_DESCRIPTORS ||
           trick == QMP_EMPTY_LINES || trick == QMP_EVENT_FIRST || trick == QMP_EVENTS;
}

static void whatever_it_answers_the_guest_runs_on(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    for (int trick = QMP_BEHAVES; trick < QMP_TRICKS; trick++) {
        bool fine = is_fine((enum qmp_trick)trick);

        if (trick == QMP_EVENTS_ONLY)
            continue;
        hvm_play_once(w->folder, COMMAND, trick);
        wh_op_hurry = trick == QMP_STALLS ? HURRY : BRISK;
        struct outcome o = save(w, &living);
        wh_op_hurry = BRISK;
        if (fine != (o.kind == WH_OK) || (!fine && !strstr(o.error, COMMAND)) || o.undo != WH_OK)
            fail_msg("trick %d: %s (%s)", trick, o.error, wh_kind_name(o.undo));
        assert_runs_on(w, n, fine);
        if (fine)
            assert_int_equal(unlink(w->file), 0);
    }
    hvm_play(w->folder, NULL, 0);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* Killed while it copied the guest: what recover finds is a record, log-dirty and QEMU's too. */
static void recover_ends_what_a_killed_one_has_begun(void **state)
{
    struct world *w = *state;

    uint32_t n = must(create(w, false)).domid;
    hvm_play(w->folder, "xen-save-devices-state", QMP_REFUSES);
    hvm_play(w->folder, "cont", QMP_CLOSES);        /* nor can it be undone */
    assert_int_equal(save(w, &living).undo, WH_PEER);
    assert_int_equal(records(w), 1);
    hvm_play(w->folder, NULL, 0);
    must(recover(w));
    assert_runs_on(w, n, false);
    must(save(w, &living));
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* ------------------------------------------------------------------------- other guests */

static const char *plain_config(struct world *w, const char *type)
{
    FILE *f = fopen(w->config, "w");

    assert_non_null(f);
    fprintf(f, "name = 'p'\ntype = '%s'\nkernel = '/k'\nmemory = 8\n", type);
    assert_int_equal(fclose(f), 0);
    return w->config;
}

/* What it did, in the words of its outcome. */
static json_object *saved(struct world *w, const struct wh_save_how *how)
{
    struct wh_job *j = wh_save_new("p", w->file, how);

    ((struct wh_task *)j)->here = &w->here;
    if (wh_job_run(j) != WH_OK)
        fail_msg("%s", wh_job_error(j));
    json_object *o = json_object_get(wh_task_result(j));
    wh_job_free(j);
    return o;
}

static const char *text_of(json_object *o, const char *key)
{
    return wh_json_string(o, key, "");
}

static void a_pvh_guest_s_outcome_tells_of_its_rounds(void **state)
{
    struct world *w = *state;
    struct wh_save_how how = { .live = true };

    wh_fake_guest_pvh(w->f, "p", 8, 1, 50);
    how.config = plain_config(w, "pvh");
    wh_auto_json json_object *o = saved(w, &how);
    assert_true(json_object_get_boolean(json_object_object_get(o, "live")));
    assert_int_equal(wh_json_number(o, "rounds", 0), 1);
    assert_string_equal(text_of(o, "why"), "the pause will be as short as wanted");
    assert_true(wh_json_number(o, "pause_pages", 99) < 64);
    assert_string_equal(text_of(o, "guest"), "saved");
}

static void a_pv_guest_is_stopped_all_the_while_and_told_why(void **state)
{
    struct world *w = *state;
    struct wh_save_how how = { .live = true, .keep_running = true };

    uint32_t n = wh_fake_guest_pv(w->f, "p", 8, 1, 50, 8, WH_FAKE_LINEAR);
    how.config = plain_config(w, "pv");
    wh_auto_json json_object *o = saved(w, &how);
    assert_false(json_object_get_boolean(json_object_object_get(o, "live")));
    assert_int_equal(wh_json_number(o, "rounds", 9), 0);
    assert_string_equal(text_of(o, "why"), "Xen does not keep note of what PV guests write to");
    assert_int_equal(wh_json_number(o, "pause_pages", 0), wh_json_number(o, "pages", 1));
    assert_true(wh_fake_state(w->f, n).running);
    how.live = false;
    wh_auto_json json_object *unasked = saved(w, &how);
    assert_null(json_object_object_get(unasked, "why"));
}

static void a_pv_guest_that_must_be_copied_while_it_runs_is_refused(void **state)
{
    struct world *w = *state;
    struct wh_save_how how = { .live = true, .rounds = { .mode = WH_LIVE_REQUIRE } };

    uint32_t n = wh_fake_guest_pv(w->f, "p", 8, 1, 50, 8, WH_FAKE_LINEAR);
    how.config = plain_config(w, "pv");
    struct outcome o = perform(w, wh_save_new("p", w->file, &how));
    assert_int_equal(o.kind, WH_USAGE);
    assert_says(o.error, "cannot be copied while it runs: Xen does not keep note");
    assert_says(o.error, "runs on");
    assert_true(wh_fake_state(w->f, n).running);
    assert_int_equal(wh_fake_state(w->f, n).suspends, 0);
    assert_false(is_there(w->file));
    assert_int_equal(records(w), 0);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST("QEMU tells as long as the guest is copied",
                   it_tells_as_long_as_the_guest_is_copied),
        WORLD_TEST("QEMU tells no more of a guest that waits", it_tells_no_more_of_a_guest_that_waits),
        WORLD_TEST("QEMU tells no more after a failure", it_tells_no_more_after_a_failure),
        WORLD_TEST("a QEMU that cannot tell is found out before anything is copied",
                   one_that_cannot_tell_is_found_out_before_anything_is_copied),
        WORLD_TEST("whatever QEMU answers, the guest runs on", whatever_it_answers_the_guest_runs_on),
        WORLD_TEST("recover ends what a killed one has begun",
                   recover_ends_what_a_killed_one_has_begun),
        WORLD_TEST("a PVH guest's outcome tells of its rounds",
                   a_pvh_guest_s_outcome_tells_of_its_rounds),
        WORLD_TEST("a PV guest is stopped all the while, and told why",
                   a_pv_guest_is_stopped_all_the_while_and_told_why),
        WORLD_TEST("a PV guest that must be copied while it runs is refused",
                   a_pv_guest_that_must_be_copied_while_it_runs_is_refused),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
