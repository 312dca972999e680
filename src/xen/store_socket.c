/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstored's socket (or the kernel's device, which speaks the same).
 *
 *     out   type, id, tx, length; payload         one request at a time
 *     in    type, id, tx, length; payload         its reply, by its id; watch events between
 *
 * A request that was given up leaves traces: the rest of it, if it was half sent (it goes out
 * before the next one), and its reply, which may come at any time later and is thrown away.  So an
 * operation that was cancelled here can be undone on the same connection.  What breaks the framing
 * breaks the connection for good. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <xen/io/xs_wire.h>

#include "base/own.h"
#include "xen/store.h"
#include "xen/store_events.h"

#define HEAD sizeof(struct xsd_sockmsg)
#define KNOCK_MS 20             /* between attempts to connect to a xenstored that is busy */

struct socket {
    struct wh_store store;
    int fd;
    bool is_socket;             /* else the kernel's device */
    const char *broken;         /* why nothing can come of this connection any more */

    uint32_t id;                /* of the latest request */
    uint32_t unanswered;        /* the oldest one whose reply has not come */

    size_t out_n, out_done;     /* the request under way */
    char out[HEAD + XENSTORE_PAYLOAD_MAX];

    size_t in_done;             /* the message that is coming in */
    char in[HEAD + XENSTORE_PAYLOAD_MAX + 1];

    struct wh_events events;
    int ready;                  /* eventfd: readable while there are events */
    int either;                 /* epoll on fd and ready; -1 until somebody asks for it */
};

/* -------------------------------------------------------------------------- broken for good */

static bool lost(struct wh_op *op, const struct socket *s)
{
    return wh_fail(&op->err, WH_XEN, "the connection to xenstored is lost: %s", s->broken);
}

static bool broke(struct wh_op *op, struct socket *s, const char *why)
{
    s->broken = why;
    return lost(op, s);
}

/* ------------------------------------------------------------------------------ receiving */

static void head_of(const struct socket *s, struct xsd_sockmsg *head)
{
    memcpy(head, s->in, sizeof *head);
}

/* Whole messages only are ever looked at; *whole says whether there is one. */
static bool receive(struct wh_op *op, struct socket *s, bool *whole)
{
    struct xsd_sockmsg head;

    *whole = false;
    for (;;) {
        size_t want = HEAD;

        if (s->in_done >= HEAD) {
            head_of(s, &head);
            if (head.len > XENSTORE_PAYLOAD_MAX)
                return broke(op, s, "it sent a message longer than 4096 bytes");
            want += head.len;
            if (s->in_done == want)
                break;
        }
        ssize_t n = read(s->fd, s->in + s->in_done, want - s->in_done);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            return broke(op, s, "it could not be read from");
        if (n == 0)
            return broke(op, s, "xenstored closed it");
        s->in_done += (size_t)n;
    }
    s->in[s->in_done] = '\0';
    *whole = true;
    return true;
}

/* path\0 token\0, and perhaps more. */
static bool event_came(struct wh_op *op, struct socket *s)
{
    const char *path = s->in + HEAD, *end = s->in + s->in_done;
    size_t path_n = strnlen(path, (size_t)(end - path));
    const char *token = path + path_n + 1;
    uint64_t one = 1;

    if (token >= end || strnlen(token, (size_t)(end - token)) == (size_t)(end - token) ||
        path_n >= WH_STORE_PATH)
        return broke(op, s, "it sent a watch event that has no path and token");
    if (strlen(token) >= sizeof ((struct wh_store_event *)NULL)->token)
        return true;                    /* not one of ours */
    if (!wh_events_put(&s->events, path, token))
        return wh_fail_sys(&op->err, ENOMEM, "hold a watch event");
    /* An eventfd refuses a write only when it is already as readable as it can be. */
    return write(s->ready, &one, sizeof one) == sizeof one || errno == EAGAIN;
}

/* One whole message: an event, our reply (*ours), or one that came too late for its request. */
static bool message_came(struct wh_op *op, struct socket *s, bool *ours)
{
    struct xsd_sockmsg head;

    head_of(s, &head);
    *ours = false;
    if (head.type == XS_WATCH_EVENT)
        return event_came(op, s);
    uint32_t ahead = s->id - head.req_id;       /* these wrap round */
    if (ahead >= s->id + 1 - s->unanswered)
        return broke(op, s, "it answered a request that was never made");
    *ours = ahead == 0;
    if (*ours)
        s->unanswered = s->id + 1;
    return true;
}

/* Take what has come.  *answered: our reply is in `in`, and stays there until take_reply. */
static bool take_all(struct wh_op *op, struct socket *s, bool *answered)
{
    bool whole = true;

    *answered = false;
    while (!*answered) {
        if (!receive(op, s, &whole))
            return false;
        if (!whole)
            return true;
        if (!message_came(op, s, answered))
            return false;
        if (!*answered)
            s->in_done = 0;
        if (!*answered && !wh_go_on(op))        /* a flood of events does not stop the clock */
            return false;
    }
    return true;
}

