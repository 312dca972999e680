/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/put.h"

#include <assert.h>

#include "base/bytes.h"
#include "wire/libxc.h"
#include "wire/libxl.h"
#include "wire/walk.h"
#include "wire/xl.h"

bool wh_put_xl(struct wh_op *op, struct wh_sink *k, const struct wh_xl *xl)
{
    uint8_t header[WH_XL_HEADER + 4] = { 0 };

    memcpy(header, wh_xl_magic, WH_XL_MAGIC_BYTES);
    wh_put_le32(header + 32, WH_XL_BYTE_ORDER);
    wh_put_le32(header + 36, xl->mandatory_flags);
    wh_put_le32(header + 40, xl->optional_flags);
    if (!xl->config)
        return wh_sink_write(op, k, header, WH_XL_HEADER);
    wh_put_le32(header + 44, (uint32_t)(4 + xl->length + xl->extra_length));
    wh_put_le32(header + 48, (uint32_t)xl->length);
    return wh_sink_write(op, k, header, sizeof header) &&
           wh_sink_write(op, k, xl->config, xl->length) &&
           (xl->extra_length == 0 || wh_sink_write(op, k, xl->extra, xl->extra_length));
}

bool wh_put_libxl_header(struct wh_op *op, struct wh_sink *k, uint32_t options)
{
    uint8_t header[WH_LIBXL_HEADER];

    memcpy(header, "LibxlFmt", 8);
    wh_put_be32(header + 8, 2);
    wh_put_be32(header + 12, options);
    return wh_sink_write(op, k, header, sizeof header);
}

bool wh_put_libxc_headers(struct wh_op *op, struct wh_sink *k, enum wh_guest guest,
                          uint32_t xen_major, uint32_t xen_minor)
{
    uint8_t header[WH_LIBXC_HEADER + WH_LIBXC_DOMAIN] = { 0 };
    uint8_t *domain = header + WH_LIBXC_HEADER;

    memset(header, 0xff, 8);
    memcpy(header + 8, "XENF", 4);
    wh_put_be32(header + 12, 3);
    wh_put_le32(domain, guest == WH_PV ? WH_LIBXC_DOMAIN_PV : WH_LIBXC_DOMAIN_HVM);
    wh_put_le16(domain + 4, 12);
    wh_put_le32(domain + 8, xen_major);
    wh_put_le32(domain + 12, xen_minor);
    return wh_sink_write(op, k, header, sizeof header);
}

bool wh_put_begin(struct wh_op *op, struct wh_sink *k, uint32_t type, uint32_t length)
{
    uint8_t header[WH_REC_HEADER];

    wh_put_le32(header, type);
    wh_put_le32(header + 4, length);
    return wh_sink_write(op, k, header, sizeof header);
}

bool wh_put_end(struct wh_op *op, struct wh_sink *k, uint32_t length)
{
    return wh_sink_zeros(op, k, wh_padding(length));
}

bool wh_put_record(struct wh_op *op, struct wh_sink *k, const struct wh_layer *layer,
                   uint32_t type, const void *body, size_t length)
{
    const struct wh_row *row = wh_row_find(layer, type);

    assert(row && length >= row->min && length <= row->max);
    (void)row;
    return wh_put_begin(op, k, type, (uint32_t)length) &&
           (length == 0 || wh_sink_write(op, k, body, length)) &&
           wh_put_end(op, k, (uint32_t)length);
}

bool wh_put_pages_head(struct wh_op *op, struct wh_sink *k, const uint64_t *entry, size_t n,
                       size_t data)
{
    uint8_t word[8] = { 0 };
    uint64_t length = 8 + 8 * (uint64_t)n + WH_PAGE_SIZE * (uint64_t)data;

    assert(n >= 1 && length <= WH_LIBXC_MAX);
    wh_put_le32(word, (uint32_t)n);
    if (!wh_put_begin(op, k, WH_LIBXC_PAGE_DATA, (uint32_t)length) ||
        !wh_sink_write(op, k, word, sizeof word))
        return false;
    for (size_t i = 0; i < n; i++) {
        wh_put_le64(word, entry[i]);
        if (!wh_sink_write(op, k, word, sizeof word))
            return false;
    }
    return true;
}

bool wh_put_pages(struct wh_op *op, struct wh_sink *k, const uint64_t *entry, size_t n,
                  const uint8_t *const *page)
{
    size_t data = 0, next = 0;

    for (size_t i = 0; i < n; i++)
        data += wh_page_has_data(entry[i]);
    if (!wh_put_pages_head(op, k, entry, n, data))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (wh_page_has_data(entry[i]) && !wh_sink_write(op, k, page[next++], WH_PAGE_SIZE))
            return false;
    }
    return true;
}
