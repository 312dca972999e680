/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command: one file a verb, and what they share. */
#ifndef WH_CLI_CLI_H
#define WH_CLI_CLI_H

#include <argp.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

#include "flow/report.h"
#include "wherry.h"

struct wh_verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);      /* argv[0] is "wherry VERB"; returns an exit code */
};

extern const struct wh_verb wh_verb_create, wh_verb_destroy, wh_verb_monitor;
extern const struct wh_verb wh_verb_convert, wh_verb_extract, wh_verb_inspect, wh_verb_verify;
extern const struct wh_verb wh_verb_cd_eject, wh_verb_cd_insert;
extern const struct wh_verb wh_verb_console, wh_verb_dmesg, wh_verb_domid, wh_verb_domname,
    wh_verb_info, wh_verb_list, wh_verb_mem_max, wh_verb_mem_set, wh_verb_pause, wh_verb_reboot,
    wh_verb_rename, wh_verb_shutdown, wh_verb_unpause, wh_verb_vcpu_list;
extern const struct wh_verb wh_verb_cancel, wh_verb_jobs;
extern const struct wh_verb wh_verb_migrate, wh_verb_migrate_receive, wh_verb_recover, wh_verb_restore, wh_verb_save;

/* Run a job to its end and free it: progress on a terminal's stderr, SIGINT and SIGTERM cancel it.
 * show prints what it found and returns whether a failure is told with that; otherwise its text
 * goes to stderr.  A NULL job is one that could not be made.  Returns the exit code. */
int wh_cli_job(struct wh_job *j, bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg),
               void *arg);

/* The same, with progress as JSON lines on events (NULL: drawn on a terminal).  patient: a second
 * signal does not kill us, since a guest would be left as it is; what is undone is bounded. */
struct wh_cli_way {
    FILE *events;
    bool patient;
    void (*hear)(json_object *event, void *arg);    /* each event of the job (wh_job_event); or NULL */
    void *hear_arg;
};
int wh_cli_job_so(struct wh_job *j, const struct wh_cli_way *way,
                  bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg), void *arg);

/* "wherry: TEXT" on stderr.  Returns the exit code. */
int wh_cli_fail(enum wh_kind kind, const char *text);

/* A line on stderr that is no failure. */
void wh_cli_say(const char *text);

/* Text from outside, a file's name or a guest's: UTF-8 without the controls of ASCII and those that
 * begin with U+0080 (C2 80 to C2 9F), which a terminal would obey. */
void wh_print_plain(FILE *f, const char *s);

/* JSON and a newline; no control is in it as it is, not those of U+0080 either.  flags: json-c's. */
void wh_cli_json(FILE *f, json_object *o, int flags);

/* A number as C writes them: decimal, 0x.  False: it is none. */
bool wh_cli_number(const char *text, uint64_t *ret);

/* A level of --compress, zstd's; NULL: 0, the library's own.  Another text is the user's error. */
int wh_cli_level(struct argp_state *state, const char *text);

/* What wherry inspect prints. */
void wh_print_record(FILE *f, const struct wh_rec *r);
void wh_print_summary(FILE *f, const char *path, const struct wh_report *r);
void wh_print_map(FILE *f, const struct wh_report *r);

#endif
