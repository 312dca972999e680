/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A host in memory for a test of an HVM guest "g": the host, a folder with the fake QEMU, what is done
 * to the guest, and what is looked for after it. */
#ifndef TESTS_SIM_HVM_WORLD_H
#define TESTS_SIM_HVM_WORLD_H

#include <fcntl.h>
#include <sys/stat.h>

#include "base/json.h"
#include "flow/domain.h"
#include "flow/task.h"
#include "hvm.h"
#include "xen/fake.h"

#define HURRY 20                /* where something is waited for: ten seconds are half of one */
#define BRISK 4
#define PARAM_CALLBACK 0

struct world {
    struct wh_op op;
    struct wh_fake *f;
    struct wh_here here;
    char folder[256], program[PATH_MAX], config[300], file[300];
    char *before;               /* what there was of Xen's, and of descriptors, before anything */
    unsigned fds;
};

static inline int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    wh_op_hurry = BRISK;
    assert_true(wh_op_init(&w->op));
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->config, sizeof w->config, "%s/g.cfg", w->folder);
    snprintf(w->file, sizeof w->file, "%s/g.save", w->folder);
    hvm_place(w->folder);
    w->f = wh_fake_new(64);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .log = w->folder,
                                .scripts = w->folder, .state = w->folder,
                                .qemu = hvm_program(w->folder, w->program) };
    wh_fake_listen(w->f, hvm_note, w->folder);
    w->before = wh_fake_check(w->f);
    w->fds = wh_fake_fds();
    return 0;
}

static inline int tear_down(void **state)
{
    struct world *w = *state;
    char jobs[300];

    wh_op_hurry = 1;
    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    wh_op_done(&w->op);
    snprintf(jobs, sizeof jobs, "%s/jobs", w->folder);
    unit_remove_folder(jobs);
    unit_remove_folder(w->folder);
    free(w->before);
    free(w);
    return 0;
}

#define WORLD_TEST(says, run) { says, run, set_up, tear_down, NULL }

/* --------------------------------------------------------------------------- its operations */

struct outcome {
    enum wh_kind kind, undo;
    char error[1100];
    uint32_t domid;
};

static inline struct outcome perform(struct world *w, struct wh_job *j)
{
    struct outcome o;

    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    o.kind = wh_job_run(j);
    o.undo = j->op.undo_err.kind;
    snprintf(o.error, sizeof o.error, "%s", wh_job_error(j));
    o.domid = (uint32_t)wh_json_number(wh_task_result(j), "domid", 0);
    wh_job_free(j);
    return o;
}

static inline struct outcome must(struct outcome o)
{
    if (o.kind != WH_OK)
        fail_msg("%s", o.error);
    return o;
}

static inline struct outcome create(struct world *w, bool paused)
{
    return perform(w, wh_create_new(w->config, &(struct wh_create_how){ .paused = paused,
                                                                        .no_monitor = true }));
}

static inline struct outcome save(struct world *w, const struct wh_save_how *how)
{
    return perform(w, wh_save_new("g", w->file, how));
}

static inline struct outcome restore(struct world *w, bool paused)
{
    return perform(w, wh_restore_new(w->file, &(struct wh_restore_how){ .paused = paused,
                                                                        .no_monitor = true }));
}

static inline struct outcome recover(struct world *w)
{
    return perform(w, wh_recover_new(&(struct wh_recover_how){ 0 }));
}

static inline struct outcome destroy(struct world *w)
{
    return perform(w, wh_destroy_new("g"));
}

static const struct wh_save_how to_file = { 0 }, keeping = { .keep_running = true },
                                pausing = { .paused = true };

/* A guest, its image, and it is gone. */
static inline void leave_an_image(struct world *w)
{
    must(create(w, false));
    must(save(w, &to_file));
}

/* ---------------------------------------------------------------------------------- looking */

/* Where in the story this stands; the test fails if it does not. */
static inline long told(const char *story, const char *line)
{
    long at = hvm_at(story, line);

    if (at < 0)
        fail_msg("\"%s\" is not in the story:\n%s", line, story);
    return at;
}

static inline void assert_not_told(const char *story, const char *line)
{
    if (hvm_at(story, line) >= 0)
        fail_msg("\"%s\" is in the story:\n%s", line, story);
}

static inline void assert_order(const char *story, const char *first, const char *second)
{
    if (told(story, first) > told(story, second))
        fail_msg("\"%s\" comes before \"%s\":\n%s", second, first, story);
}

static inline char *line_of(char text[64], uint32_t domid, const char *what)
{
    snprintf(text, 64, "qemu %u: %s", domid, what);
    return text;
}

static inline unsigned records(const struct world *w)
{
    char path[300];
    struct dirent *e;
    unsigned n = 0;

    snprintf(path, sizeof path, "%s/jobs", w->folder);
    DIR *folder = opendir(path);
    while (folder && (e = readdir(folder)))
        n += e->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return n;
}

/* Ends are waited for: by us of those that we end, by nobody of those that end by themselves. */
static inline unsigned processes(const struct world *w, unsigned wanted)
{
    unsigned n;

    for (int i = 0; (n = hvm_running(w->folder)) != wanted && i < 200; i++)
        unit_sleep_ms(10);
    return n;
}

/* What there was before anything. */
static inline void assert_nothing_left(const struct world *w, const char *context)
{
    wh_auto_free char *after = wh_fake_check(w->f);
    wh_auto_free char *litter = hvm_litter(w->folder);

    if (strcmp(w->before, after) != 0)
        fail_msg("%s: this is left:\n%s", context, after);
    if (*litter)
        fail_msg("%s: these files are left:\n%s", context, litter);
    if (processes(w, 0) != 0)
        fail_msg("%s: QEMU still runs", context);
    if (records(w) != 0 || wh_fake_fds() != w->fds)
        fail_msg("%s: %u records and %u descriptors (%u before)", context, records(w),
                 wh_fake_fds(), w->fds);
}

static inline bool is_there(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

static inline uint8_t *slurp(const struct world *w, const char *what, uint32_t domid, size_t *n)
{
    char path[400];

    snprintf(path, sizeof path, "%s/state-%s-%u", w->folder, what, domid);
    wh_auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("there is no %s", path);
    return unit_slurp(fd, n);
}

static inline void assert_node(const struct world *w, const char *value, const char *path, uint32_t domid)
{
    char text[128];

    snprintf(text, sizeof text, path, domid);
    wh_auto_free char *is = wh_fake_node(w->f, "%s", text);
    if (!value && is)
        fail_msg("%s is %s", text, is);
    if (value && (!is || strcmp(is, value) != 0))
        fail_msg("%s is %s", text, is ? is : "not there");
}

#endif
