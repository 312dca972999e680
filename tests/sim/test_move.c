/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest moves between two hosts in memory. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#include "flow/native.h"
#include "move_world.h"

static const struct wh_send_how plainly = { .no_monitor = true };

static uint64_t number(const struct move *m, const char *key)
{
    json_object *o;

    if (!json_object_object_get_ex(m->result, key, &o))
        fail_msg("the report says nothing of %s", key);
    return json_object_get_uint64(o);
}

static void assert_node(struct side *h, const char *value, const char *path)
{
    char text[128];

    snprintf(text, sizeof text, path, wh_fake_newest(h->f));
    wh_auto_free char *is = wh_fake_node(h->f, "%s", text);
    assert_non_null(is);
    assert_string_equal(is, value);
}

static void check_report(const struct move *m, bool debug)
{
    json_object *parts = json_object_object_get(m->result, "downtime");

    assert_string_equal(wh_json_string(m->result, "guest", ""), "moved");
    assert_string_equal(wh_json_string(m->result, "protocol", ""), "native");
    assert_string_equal(wh_json_string(m->result, "name", ""), "g");
    assert_true(json_object_get_boolean(json_object_object_get(m->result, "live")));
    assert_in_range(number(m, "rounds"), 1, 40);
    assert_in_range(number(m, "pages"), MOVE_MB * 256 / 10, MOVE_MB * 256 * 4);
    assert_in_range(number(m, "zero_pages"), 1, MOVE_MB * 256 * 4);
    assert_in_range(number(m, "pause_pages"), 1, MOVE_MB * 256);
    uint64_t sent = number(m, "pages") + (debug ? number(m, "compared_pages") : 0);
    assert_in_range(number(m, "stream_bytes"), number(m, "pages") * 4096, sent * 4300 + 99999);
    assert_int_equal(json_object_object_get_ex(m->result, "compared_pages", NULL), debug);
    if (debug) {
        assert_in_range(number(m, "compared_pages"), MOVE_MB * 256 - 40, 2 * MOVE_MB * 256 + 64);
        assert_in_range(number(m, "not_compared_pages"), 2, 40);
    }
    assert_in_range(number(m, "link_bytes"), 4096, number(m, "stream_bytes") + 99999);
    assert_in_range(number(m, "downtime_ms"), 0, number(m, "total_ms"));
    uint64_t sum = 0;
    struct json_object_iterator at = json_object_iter_begin(parts), end = json_object_iter_end(parts);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
        sum += json_object_get_uint64(json_object_iter_peek_value(&at));
    assert_in_range(sum, 0, number(m, "downtime_ms"));
}

/* What the other host tells of it fits. */
static void check_arrival(const struct move *m, bool debug)
{
    static const char *const parts[] = { "processors_ms", "devices_ms", "commit_ms", "run_ms" };
    json_object *o = wh_task_result(m->callers->job), *downtime = json_object_object_get(o, "downtime");
    uint64_t sum = 0, none = UINT64_MAX;

    assert_string_equal(wh_json_string(o, "job", "here"), wh_json_string(m->result, "job", "there"));
    assert_int_equal(wh_json_number(o, "stream_bytes", none), number(m, "stream_bytes"));
    assert_in_range(wh_json_number(o, "link_bytes", none), number(m, "link_bytes") - 2000, number(m, "link_bytes"));
    assert_int_equal(wh_json_number(o, "pages", none), wh_fake_state(m->t.f, wh_fake_newest(m->t.f)).pages);
    assert_int_equal(wh_json_number(o, "zero_pages", none), number(m, "zero_pages"));
    assert_int_equal(wh_json_number(o, "differing_pages", none), debug ? 0 : none);
    assert_int_equal(wh_json_number(o, "compared_pages", 0), debug ? number(m, "compared_pages") : 0);
    for (size_t i = 0; i < WH_COUNT(parts); i++) {
        assert_true(json_object_object_get_ex(downtime, parts[i], NULL));
        sum += wh_json_number(downtime, parts[i], none);
    }
    assert_in_range(wh_json_number(o, "downtime_ms", none), sum, sum + 4);
    assert_in_range(wh_json_number(o, "total_ms", none), sum, number(m, "total_ms") + 60000);
    json_object *here = json_object_object_get(o, "bytes"), *there = json_object_object_get(m->result, "bytes");
    assert_int_equal(wh_json_number(here, "pages", none), wh_json_number(there, "pages", 0));
    assert_int_equal(wh_json_number(here, "emulator", none), wh_json_number(there, "emulator", 0));
    assert_int_equal(wh_json_number(here, "other", none), wh_json_number(there, "other", 0));
    assert_int_equal(wh_json_number(here, "emulator", 0) > 0, m->hvm);
    if (!debug)
        assert_int_equal(wh_json_number(there, "pages", none), number(m, "pages") * 4096);
    assert_in_range(wh_json_number(there, "packed_to", none), 0, wh_json_number(there, "packed", none));
}

