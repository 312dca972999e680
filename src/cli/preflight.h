/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The checks before a guest moves, for people. */
#ifndef WH_CLI_PREFLIGHT_H
#define WH_CLI_PREFLIGHT_H

#include <json-c/json.h>
#include <stdio.h>

/* A line a check; what the other host says never reaches the terminal raw:
 *
 *     config       ok      the target can give the guest what it says
 *     memory       NO      needs 512 MiB, 300 MiB are free on the target
 *     cpu          forced  the target's processor: it lacks avx512f
 */
void wh_preflight_print(FILE *f, json_object *checks);

#endif
