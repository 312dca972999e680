/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "xen/process.h"

#define OLD_LOGS 10
#define TAIL 400                    /* of QEMU's own words in an error */

static const char *const programs[] = {
    "/usr/libexec/xen-qemu-system-i386",            /* Debian's */
    "/usr/lib/xen/bin/qemu-system-i386",            /* Xen's own build */
    "/usr/local/lib/xen/bin/qemu-system-i386",
    "/usr/bin/qemu-system-i386",
};

const char *wh_qemu_program(const struct wh_here *h)
{
    if (h->qemu)
        return h->qemu;
    for (size_t i = 0; i < WH_COUNT(programs); i++) {
        if (access(programs[i], X_OK) == 0)
            return programs[i];
    }
    return NULL;
}

bool wh_qemu_ask(struct wh_op *op, const char *program, const char *option, const char *value, char *text,
                 size_t size)
{
    wh_auto_fd int out = memfd_create("answer", MFD_CLOEXEC);
    char log[64];
    int status;

    if (out < 0)
        return wh_fail_sys(&op->err, errno, "ask QEMU for its %s", option);
    char *argv[] = { strdupa(program), strdupa(option), value ? strdupa(value) : NULL, NULL };
    char *env[] = { strdupa(WH_QEMU_PATHS), NULL };
    snprintf(log, sizeof log, "/proc/%d/fd/%d", (int)getpid(), out);
    struct wh_program p = { .path = program, .argv = argv, .env = env, .log = log };
    if (!wh_process_run(op, &p, &status))
        return false;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return wh_fail(&op->err, WH_SYSTEM, "%s does not start, or does not know %s", program, option);
    ssize_t n = pread(out, text, size - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return true;
}

void wh_qemu_log_path(const struct wh_here *h, const char *name, char log[PATH_MAX])
{
    snprintf(log, PATH_MAX, "%s/qemu-dm-%s.log", h->log, name);
}

void wh_qemu_log(const struct wh_here *h, const char *name, char log[PATH_MAX])
{
    char from[PATH_MAX + 16], to[PATH_MAX + 16];

    wh_qemu_log_path(h, name, log);
    for (int i = OLD_LOGS; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%d", log, i);
        if (i > 1)
            snprintf(from, sizeof from, "%s.%d", log, i - 1);
        else
            snprintf(from, sizeof from, "%s", log);
        rename(from, to);
    }
}

/* What a guest may have had its QEMU write steers no terminal. */
static void make_plain(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        text[i] = c == '\n' ? '|' : c < 0x20 || c >= 0x7f ? '?' : text[i];
    }
    while (n > 0 && (text[n - 1] == '|' || text[n - 1] == ' '))
        text[--n] = '\0';
}

bool wh_qemu_blame(struct wh_op *op, const char *log)
{
    wh_auto_fd int fd = open(log, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char text[TAIL + 1] = "", why[sizeof op->err.text];
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        ssize_t n = pread(fd, text, TAIL, st.st_size > TAIL ? st.st_size - TAIL : 0);

        make_plain(text, n > 0 ? (size_t)n : 0);
    }
    memcpy(why, op->err.text, sizeof why);
    why[sizeof why - 1] = '\0';
    snprintf(op->err.text, sizeof op->err.text, "%.*s; %s%s (%s)", (int)(sizeof why - TAIL - 120),
             why, text[0] ? "its log ends: " : "its log is empty", text, log);
    return false;
}

bool wh_qemu_claim(struct wh_op *op, pid_t pid, void *arg)
{
    const struct wh_qemu_owner *o = arg;
    char number[24];

    snprintf(number, sizeof number, "%llu", (unsigned long long)o->uid);
    if (o->uid && !wh_store_write(op, o->h->store, 0, number,
                                  "/local/domain/%u/image/device-model-kill-uid", o->domid))
        return false;
    snprintf(number, sizeof number, "%d", (int)pid);
    return wh_store_write(op, o->h->store, 0, number, "/local/domain/%u/image/device-model-pid",
                          o->domid);
}

/* A restricted one could write over its arguments, but gets out of its root no more. */
static bool lives_in_root_of(pid_t pid, const char *domid)
{
    char path[64], root[PATH_MAX], its[64];
    size_t n, m = (size_t)snprintf(its, sizeof its, "/qemu-root-%s", domid);

    snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
    ssize_t got = readlink(path, root, sizeof root - 1);
    n = got > 0 ? (size_t)got : 0;
    root[n] = '\0';
    return n > m && strcmp(root + n - m, its) == 0;
}

bool wh_qemu_is_of(pid_t pid, const void *arg)
{
    char text[4096], domid[16];
    size_t n = wh_process_arguments(pid, text, sizeof text);
    bool follows = false;

    snprintf(domid, sizeof domid, "%u", *(const uint32_t *)arg);
    for (size_t at = 0; at < n; at += strlen(text + at) + 1) {
        if (follows && strcmp(text + at, domid) == 0)
            return true;
        follows = strcmp(text + at, "-xen-domid") == 0;
    }
    return lives_in_root_of(pid, domid);
}

bool wh_qemu_lives(struct wh_op *op, struct wh_here *h, uint32_t domid, bool *has, bool *lives)
{
    uint64_t pid;

    if (!wh_store_read_number(op, h->store, 0, &pid, 0, "/local/domain/%u/image/device-model-pid",
                              domid))
        return false;
    *has = pid > 0 && pid <= INT32_MAX;
    *lives = *has && wh_qemu_is_of((pid_t)pid, &domid);
    return true;
}
