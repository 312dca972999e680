/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry domid, wherry domname - a domain's number by its name, and the other way round. */
#include <inttypes.h>
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static void print_number(json_object *o, const struct wh_tell *t)
{
    (void)t;
    printf("%" PRIu64 "\n", wh_json_number(o, "domid", 0));
}

static void print_name(json_object *o, const struct wh_tell *t)
{
    (void)t;
    wh_print_plain(stdout, wh_tell_name(o));
    putchar('\n');
}

static int run_domid(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "NAME", "Print the number of a domain (by its name or uuid).",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 1, .most = 1, .print = print_number };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_find_new(t.arg[0]), &t);
}

static int run_domname(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMID", "Print the name of a domain (by its number).",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 1, .most = 1, .print = print_name };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    if (!*t.arg[0] || t.arg[0][strspn(t.arg[0], "0123456789")])
        return wh_cli_fail(WH_USAGE, "expected a domain's number");
    return wh_tell(wh_find_new(t.arg[0]), &t);
}

const struct wh_verb wh_verb_domid = { "domid", "print a domain's number", run_domid };
const struct wh_verb wh_verb_domname = { "domname", "print a domain's name", run_domname };
