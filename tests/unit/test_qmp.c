/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The client of QEMU's monitor against one that misbehaves in every way, at every step: the right
 * error within the deadline, and nothing left open. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/json.h"
#include "dm/qmp.h"
#include "qmp_server.h"
#include "unit.h"

#define HURRY 20                /* ten seconds are half of one */
#define LATE_MS 3000            /* what a busy machine under a sanitizer is given for that */

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* What each trick comes to where an answer to a command is expected; text NULL: all is well. */
static const struct outcome {
    enum qmp_trick trick;
    enum wh_kind kind;
    const char *says;
    bool usable;                /* the connection still is */
} outcomes[] = {
    { QMP_BEHAVES, WH_OK, NULL, true },
    { QMP_CLOSES, WH_PEER, "closed its monitor", false },
    { QMP_STALLS, WH_TIMEOUT, "", false },
    { QMP_DRIBBLES, WH_OK, NULL, true },
    { QMP_ENDLESS, WH_PEER, "a line of more than 1 MiB", false },
    { QMP_DEEP, WH_PEER, "not JSON, or too much", false },
    { QMP_NOT_UTF8, WH_PEER, "not JSON, or too much", false },
    { QMP_NOT_JSON, WH_PEER, "not JSON, or too much", false },
    { QMP_NOT_OBJECT, WH_PEER, "something else than an object", false },
    { QMP_TWICE, WH_PEER, "a command that was not given", false },
    { QMP_FOREIGN_ID, WH_PEER, "a command that was not given", false },
    { QMP_NO_ID, WH_PEER, "without saying what", false },
    { QMP_TEXT_ID, WH_PEER, "without saying what", false },
    { QMP_NEITHER, WH_PEER, "neither yes nor no", false },
    { QMP_REFUSES, WH_PEER, "QEMU refuses: GenericError: no ?[2J such ?? file", true },
    { QMP_REFUSES_ODDLY, WH_PEER, "an error without a class", true },
    { QMP_EVENT_FIRST, WH_OK, NULL, true },
    { QMP_EVENTS, WH_OK, NULL, true },
    { QMP_EVENTS_ONLY, WH_TIMEOUT, "", false },
    { QMP_EVENT_NAMELESS, WH_PEER, "an event that has no name", false },
    { QMP_GREETS, WH_PEER, "greeted twice", false },
    { QMP_NO_VERSION, WH_PEER, "greeted twice", false },
    { QMP_DESCRIPTORS, WH_OK, NULL, true },
    { QMP_HALF, WH_PEER, "closed its monitor", false },
    { QMP_EMPTY_LINES, WH_OK, NULL, true },
};

/* The same where a greeting is. */
static const struct outcome greetings[] = {
    { QMP_CLOSES, WH_PEER, "closed its monitor", false },
    { QMP_STALLS, WH_TIMEOUT, "wait for QEMU's greeting", false },
    { QMP_DRIBBLES, WH_OK, NULL, true },
    { QMP_ENDLESS, WH_PEER, "a line of more than 1 MiB", false },
    { QMP_DEEP, WH_PEER, "not JSON, or too much", false },
    { QMP_NOT_JSON, WH_PEER, "not JSON, or too much", false },
    { QMP_NOT_OBJECT, WH_PEER, "something else than an object", false },
    { QMP_TWICE, WH_PEER, "greeted twice", false },
    { QMP_NO_ID, WH_PEER, "spoke before it greeted", false },
    { QMP_EVENT_FIRST, WH_PEER, "spoke before it greeted", false },
    { QMP_NO_VERSION, WH_PEER, "without saying its version", false },
    { QMP_HALF, WH_PEER, "closed its monitor", false },
};

static void check(struct wh_op *op, const struct outcome *o, bool ok, const char *command,
                  int64_t begun)
{
    print_message("trick %d at %s: %s\n", (int)o->trick, command, op->err.text);
    assert_kind(op, o->kind);
    assert_int_equal(ok, o->kind == WH_OK);
    if (o->says)
        assert_says(op->err.text, o->says);
    if (o->says && strcmp(command, "greeting") != 0)
        assert_says(op->err.text, command);
    assert_true(unit_now_ms() - begun < LATE_MS);
    op->err = (struct wh_err){ 0 };
}

