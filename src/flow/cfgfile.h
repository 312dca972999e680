/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's xl.cfg file. */
#ifndef WH_FLOW_CFGFILE_H
#define WH_FLOW_CFGFILE_H

#include "base/op.h"
#include "config/config.h"

/* Read it ("-": standard input), and more ("vcpus=2\n...", NULL: nothing) after it.  warnings, for
 * people, may be NULL. */
bool wh_cfgfile_read(struct wh_op *op, const char *path, const char *more, struct wh_config *c,
                     struct wh_warnings *warnings);

#endif
