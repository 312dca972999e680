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

/* Until the job has ended: a first signal cancels it, which ends it soon. */
static void attend(struct wh_job *j, int signals)
{
    struct pollfd p[] = { { wh_job_fd(j), POLLIN, 0 }, { signals, POLLIN, 0 } };
    struct bar bar = { .begun_ms = now_ms() };
    struct signalfd_siginfo info;
    struct wh_progress progress;

    while (wh_job_state(j, &progress) != WH_JOB_ENDED) {
        draw(&bar, &progress);
        if (poll(p, WH_COUNT(p), REDRAW_MS) < 0 && errno != EINTR)
            break;
        if ((p[1].revents & POLLIN) && read(signals, &info, sizeof info) > 0)
            wh_job_cancel(j);
    }
    if (bar.shown)
        fputs("\r\033[K", stderr);
}

enum wh_kind wh_cli_run(struct wh_job *j)
{
    sigset_t set, before;

    if (!j)
        return WH_SYSTEM;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, &before);
    wh_auto_fd int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (wh_job_start(j))
        attend(j, signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return wh_job_wait(j);
}

int wh_cli_fail(enum wh_kind kind, const char *text)
{
    fprintf(stderr, "wherry: %s\n", text);
    return wh_kind_exit(kind);
}

int wh_cli_exit(int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    return wh_cli_fail(WH_SYSTEM, "standard output could not be written");
}

bool wh_cli_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}
