/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From a call to the implementation's row of it, by the gate. */
#include "xen/xen.h"

#include <string.h>

#define CALL(name, ...)                                                                            \
    (may(op, x, #name) && x->calls->name(op, x, __VA_ARGS__))

/* An operation that was cancelled does not one more thing. */
static bool may(struct wh_op *op, struct wh_xen *x, const char *call)
{
    return wh_go_on(op) && (!x->gate || x->gate(op, x, call));
}

void wh_xen_close(struct wh_xen *x)
{
    if (x)
        x->calls->close(x);
}

bool wh_xen_host(struct wh_op *op, struct wh_xen *x, struct wh_host *h)
{
    return CALL(host, h);
}

bool wh_xen_dmesg(struct wh_op *op, struct wh_xen *x, bool clear, char **text)
{
    return CALL(dmesg, clear, text);
}

bool wh_xen_domains(struct wh_op *op, struct wh_xen *x, uint32_t first, struct wh_domain *d,
                    size_t max, size_t *n)
{
    return CALL(domains, first, d, max, n);
}

bool wh_xen_vcpu(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                 struct wh_vcpu *v)
{
    return CALL(vcpu, domid, vcpu, v);
}

bool wh_xen_get_affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         bool soft, uint8_t *map, size_t bytes)
{
    return CALL(affinity, domid, vcpu, false, soft, map, bytes);
}

bool wh_xen_get_sched(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_sched *s)
{
    return CALL(sched, domid, false, s);
}

bool wh_xen_create(struct wh_op *op, struct wh_xen *x, const struct wh_domain_spec *s,
                   uint32_t *domid)
{
    return CALL(create, s, domid);
}

bool wh_xen_destroy(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return CALL(destroy, domid);
}

bool wh_xen_pause(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return CALL(pause, domid, true);
}

bool wh_xen_unpause(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return CALL(pause, domid, false);
}

bool wh_xen_shutdown(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_shutdown why)
{
    return CALL(shutdown, domid, why);
}

bool wh_xen_resume(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return CALL(resume, domid);
}

bool wh_xen_power_button(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return CALL(power_button, domid);
}

bool wh_xen_set_uuid(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint8_t uuid[16])
{
    return CALL(set_uuid, domid, uuid);
}

bool wh_xen_max_vcpus(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t n)
{
    return CALL(max_vcpus, domid, n);
}

bool wh_xen_max_memory(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb)
{
    return CALL(max_memory, domid, kb);
}

bool wh_xen_memmap_limit(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb)
{
    return CALL(memmap_limit, domid, kb);
}

bool wh_xen_paging_pool(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t bytes)
{
    return CALL(paging_pool, domid, bytes);
}

bool wh_xen_time_offset(struct wh_op *op, struct wh_xen *x, uint32_t domid, int64_t seconds)
{
    return CALL(time_offset, domid, seconds);
}

bool wh_xen_get_tsc(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_tsc *t)
{
    return CALL(tsc, domid, false, t);
}

bool wh_xen_port(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t remote,
                 uint32_t *port)
{
    return CALL(port, domid, remote, port);
}

bool wh_xen_default_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool restoring,
                           bool itsc, bool nested)
{
    return CALL(default_policy, domid, restoring, itsc, nested);
}

bool wh_xen_build(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_build *b)
{
    return CALL(build, domid, b);
}

bool wh_xen_frames(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *n)
{
    return CALL(frames, domid, n);
}

bool wh_xen_types(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n)
{
    return CALL(types, domid, frame, n);
}

bool wh_xen_populate(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n,
                     unsigned order)
{
    return CALL(populate, domid, frame, n, order);
}

bool wh_xen_release(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint64_t *frame, size_t n)
{
    return CALL(release, domid, frame, n);
}

bool wh_xen_map(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool write,
                const uint64_t *frame, size_t n, int *err, void **p)
{
    return CALL(map, domid, write, frame, n, err, p);
}

bool wh_xen_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *version, uint64_t *pages)
{
    return CALL(grants, domid, version, pages);
}

bool wh_xen_map_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t which, void **p)
{
    return CALL(map_grants, domid, which, p);
}

bool wh_xen_logdirty(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_logdirty how,
                     bool final, uint8_t *bitmap, uint64_t pages, uint64_t *dirty)
{
    return CALL(logdirty, domid, how, final, bitmap, pages, dirty);
}

