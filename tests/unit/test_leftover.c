/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records: one command works on a domain at a time, whichever it is and whoever of two was first; what a
 * killed one leaves keeps others from it until recover has settled it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/json.h"
#include "flow/leftover.h"
#include "flow/task.h"
#include "unit.h"
#include "xen/fake.h"

#define MOVE "6a4d2a9e-2e0b-4c55-a4d0-1f0f5a2d8b11"
#define OTHER "0b6f3c0e-55a1-4a38-9d1c-2f3c0f4e9a77"

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here;
    struct wh_domain web, db;
    char folder[PATH_MAX - 300], jobs[PATH_MAX - 200];
};

/* In place of libc's: the disk under the records.  How long it takes; whether it fails now; and what of the
 * file that was written last is on it: after a failure the kernel takes its pages for written. */
static _Atomic int disk_ms;
static atomic_bool disk_fails, is_dirty;
static char on_disk[4096];

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    is_dirty = true;
    return syscall(SYS_pwrite64, fd, bytes, n, at);
}

int fsync(int fd)
{
    struct stat st;

    unit_sleep_ms(disk_ms);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    bool dirty = is_dirty, fails = disk_fails;
    is_dirty = disk_fails = false;
    if (dirty && !fails)
        on_disk[pread(fd, on_disk, sizeof on_disk - 1, 0)] = '\0';
    errno = EIO;
    return fails ? -1 : 0;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    bool there, too;

    *state = w;
    disk_ms = 0;
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->jobs, sizeof w->jobs, "%s/jobs", w->folder);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .state = w->folder };
    uint32_t web = wh_fake_guest_pvh(w->f, "web", 4, 1, 90), db = wh_fake_guest_pvh(w->f, "db", 4, 2, 90);
    assert_true(wh_xen_domain(&w->op, w->here.xen, web, &w->web, &there) && there);
    assert_true(wh_xen_domain(&w->op, w->here.xen, db, &w->db, &too) && too);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    unit_remove_folder(w->jobs);
    unit_remove_folder(w->folder);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

static enum wh_kind perform(struct world *w, struct wh_job *j, char text[4096])
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    enum wh_kind kind = wh_job_run(j);
    snprintf(text, 4096, "%s%s", wh_job_error(j), wh_job_json(j) ? wh_job_json(j) : "");
    wh_job_free(j);
    return kind;
}

