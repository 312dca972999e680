/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Recover: what killed commands left is found and settled.
 *
 *     save, file not whole       the guest runs on, the temporary file goes
 *     save, file whole           what was asked: the guest is destroyed (its image has its name),
 *                                or runs on (--checkpoint), or is paused (--paused)
 *     save, file moved since     nothing: two copies may come of it; the user decides
 *     restore, not finished      the domain goes; the file was never changed
 *     restore, not yet running   it gets its monitor and runs
 *
 * Nothing is settled while the process that does it lives.  Doing it again changes nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/domain.h"
#include "flow/emulator.h"
#include "flow/find.h"
#include "flow/gauge.h"
#include "flow/leftover.h"
#include "flow/monitor.h"
#include "flow/settle.h"
#include "flow/task.h"
#include "mem/live.h"
#include "xen/suspend.h"

struct recovering {
    struct wh_task task;
    struct wh_recover_how how;
    char *domain, *fenced;
    struct wh_err beside;       /* what went wrong where a domain was destroyed, and is no failure */
};

/* A domain that its killed saver had begun to destroy: a device's script may have run already, and
 * fail when it runs again. */
static bool take_away(struct wh_op *op, struct recovering *r, uint32_t domid)
{
    return wh_domain_take_away(op, r->task.here, domid, &r->beside);
}

/* What there is to settle, what is done about it, whether it has been. */
static void note(struct recovering *r, json_object *record, const char *what, const char *action,
                 bool done)
{
    json_object *o = json_object_new_object(), *member;
    static const char *const copied[] = { "verb", "job", "domid", "uuid", "host", "file" };

    for (size_t i = 0; i < WH_COUNT(copied); i++)
        if (record && json_object_object_get_ex(record, copied[i], &member))
            json_object_object_add(o, copied[i], json_object_get(member));
    json_object_object_add(o, "found", json_object_new_string(what));
    json_object_object_add(o, "action", json_object_new_string(action));
    json_object_object_add(o, "done", json_object_new_boolean(done));
    if (r->beside.kind != WH_OK)
        json_object_object_add(o, "warning", json_object_new_string(r->beside.text));
    r->beside = (struct wh_err){ 0 };
    json_object_array_add(r->task.result, o);
}

/* The domain of the record, if it is still that one. */
static bool look(struct wh_op *op, struct recovering *r, json_object *record, struct wh_domain *d,
                 bool *there)
{
    char uuid[WH_UUID_TEXT];

    *there = false;
    if (!wh_leftover_is_current(record))
        return true;
    if (!wh_xen_domain(op, r->task.here->xen, (uint32_t)wh_json_number(record, "domid", 0), d,
                       there))
        return false;
    *there = *there && strcmp(wh_find_uuid(d, uuid), wh_json_string(record, "uuid", "")) == 0;
    return true;
}

/* The domain of the record is gone: its nodes may not be. */
static bool clear(struct wh_op *op, struct recovering *r, json_object *record)
{
    return !wh_leftover_is_current(record) ||
           wh_domain_clear(op, r->task.here, (uint32_t)wh_json_number(record, "domid", 0),
                           wh_json_string(record, "uuid", ""));
}

/* Whether the file that was being written has got its name; else whether it is still what it was. */
enum file { FILE_NONE, FILE_TEMPORARY, FILE_WHOLE, FILE_LOST };

static bool is_it(json_object *record, const char *key)
{
    const char *path = wh_json_string(record, key, "");
    struct stat st;

    return *path && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_dev == wh_json_number(record, "device", 0) &&
           st.st_ino == wh_json_number(record, "inode", 0);
}

static enum file where_is_it(json_object *record)
{
    if (wh_json_true(record, "given_up"))
        return is_it(record, "temp") ? FILE_TEMPORARY : FILE_NONE;
    if (!*wh_json_string(record, "temp", ""))
        return wh_json_true(record, "sent") ? FILE_LOST : FILE_NONE;
    return is_it(record, "temp") ? FILE_TEMPORARY : is_it(record, "file") ? FILE_WHOLE : FILE_LOST;
}

