/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry migrate-receive - the other end of wherry migrate, and of xl migrate. */
#include "base/json.h"
#include "cli/tell.h"
#include "flow/task.h"

enum { OPT_LISTEN = 0x100 };

struct args {
    struct wh_receive_how how;
    bool json;
};

static const struct argp_option options[] = {
    { "debug", 'd', NULL, 0, "Accepted for xl's sake: what is sent twice is compared in any case", 0 },
    { "json", 'j', NULL, 0, "Progress and outcome as JSON lines, on standard error unless with --listen", 0 },
    { "listen", OPT_LISTEN, "WHERE", 0, "Wait for one sender at unix:PATH or tcp:ADDRESS:PORT", 0 },
    { "no-monitor", 'e', NULL, 0, "Nobody carries out on_reboot and its like", 0 },
    { "paused", 'p', NULL, 0, "Leave the guest paused", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;
    struct wh_receive_how *how = &a->how;

    switch (key) {
    case 'd':
        return 0;
    case 'e':
        how->no_monitor = true;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case 'p':
        how->paused = true;
        return 0;
    case OPT_LISTEN:
        how->listen = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Standard output is the link, unless that is a socket. */
static FILE *where(const struct args *a)
{
    return a->how.listen ? stdout : stderr;
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const struct args *a = arg;
    json_object *o = wh_task_result(j);

    if (!o)
        return false;
    if (!a->json) {
        wh_tell_differing(o);
        return false;
    }
    json_object_object_add(o, "event", json_object_new_string(kind == WH_OK ? "received" : "ended"));
    if (kind != WH_OK)
        json_object_object_add(o, "error", wh_json_text(wh_job_error(j)));
    wh_cli_json(where(a), o, JSON_C_TO_STRING_PLAIN);
    return false;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, NULL,
        "Receive a guest that wherry migrate or xl migrate sends: on standard input and output, which is "
        "how they start it, or on a socket.",
        NULL, NULL, NULL,
    };
    struct args a = { 0 };
    struct wh_cli_way way = { .patient = true };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    way.events = a.json ? where(&a) : NULL;
    return wh_cli_job_so(wh_receive_new(&a.how), &way, show, &a);
}

const struct wh_verb wh_verb_migrate_receive = { "migrate-receive",
                                                 "receive a guest from another host", run };
