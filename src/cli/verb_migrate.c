/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry migrate - a running guest moves to another host. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/preflight.h"
#include "cli/rounds.h"
#include "base/json.h"
#include "flow/task.h"

enum { OPT_BANDWIDTH = 0x100, OPT_COMPRESS, OPT_DEBUG, OPT_DRY_RUN, OPT_FORCE, OPT_LIVE,
       OPT_PROTOCOL };

struct args {
    struct wh_send_how how;
    bool json;
    const char *domain, *host;
};

static const struct argp_option options[] = {
    { "bandwidth", OPT_BANDWIDTH, "RATE", 0, "Send no more a second: 1Gbit, 100Mbit, 50MB", 0 },
    { "compress", OPT_COMPRESS, "LEVEL", OPTION_ARG_OPTIONAL,
      "zstd's level (1 to 19); auto (the default): where that is faster; no: never", 0 },
    { "config", 'C', "FILE", 0, "Send this xl.cfg file in place of the guest's configuration", 0 },
    { "debug", OPT_DEBUG, NULL, 0, "Send all pages twice, for the other host to compare them", 0 },
    { "dry-run", OPT_DRY_RUN, NULL, 0, "Only tell whether the guest could go there", 0 },
    { "force", OPT_FORCE, "CHECK[,CHECK]", 0, "Go although these checks do not hold", 0 },
    { "json", 'j', NULL, 0, "Rounds, states and outcome as JSON lines", 0 },
    { "live", OPT_LIVE, "HOW", OPTION_ARG_OPTIONAL,
      "Copied while it runs: auto (the default): where it can be; require: or fail; no", 0 },
    { "no-monitor", 'e', NULL, 0, "Nobody there carries out on_reboot and its like", 0 },
    { "paused", 'p', NULL, 0, "Leave the guest paused there", 0 },
    { "protocol", OPT_PROTOCOL, "auto|native|stock", 0,
      "What to speak: native, to another wherry; stock, to xl migrate-receive; auto (the default): "
      "native, and stock where there is no wherry", 0 },
    { "ssh", 's', "COMMAND", 0, "In place of ssh, before HOST; '': HOST is the command itself", 0 },
    WH_ROUNDS_OPTIONS,
    { 0 },
};

/* "1Gbit", "100Mbit", "50MB", "50MiB": bytes a second. */
#define RATE_LEAST 12500                /* with less the next piece is longer due than the target waits */

static bool rate_of(const char *text, uint64_t *rate)
{
    static const struct { const char *unit; double bytes; } units[] = {
        { "kbit", 125 }, { "Mbit", 125e3 }, { "Gbit", 125e6 },
        { "kB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 },
        { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
    };
    char *end;
    double n = strtod(text, &end);

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcasecmp(end, units[i].unit) != 0)
            continue;
        *rate = n > 0 && n < 1e9 ? (uint64_t)(n * units[i].bytes) : 0;
        return *rate >= RATE_LEAST;
    }
    return false;
}

static void choose_packing(struct args *a, const char *arg, struct argp_state *state)
{
    char *end;

    a->how.packing = 0;
    if (!arg || strcmp(arg, "auto") == 0)
        return;
    if (strcmp(arg, "no") == 0) {
        a->how.packing = -1;
        return;
    }
    a->how.packing = (int)strtol(arg, &end, 10);
    if (*end || a->how.packing < 1 || a->how.packing > 19)
        argp_error(state, "--compress is auto, no, or a level of 1 to 19, not '%s'", arg);
}

