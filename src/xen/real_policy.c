/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real hypervisor: CPU policies, what a domain's processors say of themselves. */
#include "xen/real.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenguest.h>

_Static_assert(sizeof(xen_cpuid_leaf_t) == 24 && sizeof(xen_msr_entry_t) == 16, "the wire's");

bool wh_real_default_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool restoring,
                            bool itsc, bool nested)
{
    return xc_cpuid_apply_policy(wh_real(x)->xc, domid, restoring, NULL, 0, true, itsc, nested,
                                 NULL, NULL) == 0 ||
           wh_real_fail(op, x, domid, "the default CPU policy");
}

/* Of a domain, or one of the host's own by its index. */
struct whose {
    bool domain;
    uint32_t id;
};

static int ask(struct wh_xen *x, const struct whose *w, xc_hypercall_buffer_t *l, uint32_t *leaves,
               xc_hypercall_buffer_t *m, uint32_t *msrs)
{
    struct xen_domctl d = { .u.cpu_policy = { .nr_leaves = *leaves, .nr_msrs = *msrs } };
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_get_cpu_policy,
                            .u.cpu_policy = { .index = w->id, .nr_leaves = *leaves,
                                              .nr_msrs = *msrs } };
    DECLARE_HYPERCALL_BUFFER_ARGUMENT(l);
    DECLARE_HYPERCALL_BUFFER_ARGUMENT(m);
    int rc;

    set_xen_guest_handle(d.u.cpu_policy.leaves, l);
    set_xen_guest_handle(d.u.cpu_policy.msrs, m);
    set_xen_guest_handle(s.u.cpu_policy.leaves, l);
    set_xen_guest_handle(s.u.cpu_policy.msrs, m);
    rc = w->domain ? wh_real_domctl(x, XEN_DOMCTL_get_cpu_policy, w->id, &d)
                   : xc_sysctl(wh_real(x)->xc, &s);
    *leaves = w->domain ? d.u.cpu_policy.nr_leaves : s.u.cpu_policy.nr_leaves;
    *msrs = w->domain ? d.u.cpu_policy.nr_msrs : s.u.cpu_policy.nr_msrs;
    return rc;
}

static bool hand_out(const void *from, size_t n, void **bytes, size_t *got)
{
    *bytes = malloc(n + 1);
    *got = n;
    if (!*bytes)
        return false;
    memcpy(*bytes, from, n);
    return true;
}

static bool fetch(struct wh_op *op, struct wh_xen *x, const struct whose *w, void **leaves,
                  size_t *leaf_bytes, void **msrs, size_t *msr_bytes)
{
    xc_interface *xc = wh_real(x)->xc;
    uint32_t nl, nm, domid = w->domain ? w->id : 0;
    DECLARE_HYPERCALL_BUFFER(xen_cpuid_leaf_t, l);
    DECLARE_HYPERCALL_BUFFER(xen_msr_entry_t, m);

    *leaves = *msrs = NULL;
    if (xc_cpu_policy_get_size(xc, &nl, &nm) < 0)
        return wh_real_fail(op, x, domid, "the size of a CPU policy");
    l = xc_hypercall_buffer_alloc(xc, l, nl * sizeof *l);
    m = xc_hypercall_buffer_alloc(xc, m, nm * sizeof *m);
    int rc = l && m ? ask(x, w, HYPERCALL_BUFFER(l), &nl, HYPERCALL_BUFFER(m), &nm) : -1;
    int sys = errno;
    bool ok = rc == 0 && hand_out(l, nl * sizeof *l, leaves, leaf_bytes) &&
              hand_out(m, nm * sizeof *m, msrs, msr_bytes);
    xc_hypercall_buffer_free(xc, l);
    xc_hypercall_buffer_free(xc, m);
    if (ok)
        return true;
    free(*leaves);
    *leaves = NULL;
    errno = rc == 0 ? ENOMEM : sys;
    return wh_real_fail(op, x, domid, w->domain ? "the CPU policy" : "the host's CPU policy asked by");
}

bool wh_real_get_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **leaves,
                        size_t *leaf_bytes, void **msrs, size_t *msr_bytes)
{
    return fetch(op, x, &(struct whose){ true, domid }, leaves, leaf_bytes, msrs, msr_bytes);
}

/* -------------------------------------------------------------------------- the host's */

