/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ownership by scope: a resource is freed where its variable goes out of sight, unless taken.
 *
 *     wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
 *     ...
 *     *ret = wh_take_fd(&fd);          handed on: the scope no longer closes it
 */
#ifndef WH_BASE_OWN_H
#define WH_BASE_OWN_H

#include <stdlib.h>
#include <unistd.h>

static inline void wh_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void wh_free_ptr(void *p)
{
    free(*(void **)p);
}

static inline int wh_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static inline void *wh_take_any(void *p)
{
    void *taken = *(void **)p;

    *(void **)p = NULL;
    return taken;
}

#define wh_auto(drop) __attribute__((cleanup(drop), unused))
#define wh_auto_fd    wh_auto(wh_close_fd)
#define wh_auto_free  wh_auto(wh_free_ptr)
#define wh_take_ptr(p) ((__typeof__(*(p)))wh_take_any(p))

#define WH_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
