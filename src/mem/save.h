/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The saving engine: a domain's memory and processor state as a libxc image (facts of the format:
 * docs/streams.md), from the hypervisor to a sink.
 *
 *     struct wh_save s = { .op = op, .xen = x, .out = &sink, .index = &index, .domid = 3 };
 *
 *     wh_save_begin(&s)      headers, what never changes        the guest may still run
 *     wh_save_rest(&s)       all pages, the tail, END           the guest is suspended
 *     wh_save_free(&s)
 *
 * It changes nothing of the domain.  With .live (mem/live.h) the pages are sent while it runs, and
 * wh_save_rest sends what is left of them; with .again (mem/again.h) it sends all of them twice. */
#ifndef WH_MEM_SAVE_H
#define WH_MEM_SAVE_H

#include "wire/image.h"
#include "wire/index.h"
#include "wire/put.h"
#include "xen/xen.h"

struct wh_again;
struct wh_pv;
struct wh_live;

struct wh_save {
    struct wh_op *op;
    struct wh_xen *xen;
    struct wh_sink *out;
    struct wh_index *index;
    uint32_t domid;

    struct wh_live *live;           /* NULL: all pages are sent by wh_save_rest */
    struct wh_again *again;         /* NULL: each page is sent for once */
    bool elide_zeros;               /* the reader makes zeros of XALLOC (no stock reader does) */

    struct wh_domain info;          /* as it was at begin, then at rest */
    bool suspended;                 /* live: these are the last pages */
    uint64_t found;                 /* pages that hold memory of the domain's, so far: live, some
                                       more than once */
    uint64_t zeros;                 /* of them, those that were elided */
    uint64_t batches, looked_at;    /* page records written; frames asked about */
    uint64_t low, top;              /* HVM: between these frames nothing need be */
    int64_t busy_ns;                /* that pages with contents took so far */
    struct wh_pv *pv;               /* PV: its tables (pv.h) */
};

bool wh_save_begin(struct wh_save *s);
bool wh_save_rest(struct wh_save *s);
void wh_save_free(struct wh_save *s);

/* ------------------------------------------------------------- for the engine's own files */

/* Up to WH_BATCH_MAX pages on their way. */
struct wh_batch {
    size_t n;
    uint64_t pfn[WH_BATCH_MAX];
    uint64_t frame[WH_BATCH_MAX];   /* gfn; WH_NO_FRAME: the guest has nothing there */
    uint64_t entry[WH_BATCH_MAX];
};

/* Ask what the pages are and send those that hold something.  *data: how many did. */
bool wh_batch_send(struct wh_save *s, struct wh_batch *b, size_t *data);

bool wh_save_hvm_pages(struct wh_save *s);
/* How many frames are looked at: a guest may hide its pages among many more. */
uint64_t wh_save_hvm_most(const struct wh_save *s);
bool wh_save_hvm_tail(struct wh_save *s);
bool wh_save_pv_begin(struct wh_save *s);
bool wh_save_pv_pages(struct wh_save *s);
bool wh_save_pv_range(struct wh_save *s);       /* its p2m is known */
bool wh_save_pv_tail(struct wh_save *s);

/* Pages that will have been sent in the end, as far as is known now. */
uint64_t wh_save_total(const struct wh_save *s);

bool wh_save_record(struct wh_save *s, uint32_t type, const void *body, size_t n);

#endif
