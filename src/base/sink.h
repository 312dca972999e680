/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where bytes go, and the file that appears under its name only when it is whole.
 *
 *     struct wh_outfile out;
 *     if (!wh_outfile_open(op, &out, path))         path is untouched; a 0600 file beside it
 *         return false;
 *     ... write to out.fd ...
 *     if (!wh_outfile_commit(op, &out))             on disk, then renamed
 *         return false;
 *
 * Until the commit the temporary file stands on the operation's undo list. */
#ifndef WH_BASE_SINK_H
#define WH_BASE_SINK_H

#include "base/digest.h"
#include "base/op.h"

#define WH_SINK_BUFFER (256u << 10)

/* What may stand between a sink and its fd: bytes go in, others come out.  It has what it needs,
 * the fd included. */
struct wh_stage {
    bool (*write)(struct wh_op *op, struct wh_stage *t, const void *p, size_t n);
    bool (*flush)(struct wh_op *op, struct wh_stage *t);    /* all that went in is out */
    bool (*end)(struct wh_op *op, struct wh_stage *t);      /* likewise, and nothing more comes */
    void (*drop)(struct wh_stage *t);
    uint64_t out;               /* bytes given to the fd so far */
};

enum wh_way { WH_INTO_FILE, WH_INTO_PIPE, WH_INTO_SOCKET, WH_INTO_OTHER };

/* Slices of a guest's pages, copied; a slice's room is free when the digest is behind its mark. */
#define WH_COPIES 8
struct wh_copies {
    uint8_t *room;
    unsigned turn;
    size_t used;
    unsigned long mark[WH_COPIES];
};

struct wh_sink {
    int fd;                     /* the caller's */
    enum wh_way way;            /* what it is, which is how it is written without blocking */
    int own;                    /* of a pipe: our own open file of it */
    bool wait;                  /* not a file: writes may have to wait */
    bool sparse;                /* a file: pages of zeros may be left out (holes.h) */
    uint64_t holes;             /* bytes left out */
    const char *name;           /* for errors; NULL: "the output" */
    uint64_t at;                /* bytes given so far */
    uint8_t *buffer;
    size_t used;
    struct wh_digest *digest;   /* shown all that is given, if set */
    struct wh_stage *stage;     /* all that is given goes through it, if set; the sink's own */
    struct wh_copies copies;
};

bool wh_sink_open(struct wh_op *op, struct wh_sink *k, int fd);
void wh_sink_close(struct wh_sink *k);

/* Put a stage before the fd of a sink that nothing was written to yet.  What writes to the fd is
 * now *to, which is the stage's to close. */
void wh_sink_stage(struct wh_sink *k, struct wh_stage *stage, struct wh_sink *to);

bool wh_sink_write(struct wh_op *op, struct wh_sink *k, const void *p, size_t n);
bool wh_sink_zeros(struct wh_op *op, struct wh_sink *k, size_t n);
/* All that was given is with the fd. */
bool wh_sink_flush(struct wh_op *op, struct wh_sink *k);
/* Likewise, and nothing more will be given: a stage writes what it ends with. */
bool wh_sink_end(struct wh_op *op, struct wh_sink *k);

/* Give n bytes of a seekable file from an offset on; *gone is fewer only where it ends.  Where
 * kernel and digest allow, the bytes are not brought into this process. */
bool wh_sink_copy(struct wh_op *op, struct wh_sink *k, int from, uint64_t offset, uint64_t n,
                  uint64_t *gone);

struct wh_outfile {
    int fd;
    int folder;                 /* that the file is in */
    bool plain;                 /* standard output: nothing to rename */
    bool named;                 /* it stands under its name */
    char path[PATH_MAX];
    char temp[PATH_MAX];
};

/* "-" is standard output.  Where path is a link, what it leads to is written; what is there and is
 * no regular file is refused, since a rename would replace it. */
bool wh_outfile_open(struct wh_op *op, struct wh_outfile *o, const char *path);
/* Fails without having changed path, but for one case: path has its new contents and the folder
 * could not be brought to disk, which the text says. */
bool wh_outfile_commit(struct wh_op *op, struct wh_outfile *o);
void wh_outfile_close(struct wh_outfile *o);

#endif
