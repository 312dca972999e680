/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A link's two ends in one process, for the tests of frames; who reads at one of them. */
#ifndef WH_TEST_PARCEL_ENDS_H
#define WH_TEST_PARCEL_ENDS_H

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/json.h"
#include "link/parcel.h"
#include "unit.h"

#define HEAD 16
#define PIECE (256u << 10)
#define BYTES 1500000u
#define MOST 100000u            /* read at once */
#define HURRY 20

enum { MESSAGE = 1, PLAIN, PACKED, END, NOTHING };

struct ends {
    int in[2], out[2];          /* of each end */
};

static inline struct ends join(bool pipes)
{
    int a[2], b[2];

    if (!pipes) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, a), 0);
        return (struct ends){ { a[0], a[1] }, { a[0], a[1] } };
    }
    assert_int_equal(pipe2(a, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC | O_NONBLOCK), 0);
    return (struct ends){ { a[0], b[0] }, { b[1], a[1] } };
}

static inline void hang_up(struct ends *e, int which)
{
    if (e->in[which] >= 0)
        close(e->in[which]);
    if (e->out[which] != e->in[which])
        close(e->out[which]);
    e->in[which] = e->out[which] = -1;
}

static inline void open_at(struct wh_op *op, struct wh_parcel *p, const struct ends *e, int which)
{
    wh_step(op, "talk", 60000);
    assert_true(wh_parcel_open(op, p, e->in[which], e->out[which], "the peer"));
}

static inline void shut(struct wh_op *op, struct wh_parcel *p)
{
    op->tick = NULL;
    wh_parcel_free(p);
}

static inline json_object *message(const char *text)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "type", json_object_new_string("word"));
    json_object_object_add(o, "text", json_object_new_string(text));
    return o;
}

/* Of the stream, by who reads it. */
static atomic_size_t taken;

static inline bool hear(struct wh_op *op, struct wh_parcel *p, const char *text)
{
    wh_auto_json json_object *o = NULL;
    const char *type;

    if (!wh_parcel_hear(op, p, &o, &type)) {
        assert_null(o);
        return false;
    }
    return strcmp(type, "word") == 0 && strcmp(wh_json_string(o, "text", ""), text) == 0;
}

/* What came is what was to come, up to where it ends or fails. */
static inline bool read_stream(struct wh_op *op, struct wh_parcel *p, const uint8_t *want, size_t n)
{
    static uint8_t to[MOST];
    struct wh_source s;
    size_t got = 1, total;
    bool ok = wh_parcel_source(op, p, &s);

    for (total = 0; ok && got > 0; total += got) {
        atomic_store(&taken, total);
        ok = wh_source_read(op, &s, to, 1 + total % sizeof to, &got);
        got = ok ? got : 0;
        assert_true(got <= n - total);
        assert_memory_equal(to, want + total, got);
    }
    wh_source_close(&s);
    return ok && total == n;
}

static inline bool read_all(struct wh_op *op, struct wh_parcel *p, const uint8_t *want, size_t n)
{
    return hear(op, p, "before") && read_stream(op, p, want, n) && hear(op, p, "after");
}

#endif
