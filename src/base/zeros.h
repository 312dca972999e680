/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many zero bytes into an XXH3 state, at a cost that hardly depends on how many. */
#ifndef WH_BASE_ZEROS_H
#define WH_BASE_ZEROS_H

#include <stddef.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

/* As if n zeros were given to XXH3_128bits_update; the state was reset without seed or secret. */
void wh_zeros_update(XXH3_state_t *state, size_t n);

#endif
