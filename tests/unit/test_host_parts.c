/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What making a domain does on the host itself: other programs, files beside libxl's, scripts, and
 * the ACPI tables of a PVH guest. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/bytes.h"
#include "unit.h"
#include "xen/acpi.h"
#include "xen/device.h"
#include "xen/process.h"
#include "xen/userdata.h"

#define UUID "0123abcd-0123-4567-89ab-0123456789ab"

struct world {
    struct wh_op op;
    struct wh_here here;
    char folder[PATH_MAX - 128];
};

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    w->here = (struct wh_here){ .lib = w->folder, .run = w->folder, .log = w->folder,
                                .scripts = w->folder };
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    wh_op_done(&w->op);
    unit_remove_folder(w->folder);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

static void path_of(const struct world *w, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", w->folder, name);
}

static void write_file(const struct world *w, const char *name, const char *text, mode_t mode)
{
    char path[PATH_MAX];

    path_of(w, name, path);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static size_t read_file(const struct world *w, const char *name, char *text, size_t size)
{
    char path[PATH_MAX];

    path_of(w, name, path);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n] = '\0';
    return (size_t)n;
}

/* ---------------------------------------------------------------------------- processes */

static char *const env[] = { (char[]){ "WORD=hello" }, NULL };

/* sh -c SCRIPT, its output in "log". */
static bool run_script(struct world *w, const char *script, int *status)
{
    char *argv[] = { strdupa("sh"), strdupa("-c"), strdupa(script), NULL }, log[PATH_MAX];

    path_of(w, "log", log);
    struct wh_program p = { "/bin/sh", argv, env, log };
    return wh_process_run(&w->op, &p, status);
}

static void a_program_is_run(void **state)
{
    struct world *w = *state;
    char text[64];
    int status;

    assert_true(run_script(w, "echo $WORD; cat; echo bad >&2; exit 7", &status));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    read_file(w, "log", text, sizeof text);
    assert_string_equal(text, "hello\nbad\n");
}

static void it_inherits_no_files_and_no_blocked_signals(void **state)
{
    struct world *w = *state;
    wh_auto_fd int leak = open("/dev/null", O_RDONLY);
    char text[256];
    sigset_t all;
    int status;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    assert_true(run_script(w, "ls /proc/self/fd; grep SigBlk /proc/self/status", &status));
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    read_file(w, "log", text, sizeof text);
    assert_string_equal(text, "0\n1\n2\n3\nSigBlk:\t0000000000000000\n");
}

static void one_that_hangs_is_killed_with_its_children(void **state)
{
    struct world *w = *state;
    char text[32];
    int status;

    wh_step(&w->op, "hang", 300);
    assert_false(run_script(w, "sleep 1000 & echo $!; wait", &status));
    assert_kind(&w->op, WH_TIMEOUT);
    assert_true(WIFSIGNALED(status));
    read_file(w, "log", text, sizeof text);
    pid_t child = atoi(text);
    assert_true(child > 0);
    for (int i = 0; i < 1000 && kill(child, 0) == 0; i++) {
        char arguments[64];

        if (wh_process_arguments(child, arguments, sizeof arguments) == 0)
            break;                          /* dead, and not yet waited for */
        unit_sleep_ms(5);
    }
    assert_int_equal(wh_process_arguments(child, text, sizeof text), 0);
}

static bool is_sleep(pid_t pid, const void *arg)
{
    char text[64];

    return wh_process_arguments(pid, text, sizeof text) > 0 && strcmp(text, arg) == 0;
}

static void one_is_left_alone_and_ended(void **state)
{
    struct world *w = *state;
    char *argv[] = { strdupa("sleep"), strdupa("1000"), NULL };
    struct wh_program p = { "/bin/sleep", argv, env, "" };
    bool was;
    pid_t pid;

    assert_true(wh_process_leave(&w->op, &p, NULL, NULL, &pid));
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);      /* not our child */
    assert_int_equal(errno, ECHILD);
    assert_true(wh_process_end(&w->op, pid, is_sleep, "another", &was));
    assert_false(was);
    assert_int_equal(kill(pid, 0), 0);
    assert_true(wh_process_end(&w->op, pid, is_sleep, "sleep", &was));
    assert_true(was);
}

struct told {
    pid_t pid;
    bool refuse;
    const char *file;
};

