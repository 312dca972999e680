/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading compressed images: any part of ours, all of zstd's own, and nothing of what is damaged,
 * lies or asks for too much. */
#include <zstd.h>

#include "base/bytes.h"
#include "link/frames.h"
#include "packed.h"

/* ------------------------------------------------------------------------------- seeks */

static void anywhere(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, BYTES, 1, 50000);
    static uint8_t to[200000];
    struct wh_packing about;
    struct wh_source s;
    uint64_t seed = 11;

    open_packed(op, &s, fd);
    assert_true(s.seekable);
    assert_int_equal(s.size, BYTES);
    assert_true(wh_unpack_about(&s, &about) && about.indexed);
    assert_int_equal(about.frames, BYTES / 50000);
    assert_int_equal(about.size, lseek(fd, 0, SEEK_END));
    for (int i = 0; i < 1500; i++) {
        size_t n = unit_below(&seed, unit_below(&seed, 2) ? 20 : sizeof to), got;
        uint64_t gone, at = s.at;

        if (unit_below(&seed, 4) == 0) {
            at = unit_below(&seed, BYTES + 10);
            wh_source_seek(&s, at);
        }
        size_t left = at < BYTES ? BYTES - at : 0;
        if (unit_below(&seed, 3) == 0) {
            assert_true(wh_source_skip(op, &s, n, &gone));
            assert_int_equal(gone, least(n, left));
        } else {
            assert_true(wh_source_read(op, &s, to, n, &got));
            assert_int_equal(got, least(n, left));
            assert_memory_equal(to, data + at, got);
        }
    }
    wh_source_close(&s);
    assert_ok(op);
}

/* Reading them would fail. */
static void skipped_frames(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, BYTES, 1, 100000);
    size_t n, got, total;
    struct wh_source s;
    uint64_t gone;
    uint8_t to[1000];

    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    memset(file + 150000, 0x55, n - 300000);
    wh_auto_fd int torn = unit_file(file, n);
    open_packed(op, &s, torn);
    assert_true(wh_source_read(op, &s, to, sizeof to, &got) && got == sizeof to);
    assert_true(wh_source_skip(op, &s, BYTES - 2 * sizeof to, &gone));
    assert_true(wh_source_read(op, &s, to, sizeof to, &got) && got == sizeof to);
    assert_memory_equal(to, data + BYTES - sizeof to, sizeof to);
    wh_source_seek(&s, 0);
    assert_false(reads_right(op, &s, data, BYTES, &total));
    assert_kind(op, WH_STREAM);
    wh_source_close(&s);
}

/* What is consumed is shown to digest and tee, jumped over or not. */
static void digest_and_tee(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, BYTES, 1, 100000), out = unit_file("", 0);
    uint8_t want[WH_DIGEST_BYTES], is[WH_DIGEST_BYTES];
    struct wh_source s;
    struct wh_sink k;
    uint64_t gone;
    size_t n;

    open_packed(op, &s, fd);
    assert_true(wh_sink_open(op, &k, out));
    s.tee = &k;
    assert_true(wh_source_skip(op, &s, BYTES / 2, &gone));
    s.digest = wh_digest_new();
    assert_true(wh_source_skip(op, &s, BYTES, &gone));
    assert_int_equal(gone, BYTES - BYTES / 2);
    assert_true(wh_sink_end(op, &k));
    wh_auto_free uint8_t *teed = unit_slurp(out, &n);
    assert_int_equal(n, BYTES);
    assert_memory_equal(teed, data, BYTES);
    wh_digest_of(data + BYTES / 2, BYTES - BYTES / 2, want);
    wh_digest_get(s.digest, is);
    assert_memory_equal(is, want, sizeof is);
    wh_digest_free(s.digest);
    wh_sink_close(&k);
    wh_source_close(&s);
}

/* ------------------------------------------------------------------------ other's files */

static void foreign(void **state)
{
    static const char *const words[] = {
        "zstd -1cq",                                            /* one frame, length unknown */
        "cat > f; zstd -1cq f; rm f",                           /* known */
        "zstd -1cq --no-check",
        "zstd -3cq --long=27",
        "zstd -19cq",
        "zstd -1cq -T2 -B524288",
        "head -c 1000000 > a; cat > b; zstd -1cq a; zstd -3cq b; rm a b",
        "zstd -1cq; printf '\\120\\052\\115\\030\\004\\0\\0\\0abcd'",      /* skipped ones around */
        "printf '\\137\\052\\115\\030\\0\\0\\0\\0'; zstd -1cq",
        "head -c 0 | zstd -cq; zstd -1cq; head -c 0 | zstd -cq",
    };
    struct wh_op *op = *state;
    char folder[200];
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    unit_folder(folder, sizeof folder);
    assert_int_equal(chdir(folder), 0);
    for (size_t i = 0; i < WH_COUNT(words); i++) {
        wh_auto_fd int fd = command(words[i], data, BYTES);
        struct feeder f;
        size_t n;

        check_reads(op, fd, data, BYTES);
        wh_auto_free uint8_t *file = unit_slurp(fd, &n);
        wh_auto_fd int pipe = through_pipe(&f, file, n);
        check_reads(op, pipe, data, BYTES);
        pthread_join(f.thread, NULL);
    }
    assert_int_equal(fchdir(here), 0);
    close(here);
    unit_remove_folder(folder);
}

