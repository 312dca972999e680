/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restore: a file becomes a running guest.
 *
 *     nothing     the image's configuration is read; a domain is made by it
 *     paused      memory and processors are filled as the stream comes; the digest is checked;
 *                 devices, console, stored configuration
 *                 ---- until here every failure leaves no domain; the file is never changed ----
 *     running     (or paused, if asked) */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/find.h"
#include "flow/incoming.h"
#include "flow/input.h"
#include "flow/monitor.h"
#include "flow/task.h"

struct restoring {
    struct wh_task task;
    struct wh_restore_how how;
    char *config_path;

    struct wh_incoming guest;
    struct wh_leftover record;
};

static bool fill(struct wh_op *op, struct restoring *s)
{
    struct wh_input in;

    bool ok = wh_input_open(op, &in, &s->task.job, &wh_incoming_watch, &s->guest,
                            s->how.no_verify ? 0 : WH_DIGEST_IF_ANY);
    if (ok && in.src.digest)
        wh_digest_thread(in.src.digest);
    ok = ok && wh_walk_stream(&in.walk);
    if (!ok && op->err.kind == WH_STREAM)
        wh_while(&op->err, "%s", s->task.job.path);
    wh_input_close(&in);
    return ok;
}

static void tell(struct restoring *s)
{
    json_object *o = json_object_new_object();
    char uuid[WH_UUID_TEXT];

    json_object_object_add(o, "domid", json_object_new_int64(s->guest.made.domid));
    json_object_object_add(o, "name", wh_json_text(s->guest.config.name));
    json_object_object_add(o, "uuid", json_object_new_string(wh_uuid_print(s->guest.config.uuid, uuid)));
    json_object_object_add(o, "file", wh_json_text(s->task.job.path));
    json_object_object_add(o, "guest", json_object_new_string(s->how.paused ? "paused"
                                                                            : "running"));
    wh_incoming_tell(&s->guest, o);
    s->task.result = o;
}

/* For recover: what is still to be done is not to destroy it. */
static bool mark_whole(struct wh_op *op, struct restoring *s)
{
    return (!s->how.paused || wh_leftover_mark(op, &s->record, "paused")) &&
           (!s->how.no_monitor || wh_leftover_mark(op, &s->record, "alone")) &&
           wh_leftover_mark(op, &s->record, "whole");
}

static bool restore(struct wh_op *op, struct restoring *s)
{
    struct wh_here *h = s->task.here;

    if (!fill(op, s) || !wh_incoming_connect(op, &s->guest))
        return false;
    if (!mark_whole(op, s))
        return false;
    /* The domain is whole: from here it is the guest, and nothing destroys it any more. */
    wh_undo_forget(op);
    s->record.committed = true;
    tell(s);
    wh_step(op, "let the guest run", 30000);
    if ((s->how.no_monitor || wh_monitor_start(op, h, s->guest.made.domid)) &&
        (s->how.paused || wh_incoming_run(op, &s->guest)))
        return wh_leftover_done(op, &s->record);
    return wh_while(&op->err, "domain %u is restored and whole, but paused (wherry unpause lets it "
                    "run)", s->guest.made.domid);
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct restoring *s = (struct restoring *)t;

    wh_incoming_init(&s->guest, t->here, t->job.path);
    s->guest.config_path = s->config_path;
    s->guest.then_exit = s->how.then_exit;
    s->guest.record = &s->record;
    bool ok = restore(op, s);

    wh_incoming_let_go(&s->guest);      /* before the domain goes */
    if (!ok)
        wh_undo_run(op);
    wh_leftover_close(op, &s->record);
    wh_incoming_free(&s->guest);
    return ok;
}

static void drop(struct wh_task *t)
{
    free(((struct restoring *)t)->config_path);
}

struct wh_job *wh_restore_new(const char *path, const struct wh_restore_how *how)
{
    struct restoring *s = wh_task_make(sizeof *s, path, run);

    if (!s)
        return NULL;
    s->task.drop = drop;
    s->how = *how;
    s->config_path = how->config ? strdup(how->config) : NULL;
    if (how->config && !s->config_path) {
        wh_job_free(&s->task.job);
        return NULL;
    }
    return &s->task.job;
}