static bool hear_of(struct wh_op *op, pid_t pid, void *arg)
{
    struct told *t = arg;

    t->pid = pid;
    assert_int_equal(kill(pid, 0), 0);
    assert_true(wh_nap(op, 100));
    assert_int_equal(access(t->file, F_OK), -1);            /* not begun */
    return !t->refuse || wh_fail(&op->err, WH_XEN, "no place for it");
}

static void one_begins_when_it_is_known_where_it_runs(void **state)
{
    struct world *w = *state;
    char file[PATH_MAX], *argv[] = { strdupa("sh"), strdupa("-c"), strdupa("echo >\"$0\""), file, NULL };
    struct wh_program p = { "/bin/sh", argv, env, "" };
    struct told t = { .file = file };
    pid_t pid = 0;

    path_of(w, "begun", file);

    for (int i = 0; i < 2; i++) {
        t.refuse = i == 0;
        assert_int_equal(wh_process_leave(&w->op, &p, hear_of, &t, &pid), !t.refuse);
        assert_int_equal(pid, t.pid);
        w->op.err = (struct wh_err){ 0 };
        for (int n = 0; n < (t.refuse ? 10 : 500) && access(file, F_OK) < 0; n++)
            assert_true(wh_nap(&w->op, 20));
        assert_int_equal(access(file, F_OK), t.refuse ? -1 : 0);
    }
}

static bool hear_and_cancel(struct wh_op *op, pid_t pid, void *arg)
{
    *(pid_t *)arg = pid;
    wh_op_cancel(op);
    return true;
}

/* Nobody could find it by what it is: it may not have become the program yet. */
static void one_that_was_cancelled_as_it_began_is_killed(void **state)
{
    struct world *w = *state;
    char *argv[] = { strdupa("sleep"), strdupa("1000"), NULL }, text[64];
    struct wh_program p = { "/bin/sleep", argv, env, "" };
    pid_t pid = 0, told = 0;

    assert_false(wh_process_leave(&w->op, &p, hear_and_cancel, &told, &pid));
    assert_kind(&w->op, WH_CANCELLED);
    assert_true(told > 0);
    for (int i = 0; i < 1000 && wh_process_arguments(told, text, sizeof text) > 0; i++)
        unit_sleep_ms(5);
    assert_int_equal(wh_process_arguments(told, text, sizeof text), 0);
}

