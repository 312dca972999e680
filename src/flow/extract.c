/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extract: walk the image and keep one thing of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "base/sink.h"
#include "flow/core.h"
#include "flow/page.h"
#include "wire/legacy.h"
#include "wire/libxc.h"
#include "wire/libxl.h"

struct extract {
    struct wh_job job;
    struct wh_extract what;
    char *output;               /* where to */
    struct wh_outfile out;
    struct wh_core core;
    bool met;                   /* what was asked for is there */
    bool taking;                /* legacy: it is what comes now */
};

static bool write_all(struct wh_op *op, struct extract *x, const void *p, size_t n)
{
    struct wh_sink k;

    bool ok = wh_sink_open(op, &k, x->out.fd);
    k.name = x->output;
    ok = ok && wh_sink_write(op, &k, p, n) && wh_sink_flush(op, &k);
    wh_sink_close(&k);
    return ok;
}

/* ------------------------------------------------------------------------------ config */

/* The configuration is the first thing in the file: once it is there, nothing else is read. */
static bool config_record(struct wh_walk *w, const struct wh_rec *r)
{
    struct extract *x = w->arg;

    if (!wh_is_config(r))
        return true;
    if (!wh_check_config(w, r))
        return false;
    x->met = true;
    write_all(w->op, x, w->image.config, strlen(w->image.config));
    return false;
}

/* ---------------------------------------------------------------------------- emulator */

static bool emulator_before(struct wh_walk *w, const struct wh_rec *r)
{
    struct extract *x = w->arg;

    if (r->layer->id != WH_LAYER_LIBXL || r->type != WH_LIBXL_EMULATOR_CONTEXT)
        return true;
    if (x->met && x->out.plain)
        return wh_fail(&w->op->err, WH_USAGE,
                       "there are several emulator states: name a file for the last one");
    x->met = true;
    if (!x->out.plain && (ftruncate(x->out.fd, 0) < 0 || lseek(x->out.fd, 0, SEEK_SET) < 0))
        return wh_fail_sys(&w->op->err, errno, "write the emulator's state");
    return true;
}

static bool emulator_blob(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n)
{
    (void)r;
    return write_all(w->op, w->arg, p, n);
}

/* A legacy stream has its emulator's state in the tail, and is listened to as it is translated. */
static bool legacy_start(struct wh_walk *w)
{
    (void)w;
    return true;
}

static bool legacy_begin(struct wh_walk *w, const struct wh_layer *layer, uint32_t type,
                         uint32_t length)
{
    struct extract *x = w->arg;

    (void)length;
    x->taking = layer->id == WH_LAYER_LIBXL && type == WH_LIBXL_EMULATOR_CONTEXT;
    x->met |= x->taking;
    return true;
}

static bool legacy_bytes(struct wh_walk *w, const void *p, size_t n)
{
    (void)w;
    (void)p;
    (void)n;
    return true;
}

static bool legacy_contents(struct wh_walk *w, uint64_t n)
{
    struct extract *x = w->arg;
    const uint8_t *p;

    if (!x->taking)
        return wh_need_skip(w, n);
    for (size_t m; n > 0; n -= m) {
        m = n < WH_SOURCE_WINDOW ? (size_t)n : WH_SOURCE_WINDOW;
        if (!wh_need(w, m, &p) || !write_all(w->op, x, p, m))
            return false;
    }
    return true;
}

static bool legacy_end(struct wh_walk *w)
{
    (void)w;
    return true;
}

/* -------------------------------------------------------------------------------- core */

static bool core_pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    struct extract *x = w->arg;

    for (size_t i = 0; i < n && !w->image.verifying; i++) {
        if (!wh_core_page(w->op, &x->core, wh_page_pfn(entry[i]), contents + i * WH_PAGE_SIZE))
            return false;
    }
    return true;
}

static bool core_entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    struct extract *x = w->arg;

    (void)r;
    for (size_t i = 0; i < n; i++) {
        if (wh_page_type(entry[i]) == WH_PAGE_XALLOC &&
            !wh_core_blank(w->op, &x->core, wh_page_pfn(entry[i])))
            return false;
    }
    return true;
}

