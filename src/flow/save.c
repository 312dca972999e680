/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Save: a running guest becomes a file.
 *
 *     running     configuration, room, headers, what never changes
 *     suspended   all pages, the tail, the trailer; the file is brought to disk and gets its name
 *                 ---- until here every failure lets the guest run on and leaves no file ----
 *     gone        the domain is destroyed; or runs on (keep); or is paused (paused) */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/holes.h"
#include "base/own.h"
#include "base/json.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/leftover.h"
#include "flow/outgoing.h"
#include "flow/task.h"
#include "link/pack.h"
#include "wire/trailer.h"
#include "xen/suspend.h"

#define HEADROOM (8u << 20)             /* of a file beside its pages */
#define HAND_OVER_MS 120000             /* for a reader to take the last of a pipe */

struct saving {
    struct wh_task task;
    struct wh_save_how how;
    char *path, *config;                /* config: the file given, or NULL */

    struct wh_outgoing guest;
    struct wh_outfile out;
    struct wh_leftover record;
    int64_t running_ns;                 /* when the guest ran again */
    bool settling;                      /* the file is whole */
    uint64_t stream;
    uint8_t digest[WH_DIGEST_BYTES];
};

/* ----------------------------------------------------------------------------- running */

/* Compressed, or full of zeros, it may need less; whether it will is known too late. */
static bool check_room(struct wh_op *op, const struct saving *s)
{
    struct statvfs v;
    uint64_t need = s->guest.d.pages * WH_PAGE_SIZE + HEADROOM;

    if (s->out.plain || s->how.compress || s->how.no_room_check)
        return true;
    if (fstatvfs(s->out.fd, &v) < 0)
        return wh_fail_sys(&op->err, errno, "look for room for %s", s->path);
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (room >= need)
        return true;
    return wh_fail_sys(&op->err, ENOSPC, "%s needs up to %llu MiB, and %llu MiB are free there",
                       s->path, (unsigned long long)(need >> 20), (unsigned long long)(room >> 20));
}

static bool open_output(struct wh_op *op, struct saving *s)
{
    wh_step(op, "open the file", WH_FOREVER);
    if (!wh_outfile_open(op, &s->out, s->path) || !check_room(op, s) ||
        !wh_leftover_save(op, s->task.here, &s->record, &s->guest.d, &s->out,
                          s->how.keep_running || s->how.paused) ||
        (s->how.paused && !wh_leftover_mark(op, &s->record, "paused")) ||
        !wh_sink_open(op, &s->guest.sink, s->out.fd))
        return false;
    s->guest.sink.name = s->path;
    s->guest.sink.sparse = !s->out.plain && !s->how.no_sparse && !s->how.compress;
    s->guest.sink.digest = wh_digest_new();
    if (!s->guest.sink.digest)
        return wh_fail_sys(&op->err, ENOMEM, "save");
    wh_digest_thread(s->guest.sink.digest);
    if (s->how.compress)
        return wh_pack(op, &s->guest.sink, s->how.level);
    return s->out.plain || !s->how.no_sparse ||
           wh_sink_reserve(op, &s->guest.sink, s->guest.d.pages * WH_PAGE_SIZE);
}

/* The disk begins to write what it has while the guest runs: the last fsync is part of the pause. */
static void each_round(void *arg, const struct wh_live_round *was, const struct wh_round *now,
                       enum wh_next next, const char *why)
{
    const struct saving *s = arg;

