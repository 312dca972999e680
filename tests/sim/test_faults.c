/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fault sweep: an operation on a host in memory is run again and again, and each time the next
 * of its calls of the backend fails, is done but fails, hangs, or is met by a cancel.  The list of
 * calls is what the operation makes, so that a new one cannot be forgotten.  Then the calls it makes
 * shielded: behind its commit, or while it takes back what it had begun.
 *
 * After each run: the guest is in exactly one place, nothing is left over, and wherry recover
 * settles what a failure after the commit left. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/json.h"
#include "config/uuid.h"
#include "dm/qemu.h"
#include "flow/domain.h"
#include "flow/task.h"
#include "hvm.h"
#include "xen/fake.h"

#define MEGABYTES 4
#define CALLS_MOST 2000
#define HURRY 20                /* where something is waited for: a minute is three seconds */
#define BRISK 10                /* where nothing is: a guest's pauses are not slept through */
#define AT_ONCE 32              /* what hangs does not work: many are tried side by side */
#define MISSED 3                /* what a child says whose call was not made: some wait for a time */
#define PARAM_CALLBACK 0        /* of HVM guests */
#define SAMPLE 5                /* of an HVM guest's calls one in so many meets each of the faults */
#define TURNS 6                 /* in so many places an operation is turned back, to see its undo */

static bool forked;
static uint64_t shielded_calls;         /* in the run before */

/* A failure of a test, or of the child that tries one call of it. */
#define FAIL(...)                                                                                  \
    do {                                                                                           \
        if (forked) {                                                                              \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            _exit(1);                                                                              \
        }                                                                                          \
        fail_msg(__VA_ARGS__);                                                                     \
    } while (0)

struct world {
    struct wh_fake *f;
    struct wh_here here;
    uint32_t domid;
    char folder[256], file[300], program[PATH_MAX];
    struct wh_fake_guest guest;
    char *litter;                   /* HVM: what its QEMU has in the folder */
};

static const struct {
    enum wh_fault how;
    const char *name;
} hows[] = {
    { WH_FAULT_FAIL, "fails" },         { WH_FAULT_LOST, "is done and fails" },
    { WH_FAULT_HANG, "hangs" },         { WH_FAULT_CANCEL, "is met by a cancel" },
    { WH_FAULT_CANCEL_IN, "is done under a cancel" },
};
#define CANCEL 3

/* Which calls meet what: the k-th, and the k-th of those made shielded; 0: none of them. */
struct aim {
    uint64_t k, shielded;
    size_t way, shielded_way;
};

/* ------------------------------------------------------------------------------ the world */

static void put_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fchmod(fileno(f), 0600);
    fputs(text, f);
    fclose(f);
}

/* What a toolstack has stored for it. */
static void store_config(struct world *w, uint32_t domid)
{
    struct wh_op op;
    struct wh_domain d;
    bool there;
    char uuid[WH_UUID_TEXT], path[400], text[1024];
    struct wh_uuid u;
    const char *type = w->guest.kind == WH_FAKE_PV ? "pv" : "pvh";

    assert_true(wh_op_init(&op));
    assert_true(wh_xen_domain(&op, w->here.xen, domid, &d, &there) && there);
    wh_op_done(&op);
    memcpy(u.byte, d.uuid, sizeof u.byte);
    wh_uuid_print(u, uuid);
    snprintf(path, sizeof path, "%s/userdata-d.%u.%s.libxl-json", w->folder, domid, uuid);
    snprintf(text, sizeof text, "{\"c_info\": {\"type\": \"%s\", \"name\": \"%s\", \"uuid\": \"%s\"},"
             " \"b_info\": {\"max_vcpus\": %u, \"max_memkb\": %u, \"target_memkb\": %u,"
             " \"kernel\": \"/k\", \"type.%s\": {}}}", type, w->guest.name, uuid,
             w->guest.vcpus ? w->guest.vcpus : 1, w->guest.mb * 1024, w->guest.mb * 1024, type);
    put_text(path, text);
}

static enum wh_kind perform(struct world *w, struct wh_job *j, char *error, size_t n)
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &w->here;
    enum wh_kind kind = wh_job_run(j);
    snprintf(error, n, "%s", wh_job_error(j));
    wh_job_free(j);
    return kind;
}

