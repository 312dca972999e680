/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whoever takes a domain away pauses it and ends its QEMU first: of a domain that does not run the
 * QEMU is missed only when the domain is still there a while later. */
#include "flow/lookout.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "base/own.h"
#include "dm/program.h"
#include "flow/find.h"

#define GONE_MS 60000               /* what a destroying may take: its devices' backends, scripts */

/* A domain that has none has no such node. */
static bool find_qemu(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_lookout *l)
{
    wh_auto_free char *name = NULL;
    uint64_t pid;

    if (!wh_find_name(op, h, domid, &name) ||
        !wh_store_read_number(op, h->store, 0, &pid, 0, "/local/domain/%u/image/device-model-pid",
                              domid))
        return false;
    if (pid == 0 || pid > INT32_MAX)
        return true;
    wh_qemu_log_path(h, name ? name : "", l->log);
    l->qemu = pidfd_open((pid_t)pid, 0);
    if (l->qemu < 0 && errno != ESRCH)
        return wh_fail_sys(&op->err, errno, "watch process %llu", (unsigned long long)pid);
    if (l->qemu >= 0 && !wh_qemu_is_of((pid_t)pid, &domid))
        close(wh_take_fd(&l->qemu));
    l->ended = l->qemu < 0;
    return true;
}

static void choose_step(struct wh_op *op, const struct wh_lookout *l)
{
    if (l->ended && !l->late && !l->told)
        wh_step(op, "see whether a guest without its QEMU goes", GONE_MS);
    else
        wh_step(op, "wait for the guest to shut down", WH_FOREVER);
}

static bool join(const struct wh_lookout *l, int store)
{
    struct epoll_event e = { .events = EPOLLIN };

    return l->either >= 0 && store >= 0 && epoll_ctl(l->either, EPOLL_CTL_ADD, store, &e) == 0 &&
           (l->qemu < 0 || epoll_ctl(l->either, EPOLL_CTL_ADD, l->qemu, &e) == 0);
}

bool wh_lookout_begin(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_lookout *l)
{
    if (!find_qemu(op, h, domid, l))
        return false;
    l->either = epoll_create1(EPOLL_CLOEXEC);
    if (!join(l, wh_store_fd(h->store)))
        return wh_fail_sys(&op->err, errno, "watch domain %u", domid);
    choose_step(op, l);
    return true;
}

void wh_lookout_end(struct wh_lookout *l)
{
    wh_close_fd(&l->qemu);
    wh_close_fd(&l->either);
}

static bool await_either(struct wh_op *op, struct wh_lookout *l)
{
    if (wh_wait(op, l->either, POLLIN))
        return true;
    if (op->err.kind != WH_TIMEOUT || !l->ended)
        return false;
    op->err = (struct wh_err){ 0 };
    l->late = true;
    choose_step(op, l);
    return true;
}

static void look_at_qemu(struct wh_op *op, struct wh_lookout *l)
{
    struct pollfd p = { l->qemu, POLLIN, 0 };

    if (l->qemu < 0 || poll(&p, 1, 0) <= 0)
        return;
    close(wh_take_fd(&l->qemu));            /* which takes it out of what is waited for */
    l->ended = true;
    choose_step(op, l);
}

bool wh_lookout_wait(struct wh_op *op, struct wh_here *h, struct wh_lookout *l)
{
    struct wh_store_event event;
    bool more = true;

    if (!await_either(op, l))
        return false;
    look_at_qemu(op, l);
    while (more) {
        if (!wh_store_event_now(op, h->store, &event, &more))
            return false;
    }
    return true;
}

bool wh_lookout_lost(struct wh_lookout *l, const struct wh_domain *d)
{
    bool lost = l->ended && !l->told && (l->late || (!d->paused && !d->shutdown));

    l->told |= lost;
    return lost;
}
