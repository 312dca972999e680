/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/field.h"

struct wh_config wh_config_empty(void)
{
    struct wh_config c = { 0 };

    wh_field_init_all(wh_fields, &c);
    return c;
}

void wh_config_free(struct wh_config *c)
{
    wh_field_free_all(wh_fields, c);
    free(c->lacks);
    free(c->origin);
    c->lacks = c->origin = NULL;
}

bool wh_warnings_add(struct wh_warnings *w, const char *format, ...)
{
    char **grown = w->n < WH_WARNINGS_MAX ? realloc(w->text, (w->n + 1) * sizeof *grown) : NULL;
    va_list args;
    char *text;

    if (!grown)
        return false;
    w->text = grown;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    if (text)
        w->text[w->n++] = text;
    return text != NULL;
}

void wh_warnings_free(struct wh_warnings *w)
{
    for (size_t i = 0; i < w->n; i++)
        free(w->text[i]);
    free(w->text);
    *w = (struct wh_warnings){ 0 };
}
