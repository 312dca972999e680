/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "flow/input.h"
#include "wire/legacy.h"

void fuzz_expect(bool holds, const char *promise)
{
    if (holds)
        return;
    fprintf(stderr, "broken promise: %s\n", promise);
    abort();
}

void fuzz_touch(const void *p, size_t n)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum ^= ((const uint8_t *)p)[i];
    __asm__ volatile("" : : "r"(sum));
}

int fuzz_file(const void *p, size_t n)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    fuzz_expect(fd >= 0 && write(fd, p, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0,
                "there is memory for a file");
    return fd;
}

/* --------------------------------------------------------------------------- listeners */

static void finding(struct wh_walk *w, const struct wh_finding *f)
{
    (void)w;
    fuzz_touch(f->layer, strlen(f->layer));
    fuzz_touch(f->rule, strlen(f->rule));
    fuzz_expect(f->record[0] && f->expected[0] && f->found[0], "a finding says something");
}

static bool record(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_line line = { .used = 0 };
    char scratch[16];

    fuzz_touch(r->body, r->body ? r->length : 0);
    wh_rec_print(r, &line);
    fuzz_expect(line.used == strnlen(line.text, sizeof line.text), "a line ends where it says");
    fuzz_expect(wh_rec_name(r, scratch, sizeof scratch)[0], "a record has a name");
    return wh_check_config(w, r);
}

static bool entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    (void)w;
    (void)r;
    fuzz_expect(n > 0 && n <= WH_ENTRIES_MAX, "entries come in bounded numbers");
    fuzz_touch(entry, n * sizeof *entry);
    return true;
}

static bool pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    (void)w;
    for (size_t i = 0; i < n; i++)
        fuzz_expect(wh_page_has_data(entry[i]), "pages shown have contents");
    fuzz_touch(contents, n * WH_PAGE_SIZE);
    return true;
}

static bool blob(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n)
{
    (void)w;
    (void)r;
    fuzz_touch(p, n);
    return true;
}

/* What a legacy stream is translated to is framed: each record gets just what it announced. */
static bool inside;
static uint64_t left;

static bool start(struct wh_walk *w)
{
    fuzz_expect(w->image.guest != WH_NO_GUEST && w->image.legacy_width != 0,
                "guest and width are known at the start");
    return true;
}

static bool begin(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, uint32_t length)
{
    (void)w;
    fuzz_expect(wh_row_find(layer, type) && length <= layer->length_max,
                "a legacy stream becomes known records");
    fuzz_expect(!inside, "one record at a time");
    inside = true;
    left = length;
    return true;
}

static bool bytes(struct wh_walk *w, const void *p, size_t n)
{
    (void)w;
    fuzz_expect(inside && n <= left, "no more bytes than announced");
    fuzz_touch(p, n);
    left -= n;
    return true;
}

static bool contents(struct wh_walk *w, uint64_t n)
{
    fuzz_expect(inside && n <= left, "no more contents than announced");
    left -= n;
    return wh_need_skip(w, n);
}

static bool end(struct wh_walk *w)
{
    (void)w;
    fuzz_expect(inside && left == 0, "no fewer bytes than announced");
    inside = false;
    return true;
}

static const struct wh_legacy_watch legacy = { start, begin, bytes, contents, end };
static const struct wh_watch lenient = {
    .finding = finding, .record = record, .entries = entries, .pages = pages, .blob = blob
};
static const struct wh_watch strict = { .record = record, .entries = entries, .legacy = &legacy };

/* ------------------------------------------------------------------------------- walks */

struct outcome {
    bool ok;
    uint64_t findings;
    enum wh_format container;
};

static struct outcome walk(const uint8_t *p, size_t n, unsigned width, enum wh_guest guest,
                           const struct wh_watch *watch)
{
    static struct wh_op op;
    struct wh_source src;
    struct wh_walk w;

    if (!op.undo)
        fuzz_expect(wh_op_init(&op), "an operation can be made");
    memset(&op.err, 0, sizeof op.err);
    inside = false;
    wh_source_memory(&src, p, n);
    src.digest = wh_digest_new();
    fuzz_expect(src.digest && wh_walk_init(&w, &op, &src, watch, NULL), "a walk can be made");
    w.pedantic = true;
    w.want_width = width;
    w.want_guest = guest;
    struct outcome o = { .ok = wh_walk_stream(&w) };
    o.findings = w.findings;
    o.container = w.image.container;
    fuzz_expect(o.ok ? op.err.kind == WH_OK : op.err.kind == WH_STREAM && op.err.text[0],
                "only a flaw ends a walk early, and it is told");
    wh_walk_free(&w);
    wh_digest_free(src.digest);
    wh_source_close(&src);
    return o;
}

void fuzz_walk(const uint8_t *p, size_t n, unsigned width, enum wh_guest guest)
{
    struct outcome a = walk(p, n, width, guest, &lenient), b = walk(p, n, width, guest, &strict);

    fuzz_expect(a.ok || a.findings > 0, "a walk that ends early has found something");
    fuzz_expect(b.ok || a.findings > 0, "what is refused has a flaw");
    /* xl restore does not look behind END, so a strict walk forgives what stands there. */
    fuzz_expect(!b.ok || a.findings == 0 || b.container == WH_FORMAT_XL, "a flaw is refused");
}

void fuzz_walk_behind(const void *head, size_t head_n, const uint8_t *p, size_t n)
{
    uint8_t *whole = malloc(head_n + n);

    fuzz_expect(whole != NULL, "there is memory for the stream");
    memcpy(whole, head, head_n);
    memcpy(whole + head_n, p, n);
    fuzz_walk(whole, head_n + n, 0, WH_NO_GUEST);
    free(whole);
}
