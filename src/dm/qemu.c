/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/qemu.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "dm/program.h"
#include "dm/qemu_parts.h"
#include "dm/user.h"
#include "xen/process.h"
#include "xen/userdata.h"

#define REACH_MS 60000
#define DISKS_MS 60000              /* for what is written to disks first */
#define END_MS 15000
#define ASK_MS 60000
#define MACHINES "wherry-qemu-machines"

void wh_qemu_socket_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid, size_t which)
{
    static const char *const names[WH_QEMU_SOCKETS] = { "libxl", "libxenstat" };

    snprintf(path, PATH_MAX, "%s/qmp-%s-%u", h->run, names[which], domid);
}

void wh_qemu_root_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid)
{
    snprintf(path, PATH_MAX, "%s/qemu-root-%u", h->run, domid);
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
    wh_qemu_socket_path(path, h, domid, WH_QEMU_COMMANDS);
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

/* An older one has another command for it. */
static bool is_unknown(struct wh_op *op, struct wh_qmp *qmp)
{
    if (!wh_qmp_refused(qmp, "CommandNotFound"))
        return false;
    op->err = (struct wh_err){ 0 };
    return true;
}

bool wh_qemu_vcpus(struct wh_op *op, struct wh_qmp *qmp, size_t *n)
{
    wh_auto_json json_object *answer = NULL;

    if (!wh_qmp_call(op, qmp, "query-cpus-fast", NULL, -1, &answer) && !is_unknown(op, qmp))
        return false;
    if (!answer && !wh_qmp_call(op, qmp, "query-cpus", NULL, -1, &answer))
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

/* To start it takes longer than all else that is done here, and what it says is as long so as the program
 * is the same: the host keeps it, behind a line that says of which. */
static void which(char line[PATH_MAX + 128], const char *program)
{
    struct stat st = { 0 };

    *line = '\0';
    if (stat(program, &st) == 0)
        snprintf(line, PATH_MAX + 128, "%s %ju %ju %jd %jd.%09ld %jd.%09ld\n", program,
                 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
                 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                 (intmax_t)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

static bool recall(const struct wh_here *h, const char *program, char *text, size_t size)
{
    char path[PATH_MAX], line[PATH_MAX + 128];
    struct stat st;

    snprintf(path, sizeof path, "%s/" MACHINES, h->run);
    which(line, program);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (!*line || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (size_t)st.st_size >= size)
        return false;
    ssize_t n = pread(fd, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    size_t head = strlen(line);
    if (n != st.st_size || strncmp(text, line, head) != 0)
        return false;
    memmove(text, text + head, (size_t)n - head + 1);
    return true;
}

/* It may fail. */
static void keep_in_mind(const struct wh_here *h, const char *program, const char *text)
{
    char path[PATH_MAX], new[PATH_MAX + 8], line[PATH_MAX + 128];

    snprintf(path, sizeof path, "%s/" MACHINES, h->run);
    snprintf(new, sizeof new, "%s.XXXXXX", path);
    which(line, program);
    wh_auto_fd int fd = *line ? mkostemp(new, O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    if (write(fd, line, strlen(line)) != (ssize_t)strlen(line) ||
        write(fd, text, strlen(text)) != (ssize_t)strlen(text) || rename(new, path) < 0)
        unlink(new);
}

bool wh_qemu_has_machine(struct wh_op *op, struct wh_here *h, const char *program,
                         const char *machine, bool *has)
{
    const char *path = program ? program : wh_qemu_program(h);
    char text[65536];

    *has = false;
    if (!path)
        return wh_fail(&op->err, WH_SYSTEM, "there is no QEMU for Xen on this host");
    wh_step(op, "ask QEMU for its machines", ASK_MS);
    if (!recall(h, path, text, sizeof text)) {
        if (!wh_qemu_ask(op, path, "-machine", "help", text, sizeof text))
            return false;
        keep_in_mind(h, path, text);
    }
    *has = lists(text, machine);
    return true;
}

/* ----------------------------------------------------------------------------- ending it */

static void remove_paths(const struct wh_here *h, uint32_t domid)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < WH_QEMU_SOCKETS; i++) {
        wh_qemu_socket_path(path, h, domid, i);
        unlink(path);
    }
    wh_qemu_root_path(path, h, domid);
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
