/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's memory: frames given, taken, typed, mapped, watched for writes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

/* --------------------------------------------------------------------------- Xen's own frames */

uint64_t wh_fake_heap_take(struct wh_fake *f)
{
    uint64_t frame = f->heap_frees ? f->heap_free[--f->heap_frees] : f->heap_next++;

    if (frame >= f->heap_end)
        wh_fake_die("too many domains");
    memset(f->heap_base + frame * FAKE_PAGE, 0, FAKE_PAGE);
    return frame;
}

void wh_fake_heap_give(struct wh_fake *f, uint64_t frame)
{
    if (f->heap_frees < WH_COUNT(f->heap_free))
        f->heap_free[f->heap_frees++] = frame;
}

/* ------------------------------------------------------------------------- machine frames (PV) */

/* The i-th frame in the order they are handed out: chunks of 16 in a row, shuffled. */
static uint64_t nth(const struct wh_fake *f, uint64_t i)
{
    uint64_t chunks = (f->frames - fake_guests_at(f)) / 16;

    return fake_guests_at(f) + i / 16 * f->step % chunks * 16 + i % 16;
}

static uint64_t take_frame(struct wh_fake *f)
{
    uint64_t n = f->frames - fake_guests_at(f);

    for (uint64_t tried = 0; tried < n; tried++) {
        uint64_t frame = nth(f, f->cursor);

        f->cursor = (f->cursor + 1) % n;
        if (!f->owner[frame])
            return frame;
    }
    return WH_NO_FRAME;
}

uint64_t wh_fake_pfn_of(const struct wh_fake *f, const struct fake_domain *d, uint64_t mfn)
{
    if (mfn >= f->frames || f->owner[mfn] != d->domid + 1)
        return WH_NO_FRAME;
    return fake_m2p(f)[mfn];
}

/* --------------------------------------------------------------------------- giving, taking */

static void make_room(struct fake_domain *d, uint64_t pfn)
{
    d->used[pfn / FAKE_BLOCK] = true;
    if (d->pfns <= pfn)
        d->pfns = pfn + 1;
}

int wh_fake_add(struct wh_fake *f, struct fake_domain *d, uint64_t pfn)
{
    struct fake_pfn p = { .there = 1 };     /* and not dirty: Xen 4.17 does not think so either */

    if (pfn >= FAKE_PFNS_MAX)
        return EINVAL;
    if (fake_has(d, pfn))
        return EEXIST;                  /* Xen would lose the former page: surely a mistake */
    if (d->pages >= d->max_pages || f->free_pages == 0)
        return ENOMEM;
    if (!d->spec.hvm) {
        p.mfn = take_frame(f);
        if (p.mfn == WH_NO_FRAME)
            return ENOMEM;
        f->owner[p.mfn] = d->domid + 1;
        fake_m2p(f)[p.mfn] = pfn;
    }
    make_room(d, pfn);
    d->pfn[pfn] = p;
    d->pages++;
    f->free_pages--;
    if (f->stale)
        memset(fake_at(d, pfn), 0xa5, FAKE_PAGE);
    return 0;
}

void wh_fake_remove(struct wh_fake *f, struct fake_domain *d, uint64_t pfn)
{
    struct fake_pfn *p = &d->pfn[pfn];

    if (!d->spec.hvm) {
        f->owner[p->mfn] = 0;
        fake_m2p(f)[p->mfn] = FAKE_NO_M2P;
    }
    *p = (struct fake_pfn){ .there = 0 };
    d->pages--;
    f->free_pages++;
}

bool wh_fake_populate(FAKE_OP_D, uint64_t *frame, size_t n, unsigned order)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "giving memory to");
    uint64_t count = UINT64_C(1) << order;
    int sys = 0;

    if (!d)
        return false;
    if (n > WH_BATCH_MAX || order > 18 || (order && !d->spec.hvm))
        return wh_fake_refuse(op, domid, "giving memory to", EINVAL);
    for (size_t i = 0; i < n && !sys; i++) {
        if (frame[i] & (count - 1))
            sys = EINVAL;
        uint64_t done = 0;
        while (done < count && !sys)
            if (!(sys = wh_fake_add(f, d, frame[i] + done)))
                done++;
        while (sys && done > 0)             /* of a piece there is all or nothing */
            wh_fake_remove(f, d, frame[i] + --done);
        if (!sys && !d->spec.hvm)
            frame[i] = d->pfn[frame[i]].mfn;
    }
    return !sys || wh_fake_refuse(op, domid, "giving memory to", sys);
}

bool wh_fake_release(FAKE_OP_D, const uint64_t *frame, size_t n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "taking memory from");

    if (!d)
        return false;
    if (n > WH_BATCH_MAX || !d->spec.hvm)
        return wh_fake_refuse(op, domid, "taking memory from", EINVAL);
    for (size_t i = 0; i < n; i++) {
        if (!fake_has(d, frame[i]))
            return wh_fake_refuse(op, domid, "taking memory from", EINVAL);
        wh_fake_remove(f, d, frame[i]);
    }
    return true;
}

/* ---------------------------------------------------------------------------- frames, types */

