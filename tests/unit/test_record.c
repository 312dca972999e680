/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables hold together: what a row says can be said, and nothing is said twice. */
#include "unit.h"
#include "wire/libxl.h"
#include "wire/record.h"
#include "wire/rule.h"
#include "wire/walk.h"

#define assert_row(layer, row, says) assert_row_at(layer, row, says, #says, __LINE__)

static void assert_row_at(const struct wh_layer *layer, const struct wh_row *row, bool good,
                          const char *says, int line)
{
    if (!good)
        fail_msg("line %d: %s %s: not so: %s", line, layer->name, row->name, says);
}

/* Calls check for every row of every layer. */
static void each_row(void (*check)(const struct wh_layer *layer, const struct wh_row *row))
{
    for (unsigned l = 0; l < WH_LAYERS; l++) {
        for (size_t i = 0; i < wh_layers[l]->count; i++)
            check(wh_layers[l], &wh_layers[l]->rows[i]);
    }
}

static void layers(void **state)
{
    (void)state;
    for (unsigned l = 0; l < WH_LAYERS; l++) {
        const struct wh_layer *layer = wh_layers[l];

        assert_non_null(layer);
        assert_int_equal(layer->id, l);
        assert_true(layer->name && *layer->name && layer->title && *layer->title);
        assert_non_null(layer->phases);
        assert_true(layer->count > 0 && layer->count <= 32);
        for (unsigned k = 0; k < l; k++)
            assert_string_not_equal(layer->name, wh_layers[k]->name);
    }
}

static void check_unique(const struct wh_layer *layer, const struct wh_row *row)
{
    assert_row(layer, row, row->name && *row->name);
    for (const struct wh_row *other = layer->rows; other < row; other++) {
        assert_row(layer, row, strcmp(other->name, row->name) != 0);
        assert_row(layer, row, other->type != row->type ||
                                   ((other->flags | row->flags) & WH_HEADER));
    }
}

static void unique(void **state)
{
    (void)state;
    each_row(check_unique);
}

static void check_lengths(const struct wh_layer *layer, const struct wh_row *row)
{
    assert_row(layer, row, row->min <= row->max);
    assert_row(layer, row, (row->flags & WH_HEADER) || row->max <= layer->length_max);
    /* A body that is held in memory is small. */
    assert_row(layer, row, (row->flags & (WH_BULK | WH_HEADER)) || row->max <= WH_WHOLE_MAX ||
                               layer->id == WH_LAYER_LEGACY);
    assert_row(layer, row, !(row->flags & WH_MARK) || row->max <= 64);
}

static void lengths(void **state)
{
    (void)state;
    each_row(check_lengths);
}

static unsigned phases_of(const struct wh_layer *layer)
{
    unsigned all = 0;

    for (unsigned i = 0; layer->phases[i]; i++)
        all |= 1u << i;
    return all;
}

/* A legacy row's .opens is the HVM parameter that it carries. */
static void check_phases(const struct wh_layer *layer, const struct wh_row *row)
{
    unsigned all = phases_of(layer);

    if (layer->id == WH_LAYER_LEGACY)
        return;
    assert_row(layer, row, (row->in & ~all) == 0);
    assert_row(layer, row, (row->opens & ~all) == 0);
    assert_row(layer, row, (row->opens & (row->opens - 1)) == 0);
    assert_row(layer, row, !(row->flags & WH_HEADER) || (row->in == 0 && row->opens == 0));
    assert_row(layer, row, !(row->flags & WH_NEEDED) || row->in != 0);
}

static void phases(void **state)
{
    (void)state;
    each_row(check_phases);
}

static void check_calls(const struct wh_layer *layer, const struct wh_row *row)
{
    bool bulk = row->flags & WH_BULK;

    assert_row(layer, row, bulk == (row->bulk != NULL));
    assert_row(layer, row, !(bulk && (row->flags & WH_HEADER)));
    assert_row(layer, row, !(bulk && row->check));
    assert_row(layer, row, (row->guests & ~(unsigned)WH_ANY_GUEST) == 0);
    assert_row(layer, row, row->guests != 0 || layer->id == WH_LAYER_LEGACY);
    assert_row(layer, row, !(row->flags & WH_SINCE_V3) || layer->id == WH_LAYER_LIBXC);
}

static void calls(void **state)
{
    (void)state;
    each_row(check_calls);
}

