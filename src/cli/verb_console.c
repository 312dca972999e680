/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry console - connect this terminal to a guest's console. */
#include <string.h>

#include "cli/console.h"
#include "cli/tell.h"
#include "base/json.h"

struct found {
    bool there;
    uint32_t domid;
    char type[8];
};

static const char *type;
static uint64_t num;

static const struct argp_option options[] = {
    { "num", 'n', "NUMBER", 0, "Which of its consoles (default: 0)", 0 },
    { "type", 't', "pv|serial", 0, "Which kind (default: serial of HVM guests, else pv)", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'n':
        if (!wh_cli_number(arg, &num) || num > UINT16_MAX)
            argp_error(state, "'%s' is no console's number", arg);
        return 0;
    case 't':
        if (strcmp(arg, "pv") != 0 && strcmp(arg, "serial") != 0)
            argp_error(state, "a console is pv or serial, not '%s'", arg);
        type = arg;
        return 0;
    default:
        return wh_tell_parse(key, arg, state);
    }
}

static void note(json_object *o, const struct wh_tell *t)
{
    struct found *f = t->arg_of_print;

    f->there = true;
    f->domid = (uint32_t)wh_json_number(o, "domid", 0);
    snprintf(f->type, sizeof f->type, "%s", wh_json_string(o, "type", ""));
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "DOMAIN",
        "Connect this terminal to a guest's console.  Ctrl-] ends it.", NULL, NULL, NULL,
    };
    struct found f = { 0 };
    struct wh_tell t = { .least = 1, .most = 1, .print = note, .arg_of_print = &f };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    int code = wh_tell(wh_find_new(t.arg[0]), &t);
    if (!f.there)
        return code;
    if (!type)
        type = strcmp(f.type, "hvm") == 0 ? "serial" : "pv";
    return wh_console_become(f.domid, type, (uint32_t)num);
}

const struct wh_verb wh_verb_console = { "console", "connect to a guest's console", run };
