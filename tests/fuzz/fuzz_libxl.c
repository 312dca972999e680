/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The libxl stream: what comes behind its magic, which is supplied. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    fuzz_walk_behind("LibxlFmt", 8, data, n);
    return 0;
}
