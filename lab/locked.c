/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Loaded into the QEMU that a host runs in, ahead of its own function of this name.
 *
 * A guest in the host that writes CR8 while one of its interrupts is pending has QEMU 7.2 call it
 * without the lock that it asserts, and the host is gone.  OVMF writes CR8 at the end of each of its
 * handlers.  A QEMU whose TCG is no module, or has the lock by another name, goes on as it was. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void handler(void *cpu, int mask);

bool qemu_mutex_iothread_locked(void) __attribute__((weak));
void qemu_mutex_lock_iothread_impl(const char *file, int line) __attribute__((weak));
void qemu_mutex_unlock_iothread(void) __attribute__((weak));
handler tcg_handle_interrupt;

/* Never by dlsym(NULL), which is ours again. */
static int find(struct dl_phdr_info *object, size_t size, void *found)
{
    void *module;

    (void)size;
    if (!strstr(object->dlpi_name, "/accel-tcg-"))
        return 0;
    module = dlopen(object->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
    if (module)
        *(handler **)found = (handler *)dlsym(module, "tcg_handle_interrupt");
    return module != NULL;
}

/* Called first as the machine comes up, by one thread. */
void tcg_handle_interrupt(void *cpu, int mask)
{
    static handler *own;
    bool known = qemu_mutex_iothread_locked && qemu_mutex_lock_iothread_impl && qemu_mutex_unlock_iothread;
    bool late = known && !qemu_mutex_iothread_locked();

    if (!own)
        dl_iterate_phdr(find, &own);
    if (!own)
        own = (handler *)dlsym(RTLD_NEXT, "tcg_handle_interrupt");
    if (!own) {
        fputs("locked.c: QEMU has no tcg_handle_interrupt to go on with\n", stderr);
        abort();
    }
    if (late)
        qemu_mutex_lock_iothread_impl(__FILE__, __LINE__);
    own(cpu, mask);
    if (late)
        qemu_mutex_unlock_iothread();
}
