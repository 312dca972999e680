/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can happen to a guest that is being handed over. */
#include "handoff_world.h"

#include <stddef.h>

#include "base/own.h"

enum breakage broken;
bool only_harm;

void world_begin(struct world *w)
{
    *w = (struct world){ .s_copy = COPY_RUNS, .s_at = S_COPY, .s_up = true, .t_up = true };
}

/* ---- parts of steps ---- */

static void wrong(struct world *w, const char *what)
{
    if (!w->wrong)
        w->wrong = what;
}

static void wrong_record(struct world *w, const char *what)
{
    if (!only_harm)
        wrong(w, what);
}

static void send(struct world *w, unsigned message)
{
    w->net |= 1u << message;
}

static void s_write(struct world *w, enum wh_source_state to)
{
    if (!wh_source_may(w->s_seen, to))
        wrong_record(w, "the source's record goes where the table does not let it");
    w->s_seen = to;
}

static void t_write(struct world *w, enum wh_target_state to)
{
    if (!wh_target_may(w->t_seen, to))
        wrong_record(w, "the target's record goes where the table does not let it");
    w->t_seen = to;
}

static void s_run(struct world *w)
{
    if (w->s_copy == COPY_TORN)
        wrong(w, "the source runs what it has begun to destroy");
    if (w->s_copy == COPY_STILL)
        w->s_copy = COPY_RUNS;
}

static void s_destroy(struct world *w)
{
    if (w->s_copy == COPY_RUNS)
        wrong(w, "the source destroys a guest that runs");
    if (w->s_copy != COPY_NONE && w->s_disk != WH_SOURCE_DONE)
        wrong_record(w, "the source destroys its copy and its record does not say so yet");
    if (w->s_copy != COPY_NONE && w->t_copy == COPY_NONE && !w->ran_there && !w->t_lost)
        wrong(w, "the source destroys the only copy");
    w->s_copy = w->s_copy == COPY_STILL ? COPY_TORN : COPY_NONE;
}

static void t_run(struct world *w)
{
    if (w->t_copy != COPY_STILL)
        return;
    w->t_copy = COPY_RUNS;
    w->ran_there = true;
}

static void t_destroy(struct world *w)
{
    if (w->t_copy == COPY_RUNS)
        wrong(w, "the target destroys a guest that runs");
    if (w->t_copy != COPY_NONE && w->t_disk != WH_TARGET_ABORTED)
        wrong_record(w, "the target destroys its copy and its record does not say so yet");
    if (w->t_copy != COPY_NONE && w->s_copy == COPY_NONE && !w->s_lost)
        wrong(w, "the target destroys the only copy");
    w->t_copy = w->t_copy == COPY_STILL ? COPY_TORN : COPY_NONE;
}

/* ---- the source's process ---- */

static enum wh_fate s_fate(const struct world *w, bool answered, enum wh_target_state said)
{
    bool intends = w->s_seen == WH_SOURCE_INTENT;

    if (intends && !answered && broken == RESUME_ON_TIMEOUT)
        return WH_FATE_RUN;
    if (intends && answered && said == WH_TARGET_READY && broken == RESUME_ON_READY)
        return WH_FATE_RUN;
    if (intends && answered && said == WH_TARGET_UNKNOWN && broken == RESUME_ON_UNKNOWN)
        return WH_FATE_RUN;
    return wh_source_fate(w->s_seen, answered, said, w->fenced);
}

static void s_settle(struct world *w, bool answered, enum wh_target_state said)
{
    switch (s_fate(w, answered, said)) {
    case WH_FATE_RUN:
        w->s_at = S_RESUME;
        if (w->s_seen == WH_SOURCE_INTENT && broken == RESUME_BEFORE_OURS) {
            s_run(w);
            w->s_at = S_GIVE_UP;
        } else if (wh_source_may(w->s_seen, WH_SOURCE_OURS)) {
            s_write(w, WH_SOURCE_OURS);
            w->s_at = S_SYNC_OURS;
        }
        return;
    case WH_FATE_DESTROY:
        w->s_at = S_DESTROY;
        if (wh_source_may(w->s_seen, WH_SOURCE_DONE) && broken != DESTROY_BEFORE_DONE) {
            s_write(w, WH_SOURCE_DONE);
            w->s_at = S_SYNC_DONE;
        }
        return;
    case WH_FATE_WAIT:
        w->s_at = S_GONE;
        return;
    }
}

