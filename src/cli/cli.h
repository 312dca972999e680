/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command: one file a verb, and what they share. */
#ifndef WH_CLI_CLI_H
#define WH_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "flow/report.h"
#include "wherry.h"

struct wh_verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);      /* argv[0] is "wherry VERB"; returns an exit code */
};

extern const struct wh_verb wh_verb_convert, wh_verb_extract, wh_verb_inspect, wh_verb_verify;

/* Run a job to its end and free it: progress on a terminal's stderr, SIGINT and SIGTERM cancel it.
 * show prints what it found and returns whether a failure is told with that; otherwise its text
 * goes to stderr.  A NULL job is one that could not be made.  Returns the exit code. */
int wh_cli_job(struct wh_job *j, bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg),
               void *arg);

/* "wherry: TEXT" on stderr.  Returns the exit code. */
int wh_cli_fail(enum wh_kind kind, const char *text);

/* Text from outside, a file's name or a guest's: UTF-8 without the controls of ASCII and those that
 * begin with U+0080 (C2 80 to C2 9F), which a terminal would obey. */
void wh_print_plain(FILE *f, const char *s);

/* A number as C writes them: decimal, 0x.  False: it is none. */
bool wh_cli_number(const char *text, uint64_t *ret);

/* What wherry inspect prints. */
void wh_print_record(FILE *f, const struct wh_rec *r);
void wh_print_summary(FILE *f, const char *path, const struct wh_report *r);
void wh_print_map(FILE *f, const struct wh_report *r);

#endif
