/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs: run to their end, left alone, ended. */
#include "xen/process.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "base/own.h"

#define TERM_MS 5000            /* what a program has for ending by itself */
#define KILL_MS 5000            /* for one that was killed to be gone */
#define LOOK_MS 20

/* ------------------------------------------------------------------------------ starting */

/* Signals as a shell's child has them: the thread that runs an operation takes none. */
static void plain_signals(posix_spawnattr_t *a)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(a, &none);
    posix_spawnattr_setsigdefault(a, &all);
}

static int spawn(const struct wh_program *p, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t a;
    const char *log = p->log[0] ? p->log : "/dev/null";

    posix_spawnattr_init(&a);
    plain_signals(&a);
    posix_spawnattr_setpgroup(&a, 0);
    posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                     POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    int failed = posix_spawn(pid, p->path, &files, &a, p->argv, p->env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&a);
    return failed;
}

/* One that hangs in the kernel does not die of it yet: it is not waited for. */
static void kill_group(pid_t pid, int fd, int *status)
{
    struct pollfd p = { fd, POLLIN, 0 };

    kill(-pid, SIGKILL);
    if (fd >= 0 && poll(&p, 1, KILL_MS) == 0)
        return;
    while (waitpid(pid, status, 0) < 0 && errno == EINTR)
        ;
}

bool wh_process_run(struct wh_op *op, const struct wh_program *p, int *status)
{
    pid_t pid;
    int failed = spawn(p, &pid);

    if (failed)
        return wh_fail_sys(&op->err, failed, "run %s", p->path);
    wh_auto_fd int fd = pidfd_open(pid, 0);
    if (fd < 0 ? !wh_fail_sys(&op->err, errno, "watch %s", p->path) : !wh_wait(op, fd, POLLIN)) {
        kill_group(pid, fd, status);
        return wh_while(&op->err, "%s", p->path);
    }
    if (waitpid(pid, status, 0) < 0)
        return wh_fail_sys(&op->err, errno, "wait for %s", p->path);
    return true;
}

/* ---------------------------------------------------------------------- leaving it alone */

struct word {
    pid_t pid;
    int failed;
};

static void say(int fd, pid_t pid, int failed)
{
    struct word w = { pid, failed };

    if (write(fd, &w, sizeof w) != sizeof w)
        _exit(127);
}

__attribute__((noreturn)) static void give_up(int fd)
{
    say(fd, 0, errno);
    _exit(127);
}

/* Out of the way of those that the program is to have. */
static int high(int fd)
{
    return fcntl(fd, F_DUPFD, 2 * WH_PASSES_MOST);
}

static void put_at(int fd, int number, int say_fd)
{
    if (fd < 0 || dup2(fd, number) < 0)
        give_up(say_fd);
}

