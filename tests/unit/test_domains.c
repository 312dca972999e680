/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The verbs of domains on a host in memory: what they find and change, and that whatever fails on
 * the way leaves a domain as it was or as it was to be, and nothing of it in doubt. */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/json.h"
#include "flow/domain.h"
#include "flow/find.h"
#include "flow/task.h"
#include "unit.h"
#include "xen/fake.h"

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here;
    uint32_t web, db;
    char lib[PATH_MAX];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    wh_op_hurry = 100;                  /* a guest's minute is 600 ms */
    assert_true(wh_op_init(&w->op));
    unit_folder(w->lib, sizeof w->lib);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->lib };
    w->web = wh_fake_guest_pvh(w->f, "web", 4, 1, 90);
    w->db = wh_fake_guest_pv(w->f, "db", 4, 2, 90, 8, WH_FAKE_LINEAR);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    unit_remove_folder(w->lib);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

/* Run a task on the world; it is the caller's to free. */
static struct wh_job *perform(struct world *w, struct wh_job *j)
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    wh_job_run(j);
    return j;
}

#define auto_job __attribute__((cleanup(drop_job), unused)) struct wh_job *
static void drop_job(struct wh_job **j)
{
    wh_job_free(*j);
}

/* What a task that works has told. */
#define assert_done(j)                                                                             \
    do {                                                                                           \
        if (wh_job_result(j) != WH_OK)                                                             \
            print_error("%s\n", wh_job_error(j));                                                  \
        assert_int_equal(wh_job_result(j), WH_OK);                                                 \
        assert_non_null(wh_task_result(j));                                                        \
    } while (0)

#define assert_refuses(j, kind, why)                                                               \
    do {                                                                                           \
        if (wh_job_result(j) != kind)                                                              \
            print_error("%s\n", wh_job_error(j));                                                  \
        assert_int_equal(wh_job_result(j), kind);                                                  \
        assert_says(wh_job_error(j), why);                                                         \
    } while (0)

#define assert_node(w, value, ...)                                                                 \
    do {                                                                                           \
        wh_auto_free char *is = wh_fake_node((w)->f, __VA_ARGS__);                                 \
        assert_non_null(is);                                                                       \
        assert_string_equal(is, value);                                                            \
    } while (0)

static struct wh_domain domain(struct world *w, uint32_t domid)
{
    struct wh_domain d;
    bool there;

    assert_true(wh_xen_domain(&w->op, w->here.xen, domid, &d, &there) && there);
    return d;
}

static const char *uuid_of(struct world *w, uint32_t domid, char text[WH_UUID_TEXT])
{
    struct wh_domain d = domain(w, domid);
    struct wh_uuid u;

    memcpy(u.byte, d.uuid, sizeof u.byte);
    return wh_uuid_print(u, text);
}

/* --------------------------------------------------------------------------------- find */

static void a_domain_is_found(void **state)
{
    struct world *w = *state;
    char number[16], uuid[WH_UUID_TEXT];
    const char *const who[] = { "web", number, uuid };

    snprintf(number, sizeof number, "%u", w->web);
    uuid_of(w, w->web, uuid);
    for (size_t i = 0; i < WH_COUNT(who); i++) {
        auto_job j = perform(w, wh_find_new(who[i]));

        assert_done(j);
        assert_int_equal(wh_json_number(wh_task_result(j), "domid", 0), w->web);
        assert_string_equal(wh_json_string(wh_task_result(j), "name", ""), "web");
        assert_string_equal(wh_json_string(wh_task_result(j), "uuid", ""), uuid);
        assert_string_equal(wh_json_string(wh_task_result(j), "type", ""), "pvh");
    }
}

