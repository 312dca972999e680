/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's device: three folders of nodes in xenstore, a backend that serves it, and a script
 * that connects it to the host.
 *
 *     /libxl/DOMID/device/KIND/ID                  ours: where the other two are, what was asked
 *     /local/domain/DOMID/device/KIND/ID           the frontend's
 *     /local/domain/BACKEND/backend/KIND/DOMID/ID  the backend's
 *
 * vbd.c and vif.c say which nodes a disk and a network interface have. */
#ifndef WH_XEN_DEVICE_H
#define WH_XEN_DEVICE_H

#include "xen/here.h"
#include "xen/nodes.h"

#define WH_KIND_MAX 16

/* What xenbus calls them. */
enum wh_bus_state { WH_BUS_UNKNOWN, WH_BUS_INITIALISING, WH_BUS_INIT_WAIT, WH_BUS_INITIALISED,
                    WH_BUS_CONNECTED, WH_BUS_CLOSING, WH_BUS_CLOSED };

struct wh_device {
    char kind[WH_KIND_MAX];             /* of the frontend: "vbd" */
    char backend_kind[WH_KIND_MAX];     /* "vbd", "qdisk" */
    uint32_t domid, id, backend;        /* backend: the domain that serves it */
};

struct wh_vbd_spec {
    uint32_t domid, backend, number;    /* number: 51712 is xvda */
    const char *vdev, *path, *script;   /* script: an absolute path; path NULL: an empty drive */
    const char *params_type;            /* qdisk: "aio", "qcow2" ... */
    const char *abi;                    /* the frontend's: "x86_64-abi"; NULL: not told */
    bool qdisk, readwrite, cdrom, removable, direct_io_safe, trusted, discard;
};

struct wh_vif_spec {
    uint32_t domid, backend, id;
    const char *mac, *bridge, *ip, *ifname, *gateway, *script;
    uint64_t rate_bytes;                /* 0: no limit */
    uint32_t rate_usecs;
    int mtu;                            /* 0: not told */
    bool trusted;
    bool emulated;                      /* QEMU has a card for it too, on a tap of its own */
};

struct wh_console_spec {
    uint32_t domid, backend;
    uint32_t port;
    uint64_t frame;
};

/* Nodes of a device, collected.  back: in the backend's folder and in ours. */
void wh_device_begin(struct wh_nodes *l, const struct wh_device *d);
void wh_device_front(struct wh_nodes *l, const struct wh_device *d, const char *key,
                     const char *value);
void wh_device_front_number(struct wh_nodes *l, const struct wh_device *d, const char *key,
                            uint64_t value);
/* One that the guest may only read. */
void wh_device_told(struct wh_nodes *l, const struct wh_device *d, const char *key,
                    const char *value);
void wh_device_back(struct wh_nodes *l, const struct wh_device *d, const char *key,
                    const char *value);
void wh_device_back_number(struct wh_nodes *l, const struct wh_device *d, const char *key,
                           uint64_t value);

struct wh_device wh_vbd_nodes(struct wh_nodes *l, const struct wh_vbd_spec *s);
struct wh_device wh_vif_nodes(struct wh_nodes *l, const struct wh_vif_spec *s);
struct wh_device wh_vkbd_nodes(struct wh_nodes *l, uint32_t domid);
struct wh_device wh_console_nodes(struct wh_nodes *l, const struct wh_console_spec *s);

/* Wait until the backend is in that state, within what the step has.  Waiting for CLOSED it may
 * also be gone. */
bool wh_device_wait(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                    enum wh_bus_state want);

/* Written, waited for, its script run: it is ready for the guest's frontend. */
bool wh_device_attach(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                      const struct wh_nodes *l);

/* All that a domain has, malloc'd. */
bool wh_device_list(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_device **list,
                    size_t *n);

/* Take devices away from a domain that no longer runs: backends are asked to close and waited for,
 * those that do not close in time are given up; scripts are run, nodes removed. */
bool wh_device_detach_all(struct wh_op *op, struct wh_here *h, const struct wh_device *list,
                          size_t n);

/* The folder of a device's nodes. */
enum wh_side { WH_FRONT, WH_BACK, WH_OURS };
const char *wh_device_path(const struct wh_device *d, enum wh_side side, char path[256]);

/* hotplug.c: "add" or "online" before use, "remove" or "offline" after.  A device without a script
 * is ready. */
bool wh_hotplug_connect(struct wh_op *op, struct wh_here *h, const struct wh_device *d);
/* QEMU's side of an emulated card, once QEMU runs. */
bool wh_hotplug_connect_tap(struct wh_op *op, struct wh_here *h, const struct wh_device *d);
bool wh_hotplug_disconnect(struct wh_op *op, struct wh_here *h, const struct wh_device *d);

/* Where the script of that name is.  A name alone is one of the host's scripts; a path is taken of
 * a configuration by the host's owner, and else has to lead into the same folder. */
bool wh_hotplug_path(struct wh_op *op, const struct wh_here *h, const char *name, bool owner,
                     char path[PATH_MAX]);

#endif
