/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's devices: their nodes, their backends, the end of them. */
#include "xen/device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READY_MS 10000          /* libxl's: for a backend to come up, and to close */
#define CLOSE_MS 10000
#define DEVICES_MAX 4096
#define TOKEN "wherry-device"

/* The first console stands apart: its folder is the backend's, the guest only reads it. */
static bool is_console0(const struct wh_device *d)
{
    return strcmp(d->kind, "console") == 0 && d->id == 0;
}

const char *wh_device_path(const struct wh_device *d, enum wh_side side, char path[256])
{
    if (side == WH_BACK)
        snprintf(path, 256, "/local/domain/%u/backend/%s/%u/%u", d->backend, d->backend_kind,
                 d->domid, d->id);
    else if (side == WH_OURS)
        snprintf(path, 256, "/libxl/%u/device/%s/%u", d->domid, d->kind, d->id);
    else if (is_console0(d))
        snprintf(path, 256, "/local/domain/%u/console", d->domid);
    else
        snprintf(path, 256, "/local/domain/%u/device/%s/%u", d->domid, d->kind, d->id);
    return path;
}

/* ---------------------------------------------------------------------------- collecting */

void wh_device_begin(struct wh_nodes *l, const struct wh_device *d)
{
    char front[256], back[256], ours[256];

    wh_device_path(d, WH_FRONT, front);
    wh_device_path(d, WH_BACK, back);
    wh_device_path(d, WH_OURS, ours);
    wh_nodes_as(l, 0, WH_NOBODY);
    wh_nodes_add(l, NULL, "%s", ours);
    wh_nodes_add(l, front, "%s/frontend", ours);
    wh_nodes_add(l, back, "%s/backend", ours);
    if (is_console0(d))
        wh_nodes_as(l, d->backend, d->domid);
    else
        wh_nodes_as(l, d->domid, d->backend);
    wh_nodes_add(l, NULL, "%s", front);
    wh_nodes_add(l, back, "%s/backend", front);
    wh_nodes_as(l, d->backend, d->domid);
    wh_nodes_add(l, NULL, "%s", back);
    wh_nodes_add(l, front, "%s/frontend", back);
}

void wh_device_front(struct wh_nodes *l, const struct wh_device *d, const char *key,
                     const char *value)
{
    char path[256];

    wh_nodes_as(l, d->domid, d->backend);
    wh_nodes_add(l, value, "%s/%s", wh_device_path(d, WH_FRONT, path), key);
}

void wh_device_told(struct wh_nodes *l, const struct wh_device *d, const char *key,
                    const char *value)
{
    char path[256];

    wh_nodes_as(l, d->backend, d->domid);
    wh_nodes_add(l, value, "%s/%s", wh_device_path(d, WH_FRONT, path), key);
}

void wh_device_back(struct wh_nodes *l, const struct wh_device *d, const char *key,
                    const char *value)
{
    char path[256];

    wh_nodes_as(l, 0, WH_NOBODY);
    wh_nodes_add(l, value, "%s/%s", wh_device_path(d, WH_OURS, path), key);
    wh_nodes_as(l, d->backend, d->domid);
    wh_nodes_add(l, value, "%s/%s", wh_device_path(d, WH_BACK, path), key);
}

static const char *decimal(uint64_t value, char text[24])
{
    snprintf(text, 24, "%llu", (unsigned long long)value);
    return text;
}

void wh_device_front_number(struct wh_nodes *l, const struct wh_device *d, const char *key,
                            uint64_t value)
{
    char text[24];

    wh_device_front(l, d, key, decimal(value, text));
}

void wh_device_back_number(struct wh_nodes *l, const struct wh_device *d, const char *key,
                           uint64_t value)
{
    char text[24];

    wh_device_back(l, d, key, decimal(value, text));
}

/* ------------------------------------------------------------------------------- waiting */