/* In the grandchild: only calls that a child of a threaded program may make. */
__attribute__((noreturn)) static void become(const struct wh_program *p, int say_fd, int log)
{
    struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t none;
    char go;
    int null = high(open("/dev/null", O_RDONLY)), passed[WH_PASSES_MOST];

    int told = high(say_fd);
    if (told < 0)
        give_up(say_fd);
    say_fd = told;
    log = high(log);
    for (size_t i = 0; i < p->passes; i++)
        passed[i] = high(p->pass[i]);

    for (int s = 1; s < NSIG; s++)
        sigaction(s, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    put_at(null, 0, say_fd);
    put_at(log, 1, say_fd);
    put_at(log, 2, say_fd);
    put_at(say_fd, 3, say_fd);
    for (size_t i = 0; i < p->passes; i++)
        put_at(passed[i], WH_PASSED + (int)i, say_fd);
    if (close_range(WH_PASSED + (unsigned)p->passes, UINT32_MAX, 0) < 0)
        give_up(3);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    say(3, getpid(), 0);
    if (read(3, &go, 1) != 1)
        _exit(0);
    for (size_t i = 0; i < p->limits; i++) {
        struct rlimit most = { p->limit[i].most, p->limit[i].most };

        if (setrlimit((__rlimit_resource_t)p->limit[i].what, &most) < 0)
            give_up(3);
    }
    if (p->unshared && unshare(p->unshared) < 0)
        give_up(3);
    execve(p->path, p->argv, p->env);
    give_up(3);
}

/* A child in a session of its own whose only work is to have a child and to end: that one is
 * nobody's. */
static pid_t fork_twice(const struct wh_program *p, int say_fd, int log)
{
    pid_t child = fork();

    if (child != 0)
        return child;
    setsid();
    pid_t grandchild = fork();
    if (grandchild == 0)
        become(p, say_fd, log);
    if (grandchild < 0)
        say(say_fd, 0, errno);
    _exit(0);
}

/* A word from the grandchild; *end: it has become the program, or has ended. */
static bool hear(struct wh_op *op, int fd, const char *path, pid_t *pid, bool *end)
{
    struct word w = { 0 };

    if (!wh_wait(op, fd, POLLIN))
        return false;
    ssize_t n = read(fd, &w, sizeof w);
    *end = n <= 0;
    if (w.failed)
        return wh_fail_sys(&op->err, w.failed, "start %s", path);
    if (n == (ssize_t)sizeof w)
        *pid = w.pid;
    return true;
}

bool wh_process_leave(struct wh_op *op, const struct wh_program *p,
                      bool (*told)(struct wh_op *, pid_t, void *arg), void *arg, pid_t *pid)
{
    const char *name = p->log[0] ? p->log : "/dev/null";
    int ends[2], status;
    bool end;

    assert(p->passes <= WH_PASSES_MOST);

    wh_auto_fd int log = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return wh_fail_sys(&op->err, errno, "open %s", name);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return wh_fail_sys(&op->err, errno, "start %s", p->path);
    wh_auto_fd int ours = ends[0];
    wh_auto_fd int its = ends[1];
    pid_t child = fork_twice(p, its, log);
    if (child < 0)
        return wh_fail_sys(&op->err, errno, "start %s", p->path);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    close(wh_take_fd(&its));
    *pid = 0;
    if (!hear(op, ours, p->path, pid, &end))
        return false;
    if (end)
        return wh_fail(&op->err, WH_SYSTEM, "start %s: it ended before it began", p->path);
    wh_auto_fd int it = pidfd_open(*pid, 0);        /* it waits: the number is still its own */
    if (it < 0)
        return wh_fail_sys(&op->err, errno, "watch %s", p->path);
    if (told && !told(op, *pid, arg))
        return false;
    send(ours, "", 1, MSG_NOSIGNAL);
    if (hear(op, ours, p->path, pid, &end))
        return true;
    /* Who now looks for it by its number could take it for another: it may not be the program yet. */
    pidfd_send_signal(it, SIGKILL, NULL, 0);
    return false;
}

/* -------------------------------------------------------------------------------- ending */

size_t wh_process_arguments(pid_t pid, char *text, size_t size)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    return (size_t)n;
}

bool wh_process_end(struct wh_op *op, pid_t pid, bool (*sure)(pid_t pid, const void *arg),
                    const void *arg, bool *was)
{
    wh_auto_fd int fd = pidfd_open(pid, 0);
    struct pollfd p = { fd, POLLIN, 0 };

    *was = false;
    if (fd < 0 && errno == ESRCH)
        return true;
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "watch process %d", (int)pid);
    if (!sure(pid, arg))
        return true;
    *was = true;
    pidfd_send_signal(fd, SIGTERM, NULL, 0);
    for (unsigned ms = 0; ms < TERM_MS && poll(&p, 1, 0) == 0; ms += LOOK_MS) {
        if (!wh_nap(op, LOOK_MS))
            return false;
    }
    pidfd_send_signal(fd, SIGKILL, NULL, 0);
    return wh_wait(op, fd, POLLIN) || wh_while(&op->err, "process %d does not end", (int)pid);
}
