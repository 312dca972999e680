/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The HVM parameters that an image carries, by Xen's numbers. */
#ifndef WH_MEM_PARAMS_H
#define WH_MEM_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#define WH_PARAM_STORE_PFN      1
#define WH_PARAM_STORE_PORT     2
#define WH_PARAM_PAE            4           /* of old streams; Xen takes it no more */
#define WH_PARAM_IOREQ_PFN      5
#define WH_PARAM_BUFIOREQ_PFN   6
#define WH_PARAM_CONSOLE_PFN    17
#define WH_PARAM_CONSOLE_PORT   18

/* In the order in which stock writes them: what makes the guest what it is. */
static const uint32_t wh_params[] = {
    WH_PARAM_STORE_PFN, WH_PARAM_IOREQ_PFN, WH_PARAM_BUFIOREQ_PFN,
    27, 28, 29,                             /* paging, monitor, sharing rings */
    37,                                     /* vm86 TSS */
    WH_PARAM_CONSOLE_PFN,
    19,                                     /* where ACPI's ports are */
    9,                                      /* viridian */
    12,                                     /* identity page table */
    34,                                     /* generation id's address */
    32, 33,                                 /* ioreq server pages */
    36,                                     /* x87 FIP width */
    38,                                     /* machine check capabilities */
};

#endif
