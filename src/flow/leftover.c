/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/leftover_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/json.h"
#include "config/uuid.h"

bool wh_leftover_mark(struct wh_op *op, struct wh_leftover *l, const char *what)
{
    wh_auto_json json_object *o = wh_leftover_load(l->fd);

    if (!o)
        return wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", l->path);
    json_object_object_add(o, what, json_object_new_boolean(true));
    return wh_leftover_store(op, l, o);
}

/* signal: by which the process may be asked to stop; it is not there where none does. */
static json_object *begin(const struct wh_op *op, const char *verb, uint32_t domid,
                          const uint8_t uuid[16])
{
    json_object *o = json_object_new_object();
    char boot[40], text[WH_UUID_TEXT];
    struct wh_uuid u;

    memcpy(u.byte, uuid, sizeof u.byte);
    wh_uuid_print(u, text);
    wh_leftover_boot(boot);
    json_object_object_add(o, "verb", json_object_new_string(verb));
    json_object_object_add(o, "domid", json_object_new_int64(domid));
    json_object_object_add(o, "uuid", json_object_new_string(text));
    json_object_object_add(o, "boot", json_object_new_string(boot));
    json_object_object_add(o, "pid", json_object_new_int64(getpid()));
    json_object_object_add(o, "start", json_object_new_uint64(wh_gauge_started(getpid())));
    if (op->signal)
        json_object_object_add(o, "signal", json_object_new_int(op->signal));
    json_object_object_add(o, "time", json_object_new_int64(time(NULL)));
    return o;
}

/* A record that is there and not held speaks of an interrupted operation on this very domain, or
 * of a domain that had its number before. */
static bool is_of_before(struct wh_op *op, struct wh_leftover *l, json_object *fresh)
{
    const char *verb = wh_json_string(fresh, "verb", "");
    wh_auto_json json_object *old = wh_leftover_load(l->fd);

    if (old && wh_leftover_is_current(old) && strcmp(verb, "recover") != 0 &&
        strcmp(wh_json_string(old, "uuid", ""), wh_json_string(fresh, "uuid", "?")) == 0)
        return wh_fail(&op->err, WH_USAGE, "domain %u: a %s was interrupted: wherry recover settles "
                       "it", (uint32_t)wh_json_number(fresh, "domid", 0), verb);
    return ftruncate(l->fd, 0) == 0 || wh_fail_sys(&op->err, errno, "write %s", l->path);
}

static bool make(struct wh_op *op, struct wh_leftover *l, json_object *fresh)
{
    bool held;

    if (!wh_leftover_take(op, l, O_CREAT, &held))
        return false;
    if (held)
        return wh_fail(&op->err, WH_USAGE, "domain %u: a %s is under way already",
                       (uint32_t)wh_json_number(fresh, "domid", 0), wh_json_string(fresh, "verb", ""));
    bool ours = is_of_before(op, l, fresh);
    if (ours && wh_leftover_store(op, l, fresh))
        return true;
    if (ours)
        unlink(l->path);
    wh_leftover_let_go(l);
    return false;
}

/* A record that is named for its domain.  what: the domain was there before; NULL: it was not. */
static bool open_new(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, json_object *fresh,
                     const enum wh_leftover_for *what)
{
    uint32_t domid = (uint32_t)wh_json_number(fresh, "domid", 0);
    wh_auto_fd int turn = wh_leftover_turn(op, h);
    char path[PATH_MAX];

    l->open = false;
    if (turn < 0 || !wh_leftover_folder(op, h, path))
        return false;
    if (snprintf(l->path, sizeof l->path, "%s/%s-%u.json", path, wh_json_string(fresh, "verb", ""),
                 domid) >= PATH_MAX)
        return wh_fail_sys(&op->err, ENAMETOOLONG, "open a record in %s", path);
    if ((what && !wh_leftover_may(op, h, domid, wh_json_string(fresh, "uuid", ""), *what, NULL)) ||
        !make(op, l, fresh))
        return false;
    wh_gauge_begin(op, h, &l->gauge, l->path);
    return true;
}

