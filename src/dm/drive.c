/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "dm/drive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/own.h"

#define NAME_MOST 128

const char *wh_drive_id(uint32_t number, char id[WH_DRIVE_ID])
{
    snprintf(id, WH_DRIVE_ID, "ide-%u", number);
    return id;
}

static json_object *about(const char *id)
{
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "id", json_object_new_string(id));
    return arguments;
}

/* ------------------------------------------------------------------------------- looking */

/* "/dev/fdset/3", alone or within a description. */
static int64_t set_in(const char *file)
{
    static const char first[] = "/dev/fdset/";
    const char *at = strstr(file, first);
    unsigned long set;

    if (!at || at[sizeof first - 1] < '0' || at[sizeof first - 1] > '9')
        return WH_DRIVE_NO_SET;
    set = strtoul(at + sizeof first - 1, NULL, 10);
    return set > INT32_MAX ? WH_DRIVE_NO_SET : (int64_t)set;
}

bool wh_drive_look(struct wh_op *op, struct wh_qmp *qmp, const char *id, int64_t *set)
{
    wh_auto_json json_object *all = NULL;

    *set = WH_DRIVE_NO_SET;
    if (!wh_qmp_call(op, qmp, "query-block", NULL, -1, &all))
        return false;
    size_t n = json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;
    for (size_t i = 0; i < n; i++) {
        json_object *one = json_object_array_get_idx(all, i);

        if (strcmp(wh_json_string(one, "qdev", ""), id) != 0)
            continue;
        *set = set_in(wh_json_string(one, "inserted.file", ""));
        return true;
    }
    return wh_fail(&op->err, WH_PEER, "QEMU has no drive %s", id);
}

/* -------------------------------------------------------------------------------- moving */

bool wh_drive_eject(struct wh_op *op, struct wh_qmp *qmp, const char *id)
{
    json_object *arguments = about(id);

    json_object_object_add(arguments, "force", json_object_new_boolean(true));
    return wh_qmp_call(op, qmp, "eject", arguments, -1, NULL);
}

bool wh_drive_release(struct wh_op *op, struct wh_qmp *qmp, int64_t set)
{
    struct wh_err before = op->err;
    json_object *arguments;

    if (set == WH_DRIVE_NO_SET)
        return true;
    arguments = json_object_new_object();
    json_object_object_add(arguments, "fdset-id", json_object_new_int64(set));
    if (wh_qmp_call(op, qmp, "remove-fd", arguments, -1, NULL))
        return true;
    if (!wh_qmp_refused(qmp, "GenericError"))
        return false;
    op->err = before;
    return true;
}

/* QEMU takes what has a set's name for a regular file, and refuses a block device then. */
static bool name_it(struct wh_op *op, int fd, int64_t set, const char *format, char name[NAME_MOST])
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return wh_fail_sys(&op->err, errno, "look at the medium");
    if (S_ISBLK(st.st_mode))
        snprintf(name, NAME_MOST, "json:{\"driver\": \"%s\", \"file\": {\"driver\": "
                 "\"host_device\", \"filename\": \"/dev/fdset/%lld\"}}", format, (long long)set);
    else
        snprintf(name, NAME_MOST, "/dev/fdset/%lld", (long long)set);
    return true;
}

static bool change(struct wh_op *op, struct wh_qmp *qmp, const char *id, const char *name,
                   const char *format)
{
    json_object *arguments = about(id);

    json_object_object_add(arguments, "filename", json_object_new_string(name));
    json_object_object_add(arguments, "format", json_object_new_string(format));
    json_object_object_add(arguments, "read-only-mode", json_object_new_string("read-only"));
    return wh_qmp_call(op, qmp, "blockdev-change-medium", arguments, -1, NULL);
}

bool wh_drive_insert(struct wh_op *op, struct wh_qmp *qmp, const char *id, int fd,
                     const char *format)
{
    char name[NAME_MOST];
    uint64_t set;

    if (!wh_qmp_add_fd(op, qmp, fd, &set))
        return false;
    if (name_it(op, fd, (int64_t)set, format, name) && change(op, qmp, id, name, format))
        return true;
    struct wh_err why = op->err;
    op->err = (struct wh_err){ 0 };
    wh_drive_release(op, qmp, (int64_t)set);
    op->err = why;
    return false;
}
