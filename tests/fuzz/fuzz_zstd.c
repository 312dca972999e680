/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compressed files.  The first byte says what the rest is:
 *
 *     even    the file
 *     odd     what to make one of, for no fuzzer guesses a checksum or where a frame ends: a byte,
 *             the number of frames, and for each {u8 length / 16, s8, s8}, by how much its entry in
 *             the seek table is wrong; then {u16 place, u8 bits} to be flipped in the file
 *
 * It is read in a row through a pipe and, as a file, in a row and here and there: these must agree
 * on every byte. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/source.h"
#include "fuzz.h"
#include "link/unpack.h"

#define PLAIN_MAX (1u << 20)    /* looked at */
#define FILE_MAX (1u << 19)

static struct wh_op op;
static uint8_t file[FILE_MAX];

/* A file of a few good frames and a table that is nearly right, and then damaged. */
static size_t make(const uint8_t *p, size_t n)
{
    static uint8_t plain[4096];
    size_t frames = n > 0 ? p[0] % 16 : 0, at = 0, next = 1, entries;
    uint8_t table[16 * 8];

    for (size_t i = 0; i < sizeof plain; i++)
        plain[i] = (uint8_t)(i * i >> 5);
    for (entries = 0; entries < frames && n - next >= 3; entries++, next += 3) {
        size_t length = p[next] * 16u + 1 - entries % 2;
        size_t packed = ZSTD_compress(file + at, FILE_MAX - at, plain + entries, length, 1);

        fuzz_expect(!ZSTD_isError(packed), "zstd compresses");
        wh_put_le32(table + 8 * entries, (uint32_t)packed + (uint32_t)(int8_t)p[next + 1]);
        wh_put_le32(table + 8 * entries + 4,
                    (uint32_t)length + (uint32_t)(int8_t)p[next + 2]);
        at += packed;
    }
    wh_put_le32(file + at, 0x184D2A5E);
    wh_put_le32(file + at + 4, (uint32_t)(8 * entries + 9));
    memcpy(file + at + 8, table, 8 * entries);
    at += 8 + 8 * entries;
    wh_put_le32(file + at, (uint32_t)entries);
    file[at + 4] = 0;
    wh_put_le32(file + at + 5, 0x8F92EAB1);
    at += 9;
    for (; n > next && n - next >= 3; next += 3)
        file[wh_le16(p + next) % at] ^= p[next + 2];
    return at;
}

/* Up to PLAIN_MAX bytes of it; *whole: it ended before.  SIZE_MAX: it is no zstd file. */
static size_t read_all(int fd, uint8_t *to, bool *whole)
{
    struct wh_source s;
    size_t total = 0, got = 1;

    memset(&op.err, 0, sizeof op.err);
    fuzz_expect(wh_source_open(&op, &s, fd) && wh_unpack(&op, &s), "a file can be opened");
    bool zstd = s.feed != NULL, ok = true;
    for (; zstd && ok && got > 0 && total < PLAIN_MAX; total += got) {
        size_t most = PLAIN_MAX - total < 70000 ? PLAIN_MAX - total : 70000;
        const uint8_t *p;

        ok = wh_source_peek(&op, &s, most, &p, &got);
        got = ok ? got : 0;
        if (ok)
            memcpy(to + total, p, got);
        ok = ok && wh_source_take(&op, &s, got);
    }
    fuzz_expect(ok ? op.err.kind == WH_OK : op.err.kind == WH_STREAM && op.err.text[0],
                "only what is wrong with the file ends it, and it is told");
    fuzz_expect(!zstd || ok == !s.feed->flaw.expected, "a flaw is kept for the list");
    *whole = ok && got == 0;
    wh_source_close(&s);
    return zstd ? total : SIZE_MAX;
}

/* A file with a table that could be read: any part of it is the same again. */
static void read_here_and_there(int fd, const uint8_t *want, size_t n)
{
    static uint8_t to[5000];
    struct wh_source s;

    fuzz_expect(wh_source_open(&op, &s, fd) && wh_unpack(&op, &s), "a file can be opened");
    for (size_t i = 0; s.seekable && i < 8; i++) {
        size_t at = n ? i * 7919 % n : 0, got;

        wh_source_seek(&s, at);
        fuzz_expect(wh_source_read(&op, &s, to, sizeof to, &got), "it can be read again");
        fuzz_expect(got == (n - at < sizeof to ? n - at : sizeof to) &&
                    memcmp(to, want + at, got) == 0, "it is the same again");
    }
    wh_source_close(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t row[PLAIN_MAX], table[PLAIN_MAX];
    bool row_whole, table_whole;
    int pair[2];

    if (n == 0 || n > FILE_MAX / 4)
        return 0;
    if (!op.undo)
        fuzz_expect(wh_op_init(&op), "an operation can be made");
    size_t size = data[0] & 1 ? make(data + 1, n - 1) : n - 1;
    const uint8_t *p = data[0] & 1 ? file : data + 1;

    fuzz_expect(pipe2(pair, O_CLOEXEC) == 0 && fcntl(pair[1], F_SETPIPE_SZ, FILE_MAX) > 0 &&
                write(pair[1], p, size) == (ssize_t)size, "there is a pipe");
    close(pair[1]);
    size_t in_row = read_all(pair[0], row, &row_whole);
    close(pair[0]);

    int fd = fuzz_file(p, size);
    size_t by_table = read_all(fd, table, &table_whole);
    fuzz_expect((in_row == SIZE_MAX) == (by_table == SIZE_MAX), "zstd is told by the first bytes");
    if (in_row != SIZE_MAX) {
        size_t both = in_row < by_table ? in_row : by_table;

        fuzz_expect(memcmp(row, table, both) == 0, "a file is what it is in a row");
        fuzz_expect(!table_whole || (row_whole && in_row == by_table), "and not more, or less");
        if (table_whole)
            read_here_and_there(fd, table, by_table);
    }
    close(fd);
    return 0;
}
