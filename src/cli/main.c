/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry: find the verb and run it. */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include "base/own.h"
#include "cli/cli.h"

static const struct wh_verb *const verbs[] = {
    &wh_verb_inspect,
    &wh_verb_verify,
    &wh_verb_convert,
    &wh_verb_extract,
};

static void usage(FILE *f)
{
    fprintf(f, "Usage: wherry VERB [OPTION...] ARGUMENT...\n"
               "       wherry VERB --help\n"
               "       wherry --version\n\n"
               "Images of Xen guests: xl save files, libxl and libxc streams, legacy streams.\n\n");
    for (size_t i = 0; i < WH_COUNT(verbs); i++)
        fprintf(f, "  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
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
    for (size_t i = 0; i < WH_COUNT(verbs); i++) {
        if (strcmp(argv[1], verbs[i]->name) == 0) {
            snprintf(name, sizeof name, "wherry %s", argv[1]);
            argv[1] = name;
            argp_err_exit_status = wh_kind_exit(WH_USAGE);
            return verbs[i]->run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "wherry: there is no verb '%s' (wherry --help lists them)\n", argv[1]);
    return wh_kind_exit(WH_USAGE);
}
