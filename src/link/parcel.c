/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "link/parcel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <zstd.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/own.h"
#include "link/frames.h"

#define MAGIC 0x59524857u
#define HEAD 16
#define PIECE (256u << 10)              /* of the stream, in one frame */
#define MESSAGE_MOST (256u << 10)
#define READ_AHEAD (64u << 10)
#define ALIVE_NS (2000000000 / wh_op_hurry)
#define UNPAID_MOST 256                 /* pieces sent as they are before packing is tried again */

enum kind { MESSAGE = 1, BYTES, PACKED, END, NOTHING, MARK, REACHED };

struct stage {
    struct wh_stage stage;
    struct wh_parcel *p;
};

struct feed {
    struct wh_feed feed;
    struct wh_parcel *p;
    size_t at, n;                       /* of .piece */
    bool ended;
};

struct wh_parcel_parts {
    bool busy;                          /* in the middle of a frame: the tick says nothing */
    bool cut;                           /* one went out in part: nothing more can be said */
    uint8_t rest[HEAD];                 /* of a tick's frame, which goes before the next */
    size_t owed;
    int64_t said_ns;                    /* when the last frame went out */
    uint8_t ahead[READ_AHEAD];
    size_t head, tail;                  /* ahead[head..tail) has come and was not looked at */
    uint8_t *filling, *piece;           /* PIECE each: going out, come in */
    size_t filled;
    uint8_t *frame;                     /* a frame's body on its way */
    size_t room;
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    struct wh_digest *out, *in;         /* of the stream's plain bytes */
    double link_ns;                     /* that a byte takes on the link, as measured */
    unsigned unpaid, skip;              /* packing did not pay; pieces until it is tried again */
    int64_t free_ns;                    /* under a limit: when the link is free for more */
    struct feed feed;
};

static void tick(void *arg);

bool wh_parcel_open(struct wh_op *op, struct wh_parcel *p, int in, int out, const char *peer)
{
    struct wh_parcel_parts *m = calloc(1, sizeof *m);

    *p = (struct wh_parcel){ .in = in, .out = out, .peer = peer, .silence_ms = WH_SILENCE_MS,
                             .stall_ms = WH_STALL_MS, .level = 1, .parts = m };
    if (!m)
        return wh_fail_sys(&op->err, ENOMEM, "ready the link");
    m->room = ZSTD_compressBound(PIECE) > MESSAGE_MOST ? ZSTD_compressBound(PIECE) : MESSAGE_MOST;
    m->filling = malloc(PIECE);
    m->piece = malloc(PIECE);
    m->frame = malloc(m->room + 1);
    m->packer = ZSTD_createCCtx();
    m->unpacker = ZSTD_createDCtx();
    m->out = wh_digest_new();
    m->in = wh_digest_new();
    m->said_ns = wh_now_ns();
    op->tick = tick;
    op->tick_arg = p;
    return (m->filling && m->piece && m->frame && m->packer && m->unpacker && m->out && m->in) ||
           wh_fail_sys(&op->err, ENOMEM, "ready the link");
}

void wh_parcel_free(struct wh_parcel *p)
{
    struct wh_parcel_parts *m = p->parts;

    p->parts = NULL;
    if (!m)
        return;
    free(m->filling);
    free(m->piece);
    free(m->frame);
    ZSTD_freeCCtx(m->packer);
    ZSTD_freeDCtx(m->unpacker);
    wh_digest_free(m->out);
    wh_digest_free(m->in);
    free(m);
}

/* --------------------------------------------------------------------------- raw bytes */

/* Wait, but no longer than somebody may be silent. */
static bool await(struct wh_op *op, struct wh_parcel *p, int fd, short events)
{
    struct wh_bound before = wh_bound(op, p->silence_ms);
    bool silence = op->deadline_ns != before.deadline_ns;   /* else the step's own time ends first */
    bool ok = wh_wait(op, fd, events);

    wh_unbound(op, before);
    if (ok || op->err.kind != WH_TIMEOUT || !silence)
        return ok;
    op->err.kind = WH_PEER;
    p->lost = true;
    return wh_while(&op->err, events == POLLIN ? "%s has said nothing for too long"
                                               : "%s takes nothing any more", p->peer);
}

