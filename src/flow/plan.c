/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/plan.h"

#include <string.h>

/* The text is made first: what is stored says only what somebody said. */
bool wh_plan_make(struct wh_op *op, const struct wh_config *complete, struct wh_plan *p)
{
    *p = (struct wh_plan){ .c = wh_config_empty() };
    p->json = wh_config_write_json(&op->err, complete);
    if (p->json && wh_config_read_json(&op->err, p->json, strlen(p->json), &p->c) &&
        wh_config_complete(&op->err, &p->c) && wh_config_settle(&op->err, &p->c)) {
        wh_uuid_print(p->c.uuid, p->uuid);
        return true;
    }
    wh_plan_free(p);
    return false;
}

void wh_plan_free(struct wh_plan *p)
{
    free(p->json);
    p->json = NULL;
    wh_config_free(&p->c);
}
