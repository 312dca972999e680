/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* peak FILE COMMAND...: runs the command and writes its peak memory, in KiB, and its exit status
 * into FILE.  The peak that a process is charged with is never less than its parent's; this
 * parent is small. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage use;
    int status;

    if (argc < 3)
        return 125;
    pid_t child = fork();
    if (child == 0) {
        execv(argv[2], argv + 2);
        _exit(126);
    }
    if (child < 0 || wait4(child, &status, 0, &use) < 0)
        return 125;

    FILE *f = fopen(argv[1], "w");
    if (!f)
        return 125;
    fprintf(f, "%ld %d\n", use.ru_maxrss,
            WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    return fclose(f) == 0 ? 0 : 125;
}
