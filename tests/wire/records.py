# SPDX-License-Identifier: LGPL-2.1-or-later
"""The framed records of both layers, by name: the type's number and how its body is written."""

from fields import (hvm_chain, item, items, little, number, numbers, options, page_contents,
                    page_entries, whole_options)


def page_data(tokens):
    """PAGE_DATA [count=] [reserved=] PFN[-LAST][:TYPE][=FILL] ..."""
    found, rest = options(tokens, "count", "reserved")
    entries = page_entries(rest)
    count = number(found.get("count", str(len(entries))))
    head = little(count, 4) + little(number(found.get("reserved", "0")), 4)
    table = b"".join(little(kind << 60 | pfn, 8) for pfn, kind, _ in entries)
    return head + table + page_contents(entries)


def pv_info(tokens):
    width, levels, reserved = whole_options(tokens, width=8, levels=4, reserved=0)
    return little(width, 1) + little(levels, 1) + little(reserved, 6)


def p2m_frames(tokens):
    """X86_PV_P2M_FRAMES start= end= pfns=LIST"""
    found, rest = options(tokens, "pfns")
    start, end = whole_options(rest, start=0, end=0)
    frames = b"".join(little(pfn, 8) for pfn in numbers(found.get("pfns", "")))
    return little(start, 4) + little(end, 4) + frames


def vcpu(tokens):
    """X86_PV_VCPU_* [vcpu=] [reserved=] ITEMS"""
    found, rest = options(tokens, "vcpu", "reserved")
    head = little(number(found.get("vcpu", "0")), 4)
    return head + little(number(found.get("reserved", "0")), 4) + items(rest)


def shared_info(tokens):
    return items(tokens or ["zero:4096"])


def tsc_info(tokens):
    mode, khz, nsec, incarnation, reserved = whole_options(
        tokens, mode=0, khz=2000000, nsec=25095927020, incarnation=1, reserved=0)
    return (little(mode, 4) + little(khz, 4) + little(nsec, 8)
            + little(incarnation, 4) + little(reserved, 4))


def hvm_params(tokens):
    """HVM_PARAMS [count=] [reserved=] INDEX=VALUE ..."""
    found, rest = options(tokens, "count", "reserved")
    pairs = [token.split("=") for token in rest]
    head = little(number(found.get("count", str(len(pairs)))), 4)
    head += little(number(found.get("reserved", "0")), 4)
    return head + b"".join(little(number(i), 8) + little(number(v), 8) for i, v in pairs)


def cpuid_policy(tokens):
    """X86_CPUID_POLICY leaves=N, or items"""
    found, rest = options(tokens, "leaves")
    leaves = range(number(found.get("leaves", "0")))
    return b"".join(little(leaf, 4) + b"\xff" * 4 + bytes(16) for leaf in leaves) + items(rest)


def msr_policy(tokens):
    """X86_MSR_POLICY INDEX=VALUE ... and items"""
    return b"".join(msr_entry(token) if "=" in token else item(token) for token in tokens)


def msr_entry(token):
    index, _, value = token.partition("=")
    return little(number(index), 4) + bytes(4) + little(number(value), 8)


def dirty_pfns(tokens):
    found, rest = options(tokens, "pfns")
    return b"".join(little(pfn, 8) for pfn in numbers(found.get("pfns", ""))) + items(rest)


def emulator(tokens):
    """EMULATOR_CONTEXT [id=] [index=] ITEMS"""
    found, rest = options(tokens, "id", "index")
    head = little(number(found.get("id", "2")), 4) + little(number(found.get("index", "0")), 4)
    return head + items(rest)


def emulator_xenstore(tokens):
    """EMULATOR_XENSTORE_DATA [id=] [index=] KEY=VALUE ... and items"""
    found, rest = options(tokens, "id", "index")
    head = emulator([f"{name}={value}" for name, value in found.items()])
    body = b""
    for token in rest:
        key, equals, value = token.partition("=")
        body += key.encode() + b"\0" + value.encode() + b"\0" if equals else item(token)
    return head + body


def checkpoint_state(tokens):
    found, rest = options(tokens, "id")
    return (little(number(found["id"]), 4) if "id" in found else b"") + items(rest)


LIBXL = {
    "END":                       (0x00, items),
    "LIBXC_CONTEXT":             (0x01, items),
    "EMULATOR_XENSTORE_DATA":    (0x02, emulator_xenstore),
    "EMULATOR_CONTEXT":          (0x03, emulator),
    "CHECKPOINT_END":            (0x04, items),
    "CHECKPOINT_STATE":          (0x05, checkpoint_state),
}

LIBXC = {
    "END":                       (0x00, items),
    "PAGE_DATA":                 (0x01, page_data),
    "X86_PV_INFO":               (0x02, pv_info),
    "X86_PV_P2M_FRAMES":         (0x03, p2m_frames),
    "X86_PV_VCPU_BASIC":         (0x04, vcpu),
    "X86_PV_VCPU_EXTENDED":      (0x05, vcpu),
    "X86_PV_VCPU_XSAVE":         (0x06, vcpu),
    "SHARED_INFO":               (0x07, shared_info),
    "X86_TSC_INFO":              (0x08, tsc_info),
    "HVM_CONTEXT":               (0x09, hvm_chain),
    "HVM_PARAMS":                (0x0A, hvm_params),
    "X86_PV_VCPU_MSRS":          (0x0C, vcpu),
    "VERIFY":                    (0x0D, items),
    "CHECKPOINT":                (0x0E, items),
    "CHECKPOINT_DIRTY_PFN_LIST": (0x0F, dirty_pfns),
    "STATIC_DATA_END":           (0x10, items),
    "X86_CPUID_POLICY":          (0x11, cpuid_policy),
    "X86_MSR_POLICY":            (0x12, msr_policy),
}

LAYERS = {"libxl": LIBXL, "libxc": LIBXC}


def layer_of(name, current):
    """A name that both layers have (END) means the layer the stream is in."""
    if name in LAYERS.get(current, {}):
        return current
    return next((layer for layer, table in LAYERS.items() if name in table), current)


def page_pairs(tokens):
    """The (pfn, type) pairs a PAGE_DATA line names."""
    _, rest = options(tokens, "count", "reserved")
    return [(pfn, kind) for pfn, kind, _ in page_entries(rest)]
