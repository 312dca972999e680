/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* xenstore, one request at a time, and nothing waited for: the daemon may be away for long. */
#include "machine.h"

#define HEAD sizeof(struct xsd_sockmsg)

char store_text[XENSTORE_PAYLOAD_MAX + 1];

static struct xsd_sockmsg head;     /* of what is being heard */
static unsigned heard;              /* bytes of it, with its head */
static bool asked;

/* The other end is another daemon or knows nothing of us: what was on its way is void. */
void store_reconnect(void)
{
    machine.store->rsp_cons = machine.store->rsp_prod;
    heard = 0;
    asked = false;
}

bool store_is_idle(void)
{
    return !asked;
}

static void send(const void *bytes, unsigned len)
{
    volatile struct xenstore_domain_interface *ring = machine.store;
    const char *from = bytes;

    for (unsigned i = 0; i < len; i++)
        ring->req[MASK_XENSTORE_IDX(ring->req_prod + i)] = from[i];
    barrier();
    ring->req_prod += len;
}

/* Only one request is ever in the ring, and all are small: there is always room. */
void store_ask(unsigned type, uint32_t transaction, const char *strings, unsigned len)
{
    struct xsd_sockmsg ask = { .type = type, .tx_id = transaction, .len = len };

    send(&ask, sizeof ask);
    send(strings, len);
    asked = true;
    machine_notify(machine.store_port);
}

static char *place(unsigned at)
{
    return at < HEAD ? (char *)&head + at : store_text + (at - HEAD);
}

/* True when all of a message has come. */
static bool receive(void)
{
    volatile struct xenstore_domain_interface *ring = machine.store;
    XENSTORE_RING_IDX cons = ring->rsp_cons;

    while (cons != ring->rsp_prod && (heard < HEAD || heard < HEAD + head.len)) {
        barrier();
        *place(heard++) = ring->rsp[MASK_XENSTORE_IDX(cons)];
        cons++;
        if (heard == HEAD && head.len > XENSTORE_PAYLOAD_MAX)
            print_fatal("xenstore: a message that is too long\n");
    }
    if (cons == ring->rsp_cons)
        return heard >= HEAD && heard == HEAD + head.len;
    barrier();
    ring->rsp_cons = cons;
    machine_notify(machine.store_port);
    return heard >= HEAD && heard == HEAD + head.len;
}

enum store_heard store_hear(void)
{
    if (!receive())
        return STORE_NOTHING;
    heard = 0;
    store_text[head.len] = 0;
    if (head.type == XS_WATCH_EVENT)
        return STORE_WATCH;
    asked = false;
    return head.type == XS_ERROR ? STORE_ERROR : STORE_REPLY;
}
