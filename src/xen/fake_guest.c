/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guests of the fake: their contents, an HVM guest's state, and their nodes in xenstore. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "xen/fake_calls.h"
#include "xen/fake_parts.h"
#include "xen/fake_tree.h"

#define SPECIAL   0xfeff8u      /* the first of an HVM guest's eight special pages */
#define SLACK     256u          /* pages it may have beyond its memory */

/* --------------------------------------------------------------------------------- contents */

void wh_fake_contents(const struct fake_domain *d, uint64_t pfn, const struct wh_fake_guest *g,
                      uint64_t *seed)
{
    uint64_t *word = (uint64_t *)(void *)fake_at(d, pfn), s = wh_fake_random(seed) | 1;

    if ((s >> 8) % 100 < g->zero_percent) {
        memset(word, 0, FAKE_PAGE);
        return;
    }
    for (unsigned i = 0; i < FAKE_PAGE / sizeof *word; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        word[i] = s;
    }
}

static void add(struct wh_fake *f, struct fake_domain *d, uint64_t pfn)
{
    errno = wh_fake_add(f, d, pfn);
    if (errno)
        wh_fake_die("memory for a guest");
}

/* ------------------------------------------------------------------------------- HVM context */

struct context {
    uint8_t bytes[65536];
    size_t n;
};

static void put_record(struct context *c, uint16_t code, uint16_t instance, const void *bytes,
                       uint32_t n)
{
    uint16_t head[2] = { code, instance };

    memcpy(c->bytes + c->n, head, sizeof head);
    memcpy(c->bytes + c->n + 4, &n, sizeof n);
    if (n)
        memcpy(c->bytes + c->n + 8, bytes, n);
    c->n += 8 + n;
}

/* clang-format off */
static const struct {
    uint16_t code, n;
    bool per_vcpu, only_hvm;
} records[] = {
    {  2, 1032, true,  false },     /* CPU */
    {  3,    8, false, true  },     /* PIC */
    {  4,  400, false, true  },     /* IOAPIC */
    {  5,   24, true,  false },     /* LAPIC */
    {  6, 1024, true,  false },     /* LAPIC_REGS */
    {  7,   16, false, false },     /* PCI_IRQ */
    {  8,    8, false, false },     /* ISA_IRQ */
    {  9,    8, false, false },     /* PCI_LINK */
    { 10,   56, false, true  },     /* PIT */
    { 11,   24, false, true  },     /* RTC */
    { 12, 1048, false, true  },     /* HPET */
    { 13,    8, false, true  },     /* PMTIMER */
    { 14,  240, true,  false },     /* MTRR */
    { 18,   32, true,  false },     /* VMCE_VCPU */
    { 19,    8, true,  false },     /* TSC_ADJUST */
};
/* clang-format on */

static void fill_context(struct fake_domain *d, const struct wh_fake_guest *g, uint64_t *seed)
{
    wh_auto_free struct context *c = wh_fake_alloc(sizeof *c);
    uint32_t head[6] = { 0x54381286, 1, 0, 0, 0x00800f12, 2000000 };
    uint64_t bytes[1048 / 8];

    put_record(c, 1, 0, head, sizeof head);
    for (size_t i = 0; i < WH_COUNT(records); i++) {
        if (records[i].only_hvm && g->kind != WH_FAKE_HVM)
            continue;
        for (uint16_t v = 0; v < (records[i].per_vcpu ? d->vcpus : 1); v++) {
            for (size_t j = 0; j < WH_COUNT(bytes); j++)
                bytes[j] = wh_fake_random(seed);
            put_record(c, records[i].code, v, bytes, records[i].n);
        }
    }
    put_record(c, 0, 0, NULL, 0);
    wh_fake_blob_set(&d->hvm_context, c->bytes, c->n);
}

static void fill_vcpus(struct fake_domain *d, uint64_t *seed)
{
    for (uint32_t v = 0; v < d->vcpus; v++) {
        for (size_t i = 0; i < WH_VCPU_CONTEXT; i += 8)
            memcpy(d->vcpu[v].context + i, &(uint64_t){ wh_fake_random(seed) }, 8);
        d->vcpu[v].set = d->vcpu[v].online = true;
    }
}

