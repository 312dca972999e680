/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running a job from the command line: signals, progress, errors. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

#include "base/own.h"
#include "cli/cli.h"

#define QUIET_MS 500            /* short work shows nothing */
#define REDRAW_MS 200
#define SECOND_MS 1000          /* what comes sooner is the same wish: timeout(1) and a closing
                                   terminal send two */

struct bar {
    bool shown;
    int64_t begun_ms, drawn_ms;
};

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void draw(struct bar *b, const struct wh_progress *p)
{
    int64_t now = now_ms(), ms = now - b->begun_ms;
    double mib = (double)p->done / (1 << 20), rate = mib * 1000 / (double)(ms ? ms : 1);

    if (!isatty(STDERR_FILENO) || ms < QUIET_MS || (b->shown && now - b->drawn_ms < REDRAW_MS))
        return;
    b->shown = true;
    b->drawn_ms = now;
    fprintf(stderr, "\r\033[K%s: %.0f MiB", p->step, mib);
    if (p->total > 0)
        fprintf(stderr, " of %.0f, %.0f%%", (double)p->total / (1 << 20),
                100.0 * (double)p->done / (double)p->total);
    fprintf(stderr, ", %.0f MiB/s", rate);
    if (p->total > p->done && rate > 0)
        fprintf(stderr, ", %.0f s left", (double)(p->total - p->done) / (1 << 20) / rate);
}

/* A second signal: whoever sent it does not want to wait for the job to notice the first, which it
 * cannot while it writes to somebody who does not read. */
static void give_up(int signal_number)
{
    sigset_t one;

    signal(signal_number, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, signal_number);
    raise(signal_number);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

/* Until the job has ended: a first signal cancels it, which ends it soon. */
static void attend(struct wh_job *j, int signals)
{
    struct pollfd p[] = { { wh_job_fd(j), POLLIN, 0 }, { signals, POLLIN, 0 } };
    struct bar bar = { .begun_ms = now_ms() };
    struct signalfd_siginfo info;
    struct wh_progress progress;
    int64_t cancelled_ms = 0;

    while (wh_job_state(j, &progress) != WH_JOB_ENDED) {
        draw(&bar, &progress);
        if (poll(p, WH_COUNT(p), REDRAW_MS) < 0 && errno != EINTR)
            break;
        if (!(p[1].revents & POLLIN) || read(signals, &info, sizeof info) != sizeof info)
            continue;
        if (cancelled_ms && now_ms() - cancelled_ms >= SECOND_MS)
            give_up((int)info.ssi_signo);
        if (!cancelled_ms)
            cancelled_ms = now_ms();
        wh_job_cancel(j);
    }
    if (bar.shown)
        fputs("\r\033[K", stderr);
}

/* Signals that are ignored, as under nohup, stay so. */
static void cancelling_signals(sigset_t *set)
{
    static const int cancels[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction now;

    sigemptyset(set);
    for (size_t i = 0; i < WH_COUNT(cancels); i++) {
        if (sigaction(cancels[i], NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(set, cancels[i]);
    }
}

static enum wh_kind run(struct wh_job *j)
{
    sigset_t set, before;

    cancelling_signals(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    wh_auto_fd int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (wh_job_start(j))
        attend(j, signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return wh_job_wait(j);
}

int wh_cli_job(struct wh_job *j, bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg),
               void *arg)
{
    if (!j)
        return wh_cli_fail(WH_SYSTEM, "no memory or no descriptors are left");
    enum wh_kind kind = run(j);
    bool told = show && show(j, kind, arg);
    int code = kind == WH_OK || told ? wh_kind_exit(kind) : wh_cli_fail(kind, wh_job_error(j));
    wh_job_free(j);
    return code;
}

int wh_cli_fail(enum wh_kind kind, const char *text)
{
    fputs("wherry: ", stderr);
    wh_print_plain(stderr, text);
    putc('\n', stderr);
    return wh_kind_exit(kind);
}

void wh_print_plain(FILE *f, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;

        putc(c < 0x20 || c == 0x7f || c1 ? '?' : c, f);
        s += c1;
    }
}

bool wh_cli_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}