static int refusal(const char *text)
{
    for (size_t i = 0; i < WH_COUNT(xsd_errors); i++)
        if (strcmp(text, xsd_errors[i].errstring) == 0)
            return xsd_errors[i].errnum;
    return EIO;
}

static bool take_reply(struct wh_op *op, struct socket *s, uint32_t type, char **reply,
                       size_t *reply_n, int *refused)
{
    struct xsd_sockmsg head;

    head_of(s, &head);
    s->in_done = 0;
    if (head.type != XS_ERROR && head.type != type)
        return broke(op, s, "it answered with another kind of reply");
    *refused = head.type == XS_ERROR ? refusal(s->in + HEAD) : 0;
    *reply_n = head.len;
    *reply = malloc(head.len + 1);
    if (!*reply)
        return wh_fail_sys(&op->err, ENOMEM, "hold a reply of %" PRIu32 " bytes", head.len);
    memcpy(*reply, s->in + HEAD, head.len + 1);
    return true;
}

/* -------------------------------------------------------------------------------- sending */

static ssize_t send_some(struct socket *s)
{
    const char *p = s->out + s->out_done;
    size_t n = s->out_n - s->out_done;

    return s->is_socket ? send(s->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) : write(s->fd, p, n);
}

static bool push(struct wh_op *op, struct socket *s)
{
    while (s->out_done < s->out_n) {
        ssize_t n = send_some(s);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        if (n <= 0)
            return broke(op, s, "it could not be written to");
        s->out_done += (size_t)n;
    }
    return true;
}

/* Nobody will wait for it; what has not been sent at all never will be. */
static void give_up(struct socket *s)
{
    if (s->out_done == 0 && s->out_n) {
        s->out_n = 0;
        s->id--;
    }
}

static void make(struct socket *s, uint32_t type, uint32_t tx, const void *payload, size_t n)
{
    struct xsd_sockmsg head = { .type = type, .req_id = ++s->id, .tx_id = tx, .len = (uint32_t)n };

    memcpy(s->out, &head, sizeof head);
    memcpy(s->out + HEAD, payload, n);
    s->out_n = HEAD + n;
    s->out_done = 0;
}

/* --------------------------------------------------------------------------- the exchange */

/* Wait for either way to open.  One that only waits to be read from is not told that it could be
 * written to. */
static bool turn(struct wh_op *op, struct socket *s)
{
    short events = POLLIN | (s->out_done < s->out_n ? POLLOUT : 0);

    return wh_wait(op, s->fd, events);
}

/* The rest of a request that was given up. */
static bool finish_former(struct wh_op *op, struct socket *s)
{
    bool answered;

    for (;;) {
        if (!push(op, s))
            return false;
        if (s->out_done == s->out_n)
            return true;
        if (!take_all(op, s, &answered))
            return false;
        if (answered)
            s->in_done = 0;
        else if (!turn(op, s))
            return false;
    }
}

static bool exchange(struct wh_op *op, struct socket *s, uint32_t type, uint32_t tx,
                     const void *payload, size_t n)
{
    bool answered;

    if (!finish_former(op, s))
        return false;
    make(s, type, tx, payload, n);
    for (;;) {
        if (!push(op, s) || !take_all(op, s, &answered))
            return false;
        if (answered)
            return s->out_done == s->out_n || broke(op, s, "it answered before it was asked");
        if (!turn(op, s))
            return false;
    }
}

static bool ask(struct wh_op *op, struct wh_store *st, uint32_t type, uint32_t tx,
                const void *payload, size_t n, char **reply, size_t *reply_n, int *refused)
{
    struct socket *s = st->state;

    if (s->broken)
        return lost(op, s);
    if (n > XENSTORE_PAYLOAD_MAX)
        return wh_fail(&op->err, WH_XEN, "a request of %zu bytes", n);

    struct wh_err before = op->err;
    struct wh_bound step = wh_bound(op, WH_STORE_MS);
    bool done = exchange(op, s, type, tx, payload, n);
    long long waited_ms = (long long)op->budget_ms;
    wh_unbound(op, step);
    if (done)
        return take_reply(op, s, type, reply, reply_n, refused);
    give_up(s);
    if (op->err.kind == WH_TIMEOUT && before.kind == WH_OK) {
        op->err = before;
        return wh_fail(&op->err, WH_TIMEOUT,
                       "xenstored has not answered within %lld ms at the step \"%s\"", waited_ms,
                       op->step);
    }
    return false;
}

/* --------------------------------------------------------------------------------- events */

