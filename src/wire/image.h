/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a stream has said so far of the guest in it: filled by the rows' .apply while it is read,
 * used by the checks that need more than one record, and by who reads the stream. */
#ifndef WH_WIRE_IMAGE_H
#define WH_WIRE_IMAGE_H

#include "base/digest.h"
#include "wherry.h"
#include "wire/record.h"

#define WH_VCPUS_MAX 8192       /* ids above this are refused: Xen has 8192 vCPUs at most */

enum wh_format { WH_FORMAT_NONE, WH_FORMAT_XL, WH_FORMAT_LIBXL, WH_FORMAT_LIBXC,
                 WH_FORMAT_LEGACY };

struct wh_image {
    enum wh_format container;
    bool has_libxl, has_libxc, has_legacy;
    unsigned phase[WH_LAYERS];  /* where each layer is: one bit of its own */
    unsigned forgiven[WH_LAYERS];           /* phases that were left out, and reported */
    uint32_t missed[WH_LAYERS];             /* rows that should have come in them */
    uint32_t seen[WH_LAYERS];   /* rows met, by place in the table; libxc's tail starts anew with
                                   each checkpoint */

    /* xl */
    uint32_t xl_mandatory, xl_optional, xl_optlen;
    char *config;               /* NUL-terminated; NULL: none */
    size_t config_length;       /* as stored */
    uint8_t *extra;             /* optional data behind it, up to WH_XL_EXTRA_MAX */
    size_t extra_length;        /* all of it */
    bool config_flawed;         /* no need to look whether it is JSON */

    /* libxl */
    uint32_t libxl_version, libxl_options;
    uint32_t emulator_id;
    uint64_t emulator_bytes;    /* of the last EMULATOR_CONTEXT, 0: none */

    /* libxc */
    uint32_t libxc_version;
    enum wh_guest guest;
    uint32_t xen_major, xen_minor;
    unsigned width;             /* PV: bytes of the guest's word, 0: not said yet */
    bool has_frames;            /* PV: its p2m has been laid out */
    uint64_t frames_end;        /* PV: the last pfn */
    uint32_t seen_before;       /* libxc rows met before the last checkpoint */
    bool fresh;                 /* no record since the last checkpoint */
    uint8_t vcpu_seen[WH_VCPUS_MAX];        /* which vCPU records since the last checkpoint */
    unsigned vcpus;
    bool page_seen;
    uint64_t round_last_pfn;
    uint64_t epochs, rounds;
    uint64_t page_records, page_entries, page_data;
    bool verifying;             /* VERIFY was met: pages are sent again to be compared */
    uint32_t tsc_mode, tsc_khz;

    /* legacy */
    unsigned legacy_width;      /* 32 or 64 */
    uint64_t legacy_pages;      /* p2m size */

    /* trailer */
    bool has_trailer;
    uint64_t trailer_at, trailer_stream;    /* where it starts, and where it says it does */
    uint8_t trailer_digest[WH_DIGEST_BYTES];
    uint64_t trailer_time;
    char trailer_producer[256];
    uint64_t trailer_index_entries;

    bool complete;              /* the last END of its container was met */
    uint64_t size;              /* bytes read, or the file's */
};

#endif
