/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/json.h"
#include "dm/program.h"
#include "dm/user.h"
#include "xen/process.h"
#include "xen/userdata.h"

#define START_MS 60000              /* libxl's */
#define REACH_MS 60000
#define DISKS_MS 60000              /* for what is written to disks first */
#define END_MS 15000
#define LOOK_MS 20
#define SANDBOX "on,obsolete=deny,elevateprivileges=children,spawn=deny,resourcecontrol=deny"
#define FILE_MOST (256u << 10)      /* bytes of a file that a restricted QEMU writes */

enum { COMMANDS, STATS, SOCKETS };
_Static_assert(WH_QEMU_FILES == WH_PASSED + SOCKETS, "files follow the sockets");
_Static_assert(SOCKETS + WH_QEMU_FILES_MOST + 1 <= WH_PASSES_MOST, "all can be passed");
static const char *const names[SOCKETS] = { "libxl", "libxenstat" };

struct starting {
    struct wh_here *h;
    const struct wh_qemu *q;
    const char *program;
    char log[PATH_MAX];
    struct wh_qemu_user user;
    bool sandbox;
    int listening[SOCKETS];
};

static void socket_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid, size_t which)
{
    snprintf(path, PATH_MAX, "%s/qmp-%s-%u", h->run, names[which], domid);
}

static void root_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid)
{
    snprintf(path, PATH_MAX, "%s/qemu-root-%u", h->run, domid);
}

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

static bool make_root(struct wh_op *op, const struct starting *s)
{
    char path[PATH_MAX];

    root_path(path, s->h, s->q->domid);
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

    s->program = q->program ? q->program : wh_qemu_program(s->h);
    if (!s->program)
        return wh_fail(&op->err, WH_SYSTEM, "there is no QEMU for Xen on this host");
    if ((q->restricted || q->user) && !wh_qemu_user(op, q->domid, q->user, &s->user))
        return false;
    if (q->restricted && (!make_root(op, s) || !find_sandbox(op, s)))
        return false;
    for (size_t i = 0; i < SOCKETS; i++) {
        socket_path(path, s->h, q->domid, i);
        if (!listen_at(op, path, &s->listening[i]))
            return false;
    }
    return wh_store_mkdir(op, s->h->store, 0, "/local/domain/0/device-model/%u", q->domid);
}

/* Nothing but the sockets, and the state, passes into it; -S: its devices wait for wh_qemu_cont. */
static void add_identity(struct wh_args *a, const struct starting *s)
{
    wh_auto_free char *name = wh_args_value(s->q->name);

    wh_args_add(a, s->program);
    wh_args_add(a, "-xen-domid");
    wh_args_format(a, "%u", s->q->domid);
    wh_args_add(a, "-no-shutdown");
    for (size_t i = 0; i < SOCKETS; i++) {
        wh_args_add(a, "-chardev");
        wh_args_format(a, "socket,id=%s-cmd,fd=%d,server=on,wait=off", names[i],
                       WH_PASSED + (int)i);
        wh_args_add(a, "-mon");
        wh_args_format(a, "chardev=%s-cmd,mode=control", names[i]);
    }
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

    root_path(root, s->h, s->q->domid);
    wh_args_add(a, "-xen-domid-restrict");
    wh_args_add(a, "-chroot");
    wh_args_add(a, root);
    if (s->sandbox) {
        wh_args_add(a, "-sandbox");
        wh_args_add(a, SANDBOX);
    }
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
    if (s->q->state >= 0) {
        wh_args_add(a, "-incoming");
        wh_args_format(a, "fd:%d", WH_QEMU_FILES + (int)s->q->files);
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
    bool restricted = s->q->restricted;
    char id[40], *env[] = { strdupa(WH_QEMU_PATHS), strdupa(WH_QEMU_LIMIT), id, NULL };
    int pass[SOCKETS + WH_QEMU_FILES_MOST + 1] = { s->listening[COMMANDS], s->listening[STATS] };
    struct wh_qemu_owner owner = { s->h, s->q->domid, s->user.alone ? s->user.uid : 0 };
    struct wh_limit its_limits[WH_COUNT(limits)];
    wh_auto_args struct wh_args a = { 0 };
    pid_t pid;

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
        memcpy(pass + SOCKETS, s->q->file, s->q->files * sizeof *pass);
    pass[SOCKETS + s->q->files] = s->q->state;
    struct wh_program p = {
        .path = s->program, .argv = a.of, .env = env, .log = s->log, .pass = pass,
        .passes = SOCKETS + s->q->files + (s->q->state >= 0), .limit = its_limits,
        .limits = restricted ? WH_COUNT(limits) : 0,
        .unshared = restricted ? CLONE_NEWNS | CLONE_NEWIPC : 0,
    };
    return wh_process_leave(op, &p, wh_qemu_claim, &owner, &pid);
}

/* It is heard of on a socket that nobody but it has any more: its end is the socket's. */
static bool meet(struct wh_op *op, struct starting *s, struct wh_qmp **qmp)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < SOCKETS; i++)
        close(wh_take_fd(&s->listening[i]));
    socket_path(path, s->h, s->q->domid, COMMANDS);
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

