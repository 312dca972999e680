/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Change what is in an HVM guest's CD drive.  The medium stands in three places:
 *
 *     QEMU           what the guest reads
 *     xenstore       "params" of the drive's backend, and the toolstack's copy of it
 *     libxl-json     what a save takes along, and what the guest starts again with
 *
 * The latter two say that the drive is empty before QEMU's is opened, and name the new medium when
 * it is in: whoever is killed on the way has never named one that is not.  What fails on the way
 * puts the old medium back; where that is not to be had, or QEMU does not say, the drive stays
 * recorded as empty. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"
#include "config/config.h"
#include "config/vdev.h"
#include "dm/drive.h"
#include "flow/change.h"
#include "flow/devices.h"
#include "flow/emulator.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/stored.h"
#include "flow/task.h"
#include "xen/device.h"
#include "xen/userdata.h"

#define CHANGE_MS 60000
#define LISTED 200                      /* bytes of drives' names in an error */

struct medium {
    char *path;                         /* NULL: none */
    enum wh_disk_format format;
    int fd;                             /* -1: not open */
};

struct cdrom {
    struct wh_task task;
    char *vdev, *file;                  /* file NULL: eject */
    uint32_t number;
    char id[WH_DRIVE_ID];
    struct wh_domain d;
    struct wh_device device;
    struct medium fresh, old;
    char *old_params;                   /* as they stood; NULL: there were none */
    const char *params;                 /* that are written */
    bool old_is_in;                     /* QEMU has it, for all we know */
    struct wh_qmp *qmp;
};

static const struct medium none = { NULL, WH_FORMAT_EMPTY, -1 };

/* ------------------------------------------------------------------------- the new medium */

static const struct {
    const char *name;
    enum wh_disk_format format;
} types[] = {
    { "raw", WH_FORMAT_RAW },   { "file", WH_FORMAT_RAW },    { "phy", WH_FORMAT_RAW },
    { "aio", WH_FORMAT_RAW },   { "qcow2", WH_FORMAT_QCOW2 }, { "qcow", WH_FORMAT_QCOW },
    { "vhd", WH_FORMAT_VHD },   { "qed", WH_FORMAT_QED },
};

/* "raw:/x.iso"; what is no type is part of the path. */
static const char *take_type(const char *file, enum wh_disk_format *format)
{
    *format = WH_FORMAT_RAW;
    for (size_t i = 0; i < WH_COUNT(types); i++) {
        size_t n = strlen(types[i].name);

        if (strncmp(file, types[i].name, n) == 0 && file[n] == ':') {
            *format = types[i].format;
            return file + n + 1;
        }
    }
    return file;
}

/* The guest may start again when we are elsewhere. */
static char *whole_path(const char *path)
{
    wh_auto_free char *here = *path == '/' ? NULL : getcwd(NULL, 0);
    char *whole;

    if (*path == '/')
        return strdup(path);
    return here && asprintf(&whole, "%s/%s", here, path) >= 0 ? whole : NULL;
}

/* O_NONBLOCK: it may be a FIFO. */
static bool open_medium(struct wh_op *op, struct medium *m)
{
    wh_auto_fd int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "open %s", m->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return wh_fail(&op->err, WH_USAGE, "%s: expected a file or a block device", m->path);
    m->fd = wh_take_fd(&fd);
    return true;
}

static bool find_fresh(struct wh_op *op, struct cdrom *c)
{
    if (!c->file)
        return true;
    const char *path = take_type(c->file, &c->fresh.format);
    if (!*path)
        return wh_fail(&op->err, WH_USAGE, "expected a file or a block device, found no name");
    c->fresh.path = whole_path(path);
    if (!c->fresh.path)
        return wh_fail_sys(&op->err, errno, "find %s", path);
    return open_medium(op, &c->fresh);
}

/* ------------------------------------------------------------------- the drive in the stored */

static void list_drives(const struct wh_config *config, char text[LISTED])
{
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < config->ndisks; i++) {
        if (config->disks[i].is_cdrom && n + strlen(config->disks[i].vdev) + 3 < LISTED)
            n += (size_t)snprintf(text + n, LISTED - n, "%s%s", n ? ", " : "",
                                  config->disks[i].vdev);
    }
}

static bool find_drive(struct wh_op *op, const struct cdrom *c, const struct wh_config *config,
                       struct wh_disk **drive)
{
    char drives[LISTED];
    bool there = false;
    uint32_t number;

