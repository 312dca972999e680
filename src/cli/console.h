/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef WH_CLI_CONSOLE_H
#define WH_CLI_CONSOLE_H

#include <stdint.h>

/* Become xenconsole on console number num of a domain; type is "pv" or "serial".  Returns only if
 * that fails: an exit code, and why has been said. */
int wh_console_become(uint32_t domid, const char *type, uint32_t num);

#endif