static bool reached(struct wh_op *op, struct wh_here *h, const char *back, enum wh_bus_state want,
                    bool *yes)
{
    wh_auto_free char *state = NULL;

    if (!wh_store_read(op, h->store, 0, &state, "%s/state", back))
        return false;
    *yes = state ? atoi(state) == (int)want : want == WH_BUS_CLOSED;
    return true;
}

bool wh_device_wait(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                    enum wh_bus_state want)
{
    struct wh_store_event event;
    char back[256];
    bool yes = false, ok;

    wh_device_path(d, WH_BACK, back);
    if (!wh_store_watch(op, h->store, TOKEN, "%s/state", back))
        return false;
    do
        ok = wh_store_event(op, h->store, &event) && reached(op, h, back, want, &yes);
    while (ok && !yes);
    struct wh_err why = op->err;
    ok = wh_store_unwatch(op, h->store, TOKEN, "%s/state", back) && ok;
    if (why.kind != WH_OK)
        op->err = why;
    return ok || wh_while(&op->err, "the backend %s", back);
}

/* QEMU's devices are ready when it is, which is not yet started. */
static bool kernel_serves(const struct wh_device *d)
{
    static const char *const kinds[] = { "vbd", "vif", "pci", "vusb", "vtpm", "pvcalls" };

    for (size_t i = 0; i < WH_COUNT(kinds); i++) {
        if (strcmp(d->backend_kind, kinds[i]) == 0)
            return true;
    }
    return false;
}

bool wh_device_attach(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                      const struct wh_nodes *l)
{
    if (!wh_nodes_write(op, h->store, l, NULL, NULL))
        return false;
    if (!kernel_serves(d))
        return true;
    wh_step(op, "wait for a device's backend", READY_MS);
    return wh_device_wait(op, h, d, WH_BUS_INIT_WAIT) && wh_hotplug_connect(op, h, d);
}

/* ------------------------------------------------------------------------------- looking */

/* The backend's path is ours alone to write, by us or by libxl. */
static bool parse_backend(const char *path, struct wh_device *d)
{
    unsigned domid, id;
    int end = 0;

    return sscanf(path, "/local/domain/%u/backend/%15[^/]/%u/%u%n", &d->backend, d->backend_kind,
                  &domid, &id, &end) == 4 && path[end] == '\0' && domid == d->domid && id == d->id;
}

static bool add_device(struct wh_op *op, struct wh_here *h, struct wh_device d, const char *kind,
                       const char *id, struct wh_device **list, size_t *n)
{
    wh_auto_free char *back = NULL;
    char *end;

    d.id = (uint32_t)strtoul(id, &end, 10);
    if (*end || strlen(kind) >= sizeof d.kind || *n >= DEVICES_MAX)
        return true;
    strcpy(d.kind, kind);
    if (!wh_store_read(op, h->store, 0, &back, "/libxl/%u/device/%s/%s/backend", d.domid, kind, id))
        return false;
    if (!back || !parse_backend(back, &d))
        return true;
    struct wh_device *more = realloc(*list, (*n + 1) * sizeof *more);
    if (!more)
        return wh_fail_sys(&op->err, ENOMEM, "list the devices");
    *list = more;
    more[(*n)++] = d;
    return true;
}

static bool add_kind(struct wh_op *op, struct wh_here *h, struct wh_device d, const char *kind,
                     struct wh_device **list, size_t *n)
{
    wh_auto_free char **ids = NULL;
    size_t count;

    if (!wh_store_list(op, h->store, 0, &ids, &count, "/libxl/%u/device/%s", d.domid, kind))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!add_device(op, h, d, kind, ids[i], list, n))
            return false;
    }
    return true;
}

bool wh_device_list(struct wh_op *op, struct wh_here *h, uint32_t domid, struct wh_device **list,
                    size_t *n)
{
    wh_auto_free char **kinds = NULL;
    struct wh_device d = { .domid = domid };
    size_t count;

    *list = NULL;
    *n = 0;
    bool ok = wh_store_list(op, h->store, 0, &kinds, &count, "/libxl/%u/device", domid);
    for (size_t i = 0; ok && i < count; i++)
        ok = add_kind(op, h, d, kinds[i], list, n);
    if (!ok) {
        free(*list);
        *list = NULL;
        *n = 0;
    }
    return ok;
}