/* What was written comes to disk, or does not. */
static void s_sync(struct world *w, bool well, enum source_at then, enum source_at otherwise)
{
    if (well)
        w->s_disk = w->s_seen;
    w->s_at = well ? then : otherwise;
}

/* Up to where it intends.  What goes wrong there leaves the guest running here, whether or not
 * that can be written down: nobody has been told to run it. */
static bool s_before(struct world *w, bool well)
{
    bool moves = w->s_at != S_AWAIT_READY && (w->s_at != S_COPY || w->opened);

    if (well && !moves)
        return false;
    if (!well && w->s_at != S_SYNC_SUSPENDED && w->s_at != S_SYNC_SENT &&
        w->s_at != S_SYNC_INTENT) {
        w->s_at = S_GIVE_UP;
        return true;
    }
    switch (w->s_at) {
    case S_COPY:
        s_write(w, WH_SOURCE_SUSPENDED);
        w->s_at = S_SYNC_SUSPENDED;
        return true;
    case S_SYNC_SUSPENDED:
        s_sync(w, well, S_SUSPEND, S_GIVE_UP);
        return true;
    case S_SUSPEND:
        w->s_copy = COPY_STILL;
        w->s_at = S_END;
        return true;
    case S_END:
        send(w, END);
        s_write(w, WH_SOURCE_SENT);
        w->s_at = S_SYNC_SENT;
        return true;
    case S_SYNC_SENT:
        s_sync(w, well, S_AWAIT_READY, S_GIVE_UP);
        return true;
    default:
        s_sync(w, well, S_COMMIT, S_GIVE_UP);       /* S_SYNC_INTENT */
        return true;
    }
}

static bool s_after(struct world *w, bool well)
{
    switch (w->s_at) {
    case S_COMMIT:
        send(w, COMMIT);
        w->s_at = broken == COMMIT_BEFORE_INTENT || broken == COMMIT_BEFORE_FSYNC ? S_SYNC_INTENT
                                                                                  : S_AWAIT_RUNNING;
        if (broken == COMMIT_BEFORE_INTENT)
            s_write(w, WH_SOURCE_INTENT);
        if (broken == DESTROY_ON_COMMIT)
            s_settle(w, true, WH_TARGET_COMMITTED);
        return well;
    case S_SYNC_INTENT:                             /* only where the order is broken */
        s_sync(w, well, S_AWAIT_RUNNING, S_GONE);
        return true;
    case S_AWAIT_RUNNING:
        w->s_at = S_ASK;                            /* over a new link */
        return !well;
    case S_GIVE_UP:
        if (well)
            s_write(w, WH_SOURCE_OURS);
        w->s_at = well ? S_SYNC_GIVEN_UP : S_RESUME;
        return true;
    case S_SYNC_GIVEN_UP:
        s_sync(w, well, S_RESUME, S_RESUME);
        return true;
    case S_LOOK:
        s_sync(w, well, S_ASK, S_GONE);
        if (well && w->s_seen != WH_SOURCE_INTENT)
            s_settle(w, false, WH_TARGET_UNKNOWN);
        return true;
    case S_ASK:
        send(w, ASK);
        w->s_at = S_AWAIT_ANSWER;
        return well;
    case S_AWAIT_ANSWER:
        s_settle(w, false, WH_TARGET_UNKNOWN);
        return !well;
    default:
        return false;
    }
}

static bool s_end(struct world *w, bool well)
{
    switch (w->s_at) {
    case S_SYNC_OURS:
        s_sync(w, well, S_RESUME, S_GONE);
        return true;
    case S_RESUME:
        s_run(w);
        /* BYE lets the target forget: not while a record here would still ask it. */
        w->s_at = w->s_disk == WH_SOURCE_OURS || broken == BYE_BEFORE_OURS ? S_BYE : S_GONE;
        return well;
    case S_SYNC_DONE:
        s_sync(w, well, S_DESTROY, S_GONE);
        return true;
    case S_DESTROY:
        s_destroy(w);
        if (w->s_copy == COPY_NONE)
            w->s_at = S_BYE;
        if (w->s_copy == COPY_NONE && wh_source_may(w->s_seen, WH_SOURCE_DONE)) {
            s_write(w, WH_SOURCE_DONE);             /* only where the order is broken */
            w->s_at = S_SYNC_DONE;
        }
        return well;
    case S_BYE:
        send(w, BYE);
        w->s_at = S_GONE;
        return well;
    default:
        return false;
    }
}

