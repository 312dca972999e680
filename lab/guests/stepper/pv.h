/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A PV guest's memory: pfns, frames, its page tables, and its p2m as the tools see it. */
#ifndef STEPPER_PV_H
#define STEPPER_PV_H

#include "machine.h"

#define PTE_READ_ONLY  0x25ull      /* present, user, accessed */
#define PTE_READ_WRITE 0x67ull      /* and writable, dirty */

/* Note where the tools have put p2m and page tables. */
void pv_find_p2m(const struct start_info *start);

/* The machine address of a page of ours, and back. */
uint64_t pv_machine(uint64_t pfn);
uint64_t pv_pfn(uint64_t mfn);

/* Write the entry that maps the page at p. */
void pv_map_at(void *p, uint64_t pte);

/* Map all memory, page n at n * 4096.  Returns the end of what could be mapped. */
uint64_t pv_map_all(void);

/* The first page in use by nobody, once all is mapped. */
uint64_t pv_first_free(void);

/* Tell the tools, in shared info, where the p2m is. */
void pv_show_p2m(void);

#endif
