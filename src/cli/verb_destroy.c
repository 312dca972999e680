/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry destroy - take a guest away at once. */
#include "cli/tell.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    return wh_tell_parse(key, arg, state);
}

static int run(int argc, char **argv)
{
    static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };
    static const struct argp argp = {
        options, parse, "DOMAIN",
        "Take a domain away at once, without asking it: its devices are closed, and nothing of it "
        "is left.  What it had not written to its disks is lost.",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 1, .most = 1 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_destroy_new(t.arg[0]), &t);
}

const struct wh_verb wh_verb_destroy = { "destroy", "take a guest away at once", run };
