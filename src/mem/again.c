/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mem/again.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "mem/pv.h"
#include "wire/libxc.h"
#include "wire/walk.h"

#define LENT_MOST (16u << 20)               /* bytes to remember them in */
#define GRANT_TYPE 3u                       /* of an entry's flags */
#define GRANT_ACCESS 1u
#define GRANT_READ_ONLY 4u

void wh_again_free(struct wh_again *a)
{
    free(a->sum);
    a->sum = NULL;
    a->frames = 0;
    wh_sparse_free(&a->lent);
}

/* ---------------------------------------------------------------------------- the first time */

bool wh_again_room(struct wh_save *s, uint64_t frames)
{
    uint64_t most = s->pv ? frames : wh_save_hvm_most(s);

    s->again->frames = frames < most ? frames : most;
    s->again->sum = calloc(s->again->frames + 1, sizeof *s->again->sum);
    return s->again->sum || wh_fail_sys(&s->op->err, ENOMEM, "keep note of %llu pages",
                                        (unsigned long long)frames);
}

static uint64_t sum(const uint8_t *page)
{
    uint8_t digest[WH_DIGEST_BYTES];

    wh_digest_of(page, WH_PAGE_SIZE, digest);
    return wh_le64(digest) | 1;
}

void wh_again_note(struct wh_save *s, const struct wh_batch *b, const uint8_t *pages)
{
    struct wh_again *a = s->again;

    if (!a || a->on || (s->live && !s->suspended))
        return;
    for (size_t i = 0; i < b->n; i++) {
        if (!wh_page_has_data(b->entry[i]))
            continue;
        if (b->pfn[i] < a->frames)
            a->sum[b->pfn[i]] = sum(pages);
        pages += WH_PAGE_SIZE;
    }
}

/* -------------------------------------------------------------------------------- the second */

bool wh_again_lent(struct wh_save *s, uint64_t pfn)
{
    if (!s->again || !s->again->on || !wh_sparse_has(&s->again->lent, pfn))
        return false;
    s->again->left_out++;
    s->found++;
    return true;
}

bool wh_again_drop(struct wh_save *s, struct wh_batch *b, const uint8_t *pages)
{
    struct wh_again *a = s->again;
    size_t kept = 0;

    if (!a || !a->on)
        return false;
    for (size_t i = 0; i < b->n; i++) {
        uint64_t pfn = b->pfn[i], was = pfn < a->frames ? a->sum[pfn] : 0;
        bool data = wh_page_has_data(b->entry[i]);

        if (!data || was == 0 || was == sum(pages))
            b->pfn[kept++] = pfn;
        pages += data ? WH_PAGE_SIZE : 0;
    }
    size_t dropped = b->n - kept;
    b->n = kept;
    for (size_t i = 0; dropped > 0 && i < kept; i++)
        b->frame[i] = s->pv ? wh_pv_mfn(s->pv, b->pfn[i]) : b->pfn[i];
    a->left_out += dropped;
    s->found += dropped;
    return dropped > 0;
}

/* Both versions of an entry begin with the flags; the guest may write whatever it likes into it. */
static void look_at(struct wh_save *s, const uint8_t *entry, unsigned version)
{
    uint16_t flags = wh_le16(entry);
    uint64_t frame = version == 1 ? wh_le32(entry + 4) : wh_le64(entry + 8);

    if ((flags & GRANT_TYPE) != GRANT_ACCESS || flags & GRANT_READ_ONLY)
        return;
    if (s->pv)
        frame = wh_pv_pfn(s->pv, frame);
    if (frame < s->again->frames)
        wh_sparse_set(&s->again->lent, frame);
}

static bool find_lent(struct wh_save *s)
{
    unsigned version;
    uint64_t pages;
    void *p;

    wh_sparse_init(&s->again->lent, LENT_MOST);
    if (!wh_xen_grants(s->op, s->xen, s->domid, &version, &pages))
        return false;
    for (uint64_t which = 0; which < pages; which++) {
        if (!wh_xen_map_grants(s->op, s->xen, s->domid, which, &p))
            return false;
        for (size_t at = 0, n = version == 1 ? 8 : 16; at < WH_PAGE_SIZE; at += n)
            look_at(s, (const uint8_t *)p + at, version);
        wh_xen_unmap_grants(s->xen, p);
    }
    return true;
}

bool wh_again_send(struct wh_save *s)
{
    struct wh_again *a = s->again;
    uint64_t found = s->found, zeros = s->zeros, looked_at = s->looked_at;
    const char *step = s->op->step;

    wh_step(s->op, "send all pages again, to be compared", WH_FOREVER);
    if (!find_lent(s) || !wh_save_record(s, WH_LIBXC_VERIFY, NULL, 0))
        return false;
    a->on = true;
    s->found = s->zeros = s->looked_at = 0;
    bool ok = s->info.hvm ? wh_save_hvm_pages(s) : wh_save_pv_range(s);
    a->on = false;
    a->pages = s->found - a->left_out;
    a->zeros = s->zeros;
    s->found = found;
    s->zeros = zeros;
    s->looked_at = looked_at;
    wh_step(s->op, step, WH_FOREVER);
    return ok;
}
