/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/qmp.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"

#define FIRST_ID 0x77680000         /* "wh": told from another client's in a log */
#define READ_SIZE 16384
#define TEXT_MOST 300               /* of QEMU's own words in an error */
#define NAME_MOST 64
#define PARSED_MOST (8u << 20)

struct event {
    char name[NAME_MOST];
    json_object *data;
};

struct wh_qmp {
    int fd;
    const char *broken;             /* why nothing can come of it any more */
    char *in;                       /* what has come and is not a whole line yet */
    size_t in_n, in_size, seen;     /* seen: so far there is no newline */
    uint64_t id, unanswered;        /* of the last command; of the first that has no reply */
    json_object *reply;             /* to the last command */
    bool greeted;
    struct wh_qmp_version version;
    struct event event[WH_QMP_EVENTS];
    unsigned first, events;
    char class[NAME_MOST];          /* of the last refusal */
    int lock;                       /* a file locked while this is open, which goes with it; -1 */
    char lock_path[PATH_MAX];
};

/* -------------------------------------------------------------------------- broken for good */

static bool lost(struct wh_op *op, const struct wh_qmp *q)
{
    return wh_fail(&op->err, WH_PEER, "QEMU: %s", q->broken);
}

static bool broke(struct wh_op *op, struct wh_qmp *q, const char *why)
{
    q->broken = why;
    return lost(op, q);
}

/* QEMU's words, to be shown: what could steer a terminal, or is no text, becomes a question mark. */
static void quote(char *to, size_t size, const char *from)
{
    size_t n = 0;

    for (; from[n] && n + 1 < size; n++) {
        unsigned char c = (unsigned char)from[n];
        to[n] = c < 0x20 || c >= 0x7f ? '?' : from[n];
    }
    to[n] = '\0';
}

/* --------------------------------------------------------------------------------- messages */

static void drop_first(struct wh_qmp *q)
{
    json_object_put(q->event[q->first].data);
    q->event[q->first] = (struct event){ 0 };
    q->first = (q->first + 1) % WH_QMP_EVENTS;
    q->events--;
}

/* Of too many the oldest go: what is waited for comes after something that was asked. */
static bool event_came(struct wh_op *op, struct wh_qmp *q, json_object *message)
{
    const char *name = wh_json_string(message, "event", NULL);

    if (!name)
        return broke(op, q, "it told of an event that has no name");
    if (q->events == WH_QMP_EVENTS)
        drop_first(q);
    struct event *e = &q->event[(q->first + q->events++) % WH_QMP_EVENTS];
    quote(e->name, sizeof e->name, name);
    e->data = json_object_get(json_object_object_get(message, "data"));
    return true;
}

static bool greeting_came(struct wh_op *op, struct wh_qmp *q, json_object *message)
{
    static const char *const parts[] = { "QMP.version.qemu.major", "QMP.version.qemu.minor",
                                         "QMP.version.qemu.micro" };
    uint64_t part[3];

    if (q->greeted)
        return broke(op, q, "it greeted twice");
    for (size_t i = 0; i < WH_COUNT(parts); i++) {
        part[i] = wh_json_number(message, parts[i], UINT64_MAX);
        if (part[i] > 1000)
            return broke(op, q, "it greeted without saying its version");
    }
    q->version = (struct wh_qmp_version){ (unsigned)part[0], (unsigned)part[1], (unsigned)part[2] };
    q->greeted = true;
    return true;
}

/* To the last command, or to one that was given up on. */
static bool reply_came(struct wh_op *op, struct wh_qmp *q, json_object *message)
{
    uint64_t id = wh_json_number(message, "id", 0);

    if (id == 0)
        return broke(op, q, "it answered without saying what");
    if (id < q->unanswered || id > q->id)
        return broke(op, q, "it answered a command that was not given");
    q->unanswered = id + 1;
    if (id == q->id)
        q->reply = json_object_get(message);
    return true;
}

