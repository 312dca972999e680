/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Wire numbers of the libxl stream that code has to name; libxl.c has the table. */
#ifndef WH_WIRE_LIBXL_H
#define WH_WIRE_LIBXL_H

#define WH_LIBXL_HEADER 16
#define WH_LIBXL_BIG_ENDIAN 1u          /* options */
#define WH_LIBXL_LEGACY 2u

#define WH_LIBXL_END 0x0u
#define WH_LIBXL_LIBXC_CONTEXT 0x1u
#define WH_LIBXL_EMULATOR_XENSTORE_DATA 0x2u
#define WH_LIBXL_EMULATOR_CONTEXT 0x3u
#define WH_LIBXL_CHECKPOINT_END 0x4u
#define WH_LIBXL_CHECKPOINT_STATE 0x5u

#endif
