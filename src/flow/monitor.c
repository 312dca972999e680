/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor.
 *
 *     runs, suspended     it waits: whoever suspended the guest destroys it or lets it run on
 *     shut down           the configuration's action for the reason: destroy, restart ...
 *     without its QEMU    that is said, with the end of QEMU's log: the guest is others' to destroy
 *     gone                it ends
 *
 * A guest that is started again is another domain; the process then becomes that one's monitor. */
#include "flow/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "dm/program.h"
#include "flow/create.h"
#include "flow/find.h"
#include "flow/keep.h"
#include "flow/lookout.h"
#include "flow/stored.h"
#include "flow/task.h"
#include "xen/process.h"

#define STEP_MS 30000
#define QUICK_S 10                  /* a guest that lives so short is not well */
#define QUICK_MOST 5                /* times in a row that it is started again nevertheless */
#define TRIES 3
#define TRY_AGAIN_MS 2000           /* what the old domain held may take a moment to be free */

struct monitor {
    struct wh_task task;
    struct wh_monitor how;
    time_t since;
};

static void say(struct monitor *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct monitor *w, const char *format, ...)
{
    char line[1200];
    va_list al;

    va_start(al, format);
    vsnprintf(line, sizeof line, format, al);
    va_end(al);
    w->how.say(line);
}

static time_t now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec;
}

/* ----------------------------------------------------------------------- starting again */

static bool start_again(struct wh_op *op, struct monitor *w, const struct wh_config *c)
{
    struct wh_here *h = w->task.here;
    struct wh_leftover record = { 0 };
    struct wh_made made;

    bool ok = wh_create_domain(op, h, c, &made, &record) &&
              wh_create_settle(op, h, &made, false, &record);
    if (!ok)
        wh_undo_run(op);
    wh_leftover_close(op, &record);
    if (!ok)
        return false;
    json_object_object_add(w->task.result, "next", json_object_new_int64(made.domid));
    json_object_object_add(w->task.result, "quick", json_object_new_int64(w->how.quick));
    say(w, "started again as domain %u", made.domid);
    return true;
}

static bool restart(struct wh_op *op, struct monitor *w, const struct wh_config *c)
{
    for (int i = 1; !start_again(op, w, c); i++) {
        if (i == TRIES || op->err.kind != WH_XEN)
            return wh_while(&op->err, "start the guest again");
        say(w, "could not be started again, will be tried anew: %s", op->err.text);
        op->err = (struct wh_err){ 0 };
        wh_step(op, "wait before the next try", STEP_MS);
        if (!wh_nap(op, TRY_AGAIN_MS))
            return false;
    }
    return true;
}

/* A guest that dies as soon as it starts would keep the host busy for ever. */
static bool may_restart(struct monitor *w)
{
    w->how.quick = now_s() - w->since < QUICK_S ? w->how.quick + 1 : 0;
    if (w->how.quick < QUICK_MOST)
        return true;
    say(w, "lived less than %d s for the %uth time in a row: not started again", QUICK_S,
        w->how.quick);
    return false;
}

/* ------------------------------------------------------------------------------ actions */

static enum wh_action action_for(const struct wh_config *c, enum wh_shutdown reason)
{
    switch (reason) {
    case WH_POWEROFF:
        return c->on_poweroff;
    case WH_REBOOT:
        return c->on_reboot;
    case WH_WATCHDOG:
        return c->on_watchdog;
    case WH_SOFT_RESET:
        return c->on_soft_reset;
    default:
        return c->on_crash;
    }
}

/* What goes wrong beside keeps nobody down. */
static bool took_away(struct wh_op *op, struct monitor *w, const struct wh_domain *d)
{
    struct wh_err beside;

    if (!wh_domain_take_away(op, w->task.here, d->domid, &beside))
        return false;
    if (beside.kind != WH_OK)
        say(w, "%s", beside.text);
    return true;
}

