/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a restore makes of a device model's records in an image: those that cannot be what they say
 * are refused before anything is started, and no domain is left. */
#include "base/bytes.h"
#include "hvm_world.h"

enum { END = 0, PAIRS = 2, CONTEXT = 3 };
#define STATE 5000              /* bytes of the fake QEMU's */
#define QEMU 2
#define TRADITIONAL 1

struct image {
    uint8_t *p;
    size_t n;
};

/* ------------------------------------------------------------------------------ an image */

static void add(struct image *i, const void *bytes, size_t n)
{
    i->p = realloc(i->p, i->n + n);
    assert_non_null(i->p);
    memcpy(i->p + i->n, bytes, n);
    i->n += n;
}

static void add_head(struct image *i, uint32_t type, uint32_t n)
{
    uint8_t head[8];

    wh_put_le32(head, type);
    wh_put_le32(head + 4, n);
    add(i, head, sizeof head);
}

/* One of a device model: its id, its index, bytes. */
static void add_record(struct image *i, uint32_t type, uint32_t id, const void *bytes, size_t n)
{
    uint8_t whose[8] = { 0 };

    wh_put_le32(whose, id);
    add_head(i, type, (uint32_t)(8 + n));
    add(i, whose, sizeof whose);
    add(i, bytes, n);
    add(i, (uint8_t[8]){ 0 }, -n % 8);
}

static void write_file(const struct world *w, const struct image *i)
{
    FILE *f = fopen(w->file, "we");

    assert_true(f && fwrite(i->p, 1, i->n, f) == i->n);
    assert_int_equal(fclose(f), 0);
}

static struct image read_file(const struct world *w)
{
    wh_auto_fd int fd = open(w->file, O_RDONLY | O_CLOEXEC);
    struct image i;

    assert_true(fd >= 0);
    i.p = unit_slurp(fd, &i.n);
    return i;
}

/* The guest of g.cfg is saved, without what would tell that the image was changed. */
static struct image make(struct world *w)
{
    struct wh_save_how how = { .no_trailer = true };

    must(create(w, false));
    must(save(w, &how));
    struct image i = read_file(w);
    i.n -= 8;                               /* END */
    assert_int_equal(wh_le32(i.p + i.n), END);
    return i;
}

/* Up to the record of QEMU's state, which is the last; and the state. */
static struct image make_hvm(struct world *w, uint8_t state[STATE])
{
    struct image i = make(w);

    i.n -= STATE;
    memcpy(state, i.p + i.n, STATE);
    i.n -= 16;
    assert_int_equal(wh_le32(i.p + i.n), CONTEXT);
    return i;
}

/* ------------------------------------------------------------------------------ restoring */

static void refuse(struct world *w, const struct image *i, const char *what, enum wh_kind kind,
                   const char *says)
{
    write_file(w, i);
    wh_auto_free char *first = hvm_story(w->folder);
    struct outcome o = restore(w, false);
    wh_auto_free char *story = hvm_story(w->folder);

    if (o.kind != kind || !strstr(o.error, says))
        fail_msg("%s: expected %s, \"%s\", found %s: %s", what, wh_kind_name(kind), says,
                 wh_kind_name(o.kind), o.error);
    if (strstr(story + strlen(first), "has its state"))
        fail_msg("%s: QEMU was given a state", what);
    assert_int_equal(o.undo, WH_OK);
    assert_nothing_left(w, what);
}

/* The head of the image, and that record, behind what is good and before the end. */
static void refuse_record(struct world *w, const struct image *head, uint32_t type, uint32_t id,
                          const void *bytes, size_t n, const char *what, enum wh_kind kind,
                          const char *says)
{
    struct image i = { 0 };

    add(&i, head->p, head->n);
    add_record(&i, type, id, bytes, n);
    add_head(&i, END, 0);
    refuse(w, &i, what, kind, says);
    free(i.p);
}

