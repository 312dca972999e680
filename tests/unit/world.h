/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fake host for a test: an operation, the host, and a handle on each of its backends. */
#ifndef TESTS_WORLD_H
#define TESTS_WORLD_H

#include "unit.h"
#include "xen/fake.h"

#define MB 8

/* A host, a handle on each of its backends, and how it began. */
struct world {
    struct wh_op *op;
    struct wh_fake *f;
    struct wh_xen *x;
    struct wh_store *st;
};

static inline struct world begin(void **state)
{
    struct world w = { .op = *state, .f = wh_fake_new(256) };

    w.x = wh_fake_xen(w.f);
    w.st = wh_fake_store(w.f);
    return w;
}

static inline void end(struct world *w)
{
    wh_store_close(w->st);
    wh_xen_close(w->x);
    wh_fake_free(w->f);
}

/* The call was refused, for this reason; the operation is as before. */
#define assert_refused(w, call, why)                                                               \
    do {                                                                                           \
        assert_false(call);                                                                        \
        assert_kind((w)->op, WH_XEN);                                                              \
        assert_says((w)->op->err.text, why);                                                       \
        memset(&(w)->op->err, 0, sizeof (w)->op->err);                                             \
    } while (0)

static inline uint32_t make(struct world *w, bool hvm, uint64_t pages)
{
    struct wh_domain_spec s = { .uuid = { 1 }, .hvm = hvm, .hap = hvm, .vcpus = 2,
                                .event_channels = 3 };
    uint32_t domid;

    assert_true(wh_xen_create(w->op, w->x, &s, &domid));
    assert_true(wh_xen_max_vcpus(w->op, w->x, domid, 2));
    assert_true(wh_xen_max_memory(w->op, w->x, domid, pages * 4));
    return domid;
}

/* A little-endian word in a page of a guest. */
static inline uint64_t word(const uint8_t *p, size_t at, unsigned width)
{
    uint64_t value = 0;

    memcpy(&value, p + at, width);
    return value;
}

#endif
