/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The console.  Lines wait in a buffer of our own until the ring has room: a console daemon that
 * has gone away must not stop the stepping. */
#include "hypercall.h"
#include "machine.h"

#include <stdarg.h>
#include <xen/sched.h>

#define WAITING 8192

static char waiting[WAITING];
static unsigned waiting_first, waiting_end;     /* free-running */
static unsigned lines_lost;

struct line {
    char text[256];
    unsigned len;
};

static void put(struct line *line, char c)
{
    if (line->len < sizeof line->text)
        line->text[line->len++] = c;
}

static void put_number(struct line *line, uint64_t number, unsigned base)
{
    char digits[20];
    unsigned n = 0;

    do {
        digits[n++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    while (n)
        put(line, digits[--n]);
}

static void put_format(struct line *line, const char *format, va_list ap)
{
    for (; *format; format++) {
        if (*format == '\n')
            put(line, '\r');
        if (*format != '%') {
            put(line, *format);
        } else if (*++format == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++)
                put(line, *s);
        } else {
            put_number(line, va_arg(ap, uint64_t), *format == 'u' ? 10 : 16);
        }
    }
}

static void keep_line(const struct line *line)
{
    if (WAITING - (waiting_end - waiting_first) < line->len) {
        lines_lost++;
        return;
    }
    for (unsigned i = 0; i < line->len; i++)
        waiting[waiting_end++ % WAITING] = line->text[i];
}

static void print_line(const char *format, ...)
{
    struct line line = { .len = 0 };
    va_list ap;

    va_start(ap, format);
    put_format(&line, format, ap);
    va_end(ap);
    keep_line(&line);
}

void print(const char *format, ...)
{
    struct line line = { .len = 0 };
    va_list ap;

    if (lines_lost && waiting_end == waiting_first) {
        print_line("lost %u lines: the console was full\n", (uint64_t)lines_lost);
        lines_lost = 0;
    }
    va_start(ap, format);
    put_format(&line, format, ap);
    va_end(ap);
    keep_line(&line);
    print_poll();
}

static void drain(volatile struct xencons_interface *ring)
{
    XENCONS_RING_IDX prod = ring->out_prod;

    barrier();
    if (waiting_first == waiting_end || prod - ring->out_cons >= sizeof ring->out)
        return;
    while (waiting_first != waiting_end && prod - ring->out_cons < sizeof ring->out) {
        ring->out[MASK_XENCONS_IDX(prod, ring->out)] = waiting[waiting_first++ % WAITING];
        prod++;
    }
    barrier();
    ring->out_prod = prod;
    machine_notify(machine.console_port);
}

/* A line typed is a wish, or is said back. */
static void obey(const char *typed)
{
    if (is_same(typed, "poweroff"))
        control_shutdown(SHUTDOWN_poweroff);
    if (is_same(typed, "reboot"))
        control_shutdown(SHUTDOWN_reboot);
    if (is_same(typed, "crash"))
        control_shutdown(SHUTDOWN_crash);
    print("heard %s\n", typed);
}

static void hear(volatile struct xencons_interface *ring)
{
    static char typed[80];
    static unsigned len;

    if (ring->in_cons == ring->in_prod)
        return;
    barrier();
    while (ring->in_cons != ring->in_prod) {
        char c = ring->in[MASK_XENCONS_IDX(ring->in_cons, ring->in)];

        ring->in_cons++;
        if (c != '\r' && c != '\n') {
            typed[len] = c;
            len += len < sizeof typed - 1;
            continue;
        }
        typed[len] = 0;
        len = 0;
        obey(typed);
    }
    barrier();
    machine_notify(machine.console_port);
}

void print_poll(void)
{
    static bool within;     /* what is heard is answered by print, which comes here again */

    if (!machine.console || within)
        return;
    within = true;
    hear(machine.console);
    drain(machine.console);
    within = false;
}

/* The end: also on Xen's own console, for the guest's may not be there. */
void print_fatal(const char *text)
{
    hypercall(__HYPERVISOR_console_io, CONSOLEIO_write, strlen(text), (unsigned long)text, 0);
    print("FATAL %s\n", text);
    control_shutdown(SHUTDOWN_crash);
}