/* A fresh one has not begun; one that goes on from a state reads that first. */
static bool await_ready(struct wh_op *op, struct starting *s, struct wh_qmp *qmp)
{
    const char *wanted = s->q->state < 0 ? "prelaunch" : "paused";

    for (bool is = false; !is;) {
        if (!is_in(op, qmp, wanted, &is) || (!is && !wh_nap(op, LOOK_MS)))
            return s->q->state < 0 ? false
                                   : wh_while(&op->err, "QEMU goes on from the guest's state");
    }
    return true;
}

static void stop_listening(struct starting *s)
{
    for (size_t i = 0; i < SOCKETS; i++)
        wh_close_fd(&s->listening[i]);
}

bool wh_qemu_start(struct wh_op *op, struct wh_here *h, const struct wh_qemu *q,
                   struct wh_qmp **qmp)
{
    wh_auto(stop_listening) struct starting s = { .h = h, .q = q, .listening = { -1, -1 } };

    *qmp = NULL;
    wh_step(op, "start QEMU", START_MS);
    if (!prepare(op, &s))
        return false;
    wh_qemu_log(h, q->name, s.log);
    if (launch(op, &s) && meet(op, &s, qmp) && await_ready(op, &s, *qmp))
        return true;
    wh_qmp_close(*qmp);
    *qmp = NULL;
    return wh_qemu_blame(op, s.log);
}

/* -------------------------------------------------------------------------- talking to it */

static bool find_uuid(struct wh_op *op, struct wh_here *h, uint32_t domid, char **vm,
                      const char **uuid)
{
    if (!wh_store_read(op, h->store, 0, vm, "/local/domain/%u/vm", domid))
        return false;
    *uuid = *vm && strncmp(*vm, "/vm/", 4) == 0 ? *vm + 4 : "";
    return (**uuid && !strchr(*uuid, '/')) ||
           wh_fail(&op->err, WH_GUEST, "domain %u has no uuid in xenstore", domid);
}

bool wh_qemu_reach(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_qmp **qmp)
{
    char lock[PATH_MAX], path[PATH_MAX];
    wh_auto_free char *vm = NULL;
    const char *uuid;

    *qmp = NULL;
    wh_step(op, "reach the guest's QEMU", REACH_MS);
    if (!find_uuid(op, h, domid, &vm, &uuid))
        return false;
    snprintf(lock, sizeof lock, "%s/userdata-l.%u.%s.qmp-socket-lock", h->lib, domid, uuid);
    int fd = wh_userdata_lock_file(op, lock);
    if (fd < 0)
        return false;
    socket_path(path, h, domid, COMMANDS);
    *qmp = wh_qmp_connect(op, path);
    if (*qmp) {
        wh_qmp_hold(*qmp, fd, lock);
        return true;
    }
    unlink(lock);
    close(fd);
    return wh_while(&op->err, "reach the QEMU of domain %u", domid);
}

bool wh_qemu_stop(struct wh_op *op, struct wh_qmp *qmp)
{
    return wh_qmp_call_within(op, qmp, DISKS_MS, "stop", NULL, -1, NULL);
}

bool wh_qemu_cont(struct wh_op *op, struct wh_qmp *qmp)
{
    return wh_qmp_call_within(op, qmp, DISKS_MS, "cont", NULL, -1, NULL);
}

static bool set_dirty_log(struct wh_op *op, struct wh_qmp *qmp, bool on)
{
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "enable", json_object_new_boolean(on));
    return wh_qmp_call(op, qmp, "xen-set-global-dirty-log", arguments, -1, NULL);
}

/* QEMU 7.2 ends in an assertion, and the guest's devices with it, when it is to stop what it has not
 * begun.  To begin what it has begun is nothing to it. */
bool wh_qemu_tell_dirty(struct wh_op *op, struct wh_qmp *qmp, bool on)
{
    return set_dirty_log(op, qmp, true) && (on || set_dirty_log(op, qmp, false));
}

/* Whatever let it go on told of it. */
bool wh_qemu_still_stopped(struct wh_op *op, struct wh_qmp *qmp)
{
    wh_auto_json json_object *answer = NULL;

    if (!wh_qmp_call(op, qmp, "query-status", NULL, -1, &answer))
        return false;
    bool went_on = wh_qmp_had(qmp, "RESUME") ||
                   wh_json_true(answer, "running");
    return !went_on || wh_fail(&op->err, WH_GUEST, "the guest's devices did not stay stopped while it "
                               "was saved");
}

