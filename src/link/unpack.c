/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/unpack.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/own.h"
#include "link/unpack_parts.h"

static bool is_zstd(struct wh_op *op, struct wh_source *s, bool *yes)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(op, s, 4, &p, &got))
        return false;
    *yes = got == 4 && (wh_le32(p) == WH_FRAME_MAGIC || (wh_le32(p) & ~0xfu) == WH_SKIPPABLE_MAGIC);
    return true;
}

/* The source becomes the reader's, and what is read through the reader takes its place. */
static void put_between(struct wh_source *s, struct wh_unpack *u, uint8_t *window)
{
    bool indexed = u->table.count > 0;

    u->in = *s;
    u->in.quiet = indexed;              /* one of the two tells how far it is */
    *s = (struct wh_source){
        .fd = u->in.fd,
        .name = u->in.name,
        .seekable = indexed,
        .size = indexed ? u->table.frame[u->table.count].plain : WH_SOURCE_UNKNOWN,
        .window = window,
        .ahead = WH_SOURCE_WINDOW,
        .null_fd = -1,
        .feed = &u->feed,
        .quiet = !indexed,
    };
}

bool wh_unpack(struct wh_op *op, struct wh_source *s)
{
    struct wh_frames table = { .frame = NULL };
    bool compressed, indexed = false;

    if (s->fd < 0)
        return true;                    /* a buffer: nobody compresses those */
    if (!is_zstd(op, s, &compressed) || !compressed)
        return op->err.kind == WH_OK;
    if (s->seekable && !wh_frames_read(op, s, &table, &indexed))
        return false;
    wh_auto_free uint8_t *window = malloc(WH_SOURCE_WINDOW);
    if (!window) {
        wh_frames_free(&table);
        return wh_fail_sys(&op->err, ENOMEM, "decompress");
    }
    struct wh_unpack *u = indexed ? wh_unpack_frames(op, &table) : wh_unpack_stream(op);
    if (u)
        put_between(s, u, wh_take_ptr(&window));
    return u != NULL;
}

bool wh_unpack_about(const struct wh_source *s, struct wh_packing *about)
{
    const struct wh_unpack *u = (const struct wh_unpack *)s->feed;

    if (!u)
        return false;
    about->indexed = u->table.count > 0;
    about->frames = about->indexed ? u->table.count : u->met;
    about->size = u->in.size != WH_SOURCE_UNKNOWN ? u->in.size : u->in.at;
    return true;
}

bool wh_unpack_broken(struct wh_op *op, struct wh_unpack *u, uint64_t number, uint64_t at,
                      struct wh_frame_flaw flaw)
{
    struct wh_feed_flaw *f = &u->feed.flaw;

    f->expected = flaw.expected;
    f->found = flaw.found;
    snprintf(f->place, sizeof f->place, "frame %" PRIu64 " at %#" PRIx64, number, at);
    return wh_fail(&op->err, WH_STREAM,
                   "zstd frame %" PRIu64 " at offset %#" PRIx64
                   " of the compressed file: expected %s, found %s",
                   number, at, f->expected, f->found);
}

bool wh_unpack_refused(struct wh_op *op, struct wh_unpack *u, uint64_t number, uint64_t at,
                       size_t result)
{
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
        return wh_fail_sys(&op->err, ENOMEM, "decompress");
    return wh_unpack_broken(op, u, number, at, wh_frame_flaw(result));
}
