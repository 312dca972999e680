/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every order of every fault in a handoff: all that can be reached from its beginning is looked at,
 * shortest way first, and the way to what is wrong is told.
 *
 *     test_handoff DOC     the tests; DOC, docs/handoff.md, must say what the tables and this say
 *     test_handoff         prints what it must say
 *
 * WHERRY_TEST_WAYS=1: the shortest way to each harm is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/own.h"
#include "handoff_world.h"

#define WORLDS_MOST (1u << 22)
#define TURNS 6                 /* of recover, for what is late in the network */

/* ---- worlds seen ---- */

struct search {
    uint64_t *world;            /* in the order they were reached */
    uint32_t *from;             /* by which, and how */
    const char **how;
    uint32_t *slot;             /* hash to index + 1 */
    uint32_t count, at;
    const char *wrong;
    const char *wrong_how;
    uint64_t wrong_world;
};

struct packing {
    uint64_t bits;
    unsigned used;
};

static void put(struct packing *p, unsigned value, unsigned width)
{
    p->bits |= (uint64_t)value << p->used;
    p->used += width;
}

static unsigned get(struct packing *p, unsigned width)
{
    unsigned value = p->bits & ((1u << width) - 1);

    p->bits >>= width;
    return value;
}

static uint64_t pack(const struct world *w)
{
    struct packing p = { 0 };

    put(&p, w->s_seen, 3), put(&p, w->s_disk, 3), put(&p, w->t_seen, 3), put(&p, w->t_disk, 3);
    put(&p, w->s_copy, 2), put(&p, w->t_copy, 2);
    put(&p, w->s_at, 5), put(&p, w->t_at, 5), put(&p, w->t_for, 2);
    put(&p, w->s_up, 1), put(&p, w->t_up, 1), put(&p, w->net, MESSAGES);
    put(&p, w->opened, 1), put(&p, w->fenced, 1), put(&p, w->ran_there, 1);
    put(&p, w->s_lost, 1), put(&p, w->t_lost, 1), put(&p, w->record_lost, 1);
    assert_true(p.used <= 64);
    return p.bits;
}

static void unpack(uint64_t bits, struct world *w)
{
    struct packing p = { .bits = bits };

    *w = (struct world){ 0 };
    w->s_seen = get(&p, 3), w->s_disk = get(&p, 3), w->t_seen = get(&p, 3), w->t_disk = get(&p, 3);
    w->s_copy = get(&p, 2), w->t_copy = get(&p, 2);
    w->s_at = get(&p, 5), w->t_at = get(&p, 5), w->t_for = get(&p, 2);
    w->s_up = get(&p, 1), w->t_up = get(&p, 1), w->net = get(&p, MESSAGES);
    w->opened = get(&p, 1), w->fenced = get(&p, 1), w->ran_there = get(&p, 1);
    w->s_lost = get(&p, 1), w->t_lost = get(&p, 1), w->record_lost = get(&p, 1);
}

static void search_begin(struct search *s)
{
    *s = (struct search){ .world = malloc(WORLDS_MOST * sizeof *s->world),
                          .from = malloc(WORLDS_MOST * sizeof *s->from),
                          .how = malloc(WORLDS_MOST * sizeof *s->how),
                          .slot = calloc(2 * WORLDS_MOST, sizeof *s->slot) };
    assert_true(s->world && s->from && s->how && s->slot);
}

static void search_end(struct search *s)
{
    free(s->world);
    free(s->from);
    free(s->how);
    free(s->slot);
}

static void add(struct search *s, uint64_t world, const char *how)
{
    uint32_t i = (uint32_t)(world * 0x9e3779b97f4a7c15u >> 41);     /* 23 bits: 2 * WORLDS_MOST */

    for (; s->slot[i]; i = (i + 1) % (2 * WORLDS_MOST))
        if (s->world[s->slot[i] - 1] == world)
            return;
    assert_true(s->count < WORLDS_MOST);
    s->world[s->count] = world;
    s->from[s->count] = s->at;
    s->how[s->count] = how;
    s->slot[i] = ++s->count;
}

static void reached(void *arg, const char *how, const struct world *next)
{
    struct search *s = arg;
    const char *wrong = world_wrong(next);

    if (wrong && !s->wrong) {
        s->wrong = wrong;
        s->wrong_how = how;
        s->wrong_world = pack(next);
    }
    add(s, pack(next), how);
}

/* ---- how it ends when recover is run on both sides ---- */

enum end { AT_SOURCE, AT_TARGET, DIED_WITH_SOURCE, DIED_WITH_TARGET, IN_DOUBT, ENDS };

static const char *const end_names[] = { "source", "target", "died", "died there", "doubt" };

