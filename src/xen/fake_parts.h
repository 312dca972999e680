/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the fake share: the host, its domains, its xenstore.
 *
 * Machine frames, as the host counts them:
 *
 *     0                heap            of Xen itself: the machine-to-phys table from M2P_AT on, the
 *                                      32-bit one at COMPAT_AT, then shared info pages and grant
 *                                      tables; contents in host->heap
 *     GUESTS_AT .. frames              of PV guests, handed out in chunks of 16 in a shuffled order
 *
 * A domain's memory is one memfd, a page at pfn * 4096, mapped whole at `base`.  For an HVM guest
 * a frame is a pfn; for a PV guest the host's table of owners leads from frame to domain and pfn.
 *
 * Everything is under one lock: workers may map while the operation does something else. */
#ifndef WH_XEN_FAKE_PARTS_H
#define WH_XEN_FAKE_PARTS_H

#include <pthread.h>

#include "base/own.h"
#include "xen/fake.h"

#define FAKE_PAGE      4096u
#define FAKE_PFNS_MAX  (1ull << 24)     /* 64 GiB a guest */
#define FAKE_BLOCK     4096             /* pfns that are looked for together */
#define FAKE_VCPUS_MAX 64
#define FAKE_PARAMS    39               /* HVM_NR_PARAMS of 4.17 */
#define FAKE_NO_M2P    UINT64_MAX
#define FAKE_UUID      37               /* bytes of one as text, with its NUL */

/* A page's type in the stream's numbers; a PV guest's page tables have 1-4, and 8 when pinned. */
enum { FAKE_NOTAB = 0, FAKE_L1 = 1, FAKE_L4 = 4, FAKE_PINNED = 8, FAKE_BROKEN = 13,
       FAKE_NO_PAGE = 15 };

struct fake_blob {
    void *bytes;
    size_t n;
};

struct fake_pfn {
    uint64_t mfn;                       /* PV; there is memory iff .there */
    uint8_t there, type, dirty;
};

struct fake_vcpu {
    bool online, set;
    uint8_t context[WH_VCPU_CONTEXT];
    struct fake_blob blob[3];           /* by enum wh_vcpu_blob */
    uint8_t hard[16], soft[16];
};

struct fake_domain {
    struct fake_domain *next;           /* ascending by id */
    struct wh_domain_spec spec;
    uint32_t domid;
    char name[64];                      /* for reports; that of its node at the time it was made */
    unsigned pause_count;
    bool has_run, shutdown, logdirty;
    enum wh_shutdown reason;
    uint64_t pages, max_pages;
    uint32_t vcpus;
    unsigned width;                     /* PV: bytes */
    struct fake_vcpu vcpu[FAKE_VCPUS_MAX];

    int memory;                         /* the memfd */
    uint8_t *base;
    struct fake_pfn *pfn;               /* of all that could be; without memory until it is used */
    uint64_t pfns;                      /* one more than the highest ever */
    bool used[FAKE_PFNS_MAX / FAKE_BLOCK];
    uint64_t shared_info, grants;       /* heap frames; shared_info 0: HVM */
    unsigned grant_version;             /* 0: 1 */
    uint64_t p2m_first, p2m_last;       /* PV, of a guest that the fake made: pfns of its p2m */
    uint64_t lists_first, lists_last;   /* and of the tree's lists of p2m pages */

    uint64_t param[FAKE_PARAMS];
    struct fake_blob hvm_context, leaves, msrs;
    struct wh_tsc tsc;
    struct wh_sched sched;
    int64_t time_offset;
    uint64_t memmap_limit_kb, paging_bytes;
    uint32_t ports;                     /* how many it has */

    /* xenstored's side of it, and what the guest does */
    bool introduced, told_of_shutdown;
    enum wh_fake_answer answer;
    enum wh_shutdown asked;             /* what it was asked to do */
    int answering;                      /* steps still to go: 2 acknowledge, 1 do it */
    void (*run)(struct wh_fake *, uint32_t, void *);
    void *run_arg;
    struct wh_fake_state counts;
};

