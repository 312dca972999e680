/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake host: its lock, its gate with the faults, and what tests turn on and off. */
#include "xen/fake.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"
#include "xen/fake_tree.h"

#define HEAP_EXTRA 4096u        /* frames for shared info and grant tables */

_Noreturn void wh_fake_die(const char *what)
{
    char text[200];
    int n = snprintf(text, sizeof text, "the fake Xen cannot go on: %s: %s\n", what,
                     strerror(errno));

    if (write(STDERR_FILENO, text, (size_t)n) < 0)
        abort();
    abort();
}

void *wh_fake_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);

    if (!p)
        wh_fake_die("memory");
    return p;
}

void wh_fake_blob_set(struct fake_blob *b, const void *bytes, size_t n)
{
    free(b->bytes);
    b->bytes = wh_fake_alloc(n);
    b->n = n;
    if (n)
        memcpy(b->bytes, bytes, n);
}

/* xorshift: the same guests on every machine. */
uint64_t wh_fake_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

void wh_fake_lock(struct wh_fake *f)
{
    pthread_mutex_lock(&f->lock);
}

void wh_fake_unlock(struct wh_fake **f)
{
    pthread_mutex_unlock(&(*f)->lock);
}

bool wh_fake_refuse(struct wh_op *op, uint32_t domid, const char *what, int sys)
{
    char why[128];

    return wh_fail(&op->err, WH_XEN, "%s of domain %u: %s", what, domid,
                   strerror_r(sys, why, sizeof why));
}

/* --------------------------------------------------------------------------------- the gate */

/* Hangs as a xenstored that has stopped would: never longer than we wait for one. */
static bool hang(struct wh_op *op, const char *call)
{
    struct wh_bound step = wh_bound(op, WH_STORE_MS);
    bool ok = wh_wait(op, -1, 0);

    wh_unbound(op, step);
    if (!ok)
        wh_while(&op->err, "%s, made to hang", call);
    return ok;
}

static bool meet(struct wh_op *op, struct wh_fake *f, const char *call, enum wh_fault how)
{
    switch (how) {
    case WH_FAULT_NONE:
        break;
    case WH_FAULT_FAIL:
        return wh_fail(&op->err, WH_XEN, "%s: made to fail", call);
    case WH_FAULT_LOST:
        f->lost = op;
        break;
    case WH_FAULT_HANG:
        return hang(op, call);
    case WH_FAULT_CANCEL:
        wh_op_cancel(op);
        return wh_go_on(op);
    case WH_FAULT_CANCEL_IN:
        wh_op_cancel(op);
        break;
    case WH_FAULT_TOLD:
        f->told(f->told_arg, op);
        break;
    }
    return true;
}

/* Only requests of xenstore that change something can be done and not be answered: a hypercall
 * tells what it did. */
static bool can_lose(const char *call)
{
    static const char *const calls[] = { "store write", "store mkdir", "store remove",
                                         "store perms", "store commit", "store watch",
                                         "store unwatch", "store introduce", "store resume",
                                         "store release" };

    for (size_t i = 0; i < WH_COUNT(calls); i++)
        if (strcmp(call, calls[i]) == 0)
            return true;
    return false;
}

/* What looks until something has come looks as often as time lets it: by the third round they are calls
 * it has made before. */
static bool again(struct fake_fault *fault, const char *call)
{
    const char **last = fault->last;
    bool looks = false, same = true;

    memmove(last + 1, last, (WH_COUNT(fault->last) - 1) * sizeof *last);
    last[0] = call;
    for (size_t i = 0; i < FAKE_ROUND; i++) {
        looks |= strcmp(last[i], "domains") == 0;
        same &= last[i + 2 * FAKE_ROUND] && strcmp(last[i], last[i + FAKE_ROUND]) == 0 &&
                strcmp(last[i], last[i + 2 * FAKE_ROUND]) == 0;
        if (!same)
            return false;
    }
    return looks;
}

bool wh_fake_gate(struct wh_op *op, struct wh_fake *f, const char *call)
{
    struct fake_fault *fault = &f->fault[op->shielded];
    enum wh_fault how = WH_FAULT_NONE;

    wh_fake_lock(f);
    f->lost = NULL;
    if (f->heard)
        f->heard(f->heard_arg, call);
    if (!again(fault, call) && ++fault->calls == fault->at) {
        how = fault->how == WH_FAULT_LOST && !can_lose(call) ? WH_FAULT_FAIL : fault->how;
        fault->hit = call;
    }
    wh_fake_unlock(&f);
    return meet(op, f, call, how);
}

void wh_fake_listen(struct wh_fake *f, void (*heard)(void *arg, const char *call), void *arg)
{
    FAKE_LOCKED(f);

    f->heard = heard;
    f->heard_arg = arg;
}

void wh_fake_told(struct wh_fake *f, void (*told)(void *arg, struct wh_op *op), void *arg)
{
    FAKE_LOCKED(f);

    f->told = told;
    f->told_arg = arg;
}

void wh_fake_killed(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    while (f->maps)
        wh_fake_unmap(f, f->maps->p, f->maps->n);
}