static void check_field(const struct wh_layer *layer, const struct wh_row *row,
                        const struct wh_member *f)
{
    assert_row(layer, row, f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
    assert_row(layer, row, (uint32_t)f->at + f->size <= row->min);
    assert_row(layer, row, f->most == 0 || f->least <= f->most);
    assert_row(layer, row, f->form <= WH_ZERO);
    assert_row(layer, row, f->form != WH_ZERO || f->most == 0);
    assert_row(layer, row, f->size == 8 || f->most >> (8 * f->size) == 0);
}

static void check_fields(const struct wh_layer *layer, const struct wh_row *row)
{
    uint32_t end = 0;

    for (const struct wh_member *f = row->fields; f && f->name; f++) {
        check_field(layer, row, f);
        assert_row(layer, row, f->at >= end);           /* in order, none over another */
        end = (uint32_t)f->at + f->size;
        for (const struct wh_member *g = row->fields; g < f; g++)
            assert_row(layer, row, f->form == WH_ZERO || strcmp(g->name, f->name) != 0);
    }
}

static void fields(void **state)
{
    (void)state;
    each_row(check_fields);
}

static void check_found(const struct wh_layer *layer, const struct wh_row *row)
{
    assert_row(layer, row, wh_row_named(layer, row->name) == row);
    if (!(row->flags & WH_HEADER))
        assert_row(layer, row, wh_row_find(layer, row->type) == row);
}

static void found(void **state)
{
    (void)state;
    each_row(check_found);
    assert_null(wh_row_find(&wh_layer_libxc, 0x7fffffff));
    assert_null(wh_row_find(&wh_layer_xl, 0));
}

/* ------------------------------------------------------------------------------- print */

/* Every length a row allows near its ends, all bytes ones: nothing is read past the body, and
 * nothing written past the line. */
static void print_length(const struct wh_layer *layer, const struct wh_row *row, uint32_t length,
                         int fill)
{
    wh_auto_free uint8_t *body = malloc(length ? length : 1);
    struct wh_rec r = { .layer = layer, .row = row, .type = row->type, .length = length };
    struct {
        struct wh_line line;
        char fence[16];
    } f = { .fence = "still here" };

    memset(body, fill, length ? length : 1);
    r.body = body;
    wh_rec_print(&r, &f.line);
    assert_row(layer, row, f.line.used == strlen(f.line.text));
    assert_row(layer, row, strcmp(f.fence, "still here") == 0);
    for (const struct wh_member *k = row->fields; k && k->name && k->form != WH_ZERO; k++)
        assert_row(layer, row, strstr(f.line.text, k->name) != NULL);
}

static void check_print(const struct wh_layer *layer, const struct wh_row *row)
{
    uint32_t step = row->unit ? row->unit : 1;

    if (row->flags & WH_BULK || layer->id == WH_LAYER_LEGACY)
        return;
    for (unsigned i = 0; i < 40 && row->min + i * step <= row->max; i++) {
        print_length(layer, row, row->min + i * step, 0xff);
        print_length(layer, row, row->min + i * step, 0);
    }
}

static void prints(void **state)
{
    (void)state;
    each_row(check_print);
}

static void long_lines(void **state)
{
    struct {
        struct wh_line line;
        char fence[16];
    } f = { .fence = "still here" };

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        wh_say(&f.line, "%s", "abcdefg");
        assert_int_equal(f.line.used, strlen(f.line.text));
        assert_true(f.line.used < sizeof f.line.text);
    }
    assert_int_equal(f.line.used, sizeof f.line.text - 1);
    assert_string_equal(f.fence, "still here");
}

static void field_values(void **state)
{
    static const uint8_t body[16] = { 'L', 'i', 'b', 'x', 'l', 'F', 'm', 't', 0, 0, 0, 2,
                                      1,   2,   3,   4 };
    struct wh_rec r = { .layer = &wh_layer_libxl, .length = sizeof body, .body = body,
                        .row = wh_row_named(&wh_layer_libxl, "header") };

    (void)state;
    assert_int_equal(wh_rec_field(&r, "version"), 2);
    assert_int_equal(wh_rec_field(&r, "options"), 0x01020304);
    r.length = 12;
    assert_int_equal(wh_rec_field(&r, "options"), 0);
}

static void record_names(void **state)
{
    struct wh_rec known = { .row = wh_row_find(&wh_layer_libxl, WH_LIBXL_END) };
    struct wh_rec unknown = { .type = 0x80001234 };
    char scratch[16];

    (void)state;
    assert_string_equal(wh_rec_name(&known, scratch, sizeof scratch), "END");
    assert_string_equal(wh_rec_name(&unknown, scratch, sizeof scratch), "0x80001234");
}

static void rules(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WH_RULES; i++) {
        assert_true(wh_rules[i].name && wh_rules[i].says);
        assert_int_equal(strspn(wh_rules[i].name, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(wh_rules[i].name));
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(wh_rules[i].name, wh_rules[k].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every layer stands in its place, with a bit for every row", layers),
        TEST("no two rows of a layer have a type or a name in common", unique),
        TEST("lengths can be met, and held in memory where they are", lengths),
        TEST("phases have names, and a row opens at most one", phases),
        TEST("what a row calls fits its flags", calls),
        TEST("fields lie in order inside the least body", fields),
        TEST("every row is found by its type and by its name", found),
        TEST("every row prints every body that it allows", prints),
        TEST("a line grows to its bound and not beyond", long_lines),
        TEST("a field has its value, or zero where the body ends before it", field_values),
        TEST("a record without a row goes by its number", record_names),
        TEST("rules have names of their own", rules),
    };

    return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
