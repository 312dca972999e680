/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The xl save file: a header, optional data with the guest's configuration, then a libxl stream
 * (or, before Xen 4.6, a legacy one).
 *
 *     0   magic, 32 bytes     32  byte order    36  mandatory flags    40  optional flags
 *     44  length of the optional data    48  optional data: u32 length, configuration, ...
 */
#ifndef WH_WIRE_XL_H
#define WH_WIRE_XL_H

#include <stdint.h>

#define WH_XL_MAGIC_BYTES 32
#define WH_XL_HEADER 48
#define WH_XL_CONFIG_JSON 1u        /* mandatory flags */
#define WH_XL_STREAM_V2 2u
#define WH_XL_OPTIONAL_MAX (16u << 20)
#define WH_XL_CONFIG_MAX (512u << 10)
#define WH_XL_EXTRA_MAX (64u << 10)      /* what stands behind the configuration, if it is to be kept */
#define WH_XL_BYTE_ORDER 0x01020304u

extern const uint8_t wh_xl_magic[WH_XL_MAGIC_BYTES];

#endif
