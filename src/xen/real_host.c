/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real hypervisor: what it says of itself and of the machine, and its log. */
#include "xen/real.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_STEP (32u << 10)
#define LOG_MOST (16u << 20)

static const char *const schedulers[] = { [XEN_SCHEDULER_CREDIT] = "credit",
                                          [XEN_SCHEDULER_CREDIT2] = "credit2",
                                          [XEN_SCHEDULER_ARINC653] = "arinc653",
                                          [XEN_SCHEDULER_RTDS] = "rtds",
                                          [XEN_SCHEDULER_NULL] = "null" };

#define TEXT(to, from) snprintf(to, sizeof(to), "%.*s", (int)sizeof(from), (const char *)(from))

static bool version(struct wh_op *op, struct wh_xen *x, struct wh_host *h)
{
    xc_interface *xc = wh_real(x)->xc;
    xen_extraversion_t extra;
    xen_compile_info_t compile;
    xen_capabilities_info_t caps;
    xen_changeset_info_t set;
    xen_commandline_t line;
    xen_platform_parameters_t platform;
    int v = xc_version(xc, XENVER_version, NULL);

    if (v < 0 || xc_version(xc, XENVER_extraversion, &extra) < 0 ||
        xc_version(xc, XENVER_compile_info, &compile) < 0 ||
        xc_version(xc, XENVER_capabilities, &caps) < 0 ||
        xc_version(xc, XENVER_changeset, &set) < 0 ||
        xc_version(xc, XENVER_commandline, &line) < 0 ||
        xc_version(xc, XENVER_platform_parameters, &platform) < 0)
        return wh_real_fail(op, x, 0, "Xen's version asked by");
    h->major = (unsigned)v >> 16;
    h->minor = (unsigned)v & 0xffff;
    TEXT(h->extra, extra);
    TEXT(h->capabilities, caps);
    TEXT(h->changeset, set);
    TEXT(h->command_line, line);
    TEXT(h->compiler, compile.compiler);
    TEXT(h->compile_by, compile.compile_by);
    TEXT(h->compile_date, compile.compile_date);
    h->page_size = (uint32_t)xc_version(xc, XENVER_pagesize, NULL);
    h->virt_start = platform.virt_start;
    return true;
}

bool wh_real_host(struct wh_op *op, struct wh_xen *x, struct wh_host *h)
{
    xc_interface *xc = wh_real(x)->xc;
    xc_physinfo_t p = { 0 };
    int sched;

    memset(h, 0, sizeof *h);
    if (!version(op, x, h))
        return false;
    if (xc_physinfo(xc, &p) < 0 || xc_sched_id(xc, &sched) < 0)
        return wh_real_fail(op, x, 0, "the machine's description asked by");
    h->cpus = p.nr_cpus;
    h->max_cpu_id = p.max_cpu_id;
    h->nodes = p.nr_nodes;
    h->threads_per_core = p.threads_per_core;
    h->cores = p.cores_per_socket;
    h->sockets = p.threads_per_core && p.cores_per_socket
                     ? p.nr_cpus / (p.threads_per_core * p.cores_per_socket) : 1;
    h->cpu_khz = p.cpu_khz;
    h->total_pages = p.total_pages;
    h->free_pages = p.free_pages;
    h->scrub_pages = p.scrub_pages;
    h->outstanding_pages = p.outstanding_pages;
    long freed = xc_sharing_freed_pages(xc), used = xc_sharing_used_frames(xc);
    h->sharing_freed = freed > 0 ? (uint64_t)freed : 0;
    h->sharing_used = used > 0 ? (uint64_t)used : 0;
    memcpy(h->hw_cap, p.hw_cap, sizeof h->hw_cap);
    h->hvm = p.capabilities & XEN_SYSCTL_PHYSCAP_hvm;
    h->pv = p.capabilities & XEN_SYSCTL_PHYSCAP_pv;
    h->hap = p.capabilities & XEN_SYSCTL_PHYSCAP_hap;
    h->shadow = p.capabilities & XEN_SYSCTL_PHYSCAP_shadow;
    h->directio = p.capabilities & XEN_SYSCTL_PHYSCAP_directio;
    const char *name = (size_t)sched < sizeof schedulers / sizeof *schedulers ? schedulers[sched]
                                                                              : NULL;
    snprintf(h->scheduler, sizeof h->scheduler, "%s", name ? name : "unknown");
    return true;
}

/* The ring is read from where the last piece ended until there is no more. */
bool wh_real_dmesg(struct wh_op *op, struct wh_xen *x, bool clear, char **text)
{
    size_t size = 0;
    uint32_t index = 0;

    for (*text = NULL;;) {
        unsigned n = LOG_STEP;
        char *more = realloc(*text, size + LOG_STEP + 1);

        if (!more || xc_readconsolering(wh_real(x)->xc, more + size, &n, clear, size > 0, &index)) {
            int sys = more ? errno : ENOMEM;
            free(more ? more : *text);
            *text = NULL;
            errno = sys;
            return wh_real_fail(op, x, 0, "Xen's log asked by");
        }
        *text = more;
        size += n;
        more[size] = '\0';
        if (n < LOG_STEP || size > LOG_MOST)
            return true;
    }
}
