/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the writer writes, the reader finds good, and finds it to be what was written. */
#include "base/bytes.h"
#include "image.h"
#include "unit.h"
#include "wire/libxc.h"
#include "wire/libxl.h"
#include "wire/put.h"
#include "wire/xl.h"

/* What a walk was told, to be compared with what was written. */
struct told {
    uint64_t entry[64];
    size_t entries;
    uint64_t pages;
    unsigned records[WH_LAYERS];
    size_t blob;
};

static bool on_record(struct wh_walk *w, const struct wh_rec *r)
{
    struct told *t = w->arg;

    t->records[r->layer->id]++;
    return true;
}

static bool on_entries(struct wh_walk *w, const struct wh_rec *r, const uint64_t *entry, size_t n)
{
    struct told *t = w->arg;

    (void)r;
    for (size_t i = 0; i < n && t->entries < WH_COUNT(t->entry); i++)
        t->entry[t->entries++] = entry[i];
    return true;
}

static bool on_pages(struct wh_walk *w, const uint64_t *entry, size_t n, const uint8_t *contents)
{
    struct told *t = w->arg;
    uint8_t want[WH_PAGE_SIZE];

    for (size_t i = 0; i < n; i++, t->pages++) {
        image_page(wh_page_pfn(entry[i]), want);
        assert_memory_equal(contents + i * WH_PAGE_SIZE, want, sizeof want);
    }
    return true;
}

static bool on_blob(struct wh_walk *w, const struct wh_rec *r, const uint8_t *p, size_t n)
{
    (void)r;
    assert_memory_equal(p, "QEVM\3", n);
    ((struct told *)w->arg)->blob += n;
    return true;
}

/* A strict walk, the letter included. */
static void walk(struct wh_op *op, int fd, struct told *t, struct wh_image *image)
{
    static const struct wh_watch watch = { .record = on_record, .entries = on_entries,
                                           .pages = on_pages, .blob = on_blob };
    struct wh_source s;
    struct wh_walk w;

    memset(t, 0, sizeof *t);
    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_walk_init(&w, op, &s, &watch, t));
    wh_walk_stream(&w);
    assert_ok(op);
    assert_true(w.image.complete);
    assert_int_equal(s.at, s.size);
    *image = w.image;
    image->config = NULL;
    if (w.image.config)
        assert_string_equal(w.image.config, IMAGE_CONFIG);
    wh_walk_free(&w);
    wh_source_close(&s);
}

static void check_pages(const struct told *t, const struct wh_image *i)
{
    uint64_t want[IMAGE_BATCH];

    assert_int_equal(t->entries, IMAGE_PFNS);
    for (unsigned b = 0; b < IMAGE_BATCHES; b++) {
        image_entries(b, want);
        assert_memory_equal(t->entry + b * IMAGE_BATCH, want, sizeof want);
    }
    assert_int_equal(t->pages, IMAGE_BATCHES * IMAGE_DATA);
    assert_int_equal(i->page_records, IMAGE_BATCHES);
    assert_int_equal(i->page_data, t->pages);
}

static void whole_images(void **state)
{
    static const struct {
        bool (*make)(struct wh_op *, struct wh_sink *, enum wh_guest);
        enum wh_format container;
    } kinds[] = {
        { image_libxc, WH_FORMAT_LIBXC },
        { image_libxl, WH_FORMAT_LIBXL },
        { image_xl, WH_FORMAT_XL },
    };
    struct wh_op *op = *state;

    for (size_t k = 0; k < WH_COUNT(kinds); k++) {
        for (enum wh_guest guest = WH_PV; guest <= WH_HVM; guest++) {
            wh_auto_fd int fd = image_file(op, guest, kinds[k].make);
            struct wh_image i;
            struct told t;

            walk(op, fd, &t, &i);
            assert_int_equal(i.container, kinds[k].container);
            assert_int_equal(i.guest, guest);
            assert_int_equal(i.libxc_version, 3);
            assert_int_equal(i.xen_major, 4);
            assert_int_equal(i.xen_minor, 17);
            check_pages(&t, &i);
            assert_int_equal(t.blob, k > 0 && guest == WH_HVM ? 5 : 0);
        }
    }
}

/* ----------------------------------------------------------------------------- headers */

