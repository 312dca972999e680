/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mem/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "wire/walk.h"
#include "xen/here.h"

#define ENOUGH 1024             /* pages from which a round tells how fast the way is */
#define BITS 64

static uint64_t ms_since(int64_t then_ns)
{
    return (uint64_t)(wh_now_ns() - then_ns) / 1000000;
}

static uint64_t words(uint64_t frames)
{
    return (frames + BITS - 1) / BITS;
}

static uint64_t count(const uint64_t *a, const uint64_t *b, uint64_t frames)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < words(frames); i++)
        n += (uint64_t)__builtin_popcountll(a[i] | b[i]);
    return n;
}

/* ------------------------------------------------------------------------------- log-dirty */

bool wh_live_off(struct wh_op *op, struct wh_xen *x, uint32_t domid)
{
    struct wh_domain d;
    uint64_t none;
    bool there;

    if (!wh_xen_domain(op, x, domid, &d, &there))
        return false;
    return !there || wh_xen_logdirty(op, x, domid, WH_DIRTY_OFF, false, NULL, 0, &none);
}

static bool undo_on(struct wh_op *op, const struct wh_undo *u)
{
    struct wh_here *h = op->world;

    return wh_live_off(op, h->xen, (uint32_t)u->number);
}

/* A saver that was killed may have left it on: Xen then refuses to turn it on. */
static bool turn_on(struct wh_save *s)
{
    struct wh_err before = s->op->err;
    uint64_t none;

    if (wh_xen_logdirty(s->op, s->xen, s->domid, WH_DIRTY_ON, false, NULL, 0, &none))
        return true;
    if (s->op->err.kind != WH_XEN || !s->info.hvm)
        return false;
    s->op->err = before;
    return wh_xen_logdirty(s->op, s->xen, s->domid, WH_DIRTY_OFF, false, NULL, 0, &none) &&
           wh_xen_logdirty(s->op, s->xen, s->domid, WH_DIRTY_ON, false, NULL, 0, &none);
}

/* A guest may get frames above those it had; how much memory of ours that takes is not for it to say. */
static bool make_room(struct wh_save *s)
{
    struct wh_live *l = s->live;
    uint64_t **map[] = { &l->dirty, &l->before, &l->owed, &l->next, &l->sent }, frames;

    if (!wh_xen_frames(s->op, s->xen, s->domid, &frames))
        return false;
    if (frames <= l->frames)
        return true;
    if (frames > wh_save_hvm_most(s))
        return wh_fail(&s->op->err, WH_GUEST, "domain %u has pages up to frame %#llx: too far for "
                       "keeping note of those that it writes to", s->domid,
                       (unsigned long long)frames - 1);
    for (size_t i = 0; i < WH_COUNT(map); i++) {
        uint64_t *more = realloc(*map[i], words(frames) * sizeof **map[i]);

        if (!more)
            return wh_fail_sys(&s->op->err, ENOMEM, "keep note of %llu pages",
                               (unsigned long long)frames);
        memset(more + words(l->frames), 0, (words(frames) - words(l->frames)) * sizeof *more);
        *map[i] = more;
    }
    l->frames = frames;
    return true;
}

bool wh_live_begin(struct wh_save *s)
{
    struct wh_live *l = s->live;

    wh_step(s->op, "keep note of what the guest writes to", 30000);
    if (!make_room(s) || !wh_undo_push(s->op, "log-dirty off", undo_on, "", s->domid))
        return false;
    l->on = true;
    l->round.best = WH_NO_LIMIT;
    return turn_on(s);
}

bool wh_live_end(struct wh_save *s)
{
    if (!s->live->on)
        return true;
    s->live->on = false;
    return wh_live_off(s->op, s->xen, s->domid);
}

void wh_live_free(struct wh_live *l)
{
    free(l->dirty);
    free(l->before);
    free(l->owed);
    free(l->next);
    free(l->sent);
    l->dirty = l->before = l->owed = l->next = l->sent = NULL;
    l->frames = 0;
}

void wh_live_owe(struct wh_live *l, uint64_t pfn)
{
    if (pfn < l->frames)
        l->owed[pfn / BITS] |= UINT64_C(1) << pfn % BITS;
}

