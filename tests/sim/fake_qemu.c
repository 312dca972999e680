/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU for tests: of the real one's command line and monitor what Wherry uses, and no devices.
 *
 *     FOLDER/qemu                 a link to this program; hvm.h makes it, and what is beside it
 *     FOLDER/qemu.tricks          "test PID"            ends when that process has ended
 *                                 "COMMAND N [TIMES]"   what it does wrong, at each command anew
 *     FOLDER/qemu.story           what it was told, a line each, between what others write there
 *     FOLDER/disk                 if there is such a file: its disk, which one at a time may have
 *     FOLDER/state-out-DOMID      the state that it wrote, and state-in-DOMID that it was given
 *
 * COMMAND is one of the monitor's (or "greeting"), and N one of enum qmp_trick, or QMP_TRICKS: it ends
 * instead of answering.  Or a word of its own:
 *
 *     start 1, 2    it ends with a complaint; the first time
 *     keep 1        it gives no disk up           machine 1     its kind ends in no "-machine"
 *     incoming 1    it ends while it reads        machines 1    of -machine help: it has none
 *     incoming 2    it reads for ever             version 1     it knows -sandbox
 *     status 1      it runs from the beginning    fdset 1       it does not say which set it is
 *     term 1        it does not end when asked    vnc 1         its port is no number
 *     old 1         it cannot tell of what it writes
 *     2.12 1        it greets as one of that version
 *     state 1..5    no magic; nothing; version 2; more than 64 MiB; seven bytes */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/own.h"
#include "qmp_server.h"

#define SETS 8
#define HEAD 24                 /* QEVM, version, generation, 0, what it came of */
#define STATE 5000
#define OLD_GREETING "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 1, \"minor\": 12, \"major\": 2}}, " \
                     "\"capabilities\": []}}"
#define LOOKS 2                 /* how often it says that it still reads its state */

static struct {
    char folder[4000];
    const char *domid, *machine;
    int listening[2], incoming, disk;
    bool password, dirty_log, late_disks;
    unsigned looks, vcpus;
    const char *status;
    uint64_t generation, came_of;
    int set[SETS];
    unsigned used[64];          /* how often the trick of a line was played */
} q = { .domid = "?", .machine = "xenfv-3.1", .listening = { -1, -1 }, .incoming = -1, .disk = -1,
        .status = "prelaunch", .set = { -1, -1, -1, -1, -1, -1, -1, -1 } };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ------------------------------------------------------------------------------ beside it */

static void path_of(char path[PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", q.folder, name);
}

static void tell(const char *what, const char *more)
{
    char path[PATH_MAX], text[8192];

    path_of(path, "qemu.story");
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int n = snprintf(text, sizeof text, "qemu %s: %s%s\n", q.domid, what, more);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        abort();
}

/* What is said of the word; 0: nothing, or no longer. */
static int trick(const char *word)
{
    char path[PATH_MAX], of[64], line[128];
    int value, found = 0;
    unsigned i = 0, times;

    path_of(path, "qemu.tricks");
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f) && i < WH_COUNT(q.used)) {
        times = ~0u;
        if (sscanf(line, "%63s %d %u", of, &value, &times) >= 2 && strcmp(of, word) == 0 &&
            q.used[i] < times) {
            q.used[i]++;
            found = value;
        }
        i++;
    }
    if (f)
        fclose(f);
    return found;
}

static void *end_with_the_test(void *arg)
{
    struct pollfd p = { .fd = (int)(intptr_t)arg, .events = POLLIN };

    poll(&p, 1, -1);
    _exit(0);
}

static void watch_the_test(void)
{
    int fd = pidfd_open(trick("test"), 0);
    pthread_t thread;

    if (fd < 0 || pthread_create(&thread, NULL, end_with_the_test, (void *)(intptr_t)fd) != 0)
        _exit(0);
}

/* Those that it was given: "0 1 2 4 5". */
static void tell_descriptors(void)
{
    char text[256] = "";
    size_t n = 0;

    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            n += (size_t)snprintf(text + n, sizeof text - n, " %d", fd);
    tell("has", text);
}

/* -------------------------------------------------------------------------- its command line */

static void listen_at(const char *chardev)
{
    const char *fd = strstr(chardev, "fd=");

    if (strncmp(chardev, "socket,", 7) == 0 && fd)
        q.listening[strstr(chardev, "id=libxl-cmd") == NULL] = atoi(fd + 3);
}

