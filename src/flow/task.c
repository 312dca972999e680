/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/task.h"

#include <string.h>

#include "dm/qemu.h"

/* What has to be undone is undone while the host is still open. */
static bool perform(struct wh_op *op, struct wh_task *t)
{
    op->world = t->here;
    t->here->run_devices = wh_qemu_run_on;
    if (!t->run(op, t)) {
        wh_undo_run(op);
        return false;
    }
    wh_undo_forget(op);
    return true;
}

static bool run(struct wh_op *op, struct wh_job *j)
{
    struct wh_task *t = (struct wh_task *)j;
    struct wh_here own = { 0 };
    bool ok;

    if (t->here) {
        ok = perform(op, t);
    } else {
        if (!wh_here_open(op, &own))
            return false;
        t->here = &own;
        ok = perform(op, t);
        t->here = NULL;
        wh_here_close(&own);
    }
    if (t->result) {
        j->json = strdup(json_object_to_json_string_ext(
            t->result, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        if (!j->json)
            return wh_fail(&op->err, WH_SYSTEM, "no memory for the answer");
    }
    return ok;
}

static void drop(struct wh_job *j)
{
    struct wh_task *t = (struct wh_task *)j;

    if (t->drop)
        t->drop(t);
    json_object_put(t->result);
}

void *wh_task_make(size_t size, const char *who,
                   bool (*perform_it)(struct wh_op *, struct wh_task *))
{
    struct wh_task *t = wh_job_make(size, who ? who : "", run, drop);

    if (t)
        t->run = perform_it;
    return t;
}

const char *wh_task_who(const struct wh_task *t)
{
    return *t->job.path ? t->job.path : NULL;
}

json_object *wh_task_result(const struct wh_job *j)
{
    return j->run == run ? ((const struct wh_task *)j)->result : NULL;
}