    for (size_t i = 0; i < config->ndisks; i++) {
        bool same;

        *drive = &config->disks[i];
        same = wh_vdev_number((*drive)->vdev, &number, NULL, NULL) && number == c->number;
        if (same && (*drive)->is_cdrom)
            return true;
        there |= same;
    }
    list_drives(config, drives);
    return wh_fail(&op->err, WH_USAGE, "%s of domain %u is %s: its CD drives are %s", c->vdev,
                   c->d.domid, there ? "no CD drive" : "not there", *drives ? drives : "none");
}

static bool read_stored(struct wh_op *op, struct cdrom *c, struct wh_config *config,
                        struct wh_disk **drive)
{
    wh_auto_free char *text = NULL;
    size_t n;

    if (!wh_stored_read(op, c->task.here, &c->d, &text, &n))
        return false;
    if (!text)
        return wh_fail(&op->err, WH_XEN, "no configuration is stored for domain %u in %s",
                       c->d.domid, c->task.here->lib);
    if (!wh_config_read_json(&op->err, text, n, config))
        return wh_while(&op->err, "the configuration stored for domain %u", c->d.domid);
    return find_drive(op, c, config, drive);
}

static bool is_empty(const struct wh_disk *drive)
{
    return !drive->pdev_path || !*drive->pdev_path || drive->format == WH_FORMAT_EMPTY;
}

static bool holds(const struct wh_disk *drive, const struct medium *m)
{
    if (is_empty(drive) || !m->path)
        return is_empty(drive) && !m->path;
    return strcmp(drive->pdev_path, m->path) == 0 && drive->format == m->format;
}

/* What is stored, with this medium in the drive; NULL: it says so already. */
static bool with_medium(struct wh_op *op, struct cdrom *c, const struct medium *m, char **text)
{
    wh_auto_config struct wh_config config = wh_config_empty();
    struct wh_disk *drive;

    *text = NULL;
    if (!read_stored(op, c, &config, &drive))
        return false;
    if (holds(drive, m))
        return true;
    free(drive->pdev_path);
    drive->pdev_path = m->path ? strdup(m->path) : NULL;
    drive->format = m->path ? m->format : WH_FORMAT_EMPTY;
    if (m->path && !drive->pdev_path)
        return wh_fail(&op->err, WH_SYSTEM, "no memory for a configuration");
    *text = wh_config_write_json(&op->err, &config);
    return *text != NULL;
}

/* A path that nobody could read back there is none for a guest. */
static bool can_be_stored(struct wh_op *op, struct cdrom *c)
{
    wh_auto_config struct wh_config config = wh_config_empty();
    wh_auto_free char *text = NULL;
    struct wh_err why = { 0 };

    if (!with_medium(op, c, &c->fresh, &text))
        return false;
    return !text || wh_config_read_json(&why, text, strlen(text), &config) ||
           wh_fail(&op->err, WH_USAGE, "the file's name: %s", why.text);
}

/* ----------------------------------------------------------------------- the drive as it is */

static bool find_device(struct wh_op *op, struct cdrom *c)
{
    wh_auto_free struct wh_device *all = NULL;
    char path[256];
    size_t n;

    if (!wh_device_list(op, c->task.here, c->d.domid, &all, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].kind, "vbd") == 0 && all[i].id == c->number)
            c->device = all[i];
    }
    if (strcmp(c->device.backend_kind, "qdisk") != 0 || c->device.backend != 0)
        return wh_fail(&op->err, WH_XEN, "%s of domain %u is not served by this host's QEMU",
                       c->vdev, c->d.domid);
    return wh_store_read(op, c->task.here->store, 0, &c->old_params, "%s/params",
                         wh_device_path(&c->device, WH_BACK, path));
}

