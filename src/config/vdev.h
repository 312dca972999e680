/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Virtual disks' names and the numbers they have in xenstore. */
#ifndef WH_CONFIG_VDEV_H
#define WH_CONFIG_VDEV_H

#include <stdbool.h>
#include <stdint.h>

/* "xvda1" -> 51713, "hdb" -> 832, "sda" -> 2048, "d0p1" -> 51713; or the number itself, "51712" or
 * "0xca00", of which no disk and partition are known (0, 0).  False: it is none of these.  Disk and
 * partition may be NULL. */
bool wh_vdev_number(const char *vdev, uint32_t *number, unsigned *disk, unsigned *partition);

#endif
