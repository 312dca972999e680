/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/crew.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/own.h"

unsigned wh_crew_size(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;                   /* more than 1024 processors: somebody else's problem */
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > WH_CREW_WORKERS ? WH_CREW_WORKERS : (unsigned)n;
}

static void ring(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0)
        return;                     /* it is as readable as it can be */
}

/* Each worker's number is its place in c->thread. */
struct worker {
    struct wh_crew *crew;
    unsigned number;
};

/* Called and returns with the lock held. */
static void work_once(struct wh_crew *c, unsigned number)
{
    unsigned slot = (unsigned)(c->claimed++ % c->slots);

    pthread_mutex_unlock(&c->lock);
    c->work(c->arg, slot, number);
    pthread_mutex_lock(&c->lock);
    c->done[slot] = true;
    if (c->waiting && slot == wh_crew_oldest(c)) {
        c->waiting = false;
        ring(c->done_fd);
    }
}

static void *run(void *arg)
{
    struct worker w = *(struct worker *)arg;
    struct wh_crew *c = w.crew;

    free(arg);
    pthread_mutex_lock(&c->lock);
    while (!wh_crew_stopping(c)) {
        if (c->claimed == c->given)
            pthread_cond_wait(&c->more, &c->lock);
        else
            work_once(c, w.number);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool start(struct wh_op *op, struct wh_crew *c)
{
    wh_auto_free struct worker *w = malloc(sizeof *w);

    if (!w)
        return wh_fail_sys(&op->err, ENOMEM, "start a thread");
    *w = (struct worker){ c, c->workers };
    int failed = pthread_create(&c->thread[c->workers], NULL, run, w);
    if (failed)
        return wh_fail_sys(&op->err, failed, "start a thread");
    w = NULL;                       /* the thread's */
    c->workers++;
    return true;
}

bool wh_crew_open(struct wh_op *op, struct wh_crew *c, unsigned slots, unsigned workers,
                  void (*work)(void *arg, unsigned slot, unsigned worker), void *arg)
{
    sigset_t all, before;
    bool ok = true;

    assert(slots > 0 && slots <= WH_CREW_SLOTS && workers > 0 && workers <= WH_CREW_WORKERS);
    *c = (struct wh_crew){ .work = work, .arg = arg, .slots = slots };
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->more, NULL);
    c->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->done_fd < 0)
        return wh_fail_sys(&op->err, errno, "start threads");

    /* Workers take no signals: they are the program's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (ok && c->workers < workers)
        ok = start(op, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

void wh_crew_close(struct wh_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->more);
    pthread_mutex_unlock(&c->lock);
    while (c->workers > 0)
        pthread_join(c->thread[--c->workers], NULL);
    pthread_cond_destroy(&c->more);
    pthread_mutex_destroy(&c->lock);
    wh_close_fd(&c->done_fd);
    c->done_fd = -1;
}

void wh_crew_give(struct wh_crew *c)
{
    assert(wh_crew_has_room(c));
    pthread_mutex_lock(&c->lock);
    c->done[wh_crew_next(c)] = false;
    c->given++;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->lock);
}

/* Whether the oldest is done; if it is not, its worker is asked to ring. */
static bool look(struct wh_crew *c, bool wait)
{
    assert(wh_crew_pending(c) > 0);
    pthread_mutex_lock(&c->lock);
    bool done = c->done[wh_crew_oldest(c)];
    c->waiting = wait && !done;
    pthread_mutex_unlock(&c->lock);
    return done;
}

bool wh_crew_is_done(struct wh_crew *c)
{
    return look(c, false);
}

bool wh_crew_wait(struct wh_op *op, struct wh_crew *c)
{
    uint64_t rung;

    while (!look(c, true)) {
        if (!wh_wait(op, c->done_fd, POLLIN))
            return false;
        if (read(c->done_fd, &rung, sizeof rung) < 0 && errno != EAGAIN)
            return wh_fail_sys(&op->err, errno, "wait for a thread");
    }
    return true;
}

void wh_crew_take(struct wh_crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->taken++;
    pthread_mutex_unlock(&c->lock);
}
