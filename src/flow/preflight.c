/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Preflight on the target, and what comes of the checks. */
#include "flow/preflight.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/own.h"
#include "flow/find.h"
#include "flow/preflight_parts.h"

#define ASK_MS 10000
#define OVERHEAD_KIB 4096           /* what Xen itself wants for a domain and its vCPUs */
#define CLOCKS_TELL_MS 1000
#define CLOCKS_MOST_MS 60000
#define CHECKS_MOST 64              /* that a peer may tell us of */

/* Every check there is: what may be forced. */
static const char *const names[] = {
    "config", "xen", "memory", "name", "uuid", "cpu", "disks", "network", "devicemodel", "clock",
    "guest", "passthrough", "nestedhvm", "logdirty",
};

/* ----------------------------------------------------------------------------- outcomes */

json_object *wh_check_add(json_object *checks, const char *name, bool ok, const char *format, ...)
{
    json_object *o = json_object_new_object();
    char text[2 * WH_CHECK_TEXT];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    json_object_object_add(o, "check", json_object_new_string(name));
    json_object_object_add(o, "ok", json_object_new_boolean(ok));
    json_object_object_add(o, "text", wh_json_text(text));
    json_object_array_add(checks, o);
    return o;
}

void wh_wrongs_add(struct wh_wrongs *w, const char *format, ...)
{
    size_t used = strlen(w->text);
    char text[WH_CHECK_TEXT];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (used > 0 && (w->more > 0 || used + strlen(text) + 3 > sizeof w->text))
        w->more++;
    else
        snprintf(w->text + used, sizeof w->text - used, "%s%s", used ? "; " : "", text);
}

json_object *wh_wrongs_check(json_object *checks, const char *name, const char *of,
                             const struct wh_wrongs *w)
{
    char more[32] = "";

    if (w->more > 0)
        snprintf(more, sizeof more, "; and %zu more", w->more);
    return wh_check_add(checks, name, false, "%s: %s%s", of, w->text, more);
}

bool wh_check_is_outcome(struct wh_op *op, char text[WH_CHECK_TEXT])
{
    enum wh_kind kind = op->err.kind;

    if (kind == WH_XEN || kind == WH_TIMEOUT || kind == WH_CANCELLED)
        return false;
    snprintf(text, WH_CHECK_TEXT, "%.899s", op->err.text);
    op->err = (struct wh_err){ 0 };
    return true;
}

/* ------------------------------------------------------------------------ configuration */

/* Kept for the other checks where only something of it cannot be had here.  What may not say what it says
 * is not: they look for, and run, what it names. */
static bool take_config(struct wh_err *err, struct wh_config *c, const char *text)
{
    if (!wh_config_read_json(err, text, strlen(text), c))
        return false;
    if (!wh_config_check_foreign(err, c)) {
        wh_config_free(c);
        return false;
    }
    if (c->lacks)
        wh_fail(err, WH_USAGE, "%s: is not yet supported", c->lacks);
    free(wh_take_ptr(&c->lacks));

    struct wh_err other = { 0 };
    bool whole = wh_config_complete(&other, c) && wh_config_settle(&other, c);
    if (!whole)
        wh_config_free(c);
    if (!whole && err->kind == WH_OK)
        *err = other;
    return whole;
}

static bool check_config(struct wh_op *op, struct wh_preflight *p)
{
    const char *text = wh_json_string(p->facts, "config", NULL);
    struct wh_err err = { 0 };

    wh_step(op, "read the guest's configuration", ASK_MS);
    if (!text) {
        wh_check_add(p->checks, "config", false, "the source does not say how the guest is configured");
        return true;
    }
    p->readable = take_config(&err, &p->config, text);
    if (err.kind != WH_OK)
        wh_check_add(p->checks, "config", false, "%s", err.text);
    else
        wh_check_add(p->checks, "config", true, "the target can give the guest what it says");
    return true;
}

/* Of what the configuration would have told: whether there is one. */
static bool is_known(struct wh_preflight *p, const char *name)
{
    if (!p->readable)
        wh_check_add(p->checks, name, false, "the guest's configuration cannot be used");
    return p->readable;
}

/* -------------------------------------------------------------------------------- host */

static void check_version(struct wh_preflight *p, const struct wh_host *host)
{
    uint64_t major = wh_json_number(p->facts, "xen.major", UINT64_MAX);
    uint64_t minor = wh_json_number(p->facts, "xen.minor", UINT64_MAX);
    bool older = host->major < major || (host->major == major && host->minor < minor);

    if (major > UINT16_MAX || minor > UINT16_MAX)
        wh_check_add(p->checks, "xen", false, "the source does not say which Xen it has");
    else
        wh_check_add(p->checks, "xen", !older, "Xen %u.%u on the target, %u.%u on the source%s",
                     host->major, host->minor, (unsigned)major, (unsigned)minor,
                     older ? ": no guest goes to an older one" : "");
}

