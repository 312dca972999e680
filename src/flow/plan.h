/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A complete configuration, as it is stored with the guest and as a builder needs it. */
#ifndef WH_FLOW_PLAN_H
#define WH_FLOW_PLAN_H

#include "base/op.h"
#include "config/config.h"

struct wh_plan {
    char *json;                 /* what is stored: with its NUL */
    struct wh_config c;         /* every default in it */
    char uuid[WH_UUID_TEXT];
};

bool wh_plan_make(struct wh_op *op, const struct wh_config *complete, struct wh_plan *p);
void wh_plan_free(struct wh_plan *p);
#define wh_auto_plan wh_auto(wh_plan_free)

#endif
