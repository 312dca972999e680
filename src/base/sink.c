/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/sink.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/own.h"

#define PIPE_SIZE (1 << 20)
#define COPY_SLICE (8u << 20)       /* a cancel is seen between slices */

/* How bytes go into what is no regular file without ever blocking in write:
 *
 *     socket      MSG_DONTWAIT
 *     pipe        another open file of it that does not block, as the caller's is not ours to change
 *     memory      /dev/null and its like never block
 *     others      wait, then no more than a terminal or an unknown thing that polls writable takes */
static enum wh_way way_into(struct wh_sink *k, const struct stat *st)
{
    char path[32];

    if (S_ISREG(st->st_mode))
        return WH_INTO_FILE;
    if (S_ISSOCK(st->st_mode))
        return WH_INTO_SOCKET;
    if (S_ISCHR(st->st_mode) && major(st->st_rdev) == 1)
        return WH_INTO_FILE;
    if (!S_ISFIFO(st->st_mode))
        return WH_INTO_OTHER;
    snprintf(path, sizeof path, "/proc/self/fd/%d", k->fd);
    k->own = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (k->own >= 0)
        fcntl(k->own, F_SETPIPE_SZ, PIPE_SIZE);     /* fewer wakes; a small pipe works too */
    return k->own >= 0 ? WH_INTO_PIPE : WH_INTO_OTHER;
}

bool wh_sink_open(struct wh_op *op, struct wh_sink *k, int fd)
{
    struct stat st;

    *k = (struct wh_sink){ .fd = fd, .own = -1 };
    if (fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "look at the output");
    k->way = way_into(k, &st);
    k->wait = k->way != WH_INTO_FILE;
    k->buffer = malloc(WH_SINK_BUFFER);
    return k->buffer || wh_fail_sys(&op->err, ENOMEM, "write the output");
}

void wh_sink_close(struct wh_sink *k)
{
    if (k->stage)
        k->stage->drop(k->stage);
    k->stage = NULL;
    free(k->buffer);
    k->buffer = NULL;
    free(k->copies.room);
    k->copies.room = NULL;
    if (k->way == WH_INTO_PIPE)
        wh_close_fd(&k->own);
    k->way = WH_INTO_FILE;
}

void wh_sink_stage(struct wh_sink *k, struct wh_stage *stage, struct wh_sink *to)
{
    assert(k->at == 0 && !k->stage);
    *to = *k;
    to->digest = NULL;
    to->sparse = false;
    *k = (struct wh_sink){ .fd = to->fd, .own = -1, .wait = to->wait, .name = to->name,
                           .digest = k->digest, .stage = stage };
}

static const char *name_of(const struct wh_sink *k)
{
    return !k->name ? "the output" : strcmp(k->name, "-") == 0 ? "standard output" : k->name;
}

/* Write some of it, or EAGAIN. */
static ssize_t put_some(struct wh_sink *k, const uint8_t *p, size_t n)
{
    switch (k->way) {
    case WH_INTO_SOCKET:
        return send(k->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    case WH_INTO_PIPE:
        return write(k->own, p, n);
    case WH_INTO_OTHER:
        return write(k->fd, p, n < PIPE_BUF ? n : PIPE_BUF);
    case WH_INTO_FILE:
        break;
    }
    return write(k->fd, p, n);
}

static bool put(struct wh_op *op, struct wh_sink *k, const uint8_t *p, size_t n)
{
    if (!wh_go_on(op))
        return false;
    while (n > 0) {
        if (k->way == WH_INTO_OTHER && !wh_wait(op, k->fd, POLLOUT))
            return false;
        ssize_t put = put_some(k, p, n);
        if (put < 0 && errno == EAGAIN && !wh_wait(op, k->fd, POLLOUT))
            return false;
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put < 0)
            return wh_fail_sys(&op->err, errno, "write %s", name_of(k));
        p += put;
        n -= (size_t)put;
    }
    return true;
}

bool wh_sink_flush(struct wh_op *op, struct wh_sink *k)
{
    size_t n = k->used;

    if (k->stage)
        return k->stage->flush(op, k->stage);
    k->used = 0;
    return n == 0 || put(op, k, k->buffer, n);
}

bool wh_sink_end(struct wh_op *op, struct wh_sink *k)
{
    return k->stage ? k->stage->end(op, k->stage) : wh_sink_flush(op, k);
}

bool wh_sink_write(struct wh_op *op, struct wh_sink *k, const void *p, size_t n)
{
    if (k->digest)
        wh_digest_feed(k->digest, p, n);
    k->at += n;
    if (k->stage)
        return k->stage->write(op, k->stage, p, n);
    if (n > WH_SINK_BUFFER - k->used && !wh_sink_flush(op, k))
        return false;
    if (n >= WH_SINK_BUFFER)
        return put(op, k, p, n);
    memcpy(k->buffer + k->used, p, n);
    k->used += n;
    return true;
}

bool wh_sink_zeros(struct wh_op *op, struct wh_sink *k, size_t n)
{
    static const uint8_t zeros[4096];

    for (size_t m; n > 0; n -= m) {
        m = n < sizeof zeros ? n : sizeof zeros;
        if (!wh_sink_write(op, k, zeros, m))
            return false;
    }
    return true;
}

