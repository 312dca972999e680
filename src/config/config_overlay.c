/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stored configuration of a running guest, brought up to date for a save file: what can have
 * changed since it was created is put over what was written then. */
#include <string.h>

#include "config/field.h"
#include "config/print.h"

/* The tree is not read into a struct: nothing of it is judged, it is the host's own file and the
 * guest has to be saved. */
static bool facts(struct wh_err *err, const struct wh_config_now *now, struct wh_config *c)
{
    c->name = strdup(now->name);
    c->uuid = now->uuid;
    c->max_vcpus = now->max_vcpus;
    c->target_memkb = now->target_memkb;
    c->max_memkb = now->max_memkb;
    c->sched_params = now->sched;
    if (now->machine)
        c->type = WH_TYPE_HVM;      /* only those have one */
    c->machine = now->machine ? strdup(now->machine) : NULL;
    if (!c->name || (now->machine && !c->machine) || (now->online && !wh_bits_copy(&c->avail_vcpus, now->online)))
        return wh_fail(err, WH_SYSTEM, "out of memory");
    return true;
}

/* The parts without which libxl reads nothing of ours. */
static bool whole(json_object *root)
{
    json_object *part;

    return json_object_is_type(root, json_type_object) &&
           json_object_object_get_ex(root, "c_info", &part) &&
           json_object_is_type(part, json_type_object) &&
           json_object_object_get_ex(root, "b_info", &part) &&
           json_object_is_type(part, json_type_object);
}

static bool put_facts(json_object *root, const struct wh_config_now *now,
                      const struct wh_config *c)
{
    static const char *const sched[] = {
        "b_info/sched_params",        "b_info/sched_params/sched",  "b_info/sched_params/weight",
        "b_info/sched_params/cap",    "b_info/sched_params/period", "b_info/sched_params/budget",
        "b_info/sched_params/extratime",
    };
    bool ok = wh_field_put(root, "c_info/name", c) && wh_field_put(root, "c_info/uuid", c);

    /* libxl stores "any"; what a save file has is the domid that a restore shall give it. */
    ok = ok && wh_field_put(root, "c_info/domid", c);
    if (now->max_vcpus > 0)
        ok = ok && wh_field_put(root, "b_info/max_vcpus", c);
    if (now->online)
        ok = ok && wh_field_put(root, "b_info/avail_vcpus", c);
    if (now->max_memkb != WH_UNSET_MEMKB)
        ok = ok && wh_field_put(root, "b_info/max_memkb", c);
    if (now->target_memkb != WH_UNSET_MEMKB)
        ok = ok && wh_field_put(root, "b_info/target_memkb", c);
    if (now->machine)
        ok = ok && wh_field_put(root, "wherry_machine", c);
    for (size_t i = 0; now->sched.sched != WH_SCHED_UNKNOWN && i < WH_COUNT(sched); i++)
        ok = ok && wh_field_put(root, sched[i], c);
    return ok;
}

char *wh_config_overlay(struct wh_err *err, const char *stored, size_t n,
                        const struct wh_config_now *now)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    const char *why = NULL;
    size_t at = 0;
    char *text = NULL;

    wh_auto_json json_object *root = wh_field_tree(stored, n, &why, &at);
    if (!root || !whole(root)) {
        wh_fail(err, WH_XEN, "the stored configuration: expected libxl's JSON: %s at byte %zu",
                why ? why : "another text", at);
        return NULL;
    }
    if (!facts(err, now, &c))
        return NULL;
    if (put_facts(root, now, &c))
        text = wh_print_json(root);
    if (!text)
        wh_fail(err, WH_SYSTEM, "write the guest's configuration: out of memory");
    return text;
}
