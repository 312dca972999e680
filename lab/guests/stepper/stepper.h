/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The stepper: a guest that steps through all its pages, adding one to each, for ever.
 *
 *     page    0     1     2     3     4     5
 *           +-----+-----+-----+-----+-----+-----+
 *     step  |  7  |  7  |  7  |  6  |  6  |  6  |       one edge; the next page stepped is 3
 *           +-----+-----+-----+-----+-----+-----+
 *
 * Every word of a page is made of (step, page, word), and every word is compared before the page is
 * stepped, so that a page which was torn, swapped, zeroed or left behind by a save cannot pass.
 *
 *     main.c      the loop                      machine.h   what a flavour of guest must give
 *     step.c      the pages                     pvh.c       PVH
 *     control.c   what xenstore asks of us      pv*.c       PV
 *     store.c     xenstore, never waiting       print.c     the console, never waiting
 *     words.c     the command line              keep.S      registers that must outlive a save */
#ifndef STEPPER_H
#define STEPPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096ul

/* The command line (words.c). */
enum refusal { REFUSE_NOTHING, REFUSE_ACK, REFUSE_SHUTDOWN };

struct words {
    uint64_t rate;          /* pages a second; 0: flat out */
    uint64_t pages;         /* step only so many, the rest stay zero; 0: all */
    uint64_t poweroff;      /* shut down at this step; 0: never */
    uint64_t reboot;
    uint64_t crash;
    uint64_t slow;          /* milliseconds between being asked to suspend and the answer */
    bool random;            /* fill pages with what cannot be compressed */
    bool tree;              /* PV: show the p2m as a tree of frame lists, not as one array */
    enum refusal refuse;    /* what of a suspend not to do */
};

extern struct words words;

void words_read(const char *cmdline);

/* The pages (step.c).  step_some goes through up to `budget` of them and returns how many. */
void step_begin(void);
unsigned step_some(unsigned budget);
void step_check_all(void);

struct step_state {
    uint64_t step;          /* what the next page is stepped to; the first pass writes 1 */
    uint64_t stepped;       /* pages, ever */
    uint64_t bad;           /* pages found wrong, ever */
    uint64_t count;         /* pages that are stepped in a pass */
};

extern struct step_state stepping;

/* xenstore, one request at a time (store.c). */
enum store_heard { STORE_NOTHING, STORE_REPLY, STORE_ERROR, STORE_WATCH };

void store_reconnect(void);
bool store_is_idle(void);
void store_ask(unsigned type, uint32_t transaction, const char *strings, unsigned len);
enum store_heard store_hear(void);
extern char store_text[];           /* of what was heard, ended by a NUL */

/* What the toolstack asks of us (control.c). */
void control_poll(void);
void control_shutdown(unsigned reason) __attribute__((noreturn));

/* The console (print.c).  %s, %u and %x, the numbers always uint64_t.  A line that finds no room is
 * left out and counted.  print_poll moves what is waiting, and hears what is typed. */
void print(const char *format, ...);
void print_poll(void);
void print_fatal(const char *text) __attribute__((noreturn));

/* Milliseconds and nanoseconds (time.c).  The clock may jump at a new domain, the wall time not. */
uint64_t time_ns(void);
uint64_t time_wall_ms(void);

/* Registers that no code uses, and the code itself: noted once, looked at each second and after
 * each suspend (keep.c). */
void keep_fill(void);
void keep_check(void);

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
size_t strlen(const char *text);
bool is_same(const char *a, const char *b);

#endif
