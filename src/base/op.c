/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations: the step, the one wait, the undo list. */
#include "base/op.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/own.h"

#define UNDO_BUDGET_MS 10000
#define NOTIFY_BYTES (1u << 20)         /* of progress before the clock is looked at */
#define NOTIFY_NS 50000000              /* a listener is woken twenty times a second at most */

enum woke { WOKE_READY, WOKE_CANCELLED, WOKE_LATE, WOKE_BROKEN };

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void ring(int fd)
{
    uint64_t one = 1;

    /* An eventfd refuses a write only when it is already as readable as it can be. */
    if (fd >= 0 && write(fd, &one, sizeof one) < 0)
        return;
}

bool wh_op_init(struct wh_op *op)
{
    memset(op, 0, sizeof *op);
    op->cancel_fd = -1;
    op->notify_fd = -1;
    op->deadline_ns = WH_FOREVER;
    op->step = "start";
    op->undo = calloc(WH_UNDO_MAX, sizeof *op->undo);
    if (!op->undo)
        return wh_fail_sys(&op->err, ENOMEM, "start an operation");

    op->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return op->cancel_fd >= 0 || wh_fail_sys(&op->err, errno, "start an operation");
}

void wh_op_done(struct wh_op *op)
{
    wh_close_fd(&op->cancel_fd);
    op->cancel_fd = -1;
    free(op->undo);
    op->undo = NULL;
}

void wh_op_cancel(struct wh_op *op)
{
    ring(op->cancel_fd);
}

static void give(struct wh_op *op, int64_t budget_ms)
{
    op->budget_ms = budget_ms;
    op->deadline_ns = budget_ms == WH_FOREVER ? WH_FOREVER : now_ns() + budget_ms * 1000000;
}

void wh_step(struct wh_op *op, const char *name, int64_t budget_ms)
{
    op->step = name;
    give(op, budget_ms);
    ring(op->notify_fd);
}

/* poll is asked even when the deadline has passed: what is ready is taken. */
static enum woke wait_until(struct wh_op *op, int fd, short events, bool block)
{
    struct pollfd p[] = {
        { .fd = fd, .events = events },
        { .fd = op->shielded ? -1 : op->cancel_fd, .events = POLLIN },
    };

    for (;;) {
        int64_t left = op->deadline_ns == WH_FOREVER ? 0 : op->deadline_ns - now_ns();
        bool late = op->deadline_ns != WH_FOREVER && left <= 0;
        bool wait = block && !late;
        struct timespec ts = { wait ? left / 1000000000 : 0, wait ? left % 1000000000 : 0 };

        int n = ppoll(p, 2, wait && op->deadline_ns == WH_FOREVER ? NULL : &ts, NULL);
        if (n < 0 && errno != EINTR)
            return WOKE_BROKEN;
        if (n > 0 && p[1].revents)
            return WOKE_CANCELLED;
        if (n > 0)
            return WOKE_READY;
        if (late)
            return WOKE_LATE;
        if (!block)
            return WOKE_READY;
    }
}

static bool woken(struct wh_op *op, enum woke woke)
{
    switch (woke) {
    case WOKE_READY:
        return true;
    case WOKE_CANCELLED:
        return wh_fail(&op->err, WH_CANCELLED, "cancelled at the step \"%s\"", op->step);
    case WOKE_LATE:
        return wh_fail(&op->err, WH_TIMEOUT, "the step \"%s\" took longer than %lld ms", op->step,
                       (long long)op->budget_ms);
    case WOKE_BROKEN:
        break;
    }
    return wh_fail_sys(&op->err, errno, "wait at the step \"%s\"", op->step);
}

bool wh_wait(struct wh_op *op, int fd, short events)
{
    return woken(op, wait_until(op, fd, events, true));
}

bool wh_go_on(struct wh_op *op)
{
    return woken(op, wait_until(op, -1, 0, false));
}

void wh_progress(struct wh_op *op, uint64_t done, uint64_t total)
{
    uint64_t before = op->done;

    op->total = total;
    op->done = done;
    if (done / NOTIFY_BYTES == before / NOTIFY_BYTES || op->notify_fd < 0)
        return;
    int64_t now = now_ns();
    if (now - op->notified_ns >= NOTIFY_NS) {
        op->notified_ns = now;
        ring(op->notify_fd);
    }
}

/* Take one thing back: within its own budget, shielded; what goes wrong is kept apart. */
static void undo_one(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_err why = op->err;
    const char *step = op->step;
    bool shielded = op->shielded;

    op->shielded = true;
    memset(&op->err, 0, sizeof op->err);
    wh_step(op, u->name, UNDO_BUDGET_MS);
    if (!u->run(op, u) && op->undo_err.kind == WH_OK) {
        op->undo_err = op->err;
        wh_while(&op->undo_err, "%s", u->name);
    }
    op->err = why;
    op->shielded = shielded;
    op->step = step;
    give(op, WH_FOREVER);
}

bool wh_undo_push(struct wh_op *op, const char *name,
                  bool (*run)(struct wh_op *, const struct wh_undo *), const char *text,
                  uint64_t number)
{
    struct wh_undo now = { .name = name, .run = run, .number = number };

    assert(strlen(text) < sizeof now.text);
    strcpy(now.text, text);
    if (op->undos < WH_UNDO_MAX) {
        op->undo[op->undos++] = now;
        return true;
    }
    undo_one(op, &now);
    return wh_fail(&op->err, WH_SYSTEM, "more than %d things to undo", WH_UNDO_MAX);
}

void wh_undo_run(struct wh_op *op)
{
    while (op->undos > 0)
        undo_one(op, &op->undo[--op->undos]);
}

void wh_undo_forget(struct wh_op *op)
{
    op->undos = 0;
}
