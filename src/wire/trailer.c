/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/trailer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/own.h"
#include "wire/put.h"
#include "wire/walk.h"

static const char begin_magic[8] = "WherryTr", end_magic[8] = "Wherry.T";

#define END_WHOLE (WH_REC_HEADER + WH_TRAILER_END_BYTES)

enum { IN_TRAILER = 1 };

static bool check_header(struct wh_walk *w, const struct wh_rec *r)
{
    return memcmp(r->body, begin_magic, sizeof begin_magic) == 0 ||
           wh_flaw_fatal(w, WH_RULE_FORMAT, r->at, "\"WherryTr\"", "something else");
}

static void apply_header(struct wh_image *i, const struct wh_rec *r)
{
    i->has_trailer = true;
    i->trailer_at = r->at;
    i->phase[WH_LAYER_TRAILER] = IN_TRAILER;
}

static void hex(const uint8_t *p, char *out)
{
    static const char digit[] = "0123456789abcdef";

    for (unsigned k = 0; k < WH_DIGEST_BYTES; k++) {
        out[2 * k] = digit[p[k] >> 4];
        out[2 * k + 1] = digit[p[k] & 15];
    }
    out[2 * WH_DIGEST_BYTES] = '\0';
}

static bool check_digest(struct wh_walk *w, uint64_t at, const uint8_t *recorded,
                         const uint8_t *counted)
{
    char want[33], got[33];

    if (memcmp(recorded, counted, WH_DIGEST_BYTES) == 0)
        return true;
    hex(recorded, want);
    hex(counted, got);
    return wh_flaw(w, WH_RULE_DIGEST, at, want, got);
}

static bool check_stream(struct wh_walk *w, const struct wh_rec *r)
{
    if (wh_le64(r->body) != w->image.trailer_at &&
        !wh_flaw(w, WH_RULE_VALUE, r->body_at,
                 wh_text("%" PRIu64 " bytes before the trailer", w->image.trailer_at).s,
                 wh_text("%" PRIu64, wh_le64(r->body)).s))
        return false;
    return !w->digested || check_digest(w, r->body_at + 8, r->body + 8, w->digest);
}

static void apply_stream(struct wh_image *i, const struct wh_rec *r)
{
    i->trailer_stream = wh_le64(r->body);
    memcpy(i->trailer_digest, r->body + 8, WH_DIGEST_BYTES);
}

/* The name is shown on terminals. */
static bool check_producer(struct wh_walk *w, const struct wh_rec *r)
{
    bool good = r->body[r->length - 1] == '\0';

    for (uint32_t k = 8; k + 1 < r->length; k++)
        good = good && r->body[k] >= 0x20 && r->body[k] < 0x7f;
    return good || wh_flaw(w, WH_RULE_STRINGS, r->body_at + 8, "printable ASCII and a NUL",
                           "something else");
}

static void apply_producer(struct wh_image *i, const struct wh_rec *r)
{
    i->trailer_time = wh_le64(r->body);
    for (uint32_t k = 8; k < r->length && k - 8 < sizeof i->trailer_producer - 1; k++) {
        bool plain = r->body[k] >= 0x20 && r->body[k] < 0x7f;
        i->trailer_producer[k - 8] = plain || r->body[k] == 0 ? (char)r->body[k] : '?';
    }
}

static void put_entry(uint8_t *p, const struct wh_index_entry *e)
{
    wh_put_le64(p, e->at);
    wh_put_le64(p + 8, e->first);
    wh_put_le64(p + 16, e->last);
    wh_put_le64(p + 24, e->records);
}

/* The walk has made its own index on the way; the recorded one is the same or wrong. */
static bool check_index(struct wh_walk *w, const struct wh_rec *r)
{
    size_t n = r->length / WH_INDEX_ENTRY_BYTES;
    uint8_t own[WH_INDEX_ENTRY_BYTES];

    if (w->index.off)
        return true;
    if (n != w->index.count)
        return wh_flaw(w, WH_RULE_INDEX, r->at, wh_text("%zu entries", w->index.count).s,
                       wh_text("%zu", n).s);
    for (size_t k = 0; k < n; k++) {
        put_entry(own, &w->index.entry[k]);
        if (memcmp(own, r->body + k * sizeof own, sizeof own) != 0)
            return wh_flaw(w, WH_RULE_INDEX, r->body_at + k * sizeof own,
                           wh_text("entry %zu to point at %#" PRIx64, k, w->index.entry[k].at).s,
                           "another entry");
    }
    return true;
}

