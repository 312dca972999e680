/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void take(struct wh_args *a, char *word)
{
    if (a->n + 1 >= a->room) {
        size_t room = a->room ? 2 * a->room : 64;
        char **of = realloc(a->of, room * sizeof *of);

        if (of) {
            a->of = of;
            a->room = room;
        }
    }
    if (!word || a->n + 1 >= a->room) {
        a->lost = true;
        free(word);
        return;
    }
    a->of[a->n++] = word;
    a->of[a->n] = NULL;
}

void wh_args_add(struct wh_args *a, const char *word)
{
    take(a, strdup(word));
}

void wh_args_format(struct wh_args *a, const char *format, ...)
{
    va_list ap;
    char *word;

    va_start(ap, format);
    take(a, vasprintf(&word, format, ap) < 0 ? NULL : word);
    va_end(ap);
}

void wh_args_join(struct wh_args *a, const struct wh_args *more)
{
    for (size_t i = 0; i < more->n; i++)
        wh_args_add(a, more->of[i]);
    a->lost |= more->lost;
}

bool wh_args_whole(struct wh_op *op, const struct wh_args *a)
{
    return (a->n > 0 && !a->lost) || wh_fail_sys(&op->err, ENOMEM, "collect a program's arguments");
}

void wh_args_free(struct wh_args *a)
{
    for (size_t i = 0; i < a->n; i++)
        free(a->of[i]);
    free(a->of);
    *a = (struct wh_args){ 0 };
}

char *wh_args_value(const char *text)
{
    char *value = malloc(2 * strlen(text) + 1), *to = value;

    for (; value && *text; text++) {
        *to++ = *text;
        if (*text == ',')
            *to++ = ',';
    }
    if (value)
        *to = '\0';
    return value;
}