bool wh_leftover_save(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                      const struct wh_domain *d, const struct wh_outfile *out, bool keep)
{
    wh_auto_json json_object *o = begin(op, "save", d->domid, d->uuid);
    struct stat st;

    if (!out->plain) {
        if (fstat(out->fd, &st) < 0)
            return wh_fail_sys(&op->err, errno, "look at %s", out->temp);
        wh_auto_free char *temp = realpath(out->temp, NULL);
        wh_auto_free char *dir = temp ? strdup(temp) : NULL;
        char *slash = dir ? strrchr(dir, '/') : NULL;
        const char *last = strrchr(out->path, '/');
        if (!slash)
            return wh_fail_sys(&op->err, errno, "find %s", out->temp);
        slash[1] = '\0';
        wh_auto_free char *file = NULL;
        if (asprintf(&file, "%s%s", dir, last ? last + 1 : out->path) < 0)
            return wh_fail_sys(&op->err, ENOMEM, "save");
        json_object_object_add(o, "temp", wh_json_text(temp));
        json_object_object_add(o, "file", wh_json_text(file));
        json_object_object_add(o, "device", json_object_new_uint64(st.st_dev));
        json_object_object_add(o, "inode", json_object_new_uint64(st.st_ino));
    }
    json_object_object_add(o, "keep", json_object_new_boolean(keep));
    return open_new(op, h, l, o, &(enum wh_leftover_for){ WH_TO_COPY });
}

bool wh_leftover_recover(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                         const struct wh_domain *d)
{
    wh_auto_json json_object *o = begin(op, "recover", d->domid, d->uuid);

    return open_new(op, h, l, o, &(enum wh_leftover_for){ WH_TO_RUN });
}

/* A guest that arrives has had a record before it had a domain. */
static bool has_domain(struct wh_op *op, struct wh_leftover *l, json_object *fresh)
{
    wh_auto_json json_object *o = wh_leftover_load(l->fd);

    if (!o)
        return wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", l->path);
    json_object_object_add(o, "domid", json_object_get(json_object_object_get(fresh, "domid")));
    json_object_object_add(o, "uuid", json_object_get(json_object_object_get(fresh, "uuid")));
    return wh_leftover_store(op, l, o);
}

bool wh_leftover_create(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, uint32_t domid,
                        const uint8_t uuid[16])
{
    wh_auto_json json_object *o = begin(op, "create", domid, uuid);

    return open_new(op, h, l, o, NULL);
}

bool wh_leftover_restore(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                         uint32_t domid, const uint8_t uuid[16])
{
    wh_auto_json json_object *o = begin(op, "restore", domid, uuid);

    return l->open ? has_domain(op, l, o) : open_new(op, h, l, o, NULL);
}

/* ------------------------------------------------------------------------------- moves */

static bool is_job(const char *job)
{
    struct wh_uuid u;

    return wh_uuid_parse(job, &u);
}

static bool move_path(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, const char *verb,
                      const char *job)
{
    char path[PATH_MAX];

    l->open = false;
    if (!is_job(job))
        return wh_fail(&op->err, WH_PEER, "'%.40s' is no id of a move", job);
    if (!wh_leftover_folder(op, h, path))
        return false;
    return snprintf(l->path, sizeof l->path, "%s/%s-%s.json", path, verb, job) < PATH_MAX ||
           wh_fail_sys(&op->err, ENAMETOOLONG, "open a record in %s", path);
}

static void add_members(json_object *to, json_object *from)
{
    struct json_object_iterator at = json_object_iter_begin(from), end = json_object_iter_end(from);

    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
        json_object_object_add(to, json_object_iter_peek_name(&at),
                               json_object_get(json_object_iter_peek_value(&at)));
}

/* Nobody else has a move of this id; and of this domain, where it leaves. */
static bool make_move(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, json_object *o)
{
    bool leaves = strcmp(wh_json_string(o, "verb", ""), "send") == 0, held;
    wh_auto_fd int turn = wh_leftover_turn(op, h);

    if (turn < 0 ||
        (leaves && !wh_leftover_may(op, h, (uint32_t)wh_json_number(o, "domid", 0),
                                    wh_json_string(o, "uuid", ""), WH_TO_COPY, NULL)) ||
        !wh_leftover_take(op, l, O_CREAT | O_EXCL, &held))
        return false;
    if (!l->open)
        return wh_fail(&op->err, WH_USAGE, "the move %s is under way already", wh_json_string(o, "job", ""));
    if (wh_leftover_store(op, l, o))
        return true;
    unlink(l->path);            /* nothing was begun */
    wh_leftover_let_go(l);
    return false;
}

