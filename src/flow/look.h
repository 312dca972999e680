/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What there is under a path that somebody else named, without ever waiting for longer than said:
 * a server of files that is gone holds up a thread of its own, not the operation. */
#ifndef WH_FLOW_LOOK_H
#define WH_FLOW_LOOK_H

#include <sys/types.h>

#include "base/op.h"

struct wh_look {
    int sys;                    /* errno: it cannot be seen or read; ETIMEDOUT: no answer; 0: it is there */
    mode_t mode;                /* its type and permissions */
    bool writable;              /* as far as the file system and the device go */
    uint64_t bytes;             /* of a file or a block device */
};

/* False only where the operation was stopped, or no thread is to be had.  Nothing is opened but
 * files and block devices, for reading. */
bool wh_look(struct wh_op *op, const char *path, int64_t most_ms, struct wh_look *l);

#endif
