/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry convert - write an image in another container, or a legacy one as version 2. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "base/json.h"

enum { OPT_TO = 't', OPT_NO_TRAILER = 0x100, OPT_COMPRESS };

struct args {
    struct wh_convert how;
    bool json;
    const char *file[2];
};

static const struct argp_option options[] = {
    { "compress", OPT_COMPRESS, "LEVEL", OPTION_ARG_OPTIONAL, "Write it as a zstd file; -5 to 19, default 1", 0 },
    { "config", 'c', "FILE", 0, "The JSON configuration of the xl container (default: the input's)", 0 },
    { "guest", 'g', "pv|hvm", 0, "A legacy image's guest (default: found out)", 0 },
    { "json", 'j', NULL, 0, "Say what was written as a JSON object (on stderr if OUT is -)", 0 },
    { "no-trailer", OPT_NO_TRAILER, NULL, 0, "Leave Wherry's trailer out of an xl container", 0 },
    { "to", OPT_TO, "xl|libxl|libxc", 0, "The container (default: the input's)", 0 },
    { "width", 'w', "32|64", 0, "The word of a legacy image's writer (default: found out)", 0 },
    { 0 },
};

static bool container(const char *name, enum wh_container *to)
{
    static const char *const names[] = { NULL, "xl", "libxl", "libxc" };

    for (int i = WH_XL; i <= WH_LIBXC; i++) {
        if (strcmp(name, names[i]) == 0) {
            *to = (enum wh_container)i;
            return true;
        }
    }
    return false;
}

static unsigned width(struct argp_state *state, const char *text)
{
    if (strcmp(text, "32") == 0)
        return 32;
    if (strcmp(text, "64") == 0)
        return 64;
    argp_error(state, "a width is 32 or 64, not '%s'", text);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    switch (key) {
    case 'c':
        a->how.config = arg;
        return 0;
    case 'g':
        if (strcmp(arg, "pv") != 0 && strcmp(arg, "hvm") != 0)
            argp_error(state, "a guest is pv or hvm, not '%s'", arg);
        a->how.guest = arg;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case OPT_COMPRESS:
        a->how.compress = true;
        a->how.level = wh_cli_level(state, arg);
        return 0;
    case OPT_NO_TRAILER:
        a->how.no_trailer = true;
        return 0;
    case OPT_TO:
        if (!container(arg, &a->how.to))
            argp_error(state, "a container is xl, libxl or libxc, not '%s'", arg);
        return 0;
    case 'w':
        a->how.width = width(state, arg);
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= 2)
            argp_usage(state);
        a->file[state->arg_num] = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num != 2)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What a person would not expect is said in any case. */
static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const struct args *a = arg;
    const char *why, *result = wh_job_json(j);
    size_t at;

    if (kind != WH_OK)
        return false;
    wh_auto_json json_object *o = wh_json_parse(result, strlen(result), &why, &at);
    if (a->json)
        fprintf(strcmp(a->file[1], "-") == 0 ? stderr : stdout, "%s\n", result);
    else if (wh_json_true(o, "emulator_left_out"))
        fputs("wherry: a libxc image has no place for the emulator's state: it was left out\n",
              stderr);
    return true;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "IN OUT",
        "Write the image IN as OUT, which appears when it is whole and on disk; - is standard "
        "input or output.\vExit status: 0 done, 1 IN is broken (and OUT not written), 2 usage, "
        "3 a system call failed.",
        NULL, NULL, NULL,
    };
    struct args a = { .how = { .to = WH_SAME } };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    return wh_cli_job(wh_convert_new(a.file[0], a.file[1], &a.how), show, &a);
}

const struct wh_verb wh_verb_convert = { "convert", "write an image in another container", run };
