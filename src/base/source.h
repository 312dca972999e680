/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where bytes come from: a file, a pipe, a socket, a buffer.
 *
 * A source is read once, forwards, with a small window in memory.  What is skipped in a seekable
 * file is never read; what is skipped in a pipe is spliced away without being copied.  All that
 * is consumed, read or skipped, can be shown to a digest and copied to a sink on the way:
 *
 *        consumed           the window              not yet read
 *     |=============|=======================|..................|
 *                   ^ at        (buffered)                      ^ size, where known
 *
 * Running out is not a failure: functions say how much there was. */
#ifndef WH_BASE_SOURCE_H
#define WH_BASE_SOURCE_H

#include "base/digest.h"
#include "base/op.h"

#define WH_SOURCE_WINDOW (256u << 10)       /* the most that can be peeked at */
#define WH_SOURCE_UNKNOWN UINT64_MAX

struct wh_sink;

/* What may stand between a source and its fd: other bytes come out than the fd's. */
struct wh_feed {
    /* Up to most bytes of what stands at an offset, which is where the last read ended unless the
     * source is seekable.  *n is 0 where the stream ends. */
    bool (*read)(struct wh_op *op, struct wh_feed *f, uint64_t at, void *to, size_t most, size_t *n);
    void (*drop)(struct wh_feed *f);
    /* What made a read fail with WH_STREAM, for who lists the rules an image breaks. */
    struct wh_feed_flaw {
        char place[48];
        const char *expected, *found;   /* constants; NULL: nothing has */
    } flaw;
};

struct wh_source {
    int fd;                     /* the caller's; -1: the window is all there is */
    const char *name;           /* for errors; NULL: "the input" */
    bool seekable, pipe;
    uint64_t at;                /* offset in the stream of the next byte */
    uint64_t start;             /* offset in the file of the stream's first byte */
    uint64_t size;              /* of the stream, or WH_SOURCE_UNKNOWN */
    uint8_t *window;
    size_t head, tail;          /* window[head..tail) is buffered */
    size_t ahead;               /* how much to read at a time from a file */
    struct wh_digest *digest;   /* shown all that is consumed, if set */
    struct wh_sink *tee;        /* given all that is consumed, if set */
    bool sparse;                /* a file with holes: they are looked for where pages are read */
    uint64_t hole, hole_end;    /* the next one as far as known: offsets in the file */
    int null_fd;                /* where a pipe's skipped bytes go */
    struct wh_feed *feed;       /* all bytes come out of it, if set; the source's own */
    bool lend;                  /* what is being read to stays until the digest is settled */
    bool quiet;                 /* the operation's progress is not this source's */
};

/* The stream from where fd stands now.  fd stays the caller's. */
bool wh_source_open(struct wh_op *op, struct wh_source *s, int fd);

/* A buffer as a stream; it must outlive the source. */
void wh_source_memory(struct wh_source *s, const void *p, size_t n);

void wh_source_close(struct wh_source *s);

/* Have up to want bytes (at most WH_SOURCE_WINDOW) at *p without consuming them; fewer only where
 * the stream ends.  *p is good until the next call. */
bool wh_source_peek(struct wh_op *op, struct wh_source *s, size_t want, const uint8_t **p,
                    size_t *got);

/* Consume n bytes that were peeked at. */
bool wh_source_take(struct wh_op *op, struct wh_source *s, size_t n);

/* Consume n bytes of any number; *gone is fewer only where the stream ends. */
bool wh_source_skip(struct wh_op *op, struct wh_source *s, uint64_t n, uint64_t *gone);

/* Consume n bytes into memory; *got is fewer only where the stream ends. */
bool wh_source_read(struct wh_op *op, struct wh_source *s, void *to, size_t n, size_t *got);

/* Go to another place of a seekable source without telling digest or tee. */
void wh_source_seek(struct wh_source *s, uint64_t at);

#endif
