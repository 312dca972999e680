/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far an operation is, where other processes can read it: beside each record of leftover.h that is
 * worked on stands a file of the same name in a folder that does not outlive the host.
 *
 *     /run/wherry/save-3.json     { "pid": 812, "start": 51234, "step": "copy the running guest",
 *                                   "bytes": 104857600, "total_bytes": 167772160,
 *                                   "bytes_per_second": 52428800, "seconds_left": 1 }
 *
 * It is exchanged as a whole at each step and about once a second, and goes with the operation.  It is
 * for people: no failure of it is one of the operation, nothing is brought to disk, nobody goes by
 * it.  One of a process that is dead is what a killed command left. */
#ifndef WH_FLOW_GAUGE_H
#define WH_FLOW_GAUGE_H

#include <json-c/json.h>
#include <sys/types.h>

#include "xen/here.h"

struct wh_gauge;

/* From here on it is written, for the record at this path.  *g is freed by wh_gauge_end, which may be
 * called of none (NULL), and leaves NULL. */
void wh_gauge_begin(struct wh_op *op, const struct wh_here *h, struct wh_gauge **g,
                    const char *record);
void wh_gauge_end(struct wh_op *op, struct wh_gauge **g);

/* What is written there of the operation whose record this is, to be freed; NULL: nothing. */
json_object *wh_gauge_read(const struct wh_here *h, const char *name, json_object *record);

/* Remove what killed commands left. */
void wh_gauge_sweep(const struct wh_here *h);

/* When the process began, in clock ticks since the host did; 0: there is no such process.  With its
 * number that is one process and no other. */
uint64_t wh_gauge_started(pid_t pid);

/* Whether the process of a record or a gauge is still that one. */
bool wh_gauge_lives(json_object *o);

#endif