static bool is_hvm(const struct world *w)
{
    return w->guest.kind == WH_FAKE_HVM;
}

/* A host, and no guest. */
static void open_host(struct world *w, const struct wh_fake_guest *g)
{
    *w = (struct world){ .guest = *g };
    unit_folder(w->folder, sizeof w->folder);
    snprintf(w->file, sizeof w->file, "%s/g.save", w->folder);
    w->f = wh_fake_new(128);
    w->here = (struct wh_here){ .xen = wh_fake_xen(w->f), .store = wh_fake_store(w->f),
                                .lib = w->folder, .run = w->folder, .log = w->folder,
                                .scripts = w->folder, .state = w->folder };
    if (!is_hvm(w))
        return;
    hvm_place(w->folder);
    w->here.qemu = hvm_program(w->folder, w->program);
}

static struct wh_job *create_it(const struct world *w)
{
    struct wh_create_how how = { .no_monitor = true };
    char path[300];

    snprintf(path, sizeof path, "%s/g.cfg", w->folder);
    return wh_create_new(path, &how);
}

static void set_plain(struct world *w)
{
    struct wh_op op;

    if (!wh_op_init(&op) || !wh_xen_set_param(&op, w->here.xen, w->domid, PARAM_CALLBACK, 0))
        FAIL("the guest cannot do without drivers");
    wh_op_done(&op);
}

/* An HVM guest is made, with its QEMU. */
static void open_world(struct world *w, const struct wh_fake_guest *g)
{
    char error[1024];

    open_host(w, g);
    if (!is_hvm(w)) {
        w->domid = wh_fake_guest(w->f, g);
        store_config(w, w->domid);
        return;
    }
    if (perform(w, create_it(w), error, sizeof error) != WH_OK)
        FAIL("create: %s", error);
    w->domid = wh_fake_newest(w->f);
    w->litter = hvm_litter(w->folder);
    if (g->plain)
        set_plain(w);
}

static void close_world(struct world *w)
{
    char jobs[300];

    if (is_hvm(w))
        hvm_end(w->folder);
    free(w->litter);
    wh_store_close(w->here.store);
    wh_xen_close(w->here.xen);
    wh_fake_free(w->f);
    snprintf(jobs, sizeof jobs, "%s/jobs", w->folder);
    unit_remove_folder(jobs);
    unit_remove_folder(w->folder);
}

/* ------------------------------------------------------------------------------- looking */

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* Unfinished files and records in the folder. */
static bool has_leftover(const struct world *w, char *what, size_t size)
{
    char jobs[300];
    struct dirent *e;
    bool found = false;

    for (int i = 0; i < 2; i++) {
        snprintf(jobs, sizeof jobs, "%s%s", w->folder, i ? "/jobs" : "");
        DIR *d = opendir(jobs);
        while (d && (e = readdir(d))) {
            if (strncmp(e->d_name, ".wherry.", 8) == 0 || (i && e->d_name[0] != '.')) {
                snprintf(what, size, "%s", e->d_name);
                found = true;
            }
        }
        if (d)
            closedir(d);
    }
    return found;
}

static void recover(struct world *w, const char *context)
{
    struct wh_recover_how how = { 0 };
    char error[1024], what[300];

    if (perform(w, wh_recover_new(&how), error, sizeof error) != WH_OK)
        FAIL("%s: recover: %s", context, error);
    if (has_leftover(w, what, sizeof what))
        FAIL("%s: recover left %s", context, what);
}

/* A guest that runs has a QEMU that does, one that is gone has left nothing of its. */
static void check_qemu(struct world *w, uint32_t domid, const char *litter, const char *context)
{
    struct wh_fake_state s = wh_fake_state(w->f, domid);
    wh_auto_free char *found = is_hvm(w) ? hvm_litter(w->folder) : NULL;
    wh_auto_json json_object *answer = NULL;
    struct wh_qmp *qmp;
    struct wh_op op;

    if (!is_hvm(w))
        return;
    if (hvm_running(w->folder) != s.there)
        FAIL("%s: %u QEMUs run, and the guest is %sthere", context, hvm_running(w->folder),
             s.there ? "" : "not ");
    if (strcmp(found, s.there ? litter : "") != 0)
        FAIL("%s: these files are there:\n%s", context, found);
    if (!s.running)
        return;
    if (!wh_op_init(&op))
        FAIL("%s: no operation", context);
    if (!wh_qemu_reach(&op, &w->here, domid, &qmp) ||
        !wh_qmp_call(&op, qmp, "query-status", NULL, -1, &answer))
        FAIL("%s: %s", context, op.err.text);
    if (strcmp(wh_json_string(answer, "status", ""), "running") != 0)
        FAIL("%s: the guest runs, and its QEMU is %s", context,
             wh_json_string(answer, "status", "nowhere"));
    if (json_object_get_boolean(json_object_object_get(answer, "dirty-log")))
        FAIL("%s: QEMU still tells of what it writes", context);
    wh_qmp_close(qmp);
    wh_op_done(&op);
}

