/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The saving engine at native speed, on a guest in memory, beside what the machine can do at all.
 *
 *     bench/engine [MB] [ROUNDS]       prints one JSON object a way; bench/engine.py makes the table
 *
 * Every way is timed in turn, ROUNDS times over. */
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/digest.h"
#include "link/pack.h"
#include "mem/save.h"
#include "xen/fake.h"

struct bench {
    struct wh_op op;
    struct wh_fake *fake;
    struct wh_xen *xen;
    uint32_t domid;
    size_t bytes;
    uint8_t *from, *to;             /* the same contents, in plain memory */
};

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *drink(void *arg)
{
    static uint8_t cup[1 << 20];

    while (read(*(int *)arg, cup, sizeof cup) > 0)
        ;
    return NULL;
}

/* A descriptor that somebody reads from, or /dev/null. */
struct drain {
    int fd, other;
    pthread_t thread;
};

static void open_drain(struct drain *d, bool socket_it)
{
    int pair[2];

    if (!socket_it) {
        *d = (struct drain){ open("/dev/null", O_WRONLY), -1, 0 };
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        abort();
    *d = (struct drain){ pair[0], pair[1], 0 };
    pthread_create(&d->thread, NULL, drink, &d->other);
}

static void close_drain(struct drain *d)
{
    close(d->fd);
    if (d->other >= 0) {
        pthread_join(d->thread, NULL);
        close(d->other);
    }
}

static void engine(struct bench *b, int fd, bool digest, int level)
{
    struct wh_index index;
    struct wh_sink sink;
    struct wh_save s = { .op = &b->op, .xen = b->xen, .out = &sink, .index = &index,
                         .domid = b->domid };

    wh_index_init(&index);
    bool ok = wh_sink_open(&b->op, &sink, fd);
    sink.digest = digest ? wh_digest_new() : NULL;
    if (sink.digest)
        wh_digest_thread(sink.digest);
    ok = ok && (level == 0 || wh_pack(&b->op, &sink, level)) && wh_save_begin(&s) &&
         wh_save_rest(&s) && wh_sink_end(&b->op, &sink);
    if (!ok) {
        fprintf(stderr, "%s\n", b->op.err.text);
        exit(1);
    }
    wh_save_free(&s);
    wh_digest_free(sink.digest);
    wh_sink_close(&sink);
    wh_index_free(&index);
}

static void whole(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(fd, p, n < (4u << 20) ? n : (4u << 20));

        if (put <= 0)
            abort();
        p += put;
        n -= (size_t)put;
    }
}

enum way { MEMCPY, WRITE_SOCKET, TO_NULL, TO_NULL_DIGEST, TO_SOCKET, TO_SOCKET_DIGEST, WAYS };
static const char *const names[] = { "memcpy", "write to a socket", "engine to /dev/null",
                                     "engine to /dev/null, digest", "engine to a socket",
                                     "engine to a socket, digest" };

static double once(struct bench *b, enum way way)
{
    struct drain d;

    open_drain(&d, way == WRITE_SOCKET || way >= TO_SOCKET);
    double begun = now();
    if (way == MEMCPY)
        memcpy(b->to, b->from, b->bytes);
    else if (way == WRITE_SOCKET)
        whole(d.fd, b->from, b->bytes);
    else
        engine(b, d.fd, way == TO_NULL_DIGEST || way == TO_SOCKET_DIGEST, 0);
    double took = now() - begun;
    close_drain(&d);
    return took;
}

int main(int argc, char **argv)
{
    unsigned mb = argc > 1 ? (unsigned)atoi(argv[1]) : 512;
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    struct bench b = { .bytes = (size_t)mb << 20 };

    if (!wh_op_init(&b.op))
        return 1;
    b.fake = wh_fake_new(mb + 64);
    b.xen = wh_fake_xen(b.fake);
    b.domid = wh_fake_guest_pvh(b.fake, "bench", mb, 1, 0);
    if (!wh_xen_shutdown(&b.op, b.xen, b.domid, WH_SUSPEND))
        return 1;
    b.from = mmap(NULL, b.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                  -1, 0);
    b.to = mmap(NULL, b.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                -1, 0);
    for (size_t at = 0; at < b.bytes; at += 8)
        *(uint64_t *)(void *)(b.from + at) = at * UINT64_C(0x9e3779b97f4a7c15);
    for (int r = 0; r < rounds; r++) {
        for (int way = 0; way < WAYS; way++) {
            json_object *o = json_object_new_object();

            json_object_object_add(o, "way", json_object_new_string(names[way]));
            json_object_object_add(o, "bytes", json_object_new_uint64(b.bytes));
            json_object_object_add(o, "seconds", json_object_new_double(once(&b, (enum way)way)));
            puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
            json_object_put(o);
        }
    }
    wh_xen_close(b.xen);
    wh_fake_free(b.fake);
    wh_op_done(&b.op);
    return 0;
}
