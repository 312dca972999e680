/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preflight: what is looked at before the first byte of a guest moves.
 *
 *     source                                       target
 *     wh_preflight_facts    -- what it needs -->    wh_preflight_check
 *     wh_preflight_source   <-- each check's outcome --
 *     wh_preflight_passed
 *
 * Facts are what a target needs to know of a guest; all of it comes from the other host and is
 * looked at as such:
 *
 *     { "time_ms": 1760000000000, "xen": { "major": 4, "minor": 17 }, "type": "pvh",
 *       "name": "what it is to be called there, if not as in its configuration",
 *       "memory_kib": 524288, "config": "the guest's configuration: libxl's JSON, as text",
 *       "disks": [ { "vdev": "xvda", "bytes": 8589934592 } ],
 *       "policy": { "leaves": [ [leaf, subleaf, eax, ebx, ecx, edx] ], "msrs": [ [index, value] ] } }
 *
 * Checks are an array, in the order in which people read them:
 *
 *     [ { "check": "memory", "ok": false, "text": "512 MiB are needed, 300 MiB are free on the target" } ]
 *
 * Their names are stable: scripts force them.
 *
 *     config       the target's wherry can give the guest all that its configuration says
 *     xen          the target's is not older
 *     memory       there is enough
 *     name, uuid   no domain of the target has them
 *     cpu          the target's processor has all that the guest was told of
 *     disks        each is there, of the same size
 *     network      the bridges and scripts are there
 *     devicemodel  HVM: QEMU is there, and knows the machine
 *     clock        the hosts agree what time it is
 *     guest        it can suspend                                      (source)
 *     passthrough  it has no device of the source's                    (source)
 *     nestedhvm    it runs no guests of its own                        (source)
 *     logdirty     whether it can move live: holds always, see "live"  (source)
 */
#ifndef WH_FLOW_PREFLIGHT_H
#define WH_FLOW_PREFLIGHT_H

#include <json-c/json.h>

#include "xen/here.h"

/* What a target needs to know of a running domain; its configuration as wh_domain_config tells it. */
bool wh_preflight_facts(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                        const char *config_json, json_object **facts);

/* On the target.  What does not hold, or cannot be told since the facts are wrong, is an outcome
 * and no failure; false only where this host cannot be asked or the operation was stopped. */
bool wh_preflight_check(struct wh_op *op, struct wh_here *h, json_object *facts,
                        json_object **checks);

/* On the source, with the target's answer: what only it can tell is added. */
bool wh_preflight_source(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                         const char *config_json, json_object *checks);

/* Whether all hold but those that are forced: names, also several in one text with commas between.
 * What does not hold and was forced gets "forced": true.  False: op->err names the first that does
 * not hold, and how many more there are; or a name that is none. */
bool wh_preflight_passed(struct wh_op *op, json_object *checks, const char *const *forced,
                         size_t n);

#endif
