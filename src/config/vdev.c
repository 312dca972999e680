/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "config/vdev.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DISKS_MAX      (1u << 20)   /* what fits into an extended number */
#define PARTITIONS_MAX 256

/* A decimal number at *text without a leading zero, less than limit. */
static bool decimal(const char **text, unsigned limit, unsigned *value)
{
    const char *p = *text;
    unsigned v = 0;

    if (!isdigit((unsigned char)*p) || (*p == '0' && isdigit((unsigned char)p[1])))
        return false;
    for (; isdigit((unsigned char)*p); p++) {
        v = v * 10 + (unsigned)(*p - '0');
        if (v >= limit)
            return false;
    }
    *text = p;
    *value = v;
    return true;
}

/* "a" is 0, "z" 25, "aa" 26. */
static bool letters(const char **text, unsigned *value)
{
    const char *p = *text;
    unsigned v = 0;

    for (; *p >= 'a' && *p <= 'z'; p++) {
        v = v * 26 + (unsigned)(*p - 'a') + 1;
        if (v > DISKS_MAX)
            return false;
    }
    if (p == *text)
        return false;
    *text = p;
    *value = v - 1;
    return true;
}

static bool xvd(unsigned disk, unsigned partition, uint32_t *number)
{
    if (disk < 16 && partition < 16)
        *number = 202 << 8 | disk << 4 | partition;
    else
        *number = 1u << 28 | disk << 8 | partition;
    return true;
}

static bool hd(unsigned disk, unsigned partition, uint32_t *number)
{
    *number = (disk < 2 ? 3 : 22) << 8 | (disk & 1) << 6 | partition;
    return disk < 4 && partition < 64;
}

static bool sd(unsigned disk, unsigned partition, uint32_t *number)
{
    *number = 8 << 8 | disk << 4 | partition;
    return disk < 16 && partition < 16;
}

/* "d3", "d3p1". */
static bool plain(const char *text, unsigned *disk, unsigned *partition)
{
    if (*text++ != 'd' || !decimal(&text, DISKS_MAX, disk))
        return false;
    if (*text == 'p') {
        text++;
        if (!decimal(&text, PARTITIONS_MAX, partition))
            return false;
    }
    return *text == '\0';
}

static bool raw_number(const char *text, uint32_t *number)
{
    unsigned long v;
    char *end;

    errno = 0;
    v = strtoul(text, &end, 0);
    *number = (uint32_t)v;
    return isdigit((unsigned char)*text) && *end == '\0' && errno == 0 && v < 1ul << 29;
}

static bool named(const char *vdev, uint32_t *number, unsigned *disk, unsigned *partition)
{
    static const struct {
        const char *prefix;
        bool (*number)(unsigned disk, unsigned partition, uint32_t *number);
    } kinds[] = { { "xvd", xvd }, { "hd", hd }, { "sd", sd } };

    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);
        const char *p = vdev + n;

        if (strncmp(vdev, kinds[i].prefix, n) != 0)
            continue;
        if (!letters(&p, disk))
            return false;
        if (*p != '\0' && (!decimal(&p, PARTITIONS_MAX, partition) || *partition == 0))
            return false;
        return *p == '\0' && kinds[i].number(*disk, *partition, number);
    }
    return false;
}

bool wh_vdev_number(const char *vdev, uint32_t *number, unsigned *disk, unsigned *partition)
{
    unsigned d = 0, p = 0;
    uint32_t n = 0;
    bool known = plain(vdev, &d, &p) ? xvd(d, p, &n) : named(vdev, &n, &d, &p);

    if (!known) {
        d = p = 0;
        if (!raw_number(vdev, &n))
            return false;
    }
    *number = n;
    if (disk)
        *disk = d;
    if (partition)
        *partition = p;
    return true;
}
