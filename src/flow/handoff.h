/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handoff: how a guest that has been copied comes to run there and no longer here.  What is
 * here decides and does nothing: states as they stand in the two sides' records, what may follow
 * what, and what becomes of a side's copy.  docs/handoff.md is the specification,
 * tests/sim/test_handoff.c tries every order of every fault on it.
 *
 *     source                                    target
 *     copying     the guest runs      stream    receiving   a copy is built, paused
 *     suspended   it does not         ------>
 *     sent        all is sent                   ready       it is whole, and waits
 *                                   <- READY
 *     intent      may run there       COMMIT ->
 *                                               committed   runs here
 *     done        runs there       <- RUNNING
 *     ours        runs here again       BYE ->  aborted     never runs here
 *
 * Each state is on disk before what it permits is done. */
#ifndef WH_FLOW_HANDOFF_H
#define WH_FLOW_HANDOFF_H

#include <stdbool.h>

enum wh_source_state {
    WH_SOURCE_COPYING,          /* the guest runs here and is copied */
    WH_SOURCE_SUSPENDED,        /* it has been asked to suspend */
    WH_SOURCE_SENT,             /* the stream has its end */
    WH_SOURCE_INTENT,           /* the target may have been told to run it */
    WH_SOURCE_DONE,             /* it has committed: the copy here is to be destroyed, or was */
    WH_SOURCE_OURS,             /* it never will: the copy here runs, or is to */
};

enum wh_target_state {
    WH_TARGET_UNKNOWN,          /* it has no record of the job */
    WH_TARGET_RECEIVING,
    WH_TARGET_READY,            /* whole, paused: waits to be told */
    WH_TARGET_COMMITTED,        /* the copy here runs, or is to; or ran and has ended */
    WH_TARGET_ABORTED,          /* the copy here is to be destroyed, or was; for ever */
};

/* What becomes of a side's own copy. */
enum wh_fate {
    WH_FATE_RUN,
    WH_FATE_DESTROY,
    WH_FATE_WAIT,               /* leave it as it is: not running */
};

/* As they stand in a record and in an answer: "copying", "committed".  A name that is none leaves
 * *state alone. */
const char *wh_source_state_name(enum wh_source_state state);
const char *wh_target_state_name(enum wh_target_state state);
bool wh_source_state_named(const char *name, enum wh_source_state *state);
bool wh_target_state_named(const char *name, enum wh_target_state *state);

/* Whether a record may go from one state to the other.  To what it is already: no, so that a
 * message that comes twice is seen.  To unknown: the record is removed. */
bool wh_source_may(enum wh_source_state from, enum wh_source_state to);
bool wh_target_may(enum wh_target_state from, enum wh_target_state to);

/* What becomes of the source's copy where nobody works on it any more.  answered: the target's
 * side has told what its record says (and settled it first, if its process is gone); otherwise
 * target means nothing.  fenced: the operator says that the target's host is off, or has been since.
 *
 * RUN: bring "ours" to disk, then resume the guest.  DESTROY: bring "done" to disk, then destroy
 * it.  That order matters: whoever comes next decides by the record, and must decide the same. */
enum wh_fate wh_source_fate(enum wh_source_state state, bool answered, enum wh_target_state target,
                            bool fenced);

/* The same at the target, when its process is gone or its link is lost.  DESTROY: bring "aborted"
 * to disk first.  RUN: only what was built in this boot of the host and has not run yet. */
enum wh_fate wh_target_fate(enum wh_target_state state);

#endif