static void fill_params(struct fake_domain *d, const struct wh_fake_guest *g)
{
    static const struct {
        uint8_t index, page;
    } special[] = { { 27, 0 }, { 28, 1 }, { 29, 2 }, { 6, 3 }, { 1, 4 }, { 5, 5 }, { 17, 7 } };

    for (size_t i = 0; i < WH_COUNT(special); i++)
        d->param[special[i].index] = SPECIAL + special[i].page;
    d->param[12] = (uint64_t)(SPECIAL + 6) * FAKE_PAGE;         /* IDENT_PT */
    d->param[0] = g->plain ? 0 : UINT64_C(0x0200000000000000) | 0xf3;   /* CALLBACK_IRQ */
    if (g->kind != WH_FAKE_HVM)
        return;
    d->param[37] = UINT64_C(0xfc000) << 32 | 0x80;              /* VM86_TSS_SIZED */
    d->param[19] = 1;                                           /* ACPI_IOPORTS_LOCATION */
    d->param[32] = SPECIAL - 8;                                 /* IOREQ_SERVER_PFN */
    d->param[33] = 8;
}

void wh_fake_fill(struct wh_fake *f, struct fake_domain *d, const struct wh_fake_guest *g,
                  uint64_t *store, uint64_t *console)
{
    uint64_t seed = g->seed * 2654435761u + 1, pages = (uint64_t)g->mb * 256;

    for (uint64_t pfn = 0; pfn < pages; pfn++) {
        bool vga = g->kind == WH_FAKE_HVM && pfn >= 0xa0 && pfn < 0xc0;

        if (vga || (pfn >= pages / 2 && wh_fake_random(&seed) % 100 < g->holes_percent))
            continue;
        add(f, d, pfn);
        wh_fake_contents(d, pfn, g, &seed);
    }
    for (unsigned i = 0; i < 8; i++) {
        add(f, d, SPECIAL + i);
        wh_fake_contents(d, SPECIAL + i, g, &seed);
    }
    fill_params(d, g);
    fill_context(d, g, &seed);
    fill_vcpus(d, &seed);
    *store = d->param[1];
    *console = d->param[17];
}

/* ---------------------------------------------------------------------- what all kinds have */

static void seed_grants(struct wh_fake *f, const struct fake_domain *d, uint64_t store,
                        uint32_t store_domid, uint64_t console, uint32_t console_domid)
{
    uint8_t *table = f->heap_base + d->grants * FAKE_PAGE;
    const uint64_t frame[2] = { console, store };
    const uint32_t domid[2] = { console_domid, store_domid };

    for (unsigned i = 0; i < 2; i++) {
        uint16_t head[2] = { 1, (uint16_t)domid[i] };
        uint32_t low = (uint32_t)frame[i];

        memcpy(table + i * 8 + 4, &low, sizeof low);
        memcpy(table + i * 8, head, sizeof head);
    }
}

static void fill(struct wh_fake *f, struct fake_domain *d, const struct wh_fake_guest *g,
                 uint64_t *store, uint64_t *console)
{
    struct wh_op op;

    if (!wh_op_init(&op))
        wh_fake_die("an operation");
    wh_fake_default_policy(&op, f, d->domid, false, false, false);
    wh_op_done(&op);
    (g->kind == WH_FAKE_PV ? wh_fake_fill_pv : wh_fake_fill)(f, d, g, store, console);
}

bool wh_fake_build(FAKE_OP_D, struct wh_build *b)
{
    struct fake_domain *d = wh_fake_get(op, f, domid, "building");
    uint64_t need = b->target_kb / 4;

    if (!d)
        return false;
    if (need < 1024 || d->pages || d->spec.hvm != b->hvm || d->spec.emulated != b->emulated ||
        !d->vcpus || (b->emulated && !b->bios))
        return wh_fake_refuse(op, domid, "building", EINVAL);
    if (need > d->max_pages || need + 16 > f->free_pages)
        return wh_fake_refuse(op, domid, "building", ENOMEM);
    d->max_pages = d->max_pages < need + 16 ? need + 16 : d->max_pages;
    struct wh_fake_guest g = { .kind = b->emulated ? WH_FAKE_HVM : b->hvm ? WH_FAKE_PVH : WH_FAKE_PV,
                               .mb = (unsigned)(need / 256), .seed = domid, .zero_percent = 80,
                               .width = d->width };
    fill(f, d, &g, &b->store_frame, &b->console_frame);
    seed_grants(f, d, b->store_frame, b->store_domid, b->console_frame, b->console_domid);
    return true;
}

/* ---------------------------------------------------------------------------------- xenstore */

/* A node as libxl leaves it: owner, and who else may read. */
static void node(struct wh_fake *f, uint32_t owner, uint32_t reader, const char *value,
                 const char *path, ...)
{
    char text[WH_STORE_PATH];
    va_list ap;

    va_start(ap, path);
    vsnprintf(text, sizeof text, path, ap);
    va_end(ap);
    wh_fake_store_set(f, 0, text, value);
    struct fake_node *n = wh_fake_node_at(f->tree, text);
    n->perm[0] = (struct wh_perm){ .domid = owner };
    n->perm[1] = (struct wh_perm){ .domid = reader, .read = true };
    n->perms = 1 + (reader != owner);
}

