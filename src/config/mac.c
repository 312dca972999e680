/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/mac.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool wh_mac_parse(const char *text, struct wh_mac *m)
{
    struct wh_mac parsed;
    char between = '\0';

    for (unsigned i = 0; i < sizeof parsed.byte; i++) {
        char pair[3] = { 0 };

        if (i == 1)
            between = *text;
        if (i > 0 && ((between != ':' && between != '-') || *text++ != between))
            return false;
        for (unsigned k = 0; k < 2 && isxdigit((unsigned char)*text); k++)
            pair[k] = *text++;
        if (pair[0] == '\0')
            return false;
        parsed.byte[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    if (*text != '\0')
        return false;
    *m = parsed;
    return true;
}

const char *wh_mac_print(struct wh_mac m, char text[WH_MAC_TEXT])
{
    snprintf(text, WH_MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", m.byte[0], m.byte[1], m.byte[2],
             m.byte[3], m.byte[4], m.byte[5]);
    return text;
}

bool wh_mac_make(struct wh_mac *m)
{
    struct wh_mac made = { { 0x00, 0x16, 0x3e } };      /* Xen's */

    if (getrandom(made.byte + 3, 3, 0) != 3)
        return false;
    made.byte[3] &= 0x7f;       /* as libxl does: the upper half is for who sets them by hand */
    *m = made;
    return true;
}

bool wh_mac_is_zero(struct wh_mac m)
{
    static const struct wh_mac zero;

    return memcmp(m.byte, zero.byte, sizeof m.byte) == 0;
}