bool wh_fake_frames(FAKE_OP_D, uint64_t *n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the size");

    if (!d)
        return false;
    for (*n = d->pfns; *n > 0 && !d->pfn[*n - 1].there; --*n)
        ;
    return true;
}

bool wh_fake_types(FAKE_OP_D, uint64_t *frame, size_t n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "page types");

    if (!d)
        return false;
    if (n > WH_BATCH_MAX)
        return wh_fake_refuse(op, domid, "page types", E2BIG);
    for (size_t i = 0; i < n; i++) {
        uint64_t pfn = d->spec.hvm ? frame[i] : wh_fake_pfn_of(f, d, frame[i]);

        frame[i] = fake_has(d, pfn) ? d->pfn[pfn].type : FAKE_NO_PAGE;
    }
    return true;
}

/* ---------------------------------------------------------------------------------- mapping */

/* Where a frame's contents are. */
struct place {
    int fd;                 /* -1: nowhere */
    uint64_t page;
};

static struct place place_of(const struct wh_fake *f, const struct fake_domain *d, bool write,
                             uint64_t frame)
{
    const struct place nowhere = { .fd = -1 };

    if (!d)                 /* Xen's: its table, to be read */
        return !write && frame >= FAKE_M2P_AT && frame < fake_compat_at(f) + 512
                   ? (struct place){ f->heap, frame } : nowhere;
    if (d->shared_info && frame == d->shared_info)
        return (struct place){ f->heap, frame };
    uint64_t pfn = d->spec.hvm ? frame : wh_fake_pfn_of(f, d, frame);
    if (!fake_has(d, pfn) || d->pfn[pfn].type == FAKE_BROKEN)
        return nowhere;
    return (struct place){ d->memory, pfn };
}

static struct fake_map *remember_map(struct wh_fake *f, uint32_t domid, void *p, size_t n,
                                     bool grants)
{
    struct fake_map *m = wh_fake_alloc(sizeof *m);

    *m = (struct fake_map){ .next = f->maps, .domid = domid, .p = p, .n = n, .grants = grants };
    f->maps = m;
    return m;
}

static void *map_run(void *at, struct place first, size_t n, bool write)
{
    void *p = mmap(at, n * FAKE_PAGE, PROT_READ | (write ? PROT_WRITE : 0),
                   MAP_SHARED | MAP_POPULATE | (at ? MAP_FIXED : 0), first.fd,
                   (off_t)(first.page * FAKE_PAGE));

    if (p == MAP_FAILED)
        wh_fake_die("mapping a guest's memory");
    return p;
}

/* How many frames from the i-th on lie in a row. */
static size_t run_from(const struct wh_fake *f, const struct fake_domain *d, bool write,
                       const uint64_t *frame, size_t n, struct place *first)
{
    size_t run = 1;

    *first = place_of(f, d, write, frame[0]);
    for (; run < n; run++) {
        struct place p = place_of(f, d, write, frame[run]);

        if (p.fd != first->fd || (p.fd >= 0 && p.page != first->page + run))
            break;
    }
    return run;
}

/* Where a row of a domain's frames is mapped for good; NULL: it is no such. */
static void *mapped_for_good(const struct wh_fake *f, const struct fake_domain *d, bool write,
                             const uint64_t *frame, size_t n, int *err)
{
    struct place first;

    if (!f->cheap_maps || !d || run_from(f, d, write, frame, n, &first) != n ||
        first.fd != d->memory)
        return NULL;
    if (err)
        memset(err, 0, n * sizeof *err);
    return fake_at(d, first.page);
}

static void *map_all(struct wh_fake *f, struct fake_domain *d, bool write, const uint64_t *frame,
                     size_t n, int *err, bool *holes)
{
    struct place first;
    size_t run = run_from(f, d, write, frame, n, &first);
    char *base;

    *holes = false;
    if (run == n && first.fd >= 0) {
        if (err)
            memset(err, 0, n * sizeof *err);
        return map_run(NULL, first, n, write);
    }
    base = mmap(NULL, n * FAKE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        wh_fake_die("mapping a guest's memory");
    for (size_t i = 0; i < n; i += run) {
        run = run_from(f, d, write, frame + i, n - i, &first);
        *holes |= first.fd < 0;
        if (first.fd >= 0)
            map_run(base + i * FAKE_PAGE, first, run, write);
        for (size_t j = i; err && j < i + run; j++)
            err[j] = first.fd >= 0 ? 0 : EINVAL;
    }
    return base;
}

bool wh_fake_map(FAKE_OP_D, bool write, const uint64_t *frame, size_t n, int *err, void **p)
{
    struct fake_domain *d = wh_fake_find(f, domid);
    bool holes;

    *p = NULL;
    if (!d && domid != WH_DOMID_XEN)
        return wh_fake_refuse(op, domid, "mapping memory", ESRCH);
    if (n == 0)
        return wh_fake_refuse(op, domid, "mapping memory", EINVAL);
    *p = mapped_for_good(f, d, write, frame, n, err);
    if (*p) {
        remember_map(f, domid, *p, n, false)->cheap = true;
        return true;
    }
    void *got = map_all(f, d, write, frame, n, err, &holes);
    if (holes && !err) {
        munmap(got, n * FAKE_PAGE);
        return wh_fake_refuse(op, domid, "mapping memory", EINVAL);
    }
    remember_map(f, domid, got, n, false);
    *p = got;
    return true;
}

bool wh_fake_grants(FAKE_OP_D, unsigned *version, uint64_t *pages)
{
    const struct fake_domain *d = wh_fake_get(op, f, domid, "the grant table");

    *version = d && d->grant_version ? d->grant_version : 1;
    *pages = 1;
    return d != NULL;
}

bool wh_fake_map_grants(FAKE_OP_D, uint64_t which, void **p)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "mapping the grant table");

    *p = NULL;
    if (!d)
        return false;
    if (which > 0)
        wh_fake_die("more pages of a grant table are mapped than it has");
    *p = map_run(NULL, (struct place){ f->heap, d->grants }, 1, true);
    remember_map(f, domid, *p, 1, true);
    return true;
}

