/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A main that gives a target the files named, and those in the folders named. */
#include <dirent.h>
#include <errno.h>
#include <error.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned replayed;

/* A buffer of just the file's size, so that a sanitizer sees where it ends. */
static void replay(const char *path, size_t n)
{
    uint8_t *p = malloc(n ? n : 1);
    FILE *f = fopen(path, "rb");

    if (!p || !f || fread(p, 1, n, f) != n)
        error(2, errno, "%s", path);
    fclose(f);
    LLVMFuzzerTestOneInput(p, n);
    free(p);
    replayed++;
}

static int plain(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static void visit(const char *path)
{
    struct dirent **entry;
    struct stat st;
    char inner[PATH_MAX];

    if (stat(path, &st) < 0)
        error(2, errno, "%s", path);
    if (!S_ISDIR(st.st_mode)) {
        replay(path, (size_t)st.st_size);
        return;
    }
    int n = scandir(path, &entry, plain, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(inner, sizeof inner, "%s/%s", path, entry[i]->d_name);
        visit(inner);
        free(entry[i]);
    }
    if (n >= 0)
        free(entry);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        visit(argv[i]);
    printf("%u files\n", replayed);
    return replayed == 0;
}
