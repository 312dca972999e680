/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Saving HVM and PVH guests: which frames hold memory, and what comes behind them.
 *
 * Such a guest's frames are mostly holes: a 512 MiB PVH guest has memory in the first 131,072 and
 * in a few just below 4 GiB, a million further on.
 *
 *     0 |=== as many frames as it may have pages ===|     holes     |= top =|
 *         1. upwards                                  3. the rest    2. downwards
 *
 * Xen says how many pages the domain has: once they are all found, what is left are holes and
 * nobody needs to look.  The top is looked at in any case: the guest's special pages are there, and
 * a guest that maps a page twice would have us stop before them.  Pages shared or paged out are not
 * in that number; then all is looked at.  A guest that hides pages does not make us look for ever.
 *
 * The number of a guest that runs is of another moment than what was found: one that has its balloon
 * let out meanwhile has more, and pages that it had all the while would be taken for holes.  Where
 * its memory is known to be, all is looked at then; and the rest only begins to be holes where there
 * was nothing for as far as the top reaches. */
#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/own.h"
#include "mem/params.h"
#include "mem/save.h"
#include "wire/libxc.h"

#define TOP_FRAMES (UINT64_C(1) << 14)      /* below the highest: special pages, ACPI tables */
#define LOOK_MOST (UINT64_C(1) << 26)       /* frames in vain: 256 GiB of them */

static bool send_range(struct wh_save *s, uint64_t first, uint64_t end, size_t *data)
{
    wh_auto_free struct wh_batch *b = malloc(sizeof *b);

    *data = 0;
    if (!b)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    for (b->n = 0; b->n < end - first; b->n++)
        b->pfn[b->n] = b->frame[b->n] = first + b->n;
    return wh_batch_send(s, b, data);
}

static bool found_all(const struct wh_save *s)
{
    return s->found >= s->info.pages && s->info.shared_pages == 0 && s->info.paged_pages == 0;
}

uint64_t wh_save_hvm_most(const struct wh_save *s)
{
    return 8 * s->info.max_pages + LOOK_MOST;
}

static bool look_for_ever(struct wh_save *s)
{
    return wh_fail(&s->op->err, WH_GUEST, "domain %u has %llu pages, and %llu of them are nowhere in "
                   "its first %llu frames", s->domid, (unsigned long long)s->info.pages,
                   (unsigned long long)(s->info.pages - s->found), (unsigned long long)s->looked_at);
}

/* From the top down to s->low, or to where the holes begin. */
static bool send_top(struct wh_save *s, uint64_t frames)
{
    uint64_t nothing_since = frames, n;
    size_t data;

    for (uint64_t at = frames; at > s->low && (!found_all(s) || nothing_since - at < TOP_FRAMES); at -= n) {
        n = at - s->low < WH_BATCH_MAX ? at - s->low : WH_BATCH_MAX;
        if (s->looked_at > wh_save_hvm_most(s))
            return look_for_ever(s);
        if (!send_range(s, at - n, at, &data))
            return false;
        if (data > 0 && s->live)
            nothing_since = at - n;
    }
    return true;
}

bool wh_save_hvm_pages(struct wh_save *s)
{
    uint64_t frames;
    size_t data;

    if (!wh_xen_frames(s->op, s->xen, s->domid, &frames))
        return false;
    s->low = s->info.max_pages < frames ? s->info.max_pages : frames;
    s->top = frames - s->low > TOP_FRAMES ? frames - TOP_FRAMES : s->low;
    for (uint64_t at = 0, n; at < s->low && (s->live || !found_all(s)); at += n) {
        n = s->low - at < WH_BATCH_MAX ? s->low - at : WH_BATCH_MAX;
        if (!send_range(s, at, at + n, &data))
            return false;
    }
    return send_top(s, frames);
}

bool wh_save_hvm_tail(struct wh_save *s)
{
    wh_auto_free void *context = NULL;
    uint8_t body[8 + 16 * WH_COUNT(wh_params)] = { 0 };
    uint32_t count = 0;
    size_t n;

    if (!wh_xen_get_hvm_context(s->op, s->xen, s->domid, &context, &n) ||
        !wh_save_record(s, WH_LIBXC_HVM_CONTEXT, context, n))
        return false;
    for (size_t i = 0; i < WH_COUNT(wh_params); i++) {
        uint64_t value;

        if (!wh_xen_get_param(s->op, s->xen, s->domid, wh_params[i], &value))
            return false;
        if (value == 0)
            continue;
        wh_put_le64(body + 8 + 16 * count, wh_params[i]);
        wh_put_le64(body + 16 + 16 * count, value);
        count++;
    }
    wh_put_le32(body, count);
    return wh_save_record(s, WH_LIBXC_HVM_PARAMS, body, 8 + 16 * count);
}
