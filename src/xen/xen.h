/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hypervisor, as the rest of Wherry sees it: every call we make of it, and nothing of its
 * libraries' types.
 *
 *     struct wh_xen *x = wh_xen_open_real(op);        real.c and its neighbours: libxenctrl
 *     struct wh_xen *x = wh_fake_xen(fake);           fake.c: in memory, for tests
 *
 *     if (!wh_xen_pause(op, x, domid)) ...
 *
 * A call is a function here that asks the gate and goes to the implementation's row.  The gate
 * is where an operation that was cancelled stops before it does one more thing; tests put a gate
 * of their own there, which fails, hangs or cancels at the k-th call.
 *
 * No call waits: each is one hypercall or a bounded number of them.  All return false with
 * op->err set (WH_XEN, naming the call) on failure.  Frames are numbers of 4096-byte pages: pfn
 * as the guest counts, gfn what Xen takes for a domain (HVM: the pfn; PV: the machine frame). */
#ifndef WH_XEN_XEN_H
#define WH_XEN_XEN_H

#include "base/op.h"

#define WH_DOMID_NONE   UINT32_MAX
#define WH_DOMID_XEN    0x7ff2u             /* owner of the machine-to-phys table */
#define WH_BATCH_MAX    1024                /* frames in one call of types, map, populate, pin */
#define WH_VCPU_CONTEXT 5168                /* bytes: vcpu_guest_context of either width */
#define WH_NO_FRAME     UINT64_MAX
#define WH_WHY          256                 /* bytes of a reason, with its NUL */

enum wh_shutdown { WH_POWEROFF = 0, WH_REBOOT = 1, WH_SUSPEND = 2, WH_CRASH = 3,
                   WH_WATCHDOG = 4, WH_SOFT_RESET = 5, WH_RUNNING = 255 };

struct wh_domain {
    uint32_t domid;
    uint8_t uuid[16];
    bool hvm, hap;                          /* hvm: HVM or PVH */
    bool emulated;                          /* has emulated devices: HVM, not PVH */
    bool dying, shutdown, paused, blocked, running;
    enum wh_shutdown reason;                /* of a shutdown; else WH_RUNNING */
    uint64_t pages, max_pages, outstanding_pages, shared_pages, paged_pages;
    uint64_t shared_info;                   /* its frame */
    uint64_t cpu_ns;
    uint32_t vcpus_online, vcpu_last;       /* vcpu_last: the highest id */
    uint32_t cpupool;
};

struct wh_host {
    unsigned major, minor;                  /* Xen's version */
    char extra[64];                         /* ".5" */
    char capabilities[1024], changeset[128], command_line[1024], compiler[128], compile_by[64],
         compile_date[64];
    uint32_t page_size;
    uint64_t virt_start;
    uint32_t cpus, max_cpu_id, nodes, sockets, cores, threads_per_core, cpu_khz;
    uint64_t total_pages, free_pages, scrub_pages, outstanding_pages, sharing_freed, sharing_used;
    uint32_t hw_cap[8];
    bool hvm, pv, hap, shadow, directio;
    char scheduler[32];
};

struct wh_vcpu {
    bool online, blocked, running;
    uint64_t cpu_ns;
    uint32_t cpu;                           /* where it last ran */
};

struct wh_sched {
    uint32_t id;                            /* XEN_SCHEDULER_*: credit 5, credit2 6 */
    uint32_t weight, cap;                   /* credit and credit2 */
};

/* What xc_domain_create takes (facts: libxl's order of a restore). */
struct wh_domain_spec {
    uint8_t uuid[16];
    bool hvm, hap, emulated, nested, oos_off, vpmu;    /* emulated: HVM, not PVH */
    bool msr_relaxed;
    uint32_t ssidref, cpupool;
    uint32_t vcpus;                         /* at most */
    uint32_t event_channels;                /* highest port */
    int32_t grant_frames, maptrack_frames;  /* -1: Xen's default */
    uint32_t grant_version;                 /* 0: Xen's default (2) */
    uint32_t vmtrace_bytes;
};