static void states_that_are_none(void **state)
{
    struct world *w = *state;
    uint8_t good[STATE], bad[STATE];
    struct image head = make_hvm(w, good);

    struct image i = { 0 };
    add(&i, head.p, head.n);
    add_head(&i, END, 0);
    refuse(w, &i, "no state", WH_STREAM, "its device model's state: there is none");
    free(i.p);
    refuse_record(w, &head, CONTEXT, TRADITIONAL, good, STATE, "another's state", WH_USAGE,
                  "the state of qemu-traditional, which is no more");
    refuse_record(w, &head, CONTEXT, 7, good, STATE, "nobody's state", WH_STREAM, "emulator");
    memcpy(bad, good, STATE);
    memcpy(bad, "QEVN", 4);
    refuse_record(w, &head, CONTEXT, QEMU, bad, STATE, "no magic", WH_STREAM,
                  "its device model's state: it does not begin with QEVM");
    memcpy(bad, "QEVM\0\0\0\2", 8);
    refuse_record(w, &head, CONTEXT, QEMU, bad, STATE, "version 2", WH_STREAM,
                  "its device model's state: it is not of version 3");
    refuse_record(w, &head, CONTEXT, QEMU, good, 7, "seven bytes", WH_STREAM,
                  "its device model's state: it is shorter than its header");
    refuse_record(w, &head, CONTEXT, QEMU, good, 0, "no bytes", WH_STREAM, "there is none");
    free(head.p);
}

/* Twice, out of order, longer than it may be, cut. */
static void records_out_of_place(void **state)
{
    struct world *w = *state;
    static const char pairs[] = "physmap/1f000/size\0" "800000";
    uint8_t good[STATE];
    struct image head = make_hvm(w, good), i = { 0 };

    add(&i, head.p, head.n);
    add_record(&i, CONTEXT, QEMU, good, STATE);
    refuse_record(w, &i, CONTEXT, QEMU, good, STATE, "two states", WH_STREAM, "EMULATOR_CONTEXT");
    refuse_record(w, &i, PAIRS, QEMU, pairs, sizeof pairs, "nodes behind the state", WH_STREAM,
                  "EMULATOR_XENSTORE_DATA");
    for (size_t cut = head.n + 1; cut < i.n; cut += 1237) {
        struct image part = { i.p, cut };

        refuse(w, &part, "cut", WH_STREAM, "end");
    }
    refuse(w, &i, "no end", WH_STREAM, "end");
    i.n = head.n;
    add_record(&i, PAIRS, QEMU, pairs, sizeof pairs);
    refuse_record(w, &i, PAIRS, QEMU, pairs, sizeof pairs, "nodes twice", WH_STREAM,
                  "EMULATOR_XENSTORE_DATA");
    i.n = head.n;
    add_head(&i, CONTEXT, (64u << 20) + 8);
    add(&i, good, STATE);
    refuse(w, &i, "a long state", WH_STREAM, "EMULATOR_CONTEXT");
    i.n = head.n;
    add_head(&i, PAIRS, (1u << 20) + 8);
    add(&i, good, STATE);
    refuse(w, &i, "long nodes", WH_STREAM, "EMULATOR_XENSTORE_DATA");
    free(i.p);
    free(head.p);
}

