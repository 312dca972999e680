/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A Xen host in memory: hypervisor and xenstore, for tests and for speed without Xen.  It does
 * what Xen 4.17 does where a toolstack can see it, refuses what Xen refuses, and counts what is
 * left behind.  Guests' memory is a memfd, so that mapping it maps it.
 *
 *     struct wh_fake *f = wh_fake_new(512);                     a host with 512 MiB for guests
 *     struct wh_here h = { .xen = wh_fake_xen(f), .store = wh_fake_store(f), ... };
 *     uint32_t domid = wh_fake_guest_pvh(f, "g", 16, 1, 50);
 *     wh_auto_free char *before = wh_fake_check(f);
 *
 *     wh_fake_fault(f, 7, WH_FAULT_FAIL);                       the 7th call of the backend fails
 *     ... the operation under test ...
 *     assert_string_equal(wh_fake_check(f), before);            what there was, and nothing else
 *
 * What the fake cannot do for want of this machine's means (memory, descriptors) aborts: it serves
 * tests. */
#ifndef WH_XEN_FAKE_H
#define WH_XEN_FAKE_H

#include "xen/store.h"
#include "xen/xen.h"

struct wh_fake;

struct wh_fake *wh_fake_new(uint64_t mb);
void wh_fake_free(struct wh_fake *f);   /* handles that are still open close with it */

/* A new handle on the hypervisor, or connection to xenstore, each time.  wh_xen_close and
 * wh_store_close close it; a connection's end ends its transactions and watches. */
struct wh_xen *wh_fake_xen(struct wh_fake *f);
struct wh_store *wh_fake_store(struct wh_fake *f);

/* -------------------------------------------------------------------------------- guests */

enum wh_fake_kind { WH_FAKE_PVH, WH_FAKE_HVM, WH_FAKE_PV };
enum wh_fake_p2m { WH_FAKE_LINEAR, WH_FAKE_TREE };

struct wh_fake_guest {
    enum wh_fake_kind kind;
    const char *name;
    unsigned mb;                    /* of memory, 4 at least */
    uint64_t seed;                  /* equal seeds: equal guests */
    unsigned zero_percent;          /* of its pages; the others hold random bytes */
    unsigned holes_percent;         /* of its pfns have no memory (ballooned out), roughly */
    unsigned vcpus;                 /* 0: 1 */
    bool plain;                     /* HVM: it has no PV drivers, which could be asked to suspend */
    unsigned width;                 /* PV: 4 or 8 (0: 8) */
    enum wh_fake_p2m p2m;           /* PV */
};

/* A running guest, in the hypervisor and in xenstore as after libxl's creation; its domid. */
uint32_t wh_fake_guest(struct wh_fake *f, const struct wh_fake_guest *g);

static inline uint32_t wh_fake_guest_pvh(struct wh_fake *f, const char *name, unsigned mb,
                                         uint64_t seed, unsigned zero_percent)
{
    return wh_fake_guest(f, &(struct wh_fake_guest){ .kind = WH_FAKE_PVH, .name = name, .mb = mb,
                                                     .seed = seed, .zero_percent = zero_percent });
}

static inline uint32_t wh_fake_guest_pv(struct wh_fake *f, const char *name, unsigned mb,
                                        uint64_t seed, unsigned zero_percent, unsigned width,
                                        enum wh_fake_p2m p2m)
{
    return wh_fake_guest(f, &(struct wh_fake_guest){ .kind = WH_FAKE_PV, .name = name, .mb = mb,
                                                     .seed = seed, .zero_percent = zero_percent,
                                                     .width = width, .p2m = p2m });
}

/* Are two domains the same guest?  Memory page by page (PV: through each one's p2m, page tables
 * and p2m by what they refer to), types, parameters, context, vcpus, TSC, policy; but for what a
 * restore must change (ports, store and console pages, start_info, event channels' masks).  If
 * not, why says where they first differ.  f and g may be different hosts. */
bool wh_fake_same(struct wh_fake *f, uint32_t a, struct wh_fake *g, uint32_t b, char *why,
                  size_t size);

/* The guest's own page: it stays where it is as long as the domain is there.  NULL: no memory. */
uint8_t *wh_fake_page(struct wh_fake *f, uint32_t domid, uint64_t pfn);
/* What the guest has written to: for log-dirty. */
void wh_fake_dirty(struct wh_fake *f, uint32_t domid, uint64_t pfn);
/* Its type from now on, in the stream's numbers: 0xd broken, for one. */
void wh_fake_set_type(struct wh_fake *f, uint32_t domid, uint64_t pfn, unsigned type);
/* Balloon a page out of an HVM guest, and one into it: of zeros, and not dirty. */
void wh_fake_take_page(struct wh_fake *f, uint32_t domid, uint64_t pfn);
void wh_fake_give_page(struct wh_fake *f, uint32_t domid, uint64_t pfn);

/* What the guest does by itself: run is called before each call of the backend while the guest
 * runs (not paused, not shut down); it may use the wh_fake_* functions.  NULL: nothing. */
void wh_fake_run(struct wh_fake *f, uint32_t domid,
                 void (*run)(struct wh_fake *f, uint32_t domid, void *arg), void *arg);

/* How it answers "suspend" in control/shutdown: one step before each following backend call.  It
 * needs the right to write that node. */