bool wh_leftover_move(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, const char *verb,
                      const char *job, const char *state, const struct wh_domain *d, json_object *more)
{
    wh_auto_json json_object *extra = more;
    wh_auto_json json_object *o = begin(op, verb, d->domid, d->uuid);

    json_object_object_add(o, "job", json_object_new_string(job));
    json_object_object_add(o, "state", json_object_new_string(state));
    if (extra)
        add_members(o, extra);
    if (!move_path(op, h, l, verb, job) || !make_move(op, h, l, o))
        return false;
    wh_gauge_begin(op, h, &l->gauge, l->path);
    return true;
}

bool wh_leftover_text(struct wh_op *op, struct wh_leftover *l, const char *key, const char *text)
{
    wh_auto_json json_object *o = wh_leftover_load(l->fd);

    if (!o)
        return wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", l->path);
    json_object_object_add(o, key, wh_json_text(text));
    return wh_leftover_store(op, l, o);
}

bool wh_leftover_state(struct wh_op *op, struct wh_leftover *l, const char *state)
{
    return wh_leftover_text(op, l, "state", state);
}

/* In our turn: it is ours, unless somebody holds it or another of its domain.  One that is empty goes: who
 * would write it has had his turn. */
static bool take_left(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, bool *held)
{
    wh_auto_fd int turn = wh_leftover_turn(op, h);

    *held = false;
    if (turn < 0 || !wh_leftover_take(op, l, 0, held))
        return false;
    if (!l->open)
        return true;
    if (wh_leftover_is_empty(l->fd)) {
        unlink(l->path);
        wh_leftover_let_go(l);
        return true;
    }
    wh_auto_json json_object *record = wh_leftover_load(l->fd);
    bool ok = wh_leftover_busy(op, h, record, l->path, held);
    if (!ok || *held)
        wh_leftover_let_go(l);
    return ok;
}

