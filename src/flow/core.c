/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/core.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/own.h"
#include "wire/libxc.h"
#include "wire/record.h"

#define SET_BYTES (5u << 20)            /* each of two: 150 GiB of which no 128 MiB are all there */
#define PFN_MAX (UINT64_C(1) << 50)     /* so that file offsets stay positive */

bool wh_core_init(struct wh_op *op, struct wh_core *c, int fd)
{
    *c = (struct wh_core){ .fd = fd };
    wh_sparse_init(&c->pages, SET_BYTES);
    wh_sparse_init(&c->written, SET_BYTES);
    c->regs = calloc(WH_CORE_VCPUS, sizeof *c->regs);
    return c->regs || wh_fail_sys(&op->err, ENOMEM, "write a core");
}

void wh_core_free(struct wh_core *c)
{
    wh_sparse_free(&c->pages);
    wh_sparse_free(&c->written);
    free(c->regs);
    c->regs = NULL;
}

static bool put(struct wh_op *op, struct wh_core *c, uint64_t at, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t put = pwrite(c->fd, (const uint8_t *)p + done, n - done, (off_t)(at + done));

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return wh_fail_sys(&op->err, errno, "write the core at offset %llu",
                               (unsigned long long)at);
        done += (size_t)put;
    }
    return true;
}

static uint64_t place(uint64_t pfn)
{
    return (pfn + 1) * WH_PAGE_SIZE;
}

static bool there(struct wh_op *op, struct wh_core *c, uint64_t pfn)
{
    wh_sparse_set(&c->pages, pfn);
    return (!c->pages.full && !c->written.full && pfn < PFN_MAX) ||
           wh_fail(&op->err, WH_SYSTEM, "the guest's memory is too scattered for a core");
}

bool wh_core_page(struct wh_op *op, struct wh_core *c, uint64_t pfn, const uint8_t *contents)
{
    bool zero = contents[0] == 0 && memcmp(contents, contents + 1, WH_PAGE_SIZE - 1) == 0;

    if (!there(op, c, pfn))
        return false;
    if (zero && !wh_sparse_has(&c->written, pfn))
        return true;
    wh_sparse_set(&c->written, pfn);
    return there(op, c, pfn) && put(op, c, place(pfn), contents, WH_PAGE_SIZE);
}

bool wh_core_blank(struct wh_op *op, struct wh_core *c, uint64_t pfn)
{
    return there(op, c, pfn);
}

/* -------------------------------------------------------------------------- registers */

/* Places in user_regs_struct. */
enum { R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI, ORIG_RAX, RIP, CS,
       EFLAGS, RSP, SS, FS_BASE, GS_BASE, DS, ES, FS, GS };

static void note_vcpu(struct wh_core *c, uint32_t vcpu)
{
    if (c->vcpus <= vcpu)
        c->vcpus = vcpu + 1;
}

/* Xen's hvm_hw_cpu: 512 bytes of FPU, then these. */
static void hvm_cpu(uint64_t *r, const uint8_t *p)
{
    static const uint8_t order[] = { RAX, RBX, RCX, RDX, RBP, RSI, RDI, RSP, R8, R9,
                                     R10, R11, R12, R13, R14, R15, RIP, EFLAGS };

    for (unsigned i = 0; i < WH_COUNT(order); i++)
        r[order[i]] = wh_le64(p + 512 + 8 * i);
}

void wh_core_hvm_context(struct wh_core *c, const uint8_t *p, uint32_t n)
{
    struct wh_hvm_entry e = { .type = 1 };

    for (uint32_t at = 0; e.type != 0 && wh_hvm_entry_next(p, n, &at, &e);) {
        if (e.type != 2 || e.length < 512 + 18 * 8 || e.instance >= WH_CORE_VCPUS)
            continue;
        hvm_cpu(c->regs[e.instance], e.data);
        note_vcpu(c, e.instance);
    }
}

