/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of HVM guests that are not a row a key: those that take a value or a list, and those that
 * stand for others.
 *
 *     viridian = [ "defaults", "stimer", "!freq" ]
 *     serial = "pty"          serial = [ "pty", "null" ]
 *     firmware = "uefi"       bios = "ovmf"
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/xlcfg.h"

#define VIRIDIAN_WIDTH 64       /* of libxl's sets; "all" fills one */

static bool is_list(const struct wh_xlcfg_reader *r, const char *key)
{
    return xlu_cfg_get_list(r->cfg, key, NULL, NULL, 1) == 0;
}

static bool no_memory(struct wh_xlcfg_reader *r)
{
    return wh_fail(r->err, WH_SYSTEM, "out of memory");
}

/* ----------------------------------------------------------------------------- viridian */

/* "stimer", "!stimer": what is said last of a group counts. */
static bool viridian_group(struct wh_xlcfg_reader *r, int i, const char *text)
{
    struct wh_bits *in = &r->c->hvm.viridian_enable, *out = &r->c->hvm.viridian_disable;
    bool without = *text == '!';

    for (const struct wh_names *n = wh_field_viridian; n->json; n++) {
        if (strcmp(text + without, n->json) != 0)
            continue;
        wh_bits_remove(without ? in : out, (unsigned)n->value);
        return wh_bits_add(without ? out : in, (unsigned)n->value) || no_memory(r);
    }
    return wh_xlcfg_wrong(r, "viridian", "[%d]: no such group: \"%.100s\"", i, text);
}

static bool read_viridian(struct wh_xlcfg_reader *r)
{
    const struct wh_field *f = wh_xlcfg_row("b_info/type.hvm/viridian");
    XLU_ConfigList *list;
    const char *text;
    int n;

    if (!is_list(r, "viridian"))
        return wh_xlcfg_string(r, "viridian", &text) &&
               (!text || wh_xlcfg_value(r, "viridian", "", f, r->c, text));
    if (!wh_xlcfg_list(r, "viridian", &list, &n))
        return false;
    for (int i = 0; i < n; i++) {
        if (!wh_xlcfg_item(r, "viridian", list, i, &text))
            return false;
        if (strcmp(text, "defaults") == 0)
            r->c->hvm.viridian = WH_YES;
        else if (strcmp(text, "all") == 0 &&
                 !wh_bits_add_range(&r->c->hvm.viridian_enable, 0, VIRIDIAN_WIDTH))
            return no_memory(r);
        else if (strcmp(text, "all") != 0 && !viridian_group(r, i, text))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------------------- ports */

static bool read_ports(struct wh_xlcfg_reader *r, const char *key, const char *one,
                       const char *more)
{
    XLU_ConfigList *list;
    const char *text;
    int n;

    if (is_list(r, key))
        return wh_xlcfg_list(r, key, &list, &n) &&
               wh_xlcfg_strings(r, key, wh_xlcfg_row(more), list, n);
    return wh_xlcfg_string(r, key, &text) &&
           (!text || wh_xlcfg_value(r, key, "", wh_xlcfg_row(one), r->c, text));
}

/* ----------------------------------------------------------------------------- firmware */

/* A BIOS's name, "uefi", "bios" for what is usual; anything else is a file. */
static bool read_firmware(struct wh_xlcfg_reader *r)
{
    const char *text;

    if (!wh_xlcfg_string(r, "firmware", &text))
        return false;
    if (!text || strcmp(text, "bios") == 0)
        return true;
    if (strcmp(text, "uefi") == 0)
        text = "ovmf";
    for (const struct wh_names *n = wh_field_bioses; n->json; n++) {
        if (strcmp(text, n->json) == 0) {
            r->c->hvm.bios = (enum wh_bios)n->value;
            return true;
        }
    }
    return wh_xlcfg_value(r, "firmware", "", wh_xlcfg_row("b_info/type.hvm/firmware"), r->c, text);
}

/* Once every HVM guest's file said so, and meant what is now the default. */
static void forget_hvmloader(struct wh_xlcfg_reader *r)
{
    const char *kernel = r->c->kernel, *slash = kernel ? strrchr(kernel, '/') : NULL;

    if (!kernel || strcmp(slash ? slash + 1 : kernel, "hvmloader") != 0)
        return;
    wh_xlcfg_warn(r, "kernel", "is ignored, firmware_override takes another hvmloader");
    free(wh_take_ptr(&r->c->kernel));
}

static bool read_genid(struct wh_xlcfg_reader *r)
{
    const char *text;

    if (!wh_xlcfg_string(r, "ms_vm_genid", &text))
        return false;
    if (!text || strcmp(text, "none") == 0)
        return true;
    if (strcmp(text, "generate") != 0)
        return wh_xlcfg_wrong(r, "ms_vm_genid", "expected generate or none, found \"%.100s\"", text);
    return wh_uuid_make(&r->c->hvm.genid) || wh_fail_sys(r->err, errno, "draw a generation id");
}

/* ------------------------------------------------------------------------------ display */

static bool read_stdvga(struct wh_xlcfg_reader *r)
{
    static const struct wh_field row = { .kind = WH_FIELD_MAYBE };
    enum wh_maybe std = WH_UNSAID;
    const char *text;

    if (!wh_xlcfg_string(r, "stdvga", &text) ||
        (text && !wh_xlcfg_value(r, "stdvga", "", &row, &std, text)))
        return false;
    if (std != WH_UNSAID && r->c->hvm.vga == WH_VGA_UNKNOWN)
        r->c->hvm.vga = std == WH_YES ? WH_VGA_STD : WH_VGA_CIRRUS;
    return true;
}

bool wh_xlcfg_hvm(struct wh_xlcfg_reader *r)
{
    if (r->c->type != WH_TYPE_HVM)
        return true;
    forget_hvmloader(r);
    if (r->c->hvm.vkb_device == WH_YES)
        return wh_xlcfg_wrong(r, "vkb_device", "is not yet supported");
    return read_viridian(r) && read_firmware(r) && read_genid(r) && read_stdvga(r) &&
           read_ports(r, "serial", "b_info/type.hvm/serial", "b_info/type.hvm/serial_list") &&
           read_ports(r, "usbdevice", "b_info/type.hvm/usbdevice",
                      "b_info/type.hvm/usbdevice_list");
}
