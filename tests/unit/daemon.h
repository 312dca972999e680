/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A xenstored for the tests of its client: a thread at the other end of a socket that does with
 * each request what the test says.
 *
 *     struct daemon d;
 *     struct wh_store *st = start(op, &d, canned);
 *     ANSWER(&d, "a value");
 *     ... wh_store_read(op, st, ...) ...
 *     assert_asked(&d, XS_READ, "/a\0");
 *     stop(st, &d);
 */
#ifndef TESTS_DAEMON_H
#define TESTS_DAEMON_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "unit.h"
#include "xen/store.h"

#include <xen/io/xs_wire.h>

#define HEAD sizeof(struct xsd_sockmsg)

/* ------------------------------------------------------------------------------ the daemon */

/* A thread at the other end of the socket.  What it does with a request is the test's. */
struct daemon {
    int fd;
    pthread_t thread;
    void (*serve)(struct daemon *d, const struct xsd_sockmsg *head, const char *payload);
    atomic_int requests;
    atomic_bool go;                         /* some wait for it before they answer */
    struct xsd_sockmsg kept[64];            /* requests whose answer is late */
    unsigned n;
    const char *answer;                     /* of canned: its bytes */
    size_t answer_n;
    uint32_t type;                          /* of the latest request, and what it held */
    uint32_t tx;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
    size_t payload_n;
};

static inline bool read_exactly(int fd, void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, (char *)p + done, n - done);

        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static inline void send_all(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t sent = send(fd, (const char *)p + done, n - done, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        done += (size_t)sent;
    }
}

static inline void send_message(struct daemon *d, uint32_t type, uint32_t id, uint32_t tx,
                                const void *p, size_t n)
{
    struct xsd_sockmsg head = { type, id, tx, (uint32_t)n };

    send_all(d->fd, &head, sizeof head);
    send_all(d->fd, p, n);
}

static inline void reply(struct daemon *d, const struct xsd_sockmsg *to, const char *text, size_t n)
{
    send_message(d, to->type, to->req_id, to->tx_id, text, n);
}

static inline void *daemon_runs(void *arg)
{
    struct daemon *d = arg;
    struct xsd_sockmsg head;

    while (read_exactly(d->fd, &head, sizeof head)) {
        if (head.len > XENSTORE_PAYLOAD_MAX || !read_exactly(d->fd, d->payload, head.len))
            break;
        d->payload[head.len] = '\0';
        d->payload_n = head.len;
        d->type = head.type;
        d->tx = head.tx_id;
        d->requests++;
        d->serve(d, &head, d->payload);
    }
    return NULL;
}

static inline struct wh_store *start(struct wh_op *op, struct daemon *d,
                                     void (*serve)(struct daemon *, const struct xsd_sockmsg *,
                                                   const char *))
{
    int p[2];

    memset(d, 0, sizeof *d);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, p), 0);
    d->fd = p[0];
    d->serve = serve;
    assert_int_equal(pthread_create(&d->thread, NULL, daemon_runs, d), 0);
    struct wh_store *st = wh_store_on_fd(op, p[1]);
    assert_non_null(st);
    return st;
}

static inline void stop(struct wh_store *st, struct daemon *d)
{
    wh_store_close(st);
    d->go = true;
    shutdown(d->fd, SHUT_RDWR);
    pthread_join(d->thread, NULL);
    close(d->fd);
}

static inline void canned(struct daemon *d, const struct xsd_sockmsg *head, const char *payload)
{
    (void)payload;
    if (d->answer[0] == 'E' && d->answer[1] && strchr("NEAIP2", d->answer[1]))
        send_message(d, XS_ERROR, head->req_id, head->tx_id, d->answer, d->answer_n);
    else
        reply(d, head, d->answer, d->answer_n);
}

/* The string literal without its last NUL. */
#define ANSWER(d, text) ((d)->answer = (text), (d)->answer_n = sizeof(text) - 1)
#define assert_asked(d, t, text)                                                                   \
    do {                                                                                           \
        assert_int_equal((d)->type, (t));                                                          \
        assert_int_equal((d)->payload_n, sizeof(text) - 1);                                        \
        assert_memory_equal((d)->payload, (text), sizeof(text) - 1);                               \
    } while (0)

#endif
