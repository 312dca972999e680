/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stream of Xen before 4.6: no framing, numbers of the writer's word size.
 *
 *     p2m size | PV: all ones, extended info, p2m frames
 *     chunks: i32 n > 0: a batch of n pages; < 0: something else; 0: end of the body
 *     PV tail: unmapped pfns, vCPUs, shared info      HVM tail: magic pfns, context, QEMU's state
 *
 * Reading it is translating it: whoever listens is given the records of the version 2 stream that
 * says the same, in the order stock's converter has. */
#ifndef WH_WIRE_LEGACY_H
#define WH_WIRE_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/record.h"

struct wh_legacy_watch {
    bool (*start)(struct wh_walk *w);       /* w->image has guest and width: time for headers */
    bool (*begin)(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, uint32_t length);
    bool (*bytes)(struct wh_walk *w, const void *p, size_t n);
    bool (*contents)(struct wh_walk *w, uint64_t n);    /* take n bytes of the source itself */
    bool (*end)(struct wh_walk *w);         /* of the record's body */
};

/* Whether bytes that begin no known container may begin a legacy stream. */
bool wh_legacy_plausible(const struct wh_walk *w, const uint8_t *p, size_t n);

#endif
