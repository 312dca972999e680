/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *p;
    size_t n, room;
    bool failed;
};

static void add(struct text *t, const char *p, size_t n)
{
    if (!t->failed && t->n + n > t->room) {
        size_t room = 2 * (t->n + n) + 1024;
        char *grown = realloc(t->p, room);

        t->failed = !grown;
        t->p = grown ? grown : t->p;
        t->room = grown ? room : t->room;
    }
    if (t->failed)
        return;
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void say(struct text *t, const char *word)
{
    add(t, word, strlen(word));
}

static void value(struct text *t, json_object *o, int depth);

static void string(struct text *t, const char *p, size_t n)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

    say(t, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        const char *at = c ? strchr(named, c) : NULL;
        char escaped[8] = { p[i] };

        if (at)
            snprintf(escaped, sizeof escaped, "\\%c", letters[at - named]);
        else if (c < ' ')
            snprintf(escaped, sizeof escaped, "\\u%04X", c);
        say(t, escaped);
    }
    say(t, "\"");
}

static void line(struct text *t, int depth)
{
    say(t, "\n");
    for (int i = 0; i < depth; i++)
        say(t, "    ");
}

static void object(struct text *t, json_object *o, int depth)
{
    struct json_object_iterator at = json_object_iter_begin(o), end = json_object_iter_end(o);
    const char *between = "";

    say(t, "{");
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *key = json_object_iter_peek_name(&at);

        say(t, between);
        line(t, depth + 1);
        string(t, key, strlen(key));
        say(t, ": ");
        value(t, json_object_iter_peek_value(&at), depth + 1);
        between = ",";
    }
    if (!*between)
        say(t, "\n");
    line(t, depth);
    say(t, "}");
}

static void array(struct text *t, json_object *o, int depth)
{
    size_t n = json_object_array_length(o);

    say(t, "[");
    for (size_t i = 0; i < n; i++) {
        say(t, i > 0 ? "," : "");
        line(t, depth + 1);
        value(t, json_object_array_get_idx(o, i), depth + 1);
    }
    if (n == 0)
        say(t, "\n");
    line(t, depth);
    say(t, "]");
}

static void value(struct text *t, json_object *o, int depth)
{
    const char *plain;

    switch (json_object_get_type(o)) {
    case json_type_object:
        object(t, o, depth);
        break;
    case json_type_array:
        array(t, o, depth);
        break;
    case json_type_string:
        string(t, json_object_get_string(o), (size_t)json_object_get_string_len(o));
        break;
    default:
        plain = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
        say(t, plain ? plain : "null");
    }
}

char *wh_print_json(json_object *o)
{
    struct text t = { 0 };

    value(&t, o, 0);
    add(&t, "\n", 2);           /* with its NUL */
    if (t.failed) {
        free(t.p);
        return NULL;
    }
    return t.p;
}
