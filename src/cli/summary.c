/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What wherry inspect prints for people.  Nothing a stream says reaches the terminal raw. */
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "base/json.h"
#include "wire/libxl.h"

void wh_print_record(FILE *f, const struct wh_rec *r)
{
    struct wh_line l = { .used = 0 };
    char scratch[16];

    wh_rec_print(r, &l);
    fprintf(f, "%#12" PRIx64 "  %-7s  %-22s  %10" PRIu32 "%s%s\n", r->at, r->layer->name,
            wh_rec_name(r, scratch, sizeof scratch), r->length, l.used ? "  " : "", l.text);
}

static const char *container_text(enum wh_format c)
{
    static const char *const text[] = { "nothing known", "xl save file", "libxl stream",
                                        "libxc image", "legacy stream" };

    return text[c];
}

/* PVH looks like HVM to libxc; only the configuration tells. */
static const char *guest_text(const struct wh_report *r)
{
    if (r->image.guest == WH_PV)
        return r->image.width == 4 ? "x86 PV, 32-bit" : r->image.width ? "x86 PV, 64-bit" : "x86 PV";
    if (r->image.guest != WH_HVM)
        return "unknown guest";
    if (r->config && wh_json_has(r->config, "b_info", "type.pvh"))
        return "x86 PVH";
    return r->config && wh_json_has(r->config, "b_info", "type.hvm") ? "x86 HVM" : "x86 HVM or PVH";
}

static void print_guest(FILE *f, const struct wh_report *r)
{
    const char *name = wh_json_string(r->config, "c_info.name", NULL);
    uint64_t kib = wh_json_number(r->config, "b_info.max_memkb", 0);

    fputs("  guest     ", f);
    if (name) {
        wh_print_plain(f, name);
        fputs(": ", f);
    }
    fputs(guest_text(r), f);
    if (r->image.vcpus)
        fprintf(f, ", %u vcpu%s", r->image.vcpus, r->image.vcpus == 1 ? "" : "s");
    if (kib)
        fprintf(f, ", %" PRIu64 " MiB", kib / 1024);
    putc('\n', f);
}

static void print_writer(FILE *f, const struct wh_image *i)
{
    if (i->has_legacy)
        fprintf(f, "  written   by Xen before 4.6, %u-bit tools\n", i->legacy_width);
    if (!i->has_libxc)
        return;
    fputs("  written   by ", f);
    if (i->xen_major == 0)
        fputs("the converter of legacy streams", f);
    else
        fprintf(f, "Xen %u.%u", i->xen_major, i->xen_minor);
    fprintf(f, ", libxc image version %u", i->libxc_version);
    if (i->has_libxl)
        fprintf(f, ", libxl stream version %u", i->libxl_version);
    putc('\n', f);
}

static void print_types(FILE *f, const struct wh_report *r)
{
    const char *gap = "  types     ";

    for (unsigned t = 0; t < 16; t++) {
        if (r->by_type[t]) {
            fprintf(f, "%s%s %" PRIu64, gap, wh_page_type_name(t), r->by_type[t]);
            gap = ", ";
        }
    }
    if (gap[0] == ',')
        putc('\n', f);
}

static void print_pages(FILE *f, const struct wh_report *r)
{
    const struct wh_image *i = &r->image;

    fprintf(f, "  pages     %" PRIu64 " with contents (%.1f MiB) of %" PRIu64 " named", i->page_data,
            (double)i->page_data * WH_PAGE_SIZE / (1 << 20), i->page_entries);
    if (!r->pages.seen.full)
        fprintf(f, ", %" PRIu64 " different", r->pages.seen.count);
    if (r->mapped && !r->pages.zero.full)
        fprintf(f, ", %" PRIu64 " zero", r->pages.zero.count);
    putc('\n', f);
    print_types(f, r);
    if (i->rounds > 1 || i->epochs > 0)
        fprintf(f, "  sent      in %" PRIu64 " rounds, %" PRIu64 " checkpoints\n", i->rounds,
                i->epochs);
}

