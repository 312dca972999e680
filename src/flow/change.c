/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/change.h"

#include <string.h>

#include "base/own.h"
#include "flow/find.h"

/* Domain 0 has no node that says which it is, and does not go. */
static bool is_there(struct wh_op *op, struct wh_here *h, uint32_t tx, const struct wh_domain *d,
                     bool *there)
{
    char uuid[WH_UUID_TEXT];
    wh_auto_free char *vm = NULL;

    *there = d->domid == 0;
    if (*there)
        return true;
    if (!wh_store_read(op, h->store, tx, &vm, "/local/domain/%u/vm", d->domid))
        return false;
    *there = vm && strncmp(vm, "/vm/", 4) == 0 && strcmp(vm + 4, wh_find_uuid(d, uuid)) == 0;
    return true;
}

bool wh_change(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, wh_changer *change,
               void *arg, bool *there)
{
    bool again = true, seen;
    uint32_t tx;

    while (again) {
        if (!wh_store_begin(op, h->store, &tx))
            return false;
        bool ok = is_there(op, h, tx, d, &seen) && (!seen || change(op, h, tx, d, arg));
        if (!ok || !seen) {
            wh_store_abort(op, h->store, tx);
            if (there)
                *there = ok && seen;
            return ok && (there || wh_fail(&op->err, WH_XEN, "domain %u is gone", d->domid));
        }
        if (!wh_store_commit(op, h->store, tx, &again))
            return false;
    }
    if (there)
        *there = true;
    return true;
}