static bool next_event(struct wh_op *op, struct wh_store *st, bool wait, struct wh_store_event *e,
                       bool *there)
{
    struct socket *s = st->state;
    uint64_t rung;

    for (;;) {
        bool late;

        *there = wh_events_take(&s->events, e);
        if (*there || s->broken)
            break;
        if (!take_all(op, s, &late))
            return false;
        if (late)
            s->in_done = 0;
        if (s->events.n)
            continue;
        if (!wait)
            break;
        if (!wh_wait(op, s->fd, POLLIN))
            return false;
    }
    if (!s->events.n && read(s->ready, &rung, sizeof rung) < 0 && errno != EAGAIN)
        return wh_fail_sys(&op->err, errno, "read from an eventfd");
    return *there || !s->broken || lost(op, s);
}

static int either_fd(struct wh_store *st)
{
    struct socket *s = st->state;
    struct epoll_event e = { .events = EPOLLIN };

    if (s->either < 0) {
        s->either = epoll_create1(EPOLL_CLOEXEC);
        if (s->either < 0 || epoll_ctl(s->either, EPOLL_CTL_ADD, s->fd, &e) < 0 ||
            epoll_ctl(s->either, EPOLL_CTL_ADD, s->ready, &e) < 0) {
            wh_close_fd(&s->either);
            s->either = -1;
        }
    }
    return s->either;
}

/* ----------------------------------------------------------------------- opening, closing */

static void close_socket(struct wh_store *st)
{
    struct socket *s = st->state;

    wh_events_drop(&s->events);
    wh_close_fd(&s->fd);
    wh_close_fd(&s->ready);
    wh_close_fd(&s->either);
    free(s);
}

static const struct wh_store_calls calls = {
    .close = close_socket,
    .ask = ask,
    .event = next_event,
    .fd = either_fd,
};

struct wh_store *wh_store_on_fd(struct wh_op *op, int fd)
{
    wh_auto_fd int owned = fd;
    wh_auto_fd int ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct socket *s = calloc(1, sizeof *s);
    int type;
    socklen_t n = sizeof type;

    if (!s || ready < 0) {
        free(s);
        wh_fail_sys(&op->err, errno, "hold the connection to xenstored");
        return NULL;
    }
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        free(s);
        wh_fail_sys(&op->err, errno, "use the connection to xenstored");
        return NULL;
    }
    s->store = (struct wh_store){ .calls = &calls, .state = s };
    s->fd = wh_take_fd(&owned);
    s->ready = wh_take_fd(&ready);
    s->either = -1;
    s->unanswered = 1;
    s->is_socket = getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
    wh_events_init(&s->events);
    return &s->store;
}

/* A pause that the operation's cancel and deadline end. */
static bool doze(struct wh_op *op, long ms)
{
    wh_auto_fd int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct itimerspec when = { .it_value = { ms / 1000, ms % 1000 * 1000000 } };

    if (timer < 0 || timerfd_settime(timer, 0, &when, NULL) < 0)
        return wh_fail_sys(&op->err, errno, "set a timer");
    return wh_wait(op, timer, POLLIN);
}

/* -1 with errno: nobody is there. */
static int connect_to(struct wh_op *op, const char *path)
{
    wh_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    if (fd < 0)
        return -1;
    if (strlen(path) >= sizeof a.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a.sun_path, path);
    /* One that does not accept for a while has a full queue, and connecting does not wait. */
    while (connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        if (errno != EAGAIN || !doze(op, KNOCK_MS))
            return -1;
    return wh_take_fd(&fd);
}

static int open_any(struct wh_op *op, char *tried, size_t size)
{
    const char *paths[] = { secure_getenv("XENSTORED_PATH"), "/run/xenstored/socket",
                            "/var/run/xenstored/socket" };
    int fd = -1, why = 0;

    for (size_t i = paths[0] ? 0 : 1; i < WH_COUNT(paths) && fd < 0; i++) {
        fd = connect_to(op, paths[i]);
        if (op->err.kind != WH_OK)
            return -1;
        if (fd < 0 && errno != ENOENT)
            why = errno;
        snprintf(tried, size, "%s", paths[i]);
        if (paths[0])
            break;
    }
    if (fd < 0 && !paths[0])
        fd = open("/dev/xen/xenbus", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && why)
        errno = why;
    return fd;
}

struct wh_store *wh_store_open(struct wh_op *op)
{
    char tried[128] = "";
    struct wh_bound step = wh_bound(op, WH_STORE_MS);
    int fd = open_any(op, tried, sizeof tried);
    int why = errno;

    wh_unbound(op, step);
    if (fd >= 0)
        return wh_store_on_fd(op, fd);
    if (op->err.kind == WH_OK)
        wh_fail(&op->err, WH_XEN, "no xenstored on this host: %s: %s", tried, strerror(why));
    else
        wh_while(&op->err, "connect to xenstored");
    return NULL;
}