/* What was to be done of the stream within .stall_ms, however alive the other end is: our own time, as for
 * looking at memory or keeping a limit, does not count. */
static bool in_time(struct wh_op *op, struct wh_parcel *p, struct wh_bound before, bool ok,
                    const char *what_not)
{
    bool stalled = op->deadline_ns != before.deadline_ns;

    wh_unbound(op, before);
    if (ok || op->err.kind != WH_TIMEOUT || !stalled)
        return ok;
    op->err.kind = WH_PEER;
    p->lost = p->lost || p->parts->cut;
    return wh_while(&op->err, "%s lives, and %s for too long", p->peer, what_not);
}

static bool lost(struct wh_op *op, int sys, const char *what, struct wh_parcel *p)
{
    p->lost = true;
    return wh_fail(&op->err, WH_PEER, "%s %s: %s", what, p->peer, strerror(sys));
}

static bool hung_up(struct wh_op *op, struct wh_parcel *p)
{
    p->lost = true;
    return wh_fail(&op->err, WH_PEER, "%s has hung up", p->peer);
}

/* A pipe's other end that has hung up raises SIGPIPE, which a job does not take. */
static ssize_t put_some(int fd, const void *from, size_t n)
{
    ssize_t done = send(fd, from, n, MSG_NOSIGNAL);

    return done < 0 && errno == ENOTSOCK ? write(fd, from, n) : done;
}

static bool put(struct wh_op *op, struct wh_parcel *p, const void *from, size_t n)
{
    const uint8_t *at = from;

    /* Where the other end takes all at once nothing is waited for. */
    if (!wh_go_on(op))
        return false;
    while (n > 0) {
        ssize_t done = put_some(p->out, at, n);
        int sys = errno;

        if (done < 0 && sys == EAGAIN && !await(op, p, p->out, POLLOUT))
            return false;
        if (done < 0 && (sys == EAGAIN || sys == EINTR))
            continue;
        if (done < 0)
            return lost(op, sys, "send to", p);
        at += done;
        n -= (size_t)done;
        p->sent += (uint64_t)done;
    }
    return true;
}

/* Behind what has come and was not looked at. */
static bool read_more(struct wh_op *op, struct wh_parcel *p)
{
    struct wh_parcel_parts *m = p->parts;

    /* One who never stops talking does not keep us from seeing a deadline, or a cancel. */
    if (!wh_go_on(op))
        return false;
    for (;;) {
        ssize_t n = read(p->in, m->ahead + m->tail, sizeof m->ahead - m->tail);

        if (n > 0) {
            m->tail += (size_t)n;
            p->received += (uint64_t)n;
            return true;
        }
        int sys = errno;

        if (n == 0)
            return hung_up(op, p);
        if (sys == EAGAIN && !await(op, p, p->in, POLLIN))
            return false;
        if (sys != EAGAIN && sys != EINTR)
            return lost(op, sys, "read from", p);
    }
}

static bool fill(struct wh_op *op, struct wh_parcel *p)
{
    p->parts->head = p->parts->tail = 0;
    return read_more(op, p);
}

bool wh_parcel_raw_read(struct wh_op *op, struct wh_parcel *p, void *to, size_t n)
{
    struct wh_parcel_parts *m = p->parts;
    uint8_t *at = to;

    while (n > 0) {
        if (m->head == m->tail && !fill(op, p))
            return false;
        size_t some = m->tail - m->head < n ? m->tail - m->head : n;
        memcpy(at, m->ahead + m->head, some);
        m->head += some;
        at += some;
        n -= some;
    }
    return true;
}

