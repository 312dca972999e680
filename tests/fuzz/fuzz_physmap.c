/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's nodes of an image, pairs of strings: what is not refused is QEMU's own and nothing else, and
 * is written where it belongs. */
#include <string.h>

#include "base/own.h"
#include "dm/state.h"
#include "fuzz.h"
#include "xen/fake.h"

#define DOMID 5
#define HOME "/local/domain/0/device-model/5/"

/* Every line of the tree is one of those before, or on the way to physmap, or below it. */
static void check(const char *tree, const char *before)
{
    static const char home[] = HOME "physmap";

    for (const char *line = tree; *line; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, " "), some = n < sizeof home - 1 ? n : sizeof home - 1;
        wh_auto_free char *path = strndup(line, n + 1);

        fuzz_expect(path != NULL, "there is memory for a path");
        if (strstr(before, path))
            continue;
        fuzz_expect(strncmp(line, home, some) == 0, "nothing is written but below physmap");
        fuzz_expect(n < 128, "keys are short");
    }
}

static void put(const char *pairs, size_t n)
{
    struct wh_fake *f = wh_fake_new(1);
    struct wh_here h = { .xen = wh_fake_xen(f), .store = wh_fake_store(f) };
    struct wh_op op;
    wh_auto_free char *before = wh_fake_tree(f);
    wh_auto_free char *again = NULL;
    size_t read;

    fuzz_expect(wh_op_init(&op), "an operation can be made");
    fuzz_expect(wh_physmap_write(&op, &h, DOMID, pairs, n), "what is not refused can be written");
    fuzz_expect(wh_physmap_read(&op, &h, DOMID, &again, &read), "what was written can be read");
    fuzz_expect((n > 0) == (read > 0), "what was written is there");
    fuzz_expect(!again || !wh_physmap_wrong(again, read), "what is read is not refused");
    wh_auto_free char *tree = wh_fake_tree(f);
    fuzz_expect(n == 0 || strstr(tree, HOME "physmap/"), "it is below physmap");
    check(tree, before);
    wh_store_close(h.store);
    wh_xen_close(h.xen);
    wh_fake_free(f);
    wh_op_done(&op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *pairs = (const char *)data, *wrong = wh_physmap_wrong(pairs, n);

    fuzz_expect(!wrong || wrong[0], "a refusal says why");
    if (!wrong)
        put(pairs, n);
    return 0;
}