static void nobody_is_found(void **state)
{
    static const char *const nobody[] = { "", "we", "webs", "WEB", "99", "00000000000000000099",
                                          "99999999999999999999999", "-1", "1x", "/",
                                          "12345678-1234-1234-1234-123456789abc",
                                          "00000000-0000-0000-0000-000000000000" };
    struct world *w = *state;

    for (size_t i = 0; i < WH_COUNT(nobody); i++) {
        auto_job j = perform(w, wh_find_new(nobody[i]));

        assert_refuses(j, WH_USAGE, "there is no domain");
        assert_null(wh_job_json(j));
    }
}

static void digits_are_a_number_and_never_a_name(void **state)
{
    struct world *w = *state;

    wh_fake_write(w->f, 0, "77", "/local/domain/%u/name", w->web);
    auto_job j = perform(w, wh_find_new("77"));
    assert_refuses(j, WH_USAGE, "there is no domain '77'");
}

static void a_name_of_two_is_refused(void **state)
{
    struct world *w = *state;

    wh_fake_write(w->f, 0, "web", "/local/domain/%u/name", w->db);
    auto_job j = perform(w, wh_find_new("web"));
    assert_refuses(j, WH_USAGE, "2 domains are called 'web'");
}

/* --------------------------------------------------------------------------------- list */

static json_object *by_id(json_object *all, uint32_t domid)
{
    for (size_t i = 0; i < json_object_array_length(all); i++) {
        json_object *o = json_object_array_get_idx(all, i);

        if (wh_json_number(o, "domid", UINT64_MAX) == domid)
            return o;
    }
    return NULL;
}

static void all_are_listed(void **state)
{
    struct world *w = *state;

    assert_true(wh_xen_pause(&w->op, w->here.xen, w->db));
    auto_job j = perform(w, wh_list_new(NULL, false));
    assert_done(j);
    json_object *web = by_id(wh_task_result(j), w->web), *db = by_id(wh_task_result(j), w->db);
    assert_non_null(web);
    assert_non_null(db);
    assert_string_equal(wh_json_string(web, "type", ""), "pvh");
    assert_string_equal(wh_json_string(db, "type", ""), "pv");
    assert_string_equal(wh_json_string(db, "state", ""), "paused");
    assert_int_equal(wh_json_string(db, "flags", "")[2], 'p');
    assert_int_equal(wh_json_number(web, "memory_kib", 0), domain(w, w->web).pages * 4);
}

static void why_it_shut_down_is_told(void **state)
{
    static const struct {
        enum wh_shutdown why;
        const char *word, *flags;
    } rows[] = {
        { WH_POWEROFF, "poweroff", "s-" }, { WH_REBOOT, "reboot", "sr" },
        { WH_SUSPEND, "suspend", "ss" },   { WH_CRASH, "crash", "sc" },
        { WH_WATCHDOG, "watchdog", "sw" },
    };
    struct world *w = *state;

    for (size_t i = 0; i < WH_COUNT(rows); i++) {
        uint32_t domid = wh_fake_guest_pvh(w->f, "again", 4, i, 90);

        assert_true(wh_xen_shutdown(&w->op, w->here.xen, domid, rows[i].why));
        auto_job j = perform(w, wh_list_new("again", false));
        assert_done(j);
        json_object *o = by_id(wh_task_result(j), domid);
        assert_string_equal(wh_json_string(o, "state", ""), "shutdown");
        assert_string_equal(wh_json_string(o, "shutdown_reason", ""), rows[i].word);
        assert_memory_equal(wh_json_string(o, "flags", "------") + 3, rows[i].flags, 2);
        assert_true(wh_xen_destroy(&w->op, w->here.xen, domid));
    }
}

static void vcpus_are_listed(void **state)
{
    struct world *w = *state;
    json_object *vcpus, *web;

    auto_job j = perform(w, wh_vcpus_new("web"));
    assert_done(j);
    web = by_id(wh_task_result(j), w->web);
    assert_true(json_object_object_get_ex(web, "vcpus", &vcpus));
    assert_int_equal(json_object_array_length(vcpus), domain(w, w->web).vcpu_last + 1);
    assert_true(wh_json_number(web, "host_cpus", 0) > 0);
}

