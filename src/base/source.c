/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/holes.h"
#include "base/own.h"

/* After a skip in a file little is read at a time: the header and all entries of a full batch of
 * 1024 pages, the contents behind which are skipped again.  Where nothing is skipped, as among
 * records of nothing but holes, more and more is. */
#define SHORT_READ (16u + 8 * 1024)
#define DIRECT_READ (64u << 10)     /* as much is worth a call of its own */
#define PIPE_SIZE (1 << 20)

static const char *name_of(const struct wh_source *s)
{
    return s->name ? s->name : "the input";
}

/* A volume's size is where its end is; the caller's place in it stays. */
static off_t end_of(int fd, const struct stat *st, off_t here)
{
    off_t end = S_ISREG(st->st_mode) ? st->st_size : lseek(fd, 0, SEEK_END);

    lseek(fd, here, SEEK_SET);
    return end;
}

bool wh_source_open(struct wh_op *op, struct wh_source *s, int fd)
{
    struct stat st;

    *s = (struct wh_source){ .fd = fd, .size = WH_SOURCE_UNKNOWN, .null_fd = -1,
                             .ahead = SHORT_READ };
    if (fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "look at the input");
    if (S_ISDIR(st.st_mode))
        return wh_fail_sys(&op->err, EISDIR, "read the input");

    off_t here = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (here >= 0) {
        off_t end = end_of(fd, &st, here);

        s->seekable = true;
        s->sparse = S_ISREG(st.st_mode) && (uint64_t)st.st_blocks * 512 < (uint64_t)st.st_size;
        s->start = (uint64_t)here;
        s->size = end > here ? (uint64_t)(end - here) : 0;
    } else if (S_ISFIFO(st.st_mode)) {
        s->pipe = true;
        s->null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);     /* fewer wakes; a small pipe works too */
    }
    s->window = malloc(WH_SOURCE_WINDOW);
    return s->window || wh_fail_sys(&op->err, ENOMEM, "read the input");
}

void wh_source_memory(struct wh_source *s, const void *p, size_t n)
{
    *s = (struct wh_source){ .fd = -1, .null_fd = -1, .size = n, .tail = n };
    s->window = (uint8_t *)(uintptr_t)p;        /* read only, for a source without an fd */
}

void wh_source_close(struct wh_source *s)
{
    if (s->feed)
        s->feed->drop(s->feed);
    s->feed = NULL;
    if (s->fd >= 0)
        free(s->window);
    s->window = NULL;
    wh_close_fd(&s->null_fd);
    s->null_fd = -1;
}

/* Read once, what stands `ahead` bytes behind s->at.  *n is 0 where the stream ends. */
static bool read_once(struct wh_op *op, struct wh_source *s, void *to, size_t most, size_t ahead,
                      size_t *n)
{
    ssize_t got;

    if (s->feed)
        return s->feed->read(op, s->feed, s->at + ahead, to, most, n);
    do {
        if (!s->seekable && !wh_wait(op, s->fd, POLLIN))
            return false;
        got = s->seekable ? pread(s->fd, to, most, (off_t)(s->start + s->at + ahead))
                          : read(s->fd, to, most);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got < 0)
        return wh_fail_sys(&op->err, errno, "read %s at offset %llu", name_of(s),
                           (unsigned long long)s->at);
    *n = (size_t)got;
    return true;
}

static bool fill(struct wh_op *op, struct wh_source *s, size_t want)
{
    if (s->seekable && !wh_go_on(op))
        return false;
    if (s->head + want > WH_SOURCE_WINDOW) {
        memmove(s->window, s->window + s->head, s->tail - s->head);
        s->tail -= s->head;
        s->head = 0;
    }
    while (s->tail - s->head < want) {
        size_t need = want - (s->tail - s->head), room = WH_SOURCE_WINDOW - s->tail, n = 0;
        size_t most = !s->seekable ? room : need > s->ahead ? need : s->ahead;

        if (!read_once(op, s, s->window + s->tail, most < room ? most : room, s->tail - s->head, &n))
            return false;
        s->ahead = 2 * s->ahead < WH_SOURCE_WINDOW ? 2 * s->ahead : WH_SOURCE_WINDOW;
        if (n == 0)
            break;
        s->tail += n;
    }
    return true;
}

