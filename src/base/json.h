/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON from outside, parsed by json-c only after a look at what parsing would cost. */
#ifndef WH_BASE_JSON_H
#define WH_BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WH_JSON_DEPTH 32                /* libxl's own nest 5 deep */
#define WH_JSON_MEMORY (3u << 20)       /* what the parsed form may take, estimated: 28,000 values */

/* Parse n bytes (NULs at the end are not part of the text).  NULL: *why says what is wrong with
 * it, a constant, and *at where.  The object is the caller's to put. */
json_object *wh_json_parse(const char *text, size_t n, const char **why, size_t *at);

/* The same with another bound of the parsed form's memory. */
json_object *wh_json_parse_within(const char *text, size_t n, size_t memory, const char **why,
                                  size_t *at);

/* Members along a path "b_info.max_memkb"; a member that is not there or of another type gives
 * what is said for missing.  The string is the object's. */
uint64_t wh_json_number(json_object *o, const char *path, uint64_t missing);
const char *wh_json_string(json_object *o, const char *path, const char *missing);
bool wh_json_true(json_object *o, const char *key);    /* a member that is true */
bool wh_json_has(json_object *o, const char *object, const char *key);

/* Whether text is UTF-8, as JSON's has to be. */
bool wh_json_is_text(const char *text);

/* Text of any bytes as a JSON string: what is not UTF-8 becomes U+FFFD.  NULL gives null. */
json_object *wh_json_text(const char *text);

static inline void wh_json_drop(json_object **o)
{
    json_object_put(*o);
}

#define wh_auto_json __attribute__((cleanup(wh_json_drop)))

#endif
