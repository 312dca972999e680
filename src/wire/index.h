/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the page records of an image are, in bounded memory.
 *
 * An entry covers a run of page records that follow each other.  When the index is full,
 * neighbours are merged and every entry covers twice as many records: a 100 GiB image and a
 * 10 TiB one both have at most WH_INDEX_MAX entries, the second a coarser look-up. */
#ifndef WH_WIRE_INDEX_H
#define WH_WIRE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_INDEX_MAX 8192
#define WH_INDEX_ENTRY_BYTES 32

struct wh_index_entry {
    uint64_t at;                /* offset in the stream of the first record's header */
    uint64_t first, last;       /* the least and the greatest pfn named */
    uint64_t records;
};

struct wh_index {
    struct wh_index_entry *entry;
    size_t count, room;
    uint64_t per;               /* records an entry covers */
    bool off;                   /* no memory: there is no index */
};

void wh_index_init(struct wh_index *x);
void wh_index_free(struct wh_index *x);
void wh_index_add(struct wh_index *x, uint64_t at, uint64_t first, uint64_t last);

#endif
