/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/page.h"

#include <json-c/json.h>
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "wire/libxc.h"
#include "wire/trailer.h"

static bool entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    struct wh_page *p = w->arg;
    uint64_t contents = w->contents_at;

    (void)r;
    for (size_t i = 0; i < n && !w->image.verifying; i++) {
        bool data = wh_page_has_data(entry[i]);

        if (wh_page_pfn(entry[i]) == p->pfn) {
            p->mentions++;
            p->type = wh_page_type(entry[i]);
            if (data) {
                p->versions++;
                p->has_contents = true;
                p->at = contents;
            }
        }
        contents += data ? WH_PAGE_SIZE : 0;
    }
    return true;
}

static bool pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    struct wh_page *p = w->arg;

    for (size_t i = 0; i < n; i++) {
        if (wh_page_pfn(entry[i]) == p->pfn && !w->image.verifying)
            memcpy(p->contents, contents + i * WH_PAGE_SIZE, WH_PAGE_SIZE);
    }
    return true;
}

static const struct wh_watch in_file = { .record = wh_check_config, .entries = entries };
static const struct wh_watch in_pipe = { .record = wh_check_config, .entries = entries,
                                         .pages = pages };

/* A run of page records in the middle of a stream, without what came before. */
static bool walk_run(struct wh_walk *w, const struct wh_index_entry *e, uint64_t until)
{
    struct wh_rec r;

    w->image = (struct wh_image){ .libxc_version = 3, .guest = WH_PV, .width = 8 };
    w->image.phase[WH_LAYER_LIBXC] = WH_IN_PAGES;
    wh_source_seek(w->src, e->at);
    for (uint64_t n = 0; n < e->records && w->src->at < until;) {
        if (!wh_walk_record(w, &wh_layer_libxc, &r))
            return false;
        n += r.row && r.type == WH_LIBXC_PAGE_DATA;
    }
    return true;
}

/* Backwards: the last run that has contents of it decides. */
static bool look_up(struct wh_walk *w, const struct wh_index *x)
{
    struct wh_page *p = w->arg;

    for (size_t i = x->count; i > 0 && !p->has_contents; i--) {
        const struct wh_index_entry *e = &x->entry[i - 1];
        unsigned type = p->type;
        bool known = p->mentions > 0;

        if (p->pfn < e->first || p->pfn > e->last)
            continue;
        if (!walk_run(w, e, i < x->count ? e[1].at : UINT64_MAX))
            return false;
        if (known)
            p->type = type;         /* a later run has named it */
    }
    return true;
}

static bool read_contents(struct wh_op *op, struct wh_source *s, struct wh_page *p)
{
    size_t got;

    wh_source_seek(s, p->at);
    if (!wh_source_read(op, s, p->contents, sizeof p->contents, &got))
        return false;
    return got == sizeof p->contents || wh_fail(&op->err, WH_STREAM, "the page is cut off");
}

static bool find(struct wh_op *op, struct wh_input *in, struct wh_page *p)
{
    struct wh_index x;
    bool indexed = false;

    wh_index_init(&x);
    if (in->src.seekable && !wh_trailer_load_index(op, &in->src, &x, &indexed))
        return false;
    if (in->src.seekable)
        wh_source_seek(&in->src, 0);
    else
        in->walk.watch = &in_pipe;
    p->indexed = indexed;
    bool ok = indexed ? look_up(&in->walk, &x) : wh_walk_stream(&in->walk);
    wh_index_free(&x);
    return ok && (!p->has_contents || !in->src.seekable || read_contents(op, &in->src, p));
}

bool wh_page_find(struct wh_op *op, const struct wh_job *job, struct wh_page *p)
{
    struct wh_input in;

    bool ok = wh_input_open(op, &in, job, &in_file, p, 0);
    if (ok && !find(op, &in, p))
        ok = op->err.kind == WH_STREAM ? wh_while(&op->err, "%s", job->path) : false;
    wh_input_close(&in);
    return ok;
}

/* --------------------------------------------------------------------------------- job */

struct page_job {
    struct wh_job job;
    struct wh_page page;
};

static bool run(struct wh_op *op, struct wh_job *job)
{
    struct wh_page *p = &((struct page_job *)job)->page;

    if (!wh_page_find(op, job, p))
        return false;
    wh_auto_json json_object *o = json_object_new_object();
    json_object_object_add(o, "pfn", json_object_new_uint64(p->pfn));
    json_object_object_add(o, "type", p->mentions == 0 ? NULL : json_object_new_string(
                                                                    wh_page_type_name(p->type)));
    json_object_object_add(o, "versions", json_object_new_uint64(p->versions));
    json_object_object_add(o, "offset", p->has_contents ? json_object_new_uint64(p->at) : NULL);
    json_object_object_add(o, "indexed", json_object_new_boolean(p->indexed));
    job->json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
    return true;
}

struct wh_job *wh_page_new(const char *path, uint64_t pfn)
{
    struct page_job *p = wh_job_make(sizeof *p, path, run, NULL);

    if (!p)
        return NULL;
    p->page.pfn = pfn;
    return &p->job;
}
