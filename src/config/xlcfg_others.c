/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of xl.cfg that are not read, and what is done about each: refused where the guest would be
 * another one without it, warned of where it would not. */
#include <stdio.h>
#include <string.h>

#include "config/xlcfg.h"

#define NONE 0
#define PV   WH_FIELD_PV
#define HVM  WH_FIELD_HVM
#define DOMU (WH_FIELD_HVM | WH_FIELD_PV | WH_FIELD_PVH)
#define BOTH (WH_FIELD_PV | WH_FIELD_PVH)

struct other {
    const char *key;
    unsigned matters;       /* to which guests; others are only warned */
    const char *without;    /* a value that changes nothing, beside 0, "" and [] */
};

/* With code of their own (xlcfg.c, xlcfg_cpus.c, xlcfg_devices.c, xlcfg_hvm.c). */
static const struct {
    const char *key;
    unsigned guests;
} read_elsewhere[] = {
    { "type",        DOMU },
    { "builder",     DOMU },
    { "vcpus",       DOMU },
    { "maxvcpus",    DOMU },
    { "cmdline",     DOMU },
    { "root",        DOMU },
    { "extra",       DOMU },
    { "cpus",        DOMU },
    { "cpus_soft",   DOMU },
    { "disk",        DOMU },
    { "vif",         DOMU },
    { "firmware",    HVM },
    { "ms_vm_genid", HVM },
    { "serial",      HVM },
    { "stdvga",      HVM },
    { "usbdevice",   HVM },
    { "viridian",    HVM },
};

/* A key that another kind of guest has read is among these only if it matters, or if a value of it
 * changes nothing. */
static const struct other others[] = {
    /* of any guest */
    { "bootloader",                       BOTH, NULL },
    { "bootloader_args",                  BOTH, NULL },
    { "firmware",                         BOTH, NULL },
    { "cpuid",                            DOMU, "host" },
    { "vnuma",                            DOMU, NULL },
    { "seclabel",                         DOMU, NULL },
    { "init_seclabel",                    DOMU, NULL },
    { "pci",                              DOMU, NULL },
    { "ioports",                          DOMU, NULL },
    { "irqs",                             DOMU, NULL },
    { "iomem",                            DOMU, NULL },
    { "vtpm",                             DOMU, NULL },
    { "p9",                               DOMU, NULL },
    { "pvcalls",                          DOMU, NULL },
    { "vfb",                              DOMU, NULL },
    { "vkb",                              DOMU, NULL },
    { "vsnd",                             DOMU, NULL },
    { "vdispl",                           DOMU, NULL },
    { "channel",                          DOMU, NULL },
    { "usbctrl",                          DOMU, NULL },
    { "usbdev",                           DOMU, NULL },
    { "vif2",                             NONE, NULL },
    { "slice",                            NONE, NULL },
    { "latency",                          NONE, NULL },
    { "pci_msitranslate",                 NONE, NULL },
    { "pci_power_mgmt",                   NONE, NULL },
    { "pci_permissive",                   NONE, NULL },
    { "pci_seize",                        NONE, NULL },
    /* of QEMU */
    { "vnc",                              PV,   NULL },
    { "sdl",                              PV | HVM, NULL },
    { "device_model",                     NONE, NULL },
    { "device_model_override",            BOTH, NULL },
    { "device_model_user",                BOTH, NULL },
    { "device_model_args",                BOTH, NULL },
    { "device_model_args_pv",             PV,   NULL },
    { "device_model_stubdomain_override", DOMU, NULL },
    { "device_model_stubdomain_seclabel", HVM,  NULL },
    { "stubdomain_cmdline",               HVM,  NULL },
    { "stubdomain_kernel",                HVM,  NULL },
    { "stubdomain_memory",                HVM,  NULL },
    { "stubdomain_ramdisk",               HVM,  NULL },
    /* of PVH guests */
    { "pvshim_path",                      NONE, NULL },
    { "pvshim_cmdline",                   NONE, NULL },
    { "pvshim_extra",                     NONE, NULL },
    /* of ARM */
    { "device_tree",                      DOMU, NULL },
    { "dtdev",                            DOMU, NULL },
    { "gic_version",                      NONE, NULL },
    { "vuart",                            NONE, NULL },
    { "tee",                              NONE, "none" },
    /* of HVM guests */
    { "gfx_passthru",                     HVM,  NULL },
    { "mca_caps",                         HVM,  NULL },
    { "ms_vm_genid",                      NONE, "none" },
    { "rdm",                              HVM,  NULL },
    { "rdm_mem_boundary",                 HVM,  NULL },
    { "soundhw",                          HVM,  NULL },
    { "spice",                            HVM,  NULL },
    { "usbversion",                       HVM,  NULL },
    { "vendor_device",                    HVM,  "none" },
    { "vncviewer",                        NONE, NULL },
    /* of SDL and SPICE, which are refused themselves */
    { "display",                          NONE, NULL },
    { "opengl",                           NONE, NULL },
    { "xauthority",                       NONE, NULL },
    { "spice_clipboard_sharing",          NONE, NULL },
    { "spice_image_compression",          NONE, NULL },
    { "spice_streaming_video",            NONE, NULL },
    { "spiceagent_mouse",                 NONE, NULL },
    { "spicedisable_ticketing",           NONE, NULL },
    { "spicehost",                        NONE, NULL },
    { "spicepasswd",                      NONE, NULL },
    { "spiceport",                        NONE, NULL },
    { "spicetls_port",                    NONE, NULL },
    { "spiceusbredirection",              NONE, NULL },
    { "spicevdagent",                     NONE, NULL },
};

