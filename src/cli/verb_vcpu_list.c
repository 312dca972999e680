/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry vcpu-list - where vcpus run and may run.  The columns are xl's. */
#include <inttypes.h>

#include "cli/tell.h"
#include "base/json.h"
#include "flow/task.h"

#define NAME_COLUMNS 32

static bool json;

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static error_t parse(int key, char *arg, struct argp_state *state)
{
    (void)arg;
    (void)state;
    if (key != 'j')
        return ARGP_ERR_UNKNOWN;
    json = true;
    return 0;
}

static uint64_t at(json_object *set, size_t i)
{
    return json_object_get_uint64(json_object_array_get_idx(set, i));
}

/* "all", "0-3,6": runs of two are ranges too. */
static void print_set(json_object *set, uint64_t host_cpus)
{
    size_t n = json_object_array_length(set);
    const char *between = "";

    if (n == host_cpus)
        fputs("all", stdout);
    else if (n == 0)
        fputs("none", stdout);
    for (size_t i = 0; n != host_cpus && i < n; i++) {
        size_t first = i;

        while (i + 1 < n && at(set, i + 1) == at(set, i) + 1)
            i++;
        printf("%s%" PRIu64, between, at(set, first));
        if (i > first)
            printf("-%" PRIu64, at(set, i));
        between = ",";
    }
}

static void print_vcpu(json_object *domain, json_object *v)
{
    json_object *hard, *soft;
    uint64_t cpus = wh_json_number(domain, "host_cpus", 0);
    uint64_t cpu = wh_json_number(v, "cpu", UINT64_MAX);
    bool running = wh_json_true(v, "running");
    bool blocked = wh_json_true(v, "blocked");

    wh_tell_padded(wh_tell_name(domain), NAME_COLUMNS);
    printf(" %5" PRIu64 " %5" PRIu64, wh_json_number(domain, "domid", 0),
           wh_json_number(v, "vcpu", 0));
    if (cpu == UINT64_MAX)
        printf(" %4c %3c%cp", '-', '-', '-');
    else
        printf(" %4" PRIu64 " %3c%c-", cpu, running ? 'r' : '-', blocked ? 'b' : '-');
    printf(" %9.1f  ", (double)wh_json_number(v, "cpu_ns", 0) / 1e9);
    if (json_object_object_get_ex(v, "hard_affinity", &hard) &&
        json_object_object_get_ex(v, "soft_affinity", &soft)) {
        print_set(hard, cpus);
        fputs(" / ", stdout);
        print_set(soft, cpus);
    }
    putchar('\n');
}

static void print_table(json_object *all)
{
    json_object *vcpus;

    printf("%-32s %5s %5s %5s %5s %9s %s\n", "Name", "ID", "VCPU", "CPU", "State", "Time(s)",
           "Affinity (Hard / Soft)");
    for (size_t d = 0; d < json_object_array_length(all); d++) {
        json_object *domain = json_object_array_get_idx(all, d);

        if (!json_object_object_get_ex(domain, "vcpus", &vcpus))
            continue;
        for (size_t i = 0; i < json_object_array_length(vcpus); i++)
            print_vcpu(domain, json_object_array_get_idx(vcpus, i));
    }
}

static bool gather(const struct wh_job *j, enum wh_kind kind, void *all)
{
    json_object *found = wh_task_result(j);

    (void)kind;
    for (size_t i = 0; found && i < json_object_array_length(found); i++)
        json_object_array_add(all, json_object_get(json_object_array_get_idx(found, i)));
    return false;
}

static int run(int argc, char **argv)
{
    static const struct argp argp = {
        options, parse, "[DOMAIN...]", "List vcpus: where they run, and where they may run.",
        NULL, NULL, NULL,
    };
    wh_auto_json json_object *all = json_object_new_array();
    int first, worst = 0, code;

    argp_parse(&argp, argc, argv, 0, &first, NULL);
    if (first == argc)
        worst = wh_cli_job(wh_vcpus_new(NULL), gather, all);
    for (int i = first; i < argc; i++) {
        code = wh_cli_job(wh_vcpus_new(argv[i]), gather, all);
        worst = code > worst ? code : worst;
    }
    if (worst && json_object_array_length(all) == 0)
        return worst;
    json ? wh_tell_json(all) : print_table(all);
    return worst;
}

const struct wh_verb wh_verb_vcpu_list = { "vcpu-list", "list vcpus and where they may run", run };
