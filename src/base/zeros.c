/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XXH3 works through stripes of 64 bytes, and stirs after each block of 16:
 *
 *     a stripe    acc[i] += low(key) * high(key), key = data ^ secret      (and acc[i ^ 1] += data)
 *     a block     acc[i] = (acc[i] ^ acc[i] >> 47 ^ secret) * prime
 *
 * Where the data is zero a stripe adds what depends on the secret alone, so the stripes up to the
 * next stirring are one addition.  A kibibyte of zeros comes to a stirring and two additions. */
#include "base/zeros.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/bytes.h"

#define LANES 8
#define STRIPE 64
#define STRIPES 16                  /* a block, with the secret that the library has by itself */
#define BLOCK (STRIPES * STRIPE)
#define SECRET 192
#define PRIME 0x9E3779B1u
#define SETTLED 512                 /* so many zeros, and those that the state holds back are zeros */

static const uint8_t nothing[BLOCK + SETTLED];

static void literally(XXH3_state_t *state, size_t n)
{
    for (size_t m; n > 0; n -= m) {
        m = n < sizeof nothing ? n : sizeof nothing;
        XXH3_128bits_update(state, nothing, m);
    }
}

/* What the first so many stripes of a block add. */
struct sums {
    uint64_t of[STRIPES + 1][LANES];
};

static void sum(struct sums *sums, const uint8_t *secret)
{
    memset(sums->of[0], 0, sizeof sums->of[0]);
    for (unsigned s = 0; s < STRIPES; s++)
        for (unsigned i = 0; i < LANES; i++) {
            uint64_t key = wh_le64(secret + 8 * s + 8 * i);

            sums->of[s + 1][i] = sums->of[s][i] + (key & UINT32_MAX) * (key >> 32);
        }
}

/* Lane after lane, each a chain of its own: side by side compilers would make vectors of them, whose
 * multiplication of 64 bits is many instructions where a register's is one. */
static void skip_blocks(XXH3_state_t *state, const uint8_t *secret, size_t blocks)
{
    size_t at = state->nbStripesSoFar;
    struct sums sums;

    sum(&sums, secret);
    for (unsigned i = 0; i < LANES; i++) {
        uint64_t stir = wh_le64(secret + SECRET - STRIPE + 8 * i), begun = sums.of[at][i];
        uint64_t to_end = sums.of[STRIPES][i] - begun, a = state->acc[i];

        for (size_t b = 0; b < blocks; b++) {
            a += to_end;
            a = (a ^ a >> 47 ^ stir) * PRIME + begun;
        }
        state->acc[i] = a;
    }
    state->totalLen += blocks * BLOCK;
}

static void quickly(XXH3_state_t *state, size_t n)
{
    const uint8_t *secret = state->extSecret ? state->extSecret : state->customSecret;
    size_t blocks = (n - SETTLED) / BLOCK;

    literally(state, SETTLED);
    skip_blocks(state, secret, blocks);
    literally(state, n - SETTLED - blocks * BLOCK);
}

/* The state is the library's, which may be another than the header is of: its fields mean what they
 * should if they lead to the digests that its functions do. */
static bool is_as_known;

static bool same(size_t before, size_t n)
{
    XXH3_state_t a, b;
    uint8_t some[BLOCK + SETTLED];

    memset(some, 0x5a, sizeof some);
    XXH3_128bits_reset(&a);
    XXH3_128bits_update(&a, some, before);
    b = a;
    if (b.nbStripesPerBlock != STRIPES || b.secretLimit != SECRET - STRIPE ||
        b.nbStripesSoFar >= STRIPES)
        return false;
    literally(&a, n);
    quickly(&b, n);
    XXH3_128bits_update(&a, some, 100);
    XXH3_128bits_update(&b, some, 100);
    return XXH128_isEqual(XXH3_128bits_digest(&a), XXH3_128bits_digest(&b));
}

static void look(void)
{
    is_as_known = same(0, 4096) && same(8, 4096) && same(333, 5000) && same(1100, 16384);
}

void wh_zeros_update(XXH3_state_t *state, size_t n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, look);
    if (is_as_known && n >= SETTLED + BLOCK && state->nbStripesSoFar < STRIPES)
        quickly(state, n);
    else
        literally(state, n);
}
