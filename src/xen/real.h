/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the real implementation share: libxenctrl's handle, and how its failures
 * become ours.  Domctls that have no wrapper in libxenctrl are made here and in real_*.c alone:
 * they belong to one version of Xen's interface (4.17: 0x15). */
#ifndef WH_XEN_REAL_H
#define WH_XEN_REAL_H

#include <xenctrl.h>
#include <xenforeignmemory.h>
#include <xentoollog.h>

#include "xen/xen.h"

/* The macros of xenctrl.h are GNU C; clang says so where they are used. */
#pragma GCC diagnostic ignored "-Wpedantic"

struct wh_real {
    struct wh_xen xen;
    xentoollog_logger log;          /* keeps what libxc last complained of */
    char complaint[256];
    xc_interface *xc;
    xenforeignmemory_handle *memory;
    xenforeignmemory_resource_handle *grants;
    size_t keep, keep_maps;         /* pages, and mappings, that may yet be left mapped */
};

static inline struct wh_real *wh_real(struct wh_xen *x)
{
    return x->state;
}

/* "%s of domain N: errno's text (libxc's complaint)"; always false.  To be called at once after
 * the failure, for errno. */
bool wh_real_fail(struct wh_op *op, struct wh_xen *x, uint32_t domid, const char *what);

/* A domctl of the domain; errno's, -1 or 0 as xc_domctl. */
int wh_real_domctl(struct wh_xen *x, uint32_t cmd, uint32_t domid, struct xen_domctl *d);

bool wh_real_host(struct wh_op *op, struct wh_xen *x, struct wh_host *h);
bool wh_real_dmesg(struct wh_op *op, struct wh_xen *x, bool clear, char **text);

bool wh_real_frames(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *n);
bool wh_real_types(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n);
bool wh_real_populate(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame,
                      size_t n, unsigned order);
bool wh_real_release(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint64_t *frame, size_t n);
bool wh_real_map(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool write,
                 const uint64_t *frame, size_t n, int *err, void **p);
void wh_real_unmap(struct wh_xen *x, void *p, size_t n);
void wh_real_ends_soon(struct wh_xen *x);
bool wh_real_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *version,
                    uint64_t *pages);
bool wh_real_map_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t which, void **p);
void wh_real_unmap_grants(struct wh_xen *x, void *p);
bool wh_real_logdirty(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_logdirty how,
                      bool final, uint8_t *bitmap, uint64_t pages, uint64_t *dirty);
bool wh_real_m2p(struct wh_op *op, struct wh_xen *x, uint64_t *frames, uint64_t **list, size_t *n,
                 uint64_t *compat);
bool wh_real_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set, unsigned *bytes);
bool wh_real_pin(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_pinned *p,
                 size_t n);

bool wh_real_default_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool restoring,
                            bool itsc, bool nested);
bool wh_real_get_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **leaves,
                        size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
bool wh_real_host_policy(struct wh_op *op, struct wh_xen *x, bool hvm, void **leaves,
                         size_t *leaf_bytes, void **msrs, size_t *msr_bytes);
bool wh_real_policy_fits(struct wh_op *op, struct wh_xen *x, bool hvm, const void *leaves,
                         size_t leaf_bytes, const void *msrs, size_t msr_bytes, char why[WH_WHY]);
bool wh_real_set_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *leaves,
                        size_t leaf_bytes, const void *msrs, size_t msr_bytes);
bool wh_real_get_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         void *bytes);
bool wh_real_set_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         const void *bytes);
bool wh_real_get_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                      enum wh_vcpu_blob what, void **bytes, size_t *n);
bool wh_real_set_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                      enum wh_vcpu_blob what, const void *bytes, size_t n);
bool wh_real_get_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **bytes,
                             size_t *n);
bool wh_real_set_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid,
                             const void *bytes, size_t n);
bool wh_real_hvm_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set,
                       uint32_t index, uint64_t *value);

/* build.c */
bool wh_real_build(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_build *b);

#endif
