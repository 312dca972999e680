/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/xl.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/own.h"
#include "wire/walk.h"

const uint8_t wh_xl_magic[WH_XL_MAGIC_BYTES] = "Xen saved domain, xl format\n \0 \r";

static bool check_header(struct wh_walk *w, const struct wh_rec *r)
{
    uint32_t order = wh_le32(r->body + 32), flags = wh_le32(r->body + 36);
    uint32_t length = wh_le32(r->body + 44);

    if (order != WH_XL_BYTE_ORDER)
        return wh_flaw_fatal(w, WH_RULE_BYTE_ORDER, r->at + 32, "0x1020304 (little endian)",
                             wh_text("%#x", order).s);
    if (flags & ~(WH_XL_CONFIG_JSON | WH_XL_STREAM_V2))
        return wh_flaw_fatal(w, WH_RULE_FLAGS, r->at + 36,
                             "no mandatory flag but 0x1 (JSON) and 0x2 (v2 stream)",
                             wh_text("%#x: a newer xl wrote this", flags).s);
    if (length > WH_XL_OPTIONAL_MAX)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r->at + 44,
                             wh_text("at most %u bytes of optional data", WH_XL_OPTIONAL_MAX).s,
                             wh_text("%u", length).s);
    if (length > 0 && length < 4)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r->at + 44,
                             "no optional data, or at least 4 bytes for the length in it",
                             wh_text("%u", length).s);
    return true;
}

static void apply_header(struct wh_image *i, const struct wh_rec *r)
{
    i->xl_mandatory = wh_le32(r->body + 36);
    i->xl_optional = wh_le32(r->body + 40);
    i->xl_optlen = wh_le32(r->body + 44);
}

/* clang-format off */
static const struct wh_member header_fields[] = {
    { "byteorder",         32, 4, WH_HEX, false, 0, 0, "0x01020304 in the order of the integers that follow" },
    { "mandatory_flags",   36, 4, WH_HEX, false, 0, 0, "bit 0: the configuration is JSON; bit 1: a libxl v2 stream follows" },
    { "optional_flags",    40, 4, WH_HEX, false, 0, 0, "written as 0, ignored by xl" },
    { "optional_data_len", 44, 4, WH_DEC, false, 0, 0, "bytes of optional data, 0 or at least 4" },
    { 0 },
};

static const struct wh_row rows[] = {
    { .name = "header", .min = WH_XL_HEADER, .max = WH_XL_HEADER, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER, .fields = header_fields, .check = check_header, .apply = apply_header,
      .says = "begins with the 32 bytes \"Xen saved domain, xl format\", LF, space, NUL, space, CR" },
    { .name = "config", .min = 0, .max = WH_XL_CONFIG_MAX, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER,
      .says = "optional data: u32 length, then the configuration (JSON with its NUL, or xl.cfg text); what follows it is skipped" },
};

static const char *const phases[] = { NULL };

const struct wh_layer wh_layer_xl = { WH_LAYER_XL, "xl", "The xl save file", rows, WH_COUNT(rows), WH_XL_CONFIG_MAX, phases };
/* clang-format on */

/* The configuration is kept: it is small, and everybody wants it. */
static bool keep_config(struct wh_walk *w, struct wh_rec *r)
{
    struct wh_image *i = &w->image;

    i->config = calloc(1, (size_t)r->length + 1);
    if (!i->config)
        return wh_fail_sys(&w->op->err, ENOMEM, "read the configuration");
    if (!wh_need_read(w, i->config, r->length))
        return false;
    i->config_length = r->length;
    r->body = (const uint8_t *)i->config;
    i->config_flawed = (i->xl_mandatory & WH_XL_CONFIG_JSON) &&
                       (r->length == 0 || strlen(i->config) != (size_t)r->length - 1);
    if (i->config_flawed &&
        !wh_flaw(w, WH_RULE_STRINGS, r->body_at, "JSON text with one NUL, at its end",
                 r->length == 0 || i->config[r->length - 1] ? "no NUL at its end"
                                                            : "a NUL within it"))
        return false;
    return !w->watch->record || w->watch->record(w, r);
}

/* Optional data of the future: skipped by readers, kept by who copies the file. */
static bool keep_extra(struct wh_walk *w)
{
    struct wh_image *i = &w->image;
    size_t kept = i->extra_length < WH_XL_EXTRA_MAX ? i->extra_length : WH_XL_EXTRA_MAX;

    if (kept == 0)
        return true;
    i->extra = malloc(kept);
    if (!i->extra)
        return wh_fail_sys(&w->op->err, ENOMEM, "read the optional data");
    return wh_need_read(w, i->extra, kept) && wh_need_skip(w, i->extra_length - kept);
}

static bool walk_config(struct wh_walk *w)
{
    struct wh_rec r = { .layer = &wh_layer_xl, .row = wh_row_named(&wh_layer_xl, "config") };
    const uint8_t *p;

    r.at = w->src->at;
    w->rec = &r;
    if (!wh_need(w, 4, &p))
        return false;
    r.length = wh_le32(p);
    r.body_at = w->src->at;
    if (r.length > w->image.xl_optlen - 4)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r.at,
                             wh_text("at most the %u bytes of optional data that are left",
                                     w->image.xl_optlen - 4).s,
                             wh_text("%u", r.length).s);
    if (r.length > WH_XL_CONFIG_MAX)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r.at,
                             wh_text("at most %u bytes of configuration", WH_XL_CONFIG_MAX).s,
                             wh_text("%u", r.length).s);
    w->image.extra_length = w->image.xl_optlen - 4 - r.length;
    bool ok = keep_config(w, &r) && keep_extra(w);
    w->rec = NULL;
    return ok;
}

bool wh_walk_xl(struct wh_walk *w)
{
    if (!wh_walk_header(w, &wh_layer_xl, "header"))
        return false;
    return w->image.xl_optlen == 0 || walk_config(w);
}
