/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs about this host's domains share.
 *
 *     static const struct argp argp = { options, wh_tell_parse, "DOMAIN", "Pause a domain", ... };
 *     struct wh_tell t = { .least = 1, .most = 1, .print = print };
 *
 *     argp_parse(&argp, argc, argv, 0, NULL, &t);
 *     return wh_tell(wh_pause_new(t.arg[0]), &t);
 */
#ifndef WH_CLI_TELL_H
#define WH_CLI_TELL_H

#include <json-c/json.h>

#include "cli/cli.h"

#define WH_TELL_ARGS 3
#define WH_TELL_OPTION_JSON { "json", 'j', NULL, 0, "Print JSON", 0 }

struct wh_tell {
    unsigned least, most;               /* arguments, at most WH_TELL_ARGS */
    const char *arg[WH_TELL_ARGS];
    bool json;
    bool verbose, cpupool;              /* of list */
    void (*print)(json_object *result, const struct wh_tell *t);    /* for people; NULL: nothing */
    void *arg_of_print;
};

/* argp's parser of --json and of the arguments; a verb with more options calls it for the rest. */
error_t wh_tell_parse(int key, char *arg, struct argp_state *state);

/* Run the job, a task, and tell what it found, also as far as it came.  The exit code. */
int wh_tell(struct wh_job *j, struct wh_tell *t);

void wh_tell_json(json_object *o);

/* Text from outside, followed by spaces up to that width. */
void wh_tell_padded(const char *text, int width);

/* On stderr: pages that were sent twice (--debug) and were not the same, if there are any. */
void wh_tell_differing(json_object *o);

/* The "name" of a domain, "(null)" if it has none. */
const char *wh_tell_name(json_object *o);

#endif
