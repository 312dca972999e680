/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libxc image: records behind its two headers.  The first byte chooses those:
 *
 *     bit 0   version 3, else 2       bit 1   HVM, else PV */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t head[40] = "\xff\xff\xff\xff\xff\xff\xff\xffXENF";

    if (n == 0)
        return 0;
    head[15] = 2 + (data[0] & 1);
    head[24] = 1 + (data[0] >> 1 & 1);
    head[28] = 12; /* page shift */
    head[32] = 4;  /* Xen 4.17 */
    head[36] = 17;
    fuzz_walk_behind(head, sizeof head, data + 1, n - 1);
    return 0;
}
