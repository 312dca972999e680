/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CPU policies side by side: what a guest was told of its processor, and what a host can give it. */
#ifndef WH_FLOW_FEATURES_H
#define WH_FLOW_FEATURES_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As wh_xen_get_policy hands them out. */
struct wh_policy {
    void *leaves, *msrs;
    size_t leaf_bytes, msr_bytes;
};
void wh_policy_free(struct wh_policy *p);

/* { "leaves": [ [leaf, subleaf, eax, ebx, ecx, edx] ], "msrs": [ [index, value] ] } */
json_object *wh_policy_json(const struct wh_policy *p);
/* Back; from anybody.  False: it is no such thing, or there is no memory for it. */
bool wh_policy_read(json_object *o, struct wh_policy *p);

/* Words of 32 features; a name is NULL where none is known. */
#define WH_FEATURE_WORDS 20
const char *wh_feature_name(unsigned word, unsigned bit);

/* Names of what the guest has been told of and the host does not have, for people and scripts:
 * "avx512f", "7.0 ebx bit 22".  An array, empty if there is nothing. */
json_object *wh_policy_lacks(const struct wh_policy *guest, const struct wh_policy *host);

/* What else keeps the guest from that host: sentences ("its highest CPUID leaf is 0x7, the guest's
 * 0xd").  An array. */
json_object *wh_policy_differs(const struct wh_policy *guest, const struct wh_policy *host);

#endif
