/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The real hypervisor: a domain's memory. */
#include "xen/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"

#define M2P_CHUNK (2u << 20)
#define KEEP_LEAST 256              /* pages: smaller mappings are not worth a place */
#define KEEP_MAPS 16384             /* a quarter of what the kernel lets a process have */
#define KEEP_PART 8                 /* of the memory that is free goes into page tables at most */

bool wh_real_frames(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *n)
{
    xen_pfn_t got;

    if (xc_domain_nr_gpfns(wh_real(x)->xc, domid, &got) < 0)
        return wh_real_fail(op, x, domid, "the size");
    *n = got;
    return true;
}

/* Xen wants the type's bits at 31-28 of each word, and gives nothing else back. */
bool wh_real_types(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame, size_t n)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(uint64_t, array);
    struct xen_domctl d = { .u.getpageframeinfo3.num = n };

    array = xc_hypercall_buffer_alloc(xc, array, n * sizeof *array);
    if (!array)
        return wh_real_fail(op, x, domid, "page types");
    memcpy(array, frame, n * sizeof *array);
    set_xen_guest_handle(d.u.getpageframeinfo3.array, array);
    int rc = wh_real_domctl(x, XEN_DOMCTL_getpageframeinfo3, domid, &d);
    int sys = errno;
    for (size_t i = 0; rc == 0 && i < n; i++)
        frame[i] = (array[i] >> XEN_DOMCTL_PFINFO_LTAB_SHIFT) & 0xf;
    xc_hypercall_buffer_free(xc, array);
    errno = sys;
    return rc == 0 || wh_real_fail(op, x, domid, "page types");
}

bool wh_real_populate(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t *frame,
                      size_t n, unsigned order)
{
    return xc_domain_populate_physmap_exact(wh_real(x)->xc, domid, n, order, 0, frame) == 0 ||
           wh_real_fail(op, x, domid, "giving memory to");
}

bool wh_real_release(struct wh_op *op, struct wh_xen *x, uint32_t domid, const uint64_t *frame, size_t n)
{
    uint64_t list[WH_BATCH_MAX];            /* libxc's are not const */

    memcpy(list, frame, n * sizeof *frame);
    return xc_domain_decrease_reservation_exact(wh_real(x)->xc, domid, n, 0, list) == 0 ||
           wh_real_fail(op, x, domid, "taking memory from");
}

bool wh_real_map(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool write,
                 const uint64_t *frame, size_t n, int *err, void **p)
{
    *p = xenforeignmemory_map(wh_real(x)->memory, domid, PROT_READ | (write ? PROT_WRITE : 0), n,
                              frame, err);
    return *p || wh_real_fail(op, x, domid, "mapping memory");
}

/* What munmap takes out of the page tables of a PV dom0 is a trap into Xen for every page, as much
 * work as mapping it was.  A process that ends has its tables given up first and then emptied, and
 * no trap is left.  So what is let go stays, within bounds: a page of tables holds 512 entries, and
 * the kernel counts mappings.  Elsewhere foreign pages take room of dom0's own: those go at once. */
void wh_real_unmap(struct wh_xen *x, void *p, size_t n)
{
    struct wh_real *r = wh_real(x);

    if (n < KEEP_LEAST || n > r->keep || r->keep_maps == 0) {
        xenforeignmemory_unmap(r->memory, p, n);
        return;
    }
    r->keep -= n;
    r->keep_maps--;
}

static bool in_pv_dom0(void)
{
    wh_auto_fd int fd = open("/sys/hypervisor/guest_type", O_RDONLY | O_CLOEXEC);
    char type[3] = "";

    return fd >= 0 && read(fd, type, sizeof type) == 3 && memcmp(type, "PV\n", 3) == 0;
}

void wh_real_ends_soon(struct wh_xen *x)
{
    long free_pages = sysconf(_SC_AVPHYS_PAGES);

    if (free_pages <= 0 || !in_pv_dom0())
        return;
    wh_real(x)->keep = (size_t)free_pages / KEEP_PART * 512;
    wh_real(x)->keep_maps = KEEP_MAPS;
}

bool wh_real_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned *version,
                    uint64_t *pages)
{
    struct gnttab_query_size q = { .dom = (domid_t)domid };
    int is = xc_gnttab_get_version(wh_real(x)->xc, domid);

    if (is < 0 || xc_gnttab_query_size(wh_real(x)->xc, &q) < 0)
        return wh_real_fail(op, x, domid, "the size of the grant table");
    if (q.status != GNTST_okay)
        return wh_fail(&op->err, WH_XEN, "the size of the grant table of domain %u: status %d", domid,
                       q.status);
    *version = (unsigned)is;
    *pages = q.nr_frames;
    return true;
}

bool wh_real_map_grants(struct wh_op *op, struct wh_xen *x, uint32_t domid, uint64_t which, void **p)
{
    struct wh_real *r = wh_real(x);

    *p = NULL;
    r->grants = xenforeignmemory_map_resource(r->memory, (domid_t)domid,
                                              XENMEM_resource_grant_table,
                                              XENMEM_resource_grant_table_id_shared, which, 1, p,
                                              PROT_READ | PROT_WRITE, 0);
    return r->grants || wh_real_fail(op, x, domid, "mapping the grant table");
}

