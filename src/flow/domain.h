/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What create and restore share: a domain is made, filled, finished; and the way back.
 *
 *     wh_domain_make      domain, xenstore skeleton, vcpus, limits, ports   (undo: destroy it)
 *     wh_domain_prepare   what can be connected before there is memory; need not be called
 *       then its memory:  wh_domain_build (fresh), or wh_receive_image (restore)
 *     wh_domain_finish    build nodes, introduce, devices, console, stored configuration
 *
 * It stays paused until the caller unpauses it.  wh_domain_destroy takes all of it away again,
 * in any state, of a domain that xl made as well. */
#ifndef WH_FLOW_DOMAIN_H
#define WH_FLOW_DOMAIN_H

#include "config/config.h"
#include "dm/qemu.h"
#include "xen/here.h"

struct wh_made {
    uint32_t domid;
    uint32_t store_domid, console_domid;    /* who serves xenstore and the console */
    uint32_t store_port, console_port;
    uint64_t store_frame, console_frame;    /* HVM: gfn; PV: mfn.  Of the build or the stream */
    bool restoring;                         /* its configuration came with an image */
    bool moves;                             /* of another host, whose its disks are until it is let run */
    bool prepared;                          /* wh_domain_prepare has done its part */
    uint64_t early_disks;                   /* of them: a bit each, from the first */
    struct wh_leftover *record;             /* made as soon as there is a domain; NULL: none */
    struct wh_qemu_begun qemu;              /* HVM: until it is ready */
    /* HVM, restored: what QEMU goes on from, and the machine it was; lent. */
    const uint8_t *emulator;
    size_t emulator_bytes;
    const char *physmap;                    /* its nodes in xenstore, as pairs of strings */
    size_t physmap_bytes;
};

bool wh_domain_make(struct wh_op *op, struct wh_here *h, const struct wh_config *c, bool restoring,
                    struct wh_made *m);
bool wh_domain_build(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                     struct wh_made *m);
bool wh_domain_prepare(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                       struct wh_made *m);
bool wh_domain_finish(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                      struct wh_made *m);
bool wh_domain_destroy(struct wh_op *op, struct wh_here *h, uint32_t domid);

/* The same, but where the domain, its nodes and its files are gone what else went wrong (a device's
 * script) is no failure: *beside says it, or is WH_OK. */
bool wh_domain_take_away(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_err *beside);
/* Nodes and files of a domain that is gone: unless others have its number or its uuid by now. */
bool wh_domain_clear(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *uuid);

/* The domain of that name or number.  Fails with WH_USAGE where there is none. */
bool wh_domain_find(struct wh_op *op, struct wh_here *h, const char *who, uint32_t *domid);

/* The configuration stored for a domain, by us or by libxl, as JSON text overlaid with what it is
 * now: name, uuid, vcpus online, memory, scheduler, and its QEMU's kind of machine (NULL: not known).
 * malloc'd. */
bool wh_domain_config(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *machine,
                      char **json);

#endif
