/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The legacy stream before its chunks, and the one chunk with a layout of its own. */
#include <stdio.h>

#include "base/own.h"
#include "wire/legacy_parts.h"
#include "wire/libxc.h"

/* Page entries have 28 bits for the pfn, so no guest has more. */
#define PAGES_MAX (UINT64_C(1) << 28)

/* How wide the writer's word was and what guest it is.  A 64-bit writer's size has zeros in its
 * upper half; what follows a 32-bit one is a marker of ones or a chunk, which is not zero. */
static void guess(const uint8_t *p, size_t n, unsigned *width, enum wh_guest *guest)
{
    size_t word = *width ? *width / 8 : n >= 8 && wh_le32(p + 4) == 0 ? 8 : 4;

    *width = (unsigned)word * 8;
    if (*guest == WH_NO_GUEST) {
        bool ones = word == 8 ? n >= 16 && wh_le64(p + 8) == UINT64_MAX
                              : n >= 8 && wh_le32(p + 4) == UINT32_MAX;
        *guest = ones ? WH_PV : WH_HVM;
    }
}

bool wh_legacy_plausible(const struct wh_walk *w, const uint8_t *p, size_t n)
{
    unsigned width = w->want_width;
    enum wh_guest guest = w->want_guest;

    if (n < 12)
        return false;
    guess(p, n, &width, &guest);
    uint64_t pages = width == 32 ? wh_le32(p) : wh_le64(p);
    int32_t chunk = (int32_t)wh_le32(p + width / 8);
    return pages > 0 && pages <= PAGES_MAX &&
           (guest == WH_PV || (chunk >= -20 && chunk <= 1024));
}

static bool read_size(struct wh_walk *w, struct wh_legacy *g)
{
    struct wh_image *i = &w->image;
    uint64_t at = w->src->at;
    const uint8_t *p;
    size_t got;

    i->legacy_width = w->want_width;
    i->guest = w->want_guest;
    if (!wh_source_peek(w->op, w->src, 16, &p, &got))
        return false;
    if (got >= 8)
        guess(p, got, &i->legacy_width, &i->guest);
    g->word = i->legacy_width == 32 ? 4 : 8;
    if (!wh_need(w, g->word, &p))
        return false;
    g->pages = i->legacy_pages = wh_legacy_word(g, p);
    if (g->pages == 0 || g->pages > PAGES_MAX)
        return wh_flaw_fatal(w, WH_RULE_VALUE, at, "a number of pfns from 1 to 0x10000000",
                             wh_text("%#llx", (unsigned long long)g->pages).s);
    i->has_legacy = true;
    return !w->watch->legacy || w->watch->legacy->start(w);
}

/* ---------------------------------------------------------------------- extended info */

static bool vcpu_block(struct wh_walk *w, struct wh_legacy *g, uint32_t size, uint64_t at)
{
    uint8_t info[8] = { 0 };

    if (size != WH_PV64_CONTEXT && size != WH_PV32_CONTEXT)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at, "a vcpu context of 5168 or 2800 bytes",
                             wh_text("%u", size).s);
    if (g->context_bytes)
        return wh_flaw_fatal(w, WH_RULE_DUPLICATE, at, "one vcpu block", "another");
    g->context_bytes = size;
    w->image.width = info[0] = size == WH_PV64_CONTEXT ? 8 : 4;
    info[1] = size == WH_PV64_CONTEXT ? 4 : 3;
    return wh_need_skip(w, size) &&
           wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_PV_INFO, info, sizeof info);
}

static bool xcnt_block(struct wh_walk *w, struct wh_legacy *g, uint32_t size, uint64_t at)
{
    const uint8_t *p;

    if (size < 4)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at, "at least 4 bytes", wh_text("%u", size).s);
    if (!wh_need(w, 4, &p))
        return false;
    g->xsave_bytes = wh_le32(p);
    if (g->xsave_bytes != 0 && (g->xsave_bytes < 16 || g->xsave_bytes > (64u << 10)))
        return wh_flaw_fatal(w, WH_RULE_VALUE, at + 8, "xsave state of 16 to 65536 bytes, or none",
                             wh_text("%u", g->xsave_bytes).s);
    return wh_need_skip(w, size - 4);
}

static bool one_block(struct wh_walk *w, struct wh_legacy *g, uint64_t end)
{
    uint64_t at = w->src->at;
    const uint8_t *p;
    char id[5] = { 0 };

    if (!wh_need(w, 8, &p))
        return false;
    memcpy(id, p, 4);
    uint32_t size = wh_le32(p + 4);
    if (at + 8 + size > end)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, at, "a block within the extended info",
                             wh_text("%u bytes", size).s);
    if (strcmp(id, "vcpu") == 0)
        return vcpu_block(w, g, size, at);
    if (strcmp(id, "xcnt") == 0)
        return xcnt_block(w, g, size, at);
    if (strcmp(id, "extv") != 0)
        return wh_flaw_fatal(w, WH_RULE_UNKNOWN, at, "a block vcpu, extv or xcnt",
                             wh_text("%#x", wh_le32((const uint8_t *)id)).s);
    g->has_extended = true;
    return wh_need_skip(w, size);
}