static void apply_index(struct wh_image *i, const struct wh_rec *r)
{
    i->trailer_index_entries = r->length / WH_INDEX_ENTRY_BYTES;
}

static bool check_end(struct wh_walk *w, const struct wh_rec *r)
{
    uint64_t length = r->body_at + r->length - w->image.trailer_at;
    const struct wh_row *stream = wh_row_find(&wh_layer_trailer, WH_TRAILER_STREAM);

    if (!(w->image.seen[WH_LAYER_TRAILER] >> (stream - wh_layer_trailer.rows) & 1) &&
        !wh_flaw(w, WH_RULE_MISSING, r->at, "STREAM", "none before the end"))
        return false;
    if (wh_le64(r->body) != length &&
        !wh_flaw(w, WH_RULE_VALUE, r->body_at, wh_text("%" PRIu64 " bytes of trailer", length).s,
                 wh_text("%" PRIu64, wh_le64(r->body)).s))
        return false;
    if (memcmp(r->body + 24, end_magic, sizeof end_magic) != 0 &&
        !wh_flaw(w, WH_RULE_VALUE, r->body_at + 24, "\"Wherry.T\"", "something else"))
        return false;
    return check_digest(w, r->body_at + 8, r->body + 8, w->trailer_digest);
}

/* clang-format off */
static const struct wh_member header_fields[] = {
    { "version",   8, 4, WH_DEC,  false, 1, 1, "1" },
    { "reserved", 12, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member stream_fields[] = {
    { "length",    0, 8, WH_DEC,  false, 0, 0, "bytes of the file before the trailer" },
    { 0 },
};

static const struct wh_member producer_fields[] = {
    { "time",      0, 8, WH_DEC,  false, 0, 0, "seconds since 1970, UTC" },
    { 0 },
};

static const struct wh_member end_fields[] = {
    { "length",    0, 8, WH_DEC,  false, 0, 0, "bytes of the trailer, this record included" },
    { 0 },
};

static const struct wh_row rows[] = {
    { .name = "header", .min = WH_TRAILER_HEADER, .max = WH_TRAILER_HEADER, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER, .fields = header_fields, .check = check_header, .apply = apply_header,
      .says = "begins with \"WherryTr\"" },
    { 0x0, "END",        32, 32,                                   0, WH_ANY_GUEST, IN_TRAILER, 0, WH_MARK,
      .fields = end_fields, .check = check_end,
      .says = "behind the length: 16 bytes XXH3-128 of the trailer up to this record, 8 bytes \"Wherry.T\"" },
    { 0x1, "STREAM",     24, 24,                                   0, WH_ANY_GUEST, IN_TRAILER, 0, WH_ONCE | WH_NEEDED,
      .fields = stream_fields, .check = check_stream, .apply = apply_stream,
      .says = "behind the length: 16 bytes XXH3-128 of what stands before the trailer, canonical form" },
    { 0x2, "PRODUCER",    9, 8 + WH_TRAILER_PRODUCER_MAX,          0, WH_ANY_GUEST, IN_TRAILER, 0, WH_ONCE,
      .fields = producer_fields, .check = check_producer, .apply = apply_producer,
      .says = "behind the time: the program and its version, printable ASCII, NUL" },
    { 0x3, "PAGE_INDEX",  0, WH_INDEX_MAX * WH_INDEX_ENTRY_BYTES, 32, WH_ANY_GUEST, IN_TRAILER, 0, WH_ONCE,
      .check = check_index, .apply = apply_index,
      .says = "{u64 offset of a run of PAGE_DATA records, u64 least pfn, u64 greatest pfn, u64 records} each: as many records a run as the least power of two that makes 8192 runs or fewer; none where the stream is checkpointed" },
};

static const char *const phases[] = { "in the trailer", NULL };

const struct wh_layer wh_layer_trailer = { WH_LAYER_TRAILER, "trailer", "Wherry's trailer", rows, WH_COUNT(rows), 1u << 20, phases };
/* clang-format on */

/* ------------------------------------------------------------------------------- read */

bool wh_trailer_here(struct wh_walk *w, bool *yes)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(w->op, w->src, sizeof begin_magic, &p, &got))
        return false;
    *yes = got == sizeof begin_magic && memcmp(p, begin_magic, got) == 0;
    return true;
}

