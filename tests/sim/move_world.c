/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "move_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "config/uuid.h"
#include "flow/native.h"
#include "xen/fake_parts.h"

#define STALL_MS 6000               /* a source asks for three seconds, a target waits for three */
#define SHORT_STALL_MS 1300         /* longer than a silence, shorter than the rest */
#define SLOW_MS 3
#define LATE_MS 4500                /* a target waits for three seconds */
#define MAGIC 0x59524857u
#define HEAD 16

static struct move *watched;        /* steps are told of without saying of what */

/* ------------------------------------------------------------------------------- its looks */

/* Lock order: the source's host, then the target's. */
static void compare(struct move *m)
{
    uint32_t there = wh_fake_newest(m->t.f);

    wh_fake_lock(m->t.f);
    if (!wh_fake_same(m->s.f, m->domid, m->t.f, there, m->torn, sizeof m->torn) && !*m->torn)
        snprintf(m->torn, sizeof m->torn, "the copies differ");
    struct wh_fake *t = m->t.f;
    wh_fake_unlock(&t);
    m->compared++;
}

/* What must be on disk before a side does this, or says it; a later state will do. */
static const struct { enum move_side side; const char *what, *states; } orders[] = {
    { TARGET, "create", "receiving" },      { TARGET, "pause", "committed aborted" },  /* and let run */
    { TARGET, "destroy", "aborted" },       { SOURCE, "destroy", "done" },
    { SOURCE, "resume", "ours" },           { SOURCE, "suspend", "suspended sent intent ours" },
    { TARGET, "ready", "ready committed aborted" }, { SOURCE, "commit", "intent done ours" },
    { TARGET, "running", "committed" },     { SOURCE, "bye", "done ours" },
    { TARGET, "answer committed", "committed" }, { TARGET, "answer aborted", "aborted" },
};

static void check_order(struct side *h, const char *what)
{
    struct move *m = h->m;
    enum move_side side = h == &m->s ? SOURCE : TARGET;
    const char *state = h->on_disk;

    for (size_t i = 0; i < WH_COUNT(orders); i++)
        if (orders[i].side == side && strcmp(orders[i].what, what) == 0 && m->began &&
            m->event.what != DISK_FAILS && !strstr(orders[i].states, state ? state : "nothing") && !*m->early)
            snprintf(m->early, sizeof m->early, "the %s: \"%s\" when its record said \"%s\" on disk",
                     side == SOURCE ? "source" : "target", what, state ? state : "nothing");
}

/* Under the lock of the side's host, and each call of each is heard: it cannot run on both unseen. */
static void heard(void *arg, const char *call)
{
    struct side *h = arg;
    struct move *m = h->m;
    bool runs = wh_fake_running(h->f) > 0;

    if (h == &m->s && h->runs && !runs)
        check_order(h, "suspend");
    check_order(h, call);
    if (m->hears)
        m->hears(m, h == &m->s ? SOURCE : TARGET, call);
    h->runs = runs;
    if (runs && (h == &m->s ? &m->t : &m->s)->runs)
        m->twice = true;
    if (h == &m->s && strcmp(call, "destroy") == 0 && wh_fake_state(h->f, m->domid).there)
        compare(m);
}

/* ------------------------------------------------------------------------------ its events */

static void shut_link(struct move *m, enum move_what how)
{
    pthread_mutex_lock(&m->lock);
    for (struct caller *c = m->callers; c; c = c->next) {
        if (c->ended)
            continue;
        shutdown(c->fd, how == LINK_CUT ? SHUT_RDWR : how == LINK_CUT_THERE ? SHUT_RD : SHUT_WR);
        shutdown(c->pair[0], how == LINK_CUT ? SHUT_RDWR : how == LINK_CUT_THERE ? SHUT_WR : SHUT_RD);
    }
    pthread_mutex_unlock(&m->lock);
}

/* Whether the descriptor is the process's that is killed: a file or a socket of its host's, or a
 * caller's end of a link. */
