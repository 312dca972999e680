/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host in memory, and the engines on it: an image in a memfd, restored into an empty domain. */
#ifndef TESTS_ENGINE_H
#define TESTS_ENGINE_H

#include <sys/mman.h>

#include "base/source.h"
#include "mem/restore.h"
#include "mem/save.h"
#include "unit.h"
#include "wire/libxc.h"
#include "xen/fake.h"

struct host {
    struct wh_op op;
    struct wh_fake *fake;
    struct wh_xen *xen;
    int fd;
    struct wh_sink sink;
    struct wh_index index;
    bool alloc_is_zero;         /* of the restore */
    uint64_t superpages;        /* that it gave */
};

static inline int set_up(void **state)
{
    struct host *h = calloc(1, sizeof *h);

    assert_true(wh_op_init(&h->op));
    h->fake = wh_fake_new(512);
    h->xen = wh_fake_xen(h->fake);
    h->fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(wh_sink_open(&h->op, &h->sink, h->fd));
    h->sink.sparse = true;
    wh_index_init(&h->index);
    *state = h;
    return 0;
}

static inline int tear_down(void **state)
{
    struct host *h = *state;

    wh_index_free(&h->index);
    wh_sink_close(&h->sink);
    close(h->fd);
    wh_xen_close(h->xen);
    wh_fake_free(h->fake);
    wh_op_done(&h->op);
    free(h);
    return 0;
}

#define assert_works(h, call)                                                                      \
    do {                                                                                           \
        bool worked = (call);                                                                      \
        if (!worked)                                                                               \
            print_error("%s\n", (h)->op.err.text);                                                 \
        assert_true(worked);                                                                       \
    } while (0)

/* ------------------------------------------------------------------------ the other way */

struct way {
    struct wh_restore r;
    bool told;
};

static inline bool record(struct wh_walk *w, const struct wh_rec *rec)
{
    struct way *to = w->arg;

    if (!w->image.has_libxc)
        return true;
    if (!to->told) {
        to->told = true;
        if (!wh_restore_domain(&to->r, &w->image))
            return false;
    }
    return (rec->row && rec->row->flags & WH_HEADER) || wh_restore_record(&to->r, w, rec);
}

static inline bool entries(struct wh_walk *w, const struct wh_rec *rec, const uint64_t *entry, size_t n)
{
    (void)rec;
    return wh_restore_entries(&((struct way *)w->arg)->r, entry, n);
}

static inline bool frame(struct wh_walk *w, uint64_t which, uint64_t pfn)
{
    return wh_restore_frame(&((struct way *)w->arg)->r, w->image.frames_end, which, pfn);
}

static inline bool place(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t **to)
{
    return wh_restore_place(&((struct way *)w->arg)->r, entry, n, to);
}

static inline bool placed(struct wh_walk *w, const uint64_t *entry, size_t n, uint8_t *to, bool whole)
{
    return wh_restore_placed(&((struct way *)w->arg)->r, entry, n, to, whole);
}

static const struct wh_watch watch = { .record = record, .entries = entries, .frame = frame,
                                       .place = place, .placed = placed };

static inline uint32_t empty_domain(struct host *h, const struct wh_fake_guest *g)
{
    struct wh_domain_spec spec = { .uuid = { 9 }, .hvm = g->kind != WH_FAKE_PV,
                                   .hap = g->kind != WH_FAKE_PV,
                                   .emulated = g->kind == WH_FAKE_HVM,
                                   .vcpus = g->vcpus ? g->vcpus : 1, .event_channels = 1023,
                                   .grant_frames = -1, .maptrack_frames = -1 };
    uint32_t domid, store, console;

    assert_works(h, wh_xen_create(&h->op, h->xen, &spec, &domid));
    assert_works(h, wh_xen_max_vcpus(&h->op, h->xen, domid, spec.vcpus));
    assert_works(h, wh_xen_max_memory(&h->op, h->xen, domid, g->mb * 1024 + 1024));
    assert_works(h, wh_xen_port(&h->op, h->xen, domid, 0, &store));
    assert_works(h, wh_xen_port(&h->op, h->xen, domid, 0, &console));
    return domid;
}

static inline void prepare(struct way *to, struct host *h, uint32_t domid, const struct wh_fake_guest *g)
{
    *to = (struct way){ .told = false };
    wh_restore_init(&to->r);
    to->r.op = &h->op;
    to->r.xen = h->xen;
    to->r.domid = domid;
    to->r.hvm = g->kind != WH_FAKE_PV;
    to->r.vcpus = g->vcpus ? g->vcpus : 1;
    to->r.max_pages = (g->mb * 1024 + 1024) / 4;
    to->r.store_port = 1;
    to->r.console_port = 2;
    to->r.alloc_is_zero = h->alloc_is_zero;
    lseek(h->fd, 0, SEEK_SET);
}

static inline bool restore(struct host *h, uint32_t domid, const struct wh_fake_guest *g)
{
    struct way to;
    struct wh_source src;
    struct wh_walk w;

    prepare(&to, h, domid, g);
    bool ok = wh_source_open(&h->op, &src, h->fd) &&
              wh_walk_init(&w, &h->op, &src, &watch, &to);
    assert_true(ok);
    ok = wh_walk_stream(&w) && wh_restore_finish(&to.r);
    h->superpages = to.r.superpages;
    wh_walk_free(&w);
    wh_source_close(&src);
    wh_restore_free(&to.r);
    return ok;
}

#endif
