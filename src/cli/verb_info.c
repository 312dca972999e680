/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry info - what the host and its hypervisor are, under xl's names. */
#include <inttypes.h>
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static void print(json_object *all, const struct wh_tell *t)
{
    struct json_object_iterator at = json_object_iter_begin(all), end = json_object_iter_end(all);

    (void)t;
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        const char *key = json_object_iter_peek_name(&at);
        json_object *value = json_object_iter_peek_value(&at);

        if (strcmp(key, "cpu_khz") == 0) {
            printf("%-23s: %.3f\n", "cpu_mhz", (double)json_object_get_uint64(value) / 1000);
            continue;
        }
        printf("%-23s: ", key);
        wh_print_plain(stdout, json_object_get_string(value));
        putchar('\n');
    }
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "", "Say what this host and its hypervisor are; memory in MiB.",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .print = print };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_host_new(), &t);
}

const struct wh_verb wh_verb_info = { "info", "say what this host and its hypervisor are", run };
