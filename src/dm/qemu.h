/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HVM guest's QEMU: started, heard of, ended.
 *
 *     nothing      its log is a new one, its sockets listen, its root is an empty folder
 *     claimed      pid, and uid if it has one to itself, are in xenstore: whoever destroys the
 *                  domain finds it.  Only then it begins
 *     begun        it makes its devices.  One that is to go on from a state waits for that: if nobody
 *                  hands it one any more it ends.  A guest's memory need not be there yet
 *     ready        it has answered on its socket, and has its state; its devices do nothing yet (-S)
 *     running      wh_qemu_cont, before the guest runs
 *
 * One older than 2.12 makes its sockets itself, tells xenstore that it is ready and runs by then, and is
 * stopped: not restricted, for such a one could not tell.
 *
 * Restricted it has a uid without rights, sees an empty root, may use Xen for its own domain alone,
 * may write no large file but its disks, open no more locks, start no program.  It is so from its first word with
 * the guest on, fresh or restored. */
#ifndef WH_DM_QEMU_H
#define WH_DM_QEMU_H

#include <limits.h>
#include <sys/types.h>

#include "dm/args.h"
#include "dm/qmp.h"
#include "xen/here.h"

struct wh_qemu {
    uint32_t domid;
    const char *name;               /* the guest's: -name, and its log's */
    const char *program;            /* NULL: the host's */
    bool restricted;
    const char *user;               /* whom it runs as; NULL: restricted, the host's choice; else root */
    const struct wh_args *machine;  /* the devices and all that is the guest's */
    const int *file;                /* descriptors (lent) that machine speaks of: it has them as */
    size_t files;                   /* WH_QEMU_FILES, WH_QEMU_FILES + 1 ... */
    uint64_t file_bytes;            /* as far as it may write into a file, restricted */
    bool goes_on;                   /* from a state */
    bool late_disks;                /* which it takes, and locks, no sooner than wh_qemu_cont */
};
#define WH_QEMU_FILES 6
#define WH_QEMU_FILES_MOST 60

/* One that has begun, until it is ready. */
struct wh_qemu_begun {
    bool is;
    bool early;                     /* before the guest's memory, while the guest may still run elsewhere */
    bool old;                       /* it is older than 2.12 */
    pid_t pid;
    int state;                      /* where its state goes; -1: it is fresh, or has it */
    char log[PATH_MAX];
};

/* On success it has begun; b->early is the caller's word.  A failure, here and below, leaves it to
 * wh_qemu_end. */
bool wh_qemu_begin(struct wh_op *op, struct wh_here *h, const struct wh_qemu *q, struct wh_qemu_begun *b);
/* On success it is ready and *qmp its monitor; state: what it goes on from.  q: as it was begun, but its
 * machine and files may be missing.  *again: it failed, and one that is begun now, as b says by then, may not. */
bool wh_qemu_ready(struct wh_op *op, struct wh_here *h, const struct wh_qemu *q, struct wh_qemu_begun *b,
                   const uint8_t *state, size_t n, struct wh_qmp **qmp, bool *again);
void wh_qemu_drop(struct wh_qemu_begun *b);

/* The monitor of a domain's QEMU.  Between wherry and xl one has it at a time: the lock is libxl's. */
bool wh_qemu_reach(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_qmp **qmp);

bool wh_qemu_stop(struct wh_op *op, struct wh_qmp *qmp);
bool wh_qemu_cont(struct wh_op *op, struct wh_qmp *qmp);
/* Whether it did not go on since it was stopped on this connection. */
bool wh_qemu_still_stopped(struct wh_op *op, struct wh_qmp *qmp);
/* Have QEMU tell Xen of the pages that it writes to itself, which log-dirty does not see. */
bool wh_qemu_tell_dirty(struct wh_op *op, struct wh_qmp *qmp, bool on);
/* Reach it, and let its devices work. */
bool wh_qemu_run_on(struct wh_op *op, struct wh_here *h, uint32_t domid);

/* How many vCPUs it has by now. */
bool wh_qemu_vcpus(struct wh_op *op, struct wh_qmp *qmp, size_t *n);

/* The kind of machine that it emulates ("xenfv-3.1"), as its own word for it. */
bool wh_qemu_machine(struct wh_op *op, struct wh_qmp *qmp, char machine[64]);
/* Whether this host's QEMU has such a machine.  False also where it cannot be asked. */
bool wh_qemu_has_machine(struct wh_op *op, struct wh_here *h, const char *program,
                         const char *machine, bool *has);
/* Whether the text may stand for a machine: it came with an image. */
bool wh_qemu_is_machine(const char *text);

/* End the domain's QEMU, whoever started it and whatever it serves: what it has of the guest's disks
 * in its caches is written first.  Its sockets and its root go.  No QEMU is no failure. */
bool wh_qemu_end(struct wh_op *op, struct wh_here *h, uint32_t domid);

#endif
