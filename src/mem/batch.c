/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One batch of a save: what are these pages, map them, send them, let them go.
 *
 *     pfn -> frame -> type -> entry;  frames with contents -> one mapping -> the sink
 *
 * Only what holds contents is sent: an entry that says "nothing here" tells a reader nothing, for
 * that is how it starts.  To a reader that makes zeros of XALLOC, pages of zeros are such entries.
 *
 * While the guest runs a page may go between being asked about and being mapped: it is then asked
 * about once more, and left for later. */
#include <errno.h>
#include <string.h>

#include "base/holes.h"
#include "mem/again.h"
#include "mem/live.h"
#include "mem/pv.h"
#include "mem/save.h"
#include "wire/walk.h"

/* b->entry: what each is, in wire form; the batch is cut down to those that hold contents (and
 * broken ones, which a reader should hear of). */
static bool classify(struct wh_save *s, struct wh_batch *b, size_t *data)
{
    uint64_t type[WH_BATCH_MAX];
    size_t asked = 0, kept = 0;

    *data = 0;
    for (size_t i = 0; i < b->n; i++)
        if (b->frame[i] != WH_NO_FRAME)
            type[asked++] = b->frame[i];
    if (asked > 0 && !wh_xen_types(s->op, s->xen, s->domid, type, asked))
        return false;
    s->looked_at += asked;
    for (size_t i = 0, k = 0; i < b->n; i++) {
        uint64_t what = b->frame[i] == WH_NO_FRAME ? WH_PAGE_XTAB : type[k++];

        if (!wh_page_type_legal((unsigned)what))
            return wh_fail(&s->op->err, WH_XEN, "frame %#llx of domain %u is of the unknown type "
                           "%#llx", (unsigned long long)b->frame[i], s->domid,
                           (unsigned long long)what);
        if (what == WH_PAGE_XTAB || what == WH_PAGE_XALLOC ||
            (what != WH_PAGE_BROKEN && wh_again_lent(s, b->pfn[i])))
            continue;
        b->entry[kept] = what << 60 | b->pfn[i];
        b->pfn[kept] = b->pfn[i];
        if (wh_page_has_data(b->entry[kept]))
            b->frame[(*data)++] = b->frame[i];
        kept++;
    }
    b->n = kept;
    return true;
}

/* Contents are runs of pages in the mapping, between those that are zero. */
static bool put_runs(struct wh_save *s, const uint8_t *pages, const bool *zero, size_t n)
{
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i; end < n && zero[end] == zero[i]; end++)
            ;
        if (!zero[i] && !wh_sink_pages(s->op, s->out, pages + i * WH_PAGE_SIZE, end - i, WH_GUESTS))
            return false;
    }
    return true;
}

/* Those of the entries that are zeros become XALLOC.  How many pages are left that hold something.
 * Not a PV guest's: a page table has a type, which would be lost. */
static size_t elide(struct wh_save *s, struct wh_batch *b, const uint8_t *pages, size_t data, bool *zero)
{
    size_t k = 0, left = data;

    for (size_t i = 0; i < b->n; i++) {
        if (!wh_page_has_data(b->entry[i]))
            continue;
        zero[k] = s->elide_zeros && !s->pv && wh_page_is_zero(pages + k * WH_PAGE_SIZE);
        if (zero[k]) {
            b->entry[i] = (uint64_t)WH_PAGE_XALLOC << 60 | b->pfn[i];
            left--;
        }
        k++;
    }
    s->zeros += data - left;
    return left;
}

static bool put(struct wh_save *s, struct wh_batch *b, size_t data, uint8_t *pages)
{
    uint64_t first = b->pfn[0], last = b->pfn[0];
    bool zero[WH_BATCH_MAX];
    size_t left = elide(s, b, pages, data, zero);

    for (size_t i = 1; i < b->n; i++) {
        first = b->pfn[i] < first ? b->pfn[i] : first;
        last = b->pfn[i] > last ? b->pfn[i] : last;
    }
    if (!s->again || !s->again->on)
        wh_index_add(s->index, s->out->at, first, last);
    s->batches++;
    if (!wh_put_pages_head(s->op, s->out, b->entry, b->n, left))
        return false;
    if (s->pv)
        return wh_pv_put_pages(s, b, pages);    /* none was elided */
    return put_runs(s, pages, zero, data);
}

/* Out of the batch, for later, go the pages that could not be mapped; 0: all could. */
static size_t put_off(struct wh_save *s, struct wh_batch *b, size_t data, const int *err)
{
    size_t kept = 0, k = 0;

    for (size_t i = 0; i < b->n; i++) {
        bool gone = wh_page_has_data(b->entry[i]) && k < data && err[k++] != 0;

        if (gone)
            wh_live_owe(s->live, b->pfn[i]);
        else
            b->pfn[kept++] = b->pfn[i];
    }
    size_t off = b->n - kept;
    for (size_t i = 0; off > 0 && i < kept; i++)
        b->frame[i] = b->pfn[i];
    b->n = kept;
    return off;
}

static bool all_mapped(struct wh_save *s, const struct wh_batch *b, size_t data, const int *err)
{
    for (size_t i = 0; i < data; i++)
        if (err[i])
            return wh_fail(&s->op->err, WH_XEN, "map frame %#llx of domain %u: %s",
                           (unsigned long long)b->frame[i], s->domid,
                           strerror(err[i] < 0 ? -err[i] : err[i]));
    return true;
}

bool wh_batch_send(struct wh_save *s, struct wh_batch *b, size_t *data)
{
    int64_t begun = wh_now_ns();
    int err[WH_BATCH_MAX];
    void *pages = NULL;

    if (!classify(s, b, data) || b->n == 0)
        return s->op->err.kind == WH_OK;
    if (*data > 0 && !wh_xen_map(s->op, s->xen, s->domid, false, b->frame, *data, err, &pages))
        return false;
    if (s->live && !s->suspended && put_off(s, b, *data, err) > 0) {
        wh_xen_unmap(s->xen, pages, *data);
        return wh_batch_send(s, b, data);
    }
    bool ok = all_mapped(s, b, *data, err);
    if (ok && wh_again_drop(s, b, pages)) {
        wh_xen_unmap(s->xen, pages, *data);
        return wh_batch_send(s, b, data);
    }
    if (ok)
        wh_again_note(s, b, pages);
    ok = ok && put(s, b, *data, pages);
    wh_xen_unmap(s->xen, pages, *data);
    if (ok && s->live)
        wh_live_sent(s->live, b);
    s->found += *data;
    s->busy_ns += *data > 0 ? wh_now_ns() - begun : 0;
    wh_progress(s->op, s->found * WH_PAGE_SIZE, wh_save_total(s) * WH_PAGE_SIZE);
    return ok;
}
