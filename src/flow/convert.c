/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Convert: walk the image, every rule of it checked, and let what the new container keeps pass
 * into the output on the way.
 *
 *     v2 to v2    the bytes of the layers that stay are teed off the source, not rebuilt
 *     legacy      the walk translates; its records are written as they come
 *
 * The output has its name only when the whole input was good. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/own.h"
#include "base/json.h"
#include "flow/input.h"
#include "link/pack.h"
#include "wire/legacy.h"
#include "wire/libxc.h"
#include "wire/libxl.h"
#include "wire/put.h"
#include "wire/trailer.h"
#include "wire/xl.h"

#define CONVERTED_BY_MAJOR 0        /* what stock's converter writes as the source's Xen */
#define CONVERTED_BY_MINOR 1

struct convert {
    struct wh_job job;
    struct wh_convert how;
    char *out_path, *guest, *config_path;
    enum wh_container to;
    struct wh_outfile out;
    struct wh_sink sink;
    char *config;                   /* from config_path */
    size_t config_length;
    bool wrapping;                  /* the input is a bare libxc image and the output is not */
    bool begun;                     /* the output's headers are written */
    int64_t shift;                  /* from an offset in the input to one in the output */
    struct wh_index index;          /* of a legacy input's page records in the output */
    uint32_t type;                  /* legacy: the record being written */
    uint32_t length;
    bool dropped;                   /* legacy: it is of a layer that the output has not */
    uint64_t record_at;
};

/* ----------------------------------------------------------------------------- headers */

static enum wh_container target(const struct convert *c, const struct wh_image *i)
{
    if (c->how.to != WH_SAME)
        return c->how.to;
    switch (i->container) {
    case WH_FORMAT_XL:
        return WH_XL;
    case WH_FORMAT_LIBXC:
        return WH_LIBXC;
    default:
        return WH_LIBXL;
    }
}

/* As the input's, but for what --config replaces. */
static bool put_xl(struct wh_walk *w, struct convert *c)
{
    const struct wh_image *i = &w->image;
    struct wh_xl xl = {
        .mandatory_flags = (i->xl_mandatory & WH_XL_CONFIG_JSON) | WH_XL_STREAM_V2,
        .optional_flags = i->xl_optional,
        .config = i->config,
        .length = i->config_length,
        .extra = i->extra,
        .extra_length = i->extra_length,
    };

    if (i->extra_length > WH_XL_EXTRA_MAX)
        return wh_fail(&w->op->err, WH_USAGE,
                       "%zu bytes of optional data behind the configuration: too many to keep",
                       i->extra_length);
    if (c->config) {
        xl.mandatory_flags |= WH_XL_CONFIG_JSON;
        xl.config = c->config;
        xl.length = c->config_length;
    }
    return wh_put_xl(w->op, &c->sink, &xl);
}

/* The output begins: it is known by now what it is to be. */
static bool begin_output(struct wh_walk *w, struct convert *c)
{
    c->begun = true;
    c->to = target(c, &w->image);
    if (c->config && c->to != WH_XL)
        return wh_fail(&w->op->err, WH_USAGE, "only an xl container has a configuration");
    if (c->to == WH_XL && !c->how.no_trailer) {
        c->sink.digest = wh_digest_new();
        if (!c->sink.digest)
            return wh_fail_sys(&w->op->err, ENOMEM, "convert");
    }
    return c->to != WH_XL || put_xl(w, c);
}

/* ---------------------------------------------------------------------------- v2 to v2 */

static bool enter(struct wh_walk *w, const struct wh_layer *layer)
{
    struct convert *c = w->arg;
    bool first = !c->begun;

    if (first && !begin_output(w, c))
        return false;
    if (layer->id == WH_LAYER_LIBXC && first) {
        c->wrapping = c->to != WH_LIBXC;
        if (c->wrapping && (!wh_put_libxl_header(w->op, &c->sink, 0) ||
                            !wh_put_record(w->op, &c->sink, &wh_layer_libxl,
                                           WH_LIBXL_LIBXC_CONTEXT, NULL, 0)))
            return false;
    }
    if (layer->id == WH_LAYER_LIBXC)
        c->shift = (int64_t)c->sink.at - (int64_t)w->src->at;
    if (layer->id == WH_LAYER_LIBXC || c->to != WH_LIBXC)
        w->src->tee = &c->sink;
    return true;
}

static bool leave(struct wh_walk *w, const struct wh_layer *layer, bool at_end)
{
    struct convert *c = w->arg;

    if (layer->id == WH_LAYER_LIBXL || c->to == WH_LIBXC || c->wrapping)
        w->src->tee = NULL;
    if (layer->id != WH_LAYER_LIBXC || !c->wrapping)
        return true;
    return wh_put_record(w->op, &c->sink, &wh_layer_libxl,
                         at_end ? WH_LIBXL_END : WH_LIBXL_CHECKPOINT_END, NULL, 0);
}

