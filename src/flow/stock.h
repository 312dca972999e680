/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What xl migrate and xl migrate-receive say to each other around the stream.
 *
 *     receiver   banner (54 bytes)                            sender
 *                                                             save file's header, libxl stream
 *                ready (34)
 *                                                             renames its own; go (44)
 *                renames, unpauses; report (39), status (1)
 *                                                             0: destroys its copy
 *                not 0: destroys its copy; go (44)            runs its copy again
 *
 * Nothing tells which move it is, and nobody can be asked afterwards: from go to the status the
 * sender does not know whether the guest runs there. */
#ifndef WH_FLOW_STOCK_H
#define WH_FLOW_STOCK_H

#include "link/parcel.h"

enum wh_stock { WH_STOCK_READY, WH_STOCK_GO, WH_STOCK_REPORT };

bool wh_stock_say(struct wh_op *op, struct wh_parcel *p, enum wh_stock what);
bool wh_stock_await(struct wh_op *op, struct wh_parcel *p, enum wh_stock what);

/* What a name ends in while a guest is on its way. */
#define WH_STOCK_INCOMING "--incoming"
#define WH_STOCK_AWAY "--migratedaway"

#endif
