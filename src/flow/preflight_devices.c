/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preflight: what a guest's devices need of the target.  Paths and names are the peer's: they are
 * looked at, no more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"
#include "dm/program.h"
#include "dm/user.h"
#include "flow/domain.h"
#include "flow/emulator.h"
#include "flow/look.h"
#include "flow/preflight_parts.h"
#include "xen/device.h"

#define DEVICES_MS 30000            /* for all of one kind */
#define NET "/sys/class/net"
#define BRIDGE_MOST 15              /* bytes of an interface's name */

/* A domain that serves devices goes by its name: numbers are each host's own. */
static bool check_backend(struct wh_op *op, struct wh_preflight *p, const char *what,
                          const char *name, uint32_t domid, bool *here, struct wh_wrongs *w)
{
    char why[WH_CHECK_TEXT];
    uint32_t its;

    *here = !name && domid == 0;
    if (!name && domid != 0)
        wh_wrongs_add(w, "%s is served by domain %u, and numbers are each host's own", what, domid);
    if (!name)
        return true;
    if (wh_domain_find(op, p->h, name, &its)) {
        *here = its == 0;
        return true;
    }
    if (!wh_check_is_outcome(op, why))
        return false;
    wh_wrongs_add(w, "%s: %s to serve it", what, why);
    return true;
}

static bool check_script(struct wh_op *op, struct wh_preflight *p, const char *what,
                         const char *script, struct wh_wrongs *w)
{
    char path[PATH_MAX], why[WH_CHECK_TEXT];

    if (wh_hotplug_path(op, p->h, script, false, path))
        return true;
    if (!wh_check_is_outcome(op, why))
        return false;
    wh_wrongs_add(w, "%s: %s", what, why);
    return true;
}

/* ------------------------------------------------------------------------------- disks */

bool wh_check_plain_disk(const struct wh_disk *d)
{
    return d->pdev_path && !d->script && !d->backend_domname && d->backend_domid == 0 &&
           (d->format == WH_FORMAT_RAW || d->format == WH_FORMAT_UNKNOWN);
}

/* 0: the source does not say. */
static uint64_t size_there(json_object *facts, const char *vdev)
{
    json_object *all = NULL;

    if (!json_object_is_type(facts, json_type_object) ||
        !json_object_object_get_ex(facts, "disks", &all) ||
        !json_object_is_type(all, json_type_array))
        return 0;
    for (size_t i = 0; i < json_object_array_length(all) && i < WH_CONFIG_DISKS; i++) {
        json_object *one = json_object_array_get_idx(all, i);

        if (strcmp(wh_json_string(one, "vdev", ""), vdev) == 0)
            return wh_json_number(one, "bytes", 0);
    }
    return 0;
}

static void judge(struct wh_preflight *p, const struct wh_disk *d, const struct wh_look *l,
                  struct wh_wrongs *w)
{
    uint64_t bytes = wh_check_plain_disk(d) ? size_there(p->facts, d->vdev) : 0;
    const char *path = d->pdev_path;

    if (l->sys == ETIMEDOUT)
        wh_wrongs_add(w, "%s: %s does not answer", d->vdev, path);
    else if (l->sys)
        wh_wrongs_add(w, "%s: %s: %s", d->vdev, path, strerror(l->sys));
    else if (!S_ISBLK(l->mode) && !S_ISREG(l->mode))
        wh_wrongs_add(w, "%s: %s is no file or block device", d->vdev, path);
    else if (d->readwrite && !l->writable)
        wh_wrongs_add(w, "%s: %s cannot be written", d->vdev, path);
    else if (bytes && bytes != l->bytes)
        wh_wrongs_add(w, "%s: %s has %llu bytes, %llu on the source", d->vdev, path,
                      (unsigned long long)l->bytes, (unsigned long long)bytes);
}

static bool check_disk(struct wh_op *op, struct wh_preflight *p, const struct wh_disk *d,
                       struct wh_wrongs *w)
{
    struct wh_look l;
    bool here;

    if (!check_backend(op, p, d->vdev, d->backend_domname, d->backend_domid, &here, w))
        return false;
    if (!d->pdev_path || !here)
        return true;
    if (d->script)                  /* the path is the script's to make something of */
        return check_script(op, p, d->vdev, d->script, w);
    if (d->pdev_path[0] != '/') {
        wh_wrongs_add(w, "%s: %s is no absolute path", d->vdev, d->pdev_path);
        return true;
    }
    if (!wh_look(op, d->pdev_path, WH_LOOK_MS, &l))
        return false;
    judge(p, d, &l, w);
    return true;
}

