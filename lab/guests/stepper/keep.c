/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registers that no code uses (keep.S), and the stepper's own code: both must outlive a save. */
#include "machine.h"

#define REGISTERS 16

uint64_t keep_wanted[2 * REGISTERS], keep_found[2 * REGISTERS];
uint16_t keep_control_wanted = 0x027f, keep_control_found;  /* double precision: not the default */

void keep_load(void);
void keep_store(void);

static uint64_t code_sum;

static uint64_t sum_code(void)
{
    uint64_t sum = 0;

    for (const uint64_t *p = (const uint64_t *)image_start; (const char *)p < image_code_end; p++)
        sum = (sum << 1 | sum >> 63) ^ *p;
    return sum;
}

void keep_fill(void)
{
    for (unsigned i = 0; i < 2 * REGISTERS; i++)
        keep_wanted[i] = (i + 1) * 0x9e3779b97f4a7c15u;
    code_sum = sum_code();
    keep_load();
}

static void tell_bad(const char *what, uint64_t number, uint64_t expected, uint64_t found)
{
    stepping.bad++;
    print("BAD %s %u expected=0x%x found=0x%x\n", what, number, expected, found);
}

void keep_check(void)
{
    uint64_t sum = sum_code();

    keep_store();
    for (unsigned i = 0; i < 2 * REGISTERS; i++) {
        if (keep_found[i] != keep_wanted[i])
            tell_bad("xmm register", i / 2, keep_wanted[i], keep_found[i]);
    }
    if (keep_control_found != keep_control_wanted)
        tell_bad("x87 control word", 0, keep_control_wanted, keep_control_found);
    if (sum != code_sum)
        tell_bad("code", 0, code_sum, sum);
    code_sum = sum;             /* each fault counts once */
    keep_load();
}
