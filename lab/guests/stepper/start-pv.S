/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PV begins where all is set up: paging on, rsi pointing at start_info, the stub page filled.
 * Addresses are chosen so that page n of the guest is mapped at n * 4096. */
#include "elfnote.h"

    note XEN_ELFNOTE_ENTRY,          .quad, _start
    note XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page
    note XEN_ELFNOTE_VIRT_BASE,      .quad, 0
    note XEN_ELFNOTE_PADDR_OFFSET,   .quad, 0
    note XEN_ELFNOTE_XEN_VERSION,    .asciz, "xen-3.0"
    note XEN_ELFNOTE_GUEST_OS,       .asciz, "stepper"
    note XEN_ELFNOTE_LOADER,         .asciz, "generic"
    note XEN_ELFNOTE_SUSPEND_CANCEL, .long, 1

    .text
    .globl _start
_start:
    cld
    mov $stack_end, %rsp
    mov %rsi, %rdi
    call pv_main
1:  jmp 1b

    .bss
    .balign 4096
    .globl hypercall_page
hypercall_page: .skip 4096
stack: .skip 16384
stack_end:

    .section .note.GNU-stack, "", @progbits