static unsigned records(struct world *w)
{
    DIR *d = opendir(w->jobs);
    unsigned n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* ---------------------------------------------------------------------- who keeps whom away */

/* One who works on it, as it may be: "send" in a state, "restore" with a mark. */
static bool begin(struct world *w, struct wh_op *op, struct wh_leftover *l, const struct wh_domain *d,
                  const char *verb, const char *state, const char *job)
{
    struct wh_outfile out = { .plain = true };

    *l = (struct wh_leftover){ 0 };
    if (strcmp(verb, "save") == 0)
        return wh_leftover_save(op, &w->here, l, d, &out, true);
    if (strcmp(verb, "recover") == 0)
        return wh_leftover_recover(op, &w->here, l, d);
    if (strcmp(verb, "create") == 0)
        return wh_leftover_create(op, &w->here, l, d->domid, d->uuid);
    if (strcmp(verb, "restore") == 0)
        return wh_leftover_restore(op, &w->here, l, d->domid, d->uuid) &&
               (!*state || wh_leftover_mark(op, l, state));
    return wh_leftover_move(op, &w->here, l, verb, job, state, d, NULL);
}

/* As if its process had been killed. */
static void be_killed(struct wh_leftover *l)
{
    close(l->fd);
    l->open = false;
}

#define MOVED "may run on the host it was on its way to"
#define BROKEN "was interrupted: wherry recover settles it"

/* What each is told where that is under way, and where it was killed; NULL: it may. */
/* clang-format off */
static const struct {
    const char *verb, *state, *under_way, *save, *move, *recover;   /* of an unpause what of a recover */
} ways[] = {
    { "save",    "",          "a save is under way already",     "a save " BROKEN,     "a save " BROKEN,     NULL },
    { "create",  "",          "a create is under way already",   "a create " BROKEN,   "a create " BROKEN,   "a create " BROKEN },
    { "restore", "",          "a restore is under way already",  "a restore " BROKEN,  "a restore " BROKEN,  "a restore " BROKEN },
    { "restore", "whole",     "a restore is under way already",  "a restore " BROKEN,  "a restore " BROKEN,  NULL },
    { "send",    "copying",   "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     NULL },
    { "send",    "suspended", "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     NULL },
    { "send",    "sent",      "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     NULL },
    { "send",    "intent",    "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     MOVED },
    { "send",    "done",      "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     MOVED },
    { "send",    "ours",      "a move is under way already",     "a move " BROKEN,     "a move " BROKEN,     NULL },
    { "receive", "receiving", "an arrival is under way already", "an arrival " BROKEN, "an arrival " BROKEN, "an arrival " BROKEN },
    { "receive", "ready",     "an arrival is under way already", "an arrival " BROKEN, "an arrival " BROKEN, "an arrival " BROKEN },
    { "receive", "aborted",   "an arrival is under way already", "an arrival " BROKEN, "an arrival " BROKEN, "an arrival " BROKEN },
    { "receive", "committed", "an arrival is under way already", NULL,                 NULL,                 NULL },
    { "recover", "",          "a recovery is under way already", NULL,                 NULL,                 NULL },
};
/* clang-format on */

static void try_to(struct world *w, const struct wh_domain *d, const char *verb, const char *why)
{
    struct wh_leftover l;

    bool ok = strcmp(verb, "unpause") == 0 ? wh_leftover_free(&w->op, &w->here, d, WH_TO_RUN, NULL)
                                           : begin(w, &w->op, &l, d, verb, "copying", OTHER);
    if (ok != !why || (why && !strstr(w->op.err.text, why)))
        fail_msg("%s: expected %s, found %s", verb, why ? why : "well", ok ? "well" : w->op.err.text);
    if (why)
        assert_kind(&w->op, WH_USAGE);
    w->op.err = (struct wh_err){ 0 };
    if (ok && strcmp(verb, "unpause") != 0)
        assert_true(wh_leftover_done(&w->op, &l));
}

static void all_try(struct world *w, const struct wh_domain *d, const char *save, const char *move,
                    const char *recover)
{
    unsigned before = records(w);

    try_to(w, d, "save", save);
    try_to(w, d, "send", move);
    try_to(w, d, "unpause", recover);
    assert_int_equal(records(w), before);
    try_to(w, d, "recover", recover);
}

static void one_works_on_a_domain_at_a_time(void **state)
{
    struct world *w = *state;
    struct wh_leftover l;
    char path[PATH_MAX];

    for (size_t i = 0; i < WH_COUNT(ways); i++) {
        print_message("%s %s\n", ways[i].verb, ways[i].state);
        assert_true(begin(w, &w->op, &l, &w->web, ways[i].verb, ways[i].state, MOVE));
        all_try(w, &w->web, ways[i].under_way, ways[i].under_way, ways[i].under_way);
        all_try(w, &w->db, NULL, NULL, NULL);
        be_killed(&l);
        snprintf(path, sizeof path, "%s", l.path);
        all_try(w, &w->web, ways[i].save, ways[i].move, ways[i].recover);
        all_try(w, &w->db, NULL, NULL, NULL);
        unlink(path);
    }
}

static void records_of_what_had_its_number_keep_nobody(void **state)
{
    struct world *w = *state;
    struct wh_domain before = w->web;
    struct wh_leftover l;

    before.uuid[3] ^= 1;
    assert_true(begin(w, &w->op, &l, &before, "send", "intent", MOVE));
    be_killed(&l);
    assert_true(begin(w, &w->op, &l, &before, "receive", "ready", MOVE));
    be_killed(&l);
    assert_true(begin(w, &w->op, &l, &before, "restore", "", NULL));
    be_killed(&l);
    all_try(w, &w->web, NULL, NULL, NULL);
}

/* --------------------------------------------------------------------------- two at once */

static struct two {
    struct world *w;
    const char *verb;
    pthread_barrier_t *start;
    bool won;
    char why[1100];
} two[2];

static void *race(void *arg)
{
    struct two *me = arg;
    struct wh_leftover l;
    struct wh_op op;

    assert_true(wh_op_init(&op));
    wh_step(&op, "race", 30000);
    pthread_barrier_wait(me->start);
    me->won = begin(me->w, &op, &l, &me->w->web, me->verb, "copying", me == two ? MOVE : OTHER);
    snprintf(me->why, sizeof me->why, "%s", op.err.text);
    /* It works for as long as it takes the other to see it. */
    pthread_barrier_wait(me->start);
    if (me->won)
        wh_leftover_done(&op, &l);
    wh_op_done(&op);
    return NULL;
}

static void of_two_that_begin_at_once_one_is_first(void **state)
{
    static const char *const verbs[] = { "save", "send", "recover" };
    pthread_barrier_t start;
    pthread_t thread[2];

    disk_ms = 3;
    pthread_barrier_init(&start, NULL, 2);
    for (unsigned i = 0; i < 9 * 5; i++) {
        for (int k = 0; k < 2; k++) {
            two[k] = (struct two){ .w = *state, .verb = verbs[k ? i % 3 : i / 3 % 3], .start = &start };
            assert_int_equal(pthread_create(&thread[k], NULL, race, &two[k]), 0);
        }
        for (int k = 0; k < 2; k++)
            pthread_join(thread[k], NULL);
        if (two[0].won == two[1].won)
            fail_msg("%s and %s: %s; %s; %s", two[0].verb, two[1].verb, two[0].won ? "both" : "none",
                     two[0].why, two[1].why);
        assert_says(two[two[0].won].why, "is under way already");
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(records(*state), 0);
}

/* ---------------------------------------------------------------------------- recovering */

static void a_killed_recover_leaves_nothing_to_settle(void **state)
{
    struct world *w = *state;
    struct wh_leftover l = { 0 };
    char text[4096];

    assert_true(wh_leftover_recover(&w->op, &w->here, &l, &w->web));
    be_killed(&l);
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .look_only = true }), text), WH_OK);
    assert_string_equal(text, "[]");
    assert_int_equal(records(w), 1);
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .look_only = false }), text), WH_OK);
    assert_string_equal(text, "[]");
    assert_int_equal(records(w), 0);
}

