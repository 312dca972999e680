/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU with two CD drives, hdc and hdd, played for qmp_server.h.  Of every command it says what a
 * QEMU would, and remembers which file each drive holds, by the descriptors that it was passed. */
#ifndef TESTS_UNIT_CD_QEMU_H
#define TESTS_UNIT_CD_QEMU_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/own.h"
#include "qmp_server.h"

#define SETS 8

/* What QEMU has. */
struct set {
    bool used;
    char path[PATH_MAX];
};

struct drive {
    char medium[PATH_MAX], name[PATH_MAX], format[16];  /* medium: of the descriptor; "": empty */
    bool filled;                                        /* a medium was put upon another */
};

struct qemu {
    struct set set[SETS];
    struct drive hdc, hdd;
    const char *refuses;        /* this command */
    const char *loathes;        /* a medium with that in its path */
    const char *bars;           /* makes a folder of that name before it takes a medium */
    unsigned commands, ejects;
    bool forced;
};

/* The trick is played at a command, so often (0: always); undone: that is not done either. */
struct misdeed {
    enum qmp_trick trick;
    const char *at;
    unsigned times;
    bool undone;
};

struct player {
    struct qemu *qemu;
    struct misdeed misdeed;
    void (*witness)(void *arg); /* looks at the world before and after each command */
    void *arg;
    unsigned played;
    bool skips;
};

static inline struct drive *drive_of(struct qemu *q, json_object *arguments)
{
    const char *id = wh_json_string(arguments, "id", "");

    return strcmp(id, "ide-5632") == 0 ? &q->hdc : strcmp(id, "ide-5696") == 0 ? &q->hdd : NULL;
}

static inline json_object *query(const struct qemu *q)
{
    const struct drive *all[] = { &q->hdc, &q->hdd };
    json_object *list = json_object_new_array();

    for (size_t i = 0; i < WH_COUNT(all); i++) {
        json_object *one = json_object_new_object(), *in = json_object_new_object();

        json_object_object_add(one, "qdev", json_object_new_string(i ? "ide-5696" : "ide-5632"));
        json_object_object_add(in, "file", json_object_new_string(all[i]->name));
        if (all[i]->medium[0])
            json_object_object_add(one, "inserted", in);
        else
            json_object_put(in);
        json_object_array_add(list, one);
    }
    return list;
}

static inline json_object *take_descriptor(struct qemu *q, int fd)
{
    json_object *o = json_object_new_object();
    char path[64];
    size_t i = 0;

    while (i < SETS && q->set[i].used)
        i++;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t n = i < SETS && fd >= 0 ? readlink(path, q->set[i].path, PATH_MAX - 1) : -1;
    if (n < 0)
        abort();
    q->set[i].path[n] = '\0';
    q->set[i].used = true;
    json_object_object_add(o, "fdset-id", json_object_new_int64((int64_t)i));
    return o;
}

static inline bool put_in(struct qemu *q, struct drive *d, json_object *arguments)
{
    const char *name = wh_json_string(arguments, "filename", "");
    const char *set = strstr(name, "/dev/fdset/");
    size_t i = set ? strtoul(set + strlen("/dev/fdset/"), NULL, 10) : SETS;

    if (i >= SETS || !q->set[i].used || (q->loathes && strstr(q->set[i].path, q->loathes)))
        return false;
    d->filled |= d->medium[0] != '\0';
    snprintf(d->medium, sizeof d->medium, "%s", q->set[i].path);
    snprintf(d->name, sizeof d->name, "%s", name);
    snprintf(d->format, sizeof d->format, "%s", wh_json_string(arguments, "format", ""));
    return true;
}

static inline json_object *does(struct qemu *q, const char *command, json_object *arguments, int fd,
                         bool *refused)
{
    json_object *said = NULL;
    struct drive *d = drive_of(q, arguments);
    uint64_t set = wh_json_number(arguments, "fdset-id", SETS);

    q->commands++;
    if (q->refuses && strcmp(q->refuses, command) == 0) {
        *refused = true;
    } else if (strcmp(command, "query-block") == 0) {
        return query(q);
    } else if (strcmp(command, "add-fd") == 0) {
        return take_descriptor(q, fd);
    } else if (strcmp(command, "eject") == 0 && d) {
        d->medium[0] = '\0';
        q->ejects++;
        q->forced = json_object_get_boolean(json_object_object_get(arguments, "force"));
    } else if (strcmp(command, "blockdev-change-medium") == 0) {
        if (q->bars && mkdir(q->bars, 0700) < 0 && errno != EEXIST)
            abort();
        *refused = !d || !put_in(q, d, arguments);
    } else if (strcmp(command, "remove-fd") == 0) {
        *refused = set >= SETS || !q->set[set].used;
        if (!*refused)
            q->set[set].used = false;
    }
    if (*refused) {
        said = json_object_new_object();
        json_object_object_add(said, "class", json_object_new_string("GenericError"));
        json_object_object_add(said, "desc", json_object_new_string("the drive is bewitched"));
    }
    return said;
}

static inline enum qmp_trick choose(struct qmp_server *s, const char *command)
{
    struct player *p = s->arg;
    const struct misdeed *m = &p->misdeed;
    bool tricky = m->at && strcmp(m->at, command) == 0 &&
                  (m->times == 0 || p->played++ < m->times);

    p->skips = tricky && m->undone;
    return tricky ? m->trick : QMP_BEHAVES;
}

static inline json_object *answer(struct qmp_server *s, json_object *command, int passed)
{
    struct player *p = s->arg;
    wh_auto_fd int fd = passed;
    json_object *reply = json_object_new_object(), *said = NULL;
    bool refused = false;

    if (p->witness)
        p->witness(p->arg);
    if (!p->skips)
        said = does(p->qemu, wh_json_string(command, "execute", ""),
                    json_object_object_get(command, "arguments"), fd, &refused);
    if (p->witness)
        p->witness(p->arg);
    json_object_object_add(reply, refused ? "error" : "return",
                           said ? said : json_object_new_object());
    return reply;
}

static inline unsigned sets_of(const struct qemu *q)
{
    unsigned n = 0;

    for (size_t i = 0; i < SETS; i++)
        n += q->set[i].used;
    return n;
}

#endif
