/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two hosts in memory, a guest on one, and a link between them that can be cut, go deaf or be slow.
 *
 *     sender --- FOLDER/w.sock --- pump --- pump --- receiver      for each caller a receiver, as an
 *       S                                               T          ssh would start one
 *
 * What happens to a move happens at one moment of it: as a side makes its n-th call of its backend, or
 * begins its n-th step.  A process that is killed is a thread that stops for ever, whose descriptors,
 * mappings and connections are taken from it; nothing of it is undone. */
#ifndef TESTS_SIM_MOVE_WORLD_H
#define TESTS_SIM_MOVE_WORLD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/json.h"
#include "flow/task.h"
#include "hvm.h"
#include "xen/fake.h"

#define MOVE_MB 4
#define MOVE_HURRY 20               /* a silence of 20 seconds is one of one */

enum move_side { SOURCE, TARGET };

enum move_line { LINE_GOOD, LINE_DEAF, LINE_SLOW };

/* When: the n-th (from 1) of what the side does; n 0: never.  A record: as one is brought to disk. */
enum move_when { AT_CALL, AT_SHIELDED, AT_STEP, AT_RECORD, MOVE_WHENS };

enum move_what {
    GOES_WELL,
    CALL_FAILS, CALL_LOST, CALL_HANGS, CALL_CANCELLED, CALL_CANCELLED_IN,   /* AT_CALL, AT_SHIELDED */
    IS_KILLED,
    IS_CANCELLED,
    LINK_CUT, LINK_CUT_THERE, LINK_CUT_BACK,
    LINK_DEAF,                      /* until recover: as if a cable were out */
    STALLS,                         /* longer than any deadline */
    STALLS_SHORTLY,
    DISK_FAILS,                     /* AT_RECORD */
    SOMEBODY_COMES,                 /* .somebody is called */
    MOVE_WHATS
};

struct move_event {
    enum move_side side;
    enum move_when when;
    uint64_t n;
    enum move_what what;
    uint64_t turn;                  /* the side is turned back by a cancel at this call of its; 0: not */
};

/* What becomes of a frame that is on its way.  o: the message, to be changed at will; NULL: it is none. */
enum move_tamper { PASSES, IS_DROPPED, COMES_TWICE, COMES_LATE, CUTS_THE_LINK };

struct move;

struct side {
    struct move *m;
    struct wh_fake *f;
    struct wh_here here;            /* for what is not a receiver */
    char folder[256], program[PATH_MAX];
    char *check, *tree, *files;     /* what there was before there was a guest */
    _Atomic bool runs;              /* a guest did as the side last made a call */
    _Atomic uint64_t steps, records;
    _Atomic(const char *) on_disk;  /* the state that the move's record is known to have there */
    char step[400][48];             /* and what they were called */
};

struct pump {
    struct move *m;
    int from, to;
    enum move_side side;            /* whose words they are */
    uint8_t bytes[600 << 10];
    size_t n, skip;                 /* skip: that come before the first frame */
};

/* One caller, and the receiver that it got. */
struct caller {
    struct caller *next;
    struct move *m;
    int fd, pair[2];                /* to the sender; pumps' and the receiver's */
    struct pump pump[2];
    pthread_t thread, pumps[2];
    struct wh_here here;
    struct wh_job *job;
    _Atomic bool ended, killed;
    enum wh_kind kind;
    char error[1100];
};

struct move {
    struct side s, t;
    char folder[256], at[300];
    uint32_t domid;
    bool hvm;
    struct move_event event;
    void (*somebody)(struct move *m);
    atomic_bool met, stop, began;
    char met_at[80];
    _Atomic int line;
    enum move_tamper (*tamper)(struct move *m, enum move_side from, unsigned kind, uint8_t *body,
                               json_object *o);
    const void *tamper_arg;
    void (*hears)(struct move *m, enum move_side side, const char *call);   /* each call, as it is made */
    uint8_t *said;                  /* if not NULL: what the source has said, for as much as there is room */
    size_t saids, room;

    const char *through;            /* a socket at which the receiver is, of the test's own making; or NULL */
    int listening;
    pthread_t server;
    pthread_mutex_t lock;           /* of the callers */
    struct caller *callers;
    struct wh_receive_how receive;

    struct wh_job *job;             /* the sender's */
    atomic_bool ended, killed;
    enum wh_kind kind;
    char error[1100];
    json_object *result;

    atomic_bool twice;              /* the guest ran on both */
    char torn[300];                 /* a copy that went before another ran was not the same */
    _Atomic unsigned compared;
    char early[200];                /* what was done before its record was on disk (docs/handoff.md) */
};

/* The guest is made, and dirties its memory; nothing listens yet. */
void move_open(struct move *m, bool hvm);
void move_close(struct move *m);

/* Receivers are there for whoever calls; they end with the last one that is at work. */
void move_serve(struct move *m);
void move_serve_no_more(struct move *m);
void move_await_receivers(struct move *m);
/* Call a receiver as a sender would: a descriptor. */
int move_call(struct move *m);

/* The move, and what is to happen in it; both sides have ended, or died, when it returns. */
void move_run(struct move *m, const struct wh_send_how *how);

/* The link is as good as new, and the operator tries recover on each side until it says that there is
 * nothing to do: at most so often.  Its last text, malloc'd. */
char *move_recover(struct move *m, struct side *h, bool look_only);

/* A job on a side. */
enum wh_kind move_perform(struct side *h, struct wh_job *j, char error[1100]);

/* A guest "g" that runs there. */
bool move_runs(struct side *h);
unsigned move_records(const struct side *h, const char *verb, char name[600]);

/* What there was before there was a guest; a malloc'd text of what there is else, or NULL. */
char *move_left(struct side *h);

#endif
