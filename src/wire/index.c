/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/index.h"

#include <stdlib.h>

void wh_index_init(struct wh_index *x)
{
    *x = (struct wh_index){ .per = 1 };
}

void wh_index_free(struct wh_index *x)
{
    free(x->entry);
    wh_index_init(x);
}

static void widen(struct wh_index_entry *e, uint64_t first, uint64_t last, uint64_t records)
{
    if (first < e->first)
        e->first = first;
    if (last > e->last)
        e->last = last;
    e->records += records;
}

static void halve(struct wh_index *x)
{
    for (size_t i = 0; i < x->count / 2; i++) {
        const struct wh_index_entry *b = &x->entry[2 * i + 1];

        x->entry[i] = x->entry[2 * i];
        widen(&x->entry[i], b->first, b->last, b->records);
    }
    x->count /= 2;
    x->per *= 2;
}

static bool room_for_one(struct wh_index *x)
{
    struct wh_index_entry *more;

    if (x->count < x->room)
        return true;
    if (x->room == WH_INDEX_MAX) {
        halve(x);
        return true;
    }
    x->room = x->room ? 2 * x->room : 64;
    more = realloc(x->entry, x->room * sizeof *more);
    if (!more) {
        x->off = true;
        x->count = 0;
        return false;
    }
    x->entry = more;
    return true;
}

void wh_index_add(struct wh_index *x, uint64_t at, uint64_t first, uint64_t last)
{
    if (x->off)
        return;
    if (x->count > 0 && x->entry[x->count - 1].records < x->per) {
        widen(&x->entry[x->count - 1], first, last, 1);
        return;
    }
    if (room_for_one(x))
        x->entry[x->count++] = (struct wh_index_entry){ at, first, last, 1 };
}
