/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing streams: headers, records, page batches.  What is written is held to the same tables
 * as what is read; a record that breaks its row is our own mistake. */
#ifndef WH_WIRE_PUT_H
#define WH_WIRE_PUT_H

#include "base/sink.h"
#include "wire/record.h"

/* The xl header and its optional data.  config NULL: no optional data.  length as stored: for
 * JSON with its NUL.  extra stands behind the configuration. */
struct wh_xl {
    uint32_t mandatory_flags, optional_flags;
    const char *config;
    size_t length;
    const void *extra;
    size_t extra_length;
};
bool wh_put_xl(struct wh_op *op, struct wh_sink *k, const struct wh_xl *xl);
bool wh_put_libxl_header(struct wh_op *op, struct wh_sink *k, uint32_t options);
bool wh_put_libxc_headers(struct wh_op *op, struct wh_sink *k, enum wh_guest guest,
                          uint32_t xen_major, uint32_t xen_minor);

/* A record's header; its body, then wh_put_end, are to follow. */
bool wh_put_begin(struct wh_op *op, struct wh_sink *k, uint32_t type, uint32_t length);
/* The padding of a body of that length. */
bool wh_put_end(struct wh_op *op, struct wh_sink *k, uint32_t length);

/* A whole record of a layer. */
bool wh_put_record(struct wh_op *op, struct wh_sink *k, const struct wh_layer *layer,
                   uint32_t type, const void *body, size_t length);

/* PAGE_DATA of n entries in wire form (type in bits 63-60); page[i] is 4096 bytes for each entry
 * that has contents, in order. */
bool wh_put_pages(struct wh_op *op, struct wh_sink *k, const uint64_t *entry, size_t n,
                  const uint8_t *const *page);

/* The same record up to its contents: of the n entries, data have some, 4096 bytes each, which
 * are to follow. */
bool wh_put_pages_head(struct wh_op *op, struct wh_sink *k, const uint64_t *entry, size_t n,
                       size_t data);

#endif