static void conclude(struct wh_preflight *p, const char *name, const struct wh_wrongs *w, size_t n,
                     const char *what)
{
    if (*w->text)
        wh_wrongs_check(p->checks, name, "on the target", w);
    else if (n == 0)
        wh_check_add(p->checks, name, true, "the guest has none");
    else
        wh_check_add(p->checks, name, true, "%zu %s%s, all that %s on the target is there", n, what,
                     n == 1 ? "" : "s", n == 1 ? "it needs" : "they need");
}

bool wh_preflight_disks(struct wh_op *op, struct wh_preflight *p)
{
    struct wh_wrongs w = { .more = 0 };

    wh_step(op, "look for the guest's disks", DEVICES_MS);
    for (size_t i = 0; i < p->config.ndisks; i++) {
        if (!check_disk(op, p, &p->config.disks[i], &w))
            return false;
    }
    conclude(p, "disks", &w, p->config.ndisks, "disk");
    return true;
}

/* ----------------------------------------------------------------------------- network */

static bool is_bridge(const struct wh_preflight *p, const char *name)
{
    char path[PATH_MAX];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s/bridge", p->h->net ? p->h->net : NET, name);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Other scripts have their own ideas of what "bridge" names. */
static bool needs_bridge(const struct wh_nic *nic)
{
    const char *slash = strrchr(nic->script, '/');

    return strcmp(slash ? slash + 1 : nic->script, "vif-bridge") == 0;
}

static bool check_nic(struct wh_op *op, struct wh_preflight *p, const struct wh_nic *nic,
                      struct wh_wrongs *w)
{
    char what[24];
    bool here;

    snprintf(what, sizeof what, "interface %d", nic->devid);
    if (!check_backend(op, p, what, nic->backend_domname, nic->backend_domid, &here, w))
        return false;
    if (!here)
        return true;
    if (!check_script(op, p, what, nic->script, w))
        return false;
    if (!needs_bridge(nic))
        return true;
    const char *name = nic->bridge;
    if (!*name || strlen(name) > BRIDGE_MOST || strchr(name, '/') || name[0] == '.')
        wh_wrongs_add(w, "%s: '%s' is no name of a bridge", what, name);
    else if (!is_bridge(p, name))
        wh_wrongs_add(w, "%s: there is no bridge %s", what, name);
    return true;
}

bool wh_preflight_network(struct wh_op *op, struct wh_preflight *p)
{
    struct wh_wrongs w = { .more = 0 };

    wh_step(op, "look for the guest's networks", DEVICES_MS);
    for (size_t i = 0; i < p->config.nnics; i++) {
        if (!check_nic(op, p, &p->config.nics[i], &w))
            return false;
    }
    conclude(p, "network", &w, p->config.nnics, "interface");
    return true;
}

/* ------------------------------------------------------------------------ device model */

static bool needs_qemu(const struct wh_config *c)
{
    bool needs = c->type == WH_TYPE_HVM;

    for (size_t i = 0; i < c->ndisks; i++) {
        const struct wh_disk *d = &c->disks[i];

        needs |= d->backend == WH_DISK_QDISK || (!d->pdev_path && d->backend == WH_DISK_UNKNOWN) ||
                 (d->format != WH_FORMAT_RAW && d->format != WH_FORMAT_UNKNOWN &&
                  d->format != WH_FORMAT_EMPTY);
    }
    return needs;
}

/* Users of a range are numbered from it: that of domain 1 is as likely free as another's. */
static bool ask_model(struct wh_op *op, struct wh_preflight *p)
{
    const struct wh_config *c = &p->config;
    struct wh_qemu_user user;

    return wh_emulator_check(op, p->h, c) &&
           (c->type != WH_TYPE_HVM || c->dm_restrict != WH_YES ||
            wh_qemu_user(op, 1, c->device_model_user, &user));
}

bool wh_preflight_model(struct wh_op *op, struct wh_preflight *p)
{
    const struct wh_config *c = &p->config;
    char why[WH_CHECK_TEXT];

    if (!needs_qemu(c)) {
        wh_check_add(p->checks, "devicemodel", true, "the guest needs none");
        return true;
    }
    if (!wh_qemu_program(p->h)) {
        wh_check_add(p->checks, "devicemodel", false, "there is no QEMU for Xen on the target");
        return true;
    }
    wh_step(op, "ask for the device model", DEVICES_MS);
    if (!ask_model(op, p)) {
        if (op->err.kind == WH_TIMEOUT)             /* nobody but QEMU was waited for */
            op->err.kind = WH_PEER;
        if (!wh_check_is_outcome(op, why))
            return false;
        wh_check_add(p->checks, "devicemodel", false, "on the target: %s", why);
        return true;
    }
    if (c->type == WH_TYPE_HVM && c->machine)
        wh_check_add(p->checks, "devicemodel", true, "the target's QEMU has the machine %s",
                     c->machine);
    else
        wh_check_add(p->checks, "devicemodel", true, "QEMU is there on the target");
    return true;
}
