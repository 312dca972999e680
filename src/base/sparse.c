/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/sparse.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK_BITS 15
#define CHUNK (UINT64_C(1) << CHUNK_BITS)
#define PART_BITS 15
#define PART (1u << PART_BITS)
#define TOP (1u << (WH_SPARSE_BITS - PART_BITS - CHUNK_BITS))
#define WORDS (CHUNK / 64)

struct chunk {
    uint32_t count;
    uint64_t word[WORDS];
};

/* A whole part is 256 KiB of slots: 4 TiB of guest. */
struct wh_sparse_part {
    unsigned end;                           /* slots from here on have never been touched */
    struct chunk *chunk[PART];
};

static struct chunk everything;             /* its address stands for a chunk all of which is set */
#define FULL (&everything)

void wh_sparse_init(struct wh_sparse *s, size_t limit)
{
    *s = (struct wh_sparse){ .limit = limit, .purse = s };
}

void wh_sparse_init_shared(struct wh_sparse *s, struct wh_sparse *purse)
{
    *s = (struct wh_sparse){ .purse = purse };
}

static void give_back(struct wh_sparse *s, void *p, size_t size)
{
    free(p);
    s->purse->used -= size;
}

void wh_sparse_free(struct wh_sparse *s)
{
    for (unsigned t = 0; s->top && t < TOP; t++) {
        for (unsigned m = 0; s->top[t] && m < s->top[t]->end; m++) {
            if (s->top[t]->chunk[m] && s->top[t]->chunk[m] != FULL)
                give_back(s, s->top[t]->chunk[m], sizeof *s->top[t]->chunk[m]);
        }
        if (s->top[t])
            give_back(s, s->top[t], sizeof *s->top[t]);
    }
    if (s->top)
        give_back(s, s->top, TOP * sizeof *s->top);
    if (s->purse == s)
        wh_sparse_init(s, s->limit);
    else
        wh_sparse_init_shared(s, s->purse);
}

static void *claim(struct wh_sparse *s, size_t size)
{
    void *p = s->purse->used + size <= s->purse->limit ? calloc(1, size) : NULL;

    if (p)
        s->purse->used += size;
    else
        s->full = true;
    return p;
}

static struct chunk *look(const struct wh_sparse *s, uint64_t n)
{
    uint64_t c = n >> CHUNK_BITS;
    struct wh_sparse_part *part = s->top && c >> PART_BITS < TOP ? s->top[c >> PART_BITS] : NULL;

    return part ? part->chunk[c & (PART - 1)] : NULL;
}

/* The slot of n's chunk, its part made if need be.  NULL: no memory. */
static struct chunk **slot(struct wh_sparse *s, uint64_t n)
{
    uint64_t c = n >> CHUNK_BITS;
    struct wh_sparse_part **part;

    if (n >> WH_SPARSE_BITS) {
        s->full = true;
        return NULL;
    }
    if (!s->top)
        s->top = claim(s, TOP * sizeof *s->top);
    if (!s->top)
        return NULL;
    part = &s->top[c >> PART_BITS];
    if (!*part)
        *part = claim(s, sizeof **part);
    if (!*part)
        return NULL;
    if ((*part)->end <= (c & (PART - 1)))
        (*part)->end = (unsigned)(c & (PART - 1)) + 1;
    return &(*part)->chunk[c & (PART - 1)];
}

bool wh_sparse_set(struct wh_sparse *s, uint64_t n)
{
    struct chunk **at = slot(s, n), *c;
    uint64_t bit = UINT64_C(1) << (n & 63);
    uint64_t *word;

    if (!at)
        return false;
    if (*at == FULL)
        return true;
    if (!*at)
        *at = claim(s, sizeof **at);
    c = *at;
    if (!c)
        return false;
    word = &c->word[(n & (CHUNK - 1)) / 64];
    if (*word & bit)
        return true;

    *word |= bit;
    s->count++;
    if (++c->count == CHUNK) {
        give_back(s, c, sizeof *c);
        *at = FULL;
    }
    return false;
}

