/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both kinds of guest share: memory, policy, TSC, grants. */
#include "mem/restore.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "mem/pv.h"
#include "wire/libxc.h"

#define POPULATED_MOST (16u << 20)          /* bytes to remember scattered pages in */

void wh_restore_init(struct wh_restore *r)
{
    wh_sparse_init(&r->populated, POPULATED_MOST);
    wh_sparse_init(&r->differ, POPULATED_MOST);
    wh_sparse_init(&r->ahead, POPULATED_MOST);
    r->store_frame = r->console_frame = WH_NO_FRAME;
}

void wh_restore_free(struct wh_restore *r)
{
    wh_sparse_free(&r->populated);
    wh_sparse_free(&r->differ);
    wh_sparse_free(&r->ahead);
    free(wh_take_ptr(&r->other));
    free(wh_take_ptr(&r->leaves.p));
    free(wh_take_ptr(&r->msrs.p));
    free(wh_take_ptr(&r->context.p));
    wh_pv_free(r->xen, r->pv);
    r->pv = NULL;
}

bool wh_blob_set(struct wh_op *op, struct wh_blob *b, const void *p, size_t n)
{
    free(b->p);
    b->n = n;
    b->p = malloc(n + 1);
    if (!b->p)
        return wh_fail_sys(&op->err, ENOMEM, "restore");
    memcpy(b->p, p, n);
    return true;
}

bool wh_restore_domain(struct wh_restore *r, const struct wh_image *i)
{
    if ((i->guest == WH_HVM) != r->hvm)
        return wh_fail(&r->op->err, WH_STREAM, "the configuration is of a %s guest, the memory "
                       "image of a %s one", r->hvm ? "PVH or HVM" : "PV", r->hvm ? "PV" : "PVH or HVM");
    return r->hvm || wh_pv_new(r->op, r->xen, r->domid, &r->pv);
}

/* ------------------------------------------------------------------------------- memory */

bool wh_restore_place(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t **to)
{
    uint64_t pfn[WH_BATCH_MAX];
    void *p;

    *to = r->other;
    if (r->verifying)
        return true;
    for (size_t i = 0; i < n; i++)
        pfn[i] = wh_page_pfn(entry[i]);
    if (!wh_restore_populate(r, pfn, n))
        return false;
    if (r->pv)
        return wh_pv_place(r, pfn, n, to);
    if (!wh_xen_map(r->op, r->xen, r->domid, true, pfn, n, NULL, &p))
        return false;
    *to = p;
    return true;
}

bool wh_restore_placed(struct wh_restore *r, const uint64_t *entry, size_t n, uint8_t *to,
                       bool whole)
{
    if (r->verifying)
        return !whole || wh_compare_pages(r, entry, n, to);
    bool ok = !r->pv || !whole || wh_pv_placed(r, entry, n, to);

    wh_xen_unmap(r->xen, to, n);
    return ok;
}

static bool make_zero(struct wh_restore *r, const uint64_t *entry, size_t n)
{
    uint8_t *to;

    if (n == 0)
        return true;
    if (!wh_restore_place(r, entry, n, &to))
        return false;
    memset(to, 0, n * WH_PAGE_SIZE);
    wh_xen_unmap(r->xen, to, n);
    return true;
}

/* Pages with contents and pages of zeros lie side by side: together they are whole superpages. */
static bool populate_all(struct wh_restore *r, const uint64_t *entry, size_t n)
{
    uint64_t pfn[WH_BATCH_MAX];

    for (size_t i = 0, m = 0; i < n; i++) {
        if (wh_page_has_data(entry[i]) || wh_page_type(entry[i]) == WH_PAGE_XALLOC)
            pfn[m++] = wh_page_pfn(entry[i]);
        if ((m == WH_BATCH_MAX || i == n - 1) && m > 0) {
            if (!wh_restore_populate(r, pfn, m))
                return false;
            m = 0;
        }
    }
    return true;
}

/* Pages that are there without contents: memory, and no old contents of somebody else's in it.  A
 * saver that elides zeros means a page that had contents in an earlier round, too. */