static void play(struct wh_op *op, const struct outcome *o, const char *command)
{
    struct qmp_server s = { .trick = o->trick, .at = command };
    int64_t begun = unit_now_ms();
    unsigned before = descriptors();

    wh_step(op, "talk", WH_FOREVER);
    struct wh_qmp *q = wh_qmp_open(op, qmp_server_start(&s));
    bool opened = q != NULL;
    if (strcmp(command, "stop") == 0) {
        assert_true(opened);
        check(op, o, wh_qmp_call(op, q, "stop", NULL, -1, NULL), command, begun);
        assert_int_equal(wh_qmp_call(op, q, "cont", NULL, -1, NULL), o->usable);
        op->err = (struct wh_err){ 0 };
    } else {
        check(op, o, opened, command, begun);
    }
    wh_qmp_close(q);
    qmp_server_end(&s);
    assert_int_equal(descriptors(), before);
}

static void every_trick_at_a_command(void **state)
{
    for (size_t i = 0; i < WH_COUNT(outcomes); i++)
        play(*state, &outcomes[i], "stop");
}

static void every_trick_while_it_opens(void **state)
{
    for (size_t i = 0; i < WH_COUNT(greetings); i++)
        play(*state, &greetings[i], "greeting");
    for (size_t i = 0; i < WH_COUNT(outcomes); i++)
        play(*state, &outcomes[i], "qmp_capabilities");
}

static struct wh_qmp *start(struct wh_op *op, struct qmp_server *s)
{
    wh_step(op, "talk", WH_FOREVER);
    struct wh_qmp *q = wh_qmp_open(op, qmp_server_start(s));
    assert_ok(op);
    return q;
}

static void end(struct wh_qmp *q, struct qmp_server *s)
{
    wh_qmp_close(q);
    qmp_server_end(s);
}

static void the_version_is_the_greetings(void **state)
{
    struct qmp_server s = { .at = "" };
    struct wh_qmp *q = start(*state, &s);
    struct wh_qmp_version v = wh_qmp_version(q);

    assert_int_equal(v.major * 10000 + v.minor * 100 + v.micro, 70222);
    end(q, &s);
}

static void arguments_and_a_descriptor_go_with_a_command(void **state)
{
    struct qmp_server s = { .at = "" };
    struct wh_qmp *q = start(*state, &s);
    json_object *arguments = json_object_new_object(), *answer;

    json_object_object_add(arguments, "fdset-id", json_object_new_int(3));
    assert_true(wh_qmp_call(*state, q, "add-fd", arguments, STDIN_FILENO, &answer));
    assert_true(json_object_is_type(answer, json_type_object));
    json_object_put(answer);
    assert_true(s.got_fd);
    assert_says(s.last, "{\"execute\":\"add-fd\",\"arguments\":{\"fdset-id\":3},\"id\":");
    end(q, &s);
}

/* A long command into a socket that takes little: short sends, and waiting in between. */
static void a_long_command_is_sent_in_parts(void **state)
{
    struct qmp_server s = { .at = "" };
    int fd = qmp_server_start(&s), small = 4096;
    json_object *arguments = json_object_new_object();
    char text[60001];

    wh_step(*state, "talk", WH_FOREVER);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    struct wh_qmp *q = wh_qmp_open(*state, fd);
    assert_ok(*state);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    json_object_object_add(arguments, "text", json_object_new_string(text));
    assert_true(wh_qmp_call(*state, q, "long", arguments, STDIN_FILENO, NULL));
    assert_true(s.got_fd);
    end(q, &s);
}

/* One that reads nothing: the command cannot be sent whole, and the connection is of no use. */
static void one_that_does_not_listen_is_a_timeout(void **state)
{
    struct qmp_server s = { .at = "", .deaf = true };
    int fd = qmp_server_start(&s), small = 4096;
    struct wh_op *op = *state;
    int64_t begun = unit_now_ms();

    wh_step(op, "talk", WH_FOREVER);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    assert_null(wh_qmp_open(op, fd));
    assert_kind(op, WH_TIMEOUT);
    assert_true(unit_now_ms() - begun < LATE_MS);
    qmp_server_end(&s);
}

