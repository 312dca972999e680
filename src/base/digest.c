/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The digest, on xxHash: by the widest vectors of this machine where the library can choose. */
#include "base/digest.h"

#include <stdlib.h>

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

struct wh_digest *wh_digest_new(void)
{
    XXH3_state_t *state = XXH3_createState();

    if (state)
        XXH3_128bits_reset(state);
    return (struct wh_digest *)state;
}

void wh_digest_free(struct wh_digest *d)
{
    XXH3_freeState((XXH3_state_t *)d);
}

void wh_digest_feed(struct wh_digest *d, const void *p, size_t n)
{
    XXH3_128bits_update((XXH3_state_t *)d, p, n);
}

static void canonical(XXH128_hash_t h, uint8_t out[WH_DIGEST_BYTES])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, h);
}

void wh_digest_get(const struct wh_digest *d, uint8_t out[WH_DIGEST_BYTES])
{
    canonical(XXH3_128bits_digest((const XXH3_state_t *)d), out);
}

void wh_digest_of(const void *p, size_t n, uint8_t out[WH_DIGEST_BYTES])
{
    canonical(XXH3_128bits(p, n), out);
}
