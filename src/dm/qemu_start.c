/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HVM guest's QEMU is started.  What it listens at is opened before it begins, and its first word there
 * says that it is ready; one that is older than that (2.12) says so in xenstore, if it may write there. */
#include "dm/qemu.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/json.h"
#include "dm/program.h"
#include "dm/qemu_parts.h"
#include "dm/state.h"
#include "dm/user.h"
#include "xen/process.h"

#define START_MS 60000              /* libxl's */
#define LOOK_MS 20
#define EARLY_SINCE 3               /* what it has read of the disks by then it forgets when it takes them */
#define SANDBOX "on,obsolete=deny,elevateprivileges=children,spawn=deny,resourcecontrol=deny"
#define FILE_MOST (256u << 10)      /* bytes of a file that a restricted QEMU writes */

_Static_assert(WH_QEMU_FILES == WH_PASSED + WH_QEMU_SOCKETS, "files follow the sockets");
_Static_assert(WH_QEMU_SOCKETS + WH_QEMU_FILES_MOST + 1 <= WH_PASSES_MOST, "all can be passed");

struct starting {
    struct wh_here *h;
    const struct wh_qemu *q;
    struct wh_qemu_begun *b;
    const char *program;
    struct wh_qemu_user user;
    bool sandbox;
    int listening[WH_QEMU_SOCKETS];
};

/* ----------------------------------------------------------------------- what it is given */

/* Ours before it runs: who is not restricted could make it itself, who is could not. */
static bool listen_at(struct wh_op *op, const char *path, int *listening)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    size_t n = strlen(path);

    if (n >= sizeof a.sun_path)
        return wh_fail_sys(&op->err, ENAMETOOLONG, "%s", path);
    memcpy(a.sun_path, path, n);
    unlink(path);
    *listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*listening < 0 || fchmod(*listening, 0600) < 0 ||
        bind(*listening, (struct sockaddr *)&a, sizeof a) < 0 || listen(*listening, 5) < 0)
        return wh_fail_sys(&op->err, errno, "listen at %s", path);
    return true;
}

static void stop_listening(struct starting *s)
{
    for (size_t i = 0; i < WH_QEMU_SOCKETS; i++) {
        wh_close_fd(&s->listening[i]);
        s->listening[i] = -1;
    }
}

static bool make_root(struct wh_op *op, const struct starting *s)
{
    char path[PATH_MAX];

    wh_qemu_root_path(path, s->h, s->q->domid);
    if ((rmdir(path) < 0 && errno != ENOENT) || mkdir(path, 0) < 0)
        return wh_fail_sys(&op->err, errno, "make %s, where a restricted QEMU is to live", path);
    return true;
}

/* A program that does not know the option says so and ends. */
static bool find_sandbox(struct wh_op *op, struct starting *s)
{
    char *argv[] = { strdupa(s->program), strdupa("-sandbox"), strdupa(SANDBOX),
                     strdupa("-version"), NULL };
    char *env[] = { strdupa(WH_QEMU_PATHS), NULL };
    struct wh_program p = { .path = s->program, .argv = argv, .env = env, .log = "" };
    int status;

    if (!wh_process_run(op, &p, &status))
        return false;
    s->sandbox = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return true;
}

static bool prepare(struct wh_op *op, struct starting *s)
{
    const struct wh_qemu *q = s->q;
    char path[PATH_MAX];

    if (!s->program)
        return wh_fail(&op->err, WH_SYSTEM, "there is no QEMU for Xen on this host");
    if ((q->restricted || q->user) && !wh_qemu_user(op, q->domid, q->user, &s->user))
        return false;
    if (q->restricted && (!make_root(op, s) || !find_sandbox(op, s)))
        return false;
    for (size_t i = 0; i < WH_QEMU_SOCKETS; i++) {
        wh_qemu_socket_path(path, s->h, q->domid, i);
        if (!listen_at(op, path, &s->listening[i]))
            return false;
    }
    return wh_store_mkdir(op, s->h->store, 0, "/local/domain/0/device-model/%u", q->domid);
}

