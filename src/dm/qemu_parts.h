/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a QEMU lies in the host's files. */
#ifndef WH_DM_QEMU_PARTS_H
#define WH_DM_QEMU_PARTS_H

#include <limits.h>

#include "xen/here.h"

/* The sockets it listens at: whoever works on the guest takes the first, xl's statistics the other. */
enum { WH_QEMU_COMMANDS, WH_QEMU_STATS, WH_QEMU_SOCKETS };

void wh_qemu_socket_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid, size_t which);

/* The empty folder that a restricted one sees as its root. */
void wh_qemu_root_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid);

#endif
