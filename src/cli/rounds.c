/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool wh_cli_time(const char *text, uint64_t *ms)
{
    static const struct { const char *unit; unsigned ms; } units[] = {
        { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
    };
    char *end;

    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(end, units[i].unit) != 0)
            continue;
        *ms = n * units[i].ms;
        return *text >= '0' && *text <= '9' && errno == 0 && n > 0 && n < 100000000;
    }
    return false;
}

static uint64_t time_of(const char *arg, struct argp_state *state)
{
    uint64_t ms = 0;

    if (!wh_cli_time(arg, &ms))
        argp_error(state, "a time is a number of ms, s, m or h, as in 300ms, not '%s'", arg);
    return ms;
}

bool wh_cli_rounds(struct wh_live_how *how, int key, const char *arg, struct argp_state *state)
{
    uint64_t n;

    switch (key) {
    case WH_OPT_DOWNTIME:
        how->downtime_ms = time_of(arg, state);
        return true;
    case WH_OPT_TIMEOUT:
        how->timeout_ms = time_of(arg, state);
        return true;
    case WH_OPT_ON_TIMEOUT:
        how->force = strcmp(arg, "force") == 0;
        if (!how->force && strcmp(arg, "cancel") != 0)
            argp_error(state, "--on-timeout is cancel or force, not '%s'", arg);
        return true;
    case WH_OPT_MAX_ROUNDS:
        if (!wh_cli_number(arg, &n) || n == 0 || n > 10000)
            argp_error(state, "rounds are 1 to 10000, not '%s'", arg);
        how->max_rounds = (unsigned)n;
        return true;
    default:
        return false;
    }
}
