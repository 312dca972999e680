/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/pack.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/own.h"
#include "link/crew.h"
#include "link/frames.h"

#define FRAME (2u << 20)
#define SLICE (256u << 10)      /* written at a time: between two a cancel is seen */
#define QUICK 9                 /* levels up to it compress a frame within tens of milliseconds */
#define PIECE (64u << 10)       /* of a frame, above it: between two the end of the work is seen */

struct slot {
    uint8_t *plain, *packed;
    size_t n;                   /* bytes in plain */
    size_t result;              /* bytes in packed, or zstd's error */
};

struct pack {
    struct wh_stage stage;
    struct wh_sink out;         /* to the fd */
    struct wh_crew crew;
    bool crewed, ended;
    int level;
    size_t frame, room;         /* bytes of plain and packed in a slot */
    size_t filled;              /* bytes in the slot that is being filled */
    struct slot slot[WH_CREW_SLOTS];
    ZSTD_CCtx *tool[WH_CREW_WORKERS];
    struct wh_frames frames;
};

/* ---------------------------------------------------------------------------- a worker */

static size_t compress_slowly(const struct pack *p, ZSTD_CCtx *tool, const struct slot *s)
{
    ZSTD_outBuffer out = { s->packed, p->room, 0 };
    ZSTD_inBuffer in = { s->plain, 0, 0 };
    size_t left = 0;

    while (in.pos < s->n && !ZSTD_isError(left) && !wh_crew_stopping(&p->crew)) {
        in.size = s->n - in.pos > PIECE ? in.pos + PIECE : s->n;
        left = ZSTD_compressStream2(tool, &out, &in, in.size < s->n ? ZSTD_e_continue : ZSTD_e_end);
    }
    if (ZSTD_isError(left))
        return left;
    return left == 0 ? out.pos : (size_t)-ZSTD_error_dstSize_tooSmall;
}

static void work(void *arg, unsigned slot, unsigned worker)
{
    struct pack *p = arg;
    struct slot *s = &p->slot[slot];
    ZSTD_CCtx *tool = p->tool[worker];

    ZSTD_CCtx_reset(tool, ZSTD_reset_session_only);
    ZSTD_CCtx_setPledgedSrcSize(tool, s->n);
    s->result = p->level > QUICK ? compress_slowly(p, tool, s)
                                 : ZSTD_compress2(tool, s->packed, p->room, s->plain, s->n);
}

/* --------------------------------------------------------------------------- the stage */

/* The oldest frame, which is done, goes to the fd. */
static bool put_oldest(struct wh_op *op, struct pack *p)
{
    const struct slot *s = &p->slot[wh_crew_oldest(&p->crew)];

    if (ZSTD_isError(s->result))
        return wh_fail(&op->err, WH_SYSTEM, "compress: %s", ZSTD_getErrorName(s->result));
    for (size_t at = 0, n; at < s->result; at += n) {
        n = s->result - at < SLICE ? s->result - at : SLICE;
        if (!wh_sink_write(op, &p->out, s->packed + at, n))
            return false;
    }
    p->stage.out = p->out.at;
    if (!wh_frames_add(op, &p->frames, (uint32_t)s->result, (uint32_t)s->n))
        return false;
    wh_crew_take(&p->crew);
    return true;
}

/* Give the slot that was filled, put what is done, and see that there is another one to fill. */
static bool give(struct wh_op *op, struct pack *p)
{
    p->slot[wh_crew_next(&p->crew)].n = p->filled;
    p->filled = 0;
    wh_crew_give(&p->crew);
    while (wh_crew_pending(&p->crew) > 0 &&
           (!wh_crew_has_room(&p->crew) || wh_crew_is_done(&p->crew))) {
        if (!wh_crew_wait(op, &p->crew) || !put_oldest(op, p))
            return false;
    }
    return true;
}

