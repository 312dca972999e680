/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's files. */
#include "xen/userdata.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/own.h"
#include "xen/process.h"

#define LOOK_MS 20                  /* between two tries for a lock */

static void name_it(char path[PATH_MAX], const struct wh_here *h, char kind, uint32_t domid,
                    const char *uuid, const char *what)
{
    snprintf(path, PATH_MAX, "%s/userdata-%c.%u.%s.%s", h->lib, kind, domid, uuid, what);
}

static void lock_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid,
                      const char *uuid)
{
    name_it(path, h, 'l', domid, uuid, "domain-userdata-lock");
}

/* Whoever unlocks removes the file: what was locked may be gone from its name by then. */
static bool is_still(int fd, const char *path)
{
    struct stat ours, now;

    return fstat(fd, &ours) == 0 && stat(path, &now) == 0 && ours.st_dev == now.st_dev &&
           ours.st_ino == now.st_ino;
}

/* Opened and locked, or -1: not now. */
static int try_lock(struct wh_op *op, const char *path, bool *failed)
{
    wh_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    *failed = fd < 0;
    if (fd < 0) {
        wh_fail_sys(&op->err, errno, "open %s", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || !is_still(fd, path))
        return -1;
    return wh_take_fd(&fd);
}

int wh_userdata_lock_file(struct wh_op *op, const char *path)
{
    bool failed;
    int fd;

    while ((fd = try_lock(op, path, &failed)) < 0) {
        if (failed)
            return -1;
        if (!wh_nap(op, LOOK_MS)) {
            wh_while(&op->err, "wait for the lock %s", path);
            return -1;
        }
    }
    return fd;
}

int wh_userdata_lock(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid)
{
    char path[PATH_MAX];

    lock_path(path, h, domid, uuid);
    return wh_userdata_lock_file(op, path);
}

void wh_userdata_unlock(const struct wh_here *h, uint32_t domid, const char *uuid, int *lock)
{
    char path[PATH_MAX];

    if (*lock < 0)
        return;
    lock_path(path, h, domid, uuid);
    unlink(path);
    close(wh_take_fd(lock));
}

/* ------------------------------------------------------------------------- the configuration */

static bool write_whole(struct wh_op *op, int fd, const char *path, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t got = write(fd, text, n);

        if (got < 0 && errno != EINTR)
            return wh_fail_sys(&op->err, errno, "write %s", path);
        text += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool write_file(struct wh_op *op, const char *path, const char *text, size_t n, mode_t mode)
{
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    return write_whole(op, fd, path, text, n);
}

bool wh_userdata_replace(struct wh_op *op, const struct wh_here *h, uint32_t domid,
                         const char *uuid, const char *text)
{
    char path[PATH_MAX], fresh[PATH_MAX];

    name_it(path, h, 'd', domid, uuid, "libxl-json");
    name_it(fresh, h, 'n', domid, uuid, "libxl-json");
    bool ok = write_file(op, fresh, text, strlen(text) + 1, 0600) &&
              (rename(fresh, path) == 0 || wh_fail_sys(&op->err, errno, "rename %s", fresh));
    if (!ok)
        unlink(fresh);
    return ok;
}

bool wh_userdata_write(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid,
                       const char *text)
{
    int lock = wh_userdata_lock(op, h, domid, uuid);
    bool ok = lock >= 0 && wh_userdata_replace(op, h, domid, uuid, text);

    wh_userdata_unlock(h, domid, uuid, &lock);
    return ok;
}

bool wh_userdata_move(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *from,
                      const char *to)
{
    char old[PATH_MAX], fresh[PATH_MAX];

    name_it(old, h, 'd', domid, from, "libxl-json");
    name_it(fresh, h, 'd', domid, to, "libxl-json");
    return rename(old, fresh) == 0 || wh_fail_sys(&op->err, errno, "rename %s", old);
}

static bool remove_one(struct wh_op *op, const struct wh_here *h, const char *name)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", h->lib, name);
    return unlink(path) == 0 || errno == ENOENT || wh_fail_sys(&op->err, errno, "remove %s", path);
}

static bool remove_all(struct wh_op *op, const struct wh_here *h, DIR *folder, const char *middle)
{
    struct dirent *e;
    bool ok = true;

    while ((e = readdir(folder))) {
        if (strncmp(e->d_name, "userdata-", 9) == 0 && e->d_name[9] &&
            strncmp(e->d_name + 10, middle, strlen(middle)) == 0)
            ok &= remove_one(op, h, e->d_name);
    }
    return ok;
}

/* The lock's file is one of them. */
bool wh_userdata_remove(struct wh_op *op, const struct wh_here *h, uint32_t domid,
                        const char *uuid)
{
    wh_auto_fd int lock = wh_userdata_lock(op, h, domid, uuid);
    char middle[64];

    if (lock < 0)
        return false;
    DIR *folder = opendir(h->lib);
    if (!folder)
        return wh_fail_sys(&op->err, errno, "open %s", h->lib);
    snprintf(middle, sizeof middle, ".%u.%s.", domid, uuid);
    bool ok = remove_all(op, h, folder, middle);
    closedir(folder);
    return ok;
}
