/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/rule.h"

/* clang-format off */
const struct wh_rule_text wh_rules[WH_RULES] = {
    [WH_RULE_FORMAT]        = { "format",        "the stream begins as one of the containers does" },
    [WH_RULE_COMPRESSION]   = { "compression",   "a compressed image is whole zstd frames, with the contents that were compressed" },
    [WH_RULE_TRUNCATED]     = { "truncated",     "the stream goes on to its END record" },
    [WH_RULE_VERSION]       = { "version",       "the format's version is one that readers know" },
    [WH_RULE_FLAGS]         = { "flags",         "no flag is set that asks for a newer reader" },
    [WH_RULE_BYTE_ORDER]    = { "byte-order",    "records are little endian" },
    [WH_RULE_UNKNOWN]       = { "unknown",       "a record is known, or optional where optional ones may be" },
    [WH_RULE_ORDER]         = { "order",         "a record comes in a phase that allows it" },
    [WH_RULE_MISSING]       = { "missing",       "what a restore needs is there" },
    [WH_RULE_DUPLICATE]     = { "duplicate",     "what is said once is said once" },
    [WH_RULE_GUEST_TYPE]    = { "guest-type",    "a record is of the kind of guest that the image has" },
    [WH_RULE_LENGTH]        = { "length",        "a body is as long as its type and its counts say" },
    [WH_RULE_PADDING]       = { "padding",       "bodies are padded to eight bytes with zeros" },
    [WH_RULE_RESERVED]      = { "reserved",      "reserved bits and fields are zero" },
    [WH_RULE_VALUE]         = { "value",         "a field has one of its legal values" },
    [WH_RULE_COUNT]         = { "count",         "a count is not zero and not beyond its limit" },
    [WH_RULE_PAGE_TYPE]     = { "page-type",     "a page's type is defined, and one the guest can have" },
    [WH_RULE_PFN_RANGE]     = { "pfn-range",     "a page frame number lies within the guest" },
    [WH_RULE_CHAIN]         = { "chain",         "an HVM context is a chain of entries from HEADER to END" },
    [WH_RULE_STRINGS]       = { "strings",       "text ends with NUL; keys are relative and have values" },
    [WH_RULE_CONFIG]        = { "config",        "the configuration is JSON of reasonable size and depth" },
    [WH_RULE_TRAILING_DATA] = { "trailing-data", "nothing follows the last END but Wherry's trailer" },
    [WH_RULE_DIGEST]        = { "digest",        "the bytes have the digest that the trailer records" },
    [WH_RULE_INDEX]         = { "index",         "the trailer's index points at the page records" },
    [WH_RULE_LETTER]        = { "letter",        "the specification's letter, where stock Xen departs from it (--pedantic)" },
};
/* clang-format on */
