/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder with a fake QEMU in it, for tests of HVM guests on a host in memory.
 *
 *     hvm_place(folder);                                  FOLDER/qemu, firmware, FOLDER/g.cfg
 *     here.qemu = hvm_program(folder, path);
 *     wh_fake_listen(f, hvm_note, folder);                Xen's calls in the story as well
 *     hvm_play(folder, "stop", QMP_CLOSES);               from now on: fake_qemu.c has the list
 *     ... the operation under test ...
 *     assert_int_equal(hvm_running(folder), 0);
 */
#ifndef TESTS_SIM_HVM_H
#define TESTS_SIM_HVM_H

#include "qmp_server.h"
#include "unit.h"

void hvm_place(const char *folder);
const char *hvm_program(const char *folder, char path[PATH_MAX]);

/* The configuration of a guest "g" of 8 MiB, and more of it. */
void hvm_config(const char *folder, const char *more);

/* What it does wrong from now on, beside what it does already; at NULL: nothing any more. */
void hvm_play(const char *folder, const char *at, int trick);
void hvm_play_once(const char *folder, const char *at, int trick);

/* What it and Xen were told so far, malloc'd; and where in it a line begins, -1: nowhere. */
char *hvm_story(const char *folder);
long hvm_at(const char *story, const char *line);
long hvm_last(const char *story, const char *line);
void hvm_note(void *folder, const char *call);

/* How many of its processes there are; and they are ended. */
unsigned hvm_running(const char *folder);
void hvm_end(const char *folder);

/* What of an HVM guest may be left in the folder: sockets, locks, roots.  malloc'd, a name a line. */
char *hvm_litter(const char *folder);

#endif
