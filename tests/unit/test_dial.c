/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to another host: commands and sockets, well and otherwise. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "link/dial.h"
#include "unit.h"

#define HURRY 10

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* n bytes, or up to the end. */
static size_t get(struct wh_op *op, int fd, char *to, size_t n)
{
    size_t at = 0;

    while (at < n && wh_wait(op, fd, POLLIN)) {
        ssize_t got = read(fd, to + at, n - at);

        if (got == 0 || (got < 0 && errno != EAGAIN))
            break;
        at += got > 0 ? (size_t)got : 0;
    }
    to[at] = '\0';
    return at;
}

static bool dial(struct wh_op *op, struct wh_dialled *d, const char *host, const char *command)
{
    static const char *const remote[] = { "wherry", "migrate-receive", NULL };

    return wh_dial(op, d, &(struct wh_destination){ .host = host, .command = command,
                                                    .remote = remote });
}

/* ------------------------------------------------------------------------------- commands */

static void a_command_is_talked_to(void **state)
{
    struct wh_op *op = *state;
    unsigned before = descriptors();
    struct wh_dialled d;
    char got[32];

    assert_true(dial(op, &d, "cat", ""));
    assert_string_equal(d.what, "cat");
    assert_true(fcntl(d.in, F_GETFL) & O_NONBLOCK && fcntl(d.out, F_GETFL) & O_NONBLOCK);
    assert_int_equal(write(d.out, "there and back", 14), 14);
    assert_int_equal(get(op, d.in, got, 14), 14);
    assert_string_equal(got, "there and back");
    assert_int_equal(wh_dial_close(op, &d), 0);
    assert_int_equal(descriptors(), before);
    assert_ok(op);
}

/* Word by word: a host with blanks is one of them. */
static void a_command_is_told_the_host_and_what_is_to_run_there(void **state)
{
    struct wh_op *op = *state;
    struct wh_dialled d;
    char got[128];

    assert_true(dial(op, &d, "a host; ls", "printf '<%s>' -p 7"));
    get(op, d.in, got, sizeof got - 1);
    assert_string_equal(got, "<-p><7><a host; ls><wherry><migrate-receive>");
    assert_int_equal(wh_dial_close(op, &d), 0);
}

static void how_a_command_ends_is_told(void **state)
{
    struct wh_op *op = *state;
    struct wh_dialled d;

    assert_true(dial(op, &d, "exit 7", ""));
    assert_int_equal(wh_dial_close(op, &d), 7);
    assert_true(dial(op, &d, "host", "/there/is/no/such/program"));
    assert_int_equal(wh_dial_close(op, &d), 127);
    assert_true(dial(op, &d, "kill -9 $$", ""));
    assert_int_equal(wh_dial_close(op, &d), -1);
    assert_ok(op);
}

/* Not even a cancel leaves it behind. */
static void a_command_that_does_not_end_is_ended(void **state)
{
    struct wh_op *op = *state;
    unsigned before = descriptors();

    wh_op_hurry = HURRY;
    for (int cancelled = 0; cancelled < 2; cancelled++) {
        struct wh_dialled d;

        assert_true(dial(op, &d, "exec sleep 1000", ""));
        pid_t child = d.child;
        if (cancelled)
            wh_op_cancel(op);
        int64_t begun = unit_now_ms();
        assert_int_equal(wh_dial_close(op, &d), -1);
        assert_in_range(unit_now_ms() - begun, 2000 / HURRY - 10, 2000 / HURRY + 2 * SOON_MS);
        assert_true(kill(child, 0) < 0 && errno == ESRCH);
        assert_ok(op);
    }
    wh_op_hurry = 1;
    assert_int_equal(descriptors(), before);
}

/* ssh takes it for an option, and some of those run commands. */
static void a_host_is_no_option(void **state)
{
    struct wh_op *op = *state;
    struct wh_dialled d;

    assert_false(dial(op, &d, "-oProxyCommand=id", NULL));
    assert_kind(op, WH_USAGE);
    assert_says(op->err.text, "'-oProxyCommand=id' is no host");
    wh_dial_close(op, &d);
}

static void a_command_is_not_endless(void **state)
{
    struct wh_op *op = *state;
    wh_auto_free char *much = malloc(5001);
    struct wh_dialled d;

    memset(much, 'x', 5000);
    much[5000] = '\0';
    assert_false(dial(op, &d, "host", much));
    assert_kind(op, WH_USAGE);
    assert_says(op->err.text, "too long");
    wh_dial_close(op, &d);
}

/* -------------------------------------------------------------------------------- sockets */

struct listener {
    struct wh_op op;
    char at[300];
    struct wh_dialled d;
    bool ok;
    pthread_t thread;
};

static void *listen_at(void *arg)
{
    struct listener *l = arg;
    struct wh_listener k;

    l->ok = wh_dial_listen(&l->op, &k, l->at) && wh_dial_accept(&l->op, &k, &l->d);
    wh_dial_listen_no_more(&k);
    return NULL;
}

