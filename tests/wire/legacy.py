# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pieces of a stream from before Xen 4.6; lower-case words, in the order of the stream.

    legacy width=32|64 guest=pv|hvm p2m_size=N
    extended-info [marker=] [total=] vcpu=LENGTH [extv=LENGTH] [xcnt=LENGTH] [ID:ITEM]     (PV)
    p2m pfns=LIST                                                                          (PV)
    batch [count=] PFN[-LAST][:TYPE][=FILL] ...
    chunk NUMBER ITEMS      vcpu-info max_id= online=LIST      tsc mode= nsec= khz= incarnation=
    param NAME=VALUE ...    toolstack PHYS/START/SIZE/NAME ...
    end-of-body
    unmapped pfns=LIST      vcpu ITEMS      xsave [mask=] ITEMS      shared-info ITEMS      (PV)
    magic-pfns ioreq= bufioreq= store=      hvm-context CHAIN      qemu ITEMS               (HVM)
"""

from fields import (DescriptionError, hvm_chain, item, items, little, number, numbers, options,
                    page_contents, page_entries, whole_options)

PARAMS = {
    "ident_pt": -3, "vm86_tss": -4, "console_pfn": -8, "acpi_ioports_location": -10,
    "viridian": -11, "generation_id_addr": -14, "paging_ring_pfn": -15, "monitor_ring_pfn": -16,
    "sharing_ring_pfn": -17, "ioreq_server_pfn": -19, "nr_ioreq_server_pages": -20,
}

QEMU_SIGNATURE = b"DeviceModelRecord0002"

# An entry of pfn 0 and type XTAB is filler for a page that could not be sent, not a page.
FILLER = (0, 0xF)


def prefix(tokens, _):
    """The stream's first word; the width rules every ulong after it."""
    found, _ = options(tokens, "width", "guest", "p2m_size")
    return little(number(found["p2m_size"]), number(found["width"]) // 8)


def extended_info(tokens, ulong):
    found, rest = options(tokens, "marker", "total")
    blocks = b"".join(extended_block(token) for token in rest)
    marker = little(number(found.get("marker", "-1")), ulong)
    return marker + little(number(found.get("total", str(len(blocks)))), 4) + blocks


def extended_block(token):
    name, equals, value = token.partition("=")
    if not equals:
        name, _, rest = token.partition(":")
        return framed(name, item(rest))
    if name == "xcnt":
        return framed(name, little(number(value), 4))
    return framed(name, bytes(number(value)))


def framed(name, data):
    return name.encode() + little(len(data), 4) + data


def p2m(tokens, ulong):
    found, _ = options(tokens, "pfns")
    return b"".join(little(pfn, ulong) for pfn in numbers(found["pfns"]))


def batch(tokens, ulong):
    found, rest = options(tokens, "count")
    entries = page_entries(rest)
    head = little(number(found.get("count", str(len(entries)))), 4)
    table = b"".join(little(kind << 28 | pfn, ulong) for pfn, kind, _ in entries)
    return head + table + page_contents(entries)


def batch_pairs(tokens):
    _, rest = options(tokens, "count")
    pairs = [(pfn, kind) for pfn, kind, _ in page_entries(rest)]
    return [pair for pair in pairs if pair != FILLER]


def chunk(tokens, _):
    return little(number(tokens[0]), 4) + items(tokens[1:])


def vcpu_info(tokens, _):
    found, rest = options(tokens, "online")
    (max_id,) = whole_options(rest, max_id=0)
    bitmap = sum(1 << cpu for cpu in numbers(found.get("online", "0")))
    return little(-2, 4) + little(max_id, 4) + little(bitmap, 8 * (max_id // 64 + 1))


def tsc(tokens, _):
    mode, nsec, khz, incarnation = whole_options(
        tokens, mode=0, nsec=1234567, khz=2000000, incarnation=1)
    return (little(-7, 4) + little(mode, 4) + little(nsec, 8)
            + little(khz, 4) + little(incarnation, 4))


def param(tokens, _):
    data = b""
    for token in tokens:
        name, _, value = token.partition("=")
        data += little(PARAMS[name], 4) + bytes(4) + little(number(value), 8)
    return data


def toolstack(tokens, ulong):
    """Writers of 64 bits left four bytes of structure padding behind each name."""
    data = little(1, 4) + little(len(tokens), 4)
    for token in tokens:
        phys, start, size, name = token.split("/")
        data += b"".join(little(number(value), 8) for value in (phys, start, size))
        name = name.encode() + b"\0"
        data += little(len(name), 4) + name + bytes(4 if ulong == 8 else 0)
    return little(-18, 4) + little(len(data), 4) + data


def end_of_body(_, __):
    return little(0, 4)


def unmapped(tokens, ulong):
    found, _ = options(tokens, "pfns")
    pfns = numbers(found.get("pfns", ""))
    return little(len(pfns), 4) + b"".join(little(pfn, ulong) for pfn in pfns)


def raw(tokens, _):
    return items(tokens)


def xsave(tokens, _):
    found, rest = options(tokens, "mask")
    data = items(rest)
    return little(number(found.get("mask", "7")), 8) + little(len(data), 8) + data


def shared_info(tokens, _):
    return items(tokens or ["zero:4096"])


def magic_pfns(tokens, _):
    return b"".join(little(pfn, 8) for pfn in whole_options(tokens, ioreq=0, bufioreq=0, store=0))


def hvm_context(tokens, _):
    found, rest = options(tokens, "len")
    blob = hvm_chain(rest)
    return little(number(found.get("len", str(len(blob)))), 4) + blob


def qemu(tokens, _):
    found, rest = options(tokens, "signature", "len")
    data = items(rest)
    signature = found.get("signature", QEMU_SIGNATURE.decode()).encode()
    return signature + little(number(found.get("len", str(len(data)))), 4) + data


PIECES = {
    "legacy": prefix, "extended-info": extended_info, "p2m": p2m, "batch": batch, "chunk": chunk,
    "vcpu-info": vcpu_info, "tsc": tsc, "param": param, "toolstack": toolstack,
    "end-of-body": end_of_body, "unmapped": unmapped, "vcpu": raw, "xsave": xsave,
    "shared-info": shared_info, "magic-pfns": magic_pfns, "hvm-context": hvm_context, "qemu": qemu,
}


def ulong_size(parts):
    """What the stream's own `legacy` line said; every other piece comes after it."""
    for part in parts:
        if part.name == "legacy":
            return part.says["width"] // 8
    raise DescriptionError("a legacy piece needs a `legacy width=` line before it")


def what_it_says(tokens):
    found, _ = options(tokens, "width", "guest", "p2m_size")
    return {"width": number(found["width"]), "guest": found["guest"]}