/* ------------------------------------------------------------------------------ legacy */

static bool start(struct wh_walk *w)
{
    struct convert *c = w->arg;

    if (!begin_output(w, c))
        return false;
    if (c->to != WH_LIBXC &&
        (!wh_put_libxl_header(w->op, &c->sink, WH_LIBXL_LEGACY) ||
         !wh_put_record(w->op, &c->sink, &wh_layer_libxl, WH_LIBXL_LIBXC_CONTEXT, NULL, 0)))
        return false;
    return wh_put_libxc_headers(w->op, &c->sink, w->image.guest, CONVERTED_BY_MAJOR,
                                CONVERTED_BY_MINOR);
}

static bool begin(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, uint32_t length)
{
    struct convert *c = w->arg;

    c->dropped = layer->id == WH_LAYER_LIBXL && c->to == WH_LIBXC;
    c->type = layer->id == WH_LAYER_LIBXC ? type : UINT32_MAX;
    c->length = length;
    c->record_at = c->sink.at;
    return c->dropped || wh_put_begin(w->op, &c->sink, type, length);
}

/* A page record comes as its head with all entries, then contents. */
static void index_pages(struct convert *c, const uint8_t *head, size_t n)
{
    uint64_t first = UINT64_MAX, last = 0;

    for (size_t at = 8; at < n; at += 8) {
        uint64_t pfn = wh_page_pfn(wh_le64(head + at));

        first = pfn < first ? pfn : first;
        last = pfn > last ? pfn : last;
    }
    wh_index_add(&c->index, c->record_at, first, last);
}

static bool bytes(struct wh_walk *w, const void *p, size_t n)
{
    struct convert *c = w->arg;

    if (c->type == WH_LIBXC_PAGE_DATA)
        index_pages(c, p, n);
    return c->dropped || wh_sink_write(w->op, &c->sink, p, n);
}

static bool contents(struct wh_walk *w, uint64_t n)
{
    struct convert *c = w->arg;

    w->src->tee = c->dropped ? NULL : &c->sink;
    bool ok = wh_need_skip(w, n);
    w->src->tee = NULL;
    return ok;
}

static bool end(struct wh_walk *w)
{
    struct convert *c = w->arg;

    return c->dropped || wh_put_end(w->op, &c->sink, c->length);
}

/* --------------------------------------------------------------------------- operation */

static const struct wh_legacy_watch legacy = { .start = start, .begin = begin, .bytes = bytes,
                                               .contents = contents, .end = end };
static const struct wh_watch watch = { .enter = enter, .leave = leave,
                                       .record = wh_check_config, .legacy = &legacy };

static bool read_config(struct wh_op *op, struct convert *c)
{
    const char *why;
    size_t at, got;

    if (!c->config_path)
        return true;
    wh_auto_fd int fd = open(c->config_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct wh_source s = { .fd = -1, .null_fd = -1 };
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", c->config_path);
    c->config = calloc(1, WH_XL_CONFIG_MAX);
    bool ok = (c->config || wh_fail_sys(&op->err, ENOMEM, "read %s", c->config_path)) &&
              wh_source_open(op, &s, fd);
    s.name = c->config_path;
    ok = ok && wh_source_read(op, &s, c->config, WH_XL_CONFIG_MAX, &got);
    wh_source_close(&s);
    if (!ok)
        return false;
    if (got == WH_XL_CONFIG_MAX)
        return wh_fail(&op->err, WH_USAGE, "%s: longer than a configuration may be (512 KiB)",
                       c->config_path);
    wh_auto_json json_object *o = wh_json_parse(c->config, got, &why, &at);
    if (!o || !json_object_is_type(o, json_type_object))
        return wh_fail(&op->err, WH_USAGE, "%s: offset %zu: %s", c->config_path, at,
                       o ? "not a JSON object" : why);
    c->config_length = strlen(c->config) + 1;
    return true;
}

static enum wh_guest named_guest(const char *name)
{
    return !name ? WH_NO_GUEST : strcmp(name, "pv") == 0 ? WH_PV : WH_HVM;
}

/* SOURCE_DATE_EPOCH makes the output the same at any time, as for other build tools. */
static uint64_t now(void)
{
    const char *fixed = getenv("SOURCE_DATE_EPOCH");

    return fixed ? strtoull(fixed, NULL, 10) : (uint64_t)time(NULL);
}

static bool put_trailer(struct wh_op *op, struct convert *c, struct wh_walk *w)
{
    bool plain = w->image.epochs == 0;
    struct wh_index *x = w->image.has_legacy ? &c->index : &w->index;
    struct wh_trailer t = { .stream = c->sink.at, .time = now(),
                            .producer = "wherry " WH_VERSION, .index = plain && !x->off ? x : NULL };

    for (size_t i = 0; i < w->index.count; i++)
        w->index.entry[i].at += (uint64_t)c->shift;
    wh_digest_get(c->sink.digest, t.digest);
    return wh_trailer_write(op, &c->sink, &t);
}

static void make_json(struct convert *c, const struct wh_walk *w)
{
    static const char *const name[] = { NULL, "xl", "libxl", "libxc" };
    bool lost = c->to == WH_LIBXC && w->image.emulator_bytes > 0;
    wh_auto_json json_object *o = json_object_new_object();

    json_object_object_add(o, "in", wh_json_text(c->job.path));
    json_object_object_add(o, "out", wh_json_text(c->out_path));
    json_object_object_add(o, "container", json_object_new_string(name[c->to]));
    json_object_object_add(o, "size", json_object_new_uint64(c->sink.at));
    json_object_object_add(o, "compressed_size",
                           c->sink.stage ? json_object_new_uint64(c->sink.stage->out) : NULL);
    json_object_object_add(o, "trailer", json_object_new_boolean(c->sink.digest != NULL));
    json_object_object_add(o, "emulator_left_out", json_object_new_boolean(lost));
    c->job.json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
                                                               JSON_C_TO_STRING_NOSLASHESCAPE));
}

