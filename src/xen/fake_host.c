/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake host as such: what it says of itself, its scheduler, its CPUs. */
#include <errno.h>
#include <string.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

bool wh_fake_host(FAKE_OP, struct wh_host *h)
{
    (void)op;
    *h = (struct wh_host){
        .major = 4, .minor = 17, .extra = ".7-fake",
        .capabilities = "xen-3.0-x86_64 xen-3.0-x86_32p hvm-3.0-x86_32 hvm-3.0-x86_32p "
                        "hvm-3.0-x86_64 ",
        .page_size = FAKE_PAGE, .virt_start = UINT64_C(0xffff800000000000),
        .cpus = 2, .max_cpu_id = 1, .nodes = 1, .sockets = 1, .cores = 2, .threads_per_core = 1,
        .cpu_khz = 2000000, .total_pages = f->frames, .free_pages = f->free_pages,
        .hvm = true, .pv = true, .hap = true, .shadow = f->pv_logdirty, .scheduler = "credit2",
    };
    return true;
}

bool wh_fake_dmesg(FAKE_OP, bool clear, char **text)
{
    (void)op;
    (void)f;
    (void)clear;
    *text = strdup("(XEN) Xen version 4.17.7-fake\n");
    return *text;
}

bool wh_fake_sched(FAKE_OP_D, bool set, struct wh_sched *s)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the weight");

    if (!d)
        return false;
    if (set && (s->weight == 0 || s->weight > 65535))
        return wh_fake_refuse(op, domid, "setting the weight", EINVAL);
    if (set) {
        d->sched.weight = s->weight;
        d->sched.cap = s->cap;
    }
    *s = d->sched;
    return true;
}

bool wh_fake_vcpu(FAKE_OP_D, uint32_t vcpu, struct wh_vcpu *v)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "a vcpu's state");

    if (!d)
        return false;
    if (vcpu >= d->vcpus)
        return wh_fake_refuse(op, domid, "a vcpu's state", ESRCH);
    *v = (struct wh_vcpu){ .online = d->vcpu[vcpu].online, .blocked = true, .cpu = vcpu % 2 };
    return true;
}

bool wh_fake_affinity(FAKE_OP_D, uint32_t vcpu, bool set, bool soft, uint8_t *map, size_t bytes)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the affinity");

    if (!d)
        return false;
    if (vcpu >= d->vcpus)
        return wh_fake_refuse(op, domid, "the affinity", ESRCH);
    uint8_t *of = soft ? d->vcpu[vcpu].soft : d->vcpu[vcpu].hard;
    size_t n = bytes < sizeof d->vcpu[vcpu].soft ? bytes : sizeof d->vcpu[vcpu].soft;
    if (set) {
        memcpy(of, map, n);
        return true;
    }
    memset(map, 0, bytes);
    memcpy(map, of, n);
    return true;
}