static bool is_its(const struct side *h, int fd)
{
    struct sockaddr_un peer = { .sun_family = 0 };
    socklen_t n = sizeof peer;
    char path[64], to[PATH_MAX];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t got = readlink(path, to, sizeof to - 1);
    if (got <= 0)
        return false;
    to[got] = '\0';
    if (strncmp(to, h->folder, strlen(h->folder)) == 0)
        return true;
    if (getpeername(fd, (struct sockaddr *)&peer, &n) < 0 || peer.sun_family != AF_UNIX ||
        n <= sizeof peer.sun_family)
        return false;
    return strncmp(peer.sun_path, h->folder, strlen(h->folder)) == 0 ||
           (h == &h->m->s && strcmp(peer.sun_path, h->m->at + 5) == 0);
}

static void close_its(const struct side *h)
{
    for (int fd = 3; fd < 1024; fd++)
        if (is_its(h, fd))
            close(fd);
}

static struct caller *caller_of(struct move *m, const struct wh_op *op)
{
    struct caller *c;

    pthread_mutex_lock(&m->lock);
    for (c = m->callers; c && (!c->job || &c->job->op != op); c = c->next)
        ;
    pthread_mutex_unlock(&m->lock);
    return c;
}

/* The only receiver that is at work. */
static struct wh_op *op_at_work(struct move *m)
{
    struct wh_op *op = NULL;

    pthread_mutex_lock(&m->lock);
    for (struct caller *c = m->callers; c; c = c->next)
        if (!c->ended)
            op = &c->job->op;
    pthread_mutex_unlock(&m->lock);
    return op;
}

_Noreturn static void die(struct side *h, struct wh_op *op)
{
    struct move *m = h->m;
    struct caller *c = h == &m->t ? caller_of(m, op) : NULL;
    struct wh_here *its = op->world;

    close_its(h);
    wh_fake_killed(h->f);
    wh_store_close(its->store);
    wh_xen_close(its->xen);
    its->store = wh_fake_store(h->f);
    its->xen = wh_fake_xen(h->f);
    if (c) {
        close(c->pair[1]);
        c->killed = true;
        c->ended = true;
    } else {
        m->killed = true;
        m->ended = true;
    }
    for (;;)
        pause();
}

static void happen(struct side *h, struct wh_op *op)
{
    struct move *m = h->m;
    const struct move_event *e = &m->event;

    if (m->met)
        return;
    m->met = true;
    snprintf(m->met_at, sizeof m->met_at, "%s", op->step ? op->step : "nothing");
    switch (e->what) {
    case IS_KILLED:
        die(h, op);
    case IS_CANCELLED:
        wh_op_cancel(op);
        break;
    case LINK_CUT:
    case LINK_CUT_THERE:
    case LINK_CUT_BACK:
        shut_link(m, e->what);
        break;
    case LINK_DEAF:
        m->line = LINE_DEAF;
        break;
    case STALLS:
        unit_sleep_ms(STALL_MS);
        break;
    case STALLS_SHORTLY:
        unit_sleep_ms(SHORT_STALL_MS);
        break;
    case SOMEBODY_COMES:
        m->somebody(m);
        break;
    default:
        break;
    }
}

static void told(void *arg, struct wh_op *op)
{
    happen(arg, op);
}

static void step(struct wh_op *op, const char *name)
{
    struct move *m = watched;
    struct wh_here *here = op->world;

    if (!m || m->stop || !here)
        return;
    struct side *h = here->state == m->s.folder ? &m->s : &m->t;
    uint64_t n = ++h->steps;
    if (n < WH_COUNT(h->step))
        snprintf(h->step[n], sizeof h->step[n], "%s", name);
    if (m->event.when == AT_STEP && &m->s + (m->event.side == TARGET) == h && n == m->event.n) {
        op->step = name;
        happen(h, op);
    }
}

/* The last state in a move's record; of the file itself, for it may have lost its name since it was opened. */
static const char *state_in(const char *path)
{
    static const char *const states[] = { "copying", "suspended", "sent", "intent", "done", "ours",
                                          "receiving", "ready", "committed", "aborted" };
    static const char key[] = "\"state\":\"";
    char text[8192] = "";
    const char *last = NULL;
    FILE *f = fopen(path, "re");

    if (f) {
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
    }
    for (const char *at = text; (at = strstr(at, key)); at++)
        last = at + sizeof key - 1;
    for (size_t i = 0; last && i < WH_COUNT(states); i++)
        if (strncmp(last, states[i], strlen(states[i])) == 0)
            return states[i];
    return NULL;
}

