/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages into a sink: in a sparse file those that are all zero become holes.  What is read back is
 * the same; nothing was written for them. */
#ifndef WH_BASE_HOLES_H
#define WH_BASE_HOLES_H

#include "base/sink.h"

#define WH_HOLE_PAGE 4096

bool wh_page_is_zero(const void *page);

/* How many of the n bytes from p on, in whole pages, are zero in a row. */
size_t wh_zero_run(const void *p, size_t n);

/* n pages in a row.  A guest's, though it is suspended, may change: its backends finish what they had
 * begun.  What is digested and what is written is then one copy. */
enum wh_whose { WH_OURS, WH_GUESTS };
bool wh_sink_pages(struct wh_op *op, struct wh_sink *k, const void *pages, size_t n,
                   enum wh_whose whose);

/* Have blocks for n more bytes of a file on disk before they are written (no sparse file then). */
bool wh_sink_reserve(struct wh_op *op, struct wh_sink *k, uint64_t n);

#endif