static bool walk_records(struct wh_walk *w)
{
    struct wh_rec r;
    const uint8_t *p;
    size_t got;

    if (!wh_walk_header(w, &wh_layer_trailer, "header"))
        return false;
    do {
        if (!wh_source_peek(w->op, w->src, 4, &p, &got))
            return false;
        if (got == 4 && wh_le32(p) == WH_TRAILER_END)
            wh_digest_get(w->src->digest, w->trailer_digest);
        if (!wh_walk_record(w, &wh_layer_trailer, &r))
            return false;
    } while (!r.row || r.type != WH_TRAILER_END);
    return true;
}

/* A trailer that was not expected, since it is not the last on the volume: what stands before it was
 * skipped. */
static bool read_again(struct wh_walk *w)
{
    struct wh_source *s = w->src;
    uint64_t here = s->at, gone;

    s->digest = wh_digest_new();
    if (!s->digest)
        return wh_fail_sys(&w->op->err, ENOMEM, "read the trailer");
    wh_source_seek(s, 0);
    bool ok = wh_source_skip(w->op, s, here, &gone);
    wh_digest_get(s->digest, w->digest);
    wh_digest_free(s->digest);
    s->digest = NULL;
    wh_source_seek(s, here);
    w->digested = true;
    return ok;
}

bool wh_walk_trailer(struct wh_walk *w)
{
    struct wh_digest *stream = w->src->digest, *own;

    if (stream)
        wh_digest_get(stream, w->digest);
    w->digested = stream != NULL;
    if (!stream && w->want_digest && w->src->seekable && !read_again(w))
        return false;
    own = wh_digest_new();
    if (!own)
        return wh_fail_sys(&w->op->err, ENOMEM, "read the trailer");
    w->src->digest = own;
    bool ok = walk_records(w);
    w->src->digest = stream;
    wh_digest_free(own);
    return ok;
}

/* ------------------------------------------------------------------------------ write */

static bool write_index(struct wh_op *op, struct wh_sink *k, const struct wh_index *x)
{
    uint8_t p[WH_INDEX_ENTRY_BYTES];

    if (!wh_put_begin(op, k, WH_TRAILER_PAGE_INDEX, (uint32_t)(x->count * sizeof p)))
        return false;
    for (size_t n = 0; n < x->count; n++) {
        put_entry(p, &x->entry[n]);
        if (!wh_sink_write(op, k, p, sizeof p))
            return false;
    }
    return true;
}

static bool write_records(struct wh_op *op, struct wh_sink *k, const struct wh_trailer *t)
{
    uint8_t header[WH_TRAILER_HEADER] = { 0 }, stream[24], producer[8 + WH_TRAILER_PRODUCER_MAX];
    size_t name = strlen(t->producer) + 1;

    memcpy(header, begin_magic, sizeof begin_magic);
    wh_put_le32(header + 8, WH_TRAILER_VERSION);
    wh_put_le64(stream, t->stream);
    memcpy(stream + 8, t->digest, sizeof t->digest);
    wh_put_le64(producer, t->time);
    memcpy(producer + 8, t->producer, name);
    return wh_sink_write(op, k, header, sizeof header) &&
           wh_put_record(op, k, &wh_layer_trailer, WH_TRAILER_STREAM, stream, sizeof stream) &&
           wh_put_record(op, k, &wh_layer_trailer, WH_TRAILER_PRODUCER, producer, 8 + name) &&
           (!t->index || write_index(op, k, t->index));
}

