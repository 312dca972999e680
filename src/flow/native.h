/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What two wherries say beside the stream (docs/handoff.md).  Each message is a JSON object with a
 * "type" and the move's "job":
 *
 *     hello     both, first: "version", "oldest", "wherry", "can"; the source's "purpose": to "move" a
 *               guest, only to "look" whether it could, to "ask" what became of a move; its "facts",
 *               "name", "paused", "alone" (nobody monitors it); the target's "checks"
 *     stream
 *     prepared  target: within the stream's first part, what can be connected before the guest is
 *               suspended is; "rest_ms": what it reckons that the rest takes ("prepares" on both sides)
 *     ready     target: it has all of the guest          (none of this in a look)
 *     commit    source: run it
 *     running   target: it does
 *     answer    target: "state", to one who asks, and to a commit that is refused or comes too late: "text"
 *     bye       source: the target may forget the move
 *     failed    either: "text" */
#ifndef WH_FLOW_NATIVE_H
#define WH_FLOW_NATIVE_H

#include "flow/handoff.h"
#include "link/dial.h"
#include "link/parcel.h"
#include "xen/here.h"

#define WH_NATIVE_VERSION 1
#define WH_NATIVE_OLDEST 1

/* The first 54 bytes that any receiver says, wherry or xl. */
#define WH_BANNER "xl migration receiver ready, send binary domain data.\n"
#define WH_BANNER_BYTES (sizeof WH_BANNER - 1)

json_object *wh_native_message(const char *type, const char *job);
bool wh_native_say(struct wh_op *op, struct wh_parcel *p, const char *type, const char *job);

/* The next message, which is to be of that type and about that job; *o is to be freed. */
bool wh_native_await(struct wh_op *op, struct wh_parcel *p, const char *type, const char *job,
                     json_object **o);

/* Whether it speaks a version that we do. */
bool wh_native_agrees(struct wh_op *op, const struct wh_parcel *p, json_object *hello);
bool wh_native_can(json_object *hello, const char *what);
void wh_native_introduce(json_object *hello);

/* A new link to a receiver: its banner has been read.  The parcel is raw until the caller says otherwise. */
bool wh_native_reach(struct wh_op *op, const struct wh_destination *to, struct wh_dialled *link,
                     struct wh_parcel *p);
/* Say it though we have failed, if it can be said: op->err stays.  o is freed. */
void wh_native_say_last(struct wh_op *op, struct wh_parcel *p, json_object *o);
/* Tell the other end why, if it can be told and ok does not say that it was, and hang up. */
int wh_native_leave(struct wh_op *op, struct wh_dialled *link, struct wh_parcel *p, bool ok);

/* What the target's record says of a move.  done: the source's record is on disk as "done" or "ours": the
 * target may forget it.  False: there was no answer, and op->err says why. */
bool wh_native_ask(struct wh_op *op, const struct wh_destination *to, const char *job,
                   enum wh_target_state *state, bool done);

#endif