static bool core_record(struct wh_walk *w, const struct wh_rec *r)
{
    struct extract *x = w->arg;

    if (r->layer->id == WH_LAYER_LIBXC && r->body && !(r->row->flags & WH_HEADER)) {
        if (r->type == WH_LIBXC_HVM_CONTEXT)
            wh_core_hvm_context(&x->core, r->body, r->length);
        if (r->type == WH_LIBXC_VCPU_BASIC && r->length == 8 + WH_PV64_CONTEXT)
            wh_core_pv_context(&x->core, wh_le32(r->body), r->body + 8);
    }
    return wh_check_config(w, r);
}

/* --------------------------------------------------------------------------- operation */

static const struct wh_legacy_watch legacy = { legacy_start, legacy_begin, legacy_bytes,
                                               legacy_contents, legacy_end };
static const struct wh_watch config_watch = { .record = config_record };
static const struct wh_watch emulator_watch = { .before = emulator_before, .blob = emulator_blob,
                                                .record = wh_check_config, .legacy = &legacy };
static const struct wh_watch core_watch = { .pages = core_pages, .entries = core_entries,
                                            .record = core_record };

static bool walk(struct wh_op *op, struct extract *x, const struct wh_watch *watch)
{
    struct wh_input in;

    bool ok = wh_input_open(op, &in, &x->job, watch, x,
                            watch == &config_watch ? 0 : WH_DIGEST_IF_ANY);
    if (ok && !wh_walk_stream(&in.walk))
        ok = op->err.kind == WH_OK ||
             (op->err.kind == WH_STREAM ? wh_while(&op->err, "%s", x->job.path) : false);
    wh_input_close(&in);
    return ok;
}

static bool none(struct wh_op *op, const struct extract *x, const char *what)
{
    return wh_fail(&op->err, WH_USAGE, "%s: there is no %s in it", x->job.path, what);
}

static bool take_config(struct wh_op *op, struct extract *x)
{
    return walk(op, x, &config_watch) && (x->met || none(op, x, "configuration"));
}

static bool take_emulator(struct wh_op *op, struct extract *x)
{
    return walk(op, x, &emulator_watch) && (x->met || none(op, x, "emulator's state"));
}

static bool take_page(struct wh_op *op, struct extract *x)
{
    struct wh_page p = { .pfn = x->what.pfn };

    if (!wh_page_find(op, &x->job, &p))
        return false;
    if (p.mentions == 0)
        return wh_fail(&op->err, WH_USAGE, "%s: page %#llx is not named in it", x->job.path,
                       (unsigned long long)p.pfn);
    if (!p.has_contents)
        return wh_fail(&op->err, WH_USAGE, "%s: page %#llx has no contents: it is %s",
                       x->job.path, (unsigned long long)p.pfn, wh_page_type_name(p.type));
    return write_all(op, x, p.contents, sizeof p.contents);
}

static bool take_core(struct wh_op *op, struct extract *x)
{
    if (x->out.plain)
        return wh_fail(&op->err, WH_USAGE, "a core is sparse: it cannot go to standard output");
    return wh_core_init(op, &x->core, x->out.fd) && walk(op, x, &core_watch) &&
           wh_core_finish(op, &x->core);
}

static bool run(struct wh_op *op, struct wh_job *job)
{
    struct extract *x = (struct extract *)job;
    bool (*take)(struct wh_op *, struct extract *) = x->what.config     ? take_config
                                                     : x->what.emulator ? take_emulator
                                                     : x->what.page     ? take_page
                                                                        : take_core;

    x->out.fd = x->out.folder = -1;
    if (x->what.config + x->what.page + !!x->what.emulator + !!x->what.core != 1)
        return wh_fail(&op->err, WH_USAGE, "one of config, emulator, page and core can be extracted");
    bool ok = wh_outfile_open(op, &x->out, x->output) && take(op, x) &&
              wh_outfile_commit(op, &x->out);
    wh_outfile_close(&x->out);
    return ok;
}

static void drop(struct wh_job *job)
{
    struct extract *x = (struct extract *)job;

    wh_core_free(&x->core);
    free(x->output);
}

struct wh_job *wh_extract_new(const char *path, const struct wh_extract *what)
{
    struct extract *x = wh_job_make(sizeof *x, path, run, drop);

    if (!x)
        return NULL;
    x->what = *what;
    x->output = strdup(what->core       ? what->core
                       : what->emulator ? what->emulator
                       : what->output   ? what->output
                                        : "-");
    if (!x->output) {
        wh_job_free(&x->job);
        return NULL;
    }
    return &x->job;
}