static enum end end_of(const struct world *w)
{
    if (w->s_seen == WH_SOURCE_INTENT)
        return IN_DOUBT;
    if (w->s_copy == COPY_RUNS)
        return AT_SOURCE;
    if (w->t_copy == COPY_RUNS)
        return AT_TARGET;
    return w->t_lost ? DIED_WITH_TARGET : DIED_WITH_SOURCE;
}

/* Enough of it: what is late in the network takes a turn each. */
static void recover_both(struct world *w, bool target_first)
{
    for (int turn = 0; turn < TURNS; turn++) {
        if (target_first)
            world_recover_target(w);
        world_recover_source(w);
        world_recover_target(w);
    }
}

/* Nobody works any more, both hosts are up: recover is run on both. */
static const char *end_wrong(struct world *w)
{
    bool wiped = w->record_lost && !w->fenced;

    if (w->wrong || world_wrong(w))
        return world_wrong(w);
    if (w->s_seen == WH_SOURCE_INTENT)
        return wiped ? NULL : "recover on both sides does not settle it";
    if (w->s_seen != WH_SOURCE_DONE && w->s_seen != WH_SOURCE_OURS)
        return "recover does not settle the source";
    if (w->t_copy == COPY_STILL && !w->record_lost)
        return "a paused copy is left";
    if (w->s_copy == COPY_STILL)
        return "a suspended copy is left";
    if (w->s_copy == COPY_NONE && w->t_copy == COPY_NONE && !w->s_lost && !w->t_lost)
        return "no copy is left, and no host crashed";
    return NULL;
}

/* The target's host stays off: what the source may do then. */
static const char *alone_wrong(const struct world *before, struct world *w)
{
    bool intends = before->s_seen == WH_SOURCE_INTENT;

    if (world_wrong(w))
        return world_wrong(w);
    if (intends && !before->fenced && before->s_copy == COPY_STILL && w->s_copy == COPY_RUNS)
        return "the source runs it without an answer or a fence";
    if (before->fenced && w->s_seen == WH_SOURCE_INTENT)
        return "the operator's word does not settle the source";
    if (before->s_copy == COPY_STILL && before->s_seen != WH_SOURCE_DONE &&
        (!intends || before->fenced) && w->s_copy != COPY_RUNS)
        return "what is the source's to run does not run";
    return NULL;
}

static const char *ends_wrong(const struct world *from, enum end *end, struct world *last)
{
    const char *why = NULL;

    for (int target_first = 0; target_first < 2 && !why; target_first++) {
        struct world w = *from, alone = *from;

        w.s_up = w.t_up = alone.s_up = true;
        recover_both(&w, target_first);
        why = end_wrong(&w);
        *end = end_of(&w);
        *last = w;
        if (!why && !from->t_up && (alone.net & ~((1u << ANSWER) - 1)) == 0) {
            recover_both(&alone, target_first);
            why = alone_wrong(from, &alone);
            *last = alone;
        }
    }
    return why;
}

/* ---- the search ---- */

/* For the document: which ends there are where both processes are gone, by the records' states and
 * by what has gone down with its host: the source's copy, a committed one at the target.  Without
 * the operator's word, and without a record lost. */
static unsigned ends[WH_SOURCE_OURS + 1][WH_TARGET_ABORTED + 1][2][2];
static uint32_t worlds;
static bool fence_was_late;

static void look_at(struct search *s, const struct world *w)
{
    enum end end;
    const char *why;
    struct world last;

    fence_was_late |= w->fenced && w->ran_there && w->s_copy == COPY_RUNS;
    if (w->s_at != S_GONE || w->t_at != T_GONE)
        return;
    why = ends_wrong(w, &end, &last);
    if (why && !s->wrong) {
        s->wrong = why;
        s->wrong_how = "recover on both sides";
        s->wrong_world = pack(&last);
    }
    if (!w->fenced && !w->record_lost && w->s_seen == w->s_disk && w->t_seen == w->t_disk)
        ends[w->s_disk][w->t_disk][w->s_lost][w->t_lost] |= 1u << end;
}

/* Until all has been looked at, or something is wrong. */
static void search(struct search *s)
{
    struct world w;

    search_begin(s);
    world_begin(&w);
    add(s, pack(&w), "a guest runs");
    for (; s->at < s->count && !s->wrong; s->at++) {
        unpack(s->world[s->at], &w);
        look_at(s, &w);
        if (!s->wrong)
            world_next(&w, reached, s);
        if (s->wrong)
            break;
    }
}

