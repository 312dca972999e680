/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of leftover share: a record as a file, and who may work on its domain. */
#ifndef WH_FLOW_LEFTOVER_PARTS_H
#define WH_FLOW_LEFTOVER_PARTS_H

#include "flow/leftover.h"

/* ------------------------------------------------------------------------ leftover_file.c */

bool wh_leftover_boot(char text[40]);       /* this boot of the host */

/* Where the records are; it is made if it is not there. */
bool wh_leftover_folder(struct wh_op *op, const struct wh_here *h, char path[PATH_MAX]);

/* The folder's lock, for the moment in which a record is made or taken: a descriptor, to be closed; -1: op
 * has failed.  Waits within the step; no step begins while it is held. */
int wh_leftover_turn(struct wh_op *op, const struct wh_here *h);

/* Open l->path and lock it.  *held: somebody has it; else l->open says whether there is one. */
bool wh_leftover_take(struct wh_op *op, struct wh_leftover *l, int flags, bool *held);
void wh_leftover_let_go(struct wh_leftover *l);

/* What it says; NULL: nothing that can be read. */
json_object *wh_leftover_load(int fd);
/* Nothing ever: its maker was killed, or lost power, before anything was begun. */
bool wh_leftover_is_empty(int fd);
/* It says that from now on, and it is on disk. */
bool wh_leftover_store(struct wh_op *op, const struct wh_leftover *l, json_object *o);

/* What it says, NULL: nothing that can be read; and that is what a crash would leave. */
bool wh_leftover_bring(struct wh_op *op, const char *path, int fd, json_object **record);

bool wh_leftover_is_record(const char *name);

/* ----------------------------------------------------------------------- leftover_claim.c
 *
 * In one's turn: */

/* Whether one that nobody holds keeps others from its domain. */
bool wh_leftover_keeps(json_object *record, enum wh_leftover_for what);

/* Refuses where another record of the domain stands in the way.  but: the path of one that does not count,
 * or NULL. */
bool wh_leftover_may(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid,
                     enum wh_leftover_for what, const char *but);

/* Whether somebody holds another record of the domain that this one, at that path, speaks of. */
bool wh_leftover_busy(struct wh_op *op, const struct wh_here *h, json_object *record, const char *but,
                      bool *busy);

#endif
