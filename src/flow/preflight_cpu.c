/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preflight: what the guest was told of its processor, and the target's.
 *
 * Xen itself refuses few guests; from the others it takes what its processor does not have, and they
 * meet an illegal instruction some time later.  So each feature is looked at here. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/features.h"
#include "flow/preflight_parts.h"

#define NAMED 24                    /* features in the text; all are in "features" */

static bool host_policy(struct wh_op *op, struct wh_preflight *p, bool hvm, struct wh_policy *host)
{
    return wh_xen_host_policy(op, p->h->xen, hvm, &host->leaves, &host->leaf_bytes, &host->msrs,
                              &host->msr_bytes);
}

static void tell_lacks(struct wh_wrongs *w, json_object *names)
{
    size_t n = json_object_array_length(names), used = 0;
    char list[600] = "";

    for (size_t i = 0; i < n && i < NAMED; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "",
                                 json_object_get_string(json_object_array_get_idx(names, i)));
    if (n > NAMED)
        snprintf(list + used, sizeof list - used, " and %zu more", n - NAMED);
    if (n > 0)
        wh_wrongs_add(w, "it lacks %s", list);
}

static bool compare(struct wh_op *op, struct wh_preflight *p, bool hvm,
                    const struct wh_policy *guest, const struct wh_policy *host)
{
    wh_auto_json json_object *lacks = wh_policy_lacks(guest, host);
    wh_auto_json json_object *differs = wh_policy_differs(guest, host);
    struct wh_wrongs w = { .more = 0 };
    char why[WH_WHY];

    if (!wh_xen_policy_fits(op, p->h->xen, hvm, guest->leaves, guest->leaf_bytes, guest->msrs,
                            guest->msr_bytes, why))
        return false;
    tell_lacks(&w, lacks);
    for (size_t i = 0; i < json_object_array_length(differs); i++)
        wh_wrongs_add(&w, "%s", json_object_get_string(json_object_array_get_idx(differs, i)));
    if (*why && !*w.text)
        wh_wrongs_add(&w, "its Xen refuses the guest's policy (%s)", why);
    json_object *check = *w.text
        ? wh_wrongs_check(p->checks, "cpu", "the target's processor", &w)
        : wh_check_add(p->checks, "cpu", true, "the target's has all that the guest was told of");
    if (json_object_array_length(lacks) > 0)
        json_object_object_add(check, "features", json_object_get(lacks));
    return true;
}

bool wh_preflight_cpu(struct wh_op *op, struct wh_preflight *p)
{
    wh_auto(wh_policy_free) struct wh_policy guest = { 0 }, host = { 0 };
    bool hvm = strcmp(wh_json_string(p->facts, "type", ""), "pv") != 0;
    json_object *policy = NULL;

    wh_step(op, "compare the processors", WH_LOOK_MS);
    if (json_object_is_type(p->facts, json_type_object))
        json_object_object_get_ex(p->facts, "policy", &policy);
    if (!wh_policy_read(policy, &guest)) {
        wh_check_add(p->checks, "cpu", false, "the source does not say what processor the guest has");
        return true;
    }
    return host_policy(op, p, hvm, &host) && compare(op, p, hvm, &guest, &host);
}
