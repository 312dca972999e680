/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host and its hypervisor are, and the hypervisor's log. */
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/task.h"

static void text(json_object *o, const char *key, const char *value)
{
    json_object_object_add(o, key, wh_json_text(value));
}

static void number(json_object *o, const char *key, uint64_t value)
{
    json_object_object_add(o, key, json_object_new_uint64(value));
}

static void machine(json_object *o, const struct wh_host *h)
{
    struct utsname u = { 0 };
    char caps[80];

    uname(&u);
    text(o, "host", u.nodename);
    text(o, "release", u.release);
    text(o, "version", u.version);
    text(o, "machine", u.machine);
    number(o, "nr_cpus", h->cpus);
    number(o, "max_cpu_id", h->max_cpu_id);
    number(o, "nr_nodes", h->nodes);
    number(o, "cores_per_socket", h->cores);
    number(o, "threads_per_core", h->threads_per_core);
    number(o, "cpu_khz", h->cpu_khz);
    snprintf(caps, sizeof caps, "%08x:%08x:%08x:%08x:%08x:%08x:%08x:%08x", h->hw_cap[0],
             h->hw_cap[1], h->hw_cap[2], h->hw_cap[3], h->hw_cap[4], h->hw_cap[5], h->hw_cap[6],
             h->hw_cap[7]);
    text(o, "hw_caps", caps);
}

static void can(json_object *o, const struct wh_host *h)
{
    char caps[80];

    snprintf(caps, sizeof caps, "%s%s%s%s%s%s", h->pv ? " pv" : "", h->hvm ? " hvm" : "",
             h->hvm && h->directio ? " hvm_directio" : "",
             h->pv && h->directio ? " pv_directio" : "",
             h->hap ? " hap" : "", h->shadow ? " shadow" : "");
    text(o, "virt_caps", *caps ? caps + 1 : caps);
}

static void memory(json_object *o, const struct wh_host *h)
{
    uint64_t a_mib = h->page_size ? (1 << 20) / h->page_size : 256;

    number(o, "total_memory", h->total_pages / a_mib);
    number(o, "free_memory", (h->free_pages - h->outstanding_pages) / a_mib);
    number(o, "sharing_freed_memory", h->sharing_freed / a_mib);
    number(o, "sharing_used_memory", h->sharing_used / a_mib);
    number(o, "outstanding_claims", h->outstanding_pages / a_mib);
}

static void hypervisor(json_object *o, const struct wh_host *h)
{
    char version[sizeof h->extra + 24], virt[40];

    snprintf(version, sizeof version, "%u.%u%s", h->major, h->minor, h->extra);
    snprintf(virt, sizeof virt, "virt_start=0x%llx", (unsigned long long)h->virt_start);
    number(o, "xen_major", h->major);
    number(o, "xen_minor", h->minor);
    text(o, "xen_extra", h->extra);
    text(o, "xen_version", version);
    text(o, "xen_caps", h->capabilities);
    text(o, "xen_scheduler", h->scheduler);
    number(o, "xen_pagesize", h->page_size);
    text(o, "platform_params", virt);
    text(o, "xen_changeset", h->changeset);
    text(o, "xen_commandline", h->command_line);
    text(o, "cc_compiler", h->compiler);
    text(o, "cc_compile_by", h->compile_by);
    text(o, "cc_compile_date", h->compile_date);
    number(o, "xend_config_format", 4);         /* said since xend's days; tools look at it */
}

static bool describe(struct wh_op *op, struct wh_task *t)
{
    struct wh_host h;

    wh_step(op, "look at the host", WH_STORE_MS);
    if (!wh_xen_host(op, t->here->xen, &h))
        return false;
    t->result = json_object_new_object();
    machine(t->result, &h);
    can(t->result, &h);
    memory(t->result, &h);
    hypervisor(t->result, &h);
    return true;
}

struct wh_job *wh_host_new(void)
{
    struct wh_task *t = wh_task_make(sizeof *t, NULL, describe);

    return t ? &t->job : NULL;
}

/* --------------------------------------------------------------------------------- log */

struct dmesg {
    struct wh_task task;
    bool clear;
};

static bool dmesg(struct wh_op *op, struct wh_task *t)
{
    wh_auto_free char *log = NULL;

    wh_step(op, "read the hypervisor's log", WH_STORE_MS);
    if (!wh_xen_dmesg(op, t->here->xen, ((struct dmesg *)t)->clear, &log))
        return false;
    t->result = json_object_new_object();
    text(t->result, "log", log);
    return true;
}

struct wh_job *wh_dmesg_new(bool clear)
{
    struct dmesg *d = wh_task_make(sizeof *d, NULL, dmesg);

    if (!d)
        return NULL;
    d->clear = clear;
    return &d->task.job;
}