bool wh_qemu_run_on(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    struct wh_qmp *qmp;
    bool ok = wh_qemu_reach(op, h, domid, &qmp) && wh_qemu_cont(op, qmp);

    wh_qmp_close(qmp);
    return ok;
}

bool wh_qemu_vcpus(struct wh_op *op, struct wh_qmp *qmp, size_t *n)
{
    wh_auto_json json_object *answer = NULL;

    if (!wh_qmp_call(op, qmp, "query-cpus-fast", NULL, -1, &answer))
        return false;
    *n = json_object_is_type(answer, json_type_array) ? json_object_array_length(answer) : 0;
    return *n > 0 || wh_fail(&op->err, WH_PEER, "QEMU does not say which vcpus there are");
}

/* ------------------------------------------------------------------------ kinds of machine */

bool wh_qemu_is_machine(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    return text[n] == '\0' && n < 64 &&
           (strncmp(text, "xenfv", 5) == 0 || strncmp(text, "pc", 2) == 0);
}

bool wh_qemu_machine(struct wh_op *op, struct wh_qmp *qmp, char machine[64])
{
    static const char end[] = "-machine";
    json_object *arguments = json_object_new_object();
    wh_auto_json json_object *answer = NULL;

    json_object_object_add(arguments, "path", json_object_new_string("/machine"));
    json_object_object_add(arguments, "property", json_object_new_string("type"));
    if (!wh_qmp_call(op, qmp, "qom-get", arguments, -1, &answer))
        return false;
    const char *type = json_object_is_type(answer, json_type_string)
                           ? json_object_get_string(answer) : "";
    size_t n = strlen(type);
    bool fits = n >= sizeof end && n < 64 && strcmp(type + n - (sizeof end - 1), end) == 0;
    snprintf(machine, 64, "%.*s", fits ? (int)(n - (sizeof end - 1)) : 0, type);
    return wh_qemu_is_machine(machine) ||
           wh_fail(&op->err, WH_PEER, "QEMU does not say which machine it is");
}

/* Its own list of them: "NAME   description", a line each. */
static bool lists(const char *text, const char *machine)
{
    size_t n = strlen(machine);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, machine, n) == 0 && (line[n] == ' ' || line[n] == '\0'))
            return true;
    }
    return false;
}

bool wh_qemu_has_machine(struct wh_op *op, struct wh_here *h, const char *program,
                         const char *machine, bool *has)
{
    const char *path = program ? program : wh_qemu_program(h);
    wh_auto_fd int out = memfd_create("machines", MFD_CLOEXEC);
    char text[65536], log[64];
    int status;

    *has = false;
    if (!path)
        return wh_fail(&op->err, WH_SYSTEM, "there is no QEMU for Xen on this host");
    if (out < 0)
        return wh_fail_sys(&op->err, errno, "ask QEMU for its machines");
    char *argv[] = { strdupa(path), strdupa("-machine"), strdupa("help"), NULL };
    char *env[] = { strdupa(WH_QEMU_PATHS), NULL };
    snprintf(log, sizeof log, "/proc/%d/fd/%d", (int)getpid(), out);
    struct wh_program p = { .path = path, .argv = argv, .env = env, .log = log };
    wh_step(op, "ask QEMU for its machines", START_MS);
    if (!wh_process_run(op, &p, &status))
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return wh_fail(&op->err, WH_SYSTEM, "%s does not start, or does not tell its machines", path);
    ssize_t n = pread(out, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    *has = lists(text, machine);
    return true;
}

/* ----------------------------------------------------------------------------- ending it */

static void remove_paths(const struct wh_here *h, uint32_t domid)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < SOCKETS; i++) {
        socket_path(path, h, domid, i);
        unlink(path);
    }
    root_path(path, h, domid);
    rmdir(path);
}

/* The nodes are the toolstack's to write; a guest can only read them. */
bool wh_qemu_end(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    bool was = false, ok = true;
    uint64_t pid, uid;

    wh_step(op, "end the domain's QEMU", END_MS);
    if (!wh_store_read_number(op, h->store, 0, &pid, 0, "/local/domain/%u/image/device-model-pid",
                              domid) ||
        !wh_store_read_number(op, h->store, 0, &uid, 0,
                              "/local/domain/%u/image/device-model-kill-uid", domid))
        return false;
    if (pid > 0 && pid <= INT32_MAX)
        ok = wh_process_end(op, (pid_t)pid, wh_qemu_is_of, &domid, &was);
    /* One that was taken over may have hidden what it is, or left others behind. */
    if (ok && uid > 0)
        ok = wh_qemu_clear_user(op, h, uid, domid);
    if (!ok)
        return wh_while(&op->err, "end the QEMU of domain %u", domid);
    remove_paths(h, domid);
    return true;
}
