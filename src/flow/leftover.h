/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of what is under way on this host, so that what a killed command leaves can be found and
 * settled (wherry recover).
 *
 *     /var/lib/wherry/jobs/save-3.json      { "verb": "save", "domid": 3, "uuid": ..., "boot": ...,
 *                                             "file": ..., "temp": ..., "inode": ... }
 *
 *     /var/lib/wherry/jobs/send-UUID.json   a move; each state is a line of its own, the last that is
 *                                           whole counts
 *
 * Whoever does the work holds a lock on its record; a record nobody holds is a leftover.  It is on
 * disk before the world is changed and goes when all is settled.  One process at a time holds records of
 * a domain (leftover_claim.c). */
#ifndef WH_FLOW_LEFTOVER_H
#define WH_FLOW_LEFTOVER_H

#include <json-c/json.h>

#include "base/sink.h"
#include "flow/gauge.h"
#include "xen/here.h"

/* What somebody wants with a domain that is there. */
enum wh_leftover_for {
    WH_TO_COPY,                 /* save it, move it */
    WH_TO_RUN,                  /* let it run, as the operator asks for */
};

struct wh_leftover {
    int fd;
    bool open;
    bool committed;             /* what fails from now on is recover's to settle */
    struct wh_gauge *gauge;     /* how far it is, for others to read; NULL: not written down */
    char path[PATH_MAX];
};

/* Before a domain is saved to a file.  Fails if somebody else works on it, or did and was killed. */
bool wh_leftover_save(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                      const struct wh_domain *d, const struct wh_outfile *out, bool keep);

/* Before it is let run because somebody says so.  There is nothing to settle of it. */
bool wh_leftover_recover(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                         const struct wh_domain *d);

/* A guest's move to another host, at the source and at the target: by the move's own id.  The state is
 * one of docs/handoff.md, and is on disk when this returns true.  more: members for the record, or
 * NULL; freed. */
bool wh_leftover_move(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, const char *verb,
                      const char *job, const char *state, const struct wh_domain *d,
                      json_object *more);
bool wh_leftover_state(struct wh_op *op, struct wh_leftover *l, const char *state);
bool wh_leftover_text(struct wh_op *op, struct wh_leftover *l, const char *key, const char *text);

/* The record of a move, which is taken if nobody holds it; *record (to be freed) NULL: there is none. */
bool wh_leftover_find(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, const char *verb,
                      const char *job, json_object **record, bool *held);

/* What a record that is held by us says; *record is to be freed. */
bool wh_leftover_read(struct wh_op *op, const struct wh_leftover *l, json_object **record);

/* Write into it that something has come about, before it does: "logged": what the guest writes to is
 * kept note of; "asked": the guest has been asked to suspend; "sent": a reader may have all of the
 * image; "given_up": the file is removed, and the guest runs on. */
bool wh_leftover_mark(struct wh_op *op, struct wh_leftover *l, const char *what);

/* Fails where somebody works on this domain, or did and was killed so that this is not to be done with it
 * before recover has been.  It may be otherwise in a moment: what has to hold opens a record.  but: one of
 * ours, or NULL. */
bool wh_leftover_free(struct wh_op *op, struct wh_here *h, const struct wh_domain *d,
                      enum wh_leftover_for what, const struct wh_leftover *but);

/* Whether somebody who lives is saving, restoring, making, moving or recovering what has this number. */
bool wh_leftover_held(struct wh_op *op, struct wh_here *h, uint32_t domid, bool *held);

/* As soon as a domain has been made that is to be built, or restored into: where l is a move's record
 * already, it is told the domain's number. */
bool wh_leftover_create(struct wh_op *op, struct wh_here *h, struct wh_leftover *l, uint32_t domid,
                        const uint8_t uuid[16]);
bool wh_leftover_restore(struct wh_op *op, struct wh_here *h, struct wh_leftover *l,
                         uint32_t domid, const uint8_t uuid[16]);

/* Settled: the record goes. */
bool wh_leftover_done(struct wh_op *op, struct wh_leftover *l);

/* The end of the operation: where it failed and all was undone the record goes too; where undoing
 * failed, or it had been committed, it stays for recover. */
void wh_leftover_close(struct wh_op *op, struct wh_leftover *l);

/* Each record that was left, held by us while see is called; where that returns true and sets *settled the
 * record goes.  l is NULL: somebody else is at work on it. */
typedef bool wh_leftover_see(struct wh_op *op, void *arg, struct wh_leftover *l, json_object *record,
                             bool *settled);
bool wh_leftover_each(struct wh_op *op, struct wh_here *h, wh_leftover_see *see, void *arg);

/* Each record that a process that lives works on, as it is now; nothing is held or changed, so that who
 * is about to begin is not disturbed.  name: "save-3".  False from see ends it. */
bool wh_leftover_at_work(struct wh_op *op, struct wh_here *h,
                         bool (*see)(struct wh_op *, void *arg, const char *name,
                                     json_object *record),
                         void *arg);

/* One of them by its name; *record is to be freed.  Nobody works on it: *at_work is false, and *record is
 * what was left, NULL: nothing. */
bool wh_leftover_look(struct wh_op *op, struct wh_here *h, const char *name, json_object **record,
                      bool *at_work);

/* Of this boot of the host: domain numbers of another mean nothing. */
bool wh_leftover_is_current(json_object *record);

#endif
