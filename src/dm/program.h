/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU as a program of this host: where it is, its log, its process. */
#ifndef WH_DM_PROGRAM_H
#define WH_DM_PROGRAM_H

#include <sys/types.h>

#include "xen/here.h"

/* What any QEMU has in its environment. */
#define WH_QEMU_PATHS "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
#define WH_QEMU_LIMIT "XEN_QEMU_CONSOLE_LIMIT=1048576"

/* The host's QEMU for Xen; NULL: there is none. */
const char *wh_qemu_program(const struct wh_here *h);

/* What the program prints when it is run with that option (value NULL: alone) and does nothing else. */
bool wh_qemu_ask(struct wh_op *op, const char *program, const char *option, const char *value, char *text,
                 size_t size);

/* Where the log of a domain of that name is. */
void wh_qemu_log_path(const struct wh_here *h, const char *name, char log[PATH_MAX]);
/* The log of a domain of that name, an empty one: older ones become NAME.log.1, .2 ... */
void wh_qemu_log(const struct wh_here *h, const char *name, char log[PATH_MAX]);

/* Put the last lines of the log behind what went wrong with QEMU.  Returns false. */
bool wh_qemu_blame(struct wh_op *op, const char *log);

/* Whether the domain's QEMU lives; *has is false of a domain that was started without one. */
bool wh_qemu_lives(struct wh_op *op, struct wh_here *h, uint32_t domid, bool *has, bool *lives);

/* Write down whose process it is; for wh_process_leave.  arg: a struct wh_qemu_owner. */
struct wh_qemu_owner {
    struct wh_here *h;
    uint32_t domid;
    uint64_t uid;               /* all of its processes are this domain's; 0: of none */
};
bool wh_qemu_claim(struct wh_op *op, pid_t pid, void *arg);

/* That process is the QEMU of the domain (a uint32_t), whatever program it is. */
bool wh_qemu_is_of(pid_t pid, const void *domid);

#endif