/* A fresh guest's memory: what libxenguest's domain builder is given. */
struct wh_build {
    bool hvm;                               /* HVM or PVH */
    bool emulated;                          /* HVM: kernel is hvmloader, which loads bios */
    const char *kernel, *ramdisk, *cmdline; /* ramdisk may be NULL */
    const char *bios;                       /* a file; NULL: none */
    bool apic;                              /* HVM: hvmloader tells the guest of it */
    const uint8_t *vcpus_on;                /* HVM: bit n of byte n/8: vCPU n is online at first */
    size_t vcpus_on_bytes;
    uint64_t mmio_hole_kb;                  /* HVM: below 4 GiB; 0: the usual one */
    uint64_t memory_kb, target_kb;          /* maximum, and what it starts with */
    uint32_t vcpus, online;                 /* at most, and at the start */
    bool acpi, claim;                       /* PVH: has tables; memory is reserved first */
    uint32_t store_port, console_port, store_domid, console_domid;
    uint64_t store_frame, console_frame;    /* out: gfn (HVM) or mfn (PV) */
};

enum wh_vcpu_blob { WH_VCPU_EXTENDED, WH_VCPU_XSAVE, WH_VCPU_MSRS };
enum wh_pin { WH_PIN_L1, WH_PIN_L2, WH_PIN_L3, WH_PIN_L4 };
struct wh_pinned { enum wh_pin level; uint64_t mfn; };
enum wh_logdirty { WH_DIRTY_OFF, WH_DIRTY_ON, WH_DIRTY_CLEAN, WH_DIRTY_PEEK };

struct wh_tsc { uint32_t mode, khz, incarnation; uint64_t elapsed_ns; };

struct wh_xen;

/* One row of functions an implementation; wh_xen_NAME below says what each does. */
struct wh_xen_calls {
    void (*close)(struct wh_xen *x);
    bool (*host)(struct wh_op *, struct wh_xen *, struct wh_host *);
    bool (*dmesg)(struct wh_op *, struct wh_xen *, bool clear, char **text);
    bool (*domains)(struct wh_op *, struct wh_xen *, uint32_t first, struct wh_domain *, size_t max,
                    size_t *n);
    bool (*vcpu)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu, struct wh_vcpu *);
    bool (*affinity)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu, bool set,
                     bool soft, uint8_t *map, size_t bytes);
    bool (*sched)(struct wh_op *, struct wh_xen *, uint32_t domid, bool set, struct wh_sched *);

    bool (*create)(struct wh_op *, struct wh_xen *, const struct wh_domain_spec *, uint32_t *domid);
    bool (*destroy)(struct wh_op *, struct wh_xen *, uint32_t domid);
    bool (*pause)(struct wh_op *, struct wh_xen *, uint32_t domid, bool on);
    bool (*shutdown)(struct wh_op *, struct wh_xen *, uint32_t domid, enum wh_shutdown);
    bool (*resume)(struct wh_op *, struct wh_xen *, uint32_t domid);
    bool (*power_button)(struct wh_op *, struct wh_xen *, uint32_t domid);
    bool (*set_uuid)(struct wh_op *, struct wh_xen *, uint32_t domid, const uint8_t uuid[16]);

    bool (*max_vcpus)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t n);
    bool (*max_memory)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t kb);
    bool (*memmap_limit)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t kb);
    bool (*paging_pool)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t bytes);
    bool (*time_offset)(struct wh_op *, struct wh_xen *, uint32_t domid, int64_t seconds);
    bool (*tsc)(struct wh_op *, struct wh_xen *, uint32_t domid, bool set, struct wh_tsc *);
    bool (*port)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t remote, uint32_t *port);
    bool (*default_policy)(struct wh_op *, struct wh_xen *, uint32_t domid, bool restoring,
                           bool itsc, bool nested);
    bool (*get_policy)(struct wh_op *, struct wh_xen *, uint32_t domid, void **leaves,
                       size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
    bool (*set_policy)(struct wh_op *, struct wh_xen *, uint32_t domid, const void *leaves,
                       size_t leaf_bytes, const void *msrs, size_t msr_bytes);
    bool (*host_policy)(struct wh_op *, struct wh_xen *, bool hvm, void **leaves,
                        size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
    bool (*policy_fits)(struct wh_op *, struct wh_xen *, bool hvm, const void *leaves,
                        size_t leaf_bytes, const void *msrs, size_t msr_bytes, char why[WH_WHY]);
    bool (*build)(struct wh_op *, struct wh_xen *, uint32_t domid, struct wh_build *);

    bool (*frames)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t *n);
    bool (*types)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t *frame, size_t n);
    bool (*populate)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t *frame, size_t n,
                     unsigned order);
    bool (*release)(struct wh_op *, struct wh_xen *, uint32_t domid, const uint64_t *frame, size_t n);
    bool (*map)(struct wh_op *, struct wh_xen *, uint32_t domid, bool write, const uint64_t *frame,
                size_t n, int *err, void **p);
    void (*unmap)(struct wh_xen *, void *p, size_t n);
    void (*ends_soon)(struct wh_xen *);                         /* NULL: nothing to gain */
    bool (*grants)(struct wh_op *, struct wh_xen *, uint32_t domid, unsigned *version, uint64_t *pages);
    bool (*map_grants)(struct wh_op *, struct wh_xen *, uint32_t domid, uint64_t which, void **p);
    void (*unmap_grants)(struct wh_xen *, void *p);
    bool (*logdirty)(struct wh_op *, struct wh_xen *, uint32_t domid, enum wh_logdirty, bool final,
                     uint8_t *bitmap, uint64_t pages, uint64_t *dirty);

    bool (*width)(struct wh_op *, struct wh_xen *, uint32_t domid, bool set, unsigned *bytes);
    bool (*m2p)(struct wh_op *, struct wh_xen *, uint64_t *frames, uint64_t **list, size_t *n,
                uint64_t *compat);
    bool (*get_context)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu, void *);
    bool (*set_context)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu,
                        const void *);
    bool (*get_blob)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob, void **bytes, size_t *n);
    bool (*set_blob)(struct wh_op *, struct wh_xen *, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob, const void *bytes, size_t n);
    bool (*pin)(struct wh_op *, struct wh_xen *, uint32_t domid, const struct wh_pinned *, size_t n);

    bool (*get_hvm_context)(struct wh_op *, struct wh_xen *, uint32_t domid, void **bytes,
                            size_t *n);
    bool (*set_hvm_context)(struct wh_op *, struct wh_xen *, uint32_t domid, const void *bytes,
                            size_t n);
    bool (*hvm_param)(struct wh_op *, struct wh_xen *, uint32_t domid, bool set, uint32_t index,
                      uint64_t *value);
};

