/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's image on its way out.  Save (into a file) and send (to another host) share it:
 *
 *     wh_outgoing_find     the domain, its configuration, its QEMU; refused is what no    running
 *                          restore could give it again
 *     wh_outgoing_begin    the configuration, what never changes                          running
 *     wh_outgoing_rounds   live: its pages, round by round                                running
 *     wh_outgoing_stop     the guest suspends, its devices stop                         suspended
 *     wh_outgoing_rest     pages, processors, devices; all but the stream's END         suspended
 *     wh_outgoing_end      END: who reads it has the whole guest
 *     wh_outgoing_still    whether it stayed suspended all the while
 *
 * What it does to the guest stands on the undo list.  .sink is the caller's to open, and to name. */
#ifndef WH_FLOW_OUTGOING_H
#define WH_FLOW_OUTGOING_H

#include "base/sink.h"
#include "dm/state.h"
#include "mem/again.h"
#include "mem/live.h"
#include "wherry.h"
#include "xen/here.h"

struct wh_outgoing {
    struct wh_here *here;
    struct wh_domain d;
    char *name, *json;                  /* NULL: it has no name */
    struct wh_sink sink;
    struct wh_index index;
    struct wh_save save;
    struct wh_live live;                /* .told and .arg are the caller's to set */
    bool leaves;                        /* to another host: its disks are to be that one's */
    uint64_t elsewhere_ms;              /* that the pause takes at who reads it */
    struct wh_again again;              /* used if .save.again is it */
    const char *not_live;               /* why it was not copied while it ran; NULL: it was */
    struct wh_qmp *qmp;                 /* an HVM guest's QEMU; NULL: there is none */
    char machine[64];
    struct wh_state_taking taking;
    uint8_t *state;                     /* of its devices */
    size_t state_n;
    int64_t stopped_ns;                 /* when the guest was asked to suspend */
};

void wh_outgoing_init(struct wh_outgoing *o, struct wh_here *h);
/* What it keeps; wh_outgoing_let_go came before. */
void wh_outgoing_free(struct wh_outgoing *o);
/* Let go of QEMU and of what is mapped, before the guest runs on or is destroyed. */
void wh_outgoing_let_go(struct wh_outgoing *o);

/* config: a file that is to stand for the stored configuration, or NULL. */
bool wh_outgoing_find(struct wh_op *op, struct wh_outgoing *o, const char *who, const char *config);
bool wh_outgoing_begin(struct wh_op *op, struct wh_outgoing *o);
bool wh_outgoing_rounds(struct wh_op *op, struct wh_outgoing *o, const struct wh_live_how *how);
bool wh_outgoing_stop(struct wh_op *op, struct wh_outgoing *o);
bool wh_outgoing_rest(struct wh_op *op, struct wh_outgoing *o);
bool wh_outgoing_end(struct wh_op *op, struct wh_outgoing *o);
bool wh_outgoing_still(struct wh_op *op, struct wh_outgoing *o);
/* The guest alone, where QEMU has been let go. */
bool wh_outgoing_still_suspended(struct wh_op *op, const struct wh_outgoing *o);

/* It is to run on here: nobody needs to know any more what is written to. */
bool wh_outgoing_rounds_end(struct wh_op *op, struct wh_outgoing *o);

/* Where the guest is after a failure that was undone, asked of Xen: behind why it failed.  what_not:
 * "%s was not written". */
void wh_outgoing_say_where(struct wh_op *op, const struct wh_outgoing *o, const char *what_not);

#endif
