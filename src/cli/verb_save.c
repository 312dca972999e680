/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry save - a running guest becomes a file. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/rounds.h"
#include "base/json.h"
#include "flow/task.h"

enum { OPT_COMPRESS = 0x100, OPT_LIVE, OPT_NO_SPARSE, OPT_NO_ROOM_CHECK, OPT_NO_TRAILER };

struct args {
    struct wh_save_how how;
    bool json;
    const char *domain, *file;
};

static const struct argp_option options[] = {
    { "checkpoint", 'c', NULL, 0, "Leave the guest running when it is saved", 0 },
    { "compress", OPT_COMPRESS, "LEVEL", OPTION_ARG_OPTIONAL, "Write a zstd file; -5 to 19, default 1", 0 },
    { "json", 'j', NULL, 0, "Progress and outcome as JSON lines (on stderr if FILE is -)", 0 },
    { "live", OPT_LIVE, NULL, 0, "Copy the guest while it runs: it is stopped for a moment only", 0 },
    { "no-room-check", OPT_NO_ROOM_CHECK, NULL, 0, "Try although the file system may be too full", 0 },
    { "no-sparse", OPT_NO_SPARSE, NULL, 0, "Reserve every block: no holes where the guest is zero", 0 },
    { "no-trailer", OPT_NO_TRAILER, NULL, 0, "Leave Wherry's trailer (digest, index) out", 0 },
    { "paused", 'p', NULL, 0, "Leave the guest paused when it is saved", 0 },
    WH_ROUNDS_OPTIONS,
    { 0 },
};

static error_t argument(struct args *a, char *arg, struct argp_state *state)
{
    switch (state->arg_num) {
    case 0:
        a->domain = arg;
        return 0;
    case 1:
        a->file = arg;
        return 0;
    case 2:
        a->how.config = arg;
        return 0;
    default:
        argp_usage(state);
        return 0;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    if (wh_cli_rounds(&a->how.rounds, key, arg, state))
        return 0;
    switch (key) {
    case 'c':
        a->how.keep_running = true;
        return 0;
    case 'p':
        a->how.paused = true;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case OPT_COMPRESS:
        a->how.compress = true;
        a->how.level = wh_cli_level(state, arg);
        return 0;
    case OPT_LIVE:
        a->how.live = true;
        return 0;
    case OPT_NO_SPARSE:
        a->how.no_sparse = true;
        return 0;
    case OPT_NO_ROOM_CHECK:
        a->how.no_room_check = true;
        return 0;
    case OPT_NO_TRAILER:
        a->how.no_trailer = true;
        return 0;
    case ARGP_KEY_ARG:
        return argument(a, arg, state);
    case ARGP_KEY_END:
        if (state->arg_num < 2)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const struct args *a = arg;
    json_object *o = wh_task_result(j);
    FILE *out = strcmp(a->file, "-") == 0 ? stderr : stdout;

    if (kind != WH_OK || !o)
        return false;
    if (a->json) {
        json_object_object_add(o, "event", json_object_new_string("saved"));
        wh_cli_json(out, o, JSON_C_TO_STRING_PLAIN);
        return true;
    }
    uint64_t bytes = wh_json_number(o, "file_bytes", 0), holes = wh_json_number(o, "hole_bytes", 0);
    fputs("saved ", out);
    wh_print_plain(out, wh_json_string(o, "name", a->domain));
    fputs(" to ", out);
    wh_print_plain(out, a->file);
    fprintf(out, ": %llu MiB", (unsigned long long)(bytes >> 20));
    if (holes)
        fprintf(out, ", of which %llu MiB are holes", (unsigned long long)(holes >> 20));
    fprintf(out, "; the guest was stopped for %.1f s\n",
            (double)wh_json_number(o, "downtime_ms", 0) / 1000);
    return true;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "DOMAIN FILE [CONFIG]",
        "Save a guest to a file. The file has its name only when it is whole and on disk; only "
        "then is the guest destroyed. Until then every failure, and Ctrl-C, lets the guest run on.",
        NULL, NULL, NULL,
    };
    struct args a = { .how.then_exit = true };
    struct wh_cli_way way = { .patient = true };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.json)
        way.events = strcmp(a.file, "-") == 0 ? stderr : stdout;
    return wh_cli_job_so(wh_save_new(a.domain, a.file, &a.how), &way, show, &a);
}

const struct wh_verb wh_verb_save = { "save", "save a guest to a file", run };