/* Nobody needs to know any more what it writes to. */
static bool forget_writes(struct wh_op *op, struct recovering *r, const struct wh_domain *d)
{
    return !d->hvm || (wh_live_off(op, r->task.here->xen, d->domid) &&
                       wh_emulator_tell_no_more(op, r->task.here, d));
}

/* A guest whose save was broken off; its devices may have been stopped though it has not. */
static bool go_on(struct wh_op *op, struct recovering *r, const struct wh_domain *d)
{
    return (d->shutdown || wh_emulator_run(op, r->task.here, d)) &&
           wh_suspend_undo(op, r->task.here, d->domid, false);
}

static bool run_on(struct wh_op *op, struct recovering *r, json_object *record,
                   const struct wh_domain *d, bool there, bool temporary, bool *settled)
{
    const char *temp = wh_json_string(record, "temp", "");

    if (!r->how.look_only) {
        if (!there && !clear(op, r, record))
            return false;
        if (there && wh_json_true(record, "logged") && !forget_writes(op, r, d))
            return false;
        if (there && wh_json_true(record, "asked") && !go_on(op, r, d))
            return false;
        if (temporary && unlink(temp) < 0 && errno != ENOENT)
            return wh_fail_sys(&op->err, errno, "remove %s", temp);
        *settled = true;
    }
    note(r, record, "an interrupted save",
         there ? "the guest runs on; the unfinished file is removed"
         : temporary ? "its unfinished file is removed"
         : "none: there is no such domain any more", *settled);
    return true;
}

/* Who was killed may not have got so far as to bring the name to disk. */
static bool on_disk(struct wh_op *op, json_object *record)
{
    const char *path = wh_json_string(record, "file", "");
    wh_auto_free char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!slash)
        return wh_fail(&op->err, WH_SYSTEM, "the record names no file");
    slash[slash == folder] = '\0';
    wh_auto_fd int file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    wh_auto_fd int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (file >= 0 && dir >= 0 && fsync(file) == 0 && fsync(dir) == 0) ||
           wh_fail_sys(&op->err, errno, "bring %s to disk", path);
}

/* A guest that has been on its way elsewhere since may run there: that is settled first. */
static bool may_run(struct wh_op *op, struct recovering *r, const struct wh_leftover *l,
                    json_object *record, const struct wh_domain *d)
{
    if (wh_leftover_free(op, r->task.here, d, WH_TO_RUN, l))
        return true;
    if (op->err.kind != WH_USAGE)
        return false;
    op->err = (struct wh_err){ 0 };
    note(r, record, "an interrupted save of a guest that may run elsewhere, or that is being worked on",
         "none: that is to be settled first", false);
    return false;
}

static bool settle_save(struct wh_op *op, struct recovering *r, struct wh_leftover *l,
                        json_object *record, bool *settled)
{
    struct wh_domain d;
    bool there, keep = wh_json_true(record, "keep"), pause = wh_json_true(record, "paused");
    enum file file = where_is_it(record);

    if (!look(op, r, record, &d, &there))
        return false;
    if (there && !may_run(op, r, l, record, &d))
        return op->err.kind == WH_OK;
    bool suspended = there && d.shutdown && !d.dying && d.reason == WH_SUSPEND;
    if (file == FILE_TEMPORARY || file == FILE_NONE || !there)
        return run_on(op, r, record, &d, there, file == FILE_TEMPORARY, settled);
    if (!suspended) {
        note(r, record, "a save whose file may be whole, of a guest that is not suspended any more",
             "none: the file, if there is one, is an older copy of the guest", false);
        *settled = !r->how.look_only;
        return true;
    }
    if (file == FILE_LOST) {
        note(r, record, "an interrupted save whose file went elsewhere, or into a pipe",
             "none: if the image is whole somewhere, destroy the domain; if not, wherry recover "
             "DOMAIN lets it run on", false);
        return true;
    }
    if (!r->how.look_only) {
        if (!keep && !on_disk(op, record))
            return false;
        if (pause && !d.paused && !wh_xen_pause(op, r->task.here->xen, d.domid))
            return false;
        if (keep && wh_json_true(record, "logged") && !forget_writes(op, r, &d))
            return false;
        if (!(keep ? go_on(op, r, &d) : take_away(op, r, d.domid)))
            return false;
        *settled = true;
    }
    note(r, record, "a save whose file is whole", pause ? "the guest is left paused"
         : keep ? "the guest runs on" : "the saved domain is destroyed", *settled);
    return true;
}

