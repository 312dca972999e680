/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "link/unpack.h"
#include "wire/trailer.h"
#include "wire/xl.h"

bool wh_input_open(struct wh_op *op, struct wh_input *in, const struct wh_job *job,
                   const struct wh_watch *watch, void *arg, unsigned flags)
{
    *in = (struct wh_input){ .job = job, .fd = -1, .src = { .fd = -1, .null_fd = -1 } };
    wh_step(op, "open the image", WH_FOREVER);
    if (!wh_job_open_input(op, job, &in->fd) || !wh_source_open(op, &in->src, in->fd))
        return wh_while(&op->err, "%s", job->path);
    in->src.name = job->path;
    if (!wh_unpack(op, &in->src) || !wh_walk_init(&in->walk, op, &in->src, watch, arg))
        return wh_while(&op->err, "%s", job->path);
    in->walk.want_digest = flags & WH_DIGEST_IF_ANY;
    in->walk.pedantic = flags & WH_PEDANTIC;
    bool sealed = false;
    if ((flags & WH_DIGEST_IF_ANY) && !wh_trailer_expected(op, &in->src, &sealed))
        return wh_while(&op->err, "%s", job->path);
    if ((flags & WH_DIGEST) || sealed) {
        in->src.digest = wh_digest_new();
        if (!in->src.digest)
            return wh_fail_sys(&op->err, ENOMEM, "%s", job->path);
    }
    wh_step(op, "read the image", WH_FOREVER);
    return true;
}

void wh_input_close(struct wh_input *in)
{
    wh_digest_free(in->src.digest);         /* first: it may be looking at what the walk has read */
    wh_walk_free(&in->walk);
    wh_source_close(&in->src);
    wh_job_close_input(in->job, in->fd);
}

bool wh_is_config(const struct wh_rec *r)
{
    return r->layer->id == WH_LAYER_XL && r->row && !r->row->fields;
}

bool wh_check_config(struct wh_walk *w, const struct wh_rec *r)
{
    const char *why;
    size_t at;

    if (!wh_is_config(r) || !(w->image.xl_mandatory & WH_XL_CONFIG_JSON) ||
        w->image.config_flawed)
        return true;
    wh_auto_json json_object *o = wh_json_parse(w->image.config, w->image.config_length, &why, &at);
    if (!o)
        return wh_flaw(w, WH_RULE_CONFIG, r->body_at + at, "a JSON object", why);
    return json_object_is_type(o, json_type_object) ||
           wh_flaw(w, WH_RULE_CONFIG, r->body_at, "a JSON object", "another kind of value");
}

enum wh_digest_state wh_digest_state(const struct wh_walk *w)
{
    if (!w->image.has_trailer)
        return WH_DIGEST_NONE;
    if (!w->digested)
        return WH_DIGEST_UNREAD;
    return memcmp(w->digest, w->image.trailer_digest, WH_DIGEST_BYTES) == 0 ? WH_DIGEST_GOOD
                                                                           : WH_DIGEST_BAD;
}

const char *wh_digest_word(enum wh_digest_state s)
{
    static const char *const word[] = { "none", "not checked", "good", "bad" };

    return word[s];
}

void wh_digest_text(const uint8_t digest[WH_DIGEST_BYTES], char text[2 * WH_DIGEST_BYTES + 1])
{
    for (unsigned i = 0; i < WH_DIGEST_BYTES; i++)
        sprintf(text + 2 * i, "%02x", digest[i]);
}
