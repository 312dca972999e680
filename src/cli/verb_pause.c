/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry pause, wherry unpause - stop a domain's vcpus, and let them run. */
#include "cli/tell.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static int run_pause(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN",
        "Stop a domain's vcpus; it keeps its memory and its devices.", NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 1, .most = 1 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_pause_new(t.arg[0]), &t);
}

static int run_unpause(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN", "Let a paused domain run again.", NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 1, .most = 1 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_unpause_new(t.arg[0]), &t);
}

const struct wh_verb wh_verb_pause = { "pause", "stop a domain's vcpus", run_pause };
const struct wh_verb wh_verb_unpause = { "unpause", "let a paused domain run again", run_unpause };
