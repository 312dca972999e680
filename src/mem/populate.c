/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's memory is given as the stream names its pages: by the GiB, by 2 MiB, one by one. */
#include "mem/restore.h"

#include "mem/pv.h"

#define SUPERPAGE_ORDER 9
#define SUPERPAGE (1u << SUPERPAGE_ORDER)
#define GIGAPAGE_ORDER 18
#define GIGAPAGE (UINT64_C(1) << GIGAPAGE_ORDER)
#define FOUR_GIB (4 * GIGAPAGE)
#define LOW_END (2 * GIGAPAGE)              /* below it few guests have room for devices */
#define LOW_MOST (FOUR_GIB - 16 * 1024)     /* of 4 GiB less the smallest room, 64 MiB */

static bool can_remember(struct wh_restore *r)
{
    return (!r->populated.full && !r->ahead.full) ||
           wh_fail(&r->op->err, WH_STREAM, "the image's pages lie scattered over more of the "
                   "address space than can be kept track of");
}

static bool remember(struct wh_restore *r, uint64_t first, uint64_t end)
{
    wh_sparse_set_run(&r->populated, first, end);
    return can_remember(r);
}

bool wh_restore_has(const struct wh_restore *r, uint64_t pfn)
{
    return wh_sparse_has(&r->populated, pfn) && !wh_sparse_has(&r->ahead, pfn);
}

bool wh_restore_release_ahead(struct wh_restore *r)
{
    uint64_t frame[WH_BATCH_MAX], first, end, at = 0;

    while (r->ahead.count > 0 && wh_sparse_run(&r->ahead, at, &first, &end)) {
        size_t n = 0;

        for (at = first; at < end && n < WH_BATCH_MAX; at++)
            frame[n++] = at;
        if (!wh_xen_release(r->op, r->xen, r->domid, frame, n))
            return false;
        for (size_t i = 0; i < n; i++) {
            wh_sparse_clear(&r->ahead, frame[i]);
            wh_sparse_clear(&r->populated, frame[i]);
        }
    }
    return true;
}

static bool fits(const struct wh_restore *r, uint64_t pages)
{
    return r->populated.count + pages <= r->max_pages;
}

static bool give(struct wh_restore *r, uint64_t *frame, size_t n, unsigned order)
{
    uint64_t pages = (uint64_t)n << order;

    if (!fits(r, pages) && r->ahead.count > 0 && !wh_restore_release_ahead(r))
        return false;
    if (!fits(r, pages))
        return wh_fail(&r->op->err, WH_STREAM, "the image has more pages than the %llu MiB that "
                       "its configuration allows",
                       (unsigned long long)(r->max_pages * WH_PAGE_SIZE >> 20));
    return wh_xen_populate(r->op, r->xen, r->domid, frame, n, order);
}

/* Whether 2 MiB at pfn[0] are wanted whole. */
static bool super(const struct wh_restore *r, const uint64_t *pfn, size_t n)
{
    if (!r->hvm || n < SUPERPAGE || pfn[0] % SUPERPAGE || pfn[SUPERPAGE - 1] != pfn[0] + SUPERPAGE - 1)
        return false;
    for (size_t i = 1; i < SUPERPAGE; i++)
        if (pfn[i] != pfn[0] + i)
            return false;
    return wh_sparse_count(&r->populated, pfn[0], pfn[0] + SUPERPAGE) == 0;
}

/* A superpage if the host has one: if not, its pages one by one. */
static bool give_super(struct wh_restore *r, uint64_t pfn, bool *given)
{
    struct wh_err before = r->op->err;
    uint64_t frame = pfn;

    *given = give(r, &frame, 1, SUPERPAGE_ORDER);
    if (*given) {
        r->superpages++;
        return remember(r, pfn, pfn + SUPERPAGE);
    }
    if (r->op->err.kind != WH_XEN)
        return false;
    r->op->err = before;
    return true;
}

/* Where a guest that has this much memory has it, as far as can be told. */
static bool is_own(const struct wh_restore *r, uint64_t first, uint64_t end)
{
    uint64_t low = r->own_pages < LOW_END ? r->own_pages : LOW_END;
    uint64_t high = r->own_pages > LOW_MOST ? FOUR_GIB + r->own_pages - LOW_MOST : 0;

    return end <= low || (first >= FOUR_GIB && end <= high);
}

/* Whether the host has all that the guest may have yet: none of it is missed while it waits to be named. */
static bool is_plenty(struct wh_restore *r, bool *is)
{
    struct wh_host host;

    if (!wh_xen_host(r->op, r->xen, &host))
        return false;
    *is = host.free_pages >= host.outstanding_pages + r->max_pages - r->populated.count;
    return true;
}

/* The GiB at pfn, where it is the guest's all the way by what is known so far; the stream has named the
 * beginning.  No word of the pages that turn out to be missing: they are released in the end. */
static bool give_giga(struct wh_restore *r, uint64_t pfn)
{
    struct wh_err before = r->op->err;
    uint64_t frame = pfn, end = pfn + GIGAPAGE;
    bool plenty;

    if (pfn % GIGAPAGE != 0 || !is_own(r, pfn, end) || !fits(r, GIGAPAGE) ||
        wh_sparse_count(&r->populated, pfn, end) > 0)
        return true;
    if (!is_plenty(r, &plenty))
        return false;
    if (!plenty)
        return true;
    if (give(r, &frame, 1, GIGAPAGE_ORDER)) {
        r->gigapages++;
        wh_sparse_set_run(&r->ahead, pfn, end);
        return remember(r, pfn, end);
    }
    if (r->op->err.kind != WH_XEN)
        return false;
    r->op->err = before;
    return true;
}

static bool name(struct wh_restore *r, const uint64_t *pfn, size_t n)
{
    for (size_t i = 0; i < n && r->ahead.count > 0; i++)
        wh_sparse_clear(&r->ahead, pfn[i]);
    return can_remember(r);
}

static bool give_singly(struct wh_restore *r, const uint64_t *pfn, size_t n)
{
    uint64_t frame[WH_BATCH_MAX], wanted[WH_BATCH_MAX];
    size_t m = 0;

    for (size_t i = 0; i < n; i++) {
        if (r->pv && !wh_pv_in_range(r, pfn[i]))
            return false;
        if (wh_sparse_has(&r->populated, pfn[i]))
            continue;
        if (!remember(r, pfn[i], pfn[i] + 1))       /* at once: one page may be named twice */
            return false;
        frame[m] = wanted[m] = pfn[i];
        m++;
    }
    if (m == 0)
        return true;
    r->populated.count -= m;                        /* give() counts them */
    bool ok = give(r, frame, m, 0);
    r->populated.count += m;
    return ok && (!r->pv || wh_pv_learn(r->op, r->pv, wanted, frame, m));
}

bool wh_restore_populate(struct wh_restore *r, const uint64_t *pfn, size_t n)
{
    for (size_t i = 0, m; i < n; i += m) {
        bool given = false;

        m = 1;
        if (super(r, pfn + i, n - i)) {
            if (!give_giga(r, pfn[i]))
                return false;
            given = wh_sparse_has(&r->populated, pfn[i]);
            if (!given && !give_super(r, pfn[i], &given))
                return false;
            m = SUPERPAGE;
        } else {
            while (i + m < n && m < WH_BATCH_MAX && !super(r, pfn + i + m, n - i - m))
                m++;
        }
        /* Named first: what is named is not released to make room for others. */
        if (!name(r, pfn + i, m) || (!given && !give_singly(r, pfn + i, m)))
            return false;
    }
    return true;
}