static void check_refused(int fd, const char *part)
{
    struct wh_op op;
    struct wh_source s;
    size_t total;

    assert_true(wh_op_init(&op));
    open_packed(&op, &s, fd);
    assert_false(reads_right(&op, &s, data, BYTES, &total));
    assert_kind(&op, WH_STREAM);
    assert_says(op.err.text, part);
    assert_non_null(s.feed->flaw.expected);
    wh_source_close(&s);
    wh_op_done(&op);
}

static void refused(void **state)
{
    static const char *const cases[][2] = {
        { "zstd -1cq --long=31", "zstd frame 0 at offset 0 of the compressed file: expected a "
                                 "window of at most 128 MiB, found a larger one (zstd --long)" },
        { "zstd -1cq; printf more", "zstd frame 1 at offset 0x" },
        { "zstd -1cq; printf more", "expected a zstd frame, found other bytes" },
        { "zstd -1cq; printf 'abc'", "expected a whole frame, found the end of the file" },
        { "zstd -1cq; printf '\\120\\052\\115\\030\\004'", "found the end of the file" },
        { "zstd -1cq; printf '\\120\\052\\115\\030\\004\\0\\0\\0abc'", "the end of the file" },
        { "zstd -1cq; printf '\\047\\265\\057\\375abc'", "a zstd frame, found other bytes" },
    };

    (void)state;
    for (size_t i = 0; i < WH_COUNT(cases); i++) {
        wh_auto_fd int fd = command(cases[i][0], data, BYTES);
        check_refused(fd, cases[i][1]);
    }
}

/* Its first bytes are not zstd's: nothing comes between. */
static void plain(void **state)
{
    static const uint8_t almost[] = { 0x28, 0xb5, 0x2f };
    struct wh_op *op = *state;
    struct wh_packing about;
    struct wh_source s;
    size_t total;

    for (size_t n = 0; n <= sizeof almost; n++) {
        wh_auto_fd int fd = unit_file(almost, n);

        assert_true(wh_source_open(op, &s, fd) && wh_unpack(op, &s));
        assert_null(s.feed);
        assert_false(wh_unpack_about(&s, &about));
        assert_true(reads_right(op, &s, almost, n, &total));
        assert_int_equal(total, n);
        wh_source_close(&s);
    }
    wh_source_memory(&s, almost, sizeof almost);
    assert_true(wh_unpack(op, &s));
    wh_source_close(&s);
}

/* ----------------------------------------------------------------------------- damaged */

/* A failure, or, where it is a whole zstd file still, the bytes up to a frame's end. */
static bool fails(const uint8_t *file, size_t n, size_t *total)
{
    wh_auto_fd int fd = unit_file(file, n);
    struct wh_op op;
    struct wh_source s;

    assert_true(wh_op_init(&op));
    assert_true(wh_source_open(&op, &s, fd) && wh_unpack(&op, &s));
    bool ok = !s.feed || reads_right(&op, &s, data, BYTES, total);
    if (!ok)
        assert_kind(&op, WH_STREAM);
    if (!s.feed)
        *total = SIZE_MAX;
    wh_source_close(&s);
    wh_op_done(&op);
    return !ok;
}

#define SMALL 3000u         /* in frames of 1000 */

static void every_truncation(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, SMALL, 1, 1000);
    size_t n, total, whole = 0;

    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    for (size_t cut = 4; cut < n; cut++) {
        if (fails(file, cut, &total))
            continue;
        /* Frames in a row are a zstd file: what is missing is missed by who reads the image. */
        whole++;
        assert_int_equal(total, 1000 * whole);
    }
    assert_int_equal(whole, 3);
}

/* Checksums cover the contents; what else differs is the table, without which all is read too. */
static void a_flip_in_every_byte(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, SMALL, 1, 1000);
    size_t n, total, right = 0, table = 8 + 3 * 8 + 9;

    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    for (size_t i = 0; i < n; i++) {
        uint8_t bit = (uint8_t)(1u << i % 8);

        file[i] ^= bit;
        if (!fails(file, n, &total) && total != SIZE_MAX) {
            right++;
            assert_int_equal(total, SMALL);
        }
        file[i] ^= bit;
    }
    assert_true(right >= 9 && right < table + 10);  /* the table's, and bits that mean nothing */
}

