/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PVH begins in 32 bits without paging, ebx pointing at hvm_start_info.  From here to long mode,
 * the first 4 GiB mapped one to one in pages of 2 MiB. */
#include "elfnote.h"

    note XEN_ELFNOTE_PHYS32_ENTRY, .long, _start
    note XEN_ELFNOTE_GUEST_OS,     .asciz, "stepper"
    note XEN_ELFNOTE_LOADER,       .asciz, "generic"
    note XEN_ELFNOTE_FEATURES,     .asciz, "!writable_page_tables|pae_pgdir_above_4gb"

    .text
    .code32
    .globl _start
_start:
    cld
    cli
    mov $stack_end, %esp

    movl $l3 + 3, l4
    mov $l2 + 3, %eax
    mov $l3, %edi
    mov $4, %ecx
1:  mov %eax, (%edi)                    /* 4 tables of 1 GiB */
    add $4096, %eax
    add $8, %edi
    loop 1b
    mov $0x83, %eax                     /* present, writable, 2 MiB */
    mov $l2, %edi
    mov $2048, %ecx
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b

    mov $0x620, %eax                    /* PAE, OSFXSR, OSXMMEXCPT */
    mov %eax, %cr4
    mov $l4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx               /* EFER: long mode */
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80000023, %eax               /* PG, NE, MP, PE */
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $3f

    .code64
3:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $stack_end, %esp
    mov %ebx, %edi
    call pvh_main
4:  hlt
    jmp 4b

/* What no code of ours should raise: the vector and, where the processor pushes none, an error code
 * of 0, so that pvh_exception finds { vector, error, rip, cs, rflags, rsp, ss }. */
    .balign 16
    .globl exception_entries
exception_entries:
    .set vector, 0
    .rept 32
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
          vector == 29 || vector == 30)
    push $0
    .endif
    push $vector
    jmp exception
    .set vector, vector + 1
    .endr
exception:
    mov %rsp, %rdi
    and $-16, %rsp
    call pvh_exception
    jmp 4b

    .section .rodata
    .balign 8
gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .bss
    .balign 4096
    .globl hypercall_page
hypercall_page: .skip 4096
l4: .skip 4096
l3: .skip 4096
l2: .skip 4 * 4096
stack: .skip 16384
stack_end:

    .section .note.GNU-stack, "", @progbits
