/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wire numbers of the libxc image that code has to name; libxc.c has the table. */
#ifndef WH_WIRE_LIBXC_H
#define WH_WIRE_LIBXC_H

#include <stdint.h>

#define WH_LIBXC_HEADER 24
#define WH_LIBXC_DOMAIN 16
#define WH_LIBXC_MAX (128u << 20)               /* stock refuses longer records */
#define WH_LIBXC_DOMAIN_PV 1u
#define WH_LIBXC_DOMAIN_HVM 2u

#define WH_LIBXC_END 0x00u
#define WH_LIBXC_PAGE_DATA 0x01u
#define WH_LIBXC_PV_INFO 0x02u
#define WH_LIBXC_P2M_FRAMES 0x03u
#define WH_LIBXC_VCPU_BASIC 0x04u
#define WH_LIBXC_VCPU_EXTENDED 0x05u
#define WH_LIBXC_VCPU_XSAVE 0x06u
#define WH_LIBXC_SHARED_INFO 0x07u
#define WH_LIBXC_TSC_INFO 0x08u
#define WH_LIBXC_HVM_CONTEXT 0x09u
#define WH_LIBXC_HVM_PARAMS 0x0au
#define WH_LIBXC_VCPU_MSRS 0x0cu
#define WH_LIBXC_VERIFY 0x0du
#define WH_LIBXC_CHECKPOINT 0x0eu
#define WH_LIBXC_STATIC_DATA_END 0x10u
#define WH_LIBXC_CPUID_POLICY 0x11u
#define WH_LIBXC_MSR_POLICY 0x12u

/* Phases of the image. */
enum wh_libxc_phase {
    WH_IN_STATIC = 1,           /* what never changes: word size, policies */
    WH_IN_LAYOUT = 2,           /* PV: its p2m is laid out */
    WH_IN_PAGES = 4,
    WH_IN_VERIFY = 8,           /* pages again, to be compared */
    WH_IN_TAIL = 16,            /* what changes until the last moment: vCPUs, devices in Xen */
};

/* Sizes of a PV vCPU's context, by the guest's word. */
#define WH_PV64_CONTEXT 5168u
#define WH_PV32_CONTEXT 2800u

struct wh_walk;
struct wh_rec;
/* An HVM context is a chain; used for the legacy stream's too. */
_Bool wh_hvm_context_check(struct wh_walk *w, const struct wh_rec *r);
_Bool wh_pages_bulk(struct wh_walk *w, const struct wh_rec *r);

/* A step along an HVM context: entries of {u16 type, u16 instance, u32 length}, then data. */
struct wh_hvm_entry {
    uint16_t type, instance;
    uint32_t length;
    const uint8_t *data;
};

/* The entry at *at of n bytes; *at is moved behind it.  False: what is there is no entry. */
_Bool wh_hvm_entry_next(const uint8_t *p, uint32_t n, uint32_t *at, struct wh_hvm_entry *e);

#endif
