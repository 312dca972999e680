/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cancel: a job of another process is asked to stop, and what came of that is told.
 *
 * The process is the one whose number and beginning the record has, and it holds the record: nothing
 * else is ever signalled.  What came of it is seen in the world, not in how the process ended: a cancel
 * and a job's end may cross. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/task.h"

#define WAIT_MOST_MS (UINT64_C(1) << 42)        /* a century, and in nanoseconds there is room for it */
#define LOOK_MS 100
#define NAME_MOST 64

struct cancelling {
    struct wh_task task;
    char *job;
    uint64_t wait_ms;

    char name[NAME_MOST];           /* "send-UUID" */
    json_object *record;            /* as it was last seen */
    size_t found;
};

static bool is(json_object *record, const char *verb)
{
    return strcmp(wh_json_string(record, "verb", ""), verb) == 0;
}

/* ------------------------------------------------------------------------------- which */

static bool see(struct wh_op *op, void *arg, const char *name, json_object *record)
{
    struct cancelling *c = arg;

    (void)op;
    if ((strcmp(c->job, name) != 0 && strcmp(c->job, wh_json_string(record, "job", "")) != 0) ||
        strlen(name) >= sizeof c->name)
        return true;
    snprintf(c->name, sizeof c->name, "%s", name);
    json_object_put(c->record);
    c->record = json_object_get(record);
    c->found++;
    return true;
}

static bool find(struct wh_op *op, struct cancelling *c)
{
    if (!wh_leftover_at_work(op, c->task.here, see, c))
        return false;
    if (c->found == 0)
        return wh_fail(&op->err, WH_USAGE, "there is no job '%.64s' under way here (wherry jobs)", c->job);
    return c->found == 1 ||
           wh_fail(&op->err, WH_USAGE, "the move %s comes from this host and goes to it: send-%s or "
                   "receive-%s", c->job, c->job, c->job);
}

/* ------------------------------------------------------------------------------ asking */

/* Where it cannot be taken back any more, by what the record says. */
static bool is_past(json_object *record)
{
    const char *state = wh_json_string(record, "state", "");

    return strcmp(state, "intent") == 0 || strcmp(state, "done") == 0 ||
           strcmp(state, "committed") == 0 ||
           wh_json_true(record, "sent") ||
           wh_json_true(record, "whole");
}

/* The pidfd first: whoever the number belongs to then can no longer be exchanged for another. */
static bool ask(struct wh_op *op, struct cancelling *c)
{
    pid_t pid = (pid_t)wh_json_number(c->record, "pid", 0);
    int signal_number = (int)wh_json_number(c->record, "signal", 0);

    if (signal_number <= 0 || signal_number >= NSIG)
        return wh_fail(&op->err, WH_USAGE, "the job belongs to a program (process %d) that is not to be "
                       "asked by a signal", (int)pid);
    wh_auto_fd int fd = pidfd_open(pid, 0);
    if (fd >= 0 && !wh_gauge_lives(c->record))
        return true;                    /* it has just ended */
    if ((fd < 0 || pidfd_send_signal(fd, signal_number, NULL, 0) < 0) && errno != ESRCH)
        return wh_fail_sys(&op->err, errno, "ask process %d to stop", (int)pid);
    return true;
}

/* ------------------------------------------------------------------------ what came of it */

static bool domain_is_there(struct wh_op *op, struct cancelling *c, bool *there)
{
    uint64_t domid = wh_json_number(c->record, "domid", 0);
    char uuid[WH_UUID_TEXT];
    struct wh_domain d;

    *there = false;
    if (domid == 0)
        return true;
    if (!wh_xen_domain(op, c->task.here->xen, (uint32_t)domid, &d, there))
        return false;
    *there = *there && !d.dying &&
             strcmp(wh_find_uuid(&d, uuid), wh_json_string(c->record, "uuid", "")) == 0;
    return true;
}

static bool file_is_there(json_object *record)
{
    struct stat st;

    return lstat(wh_json_string(record, "file", ""), &st) == 0 &&
           st.st_dev == wh_json_number(record, "device", 0) &&
           st.st_ino == wh_json_number(record, "inode", 0);
}