/* In place of libc's: the disk under the records. */
int fsync(int fd)
{
    struct move *m = watched;
    char path[64], to[PATH_MAX];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(path, to, sizeof to - 1);
    to[n > 0 ? n : 0] = '\0';
    if (!m || m->stop || !strstr(to, "/jobs/"))
        return 0;
    struct side *h = strncmp(to, m->s.folder, strlen(m->s.folder)) == 0 ? &m->s : &m->t;
    const char *state = state_in(path);
    bool meets = m->job && m->event.when == AT_RECORD && h->records + 1 == m->event.n &&
                 h == (m->event.side == SOURCE ? &m->s : &m->t);
    h->records += m->job != NULL;
    if (!meets) {
        h->on_disk = state;
        return 0;
    }
    if (m->event.what == DISK_FAILS) {
        snprintf(m->met_at, sizeof m->met_at, "%s", strrchr(to, '/') + 1);
        m->met = true;
        errno = EIO;
        return -1;
    }
    struct wh_op *op = h == &m->s ? &m->job->op : op_at_work(m);
    if (op)
        happen(h, op);
    return 0;
}

static void arm(struct move *m)
{
    static const enum wh_fault faults[MOVE_WHATS] = {
        [CALL_FAILS] = WH_FAULT_FAIL, [CALL_LOST] = WH_FAULT_LOST, [CALL_HANGS] = WH_FAULT_HANG,
        [CALL_CANCELLED] = WH_FAULT_CANCEL, [CALL_CANCELLED_IN] = WH_FAULT_CANCEL_IN,
    };
    const struct move_event *e = &m->event;
    struct side *h = e->side == SOURCE ? &m->s : &m->t;
    enum wh_fault how = faults[e->what] != WH_FAULT_NONE ? faults[e->what] : WH_FAULT_TOLD;

    for (struct side *each = &m->s; each <= &m->t; each++) {
        wh_fake_fault(each->f, 0, WH_FAULT_NONE);
        wh_fake_fault_shielded(each->f, 0, WH_FAULT_NONE);
        each->steps = each->records = 0;
    }
    if (e->turn > 0)
        wh_fake_fault(h->f, e->turn, WH_FAULT_CANCEL);
    if (e->when == AT_CALL && e->n > 0)
        wh_fake_fault(h->f, e->n, how);
    if (e->when == AT_SHIELDED && e->n > 0)
        wh_fake_fault_shielded(h->f, e->n, how);
}

/* --------------------------------------------------------------------------------- the link */

static bool pass_on(const struct pump *p, const void *from, size_t n)
{
    const char *at = from;

    for (ssize_t done; n > 0; at += done, n -= (size_t)done)
        if ((done = sendto(p->to, at, n, MSG_NOSIGNAL, NULL, 0)) <= 0)
            return false;
    return true;
}

/* A message as it is after the test has had it. */
static bool pass_message(const struct pump *p, json_object *o)
{
    const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    uint8_t head[HEAD] = { 0 };

    wh_put_le32(head, MAGIC);
    head[4] = 1;
    wh_put_le32(head + 8, (uint32_t)strlen(text));
    wh_put_le32(head + 12, (uint32_t)strlen(text));
    return pass_on(p, head, HEAD) && pass_on(p, text, strlen(text));
}

static bool pass_frame(struct pump *p, uint8_t *frame, size_t n)
{
    const char *why;
    size_t at;
    wh_auto_json json_object *o = frame[4] == 1 ? wh_json_parse((char *)frame + HEAD, n - HEAD, &why, &at)
                                                : NULL;
    const char *state = wh_json_string(o, "state", NULL);
    char what[64];
    snprintf(what, sizeof what, "%s%s%s", wh_json_string(o, "type", ""), state ? " " : "", state ? state : "");
    if (o)
        check_order(p->side == SOURCE ? &p->m->s : &p->m->t, what);
    enum move_tamper how = p->m->tamper(p->m, p->side, frame[4], frame + HEAD, o);

    if (how == CUTS_THE_LINK || how == IS_DROPPED)
        return how == IS_DROPPED;
    if (how == COMES_LATE)
        unit_sleep_ms(LATE_MS);
    for (int i = 0; i < (how == COMES_TWICE ? 2 : 1); i++)
        if (!(o ? pass_message(p, o) : pass_on(p, frame, n)))
            return false;
    return true;
}