/* Until disarm calls meet what aim says. */
static void arm(struct world *w, const struct aim *aim)
{
    bool waits = hows[aim->way].how == WH_FAULT_HANG || aim->shielded > 0;

    wh_fake_fault(w->f, aim->k, hows[aim->way].how);
    wh_fake_fault_shielded(w->f, aim->shielded, hows[aim->shielded_way].how);
    wh_op_hurry = waits ? HURRY : BRISK;
}

/* What came of it; whether the fault that was aimed at last was met.  A job has a connection to
 * xenstored of its own: what it could not give back goes with that. */
static bool disarm(struct world *w, const struct aim *aim, enum wh_kind kind, const char *error,
                   char *context, size_t size)
{
    const char *hit = wh_fake_fault_hit(w->f), *undo = wh_fake_shielded_hit(w->f);
    int n = 0;

    wh_op_hurry = BRISK;
    shielded_calls = wh_fake_shielded_calls(w->f);
    if (aim->k > 0)
        n = snprintf(context, size, "call %llu (%s) %s ", (unsigned long long)aim->k,
                     hit ? hit : "none", hows[aim->way].name);
    if (aim->shielded > 0)
        n += snprintf(context + n, size - (size_t)n, "shielded call %llu (%s) %s ",
                      (unsigned long long)aim->shielded, undo ? undo : "none",
                      hows[aim->shielded_way].name);
    snprintf(context + n, size - (size_t)n, "[%.300s]", error);
    wh_fake_fault(w->f, 0, WH_FAULT_NONE);
    wh_fake_fault_shielded(w->f, 0, WH_FAULT_NONE);
    if (!hit && !undo && kind != WH_OK)
        FAIL("%s: no fault, and it failed", context);
    if (aim->shielded > 0) {
        wh_store_close(w->here.store);
        w->here.store = wh_fake_store(w->f);
    }
    return aim->shielded > 0 ? undo != NULL : hit != NULL;
}

/* What a host looks like whose guest was destroyed. */
static const char *nothing_left(void)
{
    static const struct wh_fake_guest guest = { .name = "g", .mb = MEGABYTES, .seed = 1 };
    static char text[256];
    struct world w;
    char error[1024];

    if (*text)
        return text;
    open_world(&w, &guest);
    if (perform(&w, wh_destroy_new("g"), error, sizeof error) != WH_OK)
        FAIL("destroy: %s", error);
    wh_auto_free char *after = wh_fake_check(w.f);
    snprintf(text, sizeof text, "%s", after);
    close_world(&w);
    return text;
}

/* ---------------------------------------------------------------------------------- save */

/* A fault after the file has its name leaves a whole file and a guest that does not run: recover
 * takes it away.  Before, the guest runs and there is no file, if need be after recover. */