/* Xen then says that the highest vcpu is the greatest of numbers. */
static void a_domain_that_is_being_made_has_no_vcpus(void **state)
{
    (void)state;
    assert_int_equal(wh_find_vcpus(&(struct wh_domain){ .vcpu_last = UINT32_MAX }), 0);
    assert_int_equal(wh_find_vcpus(&(struct wh_domain){ .vcpu_last = 3 }), 4);
}

/* ----------------------------------------------------------------- stored configurations */

static void stored_path(struct world *w, uint32_t domid, char path[2 * PATH_MAX])
{
    char uuid[WH_UUID_TEXT];

    snprintf(path, 2 * PATH_MAX, "%s/userdata-d.%u.%s.libxl-json", w->lib, domid,
             uuid_of(w, domid, uuid));
}

static void store_text(struct world *w, uint32_t domid, const char *text, mode_t mode)
{
    char path[2 * PATH_MAX];

    stored_path(w, domid, path);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text) + 1), strlen(text) + 1);
    assert_int_equal(fchmod(fd, mode), 0);
}

#define STORED "{ \"c_info\": { \"type\": \"pvh\", \"name\": \"old\", \"uuid\": " \
               "\"11111111-1111-1111-1111-111111111111\" }, \"b_info\": { \"max_vcpus\": 1, " \
               "\"max_memkb\": 1, \"target_memkb\": 1, \"type.pvh\": { } }, \"key\": \"kept\" }"

static void a_stored_configuration_is_brought_up_to_date(void **state)
{
    struct world *w = *state;
    char uuid[WH_UUID_TEXT];

    store_text(w, w->web, STORED, 0600);
    wh_fake_write(w->f, 0, "3000", "/local/domain/%u/memory/target", w->web);
    wh_fake_write(w->f, 0, "4096", "/local/domain/%u/memory/static-max", w->web);
    auto_job j = perform(w, wh_list_new("web", true));
    assert_done(j);
    json_object *o = by_id(wh_task_result(j), w->web), *config;
    assert_true(json_object_object_get_ex(o, "config", &config));
    assert_string_equal(wh_json_string(config, "c_info.name", ""), "web");
    assert_string_equal(wh_json_string(config, "c_info.uuid", ""), uuid_of(w, w->web, uuid));
    assert_int_equal(wh_json_number(config, "b_info.target_memkb", 0), 3000);
    assert_int_equal(wh_json_number(config, "b_info.max_memkb", 0), 4096);
    assert_string_equal(wh_json_string(config, "key", ""), "kept");
}

static void a_domain_without_a_stored_configuration_is_listed(void **state)
{
    struct world *w = *state;
    wh_auto_free char *text = NULL;
    json_object *config = NULL;

    auto_job j = perform(w, wh_list_new("web", true));
    assert_done(j);
    assert_true(json_object_object_get_ex(by_id(wh_task_result(j), w->web), "config", &config));
    assert_null(config);
    assert_false(wh_domain_config(&w->op, &w->here, w->web, NULL, &text));
    assert_kind(&w->op, WH_XEN);
    assert_says(w->op.err.text, "no configuration is stored");
}

static void what_others_can_write_is_no_configuration(void **state)
{
    struct world *w = *state;
    char path[2 * PATH_MAX], other[2 * PATH_MAX + 8];

    store_text(w, w->web, STORED, 0620);
    auto_job group = perform(w, wh_list_new("web", true));
    assert_refuses(group, WH_SYSTEM, "others may write it");
    store_text(w, w->web, STORED, 0602);
    auto_job all = perform(w, wh_list_new("web", true));
    assert_refuses(all, WH_SYSTEM, "others may write it");

    stored_path(w, w->web, path);
    snprintf(other, sizeof other, "%s.other", path);
    store_text(w, w->web, STORED, 0600);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    auto_job link = perform(w, wh_list_new("web", true));
    assert_refuses(link, WH_SYSTEM, "open ");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    auto_job fifo = perform(w, wh_list_new("web", true));
    assert_refuses(fifo, WH_SYSTEM, "expected a regular file");
}