bool wh_source_peek(struct wh_op *op, struct wh_source *s, size_t want, const uint8_t **p,
                    size_t *got)
{
    assert(want <= WH_SOURCE_WINDOW);
    if (s->fd >= 0 && s->tail - s->head < want && !fill(op, s, want))
        return false;
    *p = s->window + s->head;
    *got = s->tail - s->head < want ? s->tail - s->head : want;
    return true;
}

static void tell_progress(struct wh_op *op, const struct wh_source *s)
{
    if (!s->quiet)
        wh_progress(op, s->at, s->size == WH_SOURCE_UNKNOWN ? 0 : s->size);
}

/* Find the hole at an offset of the file, or the next one. */
static void find_hole(struct wh_source *s, uint64_t at)
{
    off_t back = lseek(s->fd, 0, SEEK_CUR), hole = lseek(s->fd, (off_t)at, SEEK_HOLE);
    off_t end = hole < 0 ? -1 : lseek(s->fd, hole, SEEK_DATA);

    if (hole >= 0 && end < 0 && errno == ENXIO)     /* the last goes up to the end of the file */
        end = (off_t)(s->start + s->size);
    s->sparse = hole >= 0 && end >= 0;
    s->hole = (uint64_t)hole;
    s->hole_end = end > hole ? (uint64_t)end : UINT64_MAX;
    lseek(s->fd, back, SEEK_SET);
}

/* How many of the next bytes, most at most, are a hole; if none, *most is cut to end at the next. */
static size_t hole_here(struct wh_source *s, size_t *most)
{
    uint64_t at = s->start + s->at;

    if (!s->sparse)
        return 0;
    if (at >= s->hole_end)
        find_hole(s, at);
    if (!s->sparse || s->hole_end == UINT64_MAX)
        return 0;
    uint64_t n = at < s->hole ? s->hole - at : s->hole_end - at;
    *most = n < *most ? (size_t)n : *most;
    return at < s->hole ? 0 : *most;
}

/* Memory that is zero already, as a new domain's mostly is, is not written again. */
static void make_zero(uint8_t *to, size_t n)
{
    for (size_t m; n > 0; n -= m, to += m) {
        m = n < WH_HOLE_PAGE ? n : WH_HOLE_PAGE;
        if (m < WH_HOLE_PAGE || !wh_page_is_zero(to))
            memset(to, 0, m);
    }
}

static bool read_hole(struct wh_op *op, struct wh_source *s, uint8_t *to, size_t n)
{
    if (!wh_go_on(op))
        return false;
    make_zero(to, n);
    if (s->digest)
        wh_digest_zeros(s->digest, n);
    s->at += n;
    tell_progress(op, s);
    return true;
}

/* n bytes are given to who asked: to digest and tee too. */
static bool consume(struct wh_op *op, struct wh_source *s, const void *p, size_t n, bool lent)
{
    if (s->digest && lent)
        wh_digest_lend(s->digest, p, n);
    else if (s->digest)
        wh_digest_feed(s->digest, p, n);
    if (s->tee && !wh_sink_write(op, s->tee, p, n))
        return false;
    s->at += n;
    tell_progress(op, s);
    return true;
}

bool wh_source_take(struct wh_op *op, struct wh_source *s, size_t n)
{
    assert(n <= s->tail - s->head);
    if (!consume(op, s, s->window + s->head, n, false))
        return false;
    s->head += n;
    if (s->head == s->tail && s->fd >= 0)
        s->head = s->tail = 0;
    return true;
}

/* Nobody wants to see the bytes: step over them. */
static bool jump(struct wh_op *op, struct wh_source *s, uint64_t n, uint64_t *gone)
{
    uint64_t left = s->at < s->size ? s->size - s->at : 0;

    *gone = n < left ? n : left;
    s->at += *gone;
    s->ahead = SHORT_READ;
    tell_progress(op, s);
    return true;
}