static void nodes_that_are_none(void **state)
{
#define TEXT(t) t, sizeof t
    static const struct {
        const char *pairs;
        size_t n;
        const char *says;
    } bad[] = {
        { TEXT("physmap/1f000/flags\0" "1"), "a key is none of physmap's" },
        { TEXT("physmap/1f000/size/more\0" "1"), "a key is none of physmap's" },
        { TEXT("physmap//size\0" "1"), "a key is none of physmap's" },
        { TEXT("physmap/1F000/size\0" "1"), "a key is none of physmap's" },
        { TEXT("physmap/00000000000000001/size\0" "1"), "a key is none of physmap's" },
        { TEXT("physmap/../backend/size\0" "1"), "a key is none of physmap's" },
        { TEXT("state\0" "running"), "a key is none of physmap's" },
        { TEXT("physmap/1/size\0" "8 0"), "a value is no word" },
        { TEXT("physmap/1/size\0" "8\n"), "a value is no word" },
        { TEXT("physmap/1/size\0" "8\xff"), "a value is no word" },
        { TEXT("physmap/1/size"), "" },                                     /* the walk's to say */
        { "physmap/1/size\0" "8", 16, "" },
        { TEXT("/physmap/1/size\0" "8"), "" },
        { TEXT("\0" "8"), "" },
    };
    struct world *w = *state;
    uint8_t good[STATE];
    struct image head = make_hvm(w, good), many = { 0 };
    char text[64], value[300];

    for (size_t i = 0; i < WH_COUNT(bad); i++) {
        snprintf(text, sizeof text, "pairs %zu", i);
        refuse_record(w, &head, PAIRS, QEMU, bad[i].pairs, bad[i].n, text, WH_STREAM, bad[i].says);
    }
    refuse_record(w, &head, PAIRS, TRADITIONAL, TEXT("physmap/1/size\0" "8"), "another's nodes",
                  WH_USAGE, "the state of qemu-traditional");
    for (unsigned i = 0; i < 769; i++)
        add(&many, text, (size_t)sprintf(text, "physmap/%x/size%c8", i, 0) + 1);
    refuse_record(w, &head, PAIRS, QEMU, many.p, many.n, "769 pairs", WH_STREAM,
                  "it has too many entries");
    memset(value, 'x', sizeof value);
    memcpy(value, "physmap/1/size", 15);
    value[15 + 256] = '\0';
    refuse_record(w, &head, PAIRS, QEMU, value, 15 + 257, "a long value", WH_STREAM,
                  "a value is no word");
    free(many.p);
    free(head.p);
#undef TEXT
}

/* To see that the others are refused for what they are. */
static void what_is_good_is_taken(void **state)
{
    static const char pairs[] = "physmap/1f000/size\0" "800000";
    struct world *w = *state;
    uint8_t good[STATE];
    struct image i = make_hvm(w, good);

    add_record(&i, PAIRS, QEMU, pairs, sizeof pairs);
    add_record(&i, CONTEXT, QEMU, good, STATE);
    add_head(&i, END, 0);
    write_file(w, &i);
    free(i.p);
    uint32_t n = must(restore(w, false)).domid;
    assert_node(w, "800000", "/local/domain/0/device-model/%u/physmap/1f000/size", n);
    must(destroy(w));
    assert_nothing_left(w, "destroyed");
}

/* A guest that never had one. */
static void state_of_a_guest_without(struct world *w, const char *type, const char *says)
{
    static const char pairs[] = "physmap/1f000/size\0" "800000";
    uint8_t state[64] = "QEVM\0\0\0\3";
    char text[256];

    snprintf(text, sizeof text, "name='g'\ntype='%s'\nkernel='/k'\nmemory=8\n", type);
    FILE *f = fopen(w->config, "we");
    assert_true(f && fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    struct image head = make(w);
    refuse_record(w, &head, CONTEXT, QEMU, state, sizeof state, "a state", WH_STREAM, says);
    refuse_record(w, &head, CONTEXT, TRADITIONAL, state, sizeof state, "a state", WH_STREAM, says);
    refuse_record(w, &head, PAIRS, QEMU, pairs, sizeof pairs, "nodes", WH_STREAM, says);
    free(head.p);
    assert_int_equal(unlink(w->file), 0);
}

static void states_of_guests_without(void **state)
{
    state_of_a_guest_without(*state, "pvh", "its guest is none that has one");
    state_of_a_guest_without(*state, "pv", "EMULATOR_");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST("what is good is taken", what_is_good_is_taken),
        WORLD_TEST("a state that is none is refused", states_that_are_none),
        WORLD_TEST("records out of place, too long or cut are refused", records_out_of_place),
        WORLD_TEST("nodes that QEMU does not have are refused", nodes_that_are_none),
        WORLD_TEST("a state of a guest that has no QEMU is refused", states_of_guests_without),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
