/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libxl migration stream, version 2 (Xen's docs/specs/libxl-migration-stream.pandoc).
 *
 *     header
 *     LIBXC_CONTEXT, a libxc image up to its END            plain: emulator records, END
 *                    or, checkpointed, up to CHECKPOINT, emulator records, CHECKPOINT_END,
 *                    and then libxc records again, up to the next CHECKPOINT ...
 */
#include "wire/libxl.h"

#include "base/bytes.h"
#include "base/own.h"
#include "wire/walk.h"

enum { AT_START = 1, AFTER_LIBXC = 2, IN_CHECKPOINT = 4, BETWEEN = 8, AT_END = 16 };

static bool check_header(struct wh_walk *w, const struct wh_rec *r)
{
    uint32_t options = wh_be32(r->body + 12);

    if (memcmp(r->body, "LibxlFmt", 8) != 0)
        return wh_flaw_fatal(w, WH_RULE_FORMAT, r->at, "\"LibxlFmt\"", "something else");
    if (options & WH_LIBXL_BIG_ENDIAN)
        return wh_flaw_fatal(w, WH_RULE_BYTE_ORDER, r->at + 12, "little-endian records",
                             "big-endian ones (option bit 0)");
    if (options & ~WH_LIBXL_LEGACY)
        return wh_flaw(w, WH_RULE_RESERVED, r->at + 12, "no options but bits 0 and 1",
                       wh_text("%#x", options).s);
    return true;
}

static void apply_header(struct wh_image *i, const struct wh_rec *r)
{
    i->has_libxl = true;
    i->libxl_version = wh_be32(r->body + 8);
    i->libxl_options = wh_be32(r->body + 12);
    i->phase[WH_LAYER_LIBXL] = AT_START;
}

/* Pairs of NUL-terminated strings, relative key and value.  The body was read whole; the four
 * words of what a bad one is are found in one pass. */
static const char *bad_pairs(const char *p, size_t n)
{
    const char *end = p + n;

    if (n > 0 && end[-1] != '\0')
        return "no NUL at the end";
    while (p < end) {
        size_t key = strlen(p);

        if (key == 0)
            return "an empty key";
        if (*p == '/')
            return "an absolute key";
        p += key + 1;
        if (p == end)
            return "a key without a value";
        p += strlen(p) + 1;
    }
    return NULL;
}

static bool check_xenstore(struct wh_walk *w, const struct wh_rec *r)
{
    const char *bad = bad_pairs((const char *)r->body + 8, r->length - 8);
    const struct wh_row *context = wh_row_find(&wh_layer_libxl, WH_LIBXL_EMULATOR_CONTEXT);

    if ((w->image.seen[WH_LAYER_LIBXL] >> (context - wh_layer_libxl.rows) & 1) &&
        !wh_flaw(w, WH_RULE_ORDER, r->at, "it before EMULATOR_CONTEXT", "it behind"))
        return false;
    return !bad || wh_flaw(w, WH_RULE_STRINGS, r->body_at + 8,
                           "pairs of a relative key and a value, each with its NUL", bad);
}

static void print_xenstore(const struct wh_rec *r, struct wh_line *l)
{
    unsigned strings = 0;

    for (uint32_t i = 8; i < r->length; i++)
        strings += r->body[i] == 0;
    wh_say(l, "keys=%u", strings / 2);
}

/* The emulator's state is opaque and may be large: handed on in pieces. */
static bool emulator_bulk(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_rec head = *r;
    const uint8_t *p;
    size_t got;

    if (!wh_need(w, 8, &p))
        return false;
    head.body = p;
    head.length = 8;
    w->image.emulator_id = wh_le32(p);
    if (!wh_rec_check_fields(w, &head))
        return false;
    if (!w->watch->blob)
        return wh_need_skip(w, r->length - 8);
    for (uint32_t left = r->length - 8; left > 0; left -= (uint32_t)got) {
        got = left < WH_SOURCE_WINDOW ? left : WH_SOURCE_WINDOW;
        if (!wh_need(w, got, &p) || !w->watch->blob(w, r, p, got))
            return false;
    }
    return true;
}

static void apply_emulator(struct wh_image *i, const struct wh_rec *r)
{
    i->emulator_bytes = r->length - 8;
}

/* clang-format off */
static const struct wh_member header_fields[] = {
    { "version",      8, 4, WH_DEC, true, 2, 2, "2" },
    { "options",     12, 4, WH_HEX, true, 0, 0, "bit 0: big endian; bit 1: made by the legacy converter" },
    { 0 },
};

static const struct wh_member emulator_fields[] = {
    { "emulator_id",  0, 4, WH_DEC, false, 0, 2, "0 unknown (converted), 1 qemu-traditional, 2 upstream QEMU" },
    { "index",        4, 4, WH_DEC, false, 0, 0, "0" },
    { 0 },
};

static const struct wh_member state_fields[] = {
    { "id",           0, 4, WH_DEC, false, 0, 0, "0 NEW; 1 SVM_SUSPENDED, 2 SVM_READY, 3 SVM_RESUMED come on the back channel" },
    { 0 },
};
/* clang-format on */

/* Only NEW travels in this direction; the field's column cannot say "0 and nothing else". */
static bool check_state(struct wh_walk *w, const struct wh_rec *r)
{
    uint32_t id = wh_le32(r->body);

    return id == 0 || wh_flaw(w, WH_RULE_VALUE, r->body_at, "id 0 (NEW) in this direction",
                              wh_text("%u", id).s);
}

/* clang-format off */
static const struct wh_row rows[] = {
    { .name = "header", .min = WH_LIBXL_HEADER, .max = WH_LIBXL_HEADER, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER, .fields = header_fields, .check = check_header, .apply = apply_header,
      .says = "begins with \"LibxlFmt\"; big endian" },
    { 0x00000000, "END", 0, 0, 0, WH_ANY_GUEST, AFTER_LIBXC | BETWEEN, AT_END, WH_MARK,
      .says = "the last record" },
    { 0x00000001, "LIBXC_CONTEXT", 0, 0, 0, WH_ANY_GUEST, AT_START, AFTER_LIBXC, WH_MARK | WH_ONCE,
      .says = "a libxc image follows at once" },
    { 0x00000002, "EMULATOR_XENSTORE_DATA", 8, 1u << 20, 0, WH_HVM, AFTER_LIBXC | IN_CHECKPOINT, 0, WH_ONCE,
      .fields = emulator_fields, .check = check_xenstore, .print = print_xenstore,
      .says = "pairs of NUL-terminated strings: keys below the device model's node in xenstore, and values" },
    { 0x00000003, "EMULATOR_CONTEXT", 8, 64u << 20, 0, WH_HVM, AFTER_LIBXC | IN_CHECKPOINT, 0, WH_ONCE | WH_BULK,
      .fields = emulator_fields, .bulk = emulator_bulk, .apply = apply_emulator,
      .says = "the emulator's state, opaque (QEMU's begins with \"QEVM\")" },
    { 0x00000004, "CHECKPOINT_END", 0, 0, 0, WH_ANY_GUEST, IN_CHECKPOINT, BETWEEN, WH_MARK,
      .says = "Remus and COLO: the checkpoint is whole; libxc records follow" },
    { 0x00000005, "CHECKPOINT_STATE", 4, 4, 0, WH_ANY_GUEST, IN_CHECKPOINT | BETWEEN, 0, WH_MARK,
      .fields = state_fields, .check = check_state,
      .says = "COLO: hand-shake" },
};

static const char *const phases[] = { "before LIBXC_CONTEXT", "after the libxc image", "in a checkpoint", "after CHECKPOINT_END", "after END", NULL };

const struct wh_layer wh_layer_libxl = { WH_LAYER_LIBXL, "libxl", "The libxl stream, version 2", rows, WH_COUNT(rows), 64u << 20, phases };
/* clang-format on */

/* After CHECKPOINT_END the stream is libxc's again, but for COLO's hand-shake.  libxc has a type 5
 * too, but that one is longer than 4 bytes. */
static bool state_next(struct wh_walk *w, bool *yes)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(w->op, w->src, WH_REC_HEADER, &p, &got))
        return false;
    *yes = got == WH_REC_HEADER && wh_le32(p) == 5 && wh_le32(p + 4) == 4;
    return true;
}