static void a_huge_or_broken_configuration_is_refused(void **state)
{
    struct world *w = *state;
    char path[2 * PATH_MAX];

    store_text(w, w->web, "{ \"c_info\": ", 0600);
    auto_job broken = perform(w, wh_list_new("web", true));
    assert_int_not_equal(wh_job_result(broken), WH_OK);
    assert_says(wh_job_error(broken), "the configuration stored for domain");
    stored_path(w, w->web, path);
    assert_int_equal(truncate(path, WH_CONFIG_JSON + 1), 0);
    auto_job huge = perform(w, wh_list_new("web", true));
    assert_refuses(huge, WH_SYSTEM, "expected at most ");
}

/* ------------------------------------------------------------------------------- rename */

static void assert_named(struct world *w, uint32_t domid, const char *name)
{
    char uuid[WH_UUID_TEXT];

    assert_node(w, name, "/local/domain/%u/name", domid);
    assert_node(w, name, "/vm/%s/name", uuid_of(w, domid, uuid));
}

static void a_new_name_stands_in_both_places(void **state)
{
    struct world *w = *state;

    wh_fake_conflict(w->f, 3);
    auto_job j = perform(w, wh_rename_new("web", "w\xc3\xa9" "b 2"));
    assert_done(j);
    assert_named(w, w->web, "w\xc3\xa9" "b 2");
    assert_string_equal(wh_json_string(wh_task_result(j), "old_name", ""), "web");
    auto_job same = perform(w, wh_rename_new("db", "db"));
    assert_done(same);
    assert_named(w, w->db, "db");
}

static void names_that_are_none_are_refused(void **state)
{
    struct world *w = *state;
    char long_name[258];

    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    const char *const bad[] = { "", "a/b", "/", "a\nb", "\x1b[2J", "\x7f", "a\xc2\x9b" "b", "17",
                                "0", "db", long_name };
    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        auto_job j = perform(w, wh_rename_new("web", bad[i]));

        assert_int_equal(wh_job_result(j), WH_USAGE);
        assert_named(w, w->web, "web");
    }
}

/* --------------------------------------------------------------------------------- power */

static struct wh_job *power(struct world *w, const char *who, unsigned wait)
{
    return perform(w, wh_power_new(who, &(struct wh_power){ .wait = wait }));
}

static const char *stage_of(const struct wh_job *j, uint32_t domid)
{
    json_object *o = wh_task_result(j) ? by_id(wh_task_result(j), domid) : NULL;

    return o ? wh_json_string(o, "stage", "") : "not told";
}

static void a_guest_takes_the_request(void **state)
{
    struct world *w = *state;

    wh_fake_answer(w->f, w->web, WH_FAKE_STALLS);
    wh_fake_conflict(w->f, 2);
    auto_job j = power(w, "web", 0);
    assert_done(j);
    assert_string_equal(stage_of(j, w->web), "taken");
}

static void who_waits_is_told_what_became_of_it(void **state)
{
    struct world *w = *state;

    auto_job j = power(w, "web", 1);
    assert_done(j);
    assert_string_equal(stage_of(j, w->web), "shutdown");
    assert_string_equal(wh_json_string(by_id(wh_task_result(j), w->web), "shutdown_reason", ""),
                        "poweroff");
    wh_fake_answer(w->f, w->db, WH_FAKE_VANISHES);
    auto_job gone = power(w, "db", 2);
    assert_done(gone);
    assert_string_equal(stage_of(gone, w->db), "gone");
    auto_job reboot = perform(w, wh_power_new("again", &(struct wh_power){ .reboot = true }));
    assert_refuses(reboot, WH_USAGE, "there is no domain 'again'");
    uint32_t again = wh_fake_guest_pvh(w->f, "again", 4, 3, 90);
    const struct wh_power how = { .reboot = true, .wait = 1 };
    auto_job once = perform(w, wh_power_new("again", &how));
    assert_done(once);
    assert_string_equal(wh_json_string(by_id(wh_task_result(once), again), "shutdown_reason", ""),
                        "reboot");
}