void wh_live_sent(struct wh_live *l, const struct wh_batch *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->pfn[i] < l->frames)
            l->sent[b->pfn[i] / BITS] |= UINT64_C(1) << b->pfn[i] % BITS;
}

/* --------------------------------------------------------------------------------- rounds */

static bool send_set(struct wh_save *s, const uint64_t *set)
{
    wh_auto_free struct wh_batch *b = calloc(1, sizeof *b);
    uint64_t frames = s->live->frames;
    size_t data;

    if (!b)
        return wh_fail_sys(&s->op->err, ENOMEM, "save");
    for (uint64_t i = 0; i < words(frames); i++) {
        for (uint64_t left = set[i]; left; left &= left - 1) {
            b->pfn[b->n] = b->frame[b->n] = i * BITS + (uint64_t)__builtin_ctzll(left);
            if (++b->n == WH_BATCH_MAX) {
                if (!wh_batch_send(s, b, &data))
                    return false;
                b->n = 0;
            }
        }
    }
    return b->n == 0 || wh_batch_send(s, b, &data);
}

#define AROUND 16               /* words: as many frames as are asked about in one call */

static bool is_hole(const struct wh_save *s, uint64_t from, uint64_t end)
{
    const struct wh_live *l = s->live;

    return from * BITS >= s->low && end * BITS <= s->top &&
           count(l->sent + from, l->sent + from, (end - from) * BITS) == 0;
}

/* What was never sent: where there is anything else of the guest's, or everywhere. */
static void choose_missing(struct wh_save *s, bool everywhere)
{
    struct wh_live *l = s->live;
    uint64_t n = words(l->frames);

    for (uint64_t from = 0, end; from < n; from = end) {
        end = n - from < AROUND ? n : from + AROUND;
        bool hole = !everywhere && is_hole(s, from, end);
        for (uint64_t i = from; i < end; i++)
            l->next[i] = hole ? 0 : ~l->sent[i];
    }
}

static bool send_missing(struct wh_save *s)
{
    struct wh_live *l = s->live;
    struct wh_domain d;
    bool there;

    if (!make_room(s) || !wh_xen_domain(s->op, s->xen, s->domid, &d, &there))
        return false;
    if (!there)
        return wh_fail(&s->op->err, WH_GUEST, "domain %u is gone", s->domid);
    l->pages = d.pages;
    choose_missing(s, false);
    if (!send_set(s, l->next))
        return false;
    if (count(l->sent, l->sent, l->frames) + l->nowhere >= d.pages)
        return true;
    choose_missing(s, true);
    return send_set(s, l->next);
}

/* What was written to since the last call. */
static bool clean(struct wh_save *s, bool final, uint64_t *n)
{
    struct wh_live *l = s->live;

    if (!make_room(s) ||
        !wh_xen_logdirty(s->op, s->xen, s->domid, WH_DIRTY_CLEAN, final, (uint8_t *)l->dirty,
                         l->frames, n))
        return false;
    l->cleaned_ns = wh_now_ns();
    return true;
}

/* Looking at holes, as the first round does, says nothing of how long pages take. */
static void learn(struct wh_live *l, const struct wh_live_round *was)
{
    if (was->pages >= ENOUGH || l->round.rate == 0)
        l->round.rate = was->pages * WH_PAGE_SIZE * 1000 / (was->busy_ms ? was->busy_ms : 1);
    l->round.sent_bytes += was->pages * WH_PAGE_SIZE;
}

/* After a round: what is left, and what that means. */
static bool look(struct wh_save *s, const struct wh_live_round *was, enum wh_next *next)
{
    struct wh_live *l = s->live;
    struct wh_round *r = &l->round;
    int64_t then = l->cleaned_ns;
    uint64_t n, ms;

    if (!clean(s, false, &n))
        return false;
    ms = (uint64_t)(l->cleaned_ns - then) / 1000000;
    learn(l, was);
    r->round = was->number + 1;
    l->found = s->found;
    r->dirty_rate = n * 1000 / (ms ? ms : 1);
    r->left = count(l->dirty, l->owed, l->frames);
    r->stalled = r->left < r->best - r->best / 8 ? 0 : r->stalled + 1;
    r->best = r->left < r->best ? r->left : r->best;
    r->fixed_ms = l->fixed_ms;
    r->elapsed_ms = ms_since(l->begun_ns);
    *next = wh_policy_next(&l->want, r, &l->why);
    if (l->told)
        l->told(l->arg, was, r, *next, l->why);
    return true;
}