/* Frame by frame. */
static bool pass_frames(struct pump *p, const void *bytes, size_t n)
{
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
    while (p->n > 0) {
        size_t some = p->skip > 0 ? p->skip : p->n < HEAD ? HEAD : HEAD + wh_le32(p->bytes + 8);

        if (some > p->n)
            return true;
        if (!(p->skip > 0 ? pass_on(p, p->bytes, some) : pass_frame(p, p->bytes, some)))
            return false;
        p->skip = 0;
        memmove(p->bytes, p->bytes + some, p->n -= some);
    }
    return true;
}

static void *pump(void *arg)
{
    struct pump *p = arg;
    char bytes[65536];
    ssize_t n;

    while ((n = read(p->from, bytes, sizeof bytes)) > 0 || (n < 0 && errno == EINTR)) {
        if (p->m->line == LINE_DEAF || n < 0)
            continue;
        if (p->m->line == LINE_SLOW)
            unit_sleep_ms(SLOW_MS);
        if (p->m->said && p->side == SOURCE && p->m->saids + (size_t)n <= p->m->room) {
            memcpy(p->m->said + p->m->saids, bytes, (size_t)n);
            p->m->saids += (size_t)n;
        }
        if (!(p->m->tamper ? pass_frames(p, bytes, (size_t)n) : pass_on(p, bytes, (size_t)n)))
            break;
    }
    if (p->m->line != LINE_DEAF)
        shutdown(p->to, SHUT_WR);
    shutdown(p->from, SHUT_RD);
    return NULL;
}

static void *receive(void *arg)
{
    struct caller *c = arg;

    c->kind = wh_job_run(c->job);
    snprintf(c->error, sizeof c->error, "%s", wh_job_error(c->job));
    close(c->pair[1]);
    c->ended = true;
    return NULL;
}

/* A receiver that is there already is called; who does not listen hangs up. */
static void reach(struct move *m, struct caller *c)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", m->through);
    c->pair[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    c->pair[1] = -1;
    c->ended = true;
    assert_true(c->pair[0] >= 0);
    if (connect(c->pair[0], (struct sockaddr *)&a, sizeof a) < 0)
        shutdown(c->pair[0], SHUT_RDWR);
}

static void begin_receiving(struct move *m, int fd)
{
    struct caller *c = calloc(1, sizeof *c);
    struct wh_receive_how how = m->receive;

    assert_non_null(c);
    c->m = m;
    c->fd = fd;
    c->here = m->t.here;
    c->here.xen = wh_fake_xen(m->t.f);
    c->here.store = wh_fake_store(m->t.f);
    if (m->through)
        reach(m, c);
    else
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->pair), 0);
    how.own_link = true;
    how.no_monitor = true;
    how.in = how.out = c->pair[1];
    c->job = wh_receive_new(&how);
    assert_non_null(c->job);
    ((struct wh_task *)c->job)->here = &c->here;
    c->pump[0] = (struct pump){ .m = m, .from = fd, .to = c->pair[0], .side = SOURCE };
    c->pump[1] = (struct pump){ .m = m, .from = c->pair[0], .to = fd, .side = TARGET,
                                .skip = WH_BANNER_BYTES };
    pthread_mutex_lock(&m->lock);
    c->next = m->callers;
    m->callers = c;
    pthread_mutex_unlock(&m->lock);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&c->pumps[i], NULL, pump, &c->pump[i]), 0);
    if (!m->through)
        assert_int_equal(pthread_create(&c->thread, NULL, receive, c), 0);
}

static void *serve(void *arg)
{
    struct move *m = arg;
    int fd;

    while ((fd = accept4(m->listening, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        if (m->line == LINE_DEAF) {
            close(fd);
            continue;
        }
        begin_receiving(m, fd);
    }
    return NULL;
}

void move_serve(struct move *m)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };

    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", m->at + 5);
    m->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(m->listening >= 0 && bind(m->listening, (struct sockaddr *)&a, sizeof a) == 0 &&
                listen(m->listening, 8) == 0);
    assert_int_equal(pthread_create(&m->server, NULL, serve, m), 0);
}

