/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/json.h"
#include "base/own.h"

#define MAGIC 0x5145564du           /* "QEVM" */
#define VERSION 3u
#define STATE_MS 60000
#define PHYSMAP_MOST 256            /* entries; four are usual */
#define PAIRS_MOST 65536            /* bytes of them */

/* ----------------------------------------------------------------------------------- out */

/* To write: QEMU asks its descriptor set for one that is opened as it wants to use it. */
static int write_end(int fd)
{
    char path[48];

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY | O_CLOEXEC);
}

static bool take_back(struct wh_op *op, int fd, uint8_t **bytes, size_t *n)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "look at QEMU's state");
    if (st.st_size <= 0 || st.st_size > WH_STATE_MOST)
        return wh_fail(&op->err, WH_PEER, "QEMU's state has %lld bytes: expected 1 to %u",
                       (long long)st.st_size, WH_STATE_MOST);
    uint8_t *p = malloc((size_t)st.st_size);
    if (!p)
        return wh_fail_sys(&op->err, ENOMEM, "take QEMU's state");
    ssize_t got = pread(fd, p, (size_t)st.st_size, 0);
    const char *wrong = got == st.st_size ? wh_state_wrong(p, (size_t)got) : "it shrank";
    if (wrong) {
        free(p);
        return wh_fail(&op->err, WH_PEER, "QEMU's state is none: %s", wrong);
    }
    *bytes = p;
    *n = (size_t)st.st_size;
    return true;
}

static bool forget(struct wh_op *op, struct wh_qmp *qmp, uint64_t set)
{
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "fdset-id", json_object_new_uint64(set));
    return wh_qmp_call(op, qmp, "remove-fd", arguments, -1, NULL);
}

static const char command[] = "xen-save-devices-state";

bool wh_state_begin(struct wh_op *op, struct wh_qmp *qmp, struct wh_state_taking *t, bool leaves)
{
    wh_auto_fd int file = memfd_create("qemu-save", MFD_CLOEXEC);
    wh_auto_fd int end = file < 0 ? -1 : write_end(file);
    char name[48];

    if (end < 0)
        return wh_fail_sys(&op->err, errno, "make room for QEMU's state");
    if (!wh_qmp_add_fd(op, qmp, end, &t->set))
        return false;
    json_object *arguments = json_object_new_object();
    snprintf(name, sizeof name, "/dev/fdset/%llu", (unsigned long long)t->set);
    json_object_object_add(arguments, "filename", json_object_new_string(name));
    json_object_object_add(arguments, "live", json_object_new_boolean(leaves));
    if (!wh_qmp_begin(op, qmp, command, arguments))
        return false;
    t->file = wh_take_fd(&file);
    return true;
}

bool wh_state_end(struct wh_op *op, struct wh_qmp *qmp, struct wh_state_taking *t, uint8_t **bytes,
                  size_t *n)
{
    bool ok = wh_qmp_end(op, qmp, STATE_MS, command, NULL) && forget(op, qmp, t->set) &&
              take_back(op, t->file, bytes, n);

    wh_state_drop(t);
    return ok;
}

void wh_state_drop(struct wh_state_taking *t)
{
    if (t->file > 0)
        close(t->file);
    t->file = 0;
}

/* ------------------------------------------------------------------------------------ in */

const char *wh_state_wrong(const uint8_t *bytes, size_t n)
{
    return n < 8 ? "it is shorter than its header"
           : wh_be32(bytes) != MAGIC ? "it does not begin with QEVM"
           : wh_be32(bytes + 4) != VERSION ? "it is not of version 3" : NULL;
}

