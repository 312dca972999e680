/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream of Xen before 4.6.  The first byte says what the user would:
 *
 *     bits 0 and 1   the writer's word, 32 or 64      bits 2 and 3   PV or HVM
 *
 * Anything else there leaves it to be found out. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const unsigned width[4] = { 0, 32, 64, 0 };
    static const enum wh_guest guest[4] = { WH_NO_GUEST, WH_PV, WH_HVM, WH_NO_GUEST };

    if (n > 0)
        fuzz_walk(data + 1, n - 1, width[data[0] & 3], guest[data[0] >> 2 & 3]);
    return 0;
}
