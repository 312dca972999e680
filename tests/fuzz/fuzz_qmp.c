/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's side of its monitor: whatever it says, in whatever pieces, with whatever it passes, the client
 * comes to an end within its time, holds bounded memory and no descriptor that it did not have.
 *
 *     the first byte      how the rest is cut: pieces of so many bytes, 0: none; the top bit: each
 *                         with a descriptor
 *     the rest            what it says.  At a byte 1 it waits until it is asked something.  It closes
 *                         behind it, unless the last byte is a zero */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "dm/qmp.h"
#include "fuzz.h"

#define STEP_MS 5

struct speaker {
    int fd;
    const uint8_t *p;
    size_t n, piece;
    bool passes, stays;
};

static ssize_t say(const struct speaker *s, const uint8_t *p, size_t n)
{
    union {
        char bytes[CMSG_SPACE(sizeof s->fd)];
        struct cmsghdr align;
    } control = { .bytes = { 0 } };
    struct iovec part = { (void *)(uintptr_t)p, n };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

    if (s->passes) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof s->fd) };
        memcpy(CMSG_DATA(c), &s->fd, sizeof s->fd);
    }
    return sendmsg(s->fd, &m, MSG_NOSIGNAL);
}

/* What it was asked it does not look at: it knows what it will say. */
static void await_question(const struct speaker *s)
{
    struct pollfd asked = { s->fd, POLLIN, 0 };
    char question[4096];

    if (poll(&asked, 1, STEP_MS) > 0)
        while (recv(s->fd, question, sizeof question, MSG_DONTWAIT) == (ssize_t)sizeof question)
            ;
}

static bool say_all(const struct speaker *s, const uint8_t *p, size_t n)
{
    while (n > 0) {
        size_t some = s->piece && s->piece < n ? s->piece : n;
        ssize_t done = say(s, p, some);

        if (done <= 0)
            return false;
        p += done;
        n -= (size_t)done;
    }
    return true;
}

static void *speak(void *arg)
{
    const struct speaker *s = arg;
    struct pollfd gone = { s->fd, POLLRDHUP, 0 };
    const uint8_t *p = s->p, *end = s->p + s->n, *stop;

    while ((stop = memchr(p, 1, (size_t)(end - p))) && say_all(s, p, (size_t)(stop - p))) {
        await_question(s);
        p = stop + 1;
    }
    if (!stop)
        say_all(s, p, (size_t)(end - p));
    if (s->stays)
        poll(&gone, 1, -1);
    else
        shutdown(s->fd, SHUT_WR);
    return NULL;
}

static unsigned descriptors(void)
{
    unsigned n = 0;

    for (int fd = 0; fd < 32; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void told(struct wh_op *op, bool ok)
{
    fuzz_expect(ok == (op->err.kind == WH_OK), "a failure is told, and nothing else");
    fuzz_expect(ok || op->err.kind == WH_PEER || op->err.kind == WH_TIMEOUT,
                "QEMU is to blame, or slow");
    for (const char *c = op->err.text; *c; c++)
        fuzz_expect((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f,
                    "its words steer no terminal");
    op->err = (struct wh_err){ 0 };
}

static void talk(struct wh_op *op, int fd)
{
    json_object *answer = NULL, *data = NULL;
    struct wh_qmp *q;
    bool ok;

    wh_step(op, "talk", STEP_MS);
    q = wh_qmp_open(op, fd);
    told(op, q != NULL);
    if (!q)
        return;
    fuzz_expect(wh_qmp_version(q).major <= 1000, "a version is small");
    for (int i = 0; i < 3; i++) {
        wh_step(op, "ask", STEP_MS);
        ok = wh_qmp_call(op, q, "query-status", NULL, -1, &answer);
        fuzz_expect(ok || !answer, "an answer comes with success");
        told(op, ok);
        json_object_put(answer);
    }
    wh_step(op, "await", STEP_MS);
    ok = wh_qmp_await(op, q, "STOP", &data);
    told(op, ok);
    json_object_put(data);
    wh_step(op, "look", STEP_MS);
    told(op, wh_qmp_look(op, q));
    wh_qmp_close(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct wh_op op;
    pthread_t thread;
    int ends[2];

    if (n == 0)
        return 0;
    if (!op.undo)
        fuzz_expect(wh_op_init(&op), "an operation can be made");
    unsigned before = descriptors();
    struct speaker s = { .p = data + 1, .n = n - 1, .piece = data[0] & 0x7f,
                         .passes = data[0] & 0x80, .stays = n > 1 && data[n - 1] == 0 };
    fuzz_expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "there are sockets");
    s.fd = ends[0];
    fuzz_expect(pthread_create(&thread, NULL, speak, &s) == 0, "there are threads");
    talk(&op, ends[1]);
    pthread_join(thread, NULL);
    close(s.fd);
    fuzz_expect(descriptors() == before, "descriptors are closed");
    return 0;
}
