/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's image on its way in.  Restore (of a file) and receive (from another host) share it:
 *
 *     wh_incoming_init     (.config_path, .given_name ... are the caller's to set)
 *     wh_walk_stream       with wh_incoming_watch and this struct: a domain is made as soon as the
 *                          configuration is known, and filled as its memory comes         paused
 *     wh_incoming_connect  processors, devices, QEMU, stored configuration                paused
 *     wh_incoming_run      devices first, then the guest                                  running
 *
 * What it makes stands on the undo list. */
#ifndef WH_FLOW_INCOMING_H
#define WH_FLOW_INCOMING_H

#include "flow/domain.h"
#include "flow/leftover.h"
#include "mem/restore.h"
#include "wire/walk.h"

struct wh_incoming {
    struct wh_here *here;
    const char *from;                   /* for texts: the file, the host */
    const char *config_path;            /* a file that is to stand for the image's, or NULL */
    const char *suffix;                 /* of its name until it is let run, or NULL */
    bool then_exit;                     /* the process ends with this */
    struct wh_leftover *record;
    bool (*made_it)(struct wh_op *op, struct wh_incoming *in);  /* a domain was; may be NULL */
    void *arg;                          /* the caller's */

    struct wh_config config;
    bool made_any, told_guest;
    struct wh_made made;
    uint64_t target_kb;                 /* what the guest may have once it runs */
    struct wh_restore mem;
    struct wh_blob emulator, physmap;   /* HVM: QEMU's state, and its nodes */
    int64_t filled_ns, set_ns;          /* when the stream was there, and the processors were set */
};

extern const struct wh_watch wh_incoming_watch;

void wh_incoming_init(struct wh_incoming *in, struct wh_here *h, const char *from);
/* Mappings and what the image carried: before the domain may have to go. */
void wh_incoming_let_go(struct wh_incoming *in);
void wh_incoming_free(struct wh_incoming *in);

/* Behind the walk: whether there was all that a guest needs. */
bool wh_incoming_connect(struct wh_op *op, struct wh_incoming *in);
/* What came of its memory, into an operation's result; before wh_incoming_let_go. */
void wh_incoming_tell(const struct wh_incoming *in, json_object *o);
bool wh_incoming_run(struct wh_op *op, struct wh_incoming *in);

#endif
