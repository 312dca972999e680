/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The handoff's tables, and what they decide. */
#include "flow/handoff.h"

#include <string.h>

#include "base/own.h"

#define S(state) (1u << WH_SOURCE_##state)
#define T(state) (1u << WH_TARGET_##state)

/* What a state is called, what may follow it, and what becomes of the copy of a side that asks
 * nobody.  One that intends to give the guest away must ask: see below. */
struct row {
    const char *name;
    unsigned next;
    enum wh_fate fate;
};

/* clang-format off */
static const struct row sources[] = {
    [WH_SOURCE_COPYING]   = { "copying",   S(SUSPENDED) | S(OURS), WH_FATE_RUN },
    [WH_SOURCE_SUSPENDED] = { "suspended", S(SENT)      | S(OURS), WH_FATE_RUN },
    [WH_SOURCE_SENT]      = { "sent",      S(INTENT)    | S(OURS), WH_FATE_RUN },
    [WH_SOURCE_INTENT]    = { "intent",    S(DONE)      | S(OURS), WH_FATE_WAIT },
    [WH_SOURCE_DONE]      = { "done",      0,                      WH_FATE_DESTROY },
    [WH_SOURCE_OURS]      = { "ours",      0,                      WH_FATE_RUN },
};

static const struct row targets[] = {
    [WH_TARGET_UNKNOWN]   = { "unknown",   T(RECEIVING),             WH_FATE_WAIT },
    [WH_TARGET_RECEIVING] = { "receiving", T(READY)     | T(ABORTED), WH_FATE_DESTROY },
    [WH_TARGET_READY]     = { "ready",     T(COMMITTED) | T(ABORTED), WH_FATE_DESTROY },
    [WH_TARGET_COMMITTED] = { "committed", T(UNKNOWN),               WH_FATE_RUN },
    [WH_TARGET_ABORTED]   = { "aborted",   T(UNKNOWN),               WH_FATE_DESTROY },
};
/* clang-format on */

/* What a source that intends does when the target's record says this.  Only what can never change
 * again settles it; of the others the answer may be old by the time it is read. */
static const enum wh_fate answers[] = {
    [WH_TARGET_UNKNOWN] = WH_FATE_WAIT,
    [WH_TARGET_RECEIVING] = WH_FATE_WAIT,
    [WH_TARGET_READY] = WH_FATE_WAIT,
    [WH_TARGET_COMMITTED] = WH_FATE_DESTROY,
    [WH_TARGET_ABORTED] = WH_FATE_RUN,
};

static bool find(const struct row *rows, unsigned n, const char *name, unsigned *state)
{
    for (*state = 0; *state < n; ++*state)
        if (strcmp(rows[*state].name, name) == 0)
            return true;
    return false;
}

const char *wh_source_state_name(enum wh_source_state state)
{
    return (unsigned)state < WH_COUNT(sources) ? sources[state].name : "?";
}

const char *wh_target_state_name(enum wh_target_state state)
{
    return (unsigned)state < WH_COUNT(targets) ? targets[state].name : "?";
}

bool wh_source_state_named(const char *name, enum wh_source_state *state)
{
    unsigned i;

    if (!find(sources, WH_COUNT(sources), name, &i))
        return false;
    *state = (enum wh_source_state)i;
    return true;
}

bool wh_target_state_named(const char *name, enum wh_target_state *state)
{
    unsigned i;

    if (!find(targets, WH_COUNT(targets), name, &i))
        return false;
    *state = (enum wh_target_state)i;
    return true;
}

bool wh_source_may(enum wh_source_state from, enum wh_source_state to)
{
    return (unsigned)from < WH_COUNT(sources) && (unsigned)to < WH_COUNT(sources) &&
           (sources[from].next & 1u << to);
}

bool wh_target_may(enum wh_target_state from, enum wh_target_state to)
{
    return (unsigned)from < WH_COUNT(targets) && (unsigned)to < WH_COUNT(targets) &&
           (targets[from].next & 1u << to);
}

/* A host that is fenced and yet tells of a process that lives is not fenced: wait.  One that has
 * no record of the job was put up anew, or is not asked by its own disk: the operator's word. */
static enum wh_fate intent_fate(bool answered, enum wh_target_state state, bool fenced)
{
    if (answered && (unsigned)state >= WH_COUNT(answers))
        return WH_FATE_WAIT;
    if (answered && state != WH_TARGET_UNKNOWN)
        return answers[state];
    return fenced ? WH_FATE_RUN : WH_FATE_WAIT;
}

enum wh_fate wh_source_fate(enum wh_source_state state, bool answered, enum wh_target_state target,
                            bool fenced)
{
    if ((unsigned)state >= WH_COUNT(sources))
        return WH_FATE_WAIT;
    return state == WH_SOURCE_INTENT ? intent_fate(answered, target, fenced) : sources[state].fate;
}

enum wh_fate wh_target_fate(enum wh_target_state state)
{
    return (unsigned)state < WH_COUNT(targets) ? targets[state].fate : WH_FATE_WAIT;
}
