/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop: step some pages, hear what is asked, say four times a second that all is well. */
#include "machine.h"

#include <xen/sched.h>

#define BATCH 64                    /* pages between two looks at the rings: under 10 ms in TCG */
#define SECOND 1000000000ull
#define SAY (SECOND / 4)            /* a test that waits for the next waits no longer */

struct machine machine;

void machine_main(void);

/* How many pages the rate allows by now.  A clock that has jumped back (a new domain's may) only
 * begins anew. */
static unsigned allowed(uint64_t now)
{
    static uint64_t last, credit;   /* in pages times SECOND */
    uint64_t pages;

    if (!words.rate)
        return BATCH;
    if (now > last && last)
        credit += (now - last < SECOND ? now - last : SECOND) * words.rate;
    last = now;
    pages = credit / SECOND;
    if (pages <= BATCH) {
        credit %= SECOND;
        return pages;
    }
    credit = credit - BATCH * SECOND < words.rate * SECOND ? credit - BATCH * SECOND : 0;
    return BATCH;
}

static void tell(uint64_t now)
{
    static uint64_t last, last_stepped;

    if (now >= last && now - last < SAY)
        return;
    last = now;
    if (stepping.stepped == last_stepped)
        return;
    last_stepped = stepping.stepped;
    keep_check();
    if (stepping.bad)
        print("step %u pass %u bad=%u\n", stepping.stepped, stepping.step, stepping.bad);
    else
        print("step %u ok pass %u\n", stepping.stepped, stepping.step);
}

/* Ends that are asked for on the command line come at a pass. */
static void end_after(uint64_t pass, unsigned reason)
{
    if (!pass || stepping.step <= pass)
        return;
    print("ending after pass %u\n", pass);
    control_shutdown(reason);
}

void machine_main(void)
{
    keep_fill();
    step_begin();
    print("stepper %s: %u pages in %u ranges, %u a second%s\n", machine.flavour, stepping.count,
          (uint64_t)machine.ranges, words.rate, words.random ? ", random" : "");
    for (;;) {
        uint64_t now;
        unsigned pages;

        machine_forget_events();
        print_poll();
        control_poll();
        now = time_ns();            /* now: control_poll may have suspended us */
        pages = allowed(now);
        if (pages)
            step_some(pages);
        else
            machine_sleep(now + SECOND / 50);
        tell(now);
        end_after(words.poweroff, SHUTDOWN_poweroff);
        end_after(words.reboot, SHUTDOWN_reboot);
        end_after(words.crash, SHUTDOWN_crash);
    }
}