static void checksum(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, SMALL, 1, 1000);
    struct wh_frames f;
    struct wh_source s;
    bool found;
    size_t n;

    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_frames_read(op, &s, &f, &found) && found);
    wh_source_close(&s);
    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    file[f.frame[2].at - 1] ^= 1;           /* the checksum ends the frame */
    wh_auto_fd int torn = unit_file(file, n);
    char where[100];
    snprintf(where, sizeof where,
             "zstd frame 1 at offset %#llx of the compressed file: expected the contents' "
             "checksum, found another", (unsigned long long)f.frame[1].at);
    check_refused(torn, where);
    wh_frames_free(&f);

    struct feeder feeder;
    wh_auto_fd int pipe = through_pipe(&feeder, file, n);
    check_refused(pipe, where);
    pthread_join(feeder.thread, NULL);
}

/* Tables that lie, by a word or two: where, in bytes before the file's end, and by how much.  Those
 * that cannot be true are not used; the others are found out. */
static void lying_tables(void **state)
{
    enum { MAGIC = 4, COUNT = 9, PLAIN2 = 13, PACKED2 = 17, PLAIN1 = 21, PACKED1 = 25, LENGTH = 37,
           HEAD = 41 };
    static const struct {
        int where;
        uint32_t more;
        int also;
        uint32_t more_also;
        bool refused;
    } lies[] = {
        { MAGIC, 1, 0, 0, false },          { HEAD, (uint32_t)-1, 0, 0, false },
        { LENGTH, 1, 0, 0, true },          { LENGTH, (uint32_t)-1, 0, 0, true },
        { COUNT, 1, 0, 0, false },          { COUNT, (uint32_t)-1, 0, 0, false },
        { COUNT, 1u << 31, 0, 0, false },   { COUNT, 1u << 20, 0, 0, false },
        { PLAIN2, 1, 0, 0, true },          { PLAIN2, (uint32_t)-1, 0, 0, true },
        { PLAIN2, (uint32_t)-1000, 0, 0, false },               /* no frame is empty */
        { PLAIN2, 4u << 20, 0, 0, false },                      /* or larger than ours */
        { PLAIN1, 1, PLAIN2, (uint32_t)-1, true },
        { PACKED2, 1, 0, 0, false },        { PACKED2, 1u << 31, 0, 0, false },
        { PACKED1, 1, PACKED2, (uint32_t)-1, true },
        { PACKED1, (uint32_t)-1, PACKED2, 1, true },
    };
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, SMALL, 1, 1000);
    size_t n, total;

    for (size_t i = 0; i < WH_COUNT(lies); i++) {
        wh_auto_free uint8_t *file = unit_slurp(fd, &n);

        uint8_t *word = file + n - lies[i].where, *also = file + n - lies[i].also;
        wh_put_le32(word, wh_le32(word) + lies[i].more);
        if (lies[i].also)
            wh_put_le32(also, wh_le32(also) + lies[i].more_also);
        bool failed = fails(file, n, &total);
        assert_int_equal(failed, lies[i].refused);
        assert_true(failed || total == SMALL);
    }
}

/* Each entry is one frame, though two in a row would decompress as well. */
static void two_frames_in_one(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = packed(op, SMALL, 1, 1000), out = unit_file("", 0);
    struct wh_frames is, lie = { .frame = NULL };
    struct wh_source s;
    struct wh_sink k;
    bool found;
    size_t n;

    assert_true(wh_source_open(op, &s, fd));
    assert_true(wh_frames_read(op, &s, &is, &found) && found);
    wh_source_close(&s);
    wh_auto_free uint8_t *file = unit_slurp(fd, &n);
    assert_true(wh_sink_open(op, &k, out) && wh_sink_write(op, &k, file, is.frame[3].at));
    assert_true(wh_frames_add(op, &lie, (uint32_t)is.frame[2].at, 2000));
    assert_true(wh_frames_add(op, &lie, (uint32_t)(is.frame[3].at - is.frame[2].at), 1000));
    assert_true(wh_frames_write(op, &k, &lie) && wh_sink_end(op, &k));
    wh_sink_close(&k);
    wh_frames_free(&is);
    wh_frames_free(&lie);
    lseek(out, 0, SEEK_SET);
    check_refused(out, "zstd frame 0 at offset 0 of the compressed file: expected a whole frame, "
                       "found one of another length");
}

