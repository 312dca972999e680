/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small whole images for tests that need something to read, made by the writer. */
#ifndef TESTS_IMAGE_H
#define TESTS_IMAGE_H

#include "base/sink.h"
#include "wire/index.h"
#include "wire/record.h"
#include "wire/walk.h"

#define IMAGE_CONFIG "{\"c_info\": {\"name\": \"small\"}}"
#define IMAGE_BATCHES 3
#define IMAGE_BATCH 5               /* entries in a batch: three with contents, two without */
#define IMAGE_DATA 3
#define IMAGE_PFNS (IMAGE_BATCHES * IMAGE_BATCH)

/* The bytes of page pfn. */
void image_page(uint64_t pfn, uint8_t page[WH_PAGE_SIZE]);
/* The entries of a batch, in wire form. */
void image_entries(unsigned batch, uint64_t entry[IMAGE_BATCH]);

/* A libxc image of a guest, without and with its libxl and xl layers. */
bool image_libxc(struct wh_op *op, struct wh_sink *k, enum wh_guest guest);
bool image_libxl(struct wh_op *op, struct wh_sink *k, enum wh_guest guest);
bool image_xl(struct wh_op *op, struct wh_sink *k, enum wh_guest guest);

/* A file of such an image, at its beginning. */
int image_file(struct wh_op *op, enum wh_guest guest,
               bool (*image)(struct wh_op *, struct wh_sink *, enum wh_guest));

/* The same behind which a trailer stands, with an index; *stream is the bytes before it. */
int image_with_trailer(struct wh_op *op, enum wh_guest guest, uint64_t *stream);

/* Walk n bytes with every flaw counted in *findings and the first one's rule in rule[32]. */
bool image_walk(struct wh_op *op, const uint8_t *p, size_t n, bool digest, unsigned *findings,
                char *rule);

#endif