static void a_request_nobody_takes_is_withdrawn(void **state)
{
    struct world *w = *state;

    wh_fake_answer(w->f, w->web, WH_FAKE_DEAF);
    int64_t begun = unit_now_ms();
    auto_job j = power(w, "web", 1);
    assert_refuses(j, WH_GUEST, "(web) did not take the request");
    assert_node(w, "", "/local/domain/%u/control/shutdown", w->web);
    assert_string_equal(stage_of(j, w->web), "not asked");
    assert_true(unit_now_ms() - begun >= 500);
}

static void one_that_takes_it_at_the_last_moment_counts(void **state)
{
    struct world *w = *state;

    wh_fake_answer(w->f, w->web, WH_FAKE_LATE);
    auto_job j = power(w, "web", 0);
    assert_done(j);
    assert_string_equal(stage_of(j, w->web), "taken");
}

static void of_all_the_deaf_do_not_keep_the_others(void **state)
{
    struct world *w = *state;

    wh_fake_answer(w->f, w->web, WH_FAKE_DEAF);
    auto_job j = power(w, NULL, 1);
    assert_refuses(j, WH_GUEST, "1 of 2 domains: ");
    assert_string_equal(stage_of(j, w->db), "shutdown");
    assert_string_equal(stage_of(j, w->web), "not asked");
    assert_string_equal(stage_of(j, 0), "not told");
    assert_node(w, "", "/local/domain/%u/control/shutdown", w->web);
}

static void who_cannot_be_asked_is_not(void **state)
{
    struct world *w = *state;

    uint32_t hvm = wh_fake_guest(w->f, &(struct wh_fake_guest){ .kind = WH_FAKE_HVM, .mb = 4,
                                                               .name = "hvm" });
    assert_true(wh_xen_set_param(&w->op, w->here.xen, hvm, 0, 0));     /* no PV drivers */
    auto_job without = power(w, "hvm", 0);
    assert_refuses(without, WH_GUEST, "has no PV drivers to be asked through (-F");
    const struct wh_power how = { .reboot = true, .acpi = true };
    auto_job reboot = perform(w, wh_power_new("hvm", &how));
    assert_refuses(reboot, WH_GUEST, "Xen has no ACPI event for a reboot");
    assert_int_equal(wh_fake_state(w->f, hvm).buttons, 0);
    assert_true(wh_xen_pause(&w->op, w->here.xen, w->web));
    auto_job paused = power(w, "web", 0);
    assert_refuses(paused, WH_GUEST, "is paused");
    assert_node(w, "", "/local/domain/%u/control/shutdown", w->web);
    auto_job zero = power(w, "0", 0);
    assert_refuses(zero, WH_GUEST, "is this host itself");
    assert_true(wh_xen_shutdown(&w->op, w->here.xen, w->db, WH_POWEROFF));
    auto_job over = power(w, "db", 0);
    assert_refuses(over, WH_GUEST, "has shut down already");
}

static uint32_t make_hvm(struct world *w, uint64_t callback)
{
    const struct wh_fake_guest g = { .kind = WH_FAKE_HVM, .mb = 4, .name = "hvm" };
    uint32_t domid = wh_fake_guest(w->f, &g);

    assert_true(wh_xen_set_param(&w->op, w->here.xen, domid, 0, callback));
    return domid;
}

