/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest being handed over, as small as it can be: two hosts, a record and a copy of the guest on
 * each, at most one process on each that holds the record, and a network that loses, repeats and
 * reorders.  One step is one thing that can be told from the next by a crash: a write, an fsync, a
 * message, a domain let run or destroyed.  Every decision is flow/handoff.c's. */
#ifndef WH_TESTS_SIM_HANDOFF_WORLD_H
#define WH_TESTS_SIM_HANDOFF_WORLD_H

#include <stdint.h>

#include "flow/handoff.h"

/* Where the source's process is; a recover that was started there is one too. */
enum source_at {
    S_GONE,                     /* no process */
    S_COPY, S_SYNC_SUSPENDED, S_SUSPEND, S_END, S_SYNC_SENT, S_AWAIT_READY, S_SYNC_INTENT, S_COMMIT,
    S_AWAIT_RUNNING,
    S_GIVE_UP, S_SYNC_GIVEN_UP, /* before it intended */
    S_LOOK, S_ASK, S_AWAIT_ANSWER,
    S_SYNC_OURS, S_RESUME, S_SYNC_DONE, S_DESTROY, S_BYE,
};

enum target_at {
    T_GONE,
    T_SYNC_RECEIVING, T_BUILD, T_AWAIT_END, T_SYNC_READY, T_READY, T_AWAIT_COMMIT, T_SYNC_COMMITTED,
    T_LOOK, T_UNPAUSE, T_ABORT, T_SYNC_ABORTED, T_DESTROY, T_ANSWER, T_AWAIT_BYE, T_FORGET,
};

/* For whom the target's process works: the stream, recover, one who asks, one who says BYE. */
enum target_for { FOR_STREAM, FOR_RECOVER, FOR_ASK, FOR_BYE };

enum copy {
    COPY_NONE,
    COPY_STILL,                 /* suspended; at the target: paused, and has never run */
    COPY_TORN,                  /* half destroyed */
    COPY_RUNS,
};

/* ANSWER + a target's state is the answer; RUNNING is the answer that it has committed. */
enum message { END, READY, COMMIT, ASK, BYE, ANSWER, MESSAGES = ANSWER + WH_TARGET_ABORTED + 1 };

struct world {
    /* A record as those who read it see it, and as a crash of the host leaves it. */
    enum wh_source_state s_seen, s_disk;
    enum wh_target_state t_seen, t_disk;
    enum copy s_copy, t_copy;
    enum source_at s_at;
    enum target_at t_at;
    enum target_for t_for;
    bool s_up, t_up;
    unsigned net;               /* a bit for each message that is under way, once or more often */
    bool opened;                /* the target has been told of the job: once */
    bool fenced;                /* the operator has said, truly, that the target's host is off */
    bool ran_there;             /* from here on the source's copy is an old one */
    bool s_lost, t_lost;        /* a copy went down with its host; the target's: a committed one */
    bool record_lost;           /* the target's record went, without BYE */
    const char *wrong;          /* a rule that the last step broke; NULL: none */
};

/* Ways to break the protocol, to see that it would be seen. */
enum breakage {
    AS_DESIGNED,
    RUN_BEFORE_COMMITTED, RUN_BEFORE_FSYNC, RUN_WHAT_IS_READY, COMMIT_AFTER_ABORT,
    DESTROY_BEFORE_TOMBSTONE, NO_TOMBSTONE, ABORT_AFTER_COMMITTED, DESTROY_COMMITTED,
    FORGET_BEFORE_BYE, ANSWER_BEFORE_FSYNC, SETTLE_UNDER_A_PROCESS,
    COMMIT_BEFORE_INTENT, COMMIT_BEFORE_FSYNC, RESUME_ON_TIMEOUT, RESUME_ON_READY,
    RESUME_ON_UNKNOWN, RESUME_BEFORE_OURS, RESUME_BY_NAME, DESTROY_ON_COMMIT, DESTROY_BEFORE_DONE,
    BYE_BEFORE_OURS, FENCE_THAT_IS_NONE,
    BREAKAGES,
};
extern enum breakage broken;

/* Do not call it wrong that a record is not what it must be; only what comes of it. */
extern bool only_harm;

void world_begin(struct world *w);

/* Everything that can happen next, each told of with what it is. */
typedef void world_told(void *arg, const char *what, const struct world *next);
void world_next(const struct world *w, world_told *told, void *arg);

/* The rule that this world breaks; NULL: none. */
const char *world_wrong(const struct world *w);

/* Run recover on one host, on a network that works, to its end. */
void world_recover_source(struct world *w);
void world_recover_target(struct world *w);

#endif
