/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The beginning and the end that all operations on an image share: open, walk, close. */
#ifndef WH_FLOW_INPUT_H
#define WH_FLOW_INPUT_H

#include "base/job.h"
#include "wire/walk.h"

struct wh_input {
    const struct wh_job *job;
    int fd;
    struct wh_source src;
    struct wh_walk walk;
};

/* A flag beyond those of the library: check the digest if the input ends in a trailer, or may. */
#define WH_DIGEST_IF_ANY (1u << 16)

/* Open a job's input and ready a walk over it.  flags: WH_DIGEST, WH_DIGEST_IF_ANY, WH_PEDANTIC.  Closed by
 * wh_input_close also after a failure. */
bool wh_input_open(struct wh_op *op, struct wh_input *in, const struct wh_job *job,
                   const struct wh_watch *watch, void *arg, unsigned flags);
void wh_input_close(struct wh_input *in);

/* What every watcher's .record begins with: a configuration that is to be JSON is JSON. */
bool wh_check_config(struct wh_walk *w, const struct wh_rec *r);

/* Whether a record is the xl layer's configuration. */
bool wh_is_config(const struct wh_rec *r);

/* Whether a digest was recorded and, if every byte was read, whether it is the bytes'. */
enum wh_digest_state { WH_DIGEST_NONE, WH_DIGEST_UNREAD, WH_DIGEST_GOOD, WH_DIGEST_BAD };
enum wh_digest_state wh_digest_state(const struct wh_walk *w);
const char *wh_digest_word(enum wh_digest_state s);

/* 32 hex digits and a NUL. */
void wh_digest_text(const uint8_t digest[WH_DIGEST_BYTES], char text[2 * WH_DIGEST_BYTES + 1]);

#endif
