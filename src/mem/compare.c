/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pages that come again behind VERIFY: they are read beside the guest's and compared with them, and
 * nothing of the guest is written to.  Judged when all is there: what a restore clears or writes anew
 * (rings) may have been anything. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/holes.h"
#include "mem/pv.h"
#include "mem/restore.h"

bool wh_compare_begin(struct wh_restore *r)
{
    r->verifying = true;
    r->other = aligned_alloc(WH_PAGE_SIZE, WH_PLACE_MAX * WH_PAGE_SIZE);
    return r->other || wh_fail_sys(&r->op->err, ENOMEM, "compare pages");
}

/* Where the page is; false: it has no memory, and that is not what the sender has. */
static bool find(struct wh_restore *r, uint64_t pfn, uint64_t *frame)
{
    *frame = pfn;
    if (!wh_restore_has(r, pfn))
        return false;
    return !r->pv || wh_pv_frame(r, pfn, frame);
}

/* other NULL: zeros. */
static bool same(struct wh_restore *r, uint64_t entry, uint8_t *other, const uint8_t *mine)
{
    if (!other)
        return wh_page_is_zero(mine);
    return (!r->pv || wh_pv_localise_known(r, entry, other)) && memcmp(mine, other, WH_PAGE_SIZE) == 0;
}

bool wh_compare_pages(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *other)
{
    uint64_t frame[WH_BATCH_MAX];
    size_t which[WH_BATCH_MAX], m = 0;
    void *p;

    r->compared += n;
    for (size_t i = 0; i < n; i++) {
        if (find(r, wh_page_pfn(entry[i]), &frame[m]))
            which[m++] = i;
        else
            wh_sparse_set(&r->differ, wh_page_pfn(entry[i]));
    }
    if (m == 0)
        return true;
    if (!wh_xen_map(r->op, r->xen, r->domid, false, frame, m, NULL, &p))
        return false;
    for (size_t k = 0; k < m; k++)
        if (!same(r, entry[which[k]], other ? other + which[k] * WH_PAGE_SIZE : NULL,
                  (const uint8_t *)p + k * WH_PAGE_SIZE))
            wh_sparse_set(&r->differ, wh_page_pfn(entry[which[k]]));
    wh_xen_unmap(r->xen, p, m);
    return true;
}

bool wh_compare_zeros(struct wh_restore *r, const uint64_t *entry, size_t n)
{
    uint64_t batch[WH_BATCH_MAX];
    size_t m = 0;

    if (!r->alloc_is_zero)
        return true;                        /* of such a page a stock saver says nothing */
    for (size_t i = 0; i < n; i++) {
        if (wh_page_type(entry[i]) == WH_PAGE_XALLOC)
            batch[m++] = entry[i];
        if (m == 0 || (m < WH_BATCH_MAX && i < n - 1))
            continue;
        if (!wh_compare_pages(r, batch, m, NULL))
            return false;
        m = 0;
    }
    return true;
}

uint64_t wh_compare_first(const struct wh_restore *r)
{
    uint64_t first = 0, end;

    wh_sparse_run(&r->differ, 0, &first, &end);
    return first;
}

bool wh_compare_judge(struct wh_restore *r)
{
    if (!r->must_match || !r->verifying || (r->differ.count == 0 && !r->differ.full))
        return true;
    return wh_fail(&r->op->err, WH_STREAM, "%llu of %llu pages that were sent again are not what they "
                   "were the first time, the first of them page %#llx",
                   (unsigned long long)r->differ.count, (unsigned long long)r->compared,
                   (unsigned long long)wh_compare_first(r));
}