static void take_option(const char *option, const char *value)
{
    if (strcmp(option, "-xen-domid") == 0)
        q.domid = value;
    else if (strcmp(option, "-chardev") == 0)
        listen_at(value);
    else if (strcmp(option, "-smp") == 0)
        q.vcpus = (unsigned)strtoul(value, NULL, 10);
    else if (strcmp(option, "-incoming") == 0 && strncmp(value, "fd:", 3) == 0)
        q.incoming = atoi(value + 3);
    else if (strcmp(option, "-vnc") == 0)
        q.password = strstr(value, "password=on");
}

/* -machine help, -sandbox ... -version: it says what it has, and ends. */
static void answer_at_once(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "-machine") == 0 && strcmp(argv[i + 1], "help") == 0) {
            if (trick("machines"))
                _exit(0);
            puts("Supported machines are:\nxenfv-4.2            Xen fully-virtualized PC\n"
                 "xenfv                Xen fully-virtualized PC (alias of xenfv-3.1)\n"
                 "xenfv-3.1            Xen fully-virtualized PC\nnone                 empty machine");
            exit(0);
        }
        if (strcmp(argv[i], "-version") == 0)
            _exit(trick("version") ? 0 : 1);
    }
}

/* ---------------------------------------------------------------------------------- its disk */

static bool take_disk(void)
{
    struct flock whole = { .l_type = F_WRLCK };
    char path[PATH_MAX];

    path_of(path, "disk");
    wh_auto_fd int fd = q.disk < 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return q.disk >= 0 || errno == ENOENT;
    if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
        return false;
    q.disk = wh_take_fd(&fd);
    tell("has its disk", "");
    return true;
}

static void give_disk_up(void)
{
    if (q.disk < 0)
        return;
    close(wh_take_fd(&q.disk));
    tell("gives its disk up", "");
}

/* --------------------------------------------------------------------------------- its state */

static void keep(const char *what, const uint8_t *p, size_t n)
{
    char path[PATH_MAX], name[64];

    snprintf(name, sizeof name, "state-%s-%s", what, q.domid);
    path_of(path, name);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
}

static uint64_t digest(const uint8_t *p, size_t n)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    while (n-- > 0)
        sum = (sum ^ *p++) * UINT64_C(0x100000001b3);
    return sum;
}

/* Different each time, and by what it went on from. */
static void make_state(uint8_t p[STATE])
{
    uint64_t seed = ++q.generation * 2654435761u + q.came_of;

    memcpy(p, "QEVM\0\0\0\3", 8);
    wh_put_le64(p + 8, q.generation);
    wh_put_le64(p + 16, q.came_of);
    for (size_t i = HEAD; i < STATE; i++)
        p[i] = (uint8_t)((seed = seed * UINT64_C(6364136223846793005) + 1) >> 56);
}

/* As it comes, and however late: it answers meanwhile. */
static void *go_on_from(void *arg)
{
    uint8_t p[STATE + 1];
    size_t n = 0;
    ssize_t got;

    if (trick("incoming") == 2)
        return arg;
    while (n < sizeof p && (got = read(q.incoming, p + n, sizeof p - n)) > 0)
        n += (size_t)got;
    close(q.incoming);
    pthread_mutex_lock(&lock);
    if (n != STATE || memcmp(p, "QEVM\0\0\0\3", 8) != 0) {
        fprintf(stderr, "qemu: load of migration failed: Invalid argument\n");
        exit(1);
    }
    keep("in", p, n);
    tell("has its state", "");
    q.generation = wh_le64(p + 8);
    q.came_of = digest(p, n);
    if (!q.late_disks && !take_disk())
        fprintf(stderr, "qemu: Failed to get \"write\" lock\n");    /* and no more, as QEMU does */
    q.looks = LOOKS;
    pthread_mutex_unlock(&lock);
    return arg;
}

/* ------------------------------------------------------------------------------ its monitor */

static json_object *reply(json_object *value)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "return", value ? value : json_object_new_object());
    return o;
}

static json_object *refuse_as(const char *class, const char *why)
{
    json_object *o = json_object_new_object(), *e = json_object_new_object();

    json_object_object_add(e, "class", json_object_new_string(class));
    json_object_object_add(e, "desc", json_object_new_string(why));
    json_object_object_add(o, "error", e);
    return o;
}

static json_object *refuse(const char *why)
{
    return refuse_as("GenericError", why);
}

static json_object *parse(const char *text)
{
    return reply(json_tokener_parse(text));
}

static json_object *status(void)
{
    json_object *o = json_object_new_object();

    if (q.incoming >= 0 && strcmp(q.status, "inmigrate") == 0 && q.looks > 0 && --q.looks == 0) {
        if (trick("incoming") == 1) {
            fprintf(stderr, "qemu: load of migration failed: Input/output error\n");
            exit(1);
        }
        q.status = "paused";
    }
    json_object_object_add(o, "status", json_object_new_string(trick("status") ? "running"
                                                                               : q.status));
    json_object_object_add(o, "dirty-log", json_object_new_boolean(q.dirty_log));   /* for tests */
    return reply(o);
}

