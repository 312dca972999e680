/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files share that read xl.cfg text.
 *
 * libxlutil has the grammar and the values; it tells neither which keys there are nor, of most
 * errors, on which line.  So the text is scanned for its keys beside it. */
#ifndef WH_CONFIG_XLCFG_H
#define WH_CONFIG_XLCFG_H

#include <libxlutil.h>

#include "config/field.h"

struct wh_xlcfg_key {
    const char *name;           /* in the text; not ended by a NUL */
    size_t n;
    unsigned line;              /* from 1 */
};

struct wh_xlcfg_keys {
    struct wh_xlcfg_key *of;    /* in the order of the text, each assignment */
    size_t n;
};

#define WH_XLCFG_KEYS 4096      /* libxlutil's time is the square of them */

/* The keys of text, which may turn out to be malformed: then they mean nothing.  False: out of
 * memory, or more than WH_XLCFG_KEYS. */
bool wh_xlcfg_scan(const char *text, size_t n, struct wh_xlcfg_keys *keys);

struct wh_xlcfg_reader {
    struct wh_err *err;
    const struct wh_xlcfg *from;
    struct wh_config *c;
    struct wh_warnings *warnings;
    char *text;                 /* the file's, a newline, what was added */
    size_t n;
    unsigned file_lines;        /* what is on later lines was added */
    struct wh_xlcfg_keys keys;
    XLU_Config *cfg;
    FILE *report;               /* what libxlutil says; its beginning is kept here */
    char said[1024];
    size_t nsaid;
};

/* "FILE:LINE", or "command line" for what was added to the file. */
void wh_xlcfg_place(const struct wh_xlcfg_reader *r, unsigned line, char *text, size_t size);

/* "FILE:LINE: KEY: ...", of the last line that assigns the key.  What begins with a '[' goes on
 * with the key: "KEY[0].mac: ...". */
bool wh_xlcfg_wrong(struct wh_xlcfg_reader *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void wh_xlcfg_warn(struct wh_xlcfg_reader *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The first line libxlutil has said since the last call, as it stands; "" for nothing. */
void wh_xlcfg_said(struct wh_xlcfg_reader *r, char *text, size_t size);
/* The same about one value, which it does not tell the line of: without the file's name. */
void wh_xlcfg_said_of(struct wh_xlcfg_reader *r, char *text, size_t size);

/* A key's value: NULL where it is not set.  False: it is of the other kind. */
bool wh_xlcfg_string(struct wh_xlcfg_reader *r, const char *key, const char **text);
bool wh_xlcfg_list(struct wh_xlcfg_reader *r, const char *key, XLU_ConfigList **list, int *n);

/* A string of a list.  False: the item is a list. */
bool wh_xlcfg_item(struct wh_xlcfg_reader *r, const char *key, const XLU_ConfigList *list, int i,
                   const char **text);

/* What a string says, put into a row's member of base; named is what the error adds to the key:
 * "[0].mac", or "". */
bool wh_xlcfg_value(struct wh_xlcfg_reader *r, const char *key, const char *named,
                    const struct wh_field *f, void *base, const char *text);

/* A list of strings, put into a row's member of the configuration. */
bool wh_xlcfg_strings(struct wh_xlcfg_reader *r, const char *key, const struct wh_field *f,
                      const XLU_ConfigList *list, int n);

/* The row of a member: "b_info/type.hvm/serial". */
const struct wh_field *wh_xlcfg_row(const char *path);

/* The parts that are not a row a key. */
bool wh_xlcfg_cpus(struct wh_xlcfg_reader *r);
bool wh_xlcfg_disks(struct wh_xlcfg_reader *r);
bool wh_xlcfg_nics(struct wh_xlcfg_reader *r);
bool wh_xlcfg_hvm(struct wh_xlcfg_reader *r);

/* Keys that are not read: refused where they would change the guest, warned of otherwise; and keys
 * nobody knows. */
bool wh_xlcfg_others(struct wh_xlcfg_reader *r);

#endif
