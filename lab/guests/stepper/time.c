/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The clocks Xen keeps in the shared info page. */
#include "machine.h"

static uint64_t read_tsc(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* a * b / 2^32, in full. */
static uint64_t scale(uint64_t a, uint32_t b)
{
    return (a >> 32) * b + ((a & 0xffffffffu) * b >> 32);
}

uint64_t time_ns(void)
{
    volatile struct vcpu_time_info *t = &machine.shared->vcpu_info[0].time;
    uint32_t version;
    uint64_t ns;

    do {
        uint64_t delta;

        version = t->version;
        barrier();
        delta = read_tsc() - t->tsc_timestamp;
        delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
        ns = t->system_time + scale(delta, t->tsc_to_system_mul);
        barrier();
    } while (version & 1 || version != t->version);
    return ns;
}

uint64_t time_wall_ms(void)
{
    volatile struct shared_info *s = machine.shared;
    uint32_t version;
    uint64_t ms;

    do {
        version = s->wc_version;
        barrier();
        ms = (uint64_t)s->wc_sec * 1000 + s->wc_nsec / 1000000;
        barrier();
    } while (version & 1 || version != s->wc_version);
    return ms + time_ns() / 1000000;
}
