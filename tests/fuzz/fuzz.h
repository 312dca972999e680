/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fuzz targets share.
 *
 * A target is a file fuzz_NAME.c with one function, which libFuzzer's main feeds with what it
 * makes up, and replay.c's with the files of the corpus.  A broken promise ends in abort(). */
#ifndef WH_FUZZ_H
#define WH_FUZZ_H

#include "wire/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Says what was promised and aborts, if it does not hold. */
void fuzz_expect(bool holds, const char *promise);

/* Read every byte of it, so that a sanitizer sees where it ends. */
void fuzz_touch(const void *p, size_t n);

/* Walk a stream twice, listening to everything: as far as the framing goes, then strictly up to
 * the first flaw.  The two must agree.  width and guest are for legacy streams, 0: find out. */
void fuzz_walk(const uint8_t *p, size_t n, unsigned width, enum wh_guest guest);

/* The same of a stream whose first bytes the target supplies. */
void fuzz_walk_behind(const void *head, size_t head_n, const uint8_t *p, size_t n);

/* A memfd with these bytes, standing at the first. */
int fuzz_file(const void *p, size_t n);

#endif