/* n is small, and nothing was read before. */
bool wh_parcel_raw_peek(struct wh_op *op, struct wh_parcel *p, void *to, size_t n)
{
    struct wh_parcel_parts *m = p->parts;

    while (m->tail - m->head < n)
        if (!read_more(op, p))
            return false;
    memcpy(to, m->ahead + m->head, n);
    return true;
}

bool wh_parcel_raw_write(struct wh_op *op, struct wh_parcel *p, const void *from, size_t n)
{
    return put(op, p, from, n);
}

/* ------------------------------------------------------------------------------- frames */

static void make_head(uint8_t head[HEAD], enum kind kind, size_t n, size_t plain)
{
    memset(head, 0, HEAD);
    wh_put_le32(head, MAGIC);
    head[4] = (uint8_t)kind;
    wh_put_le32(head + 8, (uint32_t)n);
    wh_put_le32(head + 12, (uint32_t)plain);
}

static bool put_frame(struct wh_op *op, struct wh_parcel *p, enum kind kind, const void *body,
                      size_t n, size_t plain)
{
    struct wh_parcel_parts *m = p->parts;
    uint8_t head[HEAD];

    if (m->cut)
        return wh_fail(&op->err, WH_PEER, "%s: what was being said was cut off", p->peer);
    if (!wh_go_on(op))
        return false;                   /* nothing of it has gone out: others may be said */
    make_head(head, kind, n, plain);
    m->busy = m->cut = true;
    if (!put(op, p, m->rest + HEAD - m->owed, m->owed) || !put(op, p, head, HEAD) ||
        !put(op, p, body, n))
        return false;
    m->busy = m->cut = false;
    m->owed = 0;
    m->said_ns = wh_now_ns();
    return true;
}

/* What does not go out at once goes before the next frame, which it would cut in two. */
static void tick(void *arg)
{
    struct wh_parcel *p = arg;
    struct wh_parcel_parts *m = p->parts;

    if (!m || p->raw || m->busy || m->cut || wh_now_ns() - m->said_ns < ALIVE_NS)
        return;
    if (m->owed == 0)
        make_head(m->rest, NOTHING, 0, 0);
    size_t n = m->owed > 0 ? m->owed : HEAD;
    ssize_t done = put_some(p->out, m->rest + HEAD - n, n);
    m->owed = done > 0 ? n - (size_t)done : m->owed;
    p->sent += done > 0 ? (uint64_t)done : 0;
    m->said_ns = wh_now_ns();
}

static bool bad(struct wh_op *op, struct wh_parcel *p, const char *what)
{
    return wh_fail(&op->err, WH_PEER, "%s does not keep to the protocol: %s", p->peer, what);
}

static bool fits(const struct wh_parcel *p, enum kind kind, size_t n, size_t plain)
{
    switch (kind) {
    case MESSAGE:
    case BYTES:
        return n > 0 && n <= PIECE && n == plain;
    case PACKED:
        return n > 0 && n <= p->parts->room && plain > 0 && plain <= PIECE;
    case END:
        return n == WH_DIGEST_BYTES && plain == 0;
    case NOTHING:
    case MARK:
    case REACHED:
        break;
    }
    return n == 0 && plain == 0;
}

/* The next frame that says something; its body is in m->frame. */
static bool get_frame(struct wh_op *op, struct wh_parcel *p, enum kind *kind, size_t *n, size_t *plain)
{
    uint8_t head[HEAD];

    do {
        if (!wh_parcel_raw_read(op, p, head, HEAD))
            return false;
        if (wh_le32(head) != MAGIC)
            return bad(op, p, "what came is no frame");
        *kind = head[4];
        *n = wh_le32(head + 8);
        *plain = wh_le32(head + 12);
        if (*kind < MESSAGE || *kind > REACHED || head[5] || head[6] || head[7])
            return bad(op, p, "a frame of no known kind");
        if (!fits(p, *kind, *n, *plain))
            return bad(op, p, "a frame that is too long, or too short");
    } while (*kind == NOTHING);
    return wh_parcel_raw_read(op, p, p->parts->frame, *n);
}

