/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hypervisor we run on: opening it, its domains' lives and limits. */
#include "xen/real.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libxc tells a logger what it complains of; the last of it goes into our error. */
static void hear(struct xentoollog_logger *logger, xentoollog_level level, int sys,
                 const char *context, const char *format, va_list al)
{
    struct wh_real *r = (struct wh_real *)((char *)logger - offsetof(struct wh_real, log));

    (void)sys;
    (void)context;
    if (level >= XTL_ERROR)
        vsnprintf(r->complaint, sizeof r->complaint, format, al);
}

static void unheard(struct xentoollog_logger *logger)
{
    (void)logger;
}

bool wh_real_fail(struct wh_op *op, struct wh_xen *x, uint32_t domid, const char *what)
{
    struct wh_real *r = wh_real(x);
    const char *why = strerror(errno);
    char complaint[sizeof r->complaint];

    snprintf(complaint, sizeof complaint, "%s", r->complaint);
    r->complaint[0] = '\0';
    for (char *c = complaint; *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    wh_fail(&op->err, WH_XEN, "%s of domain %u: %s%s%s%s", what, domid, why,
            complaint[0] ? " (libxc: " : "", complaint, complaint[0] ? ")" : "");
    return false;
}

int wh_real_domctl(struct wh_xen *x, uint32_t cmd, uint32_t domid, struct xen_domctl *d)
{
    d->cmd = cmd;
    d->domain = (domid_t)domid;
    return xc_domctl(wh_real(x)->xc, d);
}

static void close_real(struct wh_xen *x)
{
    struct wh_real *r = wh_real(x);

    if (r->memory)
        xenforeignmemory_close(r->memory);
    if (r->xc)
        xc_interface_close(r->xc);
    free(r);
}

/* ----------------------------------------------------------------------------- domains */

static void describe(struct wh_domain *d, const xc_domaininfo_t *i)
{
    *d = (struct wh_domain){
        .domid = i->domain,
        .hvm = i->flags & XEN_DOMINF_hvm_guest,
        .hap = i->flags & XEN_DOMINF_hap,
        .emulated = i->arch_config.emulation_flags & ~(unsigned)XEN_X86_EMU_LAPIC,
        .dying = i->flags & XEN_DOMINF_dying,
        .shutdown = i->flags & XEN_DOMINF_shutdown,
        .paused = i->flags & XEN_DOMINF_paused,
        .blocked = i->flags & XEN_DOMINF_blocked,
        .running = i->flags & XEN_DOMINF_running,
        .reason = WH_RUNNING,
        .pages = i->tot_pages,
        .max_pages = i->max_pages,
        .outstanding_pages = i->outstanding_pages,
        .shared_pages = i->shr_pages,
        .paged_pages = i->paged_pages,
        .shared_info = i->shared_info_frame,
        .cpu_ns = i->cpu_time,
        .vcpus_online = i->nr_online_vcpus,
        .vcpu_last = i->max_vcpu_id,
        .cpupool = i->cpupool,
    };
    memcpy(d->uuid, i->handle, sizeof d->uuid);
    if (d->shutdown)
        d->reason = (enum wh_shutdown)((i->flags >> XEN_DOMINF_shutdownshift) &
                                       XEN_DOMINF_shutdownmask);
}

static bool domains(struct wh_op *op, struct wh_xen *x, uint32_t first, struct wh_domain *d,
                    size_t max, size_t *n)
{
    xc_domaininfo_t info[64];

    for (*n = 0; *n < max;) {
        unsigned want = max - *n < 64 ? (unsigned)(max - *n) : 64;
        int got = xc_domain_getinfolist(wh_real(x)->xc, first, want, info);

        if (got < 0)
            return wh_real_fail(op, x, first, "the list from domain on,");
        for (int i = 0; i < got; i++)
            describe(&d[(*n)++], &info[i]);
        if ((unsigned)got < want)
            break;
        first = d[*n - 1].domid + 1;
    }
    return true;
}

static bool vcpu(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t id,
                 struct wh_vcpu *v)
{
    xc_vcpuinfo_t info;

    if (xc_vcpu_getinfo(wh_real(x)->xc, domid, id, &info) < 0)
        return wh_real_fail(op, x, domid, "a vcpu's state");
    *v = (struct wh_vcpu){ .online = info.online, .blocked = info.blocked,
                           .running = info.running, .cpu_ns = info.cpu_time, .cpu = info.cpu };
    return true;
}

static bool affinity(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t id, bool set,
                     bool soft, uint8_t *map, size_t bytes)
{
    xc_interface *xc = wh_real(x)->xc;
    unsigned flag = soft ? XEN_VCPUAFFINITY_SOFT : XEN_VCPUAFFINITY_HARD;
    int size = xc_get_cpumap_size(xc);
    xc_cpumap_t cpus = xc_cpumap_alloc(xc);

    if (!cpus || size <= 0) {
        free(cpus);
        return wh_real_fail(op, x, domid, "a CPU map");
    }
    size_t common = bytes < (size_t)size ? bytes : (size_t)size;
    if (set)
        memcpy(cpus, map, common);
    int rc = set ? xc_vcpu_setaffinity(xc, domid, (int)id, soft ? NULL : cpus, soft ? cpus : NULL,
                                       flag)
                 : xc_vcpu_getaffinity(xc, domid, (int)id, soft ? NULL : cpus, soft ? cpus : NULL,
                                       flag);
    int sys = errno;
    if (rc == 0 && !set) {
        memset(map, 0, bytes);
        memcpy(map, cpus, common);
    }
    free(cpus);
    errno = sys;
    return rc == 0 || wh_real_fail(op, x, domid, set ? "setting the affinity" : "the affinity");
}

static bool sched(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set, struct wh_sched *s)
{
    xc_interface *xc = wh_real(x)->xc;
    struct xen_domctl_sched_credit one = { (uint16_t)s->weight, (uint16_t)s->cap };
    struct xen_domctl_sched_credit2 two = { (uint16_t)s->weight, (uint16_t)s->cap };
    int id, rc;

    if (xc_sched_id(xc, &id) < 0)
        return wh_real_fail(op, x, domid, "the scheduler");
    if (id == XEN_SCHEDULER_CREDIT)
        rc = set ? xc_sched_credit_domain_set(xc, domid, &one)
                 : xc_sched_credit_domain_get(xc, domid, &one);
    else if (id == XEN_SCHEDULER_CREDIT2)
        rc = set ? xc_sched_credit2_domain_set(xc, domid, &two)
                 : xc_sched_credit2_domain_get(xc, domid, &two);
    else if (set)
        return wh_fail(&op->err, WH_USAGE, "the scheduler has no weight and cap");
    else
        rc = 0, one.weight = one.cap = 0;
    if (rc < 0)
        return wh_real_fail(op, x, domid, set ? "setting the weight" : "the weight");
    s->id = (uint32_t)id;
    s->weight = id == XEN_SCHEDULER_CREDIT2 ? two.weight : one.weight;
    s->cap = id == XEN_SCHEDULER_CREDIT2 ? two.cap : one.cap;
    return true;
}

/* -------------------------------------------------------------------------- life, limits */

static bool create(struct wh_op *op, struct wh_xen *x, const struct wh_domain_spec *s,
                   uint32_t *domid)
{
    struct xen_domctl_createdomain c = {
        .ssidref = s->ssidref,
        .flags = (s->hvm ? XEN_DOMCTL_CDF_hvm : 0) | (s->hap ? XEN_DOMCTL_CDF_hap : 0) |
                 (s->oos_off ? XEN_DOMCTL_CDF_oos_off : 0) | (s->vpmu ? XEN_DOMCTL_CDF_vpmu : 0) |
                 (s->nested ? XEN_DOMCTL_CDF_nested_virt : 0),
        .max_vcpus = s->vcpus,
        .max_evtchn_port = s->event_channels,
        .max_grant_frames = s->grant_frames,
        .max_maptrack_frames = s->maptrack_frames,
        .grant_opts = XEN_DOMCTL_GRANT_version(s->grant_version),
        .vmtrace_size = s->vmtrace_bytes,
        .cpupool_id = s->cpupool,
        .arch.emulation_flags = !s->hvm ? 0 : s->emulated
                                    ? XEN_X86_EMU_ALL & ~(unsigned)XEN_X86_EMU_VPCI
                                    : XEN_X86_EMU_LAPIC,
        .arch.misc_flags = s->msr_relaxed ? XEN_X86_MSR_RELAXED : 0,
    };

    memcpy(c.handle, s->uuid, sizeof c.handle);
    *domid = 0;             /* the next free one */
    if (xc_domain_create(wh_real(x)->xc, domid, &c) < 0)
        return wh_real_fail(op, x, *domid, "creation");
    return true;
}

static bool destroy(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return xc_domain_destroy(wh_real(x)->xc, domid) == 0 || errno == ESRCH ||
           wh_real_fail(op, x, domid, "destruction");
}

static bool pause_it(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool on)
{
    int rc = on ? xc_domain_pause(wh_real(x)->xc, domid) : xc_domain_unpause(wh_real(x)->xc, domid);

    return rc == 0 || wh_real_fail(op, x, domid, on ? "pausing" : "unpausing");
}

static bool shut_down(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_shutdown why)
{
    return xc_domain_shutdown(wh_real(x)->xc, domid, (int)why) == 0 ||
           wh_real_fail(op, x, domid, "shutdown");
}

static bool resume(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    struct xen_domctl d = { 0 };

    return wh_real_domctl(x, XEN_DOMCTL_resumedomain, domid, &d) == 0 ||
           wh_real_fail(op, x, domid, "resumption");
}

static bool set_uuid(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint8_t uuid[16])
{
    xen_domain_handle_t handle;

    memcpy(handle, uuid, sizeof handle);
    return xc_domain_sethandle(wh_real(x)->xc, domid, handle) == 0 ||
           wh_real_fail(op, x, domid, "setting the uuid");
}

static bool power_button(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    return xc_domain_send_trigger(wh_real(x)->xc, domid, XEN_DOMCTL_SENDTRIGGER_POWER, 0) == 0 ||
           wh_real_fail(op, x, domid, "the power button");
}

static bool max_vcpus(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t n)
{
    return xc_domain_max_vcpus(wh_real(x)->xc, domid, n) == 0 ||
           wh_real_fail(op, x, domid, "the number of vcpus");
}

static bool max_memory(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb)
{
    return xc_domain_setmaxmem(wh_real(x)->xc, domid, kb) == 0 ||
           wh_real_fail(op, x, domid, "the memory limit");
}

static bool memmap_limit(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t kb)
{
    return xc_domain_set_memmap_limit(wh_real(x)->xc, domid, kb) == 0 ||
           wh_real_fail(op, x, domid, "the memory map's limit");
}

static bool paging_pool(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t bytes)
{
    return xc_set_paging_mempool_size(wh_real(x)->xc, domid, bytes) == 0 ||
           wh_real_fail(op, x, domid, "the paging memory");
}

static bool time_offset(struct wh_op *op, struct wh_xen *x, uint32_t domid, int64_t seconds)
{
    return xc_domain_set_time_offset(wh_real(x)->xc, domid, (int32_t)seconds) == 0 ||
           wh_real_fail(op, x, domid, "the clock's offset");
}

static bool tsc(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set, struct wh_tsc *t)
{
    xc_interface *xc = wh_real(x)->xc;
    int rc = set ? xc_domain_set_tsc_info(xc, domid, t->mode, t->elapsed_ns, t->khz, t->incarnation)
                 : xc_domain_get_tsc_info(xc, domid, &t->mode, &t->elapsed_ns, &t->khz,
                                          &t->incarnation);

    return rc == 0 || wh_real_fail(op, x, domid, set ? "setting the TSC" : "the TSC");
}

static bool port(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint32_t remote, uint32_t *p)
{
    xc_evtchn_port_or_error_t got = xc_evtchn_alloc_unbound(wh_real(x)->xc, domid, remote);

    *p = (uint32_t)got;
    return got >= 0 || wh_real_fail(op, x, domid, "an event channel");
}

static const struct wh_xen_calls calls = {
    .close = close_real, .host = wh_real_host, .dmesg = wh_real_dmesg, .domains = domains,
    .vcpu = vcpu, .affinity = affinity, .sched = sched, .create = create, .destroy = destroy,
    .pause = pause_it, .shutdown = shut_down, .resume = resume,
    .power_button = power_button, .set_uuid = set_uuid, .max_vcpus = max_vcpus,
    .max_memory = max_memory, .memmap_limit = memmap_limit, .paging_pool = paging_pool,
    .time_offset = time_offset, .tsc = tsc, .port = port,
    .default_policy = wh_real_default_policy, .get_policy = wh_real_get_policy,
    .host_policy = wh_real_host_policy,
    .policy_fits = wh_real_policy_fits,
    .set_policy = wh_real_set_policy, .build = wh_real_build, .frames = wh_real_frames,
    .types = wh_real_types, .populate = wh_real_populate, .release = wh_real_release, .map = wh_real_map,
    .unmap = wh_real_unmap, .ends_soon = wh_real_ends_soon, .grants = wh_real_grants,
    .map_grants = wh_real_map_grants,
    .unmap_grants = wh_real_unmap_grants, .logdirty = wh_real_logdirty, .width = wh_real_width,
    .m2p = wh_real_m2p, .get_context = wh_real_get_context,
    .set_context = wh_real_set_context, .get_blob = wh_real_get_blob,
    .set_blob = wh_real_set_blob, .pin = wh_real_pin, .get_hvm_context = wh_real_get_hvm_context,
    .set_hvm_context = wh_real_set_hvm_context, .hvm_param = wh_real_hvm_param,
};

struct wh_xen *wh_xen_open_real(struct wh_op *op)
{
    struct wh_real *r = calloc(1, sizeof *r);

    if (!r) {
        wh_fail_sys(&op->err, ENOMEM, "open the hypervisor");
        return NULL;
    }
    r->xen = (struct wh_xen){ .calls = &calls, .state = r };
    r->log = (xentoollog_logger){ .vmessage = hear, .destroy = unheard };
    r->xc = xc_interface_open(&r->log, &r->log, 0);
    r->memory = r->xc ? xenforeignmemory_open(&r->log, 0) : NULL;
    if (!r->memory) {
        wh_fail(&op->err, WH_XEN, "not on Xen, or not allowed to use it: %s", strerror(errno));
        close_real(&r->xen);
        return NULL;
    }
    return &r->xen;
}