/* All that goes well: how it is told, and that there is nothing else. */
static void move_well(bool hvm, const struct wh_send_how *how, enum move_line line)
{
    char error[1100];
    struct move m;

    wh_op_hurry = 4;
    move_open(&m, hvm);
    unsigned fds = wh_fake_fds();
    move_serve(&m);
    m.line = line;
    move_run(&m, how);
    if (m.kind != WH_OK || m.callers->kind != WH_OK)
        fail_msg("%s; there: %s", m.error, m.callers->error);
    assert_false(m.twice);
    if (*m.torn)
        fail_msg("%s", m.torn);
    assert_true(move_runs(&m.t) != how->paused && !move_runs(&m.s));
    assert_int_equal(m.compared, 1);
    check_report(&m, how->debug);
    check_arrival(&m, how->debug);
    move_serve_no_more(&m);
    assert_int_equal(wh_fake_fds(), fds);
    assert_true(wh_fake_ends_soon(m.s.f) == how->then_exit);       /* what is mapped is kept */
    wh_auto_free char *left = move_left(&m.s);
    if (left)
        fail_msg("%s", left);
    assert_node(&m.t, how->name ? how->name : "g", "/local/domain/%u/name");
    assert_node(&m.t, hvm ? "8192" : "4096", "/local/domain/%u/memory/static-max");
    assert_int_equal(move_records(&m.s, "", NULL) + move_records(&m.t, "", NULL), 0);
    assert_false(wh_fake_state(m.t.f, wh_fake_newest(m.t.f)).logdirty);
    if (move_perform(&m.t, wh_destroy_new(how->name ? how->name : "g"), error) != WH_OK)
        fail_msg("%s", error);
    wh_auto_free char *there = move_left(&m.t);
    if (there)
        fail_msg("there: %s", there);
    move_close(&m);
    wh_op_hurry = 1;
}

static void a_pvh_guest_moves(void **state)
{
    (void)state;
    move_well(false, &plainly, LINE_GOOD);
}

static void an_hvm_guest_moves(void **state)
{
    (void)state;
    move_well(true, &plainly, LINE_GOOD);
}

static void it_moves_over_a_slow_link(void **state)
{
    (void)state;
    move_well(false, &plainly, LINE_SLOW);
}

static void it_moves_under_another_name(void **state)
{
    (void)state;
    move_well(false, &(struct wh_send_how){ .no_monitor = true, .name = "h", .packing = 3 }, LINE_GOOD);
}

static void the_process_may_end_with_it(void **state)
{
    (void)state;
    move_well(false, &(struct wh_send_how){ .no_monitor = true, .then_exit = true }, LINE_GOOD);
}

static void it_may_wait_there(void **state)
{
    (void)state;
    move_well(false, &(struct wh_send_how){ .no_monitor = true, .paused = true, .packing = -1 }, LINE_GOOD);
}

/* --------------------------------------------------------------------------- sent twice (--debug) */

static const struct wh_send_how twice = { .no_monitor = true, .debug = true };