static void a_cancel_ends_a_call_at_once(void **state)
{
    struct qmp_server s = { .trick = QMP_STALLS, .at = "stop" };
    struct wh_op *op = *state;
    struct wh_qmp *q = start(op, &s);

    wh_op_cancel(op);
    assert_false(wh_qmp_call(op, q, "stop", NULL, -1, NULL));
    assert_kind(op, WH_CANCELLED);
    end(q, &s);
}

/* Its reply comes while the next one's is waited for. */
static void the_reply_to_a_call_that_was_given_up_on_is_passed_over(void **state)
{
    struct qmp_server s = { .trick = QMP_DRIBBLES, .at = "stop" };
    struct wh_op *op = *state;
    struct wh_qmp *q = start(op, &s);

    struct wh_bound before = wh_bound(op, 5 * HURRY);
    assert_false(wh_qmp_call(op, q, "stop", NULL, -1, NULL));
    wh_unbound(op, before);
    assert_kind(op, WH_TIMEOUT);
    op->err = (struct wh_err){ 0 };
    assert_true(wh_qmp_call(op, q, "cont", NULL, -1, NULL));
    end(q, &s);
}

static void events_wait_to_be_taken(void **state)
{
    struct qmp_server s = { .trick = QMP_EVENTS, .at = "stop" };
    struct wh_op *op = *state;
    struct wh_qmp *q = start(op, &s);
    json_object *data;

    assert_true(wh_qmp_call(op, q, "stop", NULL, -1, NULL));
    assert_true(wh_qmp_await(op, q, "E990", &data));
    assert_int_equal(wh_json_number(data, "n", 0), 990);
    json_object_put(data);
    struct wh_bound before = wh_bound(op, 5 * HURRY);
    assert_false(wh_qmp_await(op, q, "E2", NULL));          /* of the oldest: gone */
    wh_unbound(op, before);
    assert_kind(op, WH_TIMEOUT);
    assert_says(op->err.text, "wait for QEMU's E2");
    op->err = (struct wh_err){ 0 };
    end(q, &s);
}

static void its_end_is_seen_without_waiting(void **state)
{
    struct qmp_server s = { .trick = QMP_CLOSES, .at = "quit" };
    struct wh_op *op = *state;
    struct wh_qmp *q = start(op, &s);

    assert_true(wh_qmp_look(op, q));
    assert_false(wh_qmp_call(op, q, "quit", NULL, -1, NULL));
    op->err = (struct wh_err){ 0 };
    assert_false(wh_qmp_look(op, q));
    assert_kind(op, WH_PEER);
    end(q, &s);
}

static void a_refusals_class_is_told(void **state)
{
    struct qmp_server s = { .trick = QMP_REFUSES, .at = "stop" };
    struct wh_op *op = *state;
    struct wh_qmp *q = start(op, &s);

    assert_false(wh_qmp_call(op, q, "stop", NULL, -1, NULL));
    assert_true(wh_qmp_refused(q, "GenericError"));
    op->err = (struct wh_err){ 0 };
    assert_true(wh_qmp_call(op, q, "cont", NULL, -1, NULL));
    assert_false(wh_qmp_refused(q, "GenericError"));
    end(q, &s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OP_TEST("every trick at a command", every_trick_at_a_command),
        OP_TEST("every trick while it opens", every_trick_while_it_opens),
        OP_TEST("the version is the greeting's", the_version_is_the_greetings),
        OP_TEST("arguments and a descriptor go with a command",
                arguments_and_a_descriptor_go_with_a_command),
        OP_TEST("a long command is sent in parts", a_long_command_is_sent_in_parts),
        OP_TEST("one that does not listen is a timeout", one_that_does_not_listen_is_a_timeout),
        OP_TEST("a cancel ends a call at once", a_cancel_ends_a_call_at_once),
        OP_TEST("the reply to a call that was given up on is passed over",
                the_reply_to_a_call_that_was_given_up_on_is_passed_over),
        OP_TEST("events wait to be taken", events_wait_to_be_taken),
        OP_TEST("its end is seen without waiting", its_end_is_seen_without_waiting),
        OP_TEST("a refusal's class is told", a_refusals_class_is_told),
    };

    wh_op_hurry = HURRY;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
