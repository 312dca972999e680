/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real hypervisor: a domain's vCPUs and HVM state. */
#include "xen/real.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT_MOST (64u << 20)

_Static_assert(sizeof(vcpu_guest_context_any_t) == WH_VCPU_CONTEXT, "4.17's layout");

/* -------------------------------------------------------------------------------- vCPUs */

bool wh_real_get_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         void *bytes)
{
    return xc_vcpu_getcontext(wh_real(x)->xc, domid, vcpu, bytes) == 0 ||
           wh_real_fail(op, x, domid, "a vcpu's registers");
}

bool wh_real_set_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         const void *bytes)
{
    vcpu_guest_context_any_t c;

    memcpy(&c, bytes, sizeof c);
    return xc_vcpu_setcontext(wh_real(x)->xc, domid, vcpu, &c) == 0 ||
           wh_real_fail(op, x, domid, "setting a vcpu's registers");
}

static bool take(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *from, size_t n,
                 void **bytes, size_t *got)
{
    *bytes = malloc(n + 1);
    *got = n;
    errno = ENOMEM;
    if (!*bytes)
        return wh_real_fail(op, x, domid, "a vcpu's state");
    memcpy(*bytes, from, n);
    return true;
}

static bool get_extended(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                         void **bytes, size_t *n)
{
    struct xen_domctl d = { .u.ext_vcpucontext.vcpu = vcpu };

    if (wh_real_domctl(x, XEN_DOMCTL_get_ext_vcpucontext, domid, &d) < 0)
        return wh_real_fail(op, x, domid, "a vcpu's extended state");
    return take(op, x, domid, &d.u.ext_vcpucontext, d.u.ext_vcpucontext.size, bytes, n);
}

/* Two calls each: how much there is, then it. */
static bool get_xsave(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                      void **bytes, size_t *n)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(uint8_t, b);
    struct xen_domctl d = { .u.vcpuextstate.vcpu = vcpu };

    if (wh_real_domctl(x, XEN_DOMCTL_getvcpuextstate, domid, &d) < 0)
        return wh_real_fail(op, x, domid, "the size of a vcpu's XSAVE area");
    uint64_t size = d.u.vcpuextstate.size;
    if (size == 0)
        return true;
    b = xc_hypercall_buffer_alloc(xc, b, size);
    set_xen_guest_handle(d.u.vcpuextstate.buffer, b);
    int rc = b ? wh_real_domctl(x, XEN_DOMCTL_getvcpuextstate, domid, &d) : -1;
    /* Of a vCPU that has not used the area only its head comes, and the size says so. */
    uint64_t got = d.u.vcpuextstate.size < size ? d.u.vcpuextstate.size : size;
    bool ok = rc == 0 ? take(op, x, domid, b, got, bytes, n)
                      : wh_real_fail(op, x, domid, "a vcpu's XSAVE area");
    xc_hypercall_buffer_free(xc, b);
    return ok;
}

static bool get_msrs(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                     void **bytes, size_t *n)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(xen_domctl_vcpu_msr_t, b);
    struct xen_domctl d = { .u.vcpu_msrs.vcpu = vcpu };

    if (wh_real_domctl(x, XEN_DOMCTL_get_vcpu_msrs, domid, &d) < 0)
        return wh_real_fail(op, x, domid, "the number of a vcpu's MSRs");
    uint32_t count = d.u.vcpu_msrs.msr_count;
    if (count == 0)
        return true;
    b = xc_hypercall_buffer_alloc(xc, b, count * sizeof *b);
    set_xen_guest_handle(d.u.vcpu_msrs.msrs, b);
    int rc = b ? wh_real_domctl(x, XEN_DOMCTL_get_vcpu_msrs, domid, &d) : -1;
    count = d.u.vcpu_msrs.msr_count;
    bool ok = rc == 0 ? count == 0 || take(op, x, domid, b, count * sizeof *b, bytes, n)
                      : wh_real_fail(op, x, domid, "a vcpu's MSRs");
    xc_hypercall_buffer_free(xc, b);
    return ok;
}

