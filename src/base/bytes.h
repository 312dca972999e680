/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Integers in byte strings.  Every number on the wire goes through these: no struct is ever laid
 * over a buffer, so alignment and the host's byte order do not matter. */
#ifndef WH_BASE_BYTES_H
#define WH_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define WH_BYTES_LOAD(name, type, swap)                                                            \
    static inline type name(const void *p)                                                         \
    {                                                                                              \
        type v;                                                                                    \
                                                                                                   \
        memcpy(&v, p, sizeof v);                                                                   \
        return swap(v);                                                                            \
    }

#define WH_BYTES_STORE(name, type, swap)                                                           \
    static inline void name(void *p, type v)                                                       \
    {                                                                                              \
        v = swap(v);                                                                               \
        memcpy(p, &v, sizeof v);                                                                   \
    }

WH_BYTES_LOAD(wh_le16, uint16_t, le16toh)
WH_BYTES_LOAD(wh_le32, uint32_t, le32toh)
WH_BYTES_LOAD(wh_le64, uint64_t, le64toh)
WH_BYTES_LOAD(wh_be16, uint16_t, be16toh)
WH_BYTES_LOAD(wh_be32, uint32_t, be32toh)
WH_BYTES_LOAD(wh_be64, uint64_t, be64toh)
WH_BYTES_STORE(wh_put_le16, uint16_t, htole16)
WH_BYTES_STORE(wh_put_le32, uint32_t, htole32)
WH_BYTES_STORE(wh_put_le64, uint64_t, htole64)
WH_BYTES_STORE(wh_put_be16, uint16_t, htobe16)
WH_BYTES_STORE(wh_put_be32, uint32_t, htobe32)
WH_BYTES_STORE(wh_put_be64, uint64_t, htobe64)

#undef WH_BYTES_LOAD
#undef WH_BYTES_STORE

/* n little-endian words as the host's. */
static inline void wh_le64_array(uint64_t *to, const void *from, size_t n)
{
    memcpy(to, from, n * sizeof *to);
    for (size_t i = 0; __BYTE_ORDER == __BIG_ENDIAN && i < n; i++)
        to[i] = le64toh(to[i]);
}

/* The unsigned integer of 1, 2, 4 or 8 bytes at p. */
static inline uint64_t wh_uint(const uint8_t *p, unsigned size, int big)
{
    uint64_t v = 0;

    for (unsigned i = 0; i < size; i++)
        v = v << 8 | p[big ? i : size - 1 - i];
    return v;
}

/* The bytes that pad a body of n bytes to a multiple of eight. */
static inline unsigned wh_padding(uint64_t n)
{
    return (unsigned)(-n & 7);
}

#endif
