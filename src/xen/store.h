/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Xenstore: reads, writes, transactions, watches.  Every request waits at most as long as the
 * operation's step has left (and never more than WH_STORE_MS): a xenstored that has stopped makes
 * an operation late, not stuck.
 *
 *     struct wh_store *st = wh_store_open(op);             the daemon's socket, else the kernel's device
 *     struct wh_store *st = wh_fake_store(fake);           in memory
 *
 *     wh_auto_free char *name = NULL;
 *     if (!wh_store_read(op, st, 0, &name, "/local/domain/%u/name", domid)) ...
 *
 * What is not there is no failure: reading gives NULL.  tx 0: no transaction. */
#ifndef WH_XEN_STORE_H
#define WH_XEN_STORE_H

#include "base/op.h"

#define WH_STORE_MS    30000
#define WH_STORE_PATH  3072             /* longest absolute path, as xenstored has it */
#define WH_STORE_VALUE 4096             /* longest payload */

/* Who may what: owner first (its letter is what everybody else may), then exceptions. */
struct wh_perm {
    uint32_t domid;
    bool read, write;
};

struct wh_store_event {
    char path[WH_STORE_PATH], token[64];
};

struct wh_store;

struct wh_store_calls {
    void (*close)(struct wh_store *);
    /* One request of xenstored's protocol: type, transaction, payload; the reply's payload,
     * malloc'd and NUL-terminated.  *refused: the errno it answered with (ENOENT, EAGAIN, ...),
     * which is no failure of the call; 0: it was done. */
    bool (*ask)(struct wh_op *, struct wh_store *, uint32_t type, uint32_t tx, const void *payload,
                size_t n, char **reply, size_t *reply_n, int *refused);
    /* The next watch event.  wait: within what the step has left; else *there says whether one had
     * come. */
    bool (*event)(struct wh_op *, struct wh_store *, bool wait, struct wh_store_event *,
                  bool *there);
    /* A descriptor that is readable when there may be one; several waits can be joined. */
    int (*fd)(struct wh_store *);
};

struct wh_store {
    const struct wh_store_calls *calls;
    void *state;
    bool (*gate)(struct wh_op *op, struct wh_store *st, const char *call);
    void *gate_arg;
};

struct wh_store *wh_store_open(struct wh_op *op);
/* On a connected descriptor (a socket, the kernel's device), which the store closes. */
struct wh_store *wh_store_on_fd(struct wh_op *op, int fd);
void wh_store_close(struct wh_store *st);

/* The value, malloc'd and NUL-terminated (values with NULs inside end there); NULL: no such node. */
bool wh_store_read(struct wh_op *op, struct wh_store *st, uint32_t tx, char **value,
                   const char *path, ...) __attribute__((format(printf, 5, 6)));
/* The same as a number in decimal; `otherwise` where there is none or it is no number. */
bool wh_store_read_number(struct wh_op *op, struct wh_store *st, uint32_t tx, uint64_t *value,
                          uint64_t otherwise, const char *path, ...)
    __attribute__((format(printf, 6, 7)));
bool wh_store_write(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *value,
                    const char *path, ...) __attribute__((format(printf, 5, 6)));
bool wh_store_mkdir(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
/* With all below it. */
bool wh_store_remove(struct wh_op *op, struct wh_store *st, uint32_t tx, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
/* Names of the children: one malloc'd array of *n pointers with the texts behind them; *n 0 and
 * NULL: no such node or none. */
bool wh_store_list(struct wh_op *op, struct wh_store *st, uint32_t tx, char ***names, size_t *n,
                   const char *path, ...) __attribute__((format(printf, 6, 7)));
bool wh_store_perms(struct wh_op *op, struct wh_store *st, uint32_t tx, const struct wh_perm *perm,
                    size_t n, const char *path, ...) __attribute__((format(printf, 6, 7)));
/* *n: how many of them there are, at most max. */
bool wh_store_get_perms(struct wh_op *op, struct wh_store *st, uint32_t tx, struct wh_perm *perm,
                        size_t max, size_t *n, const char *path, ...)
    __attribute__((format(printf, 7, 8)));

bool wh_store_begin(struct wh_op *op, struct wh_store *st, uint32_t *tx);
/* *again: somebody else wrote meanwhile; begin anew.  In any case the transaction is over. */
bool wh_store_commit(struct wh_op *op, struct wh_store *st, uint32_t tx, bool *again);
/* Even of an operation that was cancelled; whether it worked does not matter. */
void wh_store_abort(struct wh_op *op, struct wh_store *st, uint32_t tx);

/* A watch fires once at once.  One event may stand for several: look again at what is watched.
 * Tokens are shorter than 64 bytes. */
bool wh_store_watch(struct wh_op *op, struct wh_store *st, const char *token, const char *path, ...)
    __attribute__((format(printf, 4, 5)));
bool wh_store_unwatch(struct wh_op *op, struct wh_store *st, const char *token, const char *path,
                      ...) __attribute__((format(printf, 4, 5)));
/* The next event, waited for within what the step has left. */
bool wh_store_event(struct wh_op *op, struct wh_store *st, struct wh_store_event *e);
/* The same without waiting: *there is false where none has come. */
bool wh_store_event_now(struct wh_op *op, struct wh_store *st, struct wh_store_event *e,
                        bool *there);
/* Readable when an event may have come: then wh_store_event_now tells. */
int wh_store_fd(struct wh_store *st);

/* Tell the daemon of a new domain, of one that runs again, of one that is gone. */
bool wh_store_introduce(struct wh_op *op, struct wh_store *st, uint32_t domid, uint64_t frame,
                        uint32_t port);
bool wh_store_resume(struct wh_op *op, struct wh_store *st, uint32_t domid);
bool wh_store_release(struct wh_op *op, struct wh_store *st, uint32_t domid);

#endif