void wh_fake_unmap(struct wh_fake *f, void *p, size_t n)
{
    FAKE_LOCKED(f);

    for (struct fake_map **at = &f->maps; *at; at = &(*at)->next) {
        struct fake_map *m = *at;

        if (m->p != p)
            continue;
        if (m->n != n)
            wh_fake_die("a mapping is undone with another length than it was made with");
        *at = m->next;
        if (!m->cheap)
            munmap(p, n * FAKE_PAGE);
        free(m);
        return;
    }
    wh_fake_die("what is unmapped was never mapped");
}

/* ------------------------------------------------------------------------------- log-dirty */

static bool read_dirty(struct fake_domain *d, bool clean, uint8_t *bitmap, uint64_t pages,
                       uint64_t *dirty)
{
    *dirty = 0;
    memset(bitmap, 0, (pages + 7) / 8);
    for FAKE_EACH_PFN(d, pfn) {
        if (pfn >= pages || !d->pfn[pfn].dirty)
            continue;
        bitmap[pfn / 8] |= (uint8_t)(1u << pfn % 8);
        ++*dirty;
        if (clean)
            d->pfn[pfn].dirty = 0;
    }
    return true;
}

bool wh_fake_logdirty(FAKE_OP_D, enum wh_logdirty how, bool final, uint8_t *bitmap, uint64_t pages,
                      uint64_t *dirty)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "log-dirty");

    (void)final;
    if (!d)
        return false;
    if (how == WH_DIRTY_OFF) {
        d->logdirty = false;
        return true;
    }
    if (how == WH_DIRTY_ON) {
        if (!d->spec.hvm && !f->pv_logdirty)
            return wh_fake_refuse(op, domid, "turning log-dirty on", EOPNOTSUPP);
        if (d->logdirty)
            return wh_fake_refuse(op, domid, "turning log-dirty on", EINVAL);
        d->logdirty = true;
        for FAKE_EACH_PFN(d, pfn)
            d->pfn[pfn].dirty = 0;
        return true;
    }
    if (!d->logdirty)
        return wh_fake_refuse(op, domid, "the dirty pages", EINVAL);
    return read_dirty(d, how == WH_DIRTY_CLEAN, bitmap, pages, dirty);
}

/* ------------------------------------------------------------------ the machine-to-phys table */

bool wh_fake_m2p(FAKE_OP, uint64_t *frames, uint64_t **list, size_t *n, uint64_t *compat)
{
    (void)op;
    *frames = f->frames;
    *n = (f->frames * 8 + (2u << 20) - 1) / (2u << 20);
    *list = wh_fake_alloc(*n * sizeof **list);
    for (size_t i = 0; i < *n; i++)
        (*list)[i] = FAKE_M2P_AT + i * 512;
    *compat = fake_compat_at(f);
    return true;
}

/* ------------------------------------------------------------------------- for tests, by hand */

uint8_t *wh_fake_page(struct wh_fake *f, uint32_t domid, uint64_t pfn)
{
    FAKE_LOCKED(f);
    const struct fake_domain *d = wh_fake_find(f, domid);

    return d && fake_has(d, pfn) ? fake_at(d, pfn) : NULL;
}

void wh_fake_dirty(struct wh_fake *f, uint32_t domid, uint64_t pfn)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (d && fake_has(d, pfn))
        d->pfn[pfn].dirty = 1;
}

void wh_fake_set_type(struct wh_fake *f, uint32_t domid, uint64_t pfn, unsigned type)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d || !fake_has(d, pfn))
        wh_fake_die("no such page to type");
    d->pfn[pfn].type = (uint8_t)type;
}

void wh_fake_take_page(struct wh_fake *f, uint32_t domid, uint64_t pfn)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d || !fake_has(d, pfn))
        wh_fake_die("no such page to take");
    wh_fake_remove(f, d, pfn);
    if (fallocate(d->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(pfn * FAKE_PAGE),
                  FAKE_PAGE) < 0)
        wh_fake_die("taking a page");
}

void wh_fake_give_page(struct wh_fake *f, uint32_t domid, uint64_t pfn)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d || wh_fake_add(f, d, pfn) != 0)
        wh_fake_die("no page to give");
}
