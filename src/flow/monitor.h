/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor: one process a domain, which does what the configuration wants done when the guest
 * powers off, reboots or crashes. */
#ifndef WH_FLOW_MONITOR_H
#define WH_FLOW_MONITOR_H

#include "base/job.h"
#include "xen/here.h"

/* Start "wherry monitor DOMID" as nobody's child; it logs to /var/log/xen/wherry-NAME.log.  It
 * ends by itself when the domain is gone. */
bool wh_monitor_start(struct wh_op *op, struct wh_here *h, uint32_t domid);

/* Whether one is at work. */
bool wh_monitor_watches(const struct wh_here *h, uint32_t domid);

struct wh_monitor {
    const char *domain;         /* its number */
    unsigned quick;             /* restarts in a row of a guest that lived but seconds */
    void (*say)(const char *line);
};

/* What that process runs.  wh_job_json: {"next": DOMID, "quick": N} when the guest was started
 * again and is to be monitored, {} when there is nothing more to do.  how is copied. */
struct wh_job *wh_monitor_new(const struct wh_monitor *how);

#endif