static json_object *add_fd(int passed)
{
    json_object *o = json_object_new_object();

    for (int i = 0; i < SETS && passed >= 0; i++) {
        if (q.set[i] >= 0)
            continue;
        q.set[i] = passed;
        if (!trick("fdset"))
            json_object_object_add(o, "fdset-id", json_object_new_int(i));
        json_object_object_add(o, "fd", json_object_new_int(passed));
        return reply(o);
    }
    json_object_put(o);
    return refuse("No file descriptor supplied via SCM_RIGHTS");
}

/* As QEMU looks for one: opened just as it is to be used. */
static int find_set(const char *path)
{
    unsigned n;

    if (sscanf(path, "/dev/fdset/%u", &n) != 1 || n >= SETS || q.set[n] < 0 ||
        (fcntl(q.set[n], F_GETFL) & O_ACCMODE) != O_WRONLY)
        return -1;
    return q.set[n];
}

static json_object *save_state(const char *path, bool live)
{
    uint8_t p[STATE];
    int fd = find_set(path), how = trick("state");
    size_t n = how == 2 ? 0 : how == 5 ? 7 : sizeof p;

    if (fd < 0)
        return refuse("Could not open it: No such file or directory");
    if (strcmp(q.status, "running") == 0)
        return refuse("the guest runs");
    make_state(p);
    if (how == 1)
        memcpy(p, "LIMA", 4);
    if (how == 3)
        p[7] = 2;
    if (write(fd, p, n) != (ssize_t)n || (how == 4 && ftruncate(fd, (64l << 20) + 1) < 0))
        return refuse("it could not be written");
    keep("out", p, sizeof p);
    if (live && !trick("keep"))
        give_disk_up();
    return reply(NULL);
}

static json_object *remove_fd(json_object *arguments)
{
    uint64_t n = wh_json_number(arguments, "fdset-id", SETS);

    if (n >= SETS || q.set[n] < 0)
        return refuse("File descriptor named 'fdset-id' not found");
    close(q.set[n]);
    q.set[n] = -1;
    return reply(NULL);
}

static json_object *change_status(struct qmp_server *s, const char *to, const char *event)
{
    char text[128];

    snprintf(text, sizeof text, "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": "
             "\"%s\"}", event);
    if (strcmp(q.status, to) != 0)
        qmp_server_say(s, text);
    q.status = to;
    return reply(NULL);
}

static json_object *tell_dirty(json_object *arguments)
{
    if (trick("old"))
        return refuse("The command xen-set-global-dirty-log has not been found");
    bool on = json_object_get_boolean(json_object_object_get(arguments, "enable"));
    if (!on && !q.dirty_log)        /* as QEMU 7.2 does */
        _exit(1);
    q.dirty_log = on;
    tell(q.dirty_log ? "dirty log on" : "dirty log off", "");
    return reply(NULL);
}

static json_object *set_capabilities(json_object *arguments)
{
    json_object *all = json_object_object_get(arguments, "capabilities"),
                *one = json_object_array_get_idx(all, 0);

    if (strcmp(wh_json_string(one, "capability", ""), "late-block-activate") != 0)
        return refuse("Parameter 'capability' does not accept value");
    q.late_disks = wh_json_true(one, "state");
    return reply(NULL);
}

static json_object *vcpus(void)
{
    json_object *all = json_object_new_array();

    for (unsigned i = 0; i < (q.vcpus ? q.vcpus : 1); i++)
        json_object_array_add(all, json_object_new_object());
    return reply(all);
}