static bool settle_unfinished(struct wh_op *op, struct recovering *r, json_object *record,
                              const char *what, bool *settled)
{
    struct wh_domain d;
    bool there;

    if (!look(op, r, record, &d, &there))
        return false;
    if (there && (!d.paused || d.cpu_ns > 0)) {
        note(r, record, what, "none: somebody has let the domain run", false);
        *settled = !r->how.look_only;
        return true;
    }
    if (!r->how.look_only) {
        if (!(there ? take_away(op, r, d.domid) : clear(op, r, record)))
            return false;
        *settled = true;
    }
    note(r, record, what, there ? "the unfinished domain is destroyed"
                                : "none: there is no such domain any more", *settled);
    return true;
}

/* All but letting it run was done: one that has not run is let, unless it is to wait. */
static bool settle_restore(struct wh_op *op, struct recovering *r, json_object *record,
                           bool *settled)
{
    struct wh_here *h = r->task.here;
    struct wh_domain d;
    bool there;

    if (!wh_json_true(record, "whole"))
        return settle_unfinished(op, r, record, "an interrupted restore", settled);
    if (!look(op, r, record, &d, &there))
        return false;
    bool waits = there && !d.dying && d.paused && d.cpu_ns == 0;
    bool run_it = waits && !wh_json_true(record, "paused");
    if (!r->how.look_only) {
        if ((waits && !wh_json_true(record, "alone") && !wh_monitor_start(op, h, d.domid)) ||
            (run_it && (!wh_emulator_run(op, h, &d) || !wh_xen_unpause(op, h->xen, d.domid))))
            return false;
        *settled = true;
    }
    note(r, record, "a restore whose guest is whole", run_it ? "the guest is let run"
         : waits ? "the guest is left paused" : there ? "none: somebody has let the domain run"
         : "none: there is no such domain any more", *settled);
    return true;
}

/* docs/handoff.md */
static bool settle_move(struct wh_op *op, struct recovering *r, struct wh_leftover *l,
                        json_object *record, bool *settled)
{
    bool source = strcmp(wh_json_string(record, "verb", ""), "send") == 0;
    struct wh_settle s = { .here = r->task.here, .record = l, .says = record,
                           .look_only = r->how.look_only, .fenced = r->fenced };

    if (!(source ? wh_settle_send(op, &s) : wh_settle_receive(op, &s)))
        return false;
    if (s.action)
        note(r, record, s.found, s.action, s.done);
    *settled = s.forget;
    return true;
}

static bool see(struct wh_op *op, void *arg, struct wh_leftover *l, json_object *record, bool *settled)
{
    const char *verb = record ? wh_json_string(record, "verb", "") : "";
    struct recovering *r = arg;

    if (!l) {
        note(r, record, "what a killed command left", "none: another wherry settles it at this moment", false);
        return true;
    }
    wh_step(op, "settle what was left", 120000);
    if (strcmp(verb, "send") == 0 || strcmp(verb, "receive") == 0)
        return settle_move(op, r, l, record, settled);
    if (strcmp(verb, "save") == 0)
        return settle_save(op, r, l, record, settled);
    if (strcmp(verb, "restore") == 0)
        return settle_restore(op, r, record, settled);
    if (strcmp(verb, "create") == 0)
        return settle_unfinished(op, r, record, "an interrupted create", settled);
    if (strcmp(verb, "recover") == 0) {
        *settled = !r->how.look_only;
        return true;
    }
    note(r, record, "a record that cannot be read", "none: look at what is in /var/lib/wherry/jobs",
         false);
    return true;
}

