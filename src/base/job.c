/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/job.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/own.h"

void *wh_job_make(size_t size, const char *path, bool (*run)(struct wh_op *, struct wh_job *),
                  void (*drop)(struct wh_job *))
{
    struct wh_job *j = calloc(1, size);

    if (!j)
        return NULL;
    j->run = run;
    pthread_mutex_init(&j->lock, NULL);
    j->free = drop;
    j->input = -1;
    j->path = strdup(path);
    j->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!wh_op_init(&j->op) || j->event_fd < 0 || !j->path) {
        wh_job_free(j);
        return NULL;
    }
    j->op.notify_fd = j->event_fd;
    return j;
}

static void tell(const struct wh_job *j)
{
    uint64_t one = 1;

    if (write(j->event_fd, &one, sizeof one) < 0)
        return;                             /* it is as readable as it can be */
}

void wh_job_tell(struct wh_job *j, const char *json)
{
    char *event = strdup(json);

    if (!event)
        return;
    pthread_mutex_lock(&j->lock);
    if (j->events == WH_JOB_EVENTS) {
        free(j->event[0]);
        memmove(j->event, j->event + 1, --j->events * sizeof *j->event);
    }
    j->event[j->events++] = event;
    pthread_mutex_unlock(&j->lock);
    tell(j);
}

char *wh_job_event(struct wh_job *j)
{
    char *event = NULL;

    pthread_mutex_lock(&j->lock);
    if (j->events > 0) {
        event = j->event[0];
        memmove(j->event, j->event + 1, --j->events * sizeof *j->event);
    }
    pthread_mutex_unlock(&j->lock);
    return event;
}

static void end(struct wh_job *j)
{
    j->state = WH_JOB_ENDED;
    tell(j);
}

/* A pipe whose other end has gone is an error to an operation, and would be the end of the program. */
static void run_without_sigpipe(struct wh_job *j)
{
    static const struct timespec at_once = { 0 };
    sigset_t broken, before, pending;

    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    if (!j->run(&j->op, j))
        wh_undo_run(&j->op);
    if (!sigismember(&pending, SIGPIPE))        /* one that was due already is the program's */
        while (sigtimedwait(&broken, NULL, &at_once) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

enum wh_kind wh_job_run(struct wh_job *j)
{
    assert(j->state == WH_JOB_NEW);
    j->state = WH_JOB_RUNNING;
    run_without_sigpipe(j);
    if (j->op.undo_err.kind != WH_OK) {
        size_t used = strlen(j->op.err.text);

        snprintf(j->op.err.text + used, sizeof j->op.err.text - used, "; and could not %s",
                 j->op.undo_err.text);
    }
    end(j);
    return wh_job_result(j);
}

static void *run_thread(void *arg)
{
    wh_job_run(arg);
    return NULL;
}

/* The thread takes no signals: they are the program's. */
bool wh_job_start(struct wh_job *j)
{
    sigset_t all, before;
    int failed;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&j->thread, NULL, run_thread, j);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        wh_fail_sys(&j->op.err, failed, "start a thread");
        end(j);
        return false;
    }
    j->threaded = true;
    return true;
}

int wh_job_fd(const struct wh_job *j)
{
    return j->event_fd;
}

enum wh_state wh_job_state(struct wh_job *j, struct wh_progress *progress)
{
    uint64_t told;
    ssize_t had = read(j->event_fd, &told, sizeof told);    /* before looking: nothing is missed */
    enum wh_state state = (enum wh_state)j->state;

    (void)had;
    if (progress)
        *progress = (struct wh_progress){ j->op.step, j->op.done, j->op.total };
    return state;
}

void wh_job_cancel(struct wh_job *j)
{
    wh_op_cancel(&j->op);
}

enum wh_kind wh_job_wait(struct wh_job *j)
{
    if (j->threaded)
        pthread_join(j->thread, NULL);
    j->threaded = false;
    return wh_job_result(j);
}

enum wh_kind wh_job_result(const struct wh_job *j)
{
    return j->op.err.kind;
}

const char *wh_job_error(const struct wh_job *j)
{
    return j->op.err.text;
}

const char *wh_job_json(const struct wh_job *j)
{
    return j->json;
}

void wh_job_input(struct wh_job *j, int fd)
{
    j->input = fd;
}

void wh_job_free(struct wh_job *j)
{
    if (!j)
        return;
    if (j->threaded) {
        wh_job_cancel(j);
        wh_job_wait(j);
    }
    if (j->free)
        j->free(j);
    wh_op_done(&j->op);
    wh_close_fd(&j->event_fd);
    for (size_t i = 0; i < j->events; i++)
        free(j->event[i]);
    pthread_mutex_destroy(&j->lock);
    free(j->path);
    free(j->json);
    free(j);
}

bool wh_job_open_input(struct wh_op *op, const struct wh_job *j, int *fd)
{
    *fd = j->input;
    if (*fd < 0 && strcmp(j->path, "-") == 0)
        *fd = STDIN_FILENO;
    else if (*fd < 0)
        *fd = open(j->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return *fd >= 0 || wh_fail_sys(&op->err, errno, "open %s", j->path);
}

void wh_job_close_input(const struct wh_job *j, int fd)
{
    if (j->input < 0 && strcmp(j->path, "-") != 0)
        close(fd);
}