/* Of two recovers the second does not say that there is nothing. */
static void what_another_settles_is_told_of(void **state)
{
    struct world *w = *state;
    struct wh_leftover l = { 0 }, other = { 0 };
    char text[4096];

    assert_true(begin(w, &w->op, &l, &w->web, "send", "copying", MOVE));
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .domain = NULL }), text), WH_OK);
    assert_string_equal(text, "[]");                        /* its maker, who lives, works on it */
    assert_true(wh_leftover_done(&w->op, &l));
    assert_true(wh_leftover_move(&w->op, &w->here, &l, "send", MOVE, "copying", &w->web,
                                 json_tokener_parse("{\"start\": 1}")));
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .domain = NULL }), text), WH_OK);
    assert_says(text, "another wherry settles it at this moment");
    be_killed(&l);
    assert_true(wh_leftover_recover(&w->op, &w->here, &other, &w->web));
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .domain = NULL }), text), WH_OK);
    assert_says(text, "another wherry settles it at this moment");
    assert_int_equal(records(w), 2);
    assert_true(wh_leftover_done(&w->op, &other));
    wh_op_hurry = 50;           /* a guest that may have been asked to suspend is waited for */
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .domain = NULL }), text), WH_OK);
    wh_op_hurry = 1;
    assert_says(text, "the guest runs on");
    assert_int_equal(records(w), 0);
}

/* Another version, which did not look, has brought it about. */
static void a_save_is_not_settled_where_the_guest_may_run_elsewhere(void **state)
{
    struct world *w = *state;
    struct wh_leftover save, move;
    struct wh_op op;
    char text[4096];

    assert_true(begin(w, &w->op, &save, &w->web, "save", "", NULL));
    assert_true(wh_leftover_mark(&w->op, &save, "asked"));
    be_killed(&save);
    snprintf(text, sizeof text, "%s/aside", w->folder);
    assert_int_equal(rename(save.path, text), 0);
    assert_true(begin(w, &w->op, &move, &w->web, "send", "intent", MOVE));
    be_killed(&move);
    assert_int_equal(rename(text, save.path), 0);
    assert_true(wh_op_init(&op));
    assert_true(wh_xen_shutdown(&op, w->here.xen, w->web.domid, WH_SUSPEND));
    wh_op_done(&op);
    assert_int_equal(wh_fake_running(w->f), 1);
    perform(w, wh_recover_new(&(struct wh_recover_how){ .look_only = false }), text);
    assert_says(text, "an interrupted save of a guest that may run elsewhere");
    assert_int_equal(wh_fake_running(w->f), 1);
    assert_int_equal(records(w), 2);
}