static uint8_t *written(struct wh_op *op, size_t *n,
                        bool (*write)(struct wh_op *, struct wh_sink *))
{
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(write(op, &k) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    return unit_slurp(fd, n);
}

static bool write_xl(struct wh_op *op, struct wh_sink *k)
{
    return wh_put_xl(op, k, &(struct wh_xl){ .mandatory_flags = 3, .config = "{}", .length = 3 });
}

static bool write_bare_xl(struct wh_op *op, struct wh_sink *k)
{
    return wh_put_xl(op, k, &(struct wh_xl){ .mandatory_flags = 2 });
}

static bool write_libxl(struct wh_op *op, struct wh_sink *k)
{
    return wh_put_libxl_header(op, k, WH_LIBXL_LEGACY);
}

static bool write_pv(struct wh_op *op, struct wh_sink *k)
{
    return wh_put_libxc_headers(op, k, WH_PV, 4, 17);
}

static bool write_hvm(struct wh_op *op, struct wh_sink *k)
{
    return wh_put_libxc_headers(op, k, WH_HVM, 5, 2);
}

#define XL_MAGIC "Xen saved domain, xl format\n \0 \r"
#define ONES "\xff\xff\xff\xff\xff\xff\xff\xff"

static void headers(void **state)
{
    static const struct {
        bool (*write)(struct wh_op *, struct wh_sink *);
        size_t n;
        const char *bytes;
    } want[] = {
        { write_xl, 55, XL_MAGIC "\4\3\2\1" "\3\0\0\0" "\0\0\0\0" "\7\0\0\0" "\3\0\0\0" "{}" },
        { write_bare_xl, 48, XL_MAGIC "\4\3\2\1" "\2\0\0\0" "\0\0\0\0" "\0\0\0\0" },
        { write_libxl, 16, "LibxlFmt" "\0\0\0\2" "\0\0\0\2" },
        { write_pv, 40, ONES "XENF" "\0\0\0\3" "\0\0" "\0\0" "\0\0\0\0"
                        "\1\0\0\0" "\14\0" "\0\0" "\4\0\0\0" "\21\0\0\0" },
        { write_hvm, 40, ONES "XENF" "\0\0\0\3" "\0\0" "\0\0" "\0\0\0\0"
                         "\2\0\0\0" "\14\0" "\0\0" "\5\0\0\0" "\2\0\0\0" },
    };

    for (size_t i = 0; i < WH_COUNT(want); i++) {
        size_t n;
        wh_auto_free uint8_t *is = written(*state, &n, want[i].write);

        assert_int_equal(n, want[i].n);
        assert_memory_equal(is, want[i].bytes, n);
    }
}

/* ----------------------------------------------------------------------------- records */

static void padded(void **state)
{
    struct wh_op *op = *state;

    for (size_t length = 8; length < 25; length++) {
        wh_auto_fd int fd = unit_file("", 0);
        uint8_t body[32], want[48] = { 3 };
        struct wh_sink k;
        size_t n, whole = 8 + (length + 7) / 8 * 8;

        memset(body, 0xee, sizeof body);
        assert_true(wh_sink_open(op, &k, fd));
        assert_true(wh_put_record(op, &k, &wh_layer_libxl, WH_LIBXL_EMULATOR_CONTEXT, body,
                                  length) && wh_sink_flush(op, &k));
        wh_sink_close(&k);
        wh_auto_free uint8_t *is = unit_slurp(fd, &n);
        wh_put_le32(want + 4, (uint32_t)length);
        memcpy(want + 8, body, length);
        assert_int_equal(n, whole);
        assert_memory_equal(is, want, whole);
    }
}

static void in_parts(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_sink k;
    size_t n;

    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_put_begin(op, &k, 0x80000001, 3) && wh_sink_write(op, &k, "abc", 3) &&
                wh_put_end(op, &k, 3) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    wh_auto_free uint8_t *is = unit_slurp(fd, &n);
    assert_int_equal(n, 16);
    assert_memory_equal(is, "\1\0\0\x80" "\3\0\0\0" "abc\0\0\0\0\0", 16);
}

/* One batch with every type that there is: contents follow for those that have any. */
static void every_type(void **state)
{
    static const unsigned types[] = { 0, 1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15 };
    struct wh_op *op = *state;
    wh_auto_fd int fd = unit_file("", 0);
    uint8_t contents[9][WH_PAGE_SIZE];
    const uint8_t *page[9];
    uint64_t entry[WH_COUNT(types)];
    struct wh_sink k;
    size_t n;

    for (size_t i = 0; i < WH_COUNT(types); i++)
        entry[i] = (uint64_t)types[i] << 60 | (1000 + i);
    for (size_t i = 0; i < WH_COUNT(page); i++) {
        image_page(1000 + i, contents[i]);
        page[i] = contents[i];
    }
    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_put_pages(op, &k, entry, WH_COUNT(entry), page) && wh_sink_flush(op, &k));
    wh_sink_close(&k);
    wh_auto_free uint8_t *is = unit_slurp(fd, &n);
    assert_int_equal(n, 8 + 8 + sizeof entry + sizeof contents);
    assert_int_equal(wh_le32(is), WH_LIBXC_PAGE_DATA);
    assert_int_equal(wh_le32(is + 4), n - 8);
    assert_int_equal(wh_le64(is + 8), WH_COUNT(entry));
    for (size_t i = 0; i < WH_COUNT(entry); i++)
        assert_int_equal(wh_le64(is + 16 + 8 * i), entry[i]);
    assert_memory_equal(is + 16 + sizeof entry, contents, sizeof contents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("whole images in every container are read back good and the same", whole_images),
        OP_TEST("headers are the bytes of the specifications", headers),
        OP_TEST("records are padded to eight bytes with zeros", padded),
        OP_TEST("a record may be written in parts", in_parts),
        OP_TEST("a page record has contents for the types that have any", every_type),
    };

    return cmocka_run_group_tests_name("put", tests, NULL, NULL);
}
