/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A move in which the other side is not what it should be: one message on its way is changed, lost,
 * late or comes twice.  However that is: the guest never runs on both, and in the end, after recover
 * over a link that tells the truth, on the side that is said here. */
#include <signal.h>
#include <sys/wait.h>

#include "flow/native.h"
#include "move_world.h"

#define AT_ONCE 16
#define OTHER "\"01234567-89ab-cdef-0123-456789abcdef\""

enum where { HERE, THERE, WAITS };      /* WAITS: until recover; then there */

/* clang-format off */
static const struct trick {
    enum move_side from;
    const char *type, *key, *value;     /* of the message whose member is that from now on; NULL: as it is */
    enum move_tamper how;
    enum where then;
    const char *why;                    /* the sender says; NULL: anything */
    const char *type2, *key2, *value2;  /* and of those of the target's that come after */
    enum move_tamper how2;
} tricks[] = {
    { TARGET, "hello",   "version", "0",             PASSES,        HERE,  "speaks versions" },
    { TARGET, "hello",   "oldest",  "99",            PASSES,        HERE,  "speaks versions" },
    { TARGET, "hello",   "version", "99",            PASSES,        THERE, NULL },
    { TARGET, "hello",   "version", "{}",            PASSES,        HERE,  "speaks versions" },
    { TARGET, "hello",   "can",     "null",          PASSES,        HERE,  "\"prepared\" where" },
    { TARGET, "hello",   "can",     "[7,[],\"x\",\"prepares\"]",
                                                     PASSES,        THERE, NULL },
    { TARGET, "hello",   "checks",  "\"all well\"",  PASSES,        HERE,  "no list of checks" },
    { TARGET, "hello",   "checks",  "null",          PASSES,        HERE,  "no list of checks" },
    { TARGET, "hello",   "checks",  "[]",            PASSES,        HERE,  "no list of checks" },
    { TARGET, "hello",   "checks",  "[7]",           PASSES,        HERE,  "does not hold" },
    { TARGET, "hello",   "checks",  "[{\"check\":\"memory\",\"ok\":false,\"text\":\"none\"}]",
                                                     PASSES,        HERE,  "memory: none" },
    { TARGET, "hello",   "job",     OTHER,           PASSES,        HERE,  "of this move was due" },
    { TARGET, "hello",   "type",    "\"ready\"",     PASSES,        HERE,  "of this move was due" },
    { TARGET, "hello",   NULL,      NULL,            IS_DROPPED,    HERE,  NULL },
    { TARGET, "hello",   NULL,      NULL,            CUTS_THE_LINK, HERE,  NULL },
    { TARGET, "prepared", "job",    OTHER,           PASSES,        HERE,  "of this move was due" },
    { TARGET, "prepared", "type",   "\"failed\"",    PASSES,        HERE,  "it failed" },
    { TARGET, "prepared", "rest_ms", "\"long\"",     PASSES,        THERE, NULL },
    { TARGET, "prepared", "rest_ms", "18446744073709551615",
                                                     PASSES,        THERE, NULL },
    { TARGET, "prepared", NULL,     NULL,            IS_DROPPED,    HERE,  NULL },
    { TARGET, "prepared", NULL,     NULL,            COMES_TWICE,   HERE,  "middle of the stream" },
    { TARGET, "prepared", NULL,     NULL,            COMES_LATE,    HERE,  NULL },
    { TARGET, "prepared", NULL,     NULL,            CUTS_THE_LINK, HERE,  NULL },
    { TARGET, "reached", NULL,      NULL,            IS_DROPPED,    HERE,  "has taken nothing of the guest" },
    { TARGET, "reached", NULL,      NULL,            COMES_TWICE,   HERE,  NULL },
    { TARGET, "ready",   "job",     OTHER,           PASSES,        HERE,  "of this move was due" },
    { TARGET, "ready",   "type",    "\"running\"",   PASSES,        HERE,  "of this move was due" },
    { TARGET, "ready",   "type",    "\"failed\"",    PASSES,        HERE,  "it failed" },
    { TARGET, "ready",   NULL,      NULL,            IS_DROPPED,    HERE,  NULL },
    { TARGET, "ready",   NULL,      NULL,            COMES_TWICE,   THERE, NULL },
    { TARGET, "ready",   NULL,      NULL,            COMES_LATE,    HERE,  NULL },
    { TARGET, "ready",   NULL,      NULL,            CUTS_THE_LINK, HERE,  NULL },
    { TARGET, "running", NULL,      NULL,            IS_DROPPED,    THERE, NULL },
    { TARGET, "running", NULL,      NULL,            COMES_TWICE,   THERE, NULL },
    { TARGET, "running", NULL,      NULL,            COMES_LATE,    THERE, NULL },
    { TARGET, "running", NULL,      NULL,            CUTS_THE_LINK, THERE, NULL },
    { TARGET, "running", "job",     OTHER,           PASSES,        THERE, NULL },
    { TARGET, "running", "type",    "\"failed\"",    PASSES,        THERE, NULL },
    { TARGET, "running", "type",    "\"hello\"",     PASSES,        THERE, NULL },
    { SOURCE, "hello",   "version", "0",             PASSES,        HERE,  "speaks versions" },
    { SOURCE, "hello",   "oldest",  "2",             PASSES,        HERE,  "speaks versions" },
    { SOURCE, "hello",   "version", "7",             PASSES,        THERE, NULL },
    { SOURCE, "hello",   "purpose", "\"steal\"",     PASSES,        HERE,  "knows nothing" },
    { SOURCE, "hello",   "purpose", "null",          PASSES,        HERE,  "knows nothing" },
    { SOURCE, "hello",   "type",    "\"commit\"",    PASSES,        HERE,  "not hello" },
    { SOURCE, "hello",   "job",     "\"../../x\"",   PASSES,        HERE,  "is no id of a move" },
    { SOURCE, "hello",   "job",     "null",          PASSES,        HERE,  "is no id of a move" },
    { SOURCE, "hello",   "job",     OTHER,           PASSES,        HERE,  "of this move was due" },
    { SOURCE, "hello",   "name",    "\"a/b\"",       PASSES,        HERE,  "no slash" },
    { SOURCE, "hello",   "name",    "\"a\\nb\"",     PASSES,        HERE,  "no control character" },
    { SOURCE, "hello",   "name",    "\"123\"",       PASSES,        HERE,  "is a number" },
    { SOURCE, "hello",   "name",    "\"\"",          PASSES,        HERE,  "at least one character" },
    { SOURCE, "hello",   "name",    "\"Domain-0\"",  PASSES,        HERE,  "is called" },
    { SOURCE, "hello",   "facts",   "null",          PASSES,        HERE,  "config" },
    { SOURCE, "hello",   "facts",   "[7]",           PASSES,        HERE,  "config" },
    { SOURCE, "hello",   NULL,      NULL,            COMES_TWICE,   HERE,  NULL },
    { SOURCE, "bytes",   "flipped", "1",             PASSES,        HERE,  NULL },
    { SOURCE, "end",     "flipped", "1",             PASSES,        HERE,  "digests differ" },
    { SOURCE, "end",     NULL,      NULL,            IS_DROPPED,    HERE,  NULL },
    { SOURCE, "end",     NULL,      NULL,            COMES_TWICE,   HERE,  NULL },
    { SOURCE, "commit",  NULL,      NULL,            IS_DROPPED,    HERE,  "has not taken the guest" },
    { SOURCE, "commit",  NULL,      NULL,            COMES_TWICE,   THERE, NULL },
    { SOURCE, "commit",  NULL,      NULL,            COMES_LATE,    HERE,  "has not taken the guest" },
    { SOURCE, "commit",  NULL,      NULL,            CUTS_THE_LINK, HERE,  "has not taken the guest" },
    { SOURCE, "commit",  "job",     OTHER,           PASSES,        HERE,  "has not taken the guest" },
    { SOURCE, "commit",  "type",    "\"bye\"",       PASSES,        WAITS, "wherry recover" },
    { SOURCE, "bye",     NULL,      NULL,            IS_DROPPED,    THERE, NULL },
    { SOURCE, "bye",     NULL,      NULL,            COMES_TWICE,   THERE, NULL },
    { SOURCE, "bye",     "job",     OTHER,           PASSES,        THERE, NULL },

    /* The link is lost behind the commit, and then it is the answers that are wrong. */
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "state", "\"unknown\"", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "state", "\"ready\"", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "state", "\"receiving\"", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "state", "\"off\"", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "job", OTHER, PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", NULL, NULL, CUTS_THE_LINK },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "answer", "type", "\"running\"", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, WAITS, "wherry recover", "hello", "version", "0", PASSES },
    { TARGET, "running", NULL, NULL, CUTS_THE_LINK, THERE, NULL, "answer", NULL, NULL, COMES_TWICE },
};
/* clang-format on */