static void who_has_no_drivers_has_a_power_button(void **state)
{
    struct world *w = *state;
    struct wh_power how = { .acpi = true, .wait = 1 };
    uint32_t hvm = make_hvm(w, 0);

    auto_job waited = perform(w, wh_power_new("hvm", &how));
    assert_done(waited);
    assert_string_equal(stage_of(waited, hvm), "shutdown");
    assert_int_equal(wh_fake_state(w->f, hvm).buttons, 1);
    assert_true(wh_xen_destroy(&w->op, w->here.xen, hvm));
    uint32_t deaf = make_hvm(w, 0);
    wh_fake_answer(w->f, deaf, WH_FAKE_DEAF);
    how.wait = 0;
    int64_t begun = unit_now_ms();
    auto_job sent = perform(w, wh_power_new("hvm", &how));
    assert_done(sent);
    assert_string_equal(stage_of(sent, deaf), "sent");
    assert_true(unit_now_ms() - begun < 500);       /* nothing is waited for */
}

static void who_has_drivers_is_asked_through_them(void **state)
{
    struct world *w = *state;
    uint32_t hvm = make_hvm(w, 1);

    wh_fake_answer(w->f, w->db, WH_FAKE_DEAF);
    auto_job j = perform(w, wh_power_new(NULL, &(struct wh_power){ .acpi = true, .wait = 1 }));
    assert_refuses(j, WH_GUEST, "1 of 3 domains: domain 2 (db) did not take the request");
    assert_string_equal(stage_of(j, hvm), "shutdown");
    assert_string_equal(stage_of(j, w->web), "shutdown");
    assert_int_equal(wh_fake_state(w->f, hvm).buttons, 0);
    assert_int_equal(wh_fake_state(w->f, w->web).buttons, 0);
}

/* ------------------------------------------------------------------- whatever goes wrong */

static const enum wh_fault faults[] = { WH_FAULT_FAIL, WH_FAULT_LOST, WH_FAULT_HANG,
                                        WH_FAULT_CANCEL, WH_FAULT_CANCEL_IN };

/* Watches and transactions last as long as the connection, which in earnest is the job's. */
static void connect_anew(struct world *w)
{
    wh_store_close(w->here.store);
    w->here.store = wh_fake_store(w->f);
}

/* Make and run the job with the fault at every call of the backend in turn; look at the world after
 * each. */
static void meet_every_fault(struct world *w, struct wh_job *(*make)(void),
                             void (*look)(struct world *w, bool done),
                             void (*reset)(struct world *w))
{
    unsigned met = 0;

    for (size_t how = 0; how < WH_COUNT(faults); how++) {
        bool hit = true;

        for (uint64_t k = 1; hit; k++) {
            wh_auto_free char *before = wh_fake_check(w->f);

            wh_fake_fault(w->f, k, faults[how]);
            wh_op_hurry = faults[how] == WH_FAULT_HANG ? 2000 : 100;
            auto_job j = perform(w, make());
            wh_op_hurry = 100;
            hit = wh_fake_fault_hit(w->f) != NULL;
            wh_fake_fault(w->f, 0, WH_FAULT_NONE);
            met += hit;
            assert_int_equal(j->op.undo_err.kind, WH_OK);
            connect_anew(w);
            look(w, wh_job_result(j) == WH_OK);
            reset(w);
            connect_anew(w);
            wh_auto_free char *after = wh_fake_check(w->f);
            assert_string_equal(before, after);
        }
    }
    assert_true(met > 20);
}

static struct wh_job *make_rename(void)
{
    return wh_rename_new("web", "new");
}

static void look_at_names(struct world *w, bool done)
{
    wh_auto_free char *name = wh_fake_node(w->f, "/local/domain/%u/name", w->web);

    assert_true(strcmp(name, "new") == 0 || (!done && strcmp(name, "web") == 0));
    assert_named(w, w->web, name);
}

static void name_back(struct world *w)
{
    auto_job j = perform(w, wh_rename_new("1", "web"));

    assert_int_equal(w->web, 1);
    assert_done(j);
}