static bool pack_write(struct wh_op *op, struct wh_stage *t, const void *from, size_t n)
{
    struct pack *p = (struct pack *)t;
    const uint8_t *at = from;

    assert(!p->ended);
    for (size_t m; n > 0; n -= m, at += m) {
        m = n < p->frame - p->filled ? n : p->frame - p->filled;
        memcpy(p->slot[wh_crew_next(&p->crew)].plain + p->filled, at, m);
        p->filled += m;
        if (p->filled == p->frame && !give(op, p))
            return false;
    }
    return true;
}

static bool pack_flush(struct wh_op *op, struct wh_stage *t)
{
    struct pack *p = (struct pack *)t;

    if (p->filled > 0 && !give(op, p))
        return false;
    while (wh_crew_pending(&p->crew) > 0) {
        if (!wh_crew_wait(op, &p->crew) || !put_oldest(op, p))
            return false;
    }
    return wh_sink_flush(op, &p->out);
}

static bool pack_end(struct wh_op *op, struct wh_stage *t)
{
    struct pack *p = (struct pack *)t;

    if (!pack_flush(op, t))
        return false;
    p->ended = true;
    bool ok = wh_frames_write(op, &p->out, &p->frames) && wh_sink_flush(op, &p->out);
    p->stage.out = p->out.at;
    return ok;
}

static void pack_drop(struct wh_stage *t)
{
    struct pack *p = (struct pack *)t;

    if (p->crewed)
        wh_crew_close(&p->crew);
    for (unsigned i = 0; i < WH_CREW_SLOTS; i++) {
        free(p->slot[i].plain);
        free(p->slot[i].packed);
    }
    for (unsigned i = 0; i < WH_CREW_WORKERS; i++)
        ZSTD_freeCCtx(p->tool[i]);
    wh_frames_free(&p->frames);
    wh_sink_close(&p->out);
    free(p);
}

/* -------------------------------------------------------------------------------- open */

static bool make_tool(struct pack *p, unsigned i)
{
    ZSTD_CCtx *tool = p->tool[i] = ZSTD_createCCtx();

    return tool && !ZSTD_isError(ZSTD_CCtx_setParameter(tool, ZSTD_c_compressionLevel, p->level)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(tool, ZSTD_c_checksumFlag, 1));
}

/* Pages of slots that are never filled are never had. */
static bool make_slot(struct pack *p, unsigned i)
{
    p->slot[i].plain = malloc(p->frame);
    p->slot[i].packed = malloc(p->room);
    return p->slot[i].plain && p->slot[i].packed;
}

static bool make(struct wh_op *op, struct pack *p, unsigned threads)
{
    unsigned slots = threads + 2;       /* one is being filled, one is being written */
    bool ok = true;

    for (unsigned i = 0; ok && i < threads; i++)
        ok = make_tool(p, i);
    for (unsigned i = 0; ok && i < slots; i++)
        ok = make_slot(p, i);
    if (!ok)
        return wh_fail_sys(&op->err, ENOMEM, "compress");
    p->crewed = true;
    return wh_crew_open(op, &p->crew, slots, threads, work, p);
}

bool wh_pack_with(struct wh_op *op, struct wh_sink *k, int level, size_t frame, unsigned threads)
{
    if (level < WH_PACK_LEVEL_MIN || level > WH_PACK_LEVEL_MAX)
        return wh_fail(&op->err, WH_USAGE, "a level of compression is %d to %d, not %d",
                       WH_PACK_LEVEL_MIN, WH_PACK_LEVEL_MAX, level);
    struct pack *p = calloc(1, sizeof *p);
    assert(frame > 0 && frame <= WH_FRAME_MAX);
    if (!p)
        return wh_fail_sys(&op->err, ENOMEM, "compress");
    p->stage = (struct wh_stage){ pack_write, pack_flush, pack_end, pack_drop, 0 };
    p->level = level ? level : WH_PACK_LEVEL;
    p->frame = frame;
    p->room = ZSTD_compressBound(frame);
    wh_sink_stage(k, &p->stage, &p->out);       /* closed with the sink, whatever comes */
    return make(op, p, threads);
}

bool wh_pack(struct wh_op *op, struct wh_sink *k, int level)
{
    return wh_pack_with(op, k, level, FRAME, wh_crew_size());
}