static void add_sockets(struct wh_args *a, const struct starting *s)
{
    static const char *const id[WH_QEMU_SOCKETS] = { "libxl-cmd", "libxenstat-cmd" };
    char path[PATH_MAX];

    for (size_t i = 0; i < WH_QEMU_SOCKETS; i++) {
        wh_args_add(a, "-chardev");
        wh_qemu_socket_path(path, s->h, s->q->domid, i);
        if (s->b->old)
            wh_args_format(a, "socket,id=%s,path=%s,server,nowait", id[i], path);
        else
            wh_args_format(a, "socket,id=%s,fd=%d,server=on,wait=off", id[i], WH_PASSED + (int)i);
        wh_args_add(a, "-mon");
        wh_args_format(a, "chardev=%s,mode=control", id[i]);
    }
}

/* Nothing but the sockets, and the state, passes into it; -S: its devices wait for wh_qemu_cont. */
static void add_identity(struct wh_args *a, const struct starting *s)
{
    wh_auto_free char *name = wh_args_value(s->q->name);

    wh_args_add(a, s->program);
    wh_args_add(a, "-xen-domid");
    wh_args_format(a, "%u", s->q->domid);
    wh_args_add(a, "-no-shutdown");
    add_sockets(a, s);
    if (!s->b->old)
        wh_args_add(a, "-S");
    wh_args_add(a, "-nodefaults");
    wh_args_add(a, "-no-user-config");
    wh_args_add(a, "-name");
    a->lost |= !name;
    wh_args_add(a, name ? name : "");
}

static void add_restriction(struct wh_args *a, const struct starting *s)
{
    char root[PATH_MAX];

    wh_qemu_root_path(root, s->h, s->q->domid);
    wh_args_add(a, "-xen-domid-restrict");
    wh_args_add(a, "-chroot");
    wh_args_add(a, root);
    if (s->sandbox) {
        wh_args_add(a, "-sandbox");
        wh_args_add(a, SANDBOX);
    }
}

static size_t sockets(const struct starting *s)
{
    return s->b->old ? 0 : WH_QEMU_SOCKETS;
}

static bool collect(struct wh_op *op, struct wh_args *a, const struct starting *s)
{
    add_identity(a, s);
    wh_args_join(a, s->q->machine);
    if (s->q->restricted)
        add_restriction(a, s);
    if (s->user.uid > 0) {
        wh_args_add(a, "-runas");
        wh_args_format(a, "%u:%u", (unsigned)s->user.uid, (unsigned)s->user.gid);
    }
    if (s->q->goes_on) {
        wh_args_add(a, "-incoming");
        wh_args_format(a, "fd:%d", WH_PASSED + (int)(sockets(s) + s->q->files));
    }
    return wh_args_whole(op, a);
}

/* ---------------------------------------------------------------------------- starting it */

/* Of a file's size: what is written at, even of one that is as large already. */
static const struct wh_limit limits[] = {
    { RLIMIT_FSIZE, FILE_MOST }, { RLIMIT_CORE, 0 }, { RLIMIT_MSGQUEUE, 0 }, { RLIMIT_LOCKS, 0 },
    { RLIMIT_MEMLOCK, 0 },
};

static bool launch(struct wh_op *op, struct starting *s)
{
    wh_auto_fd int ours = -1;
    wh_auto_fd int its = -1;
    int ends[2];
    bool restricted = s->q->restricted;
    char id[40], *env[] = { strdupa(WH_QEMU_PATHS), strdupa(WH_QEMU_LIMIT), id, NULL };
    int pass[WH_QEMU_SOCKETS + WH_QEMU_FILES_MOST + 1] = { s->listening[WH_QEMU_COMMANDS],
                                                           s->listening[WH_QEMU_STATS] };
    struct wh_qemu_owner owner = { s->h, s->q->domid, s->user.alone ? s->user.uid : 0 };
    struct wh_limit its_limits[WH_COUNT(limits)];
    wh_auto_args struct wh_args a = { 0 };

    memcpy(its_limits, limits, sizeof limits);
    if (s->q->file_bytes > FILE_MOST)
        its_limits[0].most = s->q->file_bytes;
    snprintf(id, sizeof id, "XEN_DOMAIN_ID=%u", s->q->domid);
    if (s->q->files > WH_QEMU_FILES_MOST)
        return wh_fail(&op->err, WH_USAGE, "QEMU is to have %zu files: at most %d can be passed",
                       s->q->files, WH_QEMU_FILES_MOST);
    if (!collect(op, &a, s))
        return false;
    if (s->q->files > 0)
        memcpy(pass + sockets(s), s->q->file, s->q->files * sizeof *pass);
    if (s->q->goes_on) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
            return wh_fail_sys(&op->err, errno, "make a way for QEMU's state");
        ours = ends[0];
        its = pass[sockets(s) + s->q->files] = ends[1];
    }
    struct wh_program p = {
        .path = s->program, .argv = a.of, .env = env, .log = s->b->log, .pass = pass,
        .passes = sockets(s) + s->q->files + s->q->goes_on, .limit = its_limits,
        .limits = restricted ? WH_COUNT(limits) : 0,
        .unshared = restricted ? CLONE_NEWNS | CLONE_NEWIPC : 0,
    };
    if (!wh_process_leave(op, &p, wh_qemu_claim, &owner, &s->b->pid))
        return false;
    s->b->state = wh_take_fd(&ours);
    stop_listening(s);          /* nobody but it: its end is the sockets' */
    return true;
}

