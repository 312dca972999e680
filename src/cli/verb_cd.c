/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* wherry cd-insert, wherry cd-eject - change what is in a guest's CD drive. */
#include "cli/tell.h"

static const struct argp_option options[] = { WH_TELL_OPTION_JSON, { 0 } };

static int run_insert(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN VDEV FILE",
        "Put a file or a block device, also named as TYPE:PATH, into an HVM guest's CD drive "
        "(\"hdc\").", NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 3, .most = 3 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_cd_insert_new(t.arg[0], t.arg[1], t.arg[2]), &t);
}

static int run_eject(int argc, char **argv)
{
    static const struct argp argp = {
        options, wh_tell_parse, "DOMAIN VDEV",
        "Take what is in an HVM guest's CD drive (\"hdc\") out of it.", NULL, NULL, NULL,
    };
    struct wh_tell t = { .least = 2, .most = 2 };

    argp_parse(&argp, argc, argv, 0, NULL, &t);
    return wh_tell(wh_cd_eject_new(t.arg[0], t.arg[1]), &t);
}

const struct wh_verb wh_verb_cd_insert = { "cd-insert", "put a medium into a guest's CD drive",
                                           run_insert };
const struct wh_verb wh_verb_cd_eject = { "cd-eject", "take the medium out of a guest's CD drive",
                                          run_eject };
