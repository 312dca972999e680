/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what a configuration holds: a row a field, in the order libxl writes them.
 *
 *     { "b_info/max_vcpus", "maxvcpus", INT(max_vcpus), ... }
 *        JSON path           xl.cfg key  kind and place in struct wh_config
 *
 * A path's steps are parted by '/', for keys like "type.pv" have dots.  Adding a field is adding a
 * row (and its member to the struct): reading, writing and freeing go by the table. */
#ifndef WH_CONFIG_FIELD_H
#define WH_CONFIG_FIELD_H

#include "config/config.h"
#include "base/json.h"

#define WH_FIELD_MEMORY (32u << 20)     /* of the JSON in parsed form */

enum wh_field_kind {
    WH_FIELD_END,
    WH_FIELD_STRUCT,        /* an object that is there even when it is empty; no member */
    WH_FIELD_LACK,          /* known, but cannot be had yet; no member */
    WH_FIELD_KEPT,          /* known, and of no use here; stays as it stands; no member */
    WH_FIELD_STRING,        /* char *; NULL: not said */
    WH_FIELD_STRINGS,       /* char **, counted by its list's size_t */
    WH_FIELD_U64,           /* uint64_t */
    WH_FIELD_U32,           /* uint32_t */
    WH_FIELD_INT,           /* int */
    WH_FIELD_FLAG,          /* bool, in JSON 0 or 1 */
    WH_FIELD_BOOL,          /* bool, in JSON true or false */
    WH_FIELD_MAYBE,         /* enum wh_maybe */
    WH_FIELD_ENUM,          /* an enum, by its names */
    WH_FIELD_BITS,          /* struct wh_bits */
    WH_FIELD_AFFINITY,      /* struct wh_affinity */
    WH_FIELD_UUID,          /* struct wh_uuid */
    WH_FIELD_GENID,         /* struct wh_uuid, in JSON an array of its bytes */
    WH_FIELD_MAC,           /* struct wh_mac */
    WH_FIELD_JSON,          /* char *, JSON of any form; NULL: not said */
    WH_FIELD_LIST,          /* an array of structs with a table of their own */
};

/* What may stand in a string. */
enum wh_chars {
    WH_CHARS_TEXT,          /* no control characters */
    WH_CHARS_NAME,          /* nor '/': it becomes part of a path, a node, a file's name */
    WH_CHARS_WORD,          /* letters, digits and -_.,:@ : it comes before a shell script */
    WH_CHARS_ADDRESS,       /* the same, and spaces and '/' */
    WH_CHARS_PART,          /* letters, digits and -_. : a part of what QEMU is told, with commas */
    WH_CHARS_HOST,          /* letters, digits and -_.:[]% : where QEMU listens */
};

struct wh_names {
    int value;
    const char *json;
    const char *xlcfg;      /* NULL: the same */
};

struct wh_list;

struct wh_field {
    const char *path;
    const char *key;                /* of xl.cfg; NULL: none, or one with code of its own */
    enum wh_field_kind kind;
    size_t at;                      /* of the member in the struct */
    int64_t unsaid;                 /* its value when nobody has set it; left out of the JSON */
    int64_t least, most;            /* of numbers; most of a string: bytes */
    unsigned guests;                /* enum wh_field_guests: who has it; 0: all */
    unsigned keyed;                 /* the same: whose xl.cfg has the key; 0: all who have it */
    unsigned unit;                  /* of the number in xl.cfg: 1024 for MiB to KiB; 0: 1 */
    enum wh_chars chars;
    const char *nothing;            /* of a LACK: what asks for nothing, beside 0, "" and [] */
    const struct wh_names *names;   /* ended by a NULL name */
    const struct wh_list *list;
};

struct wh_list {
    const struct wh_field *fields;  /* NULL: of strings */
    size_t size;                    /* of one */
    size_t most;
    size_t count_at;                /* of the size_t that counts them */
    void (*init)(void *one);
};

enum wh_field_guests { WH_FIELD_HVM = 1, WH_FIELD_PV = 2, WH_FIELD_PVH = 4 };

extern const struct wh_field wh_fields[];           /* of struct wh_config */
extern const struct wh_list wh_field_disks, wh_field_nics;
extern const struct wh_names wh_field_types[], wh_field_actions[], wh_field_bioses[],
                             wh_field_vgas[], wh_field_viridian[];

/* The bit of a type, 0 of none. */
unsigned wh_field_guest(enum wh_type type);
/* Whether guests of this type have the field. */
bool wh_field_applies(const struct wh_field *f, enum wh_type type);
/* Whether xl.cfg of such a guest has the field's key. */
bool wh_field_keyed(const struct wh_field *f, enum wh_type type);

const char *wh_field_name(const struct wh_names *names, int value);     /* NULL: it has none */

/* Set all of a table's members to "not said", and free what they own. */
void wh_field_init_all(const struct wh_field *table, void *base);
void wh_field_free_all(const struct wh_field *table, void *base);

/* Whether the member holds what is left out of the JSON. */
bool wh_field_unsaid(const struct wh_field *f, const void *base);

/* The member itself, and the count of a list. */
void *wh_field_member(const struct wh_field *f, const void *base);
size_t *wh_field_count(const struct wh_field *f, const void *base);

/* A number or enum by its row, whatever its width. */
int64_t wh_field_get(const struct wh_field *f, const void *base);
void wh_field_set(const struct wh_field *f, void *base, int64_t value);

/* Why the text may not stand in the field, a constant; NULL: it may. */
const char *wh_field_refuses(const struct wh_field *f, const char *text);

/* JSON text of a configuration as a tree.  NULL: as wh_json_parse. */
json_object *wh_field_tree(const char *text, size_t n, const char **why, size_t *at);

/* Put one member of c into a tree of JSON, in its place among libxl's (config_write.c).  False: out
 * of memory, or no row has that path. */
bool wh_field_put(json_object *root, const char *path, const struct wh_config *c);

/* "b_info/type.pv/e820_host" as people and libxl write it: with dots.  Cut to fit. */
const char *wh_field_dotted(const char *path, char *text, size_t size);

#endif
