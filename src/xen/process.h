/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs: run to their end within the step's time, or left running on their own. */
#ifndef WH_XEN_PROCESS_H
#define WH_XEN_PROCESS_H

#include <sys/types.h>

#include "base/op.h"

struct wh_program {
    const char *path;               /* absolute */
    char *const *argv;
    char *const *env;               /* all of it */
    const char *log;                /* what it prints is added there; "": nowhere */
    /* The rest for wh_process_leave only. */
    const int *pass;                /* descriptors (lent) that it has as WH_PASSED, WH_PASSED + 1 ... */
    size_t passes;
    const struct wh_limit *limit;   /* what it may use at most */
    size_t limits;
    int unshared;                   /* CLONE_NEW...: namespaces of its own */
};
#define WH_PASSED 4
#define WH_PASSES_MOST 64           /* of them */

struct wh_limit {
    int what;                       /* RLIMIT_CORE ... */
    uint64_t most;
};
#define WH_LIMIT_NONE UINT64_MAX

/* Run it and wait for its end.  *status: as waitpid gives it.  When the operation is cancelled or
 * its step too late, the program and what it has started (its process group) are killed. */
bool wh_process_run(struct wh_op *op, const struct wh_program *p, int *status);

/* Start it as nobody's child, in a session of its own.  It runs when this returns true.  Before it
 * begins told (NULL: none) is called, to write down where others find it: where that fails, or we
 * are killed before, it never begins.  Where this fails later it is killed. */
bool wh_process_leave(struct wh_op *op, const struct wh_program *p,
                      bool (*told)(struct wh_op *, pid_t, void *arg), void *arg, pid_t *pid);

/* End a process that is not ours: SIGTERM and, if it has not ended 5 s later, SIGKILL.  sure is
 * asked first, of a process that can no longer be exchanged for another.  *was: it was that one. */
bool wh_process_end(struct wh_op *op, pid_t pid, bool (*sure)(pid_t pid, const void *arg),
                    const void *arg, bool *was);

/* A process's command line, its arguments between NULs; 0: there is none to be had. */
size_t wh_process_arguments(pid_t pid, char *text, size_t size);

#endif