static void print_world(uint64_t bits, const char *how)
{
    static const char *const copies[] = { "none", "still", "torn", "RUNS" };
    struct world w;

    /* A star: written, and not on disk yet. */
    unpack(bits, &w);
    print_message("  %-44s source %s%s (%s%s), target %s%s (%s%s)%s, net %x\n", how,
                  wh_source_state_name(w.s_seen), w.s_seen == w.s_disk ? "" : "*",
                  copies[w.s_copy], w.s_up ? "" : ", off", wh_target_state_name(w.t_seen),
                  w.t_seen == w.t_disk ? "" : "*", copies[w.t_copy], w.t_up ? "" : ", off",
                  w.fenced ? " fenced" : "", w.net);
}

static void print_way(const struct search *s)
{
    uint32_t way[256], n = 0;

    for (uint32_t i = s->at; i && n < WH_COUNT(way); i = s->from[i])
        way[n++] = i;
    while (n--)
        print_world(s->world[way[n]], s->how[way[n]]);
    print_world(s->wrong_world, s->wrong_how);
    print_message("  => %s\n", s->wrong);
}

static void nothing_that_can_happen_is_wrong(void **state)
{
    struct search s;

    (void)state;
    broken = AS_DESIGNED;
    search(&s);
    worlds = s.count;
    print_message("%u states of two records, copies, processes, hosts and a network\n", worlds);
    if (s.wrong)
        print_way(&s);
    assert_null(s.wrong);
    search_end(&s);
}

/* What the operator is told before he says it: the guest may have run there and written its disks.
 * Only the target's record knows. */
static void a_fence_can_bring_back_a_copy_older_than_the_disks(void **state)
{
    (void)state;
    assert_true(worlds > 0);
    assert_true(fence_was_late);
}

/* clang-format off */
static const struct {
    enum breakage way;
    const char *what;
    bool harmless;              /* a rule is broken, and no harm is known to come of it */
} breakages[] = {
    { RUN_BEFORE_COMMITTED,    "the target runs it before committed is written" },
    { RUN_BEFORE_FSYNC,        "the target runs it before committed is on disk" },
    { RUN_WHAT_IS_READY,       "recover at the target runs what is only ready" },
    { COMMIT_AFTER_ABORT,      "the target takes a COMMIT after it aborted" },
    { DESTROY_BEFORE_TOMBSTONE, "the target destroys its copy before aborted is on disk", true },
    { NO_TOMBSTONE,            "the target forgets a job that it aborts" },
    { ABORT_AFTER_COMMITTED,   "the target aborts when the fsync of committed fails" },
    { DESTROY_COMMITTED,       "recover destroys a committed copy that is still paused" },
    { FORGET_BEFORE_BYE,       "the target forgets the job before BYE" },
    { ANSWER_BEFORE_FSYNC,     "an answer is given from a record that is not on disk yet" },
    { SETTLE_UNDER_A_PROCESS,  "who is asked settles a record that a process holds" },
    { COMMIT_BEFORE_INTENT,    "the source says COMMIT before intent is written" },
    { COMMIT_BEFORE_FSYNC,     "the source says COMMIT before intent is on disk" },
    { RESUME_ON_TIMEOUT,       "the source runs it when nobody answers" },
    { RESUME_ON_READY,         "the source runs it when the target says ready" },
    { RESUME_ON_UNKNOWN,       "the source runs it when the target says unknown" },
    { RESUME_BEFORE_OURS,      "the source runs it again before ours is on disk" },
    { RESUME_BY_NAME,          "recover of a domain by name does not look at its record" },
    { DESTROY_ON_COMMIT,       "the source destroys its copy as soon as it has said COMMIT" },
    { DESTROY_BEFORE_DONE,     "the source destroys its copy before done is on disk" },
    { BYE_BEFORE_OURS,         "the source says BYE before its record is settled on disk" },
    { FENCE_THAT_IS_NONE,      "the operator says fenced of a host that is on" },
};
/* clang-format on */

static void each_way_to_break_it_does_harm_that_is_found(void **state)
{
    (void)state;
    assert_int_equal(WH_COUNT(breakages), BREAKAGES - 1);
    for (size_t i = 0; i < WH_COUNT(breakages); i++) {
        struct search s;

        broken = breakages[i].way;
        only_harm = !breakages[i].harmless;
        search(&s);
        print_message("%s: %s\n", breakages[i].what, s.wrong ? s.wrong : "NOT FOUND");
        if (getenv("WHERRY_TEST_WAYS") && s.wrong)
            print_way(&s);
        assert_non_null(s.wrong);
        search_end(&s);
    }
    broken = AS_DESIGNED;
    only_harm = false;
}

/* ---- the document ---- */

static const char *document;