bool wh_restore_entries(struct wh_restore *r, const uint64_t *entry, size_t n)
{
    uint64_t batch[WH_BATCH_MAX];
    size_t m = 0;

    if (r->verifying)
        return wh_compare_zeros(r, entry, n);
    if (r->alloc_is_zero && !populate_all(r, entry, n))
        return false;

    for (size_t i = 0; i < n; i++) {
        r->zeros += wh_page_type(entry[i]) == WH_PAGE_XALLOC;
        if (wh_page_type(entry[i]) != WH_PAGE_XALLOC ||
            (!r->alloc_is_zero && wh_restore_has(r, wh_page_pfn(entry[i]))))
            continue;
        batch[m++] = entry[i];
        if (m == WH_BATCH_MAX) {
            if (!make_zero(r, batch, m))
                return false;
            m = 0;
        }
    }
    return make_zero(r, batch, m);
}

/* ------------------------------------------------------------------------------ records */

static bool set_policy(struct wh_restore *r)
{
    if (r->policy_set)
        return true;
    r->policy_set = true;
    if (r->leaves.n == 0 &&
        !wh_xen_default_policy(r->op, r->xen, r->domid, true, false, false))
        return false;
    return (r->leaves.n == 0 && r->msrs.n == 0) ||
           wh_xen_set_policy(r->op, r->xen, r->domid, r->leaves.p, r->leaves.n, r->msrs.p,
                             r->msrs.n);
}

static bool set_tsc(struct wh_restore *r, const uint8_t *p)
{
    struct wh_tsc t = { .mode = wh_le32(p), .khz = wh_le32(p + 4), .elapsed_ns = wh_le64(p + 8),
                        .incarnation = wh_le32(p + 16) };

    return wh_xen_set_tsc(r->op, r->xen, r->domid, &t);
}

bool wh_restore_record(struct wh_restore *r, const struct wh_walk *w, const struct wh_rec *rec)
{
    switch (rec->type) {
    case WH_LIBXC_CPUID_POLICY:
        return wh_blob_set(r->op, &r->leaves, rec->body, rec->length);
    case WH_LIBXC_MSR_POLICY:
        return wh_blob_set(r->op, &r->msrs, rec->body, rec->length);
    case WH_LIBXC_STATIC_DATA_END:
        return set_policy(r);
    case WH_LIBXC_TSC_INFO:
        return set_tsc(r, rec->body);
    case WH_LIBXC_VERIFY:
        return wh_compare_begin(r);
    case WH_LIBXC_CHECKPOINT:
        return wh_fail(&r->op->err, WH_USAGE, "the image is a replica's (Remus), not a save");
    default:
        return r->hvm ? wh_restore_hvm_record(r, rec) : wh_restore_pv_record(r, w, rec);
    }
}

bool wh_restore_finish(struct wh_restore *r)
{
    return wh_restore_release_ahead(r) && set_policy(r) && (r->hvm ? wh_restore_hvm_finish(r) : wh_restore_pv_finish(r)) &&
           wh_compare_judge(r) &&
           wh_seed_grants(r->op, r->xen, r->domid, r->console_domid, r->console_frame,
                          r->store_domid, r->store_frame);
}

/* ------------------------------------------------------------------------------- grants */

/* Version 1 of an entry; Xen reads the flags, so they are written last. */
struct grant {
    uint16_t flags, domid;
    uint32_t frame;
};

static void seed(volatile struct grant *g, uint32_t domid, uint64_t frame)
{
    g->frame = (uint32_t)frame;
    g->domid = (uint16_t)domid;
    __atomic_store_n(&g->flags, 1, __ATOMIC_RELEASE);       /* may be accessed */
}

bool wh_seed_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t console_domid,
                    uint64_t console_frame, uint32_t store_domid, uint64_t store_frame)
{
    void *p;

    if (!wh_xen_map_grants(op, x, domid, 0, &p))
        return false;
    volatile struct grant *g = p;
    if (console_frame != WH_NO_FRAME && console_domid != domid)
        seed(&g[0], console_domid, console_frame);
    if (store_frame != WH_NO_FRAME && store_domid != domid)
        seed(&g[1], store_domid, store_frame);
    wh_xen_unmap_grants(x, p);
    return true;
}
