/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libxc image, versions 2 and 3 (Xen's docs/specs/libxc-migration-stream.pandoc).
 *
 *     image header, domain header
 *     static data ... STATIC_DATA_END              (version 3)
 *     PV: X86_PV_P2M_FRAMES
 *     PAGE_DATA ...                                live: in rounds, pages sent again
 *     tail: TSC, then the vCPUs (PV) or the HVM context and parameters
 *     END;  or CHECKPOINT, and again from PAGE_DATA on
 */
#include "wire/libxc.h"

#include "base/bytes.h"
#include "base/own.h"
#include "wire/walk.h"

#define PV32_PFNS (1u << 28)            /* a 32-bit guest's pfns have 28 bits */
#define ALL_TAIL (WH_IN_PAGES | WH_IN_VERIFY | WH_IN_TAIL)

/* ----------------------------------------------------------------------------- headers */

static bool check_image(struct wh_walk *w, const struct wh_rec *r)
{
    uint16_t options = wh_be16(r->body + 16);

    if (wh_be64(r->body) != UINT64_MAX || memcmp(r->body + 8, "XENF", 4) != 0)
        return wh_flaw_fatal(w, WH_RULE_FORMAT, r->at, "eight bytes of ones, then \"XENF\"",
                             "something else");
    if (options & 1)
        return wh_flaw_fatal(w, WH_RULE_BYTE_ORDER, r->at + 16, "little-endian records",
                             "big-endian ones (option bit 0)");
    if (options)
        return wh_flaw(w, WH_RULE_RESERVED, r->at + 16, "no options but bit 0",
                       wh_text("%#x", options).s);
    return true;
}

static void apply_image(struct wh_image *i, const struct wh_rec *r)
{
    i->libxc_version = wh_be32(r->body + 12);
    i->phase[WH_LAYER_LIBXC] = WH_IN_STATIC;
}

static void apply_domain(struct wh_image *i, const struct wh_rec *r)
{
    i->has_libxc = true;
    i->guest = wh_le32(r->body) == WH_LIBXC_DOMAIN_PV ? WH_PV : WH_HVM;
    i->xen_major = wh_le32(r->body + 8);
    i->xen_minor = wh_le32(r->body + 12);
}

/* ------------------------------------------------------------------------------- PV */

static bool check_pv_info(struct wh_walk *w, const struct wh_rec *r)
{
    unsigned width = r->body[0], levels = r->body[1];

    if ((width == 4 && levels == 3) || (width == 8 && levels == 4))
        return true;
    return wh_flaw(w, WH_RULE_VALUE, r->body_at, "width 4 with levels 3, or width 8 with levels 4",
                   wh_text("width %u with levels %u", width, levels).s);
}

static void apply_pv_info(struct wh_image *i, const struct wh_rec *r)
{
    i->width = r->body[0] == 4 && r->body[1] == 3 ? 4 : 8;
}

/* Without the guest's word nothing else of it can be judged: said once, then taken to be 8. */
static bool need_width(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_image *i = &w->image;
    uint32_t bit = 1u << (wh_row_find(&wh_layer_libxc, WH_LIBXC_PV_INFO) - wh_layer_libxc.rows);
    bool was_there = i->seen[WH_LAYER_LIBXC] & bit;

    if (i->width)
        return true;
    i->width = 8;
    i->missed[WH_LAYER_LIBXC] |= bit;
    return was_there || wh_flaw(w, WH_RULE_ORDER, r->at, "X86_PV_INFO before it", "none");
}

/* The frames of the guest's own p2m: one for every 512 or 1024 pfns from start to end. */
static bool frames_bulk(struct wh_walk *w, const struct wh_rec *r)
{
    const uint8_t *p;
    struct wh_image *i = &w->image;
    bool told = false;

    if (!need_width(w, r) || !wh_need(w, 8, &p))
        return false;
    uint64_t start = wh_le32(p), end = wh_le32(p + 4), per = WH_PAGE_SIZE / i->width;
    uint64_t want = end >= start ? end / per - start / per + 1 : 0, have = (r->length - 8) / 8;

    if (end < start && !wh_flaw(w, WH_RULE_VALUE, r->body_at,
                                wh_text("an end not below the start %llu", (long long)start).s,
                                wh_text("%llu", (long long)end).s))
        return false;
    if (end >= start && want != have &&
        !wh_flaw(w, WH_RULE_LENGTH, r->at,
                 wh_text("%llu bytes: pfns %llu to %llu, %llu a frame", (long long)(8 + 8 * want),
                         (long long)start, (long long)end, (long long)per).s,
                 wh_text("%u", r->length).s))
        return false;
    if (i->width == 4 && end >= PV32_PFNS &&
        !wh_flaw(w, WH_RULE_PFN_RANGE, r->body_at + 4,
                 wh_text("an end below %#x for a 32-bit guest", PV32_PFNS).s,
                 wh_text("%#llx", (long long)end).s))
        return false;
    i->has_frames = true;
    if (end < start)
        i->frames_end = WH_PFN_LIMIT - 1;       /* of what it should have been nothing is known */
    else if (end > i->frames_end)
        i->frames_end = end;
    for (uint64_t k = 0; k < have; k++) {
        if (!wh_need(w, 8, &p))
            return false;
        if (wh_le64(p) > i->frames_end && !told) {
            told = true;
            if (!wh_flaw(w, WH_RULE_PFN_RANGE, r->body_at + 8 + 8 * k,
                         wh_text("a pfn up to %llu", (long long)i->frames_end).s,
                         wh_text("%llu", (long long)wh_le64(p)).s))
                return false;
        }
        if (w->watch->frame && !w->watch->frame(w, start / per + k, wh_le64(p)))
            return false;
    }
    return true;
}

static void print_vcpu(const struct wh_rec *r, struct wh_line *l)
{
    wh_say(l, "blob=%u", r->length - 8);
}

/* A bit for each of the four vCPU records. */
static uint8_t vcpu_bit(uint32_t type)
{
    return type == WH_LIBXC_VCPU_MSRS ? 8 : (uint8_t)(1u << (type - WH_LIBXC_VCPU_BASIC));
}

/* What all four vCPU records share: the id, once an epoch each, and a blob that is not empty. */
static bool check_vcpu(struct wh_walk *w, const struct wh_rec *r)
{
    uint32_t id = wh_le32(r->body);
    uint8_t bit = vcpu_bit(r->type);

    if (id >= WH_VCPUS_MAX)
        return wh_flaw(w, WH_RULE_VALUE, r->body_at, wh_text("a vcpu below %u", WH_VCPUS_MAX).s,
                       wh_text("%u", id).s);
    if ((w->image.vcpu_seen[id] & bit) &&
        !wh_flaw(w, WH_RULE_DUPLICATE, r->at, wh_text("one of these for vcpu %u", id).s, "another"))
        return false;
    return r->length > 8 || wh_flaw_pedantic(w, r->at, "a vcpu's state", "an empty one");
}

static void apply_vcpu(struct wh_image *i, const struct wh_rec *r)
{
    uint32_t id = wh_le32(r->body);

    if (id >= WH_VCPUS_MAX)
        return;
    i->vcpu_seen[id] |= vcpu_bit(r->type);
    if (i->vcpus <= id)
        i->vcpus = id + 1;
}

static bool check_basic(struct wh_walk *w, const struct wh_rec *r)
{
    if (!need_width(w, r))
        return false;
    uint32_t want = w->image.width == 4 ? WH_PV32_CONTEXT : WH_PV64_CONTEXT;

    if (r->length > 8 && r->length - 8 != want &&
        !wh_flaw(w, WH_RULE_LENGTH, r->at,
                 wh_text("%u bytes for a %u-bit guest", 8 + want, w->image.width * 8).s,
                 wh_text("%u", r->length).s))
        return false;
    return check_vcpu(w, r);
}

static bool check_extended(struct wh_walk *w, const struct wh_rec *r)
{
    if (r->length >= 16 && wh_le32(r->body + 8) != wh_le32(r->body) &&
        !wh_flaw(w, WH_RULE_VALUE, r->body_at + 8,
                 wh_text("vcpu %u in the state as in the record", wh_le32(r->body)).s,
                 wh_text("%u", wh_le32(r->body + 8)).s))
        return false;
    return check_vcpu(w, r);
}

static bool check_xsave(struct wh_walk *w, const struct wh_rec *r)
{
    if (r->length > 8 && r->length < 24 &&
        !wh_flaw(w, WH_RULE_LENGTH, r->at, "at least 16 bytes of state", wh_text("%u", r->length - 8).s))
        return false;
    return check_vcpu(w, r);
}

static bool check_msrs(struct wh_walk *w, const struct wh_rec *r)
{
    for (uint32_t k = 8; k < r->length; k += 16) {
        if (wh_le32(r->body + k + 4) != 0)
            return wh_flaw(w, WH_RULE_RESERVED, r->body_at + k + 4, "zero",
                           wh_text("%#x", wh_le32(r->body + k + 4)).s);
    }
    return check_vcpu(w, r);
}

/* ------------------------------------------------------------------------------ HVM */

_Bool wh_hvm_entry_next(const uint8_t *p, uint32_t n, uint32_t *at, struct wh_hvm_entry *e)
{
    if (n - *at < 8)
        return false;
    *e = (struct wh_hvm_entry){ wh_le16(p + *at), wh_le16(p + *at + 2), wh_le32(p + *at + 4),
                                p + *at + 8 };
    if (e->length > n - *at - 8)
        return false;
    *at += 8 + e->length;
    return true;
}

bool wh_hvm_context_check(struct wh_walk *w, const struct wh_rec *r)
{
    struct wh_hvm_entry e;
    uint32_t at = 0, here = 0;

    for (bool first = true;; first = false) {
        here = at;
        if (!wh_hvm_entry_next(r->body, r->length, &at, &e))
            return wh_flaw(w, WH_RULE_CHAIN, r->body_at + here, "an entry that fits, up to END",
                           wh_text("%u bytes left", r->length - here).s);
        if (first && (e.type != 1 || e.length != 24 || wh_le32(e.data) != 0x54381286 ||
                      wh_le32(e.data + 4) != 1))
            return wh_flaw(w, WH_RULE_CHAIN, r->body_at,
                           "entry 1 (HEADER) of 24 bytes with magic 0x54381286 and version 1",
                           wh_text("entry %u of %u bytes, or others in it", e.type, e.length).s);
        if (e.type == 0)
            break;
    }
    if (e.length != 0 || at != r->length)
        return wh_flaw(w, WH_RULE_CHAIN, r->body_at + here, "entry 0 (END) empty and last",
                       wh_text("%u bytes after it", r->length - here - 8).s);
    return true;
}

static void print_hvm_context(const struct wh_rec *r, struct wh_line *l)
{
    struct wh_hvm_entry e = { .type = 1 };
    unsigned entries = 0;

    for (uint32_t at = 0; e.type != 0 && wh_hvm_entry_next(r->body, r->length, &at, &e);)
        entries++;
    wh_say(l, "entries=%u", entries);
}

/* A vCPU has one entry of type 2 (CPU). */
static void apply_hvm_context(struct wh_image *i, const struct wh_rec *r)
{
    struct wh_hvm_entry e = { .type = 1 };
    unsigned vcpus = 0;

    for (uint32_t at = 0; e.type != 0 && wh_hvm_entry_next(r->body, r->length, &at, &e);)
        vcpus += e.type == 2;
    i->vcpus = vcpus;
}

static bool check_hvm_params(struct wh_walk *w, const struct wh_rec *r)
{
    const struct wh_row *context = wh_row_find(&wh_layer_libxc, WH_LIBXC_HVM_CONTEXT);
    uint32_t count = wh_le32(r->body), have = (r->length - 8) / 16;

    if ((w->image.seen[WH_LAYER_LIBXC] >> (context - wh_layer_libxc.rows) & 1) &&
        !wh_flaw_pedantic(w, r->at, "HVM_PARAMS before HVM_CONTEXT", "it behind"))
        return false;
    return count == have ||
           wh_flaw(w, WH_RULE_LENGTH, r->at,
                   wh_text("%llu bytes for %u parameters", 8 + 16 * (unsigned long long)count, count).s,
                   wh_text("%u", r->length).s);
}

/* ----------------------------------------------------------------------------- both */

static void print_leaves(const struct wh_rec *r, struct wh_line *l)
{
    wh_say(l, "leaves=%u", r->length / 24);
}

static bool check_msr_policy(struct wh_walk *w, const struct wh_rec *r)
{
    for (uint32_t k = 0; k < r->length; k += 16) {
        if (wh_le32(r->body + k + 4) != 0)
            return wh_flaw(w, WH_RULE_RESERVED, r->body_at + k + 4, "flags of zero",
                           wh_text("%#x", wh_le32(r->body + k + 4)).s);
    }
    return true;
}

static void print_msrs(const struct wh_rec *r, struct wh_line *l)
{
    wh_say(l, "msrs=%u", r->length / 16);
}

static void apply_tsc(struct wh_image *i, const struct wh_rec *r)
{
    i->tsc_mode = wh_le32(r->body);
    i->tsc_khz = wh_le32(r->body + 4);
}

static void apply_verify(struct wh_image *i, const struct wh_rec *r)
{
    (void)r;
    i->verifying = true;
}

/* The back channel's list: pfns and nothing else.  Here it is out of place, and skipped. */
static bool dirty_list_bulk(struct wh_walk *w, const struct wh_rec *r)
{
    return wh_need_skip(w, r->length);
}

/* clang-format off */
static const struct wh_member image_fields[] = {
    { "version",     12, 4, WH_DEC,  true,  2, 3, "2 (Xen 4.6 to 4.13) or 3 (4.14 and later)" },
    { "options",     16, 2, WH_HEX,  true,  0, 0, "bit 0: big endian" },
    { "reserved",    18, 2, WH_ZERO, true,  0, 0, NULL },
    { "reserved",    20, 4, WH_ZERO, true,  0, 0, NULL },
    { 0 },
};

static const struct wh_member domain_fields[] = {
    { "type",         0, 4, WH_DEC,  false, 1, 2, "1 x86 PV, 2 x86 HVM (and PVH)" },
    { "page_shift",   4, 2, WH_DEC,  false, 12, 12, "12" },
    { "reserved",     6, 2, WH_ZERO, false, 0, 0, NULL },
    { "xen_major",    8, 4, WH_DEC,  false, 0, 0, "of the Xen that wrote it; 0: made by the legacy converter" },
    { "xen_minor",   12, 4, WH_DEC,  false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member page_fields[] = {
    { "count",        0, 4, WH_DEC,  false, 0, 0, "of entries, at least 1" },
    { "reserved",     4, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member pv_info_fields[] = {
    { "width",        0, 1, WH_DEC,  false, 0, 0, "of the guest's word: 4 or 8 bytes" },
    { "levels",       1, 1, WH_DEC,  false, 0, 0, "of its page tables: 3 or 4" },
    { "reserved",     2, 2, WH_ZERO, false, 0, 0, NULL },
    { "reserved",     4, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member frames_fields[] = {
    { "start",        0, 4, WH_DEC,  false, 0, 0, "first pfn covered" },
    { "end",          4, 4, WH_DEC,  false, 0, 0, "last pfn covered" },
    { 0 },
};

static const struct wh_member vcpu_fields[] = {
    { "vcpu",         0, 4, WH_DEC,  false, 0, 0, NULL },
    { "reserved",     4, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member tsc_fields[] = {
    { "mode",         0, 4, WH_DEC,  false, 0, 3, "0 default, 1 always emulate, 2 never, 3 PVRDTSCP" },
    { "khz",          4, 4, WH_DEC,  false, 0, 0, NULL },
    { "nsec",         8, 8, WH_DEC,  false, 0, 0, "elapsed" },
    { "incarnation", 16, 4, WH_DEC,  false, 0, 0, NULL },
    { "reserved",    20, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_member params_fields[] = {
    { "count",        0, 4, WH_DEC,  false, 0, 0, NULL },
    { "reserved",     4, 4, WH_ZERO, false, 0, 0, NULL },
    { 0 },
};

static const struct wh_row rows[] = {
    { .name = "image header", .min = WH_LIBXC_HEADER, .max = WH_LIBXC_HEADER, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER, .fields = image_fields, .check = check_image, .apply = apply_image,
      .says = "begins with eight bytes of ones and \"XENF\"; big endian" },
    { .name = "domain header", .min = WH_LIBXC_DOMAIN, .max = WH_LIBXC_DOMAIN, .guests = WH_ANY_GUEST,
      .flags = WH_HEADER, .fields = domain_fields, .apply = apply_domain, .says = "little endian, as all that follows" },
    /* type  name                         min  max            unit guests         in                          opens           flags */
    { 0x00, "END",                          0, 0,               0, WH_ANY_GUEST,  ALL_TAIL,                   0,              WH_MARK,
      .says = "the last record" },
    { 0x01, "PAGE_DATA",                    8, WH_LIBXC_MAX,    8, WH_ANY_GUEST,  WH_IN_PAGES | WH_IN_VERIFY, 0,              WH_BULK,
      .fields = page_fields, .bulk = wh_pages_bulk,
      .says = "u64 entries (type in bits 63-60, pfn in 51-0), then 4096 bytes for each whose type has contents" },
    { 0x02, "X86_PV_INFO",                  8, 8,               0, WH_PV,         WH_IN_STATIC,               0,              WH_ONCE | WH_NEEDED,
      .fields = pv_info_fields, .check = check_pv_info, .apply = apply_pv_info },
    { 0x03, "X86_PV_P2M_FRAMES",           16, WH_LIBXC_MAX,    8, WH_PV,         WH_IN_LAYOUT | WH_IN_PAGES, WH_IN_PAGES,    WH_BULK | WH_NEEDED,
      .fields = frames_fields, .bulk = frames_bulk, .says = "u64 pfns of the frames that hold the guest's p2m" },
    { 0x04, "X86_PV_VCPU_BASIC",            8, 8 + WH_PV64_CONTEXT, 0, WH_PV,     ALL_TAIL,                   WH_IN_TAIL,     WH_NEEDED,
      .fields = vcpu_fields, .check = check_basic, .print = print_vcpu, .apply = apply_vcpu,
      .says = "vcpu_guest_context of the guest's width, frame numbers as pfns" },
    { 0x05, "X86_PV_VCPU_EXTENDED",         8, 8 + 128,         0, WH_PV,         ALL_TAIL,                   WH_IN_TAIL,     0,
      .fields = vcpu_fields, .check = check_extended, .print = print_vcpu, .apply = apply_vcpu,
      .says = "xen_domctl_ext_vcpucontext, which begins with the vcpu again" },
    { 0x06, "X86_PV_VCPU_XSAVE",            8, 64u << 10,       0, WH_PV,         ALL_TAIL,                   WH_IN_TAIL,     0,
      .fields = vcpu_fields, .check = check_xsave, .print = print_vcpu, .apply = apply_vcpu,
      .says = "u64 xcr0, u64 xcr0_accum, the XSAVE area" },
    { 0x07, "SHARED_INFO",               4096, 4096,            0, WH_PV,         ALL_TAIL,                   WH_IN_TAIL,     WH_ONCE | WH_NEEDED,
      .says = "the page" },
    { 0x08, "X86_TSC_INFO",                24, 24,              0, WH_ANY_GUEST,  ALL_TAIL,                   0,              WH_ONCE,
      .fields = tsc_fields, .apply = apply_tsc },
    { 0x09, "HVM_CONTEXT",                  1, WH_WHOLE_MAX,    0, WH_HVM,        ALL_TAIL,                   WH_IN_TAIL,     WH_ONCE | WH_NEEDED,
      .check = wh_hvm_context_check, .print = print_hvm_context, .apply = apply_hvm_context,
      .says = "entries {u16 type, u16 instance, u32 length, data} from HEADER (1) to END (0)" },
    { 0x0a, "HVM_PARAMS",                   8, 1u << 20,       16, WH_HVM,        ALL_TAIL,                   WH_IN_TAIL,     WH_NEEDED,
      .fields = params_fields, .check = check_hvm_params, .says = "{u64 index, u64 value} each" },
    { 0x0c, "X86_PV_VCPU_MSRS",             8, 64u << 10,      16, WH_PV,         ALL_TAIL,                   WH_IN_TAIL,     0,
      .fields = vcpu_fields, .check = check_msrs, .print = print_vcpu, .apply = apply_vcpu,
      .says = "{u32 index, u32 reserved, u64 value} each" },
    { 0x0d, "VERIFY",                       0, 0,               0, WH_ANY_GUEST,  WH_IN_PAGES,                WH_IN_VERIFY,   WH_ONCE,
      .apply = apply_verify, .says = "the pages that follow are to be compared, not copied (xl migrate --debug)" },
    { 0x0e, "CHECKPOINT",                   0, 0,               0, WH_ANY_GUEST,  ALL_TAIL,                   WH_IN_PAGES,    WH_MARK,
      .says = "a consistent state; another epoch may follow" },
    { 0x0f, "CHECKPOINT_DIRTY_PFN_LIST",    0, WH_LIBXC_MAX,    8, WH_ANY_GUEST,  0,                          0,              WH_BULK,
      .bulk = dirty_list_bulk, .says = "u64 pfns; COLO's back channel only" },
    { 0x10, "STATIC_DATA_END",              0, 0,               0, WH_ANY_GUEST,  WH_IN_STATIC,               WH_IN_LAYOUT,   WH_SINCE_V3 | WH_NEEDED },
    { 0x11, "X86_CPUID_POLICY",            24, 64u * 24 * 1024, 24, WH_ANY_GUEST, WH_IN_STATIC,               0,              WH_ONCE | WH_SINCE_V3,
      .print = print_leaves, .says = "{u32 leaf, subleaf, eax, ebx, ecx, edx} each" },
    { 0x12, "X86_MSR_POLICY",              16, 1u << 20,       16, WH_ANY_GUEST,  WH_IN_STATIC,               0,              WH_ONCE | WH_SINCE_V3,
      .check = check_msr_policy, .print = print_msrs, .says = "{u32 index, u32 flags, u64 value} each" },
};

static const char *const phases[] = { "in static data", "before the p2m frames", "among the pages", "among the pages to verify", "in the tail", NULL };

const struct wh_layer wh_layer_libxc = { WH_LAYER_LIBXC, "libxc", "The libxc image, versions 2 and 3", rows, WH_COUNT(rows), WH_LIBXC_MAX, phases };
/* clang-format on */

_Static_assert(WH_COUNT(rows) <= 32, "image.seen has a bit a row");

/* ------------------------------------------------------------------------------ walk */

bool wh_walk_libxc_header(struct wh_walk *w)
{
    return wh_walk_header(w, &wh_layer_libxc, "image header") &&
           wh_walk_header(w, &wh_layer_libxc, "domain header");
}

static bool ever_seen(const struct wh_image *i, const struct wh_row *row)
{
    return (i->seen[WH_LAYER_LIBXC] | i->seen_before | i->missed[WH_LAYER_LIBXC]) >> (row - rows) &
           1;
}

/* At the end of an image or an epoch: what must have come has come.  What a later epoch does not
 * say again holds from an earlier one. */
static bool check_needed(struct wh_walk *w, const struct wh_rec *r)
{
    const struct wh_image *i = &w->image;

    for (const struct wh_row *row = rows; row < rows + WH_COUNT(rows); row++) {
        if (!(row->flags & WH_NEEDED) || !(row->guests & i->guest) || ever_seen(i, row) ||
            ((row->flags & WH_SINCE_V3) && i->libxc_version < 3))
            continue;
        if (!wh_flaw(w, WH_RULE_MISSING, r->at, row->name, "none before the end"))
            return false;
    }
    return ever_seen(i, wh_row_find(&wh_layer_libxc, WH_LIBXC_TSC_INFO)) ||
           wh_flaw_pedantic(w, r->at, "X86_TSC_INFO", "none");
}

/* The static records count for all epochs, the tail's for one. */
static void begin_epoch(struct wh_image *i)
{
    i->seen_before |= i->seen[WH_LAYER_LIBXC];
    for (size_t k = 0; k < WH_COUNT(rows); k++) {
        if (rows[k].in & WH_IN_TAIL)
            i->seen[WH_LAYER_LIBXC] &= ~(1u << k);
    }
    memset(i->vcpu_seen, 0, sizeof i->vcpu_seen);
    i->page_seen = false;
    i->fresh = true;
    i->epochs++;
}

/* Version 2 has no STATIC_DATA_END; and only PV guests have a p2m to lay out. */
static void move_on(struct wh_image *i, uint32_t next)
{
    const struct wh_row *row = wh_row_find(&wh_layer_libxc, next);
    unsigned *phase = &i->phase[WH_LAYER_LIBXC];

    if (*phase == WH_IN_STATIC && i->libxc_version < 3 && row && !(row->in & WH_IN_STATIC))
        *phase = WH_IN_LAYOUT;
    if (*phase == WH_IN_LAYOUT && i->guest == WH_HVM)
        *phase = WH_IN_PAGES;
}

static bool peek_type(struct wh_walk *w, uint32_t *type)
{
    const uint8_t *p;
    size_t got;

    if (!wh_source_peek(w->op, w->src, 4, &p, &got))
        return false;
    *type = got == 4 ? wh_le32(p) : UINT32_MAX;
    return true;
}

enum wh_stop wh_walk_epoch(struct wh_walk *w)
{
    struct wh_image *i = &w->image;
    struct wh_rec r;
    uint32_t type;

    for (;;) {
        if (!peek_type(w, &type))
            return WH_STOP_BROKEN;
        move_on(i, type);
        if (!wh_walk_record(w, &wh_layer_libxc, &r))
            return WH_STOP_BROKEN;
        if (r.row && (r.type == WH_LIBXC_END || r.type == WH_LIBXC_CHECKPOINT)) {
            w->rec = &r;
            bool ok = (r.type == WH_LIBXC_END && i->fresh) || check_needed(w, &r);
            w->rec = NULL;
            if (!ok)
                return WH_STOP_BROKEN;
            if (r.type == WH_LIBXC_END)
                return WH_STOP_END;
            begin_epoch(i);
            return WH_STOP_CHECKPOINT;
        }
        i->fresh = false;
    }
}

bool wh_walk_libxc(struct wh_walk *w)
{
    if (!wh_enter(w, &wh_layer_libxc) || !wh_walk_libxc_header(w))
        return false;
    for (;;) {
        enum wh_stop stop = wh_walk_epoch(w);

        if (stop == WH_STOP_BROKEN || !wh_leave(w, &wh_layer_libxc, stop == WH_STOP_END))
            return false;
        if (stop == WH_STOP_END)
            return true;
        if (!wh_enter(w, &wh_layer_libxc))
            return false;
    }
}
