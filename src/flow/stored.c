/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads /var/lib/xen/userdata-d.DOMID.UUID.libxl-json.
 *
 * The file is root's and we take no other: who could write it could choose the guest's disks. */
#include "flow/stored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/own.h"
#include "config/config.h"
#include "flow/domain.h"
#include "flow/find.h"

#define HVM_FUDGE_KIB 1024

static bool check(struct wh_op *op, const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return wh_fail(&op->err, WH_SYSTEM, "%s: expected a regular file", path);
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return wh_fail(&op->err, WH_SYSTEM, "%s: expected a file of root's, found one of user %u",
                       path, st->st_uid);
    if (st->st_mode & (S_IWGRP | S_IWOTH))
        return wh_fail(&op->err, WH_SYSTEM, "%s: expected mode 0600, others may write it (%04o)",
                       path, st->st_mode & 07777);
    if (st->st_size > WH_CONFIG_JSON)
        return wh_fail(&op->err, WH_SYSTEM, "%s: expected at most %u bytes, found %lld", path,
                       WH_CONFIG_JSON, (long long)st->st_size);
    return true;
}

static bool read_whole(struct wh_op *op, int fd, const char *path, size_t size, char **text,
                       size_t *n)
{
    wh_auto_free char *all = malloc(size + 1);
    size_t had = 0;
    ssize_t got;

    if (!all)
        return wh_fail(&op->err, WH_SYSTEM, "no memory for %zu bytes", size);
    do {
        got = pread(fd, all + had, size - had, (off_t)had);
        if (got < 0 && errno != EINTR)
            return wh_fail_sys(&op->err, errno, "read %s", path);
        had += got > 0 ? (size_t)got : 0;
    } while (got != 0 && had < size);
    all[had] = '\0';
    *text = wh_take_ptr(&all);
    *n = had;
    return true;
}

bool wh_stored_read(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, char **text,
                    size_t *n)
{
    char path[PATH_MAX], uuid[WH_UUID_TEXT];
    struct stat st;

    *text = NULL;
    snprintf(path, sizeof path, "%s/userdata-d.%u.%s.libxl-json", h->lib, d->domid,
             wh_find_uuid(d, uuid));
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT)
        return true;
    if (fd < 0 || fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    return check(op, path, &st) && read_whole(op, fd, path, (size_t)st.st_size, text, n);
}

/* ----------------------------------------------------------------------- what it is now */

/* vCPUs that the toolstack has switched on.  The nodes are its own, the guest only reads them. */
static bool online(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                   struct wh_bits *bits, bool *known)
{
    *known = false;
    for (uint32_t i = 0; i < wh_find_vcpus(d); i++) {
        wh_auto_free char *word = NULL;

        if (!wh_store_read(op, h->store, 0, &word, "/local/domain/%u/cpu/%u/availability",
                           d->domid, i))
            return false;
        *known |= word != NULL;
        if (word && strcmp(word, "online") == 0 && !wh_bits_add(bits, i))
            return wh_fail(&op->err, WH_SYSTEM, "no memory for a set of vcpus");
    }
    return true;
}

/* The node leaves out what the guest has as video memory, and an HVM guest's 1 MiB if it was
 * started with less than its maximum. */
static bool memory(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                   struct wh_config_now *now)
{
    uint64_t video;

    if (!wh_store_read_number(op, h->store, 0, &now->target_memkb, WH_UNSET_MEMKB,
                              "/local/domain/%u/memory/target", d->domid) ||
        !wh_store_read_number(op, h->store, 0, &now->max_memkb, WH_UNSET_MEMKB,
                              "/local/domain/%u/memory/static-max", d->domid) ||
        !wh_store_read_number(op, h->store, 0, &video, 0, "/local/domain/%u/memory/videoram",
                              d->domid))
        return false;
    if (now->target_memkb == WH_UNSET_MEMKB || video > WH_CONFIG_MEMKB)
        return true;
    now->target_memkb += video + (d->emulated ? HVM_FUDGE_KIB : 0);
    if (now->max_memkb != WH_UNSET_MEMKB && now->target_memkb > now->max_memkb)
        now->target_memkb = now->max_memkb;
    return true;
}

static bool scheduler(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                      struct wh_config_now *now)
{
    struct wh_sched s;

    if (!wh_xen_get_sched(op, h->xen, d->domid, &s))
        return false;
    now->sched = (struct wh_sched_params){ .sched = (enum wh_scheduler)s.id,
                                           .weight = (int)s.weight,
                                           .cap = (int)s.cap,
                                           .period = WH_UNSET_INT,
                                           .budget = WH_UNSET_INT,
                                           .extratime = WH_UNSET_INT };
    return true;
}

static bool overlay(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                    const char *stored, size_t n, const char *machine, char **text)
{
    wh_auto(wh_bits_free) struct wh_bits bits = { 0 };
    struct wh_config_now now = { 0 };
    wh_auto_free char *name = NULL;
    bool known = false;

    memcpy(now.uuid.byte, d->uuid, sizeof now.uuid.byte);
    if (!wh_find_name(op, h, d->domid, &name) || !memory(op, h, d, &now) ||
        !scheduler(op, h, d, &now) || (!d->emulated && !online(op, h, d, &bits, &known)))
        return false;
    now.name = name;
    now.machine = machine;
    now.online = known ? &bits : NULL;
    *text = wh_config_overlay(&op->err, stored, n, &now);
    return *text || wh_while(&op->err, "the configuration stored for domain %u", d->domid);
}

bool wh_stored_now(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                   const char *machine, char **text)
{
    wh_auto_free char *stored = NULL;
    size_t n;

    *text = NULL;
    return wh_stored_read(op, h, d, &stored, &n) &&
           (!stored || overlay(op, h, d, stored, n, machine, text));
}

bool wh_domain_config(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *machine,
                      char **json)
{
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    if (!there)
        return wh_fail(&op->err, WH_XEN, "domain %u is gone", domid);
    if (!wh_stored_now(op, h, &d, machine, json))
        return false;
    return *json || wh_fail(&op->err, WH_XEN, "no configuration is stored for domain %u in %s",
                            domid, h->lib);
}