static void check_save(struct world *w, const struct wh_save_how *how, enum wh_kind kind,
                       bool undone, const char *before, const char *context)
{
    struct wh_fake_state s = wh_fake_state(w->f, w->domid);
    bool file = is_there(w->file), keep = how->keep_running || how->paused;
    char what[300];

    if (!file && !undone)
        recover(w, context);
    if (!file) {
        s = wh_fake_state(w->f, w->domid);
        wh_auto_free char *after = wh_fake_check(w->f);
        if (kind == WH_OK)
            FAIL("%s: it worked, and there is no file", context);
        if (!s.running)
            FAIL("%s: no file, and the guest does not run", context);
        if (has_leftover(w, what, sizeof what))
            FAIL("%s: it failed and left %s", context, what);
        if (strcmp(before, after) != 0)
            FAIL("%s: before\n%sand after\n%s", context, before, after);
        check_qemu(w, w->domid, w->litter, context);
        return;
    }
    if (s.running && !keep)
        FAIL("%s: there is a file, and the guest still runs", context);
    if (kind == WH_OK && has_leftover(w, what, sizeof what))
        FAIL("%s: it worked and left %s", context, what);
    recover(w, context);
    s = wh_fake_state(w->f, w->domid);
    if (keep ? !s.there : s.there)
        FAIL("%s: after recover the domain is %sthere", context, s.there ? "" : "not ");
    if (how->keep_running && !s.running)
        FAIL("%s: after recover the guest does not run", context);
    check_qemu(w, w->domid, w->litter, context);
    /* Nothing else of it is left: what there is, is what destroying it leaves. */
    char error[1024];
    if (keep && perform(w, wh_destroy_new(w->guest.name), error, sizeof error) != WH_OK)
        FAIL("%s: destroying it: %s", context, error);
    wh_auto_free char *after = wh_fake_check(w->f);
    if (strcmp(after, nothing_left()) != 0)
        FAIL("%s: this is left:\n%s", context, after);
    check_qemu(w, w->domid, "", context);
}

/* Enough for another round, and always the same. */
static void write_some(struct wh_fake *f, uint32_t domid, void *arg)
{
    (void)arg;
    for (uint64_t pfn = 0; pfn < 80; pfn++)
        wh_fake_dirty(f, domid, pfn);
}

static bool sweep_save_at(const struct wh_fake_guest *g, const struct wh_save_how *how,
                          const struct aim *aim)
{
    struct world w;
    char context[512], error[1024];

    open_world(&w, g);
    wh_auto_free char *before = wh_fake_check(w.f);
    unsigned fds = wh_fake_fds();
    if (how->live)
        wh_fake_run(w.f, w.domid, write_some, NULL);
    arm(&w, aim);
    enum wh_kind kind = perform(&w, wh_save_new(g->name, w.file, how), error, sizeof error);
    bool met = disarm(&w, aim, kind, error, context, sizeof context);
    check_save(&w, how, kind, aim->shielded == 0, before, context);
    fds -= wh_fake_state(w.f, w.domid).there ? 0 : 1;       /* its memory was one */
    if (wh_fake_fds() != fds)
        FAIL("%s: %u descriptors before, %u after", context, fds, wh_fake_fds());
    close_world(&w);
    return met;
}

struct sweep {
    bool (*at)(void *arg, const struct aim *aim);       /* false: there is no such call */
    void *arg;
    /* Where each try starts a program not every call meets every fault: with five each meets one, and
     * of those made shielded one in ten does.  1: every call, every fault. */
    unsigned sample;
};

/* The first of the calls that meet it; by what it is, so that not always the same do. */
static uint64_t first_of(uint64_t what, uint64_t stride)
{
    return 1 + what % stride;
}

/* Children that each try one call, AT_ONCE of them. */
static unsigned running, failed, missed;

static void await_one(void)
{
    int status;

    assert_true(wait(&status) > 0);
    running--;
    failed += status != 0 && status != MISSED << 8;
    missed += status == MISSED << 8;
}

static void beside(const struct sweep *s, struct aim aim)
{
    if (running == AT_ONCE)
        await_one();
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        forked = true;
        _exit(s->at(s->arg, &aim) ? 0 : MISSED);
    }
    running++;
}

static void await_all(void)
{
    while (running > 0)
        await_one();
    assert_int_equal(failed, 0);
}

/* How many there are. */
static uint64_t one_by_one(const struct sweep *s, struct aim aim)
{
    for (aim.k = first_of(aim.way, s->sample); aim.k < CALLS_MOST && s->at(s->arg, &aim);)
        aim.k += s->sample;
    assert_true(aim.k < CALLS_MOST);
    return aim.k - 1;
}

/* The operation is turned back at one of its own calls (turn; 0: nowhere), and one of those that
 * follow shielded fails or hangs as well; a cancel does nothing to them.  How many there are. */