int move_call(struct move *m)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%.100s", m->at + 5);
    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static bool all_ended(struct move *m)
{
    bool all = true;

    pthread_mutex_lock(&m->lock);
    for (struct caller *c = m->callers; c; c = c->next)
        all &= c->ended;
    pthread_mutex_unlock(&m->lock);
    return all;
}

void move_await_receivers(struct move *m)
{
    while (!all_ended(m))
        unit_sleep_ms(2);
}

static void free_caller(struct caller *c)
{
    shutdown(c->fd, SHUT_RDWR);
    shutdown(c->pair[0], SHUT_RDWR);
    for (int i = 0; i < 2; i++)
        pthread_join(c->pumps[i], NULL);
    close(c->fd);
    close(c->pair[0]);
    wh_store_close(c->here.store);
    wh_xen_close(c->here.xen);
    if (c->killed)
        return;
    if (!c->m->through)
        pthread_join(c->thread, NULL);
    wh_job_free(c->job);
    free(c);
}

void move_serve_no_more(struct move *m)
{
    move_await_receivers(m);
    shutdown(m->listening, SHUT_RDWR);
    pthread_join(m->server, NULL);
    close(m->listening);
    unlink(m->at + 5);
    for (struct caller *c = m->callers, *next; c; c = next) {
        next = c->next;
        free_caller(c);
    }
    m->callers = NULL;
}

/* --------------------------------------------------------------------------------- the hosts */

static char *list_files(const struct side *h)
{
    struct dirent **entry;
    int n = scandir(h->folder, &entry, NULL, alphasort);
    char *text = calloc(1, (size_t)(n > 0 ? n : 0) * 260 + 1), *to = text;

    assert_true(n >= 0 && text);
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        bool stays = strcmp(name, "jobs") == 0 || strncmp(name, "domid-history", 13) == 0 ||
                     strncmp(name, "qemu-dm-", 8) == 0 || strncmp(name, "state-", 6) == 0 ||
                     strncmp(name, "qemu.", 5) == 0 || strncmp(name, "wherry-", 7) == 0;

        if (name[0] != '.' && !stays)
            to += sprintf(to, "%s\n", name);
        free(entry[i]);
    }
    free(entry);
    return text;
}

/* Folders of backends of which none is left are of no interest. */
static char *list_nodes(const struct side *h)
{
    static const char empty[] = "/local/domain/0/backend";
    char *text = wh_fake_tree(h->f);

    for (char *at = text, *end; *at;) {
        end = strchr(at, '\n') + 1;
        if (strncmp(at, empty, sizeof empty - 1) == 0 && strcspn(at, " ") < sizeof empty + 8)
            memmove(at, end, strlen(end) + 1);
        else
            at = end;
    }
    return text;
}

/* Both hosts' QEMUs reach the guest's disk, and one at a time may have it. */
static void share_disk(const struct side *h)
{
    char disk[PATH_MAX], its[PATH_MAX];

    snprintf(disk, sizeof disk, "%s/disk", h->m->folder);
    snprintf(its, sizeof its, "%s/disk", h->folder);
    wh_auto_fd int fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || symlink(disk, its) < 0)
        fail_msg("%s cannot be made", its);
}

static void open_side(struct move *m, struct side *h)
{
    h->m = m;
    unit_folder(h->folder, sizeof h->folder);
    h->f = wh_fake_new(128);
    h->here = (struct wh_here){ .xen = wh_fake_xen(h->f), .store = wh_fake_store(h->f),
                                .lib = h->folder, .run = h->folder, .log = h->folder,
                                .scripts = h->folder, .state = h->folder };
    if (m->hvm) {
        hvm_place(h->folder);
        share_disk(h);
        h->here.qemu = hvm_program(h->folder, h->program);
        wh_fake_write(h->f, 0, "", "/local/domain/0/device-model");     /* made once, and stays */
    }
    h->check = wh_fake_check(h->f);
    h->tree = list_nodes(h);
    h->files = list_files(h);
}

