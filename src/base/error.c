/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error value, and the one table of what its kinds are called and which exit code they give. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

#define CONTEXT_KEPT 300

/* clang-format off */
static const struct {
    const char *name;
    int exit_code;
} kinds[] = {
    [WH_OK]        = { "ok",          0 },
    [WH_STREAM]    = { "stream",      1 },
    [WH_USAGE]     = { "usage",       2 },
    [WH_SYSTEM]    = { "system",      3 },
    [WH_TIMEOUT]   = { "timeout",     4 },
    [WH_PEER]      = { "peer",        5 },
    [WH_GUEST]     = { "guest",       6 },
    [WH_XEN]       = { "xen",         7 },
    [WH_CANCELLED] = { "cancelled", 130 },
};
/* clang-format on */

const char *wh_kind_name(enum wh_kind kind)
{
    return (unsigned)kind < WH_COUNT(kinds) ? kinds[kind].name : "unknown";
}

int wh_kind_exit(enum wh_kind kind)
{
    return (unsigned)kind < WH_COUNT(kinds) ? kinds[kind].exit_code : kinds[WH_SYSTEM].exit_code;
}

bool wh_fail(struct wh_err *e, enum wh_kind kind, const char *format, ...)
{
    va_list ap;

    if (e->kind != WH_OK)
        return false;
    e->kind = kind;
    va_start(ap, format);
    vsnprintf(e->text, sizeof e->text, format, ap);
    va_end(ap);
    return false;
}

/* Text that is too long (a path) is cut so that the reason behind it fits. */
static bool add_reason(struct wh_err *e, const char *why)
{
    size_t most = sizeof e->text - strlen(why) - 3, used = strlen(e->text);

    if (used > most)
        used = most;
    snprintf(e->text + used, sizeof e->text - used, ": %s", why);
    return false;
}

bool wh_fail_sys(struct wh_err *e, int sys, const char *format, ...)
{
    va_list ap;
    char why[128];

    if (e->kind != WH_OK)
        return false;
    e->kind = WH_SYSTEM;
    e->sys = sys;
    va_start(ap, format);
    vsnprintf(e->text, sizeof e->text, format, ap);
    va_end(ap);
    return add_reason(e, strerror_r(sys, why, sizeof why));
}

/* Where both do not fit, first the context is cut, down to CONTEXT_KEPT bytes of it, then the
 * reason's end. */
bool wh_while(struct wh_err *e, const char *format, ...)
{
    const size_t size = sizeof e->text;
    char before[sizeof e->text];
    size_t reason = strlen(e->text), used;
    va_list ap;

    va_start(ap, format);
    vsnprintf(before, size, format, ap);
    va_end(ap);
    used = strlen(before);
    if (used + 2 + reason >= size && used > CONTEXT_KEPT) {
        size_t room = reason + 3 < size ? size - reason - 3 : 0;

        used = room > CONTEXT_KEPT ? room : CONTEXT_KEPT;
    }
    if (used + 2 + reason >= size)
        reason = size - used - 3;
    memmove(e->text + used + 2, e->text, reason);
    memcpy(e->text, before, used);
    memcpy(e->text + used, ": ", 2);
    e->text[used + 2 + reason] = '\0';
    return false;
}
