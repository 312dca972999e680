/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the bits of a CPU policy are called, and how two policies are compared.
 *
 * The guest may have less than the host, never more: what it found once, at its start, it uses for
 * good. */
#include "flow/features.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

#define ALL UINT32_MAX              /* a leaf without subleaves */
#define LEAVES_MOST 1024            /* Xen's own have about 130, and 2 MSRs */
#define MSRS_MOST 256
#define XSTATE 0xdu
#define EXTENDED 0x80000000u

enum { EAX, EBX, ECX, EDX };

/* The wire's entries. */
struct leaf {
    uint32_t leaf, subleaf, reg[4];
};

struct msr {
    uint32_t index, flags;
    uint64_t value;
};

/* ------------------------------------------------------------------------------- names */

/* As Xen's cpufeatureset.h has them, in small letters. */
/* clang-format off */
static const char *const leaf_1_edx[32] = {
    [0] = "fpu", [1] = "vme", [2] = "de", [3] = "pse", [4] = "tsc", [5] = "msr", [6] = "pae",
    [7] = "mce", [8] = "cx8", [9] = "apic", [11] = "sep", [12] = "mtrr", [13] = "pge",
    [14] = "mca", [15] = "cmov", [16] = "pat", [17] = "pse36", [19] = "clflush", [21] = "ds",
    [22] = "acpi", [23] = "mmx", [24] = "fxsr", [25] = "sse", [26] = "sse2", [27] = "ss",
    [28] = "htt", [29] = "tm1", [31] = "pbe",
};
static const char *const leaf_1_ecx[32] = {
    [0] = "sse3", [1] = "pclmulqdq", [2] = "dtes64", [3] = "monitor", [4] = "dscpl", [5] = "vmx",
    [6] = "smx", [7] = "eist", [8] = "tm2", [9] = "ssse3", [12] = "fma", [13] = "cx16",
    [14] = "xtpr", [15] = "pdcm", [17] = "pcid", [18] = "dca", [19] = "sse4_1", [20] = "sse4_2",
    [21] = "x2apic", [22] = "movbe", [23] = "popcnt", [24] = "tsc_deadline", [25] = "aesni",
    [26] = "xsave", [27] = "osxsave", [28] = "avx", [29] = "f16c", [30] = "rdrand",
    [31] = "hypervisor",
};
static const char *const ext_1_edx[32] = {
    [11] = "syscall", [20] = "nx", [22] = "mmxext", [25] = "ffxsr", [26] = "page1gb",
    [27] = "rdtscp", [29] = "lm", [30] = "3dnowext", [31] = "3dnow",
};
static const char *const ext_1_ecx[32] = {
    [0] = "lahf_lm", [1] = "cmp_legacy", [2] = "svm", [3] = "extapic", [4] = "cr8_legacy",
    [5] = "abm", [6] = "sse4a", [7] = "misalignsse", [8] = "3dnowprefetch", [9] = "osvw",
    [10] = "ibs", [11] = "xop", [12] = "skinit", [13] = "wdt", [15] = "lwp", [16] = "fma4",
    [19] = "nodeid_msr", [21] = "tbm", [22] = "topoext", [26] = "dbext", [29] = "monitorx",
};
static const char *const leaf_d_1_eax[32] = {
    [0] = "xsaveopt", [1] = "xsavec", [2] = "xgetbv1", [3] = "xsaves",
};
static const char *const leaf_7_0_ebx[32] = {
    [0] = "fsgsbase", [1] = "tsc_adjust", [2] = "sgx", [3] = "bmi1", [4] = "hle", [5] = "avx2",
    [6] = "fdp_excp_only", [7] = "smep", [8] = "bmi2", [9] = "erms", [10] = "invpcid",
    [11] = "rtm", [12] = "pqm", [13] = "no_fpu_sel", [14] = "mpx", [15] = "pqe", [16] = "avx512f",
    [17] = "avx512dq", [18] = "rdseed", [19] = "adx", [20] = "smap", [21] = "avx512_ifma",
    [23] = "clflushopt", [24] = "clwb", [25] = "proc_trace", [26] = "avx512pf", [27] = "avx512er",
    [28] = "avx512cd", [29] = "sha", [30] = "avx512bw", [31] = "avx512vl",
};
static const char *const leaf_7_0_ecx[32] = {
    [0] = "prefetchwt1", [1] = "avx512_vbmi", [2] = "umip", [3] = "pku", [4] = "ospke",
    [6] = "avx512_vbmi2", [7] = "cet_ss", [8] = "gfni", [9] = "vaes", [10] = "vpclmulqdq",
    [11] = "avx512_vnni", [12] = "avx512_bitalg", [14] = "avx512_vpopcntdq", [22] = "rdpid",
    [25] = "cldemote", [27] = "movdiri", [28] = "movdir64b", [29] = "enqcmd",
};
static const char *const ext_7_edx[32] = {
    [7] = "hw_pstate", [8] = "itsc", [9] = "cpb", [10] = "efro",
};
static const char *const ext_8_ebx[32] = {
    [0] = "clzero", [2] = "rstr_fp_err_ptrs", [9] = "wbnoinvd", [12] = "ibpb", [14] = "ibrs",
    [15] = "amd_stibp", [16] = "ibrs_always", [17] = "stibp_always", [18] = "ibrs_fast",
    [19] = "ibrs_same_mode", [20] = "no_lmsl", [23] = "amd_ppin", [24] = "amd_ssbd",
    [25] = "virt_ssbd", [26] = "ssb_no", [28] = "psfd", [29] = "btc_no", [30] = "ibpb_ret",
};
static const char *const leaf_7_0_edx[32] = {
    [2] = "avx512_4vnniw", [3] = "avx512_4fmaps", [4] = "fsrm", [8] = "avx512_vp2intersect",
    [9] = "srbds_ctrl", [10] = "md_clear", [11] = "rtm_always_abort", [13] = "tsx_force_abort",
    [14] = "serialize", [15] = "hybrid", [16] = "tsxldtrk", [20] = "cet_ibt",
    [23] = "avx512_fp16", [26] = "ibrsb", [27] = "stibp", [28] = "l1d_flush", [29] = "arch_caps",
    [30] = "core_caps", [31] = "ssbd",
};
static const char *const leaf_7_1_eax[32] = {
    [4] = "avx_vnni", [5] = "avx512_bf16", [10] = "fzrm", [11] = "fsrs", [12] = "fsrcs",
};
static const char *const ext_21_eax[32] = {
    [2] = "lfence_dispatch", [5] = "verw_clear", [6] = "nscb", [8] = "auto_ibrs", [27] = "sbpb",
    [28] = "ibpb_brtype", [29] = "srso_no", [30] = "srso_us_no", [31] = "srso_msr_fix",
};
static const char *const leaf_7_1_ebx[32] = {
    [0] = "intel_ppin",
};
static const char *const leaf_7_2_edx[32] = {
    [0] = "intel_psfd", [1] = "ipred_ctrl", [2] = "rrsba_ctrl", [4] = "bhi_ctrl", [5] = "mcdt_no",
};
static const char *const leaf_7_1_edx[32] = {
    [18] = "cet_sss",
};
static const char *const arch_caps_low[32] = {
    [0] = "rdcl_no", [1] = "eibrs", [2] = "rsba", [3] = "skip_l1dfl", [4] = "intel_ssb_no",
    [5] = "mds_no", [6] = "if_pschange_mc_no", [7] = "tsx_ctrl", [8] = "taa_no", [9] = "mcu_ctrl",
    [10] = "misc_pkg_ctrl", [11] = "energy_filtering", [12] = "doitm", [13] = "sbdr_ssdp_no",
    [14] = "fbsdp_no", [15] = "psdp_no", [17] = "fb_clear", [18] = "fb_clear_ctrl",
    [19] = "rrsba", [20] = "bhi_no", [21] = "xapic_status", [23] = "ovrclk_status",
    [24] = "pbrsb_no", [25] = "gds_ctrl", [26] = "gds_no", [27] = "rfds_no", [28] = "rfds_clear",
};
static const char *const arch_caps_high[32] = {
    [30] = "its_no",
};
static const char *const ext_21_ecx[32] = {
    [1] = "tsa_sq_no", [2] = "tsa_l1_no",
};
static const char *const platform_low[32] = {
    [31] = "cpuid_faulting",
};