static bool drain(struct wh_op *op, struct wh_source *s, uint64_t n, uint64_t *gone)
{
    for (*gone = 0; *gone < n;) {
        size_t most = n - *gone < PIPE_SIZE ? (size_t)(n - *gone) : PIPE_SIZE;

        if (!wh_wait(op, s->fd, POLLIN))
            return false;
        ssize_t got = splice(s->fd, NULL, s->null_fd, NULL, most, SPLICE_F_MOVE);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return wh_fail_sys(&op->err, errno, "read %s at offset %llu", name_of(s),
                               (unsigned long long)s->at);
        if (got == 0)
            break;
        *gone += (uint64_t)got;
        s->at += (uint64_t)got;
        tell_progress(op, s);
    }
    return true;
}

static bool pass(struct wh_op *op, struct wh_source *s, uint64_t n, uint64_t *gone)
{
    for (*gone = 0; *gone < n;) {
        size_t want = n - *gone < WH_SOURCE_WINDOW ? (size_t)(n - *gone) : WH_SOURCE_WINDOW, got;
        const uint8_t *p;

        if (!wh_source_peek(op, s, want, &p, &got) || !wh_source_take(op, s, got))
            return false;
        *gone += got;
        if (got < want)
            break;
    }
    return true;
}

bool wh_source_skip(struct wh_op *op, struct wh_source *s, uint64_t n, uint64_t *gone)
{
    uint64_t buffered = s->tail - s->head < n ? s->tail - s->head : n;
    uint64_t more = 0;

    if (!wh_source_take(op, s, (size_t)buffered))
        return false;
    *gone = buffered;
    if (buffered == n || s->fd < 0)
        return true;
    n -= buffered;
    if (s->tee && !s->digest && s->seekable && !s->feed) {
        if (!wh_sink_copy(op, s->tee, s->fd, s->start + s->at, n, &more))
            return false;
        s->at += more;
        tell_progress(op, s);
    } else if (s->tee || s->digest || (!s->seekable && s->null_fd < 0)) {
        if (!pass(op, s, n, &more))
            return false;
    } else if (!(s->seekable ? jump(op, s, n, &more) : drain(op, s, n, &more))) {
        return false;
    }
    *gone += more;
    return true;
}

/* What is buffered, and then, of what comes in large pieces, straight into the caller's memory. */
bool wh_source_read(struct wh_op *op, struct wh_source *s, void *to, size_t n, size_t *got)
{
    uint8_t *at = to;

    for (*got = 0; *got < n;) {
        size_t left = n - *got, have;
        bool direct = s->fd >= 0 && s->head == s->tail && left >= DIRECT_READ;
        size_t want = left < WH_SOURCE_WINDOW ? left : WH_SOURCE_WINDOW;
        const uint8_t *p;

        if (direct && !s->tee && (have = hole_here(s, &want)) > 0) {
            if (!read_hole(op, s, at + *got, have))
                return false;
        } else if (direct) {
            s->ahead = SHORT_READ;
            if (!wh_go_on(op) || !read_once(op, s, at + *got, want, 0, &have) ||
                !consume(op, s, at + *got, have, s->lend))
                return false;
        } else {
            size_t buffered = s->tail - s->head;

            want = s->fd >= 0 && buffered > 0 && buffered < want && left - buffered >= DIRECT_READ
                       ? buffered : want;
            if (!wh_source_peek(op, s, want, &p, &have))
                return false;
            memcpy(at + *got, p, have);
            if (!wh_source_take(op, s, have))
                return false;
        }
        *got += have;
        if (have == 0 || (!direct && have < want))
            break;
    }
    return true;
}

void wh_source_seek(struct wh_source *s, uint64_t at)
{
    if (s->fd < 0) {
        s->head = at < s->tail ? (size_t)at : s->tail;
        s->at = s->head;
        return;
    }
    assert(s->seekable);
    s->head = s->tail = 0;
    s->at = at;
}
