/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs: the saves, restores, creates and moves that somebody works on here, and how far they are. */
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/task.h"

static void copy_member(json_object *to, json_object *from, const char *key)
{
    json_object *member = NULL;

    if (from)
        json_object_object_get_ex(from, key, &member);
    json_object_object_add(to, key, json_object_get(member));
}

/* That of the record, which a guest that moves has had all the time; else of the domain. */
static bool add_name(struct wh_op *op, struct wh_task *t, json_object *record, json_object *o)
{
    const char *said = wh_json_string(record, "name", "");
    uint64_t domid = wh_json_number(record, "domid", 0);
    wh_auto_free char *name = NULL;

    if (!*said && domid > 0 && !wh_find_name(op, t->here, (uint32_t)domid, &name))
        return false;
    json_object_object_add(o, "name", wh_json_text(*said ? said : name));
    return true;
}

/* An arrival has a record before it has a domain. */
static void add_domain(json_object *record, json_object *o)
{
    bool there = wh_json_number(record, "domid", 0) > 0;

    copy_member(o, there ? record : NULL, "domid");
    copy_member(o, there ? record : NULL, "uuid");
}

static void add_time(json_object *record, json_object *o)
{
    uint64_t begun = wh_json_number(record, "time", 0), now = (uint64_t)time(NULL);

    json_object_object_add(o, "seconds", json_object_new_uint64(now > begun ? now - begun : 0));
}

static bool see(struct wh_op *op, void *arg, const char *name, json_object *record)
{
    static const char *const of_record[] = { "state", "host", "file", "pid" };
    static const char *const of_gauge[] = { "step", "bytes", "total_bytes", "bytes_per_second",
                                            "seconds_left" };
    struct wh_task *t = arg;
    wh_auto_json json_object *gauge = wh_gauge_read(t->here, name, record);
    json_object *o = json_object_new_object();

    json_object_array_add(t->result, o);
    json_object_object_add(o, "job", wh_json_text(wh_json_string(record, "job", name)));
    copy_member(o, record, "verb");
    add_domain(record, o);
    if (!add_name(op, t, record, o))
        return false;
    for (size_t i = 0; i < WH_COUNT(of_record); i++)
        copy_member(o, record, of_record[i]);
    for (size_t i = 0; i < WH_COUNT(of_gauge); i++)
        copy_member(o, gauge, of_gauge[i]);
    add_time(record, o);
    json_object_object_add(o, "can_cancel",
                           json_object_new_boolean(wh_json_number(record, "signal", 0) > 0));
    return true;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    wh_step(op, "look at what is under way", 30000);
    wh_gauge_sweep(t->here);
    t->result = json_object_new_array();
    return wh_leftover_at_work(op, t->here, see, t);
}

struct wh_job *wh_jobs_new(void)
{
    struct wh_task *t = wh_task_make(sizeof *t, NULL, run);

    return t ? &t->job : NULL;
}