static bool do_action(struct wh_op *op, struct monitor *w, const struct wh_domain *d,
                      const struct wh_config *c, enum wh_action action)
{
    struct wh_here *h = w->task.here;

    switch (action) {
    case WH_ACTION_COREDUMP_RESTART:
        say(w, "a core dump was asked for, which is not yet supported");
        __attribute__((fallthrough));
    case WH_ACTION_RESTART:
        return took_away(op, w, d) && (!may_restart(w) || restart(op, w, c));
    case WH_ACTION_RESTART_RENAME:
        return wh_keep(op, h, d, c->name) && (!may_restart(w) || restart(op, w, c));
    case WH_ACTION_SOFT_RESET:
        say(w, "a soft reset is not yet supported: the domain is left as it is");
        return true;
    case WH_ACTION_PRESERVE:
        say(w, "the domain is left as it is");
        return true;
    case WH_ACTION_COREDUMP_DESTROY:
        say(w, "a core dump was asked for, which is not yet supported");
        break;
    case WH_ACTION_DESTROY:
        break;
    }
    say(w, "destroyed");
    return wh_domain_destroy(op, h, d->domid);
}

/* It starts again as it was created, with what has been plugged in since, under the name that it
 * has now. */
static bool read_config(struct wh_op *op, struct monitor *w, const struct wh_domain *d,
                        struct wh_config *c)
{
    wh_auto_free char *text = NULL, *name = NULL;
    size_t n;

    if (!wh_stored_read(op, w->task.here, d, &text, &n) ||
        !wh_find_name(op, w->task.here, d->domid, &name))
        return false;
    if (!text)
        return wh_fail(&op->err, WH_XEN, "no configuration is stored for domain %u", d->domid);
    if (!wh_config_read_json(&op->err, text, n, c))
        return false;
    if (name) {
        free(c->name);
        c->name = wh_take_ptr(&name);
    }
    memcpy(c->uuid.byte, d->uuid, sizeof c->uuid.byte);
    return wh_config_complete(&op->err, c);
}

static bool act(struct wh_op *op, struct monitor *w, const struct wh_domain *d)
{
    wh_auto_config struct wh_config c = wh_config_empty();

    wh_step(op, "carry out what the configuration wants", STEP_MS);
    say(w, "domain %u has shut down (%s)", d->domid, wh_find_reason(d));
    return read_config(op, w, d, &c) && do_action(op, w, d, &c, action_for(&c, d->reason));
}

/* ----------------------------------------------------------------------------- watching */

static bool same(const struct wh_domain *a, const struct wh_domain *b)
{
    return memcmp(a->uuid, b->uuid, sizeof a->uuid) == 0;
}

static void tell_of_qemu(struct wh_op *op, struct monitor *w, const struct wh_lookout *l,
                         uint32_t domid)
{
    wh_fail(&op->err, WH_PEER, "the QEMU of domain %u has ended, and the domain has not", domid);
    wh_qemu_blame(op, l->log);
    say(w, "%s", op->err.text);
    op->err = (struct wh_err){ 0 };
}

static bool watch(struct wh_op *op, struct monitor *w, const struct wh_domain *first)
{
    wh_auto(wh_lookout_end) struct wh_lookout l = WH_LOOKOUT_NONE;
    struct wh_here *h = w->task.here;
    struct wh_domain d = *first;
    bool there = true;

    if (!wh_store_watch(op, h->store, "wherry-monitor", "@releaseDomain") ||
        !wh_lookout_begin(op, h, first->domid, &l))
        return false;
    while (there && (!d.shutdown || d.reason == WH_SUSPEND)) {
        if (!wh_lookout_wait(op, h, &l) || !wh_xen_domain(op, h->xen, first->domid, &d, &there))
            return false;
        there = there && !d.dying && same(&d, first);
        if (there && wh_lookout_lost(&l, &d))
            tell_of_qemu(op, w, &l, d.domid);
    }
    if (there)
        return act(op, w, &d);
    say(w, "domain %u is gone", first->domid);
    return true;
}

