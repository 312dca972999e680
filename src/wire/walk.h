/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a stream: one walk from its first byte to its last, every record checked on the way.
 *
 *     struct wh_walk w;
 *     wh_walk_init(&w, op, &source, &watch, arg);
 *     if (wh_walk_stream(&w)) ...             the end was met; w.image says what was in it
 *
 * A watcher is told what it asked for: each record after its checks, the entries of page records,
 * pages' contents, the emulator's state.  What nobody asks for is skipped, not read.  Memory is
 * constant whatever the stream's length.
 *
 * A rule that is broken goes to .finding.  In a strict walk (the watcher has none) the first one
 * fails the operation; otherwise the walk goes on as far as the framing allows. */
#ifndef WH_WIRE_WALK_H
#define WH_WIRE_WALK_H

#include "base/op.h"
#include "base/source.h"
#include "wire/image.h"
#include "wire/index.h"
#include "wire/rule.h"

#define WH_ENTRIES_MAX 32768            /* page entries held at a time */
#define WH_PLACE_MAX 1024

struct wh_walk;

/* Each may be NULL.  Those that return bool stop the walk with false; if they have not failed
 * w->op, they had seen enough. */
struct wh_watch {
    bool (*enter)(struct wh_walk *w, const struct wh_layer *layer); /* nothing consumed of it yet */
    bool (*leave)(struct wh_walk *w, const struct wh_layer *layer, bool at_end);
    void (*finding)(struct wh_walk *w, const struct wh_finding *f);
    bool (*before)(struct wh_walk *w, const struct wh_rec *r);  /* header known, body not read */
    bool (*record)(struct wh_walk *w, const struct wh_rec *r);  /* whole and checked */
    bool (*entries)(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n);
    bool (*pages)(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents);
    /* Each page of a PV guest's own p2m: which it is, and the pfn it lies in. */
    bool (*frame)(struct wh_walk *w, uint64_t which, uint64_t pfn);
    /* In place of .pages: where the contents of these entries (at most WH_PLACE_MAX) are to be
     * read into, and then that they are there, or that the stream has failed.  Such a watcher is
     * told the record's .entries before its contents are read, others afterwards. */
    bool (*place)(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t **to);
    bool (*placed)(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t *to, bool whole);
    bool (*blob)(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n);
    const struct wh_legacy_watch *legacy;
};

struct wh_walk {
    struct wh_op *op;
    struct wh_source *src;
    const struct wh_watch *watch;
    void *arg;                  /* the watcher's */
    bool pedantic;
    bool channel;               /* what stands behind the last END is no part of it */
    uint64_t findings;          /* not the pedantic ones */
    struct wh_image image;
    struct wh_index index;      /* of the page records met, for the trailer */
    uint8_t *body;              /* of the current whole record */
    size_t body_size;
    uint64_t *entry, *data;     /* page entries, and those with contents: WH_ENTRIES_MAX each */
    uint64_t contents_at;       /* for .entries: where the contents of the first of them that has
                                   some stand */
    bool want_digest;           /* of a trailer behind which more stands, too: read it all again */
    bool digested;              /* every byte up to the trailer was read; .digest is theirs */
    uint8_t digest[WH_DIGEST_BYTES], trailer_digest[WH_DIGEST_BYTES];
    unsigned want_width;        /* legacy: what the user says; 0: find out */
    enum wh_guest want_guest;
    const struct wh_layer *layer;       /* being read, for findings */
    const struct wh_rec *rec;           /* likewise; NULL: none, and .place says where */
    const char *place;
};

bool wh_walk_init(struct wh_walk *w, struct wh_op *op, struct wh_source *src,
                  const struct wh_watch *watch, void *arg);
void wh_walk_free(struct wh_walk *w);

/* Read it all.  False: it could not be followed to its end, or, in a strict walk, breaks a rule;
 * op->err says so. */
bool wh_walk_stream(struct wh_walk *w);

/* ------------------------------------------------------------ for the layers themselves */

/* A short text that lives as long as the call it is in. */
struct wh_text {
    char s[160];
};

struct wh_text wh_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A rule is broken at an offset by the record being read.  True: go on. */
bool wh_flaw(struct wh_walk *w, enum wh_rule rule, uint64_t at, const char *expected,
             const char *found);
