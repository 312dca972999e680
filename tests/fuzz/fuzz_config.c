/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration's JSON: as JSON, and as a guest's configuration. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "base/json.h"
#include "fuzz.h"

/* Of a build with ASan only. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t taken(void)
{
    return __sanitizer_get_current_allocated_bytes ? __sanitizer_get_current_allocated_bytes() : 0;
}

static char *written(const struct wh_config *c)
{
    struct wh_err err = { 0 };
    char *text = wh_config_write_json(&err, c);

    fuzz_expect(text != NULL, "what was read can be written");
    return text;
}

/* What is written of a configuration is read again, and is the same. */
static void again(const char *text)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };

    fuzz_expect(wh_config_read_json(&err, text, strlen(text) + 1, &c), "what we write we read");
    wh_auto_free char *second = written(&c);
    fuzz_expect(strcmp(text, second) == 0, "what was written is written again");
}

static void overlay(const char *text, size_t n)
{
    struct wh_config_now now = { "now", .max_vcpus = 1, .target_memkb = 4096,
                                 .max_memkb = WH_UNSET_MEMKB, .sched.sched = WH_SCHED_CREDIT2 };
    struct wh_err err = { 0 };
    wh_auto_free char *saved = wh_config_overlay(&err, text, n, &now);

    if (saved)
        fuzz_touch(saved, strlen(saved));
    fuzz_expect(saved || err.text[0], "a refusal says why");
}

static void guest(const char *text, size_t n)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    struct wh_err err = { 0 };

    overlay(text, n);
    if (!wh_config_read_json(&err, text, n, &c)) {
        fuzz_expect(err.kind == WH_STREAM && err.text[0], "a refusal says why");
        return;
    }
    fuzz_expect(c.max_vcpus <= WH_CONFIG_VCPUS && c.ndisks <= WH_CONFIG_DISKS &&
                c.nnics <= WH_CONFIG_NICS, "what was read is bounded");
    fuzz_expect(!c.name || strchr(c.name, '/') == NULL, "a name has no '/'");
    wh_auto_free char *first = written(&c);
    again(first);
    if (!wh_config_complete(&err, &c))
        return;
    wh_auto_free char *whole = written(&c);
    again(whole);
    wh_config_check_foreign(&(struct wh_err){ 0 }, &c);
    fuzz_expect(wh_config_settle(&err, &c), "what is complete can be settled");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    guest((const char *)data, n);

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