enum wh_kind move_perform(struct side *h, struct wh_job *j, char error[1100])
{
    assert_non_null(j);
    ((struct wh_task *)j)->here = &h->here;
    unsigned hurry = wh_op_hurry;
    wh_op_hurry = hurry > 4 ? 4 : hurry;
    enum wh_kind kind = wh_job_run(j);
    wh_op_hurry = hurry;
    snprintf(error, 1100, "%s", wh_job_error(j));
    wh_job_free(j);
    return kind;
}

/* What a toolstack has stored for it. */
static void store_config(struct move *m)
{
    struct wh_op op;
    struct wh_domain d;
    struct wh_uuid u;
    bool there;
    char uuid[WH_UUID_TEXT], path[400];

    assert_true(wh_op_init(&op));
    assert_true(wh_xen_domain(&op, m->s.here.xen, m->domid, &d, &there) && there);
    wh_op_done(&op);
    memcpy(u.byte, d.uuid, sizeof u.byte);
    wh_uuid_print(u, uuid);
    snprintf(path, sizeof path, "%s/userdata-d.%u.%s.libxl-json", m->s.folder, m->domid, uuid);
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    fchmod(fileno(f), 0600);
    fprintf(f, "{\"c_info\": {\"type\": \"pvh\", \"name\": \"g\", \"uuid\": \"%s\"}, \"b_info\": "
            "{\"max_vcpus\": 2, \"max_memkb\": %u, \"target_memkb\": %u, \"kernel\": \"/k\", "
            "\"type.pvh\": {}}}", uuid, MOVE_MB * 1024, MOVE_MB * 1024);
    fclose(f);
}

/* A guest that runs writes to a few pages, some of them again and again. */
static void scribble(struct wh_fake *f, uint32_t domid, void *arg)
{
    static _Thread_local uint64_t seed = 77;

    (void)arg;
    for (unsigned i = 0; i < 4; i++) {
        uint64_t pfn = i < 2 ? 7 + i : unit_below(&seed, MOVE_MB * 256 / 2);
        uint8_t *page = wh_fake_page(f, domid, pfn);

        if (!page)
            continue;
        uint64_t word = unit_random(&seed);
        memcpy(page + unit_below(&seed, 4000), &word, sizeof word);
        wh_fake_dirty(f, domid, pfn);
    }
}

static void make_guest(struct move *m)
{
    struct wh_create_how how = { .no_monitor = true };
    char path[300], error[1100];

    if (m->hvm) {
        snprintf(path, sizeof path, "%s/g.cfg", m->s.folder);
        if (move_perform(&m->s, wh_create_new(path, &how), error) != WH_OK)
            fail_msg("create: %s", error);
        m->domid = wh_fake_newest(m->s.f);
    } else {
        m->domid = wh_fake_guest(m->s.f, &(struct wh_fake_guest){
            .name = "g", .mb = MOVE_MB, .seed = 1, .zero_percent = 50, .vcpus = 2 });
        store_config(m);
    }
    wh_fake_run(m->s.f, m->domid, scribble, NULL);
}

void move_open(struct move *m, bool hvm)
{
    *m = (struct move){ .hvm = hvm };
    pthread_mutex_init(&m->lock, NULL);
    unit_folder(m->folder, sizeof m->folder);
    snprintf(m->at, sizeof m->at, "unix:%s/w.sock", m->folder);
    open_side(m, &m->s);
    open_side(m, &m->t);
    /* A busy machine may take its time over what is not tried here. */
    unsigned hurry = wh_op_hurry;
    wh_op_hurry = 1;
    make_guest(m);
    wh_op_hurry = hurry;
    for (struct side *h = &m->s; h <= &m->t; h++) {
        wh_fake_listen(h->f, heard, h);
        wh_fake_told(h->f, told, h);
    }
    m->s.runs = true;
    watched = m;
    wh_op_watch = step;
}

static void close_side(struct side *h)
{
    char jobs[300];

    if (h->m->hvm)
        hvm_end(h->folder);
    wh_store_close(h->here.store);
    wh_xen_close(h->here.xen);
    wh_fake_free(h->f);
    free(h->check);
    free(h->tree);
    free(h->files);
    snprintf(jobs, sizeof jobs, "%s/jobs", h->folder);
    unit_remove_folder(jobs);
    unit_remove_folder(h->folder);
}

