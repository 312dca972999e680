/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job: an operation with its input, to be run here or on a thread (wherry.h, "jobs").
 *
 * A folder of operations embeds the struct as the first member of its own and gives run and
 * free; everything else is done here. */
#ifndef WH_BASE_JOB_H
#define WH_BASE_JOB_H

#include <pthread.h>

#include "base/op.h"

#define WH_JOB_EVENTS 64

struct wh_job {
    struct wh_op op;
    bool (*run)(struct wh_op *op, struct wh_job *j);
    void (*free)(struct wh_job *j);         /* what is beyond this struct; may be NULL */
    char *path;                             /* of the input, for texts and for opening it */
    int input;                              /* the caller's descriptor, -1: open path */
    char *json;                             /* the result, malloc'd; NULL: none */
    _Atomic int state;                      /* enum wh_state */
    int event_fd;
    bool threaded;
    pthread_t thread;
    pthread_mutex_t lock;                   /* of the events */
    char *event[WH_JOB_EVENTS];             /* not fetched yet, oldest first */
    size_t events;
};

/* A zeroed job of size bytes, of which struct wh_job is the first member.  NULL: no memory. */
void *wh_job_make(size_t size, const char *path, bool (*run)(struct wh_op *, struct wh_job *),
                  void (*drop)(struct wh_job *));

/* Something has happened that its owner may want to know of: JSON text, copied.  Where nobody fetches
 * them the oldest go. */
void wh_job_tell(struct wh_job *j, const char *json);

/* The job's input, opened if it is to be ("-" is standard input).  *fd is to be closed by
 * wh_job_close_input. */
bool wh_job_open_input(struct wh_op *op, const struct wh_job *j, int *fd);
void wh_job_close_input(const struct wh_job *j, int fd);

#endif
