/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations: the step, the one wait, the undo list. */
#include "base/op.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/own.h"

#define UNDO_BUDGET_MS 10000
#define NOTIFY_BYTES (1u << 20)         /* of progress before the clock is looked at */
#define NOTIFY_NS 50000000              /* a listener is woken twenty times a second at most */
#define TICK_NS (1000000000 / wh_op_hurry)
#define TELL_NS 1000000000

enum woke { WOKE_READY, WOKE_CANCELLED, WOKE_LATE, WOKE_BROKEN };

int64_t wh_now_ns(void)
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

_Atomic unsigned wh_op_hurry = 1;

/* For tests of a command that waits until its deadline: the environment's goes before ours. */
static unsigned hurry(void)
{
    const char *asked = secure_getenv("WHERRY_HURRY");
    int n = asked ? atoi(asked) : 0;

    return n > 0 ? (unsigned)n : wh_op_hurry;
}

static int64_t ends_ns(int64_t budget_ms)
{
    return budget_ms == WH_FOREVER ? WH_FOREVER : wh_now_ns() + budget_ms * 1000000 / hurry();
}

static void give(struct wh_op *op, int64_t budget_ms)
{
    op->budget_ms = budget_ms;
    op->deadline_ns = ends_ns(budget_ms);
}

struct wh_bound wh_bound(struct wh_op *op, int64_t most_ms)
{
    struct wh_bound before = { op->deadline_ns, op->budget_ms };
    int64_t ends = ends_ns(most_ms);

    if (op->deadline_ns == WH_FOREVER || ends < op->deadline_ns) {
        op->deadline_ns = ends;
        op->budget_ms = most_ms;
    }
    return before;
}

void wh_unbound(struct wh_op *op, struct wh_bound before)
{
    op->deadline_ns = before.deadline_ns;
    op->budget_ms = before.budget_ms;
}

/* For tests of what a killed command leaves behind: it stops where it is named to, once, to be
 * killed. */
static void stop_if_asked(const char *name)
{
    static atomic_flag stopped = ATOMIC_FLAG_INIT;
    const char *at = secure_getenv("WHERRY_STOP_AT");

    if (at && strcmp(at, name) == 0 && !atomic_flag_test_and_set(&stopped))
        raise(SIGSTOP);
}

void (*wh_op_watch)(struct wh_op *op, const char *step);

static void tell(struct wh_op *op)
{
    if (!op->told)
        return;
    op->told_ns = wh_now_ns();
    op->told(op->told_arg);
}

void wh_step(struct wh_op *op, const char *name, int64_t budget_ms)
{
    stop_if_asked(name);
    if (wh_op_watch)
        wh_op_watch(op, name);
    op->step = name;
    tell(op);                       /* before the step's time begins */
    give(op, budget_ms);
    ring(op->notify_fd);
}

/* Also between many short waits, and by what computes and only asks whether to go on. */
static void tick(struct wh_op *op)
{
    int64_t now = op->tick || op->told ? wh_now_ns() : 0;

    if (op->told && now - op->told_ns >= TELL_NS)
        tell(op);
    if (!op->tick || now - op->ticked_ns < TICK_NS)
        return;
    op->ticked_ns = now;
    op->tick(op->tick_arg);
}

/* poll is asked even when the deadline has passed: what is ready is taken. */
static enum woke wait_until(struct wh_op *op, int fd, short events, bool block)
{
    struct pollfd p[] = {
        { .fd = fd, .events = events },
        { .fd = op->shielded ? -1 : op->cancel_fd, .events = POLLIN },
    };

    int64_t most = op->tick ? TICK_NS : TELL_NS;

    for (;;) {
        tick(op);

        int64_t left = op->deadline_ns == WH_FOREVER ? 0 : op->deadline_ns - wh_now_ns();
        bool late = op->deadline_ns != WH_FOREVER && left <= 0;
        bool wait = block && !late;
        bool forever = op->deadline_ns == WH_FOREVER;

        if (wait && (op->tick || op->told) && (forever || left > most)) {
            left = most;
            forever = false;
        }
        struct timespec ts = { wait ? left / 1000000000 : 0, wait ? left % 1000000000 : 0 };

        int n = ppoll(p, 2, wait && forever ? NULL : &ts, NULL);
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

bool wh_nap(struct wh_op *op, unsigned ms)
{
    struct itimerspec when = { .it_value = { ms / 1000, (long)(ms % 1000) * 1000000 } };
    wh_auto_fd int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

    if (fd < 0 || (ms > 0 && timerfd_settime(fd, 0, &when, NULL) < 0))
        return wh_fail_sys(&op->err, errno, "set a timer");
    return ms == 0 ? wh_go_on(op) : wh_wait(op, fd, POLLIN);
}

void wh_progress(struct wh_op *op, uint64_t done, uint64_t total)
{
    uint64_t before = op->done;

    op->total = total;
    op->done = done;
    if (done / NOTIFY_BYTES == before / NOTIFY_BYTES || (op->notify_fd < 0 && !op->told))
        return;
    int64_t now = wh_now_ns();
    if (now - op->notified_ns >= NOTIFY_NS) {
        op->notified_ns = now;
        ring(op->notify_fd);
    }
    if (now - op->told_ns >= TELL_NS)
        tell(op);
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

void wh_undo_drop(struct wh_op *op, bool (*run)(struct wh_op *, const struct wh_undo *),
                  const char *text)
{
    for (unsigned i = op->undos; i-- > 0;) {
        if (op->undo[i].run != run || strcmp(op->undo[i].text, text) != 0)
            continue;
        op->undos--;
        memmove(&op->undo[i], &op->undo[i + 1], (op->undos - i) * sizeof *op->undo);
        return;
    }
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