/* Bits that say nothing of what the processor can do are not compared: OSXSAVE and OSPKE follow the
 * guest's CR4; HTT and CMP_LEGACY are topology; FDP_EXCP_ONLY and NO_FPU_SEL tell how it saves what
 * nobody reads; RSBA and RRSBA are warnings; 0x80000001 repeats leaf 1 on AMD's. */
#define BIT(n) (UINT32_C(1) << (n))
static const struct word {
    uint32_t leaf, subleaf;         /* of an MSR: its index, 0 or 1 for the half */
    enum { IS_EAX, IS_EBX, IS_ECX, IS_EDX, IS_MSR } where;
    const char *const *names;
    uint32_t passed_over;
} words[WH_FEATURE_WORDS] = {
    { 1,          ALL, IS_EDX, leaf_1_edx,     BIT(28) },
    { 1,          ALL, IS_ECX, leaf_1_ecx,     BIT(27) },
    { 0x80000001, ALL, IS_EDX, ext_1_edx,      0x0183f3ff },
    { 0x80000001, ALL, IS_ECX, ext_1_ecx,      BIT(1) },
    { XSTATE,     1,   IS_EAX, leaf_d_1_eax,   0 },
    { 7,          0,   IS_EBX, leaf_7_0_ebx,   BIT(6) | BIT(13) },
    { 7,          0,   IS_ECX, leaf_7_0_ecx,   BIT(4) },
    { 0x80000007, ALL, IS_EDX, ext_7_edx,      0 },
    { 0x80000008, ALL, IS_EBX, ext_8_ebx,      0 },
    { 7,          0,   IS_EDX, leaf_7_0_edx,   0 },
    { 7,          1,   IS_EAX, leaf_7_1_eax,   0 },
    { 0x80000021, ALL, IS_EAX, ext_21_eax,     0 },
    { 7,          1,   IS_EBX, leaf_7_1_ebx,   0 },
    { 7,          2,   IS_EDX, leaf_7_2_edx,   0 },
    { 7,          1,   IS_ECX, NULL,           0 },
    { 7,          1,   IS_EDX, leaf_7_1_edx,   0 },
    { 0x10a,      0,   IS_MSR, arch_caps_low,  BIT(2) | BIT(19) },
    { 0x10a,      1,   IS_MSR, arch_caps_high, 0 },
    { 0x80000021, ALL, IS_ECX, ext_21_ecx,     0 },
    { 0xce,       0,   IS_MSR, platform_low,   0 },
};
/* clang-format on */

