/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One command works on a domain at a time.
 *
 * What it holds is a record of the domain.  Whoever makes one, or takes one that was left, does it in its
 * turn (the lock of the records' folder, for that moment) and not where somebody holds another of the same
 * domain: of two that begin at once the second is refused.  With its process all of that goes, and what
 * stays is the record, which keeps others from the domain until recover has settled it. */
#include "flow/leftover_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/find.h"

/* clang-format off */
static const struct { const char *verb, *is; } works[] = {
    { "save",    "a save" },    { "send",    "a move" },      { "create",  "a create" },
    { "restore", "a restore" }, { "receive", "an arrival" },  { "recover", "a recovery" },
};
/* clang-format on */

/* What stands in the way of whom, and that it was found. */
struct hindrance {
    uint32_t domid;
    const char *uuid;           /* NULL: whatever has the number */
    bool only_held;
    enum wh_leftover_for what;
    const char *but;            /* a record that does not count, or NULL */

    bool found, held, elsewhere;
    const char *is;
};

/* A guest that has arrived is this host's, whoever may still ask of it. */
bool wh_leftover_keeps(json_object *o, enum wh_leftover_for what)
{
    const char *verb = wh_json_string(o, "verb", ""), *state = wh_json_string(o, "state", "");

    if (strcmp(verb, "recover") == 0)
        return false;
    if (strcmp(verb, "receive") == 0)
        return strcmp(state, "committed") != 0;
    if (what == WH_TO_COPY)
        return true;
    if (strcmp(verb, "send") == 0)
        return strcmp(state, "intent") == 0 || strcmp(state, "done") == 0;
    return strcmp(verb, "save") != 0 && !(strcmp(verb, "restore") == 0 && wh_json_true(o, "whole"));
}

static bool is_of(json_object *o, const struct hindrance *by)
{
    return wh_leftover_is_current(o) && wh_json_number(o, "domid", 0) == by->domid &&
           (!by->uuid || strcmp(wh_json_string(o, "uuid", ""), by->uuid) == 0);
}

static bool look_at(struct wh_op *op, const char *path, struct hindrance *by)
{
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT || wh_fail_sys(&op->err, errno, "open %s", path);
    wh_auto_json json_object *o = wh_leftover_load(fd);
    /* What cannot be read may say that the guest runs elsewhere. */
    if (!o && !by->only_held && strstr(path, "/send-") && !wh_leftover_is_empty(fd))
        return wh_fail(&op->err, WH_SYSTEM, "%s cannot be read", path);
    if (!o || !is_of(o, by))
        return true;
    by->held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    by->found = by->held || (!by->only_held && wh_leftover_keeps(o, by->what));
    by->elsewhere = strcmp(wh_json_string(o, "verb", ""), "send") == 0;
    by->is = "some work";
    for (size_t i = 0; i < WH_COUNT(works); i++)
        if (strcmp(works[i].verb, wh_json_string(o, "verb", "")) == 0)
            by->is = works[i].is;
    return true;
}

/* The first of them. */
static bool look_round(struct wh_op *op, const struct wh_here *h, struct hindrance *by)
{
    char folder[PATH_MAX], path[PATH_MAX];
    struct dirent *e;
    bool ok = true;

    if (!wh_leftover_folder(op, h, folder))
        return false;
    DIR *all = opendir(folder);
    if (!all)
        return wh_fail_sys(&op->err, errno, "read %s", folder);
    while (ok && !by->found && (e = readdir(all)))
        if (wh_leftover_is_record(e->d_name) &&
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < PATH_MAX &&
            (!by->but || strcmp(path, by->but) != 0))
            ok = look_at(op, path, by);
    closedir(all);
    return ok;
}

static bool refuse(struct wh_op *op, const struct hindrance *by)
{
    if (by->held)
        return wh_fail(&op->err, WH_USAGE, "domain %u: %s is under way already%s", by->domid, by->is,
                       by->what == WH_TO_RUN ? ": it is not let run meanwhile" : "");
    if (by->elsewhere && by->what == WH_TO_RUN)
        return wh_fail(&op->err, WH_USAGE, "domain %u may run on the host it was on its way to: wherry "
                       "recover without a name asks that host", by->domid);
    return wh_fail(&op->err, WH_USAGE, "domain %u: %s was interrupted: wherry recover settles it",
                   by->domid, by->is);
}

bool wh_leftover_may(struct wh_op *op, const struct wh_here *h, uint32_t domid, const char *uuid,
                     enum wh_leftover_for what, const char *but)
{
    struct hindrance by = { .domid = domid, .uuid = uuid, .what = what, .but = but };

    return look_round(op, h, &by) && (!by.found || refuse(op, &by));
}

bool wh_leftover_busy(struct wh_op *op, const struct wh_here *h, json_object *record, const char *but,
                      bool *busy)
{
    struct hindrance by = { .domid = (uint32_t)wh_json_number(record, "domid", 0),
                            .uuid = wh_json_string(record, "uuid", ""), .only_held = true, .but = but };

    *busy = false;
    if (by.domid == 0 || !wh_leftover_is_current(record))
        return true;
    bool ok = look_round(op, h, &by);
    *busy = by.found;
    return ok;
}

bool wh_leftover_free(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                      enum wh_leftover_for what, const struct wh_leftover *but)
{
    wh_auto_fd int turn = wh_leftover_turn(op, h);
    char uuid[WH_UUID_TEXT];

    return turn >= 0 && wh_leftover_may(op, h, d->domid, wh_find_uuid(d, uuid), what,
                                        but ? but->path : NULL);
}

bool wh_leftover_held(struct wh_op *op, struct wh_here *h, uint32_t domid, bool *held)
{
    struct hindrance by = { .domid = domid, .only_held = true };
    wh_auto_fd int turn = wh_leftover_turn(op, h);

    *held = false;
    if (turn < 0 || !look_round(op, h, &by))
        return false;
    *held = by.found;
    return true;
}
