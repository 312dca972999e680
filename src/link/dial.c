/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/dial.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/own.h"

#define WORDS 64
#define DIAL_MS 30000
#define CLOSE_MS 2000
#define LOST_MS 15000           /* a TCP connection whose other end does not acknowledge any more */
#define IDLE_S 5
#define AGAIN_MS 50

/* A host that is off is heard of in a quarter of a minute, not in two hours. */
#define SSH "ssh -o ServerAliveInterval=5 -o ServerAliveCountMax=3"

static bool unblock(struct wh_op *op, int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0) ||
           wh_fail_sys(&op->err, errno, "ready the link");
}

/* -------------------------------------------------------------------------------- commands */

extern char **environ;

/* Interrupts of the terminal are ours to act upon: the command stays until we hang up. */
static int spawn(pid_t *child, char *const argv[], int in, int out)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &mask);
    sigemptyset(&mask);
    sigaddset(&mask, SIGPIPE);
    posix_spawnattr_setsigdefault(&how, &mask);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(child, "/bin/sh", &files, &how, argv, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static bool words(struct wh_op *op, const struct wh_destination *to, char *text, size_t size,
                  char *argv[WORDS])
{
    static char shell[] = "sh", take_text[] = "-c", self[] = "wherry";
    const char *command = to->command ? to->command : SSH;
    size_t n = 0;

    if (snprintf(text, size, *command ? "exec %s \"$@\"" : "%s",
                 *command ? command : to->host) >= (int)size)
        return wh_fail(&op->err, WH_USAGE, "the command of the link is too long");
    argv[n++] = shell;
    argv[n++] = take_text;
    argv[n++] = text;
    argv[n++] = self;
    if (*command) {
        argv[n++] = (char *)(uintptr_t)to->host;
        for (size_t i = 0; to->remote && to->remote[i] && n < WORDS - 1; i++)
            argv[n++] = (char *)(uintptr_t)to->remote[i];
    }
    argv[n] = NULL;
    return true;
}

static bool run_command(struct wh_op *op, struct wh_dialled *d, const struct wh_destination *to)
{
    char text[4096], *argv[WORDS];
    int there[2], back[2];

    if (*to->host == '-')
        return wh_fail(&op->err, WH_USAGE, "'%.64s' is no host", to->host);
    if (!words(op, to, text, sizeof text, argv))
        return false;
    if (pipe2(there, O_CLOEXEC) < 0)
        return wh_fail_sys(&op->err, errno, "make a pipe");
    if (pipe2(back, O_CLOEXEC) < 0) {
        close(there[0]);
        close(there[1]);
        return wh_fail_sys(&op->err, errno, "make a pipe");
    }
    int rc = spawn(&d->child, argv, there[0], back[1]);
    close(there[0]);
    close(back[1]);
    d->out = there[1];
    d->in = back[0];
    if (rc != 0) {
        d->child = 0;
        return wh_fail_sys(&op->err, rc, "run the command of the link");
    }
    return unblock(op, d->in) && unblock(op, d->out);
}

static int reap(struct wh_op *op, pid_t child)
{
    struct wh_bound before = wh_bound(op, CLOSE_MS);
    struct wh_err why = op->err;
    wh_auto_fd int fd = pidfd_open(child, 0);
    bool shielded = op->shielded;
    int status = 0;

    op->shielded = true;        /* a cancel does not make us leave it behind */
    if (fd < 0 || !wh_wait(op, fd, POLLIN))
        kill(child, SIGKILL);
    op->shielded = shielded;
    op->err = why;
    wh_unbound(op, before);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* --------------------------------------------------------------------------------- sockets */

bool wh_dial_is_socket(const char *host)
{
    return strncmp(host, "unix:", 5) == 0 || strncmp(host, "tcp:", 4) == 0;
}

static bool unix_address(struct wh_op *op, const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof a->sun_path || !*path)
        return wh_fail(&op->err, WH_USAGE, "'%.128s' cannot be a socket's path", path);
    strcpy(a->sun_path, path);
    return true;
}

/* "10.0.0.2:7000", "[::1]:7000".  No names: to look one up takes as long as it takes, and nothing ends it. */
static bool tcp_address(struct wh_op *op, const char *at, bool listening, struct addrinfo **list)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                              .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | (listening ? AI_PASSIVE : 0) };
    wh_auto_free char *host = strdup(at);
    char *port = host ? strrchr(host, ':') : NULL, *name = host;

    if (!host)
        return wh_fail_sys(&op->err, ENOMEM, "dial");
    if (!port || !port[1])
        return wh_fail(&op->err, WH_USAGE, "'tcp:%.128s' names no port: tcp:ADDRESS:PORT", at);
    *port++ = '\0';
    if (*name == '[' && strlen(name) > 1 && name[strlen(name) - 1] == ']') {
        name[strlen(name) - 1] = '\0';
        name++;
    }
    int rc = getaddrinfo(*name ? name : NULL, port, &hints, list);
    if (rc == EAI_NONAME)
        return wh_fail(&op->err, WH_USAGE, "tcp:%.128s: '%.64s' is no address, or '%.32s' no port: names are "
                       "not looked up", at, name, port);
    return rc == 0 || wh_fail(&op->err, WH_USAGE, "tcp:%.128s: %s", at, gai_strerror(rc));
}

