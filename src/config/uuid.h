/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's uuid: 16 bytes in the order they are printed in, as Xen's domain handle. */
#ifndef WH_CONFIG_UUID_H
#define WH_CONFIG_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_UUID_TEXT 37         /* with its NUL */

struct wh_uuid {
    uint8_t byte[16];
};

/* "b7ad599f-af34-4ae5-9ad4-5ae6a79079d3": 36 characters of this form and no others, either case. */
bool wh_uuid_parse(const char *text, struct wh_uuid *u);
const char *wh_uuid_print(struct wh_uuid u, char text[WH_UUID_TEXT]);   /* lower case; text */
bool wh_uuid_make(struct wh_uuid *u);                       /* random; false: errno says why */
bool wh_uuid_is_zero(struct wh_uuid u);
bool wh_uuid_equal(struct wh_uuid a, struct wh_uuid b);

#endif
