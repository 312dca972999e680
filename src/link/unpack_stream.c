/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any zstd file in a row, from a file or a pipe: frames of every length, known or not.
 *
 * What is decompressed goes straight to who reads; zstd holds the window of one frame.  Frames are
 * told apart here and not by zstd, since it would read those of its first versions too. */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "link/unpack_parts.h"

struct stream {
    struct wh_unpack unpack;
    ZSTD_DCtx *tool;
    bool inside;                /* a frame */
    bool more;                  /* zstd holds bytes that the last reader had no room for */
    uint64_t frame_at;
};

static bool broken(struct wh_op *op, struct stream *s, const char *expected, const char *found)
{
    return wh_unpack_broken(op, &s->unpack, s->unpack.met ? s->unpack.met - 1 : 0, s->frame_at,
                            (struct wh_frame_flaw){ expected, found });
}

static bool ends_early(struct wh_op *op, struct stream *s)
{
    return broken(op, s, "a whole frame", "the end of the file");
}

static bool skip_frame(struct wh_op *op, struct stream *s)
{
    struct wh_source *in = &s->unpack.in;
    const uint8_t *p;
    uint64_t length, gone;
    size_t got;

    if (!wh_source_peek(op, in, 8, &p, &got))
        return false;
    if (got < 8)
        return ends_early(op, s);
    length = 8 + (uint64_t)wh_le32(p + 4);
    return wh_source_skip(op, in, length, &gone) && (gone == length || ends_early(op, s));
}

/* zstd itself looks at the window only of a frame that does not come at once. */
static bool check_window(struct wh_op *op, struct stream *s)
{
    struct wh_source *in = &s->unpack.in;
    const uint8_t *p;
    size_t got, n;

    if (!wh_source_peek(op, in, WH_FRAME_LEAST, &p, &got))
        return false;
    if (got < WH_FRAME_LEAST)
        return ends_early(op, s);
    n = wh_frame_header(p);
    if (!wh_source_peek(op, in, n, &p, &got))
        return false;
    if (got < n)
        return ends_early(op, s);
    return wh_frame_window(p, n) <= WH_WINDOW_MAX ||
           wh_unpack_refused(op, &s->unpack, s->unpack.met - 1, s->frame_at,
                             (size_t)-ZSTD_error_frameParameter_windowTooLarge);
}

/* Up to the next frame with contents; not .inside then: there is none. */
static bool next_frame(struct wh_op *op, struct stream *s)
{
    struct wh_source *in = &s->unpack.in;
    const uint8_t *p;
    size_t got;

    for (;;) {
        if (!wh_source_peek(op, in, 4, &p, &got))
            return false;
        if (got == 0)
            return true;
        s->frame_at = in->at;
        s->unpack.met++;
        if (got < 4)
            return ends_early(op, s);
        if (wh_le32(p) == WH_FRAME_MAGIC)
            break;
        if ((wh_le32(p) & ~0xfu) != WH_SKIPPABLE_MAGIC)
            return broken(op, s, "a zstd frame", "other bytes");
        s->unpack.met--;                    /* it has no contents, and no number */
        if (!skip_frame(op, s))
            return false;
    }
    ZSTD_DCtx_reset(s->tool, ZSTD_reset_session_only);
    s->inside = true;
    return check_window(op, s);
}

/* Some bytes of the frame; none may come of a piece of it.  As few are waited for as there are. */
static bool decompress(struct wh_op *op, struct stream *s, ZSTD_outBuffer *out)
{
    struct wh_source *in = &s->unpack.in;
    const uint8_t *p = NULL;
    size_t got = 0;

    if (!s->more && !wh_source_peek(op, in, 1, &p, &got))
        return false;
    if (!s->more && got == 0)
        return ends_early(op, s);
    ZSTD_inBuffer from = { p, s->more ? 0 : in->tail - in->head, 0 };
    size_t left = ZSTD_decompressStream(s->tool, out, &from);
    if (ZSTD_isError(left))
        return wh_unpack_refused(op, &s->unpack, s->unpack.met - 1, s->frame_at, left);
    s->more = left > 0 && out->pos == out->size;
    s->inside = left > 0;
    return wh_source_take(op, in, from.pos);
}

static bool stream_read(struct wh_op *op, struct wh_feed *f, uint64_t at, void *to, size_t most,
                        size_t *n)
{
    struct stream *s = (struct stream *)f;
    ZSTD_outBuffer out = { to, most, 0 };

    (void)at;
    while (out.pos == 0) {
        if (!s->inside && !next_frame(op, s))
            return false;
        if (!s->inside)
            break;
        if (!decompress(op, s, &out))
            return false;
    }
    *n = out.pos;
    return true;
}

static void stream_drop(struct wh_feed *f)
{
    struct stream *s = (struct stream *)f;

    ZSTD_freeDCtx(s->tool);
    wh_source_close(&s->unpack.in);
    free(s);
}

struct wh_unpack *wh_unpack_stream(struct wh_op *op)
{
    struct stream *s = calloc(1, sizeof *s);
    ZSTD_DCtx *tool = ZSTD_createDCtx();

    if (!s || !tool) {
        free(s);
        ZSTD_freeDCtx(tool);
        wh_fail_sys(&op->err, ENOMEM, "decompress");
        return NULL;
    }
    s->tool = tool;
    s->unpack.feed = (struct wh_feed){ .read = stream_read, .drop = stream_drop };
    return &s->unpack;
}
