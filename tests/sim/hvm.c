/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hvm.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>

static void put_text(const char *folder, const char *name, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* It lies beside the test's own program. */
static void link_program(const char *folder)
{
    char path[PATH_MAX], self[PATH_MAX - 32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(n > 0);
    self[n] = '\0';
    strcpy(strrchr(self, '/'), "/fake_qemu");
    assert_int_equal(symlink(self, hvm_program(folder, path)), 0);
}

const char *hvm_program(const char *folder, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/qemu", folder);
    return path;
}

void hvm_place(const char *folder)
{
    link_program(folder);
    put_text(folder, "hvmloader", "a loader");
    put_text(folder, "bios", "a BIOS");
    hvm_config(folder, "");
    hvm_play(folder, NULL, 0);
}

void hvm_config(const char *folder, const char *more)
{
    char text[4096];

    snprintf(text, sizeof text, "name='g'\ntype='hvm'\nmemory=8\nvga='none'\nvnc=0\nvcpus=2\n"
             "uuid='0123abcd-0123-4567-89ab-0123456789ab'\nfirmware_override='%s/hvmloader'\n"
             "bios_path_override='%s/bios'\n%s", folder, folder, more);
    put_text(folder, "g.cfg", text);
}

/* Replaced as a whole: it may be reading. */
static void play(const char *folder, const char *at, int trick, const char *times)
{
    char path[PATH_MAX], fresh[PATH_MAX + 8], text[4096];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/qemu.tricks", folder);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *f = at ? fopen(path, "re") : NULL;
    if (f) {
        n = fread(text, 1, sizeof text - 128, f);
        fclose(f);
    } else {
        n = (size_t)sprintf(text, "test %d\n", (int)getpid());
    }
    if (at)
        n += (size_t)snprintf(text + n, 128, "%s %d%s\n", at, trick, times);
    text[n] = '\0';
    put_text(folder, "qemu.tricks.new", text);
    assert_int_equal(rename(fresh, path), 0);
}

void hvm_play(const char *folder, const char *at, int trick)
{
    play(folder, at, trick, "");
}

void hvm_play_once(const char *folder, const char *at, int trick)
{
    play(folder, at, trick, " 1");
}

/* ------------------------------------------------------------------------------- the story */

char *hvm_story(const char *folder)
{
    char path[PATH_MAX];
    size_t n;

    snprintf(path, sizeof path, "%s/qemu.story", folder);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return (char *)unit_slurp(fd, &n);
}

static long find(const char *story, const char *line, bool last)
{
    size_t n = strlen(line);
    long found = -1;

    for (const char *at = story; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        if (strncmp(at, line, n) != 0 || (at[n] != '\n' && at[n] != '\0'))
            continue;
        found = at - story;
        if (!last)
            break;
    }
    return found;
}

long hvm_at(const char *story, const char *line)
{
    return find(story, line, false);
}

long hvm_last(const char *story, const char *line)
{
    return find(story, line, true);
}

void hvm_note(void *folder, const char *call)
{
    char path[PATH_MAX], text[128];

    snprintf(path, sizeof path, "%s/qemu.story", (const char *)folder);
    wh_auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    int n = snprintf(text, sizeof text, "xen: %s\n", call);
    assert_true(fd >= 0 && write(fd, text, (size_t)n) == n);
}

/* ----------------------------------------------------------------------------- what is left */

/* One that has ended and that nobody has taken note of has no arguments. */
static bool is_ours(const char *pid, const char *program)
{
    char path[300], text[PATH_MAX];

    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    return strcmp(text, program) == 0;
}

static unsigned count(const char *folder, bool end)
{
    static const char begins[] = ": begins as ";
    wh_auto_free char *story = hvm_story(folder);
    char program[PATH_MAX], pid[16];
    unsigned n = 0;

    hvm_program(folder, program);
    for (const char *at = story; (at = strstr(at, begins)); at++) {
        snprintf(pid, sizeof pid, "%d", atoi(at + sizeof begins - 1));
        if (!is_ours(pid, program))
            continue;
        n++;
        if (end)
            kill(atoi(pid), SIGKILL);
    }
    return n;
}

unsigned hvm_running(const char *folder)
{
    return count(folder, false);
}

void hvm_end(const char *folder)
{
    count(folder, true);
}

static int order(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_litter(const struct dirent *e)
{
    static const char *const names[] = { "qmp-", "qemu-root", "userdata-", "qemu-save",
                                         "qemu-resume" };

    for (size_t i = 0; i < WH_COUNT(names); i++)
        if (strncmp(e->d_name, names[i], strlen(names[i])) == 0)
            return 1;
    return 0;
}

char *hvm_litter(const char *folder)
{
    struct dirent **entry;
    int n = scandir(folder, &entry, is_litter, order);
    char *text = calloc(1, (size_t)(n > 0 ? n : 0) * 260 + 1), *to = text;

    assert_true(n >= 0 && text);
    for (int i = 0; i < n; i++) {
        to += sprintf(to, "%s\n", entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
    return text;
}
