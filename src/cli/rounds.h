/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options of copying a guest that runs, which save and migrate share. */
#ifndef WH_CLI_ROUNDS_H
#define WH_CLI_ROUNDS_H

#include "cli/cli.h"

enum { WH_OPT_DOWNTIME = 0x200, WH_OPT_MAX_ROUNDS, WH_OPT_ON_TIMEOUT, WH_OPT_TIMEOUT };

#define WH_ROUNDS_OPTIONS \
    { "downtime", WH_OPT_DOWNTIME, "TIME", 0, "The pause to aim at: 300ms (the default), 2s", 0 }, \
    { "max-rounds", WH_OPT_MAX_ROUNDS, "N", 0, "Rounds of copying, at most (30)", 0 }, \
    { "on-timeout", WH_OPT_ON_TIMEOUT, "cancel|force", 0, "When --timeout is over: cancel (the " \
      "default), or stop the guest for the rest", 0 }, \
    { "timeout", WH_OPT_TIMEOUT, "TIME", 0, "How long copying may take: 90s, 10m", 0 }

/* An option of these; false: it is none.  A value that makes no sense ends the program. */
bool wh_cli_rounds(struct wh_live_how *how, int key, const char *arg, struct argp_state *state);

/* "300ms", "2s", "10m", "1h"; a bare number is seconds.  False: it is none of these, or 0. */
bool wh_cli_time(const char *text, uint64_t *ms);

#endif
