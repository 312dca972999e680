/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The trailer: written, found, read back; and no change of the file before or in it goes by. */
#include "base/bytes.h"
#include "image.h"
#include "unit.h"
#include "wire/libxl.h"
#include "wire/put.h"
#include "wire/trailer.h"

/* A file with a trailer, in memory. */
struct made {
    uint8_t *p;
    size_t n;
    uint64_t stream;            /* where the trailer begins */
};

static struct made made[WH_HVM + 1];

static int make(void **state)
{
    struct wh_op op;

    (void)state;
    assert_true(wh_op_init(&op));
    for (enum wh_guest guest = WH_PV; guest <= WH_HVM; guest++) {
        wh_auto_fd int fd = image_with_trailer(&op, guest, &made[guest].stream);

        made[guest].p = unit_slurp(fd, &made[guest].n);
    }
    wh_op_done(&op);
    return 0;
}

static int drop(void **state)
{
    (void)state;
    for (enum wh_guest guest = WH_PV; guest <= WH_HVM; guest++)
        free(made[guest].p);
    return 0;
}

/* ------------------------------------------------------------------------- on a thread */

#define LONG (8 + (1u << 20))       /* a body that grows, and moves, while it is read */

static bool image_long(struct wh_op *op, struct wh_sink *k, enum wh_guest guest)
{
    const struct wh_layer *libxl = &wh_layer_libxl;
    wh_auto_free uint8_t *emulator = unit_bytes(7, LONG);

    wh_put_le32(emulator, 2);
    wh_put_le32(emulator + 4, 0);
    return wh_put_libxl_header(op, k, 0) &&
           wh_put_record(op, k, libxl, WH_LIBXL_LIBXC_CONTEXT, NULL, 0) &&
           image_libxc(op, k, guest) &&
           wh_put_record(op, k, libxl, WH_LIBXL_EMULATOR_CONTEXT, emulator, LONG) &&
           wh_put_record(op, k, libxl, WH_LIBXL_END, NULL, 0);
}

static uint8_t room[IMAGE_DATA * WH_PAGE_SIZE];

static bool place(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t **to)
{
    (void)w;
    (void)entry;
    assert_true(n <= IMAGE_DATA);
    *to = room;
    return true;
}

/* Whoever placed them does with them as he likes. */
static bool placed(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t *to, bool whole)
{
    (void)w;
    (void)entry;
    memset(to, 0xee, n * WH_PAGE_SIZE);
    return whole;
}

static void a_digest_on_a_thread_sees_what_was_read(void **state)
{
    static const struct wh_watch watch = { .place = place, .placed = placed };
    struct wh_op *op = *state;
    wh_auto_fd int fd = image_file(op, WH_HVM, image_long);
    uint8_t digest[WH_DIGEST_BYTES], whole[WH_DIGEST_BYTES];
    struct wh_source s;
    struct wh_walk w;
    size_t n;

    assert_true(wh_source_open(op, &s, fd));
    assert_non_null(s.digest = wh_digest_new());
    wh_digest_thread(s.digest);
    assert_true(wh_walk_init(&w, op, &s, &watch, NULL));
    assert_true(wh_walk_stream(&w));
    assert_ok(op);
    wh_digest_get(s.digest, digest);
    wh_digest_free(s.digest);
    wh_walk_free(&w);
    wh_source_close(&s);
    wh_auto_free uint8_t *p = unit_slurp(fd, &n);
    wh_digest_of(p, n, whole);
    assert_memory_equal(digest, whole, sizeof whole);
}

static void reads_back(void **state)
{
    static const struct wh_watch strict;
    struct wh_op *op = *state;
    const struct made *m = &made[WH_PV];
    struct wh_source s;
    struct wh_walk w;

    wh_source_memory(&s, m->p, m->n);
    assert_true(wh_walk_init(&w, op, &s, &strict, NULL));
    assert_true(wh_walk_stream(&w));
    assert_true(w.image.has_trailer);
    assert_int_equal(w.image.trailer_at, m->stream);
    assert_int_equal(w.image.trailer_stream, m->stream);
    assert_int_equal(w.image.trailer_time, 1700000000);
    assert_string_equal(w.image.trailer_producer, "wherry test");
    assert_int_equal(w.image.trailer_index_entries, IMAGE_BATCHES);
    assert_int_equal(s.at, m->n);
    wh_walk_free(&w);
}