static void a_pvh_guest_that_is_compared_moves(void **state)
{
    (void)state;
    move_well(false, &twice, LINE_GOOD);
}

static void an_hvm_guest_that_is_compared_moves(void **state)
{
    (void)state;
    move_well(true, &twice, LINE_GOOD);
}

#define ALTERED 0x2bc               /* the guest does not write to it */

/* As it would be, had Xen not told of what was written; or had what came not been kept. */
static void alters_at_the_source(struct move *m, enum move_side side, const char *call)
{
    if (side == SOURCE && strcmp(call, "grants") == 0)
        wh_fake_page(m->s.f, m->domid, ALTERED)[0] ^= 1;
}

/* The first call behind the pages that come for the first time is that which maps some to be compared. */
static void alters_at_the_target(struct move *m, enum move_side side, const char *call)
{
    static _Atomic bool again;
    uint8_t *page;

    if (side == SOURCE && strcmp(call, "grants") == 0)
        again = true;
    if (side != TARGET || strcmp(call, "map") != 0 || !again)
        return;
    page = wh_fake_page(m->t.f, wh_fake_newest(m->t.f), ALTERED);
    if (page)
        page[0] |= page[0] == 0xff ? 0 : 0xff;
}

static void is_found(bool hvm, void (*alters)(struct move *, enum move_side, const char *))
{
    char error[1100];
    struct move m;

    wh_op_hurry = 4;
    move_open(&m, hvm);
    move_serve(&m);
    m.hears = alters;
    move_run(&m, &twice);
    m.hears = NULL;
    assert_int_equal(m.kind, WH_PEER);
    assert_int_equal(m.callers->kind, WH_STREAM);
    assert_says(m.error, "pages that were sent again are not what they were the first time, the first of "
                         "them page 0x2bc");
    assert_says(m.error, "runs on, it was not moved");
    assert_true(move_runs(&m.s) && !move_runs(&m.t) && !m.twice);
    move_serve_no_more(&m);
    assert_int_equal(move_records(&m.s, "", NULL) + move_records(&m.t, "", NULL), 0);
    wh_auto_free char *there = move_left(&m.t);
    if (there)
        fail_msg("there: %s", there);
    assert_int_equal(move_perform(&m.s, wh_destroy_new("g"), error), WH_OK);
    move_close(&m);
    wh_op_hurry = 1;
}

static void a_page_that_changed_unseen_is_found_and_the_guest_runs_on(void **state)
{
    (void)state;
    is_found(false, alters_at_the_source);
    is_found(true, alters_at_the_source);
}

static void a_page_that_was_lost_there_is_found_and_the_guest_runs_on(void **state)
{
    (void)state;
    is_found(false, alters_at_the_target);
}

/* ------------------------------------------------------------------------------- who is asked */

static void ask(struct move *m, const char *job, char state[32], bool goodbye)
{
    struct wh_destination to = { .host = m->at };
    enum wh_target_state is;
    struct wh_op op;

    assert_true(wh_op_init(&op));
    bool ok = wh_native_ask(&op, &to, job, &is, goodbye);
    snprintf(state, 32, "%s", ok ? wh_target_state_name(is) : "");
    wh_op_done(&op);
    move_await_receivers(m);
}

/* A receiver is killed when it is ready; its source has given up.  The record's name. */
static void leave_a_ready_one(struct move *m, char job[64], char path[600])
{
    wh_op_hurry = MOVE_HURRY;
    move_open(m, false);
    move_serve(m);
    m->event = (struct move_event){ TARGET, AT_RECORD, 4, IS_KILLED, 0 };
    move_run(m, &plainly);
    m->event = (struct move_event){ 0 };
    assert_true(m->kind != WH_OK && move_runs(&m->s));
    assert_int_equal(move_records(&m->t, "receive-", path), 1);
    snprintf(job, 64, "%.36s", strstr(path, "receive-") + 8);
}

