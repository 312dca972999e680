/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What another wherry says on the link: a message, a stream, a message.  The first byte says what the
 * rest is:
 *
 *     even    the bytes
 *     odd     what frames to make, for no fuzzer guesses a digest or compresses: {u8 kind, u8 n, n bytes}
 *             each; the kinds are the protocol's, and by more than 7 they lie about their lengths
 *
 * It hangs up behind it.  However it is cut: the reader comes to an end, tells the peer's failure and
 * nothing else, and takes no message and no byte that a frame's length and the digest do not cover. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#include "base/bytes.h"
#include "fuzz.h"
#include "link/parcel.h"

#define TALK_MAX (1u << 17)
#define HEAD 16

static uint8_t talk[TALK_MAX];

struct maker {
    struct wh_digest *digest;
    size_t n;
};

static void put_frame(struct maker *m, unsigned kind, const uint8_t *p, size_t n, size_t plain)
{
    if (m->n + HEAD + n > TALK_MAX)
        return;
    uint8_t *head = talk + m->n;
    memset(head, 0, HEAD);
    wh_put_le32(head, 0x59524857);
    head[4] = kind & 7;
    wh_put_le32(head + 8, (uint32_t)n + (kind >> 3 & 3));
    wh_put_le32(head + 12, (uint32_t)plain + (kind >> 5 & 3) - (kind >> 7));
    memcpy(head + HEAD, p, n);
    m->n += HEAD + n;
}

static void add(struct maker *m, unsigned kind, const uint8_t *p, size_t n)
{
    uint8_t out[1024];

    if ((kind & 7) == 2 || (kind & 7) == 3)
        wh_digest_feed(m->digest, p, n);
    if ((kind & 7) == 3) {
        size_t size = ZSTD_compress(out, sizeof out, p, n, 1);

        fuzz_expect(!ZSTD_isError(size), "zstd compresses");
        put_frame(m, kind, out, size, n);
    } else if ((kind & 7) == 4) {
        wh_digest_get(m->digest, out);
        put_frame(m, kind, out, WH_DIGEST_BYTES, 0);
    } else {
        put_frame(m, kind, p, n, n);
    }
}

static size_t make(const uint8_t *p, size_t n)
{
    struct maker m = { .digest = wh_digest_new() };

    fuzz_expect(m.digest != NULL, "there is memory for a digest");
    for (size_t at = 0, some; at + 2 <= n; at += 2 + some) {
        some = p[at + 1] < n - at - 2 ? p[at + 1] : n - at - 2;
        add(&m, p[at], p + at + 2, some);
    }
    wh_digest_free(m.digest);
    return m.n;
}

static bool hear(struct wh_op *op, struct wh_parcel *p)
{
    json_object *o = NULL;
    const char *type = NULL;
    bool ok = wh_parcel_hear(op, p, &o, &type);

    fuzz_expect(ok == (o != NULL), "a message comes with success");
    fuzz_expect(!ok || (*type && strlen(type) <= 256u << 10), "it has a type");
    json_object_put(o);
    return ok;
}

static bool read_stream(struct wh_op *op, struct wh_parcel *p)
{
    static uint8_t to[5000];
    struct wh_source s;
    size_t got = 1;
    bool ok = wh_parcel_source(op, p, &s);

    while (ok && got > 0) {
        ok = wh_source_read(op, &s, to, sizeof to, &got);
        got = ok ? got : 0;
        fuzz_touch(to, got);
    }
    wh_source_close(&s);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct wh_op op;
    struct wh_parcel p;
    int ends[2], room = 2 * TALK_MAX;

    if (n == 0 || n > TALK_MAX)
        return 0;
    if (!op.undo)
        fuzz_expect(wh_op_init(&op), "an operation can be made");
    op.err = (struct wh_err){ 0 };
    size_t size = data[0] & 1 ? make(data + 1, n - 1) : n - 1;
    const uint8_t *says = data[0] & 1 ? talk : data + 1;

    fuzz_expect(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0 &&
                setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0 &&
                send(ends[0], says, size, MSG_NOSIGNAL) == (ssize_t)size, "there are sockets");
    shutdown(ends[0], SHUT_WR);
    wh_step(&op, "listen", 10000);
    fuzz_expect(wh_parcel_open(&op, &p, ends[1], ends[1], "the peer"), "there is memory for a link");
    bool ok = hear(&op, &p) && read_stream(&op, &p) && hear(&op, &p);
    fuzz_expect(ok == (op.err.kind == WH_OK), "a failure is told, and nothing else");
    fuzz_expect(ok || op.err.kind == WH_PEER || op.err.kind == WH_STREAM, "the peer is to blame");
    fuzz_expect(p.received <= size, "no more comes than was said");
    op.tick = NULL;
    wh_parcel_free(&p);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
