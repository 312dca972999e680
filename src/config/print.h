/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON text laid out as libxl (yajl) lays it out: four spaces a level, an empty object or array
 * with an empty line in it. */
#ifndef WH_CONFIG_PRINT_H
#define WH_CONFIG_PRINT_H

#include "base/json.h"

/* Text with a newline and a NUL at its end.  NULL: out of memory. */
char *wh_print_json(json_object *o);

#endif
