/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One error value an operation.  The first failure wins; callers put context in front of it.
 *
 *     if (fd < 0)
 *         return wh_fail_sys(&op->err, errno, "open %s", path);
 *     if (!read_header(op))
 *         return wh_while(&op->err, "read the header of %s", path);
 *
 * All three return false, so that failing is one line. */
#ifndef WH_BASE_ERROR_H
#define WH_BASE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "wherry.h"

struct wh_err {
    enum wh_kind kind;      /* WH_OK: nothing has failed */
    int sys;                /* errno of a WH_SYSTEM failure */
    char text[1024];        /* lower case, no full stop: what was expected and what came */
};

bool wh_fail(struct wh_err *e, enum wh_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A failed system call: ": strerror(sys)" is added to the text. */
bool wh_fail_sys(struct wh_err *e, int sys, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text of a failure that has happened. */
bool wh_while(struct wh_err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