static void print_trailer(FILE *f, const struct wh_report *r)
{
    char when[32] = "?";
    time_t t = (time_t)r->image.trailer_time;
    struct tm tm;

    if (!r->image.has_trailer) {
        fputs("  trailer   none\n", f);
        return;
    }
    if (gmtime_r(&t, &tm))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
    fprintf(f, "  trailer   by %s at %s, digest %s, index of %" PRIu64 "\n",
            r->image.trailer_producer, when, wh_digest_word(r->digest),
            r->image.trailer_index_entries);
}

static void print_compression(FILE *f, const struct wh_report *r)
{
    const struct wh_packing *p = &r->packing;

    if (!r->packed)
        return;
    fprintf(f, "  zstd      %" PRIu64 " bytes in %" PRIu64 " frame%s", p->size, p->frames,
            p->frames == 1 ? "" : "s");
    if (r->image.complete && r->image.size > 0)
        fprintf(f, ", %.1f%%", 100.0 * (double)p->size / (double)r->image.size);
    fputs(p->indexed ? ", with a seek table\n" : ", no seek table\n", f);
}

/* ------------------------------------------------------------------------------- table */

static void add_line(struct libscols_table *t, const char *layer, const char *name,
                     const struct wh_tally *tally)
{
    char count[24], bytes[24];

    if (tally->count == 0)
        return;
    snprintf(count, sizeof count, "%" PRIu64, tally->count);
    snprintf(bytes, sizeof bytes, "%" PRIu64, tally->bytes);
    struct libscols_line *l = scols_table_new_line(t, NULL);
    if (!l)
        return;
    scols_line_set_data(l, 0, layer);
    scols_line_set_data(l, 1, name);
    scols_line_set_data(l, 2, count);
    scols_line_set_data(l, 3, bytes);
}

static void print_table(FILE *f, const struct wh_report *r)
{
    struct libscols_table *t = scols_new_table();
    char name[16];

    if (!t)
        return;
    scols_table_set_stream(t, f);
    scols_table_new_column(t, "LAYER", 0, 0);
    scols_table_new_column(t, "RECORD", 0, 0);
    scols_table_new_column(t, "COUNT", 0, SCOLS_FL_RIGHT);
    scols_table_new_column(t, "BYTES", 0, SCOLS_FL_RIGHT);
    for (unsigned l = 0; l < WH_LAYERS; l++) {
        for (size_t i = 0; i < wh_layers[l]->count; i++)
            add_line(t, wh_layers[l]->name, wh_layers[l]->rows[i].name, &r->known[l][i]);
        for (unsigned i = 0; i < WH_TALLY_UNKNOWN; i++) {
            snprintf(name, sizeof name, "%#" PRIx32, r->unknown[l][i].type);
            add_line(t, wh_layers[l]->name, name, &r->unknown[l][i]);
        }
    }
    if (scols_table_get_nlines(t) > 0) {
        putc('\n', f);
        scols_print_table(t);
    }
    scols_unref_table(t);
}

void wh_print_summary(FILE *f, const char *path, const struct wh_report *r)
{
    const struct wh_image *i = &r->image;

    wh_print_plain(f, path);
    fprintf(f, ": %s, %s, %" PRIu64 " bytes\n", container_text(i->container),
            i->complete ? "complete" : "incomplete", i->size);
    print_compression(f, r);
    if (i->guest) {
        print_guest(f, r);
        print_writer(f, i);
        print_pages(f, r);
        if (i->emulator_bytes)
            fprintf(f, "  emulator  %" PRIu64 " bytes of state\n", i->emulator_bytes);
    }
    if (i->complete && i->container == WH_FORMAT_XL)
        print_trailer(f, r);
    if (r->findings)
        fprintf(f, "  broken    %" PRIu64 " rule%s (wherry verify), first at %s\n", r->findings,
                r->findings == 1 ? "" : "s", r->first);
    print_table(f, r);
}
