/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The error value, and the one table of what its kinds are called and which exit code they give. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

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

bool wh_fail_sys(struct wh_err *e, int sys, const char *format, ...)
{
    va_list ap;
    size_t used;
    char why[128];

    if (e->kind != WH_OK)
        return false;
    e->kind = WH_SYSTEM;
    e->sys = sys;
    va_start(ap, format);
    vsnprintf(e->text, sizeof e->text, format, ap);
    va_end(ap);
    used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, ": %s", strerror_r(sys, why, sizeof why));
    return false;
}

bool wh_while(struct wh_err *e, const char *format, ...)
{
    char before[sizeof e->text];
    va_list ap;

    va_start(ap, format);
    vsnprintf(before, sizeof before - 2, format, ap);
    va_end(ap);
    strcat(before, ": ");

    /* What does not fit is cut off its end: the context is what a reader needs first. */
    size_t used = strlen(before), kept = strlen(e->text);
    if (kept > sizeof e->text - used - 1)
        kept = sizeof e->text - used - 1;
    memmove(e->text + used, e->text, kept);
    memcpy(e->text, before, used);
    e->text[used + kept] = '\0';
    return false;
}