static void announce(struct wh_fake *f, const struct fake_domain *d, const struct wh_fake_guest *g,
                     uint64_t store)
{
    static const char *const ro[] = { "cpu", "memory", "device", "control" };
    static const char *const rw[] = { "device/suspend/event-channel", "control/shutdown",
                                      "control/feature-poweroff", "control/feature-reboot",
                                      "control/feature-suspend", "control/sysrq", "data",
                                      "drivers", "feature", "attr", "error" };
    static const char *const types[] = { "pvh", "hvm", "pv" };
    char dom[64], vm[64], text[64];
    uint32_t n = d->domid;

    snprintf(dom, sizeof dom, "/local/domain/%u", n);
    wh_fake_uuid(d, strcpy(vm, "/vm/") + 4);
    node(f, 0, n, "", "%s", dom);
    node(f, 0, n, "", "%s", vm);
    node(f, 0, n, vm + 4, "%s/uuid", vm);
    node(f, 0, n, g->name, "%s/name", vm);
    node(f, 0, 0, "", "/libxl/%u", n);
    node(f, 0, 0, "", "/libxl/%u/device", n);
    node(f, 0, 0, types[g->kind], "/libxl/%u/type", n);
    node(f, 0, n, vm, "%s/vm", dom);
    node(f, 0, n, g->name, "%s/name", dom);
    for (size_t i = 0; i < WH_COUNT(ro); i++)
        node(f, 0, n, "", "%s/%s", dom, ro[i]);
    for (size_t i = 0; i < WH_COUNT(rw); i++)
        node(f, n, n, "", "%s/%s", dom, rw[i]);
    snprintf(text, sizeof text, "%u", g->mb * 1024);
    node(f, 0, n, text, "%s/memory/static-max", dom);
    node(f, 0, n, text, "%s/memory/target", dom);
    snprintf(text, sizeof text, "%u", n);
    node(f, 0, n, text, "%s/domid", dom);
    node(f, 0, n, "1", "%s/store/port", dom);
    snprintf(text, sizeof text, "%llu", (unsigned long long)store);
    node(f, 0, n, text, "%s/store/ring-ref", dom);
    for (uint32_t v = 0; v < d->vcpus; v++)
        node(f, 0, n, d->vcpu[v].online ? "online" : "offline", "%s/cpu/%u/availability", dom, v);
    wh_fake_store_set(f, n, strcat(strcpy(text, dom), "/control/feature-suspend"), "1");
}

static struct wh_domain_spec spec_of(const struct wh_fake_guest *g)
{
    struct wh_domain_spec s = {
        .hvm = g->kind != WH_FAKE_PV, .hap = g->kind != WH_FAKE_PV,
        .emulated = g->kind == WH_FAKE_HVM,
        .vcpus = g->vcpus ? g->vcpus : 1, .event_channels = 1023,
        .grant_frames = -1, .maptrack_frames = -1,
    };
    uint64_t seed = g->seed + 77;

    for (size_t i = 0; i < sizeof s.uuid; i += 8)
        memcpy(s.uuid + i, &(uint64_t){ wh_fake_random(&seed) }, 8);
    return s;
}

uint32_t wh_fake_guest(struct wh_fake *f, const struct wh_fake_guest *g)
{
    FAKE_LOCKED(f);
    struct wh_domain_spec s = spec_of(g);
    struct fake_domain *d = wh_fake_make(f, &s);
    uint64_t store, console;

    snprintf(d->name, sizeof d->name, "%s", g->name);
    d->vcpus = s.vcpus;
    d->width = g->kind == WH_FAKE_PV && g->width ? g->width : 8;
    d->max_pages = (uint64_t)g->mb * 256 + SLACK;
    d->tsc = (struct wh_tsc){ .khz = 2000000, .elapsed_ns = 25095927020, .incarnation = 1 };
    fill(f, d, g, &store, &console);
    uint32_t store_port = wh_fake_give_port(f, d), console_port = wh_fake_give_port(f, d);
    if (s.hvm) {
        d->param[2] = store_port;
        d->param[18] = console_port;
    }
    seed_grants(f, d, store, 0, console, 0);
    announce(f, d, g, store);
    d->introduced = true;
    d->pause_count = 0;
    d->has_run = true;
    return d->domid;
}
