/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records, and the tables that say all there is to say about them.
 *
 * A stream is layers of records.  Each layer has one table (xl.c, libxl.c, libxc.c, legacy.c,
 * trailer.c), a row a record type; fixed headers are rows too.  The row drives the reader, verify
 * (check), inspect (print, apply), the writer's bounds, the fuzzers and docs/streams.md.
 *
 *     { 0x08, "X86_TSC_INFO", 24, 24, 0, WH_ANY_GUEST, IN_PAGES | IN_TAIL, 0, ... }
 *       type  name           min max unit guests       phases it may      phase
 *                            (body bytes)              come in            it opens
 */
#ifndef WH_WIRE_RECORD_H
#define WH_WIRE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_REC_HEADER 8                     /* type and length */
#define WH_REC_OPTIONAL UINT32_C(0x80000000)
#define WH_WHOLE_MAX (4u << 20)             /* the longest body that is held in memory: an HVM
                                               context of 300 vCPUs with the largest state */
#define WH_PAGE_SIZE 4096

enum wh_guest { WH_NO_GUEST = 0, WH_PV = 1, WH_HVM = 2, WH_ANY_GUEST = 3 };

enum wh_row_flags {
    WH_HEADER = 1 << 0,         /* a fixed header without type and length in front of it */
    WH_BULK = 1 << 1,           /* body is streamed to .bulk instead of held in memory */
    WH_ONCE = 1 << 2,           /* once between checkpoints */
    WH_NEEDED = 1 << 3,         /* its absence is an error at END */
    WH_SINCE_V3 = 1 << 4,       /* libxc version 3 and later only */
    WH_MARK = 1 << 5,           /* the walk itself acts on it: END, LIBXC_CONTEXT, ... */
};

enum wh_form { WH_DEC, WH_HEX, WH_ZERO };

/* A fixed integer in a header or at the start of a body. */
struct wh_member {
    const char *name;
    uint16_t at, size;          /* bytes; size 1, 2, 4 or 8 */
    enum wh_form form;          /* WH_ZERO: reserved */
    bool big;                   /* big endian */
    uint64_t least, most;       /* legal values; most 0: any */
    const char *says;           /* for the format document; may be NULL */
};

struct wh_walk;
struct wh_rec;
struct wh_image;
struct wh_line;

struct wh_row {
    uint32_t type;
    const char *name;           /* the specification's */
    uint32_t min, max, unit;    /* body bytes; beyond min in multiples of unit (0: any) */
    unsigned guests;            /* enum wh_guest */
    unsigned in, opens;         /* phases of the layer; opens 0: stays */
    unsigned flags;
    const struct wh_member *fields;          /* ends with an empty name; NULL: none */
    bool (*check)(struct wh_walk *w, const struct wh_rec *r);   /* beyond the columns; or NULL */
    bool (*bulk)(struct wh_walk *w, const struct wh_rec *r);    /* reads and checks the body */
    void (*print)(const struct wh_rec *r, struct wh_line *l);   /* beyond the fields; or NULL */
    void (*apply)(struct wh_image *i, const struct wh_rec *r);  /* what it tells of the guest */
    const char *says;           /* one line for the format document */
};

enum wh_layer_id { WH_LAYER_XL, WH_LAYER_LIBXL, WH_LAYER_LIBXC, WH_LAYER_LEGACY, WH_LAYER_TRAILER,
                   WH_LAYERS };

struct wh_layer {
    enum wh_layer_id id;
    const char *name;           /* "libxc" */
    const char *title;          /* for the format document */
    const struct wh_row *rows;
    size_t count;
    uint32_t length_max;        /* of any record's body */
    const char *const *phases;  /* names by bit, NULL-terminated */
};

extern const struct wh_layer wh_layer_xl, wh_layer_libxl, wh_layer_libxc, wh_layer_legacy,
    wh_layer_trailer;
extern const struct wh_layer *const wh_layers[WH_LAYERS];

/* A record as met in a stream. */
struct wh_rec {
    const struct wh_layer *layer;
    const struct wh_row *row;   /* NULL: not in the table */
    uint32_t type;
    uint32_t length;            /* of the body, without padding */
    uint64_t at;                /* offset of its header */
    uint64_t body_at;
    const uint8_t *body;        /* whole; NULL if it is bulk */
};

/* The row of a record type; NULL: none.  Headers are never found. */
const struct wh_row *wh_row_find(const struct wh_layer *layer, uint32_t type);
const struct wh_row *wh_row_named(const struct wh_layer *layer, const char *name);

/* The specification's name, or "0x80000123". */
const char *wh_rec_name(const struct wh_rec *r, char *scratch, size_t n);

/* Every column that can be judged from the record alone: length, guest, fields.  False: stop. */
bool wh_rec_check_length(struct wh_walk *w, const struct wh_rec *r);
bool wh_rec_check_fields(struct wh_walk *w, const struct wh_rec *r);

/* A line of text that grows to a bound. */
struct wh_line {
    char text[512];
    size_t used;
};

void wh_say(struct wh_line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "width=8 levels=4": the fields, then what .print adds. */
void wh_rec_print(const struct wh_rec *r, struct wh_line *l);

/* A field's value, by name.  An unknown name is our own mistake. */
uint64_t wh_rec_field(const struct wh_rec *r, const char *name);

#endif