/* One step of the source's process: well, or not (it fails, or what it waits for does not come in
 * time).  False: there is no such step. */
static bool s_step(struct world *w, bool well)
{
    bool out_of_order = w->s_at == S_SYNC_INTENT &&
                        (broken == COMMIT_BEFORE_INTENT || broken == COMMIT_BEFORE_FSYNC);

    struct world before = *w;

    if (w->s_at == S_GONE)
        return false;
    if (w->s_at <= S_SYNC_INTENT && !out_of_order ? s_before(w, well)
        : w->s_at < S_SYNC_OURS ? s_after(w, well) : s_end(w, well))
        return true;
    *w = before;
    return false;
}

static bool s_take(struct world *w, unsigned message)
{
    if (w->s_at == S_AWAIT_READY && message == READY) {
        w->s_at = S_SYNC_INTENT;
        if (broken == COMMIT_BEFORE_INTENT || broken == COMMIT_BEFORE_FSYNC)
            w->s_at = S_COMMIT;
        if (broken != COMMIT_BEFORE_INTENT)
            s_write(w, WH_SOURCE_INTENT);
        return true;
    }
    if (w->s_at == S_AWAIT_READY && message == ANSWER + WH_TARGET_ABORTED) {
        w->s_at = S_GIVE_UP;
        return true;
    }
    if (message < ANSWER || (w->s_at != S_AWAIT_RUNNING && w->s_at != S_AWAIT_ANSWER))
        return false;
    s_settle(w, true, message - ANSWER);
    return true;
}

/* ---- the target's process ---- */

static void t_sync(struct world *w, bool well, enum target_at then, enum target_at otherwise)
{
    if (well)
        w->t_disk = w->t_seen;
    w->t_at = well ? then : otherwise;
}

static void t_open(struct world *w)
{
    t_write(w, WH_TARGET_RECEIVING);
    w->opened = true;
    w->t_at = T_SYNC_RECEIVING;
    w->t_for = FOR_STREAM;
}

static void t_settle(struct world *w)
{
    enum wh_fate fate = wh_target_fate(w->t_seen);

    if (w->t_seen == WH_TARGET_READY && broken == RUN_WHAT_IS_READY)
        fate = WH_FATE_RUN;
    if (w->t_seen == WH_TARGET_COMMITTED && broken == DESTROY_COMMITTED && w->t_copy == COPY_STILL)
        fate = WH_FATE_DESTROY;
    w->t_at = fate == WH_FATE_RUN ? T_UNPAUSE
            : fate == WH_FATE_WAIT ? T_ANSWER
            : wh_target_may(w->t_seen, WH_TARGET_ABORTED) ? T_ABORT : T_DESTROY;
}

/* Up to READY; what goes wrong there aborts the job, as does a link that is lost. */
static bool t_before(struct world *w, bool well)
{
    if (!well) {
        w->t_at = T_ABORT;
        return true;
    }
    switch (w->t_at) {
    case T_SYNC_RECEIVING:
        t_sync(w, well, T_BUILD, T_ABORT);
        return true;
    case T_BUILD:
        w->t_copy = COPY_STILL;
        w->t_at = T_AWAIT_END;
        return true;
    case T_SYNC_READY:
        t_sync(w, well, T_READY, T_ABORT);
        return true;
    case T_READY:
        send(w, READY);
        w->t_at = T_AWAIT_COMMIT;
        return true;
    default:
        return false;
    }
}

static bool t_abort(struct world *w, bool well)
{
    switch (w->t_at) {
    case T_ABORT:
        if (!well)
            w->t_at = T_GONE;
        else if (broken == NO_TOMBSTONE) {
            w->t_seen = w->t_disk = WH_TARGET_UNKNOWN;
            w->t_at = T_DESTROY;
        } else {
            if (broken == DESTROY_BEFORE_TOMBSTONE)
                t_destroy(w);
            if (w->t_copy != COPY_TORN || broken != DESTROY_BEFORE_TOMBSTONE) {
                t_write(w, WH_TARGET_ABORTED);
                w->t_at = T_SYNC_ABORTED;
            }
        }
        return true;
    case T_SYNC_ABORTED:
        t_sync(w, well, T_DESTROY, T_GONE);
        return true;
    default:                                        /* T_DESTROY */
        t_destroy(w);
        w->t_at = w->t_copy == COPY_NONE ? T_ANSWER : T_DESTROY;
        return well;
    }
}

