/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What PVH and PV do differently: where memory is, where the rings are, how to suspend. */
#ifndef STEPPER_MACHINE_H
#define STEPPER_MACHINE_H

#include "stepper.h"

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

#define RANGES 32

/* Pages [first, end), all mapped at their own pfn. */
struct range {
    uint64_t first, end;
};

struct machine {
    const char *flavour;
    volatile struct xencons_interface *console;
    volatile struct xenstore_domain_interface *store;
    volatile struct shared_info *shared;        /* NULL while it is not mapped */
    evtchn_port_t console_port, store_port;
    unsigned ranges;
    struct range range[RANGES];                 /* what may be stepped, in order */
};

extern struct machine machine;

/* Suspend.  True: the suspend was cancelled and nothing has changed; false: this is a new domain,
 * whose rings are where `machine` now says. */
bool machine_suspend(void);

/* Tell what is behind a port that a ring has moved. */
void machine_notify(evtchn_port_t port);

/* Sleep until a ring has moved since machine_forget_events, or time_ns is at `until`. */
void machine_forget_events(void);
void machine_sleep(uint64_t until);

/* Add [first, end) to what is stepped, less what is the stepper's own. */
void machine_add_range(uint64_t first, uint64_t end);

/* Take [first, end) out of it. */
void machine_drop_range(uint64_t first, uint64_t end);

extern char image_start[], image_end[], image_code_end[];

static inline void barrier(void)
{
    __sync_synchronize();
}

static inline uint64_t pfn_of(const volatile void *p)
{
    return (uintptr_t)p >> PAGE_SHIFT;
}

static inline void *page_at(uint64_t pfn)
{
    return (void *)(uintptr_t)(pfn << PAGE_SHIFT);
}

#endif
