/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What HVM guests have beside the others: parts of config_complete.c. */
#ifndef WH_CONFIG_CONFIG_HVM_H
#define WH_CONFIG_CONFIG_HVM_H

#include "config/config.h"

/* Refuses what cannot be created, without a look at its memory. */
bool wh_config_hvm_check(struct wh_err *err, const struct wh_config *c);

/* What the display has when nobody said it; it is the least, too. */
uint64_t wh_config_hvm_video_memkb(const struct wh_config *c);
/* Of a configuration that has all its memory said. */
bool wh_config_hvm_check_video(struct wh_err *err, const struct wh_config *c);

/* To where b_info has it now, of what libxl before 4.10 had in type.hvm. */
void wh_config_hvm_move(struct wh_config *c);

bool wh_config_hvm_settle(struct wh_err *err, struct wh_config *c);

#endif
