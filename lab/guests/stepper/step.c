/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pages: what they hold, and stepping them. */
#include "machine.h"

#define WORDS (PAGE_SIZE / sizeof(uint64_t))
#define BAD_LINES 50                /* then only counted */

struct step_state stepping;

static unsigned at_range;           /* where the edge is */
static uint64_t at_page;
static unsigned bad_lines;

/* One to one, so that a word found can be read back: the finalizer of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t unmix(uint64_t x)
{
    x = (x ^ x >> 31 ^ x >> 62) * 0x319642b2d24d8ec3u;
    x = (x ^ x >> 27 ^ x >> 54) * 0x96de1b173f119089u;
    return x ^ x >> 30 ^ x >> 60;
}

/* 28 bits of step, 27 of page, 9 of word. */
static uint64_t word_base(uint64_t step, uint64_t page)
{
    return step << 36 | page << 9;
}

static uint64_t word_value(uint64_t base, unsigned word)
{
    return words.random ? mix(base | word) : base | word;
}

static void tell_bad(uint64_t page, unsigned word, unsigned wrong, uint64_t expected,
                     uint64_t found)
{
    uint64_t was = words.random ? unmix(found) : found;

    stepping.bad++;
    if (bad_lines++ >= BAD_LINES)
        return;
    print("BAD page=0x%x expected=%u found=%u word=%u wrong=%u value=0x%x (page 0x%x word %u)\n",
          page, expected, was >> 36, (uint64_t)word, (uint64_t)wrong, found,
          was >> 9 & 0x7ffffff, was & 511);
}

static void fill_page(uint64_t pfn, uint64_t step)
{
    uint64_t *page = page_at(pfn), base = word_base(step, pfn);

    for (unsigned i = 0; i < WORDS; i++)
        page[i] = step ? word_value(base, i) : 0;
}

/* Compare a page with what `step` left there.  The first wrong word is told, and the page put
 * right, so that each fault counts once. */
static void check_page(uint64_t pfn, uint64_t step)
{
    const uint64_t *page = page_at(pfn);
    uint64_t base = word_base(step, pfn);
    unsigned wrong = 0, first = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        uint64_t expected = step ? word_value(base, i) : 0;

        if (page[i] != expected && !wrong++)
            first = i;
    }
    if (!wrong)
        return;
    tell_bad(pfn, first, wrong, step, page[first]);
    fill_page(pfn, step);
}

/* Everything beyond `pages=` is left zero, and is looked at only by step_check_all. */
static void split_ranges(uint64_t pages)
{
    for (unsigned i = 0; i < machine.ranges; i++) {
        struct range *r = &machine.range[i];
        uint64_t room = pages - stepping.count;

        if (pages && r->end - r->first > room && machine.ranges < RANGES) {
            for (unsigned j = machine.ranges++; j > i; j--)
                machine.range[j] = machine.range[j - 1];
            r->end = r[1].first = r->first + room;
        }
        stepping.count += r->end - r->first;
        if (pages && stepping.count == pages)
            return;
    }
}

/* How many ranges are stepped: those that make up `count`. */
static unsigned stepped_ranges(void)
{
    uint64_t sum = 0;
    unsigned i = 0;

    while (sum < stepping.count)
        sum += machine.range[i].end - machine.range[i].first, i++;
    return i;
}

/* Memory need not be zero when a guest starts (start_info lies somewhere): make it so. */
void step_begin(void)
{
    for (unsigned i = 0; i < machine.ranges; i++) {
        for (uint64_t p = machine.range[i].first; p < machine.range[i].end; p++)
            memset(page_at(p), 0, PAGE_SIZE);
    }
    split_ranges(words.pages);
    stepping.step = 1;
    at_page = machine.range[0].first;
}

unsigned step_some(unsigned budget)
{
    unsigned done;

    for (done = 0; done < budget; done++) {
        check_page(at_page, stepping.step - 1);
        fill_page(at_page, stepping.step);
        stepping.stepped++;
        if (++at_page < machine.range[at_range].end)
            continue;
        if (++at_range == stepped_ranges()) {
            at_range = 0;
            stepping.step++;
        }
        at_page = machine.range[at_range].first;
    }
    return done;
}

/* Every page must be where the edge says. */
void step_check_all(void)
{
    unsigned stepped = stepped_ranges();

    for (unsigned i = 0; i < machine.ranges; i++) {
        for (uint64_t p = machine.range[i].first; p < machine.range[i].end; p++) {
            bool before_edge = i < at_range || (i == at_range && p < at_page);

            check_page(p, i >= stepped ? 0 : before_edge ? stepping.step : stepping.step - 1);
        }
    }
}
