/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU as a disk backend of PV and PVH guests: started and waited for.  wh_qemu_end ends it. */
#include "dm/qdisk.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "dm/args.h"
#include "dm/program.h"
#include "xen/process.h"

#define START_MS 60000              /* libxl's */
#define LOOK_MS 50

/* As libxl gives them: tools that talk to QEMU look for its sockets by name. */
static void fill(struct wh_args *a, const struct wh_here *h, const struct wh_qdisk *q,
                 const char *program)
{
    static const char *const plain[] = {
        "-nodefaults", "-no-user-config", "-xen-attach", "-vnc", "none", "-display", "none",
        "-nographic", "-machine", "xenpv",
    };
    static const char *const sockets[] = { "libxl", "libxenstat" };
    wh_auto_free char *name = wh_args_value(q->name);

    wh_args_add(a, program);
    wh_args_add(a, "-xen-domid");
    wh_args_format(a, "%u", q->domid);
    wh_args_add(a, "-no-shutdown");
    for (size_t i = 0; i < WH_COUNT(sockets); i++) {
        wh_args_add(a, "-chardev");
        wh_args_format(a, "socket,id=%s-cmd,path=%s/qmp-%s-%u,server=on,wait=off", sockets[i],
                       h->run, sockets[i], q->domid);
        wh_args_add(a, "-mon");
        wh_args_format(a, "chardev=%s-cmd,mode=control", sockets[i]);
    }
    for (size_t i = 0; i < WH_COUNT(plain); i++)
        wh_args_add(a, plain[i]);
    wh_args_add(a, "-name");
    a->lost |= !name;
    wh_args_add(a, name ? name : "");
    wh_args_add(a, "-m");
    wh_args_format(a, "%llu", (unsigned long long)(q->memory_kb / 1024));
}

static bool wait_until_running(struct wh_op *op, struct wh_here *h, const struct wh_qdisk *q,
                               pid_t pid, const char *log)
{
    for (;;) {
        wh_auto_free char *state = NULL;

        if (!wh_store_read(op, h->store, 0, &state, "/local/domain/0/device-model/%u/state",
                           q->domid))
            return false;
        if (state && strcmp(state, "running") == 0)
            return true;
        if (kill(pid, 0) < 0 && errno == ESRCH)
            return wh_fail(&op->err, WH_SYSTEM, "QEMU ended before it was ready") ||
                   wh_qemu_blame(op, log);
        if (!wh_nap(op, LOOK_MS))
            return wh_while(&op->err, "wait for QEMU") || wh_qemu_blame(op, log);
    }
}

bool wh_qdisk_start(struct wh_op *op, struct wh_here *h, const struct wh_qdisk *q)
{
    char *env[] = { strdupa(WH_QEMU_PATHS), strdupa(WH_QEMU_LIMIT), NULL }, log[PATH_MAX];
    struct wh_qemu_owner owner = { .h = h, .domid = q->domid };
    const char *program = wh_qemu_program(h);
    wh_auto_args struct wh_args a = { 0 };
    pid_t pid;

    wh_step(op, "start QEMU for the disks", START_MS);
    if (!program)
        return wh_fail(&op->err, WH_SYSTEM, "there is no QEMU for Xen to serve the disks");
    fill(&a, h, q, program);
    if (!wh_args_whole(op, &a))
        return false;
    wh_qemu_log(h, q->name, log);
    struct wh_program p = { .path = program, .argv = a.of, .env = env, .log = log };
    if (!wh_store_mkdir(op, h->store, 0, "/local/domain/0/device-model/%u", q->domid) ||
        !wh_process_leave(op, &p, wh_qemu_claim, &owner, &pid))
        return false;
    return wait_until_running(op, h, q, pid, log);
}
