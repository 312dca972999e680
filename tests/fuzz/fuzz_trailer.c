/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands behind a good image of a small HVM guest.  The first byte chooses what of a trailer
 * is set right before it is read, for no fuzzer guesses a digest:
 *
 *     bit 0   STREAM's length and digest      bit 1   END's */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "wire/trailer.h"

#define LE32(v) (v) & 0xff, (v) >> 8 & 0xff, (v) >> 16 & 0xff, (v) >> 24 & 0xff
#define RECORD(type, length) LE32(type), LE32(length)
#define ZERO32 LE32(0)

/* clang-format off */
static const uint8_t image[] = {
    'X','e','n',' ','s','a','v','e','d',' ','d','o','m','a','i','n',',',' ','x','l',' ',
        'f','o','r','m','a','t','\n',' ', 0, ' ', '\r',
    LE32(0x01020304), LE32(3), ZERO32, ZERO32,
    'L','i','b','x','l','F','m','t', 0, 0, 0, 2, ZERO32,
    RECORD(0x01, 0),                                                    /* LIBXC_CONTEXT */
    LE32(0xffffffff), LE32(0xffffffff), 'X','E','N','F', 0, 0, 0, 3, ZERO32, ZERO32,
    LE32(2), LE32(12), LE32(4), LE32(17),                               /* HVM, Xen 4.17 */
    RECORD(0x10, 0),                                                    /* STATIC_DATA_END */
    RECORD(0x01, 24), LE32(2), ZERO32,                                  /* PAGE_DATA */
        LE32(0), LE32(0xf0000000), LE32(1), LE32(0xf0000000),
    RECORD(0x01, 16), LE32(1), ZERO32, LE32(7), LE32(0xe0000000),
    RECORD(0x08, 24), ZERO32, ZERO32, ZERO32, ZERO32, ZERO32, ZERO32,   /* X86_TSC_INFO */
    RECORD(0x09, 40), RECORD(0x01, 24), LE32(0x54381286), LE32(1),      /* HVM_CONTEXT */
        ZERO32, ZERO32, ZERO32, ZERO32, RECORD(0, 0),
    RECORD(0x0a, 8), ZERO32, ZERO32,                                    /* HVM_PARAMS */
    RECORD(0, 0),
    RECORD(0, 0),
};
/* clang-format on */

static void set_right(uint8_t *trailer, size_t n, unsigned what)
{
    for (size_t at = WH_TRAILER_HEADER; at < n && n - at >= WH_REC_HEADER;) {
        uint32_t type = wh_le32(trailer + at), length = wh_le32(trailer + at + 4);
        uint8_t *body = trailer + at + WH_REC_HEADER;
        size_t room = n - at - WH_REC_HEADER;

        if (type == WH_TRAILER_STREAM && (what & 1) && room >= 24) {
            wh_put_le64(body, sizeof image);
            wh_digest_of(image, sizeof image, body + 8);
        }
        if (type == WH_TRAILER_END && (what & 2) && room >= WH_TRAILER_END_BYTES) {
            wh_put_le64(body, at + WH_REC_HEADER + WH_TRAILER_END_BYTES);
            wh_digest_of(trailer, at, body + 8);
        }
        if (length > room)
            return;
        at += WH_REC_HEADER + length + wh_padding(length);
    }
}

/* A reader from the file's end believes what has the right digest. */
static void look_up(const uint8_t *p, size_t n, uint64_t pfn)
{
    int fd = fuzz_file(p, n);
    struct wh_job *j = wh_page_new("image", pfn);

    fuzz_expect(j != NULL, "a job can be made");
    wh_job_input(j, fd);
    enum wh_kind kind = wh_job_run(j);
    fuzz_expect(kind == WH_OK ? wh_job_json(j) != NULL : kind == WH_STREAM,
                "a page is found, or the image is bad");
    wh_job_free(j);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    size_t whole = sizeof image + n - 1;
    uint8_t *p = malloc(whole);

    fuzz_expect(p != NULL, "there is memory for the image");
    memcpy(p, image, sizeof image);
    memcpy(p + sizeof image, data + 1, n - 1);
    set_right(p + sizeof image, n - 1, data[0]);
    fuzz_walk(p, whole, 0, WH_NO_GUEST);
    look_up(p, whole, data[0] >> 2);
    free(p);
    return 0;
}
