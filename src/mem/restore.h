/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The restoring engine: a libxc image into a domain that has been made and is paused.
 *
 * It is fed by a walk (wire/walk.h), which has checked what it hands on:
 *
 *     wh_restore_domain      the image's guest is known
 *     wh_restore_record      each record that is no page record
 *     wh_restore_entries     a record's entries, of pages with contents and without
 *     wh_restore_place(d)    where contents go: pages are read straight into the guest
 *     wh_restore_finish      all was there: contexts, parameters, grants
 *
 * Behind VERIFY pages are compared with those that came before, and written no more (compare.c).
 *
 * Whatever the image says, only frames of this domain are given memory, mapped and written, and no
 * more than the domain was allowed. */
#ifndef WH_MEM_RESTORE_H
#define WH_MEM_RESTORE_H

#include "base/sparse.h"
#include "wire/walk.h"
#include "xen/xen.h"

struct wh_pv;

struct wh_blob {
    uint8_t *p;
    size_t n;
};

struct wh_restore {
    struct wh_op *op;
    struct wh_xen *xen;
    uint32_t domid;
    bool hvm;                           /* what was made; the image must agree */
    uint32_t vcpus;                     /* at most */
    uint64_t max_pages;                 /* of it */
    uint32_t store_domid, console_domid;
    uint32_t store_port, console_port;
    bool alloc_is_zero;                 /* the saver elides zeros: XALLOC makes zeros of a page that
                                           has memory already, too */

    bool must_match;                    /* pages that are sent again are to be what they were */

    uint64_t store_frame, console_frame;    /* found; as in wh_made */

    uint64_t own_pages;                 /* the guest's memory, if its configuration says that it was never
                                           without a part of it, video memory not counted; 0: unknown */
    struct wh_sparse populated;         /* pfns that have been given memory */
    struct wh_sparse ahead;             /* of them, with a GiB that begins so: not named so far */
    struct wh_blob leaves, msrs, context;
    bool policy_set;
    uint64_t superpages, gigapages;     /* of 2 MiB, of 1 GiB */
    uint64_t zeros;                     /* pages that were named without contents */
    struct wh_pv *pv;

    bool verifying;                     /* VERIFY has come */
    uint8_t *other;                     /* room for what comes now */
    uint64_t compared;
    struct wh_sparse differ;            /* of them; but for what is cleared anyway */
};

void wh_restore_init(struct wh_restore *r);
void wh_restore_free(struct wh_restore *r);

bool wh_restore_domain(struct wh_restore *r, const struct wh_image *i);
bool wh_restore_record(struct wh_restore *r, const struct wh_walk *w, const struct wh_rec *rec);
bool wh_restore_place(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t **to);
bool wh_restore_placed(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *to,
                       bool whole);
bool wh_restore_entries(struct wh_restore *r, const uint64_t *entry, size_t n);
/* A page of a PV guest's p2m; end is the guest's last pfn as far as known. */
bool wh_restore_frame(struct wh_restore *r, uint64_t end, uint64_t which, uint64_t pfn);
bool wh_restore_finish(struct wh_restore *r);

/* The first page that differs, of r->differ.count. */
uint64_t wh_compare_first(const struct wh_restore *r);

/* ------------------------------------------------------------- for the engine's own files */

bool wh_blob_set(struct wh_op *op, struct wh_blob *b, const void *p, size_t n);

/* populate.c: give memory to those of n pfns that have none yet. */
bool wh_restore_populate(struct wh_restore *r, const uint64_t *pfn, size_t n);
/* Whether it has been given memory, and was named. */
bool wh_restore_has(const struct wh_restore *r, uint64_t pfn);
/* What was given and is not the guest's after all. */
bool wh_restore_release_ahead(struct wh_restore *r);

bool wh_compare_begin(struct wh_restore *r);
/* other NULL: with zeros; else it is changed. */
bool wh_compare_pages(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *other);
bool wh_compare_zeros(struct wh_restore *r, const uint64_t *entry, size_t n);
bool wh_compare_judge(struct wh_restore *r);

bool wh_restore_hvm_record(struct wh_restore *r, const struct wh_rec *rec);
bool wh_restore_hvm_finish(struct wh_restore *r);
bool wh_restore_pv_record(struct wh_restore *r, const struct wh_walk *w, const struct wh_rec *rec);
bool wh_restore_pv_finish(struct wh_restore *r);

/* Entry 0 of the grant table: the console's page to its server; 1: xenstore's.  After what the
 * daemons map is in place. */
bool wh_seed_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t console_domid,
                    uint64_t console_frame, uint32_t store_domid, uint64_t store_frame);

#endif
