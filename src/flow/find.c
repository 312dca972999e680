/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The domain that is meant.  Of what somebody writes, digits are a number, as with xl; all else is
 * a name, and if nobody has that name, perhaps a uuid. */
#include "flow/find.h"

#include <string.h>

#include "base/own.h"
#include "base/json.h"
#include "flow/domain.h"

#define STEP 64                 /* domains asked for at once */
#define VCPUS_MAX 8192
#define DIGITS 5                /* of the greatest domain number, 32751 */

bool wh_find_all(struct wh_op *op, struct wh_xen *x, struct wh_domain **ret, size_t *n)
{
    wh_auto_free struct wh_domain *all = NULL;
    size_t had = 0, got;

    do {
        struct wh_domain *more = reallocarray(all, had + STEP, sizeof *all);

        if (!more)
            return wh_fail(&op->err, WH_SYSTEM, "no memory for %zu domains", had + STEP);
        all = more;
        if (!wh_xen_domains(op, x, had ? all[had - 1].domid + 1 : 0, all + had, STEP, &got))
            return wh_while(&op->err, "list the domains");
        had += got;
    } while (got == STEP);
    *ret = wh_take_ptr(&all);
    *n = had;
    return true;
}

static bool read_name(struct wh_op *op, struct wh_here *h, uint32_t tx, uint32_t domid, char **name)
{
    return wh_store_read(op, h->store, tx, name, "/local/domain/%u/name", domid) ||
           wh_while(&op->err, "read the name of domain %u", domid);
}

bool wh_find_name(struct wh_op *op, struct wh_here *h, uint32_t domid, char **name)
{
    return read_name(op, h, 0, domid, name);
}

bool wh_find_named(struct wh_op *op, struct wh_here *h, uint32_t tx, const char *name,
                   uint32_t *domid, size_t *count)
{
    wh_auto_free struct wh_domain *all = NULL;
    size_t n;

    *count = 0;
    if (!wh_find_all(op, h->xen, &all, &n))
        return false;
    for (size_t i = 0; i < n; i++) {
        wh_auto_free char *its = NULL;

        if (!read_name(op, h, tx, all[i].domid, &its))
            return false;
        if (its && strcmp(its, name) == 0 && (*count)++ == 0)
            *domid = all[i].domid;
    }
    return true;
}

static bool by_uuid(struct wh_op *op, struct wh_here *h, const char *who, uint32_t *domid,
                    bool *found)
{
    wh_auto_free struct wh_domain *all = NULL;
    struct wh_uuid u;
    size_t n;

    *found = false;
    if (!wh_uuid_parse(who, &u) || wh_uuid_is_zero(u))
        return true;
    if (!wh_find_all(op, h->xen, &all, &n))
        return false;
    for (size_t i = 0; i < n && !*found; i++) {
        *found = memcmp(all[i].uuid, u.byte, sizeof u.byte) == 0;
        *domid = all[i].domid;
    }
    return true;
}

static bool nobody(struct wh_op *op, const char *who)
{
    return wh_fail(&op->err, WH_USAGE, "there is no domain '%s'", who);
}

static bool is_number(const char *who, uint32_t *domid)
{
    size_t n = strlen(who);

    if (n == 0 || strspn(who, "0123456789") != n)
        return false;
    while (n > DIGITS && *who == '0') {
        who++;
        n--;
    }
    *domid = n > DIGITS ? WH_DOMID_NONE : (uint32_t)strtoul(who, NULL, 10);
    return true;
}

static bool by_number(struct wh_op *op, struct wh_here *h, const char *who, uint32_t domid)
{
    struct wh_domain d;
    bool there = false;

    if (domid != WH_DOMID_NONE && !wh_xen_domain(op, h->xen, domid, &d, &there))
        return false;
    return there || nobody(op, who);
}

bool wh_domain_find(struct wh_op *op, struct wh_here *h, const char *who, uint32_t *domid)
{
    size_t count = 0;
    bool found;

    if (is_number(who, domid))
        return by_number(op, h, who, *domid);
    if (!wh_find_named(op, h, 0, who, domid, &count))
        return false;
    if (count > 1)
        return wh_fail(&op->err, WH_USAGE, "%zu domains are called '%s': say which by its number",
                       count, who);
    if (count == 1)
        return true;
    if (!by_uuid(op, h, who, domid, &found))
        return false;
    return found || nobody(op, who);
}

bool wh_find_one(struct wh_op *op, struct wh_here *h, const char *who, struct wh_domain *d)
{
    uint32_t domid;
    bool there;

    if (!wh_domain_find(op, h, who, &domid) || !wh_xen_domain(op, h->xen, domid, d, &there))
        return false;
    return there || nobody(op, who);
}

bool wh_find_these(struct wh_op *op, struct wh_here *h, const char *who, struct wh_domain **d,
                   size_t *n)
{
    if (!who)
        return wh_find_all(op, h->xen, d, n);
    wh_auto_free struct wh_domain *one = malloc(sizeof *one);
    if (!one)
        return wh_fail(&op->err, WH_SYSTEM, "no memory for a domain");
    if (!wh_find_one(op, h, who, one))
        return false;
    *d = wh_take_ptr(&one);
    *n = 1;
    return true;
}

/* Xen says the greatest of numbers of a domain that is only being made. */
uint32_t wh_find_vcpus(const struct wh_domain *d)
{
    return d->vcpu_last < VCPUS_MAX ? d->vcpu_last + 1 : 0;
}

const char *wh_find_uuid(const struct wh_domain *d, char text[WH_UUID_TEXT])
{
    struct wh_uuid u;

    memcpy(u.byte, d->uuid, sizeof u.byte);
    return wh_uuid_print(u, text);
}

const char *wh_find_type(const struct wh_domain *d)
{
    return !d->hvm ? "pv" : d->emulated ? "hvm" : "pvh";
}

const char *wh_find_reason(const struct wh_domain *d)
{
    static const char *const words[] = {
        [WH_POWEROFF] = "poweroff", [WH_REBOOT] = "reboot",     [WH_SUSPEND] = "suspend",
        [WH_CRASH] = "crash",       [WH_WATCHDOG] = "watchdog", [WH_SOFT_RESET] = "soft_reset",
    };

    if (!d->shutdown)
        return NULL;
    return (size_t)d->reason < WH_COUNT(words) ? words[d->reason] : "unknown";
}

json_object *wh_find_json(const struct wh_domain *d, const char *name)
{
    json_object *o = json_object_new_object();
    char uuid[WH_UUID_TEXT];

    json_object_object_add(o, "domid", json_object_new_uint64(d->domid));
    json_object_object_add(o, "name", wh_json_text(name));
    json_object_object_add(o, "uuid", json_object_new_string(wh_find_uuid(d, uuid)));
    return o;
}
