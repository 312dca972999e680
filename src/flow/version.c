/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wherry.h"

const char *wh_version(void)
{
    return WH_VERSION;
}
