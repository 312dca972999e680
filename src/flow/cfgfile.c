/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/cfgfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/own.h"
#include "base/source.h"

bool wh_cfgfile_read(struct wh_op *op, const char *path, const char *more, struct wh_config *c,
                     struct wh_warnings *warnings)
{
    wh_auto_warnings struct wh_warnings unheard = { 0 };
    struct wh_source s = { .fd = -1, .null_fd = -1 };
    bool standard = strcmp(path, "-") == 0;
    size_t n = 0;

    wh_auto_fd int own = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (!standard && own < 0)
        return wh_fail_sys(&op->err, errno, "open %s", path);
    wh_auto_free char *text = malloc(WH_CONFIG_TEXT + 1);
    if (!text)
        return wh_fail_sys(&op->err, ENOMEM, "read %s", path);
    bool ok = wh_source_open(op, &s, standard ? STDIN_FILENO : own);
    s.name = path;
    ok = ok && wh_source_read(op, &s, text, WH_CONFIG_TEXT + 1, &n);
    wh_source_close(&s);
    if (!ok)
        return wh_while(&op->err, "%s", path);
    if (n > WH_CONFIG_TEXT)
        return wh_fail(&op->err, WH_USAGE, "%s: more than %u bytes are no guest's configuration",
                       path, WH_CONFIG_TEXT);
    struct wh_xlcfg from = { .text = text, .n = n, .file = path, .more = more,
                             .host_cpus = (unsigned)sysconf(_SC_NPROCESSORS_ONLN) };
    return wh_config_parse_xlcfg(&op->err, &from, c, warnings ? warnings : &unheard);
}
