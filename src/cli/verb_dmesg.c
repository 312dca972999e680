/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry dmesg - the hypervisor's log.  Guests can write into it. */
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

static bool clear;

static const struct argp_option options[] = {
    { "clear", 'c', NULL, 0, "Empty the log as well", 0 },
    WH_TELL_OPTION_JSON,
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    if (key != 'c')
        return wh_tell_parse(key, arg, state);
    clear = true;
    return 0;
}

/* Xen indents with tabs, which are no harm. */
static void print_line(char *line)
{
    for (char *part = strsep(&line, "\t"); part; part = strsep(&line, "\t")) {
        wh_print_plain(stdout, part);
        if (line)
            putchar('\t');
    }
    putchar('\n');
}

static void print(json_object *o, const struct wh_tell *t)
{
    const char *log = wh_json_string(o, "log", "");
    char *line, *copy = strdup(log), *rest = copy;

    (void)t;
    while ((line = strsep(&rest, "\n"))) {
        if (!rest && !*line)
            break;                      /* behind the last newline */
        print_line(line);
    }
    free(copy);
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "", "Print the hypervisor's log.", NULL, NULL, NULL,
    };
    struct wh_tell t = { .print = print };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_dmesg_new(clear), &t);
}

const struct wh_verb wh_verb_dmesg = { "dmesg", "print the hypervisor's log", run };