bool wh_trailer_write(struct wh_op *op, struct wh_sink *k, const struct wh_trailer *t)
{
    struct wh_digest *before = k->digest, *own = wh_digest_new();
    uint8_t end[WH_TRAILER_END_BYTES];
    uint64_t at = k->at;

    if (!own)
        return wh_fail_sys(&op->err, ENOMEM, "write the trailer");
    k->digest = own;
    bool ok = write_records(op, k, t);
    wh_put_le64(end, k->at - at + WH_REC_HEADER + sizeof end);
    wh_digest_get(own, end + 8);
    memcpy(end + 24, end_magic, sizeof end_magic);
    ok = ok && wh_put_record(op, k, &wh_layer_trailer, WH_TRAILER_END, end, sizeof end);
    k->digest = before;
    wh_digest_free(own);
    return ok;
}

/* ------------------------------------------------------------------------------- load */

/* Runs follow each other in the stream's bytes. */
static bool parse_index(struct wh_index *x, const uint8_t *p, uint32_t n, uint64_t stream)
{
    uint64_t count = n / WH_INDEX_ENTRY_BYTES;

    x->entry = calloc(count ? count : 1, sizeof *x->entry);
    if (!x->entry)
        return false;
    x->room = x->count = count;
    for (uint64_t k = 0; k < count; k++) {
        const uint8_t *e = p + k * WH_INDEX_ENTRY_BYTES;

        x->entry[k] = (struct wh_index_entry){ wh_le64(e), wh_le64(e + 8), wh_le64(e + 16),
                                               wh_le64(e + 24) };
        if (x->entry[k].at >= stream || (k > 0 && x->entry[k].at <= x->entry[k - 1].at))
            return false;
    }
    return true;
}

/* The records of a trailer whose digest was right: who made it knew the format, so what does not
 * fit is simply not used. */
static bool find_index(struct wh_index *x, const uint8_t *p, size_t n, uint64_t stream)
{
    for (size_t at = WH_TRAILER_HEADER; n - at >= WH_REC_HEADER;) {
        uint32_t type = wh_le32(p + at), length = wh_le32(p + at + 4);
        size_t whole = WH_REC_HEADER + (size_t)length + wh_padding(length);

        if (whole > n - at)
            return false;
        if (type == WH_TRAILER_PAGE_INDEX && length % WH_INDEX_ENTRY_BYTES == 0)
            return parse_index(x, p + at + WH_REC_HEADER, length, stream);
        at += whole;
    }
    return false;
}

/* The file's last bytes, if they are a trailer's END. */
static bool read_end(struct wh_op *op, struct wh_source *s, uint8_t end[END_WHOLE], bool *found)
{
    size_t got;

    *found = false;
    if (s->size < END_WHOLE)
        return true;
    wh_source_seek(s, s->size - END_WHOLE);
    if (!wh_source_read(op, s, end, END_WHOLE, &got))
        return false;
    *found = got == END_WHOLE && memcmp(end + END_WHOLE - 8, end_magic, 8) == 0;
    return true;
}

bool wh_trailer_expected(struct wh_op *op, struct wh_source *s, bool *yes)
{
    uint8_t end[END_WHOLE];

    *yes = true;
    if (!s->seekable)
        return true;
    bool ok = read_end(op, s, end, yes);
    wh_source_seek(s, 0);
    return ok;
}

bool wh_trailer_load_index(struct wh_op *op, struct wh_source *s, struct wh_index *index,
                           bool *found)
{
    const uint64_t most = 512u << 10;
    uint8_t end[END_WHOLE], digest[WH_DIGEST_BYTES];
    size_t got;

    wh_index_init(index);
    if (!read_end(op, s, end, found) || !*found)
        return op->err.kind == WH_OK;
    *found = false;
    uint64_t length = wh_le64(end + WH_REC_HEADER);
    if (length < WH_TRAILER_HEADER + END_WHOLE || length > most || length > s->size)
        return true;

    size_t n = (size_t)(length - END_WHOLE);
    wh_auto_free uint8_t *p = malloc(n);
    if (!p)
        return wh_fail_sys(&op->err, ENOMEM, "read the trailer");
    wh_source_seek(s, s->size - length);
    if (!wh_source_read(op, s, p, n, &got))
        return false;
    wh_digest_of(p, n, digest);
    if (got == n && memcmp(p, begin_magic, 8) == 0 &&
        memcmp(digest, end + WH_REC_HEADER + 8, sizeof digest) == 0)
        *found = find_index(index, p, n, s->size - length);
    return true;
}
