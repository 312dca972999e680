/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry restore - a file becomes a running guest. */
#include "cli/cli.h"
#include "cli/console.h"
#include "cli/tell.h"
#include "base/json.h"
#include "flow/task.h"

enum { OPT_NO_VERIFY = 0x100 };

struct args {
    struct wh_restore_how how;
    bool json, console;
    const char *arg[2];
    unsigned args;
    uint32_t domid;
};

static const struct argp_option options[] = {
    { "console", 'c', NULL, 0, "Connect to the guest's console", 0 },
    { "json", 'j', NULL, 0, "Progress and outcome as JSON lines", 0 },
    { "no-verify", OPT_NO_VERIFY, NULL, 0, "Do not check the digest of a file that has one", 0 },
    { "paused", 'p', NULL, 0, "Leave the guest paused", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    switch (key) {
    case 'c':
        a->console = true;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case 'p':
        a->how.paused = true;
        return 0;
    case OPT_NO_VERIFY:
        a->how.no_verify = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= 2)
            argp_usage(state);
        a->arg[a->args++] = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 1)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    struct args *a = arg;
    json_object *o = wh_task_result(j);

    if (kind != WH_OK || !o)
        return false;
    a->domid = (uint32_t)wh_json_number(o, "domid", 0);
    wh_tell_differing(o);
    if (a->json) {
        json_object_object_add(o, "event", json_object_new_string("restored"));
        wh_cli_json(stdout, o, JSON_C_TO_STRING_PLAIN);
        return true;
    }
    fputs("restored ", stdout);
    wh_print_plain(stdout, wh_json_string(o, "name", ""));
    printf(" as domain %u\n", a->domid);
    return true;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "[CONFIG] FILE",
        "Make a running guest of an image, compressed or not; - is standard input. Every failure "
        "before it runs leaves no domain, and the file as it was.", NULL, NULL, NULL,
    };
    struct args a = { .how.then_exit = true };
    struct wh_cli_way way = { .patient = true };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    a.how.config = a.args == 2 ? a.arg[0] : NULL;
    way.events = a.json ? stdout : NULL;
    int code = wh_cli_job_so(wh_restore_new(a.arg[a.args - 1], &a.how), &way, show, &a);
    return code == 0 && a.console ? wh_console_become(a.domid, "pv", 0) : code;
}

const struct wh_verb wh_verb_restore = { "restore", "make a running guest of a file", run };
