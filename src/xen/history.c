/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which domain numbers were freed lately, in the file that libxl keeps: a line "SECOND DOMID" each,
 * seconds of the monotonic clock. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "xen/userdata.h"

#define RECENT_S 60                 /* libxl's */

static long long now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

static bool add_line(struct wh_op *op, char **all, long long second, unsigned domid)
{
    char *more = NULL;

    if (asprintf(&more, "%s%lld %u\n", *all ? *all : "", second, domid) < 0)
        return wh_fail_sys(&op->err, ENOMEM, "remember the domain's number");
    free(*all);
    *all = more;
    return true;
}

static void close_file(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* Every line that still counts and is not domid's is put into keep (NULL: it is not); *recent:
 * one is domid's. */
static bool read_lines(struct wh_op *op, const char *path, uint32_t domid, char **keep,
                       bool *recent)
{
    wh_auto(close_file) FILE *f = fopen(path, "re");
    long long second, now = now_s();
    unsigned id;
    char line[64];

    *recent = false;
    if (!f)
        return errno == ENOENT || wh_fail_sys(&op->err, errno, "open %s", path);
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lld %u", &second, &id) != 2 || second > now || now - second > RECENT_S)
            continue;
        if (id == domid)
            *recent = true;
        else if (keep && !add_line(op, keep, second, id))
            return false;
    }
    return true;
}

bool wh_history_recent(struct wh_op *op, const struct wh_here *h, uint32_t domid, bool *recent)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/domid-history", h->run);
    return read_lines(op, path, domid, NULL, recent);
}

static bool rewrite(struct wh_op *op, const char *path, const char *fresh, uint32_t domid)
{
    wh_auto_free char *all = NULL;
    bool recent;

    if (!read_lines(op, path, domid, &all, &recent) || !add_line(op, &all, now_s(), domid))
        return false;
    wh_auto_fd int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    size_t n = strlen(all);
    if (fd < 0 || write(fd, all, n) != (ssize_t)n || rename(fresh, path) < 0)
        return wh_fail_sys(&op->err, errno, "write %s", path);
    return true;
}

bool wh_history_add(struct wh_op *op, const struct wh_here *h, uint32_t domid)
{
    char path[PATH_MAX - 8], fresh[PATH_MAX], lock[PATH_MAX];

    snprintf(path, sizeof path, "%s/domid-history", h->run);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    snprintf(lock, sizeof lock, "%s.lock", path);
    int fd = wh_userdata_lock_file(op, lock);
    if (fd < 0)
        return false;
    bool ok = rewrite(op, path, fresh, domid);
    unlink(lock);
    close(fd);
    return ok;
}