static bool message_came(struct wh_op *op, struct wh_qmp *q, json_object *message)
{
    if (!json_object_is_type(message, json_type_object))
        return broke(op, q, "it sent something else than an object");
    if (json_object_object_get_ex(message, "QMP", NULL))
        return greeting_came(op, q, message);
    if (!q->greeted)
        return broke(op, q, "it spoke before it greeted");
    if (json_object_object_get_ex(message, "event", NULL))
        return event_came(op, q, message);
    return reply_came(op, q, message);
}

static bool line_came(struct wh_op *op, struct wh_qmp *q, const char *line, size_t n)
{
    const char *why;
    size_t at;

    if (n > 0 && line[n - 1] == '\r')
        n--;
    if (n == 0)
        return true;
    wh_auto_json json_object *message = wh_json_parse_within(line, n, PARSED_MOST, &why, &at);
    return message ? message_came(op, q, message) : broke(op, q, "what it sent is not JSON, or too "
                                                          "much of it");
}

/* -------------------------------------------------------------------------------- receiving */

static bool make_room(struct wh_op *op, struct wh_qmp *q)
{
    if (q->in_size - q->in_n >= READ_SIZE)
        return true;
    if (q->in_n >= WH_QMP_LINE)
        return broke(op, q, "it sent a line of more than 1 MiB");
    size_t size = 2 * q->in_size + READ_SIZE;
    char *in = realloc(q->in, size);
    if (!in)
        return wh_fail_sys(&op->err, ENOMEM, "hear QEMU");
    q->in = in;
    q->in_size = size;
    return true;
}

/* All lines that are whole. */
static bool take_lines(struct wh_op *op, struct wh_qmp *q)
{
    size_t begun = 0;
    bool ok = true;
    char *end;

    while (ok && (end = memchr(q->in + q->seen, '\n', q->in_n - q->seen))) {
        size_t n = (size_t)(end - q->in) - begun;

        ok = line_came(op, q, q->in + begun, n) && wh_go_on(op);
        begun += n + 1;
        q->seen = begun;
    }
    memmove(q->in, q->in + begun, q->in_n - begun);
    q->in_n -= begun;
    q->seen = ok ? q->in_n : 0;
    return ok;
}

/* What has come.  No room is offered for descriptors: the kernel closes those that come. */
static bool receive(struct wh_op *op, struct wh_qmp *q)
{
    if (q->broken)
        return lost(op, q);
    if (!make_room(op, q))
        return false;
    ssize_t n = recv(q->fd, q->in + q->in_n, READ_SIZE, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n < 0)
        return broke(op, q, "its monitor could not be read from");
    if (n == 0)
        return broke(op, q, "it closed its monitor, or ended");
    q->in_n += (size_t)n;
    return take_lines(op, q);
}

bool wh_qmp_look(struct wh_op *op, struct wh_qmp *q)
{
    struct pollfd p = { q->fd, POLLIN, 0 };

    while (!q->broken && poll(&p, 1, 0) > 0)
        if (!wh_go_on(op) || !receive(op, q))
            return false;
    return !q->broken || lost(op, q);
}

static bool hear(struct wh_op *op, struct wh_qmp *q)
{
    if (q->broken)
        return lost(op, q);
    return wh_wait(op, q->fd, POLLIN) && receive(op, q);
}

/* ---------------------------------------------------------------------------------- sending */

/* The descriptor goes with the first byte. */
static ssize_t send_some(struct wh_qmp *q, const char *p, size_t n, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof fd)];
        struct cmsghdr align;
    } control = { .bytes = { 0 } };
    struct iovec part = { (char *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof fd) };
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    return sendmsg(q->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Half a command makes the next one part of it: one that could not be sent whole is the last. */
static bool put(struct wh_op *op, struct wh_qmp *q, const char *p, size_t n, int fd)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = send_some(q, p + done, n - done, done == 0 ? fd : -1);

        if (got < 0 && errno == EAGAIN) {
            if (wh_wait(op, q->fd, POLLOUT))
                continue;
            if (done > 0)
                q->broken = "a command to it was cut short";
            return false;
        }
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return broke(op, q, "its monitor takes no commands any more");
        done += (size_t)got;
    }
    return true;
}

