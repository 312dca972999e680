/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's row of the hypervisor's calls.  Each takes the lock, lets the guests do what they do
 * by themselves, and goes on to the file that knows. */
#include <string.h>
#include <sys/mman.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

struct fake_handle {
    struct wh_xen xen;
    struct fake_handle *next;
    struct wh_fake *fake;
};

static struct wh_fake *of(struct wh_xen *x)
{
    struct fake_handle *h = x->state;

    return h->fake;
}

#define ROW(name, params, ...)                                                                     \
    static bool row_##name params                                                                  \
    {                                                                                              \
        struct wh_fake *f = of(x);                                                                 \
        FAKE_LOCKED(f);                                                                            \
        wh_fake_guests_go(f);                                                                      \
        return wh_fake_##name(op, f, __VA_ARGS__);                                                 \
    }
#define OP_X   struct wh_op *op, struct wh_xen *x
#define OP_X_D struct wh_op *op, struct wh_xen *x, uint32_t domid

/* clang-format off */
ROW(host, (OP_X, struct wh_host *h), h)
ROW(dmesg, (OP_X, bool clear, char **text), clear, text)
ROW(domains, (OP_X, uint32_t first, struct wh_domain *d, size_t max, size_t *n), first, d, max, n)
ROW(vcpu, (OP_X_D, uint32_t vcpu, struct wh_vcpu *v), domid, vcpu, v)
ROW(affinity, (OP_X_D, uint32_t vcpu, bool set, bool soft, uint8_t *map, size_t bytes),
    domid, vcpu, set, soft, map, bytes)
ROW(sched, (OP_X_D, bool set, struct wh_sched *s), domid, set, s)
ROW(create, (OP_X, const struct wh_domain_spec *s, uint32_t *domid), s, domid)
ROW(destroy, (OP_X_D), domid)
ROW(pause, (OP_X_D, bool on), domid, on)
ROW(shutdown, (OP_X_D, enum wh_shutdown why), domid, why)
ROW(resume, (OP_X_D), domid)
ROW(power_button, (OP_X_D), domid)
ROW(max_vcpus, (OP_X_D, uint32_t n), domid, n)
ROW(max_memory, (OP_X_D, uint64_t kb), domid, kb)
ROW(memmap_limit, (OP_X_D, uint64_t kb), domid, kb)
ROW(paging_pool, (OP_X_D, uint64_t bytes), domid, bytes)
ROW(time_offset, (OP_X_D, int64_t seconds), domid, seconds)
ROW(tsc, (OP_X_D, bool set, struct wh_tsc *t), domid, set, t)
ROW(port, (OP_X_D, uint32_t remote, uint32_t *port), domid, remote, port)
ROW(default_policy, (OP_X_D, bool restoring, bool itsc, bool nested),
    domid, restoring, itsc, nested)
ROW(get_policy, (OP_X_D, void **leaves, size_t *leaf_bytes, void **msrs, size_t *msr_bytes),
    domid, leaves, leaf_bytes, msrs, msr_bytes)
ROW(set_policy, (OP_X_D, const void *leaves, size_t leaf_bytes, const void *msrs,
                 size_t msr_bytes), domid, leaves, leaf_bytes, msrs, msr_bytes)
ROW(host_policy, (OP_X, bool hvm, void **leaves, size_t *leaf_bytes, void **msrs,
                  size_t *msr_bytes), hvm, leaves, leaf_bytes, msrs, msr_bytes)
ROW(policy_fits, (OP_X, bool hvm, const void *leaves, size_t leaf_bytes, const void *msrs,
                  size_t msr_bytes, char why[WH_WHY]),
    hvm, leaves, leaf_bytes, msrs, msr_bytes, why)
ROW(build, (OP_X_D, struct wh_build *b), domid, b)
ROW(frames, (OP_X_D, uint64_t *n), domid, n)
ROW(types, (OP_X_D, uint64_t *frame, size_t n), domid, frame, n)
ROW(populate, (OP_X_D, uint64_t *frame, size_t n, unsigned order), domid, frame, n, order)
ROW(release, (OP_X_D, const uint64_t *frame, size_t n), domid, frame, n)
ROW(map, (OP_X_D, bool write, const uint64_t *frame, size_t n, int *err, void **p),
    domid, write, frame, n, err, p)
