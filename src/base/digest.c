/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The digest, on xxHash compiled in (its header is the library). */
#include "base/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

struct wh_digest {
    XXH3_state_t state;
};

struct wh_digest *wh_digest_new(void)
{
    /* The state wants 64-byte alignment, more than malloc promises. */
    struct wh_digest *d = aligned_alloc(64, (sizeof *d + 63) & ~(size_t)63);

    if (d)
        XXH3_128bits_reset(&d->state);
    return d;
}

void wh_digest_free(struct wh_digest *d)
{
    free(d);
}

void wh_digest_feed(struct wh_digest *d, const void *p, size_t n)
{
    XXH3_128bits_update(&d->state, p, n);
}

static void canonical(XXH128_hash_t h, uint8_t out[WH_DIGEST_BYTES])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, h);
}

void wh_digest_get(const struct wh_digest *d, uint8_t out[WH_DIGEST_BYTES])
{
    canonical(XXH3_128bits_digest(&d->state), out);
}

void wh_digest_of(const void *p, size_t n, uint8_t out[WH_DIGEST_BYTES])
{
    canonical(XXH3_128bits(p, n), out);
}
