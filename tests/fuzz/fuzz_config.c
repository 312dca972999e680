/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration's JSON. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "fuzz.h"

/* Of a build with ASan only. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t taken(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t before = taken(), at = 0;
    const char *why = NULL;
    wh_auto_json json_object *o = wh_json_parse((const char *)data, n, &why, &at);
    size_t cost = taken() - before;

    if (!o) {
        fuzz_expect(why && why[0] && at <= n, "a refusal says why and where");
        return 0;
    }
    fuzz_expect(cost <= WH_JSON_MEMORY, "a configuration takes bounded memory");
    const char *name = wh_json_string(o, "c_info.name", "none");
    fuzz_touch(name, strlen(name));
    wh_json_number(o, "b_info.max_memkb", 0);
    wh_json_has(o, "b_info", "type.hvm");
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
    fuzz_touch(text, strlen(text));
    return 0;
}
