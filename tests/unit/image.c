/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image.h"

#include "base/bytes.h"
#include "unit.h"
#include "wire/libxc.h"
#include "wire/libxl.h"
#include "wire/put.h"
#include "wire/trailer.h"
#include "wire/xl.h"

void image_page(uint64_t pfn, uint8_t page[WH_PAGE_SIZE])
{
    for (unsigned i = 0; i < WH_PAGE_SIZE; i++)
        page[i] = (uint8_t)(pfn * 31 + i);
}

void image_entries(unsigned batch, uint64_t entry[IMAGE_BATCH])
{
    static const uint64_t type[IMAGE_BATCH] = { WH_PAGE_NOTAB, WH_PAGE_XTAB, WH_PAGE_NOTAB,
                                                WH_PAGE_XALLOC, WH_PAGE_NOTAB };

    for (unsigned i = 0; i < IMAGE_BATCH; i++)
        entry[i] = type[i] << 60 | (batch * IMAGE_BATCH + i);
}

static bool put_batch(struct wh_op *op, struct wh_sink *k, unsigned batch)
{
    uint8_t contents[IMAGE_DATA][WH_PAGE_SIZE];
    const uint8_t *page[IMAGE_DATA];
    uint64_t entry[IMAGE_BATCH];
    unsigned n = 0;

    image_entries(batch, entry);
    for (unsigned i = 0; i < IMAGE_BATCH; i++) {
        if (!wh_page_has_data(entry[i]))
            continue;
        image_page(wh_page_pfn(entry[i]), contents[n]);
        page[n] = contents[n];
        n++;
    }
    assert_int_equal(n, IMAGE_DATA);
    return wh_put_pages(op, k, entry, IMAGE_BATCH, page);
}

static bool put(struct wh_op *op, struct wh_sink *k, uint32_t type, const void *body, size_t n)
{
    return wh_put_record(op, k, &wh_layer_libxc, type, body, n);
}

static bool put_pv_static(struct wh_op *op, struct wh_sink *k)
{
    static const uint8_t info[8] = { 8, 4 };

    return put(op, k, WH_LIBXC_PV_INFO, info, sizeof info);
}

static bool put_frames(struct wh_op *op, struct wh_sink *k)
{
    uint8_t frames[16] = { 0 };

    wh_put_le32(frames + 4, IMAGE_PFNS - 1);
    return put(op, k, WH_LIBXC_P2M_FRAMES, frames, sizeof frames);
}

static bool put_pv_tail(struct wh_op *op, struct wh_sink *k)
{
    static const uint8_t shared[WH_PAGE_SIZE], vcpu[8 + WH_PV64_CONTEXT];

    return put(op, k, WH_LIBXC_SHARED_INFO, shared, sizeof shared) &&
           put(op, k, WH_LIBXC_VCPU_BASIC, vcpu, sizeof vcpu);
}

static bool put_hvm_tail(struct wh_op *op, struct wh_sink *k)
{
    static const uint8_t params[8];
    uint8_t context[8 + 24 + 8] = { 1, 0, 0, 0, 24 };

    wh_put_le32(context + 8, 0x54381286);
    wh_put_le32(context + 12, 1);
    return put(op, k, WH_LIBXC_HVM_CONTEXT, context, sizeof context) &&
           put(op, k, WH_LIBXC_HVM_PARAMS, params, sizeof params);
}

bool image_libxc(struct wh_op *op, struct wh_sink *k, enum wh_guest guest)
{
    static const uint8_t tsc[24];

    if (!wh_put_libxc_headers(op, k, guest, 4, 17) || (guest == WH_PV && !put_pv_static(op, k)) ||
        !put(op, k, WH_LIBXC_STATIC_DATA_END, NULL, 0) || (guest == WH_PV && !put_frames(op, k)))
        return false;
    for (unsigned batch = 0; batch < IMAGE_BATCHES; batch++) {
        if (!put_batch(op, k, batch))
            return false;
    }
    return put(op, k, WH_LIBXC_TSC_INFO, tsc, sizeof tsc) &&
           (guest == WH_PV ? put_pv_tail(op, k) : put_hvm_tail(op, k)) &&
           put(op, k, WH_LIBXC_END, NULL, 0);
}

bool image_libxl(struct wh_op *op, struct wh_sink *k, enum wh_guest guest)
{
    static const uint8_t emulator[] = { 2, 0, 0, 0, 0, 0, 0, 0, 'Q', 'E', 'V', 'M', 3 };
    const struct wh_layer *libxl = &wh_layer_libxl;

    return wh_put_libxl_header(op, k, 0) &&
           wh_put_record(op, k, libxl, WH_LIBXL_LIBXC_CONTEXT, NULL, 0) &&
           image_libxc(op, k, guest) &&
           (guest == WH_PV || wh_put_record(op, k, libxl, WH_LIBXL_EMULATOR_CONTEXT, emulator,
                                            sizeof emulator)) &&
           wh_put_record(op, k, libxl, WH_LIBXL_END, NULL, 0);
}

bool image_xl(struct wh_op *op, struct wh_sink *k, enum wh_guest guest)
{
    return wh_put_xl(op, k, &(struct wh_xl){ .mandatory_flags = WH_XL_CONFIG_JSON | WH_XL_STREAM_V2,
                                             .config = IMAGE_CONFIG,
                                             .length = sizeof IMAGE_CONFIG }) &&
           image_libxl(op, k, guest);
}

int image_file(struct wh_op *op, enum wh_guest guest,
               bool (*image)(struct wh_op *, struct wh_sink *, enum wh_guest))
{
    int fd = unit_file("", 0);
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(image(op, &k, guest) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

/* The index of an image, which a walk over it makes. */
static void index_of(struct wh_op *op, int fd, struct wh_index *x)
{
    static const struct wh_watch strict;
    struct wh_source s;
    struct wh_walk w;

    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_walk_init(&w, op, &s, &strict, NULL));
    assert_true(wh_walk_stream(&w));
    *x = w.index;
    wh_index_init(&w.index);
    wh_walk_free(&w);
    wh_source_close(&s);
}

int image_with_trailer(struct wh_op *op, enum wh_guest guest, uint64_t *stream)
{
    int fd = image_file(op, guest, image_xl);
    struct wh_trailer t = { .time = 1700000000, .producer = "wherry test" };
    struct wh_index x;
    struct wh_sink k;
    size_t n;

    index_of(op, fd, &x);
    wh_auto_free uint8_t *p = unit_slurp(fd, &n);
    wh_digest_of(p, n, t.digest);
    t.stream = *stream = n;
    t.index = &x;
    lseek(fd, 0, SEEK_END);
    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_trailer_write(op, &k, &t) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    wh_index_free(&x);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

struct count {
    unsigned findings;
    char *rule;
};

static void finding(struct wh_walk *w, const struct wh_finding *f)
{
    struct count *c = w->arg;

    if (c->findings++ == 0)
        snprintf(c->rule, 32, "%s", f->rule);
}

bool image_walk(struct wh_op *op, const uint8_t *p, size_t n, bool digest, unsigned *findings,
                char *rule)
{
    static const struct wh_watch watch = { .finding = finding };
    struct count c = { .rule = rule };
    struct wh_source s;
    struct wh_walk w;

    rule[0] = '\0';
    wh_source_memory(&s, p, n);
    s.digest = digest ? wh_digest_new() : NULL;
    assert_true(wh_walk_init(&w, op, &s, &watch, &c));
    bool ok = wh_walk_stream(&w);
    wh_walk_free(&w);
    wh_digest_free(s.digest);
    *findings = c.findings;
    return ok;
}
