/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs about this host's domains share: their arguments, and telling what was found. */
#include "cli/tell.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "flow/task.h"

error_t wh_tell_parse(int key, char *arg, struct argp_state *state)
{
    struct wh_tell *t = state->input;

    switch (key) {
    case 'j':
        t->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= t->most)
            argp_usage(state);
        t->arg[state->arg_num] = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < t->least)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

void wh_tell_json(json_object *o)
{
    wh_cli_json(stdout, o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const struct wh_tell *t = arg;
    json_object *o = wh_task_result(j);

    (void)kind;
    if (o && t->json)
        wh_tell_json(o);
    else if (o && t->print)
        t->print(o, t);
    return false;
}

int wh_tell(struct wh_job *j, struct wh_tell *t)
{
    return wh_cli_job(j, show, t);
}

void wh_tell_padded(const char *text, int width)
{
    int used = (int)strlen(text);

    wh_print_plain(stdout, text);
    printf("%*s", used < width ? width - used : 0, "");
}

const char *wh_tell_name(json_object *o)
{
    return wh_json_string(o, "name", "(null)");     /* xl's word for none */
}

void wh_tell_differing(json_object *o)
{
    uint64_t n = wh_json_number(o, "differing_pages", 0);
    char text[160];

    if (n == 0)
        return;
    snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64 " pages that were sent again were not what they were "
             "the first time, which is what the guest has; the first of them is page %#" PRIx64, n,
             wh_json_number(o, "compared_pages", 0), wh_json_number(o, "first_differing_pfn", 0));
    wh_cli_say(text);
}