/* Through our own memory: always possible. */
static bool carry(struct wh_op *op, struct wh_sink *k, int from, uint64_t offset, uint64_t n,
                  uint64_t *gone)
{
    wh_auto_free uint8_t *p = malloc(WH_SINK_BUFFER);

    if (!p)
        return wh_fail_sys(&op->err, ENOMEM, "copy");
    for (*gone = 0; *gone < n;) {
        size_t most = n - *gone < WH_SINK_BUFFER ? (size_t)(n - *gone) : WH_SINK_BUFFER;
        ssize_t got = pread(from, p, most, (off_t)(offset + *gone));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return wh_fail_sys(&op->err, errno, "read the input");
        if (got == 0)
            break;
        if (!wh_sink_write(op, k, p, (size_t)got))
            return false;
        *gone += (uint64_t)got;
    }
    return true;
}

bool wh_sink_copy(struct wh_op *op, struct wh_sink *k, int from, uint64_t offset, uint64_t n,
                  uint64_t *gone)
{
    uint64_t rest = 0;
    bool whole = false;

    *gone = 0;
    if (k->digest || k->wait || k->stage)
        return carry(op, k, from, offset, n, gone);
    if (!wh_sink_flush(op, k))
        return false;
    while (*gone < n && !whole) {
        size_t most = n - *gone < COPY_SLICE ? (size_t)(n - *gone) : COPY_SLICE;
        off_t in = (off_t)(offset + *gone);
        ssize_t got = copy_file_range(from, &in, k->fd, NULL, most, 0);

        if (got < 0 && errno != EINTR)
            break;                      /* not between these two: the long way round */
        whole = got == 0;
        if (got > 0) {
            *gone += (uint64_t)got;
            k->at += (uint64_t)got;
        }
        if (!wh_go_on(op))
            return false;
    }
    if (whole || *gone == n)
        return true;
    if (!carry(op, k, from, offset + *gone, n - *gone, &rest))
        return false;
    *gone += rest;
    return true;
}

static bool remove_file(struct wh_op *op, const struct wh_undo *u)
{
    return unlink(u->text) == 0 || errno == ENOENT ||
           wh_fail_sys(&op->err, errno, "remove %s", u->text);
}

/* What a link leads to, or the path itself; where nothing is there yet, likewise. */
static bool resolve(struct wh_op *op, struct wh_outfile *o, const char *path)
{
    struct stat st, out;

    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return wh_fail_sys(&op->err, EISDIR, "write %s", path);
        if (!S_ISREG(st.st_mode))
            return wh_fail(&op->err, WH_USAGE,
                           "%s is no regular file: it would be replaced (- is standard output)",
                           path);
        if (fstat(STDOUT_FILENO, &out) == 0 && out.st_dev == st.st_dev && out.st_ino == st.st_ino)
            return wh_fail(&op->err, WH_USAGE,
                           "%s is standard output: it would be replaced (name it -)", path);
        return realpath(path, o->path) || wh_fail_sys(&op->err, errno, "write %s", path);
    }
    if (errno != ENOENT)
        return wh_fail_sys(&op->err, errno, "write %s", path);
    if (lstat(path, &st) == 0)
        return wh_fail(&op->err, WH_USAGE, "%s is a link to nothing", path);
    strcpy(o->path, path);          /* it is no longer than the kernel took */
    return true;
}

/* The folder is opened now: after the rename it is too late to find that it cannot be. */
static bool open_folder(struct wh_op *op, struct wh_outfile *o)
{
    char copy[PATH_MAX];

    strcpy(copy, o->path);
    o->folder = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return o->folder >= 0 || wh_fail_sys(&op->err, errno, "open the folder of %s", o->path);
}

bool wh_outfile_open(struct wh_op *op, struct wh_outfile *o, const char *path)
{
    *o = (struct wh_outfile){ .fd = -1, .folder = -1, .plain = strcmp(path, "-") == 0 };
    if (o->plain) {
        o->fd = STDOUT_FILENO;
        return true;
    }
    if (!resolve(op, o, path) || !open_folder(op, o))
        return false;

    const char *slash = strrchr(o->path, '/');
    int folder = slash ? (int)(slash + 1 - o->path) : 0;
    int n = snprintf(o->temp, sizeof o->temp, "%.*s.wherry.XXXXXX", folder, o->path);
    if (n < 0 || (size_t)n >= sizeof o->temp)
        return wh_fail_sys(&op->err, ENAMETOOLONG, "create a file beside %s", path);
    o->fd = mkostemp(o->temp, O_CLOEXEC);       /* mode 0600 */
    if (o->fd < 0)
        return wh_fail_sys(&op->err, errno, "create a file beside %s", path);
    return wh_undo_push(op, "remove the unfinished file", remove_file, o->temp, 0);
}

bool wh_outfile_commit(struct wh_op *op, struct wh_outfile *o)
{
    /* Of what has no disk behind it fsync says EINVAL. */
    wh_step(op, "bring the file to disk", WH_FOREVER);
    if (fsync(o->fd) < 0 && !(o->plain && (errno == EINVAL || errno == EROFS)))
        return wh_fail_sys(&op->err, errno, "bring %s to disk", o->plain ? "the output" : o->path);
    if (o->plain)
        return true;
    if (!wh_go_on(op))
        return false;
    if (rename(o->temp, o->path) < 0)
        return wh_fail_sys(&op->err, errno, "give %s its name", o->path);
    /* The file is there under its name: nothing to remove any more. */
    o->named = true;
    wh_undo_drop(op, remove_file, o->temp);
    return fsync(o->folder) == 0 ||
           wh_fail_sys(&op->err, errno, "%s is written, but its folder could not be brought to disk",
                       o->path);
}

void wh_outfile_close(struct wh_outfile *o)
{
    if (!o->plain)
        wh_close_fd(&o->fd);
    wh_close_fd(&o->folder);
    o->fd = o->folder = -1;
}