static void good(void **state)
{
    char rule[32];
    unsigned findings;

    for (enum wh_guest guest = WH_PV; guest <= WH_HVM; guest++) {
        for (int digest = 0; digest < 2; digest++) {
            assert_true(image_walk(*state, made[guest].p, made[guest].n, digest, &findings, rule));
            assert_int_equal(findings, 0);
        }
    }
}

/* Walks a private copy, so that reading past it is seen. */
static unsigned flaws(const uint8_t *p, size_t n, bool digest, char *rule)
{
    wh_auto_free uint8_t *copy = malloc(n ? n : 1);
    struct wh_op op;
    unsigned findings;

    memcpy(copy, p, n);
    assert_true(wh_op_init(&op));
    bool ok = image_walk(&op, copy, n, digest, &findings, rule);
    assert_true(ok ? op.err.kind == WH_OK : op.err.kind == WH_STREAM && findings > 0);
    wh_op_done(&op);
    return findings;
}

/* Everywhere in the trailer, and at every eleventh place before it. */
static void changed_byte(void **state)
{
    (void)state;
    for (enum wh_guest guest = WH_PV; guest <= WH_HVM; guest++) {
        const struct made *m = &made[guest];
        uint64_t seed = 12;
        char rule[32];

        for (size_t at = 0; at < m->n; at += at < m->stream ? 11 : 1) {
            uint8_t was = m->p[at], change = (uint8_t)(1 + unit_below(&seed, 255));

            m->p[at] ^= change;
            if (flaws(m->p, m->n, true, rule) == 0)
                fail_msg("guest %d: byte %zu changed by %#x goes by", guest, at, change);
            m->p[at] = was;
        }
    }
}

/* The trailer has its own digest, which is checked although nobody asked for the stream's. */
static void changed_trailer_byte(void **state)
{
    const struct made *m = &made[WH_PV];
    char rule[32];

    (void)state;
    for (size_t at = m->stream; at < m->n; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            m->p[at] ^= (uint8_t)(1u << bit);
            if (flaws(m->p, m->n, false, rule) == 0)
                fail_msg("bit %u of byte %zu of the trailer goes by", bit, at - m->stream);
            m->p[at] ^= (uint8_t)(1u << bit);
        }
    }
}

static void changed_content(void **state)
{
    const struct made *m = &made[WH_PV];
    uint8_t page[WH_PAGE_SIZE];
    char rule[32];

    (void)state;
    image_page(2, page);
    uint8_t *at = memmem(m->p, m->n, page, sizeof page);
    assert_non_null(at);
    at[100] ^= 1;
    assert_int_equal(flaws(m->p, m->n, false, rule), 0);
    assert_int_equal(flaws(m->p, m->n, true, rule), 1);
    assert_string_equal(rule, "digest");
    at[100] ^= 1;
}

/* Cut exactly before the trailer it is what stock xl would have written. */
static void cut(void **state)
{
    const struct made *m = &made[WH_HVM];
    char rule[32];

    (void)state;
    for (size_t n = m->stream; n < m->n; n++) {
        unsigned findings = flaws(m->p, n, n % 2, rule);

        if (findings != (n > m->stream))
            fail_msg("cut after %zu bytes of the trailer: %u findings", n - m->stream, findings);
        if (n > m->stream)
            assert_true(strcmp(rule, "truncated") == 0 || strcmp(rule, "trailing-data") == 0);
    }
}

static void followed(void **state)
{
    const struct made *m = &made[WH_PV];
    wh_auto_free uint8_t *p = calloc(1, m->n + 1);
    char rule[32];

    (void)state;
    memcpy(p, m->p, m->n);
    assert_int_equal(flaws(p, m->n + 1, true, rule), 1);
    assert_string_equal(rule, "trailing-data");
}

/* ------------------------------------------------------------------------------- index */

static bool load(struct wh_op *op, const uint8_t *p, size_t n, struct wh_index *x)
{
    wh_auto_free uint8_t *copy = malloc(n ? n : 1);
    struct wh_source s;
    bool found = true;

    memcpy(copy, p, n);
    wh_source_memory(&s, copy, n);
    assert_true(wh_trailer_load_index(op, &s, x, &found));
    wh_source_close(&s);
    return found;
}

