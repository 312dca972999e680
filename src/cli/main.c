/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry: find the verb and run it. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"

/* As --help lists them. */
static const struct wh_verb *const on_images[] = {
    &wh_verb_inspect, &wh_verb_verify, &wh_verb_convert, &wh_verb_extract, NULL,
};
static const struct wh_verb *const on_domains[] = {
    &wh_verb_create,  &wh_verb_destroy,
    &wh_verb_save, &wh_verb_restore, &wh_verb_migrate, &wh_verb_migrate_receive, &wh_verb_recover,
    &wh_verb_jobs,    &wh_verb_cancel,
    &wh_verb_list,    &wh_verb_info,      &wh_verb_domid,    &wh_verb_domname, &wh_verb_rename,
    &wh_verb_pause,   &wh_verb_unpause,   &wh_verb_shutdown, &wh_verb_reboot,
    &wh_verb_console, &wh_verb_vcpu_list, &wh_verb_mem_set,  &wh_verb_mem_max,
    &wh_verb_cd_insert, &wh_verb_cd_eject, &wh_verb_dmesg,
    NULL,
};
static const struct {
    const char *title;
    const struct wh_verb *const *verbs;
} groups[] = {
    { "Images of Xen guests: xl save files, libxl and libxc streams, legacy streams", on_images },
    { "Domains of this Xen host, whoever made them", on_domains },
};

static const struct wh_verb *find_verb(const char *name)
{
    if (strcmp(name, wh_verb_monitor.name) == 0)
        return &wh_verb_monitor;
    for (size_t g = 0; g < WH_COUNT(groups); g++) {
        for (size_t i = 0; groups[g].verbs[i]; i++) {
            if (strcmp(name, groups[g].verbs[i]->name) == 0)
                return groups[g].verbs[i];
        }
    }
    return NULL;
}

static void usage(FILE *f)
{
    fprintf(f, "Usage: wherry VERB [OPTION...] ARGUMENT...\n"
               "       wherry VERB --help\n"
               "       wherry --version\n");
    for (size_t g = 0; g < WH_COUNT(groups); g++) {
        fprintf(f, "\n%s:\n\n", groups[g].title);
        for (size_t i = 0; groups[g].verbs[i]; i++)
            fprintf(f, "  %-15s %s\n", groups[g].verbs[i]->name, groups[g].verbs[i]->summary);
    }
}

/* A standard descriptor that is closed would be given to the next thing opened.  It is held by one
 * that fails when it is used: input that cannot be read, output that cannot be written. */
static void hold_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            _exit(wh_kind_exit(WH_SYSTEM));
    }
}

/* Output that could not be written is a failure, however good the rest; also of argp's --help, which
 * exits by itself. */
static void flush_or_fail(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    _exit(wh_cli_fail(WH_SYSTEM, "standard output could not be written"));
}

int main(int argc, char **argv)
{
    static char name[64];

    hold_standard_fds();
    atexit(flush_or_fail);
    signal(SIGPIPE, SIG_IGN);           /* a reader that leaves is an error like another */
    if (argc < 2) {
        usage(stderr);
        return wh_kind_exit(WH_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        printf("wherry %s\n", wh_version());
        return 0;
    }
    const struct wh_verb *verb = find_verb(argv[1]);
    if (verb) {
        snprintf(name, sizeof name, "wherry %s", argv[1]);
        argv[1] = name;
        argp_err_exit_status = wh_kind_exit(WH_USAGE);
        return verb->run(argc - 1, argv + 1);
    }
    fprintf(stderr, "wherry: there is no verb '%s' (wherry --help lists them)\n", argv[1]);
    return wh_kind_exit(WH_USAGE);
}
