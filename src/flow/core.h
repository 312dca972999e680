/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An ELF64 core file of a guest's physical memory, written as its pages come by.
 *
 *     0       ELF header
 *     4096    page 0, page 1, ...     page frame n at 4096 * (n + 1): holes and zero pages are
 *             holes of the file
 *     behind  notes (a register set a vCPU), program headers, one section header
 *
 * Pages may come in any order and several times; the last one counts. */
#ifndef WH_FLOW_CORE_H
#define WH_FLOW_CORE_H

#include "base/op.h"
#include "base/sparse.h"

/* The x86-64 user_regs_struct that gdb expects, in its order. */
#define WH_CORE_REGS 27
#define WH_CORE_VCPUS 512

struct wh_core {
    int fd;
    struct wh_sparse pages;             /* that the guest has */
    struct wh_sparse written;           /* of them in the file as data */
    unsigned vcpus;
    uint64_t (*regs)[WH_CORE_REGS];     /* WH_CORE_VCPUS of them */
};

bool wh_core_init(struct wh_op *op, struct wh_core *c, int fd);
void wh_core_free(struct wh_core *c);

bool wh_core_page(struct wh_op *op, struct wh_core *c, uint64_t pfn, const uint8_t *contents);
/* A page that is there but has no contents: reads as zeros. */
bool wh_core_blank(struct wh_op *op, struct wh_core *c, uint64_t pfn);

/* The registers of vCPUs from an HVM context, or of one from a 64-bit PV context. */
void wh_core_hvm_context(struct wh_core *c, const uint8_t *p, uint32_t n);
void wh_core_pv_context(struct wh_core *c, uint32_t vcpu, const uint8_t *p);

bool wh_core_finish(struct wh_op *op, struct wh_core *c);

#endif
