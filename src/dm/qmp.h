/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's monitor protocol: a client that takes QEMU for hostile.
 *
 *     struct wh_qmp *q = wh_qmp_open(op, fd);                     greeting, capabilities
 *     wh_qmp_call(op, q, "stop", NULL, -1, NULL)
 *     wh_qmp_await(op, q, "STOP", NULL)
 *     wh_qmp_close(q);
 *
 * Every call has ten seconds, or what its step has left.  What QEMU says is bounded: a line, how deep
 * it nests, what it would take parsed, the events that wait.  A reply that breaks the protocol breaks
 * the connection for good; a refusal does not.  Errors name the command and QEMU's class and text,
 * cut and without control characters.  One thread at a time. */
#ifndef WH_DM_QMP_H
#define WH_DM_QMP_H

#include <json-c/json.h>

#include "base/op.h"

#define WH_QMP_MS 10000             /* for an answer */
#define WH_QMP_LINE (1u << 20)      /* bytes of one message, libxl's bound */
#define WH_QMP_EVENTS 64            /* that wait to be taken; of more the oldest go */

struct wh_qmp;

struct wh_qmp_version {
    unsigned major, minor, micro;
};

/* On a connected stream socket, which is closed with it, and here when this fails (NULL). */
struct wh_qmp *wh_qmp_open(struct wh_op *op, int fd);

/* Connect to a socket in the file system: a descriptor, or -1.  connect: and open it. */
int wh_qmp_dial(struct wh_op *op, const char *path);
struct wh_qmp *wh_qmp_connect(struct wh_op *op, const char *path);

/* A file that is locked as long as this is open (lock is taken over), and removed at its end. */
void wh_qmp_hold(struct wh_qmp *q, int lock, const char *path);

/* NULL is let be. */
void wh_qmp_close(struct wh_qmp *q);

struct wh_qmp_version wh_qmp_version(const struct wh_qmp *q);

/* Command with its arguments (taken; NULL: none) and a descriptor to pass (lent; -1: none).  *answer
 * is its "return", the caller's to put; NULL: not wanted.  Fails with WH_PEER where QEMU refuses,
 * breaks the protocol or has gone, WH_TIMEOUT, WH_CANCELLED.  A call that was given up on stays made:
 * its reply is passed over when it comes. */
bool wh_qmp_call(struct wh_op *op, struct wh_qmp *q, const char *command, json_object *arguments,
                 int fd, json_object **answer);

/* The same within so many milliseconds, for what takes longer. */
bool wh_qmp_call_within(struct wh_op *op, struct wh_qmp *q, int64_t ms, const char *command,
                        json_object *arguments, int fd, json_object **answer);

/* The same in two: no other call comes between.  Where there is no end the reply is passed over. */
bool wh_qmp_begin(struct wh_op *op, struct wh_qmp *q, const char *command, json_object *arguments);
bool wh_qmp_end(struct wh_op *op, struct wh_qmp *q, int64_t ms, const char *command,
                json_object **answer);

/* Pass it a descriptor (lent), which it keeps in a set: "/dev/fdset/SET" opens it.  remove-fd gives it
 * back. */
bool wh_qmp_add_fd(struct wh_op *op, struct wh_qmp *q, int fd, uint64_t *set);

/* Whether the last failure of wh_qmp_call was QEMU's refusal with this class. */
bool wh_qmp_refused(const struct wh_qmp *q, const char *class);

/* The first event of that name that has come, or comes within the step's time.  *data: the caller's
 * to put, may be NULL; NULL: not wanted. */
bool wh_qmp_await(struct wh_op *op, struct wh_qmp *q, const char *event, json_object **data);

/* Whether such an event is among those that wait to be taken. */
bool wh_qmp_had(const struct wh_qmp *q, const char *event);

/* The descriptor, to poll; and what has come, without waiting: false, QEMU has gone. */
int wh_qmp_fd(const struct wh_qmp *q);
bool wh_qmp_look(struct wh_op *op, struct wh_qmp *q);

#endif
