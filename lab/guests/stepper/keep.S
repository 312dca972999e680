/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The C code is compiled to use general registers only, so what is put into the others here must
 * still be there after any save and restore: xmm0 to xmm15 and the x87's control word. */
    .text
    .globl keep_load, keep_store

    .macro each name
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    \name \n
    .endr
    .endm

    .macro load n
    movups keep_wanted + 16 * \n, %xmm\n
    .endm

    .macro store n
    movups %xmm\n, keep_found + 16 * \n
    .endm

keep_load:
    fninit
    fldcw keep_control_wanted
    each load
    ret

keep_store:
    fnstcw keep_control_found
    each store
    ret

    .section .note.GNU-stack, "", @progbits