static uint64_t sweep_shielded(const struct sweep *s, uint64_t turn)
{
    struct aim aim = { .k = turn, .way = CANCEL, .shielded = CALLS_MOST };
    uint64_t stride = s->sample > 1 ? 2 * s->sample : 1;

    assert_false(s->at(s->arg, &aim));
    uint64_t calls = shielded_calls;
    assert_true(calls < CALLS_MOST);
    for (aim.shielded_way = 0; aim.shielded_way < CANCEL; aim.shielded_way++)
        for (aim.shielded = first_of(turn + aim.shielded_way, stride); aim.shielded <= calls;
             aim.shielded += stride)
            beside(s, aim);
    return calls;
}

static void sweep(const struct sweep *s)
{
    uint64_t calls = 0, shielded = 0;

    for (size_t way = 0; way < WH_COUNT(hows); way++) {
        struct aim aim = { .way = way };

        if (hows[way].how != WH_FAULT_HANG)
            calls = one_by_one(s, aim);
        else
            for (aim.k = first_of(way, s->sample); aim.k <= calls; aim.k += s->sample)
                beside(s, aim);
        assert_true(calls > 20);
        print_message("%llu calls, each %s\n", (unsigned long long)calls, hows[way].name);
    }
    for (unsigned i = 0; i <= TURNS; i++)
        shielded += sweep_shielded(s, calls * i / TURNS);
    await_all();
    print_message("%u calls were not made the second time\n", missed);
    assert_true(shielded > 20 && missed < (calls + 3 * shielded) / 10);
    print_message("%llu shielded calls, in %u places, each fails, or hangs\n",
                  (unsigned long long)shielded, TURNS + 1);
}

struct save_case {
    const struct wh_fake_guest *guest;
    struct wh_save_how how;
};

static bool save_at(void *arg, const struct aim *aim)
{
    const struct save_case *c = arg;

    return sweep_save_at(c->guest, &c->how, aim);
}

static void sweep_save(const struct wh_fake_guest *g, const struct wh_save_how *how)
{
    struct save_case c = { g, *how };

    sweep(&(struct sweep){ save_at, &c, g->kind == WH_FAKE_HVM ? SAMPLE : 1 });
}

static const struct wh_fake_guest pvh = { .name = "g", .mb = MEGABYTES, .seed = 1,
                                          .zero_percent = 50, .vcpus = 2 };
static const struct wh_fake_guest pv = { .kind = WH_FAKE_PV, .name = "g", .mb = MEGABYTES,
                                         .seed = 2, .zero_percent = 50, .vcpus = 2 };

static const struct wh_fake_guest hvm = { .kind = WH_FAKE_HVM, .name = "g" };
static const struct wh_fake_guest plain = { .kind = WH_FAKE_HVM, .name = "g", .plain = true };

#define SWEEP_SAVE(name, guest, ...)                                                               \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        sweep_save(guest, &(struct wh_save_how){ __VA_ARGS__ });                                   \
    }

SWEEP_SAVE(save_of_a_pvh_guest, &pvh, 0)
SWEEP_SAVE(save_of_a_pv_guest, &pv, 0)
SWEEP_SAVE(save_of_an_hvm_guest, &hvm, 0)

/* One that is stopped unasked. */
SWEEP_SAVE(checkpoint_of_an_hvm_guest, &plain, .keep_running = true)
SWEEP_SAVE(save_of_a_guest_that_is_to_run_on, &pvh, .keep_running = true)
SWEEP_SAVE(save_of_a_guest_that_is_to_be_paused, &pvh, .paused = true)
SWEEP_SAVE(compressed_save, &pvh, .compress = true, .level = 1)
/* As many rounds however fast the machine is. */
#define THREE_ROUNDS .live = true, .rounds = { .downtime_ms = 1, .max_rounds = 3 }
SWEEP_SAVE(live_save_of_a_pvh_guest, &pvh, THREE_ROUNDS)
SWEEP_SAVE(live_checkpoint_of_an_hvm_guest, &hvm, THREE_ROUNDS, .keep_running = true)

/* ------------------------------------------------------------------------------- restore */