/* Its file may be gone, which matters only if it has to be put back. */
static bool keep_old(struct wh_op *op, struct cdrom *c, const struct wh_disk *drive)
{
    if (is_empty(drive))
        return true;
    c->old = (struct medium){ strdup(drive->pdev_path), drive->format, -1 };
    if (!c->old.path)
        return wh_fail(&op->err, WH_SYSTEM, "no memory for a path");
    c->old.fd = open(c->old.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return true;
}

static bool look(struct wh_op *op, struct cdrom *c, int64_t *set)
{
    wh_auto_config struct wh_config config = wh_config_empty();
    struct wh_disk *drive;

    return read_stored(op, c, &config, &drive) && keep_old(op, c, drive) && can_be_stored(op, c) &&
           find_device(op, c) && wh_drive_look(op, c->qmp, c->id, set);
}

/* ----------------------------------------------------------------------------- recording */

static bool write_params(struct wh_op *op, struct wh_here *h, uint32_t tx,
                         const struct wh_domain *d, void *arg)
{
    const struct cdrom *c = arg;
    wh_auto_free char *there = NULL;
    char ours[256], back[256];

    wh_device_path(&c->device, WH_OURS, ours);
    wh_device_path(&c->device, WH_BACK, back);
    if (!wh_store_read(op, h->store, tx, &there, "%s/frontend", ours))
        return false;
    if (!there)
        return wh_fail(&op->err, WH_XEN, "%s of domain %u is gone", c->vdev, d->domid);
    if (!c->params)
        return wh_store_remove(op, h->store, tx, "%s/params", back) &&
               wh_store_remove(op, h->store, tx, "%s/params", ours);
    return wh_store_write(op, h->store, tx, c->params, "%s/params", back) &&
           wh_store_write(op, h->store, tx, c->params, "%s/params", ours);
}

static bool record_in_store(struct wh_op *op, struct cdrom *c, const struct medium *m)
{
    wh_auto_free char *params = NULL;

    if (asprintf(&params, "%s:%s", wh_devices_format(m->format), m->path ? m->path : "") < 0) {
        params = NULL;
        return wh_fail(&op->err, WH_SYSTEM, "no memory for a node");
    }
    c->params = m == &c->old ? c->old_params : params;
    return wh_change(op, c->task.here, &c->d, write_params, c, NULL);
}

/* What is stored is read and written under one lock: others change other parts of it. */
static bool record(struct wh_op *op, struct cdrom *c, const struct medium *m)
{
    wh_auto_free char *text = NULL;
    char uuid[WH_UUID_TEXT];
    int lock;

    wh_find_uuid(&c->d, uuid);
    lock = wh_userdata_lock(op, c->task.here, c->d.domid, uuid);
    bool ok = lock >= 0 && with_medium(op, c, m, &text) && record_in_store(op, c, m) &&
              (!text || wh_userdata_replace(op, c->task.here, c->d.domid, uuid, text));
    wh_userdata_unlock(c->task.here, c->d.domid, uuid, &lock);
    return ok;
}

/* ------------------------------------------------------------------------------ changing */

static bool insert(struct wh_op *op, struct cdrom *c, struct medium *m)
{
    if (!m->path)
        return true;
    if (m->fd < 0 && !open_medium(op, m))
        return false;
    return wh_drive_insert(op, c->qmp, c->id, m->fd, wh_emulator_format(m->format)) ||
           wh_while(&op->err, "put %s into %s", m->path, c->vdev);
}

/* On the connection that there was, if it still is one. */
static bool reach_again(struct wh_op *op, struct cdrom *c)
{
    if (wh_qmp_look(op, c->qmp))
        return true;
    op->err = (struct wh_err){ 0 };
    wh_qmp_close(wh_take_ptr(&c->qmp));
    return wh_qemu_reach(op, c->task.here, c->d.domid, &c->qmp);
}

static bool leave_qemu(struct wh_op *op, const struct wh_undo *u)
{
    struct cdrom *c = (struct cdrom *)op;           /* the op is the task's first member */

    (void)u;
    wh_qmp_close(wh_take_ptr(&c->qmp));
    return true;
}

static bool record_none(struct wh_op *op, const struct wh_undo *u)
{
    (void)u;
    return record(op, (struct cdrom *)op, &none);
}

/* Of a QEMU that does not answer nobody knows what it has: that is no medium to name. */
static bool record_what_is_in(struct wh_op *op, const struct wh_undo *u)
{
    struct cdrom *c = (struct cdrom *)op;

    (void)u;
    return record(op, c, c->old_is_in ? &c->old : &none);
}

static bool put_back(struct wh_op *op, const struct wh_undo *u)
{
    struct cdrom *c = (struct cdrom *)op;

    (void)u;
    c->old_is_in = false;
    if (!reach_again(op, c) || !wh_drive_eject(op, c->qmp, c->id))
        return false;
    c->old_is_in = insert(op, c, &c->old);
    return c->old_is_in || wh_while(&op->err, "the drive is empty now");
}

static bool take_out(struct wh_op *op, struct cdrom *c, int64_t set)
{
    if (!wh_undo_push(op, "put the old medium back", put_back, "", 0))
        return false;
    if (wh_drive_eject(op, c->qmp, c->id))
        return wh_drive_release(op, c->qmp, set);
    if (wh_qmp_refused(c->qmp, "GenericError"))
        wh_undo_drop(op, put_back, "");             /* it is where it was */
    return wh_while(&op->err, "open drive %s", c->vdev);
}

static bool put_in(struct wh_op *op, struct cdrom *c)
{
    if (!insert(op, c, &c->fresh))
        return false;
    wh_step(op, "record the new medium", CHANGE_MS);
    return wh_undo_push(op, "record the drive as empty", record_none, "", 0) &&
           record(op, c, &c->fresh);
}

/* Undone it is in the opposite order: then, too, no medium is named that is not in. */
static bool swap(struct wh_op *op, struct cdrom *c, int64_t set)
{
    wh_step(op, "record the drive as empty", CHANGE_MS);
    c->old_is_in = true;
    if (!wh_undo_push(op, "record what is in the drive", record_what_is_in, "", 0) ||
        !record(op, c, &none))
        return false;
    wh_step(op, "change the medium", CHANGE_MS);
    return take_out(op, c, set) && (!c->fresh.path || put_in(op, c));
}

static json_object *told(const struct cdrom *c, const char *name)
{
    json_object *o = wh_find_json(&c->d, name);

    json_object_object_add(o, "vdev", wh_json_text(c->vdev));
    json_object_object_add(o, "file", wh_json_text(c->fresh.path));
    json_object_object_add(o, "old_file", wh_json_text(c->old.path));
    return o;
}

/* Its image would name one medium, and its QEMU's state know another. */
static bool refuse_busy(struct wh_op *op, const struct cdrom *c)
{
    bool held;

    if (!wh_leftover_held(op, c->task.here, c->d.domid, &held))
        return false;
    return !held || wh_fail(&op->err, WH_USAGE, "domain %u is being created, saved or restored",
                            c->d.domid);
}

/* The lock on QEMU's socket keeps others, also xl, from the drive meanwhile; a save that has begun
 * while we waited for it is found by looking again. */
static bool change(struct wh_op *op, struct wh_task *t)
{
    struct cdrom *c = (struct cdrom *)t;
    const char *who = wh_task_who(t);
    wh_auto_free char *name = NULL;
    int64_t set;

    wh_step(op, "look at the drive", WH_STORE_MS);
    if (!wh_find_one(op, t->here, who ? who : "", &c->d) ||
        !wh_find_name(op, t->here, c->d.domid, &name))
        return false;
    if (!c->d.emulated)
        return wh_fail(&op->err, WH_USAGE, "domain %u is no HVM guest: only those have CD drives "
                       "whose medium can be changed", c->d.domid);
    if (!wh_vdev_number(c->vdev, &c->number, NULL, NULL))
        return wh_fail(&op->err, WH_USAGE, "'%s' is no name of a drive: expected one like hdc",
                       c->vdev);
    wh_drive_id(c->number, c->id);
    if (!refuse_busy(op, c) || !find_fresh(op, c) ||
        !wh_undo_push(op, "leave QEMU", leave_qemu, "", 0) ||
        !wh_qemu_reach(op, t->here, c->d.domid, &c->qmp))
        return false;
    wh_step(op, "look at the drive", WH_STORE_MS);
    if (!refuse_busy(op, c) || !look(op, c, &set) || !swap(op, c, set))
        return false;
    leave_qemu(op, NULL);
    t->result = told(c, name);
    return true;
}

/* -------------------------------------------------------------------------------- making */

static void drop(struct wh_task *t)
{
    struct cdrom *c = (struct cdrom *)t;

    wh_close_fd(&c->fresh.fd);
    wh_close_fd(&c->old.fd);
    free(c->fresh.path);
    free(c->old.path);
    free(c->old_params);
    free(c->vdev);
    free(c->file);
}

static struct wh_job *make(const char *domain, const char *vdev, const char *file)
{
    struct cdrom *c = wh_task_make(sizeof *c, domain, change);

    if (!c)
        return NULL;
    c->task.drop = drop;
    c->fresh = c->old = none;
    c->vdev = strdup(vdev);
    c->file = file ? strdup(file) : NULL;
    if (!c->vdev || (file && !c->file)) {
        wh_job_free(&c->task.job);
        return NULL;
    }
    return &c->task.job;
}

struct wh_job *wh_cd_insert_new(const char *domain, const char *vdev, const char *file)
{
    return make(domain, vdev, file);
}

struct wh_job *wh_cd_eject_new(const char *domain, const char *vdev)
{
    return make(domain, vdev, NULL);
}
