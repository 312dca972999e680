/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry mem-set, wherry mem-max - how much memory a domain is to have, and may have. */
#include <errno.h>
#include <string.h>

#include "cli/tell.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

/* "512", "512m": MiB.  Also b, k, g, t.  Rounded down to KiB. */
static bool size(const char *text, uint64_t *kib)
{
    static const char letters[] = "bkmgt";
    char *end, letter = 'm';

    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || errno)
        return false;
    if (*end && !end[1])
        letter = (char)(*end | 0x20);
    const char *at = strchr(letters, letter);
    if (!at || (*end && end[1]))
        return false;
    unsigned shift = 10 * (unsigned)(at - letters);
    if (shift > 10 && n >> (64 - shift + 10))
        return false;
    *kib = shift == 0 ? n >> 10 : n << (shift - 10);
    return true;
}

static int run(int argc, char **argv, const struct argp *argp,
               struct wh_job *(*make)(const char *domain, uint64_t kib))
{
    struct wh_tell t = { .least = 2, .most = 2 };
    uint64_t kib;

    argp_parse(argp, argc, argv, 0, NULL, &t);
    if (!size(t.arg[1], &kib))
        return wh_cli_fail(WH_USAGE, "expected a size: a number and perhaps b, k, m, g or t");
    return wh_tell(make(t.arg[0], kib), &t);
}

static int run_set(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN SIZE",
        "Tell a domain how much memory to have, in MiB or with a letter b, k, m, g or t; at most "
        "its maximum.",
        NULL, NULL, NULL,
    };

    return run(argc, argv, &argp, wh_memory_new);
}

static int run_max(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN SIZE",
        "Set the maximum of a domain's memory, in MiB or with a letter b, k, m, g or t; at least "
        "what it is to have now.",
        NULL, NULL, NULL,
    };

    return run(argc, argv, &argp, wh_max_memory_new);
}

const struct wh_verb wh_verb_mem_set = { "mem-set", "tell a domain how much memory to have",
                                         run_set };
const struct wh_verb wh_verb_mem_max = { "mem-max", "set the maximum of a domain's memory",
                                         run_max };
