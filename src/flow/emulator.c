/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An HVM guest's QEMU: started between its disks and its network interfaces, or, of one that is restored, before
 * its memory comes; known by its nodes. */
#include "flow/emulator.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/own.h"
#include "dm/qemu.h"
#include "dm/state.h"
#include "flow/devices.h"
#include "xen/nodes.h"

#define NODES_MS 30000
#define SERIALS 16
#define TTY_MOST 64

bool wh_emulator_check(struct wh_op *op, struct wh_here *h, const struct wh_config *c)
{
    bool has;

    if (c->type != WH_TYPE_HVM || !c->machine)
        return true;
    bool xenfv = strncmp(c->machine, "xenfv", 5) == 0;
    if (!wh_qemu_is_machine(c->machine) || xenfv != (c->hvm.xen_platform_pci != WH_NO))
        return wh_fail(&op->err, WH_STREAM, "the image's configuration: '%.64s' is no machine of "
                       "QEMU's for this guest", c->machine);
    if (!wh_qemu_has_machine(op, h, c->device_model && *c->device_model ? c->device_model : NULL,
                             c->machine, &has))
        return false;
    return has || wh_fail(&op->err, WH_USAGE, "the guest was saved of a QEMU machine %s, which this "
                          "host's QEMU does not have", c->machine);
}

/* ----------------------------------------------------------------------------- its nodes */

/* "pty:/dev/pts/3": where a terminal is, as QEMU says, and no other file. */
static bool is_tty(const char *text)
{
    static const char first[] = "pty:/dev/pts/";
    const char *number = text + sizeof first - 1;

    return strncmp(text, first, sizeof first - 1) == 0 && *number && strlen(number) < 10 &&
           number[strspn(number, "0123456789")] == '\0';
}

static void add_serial(struct wh_nodes *l, json_object *one, uint32_t domid)
{
    const char *label = wh_json_string(one, "label", ""), *file = wh_json_string(one, "filename", "");
    unsigned n;
    int end = 0;

    if (sscanf(label, "serial%2u%n", &n, &end) == 1 && label[end] == '\0' && n < SERIALS &&
        is_tty(file))
        wh_nodes_add(l, file + strlen("pty:"), "/local/domain/%u/serial/%u/tty", domid, n);
}

static bool write_serials(struct wh_op *op, struct wh_here *h, struct wh_qmp *qmp, uint32_t domid)
{
    wh_auto_json json_object *all = NULL;
    wh_auto_nodes struct wh_nodes l = { 0 };

    if (!wh_qmp_call(op, qmp, "query-chardev", NULL, -1, &all))
        return false;
    wh_nodes_as(&l, 0, domid);
    if (json_object_is_type(all, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(all) && i < 2 * SERIALS; i++)
            add_serial(&l, json_object_array_get_idx(all, i), domid);
    }
    return l.n == 0 || wh_nodes_write(op, h->store, &l, NULL, NULL);
}

/* It chose the port itself, if it was free to. */
static bool write_vnc(struct wh_op *op, struct wh_here *h, struct wh_qmp *qmp,
                      const struct wh_config *c, uint32_t domid)
{
    wh_auto_json json_object *answer = NULL;
    wh_auto_nodes struct wh_nodes l = { 0 };

    if (!wh_qmp_call(op, qmp, "query-vnc", NULL, -1, &answer))
        return false;
    const char *host = wh_json_string(answer, "host", ""), *port = wh_json_string(answer, "service",
                                                                                  "");
    if (strlen(host) > TTY_MOST || strlen(port) > 5 || port[strspn(port, "0123456789")] ||
        host[strspn(host, "0123456789abcdefABCDEF.:")])
        return wh_fail(&op->err, WH_PEER, "QEMU says of VNC what is no address and port");
    wh_nodes_as(&l, 0, WH_NOBODY);
    if (*port) {
        wh_nodes_add(&l, host, "/local/domain/%u/console/vnc-listen", domid);
        wh_nodes_add(&l, port, "/local/domain/%u/console/vnc-port", domid);
        if (c->hvm.vnc.passwd)
            wh_nodes_add(&l, c->hvm.vnc.passwd, "/local/domain/%u/console/vnc-pass", domid);
    }
    return l.n == 0 || wh_nodes_write(op, h->store, &l, NULL, NULL);
}

static bool set_password(struct wh_op *op, struct wh_qmp *qmp, const char *password)
{
    json_object *arguments = json_object_new_object();

    json_object_object_add(arguments, "password", wh_json_text(password));
    return wh_qmp_call(op, qmp, "change-vnc-password", arguments, -1, NULL);
}

static bool tell(struct wh_op *op, struct wh_here *h, struct wh_qmp *qmp, const struct wh_config *c,
                 uint32_t domid)
{
    bool vnc = c->hvm.vnc.enable == WH_YES;

    wh_step(op, "set up QEMU", NODES_MS);
    return write_serials(op, h, qmp, domid) &&
           (!vnc || !c->hvm.vnc.passwd || set_password(op, qmp, c->hvm.vnc.passwd)) &&
           (!vnc || write_vnc(op, h, qmp, c, domid));
}

/* ------------------------------------------------------------------------------ starting */

