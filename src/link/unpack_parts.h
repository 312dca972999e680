/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two ways to read a compressed file share: in a row (unpack_stream.c), and by its seek
 * table (unpack_frames.c). */
#ifndef WH_LINK_UNPACK_PARTS_H
#define WH_LINK_UNPACK_PARTS_H

#include "base/source.h"
#include "link/frames.h"
#include "link/unpack.h"

struct wh_unpack {
    struct wh_feed feed;
    struct wh_source in;        /* the compressed bytes */
    uint64_t met;               /* frames begun, where there is no table */
    struct wh_frames table;     /* of a file that has one */
};

/* The reader, without its .in as yet; NULL: no memory, no threads.  The table becomes its own. */
struct wh_unpack *wh_unpack_stream(struct wh_op *op);
struct wh_unpack *wh_unpack_frames(struct wh_op *op, struct wh_frames *table);

/* Fail: the frame of this number, which begins at this offset of the compressed file, is not what
 * it should be.  .refused takes what a function of zstd's returned. */
bool wh_unpack_broken(struct wh_op *op, struct wh_unpack *u, uint64_t number, uint64_t at,
                      struct wh_frame_flaw flaw);
bool wh_unpack_refused(struct wh_op *op, struct wh_unpack *u, uint64_t number, uint64_t at,
                       size_t result);

#endif
