/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each call of the hypervisor does in the fake; xen.h says what it should.  Under the lock. */
#ifndef WH_XEN_FAKE_CALLS_H
#define WH_XEN_FAKE_CALLS_H

#include "xen/fake.h"

#define FAKE_OP   struct wh_op *op, struct wh_fake *f
#define FAKE_OP_D struct wh_op *op, struct wh_fake *f, uint32_t domid

/* fake_host.c */
bool wh_fake_host(FAKE_OP, struct wh_host *h);
bool wh_fake_dmesg(FAKE_OP, bool clear, char **text);
bool wh_fake_sched(FAKE_OP_D, bool set, struct wh_sched *s);
bool wh_fake_affinity(FAKE_OP_D, uint32_t vcpu, bool set, bool soft, uint8_t *map, size_t bytes);
bool wh_fake_vcpu(FAKE_OP_D, uint32_t vcpu, struct wh_vcpu *v);

/* fake_domain.c */
bool wh_fake_domains(FAKE_OP, uint32_t first, struct wh_domain *d, size_t max, size_t *n);
bool wh_fake_create(FAKE_OP, const struct wh_domain_spec *s, uint32_t *domid);
bool wh_fake_destroy(FAKE_OP_D);
bool wh_fake_pause(FAKE_OP_D, bool on);
bool wh_fake_shutdown(FAKE_OP_D, enum wh_shutdown why);
bool wh_fake_resume(FAKE_OP_D);
bool wh_fake_power_button(FAKE_OP_D);
bool wh_fake_max_vcpus(FAKE_OP_D, uint32_t n);
bool wh_fake_max_memory(FAKE_OP_D, uint64_t kb);
bool wh_fake_memmap_limit(FAKE_OP_D, uint64_t kb);
bool wh_fake_paging_pool(FAKE_OP_D, uint64_t bytes);
bool wh_fake_time_offset(FAKE_OP_D, int64_t seconds);
bool wh_fake_tsc(FAKE_OP_D, bool set, struct wh_tsc *t);
bool wh_fake_port(FAKE_OP_D, uint32_t remote, uint32_t *port);

/* fake_memory.c */
bool wh_fake_frames(FAKE_OP_D, uint64_t *n);
bool wh_fake_types(FAKE_OP_D, uint64_t *frame, size_t n);
bool wh_fake_populate(FAKE_OP_D, uint64_t *frame, size_t n, unsigned order);
bool wh_fake_release(FAKE_OP_D, const uint64_t *frame, size_t n);
bool wh_fake_map(FAKE_OP_D, bool write, const uint64_t *frame, size_t n, int *err, void **p);
bool wh_fake_grants(FAKE_OP_D, unsigned *version, uint64_t *pages);
bool wh_fake_map_grants(FAKE_OP_D, uint64_t which, void **p);
bool wh_fake_logdirty(FAKE_OP_D, enum wh_logdirty how, bool final, uint8_t *bitmap, uint64_t pages,
                      uint64_t *dirty);
bool wh_fake_m2p(FAKE_OP, uint64_t *frames, uint64_t **list, size_t *n, uint64_t *compat);
void wh_fake_unmap(struct wh_fake *f, void *p, size_t n);

/* fake_policy.c */
bool wh_fake_default_policy(FAKE_OP_D, bool restoring, bool itsc, bool nested);
bool wh_fake_get_policy(FAKE_OP_D, void **leaves, size_t *leaf_bytes, void **msrs,
                        size_t *msr_bytes);
bool wh_fake_set_policy(FAKE_OP_D, const void *leaves, size_t leaf_bytes, const void *msrs,
                        size_t msr_bytes);
bool wh_fake_host_policy(FAKE_OP, bool hvm, void **leaves, size_t *leaf_bytes, void **msrs,
                         size_t *msr_bytes);
bool wh_fake_policy_fits(FAKE_OP, bool hvm, const void *leaves, size_t leaf_bytes,
                         const void *msrs, size_t msr_bytes, char why[WH_WHY]);

/* fake_vcpu.c */
bool wh_fake_width(FAKE_OP_D, bool set, unsigned *bytes);
bool wh_fake_get_context(FAKE_OP_D, uint32_t vcpu, void *bytes);
bool wh_fake_set_context(FAKE_OP_D, uint32_t vcpu, const void *bytes);
bool wh_fake_get_blob(FAKE_OP_D, uint32_t vcpu, enum wh_vcpu_blob what, void **bytes, size_t *n);
bool wh_fake_set_blob(FAKE_OP_D, uint32_t vcpu, enum wh_vcpu_blob what, const void *bytes,
                      size_t n);
bool wh_fake_pin(FAKE_OP_D, const struct wh_pinned *p, size_t n);
bool wh_fake_get_hvm_context(FAKE_OP_D, void **bytes, size_t *n);
bool wh_fake_set_hvm_context(FAKE_OP_D, const void *bytes, size_t n);
bool wh_fake_hvm_param(FAKE_OP_D, bool set, uint32_t index, uint64_t *value);

/* fake_guest.c */
bool wh_fake_build(FAKE_OP_D, struct wh_build *b);

/* fake_rows.c */
void wh_fake_handles_free(struct wh_fake *f);

#endif