/* ------------------------------------------------------------------------------ messages */

bool wh_parcel_say(struct wh_op *op, struct wh_parcel *p, json_object *o)
{
    wh_auto_json json_object *mine = o;
    const char *text = json_object_to_json_string_ext(mine, JSON_C_TO_STRING_PLAIN);
    size_t n = text ? strlen(text) : 0;

    if (n == 0 || n > MESSAGE_MOST)
        return wh_fail(&op->err, WH_SYSTEM, "a message of %zu bytes cannot be sent", n);
    return put_frame(op, p, MESSAGE, text, n, n);
}

static bool parse(struct wh_op *op, struct wh_parcel *p, size_t n, json_object **o, const char **type)
{
    const char *why;
    size_t at;

    *o = wh_json_parse((char *)p->parts->frame, n, &why, &at);
    *type = wh_json_string(*o, "type", "");
    if (!*o || !**type) {
        json_object_put(*o);
        *o = NULL;
        return bad(op, p, "a message that is no JSON object with a type");
    }
    if (strcmp(*type, "failed") != 0)
        return true;
    p->failed = true;
    wh_fail(&op->err, WH_PEER, "%s: %.600s", p->peer, wh_json_string(*o, "text", "it failed"));
    json_object_put(*o);
    *o = NULL;
    return false;
}

bool wh_parcel_hear(struct wh_op *op, struct wh_parcel *p, json_object **o, const char **type)
{
    enum kind kind;
    size_t n, plain;

    *o = NULL;
    if (!get_frame(op, p, &kind, &n, &plain))
        return false;
    if (kind != MESSAGE)
        return bad(op, p, "a message was due");
    return parse(op, p, n, o, type);
}

/* The other end may tell of its failure at any time, and of nothing else while the stream goes. */
static bool hear_failure(struct wh_op *op, struct wh_parcel *p, size_t n)
{
    wh_auto_json json_object *o = NULL;
    const char *type;

    return parse(op, p, n, &o, &type) && bad(op, p, "a message in the middle of the stream");
}

/* -------------------------------------------------------------------- the stream, going out */

/* Pieces leave no faster than the limit: each after the last has had its time. */
static bool keep_limit(struct wh_op *op, struct wh_parcel *p, size_t n)
{
    struct wh_parcel_parts *m = p->parts;
    int64_t now = wh_now_ns();

    if (p->limit == 0)
        return true;
    if (m->free_ns > now && !wh_nap(op, (unsigned)((m->free_ns - now) / 1000000 + 1)))
        return false;
    now = wh_now_ns();
    m->free_ns = (m->free_ns > now ? m->free_ns : now) + (int64_t)((double)n * 1e9 / (double)p->limit);
    return true;
}

/* Whether packing this piece made it arrive sooner. */
static void weigh(struct wh_parcel *p, size_t n, size_t packed, int64_t took_ns)
{
    struct wh_parcel_parts *m = p->parts;
    bool pays = m->link_ns <= 0 ||
                ((double)n - (double)packed) * m->link_ns > (double)took_ns;

    m->unpaid = pays ? 0 : m->unpaid < 8 ? m->unpaid + 1 : 8;
    m->skip = m->unpaid == 0 ? 0 : 1u << m->unpaid < UNPAID_MOST ? 1u << m->unpaid : UNPAID_MOST;
}

static bool wants_packing(struct wh_parcel *p)
{
    if (p->packing != WH_PACK_AUTO)
        return p->packing == WH_PACK_ALWAYS;
    if (p->parts->skip == 0)
        return true;
    p->parts->skip--;
    return false;
}

static const char not_taken[] = "has taken nothing of the guest";