/* --------------------------------------------------------------------- a guest that has arrived */

/* What recover says of one whose record has these members as well: "{\"alone\": true}". */
static void assert_arrived(struct world *w, const char *more, bool look_only, const char *says, unsigned stay)
{
    char text[4096];
    struct wh_leftover l = { 0 };

    assert_true(wh_leftover_move(&w->op, &w->here, &l, "receive", MOVE, "committed", &w->web,
                                 json_tokener_parse(more)));
    be_killed(&l);
    enum wh_kind kind = perform(w, wh_recover_new(&(struct wh_recover_how){ .look_only = look_only }), text);
    if (kind != WH_OK || (*says ? !strstr(text, says) : strcmp(text, "[]") != 0))
        fail_msg("%s: expected %s, found %s", more, *says ? says : "nothing", text);
    assert_int_equal(records(w), stay);
    unlink(l.path);
}

#define OLD "\"time\": 1000"
#define OF_BEFORE "\"boot\": \"0\""

static void a_guest_that_has_arrived_is_told_of_where_something_lacks(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];

    assert_arrived(w, "{\"name\": \"web\", \"alone\": true}", false, "", 1);
    assert_arrived(w, "{\"name\": \"as it was called once\", \"alone\": true}", false, "", 1);
    assert_arrived(w, "{\"name\": \"web\"}", true, "the guest is watched over", 1);
    snprintf(path, sizeof path, "%s/wherry-monitor-%u", w->folder, w->web.domid);
    wh_auto_fd int monitor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_arrived(w, "{\"name\": \"web\"}", true, "the guest is watched over", 1);
    assert_int_equal(flock(monitor, LOCK_EX), 0);
    assert_arrived(w, "{\"name\": \"web\"}", false, "", 1);
    assert_true(wh_store_write(&w->op, w->here.store, 0, "web--incoming", "/local/domain/%u/name", w->web.domid));
    assert_arrived(w, "{\"name\": \"web\"}", false, "the guest gets its name", 1);
    wh_auto_free char *name = wh_fake_node(w->f, "/local/domain/%u/name", w->web.domid);
    assert_string_equal(name, "web");
}

/* A source that comes back after months is to be told that it runs here. */
static void a_record_stays_while_its_guest_is_there(void **state)
{
    struct world *w = *state;

    assert_arrived(w, "{\"name\": \"web\", \"alone\": true, " OLD "}", false, "", 1);
    assert_arrived(w, "{\"name\": \"web\", \"alone\": true, \"uuid\": \"" OTHER "\"}", false, "", 1);
    assert_arrived(w, "{\"name\": \"web\", \"alone\": true, \"uuid\": \"" OTHER "\", " OLD "}", false, "", 0);
    assert_arrived(w, "{\"name\": \"web\", " OF_BEFORE "}", false, "start it from its disks", 1);
    assert_arrived(w, "{\"name\": \"web\", " OF_BEFORE ", " OLD "}", false, "start it from its disks", 0);
}

/* A guest that has arrived may move on before the record of that is forgotten. */
static void a_guest_that_moves_on_has_nothing_to_be_settled(void **state)
{
    struct world *w = *state;
    struct wh_leftover came = { 0 }, goes;
    char text[4096];

    assert_true(wh_leftover_move(&w->op, &w->here, &came, "receive", MOVE, "committed", &w->web,
                                 json_tokener_parse("{\"start\": 1}")));
    be_killed(&came);
    assert_true(begin(w, &w->op, &goes, &w->web, "send", "copying", "7a4d2a9e-2e0b-4c55-a4d0-1f0f5a2d8b12"));
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ 0 }), text), WH_OK);
    assert_string_equal(text, "[]");
    assert_int_equal(records(w), 2);
    wh_leftover_close(&w->op, &goes);
    unlink(came.path);
}

