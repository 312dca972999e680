/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Create: a configuration becomes a running guest.
 *
 *     nothing     the configuration is read and made whole
 *     paused      the domain is made, its memory filled, its devices connected
 *                 ---- until here every failure, and a cancel, leaves nothing ----
 *     running     (or paused, if asked), and monitored */
#include "flow/create.h"

#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/cfgfile.h"
#include "flow/emulator.h"
#include "flow/monitor.h"
#include "flow/task.h"

#define READ_MS 30000
#define START_MS 30000

struct creating {
    struct wh_task task;
    struct wh_create_how how;
    char *more;
    struct wh_config config;
    struct wh_warnings warnings;
};

static struct wh_here nowhere;      /* a dry run needs no host */

bool wh_create_domain(struct wh_op *op, struct wh_here *h, const struct wh_config *complete,
                      struct wh_made *m, struct wh_leftover *record)
{
    *m = (struct wh_made){ .record = record };
    return wh_domain_make(op, h, complete, false, m) &&
           wh_domain_build(op, h, complete, m) && wh_domain_finish(op, h, complete, m);
}

/* Its devices, before the guest. */
static bool run_devices(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    struct wh_domain d;
    bool there;

    return wh_xen_domain(op, h->xen, domid, &d, &there) && (!there || wh_emulator_run(op, h, &d));
}

/* The record goes before the guest runs: one that runs must never be taken for unfinished. */
bool wh_create_settle(struct wh_op *op, struct wh_here *h, const struct wh_made *m, bool paused,
                      struct wh_leftover *record)
{
    wh_step(op, "let the guest run", START_MS);
    if ((!paused && !run_devices(op, h, m->domid)) || !wh_leftover_done(op, record) ||
        (!paused && !wh_xen_unpause(op, h->xen, m->domid)))
        return false;
    wh_undo_forget(op);
    return true;
}

static json_object *warnings(const struct creating *c)
{
    json_object *all = json_object_new_array();

    for (size_t i = 0; i < c->warnings.n; i++)
        json_object_array_add(all, wh_json_text(c->warnings.text[i]));
    return all;
}

static bool read_config(struct wh_op *op, struct creating *c)
{
    wh_step(op, "read the configuration", READ_MS);
    bool ok = wh_cfgfile_read(op, c->task.job.path, c->more, &c->config, &c->warnings) &&
              wh_config_complete(&op->err, &c->config);
    c->task.result = json_object_new_object();
    json_object_object_add(c->task.result, "warnings", warnings(c));
    return ok;
}

static bool tell_config(struct wh_op *op, struct creating *c)
{
    wh_auto_free char *text = wh_config_write_json(&op->err, &c->config);
    const char *why;
    size_t at;

    if (!text)
        return false;
    json_object_object_add(c->task.result, "config", wh_json_parse(text, strlen(text), &why, &at));
    return true;
}

static void tell_domain(struct creating *c, const struct wh_made *m)
{
    json_object *o = c->task.result;
    char uuid[WH_UUID_TEXT];

    json_object_object_add(o, "domid", json_object_new_int64(m->domid));
    json_object_object_add(o, "name", wh_json_text(c->config.name));
    json_object_object_add(o, "uuid", json_object_new_string(wh_uuid_print(c->config.uuid, uuid)));
    json_object_object_add(o, "guest",
                           json_object_new_string(c->how.paused ? "paused" : "running"));
}

static bool create(struct wh_op *op, struct creating *c, struct wh_leftover *record)
{
    struct wh_here *h = c->task.here;
    struct wh_made made;

    if (!read_config(op, c))
        return false;
    if (c->how.dry_run)
        return tell_config(op, c);
    if (!wh_create_domain(op, h, &c->config, &made, record) ||
        (!c->how.no_monitor && !wh_monitor_start(op, h, made.domid)) ||
        !wh_create_settle(op, h, &made, c->how.paused, record))
        return false;
    tell_domain(c, &made);
    return true;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct creating *c = (struct creating *)t;
    struct wh_leftover record = { 0 };
    bool ok = create(op, c, &record);

    if (!ok)
        wh_undo_run(op);
    wh_leftover_close(op, &record);
    wh_config_free(&c->config);
    return ok;
}

static void drop(struct wh_task *t)
{
    struct creating *c = (struct creating *)t;

    free(c->more);
    wh_warnings_free(&c->warnings);
}

struct wh_job *wh_create_new(const char *path, const struct wh_create_how *how)
{
    struct creating *c = wh_task_make(sizeof *c, path, run);

    if (!c)
        return NULL;
    c->task.drop = drop;
    c->config = wh_config_empty();
    c->how = *how;
    c->task.here = how->dry_run ? &nowhere : NULL;
    c->more = how->more ? strdup(how->more) : NULL;
    if (how->more && !c->more) {
        wh_job_free(&c->task.job);
        return NULL;
    }
    return &c->task.job;
}