struct wh_xen {
    const struct wh_xen_calls *calls;
    void *state;
    /* Asked before each call but close and the unmaps; false: op has failed.  NULL: none. */
    bool (*gate)(struct wh_op *op, struct wh_xen *x, const char *call);
    void *gate_arg;
};

/* The hypervisor we run on.  NULL: op->err says why (not on Xen, not root). */
struct wh_xen *wh_xen_open_real(struct wh_op *op);
void wh_xen_close(struct wh_xen *x);

/* ------------------------------------------------------------------------------ looking */

bool wh_xen_host(struct wh_op *op, struct wh_xen *x, struct wh_host *h);
/* The hypervisor's log; *text is malloc'd. */
bool wh_xen_dmesg(struct wh_op *op, struct wh_xen *x, bool clear, char **text);
/* Up to max domains with ids from first on, ascending; *n of them. */
bool wh_xen_domains(struct wh_op *op, struct wh_xen *x, uint32_t first, struct wh_domain *d,
                    size_t max, size_t *n);
/* One domain; *there is false if there is no such. */
bool wh_xen_domain(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_domain *d,
                   bool *there);
bool wh_xen_vcpu(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                 struct wh_vcpu *v);
/* Hard or soft affinity; map is bit n of byte n/8. */
bool wh_xen_get_affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         bool soft, uint8_t *map, size_t bytes);
bool wh_xen_set_affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         bool soft, const uint8_t *map, size_t bytes);
bool wh_xen_get_sched(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_sched *s);
bool wh_xen_set_sched(struct wh_op *op, struct wh_xen *x, uint32_t domid,
                      const struct wh_sched *s);

/* ------------------------------------------------------------------------ life of a domain */

bool wh_xen_create(struct wh_op *op, struct wh_xen *x, const struct wh_domain_spec *s,
                   uint32_t *domid);
/* Gone when it returns; a domain that is not there is no failure. */
bool wh_xen_destroy(struct wh_op *op, struct wh_xen *x, uint32_t domid);
bool wh_xen_pause(struct wh_op *op, struct wh_xen *x, uint32_t domid);
bool wh_xen_unpause(struct wh_op *op, struct wh_xen *x, uint32_t domid);
/* Shut it down without asking the guest. */
bool wh_xen_shutdown(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_shutdown why);
/* Let a domain that has shut down run again (XEN_DOMCTL_resumedomain). */
bool wh_xen_resume(struct wh_op *op, struct wh_xen *x, uint32_t domid);
/* Press an HVM guest's ACPI power button.  Whether it cares is the guest's. */
bool wh_xen_power_button(struct wh_op *op, struct wh_xen *x, uint32_t domid);
/* Give it another uuid. */
bool wh_xen_set_uuid(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint8_t uuid[16]);

