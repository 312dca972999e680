/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes through the library as its users have it: verify, inspect, convert, extract.
 *
 *     bytes -- verify: good or bad;  from a pipe: the same
 *        |---- inspect: the same verdict
 *        '---- convert to each container: of good ones only, into a file that is good,
 *                  that has the same pages and that converts into itself */
#include "fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/xl.h"

#define PIPE_ROOM (64u << 10)

static char folder[64], first[80], second[80], third[80];

static void leave_nothing(void)
{
    unlink(first);
    unlink(second);
    unlink(third);
    rmdir(folder);
}

/* In memory where that can be: each file is brought to disk before it gets its name. */
static void make_folder(void)
{
    if (folder[0])
        return;
    strcpy(folder, "/dev/shm/wherry-fuzz.XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/wherry-fuzz.XXXXXX");
        fuzz_expect(mkdtemp(folder) != NULL, "there is room for a folder");
    }
    snprintf(first, sizeof first, "%s/first", folder);
    snprintf(second, sizeof second, "%s/second", folder);
    snprintf(third, sizeof third, "%s/third", folder);
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    atexit(leave_nothing);
}

static unsigned files(void)
{
    DIR *d = opendir(folder);
    unsigned n = 0;

    fuzz_expect(d != NULL, "the folder is there");
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

struct verdict {
    enum wh_kind kind;
    uint64_t findings;
    char error[1024];
};

/* Run a job over a descriptor and free it. */
static struct verdict run(struct wh_job *j, int fd)
{
    fuzz_expect(j != NULL, "a job can be made");
    wh_job_input(j, fd);
    struct verdict v = { .kind = wh_job_run(j), .findings = wh_findings(j) };
    const char *json = wh_job_json(j);

    snprintf(v.error, sizeof v.error, "%s", wh_job_error(j));
    fuzz_expect((v.kind == WH_OK) == (v.error[0] == '\0'), "a failure has a text, a success none");
    fuzz_expect(!strchr(v.error, '\n'), "a text is one line");
    fuzz_touch(json, json ? strlen(json) : 0);
    wh_job_free(j);
    return v;
}

static struct verdict verify_pipe(const uint8_t *data, size_t n)
{
    int end[2];

    fuzz_expect(pipe2(end, O_CLOEXEC) == 0 && write(end[1], data, n) == (ssize_t)n,
                "a pipe takes 64 KiB");
    close(end[1]);
    struct verdict v = run(wh_verify_new("pipe", WH_PEDANTIC | WH_DIGEST), end[0]);
    close(end[0]);
    return v;
}

static enum wh_kind convert(int fd, const char *out, enum wh_container to)
{
    return run(wh_convert_new("image", out, &(struct wh_convert){ .to = to }), fd).kind;
}

static bool same_bytes(int a, int b)
{
    static uint8_t x[64 << 10], y[64 << 10];
    ssize_t n = 0;

    for (off_t at = 0; (n = pread(a, x, sizeof x, at)) > 0; at += n) {
        if (pread(b, y, sizeof y, at) != n || memcmp(x, y, (size_t)n) != 0)
            return false;
    }
    return n == 0 && lseek(a, 0, SEEK_END) == lseek(b, 0, SEEK_END) && lseek(a, 0, SEEK_SET) == 0 &&
           lseek(b, 0, SEEK_SET) == 0;
}

/* With an index or without, a page is the same. */
static void check_page(int in, int out, uint64_t pfn)
{
    struct wh_extract how = { .page = true, .pfn = pfn, .output = second };
    struct verdict a = run(wh_extract_new("image", &how), in);
    int one = a.kind == WH_OK ? open(second, O_RDONLY | O_CLOEXEC) : -1, two;

    how.output = third;
    struct verdict b = run(wh_extract_new("image", &how), out);
    fuzz_expect(a.kind == b.kind && strcmp(a.error, b.error) == 0, "a page is known in both");
    if (a.kind != WH_OK)
        return;
    two = open(third, O_RDONLY | O_CLOEXEC);
    fuzz_expect(one >= 0 && two >= 0 && same_bytes(one, two), "a page is the same in both");
    close(one);
    close(two);
    unlink(second);
    unlink(third);
}

static void check_output(int in, enum wh_container to, uint64_t pfn)
{
    int out = open(first, O_RDONLY | O_CLOEXEC), again;

    fuzz_expect(out >= 0 && files() == 1, "an output has its name, and nothing else is left");
    fuzz_expect(run(wh_verify_new(first, WH_DIGEST), out).kind == WH_OK, "an output is good");
    fuzz_expect(convert(out, second, to) == WH_OK, "an output converts");
    again = open(second, O_RDONLY | O_CLOEXEC);
    fuzz_expect(again >= 0 && same_bytes(out, again), "an output converts into itself");
    close(again);
    unlink(second);
    check_page(in, out, pfn);
    close(out);
    unlink(first);
}

/* A walk that is strict forgives what stands behind the END of an xl save file, and a conversion
 * does not look at the digest. */
static void check_convert(int fd, enum wh_container to, bool good, bool xl, uint64_t pfn)
{
    enum wh_kind kind = convert(fd, first, to);

    fuzz_expect(kind == WH_OK || kind == WH_STREAM, "only a flaw stops a conversion");
    fuzz_expect(kind == WH_OK || !good, "a good image converts");
    fuzz_expect(kind != WH_OK || good || xl, "a bad image does not convert");
    if (kind == WH_OK)
        check_output(fd, to, pfn);
    fuzz_expect(files() == 0, "a failure leaves nothing behind");
}

static void check_extract(int fd, unsigned what)
{
    struct wh_extract how = { .config = what % 4 == 0, .page = what % 4 == 1, .pfn = what / 4 % 8 };

    how.emulator = what % 4 == 2 ? first : NULL;
    how.core = what % 4 == 3 ? first : NULL;
    how.output = first;
    bool made = run(wh_extract_new("image", &how), fd).kind == WH_OK;
    fuzz_expect(files() == made, "an extract is there whole, or not at all");
    unlink(first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    bool xl = n >= WH_XL_MAGIC_BYTES && memcmp(data, wh_xl_magic, WH_XL_MAGIC_BYTES) == 0;
    int fd = fuzz_file(data, n);
    unsigned sum = (unsigned)n;

    make_folder();
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + data[i];
    struct verdict v = run(wh_verify_new("image", WH_PEDANTIC | WH_DIGEST), fd);
    bool good = v.kind == WH_OK;
    fuzz_expect(good || (v.kind == WH_STREAM && v.findings > 0), "a bad image has findings");
    if (n < PIPE_ROOM) {
        struct verdict p = verify_pipe(data, n);
        fuzz_expect(p.kind == v.kind && p.findings == v.findings, "a pipe gets the same verdict");
    }
    enum wh_kind kind = run(wh_inspect_new("image", WH_PAGES | WH_DIGEST), fd).kind;
    fuzz_expect(kind == WH_OK || (kind == WH_STREAM && !good), "a good image is inspected whole");
    kind = run(wh_inspect_new("image", 0), fd).kind;
    fuzz_expect(kind == WH_OK || (kind == WH_STREAM && !good), "a good image is counted whole");

    check_convert(fd, WH_XL, good, xl, sum % 8);
    check_convert(fd, WH_LIBXL, good, xl, sum % 8);
    check_convert(fd, WH_LIBXC, good, xl, sum % 8);
    check_extract(fd, sum);
    close(fd);
    return 0;
}