/* A stretch of memory that is mapped. */
struct fake_map {
    struct fake_map *next;
    uint32_t domid;
    void *p;
    size_t n;
    bool grants, cheap;
};

/* Which of the calls meets what. */
#define FAKE_ROUND 3                /* the calls of one look at a guest that is waited for */

struct fake_fault {
    enum wh_fault how;
    uint64_t at, calls;
    const char *hit, *last[3 * FAKE_ROUND];
};

struct wh_fake {
    pthread_mutex_t lock;               /* recursive: what a guest does by itself comes back here */
    uint64_t frames, free_pages;
    int heap;                           /* memfd of Xen's own frames */
    uint8_t *heap_base;
    uint64_t m2p_chunks;                /* of 512 frames each, from FAKE_M2P_AT on */
    uint64_t heap_next, heap_end;       /* heap frames never handed out */
    uint64_t heap_free[256];            /* and those given back */
    unsigned heap_frees;
    uint32_t *owner;                    /* of each frame: domid + 1; 0: free */
    uint64_t cursor, step;              /* where the search for a free one goes on, and how */
    struct fake_domain *domains;
    uint32_t next_domid;
    struct fake_map *maps;
    struct fake_handle *handles;        /* of the hypervisor */
    struct fake_tree *tree;             /* xenstore */
    struct fake_link *links;            /* connections to it */
    unsigned conflicts;                 /* commits still to be refused */
    bool pv_logdirty, stale, cheap_maps, ends_soon;
    struct fake_blob leaves, msrs;      /* the most a guest can have; empty until asked for */
    bool busy;                          /* guests are running just now */

    struct fake_fault fault[2];         /* by whether the operation is shielded */
    void (*heard)(void *arg, const char *call);
    void *heard_arg;
    void (*told)(void *arg, struct wh_op *op);
    void *told_arg;
    struct wh_op *lost;                 /* whose call under way is to lose its answer */
};

#define FAKE_M2P_AT 512u

static inline uint64_t fake_compat_at(const struct wh_fake *f)
{
    return FAKE_M2P_AT + f->m2p_chunks * 512;
}

static inline uint64_t fake_guests_at(const struct wh_fake *f)
{
    return f->heap_end;
}

static inline uint64_t *fake_m2p(const struct wh_fake *f)
{
    return (uint64_t *)(void *)(f->heap_base + FAKE_M2P_AT * FAKE_PAGE);
}

static inline bool fake_runs(const struct fake_domain *d)
{
    return d->pause_count == 0 && !d->shutdown;
}

static inline uint8_t *fake_at(const struct fake_domain *d, uint64_t pfn)
{
    return d->base + pfn * FAKE_PAGE;
}

static inline bool fake_has(const struct fake_domain *d, uint64_t pfn)
{
    return pfn < d->pfns && d->pfn[pfn].there;
}

/* From this pfn on the first that may ever have been there; UINT64_MAX if there is none. */
static inline uint64_t fake_next(const struct fake_domain *d, uint64_t pfn)
{
    while (pfn < d->pfns && !d->used[pfn / FAKE_BLOCK])
        pfn = (pfn / FAKE_BLOCK + 1) * FAKE_BLOCK;
    return pfn < d->pfns ? pfn : UINT64_MAX;
}

#define FAKE_EACH_PFN(d, pfn) \
    (uint64_t pfn = fake_next(d, 0); pfn < (d)->pfns; pfn = fake_next(d, pfn + 1))

/* ------------------------------------------------------------------------ of every file's use */

/* What the fake cannot do for want of this machine's means ends the test. */
_Noreturn void wh_fake_die(const char *what);
void *wh_fake_alloc(size_t n);                          /* zeroed */
void wh_fake_blob_set(struct fake_blob *b, const void *bytes, size_t n);
void wh_fake_hand_out(const struct fake_blob *b, void **bytes, size_t *n);  /* n 0: NULL */
uint64_t wh_fake_random(uint64_t *seed);

