/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of preflight share. */
#ifndef WH_FLOW_PREFLIGHT_PARTS_H
#define WH_FLOW_PREFLIGHT_PARTS_H

#include "config/config.h"
#include "flow/preflight.h"

#define WH_CHECK_TEXT 900           /* bytes of an outcome's text */

/* One look at a guest that is to come. */
struct wh_preflight {
    struct wh_here *h;
    json_object *facts, *checks;
    struct wh_config config;        /* settled; empty if it could not be read */
    bool readable;
};

/* Add an outcome; the entry is the array's. */
json_object *wh_check_add(json_object *checks, const char *name, bool ok, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What is wrong with the parts of something, as one text; empty: nothing. */
struct wh_wrongs {
    char text[WH_CHECK_TEXT];
    size_t more;                    /* that had no room */
};
void wh_wrongs_add(struct wh_wrongs *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The outcome that comes of them, with what they are wrong of in front. */
json_object *wh_wrongs_check(json_object *checks, const char *name, const char *of,
                             const struct wh_wrongs *w);

/* After a failure: whether it is an outcome, whose text goes to text; the operation goes on.  Where
 * the host does not answer or the operation was stopped it has failed. */
bool wh_check_is_outcome(struct wh_op *op, char text[WH_CHECK_TEXT]);

/* "clock": 60 s are too much. */
void wh_check_clock(json_object *checks, int64_t ours_ms, int64_t theirs_ms, int64_t unsure_ms);
int64_t wh_check_now_ms(void);

/* A raw disk that this host itself serves from a path. */
bool wh_check_plain_disk(const struct wh_disk *d);

/* preflight_cpu.c, preflight_devices.c */
bool wh_preflight_cpu(struct wh_op *op, struct wh_preflight *p);
bool wh_preflight_disks(struct wh_op *op, struct wh_preflight *p);
bool wh_preflight_network(struct wh_op *op, struct wh_preflight *p);
bool wh_preflight_model(struct wh_op *op, struct wh_preflight *p);

#define WH_LOOK_MS 10000            /* for one path */

#endif
