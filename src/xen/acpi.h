/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ACPI tables of a PVH guest, which has no firmware that would make some. */
#ifndef WH_XEN_ACPI_H
#define WH_XEN_ACPI_H

#include "base/op.h"

#define WH_ACPI_ADDRESS 0xfc000000u     /* where libxl puts them */
#define WH_ACPI_VCPUS   128             /* at most: their APIC ids are bytes */

/* All tables in a row as they are to stand at that address, the RSDP first; malloc'd.  The first
 * online of the vcpus are enabled, the others may be later. */
bool wh_acpi_make(struct wh_op *op, uint64_t address, uint32_t vcpus, uint32_t online,
                  uint8_t **tables, size_t *n);

#endif
