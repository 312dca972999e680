/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A compressed image's frames: zstd's seekable format, of which any zstd makes the plain stream.
 *
 *     zstd frame | zstd frame | ... | seek table
 *
 *     the table, a skippable frame, which decompressors pass over:
 *         u32 0x184D2A5E, u32 length of what follows
 *         {u32 compressed, u32 plain length} for each frame
 *         u32 number of frames, u8 0 (bit 7: entries have a u32 checksum too), u32 0x8F92EAB1
 *
 * Frames know their plain length and end in a checksum of it; none refers to another. */
#ifndef WH_LINK_FRAMES_H
#define WH_LINK_FRAMES_H

#include <stddef.h>

#include "base/sink.h"
#include "base/source.h"

#define WH_FRAME_MAGIC 0xFD2FB528u
#define WH_SKIPPABLE_MAGIC 0x184D2A50u      /* and the 15 above it */
#define WH_FRAME_MAX (4u << 20)             /* plain bytes in one of ours */
#define WH_WINDOW_MAX (1u << 27)            /* of a frame that is read: 128 MiB */
#define WH_FRAMES_MAX (1u << 21)            /* frames that a table we use has: 4 TiB, 32 MiB */

/* Where frames begin, in the compressed file and in the plain stream; entry [count] is the end. */
struct wh_frame {
    uint64_t at, plain;
};

struct wh_frames {
    struct wh_frame *frame;
    size_t count, room;
};

void wh_frames_free(struct wh_frames *f);

/* One more frame, of these lengths. */
bool wh_frames_add(struct wh_op *op, struct wh_frames *f, uint32_t packed, uint32_t plain);

/* Write the table. */
bool wh_frames_write(struct wh_op *op, struct wh_sink *k, const struct wh_frames *f);

/* The table at the end of a seekable source, if there is one that says how to read all of the
 * source before it, in frames of no more than WH_FRAME_MAX; else *found is false.  Leaves the
 * source at its beginning. */
bool wh_frames_read(struct wh_op *op, struct wh_source *s, struct wh_frames *f, bool *found);

/* The frame that has the plain byte at; count: it is behind all of them. */
size_t wh_frames_find(const struct wh_frames *f, uint64_t at);

/* How long a frame's header is, by its first WH_FRAME_HEADER_KNOWN bytes, and how much of what
 * stands before a byte its decompression may look at, by the whole header. */
#define WH_FRAME_HEADER_KNOWN 5
#define WH_FRAME_LEAST 9                    /* bytes that every frame has */
size_t wh_frame_header(const uint8_t *p);
uint64_t wh_frame_window(const uint8_t *p, size_t n);

/* Just one frame, of today's format: zstd would also take several, and those of its first versions.
 * zstd's result: the plain bytes, or an error. */
struct ZSTD_DCtx_s;
size_t wh_frame_unpack(struct ZSTD_DCtx_s *tool, uint8_t *plain, size_t room, const uint8_t *packed,
                       size_t n);

/* What is wrong, in words, by a zstd function's return value: what was expected and what came. */
struct wh_frame_flaw {
    const char *expected, *found;
};
struct wh_frame_flaw wh_frame_flaw(size_t zstd_error);

#endif
