/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry extract - take one thing out of an image. */
#include "cli/cli.h"

struct args {
    struct wh_extract what;
    unsigned asked;
    const char *file;
};

static const struct argp_option options[] = {
    { "config", 'c', NULL, 0, "The guest's configuration", 0 },
    { "core", 'k', "FILE", 0, "An ELF core of the guest's physical memory, to FILE", 0 },
    { "emulator", 'e', "FILE", 0, "The emulator's (QEMU's) state, to FILE", 0 },
    { "output", 'o', "FILE", 0, "Where --config and --page go (default: standard output)", 0 },
    { "page", 'p', "PFN", 0, "The contents of this page, 4096 bytes", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct args *a = state->input;

    switch (key) {
    case 'c':
        a->what.config = true;
        a->asked++;
        return 0;
    case 'k':
        a->what.core = arg;
        a->asked++;
        return 0;
    case 'e':
        a->what.emulator = arg;
        a->asked++;
        return 0;
    case 'o':
        a->what.output = arg;
        return 0;
    case 'p':
        if (!wh_cli_number(arg, &a->what.pfn))
            argp_error(state, "'%s' is no page frame number", arg);
        a->what.page = true;
        a->asked++;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= 1)
            argp_usage(state);
        a->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num != 1)
            argp_usage(state);
        if (a->asked != 1)
            argp_error(state, "one of --config, --core, --emulator and --page");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "FILE",
        "Take one thing out of an image of a Xen guest; - is standard input.\vOf a page or an "
        "emulator's state that the image has several of, the last is taken.  Exit status: 0 "
        "done, 1 the image is broken, 2 usage or there is no such thing in it, 3 a system call "
        "failed.",
        NULL, NULL, NULL,
    };
    struct args a = { .what = { .output = "-" } };

    argp_parse(&argp, argc, argv, 0, NULL, &a);
    return wh_cli_job(wh_extract_new(a.file, &a.what), NULL, NULL);
}

const struct wh_verb wh_verb_extract = { "extract", "take one thing out of an image", run };
