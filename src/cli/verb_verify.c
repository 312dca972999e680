/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry verify - check every rule of an image's format. */
#include <inttypes.h>

#include "cli/cli.h"

static unsigned flags;
static bool json, quiet;

static const struct argp_option options[] = {
    { "digest", 'd', NULL, 0, "Read every byte, and check the trailer's digest", 0 },
    { "json", 'j', NULL, 0, "One JSON object a file, a line each", 0 },
    { "pedantic", 'P', NULL, 0, "Also report where stock Xen departs from the specification", 0 },
    { "quiet", 'q', NULL, 0, "Print nothing: the exit status says it", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    switch (key) {
    case 'd':
        flags |= WH_DIGEST;
        return 0;
    case 'j':
        json = true;
        return 0;
    case 'P':
        flags |= WH_PEDANTIC;
        return 0;
    case 'q':
        quiet = true;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_findings(const char *path, const struct wh_job *j)
{
    struct wh_finding f;
    size_t i = 0;

    for (; wh_finding_get(j, i, &f); i++) {
        wh_print_plain(stdout, path);
        printf(": offset %#" PRIx64 ": %s %s: %s: expected %s, found %s\n", f.offset, f.layer,
               f.record, f.rule, f.expected, f.found);
    }
    if (wh_findings(j) > i) {
        wh_print_plain(stdout, path);
        printf(": and %" PRIu64 " more\n", wh_findings(j) - i);
    }
}

/* A broken image is told of on standard output: that is what was asked for. */
static bool show(const struct wh_job *j, enum wh_kind kind, void *path)
{
    if (kind != WH_OK && kind != WH_STREAM)
        return false;
    if (quiet)
        return true;
    if (json) {
        printf("%s\n", wh_job_json(j));
        return true;
    }
    print_findings(path, j);
    if (kind == WH_OK) {
        wh_print_plain(stdout, path);
        puts(": good");
    }
    return true;
}

/* The worst of several files: a failure of the system hides nothing, but is not the image's. */
static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "FILE...",
        "Check that images of Xen guests keep every rule of their formats; - is standard "
        "input.\vExit status: 0 all good, 1 a rule is broken, 2 usage, 3 a system call failed.",
        NULL, NULL, NULL,
    };
    int first, worst = 0;

    argp_parse(&argp, argc, argv, 0, &first, NULL);
    for (int i = first; i < argc; i++) {
        int code = wh_cli_job(wh_verify_new(argv[i], flags), show, argv[i]);

        if (code > worst)
            worst = code;
        if (code == wh_kind_exit(WH_CANCELLED))
            break;
    }
    return worst;
}

const struct wh_verb wh_verb_verify = { "verify", "check every rule of an image's format", run };
