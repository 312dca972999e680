/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What legacy.c and legacy_head.c share while a legacy stream is read. */
#ifndef WH_WIRE_LEGACY_PARTS_H
#define WH_WIRE_LEGACY_PARTS_H

#include "base/bytes.h"
#include "wire/legacy.h"
#include "wire/walk.h"

#define WH_LEGACY_PARAMS 64
#define WH_LEGACY_PHYSMAP 4096

struct wh_legacy {
    unsigned word;                  /* bytes: 4 or 8 */
    uint64_t pages;                 /* p2m size */
    uint32_t context_bytes;         /* PV: of a vCPU's basic context */
    bool has_extended;
    uint32_t xsave_bytes;           /* PV: 0: none */
    uint64_t online[64];            /* vCPUs */
    unsigned params;
    uint8_t param[8 + 16 * WH_LEGACY_PARAMS];
    struct {
        size_t used;
        uint8_t bytes[64u << 10];
    } physmap;                      /* EMULATOR_XENSTORE_DATA in the making */
};

static inline uint64_t wh_legacy_word(const struct wh_legacy *g, const uint8_t *p)
{
    return g->word == 4 ? wh_le32(p) : wh_le64(p);
}

/* Everything up to the first chunk. */
bool wh_legacy_head(struct wh_walk *w, struct wh_legacy *g);
/* The toolstack chunk: QEMU's physmap, as xenstore keys. */
bool wh_legacy_toolstack(struct wh_walk *w, struct wh_legacy *g, struct wh_rec *r);
/* One whole record to whoever listens. */
bool wh_legacy_emit(struct wh_walk *w, const struct wh_layer *layer, uint32_t type, const void *p,
                    size_t n);

#endif
