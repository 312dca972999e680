/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which keys xl.cfg text assigns, and on which lines.
 *
 * In well-formed text, outside of strings and comments a word that begins with a
 * letter can only be a key. */
#include <ctype.h>
#include <stdlib.h>

#include "config/xlcfg.h"

/* The end of the string that begins at i. */
static size_t string_end(const char *text, size_t n, size_t i)
{
    char quote = text[i++];

    while (i < n && text[i] != quote && text[i] != '\n')
        i += 1 + (text[i] == '\\');
    return i < n ? i + 1 : n;
}

static size_t word_end(const char *text, size_t n, size_t i)
{
    while (i < n && (isalnum((unsigned char)text[i]) || text[i] == '_' || text[i] == '.'))
        i++;
    return i;
}

static bool add(struct wh_xlcfg_keys *keys, const char *name, size_t n, unsigned line)
{
    struct wh_xlcfg_key *grown = keys->of;

    if (keys->n == WH_XLCFG_KEYS)
        return false;
    if ((keys->n & (keys->n + 1)) == 0)             /* room for 1, 3, 7, 15... more */
        grown = realloc(grown, (2 * keys->n + 1) * sizeof *grown);
    if (!grown)
        return false;
    keys->of = grown;
    keys->of[keys->n++] = (struct wh_xlcfg_key){ name, n, line };
    return true;
}

bool wh_xlcfg_scan(const char *text, size_t n, struct wh_xlcfg_keys *keys)
{
    unsigned line = 1;

    for (size_t i = 0; i < n;) {
        char c = text[i];
        size_t end = i + 1;

        if (c == '\n') {
            line++;
        } else if (c == '#') {
            while (end < n && text[end] != '\n')
                end++;
        } else if (c == '"' || c == '\'') {
            end = string_end(text, n, i);
        } else if (isalnum((unsigned char)c)) {
            end = word_end(text, n, i);
            if (isalpha((unsigned char)c) && !add(keys, text + i, end - i, line))
                return false;
        }
        i = end;
    }
    return true;
}