static void a_failing_rename_leaves_one_name(void **state)
{
    meet_every_fault(*state, make_rename, look_at_names, name_back);
}

static struct wh_job *make_shutdown(void)
{
    return wh_power_new("web", &(struct wh_power){ .wait = 0 });
}

static void look_at_request(struct world *w, bool done)
{
    (void)done;
    assert_node(w, "", "/local/domain/%u/control/shutdown", w->web);
}

static void a_failing_shutdown_leaves_no_request(void **state)
{
    struct world *w = *state;

    wh_fake_answer(w->f, w->web, WH_FAKE_STALLS);
    meet_every_fault(w, make_shutdown, look_at_request, connect_anew);

}

static struct wh_job *make_memory(void)
{
    return wh_memory_new("web", 3000);
}

static void look_at_memory(struct world *w, bool done)
{
    wh_auto_free char *target = wh_fake_node(w->f, "/local/domain/%u/memory/target", w->web);
    uint64_t limit = domain(w, w->web).max_pages * 4, value = strtoull(target, NULL, 10);

    assert_true(value == 3000 || (!done && value == 2000));
    assert_int_equal(limit, value + 1024);
}

static void memory_back(struct world *w)
{
    auto_job j = perform(w, wh_memory_new("web", 2000));

    assert_done(j);
}

static void a_failing_mem_set_leaves_limit_and_target_agreed(void **state)
{
    memory_back(*state);
    meet_every_fault(*state, make_memory, look_at_memory, memory_back);
}

/* -------------------------------------------------------------------------------- memory */

static void memory_stays_between_its_bounds(void **state)
{
    struct world *w = *state;

    wh_fake_write(w->f, 0, "4096", "/local/domain/%u/memory/static-max", w->web);
    auto_job more = perform(w, wh_memory_new("web", 4097));
    assert_refuses(more, WH_USAGE, "expected at most the 4096 KiB");
    auto_job none = perform(w, wh_memory_new("web", 0));
    assert_refuses(none, WH_USAGE, "no domain can have 0 KiB");
    auto_job less = perform(w, wh_memory_new("0", 131071));
    assert_refuses(less, WH_USAGE, "domain 0");
    auto_job set = perform(w, wh_memory_new("web", 4096));
    assert_done(set);
    assert_node(w, "4096", "/local/domain/%u/memory/target", w->web);
    auto_job low = perform(w, wh_max_memory_new("web", 4095));
    assert_refuses(low, WH_USAGE, "expected at least the 4096 KiB");
    auto_job high = perform(w, wh_max_memory_new("web", 8192));
    assert_done(high);
    assert_node(w, "8192", "/local/domain/%u/memory/static-max", w->web);
    assert_int_equal(domain(w, w->web).max_pages * 4, 8192 + 1024);
}

static void video_memory_is_no_part_of_the_target(void **state)
{
    struct world *w = *state;

    wh_fake_write(w->f, 0, "4096", "/local/domain/%u/memory/static-max", w->web);
    wh_fake_write(w->f, 0, "512", "/local/domain/%u/memory/videoram", w->web);
    auto_job j = perform(w, wh_memory_new("web", 3000));
    assert_done(j);
    assert_node(w, "2488", "/local/domain/%u/memory/target", w->web);
    assert_int_equal(domain(w, w->web).max_pages * 4, 3000 + 1024);
}

/* --------------------------------------------------------------------------------- pause */

static void pauses_count(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 2; i++) {
        auto_job j = perform(w, wh_pause_new("web"));
        assert_done(j);
    }
    auto_job one = perform(w, wh_unpause_new("web"));
    assert_done(one);
    assert_true(domain(w, w->web).paused);
    auto_job two = perform(w, wh_unpause_new("web"));
    assert_done(two);
    assert_false(domain(w, w->web).paused);
    auto_job zero = perform(w, wh_pause_new("0"));
    assert_refuses(zero, WH_USAGE, "never paused");
}

