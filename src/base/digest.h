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

/* The digest of what has been fed so far, in xxHash's canonical (big-endian) form: as a number
 * it is printed by xxh128sum.  Feeding may go on afterwards. */
void wh_digest_get(const struct wh_digest *d, uint8_t out[WH_DIGEST_BYTES]);

/* The same of one buffer. */
void wh_digest_of(const void *p, size_t n, uint8_t out[WH_DIGEST_BYTES]);

#endif