static bool extended_info(struct wh_walk *w, struct wh_legacy *g)
{
    uint64_t at = w->src->at;
    const uint8_t *p;

    w->place = "extended info";
    if (!wh_need(w, g->word + 4, &p))
        return false;
    if (wh_legacy_word(g, p) != (g->word == 4 ? UINT32_MAX : UINT64_MAX))
        return wh_flaw_fatal(w, WH_RULE_FORMAT, at, "the extended info's marker of ones",
                             "something else (an older stream, or not a PV guest's)");
    uint64_t end = w->src->at + wh_le32(p + g->word);
    while (w->src->at < end) {
        if (!one_block(w, g, end))
            return false;
    }
    return g->context_bytes != 0 ||
           wh_flaw_fatal(w, WH_RULE_MISSING, at, "a vcpu block in the extended info", "none");
}

/* ---------------------------------------------------------------------------- frames */

static bool p2m_frames(struct wh_walk *w, struct wh_legacy *g)
{
    const struct wh_legacy_watch *to = w->watch->legacy;
    uint64_t count = (g->pages - 1) / (WH_PAGE_SIZE / w->image.width) + 1;
    uint8_t head[8], wide[8];
    bool told = false;
    const uint8_t *p;

    w->place = "p2m frames";
    wh_put_le32(head, 0);
    wh_put_le32(head + 4, (uint32_t)(g->pages - 1));
    if (to && (!to->begin(w, &wh_layer_libxc, WH_LIBXC_P2M_FRAMES, (uint32_t)(8 + 8 * count)) ||
               !to->bytes(w, head, sizeof head)))
        return false;
    for (uint64_t k = 0; k < count; k++) {
        if (!wh_need(w, g->word, &p))
            return false;
        uint64_t pfn = wh_legacy_word(g, p);
        if (pfn >= g->pages && !told) {
            told = true;
            if (!wh_flaw(w, WH_RULE_PFN_RANGE, w->src->at - g->word,
                         wh_text("a pfn below %#llx", (unsigned long long)g->pages).s,
                         wh_text("%#llx", (unsigned long long)pfn).s))
                return false;
        }
        wh_put_le64(wide, pfn);
        if (to && !to->bytes(w, wide, sizeof wide))
            return false;
    }
    return !to || to->end(w);
}

bool wh_legacy_head(struct wh_walk *w, struct wh_legacy *g)
{
    bool pv;

    w->place = "header";
    if (!read_size(w, g))
        return false;
    pv = w->image.guest == WH_PV;
    g->online[0] = 1;                   /* what a reader assumes until told otherwise */
    return (!pv || extended_info(w, g)) &&
           wh_legacy_emit(w, &wh_layer_libxc, WH_LIBXC_STATIC_DATA_END, NULL, 0) &&
           (!pv || p2m_frames(w, g));
}

/* ------------------------------------------------------------------------- toolstack */

static bool add(struct wh_legacy *g, const char *text)
{
    size_t n = strlen(text) + 1;

    if (g->physmap.used + n > sizeof g->physmap.bytes)
        return false;
    memcpy(g->physmap.bytes + g->physmap.used, text, n);
    g->physmap.used += n;
    return true;
}

static bool add_pair(struct wh_legacy *g, uint64_t phys, const char *leaf, const char *value)
{
    char key[64];

    if (g->physmap.used == 0)
        g->physmap.used = 8;            /* the record's head: emulator unknown, index 0 */
    snprintf(key, sizeof key, "physmap/%llx/%s", (unsigned long long)phys, leaf);
    return add(g, key) && add(g, value);
}

/* {u64 phys, u64 start, u64 size, u32 namelen, name}; a 64-bit writer leaked four bytes of
 * padding behind the name.  *n is what is left of p. */
static const char *one_region(struct wh_legacy *g, const uint8_t **p, size_t *n)
{
    char hex[20];

    if (*n < 28)
        return "less than a region's header";
    uint64_t phys = wh_le64(*p), start = wh_le64(*p + 8), size = wh_le64(*p + 16);
    uint64_t name = wh_le32(*p + 24), leak = g->word == 8 ? 4 : 0;
    const char *text = (const char *)*p + 28;

    if (name == 0 || name + leak > *n - 28)
        return "a name that does not fit";
    if (memchr(text, '\0', name) != text + name - 1)
        return "a name without its NUL at the end";
    bool room = true;
    snprintf(hex, sizeof hex, "%llx", (unsigned long long)start);
    room &= add_pair(g, phys, "start_addr", hex);
    snprintf(hex, sizeof hex, "%llx", (unsigned long long)size);
    room &= add_pair(g, phys, "size", hex);
    room &= add_pair(g, phys, "name", text);
    *p += 28 + name + leak;
    *n -= 28 + name + leak;
    return room ? NULL : "too many regions";
}

bool wh_legacy_toolstack(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r)
{
    const char *bad = NULL;
    const uint8_t *p;

    if (!wh_need(w, 4, &p))
        return false;
    size_t n = wh_le32(p);
    r->length = 4 + (uint32_t)n;
    if (n == 0)
        return true;
    if (n < 8 || n > r->row->max - 4)
        return wh_flaw_fatal(w, WH_RULE_LENGTH, r->body_at, "8 to 65536 bytes, or none",
                             wh_text("%zu", n).s);
    if (!wh_need(w, n, &p))
        return false;
    uint32_t version = wh_le32(p), count = wh_le32(p + 4);
    if (version != 1)
        return wh_flaw_fatal(w, WH_RULE_VERSION, r->body_at + 4, "toolstack data of version 1",
                             wh_text("%u", version).s);
    p += 8;
    n -= 8;
    for (uint32_t k = 0; k < count && !bad; k++)
        bad = one_region(g, &p, &n);
    return !bad || wh_flaw_fatal(w, WH_RULE_LENGTH, r->body_at + 12, "regions that fit", bad);
}
