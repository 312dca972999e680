/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A task: an operation on this host and its domains, as a job.  Its run finds the host open and
 * leaves what it has to tell as a JSON value.
 *
 *     static bool run(struct wh_op *op, struct wh_task *t)
 *     {
 *         ... wh_domain_find(op, t->here, wh_task_who(t), &domid) ...
 *         t->result = json_object_new_object();
 *     }
 *     struct wh_task *t = wh_task_make(sizeof *t, "web", run);
 *     return &t->job;
 */
#ifndef WH_FLOW_TASK_H
#define WH_FLOW_TASK_H

#include <json-c/json.h>

#include "base/job.h"
#include "xen/here.h"

struct wh_task {
    struct wh_job job;          /* first, so that the op is the task: undo functions rely on it */
    bool (*run)(struct wh_op *op, struct wh_task *t);
    void (*drop)(struct wh_task *t);    /* what is beyond this struct; may be NULL */
    struct wh_here *here;       /* NULL: the run opens the real one.  Tests put theirs here */
    json_object *result;
};

/* A zeroed task of size bytes, of which struct wh_task is the first member; who is the domain it is
 * about, NULL: none or all.  NULL: no memory. */
void *wh_task_make(size_t size, const char *who, bool (*run)(struct wh_op *, struct wh_task *));

/* The domain it is about, NULL: none or all. */
const char *wh_task_who(const struct wh_task *t);

/* What the job that is a task has told, or NULL; the job's. */
json_object *wh_task_result(const struct wh_job *j);

#endif