static void keep_alive(int fd)
{
    int on = 1, idle = IDLE_S, lost = LOST_MS;

    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &lost, sizeof lost);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A local socket that has too many callers already is neither connected nor on its way to be: it says
 * EAGAIN, and is tried again. */
static bool join(struct wh_op *op, int fd, const struct sockaddr *a, socklen_t n)
{
    int error = 0, rc;
    socklen_t size = sizeof error;

    while ((rc = connect(fd, a, n)) < 0 && errno == EAGAIN)
        if (!wh_nap(op, AGAIN_MS))
            return false;
    if (rc == 0)
        return true;
    if (errno == EINPROGRESS) {
        if (!wh_wait(op, fd, POLLOUT))
            return false;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
    } else {
        error = errno;
    }
    return error == 0 || wh_fail_sys(&op->err, error, "connect");
}

static bool take(struct wh_dialled *d, int *fd)
{
    d->in = d->out = wh_take_fd(fd);
    return true;
}

static bool dial_socket(struct wh_op *op, struct wh_dialled *d, const char *host)
{
    struct sockaddr_un local;
    struct addrinfo *list;
    bool ok = false;

    if (strncmp(host, "unix:", 5) == 0) {
        wh_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return unix_address(op, host + 5, &local) &&
               join(op, fd, (struct sockaddr *)&local, sizeof local) && take(d, &fd);
    }
    if (!tcp_address(op, host + 4, false, &list))
        return false;
    for (struct addrinfo *a = list; a && !ok; a = a->ai_next) {
        wh_auto_fd int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0)
            keep_alive(fd);
        else
            wh_fail_sys(&op->err, errno, "make a socket");
        ok = fd >= 0 && join(op, fd, a->ai_addr, a->ai_addrlen) && take(d, &fd);
        if (!ok && a->ai_next && op->err.kind == WH_SYSTEM)
            op->err = (struct wh_err){ 0 };
    }
    freeaddrinfo(list);
    return ok;
}

/* A socket that outlived who listened at it.  It is asked by one of another kind, which nobody takes for a
 * caller. */
