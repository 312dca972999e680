/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A picture of a guest's memory: a character a block of pages, rows of holes left out.
 *
 *        0 MiB  TT######################################++++....
 *      256 MiB  (3840 MiB not there)
 */
#include <inttypes.h>
#include <string.h>

#include "cli/cli.h"

#define COLUMNS 64
#define ROWS 32

static char picture(const struct wh_report *r, uint64_t first, uint64_t end)
{
    const struct wh_page_sets *s = &r->pages;
    uint64_t contents = wh_sparse_count(&s->contents, first, end);
    uint64_t zero = wh_sparse_count(&s->zero, first, end);
    uint64_t table = wh_sparse_count(&s->table, first, end);

    if (contents == 0)
        return wh_sparse_count(&s->seen, first, end) ? '.' : ' ';
    if (2 * table >= contents)
        return 'T';
    if (zero == contents)
        return '0';
    return 2 * (contents - zero) >= end - first ? '#' : '+';
}

static void print_gap(FILE *f, uint64_t first, uint64_t end)
{
    if (end > first)
        fprintf(f, "%9.0f MiB  (%.0f MiB not there)\n", (double)first / 256, (double)(end - first) / 256);
}

void wh_print_map(FILE *f, const struct wh_report *r)
{
    const struct wh_page_sets *s = &r->pages;
    uint64_t first, end = 0, last = 0, cell = 1, gap = 0;
    char row[COLUMNS + 1] = { 0 };

    if (s->seen.full || s->contents.full || s->zero.full || s->table.full) {
        fputs("\nthe guest's memory is too scattered to be mapped\n", f);
        return;
    }
    while (wh_sparse_run(&s->contents, last, &first, &end))
        last = end;
    if (last == 0)
        return;
    while (cell * COLUMNS * ROWS < last)
        cell *= 2;
    fprintf(f, "\none character is %" PRIu64 " KiB: # data  + some data  0 zeros  T page tables  "
               ". not there\n", cell * 4);
    for (uint64_t at = 0; at < last; at += cell * COLUMNS) {
        for (unsigned c = 0; c < COLUMNS; c++)
            row[c] = picture(r, at + c * cell, at + (c + 1) * cell);
        if (strspn(row, ". ") == COLUMNS)
            continue;
        print_gap(f, gap, at);
        fprintf(f, "%9.0f MiB  %s\n", (double)at / 256, row);
        gap = at + cell * COLUMNS;
    }
}