/* It was whole, and what ran may have written to its disks: no source runs its own after that. */
static void an_arrival_that_somebody_let_run_is_the_guest(void **state)
{
    struct world *w = *state;
    struct wh_leftover l = { 0 };
    char text[4096];
    size_t n;

    for (int looks = 1; looks >= 0; looks--) {
        if (looks)
            assert_true(wh_leftover_move(&w->op, &w->here, &l, "receive", MOVE, "ready", &w->web,
                                         json_tokener_parse("{\"name\": \"web\", \"alone\": true}")));
        if (looks)
            be_killed(&l);
        assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .look_only = looks }), text), WH_OK);
        assert_says(text, "somebody has let it run");
        wh_auto_fd int fd = open(l.path, O_RDONLY | O_CLOEXEC);
        wh_auto_free char *record = (char *)unit_slurp(fd, &n);
        assert_int_equal(strstr(record, "committed") != NULL, !looks);
    }
    assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ 0 }), text), WH_OK);
    assert_string_equal(text, "[]");
    unlink(l.path);
}

/* ---------------------------------------------------------------------------- on disk */

/* What is acted upon, or answered, is what a crash would leave: also where the disk had failed. */
static void what_is_acted_upon_is_on_disk(void **state)
{
    struct world *w = *state;
    struct wh_leftover l, later = { 0 };
    json_object *record;
    bool held;

    for (int holds = 0; holds < 2; holds++) {
        assert_true(begin(w, &w->op, &l, &w->web, "receive", "ready", MOVE));
        disk_fails = true;
        assert_false(wh_leftover_state(&w->op, &l, "committed"));
        assert_kind(&w->op, WH_SYSTEM);
        w->op.err = (struct wh_err){ 0 };
        assert_null(strstr(on_disk, "committed"));
        if (!holds)
            be_killed(&l);
        assert_true(wh_leftover_find(&w->op, &w->here, &later, "receive", MOVE, &record, &held));
        assert_int_equal(held, holds);
        assert_string_equal(wh_json_string(record, "state", ""), "committed");
        assert_says(on_disk, "committed");
        json_object_put(record);
        assert_true(wh_leftover_done(&w->op, holds ? &l : &later));
    }
}

static bool see_it(struct wh_op *op, void *arg, struct wh_leftover *l, json_object *record, bool *settled)
{
    (void)op, (void)l;
    *(bool *)arg = true;
    assert_string_equal(wh_json_string(record, "state", ""), "intent");
    assert_says(on_disk, "intent");
    *settled = false;
    return true;
}

static void what_is_settled_is_on_disk(void **state)
{
    struct world *w = *state;
    struct wh_leftover l;
    bool seen = false;

    assert_true(begin(w, &w->op, &l, &w->web, "send", "sent", MOVE));
    disk_fails = true;
    assert_false(wh_leftover_state(&w->op, &l, "intent"));
    w->op.err = (struct wh_err){ 0 };
    be_killed(&l);
    assert_true(wh_leftover_each(&w->op, &w->here, see_it, &seen));
    assert_true(seen);
    seen = false;
    disk_fails = true;
    assert_false(wh_leftover_each(&w->op, &w->here, see_it, &seen));
    assert_kind(&w->op, WH_SYSTEM);
    assert_false(seen);
    w->op.err = (struct wh_err){ 0 };
}

/* However long what it holds is: all states have room, or none is begun. */
static void a_record_has_room_for_all_its_states(void **state)
{
    static const char *const states[] = { "suspended", "sent", "intent", "ours" };
    struct world *w = *state;
    unsigned fitted = 0;

    for (size_t n = 1000; n < 200000; n = n * 5 / 4) {
        struct wh_leftover l = { 0 };
        json_object *more = json_object_new_object(), *record;
        char *command = calloc(1, n + 1);
        bool held;

        memset(command, 'x', n);
        json_object_object_add(more, "command", json_object_new_string(command));
        free(command);
        if (!wh_leftover_move(&w->op, &w->here, &l, "send", MOVE, "copying", &w->web, more)) {
            assert_kind(&w->op, WH_USAGE);
            assert_says(w->op.err.text, "would be longer than it may be");
            w->op.err = (struct wh_err){ 0 };
            assert_int_equal(records(w), 0);
            continue;
        }
        for (size_t i = 0; i < WH_COUNT(states); i++)
            assert_true(wh_leftover_state(&w->op, &l, states[i]));
        be_killed(&l);
        assert_true(wh_leftover_find(&w->op, &w->here, &l, "send", MOVE, &record, &held));
        assert_string_equal(wh_json_string(record, "state", ""), "ours");
        json_object_put(record);
        assert_true(wh_leftover_done(&w->op, &l));
        fitted++;
    }
    assert_in_range(fitted, 10, 20);
}

/* ------------------------------------------------------------------------------ half made */