/* Of what is left: what this round sends, and what it puts off. */
static void choose(struct wh_live *l, bool first)
{
    for (uint64_t i = 0; i < words(l->frames); i++) {
        uint64_t hot = first ? 0 : l->dirty[i] & l->before[i];

        l->next[i] = (l->dirty[i] | l->owed[i]) & ~hot;
        l->owed[i] = hot;
        l->before[i] = l->dirty[i];
    }
}

/* Every page.  Some may be nowhere: QEMU's rings are the guest's, and not among its frames. */
static bool first_round(struct wh_save *s)
{
    if (!wh_save_hvm_pages(s))
        return false;
    s->live->nowhere = s->info.pages > s->found ? s->info.pages - s->found : 0;
    return true;
}

static bool flush(struct wh_save *s)
{
    int64_t begun = wh_now_ns();
    bool ok = wh_sink_flush(s->op, s->out);

    s->busy_ns += wh_now_ns() - begun;
    return ok;
}

static bool one_round(struct wh_save *s, unsigned number, struct wh_live_round *was)
{
    struct wh_live *l = s->live;
    uint64_t found = s->found, zeros = s->zeros;
    int64_t begun = wh_now_ns(), busy = s->busy_ns;

    *was = (struct wh_live_round){ .number = number };
    if (number > 0)
        choose(l, number == 1);
    if (!(number == 0 ? first_round(s) : send_set(s, l->next)) || !flush(s))
        return false;
    was->zeros = s->zeros - zeros;
    was->pages = s->found - found - was->zeros;
    was->owed = count(l->owed, l->owed, l->frames);
    was->ms = ms_since(begun);
    was->busy_ms = (uint64_t)(s->busy_ns - busy) / 1000000;
    return true;
}

/* One that is to be given up need not come to its end first. */
static int64_t most_ms(const struct wh_precopy *p)
{
    return p->force || p->timeout_ms > INT64_MAX / 2000000 ? WH_FOREVER : (int64_t)p->timeout_ms;
}

bool wh_live_rounds(struct wh_save *s)
{
    struct wh_live *l = s->live;
    enum wh_next next = WH_GO_ON;
    struct wh_live_round was;

    wh_step(s->op, "copy the running guest", most_ms(&l->want));
    l->begun_ns = l->cleaned_ns = wh_now_ns();
    for (unsigned number = 0; next == WH_GO_ON; number++)
        if (!one_round(s, number, &was) || !look(s, &was, &next))
            return false;
    if (next == WH_SUSPEND_NOW && !send_missing(s))
        return false;
    for (uint64_t i = 0; i < words(l->frames); i++)
        l->owed[i] |= l->dirty[i];
    return next != WH_GIVE_UP ||
           wh_fail(&s->op->err, WH_TIMEOUT, "%s: the guest would have been stopped for %llu ms, and "
                   "%llu were wanted", l->why, (unsigned long long)wh_policy_pause_ms(&l->round),
                   (unsigned long long)l->want.downtime_ms);
}

/* By devices, while their state was taken. */
static bool last_written(struct wh_save *s)
{
    struct wh_live *l = s->live;
    const char *step = s->op->step;
    uint64_t n;

    if (!l->meanwhile)
        return true;
    if (!l->meanwhile(s->op, l->meanwhile_arg) || !clean(s, true, &n))
        return false;
    wh_step(s->op, step, WH_FOREVER);
    return send_set(s, l->dirty);
}

bool wh_live_last(struct wh_save *s)
{
    struct wh_live *l = s->live;
    uint64_t n, found = s->found;

    if (!clean(s, true, &n))
        return false;
    for (uint64_t i = 0; i < words(l->frames); i++) {
        l->next[i] = l->owed[i] | l->dirty[i];
        l->owed[i] = 0;
    }
    s->suspended = true;
    l->round.left = count(l->next, l->next, l->frames);
    if (!send_set(s, l->next) || !last_written(s) || (s->info.pages != l->pages && !send_missing(s)))
        return false;
    l->rest_pages = s->found - found;
    return true;
}
