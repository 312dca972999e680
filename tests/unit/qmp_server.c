/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp_server.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"

#define GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
                 "\"package\": \"Debian\"}, \"capabilities\": [\"oob\"]}}"

static bool put(struct qmp_server *s, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = send(s->fd, text, n, MSG_NOSIGNAL);

        if (done <= 0)
            return false;
        text += done;
        n -= (size_t)done;
    }
    return true;
}

static bool line(struct qmp_server *s, const char *text)
{
    return put(s, text, strlen(text)) && put(s, "\r\n", 2);
}

/* Until the other end has closed. */
static void hang(struct qmp_server *s)
{
    struct pollfd p = { s->fd, POLLRDHUP, 0 };

    poll(&p, 1, -1);
}

static void dribble(struct qmp_server *s, const char *text)
{
    for (; *text && put(s, text, 1); text++)
        usleep(500);
    put(s, "\n", 1);
}

static void endless(struct qmp_server *s)
{
    char block[4096];

    memset(block, ' ', sizeof block);
    while (put(s, block, sizeof block))
        ;
}

static void deep(struct qmp_server *s)
{
    char open[10000];

    memset(open, '[', sizeof open);
    put(s, open, sizeof open);
    put(s, "\n", 1);
}

static void events(struct qmp_server *s, unsigned n)
{
    char text[128];

    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof text, "{\"event\": \"E%u\", \"data\": {\"n\": %u}}", i, i);
        if (!line(s, text))
            return;
    }
}

static void with_descriptors(struct qmp_server *s, const char *text)
{
    int fd[2] = { 0, 0 };
    char control[CMSG_SPACE(sizeof fd)] = { 0 };
    struct iovec part = { strdupa(text), strlen(text) };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                        .msg_controllen = sizeof control };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                           .cmsg_len = CMSG_LEN(sizeof fd) };
    memcpy(CMSG_DATA(c), fd, sizeof fd);
    sendmsg(s->fd, &m, MSG_NOSIGNAL);
    put(s, "\n", 1);
}

/* False: it has closed, and is not to go on. */
static bool play(struct qmp_server *s, enum qmp_trick trick, const char *good,
                 unsigned long long id)
{
    char text[4096];

    switch (trick) {
    case QMP_BEHAVES:
        return line(s, good);
    case QMP_CLOSES:
        return false;
    case QMP_STALLS:
        hang(s);
        return false;
    case QMP_DRIBBLES:
        dribble(s, good);
        return true;
    case QMP_ENDLESS:
        endless(s);
        return false;
    case QMP_DEEP:
        deep(s);
        return true;
    case QMP_NOT_UTF8:
        return line(s, "{\"return\": \"\xff\xfe\"}");
    case QMP_NOT_JSON:
        return line(s, "qemu: could not open disk image");
    case QMP_NOT_OBJECT:
        return line(s, "[1, 2]");
    case QMP_TWICE:
        snprintf(text, sizeof text, "%s\n%s\n", good, good);
        return line(s, text);
    case QMP_FOREIGN_ID:
        snprintf(text, sizeof text, "{\"return\": {}, \"id\": %llu}", id + 1);
        return line(s, text);
    case QMP_NO_ID:
        return line(s, "{\"return\": {}}");
    case QMP_TEXT_ID:
        return line(s, "{\"return\": {}, \"id\": \"libxl\"}");
    case QMP_NEITHER:
        snprintf(text, sizeof text, "{\"id\": %llu}", id);
        return line(s, text);
    case QMP_REFUSES:
        snprintf(text, sizeof text, "{\"id\": %llu, \"error\": {\"class\": \"GenericError\", "
                 "\"desc\": \"no \\u001b[2J such \\u00e9 file\"}}", id);
        return line(s, text);
    case QMP_REFUSES_ODDLY:
        snprintf(text, sizeof text, "{\"id\": %llu, \"error\": 7}", id);
        return line(s, text);
    case QMP_EVENT_FIRST:
        return line(s, "{\"event\": \"STOP\", \"data\": {\"n\": 1}}") && line(s, good);
    case QMP_EVENTS:
        events(s, 1000);
        return line(s, good);
    case QMP_EVENTS_ONLY:
        events(s, 1u << 30);
        return false;
    case QMP_EVENT_NAMELESS:
        return line(s, "{\"event\": {}}");
    case QMP_GREETS:
        return line(s, GREETING) && line(s, good);
    case QMP_NO_VERSION:
        return line(s, "{\"QMP\": {\"version\": {\"qemu\": {\"major\": -7}}}}");
    case QMP_DESCRIPTORS:
        with_descriptors(s, good);
        return true;
    case QMP_HALF:
        put(s, good, strlen(good) / 2);
        return false;
    case QMP_EMPTY_LINES:
        return put(s, "\n\r\n\n", 4) && line(s, good);
    case QMP_TRICKS:
        break;
    }
    abort();
}

