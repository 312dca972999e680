/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console client is Xen's own, of the version that runs: it talks to that one's xenconsoled. */
#include "cli/console.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* A number in one of the kernel's files; -1: there is none. */
static int number_in(const char *path)
{
    FILE *f = fopen(path, "re");
    int n = -1;

    if (!f)
        return -1;
    if (fscanf(f, "%d", &n) != 1)
        n = -1;
    fclose(f);
    return n;
}

/* Debian keeps several versions side by side; the others are where a build of one's own, Fedora
 * and SUSE have it. */
static bool find_client(char path[PATH_MAX])
{
    static const char *const folders[] = { "/usr/lib/xen/bin", "/usr/libexec/xen/bin",
                                           "/usr/lib64/xen/bin", "/usr/local/lib/xen/bin",
                                           "/usr/local/libexec/xen/bin" };

    snprintf(path, PATH_MAX, "/usr/lib/xen-%d.%d/bin/xenconsole",
             number_in("/sys/hypervisor/version/major"),
             number_in("/sys/hypervisor/version/minor"));
    for (size_t i = 0; access(path, X_OK) != 0; i++) {
        if (i == sizeof folders / sizeof *folders)
            return false;
        snprintf(path, PATH_MAX, "%s/xenconsole", folders[i]);
    }
    return true;
}

int wh_console_become(uint32_t domid, const char *type, uint32_t num)
{
    char path[PATH_MAX], domain[16], number[16], text[PATH_MAX + 64];

    if (!find_client(path))
        return wh_cli_fail(WH_SYSTEM, "the console client of the running Xen, xenconsole, is not "
                                      "installed");
    snprintf(domain, sizeof domain, "%u", domid);
    snprintf(number, sizeof number, "%u", num);
    fflush(stdout);
    signal(SIGPIPE, SIG_DFL);
    execl(path, path, domain, "--num", number, "--type", type, (char *)NULL);
    snprintf(text, sizeof text, "run %s: %s", path, strerror(errno));
    return wh_cli_fail(WH_SYSTEM, text);
}
