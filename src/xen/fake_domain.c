/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fake's domains: made, limited, paused, shut down, destroyed; and what guests do between. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"

#define DOMID_LAST 0x7feeu

/* ------------------------------------------------------------------------- making, dropping */

static void give_memory(struct fake_domain *d)
{
    size_t bytes = FAKE_PFNS_MAX * FAKE_PAGE, table = FAKE_PFNS_MAX * sizeof *d->pfn;

    d->memory = memfd_create("fake-guest", MFD_CLOEXEC);
    if (d->memory < 0 || ftruncate(d->memory, (off_t)bytes) < 0)
        wh_fake_die("a guest's memory");
    d->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, d->memory, 0);
    d->pfn = mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (d->base == MAP_FAILED || d->pfn == MAP_FAILED)
        wh_fake_die("a guest's memory");
}

struct fake_domain *wh_fake_make(struct wh_fake *f, const struct wh_domain_spec *s)
{
    struct fake_domain *d = wh_fake_alloc(sizeof *d), **at = &f->domains;

    d->spec = *s;
    d->domid = f->next_domid++;
    d->pause_count = 1;
    d->reason = WH_RUNNING;
    d->width = 8;
    d->tsc = (struct wh_tsc){ .khz = 2000000 };
    d->sched = (struct wh_sched){ .id = 6, .weight = 256 };
    d->grants = wh_fake_heap_take(f);
    if (!s->hvm)
        d->shared_info = wh_fake_heap_take(f);
    give_memory(d);
    while (*at)
        at = &(*at)->next;
    *at = d;
    return d;
}

static void drop_blobs(struct fake_domain *d)
{
    for (unsigned v = 0; v < FAKE_VCPUS_MAX; v++)
        for (unsigned i = 0; i < WH_COUNT(d->vcpu[v].blob); i++)
            free(d->vcpu[v].blob[i].bytes);
    free(d->hvm_context.bytes);
    free(d->leaves.bytes);
    free(d->msrs.bytes);
}

/* What is still mapped of it stays as it is until it is unmapped. */
void wh_fake_drop(struct wh_fake *f, struct fake_domain *d)
{
    for (struct fake_domain **at = &f->domains; *at; at = &(*at)->next) {
        if (*at == d) {
            *at = d->next;
            break;
        }
    }
    for FAKE_EACH_PFN(d, pfn)
        if (d->pfn[pfn].there)
            wh_fake_remove(f, d, pfn);
    wh_fake_heap_give(f, d->grants);
    if (d->shared_info)
        wh_fake_heap_give(f, d->shared_info);
    munmap(d->base, FAKE_PFNS_MAX * FAKE_PAGE);
    close(d->memory);
    drop_blobs(d);
    munmap(d->pfn, FAKE_PFNS_MAX * sizeof *d->pfn);
    free(d);
}

bool wh_fake_create(FAKE_OP, const struct wh_domain_spec *s, uint32_t *domid)
{
    if (s->vcpus == 0 || s->vcpus > FAKE_VCPUS_MAX || (s->hap && !s->hvm) || s->cpupool != 0)
        return wh_fake_refuse(op, f->next_domid, "creation", EINVAL);
    if (f->next_domid > DOMID_LAST || f->heap_next + 2 > f->heap_end)
        return wh_fake_refuse(op, f->next_domid, "creation", ENOMEM);
    struct fake_domain *d = wh_fake_make(f, s);
    snprintf(d->name, sizeof d->name, "made %u", d->domid);
    *domid = d->domid;
    return true;
}

bool wh_fake_destroy(FAKE_OP_D)
{
    struct fake_domain *d = wh_fake_find(f, domid);

    (void)op;
    if (!d)
        return true;
    wh_fake_store_gone(f, d);
    wh_fake_drop(f, d);
    wh_fake_special(f, "@releaseDomain");
    return true;
}

/* ---------------------------------------------------------------------------------- looking */

void wh_fake_uuid(const struct fake_domain *d, char *text)
{
    for (size_t i = 0; i < sizeof d->spec.uuid; i++)
        text += sprintf(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                        d->spec.uuid[i]);
}

static struct wh_domain describe(const struct fake_domain *d)
{
    struct wh_domain i = {
        .domid = d->domid,
        .hvm = d->spec.hvm,
        .hap = d->spec.hap,
        .emulated = d->spec.emulated,
        .shutdown = d->shutdown,
        .paused = d->pause_count > 0,
        .blocked = fake_runs(d),
        .reason = d->shutdown ? d->reason : WH_RUNNING,
        .pages = d->pages,
        .max_pages = d->max_pages,
        .shared_info = d->spec.hvm ? WH_NO_FRAME : d->shared_info,
        .cpu_ns = d->has_run ? 1000000000 : 0,
    };

