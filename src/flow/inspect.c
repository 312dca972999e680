/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inspect: walk the image and count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/report.h"
#include "wire/xl.h"

struct inspect {
    struct wh_job job;
    unsigned flags;
    bool reported;
    struct wh_report report;
    void (*told)(void *arg, const struct wh_rec *r);
    void *told_arg;
};

static void finding(struct wh_walk *w, const struct wh_finding *f)
{
    struct wh_report *r = &((struct inspect *)w->arg)->report;

    if (r->has_first)
        return;
    r->has_first = true;
    r->first_at = f->offset;
    snprintf(r->first, sizeof r->first, "offset %#llx: %s %s: %s: expected %s, found %s",
             (unsigned long long)f->offset, f->layer, f->record, f->rule, f->expected, f->found);
}

static bool record(struct wh_walk *w, const struct wh_rec *r)
{
    struct inspect *s = w->arg;
    const char *why;
    size_t at;

    wh_report_record(&s->report, r);
    if (s->told)
        s->told(s->told_arg, r);
    if (wh_is_config(r) && (w->image.xl_mandatory & WH_XL_CONFIG_JSON))
        s->report.config = wh_json_parse(w->image.config, w->image.config_length, &why, &at);
    if (s->report.config && !json_object_is_type(s->report.config, json_type_object)) {
        json_object_put(s->report.config);
        s->report.config = NULL;
    }
    return s->report.config || wh_check_config(w, r);
}

static bool entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    (void)r;
    wh_report_entries(&((struct inspect *)w->arg)->report, entry, n);
    return true;
}

static bool pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    wh_report_pages(&((struct inspect *)w->arg)->report, entry, n, contents);
    return true;
}

/* The walk's image becomes the report's, its configuration with it. */
static void conclude(struct inspect *s, struct wh_walk *w)
{
    s->report.digest = wh_digest_state(w);
    s->report.findings = w->findings;
    s->report.packed = wh_unpack_about(w->src, &s->report.packing);
    s->report.image = w->image;
    w->image.config = NULL;
    s->report.image.extra = NULL;       /* stays the walk's */
    s->reported = true;
    free(w->body);                      /* up to 4 MiB, not needed for what follows */
    w->body = NULL;
    w->body_size = 0;
    wh_auto_json json_object *o = wh_report_json(&s->report);
    s->job.json = strdup(json_object_to_json_string_ext(
        o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static bool run(struct wh_op *op, struct wh_job *job)
{
    static const struct wh_watch quick = { .finding = finding, .record = record,
                                           .entries = entries };
    static const struct wh_watch full = { .finding = finding, .record = record,
                                          .entries = entries, .pages = pages };
    struct inspect *s = (struct inspect *)job;
    struct wh_input in;

    s->report.mapped = s->flags & WH_PAGES;
    bool ok = wh_input_open(op, &in, job, s->report.mapped ? &full : &quick, s, s->flags);
    if (ok) {
        ok = wh_walk_stream(&in.walk);
        if (ok || op->err.kind == WH_STREAM)
            conclude(s, &in.walk);
        if (ok && s->report.findings > 0)
            ok = wh_fail(&op->err, WH_STREAM, "%s", s->report.first);
        if (op->err.kind == WH_STREAM)
            wh_while(&op->err, "%s", job->path);
    }
    wh_input_close(&in);
    return ok;
}

static void drop(struct wh_job *job)
{
    wh_report_free(&((struct inspect *)job)->report);
}

struct wh_job *wh_inspect_new(const char *path, unsigned flags)
{
    struct inspect *s = wh_job_make(sizeof *s, path, run, drop);

    if (!s)
        return NULL;
    wh_report_init(&s->report);
    s->flags = flags & ~(unsigned)WH_PEDANTIC;
    return &s->job;
}

const struct wh_report *wh_inspect_report(const struct wh_job *j)
{
    const struct inspect *s = (const struct inspect *)j;

    return j->run == run && s->reported ? &s->report : NULL;
}

void wh_inspect_on_record(struct wh_job *j, void (*told)(void *arg, const struct wh_rec *r),
                          void *arg)
{
    struct inspect *s = (struct inspect *)j;

    s->told = told;
    s->told_arg = arg;
}