static void put(struct world *w, const char *name, const void *bytes, size_t n)
{
    char path[PATH_MAX];

    mkdir(w->jobs, 0700);
    snprintf(path, sizeof path, "%s/%s", w->jobs, name);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
}

/* Killed between making it and writing it, or the power was lost before all of it was on disk. */
static void a_record_that_was_never_written_is_none(void **state)
{
    static const struct { const char *bytes; size_t n; } parts[] = {
        { "", 0 }, { "{\"verb\":\"send\",\"domid\":1,", 24 }, { "\0\0\0\0\0\0\0\0", 8 },
    };
    static const char *const names[] = { "send-" MOVE ".json", "receive-" MOVE ".json", "save-1.json" };
    struct world *w = *state;
    char text[4096];

    for (size_t i = 0; i < WH_COUNT(parts); i++)
        for (size_t k = 0; k < WH_COUNT(names); k++) {
            struct wh_leftover l = { 0 };
            json_object *record;
            bool held;

            put(w, names[k], parts[i].bytes, parts[i].n);
            all_try(w, &w->db, NULL, NULL, NULL);
            put(w, names[k], parts[i].bytes, parts[i].n);
            assert_int_equal(perform(w, wh_recover_new(&(struct wh_recover_how){ .domain = NULL }), text), WH_OK);
            assert_string_equal(text, "[]");
            assert_int_equal(records(w), 0);
            put(w, names[k], parts[i].bytes, parts[i].n);
            assert_true(wh_leftover_find(&w->op, &w->here, &l, k == 0 ? "send" : "receive", MOVE, &record, &held));
            assert_true(!record && !held && !l.open);
            assert_int_equal(records(w), k == 2);
        }
}

/* In the middle of writing it: the turn goes with the process, too. */
static void who_is_killed_as_he_makes_one_keeps_nobody(void **state)
{
    struct world *w = *state;
    struct wh_leftover l;

    disk_ms = 20000;
    pid_t child = fork();
    if (child == 0) {
        begin(w, &w->op, &l, &w->web, "send", "copying", MOVE);
        _exit(1);
    }
    disk_ms = 0;
    while (records(w) == 0)
        unit_sleep_ms(1);
    unit_sleep_ms(20);
    wh_step(&w->op, "try", 100);
    assert_false(begin(w, &w->op, &l, &w->db, "send", "copying", OTHER));
    assert_kind(&w->op, WH_TIMEOUT);
    assert_says(w->op.err.text, "wait for the lock of");
    w->op.err = (struct wh_err){ 0 };
    wh_step(&w->op, "go on", WH_FOREVER);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    all_try(w, &w->db, NULL, NULL, NULL);
    all_try(w, &w->web, "a move " BROKEN, "a move " BROKEN, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST("one works on a domain at a time", one_works_on_a_domain_at_a_time),
        WORLD_TEST("records of what had its number keep nobody", records_of_what_had_its_number_keep_nobody),
        WORLD_TEST("of two that begin at once one is first", of_two_that_begin_at_once_one_is_first),
        WORLD_TEST("a killed recover leaves nothing to settle", a_killed_recover_leaves_nothing_to_settle),
        WORLD_TEST("what another settles is told of", what_another_settles_is_told_of),
        WORLD_TEST("a save is not settled where the guest may run elsewhere",
                   a_save_is_not_settled_where_the_guest_may_run_elsewhere),
        WORLD_TEST("a guest that has arrived is told of where something lacks",
                   a_guest_that_has_arrived_is_told_of_where_something_lacks),
        WORLD_TEST("a record stays while its guest is there", a_record_stays_while_its_guest_is_there),
        WORLD_TEST("a guest that moves on has nothing to be settled", a_guest_that_moves_on_has_nothing_to_be_settled),
        WORLD_TEST("an arrival that somebody let run is the guest",
                   an_arrival_that_somebody_let_run_is_the_guest),
        WORLD_TEST("what is acted upon is on disk", what_is_acted_upon_is_on_disk),
        WORLD_TEST("what is settled is on disk", what_is_settled_is_on_disk),
        WORLD_TEST("a record has room for all its states", a_record_has_room_for_all_its_states),
        WORLD_TEST("a record that was never written is none", a_record_that_was_never_written_is_none),
        WORLD_TEST("who is killed as he makes one keeps nobody", who_is_killed_as_he_makes_one_keeps_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
