/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file with a seek table: whole frames, each decompressed into memory by a worker.
 *
 *     the crew's slots     |  being read  | done | at work | at work |  free  |
 *     frames of the file      number        +1     +2        +3
 *
 * Where a reader jumps, one frame is fetched; while it goes on from frame to frame, twice as many
 * each time are fetched ahead of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "link/crew.h"
#include "link/unpack_parts.h"

struct slot {
    uint8_t *packed, *plain;
    size_t n, room;             /* bytes in packed; that the frame is to have in plain */
    size_t result;              /* bytes in plain, or zstd's error */
};

struct reader {
    struct wh_unpack unpack;
    struct wh_crew crew;
    struct slot slot[WH_CREW_SLOTS];
    ZSTD_DCtx *tool[WH_CREW_WORKERS];
    size_t packed_most, plain_most;     /* of all frames */
    size_t number;              /* of the frame in the oldest slot, if any slot is pending */
    bool ready;                 /* it is done and good */
    unsigned ahead;             /* frames to be had beyond the one that is read */
};

static void work(void *arg, unsigned slot, unsigned worker)
{
    struct reader *r = arg;
    struct slot *s = &r->slot[slot];

    s->result = wh_frame_unpack(r->tool[worker], s->plain, s->room, s->packed, s->n);
}

/* ------------------------------------------------------------------------------ frames */

static bool broken(struct wh_op *op, struct reader *r, size_t number, const char *expected,
                   const char *found)
{
    return wh_unpack_broken(op, &r->unpack, number, r->unpack.table.frame[number].at,
                            (struct wh_frame_flaw){ expected, found });
}

/* Read a frame and give it to the workers. */
static bool give(struct wh_op *op, struct reader *r, size_t number)
{
    const struct wh_frame *f = &r->unpack.table.frame[number];
    struct slot *s = &r->slot[wh_crew_next(&r->crew)];
    size_t got;

    s->n = (size_t)(f[1].at - f->at);
    s->room = (size_t)(f[1].plain - f->plain);
    wh_source_seek(&r->unpack.in, f->at);
    if (!wh_source_read(op, &r->unpack.in, s->packed, s->n, &got))
        return false;
    if (got < s->n)
        return broken(op, r, number, "a whole frame", "the end of the file");
    wh_crew_give(&r->crew);
    return true;
}

/* The oldest slot's frame is wanted no more. */
static bool drop_oldest(struct wh_op *op, struct reader *r)
{
    r->ready = false;
    if (!wh_crew_wait(op, &r->crew))
        return false;
    wh_crew_take(&r->crew);
    r->number++;
    return true;
}

/* Leave only the slots from this frame on: none, if it is not among them. */
static bool turn_to(struct wh_op *op, struct reader *r, size_t number)
{
    size_t next = r->number + wh_crew_pending(&r->crew);
    bool on = number == r->number + 1 && wh_crew_pending(&r->crew) > 0;
    bool here = number >= r->number && number < next;

    r->ahead = !on ? 0 : 2 * r->ahead + 1 < r->crew.slots ? 2 * r->ahead + 1 : r->crew.slots - 1;
    while (wh_crew_pending(&r->crew) > 0 && (!here || r->number < number)) {
        if (!drop_oldest(op, r))
            return false;
    }
    r->number = number;
    return true;
}

/* Have a frame in the oldest slot, and those that will be wanted next on their way. */
static bool fetch(struct wh_op *op, struct reader *r, size_t number)
{
    const struct slot *s;

    if (!turn_to(op, r, number))
        return false;
    for (size_t next = number + wh_crew_pending(&r->crew);
         next < r->unpack.table.count && next <= number + r->ahead; next++) {
        if (!give(op, r, next))
            return false;
    }
    if (!wh_crew_wait(op, &r->crew))
        return false;
    s = &r->slot[wh_crew_oldest(&r->crew)];
    if (ZSTD_isError(s->result))
        return wh_unpack_refused(op, &r->unpack, number, r->unpack.table.frame[number].at,
                                 s->result);
    if (s->result != s->room)
        return broken(op, r, number, "as many bytes as the seek table says", "fewer");
    r->ready = true;
    return true;
}

static bool frames_read(struct wh_op *op, struct wh_feed *f, uint64_t at, void *to, size_t most,
                        size_t *n)
{
    struct reader *r = (struct reader *)f;
    const struct wh_frame *frame = r->unpack.table.frame;
    bool here = r->ready && at >= frame[r->number].plain && at < frame[r->number + 1].plain;

    *n = 0;
    if (at >= frame[r->unpack.table.count].plain)
        return true;
    if (!here && !fetch(op, r, wh_frames_find(&r->unpack.table, at)))
        return false;
    uint64_t left = frame[r->number + 1].plain - at;
    *n = most < left ? most : (size_t)left;
    memcpy(to, r->slot[wh_crew_oldest(&r->crew)].plain + (at - frame[r->number].plain), *n);
    return true;
}

/* -------------------------------------------------------------------------------- open */

static void frames_drop(struct wh_feed *f)
{
    struct reader *r = (struct reader *)f;

    if (r->crew.work)
        wh_crew_close(&r->crew);
    for (unsigned i = 0; i < WH_CREW_SLOTS; i++) {
        free(r->slot[i].packed);
        free(r->slot[i].plain);
    }
    for (unsigned i = 0; i < WH_CREW_WORKERS; i++)
        ZSTD_freeDCtx(r->tool[i]);
    wh_frames_free(&r->unpack.table);
    wh_source_close(&r->unpack.in);
    free(r);
}

static void measure(struct reader *r)
{
    const struct wh_frames *t = &r->unpack.table;

    for (size_t i = 0; i < t->count; i++) {
        size_t packed = (size_t)(t->frame[i + 1].at - t->frame[i].at);
        size_t plain = (size_t)(t->frame[i + 1].plain - t->frame[i].plain);

        r->packed_most = packed > r->packed_most ? packed : r->packed_most;
        r->plain_most = plain > r->plain_most ? plain : r->plain_most;
    }
}

static bool make(struct wh_op *op, struct reader *r)
{
    unsigned threads = wh_crew_size(), slots = threads + 2;
    bool ok = true;

    measure(r);
    for (unsigned i = 0; ok && i < threads; i++)
        ok = (r->tool[i] = ZSTD_createDCtx()) != NULL;
    for (unsigned i = 0; ok && i < slots; i++) {
        r->slot[i].packed = malloc(r->packed_most + 1);
        r->slot[i].plain = malloc(r->plain_most + 1);
        ok = r->slot[i].packed && r->slot[i].plain;
    }
    if (!ok)
        return wh_fail_sys(&op->err, ENOMEM, "decompress");
    return wh_crew_open(op, &r->crew, slots, threads, work, r);
}

struct wh_unpack *wh_unpack_frames(struct wh_op *op, struct wh_frames *table)
{
    struct reader *r = calloc(1, sizeof *r);

    if (!r) {
        wh_frames_free(table);
        wh_fail_sys(&op->err, ENOMEM, "decompress");
        return NULL;
    }
    r->unpack.feed = (struct wh_feed){ .read = frames_read, .drop = frames_drop };
    r->unpack.in = (struct wh_source){ .fd = -1, .null_fd = -1 };
    r->unpack.table = *table;
    *table = (struct wh_frames){ .frame = NULL };
    if (make(op, r))
        return &r->unpack;
    frames_drop(&r->unpack.feed);
    return NULL;
}