static json_object *obey(struct qmp_server *s, const char *name, json_object *arguments, int passed)
{
    static const char *const plain[] = { "qmp_capabilities", "eject", "blockdev-change-medium" };

    for (size_t i = 0; i < WH_COUNT(plain); i++)
        if (strcmp(name, plain[i]) == 0)
            return reply(NULL);
    if (strcmp(name, "query-status") == 0)
        return status();
    if (strcmp(name, "stop") == 0)
        return change_status(s, strcmp(q.status, "running") == 0 ? "paused" : q.status, "STOP");
    if (strcmp(name, "cont") == 0)
        return take_disk() ? change_status(s, "running", "RESUME") : refuse("Failed to get \"write\" lock");
    if (strcmp(name, "add-fd") == 0)
        return add_fd(passed);
    if (strcmp(name, "remove-fd") == 0)
        return remove_fd(arguments);
    if (strcmp(name, "xen-save-devices-state") == 0)
        return save_state(wh_json_string(arguments, "filename", ""),
                          json_object_get_boolean(json_object_object_get(arguments, "live")));
    if (strcmp(name, "migrate-set-capabilities") == 0)
        return set_capabilities(arguments);
    if (strcmp(name, "xen-set-global-dirty-log") == 0)
        return tell_dirty(arguments);
    if (strcmp(name, "qom-get") == 0)
        return parse(trick("machine") ? "\"xenfv\"" : "\"xenfv-3.1-machine\"");
    if (strcmp(name, trick("2.11") ? "query-cpus" : "query-cpus-fast") == 0)
        return vcpus();
    if (strcmp(name, "query-chardev") == 0)
        return parse("[{\"frontend-open\": true, \"filename\": \"pty:/dev/pts/7\", \"label\": "
                     "\"serial0\"}, {\"filename\": \"pty:/dev/shadow\", \"label\": \"serial1\"}, "
                     "{\"filename\": \"pty:/dev/pts/8\", \"label\": \"serial99\"}, {\"label\": 3}]");
    if (strcmp(name, "query-vnc") == 0)
        return parse(trick("vnc") ? "{\"enabled\": true, \"host\": \"::1\", \"service\": \"6&6\"}"
                                  : "{\"enabled\": true, \"host\": \"::1\", \"service\": \"5907\"}");
    if (strcmp(name, "change-vnc-password") == 0)
        return q.password ? reply(NULL) : refuse("Could not set password");
    return refuse_as("CommandNotFound", "The command has not been found");
}

static json_object *answer(struct qmp_server *s, json_object *command, int passed)
{
    const char *name = wh_json_string(command, "execute", "");

    pthread_mutex_lock(&lock);
    if (s->arg)
        tell(name, "");
    json_object *o = obey(s, name, json_object_object_get(command, "arguments"), passed);
    pthread_mutex_unlock(&lock);
    if (passed >= 0 && strcmp(name, "add-fd") != 0)
        close(passed);
    return o;
}

static enum qmp_trick choose(struct qmp_server *s, const char *command)
{
    int how = s->arg ? trick(command) : QMP_BEHAVES;

    if (how == QMP_TRICKS)
        _exit(1);
    return (enum qmp_trick)how;
}

/* Descriptor sets go with the connection that brought them. */
static void drop_sets(void)
{
    char text[16];
    int n = 0;

    for (int i = 0; i < SETS; i++) {
        if (q.set[i] < 0)
            continue;
        close(q.set[i]);
        q.set[i] = -1;
        n++;
    }
    snprintf(text, sizeof text, "%d", n);
    if (n > 0)
        tell("sets were left: ", text);
}

/* One connection at a time, as QEMU's; the others wait. */
static void *serve(void *arg)
{
    int which = (int)(intptr_t)arg, fd;

    while ((fd = accept4(q.listening[which], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct qmp_server s = { .at = "", .choose = choose, .answer = answer, .fd = fd,
                                .arg = which == 0 ? &q : NULL,
                                .greeting = trick("2.12") ? OLD_GREETING : NULL };

        qmp_server_serve(&s);
        if (which == 0)
            drop_sets();
        close(fd);
    }
    return NULL;
}

/* Of all that were to be begun in this folder since it could end so. */
static bool is_first(void)
{
    char path[PATH_MAX];

    path_of(path, "qemu.first");
    wh_auto_fd int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    char pid[32];

    snprintf(q.folder, sizeof q.folder, "%.*s", (int)(strrchr(argv[0], '/') - argv[0]), argv[0]);
    answer_at_once(argc, argv);
    for (int i = 1; i + 1 < argc; i++)
        take_option(argv[i], argv[i + 1]);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    tell("begins as ", pid);
    tell_descriptors();
    for (int i = 1; i < argc; i++)
        tell("> ", argv[i]);
    watch_the_test();
    if (trick("term"))
        signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    if (trick("start") == 1 || (trick("start") == 2 && is_first())) {
        fprintf(stderr, "qemu: could not open disk image: \033[2JNo such file\n");
        return 1;
    }
    if (q.incoming < 0 && !take_disk()) {
        fprintf(stderr, "qemu: Failed to get \"write\" lock\n");
        return 1;
    }
    if (q.incoming >= 0) {
        q.status = "inmigrate";
        if (pthread_create(&thread, NULL, go_on_from, NULL) != 0)
            return 1;
    }
    if (q.listening[0] < 0 || q.listening[1] < 0 ||
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)1) != 0)
        return 1;
    serve((void *)(intptr_t)0);
    return 1;
}
