/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry rename - give a domain another name. */
#include "cli/tell.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN NAME", "Give a domain another name.", NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 2, .most = 2 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_rename_new(t.arg[0], t.arg[1]), &t);
}

const struct wh_verb wh_verb_rename = { "rename", "give a domain another name", run };
