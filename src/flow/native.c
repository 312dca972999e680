/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flow/native.h"

#include <string.h>

#include "base/json.h"
#include "base/own.h"

#define HELLO_MS 60000
#define ASK_MS 30000
#define LEAVE_MS 2000

json_object *wh_native_message(const char *type, const char *job)
{
    json_object *o = json_object_new_object();

    json_object_object_add(o, "type", json_object_new_string(type));
    json_object_object_add(o, "job", json_object_new_string(job));
    return o;
}

bool wh_native_say(struct wh_op *op, struct wh_parcel *p, const char *type, const char *job)
{
    return wh_parcel_say(op, p, wh_native_message(type, job));
}

bool wh_native_await(struct wh_op *op, struct wh_parcel *p, const char *type, const char *job,
                     json_object **o)
{
    const char *came;

    if (!wh_parcel_hear(op, p, o, &came))
        return false;
    if (strcmp(came, type) == 0 && strcmp(wh_json_string(*o, "job", ""), job) == 0)
        return true;
    wh_fail(&op->err, WH_PEER, "%s said \"%.20s\" where \"%s\" of this move was due", p->peer, came, type);
    json_object_put(wh_take_ptr(o));
    return false;
}

void wh_native_introduce(json_object *hello)
{
    static const char *const can[] = { "zeros", "zstd", "prepares", "marks", "verify" };
    json_object *list = json_object_new_array();

    for (size_t i = 0; i < WH_COUNT(can); i++)
        json_object_array_add(list, json_object_new_string(can[i]));
    json_object_object_add(hello, "version", json_object_new_int(WH_NATIVE_VERSION));
    json_object_object_add(hello, "oldest", json_object_new_int(WH_NATIVE_OLDEST));
    json_object_object_add(hello, "wherry", json_object_new_string(WH_VERSION));
    json_object_object_add(hello, "can", list);
}

bool wh_native_agrees(struct wh_op *op, const struct wh_parcel *p, json_object *hello)
{
    uint64_t version = wh_json_number(hello, "version", 0);
    uint64_t oldest = wh_json_number(hello, "oldest", version);

    return (version >= WH_NATIVE_OLDEST && oldest <= WH_NATIVE_VERSION) ||
           wh_fail(&op->err, WH_PEER, "%s speaks versions %llu to %llu of the protocol, this wherry %d "
                   "to %d", p->peer, (unsigned long long)oldest, (unsigned long long)version,
                   WH_NATIVE_OLDEST, WH_NATIVE_VERSION);
}

bool wh_native_can(json_object *hello, const char *what)
{
    json_object *list = json_object_object_get(hello, "can");

    if (!json_object_is_type(list, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *one = json_object_array_get_idx(list, i);

        if (json_object_is_type(one, json_type_string) &&
            strcmp(json_object_get_string(one), what) == 0)
            return true;
    }
    return false;
}

bool wh_native_reach(struct wh_op *op, const struct wh_destination *to, struct wh_dialled *link,
                     struct wh_parcel *p)
{
    char banner[WH_BANNER_BYTES];

    if (link->child >= 0 && !wh_dial(op, link, to))
        return false;
    wh_step(op, "wait for the receiver", HELLO_MS);
    if (!wh_parcel_open(op, p, link->in, link->out, link->what))
        return false;
    p->silence_ms = HELLO_MS;           /* a password may have to be typed */
    p->raw = true;                      /* no frame before it is known who is there */
    bool ok = wh_parcel_raw_read(op, p, banner, sizeof banner);
    p->silence_ms = WH_SILENCE_MS;
    if (!ok)
        return wh_while(&op->err, "no receiver there");
    return memcmp(banner, WH_BANNER, sizeof banner) == 0 ||
           wh_fail(&op->err, WH_PEER, "what %s said first is no receiver's greeting", link->what);
}

void wh_native_say_last(struct wh_op *op, struct wh_parcel *p, json_object *o)
{
    struct wh_err why = op->err;
    bool shielded = op->shielded;

    if (!p->parts || p->raw || p->lost || p->failed) {
        json_object_put(o);
        return;
    }
    op->shielded = true;
    op->err = (struct wh_err){ 0 };
    wh_step(op, "tell the other host", LEAVE_MS);
    json_object_object_add(o, "text", wh_json_text(why.text));
    wh_parcel_say(op, p, o);
    op->err = why;
    op->shielded = shielded;
}

int wh_native_leave(struct wh_op *op, struct wh_dialled *link, struct wh_parcel *p, bool ok)
{
    if (!ok)
        wh_native_say_last(op, p, wh_native_message("failed", ""));
    op->tick = NULL;
    wh_parcel_free(p);
    return wh_dial_close(op, link);
}

static bool ask(struct wh_op *op, struct wh_parcel *p, const char *job, enum wh_target_state *state,
                bool done)
{
    wh_auto_json json_object *hello = NULL, *answer = NULL;
    json_object *ours = wh_native_message("hello", job);

    wh_native_introduce(ours);
    json_object_object_add(ours, "purpose", json_object_new_string("ask"));
    if (!wh_parcel_say(op, p, ours) || !wh_native_await(op, p, "hello", job, &hello) ||
        !wh_native_agrees(op, p, hello) || !wh_native_await(op, p, "answer", job, &answer))
        return false;
    if (!wh_target_state_named(wh_json_string(answer, "state", ""), state))
        return wh_fail(&op->err, WH_PEER, "%s answered with a state that is none", p->peer);
    return !done || wh_native_say(op, p, "bye", job);
}

bool wh_native_ask(struct wh_op *op, const struct wh_destination *to, const char *job,
                   enum wh_target_state *state, bool done)
{
    struct wh_dialled link = { .in = -1, .out = -1 };
    struct wh_parcel p = { 0 };

    bool ok = wh_native_reach(op, to, &link, &p);
    p.raw = false;
    wh_step(op, "ask the other host", ASK_MS);
    ok = ok && ask(op, &p, job, state, done);
    wh_native_leave(op, &link, &p, ok);
    return ok;
}