bool wh_real_get_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                      enum wh_vcpu_blob what, void **bytes, size_t *n)
{
    *bytes = NULL;
    *n = 0;
    return what == WH_VCPU_EXTENDED ? get_extended(op, x, domid, vcpu, bytes, n)
           : what == WH_VCPU_XSAVE  ? get_xsave(op, x, domid, vcpu, bytes, n)
                                    : get_msrs(op, x, domid, vcpu, bytes, n);
}

bool wh_real_set_blob(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t vcpu,
                      enum wh_vcpu_blob what, const void *bytes, size_t n)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(uint8_t, b);
    struct xen_domctl d = { 0 };
    int rc = -1;

    if (what == WH_VCPU_EXTENDED) {
        if (n > sizeof d.u.ext_vcpucontext)
            return wh_fail(&op->err, WH_STREAM, "a vcpu's extended state of %zu bytes", n);
        memcpy(&d.u.ext_vcpucontext, bytes, n);
        d.u.ext_vcpucontext.vcpu = vcpu;
        d.u.ext_vcpucontext.size = (uint32_t)n;
        return wh_real_domctl(x, XEN_DOMCTL_set_ext_vcpucontext, domid, &d) == 0 ||
               wh_real_fail(op, x, domid, "setting a vcpu's extended state");
    }
    b = xc_hypercall_buffer_alloc(xc, b, n + 1);
    if (b && what == WH_VCPU_XSAVE) {
        memcpy(b, bytes, n);
        d.u.vcpuextstate.vcpu = vcpu;
        d.u.vcpuextstate.size = n;
        set_xen_guest_handle(d.u.vcpuextstate.buffer, b);
        rc = wh_real_domctl(x, XEN_DOMCTL_setvcpuextstate, domid, &d);
    } else if (b) {
        memcpy(b, bytes, n);
        d.u.vcpu_msrs.vcpu = vcpu;
        d.u.vcpu_msrs.msr_count = (uint32_t)(n / sizeof(xen_domctl_vcpu_msr_t));
        set_xen_guest_handle(d.u.vcpu_msrs.msrs, b);
        rc = wh_real_domctl(x, XEN_DOMCTL_set_vcpu_msrs, domid, &d);
    }
    int sys = errno;
    xc_hypercall_buffer_free(xc, b);
    errno = sys;
    return rc == 0 || wh_real_fail(op, x, domid, what == WH_VCPU_XSAVE
                                   ? "setting a vcpu's XSAVE area" : "setting a vcpu's MSRs");
}

/* ---------------------------------------------------------------------------- HVM, PVH */

bool wh_real_get_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, void **bytes,
                             size_t *n)
{
    xc_interface *xc = wh_real(x)->xc;
    int size = xc_domain_hvm_getcontext(xc, domid, NULL, 0);

    *bytes = NULL;
    if (size < 0)
        return wh_real_fail(op, x, domid, "the size of the HVM context");
    *bytes = calloc(1, (size_t)size + 1);
    int got = *bytes ? xc_domain_hvm_getcontext(xc, domid, *bytes, (uint32_t)size) : -1;
    if (got < 0)
        return wh_real_fail(op, x, domid, "the HVM context");
    *n = (size_t)got;
    return true;
}

bool wh_real_set_hvm_context(struct wh_op *op, struct wh_xen *x, uint32_t domid, const void *bytes,
                             size_t n)
{
    uint8_t *copy = n <= CONTEXT_MOST ? malloc(n + 1) : NULL;

    errno = ENOMEM;
    if (!copy)
        return wh_real_fail(op, x, domid, "setting the HVM context");
    memcpy(copy, bytes, n);
    int rc = xc_domain_hvm_setcontext(wh_real(x)->xc, domid, copy, (uint32_t)n);
    int sys = errno;
    free(copy);
    errno = sys;
    return rc == 0 || wh_real_fail(op, x, domid, "setting the HVM context");
}

bool wh_real_hvm_param(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set, uint32_t index,
                       uint64_t *value)
{
    xc_interface *xc = wh_real(x)->xc;
    int rc = set ? xc_hvm_param_set(xc, domid, index, *value)
                 : xc_hvm_param_get(xc, domid, index, value);

    return rc == 0 || wh_real_fail(op, x, domid, set ? "setting an HVM parameter"
                                                     : "an HVM parameter");
}
