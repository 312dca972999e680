/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sinks, and files that appear under their names only when they are whole. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/sink.h"
#include "unit.h"

#define BYTES 1500000u

static uint8_t *data;
static char folder[200], path[300];

static int begin(void **state)
{
    (void)state;
    data = unit_bytes(42, BYTES);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    free(data);
    return 0;
}

#define FILE_TEST(says, run) { says, run, folder_setup, folder_teardown, NULL }

static int folder_setup(void **state)
{
    unit_folder(folder, sizeof folder);
    snprintf(path, sizeof path, "%s/out", folder);
    return unit_op_setup(state);
}

static int folder_teardown(void **state)
{
    unit_remove_folder(folder);
    return unit_op_teardown(state);
}

/* Files in the folder, whatever their names. */
static int files_there(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* ------------------------------------------------------------------------------- bytes */

/* Writes, zeros and copies of any size, and what they should come to. */
static void write_randomly(struct wh_op *op, struct wh_sink *k, int from, uint8_t *want)
{
    uint64_t seed = 7, gone;

    while (k->at < BYTES) {
        size_t at = k->at, n = unit_below(&seed, unit_below(&seed, 2) ? 64 : 400000);

        n = n < BYTES - at ? n : BYTES - at;
        switch (unit_below(&seed, 3)) {
        case 0:
            assert_true(wh_sink_write(op, k, data + at, n));
            memcpy(want + at, data + at, n);
            break;
        case 1:
            n %= 10000;
            assert_true(wh_sink_zeros(op, k, n));
            memset(want + at, 0, n);
            break;
        default:
            assert_true(wh_sink_copy(op, k, from, at / 2, n, &gone));
            assert_int_equal(gone, n);
            memcpy(want + at, data + at / 2, n);
        }
        assert_int_equal(k->at, at + n);
    }
    assert_true(wh_sink_flush(op, k));
}

static void check_sum(struct wh_digest *d, const uint8_t *want)
{
    uint8_t is[WH_DIGEST_BYTES], should[WH_DIGEST_BYTES];

    wh_digest_get(d, is);
    wh_digest_of(want, BYTES, should);
    assert_memory_equal(is, should, sizeof is);
}

static void to_a_file(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int from = unit_file(data, BYTES);

    for (int digest = 0; digest < 2; digest++) {
        wh_auto_fd int fd = unit_file("", 0);
        wh_auto_free uint8_t *want = malloc(BYTES);
        struct wh_sink k;
        size_t n;

        assert_true(wh_sink_open(op, &k, fd));
        k.digest = digest ? wh_digest_new() : NULL;
        write_randomly(op, &k, from, want);
        wh_auto_free uint8_t *is = unit_slurp(fd, &n);
        assert_int_equal(n, BYTES);
        assert_memory_equal(is, want, BYTES);
        if (digest)
            check_sum(k.digest, want);
        wh_digest_free(k.digest);
        wh_sink_close(&k);
    }
    assert_ok(op);
}

struct drain {
    int fd;
    uint8_t *got;
    size_t n;
    pthread_t thread;
};

/* A reader that now and then takes its time. */
static void *drain(void *arg)
{
    struct drain *d = arg;
    uint64_t seed = 5;

    for (;;) {
        size_t most = 1 + unit_below(&seed, 60000);
        ssize_t n = read(d->fd, d->got + d->n, most < BYTES - d->n ? most : BYTES - d->n);

        if (n <= 0)
            return NULL;
        d->n += (size_t)n;
        if (unit_below(&seed, 16) == 0)
            unit_sleep_ms(1);
    }
}

static void to_a_pair(struct wh_op *op, int pair[2], bool blocking)
{
    wh_auto_fd int from = unit_file(data, BYTES);
    wh_auto_free uint8_t *want = malloc(BYTES), *got = malloc(BYTES);
    struct drain d = { .fd = pair[0], .got = got };
    struct wh_sink k;

    if (!blocking)
        assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pthread_create(&d.thread, NULL, drain, &d), 0);
    assert_true(wh_sink_open(op, &k, pair[1]));
    write_randomly(op, &k, from, want);
    wh_sink_close(&k);
    close(pair[1]);
    pthread_join(d.thread, NULL);
    close(pair[0]);
    assert_int_equal(d.n, BYTES);
    assert_memory_equal(got, want, BYTES);
}

static void to_a_pipe(void **state)
{
    int pair[2];

    for (int blocking = 0; blocking < 2; blocking++) {
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        to_a_pair(*state, pair, blocking);
    }
}