static bool send_frame(struct wh_op *op, struct wh_parcel *p, enum kind kind, const void *body, size_t n,
                       size_t plain)
{
    struct wh_bound before = wh_bound(op, p->stall_ms);
    bool ok = p->raw ? put(op, p, body, n) : put_frame(op, p, kind, body, n, plain);

    return in_time(op, p, before, ok, not_taken);
}

static bool send_piece(struct wh_op *op, struct wh_parcel *p, const uint8_t *from, size_t n)
{
    struct wh_parcel_parts *m = p->parts;
    int64_t begun = wh_now_ns();
    size_t packed = 0;

    if (p->raw)
        return keep_limit(op, p, n) && send_frame(op, p, BYTES, from, n, n);
    wh_digest_feed(m->out, from, n);
    if (wants_packing(p)) {
        packed = ZSTD_compressCCtx(m->packer, m->frame, m->room, from, n, p->level);
        if (ZSTD_isError(packed))
            return wh_fail(&op->err, WH_SYSTEM, "zstd: %s", ZSTD_getErrorName(packed));
        weigh(p, n, packed, wh_now_ns() - begun);
    }
    bool smaller = packed > 0 && packed < n;
    size_t out = smaller ? packed : n;
    if (!keep_limit(op, p, out))
        return false;
    begun = wh_now_ns();
    if (!send_frame(op, p, smaller ? PACKED : BYTES, smaller ? m->frame : from, out, n))
        return false;
    double each = (double)(wh_now_ns() - begun) / (double)out;
    m->link_ns = m->link_ns > 0 ? m->link_ns * 0.9 + each * 0.1 : each;
    p->packed += smaller ? packed : 0;
    p->plain += smaller ? n : 0;
    return true;
}

static bool send_filled(struct wh_op *op, struct wh_parcel *p)
{
    size_t n = p->parts->filled;

    p->parts->filled = 0;
    return n == 0 || send_piece(op, p, p->parts->filling, n);
}

/* What is on its way, in more buffers than can be known, is no more behind this: the other end has taken
 * it all. */
static bool stage_flush(struct wh_op *op, struct wh_stage *t)
{
    struct wh_parcel *p = ((struct stage *)t)->p;
    enum kind kind;
    size_t n, plain;

    if (!send_filled(op, p) || !p->marks)
        return op->err.kind == WH_OK;
    struct wh_bound before = wh_bound(op, p->stall_ms);
    bool ok = put_frame(op, p, MARK, NULL, 0, 0) && get_frame(op, p, &kind, &n, &plain);
    if (!in_time(op, p, before, ok, not_taken))
        return false;
    if (kind == MESSAGE)
        return hear_failure(op, p, n);
    return kind == REACHED || bad(op, p, "the answer to a mark was due");
}

static bool stage_write(struct wh_op *op, struct wh_stage *t, const void *from, size_t n)
{
    struct wh_parcel *p = ((struct stage *)t)->p;
    struct wh_parcel_parts *m = p->parts;
    const uint8_t *at = from;

    for (size_t some; n > 0; at += some, n -= some) {
        if (m->filled == PIECE && !send_filled(op, p))
            return false;
        some = PIECE - m->filled < n ? PIECE - m->filled : n;
        memcpy(m->filling + m->filled, at, some);
        m->filled += some;
    }
    return true;
}

static bool stage_end(struct wh_op *op, struct wh_stage *t)
{
    struct wh_parcel *p = ((struct stage *)t)->p;
    uint8_t digest[WH_DIGEST_BYTES];

    if (!send_filled(op, p))
        return false;
    if (p->raw)
        return true;
    wh_digest_get(p->parts->out, digest);
    return send_frame(op, p, END, digest, sizeof digest, 0);
}

static void stage_drop(struct wh_stage *t)
{
    free(t);
}

