/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls into Xen, through the page of stubs Xen has filled. */
#ifndef STEPPER_HYPERCALL_H
#define STEPPER_HYPERCALL_H

#include <stdint.h>

#include <xen/xen.h>

extern char hypercall_page[];

static inline long hypercall(unsigned number, unsigned long a, unsigned long b, unsigned long c,
                             unsigned long d)
{
    long result;
    char *stub = hypercall_page + number * 32;

    register unsigned long r10 __asm__("r10") = d;

    __asm__ volatile("call *%[stub]"
                     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
                     : [stub] "a"(stub)
                     : "memory", "cc", "rcx", "r8", "r9", "r11");
    return result;
}

static inline long hypercall2(unsigned number, unsigned long a, const volatile void *b)
{
    return hypercall(number, a, (unsigned long)b, 0, 0);
}

#endif