static void to_a_socket(void **state)
{
    int pair[2];

    for (int blocking = 0; blocking < 2; blocking++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        to_a_pair(*state, pair, blocking);
    }
}

/* The kernel copies nothing into a file that only takes appends. */
static void the_long_way(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int from = unit_file(data, BYTES);
    wh_auto_fd int fd = unit_file("", 0);
    struct wh_sink k;
    uint64_t gone;
    size_t n;

    assert_int_equal(fcntl(fd, F_SETFL, O_APPEND), 0);
    assert_true(wh_sink_open(op, &k, fd));
    assert_true(wh_sink_write(op, &k, data, 1000));
    assert_true(wh_sink_copy(op, &k, from, 1000, BYTES, &gone));
    assert_int_equal(gone, BYTES - 1000);
    assert_true(wh_sink_flush(op, &k));
    wh_auto_free uint8_t *is = unit_slurp(fd, &n);
    assert_int_equal(n, BYTES);
    assert_memory_equal(is, data, BYTES);
    wh_sink_close(&k);
}

static void copy_ends(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int from = unit_file(data, 1000);

    for (int digest = 0; digest < 2; digest++) {
        wh_auto_fd int fd = unit_file("", 0);
        struct wh_sink k;
        uint64_t gone;

        assert_true(wh_sink_open(op, &k, fd));
        k.digest = digest ? wh_digest_new() : NULL;
        assert_true(wh_sink_copy(op, &k, from, 900, 500, &gone));
        assert_int_equal(gone, 100);
        assert_true(wh_sink_copy(op, &k, from, 5000, 500, &gone));
        assert_int_equal(gone, 0);
        assert_true(wh_sink_copy(op, &k, from, 0, 0, &gone));
        assert_int_equal(gone, 0);
        assert_int_equal(k.at, 100);
        wh_digest_free(k.digest);
        wh_sink_close(&k);
    }
}

/* ------------------------------------------------------------------------------ errors */

/* No file may grow beyond n bytes: writes are short, then fail. */
static void limit_files(rlim_t n)
{
    struct rlimit r;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
    r.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void no_room(void **state)
{
    struct wh_op *op = *state;
    wh_auto_fd int from = unit_file(data, BYTES);

    for (int copy = 0; copy < 2; copy++) {
        wh_auto_fd int fd = unit_file("", 0);
        struct wh_sink k;
        uint64_t gone;
        size_t n;

        op->err = (struct wh_err){ .kind = WH_OK };
        assert_true(wh_sink_open(op, &k, fd));
        limit_files(700001);
        bool ok = copy ? wh_sink_copy(op, &k, from, 0, BYTES, &gone) && wh_sink_flush(op, &k)
                       : wh_sink_write(op, &k, data, BYTES) && wh_sink_flush(op, &k);
        limit_files(RLIM_INFINITY);
        assert_false(ok);
        assert_kind(op, WH_SYSTEM);
        assert_int_equal(op->err.sys, EFBIG);
        assert_says(op->err.text, "write the output: ");
        wh_auto_free uint8_t *is = unit_slurp(fd, &n);
        assert_int_equal(n, 700001);
        assert_memory_equal(is, data, n);
        wh_sink_close(&k);
    }
}

static void nobody_reads(void **state)
{
    struct wh_op *op = *state;
    struct wh_sink k;
    int pair[2];

    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    close(pair[0]);
    assert_true(wh_sink_open(op, &k, pair[1]));
    assert_true(wh_sink_write(op, &k, "x", 1));
    assert_false(wh_sink_flush(op, &k));
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->err.sys, EPIPE);
    wh_sink_close(&k);
    close(pair[1]);
}

/* ----------------------------------------------------------------------------- outfile */

static void put_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void check_file(const char *name, const char *text)
{
    wh_auto_fd int fd = open(name, O_RDONLY);
    size_t n;

    assert_true(fd >= 0);
    wh_auto_free uint8_t *is = unit_slurp(fd, &n);
    assert_string_equal((char *)is, text);
}

static void whole_file(void **state)
{
    struct wh_op *op = *state;
    mode_t before = umask(0);
    struct wh_outfile o;
    struct stat st;

    assert_true(wh_outfile_open(op, &o, path));
    assert_int_equal(write(o.fd, "new", 3), 3);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(files_there(), 1);
    assert_true(wh_outfile_commit(op, &o));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(op->undos, 0);
    wh_undo_run(op);
    check_file(path, "new");
    assert_int_equal(files_there(), 1);
    wh_outfile_close(&o);
    wh_outfile_close(&o);
    unlink(path);
    umask(before);
}

