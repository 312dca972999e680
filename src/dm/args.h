/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program's arguments, collected; lack of memory is told by who uses them.
 *
 *     wh_auto_args struct wh_args a = { 0 };
 *
 *     wh_args_add(&a, "-m");
 *     wh_args_format(&a, "%u", mib);
 *     if (!wh_args_whole(op, &a)) ...      a.of is a vector as execve wants it */
#ifndef WH_DM_ARGS_H
#define WH_DM_ARGS_H

#include "base/op.h"
#include "base/own.h"

struct wh_args {
    char **of;                  /* ended by a NULL */
    size_t n, room;
    bool lost;
};

void wh_args_add(struct wh_args *a, const char *word);
void wh_args_format(struct wh_args *a, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* All of another's behind one's own. */
void wh_args_join(struct wh_args *a, const struct wh_args *more);
bool wh_args_whole(struct wh_op *op, const struct wh_args *a);
void wh_args_free(struct wh_args *a);
#define wh_auto_args wh_auto(wh_args_free)

/* A value within one of QEMU's options, malloc'd: there a comma begins the next key, and two are one
 * of the value.  NULL: no memory. */
char *wh_args_value(const char *text);

#endif