/* A part of a run that lies within one chunk. */
static void set_in_chunk(struct wh_sparse *s, struct chunk **at, uint64_t first, uint64_t end)
{
    struct chunk *c = *at;
    uint32_t before;

    if (c == FULL)
        return;
    if (!c && end - first == CHUNK) {
        *at = FULL;
        s->count += CHUNK;
        return;
    }
    if (!c)
        c = *at = claim(s, sizeof *c);
    if (!c)
        return;
    before = c->count;
    for (uint64_t n = first, m; n < end; n += m) {
        uint64_t *word = &c->word[(n & (CHUNK - 1)) / 64], mask;

        m = 64 - (n & 63) < end - n ? 64 - (n & 63) : end - n;
        mask = (m == 64 ? UINT64_MAX : (UINT64_C(1) << m) - 1) << (n & 63);
        c->count += (uint32_t)__builtin_popcountll(mask & ~*word);
        *word |= mask;
    }
    s->count += c->count - before;
    if (c->count == CHUNK) {
        give_back(s, c, sizeof *c);
        *at = FULL;
    }
}

void wh_sparse_set_run(struct wh_sparse *s, uint64_t first, uint64_t end)
{
    for (uint64_t n = first, to; n < end; n = to) {
        struct chunk **at = slot(s, n);

        to = (n | (CHUNK - 1)) + 1 < end ? (n | (CHUNK - 1)) + 1 : end;
        if (!at)
            return;
        set_in_chunk(s, at, n, to);
    }
}

void wh_sparse_clear(struct wh_sparse *s, uint64_t n)
{
    struct chunk **at, *c = look(s, n);
    uint64_t bit = UINT64_C(1) << (n & 63);
    uint64_t *word;

    if (!c)
        return;
    at = slot(s, n);
    if (c == FULL) {
        c = claim(s, sizeof *c);
        if (!c)
            return;
        memset(c->word, 0xff, sizeof c->word);
        c->count = CHUNK;
        *at = c;
    }
    word = &c->word[(n & (CHUNK - 1)) / 64];
    if (!(*word & bit))
        return;
    *word &= ~bit;
    s->count--;
    if (--c->count == 0) {
        give_back(s, c, sizeof *c);
        *at = NULL;
    }
}

bool wh_sparse_has(const struct wh_sparse *s, uint64_t n)
{
    const struct chunk *c = look(s, n);

    return c && (c == FULL || (c->word[(n & (CHUNK - 1)) / 64] >> (n & 63) & 1));
}

#define ALL (UINT64_C(1) << WH_SPARSE_BITS)

/* Where the next number at or after n that is set (or not) may be found, skipping whole chunks
 * and parts.  Before end there is none: UINT64_MAX, or end. */
static uint64_t next(const struct wh_sparse *s, uint64_t n, bool set, uint64_t end)
{
    end = end < ALL ? end : ALL;
    while (n < end) {
        uint64_t t = n >> (CHUNK_BITS + PART_BITS);
        const struct chunk *c;

        if (!s->top || !s->top[t]) {
            if (!set)
                return n;
            n = (t + 1) << (CHUNK_BITS + PART_BITS);
            continue;
        }
        c = look(s, n);
        if (!c || c == FULL) {
            if ((c == FULL) == set)
                return n;
            n = ((n >> CHUNK_BITS) + 1) << CHUNK_BITS;
            continue;
        }
        uint64_t w = c->word[(n & (CHUNK - 1)) / 64];
        w = (set ? w : ~w) >> (n & 63);
        if (w)
            return n + (unsigned)__builtin_ctzll(w);
        n = (n | 63) + 1;
    }
    return set ? UINT64_MAX : end;
}

bool wh_sparse_run(const struct wh_sparse *s, uint64_t from, uint64_t *first, uint64_t *end)
{
    *first = next(s, from, true, ALL);
    if (*first == UINT64_MAX)
        return false;
    *end = next(s, *first, false, ALL);
    return true;
}

uint64_t wh_sparse_count(const struct wh_sparse *s, uint64_t first, uint64_t end)
{
    uint64_t count = 0;

    while ((first = next(s, first, true, end)) < end) {
        uint64_t until = next(s, first, false, end);

        count += (until < end ? until : end) - first;
        first = until;
    }
    return count;
}