static bool t_answer(struct world *w)
{
    if (w->t_for == FOR_STREAM || w->t_for == FOR_ASK)
        send(w, ANSWER + w->t_seen);
    w->t_at = w->t_for == FOR_BYE ? T_FORGET
            : w->t_for == FOR_STREAM && w->t_seen == WH_TARGET_COMMITTED ? T_AWAIT_BYE : T_GONE;
    if (w->t_at == T_AWAIT_BYE && broken == FORGET_BEFORE_BYE)
        w->t_at = T_FORGET;
    return true;
}

static bool t_unpause(struct world *w)
{
    t_run(w);
    w->t_at = T_ANSWER;
    if (broken == RUN_BEFORE_COMMITTED && w->t_seen == WH_TARGET_READY)
        t_write(w, WH_TARGET_COMMITTED);
    if ((broken == RUN_BEFORE_COMMITTED || broken == RUN_BEFORE_FSYNC) && w->t_disk != w->t_seen)
        w->t_at = T_SYNC_COMMITTED;
    return true;
}

static bool t_after(struct world *w, bool well)
{
    switch (w->t_at) {
    case T_SYNC_COMMITTED:
        /* In doubt what a crash would leave: not run, not aborted either. */
        t_sync(w, well, T_UNPAUSE, broken == ABORT_AFTER_COMMITTED ? T_ABORT : T_GONE);
        return true;
    case T_LOOK:
        t_sync(w, well, T_LOOK, T_GONE);
        if (well)
            t_settle(w);
        return true;
    case T_UNPAUSE:
        w->t_at = T_GONE;
        return !well || t_unpause(w);
    case T_ANSWER:
        return well && t_answer(w);
    case T_AWAIT_BYE:
        w->t_at = T_GONE;
        return !well;
    case T_FORGET:
        if (wh_target_may(w->t_seen, WH_TARGET_UNKNOWN))
            t_write(w, WH_TARGET_UNKNOWN);
        w->t_at = T_GONE;
        return well;
    default:
        return t_abort(w, well);
    }
}

static bool t_step(struct world *w, bool well)
{
    struct world before = *w;

    if (w->t_at == T_GONE)
        return false;
    if (w->t_at <= T_AWAIT_COMMIT ? t_before(w, well) : t_after(w, well))
        return true;
    *w = before;
    return false;
}

static void t_commit(struct world *w)
{
    if (broken != RUN_BEFORE_COMMITTED)
        t_write(w, WH_TARGET_COMMITTED);
    w->t_at = broken == RUN_BEFORE_COMMITTED || broken == RUN_BEFORE_FSYNC ? T_UNPAUSE
                                                                           : T_SYNC_COMMITTED;
}

/* Somebody asks, while a process holds the record: it is read, brought to disk, told. */
static void t_tell(struct world *w)
{
    if (broken == SETTLE_UNDER_A_PROCESS && wh_target_may(w->t_seen, WH_TARGET_ABORTED))
        t_write(w, WH_TARGET_ABORTED);
    if (broken != ANSWER_BEFORE_FSYNC)
        w->t_disk = w->t_seen;
    send(w, ANSWER + w->t_seen);
}

static bool t_takes_commit(const struct world *w)
{
    if (w->t_seen == WH_TARGET_ABORTED && w->t_at != T_GONE && broken == COMMIT_AFTER_ABORT)
        return true;
    return w->t_at == T_AWAIT_COMMIT && (wh_target_may(w->t_seen, WH_TARGET_COMMITTED) ||
                                         broken == SETTLE_UNDER_A_PROCESS);
}

