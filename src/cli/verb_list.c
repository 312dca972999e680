/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry list - what domains there are.  The columns are xl's to the character: scripts read
 * them. */
#include <inttypes.h>
#include <string.h>

#include "cli/tell.h"
#include "base/json.h"

#define NAME_COLUMNS 40

static bool with_config;

static const struct argp_option options[] = {
    { "cpupool", 'c', NULL, 0, "Also the cpupool of each", 0 },
    { "long", 'l', NULL, 0, "Their configurations, as xl list --long prints them", 0 },
    { "verbose", 'v', NULL, 0, "Also uuid, and why it shut down", 0 },
    WH_TELL_OPTION_JSON,
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct wh_tell *t = state->input;

    switch (key) {
    case 'c':
        t->cpupool = true;
        return 0;
    case 'l':
        with_config = true;
        return 0;
    case 'v':
        t->verbose = true;
        return 0;
    default:
        return wh_tell_parse(key, arg, state);
    }
}

static int reason_code(json_object *o)
{
    static const char *const words[] = { "poweroff", "reboot", "suspend", "crash", "watchdog",
                                         "soft_reset" };
    const char *word = wh_json_string(o, "shutdown_reason", "");

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], word) == 0)
            return (int)i;
    }
    return -1;
}

static void print_row(json_object *o, const struct wh_tell *t)
{
    int code = reason_code(o);

    wh_tell_padded(wh_tell_name(o), NAME_COLUMNS);
    printf(" %5" PRIu64 " %5" PRIu64 " %5" PRIu64 "     %s  %8.1f",
           wh_json_number(o, "domid", 0), wh_json_number(o, "memory_kib", 0) / 1024,
           wh_json_number(o, "vcpus", 0), wh_json_string(o, "flags", "------"),
           (double)wh_json_number(o, "cpu_ns", 0) / 1e9);
    if (t->verbose) {
        printf(" %s ", wh_json_string(o, "uuid", ""));
        code >= 0 ? printf("%8x", (unsigned)code) : printf("%8s", "-");
        printf(" %16s", "-");
    }
    if (t->cpupool) {
        const char *pool = wh_json_string(o, "cpupool", "?");

        printf("%*s", strlen(pool) < 16 ? (int)(16 - strlen(pool)) : 0, "");
        wh_print_plain(stdout, pool);
    }
    putchar('\n');
}

static void print_table(json_object *all, const struct wh_tell *t)
{
    printf("Name                                        ID   Mem VCPUs\tState\tTime(s)");
    if (t->verbose)
        printf("   UUID                            Reason-Code\tSecurity Label");
    if (t->cpupool)
        printf("         Cpupool");
    putchar('\n');
    for (size_t i = 0; i < json_object_array_length(all); i++)
        print_row(json_object_array_get_idx(all, i), t);
}

/* Four spaces a level, two levels down, and an empty line in what is empty, as libxl's printer has
 * them. */
static void print_config(uint64_t domid, json_object *config)
{
    const char *text = json_object_to_json_string_ext(
        config, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);

    printf("    {\n        \"domid\": %" PRIu64 ",\n        \"config\": ", domid);
    for (; *text; text++) {
        putchar(*text);
        if (*text != '\n')
            continue;
        size_t spaces = strspn(text + 1, " ");
        if (strchr("{[", text[-1]) && strchr("}]", text[1 + spaces]))
            putchar('\n');
        printf("%*s", (int)(8 + 2 * spaces), "");
        text += spaces;
    }
    printf("\n    }");
}

static void print_long(json_object *all, const struct wh_tell *t)
{
    const char *between = "\n";

    (void)t;
    putchar('[');
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        json_object *o = json_object_array_get_idx(all, i), *config;

        if (!json_object_object_get_ex(o, "config", &config) || !config)
            continue;
        fputs(between, stdout);
        print_config(wh_json_number(o, "domid", 0), config);
        between = ",\n";
    }
    printf("\n]\n\n");
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "[DOMAIN]",
        "List the domains of this host: name, number, memory in MiB, vcpus, state, processor "
        "time.\vState: r running, b blocked, p paused, s shut down, c crashed, d dying.",
        NULL, NULL, NULL,
    };
    struct wh_tell t = { .most = 1, .print = print_table };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    if (with_config)
        t.print = print_long;
    return wh_tell(wh_list_new(t.arg[0], with_config), &t);
}

const struct wh_verb wh_verb_list = { "list", "list the domains of this host", run };
