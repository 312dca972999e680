/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore's requests: paths and values into payloads, replies into values.
 *
 * A payload is a row of texts, each with its NUL, at most 4096 bytes in all:
 *
 *     read          path\0                        ->  value
 *     write         path\0 value                  ->  "OK\0"
 *     directory     path\0                        ->  name\0 name\0 ...
 *     set perms     path\0 n0\0 r3\0 ...          ->  "OK\0"
 *     begin         \0                            ->  number\0
 *     end           T\0 or F\0                    ->  "OK\0"
 *     watch         path\0 token\0                ->  "OK\0"
 *
 * What does not fit is an error here, never cut.  What comes back is believed in nothing. */
#include "xen/store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <xen/io/xs_wire.h>

#include "base/own.h"

#define LIST_MAX   (1u << 20)   /* of the names of one node's children */
#define LIST_TRIES 16           /* how often a list that changes while it is read is begun anew */
#define ABORT_MS   2000

struct request {
    uint32_t type, tx;
    size_t n;
    char path[WH_STORE_PATH];           /* for the errors */
    char payload[WH_STORE_VALUE];
};

struct reply {
    char *bytes;
    size_t n;
    int refused;
};

/* clang-format off */
static const char *const verbs[] = {
    [XS_DIRECTORY]         = "store list",
    [XS_READ]              = "store read",
    [XS_GET_PERMS]         = "store get perms",
    [XS_WATCH]             = "store watch",
    [XS_UNWATCH]           = "store unwatch",
    [XS_TRANSACTION_START] = "store begin",
    [XS_TRANSACTION_END]   = "store commit",
    [XS_INTRODUCE]         = "store introduce",
    [XS_RELEASE]           = "store release",
    [XS_WRITE]             = "store write",
    [XS_MKDIR]             = "store mkdir",
    [XS_RM]                = "store remove",
    [XS_SET_PERMS]         = "store perms",
    [XS_RESUME]            = "store resume",
    [XS_DIRECTORY_PART]    = "store list part",
};
/* clang-format on */

static void drop_reply(struct reply *r)
{
    free(r->bytes);
}

#define auto_reply wh_auto(drop_reply)

/* -------------------------------------------------------------------------- making requests */

