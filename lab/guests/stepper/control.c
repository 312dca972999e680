/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the toolstack asks of us, by writing control/shutdown.
 *
 *     watch fires -> begin a transaction -> read the node -> empty it -> end -> do it
 *
 * In a transaction, because the toolstack takes the wish back in one when we are too slow: either
 * it sees our answer or we see nothing to do. */
#include "hypercall.h"
#include "machine.h"

#include <xen/sched.h>

enum asking { ASKING_NOTHING, SETTING_UP, BEGINNING, READING, EMPTYING, ENDING };

/* Strings as they go over the ring: their NULs count, but for a value's. */
#define STRINGS(text) text, sizeof(text) - 1

static const struct {
    unsigned type;
    const char *strings;
    unsigned len;
} setup[] = {
    { XS_WATCH, STRINGS("control/shutdown\0stepper\0")    },
    { XS_WRITE, STRINGS("control/feature-suspend\0" "1")  },
    { XS_WRITE, STRINGS("control/feature-poweroff\0" "1") },
    { XS_WRITE, STRINGS("control/feature-reboot\0" "1")   },
};

#define SETUPS (sizeof setup / sizeof setup[0])

static enum asking asking;
static unsigned set_up;             /* steps of it done */
static bool changed;                /* the watch has fired */
static uint64_t changed_ns;
static uint32_t transaction;
static char wish[16];
static uint64_t resumes;

void control_shutdown(unsigned reason)
{
    struct sched_shutdown shutdown = { .reason = reason };

    print_poll();
    hypercall2(__HYPERVISOR_sched_op, SCHEDOP_shutdown, &shutdown);
    for (;;)
        ;
}

static void suspend(void)
{
    uint64_t before = time_wall_ms(), bad = stepping.bad;
    bool cancelled;

    print("suspending\n");
    cancelled = machine_suspend();
    resumes++;
    if (!cancelled) {
        store_reconnect();
        asking = ASKING_NOTHING;
        set_up = 0;
        changed = false;            /* when, is of another clock; a new watch fires at once */
    }
    print("resumed %u %s after %u ms\n", resumes, cancelled ? "fast" : "new",
          time_wall_ms() - before);
    keep_check();
    step_check_all();
    print("checked %u pages, %u bad\n", stepping.count, stepping.bad - bad);
}

static void obey(void)
{
    if (is_same(wish, "suspend") && words.refuse == REFUSE_SHUTDOWN)
        print("asked to suspend: acknowledged, not done\n");
    else if (is_same(wish, "suspend"))
        suspend();
    else if (is_same(wish, "poweroff") || is_same(wish, "halt"))
        control_shutdown(SHUTDOWN_poweroff);
    else if (is_same(wish, "reboot"))
        control_shutdown(SHUTDOWN_reboot);
    else if (is_same(wish, "crash"))
        control_shutdown(SHUTDOWN_crash);
    else if (wish[0])
        print("unknown wish: %s\n", wish);
}

static void ask(enum asking what, unsigned type, const char *strings, unsigned len)
{
    asking = what;
    store_ask(type, transaction, strings, len);
}

static void ask_next(void)
{
    transaction = 0;
    if (set_up < SETUPS) {
        ask(SETTING_UP, setup[set_up].type, setup[set_up].strings, setup[set_up].len);
    } else if (changed && time_ns() >= changed_ns + words.slow * 1000000) {
        changed = false;
        ask(BEGINNING, XS_TRANSACTION_START, STRINGS("\0"));
    }
}

static uint32_t read_number(const char *text)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++)
        number = number * 10 + (uint32_t)(*text - '0');
    return number;
}

/* An empty node is our own answer coming back. */
static void answer_wish(bool readable)
{
    size_t len = strlen(store_text);

    wish[0] = 0;
    if (readable && len < sizeof wish)
        memcpy(wish, store_text, len + 1);
    if (is_same(wish, "suspend") && words.refuse == REFUSE_ACK) {
        print("asked to suspend: refused\n");
        wish[0] = 0;
    }
    if (wish[0])
        ask(EMPTYING, XS_WRITE, STRINGS("control/shutdown\0"));
    else
        ask(ENDING, XS_TRANSACTION_END, STRINGS("F\0"));
}

static void handle(bool ok)
{
    switch (asking) {
    case SETTING_UP:
        if (!ok)
            print("xenstore: set-up %u failed: %s\n", (uint64_t)set_up, store_text);
        asking = ASKING_NOTHING;
        set_up++;
        return;
    case BEGINNING:
        transaction = read_number(store_text);
        asking = ASKING_NOTHING;
        changed |= !ok;
        if (ok)
            ask(READING, XS_READ, STRINGS("control/shutdown\0"));
        return;
    case READING:
        answer_wish(ok);
        return;
    case EMPTYING:
        ask(ENDING, XS_TRANSACTION_END, STRINGS("T\0"));
        return;
    case ENDING:
        asking = ASKING_NOTHING;
        if (ok)
            obey();
        else
            changed = true;         /* EAGAIN: somebody else wrote; look again */
        return;
    case ASKING_NOTHING:
        return;
    }
}

void control_poll(void)
{
    enum store_heard heard;

    while ((heard = store_hear()) != STORE_NOTHING) {
        if (heard == STORE_WATCH && !changed) {
            changed = true;
            changed_ns = time_ns();
            if (words.slow)
                print("control/shutdown has changed: reading it in %u ms\n", words.slow);
        } else if (heard != STORE_WATCH) {
            handle(heard == STORE_REPLY);
        }
    }
    if (asking == ASKING_NOTHING && store_is_idle())
        ask_next();
}