void wh_fake_lock(struct wh_fake *f);
void wh_fake_unlock(struct wh_fake **f);
#define FAKE_LOCKED(f) wh_auto(wh_fake_unlock) struct wh_fake *locked_ = (wh_fake_lock(f), (f))

/* The gate of both backends. */
bool wh_fake_gate(struct wh_op *op, struct wh_fake *f, const char *call);
/* Every call begins with this, under the lock: guests do what they do. */
void wh_fake_guests_go(struct wh_fake *f);

/* "WHAT of domain N: errno's text": false. */
bool wh_fake_refuse(struct wh_op *op, uint32_t domid, const char *what, int sys);
struct fake_domain *wh_fake_find(struct wh_fake *f, uint32_t domid);            /* NULL: none */
struct fake_domain *wh_fake_get(struct wh_op *op, struct wh_fake *f, uint32_t domid,
                                const char *what);                              /* NULL: refused */

/* fake_domain.c */
void wh_fake_uuid(const struct fake_domain *d, char *text);
struct fake_domain *wh_fake_make(struct wh_fake *f, const struct wh_domain_spec *s);
void wh_fake_drop(struct wh_fake *f, struct fake_domain *d);
void wh_fake_stop(struct wh_fake *f, struct fake_domain *d, enum wh_shutdown why);
uint32_t wh_fake_give_port(struct wh_fake *f, struct fake_domain *d);
/* Empty the node it was asked by; false: it may not write it. */
bool wh_fake_acknowledge(struct wh_fake *f, struct fake_domain *d);

/* fake_memory.c */
uint64_t wh_fake_heap_take(struct wh_fake *f);
void wh_fake_heap_give(struct wh_fake *f, uint64_t frame);
/* Memory at a pfn; 0, or the errno of the refusal. */
int wh_fake_add(struct wh_fake *f, struct fake_domain *d, uint64_t pfn);
void wh_fake_remove(struct wh_fake *f, struct fake_domain *d, uint64_t pfn);
/* The pfn of one of a PV guest's frames; WH_NO_FRAME: it is not its. */
uint64_t wh_fake_pfn_of(const struct wh_fake *f, const struct fake_domain *d, uint64_t mfn);

/* fake_table.c: is this frame a page table of that level, or can it become one? */
bool wh_fake_table(struct wh_fake *f, struct fake_domain *d, unsigned level, uint64_t mfn);
uint64_t wh_fake_cr3_frame(const struct fake_domain *d, uint64_t cr3);
uint64_t wh_fake_cr3(const struct fake_domain *d, uint64_t frame);

/* fake_guest.c, fake_pv.c: memory and state of a guest of this kind; store and console frames */
void wh_fake_fill(struct wh_fake *f, struct fake_domain *d, const struct wh_fake_guest *g,
                  uint64_t *store, uint64_t *console);
void wh_fake_fill_pv(struct wh_fake *f, struct fake_domain *d, const struct wh_fake_guest *g,
                     uint64_t *store, uint64_t *console);
void wh_fake_pv_suspended(struct wh_fake *f, struct fake_domain *d, bool suspended);
void wh_fake_contents(const struct fake_domain *d, uint64_t pfn, const struct wh_fake_guest *g,
                      uint64_t *seed);

/* fake_link.c: what of xenstore the other files see */
struct fake_link *wh_fake_link_free(struct fake_link *l);      /* its successor */
void wh_fake_special(struct wh_fake *f, const char *name);      /* fire @releaseDomain */
void wh_fake_store_gone(struct wh_fake *f, const struct fake_domain *d);
bool wh_fake_store_set(struct wh_fake *f, uint32_t as, const char *path, const char *value);

#endif