static bool is_dead(const struct sockaddr_un *a)
{
    wh_auto_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct stat st;

    return fd >= 0 && lstat(a->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
           connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
}

static bool bind_unix(int fd, const struct sockaddr_un *a)
{
    if (bind(fd, (const struct sockaddr *)a, sizeof *a) == 0)
        return true;
    if (errno != EADDRINUSE)
        return false;
    if (is_dead(a) && unlink(a->sun_path) == 0)
        return bind(fd, (const struct sockaddr *)a, sizeof *a) == 0;
    errno = EADDRINUSE;
    return false;
}

static bool listen_unix(struct wh_op *op, struct wh_listener *l, const char *path)
{
    wh_auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un a;

    if (!unix_address(op, path, &a))
        return false;
    /* Other threads may make files just now: what it is made with is the socket's own mode. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || !bind_unix(fd, &a))
        return wh_fail_sys(&op->err, errno, "make the socket %s", path);
    strcpy(l->path, path);
    l->fd = wh_take_fd(&fd);
    return true;
}

static bool listen_tcp(struct wh_op *op, struct wh_listener *l, const char *at)
{
    struct addrinfo *list;
    int on = 1;

    if (!tcp_address(op, at, true, &list))
        return false;
    wh_auto_fd int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int rc = fd < 0 ? -1 : bind(fd, list->ai_addr, list->ai_addrlen);
    int sys = errno;
    freeaddrinfo(list);
    if (rc < 0)
        return wh_fail_sys(&op->err, sys, "listen at tcp:%s", at);
    l->fd = wh_take_fd(&fd);
    return true;
}

bool wh_dial_listen(struct wh_op *op, struct wh_listener *l, const char *at)
{
    *l = (struct wh_listener){ .fd = -1 };
    if (!wh_dial_is_socket(at))
        return wh_fail(&op->err, WH_USAGE, "one listens at unix:PATH or tcp:ADDRESS:PORT, not at "
                       "'%.128s'", at);
    snprintf(l->what, sizeof l->what, "the sender at %.200s", at);
    if (!(*at == 'u' ? listen_unix(op, l, at + 5) : listen_tcp(op, l, at + 4)))
        return false;
    return listen(l->fd, 1) == 0 || wh_fail_sys(&op->err, errno, "listen");
}

bool wh_dial_accept(struct wh_op *op, const struct wh_listener *l, struct wh_dialled *d)
{
    *d = (struct wh_dialled){ .in = -1, .out = -1 };
    snprintf(d->what, sizeof d->what, "%s", l->what);
    for (;;) {
        if (!wh_wait(op, l->fd, POLLIN))
            return false;
        wh_auto_fd int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            keep_alive(fd);
            return take(d, &fd);
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            return wh_fail_sys(&op->err, errno, "accept");
    }
}

void wh_dial_listen_no_more(struct wh_listener *l)
{
    if (*l->path)
        unlink(l->path);
    *l->path = '\0';
    wh_close_fd(&l->fd);
    l->fd = -1;
}

/* ------------------------------------------------------------------------------------ both */

bool wh_dial(struct wh_op *op, struct wh_dialled *d, const struct wh_destination *to)
{
    *d = (struct wh_dialled){ .in = -1, .out = -1 };
    snprintf(d->what, sizeof d->what, "%s", to->host);
    wh_step(op, "reach the other host", DIAL_MS);
    bool ok = wh_dial_is_socket(to->host) ? dial_socket(op, d, to->host) : run_command(op, d, to);
    return ok || wh_while(&op->err, "%s", d->what);
}

void wh_dial_own(struct wh_dialled *d, int in, int out, const char *what)
{
    *d = (struct wh_dialled){ .in = in, .out = out, .child = -1 };
    snprintf(d->what, sizeof d->what, "%s", what);
}

bool wh_dial_unblock(struct wh_op *op, struct wh_dialled *d)
{
    d->blocked[0] = !(fcntl(d->in, F_GETFL) & O_NONBLOCK);
    d->blocked[1] = d->out != d->in && !(fcntl(d->out, F_GETFL) & O_NONBLOCK);
    return unblock(op, d->in) && unblock(op, d->out);
}

static void block_again(int fd, bool *was)
{
    int flags = fcntl(fd, F_GETFL);

    if (*was && flags >= 0)
        fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    *was = false;
}

int wh_dial_close(struct wh_op *op, struct wh_dialled *d)
{
    pid_t child = d->child;

    if (child < 0) {            /* not ours, however often this is called */
        block_again(d->in, &d->blocked[0]);
        block_again(d->out, &d->blocked[1]);
        return -1;
    }
    d->child = 0;
    if (d->out != d->in)
        wh_close_fd(&d->out);
    wh_close_fd(&d->in);
    d->in = d->out = -1;
    return child > 0 ? reap(op, child) : -1;
}