/* Whether the key, which is set, asks for nothing. */
static bool asks_nothing(const struct wh_xlcfg_reader *r, const char *key, const char *without)
{
    const char *text;
    int n = 0;

    if (xlu_cfg_get_string(r->cfg, key, &text, 1) == 0)
        return *text == '\0' || strcmp(text, "0") == 0 || (without && strcmp(text, without) == 0);
    return xlu_cfg_get_list(r->cfg, key, NULL, &n, 1) == 0 && n == 0;
}

static bool is(const struct wh_xlcfg_key *k, const char *key)
{
    return key && strlen(key) == k->n && memcmp(key, k->name, k->n) == 0;
}

/* The guests whose key it is. */
static unsigned readers(const struct wh_xlcfg_key *k)
{
    unsigned guests = 0;

    for (size_t i = 0; i < WH_COUNT(read_elsewhere); i++)
        guests |= is(k, read_elsewhere[i].key) ? read_elsewhere[i].guests : 0;
    for (const struct wh_field *f = wh_fields; f->kind != WH_FIELD_END; f++) {
        for (const struct wh_names *n = wh_field_types; is(k, f->key) && n->json; n++) {
            if (wh_field_keyed(f, (enum wh_type)n->value))
                guests |= wh_field_guest((enum wh_type)n->value);
        }
    }
    return guests;
}

static const struct other *other_of(const struct wh_xlcfg_key *k)
{
    for (size_t i = 0; i < WH_COUNT(others); i++) {
        if (is(k, others[i].key))
            return &others[i];
    }
    return NULL;
}

static bool judge(struct wh_xlcfg_reader *r, const struct wh_xlcfg_key *k)
{
    const struct other *o = other_of(k);
    unsigned guest = wh_field_guest(r->c->type), guests = readers(k);
    char key[64];

    if (guests & guest)
        return true;
    snprintf(key, sizeof key, "%.*s", (int)k->n, k->name);
    if (!o && guests == 0)
        wh_xlcfg_warn(r, key, "is no key that xl knows, ignored");
    else if (asks_nothing(r, key, o ? o->without : NULL))
        return true;
    else if (o && (o->matters & guest))
        return wh_xlcfg_wrong(r, key, "is not yet supported");
    else
        wh_xlcfg_warn(r, key, "has no effect on a%s %s guest", guest == HVM ? "n" : "",
                      wh_field_name(wh_field_types, (int)r->c->type));
    return true;
}

/* Whether the key is assigned again later: it is judged there, once. */
static bool again(const struct wh_xlcfg_keys *keys, size_t i)
{
    for (size_t k = i + 1; k < keys->n; k++) {
        if (keys->of[k].n == keys->of[i].n &&
            memcmp(keys->of[k].name, keys->of[i].name, keys->of[i].n) == 0)
            return true;
    }
    return false;
}

bool wh_xlcfg_others(struct wh_xlcfg_reader *r)
{
    for (size_t i = 0; i < r->keys.n; i++) {
        if (!again(&r->keys, i) && !judge(r, &r->keys.of[i]))
            return false;
    }
    return true;
}
