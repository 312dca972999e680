/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry shutdown, wherry reboot - ask a guest to. */
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

static bool all;
static struct wh_power how;

static const struct argp_option options[] = {
    { "all", 'a', NULL, 0, "All domains but domain 0", 0 },
    { "acpi", 'F', NULL, 0, "Send guests without PV drivers an ACPI event (shutdown only)", 0 },
    { "wait", 'w', NULL, 0, "Wait until it has shut down or is gone; twice: until it is gone", 0 },
    WH_TELL_OPTION_JSON,
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'a':
        all = true;
        return 0;
    case 'F':
        how.acpi = true;
        return 0;
    case 'w':
        how.wait++;
        return 0;
    case ARGP_KEY_END:
        if (all != (state->arg_num == 0))
            argp_error(state, all ? "--all and a domain are too much" : "which domain?");
        return wh_tell_parse(key, arg, state);
    default:
        return wh_tell_parse(key, arg, state);
    }
}

/* What became of those waited for. */
static void print(json_object *result, const struct wh_tell *t)
{
    (void)t;
    for (size_t i = 0; how.wait && i < json_object_array_length(result); i++) {
        json_object *o = json_object_array_get_idx(result, i);
        const char *stage = wh_json_string(o, "stage", "");

        if (strcmp(stage, "shutdown") != 0 && strcmp(stage, "gone") != 0)
            continue;
        wh_print_plain(stdout, wh_tell_name(o));
        if (*stage == 'g')
            puts(": gone");
        else
            printf(": shut down (%s)\n", wh_json_string(o, "shutdown_reason", "unknown"));
    }
}

static int run(int argc, char **argv, const struct argp *argp)
{
    struct wh_tell t = { .most = 1, .print = print };

    argp_parse(argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_power_new(t.arg[0], &how), &t);
}

static int run_shutdown(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "DOMAIN\n--all",
        "Ask a guest to shut down, and wait until it has taken the request, at most a minute.",
        NULL, NULL, NULL,
    };

    return run(argc, argv, &argp);
}

static int run_reboot(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "DOMAIN\n--all",
        "Ask a guest to reboot, and wait until it has taken the request, at most a minute.",
        NULL, NULL, NULL,
    };

    how.reboot = true;
    return run(argc, argv, &argp);
}

const struct wh_verb wh_verb_shutdown = { "shutdown", "ask a guest to shut down", run_shutdown };
const struct wh_verb wh_verb_reboot = { "reboot", "ask a guest to reboot", run_reboot };
