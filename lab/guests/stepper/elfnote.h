/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Notes in the ELF file by which Xen's tools know a guest, for assembly. */
#ifndef STEPPER_ELFNOTE_H
#define STEPPER_ELFNOTE_H

#include <xen/elfnote.h>

.macro note type, how, value:vararg
    .pushsection .note.Xen, "a", @note
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \how \value
2:  .balign 4
    .popsection
.endm

#endif
