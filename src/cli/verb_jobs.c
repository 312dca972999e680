/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry jobs - what is under way on this host, and how far it is. */
#include <inttypes.h>
#include <libsmartcols.h>
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

enum column { JOB, VERB, DOMAIN, NAME, STATE, STEP, DONE, TOTAL, RATE, LEFT, COLUMNS };

static const struct {
    const char *title;
    int flags;
} columns[COLUMNS] = {
    [JOB]    = { "JOB",    0 },
    [VERB]   = { "VERB",   0 },
    [DOMAIN] = { "DOMAIN", SCOLS_FL_RIGHT },
    [NAME]   = { "NAME",   0 },
    [STATE]  = { "STATE",  0 },
    [STEP]   = { "STEP",   0 },
    [DONE]   = { "DONE",   SCOLS_FL_RIGHT },
    [TOTAL]  = { "TOTAL",  SCOLS_FL_RIGHT },
    [RATE]   = { "RATE",   SCOLS_FL_RIGHT },
    [LEFT]   = { "LEFT",   SCOLS_FL_RIGHT },
};

static const struct argp_option options[] = {
    WH_TELL_OPTION_JSON,
    { 0 },
};

/* As the command is called that does it. */
static const char *verb_of(json_object *o)
{
    const char *verb = wh_json_string(o, "verb", "?");

    return strcmp(verb, "send") == 0 ? "migrate"
           : strcmp(verb, "receive") == 0 ? "migrate-receive" : verb;
}

/* What is not known is a dash. */
static void put(struct libscols_line *l, enum column column, const char *text)
{
    scols_line_set_data(l, column, text && *text ? text : "-");
}

static void put_number(struct libscols_line *l, enum column column, json_object *o, const char *key,
                       uint64_t unit, const char *of)
{
    uint64_t n = wh_json_number(o, key, UINT64_MAX);
    char text[48] = "";

    if (n != UINT64_MAX)
        snprintf(text, sizeof text, "%" PRIu64 "%s", n / unit, of);
    put(l, column, text);
}

static void add(struct libscols_table *t, json_object *o)
{
    struct libscols_line *l = scols_table_new_line(t, NULL);

    if (!l)
        return;
    put(l, JOB, wh_json_string(o, "job", NULL));
    put(l, VERB, verb_of(o));
    put_number(l, DOMAIN, o, "domid", 1, "");
    put(l, NAME, wh_json_string(o, "name", NULL));
    put(l, STATE, wh_json_string(o, "state", NULL));
    put(l, STEP, wh_json_string(o, "step", NULL));
    put_number(l, DONE, o, "bytes", 1 << 20, " MiB");
    put_number(l, TOTAL, o, "total_bytes", 1 << 20, " MiB");
    put_number(l, RATE, o, "bytes_per_second", 1 << 20, " MiB/s");
    put_number(l, LEFT, o, "seconds_left", 1, " s");
}

/* libsmartcols escapes the control characters of a name. */
static void print(json_object *all, const struct wh_tell *t)
{
    struct libscols_table *table = scols_new_table();

    (void)t;
    if (!table)
        return;
    for (int i = 0; i < COLUMNS; i++)
        scols_table_new_column(table, columns[i].title, 0, columns[i].flags);
    for (size_t i = 0; i < json_object_array_length(all); i++)
        add(table, json_object_array_get_idx(all, i));
    if (scols_table_get_nlines(table) > 0)
        scols_print_table(table);
    else
        puts("nothing is under way");
    scols_unref_table(table);
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, NULL,
        "List what is under way on this host: guests that are created, saved, restored, moved away, or "
        "arrive.",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .print = print };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_jobs_new(), &t);
}

const struct wh_verb wh_verb_jobs = { "jobs", "list what is under way here, and how far it is", run };