bool wh_state_hand(struct wh_op *op, int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        if (!wh_wait(op, fd, POLLOUT))
            return wh_while(&op->err, "hand QEMU its state");
        ssize_t put = send(fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno != EAGAIN && errno != EINTR)
            return wh_fail(&op->err, WH_PEER, "QEMU does not read its state: %s", strerror(errno));
        bytes += put > 0 ? put : 0;
        n -= put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* ------------------------------------------------------------------------------- physmap */

static const char *const keys[] = { "start_addr", "size", "name" };

static bool append(char **pairs, size_t *n, const char *text)
{
    size_t length = strlen(text) + 1;
    char *more = *n + length > PAIRS_MOST ? NULL : realloc(*pairs, *n + length);

    if (!more)
        return false;
    memcpy(more + *n, text, length);
    *pairs = more;
    *n += length;
    return true;
}

static bool read_entry(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *entry,
                       char **pairs, size_t *n)
{
    char key[WH_STORE_PATH];

    for (size_t i = 0; i < WH_COUNT(keys); i++) {
        wh_auto_free char *value = NULL;

        snprintf(key, sizeof key, "physmap/%s/%s", entry, keys[i]);
        if (!wh_store_read(op, h->store, 0, &value, "/local/domain/0/device-model/%u/%s", domid,
                           key))
            return false;
        if (value && (!append(pairs, n, key) || !append(pairs, n, value)))
            return wh_fail(&op->err, WH_PEER, "QEMU keeps more than %d bytes of physmap in xenstore",
                           PAIRS_MOST);
    }
    return true;
}

bool wh_physmap_read(struct wh_op *op, struct wh_here *h, uint32_t domid, char **pairs, size_t *n)
{
    wh_auto_free char **entry = NULL;
    wh_auto_free char *all = NULL;
    const char *wrong;
    size_t count;

    *n = 0;
    *pairs = NULL;
    if (!wh_store_list(op, h->store, 0, &entry, &count, "/local/domain/0/device-model/%u/physmap",
                       domid))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!read_entry(op, h, domid, entry[i], &all, n))
            return false;
    }
    if (*n > 0 && (wrong = wh_physmap_wrong(all, *n)))
        return wh_fail(&op->err, WH_PEER, "QEMU's physmap in xenstore: %s", wrong);
    *pairs = wh_take_ptr(&all);
    return true;
}

/* physmap/HEX/start_addr and its like. */
static bool is_key(const char *key)
{
    static const char first[] = "physmap/";
    size_t digits;

    if (strncmp(key, first, sizeof first - 1) != 0)
        return false;
    key += sizeof first - 1;
    digits = strspn(key, "0123456789abcdef");
    if (digits == 0 || digits > 16 || key[digits] != '/')
        return false;
    for (size_t i = 0; i < WH_COUNT(keys); i++) {
        if (strcmp(key + digits + 1, keys[i]) == 0)
            return true;
    }
    return false;
}

static bool is_value(const char *value)
{
    size_t n = strlen(value);

    for (size_t i = 0; i < n; i++) {
        if (!isgraph((unsigned char)value[i]))
            return false;
    }
    return n <= 255;
}

const char *wh_physmap_wrong(const char *pairs, size_t n)
{
    size_t count = 0;

    if (n == 0)
        return NULL;
    if (pairs[n - 1] != '\0')
        return "its last text does not end";
    for (size_t at = 0; at < n; count++) {
        const char *key = pairs + at, *value;

        at += strlen(key) + 1;
        if (at >= n)
            return "a key has no value";
        value = pairs + at;
        at += strlen(value) + 1;
        if (!is_key(key))
            return "a key is none of physmap's";
        if (!is_value(value))
            return "a value is no word";
    }
    return count > PHYSMAP_MOST * WH_COUNT(keys) ? "it has too many entries" : NULL;
}

bool wh_physmap_write(struct wh_op *op, struct wh_here *h, uint32_t domid, const char *pairs,
                      size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *key = pairs + at, *value = key + strlen(key) + 1;

        at += strlen(key) + strlen(value) + 2;
        if (!wh_store_write(op, h->store, 0, value, "/local/domain/0/device-model/%u/%s", domid,
                            key))
            return false;
    }
    return true;
}