    (void)was, (void)now, (void)next, (void)why;
    if (!s->out.plain)
        sync_file_range(s->out.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

/* A file is not to become much larger than the guest. */
static bool rounds(struct wh_op *op, struct saving *s)
{
    uint64_t pages = s->guest.d.pages;

    s->guest.live.told = each_round;
    s->guest.live.arg = s;
    s->guest.live.want.max_bytes = (pages + pages / 2) * WH_PAGE_SIZE;
    return wh_leftover_mark(op, &s->record, "logged") &&
           wh_outgoing_rounds(op, &s->guest, &s->how.rounds);
}

/* --------------------------------------------------------------------------- suspended */

/* Whoever reads a pipe may run the guest as soon as it has the last END.  From before that is
 * written this guest is not to run again by itself, and the record says so. */
static bool commit_pipe(struct wh_op *op, struct saving *s)
{
    if (!wh_go_on(op) || !wh_outgoing_still(op, &s->guest) || !wh_leftover_mark(op, &s->record, "sent"))
        return false;
    wh_step(op, "hand over the end of the image", HAND_OVER_MS);
    op->shielded = true;
    wh_undo_forget(op);
    s->settling = s->record.committed = true;
    return true;
}

static bool copy(struct wh_op *op, struct saving *s)
{
    return wh_outgoing_rest(op, &s->guest) && (!s->out.plain || commit_pipe(op, s)) &&
           wh_outgoing_end(op, &s->guest);
}

static bool put_trailer(struct wh_op *op, struct saving *s)
{
    struct wh_trailer t = { .stream = s->guest.sink.at, .time = (uint64_t)time(NULL),
                            .producer = "wherry " WH_VERSION,
                            .index = s->guest.index.off ? NULL : &s->guest.index };

    wh_digest_get(s->guest.sink.digest, t.digest);
    memcpy(s->digest, t.digest, sizeof t.digest);
    s->stream = s->guest.sink.at;
    return s->how.no_trailer || wh_trailer_write(op, &s->guest.sink, &t);
}

/* The file got its name, and its folder may not be on disk: no file then, and the guest runs on. */
static bool take_name_back(struct wh_op *op, struct saving *s)
{
    if (!s->out.named)
        return false;
    if (unlink(s->out.path) == 0 || errno == ENOENT)
        return false;
    s->settling = s->record.committed = true;
    wh_undo_forget(op);
    return false;
}

static bool finish_file(struct wh_op *op, struct saving *s)
{
    if (!put_trailer(op, s) || !wh_sink_end(op, &s->guest.sink) || !wh_outgoing_still(op, &s->guest))
        return false;
    return wh_outfile_commit(op, &s->out) || take_name_back(op, s);
}

/* ------------------------------------------------------------------- the guest's fate */

/* The image is whole and has its name: what fails from here on takes neither it nor the guest's
 * state away. */
static bool settle(struct wh_op *op, struct saving *s)
{
    struct wh_here *h = s->task.here;
    bool ok;

    /* A cancel comes too late: half of this is of no use to anybody. */
    op->shielded = true;
    wh_undo_forget(op);
    s->settling = s->record.committed = true;
    wh_step(op, "let go of the guest", 30000);
    if ((s->how.keep_running || s->how.paused) && !wh_outgoing_rounds_end(op, &s->guest))
        return wh_while(&op->err, "%s is whole", s->path);
    wh_outgoing_let_go(&s->guest);
    if (!s->how.keep_running && !s->how.paused) {
        wh_step(op, "destroy the saved domain", 120000);
        ok = wh_outgoing_still_suspended(op, &s->guest) && wh_domain_destroy(op, h, s->guest.d.domid);
    } else {
        wh_step(op, "let the guest run on", 30000);
        ok = (!s->how.paused || wh_xen_pause(op, h->xen, s->guest.d.domid)) &&
             wh_run_on(op, h, s->guest.d.domid);
        s->running_ns = wh_now_ns();
    }
    return ok ? wh_leftover_done(op, &s->record) : wh_while(&op->err, "%s is whole", s->path);
}

static void tell_rounds(const struct saving *s, json_object *o)
{
    const struct wh_live *l = s->guest.save.live;
    const char *why = l ? l->why : s->how.live ? s->guest.not_live : NULL;

    json_object_object_add(o, "live", json_object_new_boolean(l != NULL));
    json_object_object_add(o, "rounds", json_object_new_uint64(l ? l->round.round : 0));
    json_object_object_add(o, "why", why ? json_object_new_string(why) : NULL);
    json_object_object_add(o, "pause_pages",
                           json_object_new_uint64(l ? l->rest_pages : s->guest.save.found));
}

static void tell(struct saving *s)
{
    char text[2 * WH_DIGEST_BYTES + 1];
    json_object *o = wh_find_json(&s->guest.d, s->guest.name);
    bool gone = !s->how.keep_running && !s->how.paused;
    int64_t until = s->running_ns ? s->running_ns : wh_now_ns();

    for (unsigned i = 0; i < WH_DIGEST_BYTES; i++)
        sprintf(text + 2 * i, "%02x", s->digest[i]);
    json_object_object_add(o, "file", wh_json_text(s->path));
    json_object_object_add(o, "guest", json_object_new_string(gone ? "saved" : s->how.paused
                                                              ? "paused" : "running"));
    json_object_object_add(o, "stream_bytes", json_object_new_uint64(s->stream));
    json_object_object_add(o, "file_bytes",
                           json_object_new_uint64(s->guest.sink.stage ? s->guest.sink.stage->out : s->guest.sink.at));
    json_object_object_add(o, "hole_bytes", json_object_new_uint64(s->guest.sink.holes));
    json_object_object_add(o, "pages", json_object_new_uint64(s->guest.save.found));
    json_object_object_add(o, "page_records", json_object_new_uint64(s->guest.save.batches));
    json_object_object_add(o, "frames_asked", json_object_new_uint64(s->guest.save.looked_at));
    tell_rounds(s, o);
    json_object_object_add(o, "downtime_ms",
                           json_object_new_int64((until - s->guest.stopped_ns) / 1000000));
    json_object_object_add(o, "digest", json_object_new_string(text));
    s->task.result = o;
}

static bool save(struct wh_op *op, struct saving *s)
{
    if (!wh_outgoing_find(op, &s->guest, wh_task_who(&s->task), s->config) ||
        !open_output(op, s) || !wh_outgoing_begin(op, &s->guest))
        return false;
    if (s->how.live && !rounds(op, s))                      /* running */
        return false;
    if (!wh_leftover_mark(op, &s->record, "asked") ||
        !wh_outgoing_stop(op, &s->guest))                   /* running -> suspended */
        return false;
    if (!copy(op, s) || !finish_file(op, s))
        return false;
    /* The file is on disk under its name.  This cannot be taken back. */
    if (!settle(op, s))                                     /* suspended -> gone, or running */
        return false;
    tell(s);
    return true;
}

static void say_where(struct wh_op *op, const struct saving *s)
{
    char what_not[128];

    if (s->guest.save.domid == 0 || s->settling)
        return;
    snprintf(what_not, sizeof what_not, "%.100s was not written", s->path);
    wh_outgoing_say_where(op, &s->guest, what_not);
}

/* A file that is neither where it was written nor under its name could be anywhere; one that we
 * removed is not, and recover may let the guest run on should we fail to. */
static void give_up(struct wh_op *op, struct saving *s)
{
    struct wh_err why = op->err;

    if (s->record.open && !wh_leftover_mark(op, &s->record, "given_up"))
        op->err = why;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct saving *s = (struct saving *)t;

    s->out.fd = s->out.folder = -1;
    wh_outgoing_init(&s->guest, t->here);
    if (s->how.then_exit)
        wh_xen_ends_soon(t->here->xen);
    bool ok = save(op, s);

    /* What a failure leaves is taken back before the record of it goes. */
    if (!ok) {
        if (!s->settling)
            give_up(op, s);
        wh_outgoing_let_go(&s->guest);     /* who lets its devices go on reaches it anew */
        wh_undo_run(op);
        say_where(op, s);
    }
    if (!ok && s->settling)
        wh_while(&op->err, "%s", "the image may be whole, and the guest is not let run: wherry list "
                 "shows it, wherry recover tells what can be done");
    wh_outgoing_let_go(&s->guest);
    wh_outfile_close(&s->out);
    wh_leftover_close(op, &s->record);
    return ok;
}

static void drop(struct wh_task *t)
{
    struct saving *s = (struct saving *)t;

    wh_outgoing_free(&s->guest);
    free(s->path);
    free(s->config);
}

struct wh_job *wh_save_new(const char *domain, const char *path, const struct wh_save_how *how)
{
    struct saving *s = wh_task_make(sizeof *s, domain, run);

    if (!s)
        return NULL;
    s->task.drop = drop;
    s->how = *how;
    s->path = strdup(path);
    s->config = how->config ? strdup(how->config) : NULL;
    if (!s->path || (how->config && !s->config)) {
        wh_job_free(&s->task.job);
        return NULL;
    }
    return &s->task.job;
}
