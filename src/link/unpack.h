/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a compressed image as if it were not.
 *
 *     wh_source_open(op, &source, fd)
 *     wh_unpack(op, &source)               if its first bytes are zstd's, .at, .size and all that
 *     ...                                  is read are the plain stream's from here on
 *
 * Any zstd file is read, from a file or a pipe: frames of any kind in a row, others skipped, each
 * checked by its checksum if it has one.  A file that ends in a seek table (frames.h), as ours do,
 * is seekable: only frames that somebody wants to see are decompressed, and while they are wanted
 * in a row, several at once and ahead of the reader.
 *
 * A frame makes us hold its window, of at most 128 MiB, or, of a file with a table, its plain
 * bytes, at most WH_FRAME_MAX; what it claims otherwise is believed when it has come. */
#ifndef WH_LINK_UNPACK_H
#define WH_LINK_UNPACK_H

#include "base/source.h"

/* Read through zstd if it is zstd.  Nothing has been taken from the source yet, and it has its
 * .name; neither .digest nor .tee.  After a failure too it is the caller's to close. */
bool wh_unpack(struct wh_op *op, struct wh_source *s);

/* What is known of a source's compression by now. */
struct wh_packing {
    uint64_t size;              /* of the compressed file; of a pipe, what was read of it */
    uint64_t frames;            /* in the seek table; without one, those that were met */
    bool indexed;               /* there is a seek table */
};

/* False: it is not compressed. */
bool wh_unpack_about(const struct wh_source *s, struct wh_packing *about);

#endif
