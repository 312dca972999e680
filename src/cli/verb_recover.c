/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry recover - settle what a killed command left. */
#include "cli/cli.h"
#include "cli/tell.h"
#include "base/json.h"

enum { OPT_DRY = 'n', OPT_FENCED = 0x100 };

struct args {
    struct wh_tell tell;
    bool look_only;
    const char *fenced;
};

static const struct argp_option options[] = {
    { "dry-run", OPT_DRY, NULL, 0, "Only tell what there is", 0 },
    { "fenced", OPT_FENCED, "HOST", 0, "That host is off, and what it ran is dead: run here what may have "
      "moved there", 0 },
    WH_TELL_OPTION_JSON,
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    if (key == OPT_DRY) {
        a->look_only = true;
        return 0;
    }
    if (key == OPT_FENCED) {
        a->fenced = arg;
        return 0;
    }
    state->input = &a->tell;
    error_t err = wh_tell_parse(key, arg, state);
    state->input = a;
    return err;
}

static void print(json_object *result, const struct wh_tell *t)
{
    (void)t;
    if (json_object_array_length(result) == 0)
        puts("nothing to recover");
    for (size_t i = 0; i < json_object_array_length(result); i++) {
        json_object *o = json_object_array_get_idx(result, i);
        const char *beside = wh_json_string(o, "file", wh_json_string(o, "host", NULL));
        uint64_t domid = wh_json_number(o, "domid", 0);
        bool done = wh_json_true(o, "done");

        /* An arrival has a record before it has a domain. */
        if (domid > 0)
            printf("domain %llu: ", (unsigned long long)domid);
        fputs(wh_json_string(o, "found", ""), stdout);
        if (beside) {
            fputs(" (", stdout);
            wh_print_plain(stdout, beside);
            putchar(')');
        }
        printf(": %s%s\n", wh_json_string(o, "action", ""), done ? "" : " [not done]");
        const char *warning = wh_json_string(o, "warning", NULL);
        if (warning)
            wh_cli_say(warning);
    }
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "[DOMAIN]",
        "Find and settle what killed commands left: a suspended guest runs on, an unfinished "
        "domain and an unfinished file go. With DOMAIN, let that suspended guest run on as well.",
        NULL, NULL, NULL,
    };
    struct args a = { .tell = { .most = 1, .print = print } };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct wh_recover_how how = { .look_only = a.look_only, .fenced = a.fenced, .domain = a.tell.arg[0] };
    return wh_tell(wh_recover_new(&how), &a.tell);
}

const struct wh_verb wh_verb_recover = { "recover", "settle what a killed command left", run };