/* Memory that dom0 could give back is not counted: nobody may be there who makes it. */
static void check_memory(struct wh_preflight *p, const struct wh_host *host)
{
    uint64_t kib = wh_json_number(p->facts, "memory_kib", 0), free_pages = host->free_pages;
    bool paged = p->readable && p->config.type != WH_TYPE_PV;

    if (kib == 0 || kib > WH_CONFIG_MEMKB) {
        wh_check_add(p->checks, "memory", false, "the source does not say how much the guest has");
        return;
    }
    free_pages -= free_pages < host->outstanding_pages ? free_pages : host->outstanding_pages;
    if (paged && p->config.shadow_memkb <= WH_CONFIG_MEMKB)
        kib += p->config.shadow_memkb;
    kib += OVERHEAD_KIB;
    uint64_t free_kib = free_pages * (host->page_size / 1024);
    wh_check_add(p->checks, "memory", kib <= free_kib,
                 "needs %" PRIu64 " MiB, %" PRIu64 " MiB are free on the target",
                 (kib + 1023) / 1024, free_kib / 1024);
}

static bool check_host(struct wh_op *op, struct wh_preflight *p)
{
    struct wh_host host;

    wh_step(op, "ask what the host has", ASK_MS);
    if (!wh_xen_host(op, p->h->xen, &host))
        return false;
    check_version(p, &host);
    check_memory(p, &host);
    return true;
}

/* One that is sent to the host it is on meets itself. */
static bool is_itself(struct wh_op *op, struct wh_preflight *p, uint32_t domid, bool *itself)
{
    struct wh_domain d;
    bool there;

    if (!wh_xen_domain(op, p->h->xen, domid, &d, &there))
        return false;
    *itself = there && memcmp(d.uuid, p->config.uuid.byte, sizeof d.uuid) == 0;
    return true;
}

static bool check_name(struct wh_op *op, struct wh_preflight *p)
{
    bool itself = false;
    uint32_t domid = 0;
    size_t count;

    wh_step(op, "look for the guest's name", ASK_MS);
    if (!is_known(p, "name"))
        return true;
    const char *name = wh_json_string(p->facts, "name", p->config.name);
    if (!wh_find_named(op, p->h, 0, name, &domid, &count) ||
        (count > 0 && !is_itself(op, p, domid, &itself)))
        return false;
    if (count > 0)
        wh_check_add(p->checks, "name", false, "domain %u of the target is called '%s' already%s", domid,
                     name, itself ? ", and is the guest itself, or a copy of it" : "");
    else
        wh_check_add(p->checks, "name", true, "nobody on the target is called '%s'", name);
    return true;
}

static bool check_uuid(struct wh_op *op, struct wh_preflight *p)
{
    wh_auto_free struct wh_domain *all = NULL;
    char text[WH_UUID_TEXT];
    size_t n;

    if (!is_known(p, "uuid"))
        return true;
    if (!wh_find_all(op, p->h->xen, &all, &n))
        return false;
    wh_uuid_print(p->config.uuid, text);
    for (size_t i = 0; i < n; i++) {
        if (all[i].dying || memcmp(all[i].uuid, p->config.uuid.byte, sizeof all[i].uuid) != 0)
            continue;
        wh_check_add(p->checks, "uuid", false, "domain %u of the target has %s already",
                     all[i].domid, text);
        return true;
    }
    wh_check_add(p->checks, "uuid", true, "nobody on the target has %s", text);
    return true;
}

static bool check_devices(struct wh_op *op, struct wh_preflight *p)
{
    return (!is_known(p, "disks") || wh_preflight_disks(op, p)) &&
           (!is_known(p, "network") || wh_preflight_network(op, p)) &&
           (!is_known(p, "devicemodel") || wh_preflight_model(op, p));
}

/* ------------------------------------------------------------------------------- clocks */

