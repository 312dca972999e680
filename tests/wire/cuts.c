/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cuts FILE...: good streams, cut short and with bits flipped, must be refused or read in order.
 *
 *     cut       at every byte outside pages' contents, at every 512th within: exactly one
 *               finding, and the walk does not go on after it
 *     flipped   every bit of every header, of every record's type and length, and a bit of every
 *               fourth byte else outside pages' contents: good, or WH_STREAM; no crash, and no
 *               more than 16 MiB of memory
 *
 * Two walks each: one that skips what nobody asks for, as verify does, and one that is shown
 * everything.  What is walked over is a copy of exactly its length, so that a sanitizer sees a
 * byte read past it. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/own.h"
#include "wire/legacy.h"
#include "wire/libxl.h"
#include "wire/walk.h"

#define MEMORY_MAX (16u << 20)
#define WITHIN_PAGES 512
#define COMPLAINTS_MAX 20           /* a file */

/* A sanitizer is slow, its shadow is no memory of the walk's, and it needs fewer places. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#define EVERY 23
#else
#define SANITIZED false
#define EVERY 1
#endif

struct stream {
    const char *name;
    uint8_t *p;
    size_t n;
    uint8_t *content;               /* 1: a byte of a page's contents */
    uint8_t *header;                /* 1: a byte whose bits are to be flipped */
    size_t whole;                   /* cut here it is whole all the same; n: nowhere */
    bool framed;                    /* of records, the last of which is END: not legacy */
    size_t findings;                /* of the walk that is being made */
    char rule[32];                  /* of the first of them */
    unsigned complaints;
};

static struct wh_op op;
static unsigned long walks, complaints;

static void complain(struct stream *s, const char *how, size_t at, const char *what)
{
    complaints++;
    if (s->complaints++ < COMPLAINTS_MAX)
        printf("%s: %s %#zx: %s (%zu findings, the first \"%s\"; %s: %s)\n", s->name, how, at, what,
               s->findings, s->rule, wh_kind_name(op.err.kind), op.err.text);
}

/* ----------------------------------------------------------------------------- watchers */

static void finding(struct wh_walk *w, const struct wh_finding *f)
{
    struct stream *s = w->arg;

    if (s->findings++ == 0)
        snprintf(s->rule, sizeof s->rule, "%s", f->rule);
}

static bool record(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_line line = { .used = 0 };

    (void)w;
    wh_rec_print(r, &line);
    return true;
}

static bool entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    (void)w;
    (void)r;
    return n > 0 && entry[0] <= UINT64_MAX && entry[n - 1] <= UINT64_MAX;
}

static unsigned seen;               /* so that what is shown is read */

static bool pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    (void)w;
    seen += (unsigned)entry[n - 1] + contents[0] + contents[n * WH_PAGE_SIZE - 1];
    return true;
}

static bool blob(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n)
{
    (void)w;
    (void)r;
    seen += p[0] + p[n - 1];
    return true;
}

static bool start(struct wh_walk *w)
{
    (void)w;
    return true;
}

static bool begin(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, uint32_t length)
{
    (void)w;
    (void)layer;
    (void)type;
    (void)length;
    return true;
}

static bool bytes(struct wh_walk *w, const void *p, size_t n)
{
    return blob(w, NULL, p, n);
}

static bool contents(struct wh_walk *w, uint64_t n)
{
    return wh_need_skip(w, n);
}

static const struct wh_legacy_watch legacy = { start, begin, bytes, contents, start };
static const struct wh_watch quick = { .finding = finding };
static const struct wh_watch full = { .finding = finding, .record = record, .entries = entries,
                                      .pages = pages, .blob = blob, .legacy = &legacy };

static void forget_error(struct stream *s)
{
    s->findings = 0;
    s->rule[0] = '\0';
    op.err.kind = WH_OK;
    op.err.text[0] = '\0';
}

/* One walk over n bytes.  complete says whether the END was met. */
static bool walk(struct stream *s, const struct wh_watch *watch, const uint8_t *p, size_t n,
                 bool *complete)
{
    wh_auto_free uint8_t *copy = malloc(n ? n : 1);
    struct wh_source source;
    struct wh_walk w;

    walks++;
    forget_error(s);
    if (!copy || !wh_walk_init(&w, &op, &source, watch, s))
        abort();
    memcpy(copy, p, n);
    wh_source_memory(&source, copy, n);
    bool ok = wh_walk_stream(&w);
    *complete = w.image.complete;
    wh_walk_free(&w);
    return ok;
}

/* --------------------------------------------------------------------------------- map */

static void mark(uint8_t *map, const struct stream *s, uint64_t at, uint64_t n)
{
    for (; n > 0 && at < s->n; at++, n--)
        map[at] = 1;
}

static bool map_before(struct wh_walk *w, const struct wh_rec *r)
{
    struct stream *s = w->arg;

    mark(s->header, s, r->at, WH_REC_HEADER);
    if (r->layer->id == WH_LAYER_LIBXL && r->type == WH_LIBXL_END)
        s->whole = r->at + WH_REC_HEADER;
    return true;
}

/* Headers whole; of the configuration its length; of a legacy chunk its number and what follows
 * at once. */
static bool map_record(struct wh_walk *w, const struct wh_rec *r)
{
    struct stream *s = w->arg;

    if (r->layer->id == WH_LAYER_LEGACY)
        mark(s->header, s, r->at, r->type == 0 ? 32 : 16);
    else if (r->row && (r->row->flags & WH_HEADER))
        mark(s->header, s, r->at, r->body_at - r->at + r->row->min);
    return true;
}

