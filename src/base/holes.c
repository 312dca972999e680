/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/holes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"

#define HOLE_LEAST 2            /* contents are not aligned to blocks: one page may leave no hole */

typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));

/* Most pages that are not zero show it in their first words. */
bool wh_page_is_zero(const void *page)
{
    const pair *at = page, *end = at + WH_HOLE_PAGE / sizeof *at;

    for (; at < end; at += 16) {
        pair a = (at[0] | at[1]) | (at[2] | at[3]), b = (at[4] | at[5]) | (at[6] | at[7]);
        pair c = (at[8] | at[9]) | (at[10] | at[11]), d = (at[12] | at[13]) | (at[14] | at[15]);

        a = (a | b) | (c | d);
        if (a[0] | a[1])
            return false;
    }
    return true;
}

size_t wh_zero_run(const void *p, size_t n)
{
    size_t run = 0;

    while (n - run >= WH_HOLE_PAGE && wh_page_is_zero((const uint8_t *)p + run))
        run += WH_HOLE_PAGE;
    return run;
}

static bool hole(struct wh_op *op, struct wh_sink *k, size_t n)
{
    if (!wh_sink_flush(op, k))
        return false;
    if (lseek(k->fd, (off_t)n, SEEK_CUR) < 0)
        return wh_fail_sys(&op->err, errno, "leave a hole in %s", k->name ? k->name : "the output");
    if (k->digest)
        wh_digest_zeros(k->digest, n);
    k->at += n;
    k->holes += n;
    return true;
}

/* How many of n pages from p on are not zero in a row. */
static size_t full_run(const uint8_t *p, size_t n)
{
    size_t k = 0;

    while (k < n && !wh_page_is_zero(p + k * WH_HOLE_PAGE))
        k++;
    return k;
}

/* Room for the copy of one slice. */
static bool make_room(struct wh_op *op, struct wh_sink *k)
{
    struct wh_copies *c = &k->copies;

    if (!c->room)
        c->room = malloc(WH_COPIES * WH_SINK_BUFFER);
    if (!c->room)
        return wh_fail_sys(&op->err, ENOMEM, "copy the guest's pages");
    c->turn = (c->turn + 1) % WH_COPIES;
    c->used = 0;
    wh_digest_reach(k->digest, c->mark[c->turn]);
    return true;
}

/* Whole pages.  As fast as memcpy on a processor, and several times faster where one is emulated:
 * memcpy has one instruction for all of it, which is carried out byte by byte there. */
static void copy_pages(uint8_t *to, const uint8_t *from, size_t n)
{
    for (const uint8_t *end = from + n; from < end; from += 4 * sizeof(pair), to += 4 * sizeof(pair)) {
        const pair *f = (const pair *)from;
        pair a = f[0], b = f[1], c = f[2], d = f[3], *t = (pair *)to;

        __asm__("" : "+x"(a));          /* no loop that could be taken for memcpy */
        t[0] = a, t[1] = b, t[2] = c, t[3] = d;
    }
}

static const uint8_t *copy(struct wh_sink *k, const uint8_t *p, size_t n)
{
    struct wh_copies *c = &k->copies;
    uint8_t *to = c->room + c->turn * WH_SINK_BUFFER + c->used;

    copy_pages(to, p, n);
    c->used += n;
    wh_digest_lend(k->digest, to, n);
    c->mark[c->turn] = wh_digest_mark(k->digest);
    return to;
}

static bool give(struct wh_op *op, struct wh_sink *k, const uint8_t *p, size_t n,
                 enum wh_whose whose)
{
    if (k->digest && whose == WH_GUESTS)
        p = copy(k, p, n);
    else if (k->digest)
        wh_digest_feed(k->digest, p, n);

    struct wh_digest *digest = wh_take_ptr(&k->digest);
    bool ok = wh_sink_write(op, k, p, n);
    k->digest = digest;
    return ok;
}

static bool sparsely(struct wh_op *op, struct wh_sink *k, const uint8_t *p, size_t n,
                     enum wh_whose whose)
{
    while (n > 0) {
        size_t zeros = wh_zero_run(p, n * WH_HOLE_PAGE) / WH_HOLE_PAGE;

        if (zeros >= HOLE_LEAST) {
            if (!hole(op, k, zeros * WH_HOLE_PAGE))
                return false;
        } else {
            zeros += full_run(p + zeros * WH_HOLE_PAGE, n - zeros);
            if (!give(op, k, p, zeros * WH_HOLE_PAGE, whose))
                return false;
        }
        p += zeros * WH_HOLE_PAGE;
        n -= zeros;
    }
    return true;
}

/* In slices that stay in the second-level cache while they are looked at, digested and written. */
bool wh_sink_pages(struct wh_op *op, struct wh_sink *k, const void *pages, size_t n,
                   enum wh_whose whose)
{
    const size_t most = WH_SINK_BUFFER / WH_HOLE_PAGE;
    const uint8_t *p = pages;

    for (size_t m; n > 0; n -= m) {
        m = n < most ? n : most;
        if (k->digest && whose == WH_GUESTS && !make_room(op, k))
            return false;
        if (!(k->sparse && !k->stage ? sparsely(op, k, p, m, whose)
                                     : give(op, k, p, m * WH_HOLE_PAGE, whose)))
            return false;
        p += m * WH_HOLE_PAGE;
    }
    return true;
}

bool wh_sink_reserve(struct wh_op *op, struct wh_sink *k, uint64_t n)
{
    if (fallocate(k->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)n) == 0 || errno == EOPNOTSUPP)
        return true;
    return wh_fail_sys(&op->err, errno, "reserve %llu bytes for %s", (unsigned long long)n,
                       k->name ? k->name : "the output");
}