void wh_real_unmap_grants(struct wh_xen *x, void *p)
{
    struct wh_real *r = wh_real(x);

    (void)p;
    xenforeignmemory_unmap_resource(r->memory, r->grants);
    r->grants = NULL;
}

static bool read_dirty(struct wh_op *op, struct wh_xen *x, uint32_t domid, unsigned sop, bool final,
                       uint8_t *bitmap, uint64_t pages, uint64_t *dirty)
{
    xc_interface *xc = wh_real(x)->xc;
    DECLARE_HYPERCALL_BUFFER(uint8_t, bits);
    size_t bytes = (pages + 63) / 64 * 8;
    int need = (int)((bytes + XC_PAGE_SIZE - 1) / XC_PAGE_SIZE);
    xc_shadow_op_stats_t stats = { 0 };

    bits = xc_hypercall_buffer_alloc_pages(xc, bits, need);
    if (!bits)
        return wh_real_fail(op, x, domid, "the dirty pages");
    memset(bits, 0, bytes);
    long long got = xc_logdirty_control(xc, domid, sop, HYPERCALL_BUFFER(bits), pages,
                                        final ? XEN_DOMCTL_SHADOW_LOGDIRTY_FINAL : 0, &stats);
    int sys = errno;
    memcpy(bitmap, bits, (pages + 7) / 8);
    xc_hypercall_buffer_free_pages(xc, bits, need);
    *dirty = stats.dirty_count;
    errno = sys;
    if (got < 0)
        return wh_real_fail(op, x, domid, "the dirty pages");
    return (uint64_t)got == pages ||
           wh_fail(&op->err, WH_XEN, "asked which of %llu pages of domain %u are dirty, told of "
                   "%lld", (unsigned long long)pages, domid, got);
}

bool wh_real_logdirty(struct wh_op *op, struct wh_xen *x, uint32_t domid, enum wh_logdirty how,
                      bool final, uint8_t *bitmap, uint64_t pages, uint64_t *dirty)
{
    unsigned sop = how == WH_DIRTY_ON ? XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY
                                      : XEN_DOMCTL_SHADOW_OP_OFF;

    if (how == WH_DIRTY_CLEAN || how == WH_DIRTY_PEEK)
        return read_dirty(op, x, domid, how == WH_DIRTY_CLEAN ? XEN_DOMCTL_SHADOW_OP_CLEAN
                                                              : XEN_DOMCTL_SHADOW_OP_PEEK,
                          final, bitmap, pages, dirty);
    return xc_shadow_control(wh_real(x)->xc, domid, sop, NULL, 0) >= 0 ||
           wh_real_fail(op, x, domid, how == WH_DIRTY_ON ? "turning log-dirty on"
                                                         : "turning log-dirty off");
}

/* ---------------------------------------------------------------------------- PV guests */

bool wh_real_width(struct wh_op *op, struct wh_xen *x, uint32_t domid, bool set, unsigned *bytes)
{
    struct xen_domctl d = { .u.address_size.size = *bytes * 8 };
    int rc = set ? wh_real_domctl(x, XEN_DOMCTL_set_address_size, domid, &d)
                 : xc_domain_get_guest_width(wh_real(x)->xc, domid, bytes);

    return rc == 0 || wh_real_fail(op, x, domid, "the word's width");
}

bool wh_real_m2p(struct wh_op *op, struct wh_xen *x, uint64_t *frames, uint64_t **list, size_t *n,
                 uint64_t *compat)
{
    xc_interface *xc = wh_real(x)->xc;
    unsigned long most;
    xen_pfn_t first = 0;
    struct xen_machphys_mfn_list ask = { .max_extents = 1 };

    *list = NULL;
    if (xc_maximum_ram_page(xc, &most) < 0)
        return wh_real_fail(op, x, WH_DOMID_XEN, "the highest frame");
    *frames = most;
    *n = (most * sizeof(uint64_t) + M2P_CHUNK - 1) / M2P_CHUNK;
    *list = calloc(*n, sizeof **list);
    if (!*list || xc_machphys_mfn_list(xc, *n, *list) < 0)
        return wh_real_fail(op, x, WH_DOMID_XEN, "the machine-to-phys table");
    set_xen_guest_handle_raw(ask.extent_start, &first);
    *compat = xc_memory_op(xc, XENMEM_machphys_compat_mfn_list, &ask, sizeof ask) == 0
                  ? first : WH_NO_FRAME;
    return true;
}

bool wh_real_pin(struct wh_op *op, struct wh_xen *x, uint32_t domid, const struct wh_pinned *p,
                 size_t n)
{
    static const unsigned cmd[] = { MMUEXT_PIN_L1_TABLE, MMUEXT_PIN_L2_TABLE,
                                    MMUEXT_PIN_L3_TABLE, MMUEXT_PIN_L4_TABLE };
    struct mmuext_op ops[WH_BATCH_MAX] = { 0 };

    for (size_t i = 0; i < n; i++)
        ops[i] = (struct mmuext_op){ .cmd = cmd[p[i].level], .arg1.mfn = p[i].mfn };
    return xc_mmuext_op(wh_real(x)->xc, ops, (unsigned)n, domid) == 0 ||
           wh_real_fail(op, x, domid, "pinning page tables");
}