static bool sweep_restore_at(struct world *w, const struct aim *aim)
{
    struct wh_restore_how how = { .no_monitor = true };
    char context[512], error[1024], what[300];
    wh_auto_free char *before = wh_fake_check(w->f);
    uint32_t newest = wh_fake_newest(w->f);
    unsigned fds = wh_fake_fds();

    arm(w, aim);
    enum wh_kind kind = perform(w, wh_restore_new(w->file, &how), error, sizeof error);
    bool met = disarm(w, aim, kind, error, context, sizeof context);
    if (!is_there(w->file))
        FAIL("%s: the file is gone", context);
    uint32_t made = wh_fake_newest(w->f);
    struct wh_fake_state s = wh_fake_state(w->f, made);
    if (kind == WH_OK && (made == newest || !s.running))
        FAIL("%s: it worked, and no guest runs", context);
    if (kind == WH_OK && has_leftover(w, what, sizeof what))
        FAIL("%s: it worked and left %s", context, what);
    recover(w, context);
    s = wh_fake_state(w->f, made);
    /* Whole: it stays, for only letting it run failed, and recover did that.  Else nothing stays. */
    bool stays = made != newest && s.there;
    if (stays && kind != WH_OK && !strstr(context, "is restored and whole"))
        FAIL("%s: a domain stays", context);
    if (stays && !s.running)
        FAIL("%s: what stays does not run after recover", context);
    wh_auto_free char *litter = is_hvm(w) ? hvm_litter(w->folder) : NULL;
    check_qemu(w, made, litter, context);
    if (stays && perform(w, wh_destroy_new("g"), error, sizeof error) != WH_OK)
        FAIL("%s: destroying what was made: %s", context, error);
    wh_auto_free char *after = wh_fake_check(w->f);
    if (strcmp(before, after) != 0)
        FAIL("%s: before\n%sand after\n%s", context, before, after);
    check_qemu(w, made, "", context);
    if (wh_fake_fds() != fds)
        FAIL("%s: %u descriptors before, %u after", context, fds, wh_fake_fds());
    return met;
}

static void open_saved(struct world *w, const struct wh_fake_guest *g)
{
    struct wh_save_how how = { 0 };
    char error[1024];

    open_world(w, g);
    if (perform(w, wh_save_new(g->name, w->file, &how), error, sizeof error) != WH_OK)
        FAIL("save: %s", error);
}

/* Children have hosts of their own: they share no folder. */
static bool restore_at(void *arg, const struct aim *aim)
{
    struct world own, *w = arg;

    if (!forked)
        return sweep_restore_at(w, aim);
    open_saved(&own, &w->guest);
    bool met = sweep_restore_at(&own, aim);
    close_world(&own);
    return met;
}

static void sweep_restore(const struct wh_fake_guest *g)
{
    struct world w;

    open_saved(&w, g);
    sweep(&(struct sweep){ restore_at, &w, is_hvm(&w) ? SAMPLE : 1 });
    close_world(&w);
}

static void restore_of_a_pvh_guest(void **state)
{
    (void)state;
    sweep_restore(&pvh);
}

static void restore_of_a_pv_guest(void **state)
{
    (void)state;
    sweep_restore(&pv);
}

static void restore_of_an_hvm_guest(void **state)
{
    (void)state;
    sweep_restore(&hvm);
}

/* -------------------------------------------------------------------------------- create */

static bool sweep_create_at(struct world *w, const struct aim *aim)
{
    char context[512], error[1024], what[300];
    wh_auto_free char *before = wh_fake_check(w->f);
    unsigned fds = wh_fake_fds();

    arm(w, aim);
    enum wh_kind kind = perform(w, create_it(w), error, sizeof error);
    bool met = disarm(w, aim, kind, error, context, sizeof context);
    uint32_t made = wh_fake_newest(w->f);
    wh_auto_free char *litter = hvm_litter(w->folder);
    if (kind == WH_OK && !wh_fake_state(w->f, made).running)
        FAIL("%s: it worked, and no guest runs", context);
    if (kind == WH_OK && has_leftover(w, what, sizeof what))
        FAIL("%s: it worked and left %s", context, what);
    if (kind == WH_OK)
        check_qemu(w, made, litter, context);
    if (kind == WH_OK && perform(w, wh_destroy_new("g"), error, sizeof error) != WH_OK)
        FAIL("%s: destroying what was made: %s", context, error);
    recover(w, context);
    wh_auto_free char *after = wh_fake_check(w->f);
    if (strcmp(before, after) != 0)
        FAIL("%s: before\n%sand after\n%s", context, before, after);
    check_qemu(w, made, "", context);
    if (wh_fake_fds() != fds)
        FAIL("%s: %u descriptors before, %u after", context, fds, wh_fake_fds());
    return met;
}