static bool t_take(struct world *w, unsigned message)
{
    if (!w->t_up)
        return false;
    if (message == END && w->t_at == T_AWAIT_END) {
        t_write(w, WH_TARGET_READY);
        w->t_at = T_SYNC_READY;
    } else if (message == COMMIT && t_takes_commit(w)) {
        t_commit(w);
    } else if (message == BYE && w->t_at == T_AWAIT_BYE) {
        w->t_at = T_FORGET;
    } else if ((message == ASK || message == COMMIT) && w->t_at != T_GONE) {
        t_tell(w);
    } else if ((message == ASK || message == BYE) && w->t_at == T_GONE) {
        w->t_at = T_LOOK;
        w->t_for = message == ASK ? FOR_ASK : FOR_BYE;
    } else {
        return false;
    }
    return true;
}

/* ---- what happens to processes and hosts; false: it cannot now ---- */

static bool open_job(struct world *w)
{
    bool can = w->s_at == S_COPY && w->t_up && !w->opened;

    if (can)
        t_open(w);
    return can;
}

static bool s_kill(struct world *w)
{
    bool can = w->s_at != S_GONE;

    w->s_at = S_GONE;
    return can;
}

static bool t_kill(struct world *w)
{
    bool can = w->t_at != T_GONE;

    w->t_at = T_GONE;
    return can;
}

static bool s_recover(struct world *w)
{
    bool can = w->s_up && w->s_at == S_GONE;

    w->s_at = S_LOOK;
    return can;
}

static bool t_recover(struct world *w)
{
    bool can = w->t_up && w->t_at == T_GONE;

    w->t_at = T_LOOK;
    w->t_for = FOR_RECOVER;
    return can;
}

static bool s_by_name(struct world *w)
{
    bool can = w->s_at == S_GONE && w->s_copy == COPY_STILL && broken == RESUME_BY_NAME;

    s_run(w);
    return can;
}

static bool s_crash(struct world *w)
{
    bool can = w->s_up;

    w->s_lost |= w->s_copy != COPY_NONE;
    w->s_seen = w->s_disk;
    w->s_copy = COPY_NONE;
    w->s_at = S_GONE;
    w->s_up = false;
    return can;
}

static bool t_crash(struct world *w)
{
    bool can = w->t_up;

    w->t_lost |= w->t_copy == COPY_RUNS ||
                 (w->t_copy == COPY_STILL &&
                  (w->t_disk == WH_TARGET_COMMITTED || w->record_lost));
    w->t_seen = w->t_disk;
    w->t_copy = COPY_NONE;
    w->t_at = T_GONE;
    w->t_up = false;
    return can;
}

/* What was written comes to disk whether or not anybody asked for it. */
static bool s_flush(struct world *w)
{
    bool can = w->s_disk != w->s_seen;

    w->s_disk = w->s_seen;
    return can;
}

static bool t_flush(struct world *w)
{
    bool can = w->t_disk != w->t_seen;

    w->t_disk = w->t_seen;
    return can;
}

static bool s_boot(struct world *w)
{
    bool can = !w->s_up;

    w->s_up = true;
    return can;
}

static bool t_boot(struct world *w)
{
    bool can = !w->t_up;

    w->t_up = true;
    return can;
}

/* Said only of a host that is off, and only to a source that intends: the word is recover's option,
 * it is not kept, and recover asks for it nowhere else. */
static bool fence(struct world *w)
{
    bool can = !w->fenced && w->s_seen == WH_SOURCE_INTENT &&
               (!w->t_up || broken == FENCE_THAT_IS_NONE);

    w->fenced = true;
    return can;
}

static bool lose_record(struct world *w)
{
    bool can = !w->record_lost && w->t_at == T_GONE && w->t_seen != WH_TARGET_UNKNOWN;

    w->record_lost = true;
    w->t_seen = w->t_disk = WH_TARGET_UNKNOWN;
    return can;
}

/* clang-format off */
static const struct event {
    const char *what;
    bool (*happens)(struct world *w);
} events[] = {
    { "the target is told of the job",                open_job },
    { "the source's process is killed",               s_kill },
    { "the target's process is killed",               t_kill },
    { "recover at the source",                        s_recover },
    { "recover at the target",                        t_recover },
    { "recover of the source's domain by its name",   s_by_name },
    { "the source's host crashes",                    s_crash },
    { "the target's host crashes",                    t_crash },
    { "the source's record comes to disk by itself",  s_flush },
    { "the target's record comes to disk by itself",  t_flush },
    { "the source's host boots",                      s_boot },
    { "the target's host boots",                      t_boot },
    { "the operator says that the target is fenced",  fence },
    { "the target's record is lost",                  lose_record },
};

