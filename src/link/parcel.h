/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What two wherries say to each other on a link: frames.
 *
 *     le32 0x59524857 ("WHRY")   u8 kind   u8[3] 0   le32 length   le32 plain length
 *     length bytes
 *
 *     kind 1   a message: a JSON object, at most 256 KiB
 *          2   bytes of the stream, at most 256 KiB; plain length is length
 *          3   the same as one zstd frame
 *          4   the stream's end: 16 bytes, the XXH3-128 of its plain bytes
 *          5   nothing: who sends it lives
 *          6   a mark within the stream: answered with 7 by who has taken all that came before it
 *
 * Both ends say something at least every two seconds while they wait (the operation's tick); an end
 * that hears nothing for .silence_ms has lost the other.  To live is not enough: each frame of the stream
 * is taken, and comes, within .stall_ms. */
#ifndef WH_LINK_PARCEL_H
#define WH_LINK_PARCEL_H

#include <json-c/json.h>

#include "base/sink.h"
#include "base/source.h"

#define WH_SILENCE_MS 20000
#define WH_STALL_MS 120000

enum wh_packing { WH_PACK_AUTO, WH_PACK_ALWAYS, WH_PACK_NEVER };

struct wh_parcel {
    int in, out;                /* the caller's */
    const char *peer;           /* for texts */
    int64_t silence_ms;
    int64_t stall_ms;           /* for one frame of the stream, or for all that is on its way to be taken */
    uint64_t limit;             /* bytes a second to send at most; 0: none */
    bool marks;                 /* who takes the stream answers marks: to flush is to wait for that */
    bool raw;                   /* no frames: the stream's bytes as they are, the stock protocol's */
    enum wh_packing packing;    /* AUTO: where it makes the way faster, as measured */
    int level;

    bool lost;                  /* nothing comes any more, or nothing goes */
    bool failed;                /* the other end has said that it did */
    uint64_t sent, received;    /* bytes on the link */
    uint64_t packed, plain;     /* of the stream: bytes that went out as zstd frames, before and now */
    struct wh_parcel_parts *parts;
};

/* The descriptors must not block.  Freed by wh_parcel_free, also after a failure. */
bool wh_parcel_open(struct wh_op *op, struct wh_parcel *p, int in, int out, const char *peer);
void wh_parcel_free(struct wh_parcel *p);

/* A message.  o is freed. */
bool wh_parcel_say(struct wh_op *op, struct wh_parcel *p, json_object *o);

/* The next message, within the step's deadline; *type is its "type", which is in *o (to be freed).
 * One of type "failed" is the other end's failure, and ours: WH_PEER with its text. */
bool wh_parcel_hear(struct wh_op *op, struct wh_parcel *p, json_object **o, const char **type);

/* What is written into the sink goes to the other end; wh_sink_end says that it was all.  The sink is the
 * caller's to close, and the parcel must outlive it. */
bool wh_parcel_sink(struct wh_op *op, struct wh_parcel *p, struct wh_sink *k);

/* The stream that comes from the other end, up to its end; a raw one has none. */
bool wh_parcel_source(struct wh_op *op, struct wh_parcel *p, struct wh_source *s);

/* Exactly n bytes that come before any frame, or go before it: the stock protocol's. */
bool wh_parcel_raw_peek(struct wh_op *op, struct wh_parcel *p, void *to, size_t n);
bool wh_parcel_raw_read(struct wh_op *op, struct wh_parcel *p, void *to, size_t n);
bool wh_parcel_raw_write(struct wh_op *op, struct wh_parcel *p, const void *from, size_t n);

#endif
