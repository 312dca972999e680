/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules a stream can break, by name.  rule.c has the table; docs/streams.md prints it. */
#ifndef WH_WIRE_RULE_H
#define WH_WIRE_RULE_H

#include <stddef.h>

enum wh_rule {
    WH_RULE_FORMAT,
    WH_RULE_COMPRESSION,
    WH_RULE_TRUNCATED,
    WH_RULE_VERSION,
    WH_RULE_FLAGS,
    WH_RULE_BYTE_ORDER,
    WH_RULE_UNKNOWN,
    WH_RULE_ORDER,
    WH_RULE_MISSING,
    WH_RULE_DUPLICATE,
    WH_RULE_GUEST_TYPE,
    WH_RULE_LENGTH,
    WH_RULE_PADDING,
    WH_RULE_RESERVED,
    WH_RULE_VALUE,
    WH_RULE_COUNT,
    WH_RULE_PAGE_TYPE,
    WH_RULE_PFN_RANGE,
    WH_RULE_CHAIN,
    WH_RULE_STRINGS,
    WH_RULE_CONFIG,
    WH_RULE_TRAILING_DATA,
    WH_RULE_DIGEST,
    WH_RULE_INDEX,
    WH_RULE_LETTER,
    WH_RULES,
};

struct wh_rule_text {
    const char *name;           /* stable */
    const char *says;
};

extern const struct wh_rule_text wh_rules[WH_RULES];

#endif