/* What xenstored takes as a path; a name from outside can add no other. */
static const char *path_flaw(const char *path)
{
    size_t n = strlen(path);

    if (path[0] != '/' && path[0] != '@')
        return "is not absolute";
    if (n > 1 && path[n - 1] == '/')
        return "ends in /";
    if (strstr(path, "//"))
        return "has an empty name in it";
    if (path[strspn(path, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-/_@")])
        return "has characters other than letters, digits and -/_@";
    return NULL;
}

static bool put(struct wh_op *op, struct request *q, const void *bytes, size_t n)
{
    if (n > sizeof q->payload - q->n)
        return wh_fail(&op->err, WH_XEN, "%s %s: a request of %zu bytes, at most %zu are possible",
                       verbs[q->type], q->path, q->n + n, sizeof q->payload);
    if (n)
        memcpy(q->payload + q->n, bytes, n);
    q->n += n;
    return true;
}

static bool put_text(struct wh_op *op, struct request *q, const char *text)
{
    return put(op, q, text, strlen(text) + 1);
}

static bool put_number(struct wh_op *op, struct request *q, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    return put_text(op, q, text);
}

static bool begin(struct wh_op *op, struct request *q, uint32_t type, uint32_t tx,
                  const char *format, va_list ap)
{
    const char *flaw;

    q->type = type;
    q->tx = tx;
    q->n = 0;
    int n = vsnprintf(q->path, sizeof q->path, format, ap);
    if (n < 0 || (size_t)n >= sizeof q->path)
        return wh_fail(&op->err, WH_XEN, "%s: a path of %d bytes, at most %zu are possible: "
                       "%.60s...", verbs[type], n, sizeof q->path - 1, q->path);
    flaw = path_flaw(q->path);
    if (flaw)
        return wh_fail(&op->err, WH_XEN, "%s: the path %s %s", verbs[type], q->path, flaw);
    return put_text(op, q, q->path);
}

/* A request that is about no path. */
static void begin_bare(struct request *q, uint32_t type, uint32_t tx)
{
    q->type = type;
    q->tx = tx;
    q->n = 0;
    q->path[0] = '\0';
}

/* Fill *q from the caller's format: the path. */
#define BEGIN(q, type, tx)                                                                         \
    __extension__({                                                                                \
        va_list ap_;                                                                               \
        va_start(ap_, path);                                                                       \
        bool ok_ = begin(op, q, type, tx, path, ap_);                                              \
        va_end(ap_);                                                                               \
        ok_;                                                                                       \
    })

/* ------------------------------------------------------------------------------- asking */

static const char *space(const struct request *q)
{
    return q->path[0] ? " " : "";
}

/* Whatever may be answered. */
static bool ask(struct wh_op *op, struct wh_store *st, const struct request *q, struct reply *r)
{
    bool failed_before = op->err.kind != WH_OK;

    if (!wh_go_on(op) || (st->gate && !st->gate(op, st, verbs[q->type])))
        return false;
    if (st->calls->ask(op, st, q->type, q->tx, q->payload, q->n, &r->bytes, &r->n, &r->refused))
        return true;
    if (!failed_before)
        wh_while(&op->err, "%s%s%s", verbs[q->type], space(q), q->path);
    return false;
}

static bool refuse(struct wh_op *op, const struct request *q, int why)
{
    char text[128];

    return wh_fail(&op->err, WH_XEN, "%s%s%s: %s", verbs[q->type], space(q), q->path,
                   strerror_r(why, text, sizeof text));
}

/* It must be done, or be refused for the one reason that is none (0: no reason is). */
static bool get(struct wh_op *op, struct wh_store *st, const struct request *q, struct reply *r,
                int but)
{
    return ask(op, st, q, r) && (!r->refused || r->refused == but || refuse(op, q, r->refused));
}

static bool tell(struct wh_op *op, struct wh_store *st, const struct request *q, int but)
{
    auto_reply struct reply r = { 0 };

    return get(op, st, q, &r, but);
}

/* Decimal digits and nothing else. */
static bool is_number(const char *text, uint64_t most, uint64_t *number)
{
    uint64_t n = 0;

    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (digit > 9 || n > (most - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *number = n;
    return true;
}

static bool malformed(struct wh_op *op, const struct request *q, const char *what)
{
    return wh_fail(&op->err, WH_XEN, "%s%s%s: xenstored answered with %s", verbs[q->type],
                   space(q), q->path, what);
}

/* ------------------------------------------------------------------------------- values */

bool wh_store_read(struct wh_op *op, struct wh_store *st, uint32_t tx, char **value,
                   const char *path, ...)
{
    auto_reply struct reply r = { 0 };
    struct request q;

    *value = NULL;
    if (!BEGIN(&q, XS_READ, tx) || !get(op, st, &q, &r, ENOENT))
        return false;
    if (!r.refused)
        *value = wh_take_ptr(&r.bytes);
    return true;
}

bool wh_store_read_number(struct wh_op *op, struct wh_store *st, uint32_t tx, uint64_t *value,
                          uint64_t otherwise, const char *path, ...)
{
    auto_reply struct reply r = { 0 };
    struct request q;

    *value = otherwise;
    if (!BEGIN(&q, XS_READ, tx) || !get(op, st, &q, &r, ENOENT))
        return false;
    if (!r.refused && !is_number(r.bytes, UINT64_MAX, value))
        *value = otherwise;
    return true;
}

bool wh_store_write(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *value,
                    const char *path, ...)
{
    struct request q;

    return BEGIN(&q, XS_WRITE, tx) && put(op, &q, value, strlen(value)) && tell(op, st, &q, 0);
}

bool wh_store_mkdir(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *path, ...)
{
    struct request q;

    return BEGIN(&q, XS_MKDIR, tx) && tell(op, st, &q, 0);
}

bool wh_store_remove(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *path, ...)
{
    struct request q;

    return BEGIN(&q, XS_RM, tx) && tell(op, st, &q, ENOENT);
}

/* -------------------------------------------------------------------------------- lists */

/* name\0 name\0 ... as an array of pointers with the texts behind it. */
static bool split(struct wh_op *op, const struct request *q, const char *text, size_t size,
                  char ***names, size_t *n)
{
    size_t count = 0, at = 0;

    if (size == 0)
        return true;
    if (text[size - 1] != '\0')
        return malformed(op, q, "a list whose last name does not end");
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\0' && (i == 0 || text[i - 1] == '\0'))
            return malformed(op, q, "a list with an empty name in it");
        count += text[i] == '\0';
    }
    char **all = malloc(count * sizeof *all + size);
    if (!all)
        return wh_fail_sys(&op->err, ENOMEM, "hold a list of %zu names", count);
    char *copy = memcpy((char *)(all + count), text, size);
    for (size_t i = 0; i < count; i++) {
        all[i] = copy + at;
        at += strlen(copy + at) + 1;
    }
    *names = all;
    *n = count;
    return true;
}

/* A list that is too long for one reply, in parts. */
struct parts {
    char *text;
    size_t n;
    char generation[24];        /* of the node; when it changes, what we have is worth nothing */
    bool whole, changed;
};

static void drop_parts(struct parts *p)
{
    free(p->text);
}

/* generation\0 name\0 name\0 ...; the last part ends with one more \0. */
static bool add_part(struct wh_op *op, const struct request *q, struct parts *p,
                     const struct reply *r)
{
    size_t head = strnlen(r->bytes, r->n) + 1;

    if (head > r->n || head > sizeof p->generation)
        return malformed(op, q, "a part of a list without its generation");
    p->changed = p->n > 0 && strcmp(p->generation, r->bytes) != 0;
    if (p->changed)
        return true;
    memcpy(p->generation, r->bytes, head);

    const char *names = r->bytes + head;
    size_t n = r->n - head;
    p->whole = (n == 1 && !names[0]) || (n > 1 && !names[n - 1] && !names[n - 2]);
    n -= p->whole;
    if (n == 0 && !p->whole)
        return malformed(op, q, "a part of a list with nothing in it");
    if (p->n + n > LIST_MAX)
        return malformed(op, q, "a list of more than a megabyte");
    char *more = realloc(p->text, p->n + n + 1);
    if (!more)
        return wh_fail_sys(&op->err, ENOMEM, "hold a list of %zu bytes", p->n + n);
    p->text = more;
    memcpy(p->text + p->n, names, n);
    p->n += n;
    return true;
}

static bool get_part(struct wh_op *op, struct wh_store *st, const struct request *whole,
                     struct parts *p)
{
    auto_reply struct reply r = { 0 };
    struct request q = *whole;

    q.type = XS_DIRECTORY_PART;
    if (!put_number(op, &q, p->n) || !get(op, st, &q, &r, ENOENT))
        return false;
    if (r.refused) {                    /* gone meanwhile */
        p->n = 0;
        p->whole = true;
        return true;
    }
    return add_part(op, &q, p, &r);
}

static bool list_in_parts(struct wh_op *op, struct wh_store *st, const struct request *q,
                          char ***names, size_t *n)
{
    for (int tries = 0; tries < LIST_TRIES; tries++) {
        wh_auto(drop_parts) struct parts p = { 0 };

        while (!p.whole && !p.changed)
            if (!get_part(op, st, q, &p))
                return false;
        if (p.whole)
            return split(op, q, p.text, p.n, names, n);
    }
    return malformed(op, q, "a list that changes faster than it can be read");
}

bool wh_store_list(struct wh_op *op, struct wh_store *st, uint32_t tx, char ***names, size_t *n,
                   const char *path, ...)
{
    auto_reply struct reply r = { 0 };
    struct request q;

    *names = NULL;
    *n = 0;
    if (!BEGIN(&q, XS_DIRECTORY, tx) || !ask(op, st, &q, &r))
        return false;
    if (r.refused == ENOENT)
        return true;
    if (r.refused == E2BIG)
        return list_in_parts(op, st, &q, names, n);
    return r.refused ? refuse(op, &q, r.refused) : split(op, &q, r.bytes, r.n, names, n);
}

/* -------------------------------------------------------------------------- permissions */

bool wh_store_perms(struct wh_op *op, struct wh_store *st, uint32_t tx, const struct wh_perm *perm,
                    size_t n, const char *path, ...)
{
    struct request q;
    char text[16];

    if (!BEGIN(&q, XS_SET_PERMS, tx))
        return false;
    for (size_t i = 0; i < n; i++) {
        char letter = "nrwb"[perm[i].read + 2 * perm[i].write];

        snprintf(text, sizeof text, "%c%" PRIu32, letter, perm[i].domid);
        if (!put_text(op, &q, text))
            return false;
    }
    return tell(op, st, &q, 0);
}

static bool is_perm(const char *text, struct wh_perm *p)
{
    const char *letter = *text ? strchr("nrwb", *text) : NULL;
    uint64_t domid;

    if (!letter || !is_number(text + 1, UINT32_MAX, &domid))
        return false;
    p->domid = (uint32_t)domid;
    p->read = *letter == 'r' || *letter == 'b';
    p->write = *letter == 'w' || *letter == 'b';
    return true;
}

bool wh_store_get_perms(struct wh_op *op, struct wh_store *st, uint32_t tx, struct wh_perm *perm,
                        size_t max, size_t *n, const char *path, ...)
{
    auto_reply struct reply r = { 0 };
    struct request q;
    wh_auto_free char **texts = NULL;
    size_t count = 0;

    *n = 0;
    if (!BEGIN(&q, XS_GET_PERMS, tx) || !get(op, st, &q, &r, ENOENT))
        return false;
    if (r.refused)
        return true;
    if (!split(op, &q, r.bytes, r.n, &texts, &count))
        return false;
    for (; *n < count && *n < max; ++*n)
        if (!is_perm(texts[*n], &perm[*n]))
            return malformed(op, &q, "a permission that is none");
    return true;
}

/* ------------------------------------------------------------------------- transactions */

bool wh_store_begin(struct wh_op *op, struct wh_store *st, uint32_t *tx)
{
    auto_reply struct reply r = { 0 };
    struct request q;
    uint64_t number;

    begin_bare(&q, XS_TRANSACTION_START, 0);
    if (!put_text(op, &q, "") || !get(op, st, &q, &r, 0))
        return false;
    if (!is_number(r.bytes, UINT32_MAX, &number) || number == 0)
        return malformed(op, &q, "a transaction that has no number");
    *tx = (uint32_t)number;
    return true;
}

/* Whatever made the caller give up must not stop this, nor be forgotten for it. */
void wh_store_abort(struct wh_op *op, struct wh_store *st, uint32_t tx)
{
    struct wh_err why = op->err;
    bool shielded = op->shielded;
    struct wh_bound step = { op->deadline_ns, op->budget_ms };
    struct request q;

    op->shielded = true;
    op->deadline_ns = WH_FOREVER;
    wh_bound(op, ABORT_MS);
    begin_bare(&q, XS_TRANSACTION_END, tx);
    if (put_text(op, &q, "F"))
        tell(op, st, &q, ENOENT);
    wh_unbound(op, step);
    op->shielded = shielded;
    op->err = why;
}

/* A commit that fails takes the transaction back: if it was not done, nobody else would end it;
 * if it was, and only its answer was lost, there is nothing to take back. */
bool wh_store_commit(struct wh_op *op, struct wh_store *st, uint32_t tx, bool *again)
{
    auto_reply struct reply r = { 0 };
    struct request q;

    begin_bare(&q, XS_TRANSACTION_END, tx);
    if (!put_text(op, &q, "T") || !get(op, st, &q, &r, EAGAIN)) {
        wh_store_abort(op, st, tx);
        return false;
    }
    *again = r.refused == EAGAIN;
    return true;
}

/* ------------------------------------------------------------------------------ watches */

static bool put_token(struct wh_op *op, struct request *q, const char *token)
{
    const size_t most = sizeof ((struct wh_store_event *)NULL)->token - 1;

    if (strlen(token) > most)
        return wh_fail(&op->err, WH_XEN, "%s %s: a token of %zu bytes, at most %zu are possible",
                       verbs[q->type], q->path, strlen(token), most);
    return put_text(op, q, token);
}

bool wh_store_watch(struct wh_op *op, struct wh_store *st, const char *token, const char *path, ...)
{
    struct request q;

    return BEGIN(&q, XS_WATCH, 0) && put_token(op, &q, token) && tell(op, st, &q, 0);
}

bool wh_store_unwatch(struct wh_op *op, struct wh_store *st, const char *token, const char *path,
                      ...)
{
    struct request q;

    return BEGIN(&q, XS_UNWATCH, 0) && put_token(op, &q, token) && tell(op, st, &q, ENOENT);
}

bool wh_store_event(struct wh_op *op, struct wh_store *st, struct wh_store_event *e)
{
    bool there;

    return wh_go_on(op) && (!st->gate || st->gate(op, st, "store event")) &&
           st->calls->event(op, st, true, e, &there);
}

bool wh_store_event_now(struct wh_op *op, struct wh_store *st, struct wh_store_event *e,
                        bool *there)
{
    return wh_go_on(op) && (!st->gate || st->gate(op, st, "store event")) &&
           st->calls->event(op, st, false, e, there);
}

int wh_store_fd(struct wh_store *st)
{
    return st->calls->fd(st);
}

/* ------------------------------------------------------------------------------ domains */

bool wh_store_introduce(struct wh_op *op, struct wh_store *st, uint32_t domid, uint64_t frame,
                        uint32_t port)
{
    struct request q;

    begin_bare(&q, XS_INTRODUCE, 0);
    return put_number(op, &q, domid) && put_number(op, &q, frame) && put_number(op, &q, port) &&
           tell(op, st, &q, 0);
}

bool wh_store_resume(struct wh_op *op, struct wh_store *st, uint32_t domid)
{
    struct request q;

    begin_bare(&q, XS_RESUME, 0);
    return put_number(op, &q, domid) && tell(op, st, &q, 0);
}

bool wh_store_release(struct wh_op *op, struct wh_store *st, uint32_t domid)
{
    struct request q;

    begin_bare(&q, XS_RELEASE, 0);
    return put_number(op, &q, domid) && tell(op, st, &q, ENOENT);
}

void wh_store_close(struct wh_store *st)
{
    if (st)
        st->calls->close(st);
}
