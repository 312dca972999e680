/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/stock.h"

#include <string.h>

/* With their NUL. */
static const struct { const char *text; size_t n; } messages[] = {
#define M(text) { text, sizeof text }
    [WH_STOCK_READY] = M("domain received, ready to unpause"),
    [WH_STOCK_GO] = M("domain is yours, you are cleared to unpause"),
    [WH_STOCK_REPORT] = M("my copy unpause results are as follows"),
#undef M
};

bool wh_stock_say(struct wh_op *op, struct wh_parcel *p, enum wh_stock what)
{
    return wh_parcel_raw_write(op, p, messages[what].text, messages[what].n);
}

bool wh_stock_await(struct wh_op *op, struct wh_parcel *p, enum wh_stock what)
{
    char came[64];

    if (!wh_parcel_raw_read(op, p, came, messages[what].n))
        return wh_while(&op->err, "wait for \"%s\"", messages[what].text);
    return memcmp(came, messages[what].text, messages[what].n) == 0 ||
           wh_fail(&op->err, WH_PEER, "%s did not say \"%s\"", p->peer, messages[what].text);
}
