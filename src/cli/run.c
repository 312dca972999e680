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
#include "base/json.h"

#define QUIET_MS 500            /* short work shows nothing */
#define REDRAW_MS 200
#define SECOND_MS 1000          /* what comes sooner is the same wish: timeout(1) and a closing
                                   terminal send two */

#define EVENT_MS 500

struct bar {
    bool shown;
    const char *step;
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
    if (strncmp(p->step, "wait for ", 9) == 0) {        /* there are no bytes to count */
        fprintf(stderr, "\r\033[K%s: %.0f s", p->step, (double)ms / 1000);
        return;
    }
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

/* A line when a step begins, and twice a second of one that goes on. */
static void say(FILE *f, struct bar *b, const struct wh_progress *p)
{
    int64_t now = now_ms(), ms = now - b->begun_ms;

    if (p->step == b->step && now - b->drawn_ms < EVENT_MS)
        return;
    if (p->step != b->step) {
        b->begun_ms = now;
        ms = 0;
    }
    b->step = p->step;
    b->drawn_ms = now;
    wh_auto_json json_object *o = json_object_new_object();
    json_object_object_add(o, "event", json_object_new_string("progress"));
    json_object_object_add(o, "step", json_object_new_string(p->step));
    json_object_object_add(o, "bytes", json_object_new_uint64(p->done));
    json_object_object_add(o, "total_bytes", p->total ? json_object_new_uint64(p->total) : NULL);
    if (ms > 0) {
        uint64_t rate = p->done * 1000 / (uint64_t)ms;

        json_object_object_add(o, "bytes_per_second", json_object_new_uint64(rate));
        if (rate > 0 && p->total > p->done)
            json_object_object_add(o, "seconds_left",
                                   json_object_new_uint64((p->total - p->done) / rate));
    }
    wh_cli_json(f, o, JSON_C_TO_STRING_PLAIN);
    fflush(f);
}

static void hear_all(struct wh_job *j, const struct wh_cli_way *way)
{
    for (char *text = wh_job_event(j); text; text = wh_job_event(j)) {
        wh_auto_json json_object *o = way->hear ? json_tokener_parse(text) : NULL;

        if (o)
            way->hear(o, way->hear_arg);
        free(text);
    }
}

/* Until the job has ended: a first signal cancels it, which ends it soon. */
static void attend(struct wh_job *j, int signals, const struct wh_cli_way *way)
{
    struct pollfd p[] = { { wh_job_fd(j), POLLIN, 0 }, { signals, POLLIN, 0 } };
    struct bar bar = { .begun_ms = now_ms() };
    struct signalfd_siginfo info;
    struct wh_progress progress;
    int64_t cancelled_ms = 0;

    while (wh_job_state(j, &progress) != WH_JOB_ENDED) {
        hear_all(j, way);
        if (way->events)
            say(way->events, &bar, &progress);
        else
            draw(&bar, &progress);
        if (poll(p, WH_COUNT(p), REDRAW_MS) < 0 && errno != EINTR)
            break;
        if (!(p[1].revents & POLLIN) || read(signals, &info, sizeof info) != sizeof info)
            continue;
        if (cancelled_ms && !way->patient && now_ms() - cancelled_ms >= SECOND_MS)
            give_up((int)info.ssi_signo);
        if (!cancelled_ms)
            cancelled_ms = now_ms();
        wh_job_cancel(j);
    }
    if (bar.shown)
        fputs("\r\033[K", stderr);
    hear_all(j, way);
}

/* Signals that are ignored, as under nohup, stay so.  The first that is not, by which another process
 * may cancel; 0: there is none. */
static int cancelling_signals(sigset_t *set)
{
    static const int cancels[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction now;
    int first = 0;

    sigemptyset(set);
    for (size_t i = 0; i < WH_COUNT(cancels); i++) {
        if (sigaction(cancels[i], NULL, &now) < 0 || now.sa_handler == SIG_IGN)
            continue;
        sigaddset(set, cancels[i]);
        first = first ? first : cancels[i];
    }
    return first;
}

static enum wh_kind run(struct wh_job *j, const struct wh_cli_way *way)
{
    sigset_t set, before;

    j->op.signal = cancelling_signals(&set);
    sigprocmask(SIG_BLOCK, &set, &before);
    wh_auto_fd int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (wh_job_start(j))
        attend(j, signals, way);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return wh_job_wait(j);
}

int wh_cli_job(struct wh_job *j, bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg),
               void *arg)
{
    static const struct wh_cli_way plain = { 0 };

    return wh_cli_job_so(j, &plain, show, arg);
}

int wh_cli_job_so(struct wh_job *j, const struct wh_cli_way *way,
                  bool (*show)(const struct wh_job *j, enum wh_kind kind, void *arg), void *arg)
{
    if (!j)
        return wh_cli_fail(WH_SYSTEM, "no memory or no descriptors are left");
    enum wh_kind kind = run(j, way);
    bool told = show && show(j, kind, arg);
    int code = kind == WH_OK || told ? wh_kind_exit(kind) : wh_cli_fail(kind, wh_job_error(j));
    wh_job_free(j);
    return code;
}

void wh_cli_say(const char *text)
{
    fputs("wherry: ", stderr);
    wh_print_plain(stderr, text);
    putc('\n', stderr);
}

int wh_cli_fail(enum wh_kind kind, const char *text)
{
    wh_cli_say(text);
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

void wh_cli_json(FILE *f, json_object *o, int flags)
{
    const char *s = json_object_to_json_string_ext(o, flags | JSON_C_TO_STRING_NOSLASHESCAPE);

    for (; *s; s++) {
        unsigned char c = (unsigned char)s[0], next = (unsigned char)s[1];
        bool c1 = c == 0xc2 && next >= 0x80 && next < 0xa0;

        if (c1 || c == 0x7f)
            fprintf(f, "\\u%04x", c1 ? next : c);
        else
            putc(c, f);
        s += c1;
    }
    putc('\n', f);
}

bool wh_cli_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 0);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
}

int wh_cli_level(struct argp_state *state, const char *text)
{
    char *end;
    long n = text ? strtol(text, &end, 10) : 0;

    if (text && (*text == '\0' || *end || n == 0 || n < -5 || n > 19))
        argp_error(state, "a level of compression is -5 to 19 and not 0, not '%s'", text);
    return (int)n;
}
