/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restoring HVM and PVH guests: parameters as they come, the context when all is there. */
#include <string.h>

#include "base/bytes.h"
#include "base/own.h"
#include "mem/params.h"
#include "mem/restore.h"
#include "wire/libxc.h"

/* The rings of the old domain mean nothing to the new one's daemons. */
static bool clear(struct wh_restore *r, uint64_t pfn)
{
    void *p;

    if (!wh_restore_has(r, pfn))
        return wh_fail(&r->op->err, WH_STREAM, "an HVM parameter names page %#llx, which the image "
                       "does not have", (unsigned long long)pfn);
    if (!wh_xen_map(r->op, r->xen, r->domid, true, &pfn, 1, NULL, &p))
        return false;
    memset(p, 0, WH_PAGE_SIZE);
    if (r->verifying)
        wh_sparse_clear(&r->differ, pfn);
    wh_xen_unmap(r->xen, p, 1);
    return true;
}

static bool carried(uint64_t index)
{
    for (size_t i = 0; i < WH_COUNT(wh_params); i++)
        if (wh_params[i] == index)
            return true;
    return false;
}

static bool set_param(struct wh_restore *r, uint64_t index, uint64_t value)
{
    if (index == WH_PARAM_PAE)
        return true;
    if (!carried(index))
        return wh_fail(&r->op->err, WH_STREAM, "HVM parameter %llu is none that an image carries",
                       (unsigned long long)index);
    if (index == WH_PARAM_CONSOLE_PFN)
        r->console_frame = value;
    if (index == WH_PARAM_STORE_PFN)
        r->store_frame = value;
    if ((index == WH_PARAM_CONSOLE_PFN || index == WH_PARAM_STORE_PFN ||
         index == WH_PARAM_IOREQ_PFN || index == WH_PARAM_BUFIOREQ_PFN) && !clear(r, value))
        return false;
    return wh_xen_set_param(r->op, r->xen, r->domid, (uint32_t)index, value);
}

static bool set_params(struct wh_restore *r, const struct wh_rec *rec)
{
    uint32_t count = wh_le32(rec->body);

    for (uint32_t i = 0; i < count; i++)
        if (!set_param(r, wh_le64(rec->body + 8 + 16 * i), wh_le64(rec->body + 16 + 16 * i)))
            return false;
    return true;
}

bool wh_restore_hvm_record(struct wh_restore *r, const struct wh_rec *rec)
{
    switch (rec->type) {
    case WH_LIBXC_HVM_PARAMS:
        return set_params(r, rec);
    case WH_LIBXC_HVM_CONTEXT:
        return wh_blob_set(r->op, &r->context, rec->body, rec->length);
    default:
        return true;
    }
}

bool wh_restore_hvm_finish(struct wh_restore *r)
{
    if (r->store_frame == WH_NO_FRAME)
        return wh_fail(&r->op->err, WH_STREAM, "the image does not say where xenstore's page is");
    return wh_xen_set_param(r->op, r->xen, r->domid, WH_PARAM_STORE_PORT, r->store_port) &&
           wh_xen_set_param(r->op, r->xen, r->domid, WH_PARAM_CONSOLE_PORT, r->console_port) &&
           wh_xen_set_hvm_context(r->op, r->xen, r->domid, r->context.p, r->context.n);
}
