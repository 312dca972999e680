/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints docs/streams.md from the tables the reader runs on (make docs). */
#include <inttypes.h>
#include <stdio.h>

#include "wire/record.h"
#include "wire/rule.h"
#include "wire/walk.h"

static const char intro[] =
    "<!-- Made by docs/format.c from the tables in src/wire: do not edit, run `make docs`. -->\n"
    "# The streams, as Wherry reads and writes them\n\n"
    "A guest's image is layers of records. `xl save` writes all of them, outermost first:\n\n"
    "    xl header, configuration\n"
    "      libxl header\n"
    "        LIBXC_CONTEXT\n"
    "          libxc image header, domain header, records up to END or CHECKPOINT\n"
    "        emulator records, END\n"
    "    Wherry's trailer                  (only where Wherry wrote the file)\n\n"
    "Framed records are a u32 type, a u32 length of the body, the body, and zeros up to a multiple "
    "of eight\nbytes. All integers are little endian but those of the libxl header and the libxc "
    "image header. Types with\nbit 31 set may be skipped in the libxc layer of a plain stream and in "
    "the trailer, nowhere else.\n\n"
    "Lengths are those of bodies. *Guest*: what kinds a record is for. *Once*: between two "
    "checkpoints.\n*Needed*: an image without it is broken.\n";

static const char *guests(unsigned g)
{
    return g == WH_PV ? "PV" : g == WH_HVM ? "HVM" : g == WH_ANY_GUEST ? "both" : "none";
}

static void print_length(const struct wh_row *row)
{
    if (row->min == row->max)
        printf("%u", row->min);
    else if (row->max == UINT32_MAX)
        printf("from %u", row->min);
    else
        printf("%u to %u", row->min, row->max);
    if (row->unit > 1)
        printf(", step %u", row->unit);
}

static void print_phases(const struct wh_layer *layer, unsigned in)
{
    const char *gap = "";

    for (unsigned i = 0; layer->phases[i]; i++) {
        if (in >> i & 1) {
            printf("%s%s", gap, layer->phases[i]);
            gap = "; ";
        }
    }
}

static void print_row(const struct wh_layer *layer, const struct wh_row *row)
{
    if (row->flags & WH_HEADER)
        printf("| | %s |", row->name);
    else if (layer->id == WH_LAYER_LEGACY)
        printf("| %d | %s |", (int)row->type, row->name);
    else
        printf("| 0x%02x | %s |", row->type, row->name);
    putchar(' ');
    print_length(row);
    printf(" | %s | ", guests(row->guests));
    print_phases(layer, row->in);
    printf(" | %s%s%s | %s |\n", row->flags & WH_ONCE ? "once " : "",
           row->flags & WH_NEEDED ? "needed " : "", row->flags & WH_SINCE_V3 ? "v3 " : "",
           row->says ? row->says : "");
}

static void print_legal(const struct wh_member *f)
{
    if (f->form == WH_ZERO)
        printf("0");
    else if (f->most == 0)
        printf("any");
    else if (f->least == f->most)
        printf("%" PRIu64, f->least);
    else
        printf("%" PRIu64 " to %" PRIu64, f->least, f->most);
}

static void print_fields(const struct wh_row *row)
{
    if (!row->fields)
        return;
    printf("\n**%s**\n\n| offset | size | field | legal | |\n|---:|---:|---|---|---|\n", row->name);
    for (const struct wh_member *f = row->fields; f->name; f++) {
        printf("| %u | %u | %s%s | ", f->at, f->size, f->name, f->big ? " (big endian)" : "");
        print_legal(f);
        printf(" | %s |\n", f->says ? f->says : "");
    }
}

static void print_layer(const struct wh_layer *layer)
{
    printf("\n## %s\n\n| type | record | length | guest | where | | body |\n"
           "|---:|---|---|---|---|---|---|\n",
           layer->title);
    for (size_t i = 0; i < layer->count; i++)
        print_row(layer, &layer->rows[i]);
    for (size_t i = 0; i < layer->count; i++)
        print_fields(&layer->rows[i]);
}

static void print_page_types(void)
{
    printf("\n## Page types\n\nOf an entry of PAGE_DATA: bits 63-60 the type, 59-52 zero, 51-0 the "
           "pfn, which is below 2^40.\n\n| type | name | contents |\n|---:|---|---|\n");
    for (unsigned t = 0; t < 16; t++) {
        if (wh_page_type_legal(t))
            printf("| %#x | %s | %s |\n", t, wh_page_type_name(t),
                   wh_page_has_data((uint64_t)t << 60) ? "4096 bytes" : "none");
    }
}

static void print_rules(void)
{
    printf("\n## Rules\n\nThe names that `wherry verify` prints.\n\n| rule | says |\n|---|---|\n");
    for (unsigned i = 0; i < WH_RULES; i++)
        printf("| %s | %s |\n", wh_rules[i].name, wh_rules[i].says);
}

int main(void)
{
    fputs(intro, stdout);
    for (unsigned l = 0; l < WH_LAYERS; l++)
        print_layer(wh_layers[l]);
    print_page_types();
    print_rules();
    return fflush(stdout) == 0 ? 0 : 1;
}