/* -------------------------------------------------------------------------------- ending */

/* The frontend's folder goes first: a guest that no longer runs would never answer, and a backend
 * whose frontend is gone closes by itself. */
static bool ask_to_close(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    char front[256], back[256];
    wh_auto_free char *state = NULL;

    wh_device_path(d, WH_FRONT, front);
    wh_device_path(d, WH_BACK, back);
    if (!wh_store_read(op, h->store, 0, &state, "%s/state", back))
        return false;
    if (state && atoi(state) != WH_BUS_CLOSED &&
        (!wh_store_write(op, h->store, 0, "0", "%s/online", back) ||
         !wh_store_write(op, h->store, 0, "5", "%s/state", back)))
        return false;
    return wh_store_remove(op, h->store, 0, "%s", front);
}

/* A backend that does not close cannot be helped: it is left to the kernel. */
static bool await_close(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    struct wh_err before = op->err;

    if (wh_device_wait(op, h, d, WH_BUS_CLOSED) || op->err.kind != WH_TIMEOUT)
        return op->err.kind == WH_OK;
    op->err = before;
    return true;
}

/* The folder that holds nothing but this device goes too, up to "backend".  All is read before
 * anything is changed. */
static bool find_emptied(struct wh_op *op, struct wh_here *h, uint32_t tx, char path[256])
{
    for (int depth = 0; depth < 3; depth++) {
        wh_auto_free char **names = NULL;
        char parent[256];
        size_t n;

        snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
        if (!wh_store_list(op, h->store, tx, &names, &n, "%s", parent))
            return false;
        if (n > 1 || (n == 1 && strcmp(names[0], strrchr(path, '/') + 1) != 0))
            break;
        strcpy(path, parent);
    }
    return true;
}

static bool remove_in(struct wh_op *op, struct wh_here *h, uint32_t tx, const struct wh_device *d)
{
    char front[256], back[256], ours[256];

    wh_device_path(d, WH_FRONT, front);
    wh_device_path(d, WH_OURS, ours);
    wh_device_path(d, WH_BACK, back);
    return find_emptied(op, h, tx, back) && wh_store_remove(op, h->store, tx, "%s", front) &&
           wh_store_remove(op, h->store, tx, "%s", ours) &&
           wh_store_remove(op, h->store, tx, "%s", back);
}

/* In a transaction: somebody may be making another device in a folder that is empty now. */
static bool remove_nodes(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    bool again = true;
    uint32_t tx;

    while (again) {
        if (!wh_store_begin(op, h->store, &tx))
            return false;
        if (!remove_in(op, h, tx, d)) {
            wh_store_abort(op, h->store, tx);
            return false;
        }
        if (!wh_store_commit(op, h->store, tx, &again))
            return false;
    }
    return true;
}

/* Each step is done of all devices before the next: they close at the same time.  What fails of
 * one does not keep the others. */
bool wh_device_detach_all(struct wh_op *op, struct wh_here *h, const struct wh_device *list,
                          size_t n)
{
    bool ok = true;

    wh_step(op, "close the devices", CLOSE_MS);
    for (size_t i = 0; i < n; i++)
        ok &= ask_to_close(op, h, &list[i]);
    for (size_t i = 0; i < n; i++) {
        if (kernel_serves(&list[i]))
            ok &= await_close(op, h, &list[i]);
    }
    for (size_t i = 0; i < n; i++) {
        if (kernel_serves(&list[i]))
            ok &= wh_hotplug_disconnect(op, h, &list[i]);
    }
    wh_step(op, "remove the devices' nodes", CLOSE_MS);
    for (size_t i = 0; i < n; i++)
        ok &= remove_nodes(op, h, &list[i]);
    return ok;
}