bool wh_parcel_sink(struct wh_op *op, struct wh_parcel *p, struct wh_sink *k)
{
    struct stage *t = calloc(1, sizeof *t);

    *k = (struct wh_sink){ .fd = p->out, .own = -1, .wait = true, .name = p->peer };
    if (!t)
        return wh_fail_sys(&op->err, ENOMEM, "ready the link");
    *t = (struct stage){ { .write = stage_write, .flush = stage_flush, .end = stage_end,
                           .drop = stage_drop }, p };
    k->stage = &t->stage;
    return true;
}

/* --------------------------------------------------------------------- the stream, coming in */

static bool unpack(struct wh_op *op, struct wh_parcel *p, size_t n, size_t plain)
{
    struct wh_parcel_parts *m = p->parts;
    size_t got = wh_frame_unpack(m->unpacker, m->piece, PIECE, m->frame, n);

    return (!ZSTD_isError(got) && got == plain) ||
           bad(op, p, "a compressed frame that is none, or not as long as it says");
}

static bool check_end(struct wh_op *op, struct wh_parcel *p)
{
    uint8_t digest[WH_DIGEST_BYTES];

    wh_digest_get(p->parts->in, digest);
    return memcmp(digest, p->parts->frame, sizeof digest) == 0 ||
           wh_fail(&op->err, WH_STREAM, "%s sent other bytes than have come: their digests differ",
                   p->peer);
}

static bool next_piece(struct wh_op *op, struct feed *f)
{
    struct wh_parcel_parts *m = f->p->parts;
    struct wh_bound before = wh_bound(op, f->p->stall_ms);
    enum kind kind;
    size_t n, plain;

    bool ok = get_frame(op, f->p, &kind, &n, &plain);
    if (!in_time(op, f->p, before, ok, "has sent nothing of the guest"))
        return false;
    f->at = 0;
    f->n = plain;
    if (kind == MESSAGE)
        return hear_failure(op, f->p, n);
    if (kind == REACHED)
        return bad(op, f->p, "an answer to what was not asked");
    if (kind == MARK)
        return put_frame(op, f->p, REACHED, NULL, 0, 0);
    f->ended = kind == END;
    if (f->ended) {
        f->n = 0;
        return check_end(op, f->p);
    }
    if (kind == BYTES)
        memcpy(m->piece, m->frame, n);
    else if (!unpack(op, f->p, n, plain))
        return false;
    wh_digest_feed(m->in, m->piece, plain);
    return true;
}

static bool some(struct wh_op *op, struct wh_parcel *p, void *to, size_t most, size_t *n)
{
    struct wh_parcel_parts *m = p->parts;

    if (m->head == m->tail && !fill(op, p))
        return false;
    *n = m->tail - m->head < most ? m->tail - m->head : most;
    memcpy(to, m->ahead + m->head, *n);
    m->head += *n;
    return true;
}

static bool feed_read(struct wh_op *op, struct wh_feed *feed, uint64_t at, void *to, size_t most,
                      size_t *n)
{
    struct feed *f = (struct feed *)feed;

    (void)at;
    *n = 0;
    if (f->p->raw)
        return some(op, f->p, to, most, n);
    while (f->at == f->n && !f->ended)
        if (!next_piece(op, f))
            return false;
    *n = f->n - f->at < most ? f->n - f->at : most;
    memcpy(to, f->p->parts->piece + f->at, *n);
    f->at += *n;
    return true;
}

static void feed_drop(struct wh_feed *feed)
{
    (void)feed;                 /* the parcel's */
}

bool wh_parcel_source(struct wh_op *op, struct wh_parcel *p, struct wh_source *s)
{
    struct feed *f = &p->parts->feed;

    if (!wh_source_open(op, s, p->in))
        return false;
    *f = (struct feed){ .feed = { .read = feed_read, .drop = feed_drop }, .p = p };
    s->feed = &f->feed;
    s->name = p->peer;
    s->seekable = s->pipe = false;
    s->size = WH_SOURCE_UNKNOWN;
    return true;
}
