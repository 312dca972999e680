/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding one page of a guest in its image. */
#ifndef WH_FLOW_PAGE_H
#define WH_FLOW_PAGE_H

#include "flow/input.h"

struct wh_page {
    uint64_t pfn;
    uint64_t mentions;              /* entries that name it, as far as was looked */
    uint64_t versions;              /* of them with contents */
    bool indexed;                   /* the trailer's index was used: earlier ones were not seen */
    unsigned type;                  /* of the last mention */
    bool has_contents;              /* below: of the last version */
    uint64_t at;                    /* offset in the stream */
    uint8_t contents[WH_PAGE_SIZE];
};

/* Find the last version of p->pfn.  With a trailer's index only the records that may have it are
 * read; otherwise all entries are (and in a pipe everything). */
bool wh_page_find(struct wh_op *op, const struct wh_job *job, struct wh_page *p);

#endif