static void index_of_file(void **state)
{
    struct wh_op *op = *state;
    const struct made *m = &made[WH_PV];
    wh_auto_fd int fd = unit_file(m->p, m->n);
    struct wh_source s;
    struct wh_index x;
    bool found;

    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_trailer_load_index(op, &s, &x, &found));
    assert_true(found);
    assert_int_equal(x.count, IMAGE_BATCHES);
    for (size_t i = 0; i < x.count; i++) {
        assert_int_equal(wh_le32(m->p + x.entry[i].at), 1);     /* PAGE_DATA */
        assert_int_equal(x.entry[i].first, i * IMAGE_BATCH);
        assert_int_equal(x.entry[i].last, i * IMAGE_BATCH + IMAGE_BATCH - 1);
        assert_int_equal(x.entry[i].records, 1);
    }
    wh_index_free(&x);
    wh_source_close(&s);
}

static void no_index(void **state)
{
    struct wh_op *op = *state;
    const struct made *m = &made[WH_PV];
    struct wh_index x;

    for (size_t n = 0; n < m->n; n += n < m->stream ? 97 : 1) {
        if (load(op, m->p, n, &x))
            fail_msg("%zu bytes of %zu have an index", n, m->n);
        wh_index_free(&x);
    }
    for (size_t at = m->stream; at < m->n; at++) {
        m->p[at] ^= 0x10;
        bool found = load(op, m->p, m->n, &x);
        m->p[at] ^= 0x10;
        wh_index_free(&x);
        /* END's own type and length are under no digest, and nothing is taken from them. */
        if (found && (at < m->n - 40 || at >= m->n - 32))
            fail_msg("with byte %zu of the trailer changed there is an index", at - m->stream);
    }
    assert_ok(op);
}

/* Lengths that a trailer's end may claim, right digest or not. */
static void lying_ends(void **state)
{
    static const uint64_t lies[] = { 0, 1, 40, 55, 56, 57, 1u << 19, (1u << 19) + 1, 1u << 30,
                                     UINT64_MAX, UINT64_MAX - 40, UINT64_C(1) << 63 };
    struct wh_op *op = *state;
    const struct made *m = &made[WH_PV];
    uint8_t was[8], *length = m->p + m->n - 32;
    struct wh_index x;

    memcpy(was, length, 8);
    for (size_t i = 0; i < WH_COUNT(lies); i++) {
        wh_put_le64(length, lies[i]);
        assert_false(load(op, m->p, m->n, &x));
        wh_index_free(&x);
    }
    memcpy(length, was, 8);
}

/* ------------------------------------------------------------------------------- write */

static void optional_parts(void **state)
{
    struct wh_op *op = *state;
    const struct made *m = &made[WH_HVM];
    static char name[256];
    struct wh_trailer t = { .stream = m->stream, .producer = name };
    wh_auto_fd int fd = unit_file(m->p, m->stream);
    struct wh_sink k;
    char rule[32];
    size_t n;

    memset(name, 'n', WH_TRAILER_PRODUCER_MAX - 1);
    wh_digest_of(m->p, m->stream, t.digest);
    lseek(fd, 0, SEEK_END);
    assert_true(wh_sink_open(op, &k, fd));
    k.digest = wh_digest_new();
    struct wh_digest *mine = k.digest;
    assert_true(wh_trailer_write(op, &k, &t) && wh_sink_flush(op, &k));
    assert_ptr_equal(k.digest, mine);
    wh_digest_free(mine);
    wh_sink_close(&k);
    wh_auto_free uint8_t *p = unit_slurp(fd, &n);
    assert_int_equal(flaws(p, n, true, rule), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("what was written is read back", reads_back),
        OP_TEST("a digest on a thread sees what was read", a_digest_on_a_thread_sees_what_was_read),
        OP_TEST("a file with a trailer is good", good),
        TEST("a byte changed anywhere in the file is found with a digest", changed_byte),
        TEST("a bit changed in the trailer is found without one", changed_trailer_byte),
        TEST("a changed page is found with a digest only", changed_content),
        TEST("a trailer that is cut off is refused", cut),
        TEST("a byte behind the trailer is refused", followed),
        OP_TEST("the index points at the page records", index_of_file),
        OP_TEST("a trailer that is cut off or changed gives no index", no_index),
        OP_TEST("an end that lies about the length gives no index", lying_ends),
        OP_TEST("a trailer needs no index, and takes the longest name", optional_parts),
    };

    return cmocka_run_group_tests_name("trailer", tests, make, drop);
}
