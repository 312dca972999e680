/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A set of small numbers (vCPUs, CPUs) that grows as needed. */
#ifndef WH_CONFIG_BITS_H
#define WH_CONFIG_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_BITS_MAX 8192        /* one past the greatest number */

struct wh_bits {
    uint64_t *words;
    size_t nwords;
};

/* False: out of memory, or the number is WH_BITS_MAX or more. */
bool wh_bits_add(struct wh_bits *b, unsigned bit);
bool wh_bits_add_range(struct wh_bits *b, unsigned first, unsigned end);   /* end not included */
void wh_bits_remove(struct wh_bits *b, unsigned bit);
bool wh_bits_has(const struct wh_bits *b, unsigned bit);
unsigned wh_bits_count(const struct wh_bits *b);
unsigned wh_bits_end(const struct wh_bits *b);              /* one past the greatest; 0: empty */
bool wh_bits_equal(const struct wh_bits *a, const struct wh_bits *b);
bool wh_bits_copy(struct wh_bits *to, const struct wh_bits *from);
void wh_bits_free(struct wh_bits *b);

#endif
