/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All pages once more, behind the last of them: who reads compares them with what it has (VERIFY,
 * docs/streams.md).
 *
 *     struct wh_again a = { 0 };
 *     s.again = &a;              before wh_save_rest, which does the rest
 *     ...
 *     wh_again_free(&a);
 *
 * The guest is suspended, and still some of its pages change.  What may differ without harm is not
 * sent again:
 *
 *     granted to others to be written to      rings and buffers.  A backend writes there when it
 *                                             likes, and not all of that is seen by log-dirty; when
 *                                             the guest wakes, its drivers begin anew
 *     changed since it was sent, suspended    Xen itself notes the events that are sent to it
 *
 * What was sent while it ran, and is another now, is sent: that was not to be. */
#ifndef WH_MEM_AGAIN_H
#define WH_MEM_AGAIN_H

#include "base/sparse.h"
#include "mem/save.h"

struct wh_again {
    bool on;                    /* they are being sent again */
    uint64_t *sum, frames;      /* of each page that was sent while the guest was suspended; 0: it was not */
    struct wh_sparse lent;
    uint64_t pages, left_out;   /* that were sent again, and that were not */
    uint64_t zeros;             /* of them, those that were elided */
};

void wh_again_free(struct wh_again *a);

/* ------------------------------------------------------------- for the engine's own files */

/* The guest's pages have numbers below it. */
bool wh_again_room(struct wh_save *s, uint64_t frames);
/* A batch's pages are about to be sent.  s->again NULL: nothing to do, as below. */
void wh_again_note(struct wh_save *s, const struct wh_batch *b, const uint8_t *pages);
/* VERIFY, and all pages. */
bool wh_again_send(struct wh_save *s);
/* Whether this page is to be left out of that. */
bool wh_again_lent(struct wh_save *s, uint64_t pfn);
/* Out of the batch go the pages that have changed; whether any has. */
bool wh_again_drop(struct wh_save *s, struct wh_batch *b, const uint8_t *pages);

#endif