static void one_who_is_asked_of_a_move_that_he_does_not_know_says_so(void **state)
{
    char answer[32];
    struct move m;

    (void)state;
    wh_op_hurry = 4;
    move_open(&m, false);
    move_serve(&m);
    ask(&m, "01234567-89ab-cdef-0123-456789abcdef", answer, true);
    assert_string_equal(answer, "unknown");
    ask(&m, "../../../etc/passwd", answer, false);
    assert_string_equal(answer, "");
    assert_int_equal(move_records(&m.t, "", NULL), 0);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* Each call by which it is settled fails once: the record stays until it can be answered, and then until
 * the source has said goodbye. */
static void what_cannot_be_settled_is_not_forgotten(void **state)
{
    char answer[32] = "", job[64], path[600];
    struct move m;
    unsigned failures = 0;

    (void)state;
    leave_a_ready_one(&m, job, path);
    for (uint64_t k = 1; k < 100 && !*answer; k++) {
        wh_fake_fault(m.t.f, k, WH_FAULT_FAIL);
        wh_fake_fault_shielded(m.t.f, k, WH_FAULT_FAIL);
        ask(&m, job, answer, false);
        assert_int_equal(move_records(&m.t, "receive-", NULL), 1);
        failures += !*answer;
    }
    assert_string_equal(answer, "aborted");
    assert_true(failures > 0);
    wh_fake_fault(m.t.f, 0, WH_FAULT_NONE);
    wh_fake_fault_shielded(m.t.f, 0, WH_FAULT_NONE);
    free(move_recover(&m, &m.t, false));
    ask(&m, job, answer, false);
    assert_string_equal(answer, "aborted");
    ask(&m, job, answer, true);
    assert_string_equal(answer, "aborted");
    assert_int_equal(move_records(&m.t, "", NULL), 0);
    wh_auto_free char *left = move_left(&m.t);
    if (left)
        fail_msg("%s", left);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* ------------------------------------------------------------------------- a target that fails */

static enum move_tamper spoil(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                              json_object *o)
{
    const char *type = m->tamper_arg;

    if (from == SOURCE && !o && kind == 4 && strcmp(type, "end") == 0)
        body[3] ^= 1;
    return from == SOURCE && o && strcmp(wh_json_string(o, "type", ""), type) == 0 ? IS_DROPPED : PASSES;
}

static uint64_t step_of(const struct side *h, const char *name)
{
    for (uint64_t i = 1; i <= h->steps && i < WH_COUNT(h->step); i++)
        if (strcmp(h->step[i], name) == 0)
            return i;
    fail_msg("there is no step \"%s\"", name);
    return 0;
}

/* Its link is the caller's own: what became of it is heard over that one, or not at all. */
static void spoiled(struct move *m, const char *what)
{
    struct wh_send_how how = plainly;

    wh_op_hurry = MOVE_HURRY;
    move_open(m, false);
    move_serve(m);
    m->tamper = spoil;
    m->tamper_arg = what;
    int fd = move_call(m);
    how.own_link = true;
    how.in = how.out = fd;
    move_run(m, &how);
    close(fd);
    assert_true(m->kind == WH_PEER && move_runs(&m->s) && !m->twice);
    assert_string_equal(m->early, "");
    /* What takes long there, it takes when all is said. */
    assert_true(step_of(&m->t, "tell the other host") < step_of(&m->t, "destroy the unfinished domain"));
    assert_int_equal(move_records(&m->s, "", NULL) + move_records(&m->t, "", NULL), 0);
    wh_auto_free char *left = move_left(&m->t);
    if (left)
        fail_msg("%s", left);
    move_serve_no_more(m);
    move_close(m);
    wh_op_hurry = 1;
}

static void a_target_that_fails_says_so_first(void **state)
{
    struct move m;

    (void)state;
    spoiled(&m, "end");
    assert_says(m.error, "their digests differ");
}

static void a_commit_that_is_refused_is_answered(void **state)
{
    struct move m;

    (void)state;
    spoiled(&m, "commit");
    assert_says(m.error, "has not taken the guest");
    assert_says(m.error, "wait to be told to run it");
}

/* ------------------------------------------------------------------------------- its name */

static void take_its_name(struct move *m)
{
    wh_fake_guest(m->s.f, &(struct wh_fake_guest){ .name = "g", .mb = 1, .seed = 2, .vcpus = 1 });
}

static void assert_back_without_its_name(struct move *m)
{
    char path[64];

    assert_int_equal(wh_fake_running(m->s.f), 2);
    assert_int_equal(wh_fake_running(m->t.f), 0);
    snprintf(path, sizeof path, "/local/domain/%u/name", m->domid);
    wh_auto_free char *name = wh_fake_node(m->s.f, "%s", path);
    assert_string_equal(name, "g--migratedaway");
    assert_int_equal(move_records(&m->s, "", NULL), 0);
}

/* The commit does not arrive, and meanwhile somebody else is called so. */
static enum move_tamper lose_commit(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                                    json_object *o)
{
    (void)kind, (void)body;
    if (from != SOURCE || strcmp(wh_json_string(o, "type", ""), "commit") != 0)
        return PASSES;
    take_its_name(m);
    return IS_DROPPED;
}

static void a_guest_that_comes_back_does_not_wait_for_its_name(void **state)
{
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    move_serve(&m);
    m.tamper = lose_commit;
    move_run(&m, &plainly);
    assert_says(m.error, "it is called g--migratedaway still");
    assert_says(m.error, "has not taken the guest");
    assert_says(m.error, "runs on, it was not moved");
    assert_back_without_its_name(&m);
    move_serve_no_more(&m);
    move_close(&m);

    move_open(&m, false);
    move_serve(&m);
    m.event = (struct move_event){ SOURCE, AT_RECORD, 4, IS_KILLED, 0 };
    move_run(&m, &plainly);
    m.event = (struct move_event){ 0 };
    assert_int_equal(move_records(&m.s, "send-", NULL), 1);
    take_its_name(&m);
    wh_auto_free char *says = move_recover(&m, &m.s, false);
    assert_says(says, "the guest runs on, but not by its own name");
    assert_back_without_its_name(&m);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* An earlier move that is in doubt has left one that is called as this one is to be. */
static void a_name_that_it_needs_here_is_looked_for_first(void **state)
{
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    wh_fake_guest(m.s.f, &(struct wh_fake_guest){ .name = "g--migratedaway", .mb = 1, .seed = 2, .vcpus = 1 });
    move_serve(&m);
    move_run(&m, &plainly);
    assert_says(m.error, "as this one is while it is handed over");
    assert_int_equal(wh_fake_running(m.s.f), 2);
    assert_int_equal(wh_fake_running(m.t.f), 0);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* ------------------------------------------------------------- somebody has a hand on the arrival */

static enum move_tamper destroy_before_commit(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                                              json_object *o)
{
    char error[1100];

    (void)kind, (void)body;
    if (from != SOURCE || strcmp(wh_json_string(o, "type", ""), "commit") != 0)
        return PASSES;
    assert_int_equal(move_perform(&m->t, wh_destroy_new("g--incoming"), error), WH_OK);
    return PASSES;
}

static void an_arrival_that_was_destroyed_is_not_taken(void **state)
{
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    move_serve(&m);
    m.tamper = destroy_before_commit;
    move_run(&m, &plainly);
    assert_says(m.error, "has not taken the guest");
    assert_says(m.error, "runs on, it was not moved");
    assert_true(move_runs(&m.s));
    assert_int_equal(wh_fake_running(m.t.f), 0);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* Who is asked settles his side: a look asks nobody. */
static void a_look_changes_nothing_there(void **state)
{
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    move_serve(&m);
    m.event = (struct move_event){ SOURCE, AT_RECORD, 4, IS_KILLED, 0 };
    move_run(&m, &plainly);
    m.event = (struct move_event){ 0 };
    wh_auto_free char *looks = move_recover(&m, &m.s, true);
    assert_says(looks, "that host is asked, and the guest runs on or the copy here is destroyed");
    assert_int_equal(move_records(&m.t, "receive-", NULL), 1);      /* it would have heard BYE */
    assert_int_equal(move_records(&m.s, "send-", NULL), 1);
    wh_auto_free char *says = move_recover(&m, &m.s, false);
    assert_says(says, "the guest runs on");
    assert_true(move_runs(&m.s));
    move_serve_no_more(&m);
    assert_int_equal(move_records(&m.t, "receive-", NULL), 0);
    move_close(&m);
    wh_op_hurry = 1;
}

/* ------------------------------------------------------------------ a target that only listens */

/* At a socket no new receiver is started for who asks. */
struct listens {
    struct move *m;
    struct wh_job *job;
    struct wh_here here;
    char at[320], error[1100];
    enum wh_kind kind;
    pthread_t thread;
};

static void *listen_there(void *arg)
{
    struct listens *l = arg;

    l->kind = wh_job_run(l->job);
    return NULL;
}

static void begin_listening(struct move *m, struct listens *l)
{
    *l = (struct listens){ .m = m, .here = m->t.here };
    snprintf(l->at, sizeof l->at, "unix:%s/l.sock", m->folder);
    l->here.xen = wh_fake_xen(m->t.f);
    l->here.store = wh_fake_store(m->t.f);
    l->job = wh_receive_new(&(struct wh_receive_how){ .listen = l->at, .no_monitor = true });
    assert_non_null(l->job);
    ((struct wh_task *)l->job)->here = &l->here;
    m->through = l->at + 5;
    assert_int_equal(pthread_create(&l->thread, NULL, listen_there, l), 0);
    while (access(m->through, F_OK) < 0)
        unit_sleep_ms(1);
}

static void end_listening(struct listens *l)
{
    pthread_join(l->thread, NULL);
    snprintf(l->error, sizeof l->error, "%s", wh_job_error(l->job));
    wh_job_free(l->job);
    wh_store_close(l->here.store);
    wh_xen_close(l->here.xen);
    assert_true(access(l->at + 5, F_OK) < 0);
}

/* The target's first message of this kind is the link's last; where that is its answer, no commit had come. */
static enum move_tamper cut_at(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                               json_object *o)
{
    (void)kind;
    (void)body;
    if (from == SOURCE && o && strcmp(wh_json_string(o, "type", ""), "commit") == 0)
        return strcmp(m->tamper_arg, "answer") == 0 ? IS_DROPPED : PASSES;
    if (m->met || from != TARGET || !o || strcmp(wh_json_string(o, "type", ""), m->tamper_arg) != 0)
        return PASSES;
    m->met = true;
    return CUTS_THE_LINK;
}

static void who_listens_can_be_asked_when_the_link_is_lost(void **state)
{
    static const char *const last[] = { "running", "answer" };
    struct listens l;
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    for (size_t i = 0; i < WH_COUNT(last); i++) {
        bool runs = i == 0;

        move_open(&m, false);
        begin_listening(&m, &l);
        move_serve(&m);
        m.tamper = cut_at;
        m.tamper_arg = last[i];
        move_run(&m, &plainly);
        end_listening(&l);
        assert_true(m.met && !m.twice);
        assert_true((m.kind == WH_OK) == runs && (l.kind == WH_OK) == runs);
        assert_true(move_runs(runs ? &m.t : &m.s));
        if (!runs)
            assert_says(m.error, "has not taken the guest");
        assert_string_equal(m.early, "");
        assert_int_equal(move_records(&m.s, "", NULL) + move_records(&m.t, "", NULL), 0);
        move_serve_no_more(&m);
        move_close(&m);
    }
    wh_op_hurry = 1;
}

/* The target cannot let it run before the source's copy, and its QEMU, are gone: it has arrived all the same. */
static void a_disk_is_waited_for(bool listens)
{
    struct listens l;
    char cont[32];
    struct move m;

    wh_op_hurry = MOVE_HURRY;
    move_open(&m, true);
    if (listens)
        begin_listening(&m, &l);
    hvm_play(m.s.folder, "keep", 1);
    move_serve(&m);
    move_run(&m, &plainly);
    if (m.kind != WH_OK)
        fail_msg("%s", m.error);
    if (listens)
        end_listening(&l);
    else
        assert_true(m.callers->next != NULL);       /* it was asked for */
    move_serve_no_more(&m);
    wh_auto_free char *story = hvm_story(m.t.folder);
    snprintf(cont, sizeof cont, "qemu %u: cont", wh_fake_newest(m.t.f));
    assert_true(hvm_at(story, cont) >= 0 && hvm_at(story, cont) < hvm_last(story, cont));
    assert_false(m.twice);
    assert_true(move_runs(&m.t) && !move_runs(&m.s));
    assert_int_equal(move_records(&m.s, "", NULL) + move_records(&m.t, "", NULL), 0);
    wh_auto_free char *left = move_left(&m.s);
    if (left)
        fail_msg("%s", left);
    move_close(&m);
    wh_op_hurry = 1;
}

static void a_disk_that_is_not_given_up_is_waited_for(void **state)
{
    (void)state;
    a_disk_is_waited_for(false);
}

static void and_by_who_listens(void **state)
{
    (void)state;
    a_disk_is_waited_for(true);
}

/* A record of before the host was started anew: its domains are no more, whoever has their numbers. */
static void age(const char *path)
{
    wh_auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    size_t n;

    assert_true(fd >= 0);
    wh_auto_free char *text = (char *)unit_slurp(fd, &n);
    for (char *at = text; (at = strstr(at, "\"boot\":\"")); at += 9)
        memset(at + 8, '0', 8);
    assert_int_equal(pwrite(fd, text, n, 0), n);
}

/* ------------------------------------------------------------------- a target that knows nothing */

/* It has been put up anew, or the record was forgotten: it answers, and it is not off. */
static void where_the_target_knows_nothing_the_operator_is_to_look(void **state)
{
    char path[600], error[1100];
    struct move m;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    move_serve(&m);
    m.event = (struct move_event){ SOURCE, AT_RECORD, 4, IS_KILLED, 0 };
    move_run(&m, &plainly);
    m.event = (struct move_event){ 0 };
    assert_int_equal(move_records(&m.t, "receive-", path), 1);
    assert_int_equal(unlink(path), 0);
    wh_auto_free char *says = move_recover(&m, &m.s, false);
    assert_says(says, "a move of which the other host knows nothing");
    assert_says(says, "Look on that host whether it runs there");
    assert_int_equal(move_records(&m.s, "send-", path), 1);
    assert_false(move_runs(&m.s));
    /* The same, when the source's host has crashed too: there is no copy here. */
    age(path);
    wh_auto_free char *gone = move_recover(&m, &m.s, false);
    assert_says(gone, "the copy here is gone. Look on that host");
    assert_int_equal(move_perform(&m.s, wh_recover_new(&(struct wh_recover_how){ .fenced = m.at }), error), WH_OK);
    assert_int_equal(move_records(&m.s, "", NULL), 0);
    assert_false(move_runs(&m.s));
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* ------------------------------------------------------------------------- a domain without a number */

/* The receiver is killed when it has made the domain, before it has written its number down. */
static void a_domain_that_was_just_made_is_found(void **state)
{
    char path[600];
    struct move m;
    size_t n;

    (void)state;
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    move_serve(&m);
    m.event = (struct move_event){ TARGET, AT_RECORD, 3, IS_KILLED, 0 };
    move_run(&m, &plainly);
    m.event = (struct move_event){ 0 };
    assert_int_equal(move_records(&m.t, "receive-", path), 1);
    wh_auto_fd int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    wh_auto_free char *text = (char *)unit_slurp(fd, &n);
    char *last = memrchr(text, '{', n);
    assert_non_null(strstr(last, "\"domid\":1"));
    assert_int_equal(ftruncate(fd, last - text), 0);
    wh_auto_free char *left = move_left(&m.t);
    assert_non_null(left);
    free(move_recover(&m, &m.t, false));
    wh_auto_free char *after = move_left(&m.t);
    if (after)
        fail_msg("%s", after);
    assert_int_equal(move_records(&m.t, "", NULL), 0);
    assert_true(move_runs(&m.s));
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

/* ---------------------------------------------------------------------------- another boot */

static void records_of_another_boot_harm_no_guest(void **state)
{
    char answer[32], job[64], path[600];
    struct move m;

    (void)state;
    leave_a_ready_one(&m, job, path);
    age(path);
    wh_auto_free char *before = wh_fake_check(m.t.f);
    free(move_recover(&m, &m.t, false));
    wh_auto_free char *after = wh_fake_check(m.t.f);
    assert_string_equal(before, after);
    ask(&m, job, answer, false);
    assert_string_equal(answer, "aborted");
    move_serve_no_more(&m);
    move_close(&m);

    /* The source's host crashed behind the commit, and what has its number now is another's. */
    move_open(&m, false);
    move_serve(&m);
    m.event = (struct move_event){ SOURCE, AT_RECORD, 4, IS_KILLED, 0 };
    move_run(&m, &plainly);
    m.event = (struct move_event){ 0 };
    assert_int_equal(move_records(&m.s, "send-", path), 1);
    age(path);
    wh_auto_free char *source = wh_fake_check(m.s.f);
    wh_auto_free char *says = move_recover(&m, &m.s, false);
    wh_auto_free char *later = wh_fake_check(m.s.f);
    assert_string_equal(source, later);
    assert_says(says, "the guest died with this host: start it from its disks");
    assert_int_equal(move_records(&m.s, "", NULL), 0);
    move_serve_no_more(&m);
    move_close(&m);
    wh_op_hurry = 1;
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST("a PVH guest moves", a_pvh_guest_moves),
        TEST("an HVM guest moves", an_hvm_guest_moves),
        TEST("a disk that is not given up is waited for", a_disk_that_is_not_given_up_is_waited_for),
        TEST("and by who listens", and_by_who_listens),
        TEST("it moves over a slow link", it_moves_over_a_slow_link),
        TEST("it moves under another name", it_moves_under_another_name),
        TEST("the process may end with it", the_process_may_end_with_it),
        TEST("it may wait there", it_may_wait_there),
        TEST("a PVH guest that is compared moves", a_pvh_guest_that_is_compared_moves),
        TEST("an HVM guest that is compared moves", an_hvm_guest_that_is_compared_moves),
        TEST("a page that changed unseen is found, and the guest runs on",
             a_page_that_changed_unseen_is_found_and_the_guest_runs_on),
        TEST("a page that was lost there is found, and the guest runs on",
             a_page_that_was_lost_there_is_found_and_the_guest_runs_on),
        TEST("one who is asked of a move that he does not know says so",
             one_who_is_asked_of_a_move_that_he_does_not_know_says_so),
        TEST("what cannot be settled is not forgotten", what_cannot_be_settled_is_not_forgotten),
        TEST("a target that fails says so first", a_target_that_fails_says_so_first),
        TEST("a commit that is refused is answered", a_commit_that_is_refused_is_answered),
        TEST("a guest that comes back does not wait for its name",
             a_guest_that_comes_back_does_not_wait_for_its_name),
        TEST("where the target knows nothing the operator is to look",
             where_the_target_knows_nothing_the_operator_is_to_look),
        TEST("a domain that was just made is found", a_domain_that_was_just_made_is_found),
        TEST("who listens can be asked when the link is lost", who_listens_can_be_asked_when_the_link_is_lost),
        TEST("records of another boot harm no guest", records_of_another_boot_harm_no_guest),
        TEST("a name that it needs here is looked for first", a_name_that_it_needs_here_is_looked_for_first),
        TEST("an arrival that was destroyed is not taken", an_arrival_that_was_destroyed_is_not_taken),
        TEST("a look changes nothing there", a_look_changes_nothing_there),
    };

    signal(SIGPIPE, SIG_IGN);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