static void print_rows(FILE *f)
{
    static const char *const fates[] = { "runs", "is destroyed", "waits" };

    fputs("| source | may become | its copy |\n|---|---|---|\n", f);
    for (unsigned i = 0; i <= WH_SOURCE_OURS; i++) {
        fprintf(f, "| %s |", wh_source_state_name(i));
        for (unsigned to = 0; to <= WH_SOURCE_OURS; to++)
            if (wh_source_may(i, to))
                fprintf(f, " %s", wh_source_state_name(to));
        fprintf(f, " | %s |\n", fates[wh_source_fate(i, false, WH_TARGET_UNKNOWN, false)]);
    }
    fputs("\n| target | may become | its copy | a source in intent |\n|---|---|---|---|\n", f);
    for (unsigned i = 0; i <= WH_TARGET_ABORTED; i++) {
        fprintf(f, "| %s |", wh_target_state_name(i));
        for (unsigned to = 0; to <= WH_TARGET_ABORTED; to++)
            if (wh_target_may(i, to))
                fprintf(f, " %s", wh_target_state_name(to));
        fprintf(f, " | %s | %s |\n", fates[wh_target_fate(i)],
                fates[wh_source_fate(WH_SOURCE_INTENT, true, i, false)]);
    }
}

static void print_ends(FILE *f)
{
    fputs("\n| source | target | killed | source's host | target's host | both |\n"
          "|---|---|---|---|---|---|\n", f);
    for (unsigned i = 0; i <= WH_SOURCE_OURS; i++)
        for (unsigned j = 0; j <= WH_TARGET_ABORTED; j++) {
            unsigned all = 0;

            for (unsigned lost = 0; lost < 4; lost++)
                all |= ends[i][j][lost & 1][lost >> 1];
            if (!all)
                continue;
            fprintf(f, "| %s | %s |", wh_source_state_name(i), wh_target_state_name(j));
            for (unsigned lost = 0; lost < 4; lost++) {
                unsigned set = ends[i][j][lost & 1][lost >> 1];

                for (unsigned end = 0; end < ENDS; end++)
                    if (set & 1u << end)
                        fprintf(f, " %s", end_names[end]);
                fputs(set ? " |" : " - |", f);
            }
            fputc('\n', f);
        }
}

static char *said(void)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    print_rows(f);
    print_ends(f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void the_document_says_what_the_tables_and_the_search_say(void **state)
{
    wh_auto_free char *text = said(), *doc = calloc(1, 1 << 18);
    FILE *f = fopen(document, "r");

    (void)state;
    assert_non_null(f);
    assert_non_null(doc);
    assert_true(fread(doc, 1, (1 << 18) - 1, f) > 0);
    fclose(f);
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
        if (!strstr(doc, line))
            fail_msg("%s does not say: %s", document, line);
}

static void a_state_that_is_none_decides_nothing(void **state)
{
    enum wh_source_state s = WH_SOURCE_SENT;
    enum wh_target_state t = WH_TARGET_READY;

    (void)state;
    assert_false(wh_source_state_named("ready", &s));
    assert_false(wh_target_state_named("", &t));
    assert_int_equal(s, WH_SOURCE_SENT);
    assert_int_equal(t, WH_TARGET_READY);
    assert_int_equal(wh_source_fate(99, true, WH_TARGET_ABORTED, true), WH_FATE_WAIT);
    assert_int_equal(wh_source_fate(WH_SOURCE_INTENT, true, 99, true), WH_FATE_WAIT);
    assert_int_equal(wh_target_fate(99), WH_FATE_WAIT);
    assert_false(wh_source_may(99, WH_SOURCE_OURS));
    assert_false(wh_target_may(WH_TARGET_READY, 99));
}

static void names_are_read_as_they_are_written(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= WH_SOURCE_OURS; i++) {
        enum wh_source_state s;

        assert_true(wh_source_state_named(wh_source_state_name(i), &s));
        assert_int_equal(s, i);
    }
    for (unsigned i = 0; i <= WH_TARGET_ABORTED; i++) {
        enum wh_target_state t;

        assert_true(wh_target_state_named(wh_target_state_name(i), &t));
        assert_int_equal(t, i);
    }
}

static int print_said(void)
{
    struct search s;

    search(&s);
    search_end(&s);
    wh_auto_free char *text = said();
    return fputs(text, stdout) < 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_read_as_they_are_written),
        cmocka_unit_test(a_state_that_is_none_decides_nothing),
        cmocka_unit_test(nothing_that_can_happen_is_wrong),
        cmocka_unit_test(a_fence_can_bring_back_a_copy_older_than_the_disks),
        cmocka_unit_test(the_document_says_what_the_tables_and_the_search_say),
        cmocka_unit_test(each_way_to_break_it_does_harm_that_is_found),
    };

    if (argc < 2)
        return print_said();
    document = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
