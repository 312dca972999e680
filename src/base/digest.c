/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The digest, on xxHash: by the widest vectors of this machine where the library can choose. */
#include "base/digest.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "base/holes.h"
#include "base/zeros.h"

#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#define LENT_MOST 64            /* pieces that wait for the thread */
#define WORTH_A_WAKE (512u << 10)

struct piece {
    const uint8_t *p;           /* NULL: zeros */
    size_t n;
};

struct wh_digest {
    XXH3_state_t *state;        /* the thread's while pieces wait */
    bool threaded, stop;
    bool busy, waiting;         /* somebody digests; the caller wants to know when it has */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t more, fewer;
    unsigned long lent, done;   /* counts; a piece's place is its number modulo LENT_MOST */
    size_t bytes;               /* that wait, zeros not counted */
    struct piece piece[LENT_MOST];
};

struct wh_digest *wh_digest_new(void)
{
    struct wh_digest *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->state = XXH3_createState();
    if (!d->state) {
        free(d);
        return NULL;
    }
    XXH3_128bits_reset(d->state);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->more, NULL);
    pthread_cond_init(&d->fewer, NULL);
    return d;
}

/* What is lent and not yet done is left undone. */
static void end_thread(struct wh_digest *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
    pthread_join(d->thread, NULL);
    d->threaded = false;
}

void wh_digest_free(struct wh_digest *d)
{
    if (!d)
        return;
    if (d->threaded)
        end_thread(d);
    pthread_cond_destroy(&d->fewer);
    pthread_cond_destroy(&d->more);
    pthread_mutex_destroy(&d->lock);
    XXH3_freeState(d->state);
    free(d);
}

/* --------------------------------------------------------------------------- the thread */

/* Runs of pages that are zero are quickly done. */
static void digest(struct wh_digest *d, const uint8_t *p, size_t n)
{
    for (size_t m; n > 0; n -= m, p += m) {
        m = wh_zero_run(p, n);
        if (m > 0) {
            wh_zeros_update(d->state, m);
            continue;
        }
        m = WH_HOLE_PAGE < n ? WH_HOLE_PAGE : n;
        while (m < n && wh_zero_run(p + m, WH_HOLE_PAGE < n - m ? WH_HOLE_PAGE : n - m) == 0)
            m += WH_HOLE_PAGE < n - m ? WH_HOLE_PAGE : n - m;
        XXH3_128bits_update(d->state, p, m);
    }
}

/* The oldest piece, by whoever calls with the lock held: it is given up meanwhile. */
static void do_one(struct wh_digest *d)
{
    struct piece piece = d->piece[d->done % LENT_MOST];

    d->busy = true;
    pthread_mutex_unlock(&d->lock);
    if (piece.p)
        digest(d, piece.p, piece.n);
    else
        wh_zeros_update(d->state, piece.n);
    pthread_mutex_lock(&d->lock);
    d->busy = false;
    d->done++;
    d->bytes -= piece.p ? piece.n : 0;
    if (d->waiting)
        pthread_cond_signal(&d->fewer);
}

static void *run(void *arg)
{
    struct wh_digest *d = arg;

    pthread_mutex_lock(&d->lock);
    while (!d->stop) {
        if (d->done == d->lent || d->busy)
            pthread_cond_wait(&d->more, &d->lock);
        else
            do_one(d);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* It takes no signals: they are the program's. */
void wh_digest_thread(struct wh_digest *d)
{
    sigset_t all, before;
    cpu_set_t cpus;

    if (d->threaded || (sched_getaffinity(0, sizeof cpus, &cpus) == 0 && CPU_COUNT(&cpus) < 2))
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    d->threaded = pthread_create(&d->thread, NULL, run, d) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Until so many pieces at most wait: what the thread has not begun is done here. */
static void wait_until(struct wh_digest *d, unsigned long most)
{
    while (d->lent - d->done > most) {
        if (!d->busy) {
            do_one(d);
            continue;
        }
        d->waiting = true;
        pthread_cond_wait(&d->fewer, &d->lock);
        d->waiting = false;
    }
}

void wh_digest_settle(struct wh_digest *d)
{
    if (!d || !d->threaded)
        return;
    pthread_mutex_lock(&d->lock);
    wait_until(d, 0);
    pthread_mutex_unlock(&d->lock);
}

unsigned long wh_digest_mark(const struct wh_digest *d)
{
    return d->lent;
}

void wh_digest_reach(struct wh_digest *d, unsigned long mark)
{
    if (!d->threaded)
        return;
    pthread_mutex_lock(&d->lock);
    wait_until(d, d->lent - mark);
    pthread_mutex_unlock(&d->lock);
}

static void give(struct wh_digest *d, const void *p, size_t n)
{
    pthread_mutex_lock(&d->lock);
    wait_until(d, LENT_MOST - 1);
    d->piece[d->lent++ % LENT_MOST] = (struct piece){ p, n };
    d->bytes += p ? n : 0;
    if (d->bytes >= WORTH_A_WAKE && !d->busy)
        pthread_cond_signal(&d->more);
    pthread_mutex_unlock(&d->lock);
}

void wh_digest_lend(struct wh_digest *d, const void *p, size_t n)
{
    if (d->threaded)
        give(d, p, n);
    else
        digest(d, p, n);
}

void wh_digest_zeros(struct wh_digest *d, size_t n)
{
    if (d->threaded)
        give(d, NULL, n);
    else
        wh_zeros_update(d->state, n);
}

/* ------------------------------------------------------------------------- in the caller */

void wh_digest_feed(struct wh_digest *d, const void *p, size_t n)
{
    wh_digest_settle(d);
    digest(d, p, n);
}

static void canonical(XXH128_hash_t h, uint8_t out[WH_DIGEST_BYTES])
{
    XXH128_canonicalFromHash((XXH128_canonical_t *)out, h);
}

void wh_digest_get(struct wh_digest *d, uint8_t out[WH_DIGEST_BYTES])
{
    wh_digest_settle(d);
    canonical(XXH3_128bits_digest(d->state), out);
}

void wh_digest_of(const void *p, size_t n, uint8_t out[WH_DIGEST_BYTES])
{
    canonical(XXH3_128bits(p, n), out);
}