static void begin_listening(struct listener *l)
{
    assert_true(wh_op_init(&l->op));
    assert_int_equal(pthread_create(&l->thread, NULL, listen_at, l), 0);
}

static void end_listening(struct listener *l)
{
    pthread_join(l->thread, NULL);
    wh_dial_close(&l->op, &l->d);
    wh_op_done(&l->op);
}

/* As one does who does not know whether the other is up already. */
static bool dial_until(struct wh_op *op, struct wh_dialled *d, const char *at)
{
    for (int i = 0; i < 500; i++) {
        op->err = (struct wh_err){ 0 };
        if (dial(op, d, at, NULL))
            return true;
        wh_dial_close(op, d);
        unit_sleep_ms(2);
    }
    return false;
}

static void meet(struct wh_op *op, const char *at)
{
    struct listener l = { .ok = false };
    unsigned before = descriptors();
    struct wh_dialled d;
    char got[32];

    snprintf(l.at, sizeof l.at, "%s", at);
    begin_listening(&l);
    assert_true(dial_until(op, &d, at));
    assert_int_equal(op->err.kind, WH_OK);
    pthread_join(l.thread, NULL);
    assert_true(l.ok);
    assert_int_equal(write(d.out, "ahoy", 4), 4);
    assert_int_equal(get(&l.op, l.d.in, got, 4), 4);
    assert_int_equal(write(l.d.out, "aye", 3), 3);
    assert_int_equal(get(op, d.in, got, 3), 3);
    assert_string_equal(got, "aye");
    wh_dial_close(op, &d);
    assert_int_equal(get(&l.op, l.d.in, got, 1), 0);
    wh_dial_close(&l.op, &l.d);
    wh_op_done(&l.op);
    assert_int_equal(descriptors(), before);
}

static void sockets_meet(void **state)
{
    char folder[256], at[300], port[64];
    struct stat st;

    unit_folder(folder, sizeof folder);
    snprintf(at, sizeof at, "unix:%s/w.sock", folder);
    for (int i = 0; i < 3; i++) {
        meet(*state, at);
        assert_true(stat(at + 5, &st) < 0 && errno == ENOENT);
    }
    snprintf(port, sizeof port, "tcp:127.0.0.1:%u", 20000 + (unsigned)getpid() % 20000);
    meet(*state, port);
    meet(*state, port);
    unit_remove_folder(folder);
}

/* Others who try are not turned away, and not believed to be connected. */
static void one_of_many_is_taken(void **state)
{
    struct listener l = { .ok = false };
    struct wh_op *op = *state;
    char folder[256];
    struct wh_dialled d[4];
    unsigned connected = 0;

    unit_folder(folder, sizeof folder);
    snprintf(l.at, sizeof l.at, "unix:%s/w.sock", folder);
    wh_op_hurry = 100;
    int busy = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", l.at + 5);
    assert_true(bind(busy, (struct sockaddr *)&a, sizeof a) == 0 && listen(busy, 0) == 0);
    for (size_t i = 0; i < WH_COUNT(d); i++) {
        bool ok = dial(op, &d[i], l.at, NULL);

        assert_true(ok || op->err.kind == WH_TIMEOUT);
        op->err = (struct wh_err){ 0 };
        if (!ok)
            continue;
        connected++;
        assert_int_equal(sendto(d[i].out, "x", 1, MSG_NOSIGNAL, NULL, 0), 1);
    }
    assert_in_range(connected, 1, WH_COUNT(d) - 1);
    for (size_t i = 0; i < WH_COUNT(d); i++)
        wh_dial_close(op, &d[i]);
    close(busy);
    wh_op_hurry = 1;
    unit_remove_folder(folder);
}

static void nobody_else_may_use_the_socket(void **state)
{
    struct listener l = { .ok = false };
    char folder[256];
    struct stat st;

    (void)state;
    unit_folder(folder, sizeof folder);
    snprintf(l.at, sizeof l.at, "unix:%s/w.sock", folder);
    begin_listening(&l);
    for (int i = 0; i < 500 && stat(l.at + 5, &st) < 0; i++)
        unit_sleep_ms(2);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* A cancel ends it, and takes the socket away. */
    wh_op_cancel(&l.op);
    end_listening(&l);
    assert_true(!l.ok && l.op.err.kind == WH_CANCELLED);
    assert_true(stat(l.at + 5, &st) < 0 && errno == ENOENT);
    unit_remove_folder(folder);
}