    memcpy(i.uuid, d->spec.uuid, sizeof i.uuid);
    for (uint32_t v = 0; v < d->vcpus; v++)
        i.vcpus_online += d->vcpu[v].online;
    i.vcpu_last = d->vcpus ? d->vcpus - 1 : 0;
    return i;
}

bool wh_fake_domains(FAKE_OP, uint32_t first, struct wh_domain *out, size_t max, size_t *n)
{
    (void)op;
    *n = 0;
    if (first == 0 && max > 0)
        out[(*n)++] = (struct wh_domain){ .running = true, .reason = WH_RUNNING, .pages = 262144,
                                          .max_pages = 262144, .vcpus_online = 2, .vcpu_last = 1 };
    for (const struct fake_domain *d = f->domains; d && *n < max; d = d->next)
        if (d->domid >= first)
            out[(*n)++] = describe(d);
    return true;
}

struct wh_fake_state wh_fake_state(struct wh_fake *f, uint32_t domid)
{
    FAKE_LOCKED(f);
    const struct fake_domain *d = wh_fake_find(f, domid);

    if (!d)
        return (struct wh_fake_state){ .there = false };
    struct wh_fake_state s = d->counts;
    s.there = true;
    s.running = fake_runs(d);
    s.logdirty = d->logdirty;
    s.pages = d->pages;
    return s;
}

unsigned wh_fake_running(struct wh_fake *f)
{
    FAKE_LOCKED(f);
    unsigned n = 0;

    for (const struct fake_domain *d = f->domains; d; d = d->next)
        n += fake_runs(d);
    return n;
}

uint32_t wh_fake_newest(struct wh_fake *f)
{
    FAKE_LOCKED(f);

    return f->next_domid - 1;
}

/* --------------------------------------------------------------------------- pause, shut down */

bool wh_fake_pause(FAKE_OP_D, bool on)
{
    const char *what = on ? "pausing" : "unpausing";
    struct fake_domain *d = wh_fake_get(op, f, domid, what);

    if (!d)
        return false;
    if (!on && d->pause_count == 0)
        return wh_fake_refuse(op, domid, what, EINVAL);
    if (!on && !d->vcpu[0].set && !d->spec.hvm)
        return wh_fake_refuse(op, domid, what, EINVAL);
    d->pause_count += on ? 1u : -1u;
    d->has_run |= d->pause_count == 0;
    *(on ? &d->counts.pauses : &d->counts.unpauses) += 1;
    return true;
}

/* Xenstored tells of a shutdown once, until it is told that the domain runs again. */
void wh_fake_stop(struct wh_fake *f, struct fake_domain *d, enum wh_shutdown why)
{
    if (d->shutdown)
        return;
    d->shutdown = true;
    d->reason = why;
    d->counts.suspends += why == WH_SUSPEND;
    if (why == WH_SUSPEND && !d->spec.hvm)
        wh_fake_pv_suspended(f, d, true);
    if (d->introduced && !d->told_of_shutdown) {
        d->told_of_shutdown = true;
        wh_fake_special(f, "@releaseDomain");
    }
}

bool wh_fake_shutdown(FAKE_OP_D, enum wh_shutdown why)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "shutdown");

    if (d)
        wh_fake_stop(f, d, why);
    return d;
}

bool wh_fake_resume(FAKE_OP_D)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "resumption");

    if (!d)
        return false;
    if (d->shutdown && d->reason == WH_SUSPEND && !d->spec.hvm)
        wh_fake_pv_suspended(f, d, false);
    d->counts.resumes += d->shutdown;
    d->shutdown = false;
    d->reason = WH_RUNNING;
    return true;
}

/* One that is not deaf powers off: there is no node to empty. */
bool wh_fake_power_button(FAKE_OP_D)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the power button");

    if (!d)
        return false;
    if (!d->spec.hvm)
        return wh_fake_refuse(op, domid, "the power button", EINVAL);
    d->counts.buttons++;
    d->asked = WH_POWEROFF;
    d->answering = d->answer == WH_FAKE_DEAF ? 0 : 1;
    return true;
}

/* ----------------------------------------------------------------------------------- limits */

bool wh_fake_max_vcpus(FAKE_OP_D, uint32_t n)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the number of vcpus");

    if (!d)
        return false;
    if (n != d->spec.vcpus)         /* 4.17 knows the number since creation */
        return wh_fake_refuse(op, domid, "the number of vcpus", EINVAL);
    d->vcpus = n;
    /* An HVM guest's first vcpu needs no context to be up. */
    d->vcpu[0].online = d->spec.hvm;
    return true;
}