const char *wh_feature_name(unsigned word, unsigned bit)
{
    return word < WH_FEATURE_WORDS && words[word].names ? words[word].names[bit % 32] : NULL;
}

/* --------------------------------------------------------------------------- to and fro */

void wh_policy_free(struct wh_policy *p)
{
    free(p->leaves);
    free(p->msrs);
    *p = (struct wh_policy){ 0 };
}

static json_object *numbers(const uint64_t *n, size_t count)
{
    json_object *row = json_object_new_array();

    for (size_t i = 0; i < count; i++)
        json_object_array_add(row, json_object_new_uint64(n[i]));
    return row;
}

json_object *wh_policy_json(const struct wh_policy *p)
{
    json_object *o = json_object_new_object(), *leaves = json_object_new_array();
    json_object *msrs = json_object_new_array();
    const struct leaf *l = p->leaves;
    const struct msr *m = p->msrs;

    for (size_t i = 0; i < p->leaf_bytes / sizeof *l; i++)
        json_object_array_add(leaves, numbers((uint64_t[]){ l[i].leaf, l[i].subleaf, l[i].reg[EAX],
                                                            l[i].reg[EBX], l[i].reg[ECX],
                                                            l[i].reg[EDX] }, 6));
    for (size_t i = 0; i < p->msr_bytes / sizeof *m; i++)
        json_object_array_add(msrs, numbers((uint64_t[]){ m[i].index, m[i].value }, 2));
    json_object_object_add(o, "leaves", leaves);
    json_object_object_add(o, "msrs", msrs);
    return o;
}

/* A row of so many numbers, all but the last one of 32 bits. */
static bool take_row(json_object *row, uint64_t *n, size_t count, uint64_t last_most)
{
    if (!json_object_is_type(row, json_type_array) || json_object_array_length(row) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        json_object *v = json_object_array_get_idx(row, i);

        if (!json_object_is_type(v, json_type_int) || json_object_get_int64(v) < 0)
            return false;
        n[i] = json_object_get_uint64(v);
        if (n[i] > (i + 1 < count ? UINT32_MAX : last_most))
            return false;
    }
    return true;
}

