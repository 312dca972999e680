/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry cancel - stop a job of another terminal. */
#include <string.h>

#include "cli/rounds.h"
#include "cli/tell.h"
#include "base/json.h"

#define WAIT_MS 60000

struct args {
    struct wh_tell tell;
    uint64_t wait_ms;
};

static const struct argp_option options[] = {
    WH_TELL_OPTION_JSON,
    { "wait", 'w', "TIME", 0, "How long to wait until it has stopped: 60s (the default), 0: only ask", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    if (key == 'w') {
        a->wait_ms = 0;
        if (strcmp(arg, "0") != 0 && !wh_cli_time(arg, &a->wait_ms))
            argp_error(state, "a time is a number of ms, s, m or h, as in 10s, not '%s'", arg);
        return 0;
    }
    state->input = &a->tell;
    error_t err = wh_tell_parse(key, arg, state);
    state->input = a;
    return err;
}

static void print(json_object *o, const struct wh_tell *t)
{
    const char *outcome = wh_json_string(o, "outcome", "");

    if (strcmp(outcome, "cancelled") != 0 && strcmp(outcome, "asked") != 0)
        return;
    wh_print_plain(stdout, t->arg[0]);
    puts(*outcome == 'c' ? " is cancelled" : " has been asked to stop");
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "JOB",
        "Stop a job that wherry jobs lists, as Ctrl-C in its terminal would: what it has begun is taken "
        "back, and its guest is where it was.",
        NULL, NULL, NULL,
    };
    struct args a = { .tell = { .least = 1, .most = 1, .print = print }, .wait_ms = WAIT_MS };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    return wh_tell(wh_cancel_new(a.tell.arg[0], a.wait_ms), &a.tell);
}

const struct wh_verb wh_verb_cancel = { "cancel", "stop a job of another terminal", run };