static bool create_at(void *arg, const struct aim *aim)
{
    struct world own, *w = arg;

    if (!forked)
        return sweep_create_at(w, aim);
    open_host(&own, &w->guest);
    bool met = sweep_create_at(&own, aim);
    close_world(&own);
    return met;
}

static void create_of_an_hvm_guest(void **state)
{
    struct world w;

    (void)state;
    open_host(&w, &hvm);
    sweep(&(struct sweep){ create_at, &w, SAMPLE });
    close_world(&w);
}

/* ---------------------------------------------------------------------- guests that do not */

static void a_guest_that_does_not_suspend_runs_on(void **state)
{
    static const enum wh_fake_answer answers[] = { WH_FAKE_DEAF, WH_FAKE_STALLS, WH_FAKE_LATE };
    struct wh_save_how how = { 0 };
    char error[1024], what[300];

    (void)state;
    for (size_t i = 0; i <= WH_COUNT(answers); i++) {
        bool last = i == WH_COUNT(answers);
        enum wh_fake_answer answer = last ? WH_FAKE_STALLS : answers[i];
        struct world w;

        open_world(&w, last ? &hvm : &pvh);
        wh_fake_answer(w.f, w.domid, answer);
        wh_op_hurry = HURRY;
        enum wh_kind kind = perform(&w, wh_save_new("g", w.file, &how), error, sizeof error);
        wh_op_hurry = BRISK;
        assert_int_equal(kind, WH_TIMEOUT);
        /* What took the request and may yet suspend is not forgotten. */
        bool known = has_leftover(&w, what, sizeof what);
        assert_int_equal(known, answer == WH_FAKE_STALLS);
        assert_false(is_there(w.file));
        assert_true(wh_fake_state(w.f, w.domid).running);
        check_qemu(&w, w.domid, w.litter, "a guest that does not suspend");
        close_world(&w);
    }
}

static void a_guest_that_ends_instead_of_suspending_is_told_of(void **state)
{
    static const enum wh_fake_answer answers[] = { WH_FAKE_CRASHES, WH_FAKE_POWERS_OFF,
                                                   WH_FAKE_VANISHES };
    struct wh_save_how how = { 0 };
    char error[1024], what[300];

    (void)state;
    for (size_t i = 0; i <= WH_COUNT(answers); i++) {
        bool last = i == WH_COUNT(answers);
        struct world w;

        open_world(&w, last ? &hvm : &pvh);
        wh_fake_answer(w.f, w.domid, last ? WH_FAKE_CRASHES : answers[i]);
        wh_op_hurry = HURRY;
        enum wh_kind kind = perform(&w, wh_save_new("g", w.file, &how), error, sizeof error);
        wh_op_hurry = BRISK;
        assert_int_equal(kind, WH_GUEST);
        assert_false(is_there(w.file) || has_leftover(&w, what, sizeof what));
        close_world(&w);
    }
}

/* An argument: only the tests whose names match it. */
int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        TEST("save of a PVH guest, every call at fault", save_of_a_pvh_guest),
        TEST("save of a PV guest, every call at fault", save_of_a_pv_guest),
        TEST("save of a guest that is to run on, every call at fault",
             save_of_a_guest_that_is_to_run_on),
        TEST("paused save, every call at fault", save_of_a_guest_that_is_to_be_paused),
        TEST("compressed save, every call at fault", compressed_save),
        TEST("restore of a PVH guest, every call at fault", restore_of_a_pvh_guest),
        TEST("restore of a PV guest, every call at fault", restore_of_a_pv_guest),
        TEST("save of an HVM guest, every call at fault", save_of_an_hvm_guest),
        TEST("checkpoint of an HVM guest, every call at fault", checkpoint_of_an_hvm_guest),
        TEST("restore of an HVM guest, every call at fault", restore_of_an_hvm_guest),
        TEST("create of an HVM guest, every call at fault", create_of_an_hvm_guest),
        TEST("live save of a PVH guest, every call at fault", live_save_of_a_pvh_guest),
        TEST("live save of an HVM guest, every call at fault", live_checkpoint_of_an_hvm_guest),
        TEST("a guest that does not suspend runs on", a_guest_that_does_not_suspend_runs_on),
        TEST("a guest that ends instead of suspending is told of",
             a_guest_that_ends_instead_of_suspending_is_told_of),
    };

    wh_op_hurry = BRISK;
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