/* vcpu_guest_context's user_regs begin as user_regs_struct does, up to ss. */
void wh_core_pv_context(struct wh_core *c, uint32_t vcpu, const uint8_t *p)
{
    if (vcpu >= WH_CORE_VCPUS)
        return;
    for (unsigned i = R15; i <= SS; i++)
        c->regs[vcpu][i] = wh_le64(p + 0x208 + 8 * i);
    c->regs[vcpu][CS] &= 0xffff;        /* beside it stands the upcall mask */
    c->regs[vcpu][SS] &= 0xffff;
    note_vcpu(c, vcpu);
}

/* ------------------------------------------------------------------------------ headers */

static bool put_notes(struct wh_op *op, struct wh_core *c, uint64_t at, uint64_t *size)
{
    /* Laid out by hand: as a struct the notes would be padded to eight bytes, which readers of
     * four-byte aligned notes do not expect. */
    enum { NAME = 8, NOTE = sizeof(Elf64_Nhdr) + NAME + sizeof(struct elf_prstatus) };
    const Elf64_Nhdr head = { 5, sizeof(struct elf_prstatus), NT_PRSTATUS };
    uint8_t note[NOTE];

    *size = 0;
    for (unsigned v = 0; v < c->vcpus; v++, *size += NOTE) {
        struct elf_prstatus status = { .pr_pid = (pid_t)(v + 1) };

        memcpy(&status.pr_reg, c->regs[v], sizeof c->regs[v]);
        memcpy(note, &head, sizeof head);
        memcpy(note + sizeof head, "CORE\0\0\0", NAME);
        memcpy(note + sizeof head + NAME, &status, sizeof status);
        if (!put(op, c, at + *size, note, NOTE))
            return false;
    }
    return true;
}

static bool put_segments(struct wh_op *op, struct wh_core *c, uint64_t at, uint64_t *count)
{
    uint64_t first, end = 0;

    for (; wh_sparse_run(&c->pages, end, &first, &end); ++*count) {
        Elf64_Phdr h = {
            .p_type = PT_LOAD,
            .p_flags = PF_R | PF_W | PF_X,
            .p_offset = place(first),
            .p_vaddr = first * WH_PAGE_SIZE,
            .p_paddr = first * WH_PAGE_SIZE,
            .p_filesz = (end - first) * WH_PAGE_SIZE,
            .p_memsz = (end - first) * WH_PAGE_SIZE,
            .p_align = WH_PAGE_SIZE,
        };

        if (!put(op, c, at + *count * sizeof h, &h, sizeof h) || !wh_go_on(op))
            return false;
    }
    return true;
}

/* With 65535 segments or more their number stands in the only section header. */
static bool put_elf(struct wh_op *op, struct wh_core *c, uint64_t segments, uint64_t count)
{
    bool many = count >= PN_XNUM;
    Elf64_Shdr section = { .sh_info = (uint32_t)count };
    Elf64_Ehdr h = {
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_phoff = segments,
        .e_shoff = many ? segments + count * sizeof(Elf64_Phdr) : 0,
        .e_ehsize = sizeof h,
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (Elf64_Half)(many ? PN_XNUM : count),
        .e_shentsize = sizeof section,
        .e_shnum = many,
    };

    return (!many || put(op, c, h.e_shoff, &section, sizeof section)) &&
           put(op, c, 0, &h, sizeof h);
}

bool wh_core_finish(struct wh_op *op, struct wh_core *c)
{
    uint64_t at = WH_PAGE_SIZE, size, first, end = 0, count = 1;

    while (wh_sparse_run(&c->pages, end, &first, &end))
        at = place(end);
    if (!put_notes(op, c, at, &size))
        return false;
    Elf64_Phdr notes = { .p_type = PT_NOTE, .p_offset = at, .p_filesz = size, .p_align = 4 };
    at += (size + 7) & ~UINT64_C(7);
    if (!put_segments(op, c, at, &count) || !put(op, c, at, &notes, sizeof notes))
        return false;
    return put_elf(op, c, at, count);
}
