/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verify: walk the image and keep what it breaks. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/input.h"

#define KEPT_MAX 1000

struct verify {
    struct wh_job job;
    unsigned flags;
    uint64_t count;             /* findings */
    size_t kept, room;
    struct wh_finding *finding;
};

/* The walk's texts live as long as its call; rule and layer are constants. */
static void keep(struct wh_walk *w, const struct wh_finding *f)
{
    struct verify *v = w->arg;

    v->count++;
    if (v->kept == KEPT_MAX)
        return;
    if (v->kept == v->room) {
        size_t room = v->room ? 2 * v->room : 8;
        struct wh_finding *more = realloc(v->finding, room * sizeof *more);

        if (!more)
            return;
        v->finding = more;
        v->room = room;
    }
    struct wh_finding copy = *f;
    copy.record = strdup(f->record);
    copy.expected = strdup(f->expected);
    copy.found = strdup(f->found);
    v->finding[v->kept++] = copy;
}

static json_object *finding_json(const struct wh_finding *f)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "offset", json_object_new_uint64(f->offset));
    json_object_object_add(o, "layer", json_object_new_string(f->layer));
    json_object_object_add(o, "record", json_object_new_string(f->record));
    json_object_object_add(o, "rule", json_object_new_string(f->rule));
    json_object_object_add(o, "expected", json_object_new_string(f->expected));
    json_object_object_add(o, "found", json_object_new_string(f->found));
    json_object_object_add(o, "pedantic", json_object_new_boolean(f->pedantic));
    return o;
}

static void make_json(struct verify *v, const struct wh_walk *w)
{
    wh_auto_json json_object *o = json_object_new_object();
    json_object *list = json_object_new_array();

    json_object_object_add(o, "file", wh_json_text(v->job.path));
    json_object_object_add(o, "good", json_object_new_boolean(w->findings == 0));
    json_object_object_add(o, "digest",
                           json_object_new_string(wh_digest_word(wh_digest_state(w))));
    json_object_object_add(o, "findings_total", json_object_new_uint64(v->count));
    for (size_t i = 0; i < v->kept; i++)
        json_object_array_add(list, finding_json(&v->finding[i]));
    json_object_object_add(o, "findings", list);
    v->job.json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE));
}

static bool run(struct wh_op *op, struct wh_job *job)
{
    static const struct wh_watch watch = { .finding = keep, .record = wh_check_config };
    struct verify *v = (struct verify *)job;
    struct wh_input in;

    bool ok = wh_input_open(op, &in, job, &watch, v, v->flags);
    if (ok) {
        ok = wh_walk_stream(&in.walk);
        if (ok || op->err.kind == WH_STREAM)
            make_json(v, &in.walk);
        if (ok && in.walk.findings > 0)
            ok = wh_fail(&op->err, WH_STREAM, "%llu rules broken",
                         (unsigned long long)in.walk.findings);
    }
    wh_input_close(&in);
    return ok;
}

static void drop(struct wh_job *job)
{
    struct verify *v = (struct verify *)job;

    for (size_t i = 0; i < v->kept; i++) {
        free((char *)(uintptr_t)v->finding[i].record);
        free((char *)(uintptr_t)v->finding[i].expected);
        free((char *)(uintptr_t)v->finding[i].found);
    }
    free(v->finding);
}

struct wh_job *wh_verify_new(const char *path, unsigned flags)
{
    struct verify *v = wh_job_make(sizeof *v, path, run, drop);

    if (!v)
        return NULL;
    v->flags = flags;
    return &v->job;
}

uint64_t wh_findings(const struct wh_job *j)
{
    return j->run == run ? ((const struct verify *)j)->count : 0;
}

bool wh_finding_get(const struct wh_job *j, size_t i, struct wh_finding *finding)
{
    const struct verify *v = (const struct verify *)j;

    if (j->run != run || i >= v->kept)
        return false;
    *finding = v->finding[i];
    return true;
}