static bool meet(struct wh_op *op, struct starting *s, struct wh_qmp **qmp)
{
    char path[PATH_MAX];

    wh_qemu_socket_path(path, s->h, s->q->domid, WH_QEMU_COMMANDS);
    wh_auto_fd int fd = wh_qmp_dial(op, path);
    if (fd < 0 && op->err.sys == ECONNREFUSED)      /* it ended before we came */
        op->err.kind = WH_PEER;
    if (fd < 0 || !wh_wait(op, fd, POLLIN))
        return false;
    *qmp = wh_qmp_open(op, wh_take_fd(&fd));
    return *qmp != NULL;
}

static bool is_in(struct wh_op *op, struct wh_qmp *qmp, const char *wanted, bool *is)
{
    wh_auto_json json_object *answer = NULL;

    if (!wh_qmp_call(op, qmp, "query-status", NULL, -1, &answer))
        return false;
    const char *status = wh_json_string(answer, "status", "");
    *is = strcmp(status, wanted) == 0;
    if (*is || strcmp(status, "inmigrate") == 0)
        return true;
    return wh_fail(&op->err, WH_PEER, "QEMU came up in a state of its own: expected %s", wanted);
}

struct state {
    const uint8_t *p;
    size_t n;
};

/* It has its end when it has all. */
static bool hand_over(struct wh_op *op, struct starting *s, struct state state)
{
    bool ok = !s->q->goes_on || wh_state_hand(op, s->b->state, state.p, state.n);

    wh_qemu_drop(s->b);
    return ok;
}

/* One that does not know of it, before 3.0, takes them when it has its state. */
static bool take_disks_late(struct wh_op *op, struct wh_qmp *qmp)
{
    if (wh_qmp_version(qmp).major < EARLY_SINCE)
        return true;
    json_object *arguments = json_object_new_object(), *all = json_object_new_array(),
                *late = json_object_new_object();
    json_object_object_add(late, "capability", json_object_new_string("late-block-activate"));
    json_object_object_add(late, "state", json_object_new_boolean(true));
    json_object_array_add(all, late);
    json_object_object_add(arguments, "capabilities", all);
    return wh_qmp_call(op, qmp, "migrate-set-capabilities", arguments, -1, NULL);
}

/* A fresh one has not begun; one that goes on from a state reads that first. */
static bool await_ready(struct wh_op *op, struct starting *s, struct wh_qmp *qmp)
{
    const char *wanted = s->q->goes_on ? "paused" : "prelaunch";

    for (bool is = false; !is;) {
        if (!is_in(op, qmp, wanted, &is) || (!is && !wh_nap(op, LOOK_MS)))
            return s->q->goes_on ? wh_while(&op->err, "QEMU goes on from the guest's state") : false;
    }
    return true;
}

/* ------------------------------------------------------------------------------ an old one */

#define OLD_BEFORE 2012             /* 2.12 can be given the socket that it is to listen at */

/* "QEMU emulator version 2.11.1 (...)" */
static bool is_old(struct wh_op *op, const struct starting *s)
{
    struct wh_err why = op->err;
    char text[4096] = "";
    unsigned major, minor;

    wh_qemu_ask(op, s->program, "-version", NULL, text, sizeof text);
    op->err = why;
    const char *version = strstr(text, "version ");
    return version && sscanf(version, "version %3u.%3u", &major, &minor) == 2 &&
           major * 1000 + minor < OLD_BEFORE;
}

