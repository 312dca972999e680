/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all flavours share: ports, the list of ranges, and what the compiler wants of a C
 * library. */
#include "hypercall.h"
#include "machine.h"

#include <xen/sched.h>

void machine_notify(evtchn_port_t port)
{
    struct evtchn_send send = { .port = port };

    hypercall2(__HYPERVISOR_event_channel_op, EVTCHNOP_send, &send);
}

/* Nothing is ever delivered to us: a pending bit only ends a sleep. */
void machine_forget_events(void)
{
    const unsigned bits = 8 * sizeof(xen_ulong_t);

    for (unsigned i = 0; i < 2; i++) {
        evtchn_port_t port = i ? machine.store_port : machine.console_port;

        __sync_fetch_and_and(&machine.shared->evtchn_pending[port / bits],
                             ~((xen_ulong_t)1 << port % bits));
    }
}

void machine_sleep(uint64_t until)
{
    evtchn_port_t ports[2] = { machine.console_port, machine.store_port };
    struct sched_poll poll = { .nr_ports = 2, .timeout = until };

    set_xen_guest_handle(poll.ports, ports);
    hypercall2(__HYPERVISOR_sched_op, SCHEDOP_poll, &poll);
}

void machine_add_range(uint64_t first, uint64_t end)
{
    if (first < end && machine.ranges < RANGES)
        machine.range[machine.ranges++] = (struct range){ first, end };
}

void machine_drop_range(uint64_t first, uint64_t end)
{
    struct range old[RANGES];
    unsigned n = machine.ranges;

    memcpy(old, machine.range, sizeof old);
    machine.ranges = 0;
    for (unsigned i = 0; i < n; i++) {
        machine_add_range(old[i].first, old[i].end < first ? old[i].end : first);
        machine_add_range(old[i].first > end ? old[i].first : end, old[i].end);
    }
}

void *memcpy(void *to, const void *from, size_t n)
{
    void *start = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
    return start;
}

void *memset(void *to, int byte, size_t n)
{
    void *start = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
    return start;
}

size_t strlen(const char *text)
{
    size_t n = 0;

    while (text[n])
        n++;
    return n;
}
