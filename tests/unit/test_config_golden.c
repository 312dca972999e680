/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* test_config_golden FOLDER: the configurations in it are read and written as stock xl does, byte
 * for byte (tests/config/README.md). */
#include <fnmatch.h>

#include "config/config.h"
#include "unit.h"

#define CPUS 4      /* of the host that the files are from: they say "all" */

static const char *folder;
static unsigned seen;

static char *slurp(const char *name, size_t *n)
{
    char path[PATH_MAX], *text;
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "r");
    if (!f)
        return NULL;
    text = (char *)unit_slurp(fileno(f), n);
    fclose(f);
    return text;
}

/* NAME of "NAME.cfg", and the file beside it; NULL: there is none. */
static char *beside(const char *name, const char *from, const char *to)
{
    char path[PATH_MAX];
    size_t n;

    snprintf(path, sizeof path, "%.*s%s", (int)(strlen(name) - strlen(from)), name, to);
    return slurp(path, &n);
}

static void same(const char *name, const char *expected, const char *found)
{
    size_t i = 0;

    seen++;
    while (expected[i] && expected[i] == found[i])
        i++;
    if (expected[i] != found[i])
        fail_msg("%s: after %zu bytes: expected %.60s, found %.60s", name, i, expected + i,
                 found + i);
}

static void each(const char *pattern, unsigned least,
                 void (*run)(const char *name, const char *text, size_t n))
{
    DIR *d = opendir(folder);

    assert_non_null(d);
    seen = 0;
    for (struct dirent *e; (e = readdir(d));) {
        size_t n;
        wh_auto_free char *text = fnmatch(pattern, e->d_name, 0) ? NULL : slurp(e->d_name, &n);

        if (text)
            run(e->d_name, text, n);
    }
    closedir(d);
    assert_true(seen >= least);
}

static void parse(const char *name, const char *text, size_t n, struct wh_config *c)
{
    struct wh_xlcfg from = { .text = text, .n = n, .file = name, .host_cpus = CPUS };
    wh_auto_warnings struct wh_warnings w = { 0 };
    struct wh_err err = { 0 };

    if (!wh_config_parse_xlcfg(&err, &from, c, &w))
        fail_msg("%s", err.text);
}

static void as_xl(const char *name, const char *text, size_t n)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *expected = beside(name, ".cfg", ".json"), *found = NULL;
    struct wh_err err = { 0 };

    parse(name, text, n, &c);
    found = wh_config_write_json(&err, &c);
    assert_true(found && expected);
    same(name, expected, found);
}

static void as_stored(const char *name, const char *text, size_t n)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *expected = beside(name, ".cfg", ".stored.json"), *found = NULL;
    struct wh_err err = { 0 };

    if (!expected)
        return;
    parse(name, text, n, &c);
    if (!wh_config_complete(&err, &c))
        fail_msg("%s: %s", name, err.text);
    found = wh_config_write_json(&err, &c);
    assert_non_null(found);
    same(name, expected, found);
}

static void read_whole(const char *name, const char *text, size_t n, struct wh_config *c)
{
    struct wh_err err = { 0 };

    if (!wh_config_read_json(&err, text, n, c) || !wh_config_complete(&err, c))
        fail_msg("%s: %s", name, err.text);
}

static void read_again(const char *name, const char *text, size_t n)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *found = NULL;
    struct wh_err err = { 0 };

    read_whole(name, text, n, &c);
    found = wh_config_write_json(&err, &c);
    assert_non_null(found);
    same(name, text, found);

    /* By the struct alone; but kept's has what we know nothing of. */
    if (strncmp(name, "kept", 4) == 0)
        return;
    free(wh_take_ptr(&c.origin));
    free(wh_take_ptr(&found));
    found = wh_config_write_json(&err, &c);
    assert_non_null(found);
    same(name, text, found);
}

/* An image's, which says no domid. */
static void copied(const char *name, const char *text, size_t n)
{
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *found = NULL;
    struct wh_err err = { 0 };

    if (!wh_config_read_json(&err, text, n, &c))
        fail_msg("%s: %s", name, err.text);
    free(wh_take_ptr(&c.origin));
    found = wh_config_write_json(&err, &c);
    assert_non_null(found);
    same(name, text, found);
}

/* xl list -l says "any" for a domid, which xl save leaves out, and what is in an empty drive. */
static char *as_saved(char *listed)
{
    static const char *const lines[] = { "        \"domid\": 4294967295,\n",
                                         "            \"pdev_path\": \"\",\n" };

    for (size_t i = 0; listed && i < WH_COUNT(lines); i++) {
        char *at = strstr(listed, lines[i]);

        if (at)
            memmove(at, at + strlen(lines[i]), strlen(at + strlen(lines[i])) + 1);
    }
    return listed;
}

static void as_listed(const char *name, const char *text, size_t n)
{
    wh_auto_free char *expected = as_saved(beside(name, ".stored.json", ".listed.json"));
    wh_auto_config struct wh_config c = wh_config_empty();
    wh_auto_free char *found = NULL;
    struct wh_err err = { 0 };
    struct wh_config_now now = { .target_memkb = WH_UNSET_MEMKB, .max_memkb = WH_UNSET_MEMKB };

    read_whole(name, text, n, &c);
    now.name = c.name;
    now.uuid = c.uuid;
    now.sched = (struct wh_sched_params){ WH_SCHED_CREDIT2, 256, 0, -1, -1, -1 };
    if (c.sched_params.weight >= 0) {
        now.sched.weight = c.sched_params.weight;
        now.sched.cap = c.sched_params.cap;
    }
    if (c.max_vcpus > 0 && wh_bits_end(&c.avail_vcpus) == 0)
        assert_true(wh_bits_add(&c.avail_vcpus, 0));
    now.online = &c.avail_vcpus;
    found = wh_config_overlay(&err, text, n, &now);
    if (!found)
        fail_msg("%s: %s", name, err.text);
    assert_non_null(expected);
    same(name, expected, found);
}

static void parses(void **state)
{
    (void)state;
    each("*.cfg", 6, as_xl);
}

static void stores(void **state)
{
    (void)state;
    each("*.cfg", 6, as_stored);
}

static void reads(void **state)
{
    (void)state;
    each("*.stored.json", 6, read_again);
    each("*.listed.json", 6, read_again);
}

static void copies(void **state)
{
    (void)state;
    each("*.saved.json", 1, copied);
}

static void overlays(void **state)
{
    (void)state;
    each("*.stored.json", 6, as_listed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST("xl.cfg becomes the JSON that xl makes of it", parses),
        TEST("what is stored is what xl stores", stores),
        TEST("what xl stored is read and written unchanged", reads),
        TEST("what xl saved is read and written unchanged", copies),
        TEST("what is stored, brought up to date, is what xl lists", overlays),
    };

    if (argc != 2)
        return 2;
    folder = argv[1];
    return cmocka_run_group_tests_name("config golden", tests, NULL, NULL);
}
