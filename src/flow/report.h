/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What inspect found out about an image, for the command to print and as JSON. */
#ifndef WH_FLOW_REPORT_H
#define WH_FLOW_REPORT_H

#include <json-c/json.h>

#include "base/sparse.h"
#include "flow/input.h"
#include "link/unpack.h"

#define WH_TALLY_ROWS 32            /* of a layer's table */
#define WH_TALLY_UNKNOWN 16         /* types that no table has */

struct wh_tally {
    uint32_t type;                  /* of an unknown one */
    uint64_t count, bytes;          /* bodies without padding */
};

/* pfns by what was last said of them; only .seen without WH_PAGES. */
struct wh_page_sets {
    struct wh_sparse seen, contents, zero, table;
};

struct wh_report {
    struct wh_image image;          /* its config is the report's own */
    struct wh_tally known[WH_LAYERS][WH_TALLY_ROWS];
    struct wh_tally unknown[WH_LAYERS][WH_TALLY_UNKNOWN];
    uint64_t unknown_more;          /* records of yet other types */
    uint64_t by_type[16];           /* page entries */
    struct wh_page_sets pages;
    bool mapped;                    /* page contents were looked at */
    uint64_t findings;              /* rules broken */
    bool has_first;                 /* the first of them, and where the stream broke off */
    uint64_t first_at;
    char first[256];
    enum wh_digest_state digest;
    json_object *config;            /* parsed; NULL: none, or not JSON */
    bool packed;                    /* the file is compressed */
    struct wh_packing packing;
};

void wh_report_init(struct wh_report *r);
void wh_report_free(struct wh_report *r);

/* Count a record. */
void wh_report_record(struct wh_report *r, const struct wh_rec *rec);
/* Count page entries. */
void wh_report_entries(struct wh_report *r, const uint64_t *entry, size_t n);
/* Note contents; wants wh_report.mapped. */
void wh_report_pages(struct wh_report *r, const uint64_t *entry, size_t n, const uint8_t *contents);

json_object *wh_report_json(const struct wh_report *r);

const char *wh_format_name(enum wh_format f);
const char *wh_guest_name(const struct wh_image *i);        /* "x86-pv", NULL: not said */

/* A job's report after its end; NULL where it is not an inspection or read nothing. */
const struct wh_report *wh_inspect_report(const struct wh_job *j);

/* Before run: be told of every record as it goes by, on the job's thread. */
void wh_inspect_on_record(struct wh_job *j, void (*told)(void *arg, const struct wh_rec *r),
                          void *arg);

#endif
