/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The beater: a boot sector that lives by the emulated devices alone, without PV drivers.
 *
 *     beat 0000002a ok        on COM1, each quarter of a second by the BIOS's clock (timer, interrupts)
 *
 * Beat N has been written to sector 1 of its disk and read back.  "bad": it was not what was written,
 * or the BIOS said no.  When the ACPI power button is pressed it says "button" and switches off. */
    .set pm_status, 0xb000      /* where hvmloader has put the ports of ACPI's fixed registers */
    .set pm_control, 0xb004
    .set button, 1 << 8
    .set sleep, 1 << 13         /* of the kind 0, which is off */

    .code16
    .globl _start
_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7c00, %sp
    cld
    sti
    mov %dl, drive

beat:
    incl count
    mov $words_ok, %bp
    call to_disk
    jc 1f
    mov count, %eax
    cmp %eax, back
    je 2f
1:  mov $words_bad, %bp
2:  mov $words_beat, %si
    call say
    mov count, %eax
    call say_number
    mov %bp, %si
    call say

    mov 0x46c, %ebx             /* 18.2 a second */
3:  hlt
    call look
    mov 0x46c, %eax
    sub %ebx, %eax
    cmp $4, %eax
    jb 3b
    jmp beat

look:
    mov $pm_status, %dx
    in %dx, %ax
    test $button, %ax
    jz 1f
    mov $words_off, %si
    call say
    mov $pm_control, %dx
    mov $sleep, %ax
    out %ax, %dx
1:  ret

/* Carry: it failed. */
to_disk:
    mov count, %eax
    mov %eax, buffer
    movl $0, back
    movw $buffer, packet + 4
    mov $0x4300, %ax            /* write */
    call ask
    jc 1f
    movw $back, packet + 4
    mov $0x4200, %ax            /* read */
    call ask
1:  ret

ask:
    mov drive, %dl
    mov $packet, %si
    int $0x13
    ret

say:
    lodsb
    test %al, %al
    jz 1f
    call put
    jmp say
1:  ret

say_number:
    mov $8, %cx
1:  rol $4, %eax
    push %eax
    and $15, %al
    add $'0', %al
    cmp $'9', %al
    jbe 2f
    add $'a' - '9' - 1, %al
2:  call put
    pop %eax
    loop 1b
    ret

put:
    push %ax
    mov $0x3fd, %dx
1:  in %dx, %al
    test $0x20, %al
    jz 1b
    pop %ax
    mov $0x3f8, %dx
    out %al, %dx
    ret

words_beat: .asciz "beat "
words_ok:   .asciz " ok\r\n"
words_bad:  .asciz " bad\r\n"
words_off:  .asciz "button\r\n"
count:      .long 0
drive:      .byte 0
    .balign 4
packet:
    .byte 16, 0
    .word 1                     /* sectors */
    .word 0, 0                  /* where to: offset, segment */
    .quad 1                     /* sector */

    .org 510
    .word 0xaa55
    .set buffer, 0x8000
    .set back, 0x8200
