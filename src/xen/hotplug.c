/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's scripts that connect a device: to a bridge, to a loop device.
 *
 *     vif-bridge online type_if=vif        XENBUS_PATH=backend/vif/3/0 vif=vif3.0 ...
 *     vif-bridge add type_if=tap           ... INTERFACE=vif3.0-emu: QEMU's side of an emulated card
 *     block add                            XENBUS_PATH=backend/vbd/3/51712 ...
 *
 * A script has a minute, then it and what it has started are killed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "xen/device.h"
#include "xen/process.h"

#define SCRIPT_MS 60000         /* libxl gives them 40 s; hosts may be slow */
#define VARIABLES 10
#define PATHS "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool refuse(struct wh_op *op, const char *name, const char *why)
{
    return wh_fail(&op->err, WH_USAGE, "the script '%s': %s", name, why);
}

/* What a stored configuration names has to lead, links and dots followed, to a file right inside
 * the folder of scripts. */
static bool inside(struct wh_op *op, const struct wh_here *h, const char *name, char path[PATH_MAX])
{
    char folder[PATH_MAX], real[PATH_MAX];
    size_t n;

    if (!realpath(h->scripts, folder) || !realpath(path, real))
        return wh_fail_sys(&op->err, errno, "the script '%s'", name);
    n = strlen(folder);
    if (strncmp(real, folder, n) != 0 || real[n] != '/')
        return refuse(op, name, "it is not one of the host's scripts, and comes from outside");
    return true;
}

bool wh_hotplug_path(struct wh_op *op, const struct wh_here *h, const char *name, bool owner,
                     char path[PATH_MAX])
{
    bool whole = name[0] == '/';
    int n = snprintf(path, PATH_MAX, "%s%s%s", whole ? "" : h->scripts, whole ? "" : "/", name);

    if (n >= PATH_MAX)
        return refuse(op, name, "its path is too long");
    if (!whole && (strchr(name, '/') || !*name || strcmp(name, ".") == 0 ||
                   strcmp(name, "..") == 0))
        return refuse(op, name, "expected a name in the folder of scripts, or a whole path");
    if (!owner && !inside(op, h, name, path))
        return false;
    return access(path, X_OK) == 0 || wh_fail_sys(&op->err, errno, "the script %s", path);
}

/* ------------------------------------------------------------------------ the environment */

struct environment {
    char *of[VARIABLES + 1];
    size_t n;
};

static void drop(struct environment *e)
{
    while (e->n > 0)
        free(e->of[--e->n]);
}

static bool set(struct wh_op *op, struct environment *e, const char *name, const char *value)
{
    if (asprintf(&e->of[e->n], "%s=%s", name, value) < 0) {
        e->of[e->n] = NULL;
        return wh_fail_sys(&op->err, ENOMEM, "run a script");
    }
    e->n++;
    return true;
}

/* The script itself gives it the name that its nodes say. */
static bool set_vif(struct wh_op *op, struct wh_here *h, struct environment *e,
                    const struct wh_device *d)
{
    wh_auto_free char *gateway = NULL;
    char ours[256], vif[32], tap[40];

    snprintf(vif, sizeof vif, "vif%u.%u", d->domid, d->id);
    snprintf(tap, sizeof tap, "%s-emu", vif);
    wh_device_path(d, WH_OURS, ours);
    return wh_store_read(op, h->store, 0, &gateway, "%s/gatewaydev", ours) &&
           set(op, e, "netdev", gateway ? gateway : "") && set(op, e, "vif", vif) &&
           set(op, e, "INTERFACE", tap);
}

/* The script's own tools take paths in xenstore as relative to /local/domain/0. */
static bool fill(struct wh_op *op, struct wh_here *h, struct environment *e,
                 const struct wh_device *d, const char *script)
{
    char bus[64];

    snprintf(bus, sizeof bus, "backend/%s/%u/%u", d->backend_kind, d->domid, d->id);
    e->of[e->n] = strdup(PATHS);
    if (!e->of[e->n++])
        return wh_fail_sys(&op->err, ENOMEM, "run a script");
    return set(op, e, "script", script) && set(op, e, "XENBUS_TYPE", d->backend_kind) &&
           set(op, e, "XENBUS_PATH", bus) && set(op, e, "XENBUS_BASE_PATH", "backend") &&
           (strcmp(d->kind, "vif") != 0 || set_vif(op, h, e, d));
}

/* ------------------------------------------------------------------------------ running it */

/* A script says by exit status and by a node what went wrong. */
static bool judge(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                  const char *script, int status)
{
    wh_auto_free char *why = NULL;
    char back[256];

    wh_device_path(d, WH_BACK, back);
    if (!wh_store_read(op, h->store, 0, &why, "%s/hotplug-error", back))
        return false;
    if (why || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return wh_fail(&op->err, WH_SYSTEM, "%s %s %d for %s/%u: %s (see %s/xen-hotplug.log)",
                       script, WIFEXITED(status) ? "ended with status" : "was killed by signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), d->kind, d->id,
                       why ? why : "it does not say why", h->log);
    return true;
}

/* interface: "type_if=vif", or NULL. */
static bool run(struct wh_op *op, struct wh_here *h, const struct wh_device *d, bool connect,
                const char *script, const char *verb, const char *interface)
{
    char log[PATH_MAX], *argv[] = { strdupa(script), strdupa(verb), NULL, NULL };
    wh_auto(drop) struct environment e = { .n = 0 };
    int status;

    if (interface)
        argv[2] = strdupa(interface);
    snprintf(log, sizeof log, "%s/xen-hotplug.log", h->log);
    struct wh_program p = { script, argv, e.of, log };
    wh_step(op, connect ? "run a device's script" : "run a device's script for its end", SCRIPT_MS);
    return fill(op, h, &e, d, script) && wh_process_run(op, &p, &status) &&
           judge(op, h, d, script, status);
}

/* *script: NULL where there is none to run. */
static bool find_script(struct wh_op *op, struct wh_here *h, const struct wh_device *d, char **script)
{
    char ours[256];

    if (!wh_store_read(op, h->store, 0, script, "%s/script", wh_device_path(d, WH_OURS, ours)))
        return false;
    if (*script && (d->backend != 0 || **script != '/'))
        free(wh_take_ptr(script));
    return true;
}

static bool with_script(struct wh_op *op, struct wh_here *h, const struct wh_device *d,
                        bool connect)
{
    wh_auto_free char *script = NULL;
    bool vif = strcmp(d->kind, "vif") == 0;

    return find_script(op, h, d, &script) &&
           (!script || run(op, h, d, connect, script,
                           vif ? (connect ? "online" : "offline") : connect ? "add" : "remove",
                           vif ? "type_if=vif" : NULL));
}

bool wh_hotplug_connect(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    return with_script(op, h, d, true);
}

/* It goes with QEMU by itself. */
bool wh_hotplug_connect_tap(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    wh_auto_free char *script = NULL;

    return find_script(op, h, d, &script) &&
           (!script || run(op, h, d, true, script, "add", "type_if=tap"));
}

bool wh_hotplug_disconnect(struct wh_op *op, struct wh_here *h, const struct wh_device *d)
{
    return with_script(op, h, d, false);
}
