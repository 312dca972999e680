/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/gauge.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"

#define TEXT_MOST 512           /* of a gauge, which holds no text from outside */

struct wh_gauge {
    struct wh_op *op;
    uint64_t start;
    const char *step;
    int64_t begun_ns;           /* the step, and */
    uint64_t begun_bytes;       /* what had been done when it was */
    char path[PATH_MAX], fresh[PATH_MAX];
};

/* -------------------------------------------------------------------------- processes */

/* The 22nd word, counted behind the name in brackets, which may have any characters. */
uint64_t wh_gauge_started(pid_t pid)
{
    char path[64], text[1024];
    uint64_t ticks = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *at = strrchr(text, ')');
    for (int word = 2; at && word < 22; word++)
        at = strchr(at + 1, ' ');
    return at && sscanf(at, " %" SCNu64, &ticks) == 1 ? ticks : 0;
}

bool wh_gauge_lives(json_object *o)
{
    uint64_t pid = wh_json_number(o, "pid", 0), start = wh_json_number(o, "start", 0);

    return pid > 0 && pid <= INT32_MAX && start > 0 && wh_gauge_started((pid_t)pid) == start;
}

/* ---------------------------------------------------------------------------- writing */

static int print(struct wh_gauge *g, char text[TEXT_MOST])
{
    uint64_t done = g->op->done, total = g->op->total, rate = 0;
    int64_t now = wh_now_ns();
    int n;

    if (g->op->step != g->step || done < g->begun_bytes) {
        g->step = g->op->step;
        g->begun_ns = now;
        g->begun_bytes = done;
    }
    int64_t ms = (now - g->begun_ns) / 1000000;
    if (ms > 0)
        rate = (done - g->begun_bytes) * 1000 / (uint64_t)ms;
    /* A step's name is a constant of ours: no character of it has to be escaped. */
    n = snprintf(text, TEXT_MOST, "{\"pid\":%d,\"start\":%" PRIu64 ",\"step\":\"%.200s\",\"bytes\":%" PRIu64,
                 (int)getpid(), g->start, g->step, done);
    if (total > 0)
        n += snprintf(text + n, TEXT_MOST - (size_t)n, ",\"total_bytes\":%" PRIu64, total);
    if (rate > 0)
        n += snprintf(text + n, TEXT_MOST - (size_t)n, ",\"bytes_per_second\":%" PRIu64, rate);
    if (rate > 0 && total > done)
        n += snprintf(text + n, TEXT_MOST - (size_t)n, ",\"seconds_left\":%" PRIu64,
                      (total - done) / rate);
    return n + snprintf(text + n, TEXT_MOST - (size_t)n, "}\n");
}

/* Exchanged, never changed: a reader has the one or the other. */
static void write_it(void *arg)
{
    struct wh_gauge *g = arg;
    char text[TEXT_MOST];
    int n = print(g, text);

    wh_auto_fd int fd = open(g->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && write(fd, text, (size_t)n) == n)
        rename(g->fresh, g->path);
}

void wh_gauge_begin(struct wh_op *op, const struct wh_here *h, struct wh_gauge **g,
                    const char *record)
{
    const char *name = strrchr(record, '/');

    if (!h->gauges || !name || *g)
        return;
    *g = calloc(1, sizeof **g);
    if (!*g)
        return;
    mkdir(h->gauges, 0700);
    if (snprintf((*g)->path, PATH_MAX, "%s/%s", h->gauges, name + 1) >= PATH_MAX ||
        snprintf((*g)->fresh, PATH_MAX, "%s/.%d-%s", h->gauges, (int)getpid(), name + 1) >= PATH_MAX) {
        free(wh_take_ptr(g));
        return;
    }
    (*g)->op = op;
    (*g)->start = wh_gauge_started(getpid());
    op->told = write_it;
    op->told_arg = *g;
    write_it(*g);
}

void wh_gauge_end(struct wh_op *op, struct wh_gauge **g)
{
    if (!*g)
        return;
    if (op->told_arg == *g)
        op->told = NULL;
    unlink((*g)->path);
    free(wh_take_ptr(g));
}

/* ---------------------------------------------------------------------------- reading */

static json_object *load(const char *path)
{
    char text[2 * TEXT_MOST];
    const char *why;
    size_t at;

    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    return n > 0 ? wh_json_parse(text, (size_t)n, &why, &at) : NULL;
}

json_object *wh_gauge_read(const struct wh_here *h, const char *name, json_object *record)
{
    char path[PATH_MAX];

    if (!h->gauges || snprintf(path, sizeof path, "%s/%s.json", h->gauges, name) >= PATH_MAX)
        return NULL;
    json_object *o = load(path);
    if (o && wh_json_number(o, "pid", 0) == wh_json_number(record, "pid", 1) &&
        wh_json_number(o, "start", 0) == wh_json_number(record, "start", 1))
        return o;
    json_object_put(o);
    return NULL;
}

/* One that was being exchanged when its process was killed has that in its name. */
static bool is_dead(const char *path, const char *name)
{
    int pid;

    if (sscanf(name, ".%d-", &pid) == 1)
        return wh_gauge_started(pid) == 0;
    wh_auto_json json_object *o = load(path);
    return o && !wh_gauge_lives(o);
}

void wh_gauge_sweep(const struct wh_here *h)
{
    DIR *all = h->gauges ? opendir(h->gauges) : NULL;
    char path[PATH_MAX];
    struct dirent *e;

    while (all && (e = readdir(all))) {
        size_t n = strlen(e->d_name);

        if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0 ||
            snprintf(path, sizeof path, "%s/%s", h->gauges, e->d_name) >= PATH_MAX)
            continue;
        if (is_dead(path, e->d_name))
            unlink(path);
    }
    if (all)
        closedir(all);
}