static bool map_pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *at)
{
    struct stream *s = w->arg;

    (void)entry;
    mark(s->content, s, (uint64_t)(at - w->src->window), n * WH_PAGE_SIZE);
    return true;
}

/* A legacy stream is whole without QEMU's state, and its head is in no record. */
static void map_legacy(struct stream *s, const struct wh_image *i)
{
    static const char qemu[] = "DeviceModelRecord0002";
    const uint8_t *tail = memmem(s->p, s->n, qemu, sizeof qemu - 1);

    s->framed = !i->has_legacy;
    if (s->framed)
        return;
    mark(s->header, s, i->xl_optlen + (i->container == WH_FORMAT_XL ? 48 : 0), 64);
    s->whole = tail ? (size_t)(tail - s->p) : s->n;
    if (tail)
        mark(s->header, s, s->whole, sizeof qemu - 1 + 4);
}

static bool map(struct stream *s)
{
    static const struct wh_watch watch = { .finding = finding, .before = map_before,
                                           .record = map_record, .pages = map_pages };
    struct wh_source source;
    struct wh_walk w;

    forget_error(s);
    s->whole = s->n;
    s->content = calloc(1, s->n + 1);
    s->header = calloc(1, s->n + 1);
    if (!s->content || !s->header || !wh_walk_init(&w, &op, &source, &watch, s))
        abort();
    wh_source_memory(&source, s->p, s->n);
    bool good = wh_walk_stream(&w) && s->findings == 0;
    if (!good)
        complain(s, "whole at", 0, "not good");
    map_legacy(s, &w.image);
    wh_walk_free(&w);
    return good;
}

/* ------------------------------------------------------------------------------- tests */

/* Bytes behind an xl file's END that are no trailer, or not yet one, are a finding that the walk
 * survives: the image before them is whole. */
static bool is_refused(const struct stream *s, bool ok, bool complete)
{
    bool behind = complete && strcmp(s->rule, "trailing-data") == 0;

    return s->findings == 1 && (behind ? ok : !ok && op.err.kind == WH_STREAM);
}

static void cut(struct stream *s, size_t n)
{
    static const struct wh_watch *const watches[] = { &quick, &full };
    bool complete;

    for (unsigned k = 0; k < WH_COUNT(watches); k++) {
        bool ok = walk(s, watches[k], s->p, n, &complete);

        if (n == s->whole ? !ok || !complete || s->findings > 0 : !is_refused(s, ok, complete))
            complain(s, "cut at", n,
                     n == s->whole ? "refused, but whole" : "not refused, or twice");
        if (complete != (n == s->whole || (n > s->whole && s->framed)))
            complain(s, "cut at", n, complete ? "called complete" : "not called complete");
    }
}

static void flip(struct stream *s, size_t at, unsigned bit)
{
    bool complete;

    s->p[at] ^= (uint8_t)(1u << bit);
    for (unsigned k = 0; k < 2; k++) {
        bool ok = walk(s, k ? &full : &quick, s->p, s->n, &complete);

        if (ok ? op.err.kind != WH_OK : op.err.kind != WH_STREAM || s->findings == 0)
            complain(s, "flipped at", at, "neither good nor refused");
    }
    s->p[at] ^= (uint8_t)(1u << bit);
}

static void cut_everywhere(struct stream *s)
{
    cut(s, s->whole < s->n ? s->whole : s->n - 1);
    for (size_t n = 0; n < s->n; n += EVERY) {
        if (!s->content[n] || n % WITHIN_PAGES == 0)
            cut(s, n);
    }
}

static void flip_everywhere(struct stream *s)
{
    for (size_t at = 0; at < s->n; at += EVERY) {
        for (unsigned bit = 0; s->header[at] && bit < 8; bit++)
            flip(s, at, bit);
        if (!s->header[at] && !s->content[at] && at % 4 == 0)
            flip(s, at, at / 4 % 8);
    }
}

/* From here on the process may grow by so much. */
static void limit_memory(void)
{
    static bool limited = SANITIZED;
    FILE *f = limited ? NULL : fopen("/proc/self/statm", "r");
    unsigned long pages_now;

    if (f && fscanf(f, "%lu", &pages_now) == 1) {
        rlim_t most = pages_now * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_MAX;

        limited = setrlimit(RLIMIT_AS, &(struct rlimit){ most, most }) == 0;
    }
    if (f)
        fclose(f);
}

static uint8_t *load(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    struct stat st;
    uint8_t *p;

    if (!f || fstat(fileno(f), &st) < 0)
        return NULL;
    *n = (size_t)st.st_size;
    p = malloc(*n + 1);
    if (p && fread(p, 1, *n, f) != *n) {
        free(p);
        p = NULL;
    }
    fclose(f);
    return p;
}

static void test(const char *name)
{
    struct stream s = { .name = name };

    s.p = load(name, &s.n);
    if (!s.p) {
        complain(&s, "read at", 0, "no such file");
        return;
    }
    if (map(&s)) {
        limit_memory();
        cut_everywhere(&s);
        flip_everywhere(&s);
    }
    free(s.p);
    free(s.content);
    free(s.header);
}

int main(int argc, char **argv)
{
    /* The walk's buffers would be mapped and unmapped each time. */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
    if (!wh_op_init(&op))
        return 2;
    for (int i = 1; i < argc; i++)
        test(argv[i]);
    wh_op_done(&op);
    printf("%d files, %lu walks, %lu complaints\n", argc - 1, walks, complaints);
    return complaints > 0;
}