int64_t wh_check_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void wh_check_clock(json_object *checks, int64_t ours_ms, int64_t theirs_ms, int64_t unsure_ms)
{
    uint64_t apart = ours_ms > theirs_ms ? (uint64_t)ours_ms - (uint64_t)theirs_ms
                                         : (uint64_t)theirs_ms - (uint64_t)ours_ms;

    apart -= apart < (uint64_t)unsure_ms ? apart : (uint64_t)unsure_ms;
    if (apart > CLOCKS_TELL_MS)
        wh_check_add(checks, "clock", apart <= CLOCKS_MOST_MS,
                     "the hosts' clocks differ by %" PRIu64 ".%" PRIu64 " s", apart / 1000,
                     apart % 1000 / 100);
    else
        wh_check_add(checks, "clock", true, "the hosts' clocks agree");
}

/* Both times go back with it: the source knows how long the answer took. */
static void check_clock(struct wh_preflight *p)
{
    uint64_t sent = wh_json_number(p->facts, "time_ms", 0);
    int64_t now = wh_check_now_ms();

    if (sent == 0 || sent > INT64_MAX) {
        wh_check_add(p->checks, "clock", true, "the source does not say what time it is");
        return;
    }
    wh_check_clock(p->checks, now, (int64_t)sent, 0);
    json_object *o = json_object_array_get_idx(p->checks, json_object_array_length(p->checks) - 1);
    json_object_object_add(o, "sent_ms", json_object_new_uint64(sent));
    json_object_object_add(o, "time_ms", json_object_new_int64(now));
}

/* --------------------------------------------------------------------------- the target */

bool wh_preflight_check(struct wh_op *op, struct wh_here *h, json_object *facts,
                        json_object **checks)
{
    struct wh_preflight p = { .h = h, .facts = facts, .checks = json_object_new_array(),
                              .config = wh_config_empty() };
    bool ok = check_config(op, &p) && check_host(op, &p) && check_name(op, &p) &&
              check_uuid(op, &p) && wh_preflight_cpu(op, &p) && check_devices(op, &p);

    if (ok)
        check_clock(&p);
    wh_config_free(&p.config);
    *checks = ok ? p.checks : NULL;
    if (!ok)
        json_object_put(p.checks);
    return ok || wh_while(&op->err, "look whether the guest can come");
}

/* ------------------------------------------------------------------------ what comes of it */

static bool is_name(json_object *checks, const char *name)
{
    for (size_t i = 0; i < WH_COUNT(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        if (strcmp(wh_json_string(json_object_array_get_idx(checks, i), "check", ""), name) == 0)
            return true;
    }
    return false;
}

/* The next of "cpu,disks" from *list on; false: there is none. */
static bool next_name(const char **list, char name[32])
{
    size_t n = strcspn(*list, ",");

    if (!**list)
        return false;
    snprintf(name, 32, "%.*s", (int)(n < 31 ? n : 31), *list);
    *list += n + ((*list)[n] == ',');
    return true;
}

static bool know_names(struct wh_op *op, json_object *checks, const char *const *forced, size_t n)
{
    char name[32];

    for (size_t i = 0; i < n; i++) {
        for (const char *list = forced[i]; next_name(&list, name);) {
            if (!is_name(checks, name))
                return wh_fail(&op->err, WH_USAGE, "there is no check '%s' to be forced", name);
        }
    }
    return true;
}

static bool is_forced(const char *check, const char *const *forced, size_t n)
{
    char name[32];

    for (size_t i = 0; i < n; i++) {
        for (const char *list = forced[i]; next_name(&list, name);) {
            if (strcmp(name, check) == 0)
                return true;
        }
    }
    return false;
}

bool wh_preflight_passed(struct wh_op *op, json_object *checks, const char *const *forced,
                         size_t n)
{
    const char *first = NULL, *text = NULL;
    size_t more = 0;

    if (!json_object_is_type(checks, json_type_array) ||
        json_object_array_length(checks) > CHECKS_MOST)
        return wh_fail(&op->err, WH_PEER, "the target's answer is no list of checks");
    if (!know_names(op, checks, forced, n))
        return false;
    for (size_t i = 0; i < json_object_array_length(checks); i++) {
        json_object *o = json_object_array_get_idx(checks, i);
        const char *name = wh_json_string(o, "check", "?");

        if (wh_json_true(o, "ok"))
            continue;
        if (is_forced(name, forced, n)) {
            json_object_object_add(o, "forced", json_object_new_boolean(true));
            continue;
        }
        more += first != NULL;
        text = first ? text : wh_json_string(o, "text", "it does not hold");
        first = first ? first : name;
    }
    if (!first)
        return true;
    if (more > 0)
        return wh_fail(&op->err, WH_USAGE, "%.40s: %.850s; %zu more check%s not hold", first, text,
                       more, more == 1 ? " does" : "s do");
    return wh_fail(&op->err, WH_USAGE, "%.40s: %.900s", first, text);
}