bool wh_leftover_find(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, const char *verb,
                      const char *job, json_object **record, bool *held)
{
    *record = NULL;
    *held = false;
    if (!move_path(op, h, l, verb, job) || !take_left(op, h, l, held))
        return false;
    /* What it says is acted upon, or told. */
    if (*held) {
        wh_auto_fd int fd = open(l->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 || wh_leftover_bring(op, l->path, fd, record);
    }
    return !l->open ||
           (wh_leftover_bring(op, l->path, l->fd, record) &&
            (*record || wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", l->path)));
}

bool wh_leftover_read(struct wh_op *op, const struct wh_leftover *l, json_object **record)
{
    *record = wh_leftover_load(l->fd);
    return *record || wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", l->path);
}

bool wh_leftover_done(struct wh_op *op, struct wh_leftover *l)
{
    wh_gauge_end(op, &l->gauge);
    if (!l->open)
        return true;
    int rc = unlink(l->path);
    int sys = errno;
    wh_leftover_let_go(l);
    return rc == 0 || sys == ENOENT || wh_fail_sys(&op->err, sys, "remove %s", l->path);
}

void wh_leftover_close(struct wh_op *op, struct wh_leftover *l)
{
    wh_gauge_end(op, &l->gauge);
    if (!l->open)
        return;
    if (!l->committed && op->undo_err.kind == WH_OK && op->undos == 0)
        unlink(l->path);
    wh_leftover_let_go(l);
}

/* Its maker works on it, or somebody on its domain, which it keeps from nobody: there is nothing to say.  Or it
 * was left, and another sees to it. */
static bool see_held(struct wh_op *op, struct wh_leftover *l, wh_leftover_see *see, void *arg)
{
    wh_auto_fd int fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    wh_auto_json json_object *record = fd < 0 ? NULL : wh_leftover_load(fd);
    bool settled;

    return !record || (wh_leftover_is_current(record) && wh_gauge_lives(record)) ||
           !wh_leftover_keeps(record, WH_TO_COPY) || see(op, arg, NULL, record, &settled);
}

static bool see_one(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, wh_leftover_see *see,
                    void *arg)
{
    bool held, settled = false;

    wh_step(op, "look at what was left", 120000);
    if (!take_left(op, h, l, &held))
        return false;
    if (held)
        return see_held(op, l, see, arg);
    if (!l->open)
        return true;
    wh_auto_json json_object *record = NULL;
    bool ok = wh_leftover_bring(op, l->path, l->fd, &record) && see(op, arg, l, record, &settled);
    if (ok && settled)
        return wh_leftover_done(op, l);
    wh_leftover_let_go(l);
    return ok;
}

bool wh_leftover_each(struct wh_op *op, struct wh_here *h, wh_leftover_see *see, void *arg)
{
    char path[PATH_MAX];
    struct dirent *e;
    struct wh_err first = op->err;
    bool ok = true;

    if (!wh_leftover_folder(op, h, path))
        return false;
    DIR *d = opendir(path);
    if (!d)
        return wh_fail_sys(&op->err, errno, "read %s", path);
    while ((e = readdir(d))) {
        struct wh_leftover l = { 0 };

        if (!wh_leftover_is_record(e->d_name))
            continue;
        if (snprintf(l.path, sizeof l.path, "%s/%s", path, e->d_name) < PATH_MAX)
            ok &= see_one(op, h, &l, see, arg);
        /* What cannot be settled does not keep the others; the first failure is told. */
        if (op->err.kind != WH_OK && first.kind == WH_OK)
            first = op->err;
        op->err = (struct wh_err){ 0 };
    }
    closedir(d);
    op->err = first;
    return ok && first.kind == WH_OK;
}

/* ---------------------------------------------------------------------- what is at work */

/* A lock is only tried where the process that wrote the record lives: a record that was just made, and
 * is about to be locked, has nothing in it yet. */
static bool is_held(int fd, json_object *record)
{
    if (!wh_leftover_is_current(record) || !wh_gauge_lives(record))
        return false;
    if (flock(fd, LOCK_SH | LOCK_NB) < 0)
        return errno == EWOULDBLOCK;
    flock(fd, LOCK_UN);
    return false;
}

static bool look_at(struct wh_op *op, const char *path, json_object **record, bool *at_work)
{
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    *record = NULL;
    *at_work = false;
    if (fd < 0)
        return errno == ENOENT || wh_fail_sys(&op->err, errno, "open %s", path);
    *record = wh_leftover_load(fd);
    *at_work = *record && is_held(fd, *record);
    if (*record && !*at_work) {             /* its last words may have come before he let go of it */
        json_object_put(*record);
        *record = wh_leftover_load(fd);
    }
    /* Whoever is done removes it before he lets go of it. */
    if (!*at_work && fstat(fd, &st) == 0 && st.st_nlink == 0)
        json_object_put(wh_take_ptr(record));
    return true;
}

bool wh_leftover_look(struct wh_op *op, struct wh_here *h, const char *name, json_object **record,
                      bool *at_work)
{
    char path[PATH_MAX];

    *record = NULL;
    *at_work = false;
    return snprintf(path, sizeof path, "%s/jobs/%s.json", h->state, name) >= PATH_MAX ||
           look_at(op, path, record, at_work);
}

/* Recover holds a domain for a moment, and is no job. */
static int is_named_so(const struct dirent *e)
{
    size_t n = strlen(e->d_name);

    return wh_leftover_is_record(e->d_name) && strncmp(e->d_name, "recover-", 8) != 0 && n > 5 && strcmp(e->d_name + n - 5, ".json") == 0;
}

bool wh_leftover_at_work(struct wh_op *op, struct wh_here *h,
                         bool (*see)(struct wh_op *, void *arg, const char *name,
                                     json_object *record),
                         void *arg)
{
    char path[PATH_MAX];
    struct dirent **all;
    bool ok = true;

    snprintf(path, sizeof path, "%s/jobs", h->state);
    int n = scandir(path, &all, is_named_so, alphasort);
    if (n < 0)
        return errno == ENOENT || wh_fail_sys(&op->err, errno, "read %s", path);
    for (int i = 0; i < n; i++) {
        wh_auto_json json_object *record = NULL;
        bool at_work;

        all[i]->d_name[strlen(all[i]->d_name) - 5] = '\0';
        ok = ok && wh_leftover_look(op, h, all[i]->d_name, &record, &at_work) &&
             (!at_work || see(op, arg, all[i]->d_name, record));
        free(all[i]);
    }
    free(all);
    return ok;
}