bool wh_xen_max_vcpus(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t n);
bool wh_xen_max_memory(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb);
bool wh_xen_memmap_limit(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb);
bool wh_xen_paging_pool(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t bytes);
bool wh_xen_time_offset(struct wh_op *op, struct wh_xen *x, uint32_t domid, int64_t seconds);
bool wh_xen_get_tsc(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_tsc *t);
bool wh_xen_set_tsc(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_tsc *t);
/* A port of domid's that remote may bind to. */
bool wh_xen_port(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t remote,
                 uint32_t *port);
/* Xen's default CPUID for a fresh guest, or for one whose stream has none (restoring). */
bool wh_xen_default_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool restoring,
                           bool itsc, bool nested);
/* The CPU policy as arrays of the wire's entries (24 and 16 bytes).  get: malloc'd. */
bool wh_xen_get_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **leaves,
                       size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
bool wh_xen_set_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *leaves,
                       size_t leaf_bytes, const void *msrs, size_t msr_bytes);
/* The most that this host can give an HVM (or PVH), or a PV guest.  malloc'd. */
bool wh_xen_host_policy(struct wh_op *op, struct wh_xen *x, bool hvm, void **leaves,
                        size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
/* Whether Xen would take this policy for such a guest: *why is "", or what it objects to.  Xen
 * looks at little: a feature that it cannot give it takes from the guest without a word. */
bool wh_xen_policy_fits(struct wh_op *op, struct wh_xen *x, bool hvm, const void *leaves,
                        size_t leaf_bytes, const void *msrs, size_t msr_bytes, char why[WH_WHY]);
/* A fresh guest's memory, vCPU and start-of-day pages, grants seeded. */
bool wh_xen_build(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_build *b);

/* ------------------------------------------------------------------------------- memory */

/* One more than the highest gfn of an HVM guest. */
bool wh_xen_frames(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *n);
/* In: frames.  Out: what each is, as the wire's page types (0-0xf, wire/walk.h). */
bool wh_xen_types(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n);
/* Give the domain memory: all of it, or false.  HVM: at those frames (of 2^order pages); PV: in:
 * pfns, out: the machine frames. */
bool wh_xen_populate(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n,
                     unsigned order);
/* Take it from there again; HVM only. */
bool wh_xen_release(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint64_t *frame, size_t n);
/* n frames as n * 4096 bytes in a row.  err[i]: errno of what could not be mapped (touching it is
 * SIGBUS); err NULL: any failure is the call's. */
bool wh_xen_map(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool write,
                const uint64_t *frame, size_t n, int *err, void **p);
void wh_xen_unmap(struct wh_xen *x, void *p, size_t n);
/* The process is to end with what is being done: mappings that are let go may stay until then. */
void wh_xen_ends_soon(struct wh_xen *x);
/* Its grant table: the version of its entries, 1 or 2, and how many pages it has. */
bool wh_xen_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *version, uint64_t *pages);
/* One page of it, which it must have: Xen would make it grow. */
bool wh_xen_map_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t which, void **p);
void wh_xen_unmap_grants(struct wh_xen *x, void *p);
/* Log-dirty mode.  clean and peek fill bitmap (bit n of byte n/8) for that many pages; *dirty:
 * how many were. */
bool wh_xen_logdirty(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_logdirty how,
                     bool final, uint8_t *bitmap, uint64_t pages, uint64_t *dirty);

/* --------------------------------------------------------------------------- PV guests */

bool wh_xen_get_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *bytes);
bool wh_xen_set_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned bytes);
/* Machine frames there are, the frames of the machine-to-phys table (malloc'd; each 2 MiB), and
 * the first frame of the 32-bit one. */
bool wh_xen_m2p(struct wh_op *op, struct wh_xen *x, uint64_t *frames, uint64_t **list, size_t *n,
                uint64_t *compat);
/* WH_VCPU_CONTEXT bytes, in the guest's width's layout. */
bool wh_xen_get_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                        void *bytes);
bool wh_xen_set_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                        const void *bytes);
/* As the stream's records carry them (without their 8-byte head).  get: malloc'd, *n 0: none. */
bool wh_xen_get_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob what, void **bytes, size_t *n);
bool wh_xen_set_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob what, const void *bytes, size_t n);
bool wh_xen_pin(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_pinned *p,
                size_t n);

/* ------------------------------------------------------------------------ HVM and PVH guests */

bool wh_xen_get_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **bytes,
                            size_t *n);
bool wh_xen_set_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *bytes,
                            size_t n);
bool wh_xen_get_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t index,
                      uint64_t *value);
bool wh_xen_set_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t index,
                      uint64_t value);

#endif
