/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ACPI tables of a PVH guest (ACPI 5.0): it learns from them how many CPUs there are, and that
 * there is no legacy hardware.
 *
 *     RSDP -> XSDT -> FADT -> DSDT (empty)
 *                  -> MADT: a local APIC a vcpu
 *
 * Every table begins at a multiple of 16 bytes; a checksum makes its bytes add up to 0. */
#include "xen/acpi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

#define RSDP_BYTES 36
#define HEAD_BYTES 36
#define XSDT_BYTES (HEAD_BYTES + 2 * 8)
#define FADT_BYTES 268                  /* of ACPI 5.0 */
#define MADT_BYTES (HEAD_BYTES + 8)
#define LAPIC_BYTES 8
#define LAPIC_ADDRESS 0xfee00000u

/* FADT flags: the processor's caches work; no power or sleep button; no fixed hardware at all. */
#define FADT_FLAGS (1u << 0 | 1u << 4 | 1u << 5 | 1u << 20)
/* What a PC would have and this has not: VGA, a CMOS clock. */
#define FADT_BOOT_ARCH (1u << 2 | 1u << 5)

struct place {
    size_t rsdp, xsdt, fadt, madt, dsdt, end;
};

static size_t align(size_t at)
{
    return (at + 15) & ~(size_t)15;
}

static struct place lay_out(uint32_t vcpus)
{
    struct place p = { .rsdp = 0 };

    p.xsdt = align(p.rsdp + RSDP_BYTES);
    p.fadt = align(p.xsdt + XSDT_BYTES);
    p.madt = align(p.fadt + FADT_BYTES);
    p.dsdt = align(p.madt + MADT_BYTES + vcpus * LAPIC_BYTES);
    p.end = p.dsdt + HEAD_BYTES;
    return p;
}

static uint8_t complement(const uint8_t *p, size_t n)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < n; i++)
        sum = (uint8_t)(sum + p[i]);
    return (uint8_t)-sum;
}

static void head(uint8_t *t, const char *signature, uint8_t revision)
{
    memcpy(t, signature, 4);
    t[8] = revision;
    memcpy(t + 10, "Xen", 3);           /* whose tables: as libxl's, so that guests know them */
    memcpy(t + 16, "HVM", 3);
    wh_put_le32(t + 28, 1);
    wh_put_le32(t + 32, 1);
}

static void seal(uint8_t *t, size_t n)
{
    wh_put_le32(t + 4, (uint32_t)n);
    t[9] = complement(t, n);
}

static void put_rsdp(uint8_t *t, uint64_t xsdt)
{
    memcpy(t, "RSD PTR ", 8);
    memcpy(t + 9, "Xen", 3);
    t[15] = 2;
    wh_put_le32(t + 20, RSDP_BYTES);
    wh_put_le64(t + 24, xsdt);
    t[8] = complement(t, 20);
    t[32] = complement(t, RSDP_BYTES);
}

static void put_xsdt(uint8_t *t, uint64_t fadt, uint64_t madt)
{
    head(t, "XSDT", 1);
    wh_put_le64(t + 36, fadt);
    wh_put_le64(t + 44, madt);
    seal(t, XSDT_BYTES);
}

static void put_fadt(uint8_t *t, uint64_t dsdt)
{
    head(t, "FACP", 5);
    wh_put_le32(t + 40, (uint32_t)dsdt);
    wh_put_le16(t + 109, FADT_BOOT_ARCH);
    wh_put_le32(t + 112, FADT_FLAGS);
    wh_put_le64(t + 140, dsdt);
    seal(t, FADT_BYTES);
}

/* Xen gives vcpu i the APIC id 2i. */
static void put_madt(uint8_t *t, uint32_t vcpus, uint32_t online)
{
    head(t, "APIC", 3);
    wh_put_le32(t + 36, LAPIC_ADDRESS);
    for (uint32_t i = 0; i < vcpus; i++) {
        uint8_t *e = t + MADT_BYTES + i * LAPIC_BYTES;

        e[1] = LAPIC_BYTES;             /* type 0: a local APIC */
        e[2] = (uint8_t)i;
        e[3] = (uint8_t)(2 * i);
        wh_put_le32(e + 4, i < online);
    }
    seal(t, MADT_BYTES + vcpus * LAPIC_BYTES);
}

bool wh_acpi_make(struct wh_op *op, uint64_t address, uint32_t vcpus, uint32_t online,
                  uint8_t **tables, size_t *n)
{
    if (vcpus > WH_ACPI_VCPUS)
        return wh_fail(&op->err, WH_USAGE, "a PVH guest has at most %d vcpus, not %u",
                       WH_ACPI_VCPUS, vcpus);
    struct place p = lay_out(vcpus);
    uint8_t *t = calloc(1, p.end);
    if (!t)
        return wh_fail_sys(&op->err, ENOMEM, "make ACPI tables");
    put_rsdp(t + p.rsdp, address + p.xsdt);
    put_xsdt(t + p.xsdt, address + p.fadt, address + p.madt);
    put_fadt(t + p.fadt, address + p.dsdt);
    put_madt(t + p.madt, vcpus, online);
    head(t + p.dsdt, "DSDT", 2);
    seal(t + p.dsdt, HEAD_BYTES);
    *tables = t;
    *n = p.end;
    return true;
}