static const char *const taken[MESSAGES] = {
    "END", "READY", "COMMIT", "ASK", "BYE", "ANSWER unknown", "ANSWER receiving", "ANSWER ready",
    "ANSWER committed (RUNNING)", "ANSWER aborted",
};
/* clang-format on */

static void next_messages(const struct world *w, world_told *told, void *arg)
{
    for (unsigned m = 0; m < MESSAGES; m++) {
        struct world once = *w, again = *w;
        bool to_source = m == READY || m >= ANSWER;

        if (!(w->net & 1u << m))
            continue;
        once.net &= ~(1u << m);
        told(arg, "a message is lost", &once);
        if (to_source ? !s_take(&once, m) : !t_take(&once, m))
            continue;
        told(arg, taken[m], &once);
        if (to_source ? s_take(&again, m) : t_take(&again, m))
            told(arg, taken[m], &again);            /* and it will come once more */
    }
}

void world_next(const struct world *w, world_told *told, void *arg)
{
    for (int well = 0; well < 2; well++) {
        struct world s = *w, t = *w;

        if (s_step(&s, well))
            told(arg, well ? "the source goes on" : "the source fails, or waits in vain", &s);
        if (t_step(&t, well))
            told(arg, well ? "the target goes on" : "the target fails, or waits in vain", &t);
    }
    next_messages(w, told, arg);
    for (size_t i = 0; i < WH_COUNT(events); i++) {
        struct world next = *w;

        if (events[i].happens(&next))
            told(arg, events[i].what, &next);
    }
}

/* ---- what must hold ---- */

static bool s_can_run(const struct world *w)
{
    if (w->s_copy != COPY_STILL)
        return w->s_copy == COPY_RUNS;
    return wh_source_fate(w->s_seen, false, WH_TARGET_UNKNOWN, false) == WH_FATE_RUN ||
           w->s_at == S_GIVE_UP || w->s_at == S_SYNC_GIVEN_UP || w->s_at == S_RESUME;
}

static bool t_can_run(const struct world *w)
{
    if (w->t_copy != COPY_STILL)
        return w->t_copy == COPY_RUNS;
    return wh_target_fate(w->t_seen) == WH_FATE_RUN || w->t_at == T_UNPAUSE;
}

const char *world_wrong(const struct world *w)
{
    bool refused = w->t_disk == WH_TARGET_RECEIVING || w->t_disk == WH_TARGET_READY ||
                   w->t_disk == WH_TARGET_ABORTED;

    if (w->wrong)
        return w->wrong;
    if (s_can_run(w) && t_can_run(w))
        return "both copies may run";
    if (w->s_copy == COPY_RUNS && w->ran_there && !w->fenced)
        return "the source runs a copy that is older than the guest's disks";
    if (w->s_disk == WH_SOURCE_OURS && w->t_disk == WH_TARGET_COMMITTED && !w->fenced)
        return "both records claim the guest";
    if (w->s_seen == WH_SOURCE_DONE && refused)
        return "neither record claims the guest";
    return NULL;
}

/* ---- recover, where nothing goes wrong ---- */

static void t_finish(struct world *w)
{
    while (w->t_at != T_GONE)
        if (!t_step(w, true))
            t_step(w, false);
}

void world_recover_target(struct world *w)
{
    if (!w->t_up || w->t_at != T_GONE)
        return;
    w->t_at = T_LOOK;
    w->t_for = FOR_RECOVER;
    t_finish(w);
}

/* What the source has sent arrives, what it waits for comes. */
static bool carry(struct world *w)
{
    for (unsigned m = 0; m < MESSAGES; m++) {
        if (!(w->net & 1u << m))
            continue;
        w->net &= ~(1u << m);
        if (m == READY || m >= ANSWER ? s_take(w, m) : t_take(w, m)) {
            t_finish(w);
            return true;
        }
    }
    return false;
}

void world_recover_source(struct world *w)
{
    if (!w->s_up || w->s_at != S_GONE)
        return;
    w->s_at = S_LOOK;
    while (w->s_at != S_GONE)
        if (!s_step(w, true) && !carry(w))
            s_step(w, false);
    while (carry(w))
        ;
}