/* How much of what has come is of this command: who gave up on one may have sent the next right
 * behind it.  0: the other end has closed. */
static size_t peek(struct qmp_server *s, char *text, size_t size)
{
    ssize_t n = recv(s->fd, text, size, MSG_PEEK);
    const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

    return end ? (size_t)(end - text) + 1 : n > 0 ? (size_t)n : 0;
}

/* A command, and the descriptor that came with it; NULL: the other end has closed. */
static json_object *command(struct qmp_server *s, char *text, size_t size, int *passed)
{
    char control[CMSG_SPACE(sizeof(int))];
    const char *why;
    size_t n = 0, at;

    *passed = -1;
    while (n == 0 || text[n - 1] != '\n') {
        struct iovec part = { text + n, peek(s, text + n, size - n) };
        struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                            .msg_controllen = sizeof control };
        ssize_t got = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC);

        if (got <= 0)
            return NULL;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        if (c) {
            wh_close_fd(passed);
            memcpy(passed, CMSG_DATA(c), sizeof *passed);
            s->got_fd = fcntl(*passed, F_GETFD) >= 0 && n == 0;
        }
        n += (size_t)got;
    }
    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    text[n] = '\0';
    return wh_json_parse(text, n, &why, &at);
}

static enum qmp_trick choose(struct qmp_server *s, const char *name)
{
    if (s->choose)
        return s->choose(s, name);
    return strcmp(s->at, name) == 0 ? s->trick : QMP_BEHAVES;
}

static json_object *answer(struct qmp_server *s, json_object *o, int passed)
{
    if (s->answer)
        return s->answer(s, o, passed);
    wh_close_fd(&passed);
    o = json_object_new_object();
    json_object_object_add(o, "return", json_object_new_object());
    return o;
}

void qmp_server_serve(struct qmp_server *s)
{
    char text[65536];
    int passed;

    if (!play(s, choose(s, "greeting"), s->greeting ? s->greeting : GREETING, 0))
        return;
    for (;;) {
        wh_auto_json json_object *o = command(s, text, sizeof text - 1, &passed);
        if (!o) {
            wh_close_fd(&passed);
            return;
        }
        memcpy(s->last, text, sizeof s->last - 1);
        unsigned long long id = wh_json_number(o, "id", 0);
        enum qmp_trick trick = choose(s, wh_json_string(o, "execute", ""));
        wh_auto_json json_object *good = answer(s, o, passed);
        json_object_object_add(good, "id", json_object_new_uint64(id));
        if (!play(s, trick, json_object_to_json_string_ext(good, JSON_C_TO_STRING_PLAIN), id))
            return;
    }
}

bool qmp_server_say(struct qmp_server *s, const char *text)
{
    return line(s, text);
}

static void *run(void *arg)
{
    struct qmp_server *s = arg;

    if (s->deaf)
        line(s, GREETING), hang(s);
    else
        qmp_server_serve(s);
    shutdown(s->fd, SHUT_RDWR);
    return NULL;
}

int qmp_server_start(struct qmp_server *s)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        abort();
    s->fd = ends[0];
    if (pthread_create(&s->thread, NULL, run, s) != 0)
        abort();
    return ends[1];
}

void qmp_server_end(struct qmp_server *s)
{
    pthread_join(s->thread, NULL);
    close(s->fd);
}

/* ------------------------------------------------------------------------ one after another */

static void *run_all(void *arg)
{
    struct qmp_server *s = arg;
    int fd;

    while ((fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        s->fd = fd;
        qmp_server_serve(s);
        close(atomic_exchange(&s->fd, -1));
    }
    return NULL;
}

void qmp_server_listen(struct qmp_server *s, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    s->fd = -1;
    s->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    if (s->listening < 0 || bind(s->listening, (struct sockaddr *)&a, sizeof a) < 0 ||
        listen(s->listening, 5) < 0 || pthread_create(&s->thread, NULL, run_all, s) != 0)
        abort();
}

void qmp_server_close(struct qmp_server *s)
{
    shutdown(s->listening, SHUT_RDWR);
    if (s->fd >= 0)
        shutdown(s->fd, SHUT_RDWR);                 /* of a test that has failed */
    pthread_join(s->thread, NULL);
    close(s->listening);
}