enum wh_fake_answer {
    WH_FAKE_SUSPENDS,               /* empties the node, then shuts down with reason suspend */
    WH_FAKE_DEAF,                   /* never answers */
    WH_FAKE_STALLS,                 /* empties the node, never shuts down */
    WH_FAKE_CRASHES,                /* empties the node, then shuts down with reason crash */
    WH_FAKE_POWERS_OFF,             /* empties the node, then shuts down with reason poweroff */
    WH_FAKE_VANISHES,               /* empties the node, then somebody destroys the domain */
    WH_FAKE_LATE,                   /* empties the node just when the request is taken back */
};
void wh_fake_answer(struct wh_fake *f, uint32_t domid, enum wh_fake_answer how);

struct wh_fake_state {
    bool there, running;            /* running: not paused, not shut down, not dying */
    unsigned pauses, unpauses, suspends, resumes, store_resumes;    /* how often so far */
    unsigned buttons;               /* presses of its power button */
    bool logdirty;
    uint64_t pages;
};
struct wh_fake_state wh_fake_state(struct wh_fake *f, uint32_t domid);
/* How many domains run, but for domain 0; and the newest domain's id. */
unsigned wh_fake_running(struct wh_fake *f);
uint32_t wh_fake_newest(struct wh_fake *f);

/* -------------------------------------------------------------------------------- faults */

/* Calls of the hypervisor and of xenstore are counted together, from 1, since the last
 * wh_fake_fault; the k-th meets the fault, once.  Those made while the operation is shielded (what
 * was begun is undone, or past its commit) have a count and a fault of their own. */
enum wh_fault {
    WH_FAULT_NONE,
    WH_FAULT_FAIL,                  /* it is not done, and fails */
    WH_FAULT_LOST,                  /* it is done, and fails all the same: its answer is lost */
    WH_FAULT_HANG,                  /* it hangs until the step's deadline, 30 s at most */
    WH_FAULT_CANCEL,                /* the operation is cancelled just before it */
    WH_FAULT_CANCEL_IN,             /* the operation is cancelled while it is done */
    WH_FAULT_TOLD,                  /* the test is told, and may keep the caller (wh_fake_told) */
};
void wh_fake_fault(struct wh_fake *f, uint64_t k, enum wh_fault how);
void wh_fake_fault_shielded(struct wh_fake *f, uint64_t k, enum wh_fault how);
uint64_t wh_fake_calls(struct wh_fake *f);              /* counted so far */
uint64_t wh_fake_shielded_calls(struct wh_fake *f);
const char *wh_fake_fault_hit(struct wh_fake *f);       /* the call that met it; NULL: none did */
const char *wh_fake_shielded_hit(struct wh_fake *f);

/* Whom WH_FAULT_TOLD tells: in the caller's thread, before the call is done, under no lock. */
void wh_fake_told(struct wh_fake *f, void (*told)(void *arg, struct wh_op *op), void *arg);
/* As Linux does for a process that was killed: nothing is mapped any more. */
void wh_fake_killed(struct wh_fake *f);

/* heard is told of every call as it begins, under the fake's lock.  NULL: nobody is. */
void wh_fake_listen(struct wh_fake *f, void (*heard)(void *arg, const char *call), void *arg);

/* The next n commits of transactions are answered "again". */
void wh_fake_conflict(struct wh_fake *f, unsigned n);
/* A register of this host's CPU policy, which is the most that its guests can have (what a fresh
 * one gets is less: neither an invariant TSC nor nested virtualization unless asked for, nor MPX),
 * 0 eax to 3 edx; and an MSR. */
uint32_t wh_fake_leaf(struct wh_fake *f, uint32_t leaf, uint32_t subleaf, unsigned reg);
void wh_fake_set_leaf(struct wh_fake *f, uint32_t leaf, uint32_t subleaf, unsigned reg,
                      uint32_t value);
void wh_fake_set_msr(struct wh_fake *f, uint32_t index, uint64_t value);
/* Log-dirty of PV guests: Debian's hypervisor has none (false, as it is). */
void wh_fake_pv_logdirty(struct wh_fake *f, bool can);
/* Somebody has said that his process ends soon, and what is mapped need not be let go. */
bool wh_fake_ends_soon(const struct wh_fake *f);
/* Mapping frames that lie in a row costs nothing: they are mapped once, for good.  For benchmarks
 * of what an engine does besides mapping; writes through a mapping for reading go unnoticed. */
void wh_fake_cheap_maps(struct wh_fake *f, bool cheap);
/* Memory that is handed out holds a former guest's bytes, not zeros (false, as it is). */
void wh_fake_stale(struct wh_fake *f, bool stale);
/* Xen's memory that is free, in pages; 0: no guest gets any. */
void wh_fake_set_free(struct wh_fake *f, uint64_t pages);

/* ------------------------------------------------------------------------------- looking */

/* What there is, as text, malloc'd: one line a domain with its state, and one for each thing that
 * should not stay: mappings, grants mapped, log-dirty, ports beyond those of its two rings,
 * transactions, watches, xenstore nodes of a domain that is gone. */
char *wh_fake_check(struct wh_fake *f);
/* Every node: "path = "value"  (n0,r3)", sorted; malloc'd. */
char *wh_fake_tree(struct wh_fake *f);
/* A node's value, malloc'd; NULL: none.  No call of the backend. */
char *wh_fake_node(struct wh_fake *f, const char *path, ...) __attribute__((format(printf, 2, 3)));
/* Write as this domain would (0: anything goes); false: it may not. */
bool wh_fake_write(struct wh_fake *f, uint32_t domid, const char *value, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
/* Descriptors this process has open: counted before and after. */
unsigned wh_fake_fds(void);

#endif