/* The same where nothing behind it can be read any more; false always. */
bool wh_flaw_fatal(struct wh_walk *w, enum wh_rule rule, uint64_t at, const char *expected,
                   const char *found);
/* Against the letter only. */
bool wh_flaw_pedantic(struct wh_walk *w, uint64_t at, const char *expected, const char *found);

/* n bytes of the stream, peeked and consumed; fewer are a fatal flaw ("truncated"). */
bool wh_need(struct wh_walk *w, size_t n, const uint8_t **p);
bool wh_need_read(struct wh_walk *w, void *to, size_t n);
bool wh_need_skip(struct wh_walk *w, uint64_t n);
/* The same into w->body, which grows as the bytes arrive: a length makes nobody allocate. */
bool wh_need_body(struct wh_walk *w, uint32_t length);
/* Whether the stream has no more bytes. */
bool wh_at_end(struct wh_walk *w, bool *end);

/* Tell the watcher that a layer's bytes begin or have ended; libxc's end at each checkpoint, not
 * at_end, and begin again. */
bool wh_enter(struct wh_walk *w, const struct wh_layer *layer);
bool wh_leave(struct wh_walk *w, const struct wh_layer *layer, bool at_end);

/* A fixed header: read, its fields checked, applied, told of. */
bool wh_walk_header(struct wh_walk *w, const struct wh_layer *layer, const char *name);

/* One framed record of a layer: read, checked, applied, told of.  *rec's body is good until the
 * next.  A record that may not be here has been reported and skipped; *row is then NULL. */
bool wh_walk_record(struct wh_walk *w, const struct wh_layer *layer, struct wh_rec *rec);

/* The layers, each from its header to its END. */
bool wh_walk_xl(struct wh_walk *w);
bool wh_walk_libxl(struct wh_walk *w);
bool wh_walk_libxc(struct wh_walk *w);
bool wh_walk_libxc_header(struct wh_walk *w);
bool wh_walk_legacy(struct wh_walk *w);
bool wh_walk_trailer(struct wh_walk *w);

/* A libxc epoch: records up to END or CHECKPOINT. */
enum wh_stop { WH_STOP_BROKEN, WH_STOP_END, WH_STOP_CHECKPOINT };
enum wh_stop wh_walk_epoch(struct wh_walk *w);

/* The page type of an entry and what it means. */
#define WH_PFN_MASK ((UINT64_C(1) << 52) - 1)
#define WH_PFN_LIMIT (UINT64_C(1) << 40)

enum wh_page_type {
    WH_PAGE_NOTAB = 0x0, WH_PAGE_L1TAB, WH_PAGE_L2TAB, WH_PAGE_L3TAB, WH_PAGE_L4TAB,
    WH_PAGE_PIN = 0x8, WH_PAGE_BROKEN = 0xd, WH_PAGE_XALLOC = 0xe, WH_PAGE_XTAB = 0xf,
};

static inline unsigned wh_page_type(uint64_t entry)
{
    return (unsigned)(entry >> 60);
}

static inline uint64_t wh_page_pfn(uint64_t entry)
{
    return entry & WH_PFN_MASK;
}

static inline bool wh_page_type_legal(unsigned type)
{
    return type < 0x5 || type > 0x8;
}

static inline bool wh_page_has_data(uint64_t entry)
{
    return wh_page_type(entry) < WH_PAGE_BROKEN;
}

const char *wh_page_type_name(unsigned type);

/* What a page of this guest should be instead of that type; NULL: nothing is wrong with it. */
const char *wh_page_type_wrong(const struct wh_image *i, unsigned type);

/* How many of n >= 1 entries are a run: of one type, with pfns that follow each other.  A pfn that
 * overflows into the reserved bits ends it. */
size_t wh_run_length(const uint64_t *entry, size_t n);

/* Pre-copy rounds are seen by pfns that start again from below: count a batch in. */
void wh_count_round(struct wh_image *i, uint64_t first_pfn, uint64_t last_pfn);

/* The contents of the n entries in w->data, which come next in the stream, to .pages. */
bool wh_show_contents(struct wh_walk *w, uint64_t n);

#endif