static bool is_told_of(struct recovering *r, const struct wh_domain *d)
{
    char uuid[WH_UUID_TEXT];

    wh_find_uuid(d, uuid);
    for (size_t i = 0; i < json_object_array_length(r->task.result); i++) {
        json_object *o = json_object_array_get_idx(r->task.result, i);

        if (wh_json_number(o, "domid", UINT64_MAX) == d->domid &&
            strcmp(wh_json_string(o, "uuid", ""), uuid) == 0)
            return true;
    }
    return false;
}

/* Guests that something else left suspended are told of, and let run when asked for by name. */
static bool see_suspended(struct wh_op *op, struct recovering *r)
{
    wh_auto_free struct wh_domain *d = NULL;
    size_t n;

    if (!wh_find_all(op, r->task.here->xen, &d, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!d[i].shutdown || d[i].reason != WH_SUSPEND || d[i].dying ||
            is_told_of(r, &d[i]))
            continue;
        json_object *o = wh_find_json(&d[i], NULL);
        note(r, o, "a suspended guest", "none: it may be being saved; wherry recover DOMAIN lets it "
             "run on", false);
        json_object_put(o);
    }
    return true;
}

/* Nobody else works on it from here on; what it is was looked up before. */
static bool let_run(struct wh_op *op, struct recovering *r, struct wh_domain *d)
{
    bool there;

    if (!wh_xen_domain(op, r->task.here->xen, d->domid, d, &there))
        return false;
    if (!there)
        return wh_fail(&op->err, WH_GUEST, "domain %u is gone", d->domid);
    return forget_writes(op, r, d) && go_on(op, r, d);
}

/* One that may run on another host is not let run by its name alone. */
static bool recover_one(struct wh_op *op, struct recovering *r)
{
    struct wh_leftover record = { 0 };
    struct wh_domain d;

    if (!wh_find_one(op, r->task.here, r->domain, &d) ||
        !(r->how.look_only ? wh_leftover_free(op, r->task.here, &d, WH_TO_RUN, NULL)
                           : wh_leftover_recover(op, r->task.here, &record, &d)))
        return false;
    json_object *o = wh_find_json(&d, NULL);
    bool suspended = d.shutdown && d.reason == WH_SUSPEND;
    bool ok = r->how.look_only || let_run(op, r, &d);
    note(r, o, suspended ? "a suspended guest" : "a guest that is not suspended",
         "the guest runs on", ok && !r->how.look_only);
    json_object_put(o);
    return wh_leftover_done(op, &record) && ok;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct recovering *r = (struct recovering *)t;

    t->result = json_object_new_array();
    if (!r->how.look_only)
        wh_gauge_sweep(t->here);
    bool ok = wh_leftover_each(op, t->here, see, r);
    struct wh_err first = op->err;
    op->err = (struct wh_err){ 0 };
    wh_step(op, "look for suspended guests", 120000);
    ok &= r->domain ? recover_one(op, r) : see_suspended(op, r);
    if (first.kind != WH_OK)
        op->err = first;
    return ok;
}

static void drop(struct wh_task *t)
{
    free(((struct recovering *)t)->domain);
    free(((struct recovering *)t)->fenced);
}

struct wh_job *wh_recover_new(const struct wh_recover_how *how)
{
    struct recovering *r = wh_task_make(sizeof *r, NULL, run);

    if (!r)
        return NULL;
    r->task.drop = drop;
    r->how = *how;
    r->domain = how->domain ? strdup(how->domain) : NULL;
    r->fenced = how->fenced ? strdup(how->fenced) : NULL;
    if ((how->domain && !r->domain) || (how->fenced && !r->fenced)) {
        wh_job_free(&r->task.job);
        return NULL;
    }
    return &r->task.job;
}