static bool walk_epoch(struct wh_walk *w)
{
    struct wh_image *i = &w->image;
    enum wh_stop stop = wh_walk_epoch(w);

    /* What may be said once may be said once a checkpoint. */
    i->seen[WH_LAYER_LIBXL] &= 1u << (wh_row_find(&wh_layer_libxl, 1) - rows);
    i->phase[WH_LAYER_LIBXL] = stop == WH_STOP_CHECKPOINT ? IN_CHECKPOINT : AFTER_LIBXC;
    return stop != WH_STOP_BROKEN && wh_leave(w, &wh_layer_libxc, stop == WH_STOP_END);
}

bool wh_walk_libxl(struct wh_walk *w)
{
    struct wh_rec r;
    bool state;

    if (!wh_enter(w, &wh_layer_libxl) || !wh_walk_header(w, &wh_layer_libxl, "header"))
        return false;
    for (;;) {
        if (!wh_walk_record(w, &wh_layer_libxl, &r))
            return false;
        if (!r.row)
            continue;
        switch (r.type) {
        case WH_LIBXL_END:
            return wh_leave(w, &wh_layer_libxl, true);
        case WH_LIBXL_LIBXC_CONTEXT:
            if (!wh_enter(w, &wh_layer_libxc) || !wh_walk_libxc_header(w) || !walk_epoch(w))
                return false;
            break;
        case WH_LIBXL_CHECKPOINT_END:
        case WH_LIBXL_CHECKPOINT_STATE:
            if (w->image.phase[WH_LAYER_LIBXL] != BETWEEN)
                break;
            if (!state_next(w, &state) ||
                (!state && (!wh_enter(w, &wh_layer_libxc) || !walk_epoch(w))))
                return false;
            break;
        }
    }
}
