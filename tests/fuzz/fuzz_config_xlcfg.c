/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xl.cfg text; behind a NUL, what the command line adds to it. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "fuzz.h"

/* libxlutil forgets values of text that turns out to be malformed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:xlu__cfg\n";
}

static void good(struct wh_config *c)
{
    wh_auto_config struct wh_config read = wh_config_empty();
    struct wh_err err = { 0 };
    wh_auto_free char *text = wh_config_write_json(&err, c);

    fuzz_expect(text != NULL, "what was parsed can be written");
    fuzz_expect(wh_config_read_json(&err, text, strlen(text), &read), "what we write we read");
    if (wh_config_complete(&err, c))
        fuzz_expect(wh_config_settle(&err, c), "what is complete can be settled");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *nul = n > 0 ? memchr(data, 0, n) : NULL;
    size_t length = nul ? (size_t)(nul - data) : n;
    wh_auto_free char *more = nul ? strndup((const char *)nul + 1, n - length - 1) : NULL;
    struct wh_xlcfg from = { (const char *)data, length, "fuzz.cfg", more, 4 };
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };

    if (wh_config_parse_xlcfg(&err, &from, &c, &w))
        good(&c);
    else
        fuzz_expect(err.kind == WH_USAGE && err.text[0], "a refusal says why");
    for (size_t i = 0; i < w.n; i++)
        fuzz_touch(w.text[i], strlen(w.text[i]));
    return 0;
}
