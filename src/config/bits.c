/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/bits.h"

#include <stdlib.h>
#include <string.h>

static bool grow(struct wh_bits *b, size_t nwords)
{
    uint64_t *words;

    if (nwords <= b->nwords)
        return true;
    words = realloc(b->words, nwords * sizeof *words);
    if (!words)
        return false;
    memset(words + b->nwords, 0, (nwords - b->nwords) * sizeof *words);
    b->words = words;
    b->nwords = nwords;
    return true;
}

bool wh_bits_add(struct wh_bits *b, unsigned bit)
{
    if (bit >= WH_BITS_MAX || !grow(b, bit / 64 + 1))
        return false;
    b->words[bit / 64] |= UINT64_C(1) << bit % 64;
    return true;
}

bool wh_bits_add_range(struct wh_bits *b, unsigned first, unsigned end)
{
    for (unsigned bit = first; bit < end; bit++) {
        if (!wh_bits_add(b, bit))
            return false;
    }
    return true;
}

void wh_bits_remove(struct wh_bits *b, unsigned bit)
{
    if (bit / 64 < b->nwords)
        b->words[bit / 64] &= ~(UINT64_C(1) << bit % 64);
}

bool wh_bits_has(const struct wh_bits *b, unsigned bit)
{
    return bit / 64 < b->nwords && (b->words[bit / 64] >> bit % 64 & 1);
}

unsigned wh_bits_count(const struct wh_bits *b)
{
    unsigned n = 0;

    for (size_t i = 0; i < b->nwords; i++)
        n += (unsigned)__builtin_popcountll(b->words[i]);
    return n;
}

unsigned wh_bits_end(const struct wh_bits *b)
{
    for (size_t i = b->nwords; i > 0; i--) {
        if (b->words[i - 1])
            return (unsigned)(i * 64) - (unsigned)__builtin_clzll(b->words[i - 1]);
    }
    return 0;
}

bool wh_bits_equal(const struct wh_bits *a, const struct wh_bits *b)
{
    size_t n = a->nwords > b->nwords ? a->nwords : b->nwords;

    for (size_t i = 0; i < n; i++) {
        if ((i < a->nwords ? a->words[i] : 0) != (i < b->nwords ? b->words[i] : 0))
            return false;
    }
    return true;
}

bool wh_bits_copy(struct wh_bits *to, const struct wh_bits *from)
{
    struct wh_bits copy = { 0 };

    if (!grow(&copy, from->nwords))
        return false;
    if (from->nwords > 0)
        memcpy(copy.words, from->words, from->nwords * sizeof *copy.words);
    wh_bits_free(to);
    *to = copy;
    return true;
}

void wh_bits_free(struct wh_bits *b)
{
    free(b->words);
    *b = (struct wh_bits){ 0 };
}