/* What hvmloader reads of the BIOS; the guest's memory has been laid out and stays so. */
static bool write_bios(struct wh_op *op, struct wh_here *h, const struct wh_config *c,
                       uint32_t domid)
{
    wh_auto_nodes struct wh_nodes l = { 0 };

    wh_nodes_like(&l);
    wh_nodes_add(&l, c->hvm.bios == WH_BIOS_OVMF ? "ovmf" : "seabios",
                 "/local/domain/%u/hvmloader/bios", domid);
    wh_nodes_add(&l, "0", "/local/domain/%u/hvmloader/allow-memory-relocate", domid);
    return wh_nodes_write(op, h->store, &l, NULL, NULL);
}

static struct wh_qemu about(const struct wh_config *c, const struct wh_made *m)
{
    return (struct wh_qemu){
        .domid = m->domid, .name = c->name, .program = c->device_model, .user = c->device_model_user,
        .restricted = c->dm_restrict == WH_YES, .goes_on = m->restoring, .late_disks = m->moves,
    };
}

static bool begin(struct wh_op *op, struct wh_here *h, const struct wh_config *c, struct wh_made *m)
{
    wh_auto_args struct wh_args machine = { 0 };
    wh_auto(wh_emulator_close) struct wh_emulator_files files = { .n = 0 };
    struct wh_qemu q = about(c, m);
    const char *kind = m->restoring ? c->machine : NULL;    /* one that starts anew takes the usual */

    if ((m->physmap_bytes > 0 && !wh_physmap_write(op, h, m->domid, m->physmap, m->physmap_bytes)) ||
        !wh_emulator_arguments(op, c, m->domid, kind, &machine, q.restricted ? &files : NULL))
        return false;
    q.machine = &machine;
    q.file = files.fd;
    q.files = files.n;
    q.file_bytes = files.bytes;
    return wh_qemu_begin(op, h, &q, &m->qemu);
}

/* What QEMU needs as it begins. */
static bool lay_out(struct wh_op *op, struct wh_here *h, const struct wh_config *c, const struct wh_made *m)
{
    return wh_devices_attach_keyboard(op, h, m) && write_bios(op, h, c, m->domid);
}

/* What it reads of a disk before the guest is here may be old by then.  QEMU forgets it when the disk becomes
 * its own, but not what it knows of where things are in a file of these formats; nor how long a file is that
 * it cannot open again. */
static bool may_be_early(const struct wh_config *c)
{
    for (size_t i = 0; i < c->ndisks; i++) {
        enum wh_disk_format format = c->disks[i].format;
        bool raw = format == WH_FORMAT_RAW || format == WH_FORMAT_UNKNOWN;

        if (!c->disks[i].is_cdrom && !raw && (format != WH_FORMAT_QCOW2 || c->dm_restrict == WH_YES))
            return false;
    }
    return true;
}

bool wh_emulator_begin(struct wh_op *op, struct wh_here *h, const struct wh_config *c, struct wh_made *m)
{
    if (c->type != WH_TYPE_HVM)
        return true;
    m->qemu.early = may_be_early(c);
    return lay_out(op, h, c, m) && (!m->qemu.early || begin(op, h, c, m));
}

/* What it has had of the keyboard's nodes another would not take. */
static bool end_begun(struct wh_op *op, struct wh_here *h, struct wh_made *m)
{
    wh_qemu_drop(&m->qemu);
    m->qemu.is = false;
    return wh_qemu_end(op, h, m->domid) && wh_devices_attach_keyboard(op, h, m);
}

bool wh_emulator_fit(struct wh_op *op, struct wh_here *h, struct wh_made *m)
{
    if (!m->qemu.is || m->physmap_bytes == 0)
        return true;
    m->qemu.early = false;
    return end_begun(op, h, m);
}

bool wh_emulator_start(struct wh_op *op, struct wh_here *h, const struct wh_config *c, struct wh_made *m)
{
    struct wh_qemu q = about(c, m);
    struct wh_qmp *qmp = NULL;
    bool ok = m->restoring || lay_out(op, h, c, m), again = ok;

    while (again) {
        again = false;
        ok = (m->qemu.is || begin(op, h, c, m)) &&
             wh_qemu_ready(op, h, &q, &m->qemu, m->emulator, m->emulator_bytes, &qmp, &again);
        if (again) {
            op->err = (struct wh_err){ 0 };
            again = end_begun(op, h, m);
        }
    }
    ok = ok && tell(op, h, qmp, c, m->domid);
    wh_qmp_close(qmp);
    wh_qemu_drop(&m->qemu);
    return ok;
}

bool wh_emulator_run(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    return !d->emulated || wh_qemu_run_on(op, h, d->domid);
}

bool wh_emulator_tell_no_more(struct wh_op *op, struct wh_here *h, const struct wh_domain *d)
{
    struct wh_err before = op->err;
    struct wh_qmp *qmp;

    if (!d->emulated)
        return true;
    bool ok = wh_qemu_reach(op, h, d->domid, &qmp);
    if (ok && !wh_qemu_tell_dirty(op, qmp, false)) {
        ok = op->err.kind == WH_PEER;
        if (ok)
            op->err = before;
    }
    wh_qmp_close(qmp);
    return ok;
}