static void a_domain_that_goes_gets_no_nodes(void **state)
{
    struct world *w = *state;
    char uuid[WH_UUID_TEXT];

    /* Another domain has its number now, as far as xenstore knows. */
    wh_fake_write(w->f, 0, "/vm/00000000-0000-0000-0000-00000000abcd", "/local/domain/%u/vm",
                  w->web);
    uuid_of(w, w->web, uuid);
    auto_job renamed = perform(w, wh_rename_new(uuid, "new"));
    assert_refuses(renamed, WH_XEN, "is gone");
    assert_node(w, "web", "/local/domain/%u/name", w->web);
    auto_job set = perform(w, wh_memory_new(uuid, 3000));
    assert_refuses(set, WH_XEN, "is gone");
    auto_job asked = power(w, uuid, 0);
    assert_done(asked);
    assert_string_equal(stage_of(asked, w->web), "gone");
    assert_node(w, "", "/local/domain/%u/control/shutdown", w->web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST("a domain is found by name, number and uuid", a_domain_is_found),
        WORLD_TEST("who is not there is not found", nobody_is_found),
        WORLD_TEST("digits are a number and never a name", digits_are_a_number_and_never_a_name),
        WORLD_TEST("a name that two have is refused", a_name_of_two_is_refused),
        WORLD_TEST("all domains are listed with what they are", all_are_listed),
        WORLD_TEST("why a domain shut down is told", why_it_shut_down_is_told),
        WORLD_TEST("vcpus are listed", vcpus_are_listed),
        WORLD_TEST("a domain that is being made has no vcpus",
                   a_domain_that_is_being_made_has_no_vcpus),
        WORLD_TEST("a stored configuration is brought up to date",
                   a_stored_configuration_is_brought_up_to_date),
        WORLD_TEST("a domain without a stored configuration is listed without",
                   a_domain_without_a_stored_configuration_is_listed),
        WORLD_TEST("what others can write is no stored configuration",
                   what_others_can_write_is_no_configuration),
        WORLD_TEST("a huge or broken stored configuration is refused",
                   a_huge_or_broken_configuration_is_refused),
        WORLD_TEST("a new name stands in both places", a_new_name_stands_in_both_places),
        WORLD_TEST("names that are none are refused", names_that_are_none_are_refused),
        WORLD_TEST("a guest takes the request", a_guest_takes_the_request),
        WORLD_TEST("who waits is told what became of it", who_waits_is_told_what_became_of_it),
        WORLD_TEST("one that takes it at the last moment counts",
                   one_that_takes_it_at_the_last_moment_counts),
        WORLD_TEST("a request that nobody takes is withdrawn",
                   a_request_nobody_takes_is_withdrawn),
        WORLD_TEST("of all, the deaf do not keep the others",
                   of_all_the_deaf_do_not_keep_the_others),
        WORLD_TEST("who cannot be asked is not asked", who_cannot_be_asked_is_not),
        WORLD_TEST("who has no PV drivers has a power button",
                   who_has_no_drivers_has_a_power_button),
        WORLD_TEST("who has drivers is asked through them", who_has_drivers_is_asked_through_them),
        WORLD_TEST("memory stays between its bounds", memory_stays_between_its_bounds),
        WORLD_TEST("video memory is no part of the target", video_memory_is_no_part_of_the_target),
        WORLD_TEST("pauses count", pauses_count),
        WORLD_TEST("a domain that goes gets no nodes", a_domain_that_goes_gets_no_nodes),
        WORLD_TEST("a rename that fails anywhere leaves one name",
                   a_failing_rename_leaves_one_name),
        WORLD_TEST("a shutdown that fails anywhere leaves no request",
                   a_failing_shutdown_leaves_no_request),
        WORLD_TEST("a mem-set that fails anywhere leaves limit and target agreed",
                   a_failing_mem_set_leaves_limit_and_target_agreed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
