/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record as a file: found, locked, read, written. */
#include "flow/leftover_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"

#define RECORD_MOST (1 << 20)
#define LINE_MOST (RECORD_MOST / 16)  /* so that the last state has room, however long a path or a command is */
#define TRIES 100               /* a record that goes each time we have opened it */
#define LOOK_MS 10              /* between two looks whether it is our turn */

bool wh_leftover_boot(char text[40])
{
    wh_auto_fd int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, 36);

    text[n < 0 ? 0 : n] = '\0';
    return n == 36;
}

bool wh_leftover_is_current(json_object *record)
{
    char boot[40];

    /* What cannot be known keeps others from the domain. */
    return !wh_leftover_boot(boot) || strcmp(wh_json_string(record, "boot", ""), boot) == 0;
}

bool wh_leftover_folder(struct wh_op *op, const struct wh_here *h, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", h->state);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return wh_fail_sys(&op->err, errno, "make %s", path);
    snprintf(path, PATH_MAX, "%s/jobs", h->state);
    return mkdir(path, 0700) == 0 || errno == EEXIST ||
           wh_fail_sys(&op->err, errno, "make %s", path);
}

int wh_leftover_turn(struct wh_op *op, const struct wh_here *h)
{
    char path[PATH_MAX];

    if (!wh_leftover_folder(op, h, path))
        return -1;
    wh_auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path), -1;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return wh_fail_sys(&op->err, errno, "lock %s", path), -1;
        if (!wh_nap(op, LOOK_MS))
            return wh_while(&op->err, "wait for the lock of %s", path), -1;
    }
    return wh_take_fd(&fd);
}

/* A record that went between open and lock is opened anew. */
bool wh_leftover_take(struct wh_op *op, struct wh_leftover *l, int flags, bool *held)
{
    *held = false;
    for (int i = 0; i < TRIES; i++) {
        struct stat st;

        l->fd = open(l->path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (l->fd < 0)
            return errno == ENOENT || wh_fail_sys(&op->err, errno, "open %s", l->path);
        l->open = true;
        if (flock(l->fd, LOCK_EX | LOCK_NB) < 0) {
            int sys = errno;

            *held = sys == EWOULDBLOCK;
            wh_leftover_let_go(l);
            return *held || wh_fail_sys(&op->err, sys, "lock %s", l->path);
        }
        if (fstat(l->fd, &st) == 0 && st.st_nlink > 0)
            return true;
        wh_leftover_let_go(l);
    }
    return wh_fail(&op->err, WH_SYSTEM, "%s comes and goes", l->path);
}

void wh_leftover_let_go(struct wh_leftover *l)
{
    if (l->open)
        close(l->fd);
    l->open = false;
}

static char *read_all(int fd, size_t *n)
{
    char *text = malloc(RECORD_MOST + 1);
    ssize_t got = text ? pread(fd, text, RECORD_MOST, 0) : -1;

    *n = got > 0 ? (size_t)got : 0;
    if (text)
        text[*n] = '\0';
    return text;
}

/* The last line that is whole: one that a crash cut off was never said to be written. */
static json_object *last_of(char *text, size_t n)
{
    json_object *o = NULL;
    const char *why;
    size_t at;

    while (n > 0 && !o) {
        size_t end = n - (text[n - 1] == '\n');
        char *before = memrchr(text, '\n', end), *line = before ? before + 1 : text;

        o = wh_json_parse(line, (size_t)(text + end - line), &why, &at);
        n = (size_t)(line - text);
    }
    return o;
}

json_object *wh_leftover_load(int fd)
{
    size_t n;
    wh_auto_free char *text = read_all(fd, &n);

    return text ? last_of(text, n) : NULL;
}

bool wh_leftover_is_empty(int fd)
{
    size_t n;
    wh_auto_free char *text = read_all(fd, &n);

    return text && !memchr(text, '\n', n);
}

static bool sync_it(struct wh_op *op, const char *path, int file)
{
    char folder[PATH_MAX];

    if (fsync(file) < 0)
        return wh_fail_sys(&op->err, errno, "bring %s to disk", path);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = '\0';
    wh_auto_fd int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return (fd >= 0 && fsync(fd) == 0) || wh_fail_sys(&op->err, errno, "bring %s to disk", folder);
}

bool wh_leftover_store(struct wh_op *op, const struct wh_leftover *l, json_object *o)
{
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    size_t n = strlen(text);
    off_t end = lseek(l->fd, 0, SEEK_END);

    if (!*wh_json_string(o, "boot", ""))
        return wh_fail(&op->err, WH_SYSTEM, "which boot of the host this is cannot be read");
    if (n > LINE_MOST || end + (off_t)n + 2 > RECORD_MOST)
        return wh_fail(&op->err, WH_USAGE, "the record %s would be longer than it may be: expected lines of at "
                       "most %d bytes, found %zu behind %lld", l->path, LINE_MOST, n, (long long)end);
    /* Behind what is there, which counts until this is whole. */
    if (end < 0 || (end > 0 && pwrite(l->fd, "\n", 1, end) != 1) ||
        pwrite(l->fd, text, n, end + (end > 0)) != (ssize_t)n ||
        pwrite(l->fd, "\n", 1, end + (end > 0) + (off_t)n) != 1)
        return wh_fail_sys(&op->err, errno, "write %s", l->path);
    return sync_it(op, l->path, l->fd);
}

/* When an fsync has failed the kernel takes what it could not write for written, and another fsync says that
 * all is well.  So it is written once more; whoever holds the record only writes behind what was read. */
bool wh_leftover_bring(struct wh_op *op, const char *path, int fd, json_object **record)
{
    size_t n;
    wh_auto_free char *text = read_all(fd, &n);

    *record = NULL;
    if (!text)
        return wh_fail_sys(&op->err, ENOMEM, "read %s", path);
    if (pwrite(fd, text, n, 0) != (ssize_t)n)
        return wh_fail_sys(&op->err, errno, "write %s", path);
    if (!sync_it(op, path, fd))
        return false;
    *record = last_of(text, n);
    return true;
}

bool wh_leftover_is_record(const char *name)
{
    static const char *const verbs[] = { "save-", "restore-", "create-", "send-", "receive-",
                                         "recover-" };

    for (size_t i = 0; i < WH_COUNT(verbs); i++)
        if (strncmp(name, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return false;
}
