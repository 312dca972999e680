/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry create - start a guest. */
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"
#include "cli/console.h"
#include "base/json.h"
#include "flow/task.h"

enum { OPT_DRY = 'n', OPT_DRY_TOO = 'N', OPT_NO_MONITOR = 'e' };

struct args {
    struct wh_create_how how;
    const char *file;
    char *more;                 /* the VAR=VALUE arguments, a line each */
    bool json, quiet, console;
    uint32_t domid;
};

static const struct argp_option options[] = {
    { "console", 'c', NULL, 0, "Connect to the guest's console", 0 },
    { "defconfig", 'f', "FILE", 0, "The configuration file", 0 },
    { "dryrun", OPT_DRY, NULL, 0, "Only print the configuration, as JSON", 0 },
    { NULL, OPT_DRY_TOO, NULL, OPTION_HIDDEN, NULL, 0 },
    { "json", 'j', NULL, 0, "Say what was made as a JSON object", 0 },
    { "no-monitor", OPT_NO_MONITOR, NULL, 0,
      "Start no process that carries out on_poweroff, on_reboot and on_crash", 0 },
    { "paused", 'p', NULL, 0, "Leave the guest paused", 0 },
    { "quiet", 'q', NULL, 0, "Say nothing but errors", 0 },
    { 0 },
};

static void add_line(struct args *a, const char *text, struct argp_state *state)
{
    char *all = NULL;

    if (asprintf(&all, "%s%s\n", a->more ? a->more : "", text) < 0)
        argp_failure(state, wh_kind_exit(WH_SYSTEM), 0, "no memory is left");
    free(a->more);
    a->more = all;
}

/* FILE, and lines of configuration in any order; the first that is no line is the file. */
static error_t take(struct args *a, char *arg, struct argp_state *state)
{
    if (strchr(arg, '=') && (a->file || arg[0] != '/'))
        add_line(a, arg, state);
    else if (!a->file)
        a->file = arg;
    else
        argp_error(state, "a second file: '%s'", arg);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    switch (key) {
    case 'c':
        a->console = true;
        return 0;
    case 'f':
        a->file = arg;
        return 0;
    case OPT_DRY:
    case OPT_DRY_TOO:
        a->how.dry_run = true;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case OPT_NO_MONITOR:
        a->how.no_monitor = true;
        return 0;
    case 'p':
        a->how.paused = true;
        return 0;
    case 'q':
        a->quiet = true;
        return 0;
    case ARGP_KEY_ARG:
        return take(a, arg, state);
    case ARGP_KEY_END:
        if (!a->file)
            argp_error(state, "which configuration file?");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void warn(const struct args *a, json_object *o)
{
    json_object *all = json_object_object_get(o, "warnings");

    for (size_t i = 0; !a->quiet && all && i < json_object_array_length(all); i++)
        wh_cli_say(json_object_get_string(json_object_array_get_idx(all, i)));
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    struct args *a = arg;
    json_object *o = wh_task_result(j);

    if (o)
        warn(a, o);
    if (kind != WH_OK || !o)
        return false;
    a->domid = (uint32_t)wh_json_number(o, "domid", 0);
    if (a->how.dry_run) {
        wh_cli_json(stdout, json_object_object_get(o, "config"),
                    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
    } else if (a->json) {
        wh_cli_json(stdout, o, JSON_C_TO_STRING_PLAIN);
    } else if (!a->quiet) {
        fputs("created ", stdout);
        wh_print_plain(stdout, wh_json_string(o, "name", ""));
        printf(" as domain %u\n", a->domid);
    }
    return true;
}

/* The console comes after the guest has begun: xenconsoled keeps what it said. */
static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "FILE [VAR=VALUE...]",
        "Start the guest that the xl.cfg FILE describes; VAR=VALUE are lines after its own.",
        NULL, NULL, NULL,
    };
    struct args a = { 0 };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    a.how.more = a.more;
    int code = wh_cli_job(wh_create_new(a.file, &a.how), show, &a);
    free(a.more);
    if (code == 0 && a.console && !a.how.dry_run)
        return wh_console_become(a.domid, "pv", 0);
    return code;
}

const struct wh_verb wh_verb_create = { "create", "start a guest", run };
