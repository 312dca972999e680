/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/preflight.h"

#include <string.h>

#include "base/json.h"
#include "cli/cli.h"

#define NAME_COLUMNS 11
#define LINES_MOST 64

static void print_line(FILE *f, json_object *o)
{
    const char *name = wh_json_string(o, "check", "?");
    size_t n = strlen(name);

    wh_print_plain(f, name);
    fprintf(f, "%*s  %-6s  ", n < NAME_COLUMNS ? (int)(NAME_COLUMNS - n) : 0, "",
            wh_json_true(o, "ok") ? "ok" : wh_json_true(o, "forced") ? "forced" : "NO");
    wh_print_plain(f, wh_json_string(o, "text", ""));
    putc('\n', f);
}

void wh_preflight_print(FILE *f, json_object *checks)
{
    size_t n = json_object_is_type(checks, json_type_array) ? json_object_array_length(checks) : 0;

    for (size_t i = 0; i < n && i < LINES_MOST; i++)
        print_line(f, json_object_array_get_idx(checks, i));
}
