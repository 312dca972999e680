/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/user.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/own.h"
#include "xen/process.h"

#define RANGE  "xen-qemuuser-range-base"
#define SHARED "xen-qemuuser-shared"
#define DOMIDS 0x7ff0               /* domains have numbers below */
#define LOOK_MS 20
#define ROOM 16384                  /* of an entry of the user database */

struct account {
    struct passwd p;
    char room[ROOM];
};

static bool look_up(const char *name, struct account *a)
{
    struct passwd *found;

    return getpwnam_r(name, &a->p, a->room, sizeof a->room, &found) == 0 && found;
}

static bool somebody_has(uid_t uid)
{
    struct account a;
    struct passwd *found;

    return getpwuid_r(uid, &a.p, a.room, sizeof a.room, &found) == 0 && found;
}

static bool base(uid_t *uid)
{
    struct account a;

    if (!look_up(RANGE, &a) || a.p.pw_uid == 0)
        return false;
    *uid = a.p.pw_uid;
    return true;
}

/* The base itself is whom clearing is done as. */
static bool in_range(uint64_t uid)
{
    uid_t first;

    return base(&first) && uid >= first && uid - first < DOMIDS;
}

static bool take(struct wh_op *op, const struct account *a, const char *name, uint32_t offset,
                 struct wh_qemu_user *u)
{
    *u = (struct wh_qemu_user){ a->p.pw_uid + offset, a->p.pw_gid, offset > 0 };
    if (u->uid < a->p.pw_uid || u->uid == 0 || u->gid == 0)
        return wh_fail(&op->err, WH_USAGE, "QEMU is not to run as root or in its group, and user %s "
                       "is such", name);
    if (offset == 0 && in_range(u->uid))
        return wh_fail(&op->err, WH_USAGE, "user %s has a uid (%u) of those that each belong to one "
                       "domain's QEMU (%s)", name, (unsigned)u->uid, RANGE);
    if (u->alone && somebody_has(u->uid))
        return wh_fail(&op->err, WH_USAGE, "uid %u, which is to be this domain's QEMU's alone (%s), "
                       "is another user's", (unsigned)u->uid, RANGE);
    return true;
}

bool wh_qemu_user(struct wh_op *op, uint32_t domid, const char *named, struct wh_qemu_user *u)
{
    struct account a;

    if (named)
        return look_up(named, &a) ? take(op, &a, named, 0, u)
                                  : wh_fail(&op->err, WH_USAGE, "device_model_user: there is no "
                                            "user %s", named);
    if (look_up(RANGE, &a))
        return take(op, &a, RANGE, domid, u);
    if (look_up(SHARED, &a))
        return take(op, &a, SHARED, 0, u);
    return wh_fail(&op->err, WH_USAGE, "dm_restrict: QEMU needs a user to run as: make user " RANGE
                   " (with the %d uids above its own unused) or " SHARED
                   ", or name one by device_model_user", DOMIDS);
}

/* ------------------------------------------------------------------------------ clearing */

bool wh_qemu_user_is_of(uint64_t uid, uint32_t domid)
{
    uid_t first;

    return domid > 0 && domid < DOMIDS && base(&first) && uid == (uint64_t)first + domid &&
           !somebody_has((uid_t)uid);
}

/* Effective: the one whose processes may be killed.  Real: one that none of them has, so that they
 * cannot kill us; other clearings have it too, and take turns.  Only calls that a child of a threaded
 * program may make. */
__attribute__((noreturn)) static void kill_all(uid_t real, uid_t effective)
{
    if (syscall(SYS_setresuid, real, effective, 0) < 0)
        _exit(errno);
    if (kill(-1, SIGKILL) < 0 && errno != ESRCH)
        _exit(errno);
    _exit(0);
}

static bool take_turn(struct wh_op *op, struct wh_here *h, int *lock)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/dm-reaper-lock", h->run);
    wh_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return wh_fail_sys(&op->err, errno, "lock %s", path);
        if (!wh_nap(op, LOOK_MS))
            return false;
    }
    *lock = wh_take_fd(&fd);
    return true;
}

static bool await_child(struct wh_op *op, pid_t child, int *status)
{
    wh_auto_fd int fd = pidfd_open(child, 0);
    bool ok = fd < 0 ? wh_fail_sys(&op->err, errno, "watch a process of ours")
                     : wh_wait(op, fd, POLLIN);

    if (!ok)
        kill(child, SIGKILL);
    while (waitpid(child, status, 0) < 0 && errno == EINTR)
        ;
    return ok;
}

bool wh_qemu_clear_user(struct wh_op *op, struct wh_here *h, uint64_t uid, uint32_t domid)
{
    wh_auto_fd int lock = -1;
    int status = 0;
    uid_t real;

    /* A named user's, as stock tools may write it down: whoever else it is, its processes are let be. */
    if (uid <= INT32_MAX && !in_range(uid) && somebody_has((uid_t)uid))
        return true;
    if (!wh_qemu_user_is_of(uid, domid) || !base(&real))
        return wh_fail(&op->err, WH_SYSTEM, "uid %llu, which xenstore says is that of domain %u's QEMU "
                       "alone, is not (is there a user %s?): end its processes by hand",
                       (unsigned long long)uid, domid, RANGE);
    if (!take_turn(op, h, &lock))
        return false;
    pid_t child = fork();
    if (child == 0)
        kill_all(real, (uid_t)uid);
    if (child < 0)
        return wh_fail_sys(&op->err, errno, "end what runs as uid %llu", (unsigned long long)uid);
    if (!await_child(op, child, &status))
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return wh_fail_sys(&op->err, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR,
                           "end what runs as uid %llu", (unsigned long long)uid);
    return true;
}
