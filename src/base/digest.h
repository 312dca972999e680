/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XXH3-128 of a run of bytes, fed in pieces. */
#ifndef WH_BASE_DIGEST_H
#define WH_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_DIGEST_BYTES 16

struct wh_digest;

/* NULL: out of memory.  Freed by wh_digest_free, which takes NULL. */
struct wh_digest *wh_digest_new(void);
void wh_digest_free(struct wh_digest *d);

void wh_digest_feed(struct wh_digest *d, const void *p, size_t n);

/* The same of bytes that stay as they are until wh_digest_settle: once a thread has been asked for it
 * is done there, beside the caller.  Without one, or without a second processor, it is done at once. */
void wh_digest_thread(struct wh_digest *d);
void wh_digest_lend(struct wh_digest *d, const void *p, size_t n);
void wh_digest_zeros(struct wh_digest *d, size_t n);
void wh_digest_settle(struct wh_digest *d);     /* takes NULL; waits for a few MiB at most */

/* A mark behind what has been lent so far, and: all before that mark may be changed again. */
unsigned long wh_digest_mark(const struct wh_digest *d);
void wh_digest_reach(struct wh_digest *d, unsigned long mark);

/* The digest of what has been fed so far, in xxHash's canonical (big-endian) form: as a number
 * it is printed by xxh128sum.  Feeding may go on afterwards. */
void wh_digest_get(struct wh_digest *d, uint8_t out[WH_DIGEST_BYTES]);

/* The same of one buffer. */
void wh_digest_of(const void *p, size_t n, uint8_t out[WH_DIGEST_BYTES]);

#endif
