/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry inspect - say what is in an image. */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"
#include "base/json.h"

enum { OPT_RECORDS = 'r', OPT_PAGES = 'm', OPT_PAGE = 'p' };

static unsigned flags;
static bool json, records, one_page;
static uint64_t pfn;

static const struct argp_option options[] = {
    { "digest", 'd', NULL, 0, "Read every byte, and check the trailer's digest", 0 },
    { "json", 'j', NULL, 0, "JSON; with --records an object a line, the summary last", 0 },
    { "page", OPT_PAGE, "PFN", 0, "Say where this page is instead", 0 },
    { "pages", OPT_PAGES, NULL, 0, "Map the guest's memory (reads every byte)", 0 },
    { "records", OPT_RECORDS, NULL, 0, "List every record with its offset", 0 },
    { 0 },
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case 'd':
        flags |= WH_DIGEST;
        return 0;
    case 'j':
        json = true;
        return 0;
    case OPT_PAGE:
        one_page = true;
        if (!wh_cli_number(arg, &pfn))
            argp_error(state, "'%s' is no page frame number", arg);
        return 0;
    case OPT_PAGES:
        flags |= WH_PAGES;
        return 0;
    case OPT_RECORDS:
        records = true;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num != 1)
            argp_usage(state);
        return 0;
    case ARGP_KEY_ARG:
        *(char **)state->input = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_text(void *arg, const struct wh_rec *r)
{
    wh_print_record(arg, r);
}

static void print_json(void *arg, const struct wh_rec *r)
{
    wh_auto_json json_object *o = json_object_new_object();
    struct wh_line l = { .used = 0 };
    char scratch[16];

    wh_rec_print(r, &l);
    json_object_object_add(o, "offset", json_object_new_uint64(r->at));
    json_object_object_add(o, "layer", json_object_new_string(r->layer->name));
    json_object_object_add(o, "type",
                           json_object_new_string(wh_rec_name(r, scratch, sizeof scratch)));
    json_object_object_add(o, "length", json_object_new_uint64(r->length));
    json_object_object_add(o, "fields", json_object_new_string_len(l.text, (int)l.used));
    wh_cli_json(arg, o, JSON_C_TO_STRING_PLAIN);
}

static bool show_summary(const struct wh_job *j, enum wh_kind kind, void *path)
{
    const struct wh_report *r = wh_inspect_report(j);

    (void)kind;
    if (r && json && records) {
        printf("%s\n", wh_job_json(j));
    } else if (r && json) {
        wh_auto_json json_object *o = wh_report_json(r);
        wh_cli_json(stdout, o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
    } else if (r) {
        if (records)
            putchar('\n');
        wh_print_summary(stdout, path, r);
        if (flags & WH_PAGES)
            wh_print_map(stdout, r);
    }
    return false;
}

static int inspect(char *path)
{
    struct wh_job *j = wh_inspect_new(path, flags);

    if (j && records)
        wh_inspect_on_record(j, json ? print_json : print_text, stdout);
    return wh_cli_job(j, show_summary, path);
}

static bool show_page(const struct wh_job *j, enum wh_kind kind, void *arg)
{
    const char *why;
    size_t at;

    (void)arg;
    if (kind != WH_OK)
        return false;
    if (json) {
        printf("%s\n", wh_job_json(j));
        return true;
    }
    wh_auto_json json_object *o = wh_json_parse(wh_job_json(j), strlen(wh_job_json(j)), &why, &at);
    uint64_t offset = wh_json_number(o, "offset", UINT64_MAX);
    printf("page %#" PRIx64 ": %s", pfn, wh_json_string(o, "type", "not named"));
    if (offset != UINT64_MAX)
        printf(", contents at offset %#" PRIx64, offset);
    putchar('\n');
    return true;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "FILE",
        "Say what is in an image of a Xen guest; - is standard input.\vExit status: 0 the image "
        "is whole, 1 it is broken or ends early (what stands before that is told of), 2 usage, "
        "3 a system call failed.",
        NULL, NULL, NULL,
    };
    char *path = NULL;

    argp_parse(&argp, argc, argv, 0, NULL, &path);
    return one_page ? wh_cli_job(wh_page_new(path, pfn), show_page, NULL) : inspect(path);
}

const struct wh_verb wh_verb_inspect = { "inspect", "say what is in an image", run };
