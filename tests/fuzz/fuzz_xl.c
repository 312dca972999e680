/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The xl save file's header and configuration, and whatever container the bytes begin. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_walk(data, n, 0, WH_NO_GUEST);
    return 0;
}
