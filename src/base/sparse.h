/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of page numbers up to 2^40 in bounded memory.
 *
 * The space is cut into chunks of 2^15 numbers.  A chunk nothing of which is set, or all of which
 * is, takes no memory but a slot; others have a bitmap of 4 KiB.  Guests are read in ascending
 * order, so nearly all of even the largest guest's chunks are of the first two kinds:
 *
 *     top 2^10 -> middle 2^15 slots -> chunk:  EMPTY | FULL | 4 KiB bitmap
 *
 * A stream made to use up memory runs into the set's limit instead: it then says so and counts
 * no more. */
#ifndef WH_BASE_SPARSE_H
#define WH_BASE_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_SPARSE_BITS 40

struct wh_sparse {
    struct wh_sparse_part **top;
    uint64_t count;             /* numbers set */
    size_t used, limit;         /* bytes */
    struct wh_sparse *purse;    /* whose used and limit count: its own, or one that is shared */
    bool full;                  /* the limit was met: the set is no longer exact */
};

/* limit: the most memory it may take, in bytes.  The struct stays where it is from then on. */
void wh_sparse_init(struct wh_sparse *s, size_t limit);
/* A set that takes its memory out of another's limit; that one is to outlive it. */
void wh_sparse_init_shared(struct wh_sparse *s, struct wh_sparse *purse);
void wh_sparse_free(struct wh_sparse *s);

/* Returns whether n was in the set before.  Numbers of 2^40 and above, and those that there is no
 * memory for, make the set full. */
bool wh_sparse_set(struct wh_sparse *s, uint64_t n);
/* All of [first, end), much faster than one by one. */
void wh_sparse_set_run(struct wh_sparse *s, uint64_t first, uint64_t end);
void wh_sparse_clear(struct wh_sparse *s, uint64_t n);
bool wh_sparse_has(const struct wh_sparse *s, uint64_t n);

/* The first run of set numbers at or after from: [*first, *end).  False: none. */
bool wh_sparse_run(const struct wh_sparse *s, uint64_t from, uint64_t *first, uint64_t *end);

/* How many of [first, end) are set. */
uint64_t wh_sparse_count(const struct wh_sparse *s, uint64_t first, uint64_t end);

#endif
