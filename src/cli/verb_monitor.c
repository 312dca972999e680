/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry monitor - the process that create and restore leave running for a guest.  Not for people:
 * it stands in no list of verbs. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "cli/cli.h"
#include "base/json.h"
#include "flow/monitor.h"
#include "flow/task.h"

struct next {
    uint32_t domid;
    unsigned quick;
};

/* One line of the log. */
static void say(const char *line)
{
    time_t now = time(NULL);
    char when[32];
    struct tm t;

    localtime_r(&now, &t);
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S ", &t);
    fputs(when, stdout);
    wh_print_plain(stdout, line);
    putchar('\n');
    fflush(stdout);
}

static bool show(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    json_object *o = wh_task_result(j);
    struct next *next = arg;

    if (kind != WH_OK || !o)
        return false;
    next->domid = (uint32_t)wh_json_number(o, "next", 0);
    next->quick = (unsigned)wh_json_number(o, "quick", 0);
    return true;
}

/* The process that is now another domain's monitor is called so. */
static int become(const struct next *next)
{
    char domid[16], quick[16];
    char *argv[] = { strdupa("wherry"), strdupa("monitor"), domid, quick, NULL };

    snprintf(domid, sizeof domid, "%u", next->domid);
    snprintf(quick, sizeof quick, "%u", next->quick);
    execv("/proc/self/exe", argv);
    return wh_cli_fail(WH_SYSTEM, "the monitor could not begin anew");
}

static int run(int argc, char **argv)
{
    uint64_t quick = 0;

    if (argc < 2 || argc > 3 || (argc == 3 && !wh_cli_number(argv[2], &quick)))
        return wh_cli_fail(WH_USAGE, "expected the number of a domain");
    struct wh_monitor how = { .domain = argv[1], .quick = (unsigned)quick, .say = say };
    struct next next = { 0 };
    int code = wh_cli_job(wh_monitor_new(&how), show, &next);

    return code == 0 && next.domid ? become(&next) : code;
}

const struct wh_verb wh_verb_monitor = { "monitor", "watch over a guest", run };
