/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Give a domain another name: in /local/domain/N/name, where every toolstack looks for it, and in
 * /vm/UUID/name, both in one transaction. */
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "config/config.h"
#include "base/json.h"
#include "flow/change.h"
#include "flow/find.h"
#include "flow/task.h"

struct rename {
    struct wh_task task;
    char *name;
};

/* Names become parts of xenstore paths and of files' names (/var/log/xen), and stand in tables. */
bool wh_change_name_good(struct wh_op *op, const char *name)
{
    size_t n = strlen(name);

    if (n == 0)
        return wh_fail(&op->err, WH_USAGE, "a name has at least one character");
    if (n > WH_CONFIG_NAME)
        return wh_fail(&op->err, WH_USAGE, "a name has at most %d bytes, not %zu", WH_CONFIG_NAME,
                       n);
    if (strspn(name, "0123456789") == n)
        return wh_fail(&op->err, WH_USAGE, "'%s' is a number, and would be taken for a domain's",
                       name);
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || *p == '/' || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return wh_fail(&op->err, WH_USAGE, "a name has no slash and no control character");
    }
    return true;
}

static bool is_free(struct wh_op *op, struct wh_here *h, uint32_t tx, const char *name,
                    uint32_t domid)
{
    uint32_t other = domid;
    size_t count;

    if (!wh_find_named(op, h, tx, name, &other, &count))
        return false;
    if (count > 0 && other != domid)
        return wh_fail(&op->err, WH_USAGE, "domain %u is called '%s' already", other, name);
    return true;
}

/* All names are read within the transaction: of two renames to one name at the same moment one has
 * to begin anew, and then sees the other.  Domain 0 has no second node. */
static bool write_both(struct wh_op *op, struct wh_here *h, uint32_t tx, const struct wh_domain *d,
                       void *name)
{
    char uuid[WH_UUID_TEXT];

    return is_free(op, h, tx, name, d->domid) &&
           wh_store_write(op, h->store, tx, name, "/local/domain/%u/name", d->domid) &&
           (d->domid == 0 ||
            wh_store_write(op, h->store, tx, name, "/vm/%s/name", wh_find_uuid(d, uuid)));
}

bool wh_change_name(struct wh_op *op, struct wh_here *h, const struct wh_domain *d, const char *name)
{
    return (wh_change_name_good(op, name) && wh_change(op, h, d, write_both, (char *)(uintptr_t)name, NULL)) ||
           wh_while(&op->err, "rename domain %u", d->domid);
}

static bool rename_it(struct wh_op *op, struct wh_task *t)
{
    const char *who = wh_task_who(t);
    char *name = ((struct rename *)t)->name;
    wh_auto_free char *old = NULL;
    struct wh_domain d;

    wh_step(op, "rename the domain", WH_STORE_MS);
    if (!wh_change_name_good(op, name) || !wh_find_one(op, t->here, who ? who : "", &d) ||
        !wh_find_name(op, t->here, d.domid, &old))
        return false;
    if ((!old || strcmp(old, name) != 0) && !wh_change(op, t->here, &d, write_both, name, NULL))
        return wh_while(&op->err, "rename domain %u", d.domid);
    t->result = wh_find_json(&d, name);
    json_object_object_add(t->result, "old_name", wh_json_text(old));
    return true;
}

static void drop(struct wh_task *t)
{
    free(((struct rename *)t)->name);
}

struct wh_job *wh_rename_new(const char *domain, const char *name)
{
    struct rename *r = wh_task_make(sizeof *r, domain, rename_it);

    if (!r)
        return NULL;
    r->task.drop = drop;
    r->name = strdup(name);
    if (!r->name) {
        wh_job_free(&r->task.job);
        return NULL;
    }
    return &r->task.job;
}