static bool await_running(struct wh_op *op, const struct starting *s)
{
    wh_auto_fd int process = pidfd_open(s->b->pid, 0);
    struct pollfd ended = { .fd = process, .events = POLLIN };

    while (process >= 0 && poll(&ended, 1, 0) == 0) {
        wh_auto_free char *state = NULL;

        if (!wh_store_read(op, s->h->store, 0, &state, "/local/domain/0/device-model/%u/state",
                           s->q->domid))
            return false;
        if (state && strcmp(state, "running") == 0)
            return true;
        if (!wh_nap(op, LOOK_MS))
            return false;
    }
    return wh_fail(&op->err, WH_PEER, "QEMU ended before it said that it runs");
}

/* Its devices have begun by then; the guest has not, and they stop until it does. */
static bool meet_old(struct wh_op *op, struct starting *s, struct state state, struct wh_qmp **qmp)
{
    char path[PATH_MAX];

    wh_qemu_socket_path(path, s->h, s->q->domid, WH_QEMU_COMMANDS);
    return hand_over(op, s, state) && await_running(op, s) && (*qmp = wh_qmp_connect(op, path)) != NULL &&
           wh_qemu_stop(op, *qmp);
}

/* It makes them itself. */
static void leave_sockets(struct starting *s)
{
    char path[PATH_MAX];

    stop_listening(s);
    for (size_t i = 0; i < WH_QEMU_SOCKETS; i++) {
        wh_qemu_socket_path(path, s->h, s->q->domid, i);
        unlink(path);
    }
}

/* -------------------------------------------------------------------------------- any of it */

static struct starting starting(struct wh_here *h, const struct wh_qemu *q, struct wh_qemu_begun *b)
{
    return (struct starting){ .h = h, .q = q, .b = b, .listening = { -1, -1 },
                              .program = q->program ? q->program : wh_qemu_program(h) };
}

void wh_qemu_drop(struct wh_qemu_begun *b)
{
    if (b->is && b->state >= 0)
        close(wh_take_fd(&b->state));
}

bool wh_qemu_begin(struct wh_op *op, struct wh_here *h, const struct wh_qemu *q, struct wh_qemu_begun *b)
{
    wh_auto(stop_listening) struct starting s = starting(h, q, b);

    b->is = true;
    b->state = -1;
    wh_step(op, "start QEMU", START_MS);
    if (!prepare(op, &s))
        return false;
    if (b->old)
        leave_sockets(&s);
    wh_qemu_log(h, q->name, b->log);
    return launch(op, &s) || wh_qemu_blame(op, b->log);
}

static bool meet_new(struct wh_op *op, struct starting *s, struct state state, struct wh_qmp **qmp)
{
    if (!meet(op, s, qmp))
        return false;
    if (s->b->early && wh_qmp_version(*qmp).major < EARLY_SINCE)
        return wh_fail(&op->err, WH_PEER, "QEMU is older than %d.0, and was begun early", EARLY_SINCE);
    return (!s->q->late_disks || take_disks_late(op, *qmp)) && hand_over(op, s, state) &&
           await_ready(op, s, *qmp);
}

/* Another try is worth it of one that has ended, for it may have needed the guest's memory; that is too old to
 * have been begun early; or too old to be heard of so. */
static bool may_do_better(struct wh_op *op, struct starting *s, bool met, bool too_old)
{
    struct wh_qemu_begun *b = s->b;

    if (op->err.kind != WH_PEER || b->old)
        return false;
    if (!met && is_old(op, s)) {
        b->old = !s->q->restricted;
        return b->old || wh_while(&op->err, "a QEMU older than 2.12 cannot be restricted");
    }
    bool was_early = b->early;
    b->early = false;
    return was_early && (too_old || (!met && !wh_qemu_is_of(b->pid, &s->q->domid)));
}

bool wh_qemu_ready(struct wh_op *op, struct wh_here *h, const struct wh_qemu *q, struct wh_qemu_begun *b,
                   const uint8_t *state, size_t n, struct wh_qmp **qmp, bool *again)
{
    struct starting s = starting(h, q, b);
    struct state its = { state, n };

    *qmp = NULL;
    wh_step(op, "wait for QEMU", START_MS);
    *again = false;
    if (b->old ? meet_old(op, &s, its, qmp) : meet_new(op, &s, its, qmp))
        return true;
    bool too_old = *qmp && wh_qmp_version(*qmp).major < EARLY_SINCE;
    *again = may_do_better(op, &s, *qmp != NULL, too_old);
    wh_qmp_close(wh_take_ptr(qmp));
    return *again ? false : wh_qemu_blame(op, b->log);
}