static int one_of(const char *arg, const char *const *words, const char *what,
                  struct argp_state *state)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(arg, words[i]) == 0)
            return i;
    argp_error(state, "%s, not '%s'", what, arg);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const lives[] = { "auto", "require", "no", NULL };
    static const char *const protocols[] = { "auto", "native", "stock", NULL };
    struct args *a = state->input;

    if (wh_cli_rounds(&a->how.rounds, key, arg, state))
        return 0;
    switch (key) {
    case 's':
        a->how.command = arg;
        return 0;
    case 'e':
        a->how.no_monitor = true;
        return 0;
    case 'p':
        a->how.paused = true;
        return 0;
    case 'C':
        a->how.config = arg;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case OPT_DEBUG:
        a->how.debug = true;
        return 0;
    case OPT_DRY_RUN:
        a->how.look_only = true;
        return 0;
    case OPT_FORCE:
        a->how.force = arg;
        return 0;
    case OPT_BANDWIDTH:
        if (!rate_of(arg, &a->how.bandwidth))
            argp_error(state, "a rate is as in 1Gbit, 100Mbit, 50MB or 50MiB, and at least 100kbit, not '%s'", arg);
        return 0;
    case OPT_COMPRESS:
        choose_packing(a, arg, state);
        return 0;
    case OPT_LIVE:
        /* Alone it is what xl takes, and ignores. */
        a->how.rounds.mode = (enum wh_live_mode)one_of(arg ? arg : "auto", lives,
                                                       "--live is auto, require or no", state);
        return 0;
    case OPT_PROTOCOL:
        a->how.protocol = (enum wh_protocol)one_of(arg, protocols, "--protocol is auto, native or "
                                                   "stock", state);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_usage(state);
        *(state->arg_num ? &a->host : &a->domain) = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 2)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static double seconds(json_object *o, const char *path)
{
    return (double)wh_json_number(o, path, 0) / 1000;
}

static void show_moved(json_object *o, const struct args *a)
{
    wh_print_plain(stdout, wh_json_string(o, "name", a->domain));
    fputs(" moved to ", stdout);
    wh_print_plain(stdout, a->host);
    printf(" in %.1f s: %llu MiB in %llu rounds; the guest was stopped for %.2f s\n",
           seconds(o, "total_ms"), (unsigned long long)(wh_json_number(o, "link_bytes", 0) >> 20),
           (unsigned long long)wh_json_number(o, "rounds", 0), seconds(o, "downtime_ms"));
    if (!wh_json_true(o, "live"))
        fprintf(stderr, "wherry: it was stopped all the while: %s\n",
                wh_json_string(o, "not_live", ""));
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const struct args *a = arg;
    json_object *o = wh_task_result(j);

    if (!o)
        return false;
    if (a->json) {
        json_object_object_add(o, "event", json_object_new_string(kind == WH_OK && !a->how.look_only
                                                                   ? "moved" : "ended"));
        if (kind != WH_OK)
            json_object_object_add(o, "error", wh_json_text(wh_job_error(j)));
        wh_cli_json(stdout, o, JSON_C_TO_STRING_PLAIN);
        return false;
    }
    if (a->how.look_only)
        wh_preflight_print(stdout, json_object_object_get(o, "checks"));
    else if (kind == WH_OK)
        show_moved(o, a);
    return false;
}

/* A line a round, for people who watch. */
static void hear(json_object *o, void *arg)
{
    const struct args *a = arg;

    if (a->json) {
        wh_cli_json(stdout, o, JSON_C_TO_STRING_PLAIN);
        fflush(stdout);
        return;
    }
    if (strcmp(wh_json_string(o, "event", ""), "no wherry there") == 0)
        fprintf(stderr, "wherry: there is no wherry on %s: xl migrate-receive, then\n", a->host);
    if (strcmp(wh_json_string(o, "event", ""), "round") != 0 || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[Kround %llu: %llu pages and %llu of zeros in %.1f s; %llu left; a pause of "
            "about %.2f s\n", (unsigned long long)wh_json_number(o, "round", 0),
            (unsigned long long)wh_json_number(o, "pages", 0),
            (unsigned long long)wh_json_number(o, "zero_pages", 0), seconds(o, "ms"),
            (unsigned long long)wh_json_number(o, "left_pages", 0),
            seconds(o, "expected_downtime_ms"));
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "DOMAIN HOST",
        "Move a running guest to another host. Until that host has all of it and is told to run it, every "
        "failure, and Ctrl-C, lets the guest run on here.",
        NULL, NULL, NULL,
    };
    struct args a = { .how.then_exit = true };
    struct wh_cli_way way = { .patient = true, .hear = hear, .hear_arg = &a };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    if (a.json)
        way.events = stdout;
    return wh_cli_job_so(wh_send_new(a.domain, a.host, &a.how), &way, show, &a);
}

const struct wh_verb wh_verb_migrate = { "migrate", "move a running guest to another host", run };
