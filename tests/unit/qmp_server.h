/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QEMU monitor that misbehaves on command: one thread on one end of a socket pair.
 *
 *     struct qmp_server s = { .trick = QMP_STALLS, .at = "stop" };
 *     int fd = qmp_server_start(&s);
 *     ...
 *     qmp_server_end(&s);
 *
 * The trick is played instead of the answer to the command `at` ("greeting": instead of that); every
 * other command is answered {}.  What has more to say gives an answer of its own: fake_qemu.c.
 *
 * Or it listens at a path, for one client after another, as QEMU does:
 *
 *     qmp_server_listen(&s, path);
 *     ...
 *     qmp_server_close(&s); */
#ifndef TESTS_UNIT_QMP_SERVER_H
#define TESTS_UNIT_QMP_SERVER_H

#include <json-c/json.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum qmp_trick {
    QMP_BEHAVES,
    QMP_CLOSES,
    QMP_STALLS,             /* says nothing any more */
    QMP_DRIBBLES,           /* a byte at a time, with pauses */
    QMP_ENDLESS,            /* megabytes without a newline */
    QMP_DEEP,               /* nested 10,000 deep */
    QMP_NOT_UTF8,
    QMP_NOT_JSON,
    QMP_NOT_OBJECT,
    QMP_TWICE,              /* the same answer twice */
    QMP_FOREIGN_ID,
    QMP_NO_ID,
    QMP_TEXT_ID,
    QMP_NEITHER,            /* no return, no error */
    QMP_REFUSES,            /* with text that would steer a terminal */
    QMP_REFUSES_ODDLY,      /* an error that is no object */
    QMP_EVENT_FIRST,
    QMP_EVENTS,             /* a thousand, and then the answer */
    QMP_EVENTS_ONLY,        /* without end */
    QMP_EVENT_NAMELESS,
    QMP_GREETS,             /* again */
    QMP_NO_VERSION,
    QMP_DESCRIPTORS,        /* nobody asked for */
    QMP_HALF,               /* half a message, and closes */
    QMP_EMPTY_LINES,
    QMP_TRICKS
};

struct qmp_server {
    enum qmp_trick trick;
    const char *at;
    bool deaf;              /* reads nothing at all */

    /* NULL: as above.  Which trick this command ("greeting") meets; and the reply to it, new, without
     * its id: {"return": ...} or {"error": ...}.  passed: what came with it, taken; -1: nothing. */
    enum qmp_trick (*choose)(struct qmp_server *s, const char *command);
    json_object *(*answer)(struct qmp_server *s, json_object *command, int passed);
    void *arg;
    const char *greeting;   /* NULL: QEMU 7.2's */

    /* its own */
    atomic_int fd;
    int listening;
    pthread_t thread;
    bool got_fd;            /* a descriptor came with a command */
    char last[256];         /* the last command's text */
};

int qmp_server_start(struct qmp_server *s);
void qmp_server_end(struct qmp_server *s);

void qmp_server_listen(struct qmp_server *s, const char *path);
void qmp_server_close(struct qmp_server *s);

/* Serve the connection s->fd here and now, until its end; and, from an answer: a message before it. */
void qmp_server_serve(struct qmp_server *s);
bool qmp_server_say(struct qmp_server *s, const char *text);

#endif