static bool is_of(const char *type, unsigned kind, json_object *o)
{
    return o ? strcmp(wh_json_string(o, "type", ""), type) == 0
             : strcmp(type, kind == 4 ? "end" : kind == 5 ? "nothing" : kind == 7 ? "reached" : "bytes") == 0;
}

static void change(json_object *o, uint8_t *body, const char *key, const char *value)
{
    if (o && key)
        json_object_object_add(o, key, json_tokener_parse(value));
    else if (key)
        body[2] ^= 1;
}

static enum move_tamper tamper(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                               json_object *o)
{
    const struct trick *t = m->tamper_arg;

    if (!m->met && from == t->from && is_of(t->type, kind, o)) {
        m->met = true;
        change(o, body, t->key, t->value);
        return t->how;
    }
    if (!m->met || !t->type2 || from != TARGET || !is_of(t->type2, kind, o))
        return PASSES;
    change(o, body, t->key2, t->value2);
    return t->how2;
}

#define FAIL(t, m, ...)                                                                            \
    do {                                                                                           \
        fprintf(stderr, "%s of the %s, %s, %u: ", (t)->type, (t)->from ? "target" : "source",      \
                (t)->key ? (t)->key : "whole", (t)->how);                                          \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n    sender: %s\n", (m)->error);                                         \
        _exit(1);                                                                                  \
    } while (0)

static void recover_both(const struct trick *t, struct move *m)
{
    for (int i = 0; i < 2; i++) {
        free(move_recover(m, &m->s, false));
        free(move_recover(m, &m->t, false));
        if (m->twice)
            FAIL(t, m, "the guest ran on both");
    }
}

static void try_it(const struct trick *t)
{
    struct move m;
    char error[1100], name[600];

    alarm(100);
    wh_op_hurry = MOVE_HURRY;
    move_open(&m, false);
    m.tamper = tamper;
    m.tamper_arg = t;
    move_serve(&m);
    move_run(&m, &(struct wh_send_how){ .no_monitor = true, .packing = -1 });
    if (!m.met)
        FAIL(t, &m, "there was no such message");
    if (m.twice || *m.torn)
        FAIL(t, &m, "the guest ran on both, or was torn: %s", m.torn);
    /* One that was told to forget it cannot tell, unless it is asked before it has; the operator knows. */
    bool bye = strcmp(t->value ? t->value : "", "\"bye\"") == 0, forgotten = bye && !move_runs(&m.s);
    enum where then = bye && !forgotten ? HERE : t->then;
    if (t->why && then == t->then && !strstr(m.error, t->why))
        FAIL(t, &m, "it does not say \"%s\"", t->why);
    if (then == HERE && (!move_runs(&m.s) || !strstr(m.error, "runs on, it was not moved")))
        FAIL(t, &m, "it does not run here, or that is not told");
    if (then == THERE && (!move_runs(&m.t) || m.kind != WH_OK))
        FAIL(t, &m, "it does not run there");
    if (then == WAITS && (m.kind == WH_OK || move_runs(&m.s) || move_records(&m.s, "send", NULL) != 1))
        FAIL(t, &m, "it does not wait");
    if (*m.early)
        FAIL(t, &m, "%s", m.early);
    m.tamper = NULL;
    recover_both(t, &m);
    bool here = then == HERE || forgotten;
    if (forgotten && (move_runs(&m.s) || move_runs(&m.t)))
        FAIL(t, &m, "it runs, and nobody can know whether it may");
    if (forgotten)
        move_perform(&m.s, wh_recover_new(&(struct wh_recover_how){ .fenced = m.at }), error);
    move_serve_no_more(&m);
    if (move_runs(&m.s) != here || move_runs(&m.t) == here)
        FAIL(t, &m, "in the end it runs %s", move_runs(&m.s) ? "here" : move_runs(&m.t) ? "there" : "nowhere");
    m.began = false;
    if (move_perform(here ? &m.s : &m.t, wh_destroy_new("g"), error) != WH_OK)
        FAIL(t, &m, "%s", error);
    for (struct side *h = &m.s; h <= &m.t; h++) {
        wh_auto_free char *left = move_left(h);
        if (left)
            FAIL(t, &m, "%s", left);
    }
    if (move_records(&m.s, "", name) > 0)
        FAIL(t, &m, "%s is left", name);
    move_close(&m);
}

static unsigned running, failed;

static void await_one(void)
{
    int status;

    assert_true(wait(&status) > 0);
    running--;
    failed += status != 0;
}

static void each_message_may_be_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < WH_COUNT(tricks); i++) {
        if (running == AT_ONCE)
            await_one();
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            try_it(&tricks[i]);
            _exit(0);
        }
        running++;
    }
    while (running > 0)
        await_one();
    print_message("%zu wrong messages\n", WH_COUNT(tricks));
    assert_int_equal(failed, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST("each message may be wrong", each_message_may_be_wrong),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