static void undone_file(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    put_file(path, "old");
    assert_true(wh_outfile_open(op, &o, path));
    assert_int_equal(write(o.fd, "new", 3), 3);
    check_file(path, "old");
    assert_int_equal(files_there(), 2);
    wh_outfile_close(&o);
    wh_undo_run(op);
    check_file(path, "old");
    assert_int_equal(files_there(), 1);
    assert_int_equal(op->undo_err.kind, WH_OK);
    unlink(path);
}

static void cancelled_file(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    put_file(path, "old");
    assert_true(wh_outfile_open(op, &o, path));
    assert_int_equal(write(o.fd, "new", 3), 3);
    wh_op_cancel(op);
    assert_false(wh_outfile_commit(op, &o));
    wh_outfile_close(&o);
    wh_undo_run(op);
    assert_kind(op, WH_CANCELLED);
    check_file(path, "old");
    assert_int_equal(files_there(), 1);
    unlink(path);
}

static void replaced_file(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    put_file(path, "old and longer");
    assert_true(wh_outfile_open(op, &o, path));
    assert_int_equal(write(o.fd, "new", 3), 3);
    assert_true(wh_outfile_commit(op, &o));
    wh_outfile_close(&o);
    check_file(path, "new");
    assert_int_equal(files_there(), 1);
    unlink(path);
}

/* Somebody was faster and removed the temporary file: that is what undo wants. */
static void removed_file(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    assert_true(wh_outfile_open(op, &o, path));
    unlink(o.temp);
    assert_false(wh_outfile_commit(op, &o));
    assert_kind(op, WH_SYSTEM);
    wh_outfile_close(&o);
    wh_undo_run(op);
    assert_int_equal(op->undo_err.kind, WH_OK);
    assert_int_equal(files_there(), 0);
}

static void over_a_folder(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    assert_int_equal(mkdir(path, 0700), 0);
    if (wh_outfile_open(op, &o, path))
        assert_false(wh_outfile_commit(op, &o));
    wh_outfile_close(&o);
    wh_undo_run(op);
    assert_true(op->err.kind == WH_SYSTEM || op->err.kind == WH_USAGE);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(files_there(), 0);
}

