/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wherry's trailer: after the last END of an xl save file, where stock xl no longer looks.
 *
 *     "WherryTr", u32 version, u32 0
 *     STREAM      length and XXH3-128 of all that stands before the trailer
 *     PRODUCER    when and by what it was written
 *     PAGE_INDEX  where the page records are
 *     END         length of the trailer, XXH3-128 of it up to END, "Wherry.T"
 *
 * Records are framed as libxc's are; those with bit 31 may be skipped.  END being last and of
 * known size, a reader of a file finds the trailer from the file's end. */
#ifndef WH_WIRE_TRAILER_H
#define WH_WIRE_TRAILER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sink.h"
#include "base/source.h"
#include "wire/index.h"

#define WH_TRAILER_HEADER 16
#define WH_TRAILER_VERSION 1
#define WH_TRAILER_END 0x0u
#define WH_TRAILER_STREAM 0x1u
#define WH_TRAILER_PRODUCER 0x2u
#define WH_TRAILER_PAGE_INDEX 0x3u
#define WH_TRAILER_END_BYTES 32
#define WH_TRAILER_PRODUCER_MAX 255

struct wh_walk;

/* Whether a trailer begins here. */
bool wh_trailer_here(struct wh_walk *w, bool *yes);

struct wh_trailer {
    uint64_t stream;                    /* bytes before it */
    uint8_t digest[WH_DIGEST_BYTES];    /* of them */
    uint64_t time;                      /* seconds since 1970, UTC */
    const char *producer;
    const struct wh_index *index;       /* NULL: none */
};

bool wh_trailer_write(struct wh_op *op, struct wh_sink *k, const struct wh_trailer *t);

/* Whether a stream that has not been read yet ends in a trailer, as far as can be known: of what is
 * not seekable it may. */
bool wh_trailer_expected(struct wh_op *op, struct wh_source *s, bool *yes);

/* The index of a seekable source that ends in a trailer, checked against the trailer's own
 * digest.  *found says whether there is one; index is the caller's to free.  Leaves the source
 * somewhere else. */
bool wh_trailer_load_index(struct wh_op *op, struct wh_source *s, struct wh_index *index,
                           bool *found);

#endif
