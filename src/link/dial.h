/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way to another host: two descriptors, and what keeps them open.
 *
 *     web2                    a command: ssh web2 wherry migrate-receive
 *     web2, -s "ssh -p 2222"  another command, which is given the host and what is to run there
 *     anything, -s ""         the destination is the command itself
 *     unix:/run/w.sock        a socket that migrate-receive --listen waits at
 *     tcp:10.0.0.2:7000       likewise; nothing is encrypted and nobody is asked who he is: for
 *                             loopback, a tunnel, a network of its own
 *
 * Nothing that is read or written blocks: whoever uses the descriptors waits (wh_wait). */
#ifndef WH_LINK_DIAL_H
#define WH_LINK_DIAL_H

#include <stddef.h>
#include <sys/types.h>

#include "base/op.h"

struct wh_dialled {
    int in, out;                /* from the other end, and to it; may be one */
    pid_t child;                /* 0: there is none */
    bool blocked[2];            /* in and out, which are others', did, and do again when they are left */
    char what[256];             /* for texts: "web2" */
};

/* What is not said here is NULL. */
struct wh_destination {
    const char *host;
    const char *command;        /* in place of ssh; "": host is the command */
    const char *const *remote;  /* what is to run there, and its arguments, up to NULL */
};

/* Closed by wh_dial_close also after a failure. */
bool wh_dial(struct wh_op *op, struct wh_dialled *d, const struct wh_destination *to);

/* Hang up; a command gets two seconds to end.  What it ended with: an exit code, or -1. */
int wh_dial_close(struct wh_op *op, struct wh_dialled *d);

/* Our own two descriptors, which stay the caller's. */
void wh_dial_own(struct wh_dialled *d, int in, int out, const char *what);

/* They may have been made to block by whoever opened them: until wh_dial_close they do not. */
bool wh_dial_unblock(struct wh_op *op, struct wh_dialled *d);

/* Callers come to "unix:PATH" or "tcp:ADDRESS:PORT", and wait there until they are accepted, one by one
 * and within the step's time.  Ended by wh_dial_listen_no_more also after a failure. */
struct wh_listener {
    int fd;
    char path[108];             /* of a socket that is ours to remove; "" */
    char what[256];             /* for texts, of whoever comes */
};
bool wh_dial_listen(struct wh_op *op, struct wh_listener *l, const char *at);
bool wh_dial_accept(struct wh_op *op, const struct wh_listener *l, struct wh_dialled *d);
void wh_dial_listen_no_more(struct wh_listener *l);

/* Whether the destination is a socket's. */
bool wh_dial_is_socket(const char *host);

#endif