ROW(grants, (OP_X_D, unsigned *version, uint64_t *pages), domid, version, pages)
ROW(map_grants, (OP_X_D, uint64_t which, void **p), domid, which, p)
ROW(logdirty, (OP_X_D, enum wh_logdirty how, bool final, uint8_t *bitmap, uint64_t pages,
               uint64_t *dirty), domid, how, final, bitmap, pages, dirty)
ROW(width, (OP_X_D, bool set, unsigned *bytes), domid, set, bytes)
ROW(m2p, (OP_X, uint64_t *frames, uint64_t **list, size_t *n, uint64_t *compat),
    frames, list, n, compat)
ROW(get_context, (OP_X_D, uint32_t vcpu, void *bytes), domid, vcpu, bytes)
ROW(set_context, (OP_X_D, uint32_t vcpu, const void *bytes), domid, vcpu, bytes)
ROW(get_blob, (OP_X_D, uint32_t vcpu, enum wh_vcpu_blob what, void **bytes, size_t *n),
    domid, vcpu, what, bytes, n)
ROW(set_blob, (OP_X_D, uint32_t vcpu, enum wh_vcpu_blob what, const void *bytes, size_t n),
    domid, vcpu, what, bytes, n)
ROW(pin, (OP_X_D, const struct wh_pinned *p, size_t n), domid, p, n)
ROW(get_hvm_context, (OP_X_D, void **bytes, size_t *n), domid, bytes, n)
ROW(set_hvm_context, (OP_X_D, const void *bytes, size_t n), domid, bytes, n)
ROW(hvm_param, (OP_X_D, bool set, uint32_t index, uint64_t *value), domid, set, index, value)
/* clang-format on */

static void row_ends_soon(struct wh_xen *x)
{
    of(x)->ends_soon = true;
}

static void row_unmap(struct wh_xen *x, void *p, size_t n)
{
    wh_fake_unmap(of(x), p, n);
}

static void row_unmap_grants(struct wh_xen *x, void *p)
{
    wh_fake_unmap(of(x), p, 1);
}

static void row_close(struct wh_xen *x)
{
    struct fake_handle *h = x->state;
    struct wh_fake *f = h->fake;
    FAKE_LOCKED(f);

    for (struct fake_handle **at = &f->handles; *at; at = &(*at)->next) {
        if (*at == h) {
            *at = h->next;
            break;
        }
    }
    free(h);
}

void wh_fake_handles_free(struct wh_fake *f)
{
    while (f->handles)
        row_close(&f->handles->xen);
}

static const struct wh_xen_calls calls = {
    .close = row_close,
    .host = row_host, .dmesg = row_dmesg, .domains = row_domains, .vcpu = row_vcpu,
    .affinity = row_affinity, .sched = row_sched,
    .create = row_create, .destroy = row_destroy, .pause = row_pause, .shutdown = row_shutdown,
    .resume = row_resume, .power_button = row_power_button,
    .max_vcpus = row_max_vcpus, .max_memory = row_max_memory, .memmap_limit = row_memmap_limit,
    .paging_pool = row_paging_pool, .time_offset = row_time_offset, .tsc = row_tsc,
    .port = row_port, .default_policy = row_default_policy, .get_policy = row_get_policy,
    .set_policy = row_set_policy, .host_policy = row_host_policy,
    .policy_fits = row_policy_fits, .build = row_build,
    .frames = row_frames, .types = row_types, .populate = row_populate, .release = row_release, .map = row_map,
    .unmap = row_unmap, .ends_soon = row_ends_soon,
    .grants = row_grants, .map_grants = row_map_grants, .unmap_grants = row_unmap_grants,
    .logdirty = row_logdirty,
    .width = row_width, .m2p = row_m2p,
    .get_context = row_get_context, .set_context = row_set_context, .get_blob = row_get_blob,
    .set_blob = row_set_blob, .pin = row_pin,
    .get_hvm_context = row_get_hvm_context, .set_hvm_context = row_set_hvm_context,
    .hvm_param = row_hvm_param,
};

static bool gate(struct wh_op *op, struct wh_xen *x, const char *call)
{
    return wh_fake_gate(op, of(x), call);
}

struct wh_xen *wh_fake_xen(struct wh_fake *f)
{
    struct fake_handle *h = wh_fake_alloc(sizeof *h);
    FAKE_LOCKED(f);

    h->xen = (struct wh_xen){ .calls = &calls, .state = h, .gate = gate };
    h->fake = f;
    h->next = f->handles;
    f->handles = h;
    return &h->xen;
}