/* Done by root to /dev/null, that would be the end of the machine. */
static void over_a_pipe(void **state)
{
    struct wh_op *op = *state;
    char link[320];

    snprintf(link, sizeof link, "%s/link", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(symlink("out", link), 0);
    for (int k = 0; k < 2; k++) {
        struct wh_outfile o;
        struct stat st;

        op->err = (struct wh_err){ .kind = WH_OK };
        if (wh_outfile_open(op, &o, k ? link : path))
            assert_false(wh_outfile_commit(op, &o));
        wh_outfile_close(&o);
        wh_undo_run(op);
        assert_kind(op, WH_USAGE);
        assert_int_equal(lstat(k ? link : path, &st), 0);
        assert_true(k ? S_ISLNK(st.st_mode) : S_ISFIFO(st.st_mode));
        assert_int_equal(files_there(), 2);
    }
    unlink(link);
    unlink(path);
}

/* A failure behind the rename would be a failed job that has made its output. */
static void no_descriptor(void **state)
{
    struct wh_op *op = *state;
    struct rlimit before, none;
    struct wh_outfile o;

    assert_true(wh_outfile_open(op, &o, path));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;                  /* poll wants to be allowed two */
    setrlimit(RLIMIT_NOFILE, &none);
    bool ok = wh_outfile_commit(op, &o);
    setrlimit(RLIMIT_NOFILE, &before);
    wh_outfile_close(&o);
    if (!ok)
        wh_undo_run(op);
    assert_int_equal(files_there(), ok);
    unlink(path);
}

static void refuse(struct wh_op *op, const char *name, int sys)
{
    struct wh_outfile o;

    op->err = (struct wh_err){ .kind = WH_OK };
    assert_false(wh_outfile_open(op, &o, name));
    assert_kind(op, WH_SYSTEM);
    assert_int_equal(op->err.sys, sys);
    assert_int_equal(op->undos, 0);
    wh_outfile_close(&o);
}

static void bad_paths(void **state)
{
    char name[2 * PATH_MAX];

    snprintf(name, sizeof name, "%s/missing/out", folder);
    refuse(*state, name, ENOENT);
    put_file(path, "a file");
    snprintf(name, sizeof name, "%s/out", path);
    refuse(*state, name, ENOTDIR);
    unlink(path);
}

static void long_paths(void **state)
{
    char name[2 * PATH_MAX];
    size_t n = strlen(folder);

    for (size_t length = PATH_MAX - 30; length < PATH_MAX + 30; length++) {
        memcpy(name, folder, n);
        for (size_t i = n; i < length; i++)
            name[i] = i % 2 ? 'x' : '/';
        name[length] = '\0';
        refuse(*state, name, length < PATH_MAX ? ENOENT : ENAMETOOLONG);
    }
    assert_int_equal(files_there(), 0);
}

/* The temporary file's name is longer than the name, which may be as long as names are. */
static void long_names(void **state)
{
    struct wh_op *op = *state;
    char name[PATH_MAX];
    size_t n = strlen(folder);

    for (size_t length = 240; length <= NAME_MAX; length++) {
        struct wh_outfile o;

        memcpy(name, folder, n);
        name[n] = '/';
        memset(name + n + 1, 'n', length);
        name[n + 1 + length] = '\0';
        wh_outfile_open(op, &o, name);
        assert_ok(op);
        assert_true(wh_outfile_commit(op, &o));
        wh_outfile_close(&o);
        assert_int_equal(unlink(name), 0);
    }
    assert_int_equal(files_there(), 0);
}

static void beside(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;
    char here[PATH_MAX];

    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    assert_true(wh_outfile_open(op, &o, "out"));
    assert_int_equal(files_there(), 1);
    assert_true(wh_outfile_commit(op, &o));
    wh_outfile_close(&o);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    assert_int_equal(chdir(here), 0);
}

static void standard_output(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;

    assert_true(wh_outfile_open(op, &o, "-"));
    assert_int_equal(o.fd, STDOUT_FILENO);
    assert_int_equal(op->undos, 0);
    assert_true(wh_outfile_commit(op, &o));
    wh_outfile_close(&o);
    assert_true(fcntl(STDOUT_FILENO, F_GETFD) >= 0);
}

static void no_room_for_file(void **state)
{
    struct wh_op *op = *state;
    struct wh_outfile o;
    struct wh_sink k;

    put_file(path, "old");
    assert_true(wh_outfile_open(op, &o, path));
    assert_true(wh_sink_open(op, &k, o.fd));
    limit_files(1000);
    bool ok = wh_sink_write(op, &k, data, BYTES);
    limit_files(RLIM_INFINITY);
    assert_false(ok);
    wh_sink_close(&k);
    wh_outfile_close(&o);
    wh_undo_run(op);
    check_file(path, "old");
    assert_int_equal(files_there(), 1);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OP_TEST("a file gets what was written, zeroed and copied, in order", to_a_file),
        OP_TEST("so does a pipe with a slow reader, blocking or not", to_a_pipe),
        OP_TEST("so does a socket, blocking or not", to_a_socket),
        OP_TEST("what the kernel does not copy is carried", the_long_way),
        OP_TEST("a copy is short where the file ends", copy_ends),
        OP_TEST("a file that may not grow takes what it can and fails", no_room),
        OP_TEST("a pipe that nobody reads is a system error", nobody_reads),
        FILE_TEST("a file appears at the commit, whole and for its owner only", whole_file),
        FILE_TEST("what is undone leaves an existing file and nothing else", undone_file),
        FILE_TEST("a cancel before the commit leaves an existing file", cancelled_file),
        FILE_TEST("a commit replaces an existing file", replaced_file),
        FILE_TEST("a temporary file that is gone is no failure of the undo", removed_file),
        FILE_TEST("a folder is not replaced", over_a_folder),
        FILE_TEST("what is no file, or a link to none, is not replaced", over_a_pipe),
        FILE_TEST("a commit without a descriptor to be had leaves nothing", no_descriptor),
        FILE_TEST("a folder that is missing, or is a file, is a system error", bad_paths),
        FILE_TEST("a path that is too long is a system error", long_paths),
        FILE_TEST("a name as long as names may be is no failure", long_names),
        FILE_TEST("a name without a folder is made in the working folder", beside),
        FILE_TEST("standard output is left open and not undone", standard_output),
        FILE_TEST("a full disk leaves an existing file and nothing else", no_room_for_file),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("sink", tests, begin, finish);
}