/* -------------------------------------------------------------------------------- commands */

static bool refused(struct wh_op *op, struct wh_qmp *q, json_object *error)
{
    char text[TEXT_MOST];

    quote(q->class, sizeof q->class, wh_json_string(error, "class", "an error without a class"));
    quote(text, sizeof text, wh_json_string(error, "desc", "no description"));
    return wh_fail(&op->err, WH_PEER, "QEMU refuses: %s: %s", q->class, text);
}

static bool answer_to(struct wh_op *op, struct wh_qmp *q, json_object **answer)
{
    wh_auto_json json_object *reply = q->reply;
    json_object *o;

    q->reply = NULL;
    if (json_object_object_get_ex(reply, "error", &o))
        return refused(op, q, o);
    if (!json_object_object_get_ex(reply, "return", &o))
        return broke(op, q, "it answered neither yes nor no");
    if (answer)
        *answer = json_object_get(o);
    return true;
}

static bool say(struct wh_op *op, struct wh_qmp *q, const char *command, json_object *arguments, int fd)
{
    wh_auto_json json_object *o = json_object_new_object();

    q->class[0] = '\0';
    json_object_object_add(o, "execute", json_object_new_string(command));
    if (arguments)
        json_object_object_add(o, "arguments", arguments);
    json_object_object_add(o, "id", json_object_new_uint64(++q->id));
    wh_auto_free char *text = NULL;
    if (asprintf(&text, "%s\r\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN)) < 0)
        return wh_fail_sys(&op->err, ENOMEM, "write a command");
    return q->broken ? lost(op, q) : put(op, q, text, strlen(text), fd);
}

static bool await_answer(struct wh_op *op, struct wh_qmp *q, json_object **answer)
{
    if (answer)
        *answer = NULL;
    while (!q->reply)
        if (!hear(op, q))
            return false;
    return answer_to(op, q, answer);
}

bool wh_qmp_begin(struct wh_op *op, struct wh_qmp *q, const char *command, json_object *arguments)
{
    struct wh_bound before = wh_bound(op, WH_QMP_MS);
    bool ok = say(op, q, command, arguments, -1);

    wh_unbound(op, before);
    return ok || wh_while(&op->err, "QMP command %s", command);
}

bool wh_qmp_end(struct wh_op *op, struct wh_qmp *q, int64_t ms, const char *command, json_object **answer)
{
    struct wh_bound before = wh_bound(op, ms);
    bool ok = await_answer(op, q, answer);

    wh_unbound(op, before);
    return ok || wh_while(&op->err, "QMP command %s", command);
}

bool wh_qmp_call(struct wh_op *op, struct wh_qmp *q, const char *command, json_object *arguments,
                 int fd, json_object **answer)
{
    return wh_qmp_call_within(op, q, WH_QMP_MS, command, arguments, fd, answer);
}

bool wh_qmp_call_within(struct wh_op *op, struct wh_qmp *q, int64_t ms, const char *command,
                        json_object *arguments, int fd, json_object **answer)
{
    struct wh_bound before = wh_bound(op, ms);

    if (answer)
        *answer = NULL;
    bool ok = say(op, q, command, arguments, fd) && await_answer(op, q, answer);
    wh_unbound(op, before);
    return ok || wh_while(&op->err, "QMP command %s", command);
}

bool wh_qmp_add_fd(struct wh_op *op, struct wh_qmp *q, int fd, uint64_t *set)
{
    wh_auto_json json_object *answer = NULL;

    if (!wh_qmp_call(op, q, "add-fd", NULL, fd, &answer))
        return false;
    *set = wh_json_number(answer, "fdset-id", UINT64_MAX);
    return *set <= INT32_MAX ||
           wh_fail(&op->err, WH_PEER, "QEMU took a descriptor and did not say as which");
}

bool wh_qmp_refused(const struct wh_qmp *q, const char *class)
{
    return strcmp(q->class, class) == 0;
}

/* ----------------------------------------------------------------------------------- events */

/* Those before it go: what they told of is over. */
static bool take_event(struct wh_qmp *q, const char *name, json_object **data)
{
    unsigned i = 0;

    while (i < q->events && strcmp(q->event[(q->first + i) % WH_QMP_EVENTS].name, name) != 0)
        i++;
    if (i == q->events)
        return false;
    while (i-- > 0)
        drop_first(q);
    if (data)
        *data = json_object_get(q->event[q->first].data);
    drop_first(q);
    return true;
}

bool wh_qmp_had(const struct wh_qmp *q, const char *event)
{
    for (unsigned i = 0; i < q->events; i++) {
        if (strcmp(q->event[(q->first + i) % WH_QMP_EVENTS].name, event) == 0)
            return true;
    }
    return false;
}

bool wh_qmp_await(struct wh_op *op, struct wh_qmp *q, const char *event, json_object **data)
{
    if (data)
        *data = NULL;
    while (!take_event(q, event, data))
        if (!hear(op, q))
            return wh_while(&op->err, "wait for QEMU's %s", event);
    return true;
}

/* ------------------------------------------------------------------------- opening, closing */

static bool greet(struct wh_op *op, struct wh_qmp *q)
{
    struct wh_bound before = wh_bound(op, WH_QMP_MS);
    bool ok = true;

    while (ok && !q->greeted)
        ok = hear(op, q);
    wh_unbound(op, before);
    return ok ? wh_qmp_call(op, q, "qmp_capabilities", NULL, -1, NULL)
              : wh_while(&op->err, "wait for QEMU's greeting");
}

struct wh_qmp *wh_qmp_open(struct wh_op *op, int fd)
{
    struct wh_qmp *q = calloc(1, sizeof *q);

    if (!q) {
        close(fd);
        wh_fail_sys(&op->err, ENOMEM, "talk to QEMU");
        return NULL;
    }
    q->fd = fd;
    q->lock = -1;
    q->id = FIRST_ID;
    q->unanswered = FIRST_ID + 1;
    if (greet(op, q))
        return q;
    wh_qmp_close(q);
    return NULL;
}

int wh_qmp_dial(struct wh_op *op, const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = strlen(path);

    if (n >= sizeof a.sun_path) {
        wh_fail_sys(&op->err, ENAMETOOLONG, "connect to %s", path);
        return -1;
    }
    memcpy(a.sun_path, path, n);
    wh_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        wh_fail_sys(&op->err, errno, "connect to %s", path);
        return -1;
    }
    return wh_take_fd(&fd);
}

struct wh_qmp *wh_qmp_connect(struct wh_op *op, const char *path)
{
    int fd = wh_qmp_dial(op, path);

    return fd < 0 ? NULL : wh_qmp_open(op, fd);
}

void wh_qmp_hold(struct wh_qmp *q, int lock, const char *path)
{
    q->lock = lock;
    snprintf(q->lock_path, sizeof q->lock_path, "%s", path);
}

void wh_qmp_close(struct wh_qmp *q)
{
    if (!q)
        return;
    while (q->events > 0)
        drop_first(q);
    json_object_put(q->reply);
    close(q->fd);
    if (q->lock >= 0) {
        unlink(q->lock_path);
        close(q->lock);
    }
    free(q->in);
    free(q);
}

struct wh_qmp_version wh_qmp_version(const struct wh_qmp *q)
{
    return q->version;
}

int wh_qmp_fd(const struct wh_qmp *q)
{
    return q->fd;
}