static uint32_t most(bool hvm)
{
    return hvm ? XEN_SYSCTL_cpu_policy_hvm_max : XEN_SYSCTL_cpu_policy_pv_max;
}

bool wh_real_host_policy(struct wh_op *op, struct wh_xen *x, bool hvm, void **leaves,
                         size_t *leaf_bytes, void **msrs, size_t *msr_bytes)
{
    return fetch(op, x, &(struct whose){ false, most(hvm) }, leaves, leaf_bytes, msrs, msr_bytes);
}

/* What libxc objects to is heard as its complaint. */
bool wh_real_policy_fits(struct wh_op *op, struct wh_xen *x, bool hvm, const void *leaves,
                         size_t leaf_bytes, const void *msrs, size_t msr_bytes, char why[WH_WHY])
{
    struct wh_real *r = wh_real(x);
    xc_cpu_policy_t *host = xc_cpu_policy_init(), *guest = xc_cpu_policy_init();
    int rc = host && guest ? xc_cpu_policy_get_system(r->xc, most(hvm), host) : -1;
    int sys = host && guest ? errno : ENOMEM;

    r->complaint[0] = why[0] = '\0';
    if (rc == 0 &&
        (xc_cpu_policy_update_cpuid(r->xc, guest, leaves,
                                    (uint32_t)(leaf_bytes / sizeof(xen_cpuid_leaf_t))) != 0 ||
         xc_cpu_policy_update_msrs(r->xc, guest, msrs,
                                   (uint32_t)(msr_bytes / sizeof(xen_msr_entry_t))) != 0 ||
         !xc_cpu_policy_is_compatible(r->xc, host, guest)))
        snprintf(why, WH_WHY, "%s", r->complaint[0] ? r->complaint : "Xen would refuse it");
    r->complaint[0] = '\0';
    for (char *c = why; *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    xc_cpu_policy_destroy(host);
    xc_cpu_policy_destroy(guest);
    errno = sys;
    return rc == 0 || wh_real_fail(op, x, 0, "the host's CPU policy asked by");
}

/* ------------------------------------------------------------------------------ setting */

/* Xen names what it objects to: that is what the user must hear. */
bool wh_real_set_policy(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *leaves,
                        size_t leaf_bytes, const void *msrs, size_t msr_bytes)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(xen_cpuid_leaf_t, l);
    DECLARE_HYPERCALL_BUFFER(xen_msr_entry_t, m);
    struct xen_domctl d = { .u.cpu_policy = {
        .nr_leaves = (uint32_t)(leaf_bytes / sizeof(xen_cpuid_leaf_t)),
        .nr_msrs = (uint32_t)(msr_bytes / sizeof(xen_msr_entry_t)),
        .err_leaf = UINT32_MAX, .err_subleaf = UINT32_MAX, .err_msr = UINT32_MAX } };

    l = xc_hypercall_buffer_alloc(xc, l, leaf_bytes + 1);
    m = xc_hypercall_buffer_alloc(xc, m, msr_bytes + 1);
    int rc = -1;
    if (l && m) {
        memcpy(l, leaves, leaf_bytes);
        memcpy(m, msrs, msr_bytes);
        set_xen_guest_handle(d.u.cpu_policy.leaves, l);
        set_xen_guest_handle(d.u.cpu_policy.msrs, m);
        rc = wh_real_domctl(x, XEN_DOMCTL_set_cpu_policy, domid, &d);
    }
    int sys = errno;
    xc_hypercall_buffer_free(xc, l);
    xc_hypercall_buffer_free(xc, m);
    if (rc == 0)
        return true;
    const struct xen_domctl_cpu_policy *e = &d.u.cpu_policy;
    if (e->err_leaf != UINT32_MAX)
        return wh_fail(&op->err, WH_XEN, "this host's CPU cannot give the guest CPUID leaf %#x, "
                       "subleaf %#x as it had it: %s", e->err_leaf,
                       e->err_subleaf == UINT32_MAX ? 0 : e->err_subleaf, strerror(sys));
    if (e->err_msr != UINT32_MAX)
        return wh_fail(&op->err, WH_XEN, "this host's CPU cannot give the guest MSR %#x as it had "
                       "it: %s", e->err_msr, strerror(sys));
    errno = sys;
    return wh_real_fail(op, x, domid, "setting the CPU policy");
}