static bool convert(struct wh_op *op, struct convert *c, struct wh_walk *w)
{
    w->want_width = c->how.width;
    w->want_guest = named_guest(c->guest);
    if (!wh_walk_stream(w))
        return op->err.kind == WH_STREAM ? wh_while(&op->err, "%s", c->job.path) : false;
    if (c->sink.digest && !put_trailer(op, c, w))
        return false;
    if (!wh_sink_end(op, &c->sink) || !wh_outfile_commit(op, &c->out))
        return false;
    make_json(c, w);
    return true;
}

/* What a caller of the library may have got wrong. */
static bool check_how(struct wh_op *op, const struct convert *c)
{
    const struct wh_convert *how = &c->how;

    if ((unsigned)how->to > WH_LIBXC)
        return wh_fail(&op->err, WH_USAGE, "there is no container %d", (int)how->to);
    if (how->width != 0 && how->width != 32 && how->width != 64)
        return wh_fail(&op->err, WH_USAGE, "a width is 32 or 64, not %u", how->width);
    if (c->guest && strcmp(c->guest, "pv") != 0 && strcmp(c->guest, "hvm") != 0)
        return wh_fail(&op->err, WH_USAGE, "a guest is pv or hvm, not %s", c->guest);
    return true;
}

static bool run(struct wh_op *op, struct wh_job *job)
{
    struct convert *c = (struct convert *)job;
    struct wh_input in;

    c->out.fd = -1;
    c->out.folder = -1;
    if (!check_how(op, c) || !read_config(op, c))
        return false;
    bool ok = wh_input_open(op, &in, job, &watch, c, WH_DIGEST_IF_ANY) &&
              wh_outfile_open(op, &c->out, c->out_path) &&
              wh_sink_open(op, &c->sink, c->out.fd);
    c->sink.name = c->out_path;
    if (ok && c->how.compress)
        ok = wh_pack(op, &c->sink, c->how.level);
    ok = ok && convert(op, c, &in.walk);
    wh_sink_close(&c->sink);
    wh_input_close(&in);
    wh_outfile_close(&c->out);
    return ok;
}

static void drop(struct wh_job *job)
{
    struct convert *c = (struct convert *)job;

    wh_digest_free(c->sink.digest);
    wh_sink_close(&c->sink);
    wh_index_free(&c->index);
    free(c->out_path);
    free(c->guest);
    free(c->config_path);
    free(c->config);
}

struct wh_job *wh_convert_new(const char *in, const char *out, const struct wh_convert *how)
{
    struct convert *c = wh_job_make(sizeof *c, in, run, drop);

    if (!c)
        return NULL;
    c->how = *how;
    c->out_path = strdup(out);
    c->guest = how->guest ? strdup(how->guest) : NULL;
    c->config_path = how->config ? strdup(how->config) : NULL;
    wh_index_init(&c->index);
    if (!c->out_path || (how->guest && !c->guest) || (how->config && !c->config_path)) {
        wh_job_free(&c->job);
        return NULL;
    }
    return &c->job;
}
