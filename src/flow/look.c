/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* stat and open have no deadline: a thread makes them, and is left behind if they do not return. */
#include "flow/look.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/own.h"

/* Whoever lets go of it last frees it: the thread, or the operation that waited. */
struct errand {
    atomic_int holders;
    atomic_bool done;           /* what is found may be read */
    int done_fd;
    struct wh_look found;
    char path[];
};

static void let_go(struct errand **e)
{
    if (!*e || atomic_fetch_sub(&(*e)->holders, 1) > 1)
        return;
    wh_close_fd(&(*e)->done_fd);
    free(*e);
}

static bool measure(int fd, struct wh_look *l)
{
    uint64_t bytes = 0;
    struct stat st;
    int ro = 0;

    if (S_ISBLK(l->mode)) {
        if (ioctl(fd, BLKGETSIZE64, &bytes) < 0 || ioctl(fd, BLKROGET, &ro) < 0)
            return false;
        l->writable = l->writable && !ro;
    } else if (fstat(fd, &st) < 0) {
        return false;
    } else {
        bytes = (uint64_t)st.st_size;
    }
    l->bytes = bytes;
    return true;
}

/* What O_PATH has found is opened as that and nothing else: a FIFO put there since is not met. */
static void look(const char *path, struct wh_look *l)
{
    wh_auto_fd int at = open(path, O_PATH | O_CLOEXEC);
    char same[40];
    struct stat st;

    if (at < 0 || fstat(at, &st) < 0) {
        l->sys = errno;
        return;
    }
    l->mode = st.st_mode;
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
        return;
    snprintf(same, sizeof same, "/proc/self/fd/%d", at);
    l->writable = access(same, W_OK) == 0;
    wh_auto_fd int fd = open(same, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || !measure(fd, l))
        l->sys = errno;
}

static void *run(void *arg)
{
    struct errand *e = arg;
    uint64_t one = 1;
    ssize_t told;

    look(e->path, &e->found);
    e->done = true;
    told = write(e->done_fd, &one, sizeof one);
    (void)told;
    let_go(&e);
    return NULL;
}

/* The thread takes no signals: they are the program's. */
static int start(struct errand *e)
{
    pthread_attr_t a;
    pthread_t thread;
    sigset_t all, before;

    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &a, run, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&a);
    return failed;
}

static struct errand *make(const char *path)
{
    size_t n = strlen(path) + 1;
    struct errand *e = calloc(1, sizeof *e + n);

    if (!e)
        return NULL;
    memcpy(e->path, path, n);
    e->holders = 2;
    e->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->done_fd >= 0)
        return e;
    free(e);
    return NULL;
}

bool wh_look(struct wh_op *op, const char *path, int64_t most_ms, struct wh_look *l)
{
    wh_auto(let_go) struct errand *e = make(path);
    struct wh_err before = op->err;

    *l = (struct wh_look){ .sys = ETIMEDOUT };
    if (!e)
        return wh_fail_sys(&op->err, errno, "look at %s", path);
    int failed = start(e);
    if (failed) {
        e->holders = 1;
        return wh_fail_sys(&op->err, failed, "start a thread");
    }
    struct wh_bound bound = wh_bound(op, most_ms);
    bool ok = wh_wait(op, e->done_fd, POLLIN);
    wh_unbound(op, bound);
    if (ok && e->done)
        *l = e->found;
    else if (op->err.kind == WH_TIMEOUT)
        op->err = before;
    return ok || op->err.kind == WH_OK;
}
