/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressing what goes into a sink: the file is a plain zstd file of it, with a seek table.
 *
 *     wh_sink_open(op, &sink, fd)
 *     wh_pack(op, &sink, level)            nothing was written yet; .name and .digest are set or
 *     ...                                  not as always, and both see the plain bytes
 *     wh_sink_write(op, &sink, ...)        as always
 *     wh_sink_end(op, &sink)               the last frame and the seek table are with the fd
 *     wh_sink_close(&sink)                 the threads are gone, whatever happened before
 *
 * The bytes are copied once, into a frame; a thread a processor compresses frames side by side; the
 * caller's thread writes them in order, whenever it comes by and through the operation's wait. */
#ifndef WH_LINK_PACK_H
#define WH_LINK_PACK_H

#include "base/sink.h"

#define WH_PACK_LEVEL 1         /* what 0 stands for */
#define WH_PACK_LEVEL_MIN (-5)
#define WH_PACK_LEVEL_MAX 19

/* Compress from here on, at one of zstd's levels.  sink.at goes on counting plain bytes,
 * sink.stage->out counts those that have gone to the fd. */
bool wh_pack(struct wh_op *op, struct wh_sink *k, int level);

/* The same with frames of another length than two MiB of plain bytes (at most WH_FRAME_MAX) and as
 * many threads. */
bool wh_pack_with(struct wh_op *op, struct wh_sink *k, int level, size_t frame, unsigned threads);

#endif