/* A table does not make a frame's window smaller. */
static void window_by_table(void **state)
{
    static const uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x90, 0x43, 0x3e, 0x00, 'a' };
    struct wh_op *op = *state;      /* 1992 times "a", with a window of 256 MiB */
    wh_auto_fd int out = unit_file("", 0);
    struct wh_frames f = { .frame = NULL };
    struct wh_sink k;

    assert_true(wh_sink_open(op, &k, out) && wh_sink_write(op, &k, frame, sizeof frame));
    assert_true(wh_frames_add(op, &f, sizeof frame, 1992));
    assert_true(wh_frames_write(op, &k, &f) && wh_sink_end(op, &k));
    wh_sink_close(&k);
    wh_frames_free(&f);
    lseek(out, 0, SEEK_SET);
    check_refused(out, "found a larger one (zstd --long)");
}

/* Half a frame is in the pipe, and nobody writes the rest for now. */
static void as_it_comes(void **state)
{
    struct wh_op *op = *state;
    wh_auto_free uint8_t *part = malloc(300000), *to = malloc(200000);
    ZSTD_CCtx *tool = ZSTD_createCCtx();
    ZSTD_outBuffer out = { part, 300000, 0 };
    ZSTD_inBuffer in = { data, 131072, 0 };
    struct wh_source s;
    int pair[2];
    size_t got;

    assert_int_equal(ZSTD_compressStream2(tool, &out, &in, ZSTD_e_flush), 0);
    ZSTD_freeCCtx(tool);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    fcntl(pair[1], F_SETPIPE_SZ, 1 << 20);
    assert_int_equal(write(pair[1], part, out.pos), out.pos);
    wh_step(op, "read what there is", 20 * SOON_MS);
    open_packed(op, &s, pair[0]);
    assert_true(wh_source_read(op, &s, to, 70000, &got) && got == 70000);
    assert_true(wh_source_read(op, &s, to + got, 61072, &got) && got == 61072);
    assert_memory_equal(to, data, 131072);
    close(pair[1]);
    assert_false(wh_source_read(op, &s, to, 1, &got));
    assert_kind(op, WH_STREAM);
    wh_source_close(&s);
    close(pair[0]);
}

/* A few KiB that would be a GiB: what is not read is not there. */
static void bomb(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int fd = command("head -c 1073741824 /dev/zero | zstd -1cq", "", 0);
    wh_auto_free uint8_t *to = malloc(1u << 20);
    struct wh_source s;
    size_t got;

    open_packed(op, &s, fd);
    int64_t begun = unit_now_ms();
    assert_true(wh_source_read(op, &s, to, 1u << 20, &got));
    assert_true(unit_now_ms() - begun < 2 * SOON_MS);
    assert_int_equal(got, 1u << 20);
    wh_source_close(&s);
}

/* Closed while frames are at work, and before any was. */
static void closed_early(void **state)
{
    struct wh_op *op = *state;

    for (unsigned i = 0; i < 30; i++) {
        wh_auto_fd int fd = packed(op, BYTES / 2, 1, 20000 + 1000 * i);
        struct wh_source s;
        const uint8_t *p;
        size_t got;
        uint64_t gone;

        open_packed(op, &s, fd);
        if (i % 5 > 0)
            assert_true(wh_source_skip(op, &s, 30000 * i, &gone));
        for (unsigned k = 0; k < i % 10; k++) {
            assert_true(wh_source_peek(op, &s, 20000, &p, &got));
            assert_true(wh_source_take(op, &s, got));
        }
        wh_source_close(&s);
    }
    assert_ok(op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("a file with a table is read from anywhere", anywhere),
        OP_TEST("frames that are skipped are not read", skipped_frames),
        OP_TEST("a digest and a tee see the plain bytes", digest_and_tee),
        OP_TEST("zstd's own files are read, of one frame or several", foreign),
        OP_TEST("what cannot be read is refused with the reason", refused),
        OP_TEST("what is not compressed is left alone", plain),
        OP_TEST("every truncation is refused, or ends with a frame", every_truncation),
        OP_TEST("a flipped bit is refused, or changes nothing", a_flip_in_every_byte),
        OP_TEST("a wrong checksum is told with the frame's number and place", checksum),
        OP_TEST("a table that lies is not used, or is found out", lying_tables),
        OP_TEST("a table's entry is one frame", two_frames_in_one),
        OP_TEST("a window is too large with a table too", window_by_table),
        OP_TEST("what has come can be read before the rest", as_it_comes),
        OP_TEST("of a bomb only what is read goes off", bomb),
        OP_TEST("a reader may close it at any time", closed_early),
    };
    return cmocka_run_group_tests(tests, make_data, drop_data);
}