/* It has the descriptors that it is to have, none else, and no more than it may use. */
static void one_has_what_it_was_passed(void **state)
{
    struct world *w = *state;
    wh_auto_fd int leak = open("/dev/null", O_RDONLY);
    char *argv[] = { strdupa("sh"), strdupa("-c"),
                     strdupa("cat <&4 >&5; ulimit -c >&5; ulimit -n >&5; exec ls /proc/self/fd >&5"), NULL };
    static const struct wh_limit limits[] = { { RLIMIT_CORE, 0 }, { RLIMIT_NOFILE, 77 } };
    int in[2], out[2];
    char text[256] = "";
    pid_t pid;

    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
    int pass[] = { in[0], out[1] };
    struct wh_program p = { "/bin/sh", argv, env, "", pass, 2, limits, WH_COUNT(limits) };
    assert_int_equal(write(in[1], "through\n", 8), 8);
    close(in[1]);
    assert_true(wh_process_leave(&w->op, &p, NULL, NULL, &pid));
    close(in[0]);
    close(out[1]);
    for (size_t n = 0; n < sizeof text - 1;) {
        ssize_t got = read(out[0], text + n, sizeof text - 1 - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(out[0]);
    assert_string_equal(text, "through\n0\n77\n0\n1\n2\n3\n4\n5\n");
}

static void one_that_cannot_be_is_said(void **state)
{
    struct world *w = *state;
    char *argv[] = { strdupa("none"), NULL };
    struct wh_program p = { "/none", argv, env, "" };
    pid_t pid;
    int status;

    assert_false(wh_process_leave(&w->op, &p, NULL, NULL, &pid));
    assert_kind(&w->op, WH_SYSTEM);
    assert_says(w->op.err.text, "start /none: No such file");
    w->op.err = (struct wh_err){ 0 };
    assert_false(wh_process_run(&w->op, &p, &status));
    assert_says(w->op.err.text, "run /none: No such file");
}

/* -------------------------------------------------------------------------------- files */

static void a_configuration_is_stored_with_its_nul(void **state)
{
    struct world *w = *state;
    char text[64];

    assert_true(wh_userdata_write(&w->op, &w->here, 7, UUID, "{}"));
    assert_int_equal(read_file(w, "userdata-d.7." UUID ".libxl-json", text, sizeof text), 3);
    assert_true(wh_userdata_remove(&w->op, &w->here, 7, UUID));
    assert_int_equal(read_file(w, "userdata-d.7." UUID ".libxl-json", text, sizeof text), 0);
}

static void others_files_stay(void **state)
{
    struct world *w = *state;
    char text[8];

    write_file(w, "userdata-d.70." UUID ".libxl-json", "x", 0600);
    write_file(w, "userdata-d.7.f" UUID ".x", "x", 0600);
    write_file(w, "userdata-x.7." UUID ".other", "x", 0600);
    assert_true(wh_userdata_remove(&w->op, &w->here, 7, UUID));
    assert_int_equal(read_file(w, "userdata-d.70." UUID ".libxl-json", text, sizeof text), 1);
    assert_int_equal(read_file(w, "userdata-d.7.f" UUID ".x", text, sizeof text), 1);
    assert_int_equal(read_file(w, "userdata-x.7." UUID ".other", text, sizeof text), 0);
}

static void libxls_lock_is_respected(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX];

    path_of(w, "userdata-l.7." UUID ".domain-userdata-lock", path);
    wh_auto_fd int other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(flock(other, LOCK_EX), 0);
    wh_step(&w->op, "wait", 200);
    assert_false(wh_userdata_write(&w->op, &w->here, 7, UUID, "{}"));
    assert_kind(&w->op, WH_TIMEOUT);
    w->op.err = (struct wh_err){ 0 };
    unlink(path);                           /* as its holder does, before it closes it */
    wh_step(&w->op, "write", 10000);
    assert_true(wh_userdata_write(&w->op, &w->here, 7, UUID, "{}"));
}

static void numbers_are_remembered_for_a_minute(void **state)
{
    struct world *w = *state;
    char text[256], line[64];
    bool recent;

    snprintf(line, sizeof line, "%lld 5\n", (long long)(unit_now_ms() / 1000 - 61));
    write_file(w, "domid-history", line, 0644);
    assert_true(wh_history_add(&w->op, &w->here, 6));
    assert_true(wh_history_recent(&w->op, &w->here, 5, &recent) && !recent);
    assert_true(wh_history_recent(&w->op, &w->here, 6, &recent) && recent);
    assert_true(wh_history_recent(&w->op, &w->here, 7, &recent) && !recent);
    read_file(w, "domid-history", text, sizeof text);
    assert_null(strstr(text, " 5\n"));
}

/* ------------------------------------------------------------------------------ scripts */

static void assert_script(struct world *w, const char *name, bool owner, bool good)
{
    char path[PATH_MAX];

    w->op.err = (struct wh_err){ 0 };
    bool is = wh_hotplug_path(&w->op, &w->here, name, owner, path);
    if (is != good)
        print_error("%s, owner %d: %s\n", name, owner, w->op.err.text);
    assert_int_equal(is, good);
}

static void scripts_are_the_hosts(void **state)
{
    struct world *w = *state;
    char inside[PATH_MAX], dots[PATH_MAX], linked[PATH_MAX];

    write_file(w, "block", "#!/bin/sh\n", 0700);
    write_file(w, "plain", "#!/bin/sh\n", 0600);
    path_of(w, "block", inside);
    path_of(w, "../sh", dots);
    path_of(w, "linked", linked);
    assert_int_equal(symlink("/bin/true", linked), 0);
    for (int owner = 0; owner < 2; owner++) {
        assert_script(w, "block", owner, true);
        assert_script(w, inside, owner, true);
        assert_script(w, "plain", owner, false);
        assert_script(w, "none", owner, false);
        assert_script(w, "../block", owner, false);
        assert_script(w, "..", owner, false);
        assert_script(w, "", owner, false);
    }
    assert_script(w, "/bin/true", true, true);
    assert_script(w, "/bin/true", false, false);
    assert_script(w, dots, false, false);
    assert_script(w, "linked", true, true);
    assert_script(w, "linked", false, false);
}

/* --------------------------------------------------------------------------------- ACPI */

static uint8_t sum(const uint8_t *p, size_t n)
{
    uint8_t s = 0;

    for (size_t i = 0; i < n; i++)
        s = (uint8_t)(s + p[i]);
    return s;
}

/* The table at a guest's address: whole, of that name, and adding up to 0. */
static const uint8_t *table(const uint8_t *all, size_t n, uint64_t at, const char *name)
{
    assert_true(at >= WH_ACPI_ADDRESS && at - WH_ACPI_ADDRESS + 36 <= n && at % 16 == 0);
    const uint8_t *t = all + (at - WH_ACPI_ADDRESS);
    uint32_t length = wh_le32(t + 4);
    assert_memory_equal(t, name, 4);
    assert_true(at - WH_ACPI_ADDRESS + length <= n);
    assert_int_equal(sum(t, length), 0);
    return t;
}

static void acpi_tells_of_the_vcpus(void **state)
{
    struct wh_op *op = *state;
    wh_auto_free uint8_t *all = NULL;
    size_t n;

    assert_true(wh_acpi_make(op, WH_ACPI_ADDRESS, 5, 3, &all, &n));
    assert_memory_equal(all, "RSD PTR ", 8);
    assert_int_equal(sum(all, 20), 0);
    assert_int_equal(sum(all, 36), 0);
    const uint8_t *xsdt = table(all, n, wh_le64(all + 24), "XSDT");
    assert_int_equal(wh_le32(xsdt + 4), 36 + 2 * 8);
    const uint8_t *fadt = table(all, n, wh_le64(xsdt + 36), "FACP");
    assert_true(wh_le32(fadt + 112) & 1u << 20);            /* no fixed hardware */
    table(all, n, wh_le64(fadt + 140), "DSDT");
    const uint8_t *madt = table(all, n, wh_le64(xsdt + 44), "APIC");
    assert_int_equal(wh_le32(madt + 4), 44 + 5 * 8);
    for (unsigned i = 0; i < 5; i++) {
        const uint8_t *e = madt + 44 + 8 * i;

        assert_int_equal(e[0], 0);
        assert_int_equal(e[1], 8);
        assert_int_equal(e[2], i);
        assert_int_equal(e[3], 2 * i);
        assert_int_equal(wh_le32(e + 4), i < 3);
    }
}

static void acpi_has_room_for_128_vcpus(void **state)
{
    struct wh_op *op = *state;
    wh_auto_free uint8_t *all = NULL;
    size_t n;

    assert_true(wh_acpi_make(op, WH_ACPI_ADDRESS, 128, 128, &all, &n));
    assert_true(n <= 4096);
    assert_false(wh_acpi_make(op, WH_ACPI_ADDRESS, 129, 1, &all, &n));
    assert_kind(op, WH_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST("a program is run, and what it prints is in the log", a_program_is_run),
        WORLD_TEST("it inherits no descriptors and no blocked signals",
                   it_inherits_no_files_and_no_blocked_signals),
        WORLD_TEST("one that hangs is killed with what it has started",
                   one_that_hangs_is_killed_with_its_children),
        WORLD_TEST("one is left as nobody's child, and ended if it is the one meant",
                   one_is_left_alone_and_ended),
        WORLD_TEST("one has what it was passed, and no more", one_has_what_it_was_passed),
        WORLD_TEST("one begins when it is known where it runs",
                   one_begins_when_it_is_known_where_it_runs),
        WORLD_TEST("one that was cancelled as it began is killed",
                   one_that_was_cancelled_as_it_began_is_killed),
        WORLD_TEST("one that cannot be started is said", one_that_cannot_be_is_said),
        WORLD_TEST("a configuration is stored with its NUL and goes with the domain",
                   a_configuration_is_stored_with_its_nul),
        WORLD_TEST("files of other domains stay", others_files_stay),
        WORLD_TEST("libxl's lock is respected, also when its file goes", libxls_lock_is_respected),
        WORLD_TEST("domain numbers are remembered for a minute",
                   numbers_are_remembered_for_a_minute),
        WORLD_TEST("a foreign configuration's scripts are the host's own", scripts_are_the_hosts),
        OP_TEST("ACPI tables add up and tell of the vcpus", acpi_tells_of_the_vcpus),
        OP_TEST("ACPI tables of 128 vcpus fit a page", acpi_has_room_for_128_vcpus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
