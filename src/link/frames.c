/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/frames.h"

#include <errno.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/bytes.h"
#include "base/own.h"

#define TABLE_MAGIC (WH_SKIPPABLE_MAGIC + 0xe)
#define FOOTER_MAGIC 0x8F92EAB1u
#define FOOTER 9
#define HEADER 8
#define WITH_CHECKSUMS 0x80
#define RESERVED 0x7c                   /* of the descriptor; the two lowest mean nothing */

void wh_frames_free(struct wh_frames *f)
{
    free(f->frame);
    *f = (struct wh_frames){ .frame = NULL };
}

/* Room for n frames and the end. */
static bool reserve(struct wh_op *op, struct wh_frames *f, size_t n)
{
    if (n < f->room)
        return true;
    size_t room = n < 64 ? 64 : 2 * n;
    struct wh_frame *more = realloc(f->frame, room * sizeof *more);
    if (!more)
        return wh_fail_sys(&op->err, ENOMEM, "remember %zu compressed frames", n);
    if (!f->frame)
        more[0] = (struct wh_frame){ 0, 0 };
    f->frame = more;
    f->room = room;
    return true;
}

bool wh_frames_add(struct wh_op *op, struct wh_frames *f, uint32_t packed, uint32_t plain)
{
    if (!reserve(op, f, f->count + 1))
        return false;
    const struct wh_frame *last = &f->frame[f->count];
    f->frame[++f->count] = (struct wh_frame){ last->at + packed, last->plain + plain };
    return true;
}

bool wh_frames_write(struct wh_op *op, struct wh_sink *k, const struct wh_frames *f)
{
    uint8_t head[HEADER], entry[8], foot[FOOTER] = { 0 };

    if (f->count > UINT32_MAX / sizeof entry - FOOTER)
        return wh_fail(&op->err, WH_USAGE, "%zu frames are more than a seek table can have",
                       f->count);
    wh_put_le32(head, TABLE_MAGIC);
    wh_put_le32(head + 4, (uint32_t)(f->count * sizeof entry + FOOTER));
    if (!wh_sink_write(op, k, head, sizeof head))
        return false;
    for (size_t i = 0; i < f->count; i++) {
        wh_put_le32(entry, (uint32_t)(f->frame[i + 1].at - f->frame[i].at));
        wh_put_le32(entry + 4, (uint32_t)(f->frame[i + 1].plain - f->frame[i].plain));
        if (!wh_sink_write(op, k, entry, sizeof entry))
            return false;
    }
    wh_put_le32(foot, (uint32_t)f->count);
    wh_put_le32(foot + 5, FOOTER_MAGIC);
    return wh_sink_write(op, k, foot, sizeof foot);
}

/* -------------------------------------------------------------------------------- read */

static bool read_at(struct wh_op *op, struct wh_source *s, uint64_t at, uint8_t *p, size_t n,
                    bool *whole)
{
    size_t got;

    wh_source_seek(s, at);
    if (!wh_source_read(op, s, p, n, &got))
        return false;
    *whole = got == n;
    return true;
}

/* Where the table's entries begin, how many there are and how long each is. */
struct table {
    uint64_t at, entries;
    size_t size;
};

static bool find_table(struct wh_op *op, struct wh_source *s, struct table *t, bool *found)
{
    uint8_t foot[FOOTER], head[HEADER];

    *found = false;
    if (s->size < HEADER + FOOTER)
        return true;
    if (!read_at(op, s, s->size - FOOTER, foot, sizeof foot, found))
        return false;
    t->entries = wh_le32(foot);
    t->size = foot[4] & WITH_CHECKSUMS ? 12 : 8;
    uint64_t length = t->entries * t->size + FOOTER;
    if (!*found || wh_le32(foot + 5) != FOOTER_MAGIC || (foot[4] & RESERVED) ||
        t->entries > WH_FRAMES_MAX || length + HEADER > s->size) {
        *found = false;
        return true;
    }
    t->at = s->size - length;
    if (!read_at(op, s, t->at - HEADER, head, sizeof head, found))
        return false;
    *found = *found && wh_le32(head) == TABLE_MAGIC && wh_le32(head + 4) == length;
    return true;
}

/* The file is as long as the entries are many, so a claim makes nobody allocate. */
static bool read_entries(struct wh_op *op, struct wh_source *s, const struct table *t,
                         struct wh_frames *f, bool *usable)
{
    uint8_t entry[12];