/* One monitor a domain: two would both start it again.  *lock: -1, another has it. */
static bool take_lock(struct wh_op *op, const char *path, int *lock)
{
    wh_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        *lock = wh_take_fd(&fd);
    else if (errno != EWOULDBLOCK)
        return wh_fail_sys(&op->err, errno, "lock %s", path);
    return true;
}

static bool lock_path(char path[PATH_MAX], const struct wh_here *h, uint32_t domid)
{
    return snprintf(path, PATH_MAX, "%s/wherry-monitor-%u", h->run, domid) < PATH_MAX;
}

bool wh_monitor_watches(const struct wh_here *h, uint32_t domid)
{
    char path[PATH_MAX];

    wh_auto_fd int fd = lock_path(path, h, domid) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool run(struct wh_op *op, struct wh_task *t)
{
    struct monitor *w = (struct monitor *)t;
    wh_auto_fd int lock = -1;
    struct wh_domain d;
    char path[PATH_MAX];

    wh_step(op, "find the domain", STEP_MS);
    t->result = json_object_new_object();
    w->since = now_s();
    if (!wh_find_one(op, t->here, wh_task_who(t), &d))
        return false;
    if (!lock_path(path, t->here, d.domid))
        return wh_fail_sys(&op->err, ENAMETOOLONG, "watch domain %u", d.domid);
    if (!take_lock(op, path, &lock))
        return false;
    if (lock < 0) {
        say(w, "domain %u is watched already", d.domid);
        return true;
    }
    bool ok = watch(op, w, &d);
    unlink(path);
    return ok;
}

struct wh_job *wh_monitor_new(const struct wh_monitor *how)
{
    struct monitor *w = wh_task_make(sizeof *w, how->domain, run);

    if (!w)
        return NULL;
    w->how = *how;
    w->how.domain = NULL;
    return &w->task.job;
}

/* ----------------------------------------------------------------------------- starting */

/* The program that we are, or the installed one if we are somebody else's. */
static bool find_program(struct wh_op *op, char path[PATH_MAX])
{
    static const char *const places[] = { "/usr/local/bin/wherry", "/usr/bin/wherry",
                                          "/usr/local/sbin/wherry", "/usr/sbin/wherry" };
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 1);

    path[n < 0 ? 0 : n] = '\0';
    const char *slash = strrchr(path, '/');
    if (slash && strcmp(slash, "/wherry") == 0)
        return true;
    for (size_t i = 0; i < WH_COUNT(places); i++) {
        if (access(places[i], X_OK) == 0) {
            strcpy(path, places[i]);
            return true;
        }
    }
    return wh_fail(&op->err, WH_SYSTEM, "start a monitor: there is no wherry at %s", places[0]);
}

/* Ours, but for what is meant for this process alone. */
static char **its_environment(void)
{
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **env = calloc(n + 1, sizeof *env);
    for (size_t i = 0; env && i < n; i++)
        if (strncmp(environ[i], "WHERRY_STOP_AT=", 15) != 0 &&
            strncmp(environ[i], "WHERRY_HURRY=", 13) != 0)
            env[kept++] = environ[i];
    return env;
}

bool wh_monitor_start(struct wh_op *op, struct wh_here *h, uint32_t domid)
{
    wh_auto_free char **env = its_environment();
    char program[PATH_MAX], log[PATH_MAX], number[16];
    char *argv[] = { strdupa("wherry"), strdupa("monitor"), number, NULL };
    wh_auto_free char *name = NULL;
    pid_t pid;

    if (!find_program(op, program) || !wh_find_name(op, h, domid, &name))
        return false;
    if (!env)
        return wh_fail_sys(&op->err, ENOMEM, "start the domain's monitor");
    bool named = name && !strchr(name, '/');
    snprintf(number, sizeof number, "%u", domid);
    snprintf(log, sizeof log, "%s/wherry-%s.log", h->log, named ? name : number);
    struct wh_program p = { program, argv, env, log };
    return wh_process_leave(op, &p, NULL, NULL, &pid) || wh_while(&op->err, "start the domain's monitor");
}