static void arm(struct wh_fake *f, bool shielded, uint64_t k, enum wh_fault how)
{
    FAKE_LOCKED(f);

    f->fault[shielded] = (struct fake_fault){ .how = how, .at = how == WH_FAULT_NONE ? 0 : k };
}

void wh_fake_fault(struct wh_fake *f, uint64_t k, enum wh_fault how)
{
    arm(f, false, k, how);
}

void wh_fake_fault_shielded(struct wh_fake *f, uint64_t k, enum wh_fault how)
{
    arm(f, true, k, how);
}

uint64_t wh_fake_calls(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    return f->fault[false].calls;
}

uint64_t wh_fake_shielded_calls(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    return f->fault[true].calls;
}

const char *wh_fake_fault_hit(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    return f->fault[false].hit;
}

const char *wh_fake_shielded_hit(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    return f->fault[true].hit;
}

/* -------------------------------------------------------------------------------- domains */

struct fake_domain *wh_fake_find(struct wh_fake *f, uint32_t domid)
{
    struct fake_domain *d = f->domains;

    while (d && d->domid != domid)
        d = d->next;
    return d;
}

struct fake_domain *wh_fake_get(struct wh_op *op, struct wh_fake *f, uint32_t domid,
                                const char *what)
{
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d)
        wh_fake_refuse(op, domid, what, ESRCH);
    return d;
}

/* ------------------------------------------------------------------------ turning it on and off */

void wh_fake_conflict(struct wh_fake *f, unsigned n)
{
    f->conflicts = n;
}

void wh_fake_pv_logdirty(struct wh_fake *f, bool can)
{
    f->pv_logdirty = can;
}

bool wh_fake_ends_soon(const struct wh_fake *f)
{
    return f->ends_soon;
}

void wh_fake_cheap_maps(struct wh_fake *f, bool cheap)
{
    f->cheap_maps = cheap;
}

void wh_fake_stale(struct wh_fake *f, bool stale)
{
    f->stale = stale;
}

void wh_fake_set_free(struct wh_fake *f, uint64_t pages)
{
    FAKE_LOCKED(f);

    f->free_pages = pages;
}

unsigned wh_fake_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    unsigned n = 0;

    if (!d)
        wh_fake_die("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n - 3;               /* ".", ".." and the folder itself */
}

/* --------------------------------------------------------------------------- making, ending */

static void make_heap(struct wh_fake *f)
{
    size_t bytes = f->heap_end * FAKE_PAGE;

    f->heap = memfd_create("fake-xen", MFD_CLOEXEC);
    if (f->heap < 0 || ftruncate(f->heap, (off_t)bytes) < 0)
        wh_fake_die("Xen's own memory");
    f->heap_base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->heap, 0);
    if (f->heap_base == MAP_FAILED)
        wh_fake_die("Xen's own memory");
    memset(f->heap_base + FAKE_M2P_AT * FAKE_PAGE, 0xff, f->m2p_chunks * 512 * FAKE_PAGE);
}

static void make_lock(struct wh_fake *f)
{
    pthread_mutexattr_t how;

    pthread_mutexattr_init(&how);
    pthread_mutexattr_settype(&how, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&f->lock, &how);
    pthread_mutexattr_destroy(&how);
}

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* With this step every one of n is met once before any is met again. */
static uint64_t step_through(uint64_t n)
{
    uint64_t step = n / 2 + 1;

    while (common_factor(n, step) != 1)
        step++;
    return step;
}

struct wh_fake *wh_fake_new(uint64_t mb)
{
    struct wh_fake *f = wh_fake_alloc(sizeof *f);
    uint64_t pages = mb * 256;

    make_lock(f);
    f->free_pages = pages;
    f->m2p_chunks = (pages + 65536) / (512 * 512) + 1;
    f->heap_next = fake_compat_at(f) + 512;
    f->heap_end = f->heap_next + HEAP_EXTRA;
    f->frames = f->heap_end + (pages + 15) / 16 * 16;
    f->owner = wh_fake_alloc(f->frames * sizeof *f->owner);
    f->step = step_through((pages + 15) / 16);
    f->next_domid = 1;
    make_heap(f);
    f->tree = wh_fake_tree_new();
    wh_fake_store_set(f, 0, "/tool/xenstored/domid", "0");
    wh_fake_store_set(f, 0, "/tool/xenconsoled/domid", "0");
    wh_fake_store_set(f, 0, "/local/domain/0/name", "Domain-0");
    wh_fake_store_set(f, 0, "/local/domain/0/domid", "0");
    wh_fake_store_set(f, 0, "/libxl", "");
    wh_fake_store_set(f, 0, "/vm", "");
    return f;
}

void wh_fake_free(struct wh_fake *f)
{
    while (f->links)
        f->links = wh_fake_link_free(f->links);
    wh_fake_handles_free(f);
    while (f->domains)
        wh_fake_drop(f, f->domains);
    wh_fake_tree_free(f->tree);
    munmap(f->heap_base, f->heap_end * FAKE_PAGE);
    close(f->heap);
    free(f->owner);
    free(f->leaves.bytes);
    free(f->msrs.bytes);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