/* Its record has gone: what was asked for has been done, or nothing of it is left. */
static bool was_done(struct wh_op *op, struct cancelling *c, bool *done)
{
    bool there;

    if (!domain_is_there(op, c, &there))
        return false;
    if (is(c->record, "save"))
        *done = file_is_there(c->record) || is_past(c->record);
    else
        *done = is(c->record, "send") ? !there : there;
    return true;
}

static bool conclude(struct wh_op *op, struct cancelling *c, const char *outcome)
{
    json_object_object_add(c->task.result, "outcome", json_object_new_string(outcome));
    if (strcmp(outcome, "too late") == 0)
        return wh_fail(&op->err, WH_USAGE, "%s: it is too late: it has come so far that it cannot be taken "
                       "back", c->job);
    return strcmp(outcome, "left") != 0 ||
           wh_fail(&op->err, WH_PEER, "%s: its process has ended, and has not settled what it did: wherry "
                   "recover does", c->job);
}

/* A side of a move that was given up may keep its record, for the other to ask. */
static bool end(struct wh_op *op, struct cancelling *c, json_object *left)
{
    const char *state = wh_json_string(left, "state", "");
    bool done = false;

    if (left)
        return conclude(op, c, strcmp(state, "aborted") == 0 || strcmp(state, "ours") == 0
                                   ? "cancelled" : is_past(left) ? "too late" : "left");
    return was_done(op, c, &done) && conclude(op, c, done ? "too late" : "cancelled");
}

static bool await(struct wh_op *op, struct cancelling *c)
{
    int64_t until = wh_now_ns() + (int64_t)(c->wait_ms < WAIT_MOST_MS ? c->wait_ms : WAIT_MOST_MS) * 1000000;

    wh_step(op, "wait for the job's end", WH_FOREVER);
    for (;;) {
        json_object *now;
        bool at_work;

        if (!wh_leftover_look(op, c->task.here, c->name, &now, &at_work))
            return false;
        if (!at_work) {
            bool ok = end(op, c, now);
            json_object_put(now);
            return ok;
        }
        json_object_put(c->record);
        c->record = now;
        if (is_past(now))
            return conclude(op, c, "too late");
        if (wh_now_ns() >= until)
            return conclude(op, c, "asked") &&
                   (c->wait_ms == 0 ||
                    wh_fail(&op->err, WH_TIMEOUT, "%s: it has been asked, and has not stopped yet", c->job));
        if (!wh_nap(op, LOOK_MS))
            return false;
    }
}

/* ----------------------------------------------------------------------- the operation */

static void tell(struct cancelling *c)
{
    static const char *const copied[] = { "verb", "domid", "pid" };
    json_object *o = json_object_new_object(), *member;

    json_object_object_add(o, "job", wh_json_text(wh_json_string(c->record, "job", c->name)));
    for (size_t i = 0; i < WH_COUNT(copied); i++)
        if (json_object_object_get_ex(c->record, copied[i], &member))
            json_object_object_add(o, copied[i], json_object_get(member));
    c->task.result = o;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct cancelling *c = (struct cancelling *)t;

    wh_step(op, "find the job", 30000);
    if (!find(op, c))
        return false;
    tell(c);
    if (is_past(c->record))
        return conclude(op, c, "too late");
    return ask(op, c) && await(op, c);
}

static void drop(struct wh_task *t)
{
    struct cancelling *c = (struct cancelling *)t;

    free(c->job);
    json_object_put(c->record);
}

struct wh_job *wh_cancel_new(const char *job, uint64_t wait_ms)
{
    struct cancelling *c = wh_task_make(sizeof *c, NULL, run);

    if (!c)
        return NULL;
    c->task.drop = drop;
    c->wait_ms = wait_ms;
    c->job = strdup(job);
    if (c->job)
        return &c->task.job;
    wh_job_free(&c->task.job);
    return NULL;
}
