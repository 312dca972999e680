/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network interface's address. */
#ifndef WH_CONFIG_MAC_H
#define WH_CONFIG_MAC_H

#include <stdbool.h>
#include <stdint.h>

#define WH_MAC_TEXT 18          /* with its NUL */

struct wh_mac {
    uint8_t byte[6];
};

/* "00:16:3e:12:34:56": six bytes in hex, one or two digits each, between colons or dashes. */
bool wh_mac_parse(const char *text, struct wh_mac *m);
const char *wh_mac_print(struct wh_mac m, char text[WH_MAC_TEXT]);      /* lower case; text */
bool wh_mac_make(struct wh_mac *m);     /* random, of Xen's 00:16:3e; false: errno says why */
bool wh_mac_is_zero(struct wh_mac m);

#endif