static json_object *table(json_object *o, const char *key, size_t most, size_t *n)
{
    json_object *rows;

    if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &rows) ||
        !json_object_is_type(rows, json_type_array))
        return NULL;
    *n = json_object_array_length(rows);
    return *n <= most ? rows : NULL;
}

static bool take_leaves(json_object *rows, struct leaf *l, size_t n)
{
    uint64_t row[6];

    for (size_t i = 0; i < n; i++) {
        if (!take_row(json_object_array_get_idx(rows, i), row, 6, UINT32_MAX))
            return false;
        l[i] = (struct leaf){ (uint32_t)row[0], (uint32_t)row[1],
                              { (uint32_t)row[2], (uint32_t)row[3], (uint32_t)row[4],
                                (uint32_t)row[5] } };
    }
    return true;
}

static bool take_msrs(json_object *rows, struct msr *m, size_t n)
{
    uint64_t row[2];

    for (size_t i = 0; i < n; i++) {
        if (!take_row(json_object_array_get_idx(rows, i), row, 2, UINT64_MAX))
            return false;
        m[i] = (struct msr){ (uint32_t)row[0], 0, row[1] };
    }
    return true;
}

bool wh_policy_read(json_object *o, struct wh_policy *p)
{
    size_t leaves = 0, msrs = 0;
    json_object *l = table(o, "leaves", LEAVES_MOST, &leaves);
    json_object *m = table(o, "msrs", MSRS_MOST, &msrs);

    *p = (struct wh_policy){ 0 };
    if (!l || !m || leaves == 0)
        return false;
    p->leaves = calloc(leaves, sizeof(struct leaf));
    p->msrs = calloc(msrs + 1, sizeof(struct msr));
    p->leaf_bytes = leaves * sizeof(struct leaf);
    p->msr_bytes = msrs * sizeof(struct msr);
    if (p->leaves && p->msrs && take_leaves(l, p->leaves, leaves) && take_msrs(m, p->msrs, msrs))
        return true;
    wh_policy_free(p);
    return false;
}

/* --------------------------------------------------------------------------- comparing */

static const struct leaf *find_leaf(const struct wh_policy *p, uint32_t leaf, uint32_t subleaf)
{
    static const struct leaf none;
    const struct leaf *l = p->leaves;

    for (size_t i = 0; i < p->leaf_bytes / sizeof *l; i++) {
        if (l[i].leaf == leaf && (subleaf == ALL || l[i].subleaf == subleaf))
            return &l[i];
    }
    return &none;
}

static uint64_t find_msr(const struct wh_policy *p, uint32_t index)
{
    const struct msr *m = p->msrs;

    for (size_t i = 0; i < p->msr_bytes / sizeof *m; i++) {
        if (m[i].index == index)
            return m[i].value;
    }
    return 0;
}

static uint32_t get_word(const struct wh_policy *p, const struct word *w)
{
    return w->where == IS_MSR ? (uint32_t)(find_msr(p, w->leaf) >> 32 * w->subleaf)
                              : find_leaf(p, w->leaf, w->subleaf)->reg[w->where];
}

static void add_name(json_object *names, const struct word *w, unsigned bit)
{
    static const char *const regs[] = { "eax", "ebx", "ecx", "edx" };
    char text[48];

    if (w->names && w->names[bit])
        snprintf(text, sizeof text, "%s", w->names[bit]);
    else if (w->where == IS_MSR)
        snprintf(text, sizeof text, "MSR %#x bit %u", w->leaf, bit + 32 * w->subleaf);
    else if (w->subleaf == ALL)
        snprintf(text, sizeof text, "%#x %s bit %u", w->leaf, regs[w->where], bit);
    else
        snprintf(text, sizeof text, "%#x.%u %s bit %u", w->leaf, w->subleaf, regs[w->where], bit);
    json_object_array_add(names, json_object_new_string(text));
}