/* One who was killed leaves his socket; one who lives is not disturbed, and a file is nobody's socket. */
static void a_socket_that_nobody_listens_at_is_made_anew(void **state)
{
    struct wh_op *op = *state;
    struct wh_listener dead, l, again;
    struct wh_dialled d;
    char folder[256], at[300];

    unit_folder(folder, sizeof folder);
    snprintf(at, sizeof at, "unix:%s/w.sock", folder);
    assert_true(wh_dial_listen(op, &dead, at));
    close(dead.fd);
    assert_true(wh_dial_listen(op, &l, at));
    wh_step(op, "nobody has called", 50);
    assert_false(wh_dial_accept(op, &l, &d));
    assert_kind(op, WH_TIMEOUT);
    op->err = (struct wh_err){ 0 };
    assert_false(wh_dial_listen(op, &again, at));
    assert_kind(op, WH_SYSTEM);
    assert_says(op->err.text, "Address already in use");
    op->err = (struct wh_err){ 0 };
    wh_dial_listen_no_more(&again);
    wh_step(op, "nobody has called", 50);           /* nor has who looked whether anybody listens */
    assert_false(wh_dial_accept(op, &l, &d));
    assert_kind(op, WH_TIMEOUT);
    op->err = (struct wh_err){ 0 };
    wh_dial_listen_no_more(&l);
    assert_true(access(at + 5, F_OK) < 0);
    assert_int_equal(close(open(at + 5, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)), 0);
    assert_false(wh_dial_listen(op, &l, at));
    wh_dial_listen_no_more(&l);
    assert_int_equal(access(at + 5, F_OK), 0);
    op->err = (struct wh_err){ 0 };
    unit_remove_folder(folder);
}

static void what_cannot_be_a_socket_is_refused(void **state)
{
    static const struct { const char *at, *why; enum wh_kind kind; } wrong[] = {
        { "unix:", "cannot be a socket's path", WH_USAGE },
        { "tcp:127.0.0.1", "names no port", WH_USAGE },
        { "tcp:127.0.0.1:", "names no port", WH_USAGE },
        { "tcp:127.0.0.1:x", "tcp:127.0.0.1:x", WH_USAGE },
        { "tcp:localhost:1", "'localhost' is no address", WH_USAGE },
        { "tcp:127.0.0.1:http", "tcp:127.0.0.1:http", WH_USAGE },
        { "tcp:[::1", "names no port", WH_USAGE },
        { "unix:/nonexistent/w.sock", "No such file", WH_SYSTEM },
        { "tcp:127.0.0.1:1", "refused", WH_SYSTEM },
    };
    struct wh_op *op = *state;
    unsigned before = descriptors();
    struct wh_dialled d;
    struct wh_listener l;
    char path[400] = "unix:/";

    for (size_t i = 0; i < WH_COUNT(wrong); i++) {
        assert_false(dial(op, &d, wrong[i].at, NULL));
        if (strcmp(wrong[i].at, "tcp:[::1") != 0) {
            assert_kind(op, wrong[i].kind);
            assert_says(op->err.text, wrong[i].why);
        }
        op->err = (struct wh_err){ 0 };
        wh_dial_close(op, &d);
    }
    memset(path + 6, 'p', 300);
    assert_false(dial(op, &d, path, NULL));
    wh_dial_close(op, &d);
    for (int i = 0; i < 2; i++) {
        assert_kind(op, WH_USAGE);
        assert_says(op->err.text, "cannot be a socket's path");
        op->err = (struct wh_err){ 0 };
        assert_false(wh_dial_listen(op, &l, i == 0 ? path : "web2"));
        wh_dial_listen_no_more(&l);
    }
    assert_kind(op, WH_USAGE);
    assert_int_equal(descriptors(), before);
}

/* --------------------------------------------------------------------------- our own two */

static void our_own_stay_ours(void **state)
{
    struct wh_op *op = *state;
    struct wh_dialled d;
    int pair[2];

    for (int one = 0; one < 2; one++) {         /* one: for both ways */
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        wh_dial_own(&d, pair[0], pair[!one], "the sender");
        assert_true(wh_dial_unblock(op, &d));
        assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(wh_dial_close(op, &d), -1);
            assert_true(fcntl(pair[0], F_GETFD) >= 0 && fcntl(pair[1], F_GETFD) >= 0);
            assert_false((fcntl(pair[0], F_GETFL) | fcntl(pair[1], F_GETFL)) & O_NONBLOCK);
        }
        wh_dial_own(&d, pair[0], pair[!one], "the sender");     /* and left alone where they do not block */
        fcntl(pair[0], F_SETFL, O_NONBLOCK);
        assert_true(wh_dial_unblock(op, &d));
        wh_dial_close(op, &d);
        assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
        close(pair[0]);
        close(pair[1]);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        OP_TEST("a command is talked to", a_command_is_talked_to),
        OP_TEST("a command is told the host and what is to run there",
                a_command_is_told_the_host_and_what_is_to_run_there),
        OP_TEST("how a command ends is told", how_a_command_ends_is_told),
        OP_TEST("a command that does not end is ended", a_command_that_does_not_end_is_ended),
        OP_TEST("a host is no option", a_host_is_no_option),
        OP_TEST("a command is not endless", a_command_is_not_endless),
        OP_TEST("sockets meet", sockets_meet),
        OP_TEST("one of many is taken", one_of_many_is_taken),
        OP_TEST("nobody else may use the socket", nobody_else_may_use_the_socket),
        OP_TEST("a socket that nobody listens at is made anew", a_socket_that_nobody_listens_at_is_made_anew),
        OP_TEST("what cannot be a socket is refused", what_cannot_be_a_socket_is_refused),
        OP_TEST("our own stay ours", our_own_stay_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
