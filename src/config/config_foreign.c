/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a configuration may not say that came with an image: it chooses neither programs nor the
 * files that they write to.  Who means it says it in a configuration of his own. */
#include <string.h>

#include "config/config.h"

#define SCRIPTS "/etc/xen/scripts/"
#define USERS   "xen-qemuuser-"         /* the host's own for QEMU */
#define OWN     "only a configuration of your own may say it"

/* The script runs as root: a bare name is looked for in the host's folder of them. */
static bool host_script(const char *script)
{
    size_t n = strlen(SCRIPTS);

    if (script && strncmp(script, SCRIPTS, n) == 0)
        script += n;
    return !script || (*script != '\0' && *script != '.' && strchr(script, '/') == NULL);
}

static bool check_scripts(struct wh_err *err, const struct wh_config *c)
{
    for (size_t i = 0; i < c->ndisks; i++) {
        if (!host_script(c->disks[i].script))
            return wh_fail(err, WH_STREAM, "disks[%zu].script: expected one in " SCRIPTS
                           ", found %s", i, c->disks[i].script);
    }
    for (size_t i = 0; i < c->nnics; i++) {
        if (!host_script(c->nics[i].script))
            return wh_fail(err, WH_STREAM, "nics[%zu].script: expected one in " SCRIPTS
                           ", found %s", i, c->nics[i].script);
    }
    return true;
}

/* The device model is a program of the host's, and its arguments can name any file. */
static bool check_model(struct wh_err *err, const struct wh_config *c)
{
    const char *user = c->device_model_user;

    if (c->device_model && *c->device_model)
        return wh_fail(err, WH_STREAM, "b_info.device_model: expected none, found %s: " OWN,
                       c->device_model);
    if (c->nextra > 0 || c->nextra_hvm > 0)
        return wh_fail(err, WH_STREAM, "b_info.extra%s: expected none, found %s: " OWN,
                       c->nextra > 0 ? "" : "_hvm", c->nextra > 0 ? c->extra[0] : c->extra_hvm[0]);
    if (user && *user && strncmp(user, USERS, strlen(USERS)) != 0)
        return wh_fail(err, WH_STREAM, "b_info.device_model_user: expected " USERS "..., found %s: "
                       OWN, user);
    return true;
}

/* "file:/etc/passwd" is a serial port, too. */
static bool check_serial(struct wh_err *err, const char *port)
{
    return !port || !*port || strcmp(port, "pty") == 0 || strcmp(port, "null") == 0 ||
           strcmp(port, "none") == 0 ||
           wh_fail(err, WH_STREAM, "b_info.type.hvm.serial: expected pty, null or none, found %s: "
                   OWN, port);
}

bool wh_config_check_foreign(struct wh_err *err, const struct wh_config *c)
{
    if (!check_scripts(err, c) || !check_model(err, c) || !check_serial(err, c->hvm.serial))
        return false;
    for (size_t i = 0; i < c->hvm.nserial_list; i++) {
        if (!check_serial(err, c->hvm.serial_list[i]))
            return false;
    }
    return true;
}