json_object *wh_policy_lacks(const struct wh_policy *guest, const struct wh_policy *host)
{
    json_object *names = json_object_new_array();

    for (size_t i = 0; i < WH_FEATURE_WORDS; i++) {
        const struct word *w = &words[i];
        uint32_t lacks = get_word(guest, w) & ~get_word(host, w) & ~w->passed_over;

        for (unsigned bit = 0; bit < 32; bit++) {
            if (lacks >> bit & 1)
                add_name(names, w, bit);
        }
    }
    return names;
}

/* ------------------------------------------------------------------------ what else differs */

__attribute__((format(printf, 2, 3))) static void say(json_object *to, const char *format, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    json_object_array_add(to, json_object_new_string(text));
}

/* "GenuineIntel"; text of anybody's, so only letters are taken. */
static void vendor(const struct wh_policy *p, char name[13])
{
    const struct leaf *l = find_leaf(p, 0, ALL);

    memcpy(name, (uint32_t[]){ l->reg[EBX], l->reg[EDX], l->reg[ECX] }, 12);
    name[12] = '\0';
    for (char *c = name; c < name + 12; c++)
        *c = *c >= ' ' && *c < 0x7f ? *c : '?';
}

static void compare_vendors(json_object *to, const struct wh_policy *guest,
                            const struct wh_policy *host)
{
    char its[13], ours[13];

    vendor(guest, its);
    vendor(host, ours);
    if (strcmp(its, ours) != 0)
        say(to, "its processor is %s, the guest's %s", ours, its);
}

/* Xen refuses the guest for the first three. */
static void compare_counts(json_object *to, const struct wh_policy *guest,
                           const struct wh_policy *host)
{
    static const struct {
        uint32_t leaf, subleaf;
        const char *what;
    } counts[] = {
        { 0, ALL, "highest CPUID leaf" },
        { 7, 0, "highest subleaf of CPUID leaf 7" },
        { EXTENDED, ALL, "highest extended CPUID leaf" },
    };

    for (size_t i = 0; i < WH_COUNT(counts); i++) {
        uint32_t its = find_leaf(guest, counts[i].leaf, counts[i].subleaf)->reg[EAX];
        uint32_t ours = find_leaf(host, counts[i].leaf, counts[i].subleaf)->reg[EAX];

        if (its > ours)
            say(to, "its %s is %#x, the guest's %#x", counts[i].what, ours, its);
    }
    uint32_t its = find_leaf(guest, 0x80000008, ALL)->reg[EAX] & 0xff;
    uint32_t ours = find_leaf(host, 0x80000008, ALL)->reg[EAX] & 0xff;
    if (its > ours)
        say(to, "its physical addresses have %u bits, the guest's %u", ours, its);
}

/* The guest's own memory may hold what XSAVE wrote: each state has to be where it was. */
static void compare_states(json_object *to, const struct wh_policy *guest,
                           const struct wh_policy *host)
{
    static const char *const names[] = {
        "x87", "sse", "avx", "bndregs", "bndcsr", "opmask", "zmm_hi256", "hi16_zmm", "pt", "pkru",
    };
    const struct leaf *its = find_leaf(guest, XSTATE, 0), *ours = find_leaf(host, XSTATE, 0);
    uint64_t has = its->reg[EAX] | (uint64_t)its->reg[EDX] << 32;
    uint64_t can = ours->reg[EAX] | (uint64_t)ours->reg[EDX] << 32;

    for (unsigned n = 0; n < 63; n++) {
        const struct leaf *a = find_leaf(guest, XSTATE, n), *b = find_leaf(host, XSTATE, n);
        char number[8];
        snprintf(number, sizeof number, "%u", n);
        const char *name = n < WH_COUNT(names) ? names[n] : number;

        if (!(has >> n & 1))
            continue;
        if (!(can >> n & 1))
            say(to, "it has no XSAVE state %s", name);
        else if (n >= 2 && (a->reg[EAX] != b->reg[EAX] || a->reg[EBX] != b->reg[EBX]))
            say(to, "its XSAVE state %s is %u bytes at %u, the guest's %u at %u", name,
                b->reg[EAX], b->reg[EBX], a->reg[EAX], a->reg[EBX]);
    }
}

json_object *wh_policy_differs(const struct wh_policy *guest, const struct wh_policy *host)
{
    json_object *to = json_object_new_array();

    compare_vendors(to, guest, host);
    compare_counts(to, guest, host);
    compare_states(to, guest, host);
    return to;
}
