/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/uuid.h"

#include <string.h>
#include <sys/random.h>

/* Whether a dash stands before this byte. */
static bool dash(unsigned i)
{
    return i == 4 || i == 6 || i == 8 || i == 10;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 :
           c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool wh_uuid_parse(const char *text, struct wh_uuid *u)
{
    struct wh_uuid parsed;

    for (unsigned i = 0; i < sizeof parsed.byte; i++) {
        int high, low;

        if (dash(i) && *text++ != '-')
            return false;
        high = digit(text[0]);
        low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return false;
        parsed.byte[i] = (uint8_t)(high << 4 | low);
        text += 2;
    }
    if (*text != '\0')
        return false;
    *u = parsed;
    return true;
}

const char *wh_uuid_print(struct wh_uuid u, char text[WH_UUID_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    char *end = text;

    for (unsigned i = 0; i < sizeof u.byte; i++) {
        if (dash(i))
            *end++ = '-';
        *end++ = digits[u.byte[i] >> 4];
        *end++ = digits[u.byte[i] & 15];
    }
    *end = '\0';
    return text;
}

bool wh_uuid_make(struct wh_uuid *u)
{
    if (getrandom(u->byte, sizeof u->byte, 0) != sizeof u->byte)
        return false;
    u->byte[6] = (u->byte[6] & 0x0f) | 0x40;        /* RFC 4122: version 4, random */
    u->byte[8] = (u->byte[8] & 0x3f) | 0x80;
    return true;
}

bool wh_uuid_is_zero(struct wh_uuid u)
{
    return wh_uuid_equal(u, (struct wh_uuid){ 0 });
}

bool wh_uuid_equal(struct wh_uuid a, struct wh_uuid b)
{
    return memcmp(a.byte, b.byte, sizeof a.byte) == 0;
}
