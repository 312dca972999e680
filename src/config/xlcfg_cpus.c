/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The physical CPUs that vCPUs may run on: cpus = "0-3,^1", cpus = ["0", "2-3"], cpus = "all". */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/xlcfg.h"

/* libxl's sets of CPUs have whole bytes. */
static unsigned host_cpus(const struct wh_xlcfg_reader *r)
{
    unsigned n = (r->from->host_cpus + 7) / 8 * 8;

    return n > 0 && n < WH_BITS_MAX ? n : WH_BITS_MAX;
}

static const char *blanks(const char *p)
{
    return p + strspn(p, " \t");
}

/* A CPU's number; the next byte after it, NULL: there is none. */
static const char *cpu(const char *p, unsigned *number)
{
    unsigned n = 0;

    if (!isdigit((unsigned char)*p))
        return NULL;
    for (; isdigit((unsigned char)*p); p++)
        n = n < WH_BITS_MAX ? n * 10 + (unsigned)(*p - '0') : n;
    *number = n;
    return p;
}

static bool apply(struct wh_bits *set, unsigned first, unsigned end, bool without)
{
    for (unsigned i = first; i < end; i++) {
        if (without)
            wh_bits_remove(set, i);
        else if (!wh_bits_add(set, i))
            return false;
    }
    return true;
}

/* One piece between commas: the next byte after it, NULL: it is none. */
static const char *piece(const struct wh_xlcfg_reader *r, const char *p, struct wh_bits *set)
{
    unsigned limit = host_cpus(r), first = 0, last = limit - 1;
    bool without = *p == '^';

    p = blanks(p + without);
    if (strncmp(p, "all", 3) == 0) {
        p += 3;
    } else {
        p = cpu(p, &first);
        last = first;
        if (p && *p == '-')
            p = cpu(p + 1, &last);
        if (!p || last < first)
            return NULL;
    }
    if (last >= limit)
        last = limit - 1;
    return apply(set, first, last + 1, without) ? blanks(p) : NULL;
}

static bool read_set(struct wh_xlcfg_reader *r, const char *key, const char *text,
                     struct wh_bits *set)
{
    const char *p = blanks(text);

    if (strstr(text, "node"))
        return wh_xlcfg_wrong(r, key, "CPUs by NUMA node are not yet supported");
    if (strstr(text, "all") && r->from->host_cpus == 0)
        return wh_xlcfg_wrong(r, key, "\"all\" is not known here: no Xen to ask for its CPUs");
    while (p && *p) {
        p = piece(r, p, set);
        if (p && *p != '\0')
            p = *p == ',' && p[1] != '\0' ? blanks(p + 1) : NULL;
    }
    if (!p)
        return wh_xlcfg_wrong(r, key, "expected CPUs like 0-3,^1, found \"%.100s\"", text);
    return wh_bits_end(set) > 0 || wh_xlcfg_wrong(r, key, "expected a CPU of this host, found none "
                                                  "in \"%.100s\"", text);
}

static bool make(struct wh_xlcfg_reader *r, struct wh_affinity *a, size_t n)
{
    a->of = n > 0 ? calloc(n, sizeof *a->of) : NULL;
    a->n = a->of ? n : 0;
    return n == 0 || a->of || wh_fail(r->err, WH_SYSTEM, "out of memory");
}

/* A single set is every vCPU's; of a list, what is more than there are vCPUs is left. */
static bool read_one(struct wh_xlcfg_reader *r, const char *key, struct wh_affinity *a)
{
    XLU_ConfigList *list = NULL;
    const char *text = NULL;
    int vcpus = r->c->max_vcpus, n = 0;
    size_t pins = 0;

    if (xlu_cfg_get_list(r->cfg, key, &list, &n, 1) != 0 && !wh_xlcfg_string(r, key, &text))
        return false;
    if (!list && !text)
        return true;
    if (!make(r, a, (size_t)(text || n > vcpus ? vcpus : n)))
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (list && !wh_xlcfg_item(r, key, list, (int)i, &text))
            return false;
        if (!read_set(r, key, text, &a->of[i]))
            return false;
        pins += wh_bits_count(&a->of[i]);
        if (pins > WH_CONFIG_PINS / 2)
            return wh_xlcfg_wrong(r, key, "expected at most %d CPUs for all vCPUs together",
                                  WH_CONFIG_PINS / 2);
    }
    if (list || a == &r->c->soft_affinity)
        r->c->numa_placement = WH_NO;
    return true;
}

bool wh_xlcfg_cpus(struct wh_xlcfg_reader *r)
{
    struct wh_config *c = r->c;
    bool hard = xlu_cfg_get_list(r->cfg, "cpus", NULL, NULL, 1) != ESRCH;
    bool soft = xlu_cfg_get_list(r->cfg, "cpus_soft", NULL, NULL, 1) != ESRCH;

    /* xl forgets the pinning of a guest whose vCPUs are not said; we say them. */
    if ((hard || soft) && c->max_vcpus == 0) {
        c->max_vcpus = 1;
        if (!wh_bits_add(&c->avail_vcpus, 0))
            return wh_fail(r->err, WH_SYSTEM, "out of memory");
    }
    return read_one(r, "cpus", &c->hard_affinity) && read_one(r, "cpus_soft", &c->soft_affinity);
}