    if (!reserve(op, f, t->entries))
        return false;
    wh_source_seek(s, t->at);
    for (uint64_t i = 0; i < t->entries; i++) {
        size_t got;

        if (!wh_source_read(op, s, entry, t->size, &got))
            return false;
        uint32_t packed = wh_le32(entry), plain = wh_le32(entry + 4);
        *usable = got == t->size && plain > 0 && plain <= WH_FRAME_MAX &&
                  packed <= ZSTD_compressBound(WH_FRAME_MAX);
        if (!*usable)
            return true;
        if (!wh_frames_add(op, f, packed, plain))
            return false;
    }
    *usable = f->frame[f->count].at == t->at - HEADER;
    return true;
}

bool wh_frames_read(struct wh_op *op, struct wh_source *s, struct wh_frames *f, bool *found)
{
    struct table t;

    *f = (struct wh_frames){ .frame = NULL };
    bool ok = find_table(op, s, &t, found);
    if (ok && *found)
        ok = read_entries(op, s, &t, f, found);
    if (!ok || !*found)
        wh_frames_free(f);
    wh_source_seek(s, 0);
    return ok;
}

size_t wh_frames_find(const struct wh_frames *f, uint64_t at)
{
    size_t low = 0, high = f->count;        /* [low].plain <= at, or low is 0 */

    if (at >= f->frame[f->count].plain)
        return f->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (f->frame[middle].plain <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* ------------------------------------------------------------------------------ frames */

#define SINGLE_SEGMENT 0x20             /* of the byte behind the magic */

size_t wh_frame_header(const uint8_t *p)
{
    static const uint8_t dictionary[] = { 0, 1, 2, 4 }, content[] = { 0, 2, 4, 8 };
    unsigned flags = p[4], single = (flags & SINGLE_SEGMENT) != 0;

    return WH_FRAME_HEADER_KNOWN + !single + dictionary[flags & 3] + content[flags >> 6] +
           (single && flags >> 6 == 0);
}

uint64_t wh_frame_window(const uint8_t *p, size_t n)
{
    if (p[4] & SINGLE_SEGMENT)
        return ZSTD_getFrameContentSize(p, n);      /* all of it; a huge number where it is bad */
    uint64_t base = UINT64_C(1) << (10 + (p[5] >> 3));
    return base + base / 8 * (p[5] & 7);
}

size_t wh_frame_unpack(struct ZSTD_DCtx_s *tool, uint8_t *plain, size_t room, const uint8_t *packed,
                       size_t n)
{
    if (n < 4 || wh_le32(packed) != WH_FRAME_MAGIC)
        return (size_t)-ZSTD_error_prefix_unknown;
    size_t whole = ZSTD_findFrameCompressedSize(packed, n);
    if (ZSTD_isError(whole))
        return whole;
    if (wh_frame_window(packed, n) > WH_WINDOW_MAX)
        return (size_t)-ZSTD_error_frameParameter_windowTooLarge;
    if (whole != n)
        return (size_t)-ZSTD_error_srcSize_wrong;
    return ZSTD_decompressDCtx(tool, plain, room, packed, n);
}

/* ------------------------------------------------------------------------------- flaws */

/* clang-format off */
static const struct {
    ZSTD_ErrorCode code;
    struct wh_frame_flaw flaw;
} flaws[] = {
    { ZSTD_error_prefix_unknown,                { "a zstd frame",                          "other bytes" } },
    { ZSTD_error_checksum_wrong,                { "the contents' checksum",                "another" } },
    { ZSTD_error_frameParameter_windowTooLarge, { "a window of at most 128 MiB",           "a larger one (zstd --long)" } },
    { ZSTD_error_frameParameter_unsupported,    { "a frame of the zstd format",            "reserved bits in its header" } },
    { ZSTD_error_dictionary_wrong,              { "a frame that needs no dictionary",      "one that does" } },
    { ZSTD_error_srcSize_wrong,                 { "a whole frame",                         "one of another length" } },
    { ZSTD_error_dstSize_tooSmall,              { "as many bytes as the seek table says",  "more" } },
};
/* clang-format on */

struct wh_frame_flaw wh_frame_flaw(size_t zstd_error)
{
    for (size_t i = 0; i < WH_COUNT(flaws); i++) {
        if (flaws[i].code == ZSTD_getErrorCode(zstd_error))
            return flaws[i].flaw;
    }
    return (struct wh_frame_flaw){ "data that zstd can decompress", "damaged data" };
}
