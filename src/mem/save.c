/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The image's order: headers, what never changes, pages, tail. */
#include "mem/save.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/own.h"
#include "mem/again.h"
#include "mem/live.h"
#include "mem/pv.h"
#include "wire/libxc.h"

bool wh_save_record(struct wh_save *s, uint32_t type, const void *body, size_t n)
{
    const struct wh_row *row = wh_row_find(&wh_layer_libxc, type);

    if (n > row->max)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u has %zu bytes of %s, an image takes %u",
                       s->domid, n, row->name, row->max);
    return wh_put_record(s->op, s->out, &wh_layer_libxc, type, body, n);
}

static bool look(struct wh_save *s)
{
    bool there;

    if (!wh_xen_domain(s->op, s->xen, s->domid, &s->info, &there))
        return false;
    return there || wh_fail(&s->op->err, WH_GUEST, "domain %u is gone", s->domid);
}

static bool put_policy(struct wh_save *s)
{
    wh_auto_free void *leaves = NULL;
    wh_auto_free void *msrs = NULL;
    size_t leaf_bytes, msr_bytes;

    return wh_xen_get_policy(s->op, s->xen, s->domid, &leaves, &leaf_bytes, &msrs, &msr_bytes) &&
           wh_save_record(s, WH_LIBXC_CPUID_POLICY, leaves, leaf_bytes) &&
           wh_save_record(s, WH_LIBXC_MSR_POLICY, msrs, msr_bytes) &&
           wh_save_record(s, WH_LIBXC_STATIC_DATA_END, NULL, 0);
}

uint64_t wh_save_total(const struct wh_save *s)
{
    uint64_t live = s->live ? s->live->found + s->live->round.left : 0;

    return live > s->info.pages ? live : s->info.pages;
}

bool wh_save_begin(struct wh_save *s)
{
    struct wh_host *host = calloc(1, sizeof *host);
    bool ok = host || wh_fail_sys(&s->op->err, ENOMEM, "save");

    ok = ok && look(s) && wh_xen_host(s->op, s->xen, host) &&
         wh_put_libxc_headers(s->op, s->out, s->info.hvm ? WH_HVM : WH_PV, host->major,
                              host->minor) &&
         (s->info.hvm || wh_save_pv_begin(s)) && put_policy(s);
    free(host);
    return ok;
}

static bool put_tsc(struct wh_save *s)
{
    struct wh_tsc t;
    uint8_t body[24] = { 0 };

    if (!wh_xen_get_tsc(s->op, s->xen, s->domid, &t))
        return false;
    wh_put_le32(body, t.mode);
    wh_put_le32(body + 4, t.khz);
    wh_put_le64(body + 8, t.elapsed_ns);
    wh_put_le32(body + 16, t.incarnation);
    return wh_save_record(s, WH_LIBXC_TSC_INFO, body, sizeof body);
}

static bool put_pages(struct wh_save *s)
{
    uint64_t frames;

    if (s->again && s->info.hvm &&
        (!wh_xen_frames(s->op, s->xen, s->domid, &frames) || !wh_again_room(s, frames)))
        return false;
    if (s->live)
        return wh_live_last(s);
    return s->info.hvm ? wh_save_hvm_pages(s) : wh_save_pv_pages(s);
}

bool wh_save_rest(struct wh_save *s)
{
    return look(s) && put_pages(s) && (!s->again || wh_again_send(s)) && put_tsc(s) &&
           (s->info.hvm ? wh_save_hvm_tail(s) : wh_save_pv_tail(s)) &&
           wh_save_record(s, WH_LIBXC_END, NULL, 0);
}

void wh_save_free(struct wh_save *s)
{
    wh_pv_free(s->xen, s->pv);
    s->pv = NULL;
}