bool wh_fake_max_memory(FAKE_OP_D, uint64_t kb)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the memory limit");

    if (d)
        d->max_pages = kb / 4;
    return d;
}

bool wh_fake_memmap_limit(FAKE_OP_D, uint64_t kb)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the memory map's limit");

    if (!d)
        return false;
    if (d->spec.hvm)
        return wh_fake_refuse(op, domid, "the memory map's limit", ENOSYS);
    d->memmap_limit_kb = kb;
    return true;
}

bool wh_fake_paging_pool(FAKE_OP_D, uint64_t bytes)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the paging memory");

    if (d)
        d->paging_bytes = bytes;
    return d;
}

bool wh_fake_time_offset(FAKE_OP_D, int64_t seconds)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "the clock's offset");

    if (d)
        d->time_offset = seconds;
    return d;
}

bool wh_fake_tsc(FAKE_OP_D, bool set, struct wh_tsc *t)
{
    const char *what = set ? "setting the TSC" : "the TSC";
    struct fake_domain *d = wh_fake_get(op, f, domid, what);

    if (!d)
        return false;
    if (set && t->mode > 3)
        return wh_fake_refuse(op, domid, what, EINVAL);
    if (set)
        d->tsc = *t;
    else
        *t = d->tsc;
    return true;
}

uint32_t wh_fake_give_port(struct wh_fake *f, struct fake_domain *d)
{
    (void)f;
    return ++d->ports;
}

bool wh_fake_port(FAKE_OP_D, uint32_t remote, uint32_t *port)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "an event channel");

    if (!d)
        return false;
    if (d->ports >= d->spec.event_channels)
        return wh_fake_refuse(op, domid, "an event channel", ENOSPC);
    if (remote != 0 && !wh_fake_find(f, remote))
        return wh_fake_refuse(op, domid, "an event channel", ESRCH);
    *port = wh_fake_give_port(f, d);
    return true;
}

/* ---------------------------------------------------------------- what guests do by themselves */

void wh_fake_run(struct wh_fake *f, uint32_t domid,
                 void (*run)(struct wh_fake *, uint32_t, void *), void *arg)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d)
        wh_fake_die("no such domain to run");
    d->run = run;
    d->run_arg = arg;
}

void wh_fake_answer(struct wh_fake *f, uint32_t domid, enum wh_fake_answer how)
{
    FAKE_LOCKED(f);
    struct fake_domain *d = wh_fake_find(f, domid);

    if (!d)
        wh_fake_die("no such domain to answer");
    d->answer = how;
}

/* It has emptied the node; now it does what it was asked, or not. */
static void obey(struct wh_fake *f, struct fake_domain *d)
{
    switch (d->answer) {
    case WH_FAKE_SUSPENDS:
    case WH_FAKE_LATE:
        wh_fake_stop(f, d, d->asked);
        break;
    case WH_FAKE_CRASHES:
        wh_fake_stop(f, d, WH_CRASH);
        break;
    case WH_FAKE_POWERS_OFF:
        wh_fake_stop(f, d, WH_POWEROFF);
        break;
    case WH_FAKE_VANISHES:
        wh_fake_destroy(NULL, f, d->domid);
        break;
    case WH_FAKE_DEAF:
    case WH_FAKE_STALLS:
        break;
    }
}

bool wh_fake_acknowledge(struct wh_fake *f, struct fake_domain *d)
{
    char path[64];

    snprintf(path, sizeof path, "/local/domain/%u/control/shutdown", d->domid);
    return wh_fake_store_set(f, d->domid, path, "");
}

/* One step; d may be gone after it. */
static void go(struct wh_fake *f, struct fake_domain *d)
{
    if (d->answering == 2)
        d->answering = d->answer != WH_FAKE_DEAF && d->answer != WH_FAKE_LATE
                           ? wh_fake_acknowledge(f, d) : 2;
    else if (d->answering == 1) {
        d->answering = 0;
        obey(f, d);
        return;
    }
    if (d->run && fake_runs(d))
        d->run(f, d->domid, d->run_arg);
}

void wh_fake_guests_go(struct wh_fake *f)
{
    struct fake_domain *next;

    if (f->busy)
        return;
    f->busy = true;
    for (struct fake_domain *d = f->domains; d; d = next) {
        next = d->next;
        if (fake_runs(d))
            go(f, d);
    }
    f->busy = false;
}