void move_close(struct move *m)
{
    m->stop = true;
    watched = NULL;
    close_side(&m->s);
    close_side(&m->t);
    unit_remove_folder(m->folder);
    json_object_put(m->result);
    pthread_mutex_destroy(&m->lock);
}

/* ---------------------------------------------------------------------------------- the move */

static void *run_sender(void *arg)
{
    struct move *m = arg;

    m->kind = wh_job_run(m->job);
    snprintf(m->error, sizeof m->error, "%s", wh_job_error(m->job));
    m->result = json_object_get(wh_task_result(m->job));
    m->ended = true;
    return NULL;
}

void move_run(struct move *m, const struct wh_send_how *how)
{
    struct wh_here here = m->s.here;
    pthread_t thread;

    here.xen = wh_fake_xen(m->s.f);
    here.store = wh_fake_store(m->s.f);
    m->job = wh_send_new("g", m->at, how);
    assert_non_null(m->job);
    /* A sender that is killed never returns: what it works with stays as long as it. */
    struct wh_here *its = calloc(1, sizeof *its);
    *its = here;
    ((struct wh_task *)m->job)->here = its;
    m->ended = m->killed = m->met = false;
    m->began = true;
    arm(m);
    assert_int_equal(pthread_create(&thread, NULL, run_sender, m), 0);
    while (!m->ended)
        unit_sleep_ms(1);
    move_await_receivers(m);
    struct side *h = m->event.side == SOURCE ? &m->s : &m->t;
    const char *hit = m->event.when == AT_SHIELDED ? wh_fake_shielded_hit(h->f) : wh_fake_fault_hit(h->f);
    if (hit && m->event.when <= AT_SHIELDED) {
        m->met = true;
        snprintf(m->met_at, sizeof m->met_at, "%s", hit);
    }
    m->event.n = 0;
    if (!m->killed) {
        pthread_join(thread, NULL);
        wh_job_free(m->job);
    }
    m->job = NULL;
    wh_store_close(its->store);
    wh_xen_close(its->xen);
    if (!m->killed)
        free(its);
}

char *move_recover(struct move *m, struct side *h, bool look_only)
{
    struct wh_recover_how how = { .look_only = look_only };
    struct wh_job *j = wh_recover_new(&how);

    m->line = LINE_GOOD;
    wh_fake_fault(h->f, 0, WH_FAULT_NONE);
    wh_fake_fault_shielded(h->f, 0, WH_FAULT_NONE);
    assert_non_null(j);
    ((struct wh_task *)j)->here = &h->here;
    enum wh_kind kind = wh_job_run(j);
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s%s", kind == WH_OK ? "" : wh_kind_name(kind), wh_job_error(j),
                         wh_job_json(j) ? wh_job_json(j) : "") >= 0);
    wh_job_free(j);
    move_await_receivers(m);
    return text;
}

/* ----------------------------------------------------------------------------------- looking */

bool move_runs(struct side *h)
{
    return wh_fake_running(h->f) == 1;
}

unsigned move_records(const struct side *h, const char *verb, char name[600])
{
    char path[300];
    struct dirent *e;
    unsigned n = 0;

    snprintf(path, sizeof path, "%s/jobs", h->folder);
    DIR *folder = opendir(path);
    while (folder && (e = readdir(folder))) {
        if (strncmp(e->d_name, verb, strlen(verb)) != 0 || e->d_name[0] == '.')
            continue;
        n++;
        if (name)
            snprintf(name, 600, "%s/%s", path, e->d_name);
    }
    if (folder)
        closedir(folder);
    return n;
}

static char *differs(const char *what, const char *before, const char *after)
{
    char *text = NULL;

    if (strcmp(before, after) != 0)
        assert_true(asprintf(&text, "%s: before\n%sand after\n%s", what, before, after) >= 0);
    return text;
}

char *move_left(struct side *h)
{
    wh_auto_free char *check = wh_fake_check(h->f);
    wh_auto_free char *tree = list_nodes(h);
    wh_auto_free char *files = list_files(h);
    char *text = differs("Xen", h->check, check);

    text = text ? text : differs("xenstore", h->tree, tree);
    text = text ? text : differs("files", h->files, files);
    if (!text && h->m->hvm && hvm_running(h->folder) > 0)
        text = strdup("a QEMU runs");
    return text;
}