bool wh_xen_get_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *bytes)
{
    return CALL(width, domid, false, bytes);
}

bool wh_xen_set_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned bytes)
{
    return CALL(width, domid, true, &bytes);
}

bool wh_xen_m2p(struct wh_op *op, struct wh_xen *x, uint64_t *frames, uint64_t **list, size_t *n,
                uint64_t *compat)
{
    return CALL(m2p, frames, list, n, compat);
}

bool wh_xen_get_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                        void *bytes)
{
    return CALL(get_context, domid, vcpu, bytes);
}

bool wh_xen_get_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob what, void **bytes, size_t *n)
{
    return CALL(get_blob, domid, vcpu, what, bytes, n);
}

bool wh_xen_pin(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_pinned *p,
                size_t n)
{
    return CALL(pin, domid, p, n);
}

bool wh_xen_get_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **bytes,
                            size_t *n)
{
    return CALL(get_hvm_context, domid, bytes, n);
}

bool wh_xen_get_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t index,
                      uint64_t *value)
{
    return CALL(hvm_param, domid, false, index, value);
}

bool wh_xen_set_affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         bool soft, const uint8_t *map, size_t bytes)
{
    uint8_t copy[1024];         /* Xen knows 4095 CPUs at most */

    if (bytes > sizeof copy)
        return wh_fail(&op->err, WH_USAGE, "a CPU map of %zu bytes", bytes);
    memcpy(copy, map, bytes);
    return CALL(affinity, domid, vcpu, true, soft, copy, bytes);
}

bool wh_xen_set_sched(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_sched *s)
{
    struct wh_sched copy = *s;

    return CALL(sched, domid, true, &copy);
}

bool wh_xen_set_tsc(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_tsc *t)
{
    struct wh_tsc copy = *t;

    return CALL(tsc, domid, true, &copy);
}

bool wh_xen_set_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t index,
                      uint64_t value)
{
    return CALL(hvm_param, domid, true, index, &value);
}

bool wh_xen_domain(struct wh_op *op, struct wh_xen *x, uint32_t domid, struct wh_domain *d,
                   bool *there)
{
    size_t n;

    if (!wh_xen_domains(op, x, domid, d, 1, &n))
        return false;
    *there = n == 1 && d->domid == domid;
    return true;
}

bool wh_xen_set_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                        const void *bytes)
{
    return CALL(set_context, domid, vcpu, bytes);
}

bool wh_xen_set_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                     enum wh_vcpu_blob what, const void *bytes, size_t n)
{
    return CALL(set_blob, domid, vcpu, what, bytes, n);
}

bool wh_xen_set_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *bytes,
                            size_t n)
{
    return CALL(set_hvm_context, domid, bytes, n);
}

bool wh_xen_get_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **leaves,
                       size_t *leaf_bytes, void **msrs, size_t *msr_bytes)
{
    return CALL(get_policy, domid, leaves, leaf_bytes, msrs, msr_bytes);
}

bool wh_xen_set_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *leaves,
                       size_t leaf_bytes, const void *msrs, size_t msr_bytes)
{
    return CALL(set_policy, domid, leaves, leaf_bytes, msrs, msr_bytes);
}

bool wh_xen_host_policy(struct wh_op *op, struct wh_xen *x, bool hvm, void **leaves,
                        size_t *leaf_bytes, void **msrs, size_t *msr_bytes)
{
    return CALL(host_policy, hvm, leaves, leaf_bytes, msrs, msr_bytes);
}

bool wh_xen_policy_fits(struct wh_op *op, struct wh_xen *x, bool hvm, const void *leaves,
                        size_t leaf_bytes, const void *msrs, size_t msr_bytes, char why[WH_WHY])
{
    return CALL(policy_fits, hvm, leaves, leaf_bytes, msrs, msr_bytes, why);
}

void wh_xen_unmap(struct wh_xen *x, void *p, size_t n)
{
    if (p)
        x->calls->unmap(x, p, n);
}

void wh_xen_ends_soon(struct wh_xen *x)
{
    if (x->calls->ends_soon)
        x->calls->ends_soon(x);
}

void wh_xen_unmap_grants(struct wh_xen *x, void *p)
{
    if (p)
        x->calls->unmap_grants(x, p);
}
