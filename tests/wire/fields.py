# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small words of a description: numbers, items (bytes), page lists, chains.

An item is KIND:VALUE, or KIND*TIMES:VALUE to repeat it:

    hex:00ff   text:abc   zero:16   ramp:8   le8:1 le16: le32: le64:   be16: be32: be64:
    text*3:ab  (ababab)   le8*4096:0x41      le32:-7 (two's complement)
"""

import random
import struct

PAGE = 4096

PAGE_TYPES = {
    "notab": 0x0, "l1": 0x1, "l2": 0x2, "l3": 0x3, "l4": 0x4,
    "l1pin": 0x9, "l2pin": 0xA, "l3pin": 0xB, "l4pin": 0xC,
    "broken": 0xD, "xalloc": 0xE, "xtab": 0xF,
}

HVM_SAVE_LENGTHS = {
    0: 0, 1: 24, 2: 1032, 3: 8, 4: 400, 5: 24, 6: 1024, 7: 16, 8: 8, 9: 8, 10: 56,
    11: 24, 12: 1048, 13: 8, 14: 240, 18: 32, 19: 8,
}

HVM_SAVE_HEADER = struct.pack("<IIQII", 0x54381286, 1, 0, 0x00000F61, 2000000)


class DescriptionError(Exception):
    """The description itself is wrong, whatever the stream it means."""


def number(text):
    return int(text, 0)


def numbers(text):
    """'1,4-6' is [1, 4, 5, 6]; '' is []."""
    found = []
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        found += range(number(first), number(last or first) + 1)
    return found


def little(value, size):
    return (value % (1 << 8 * size)).to_bytes(size, "little")


def integers(order, size):
    return lambda value: (number(value) % (1 << 8 * size)).to_bytes(size, order)


ITEMS = {
    "hex": bytes.fromhex,
    "text": lambda value: value.encode(),
    "zero": lambda value: bytes(number(value)),
    "ramp": lambda value: bytes(i & 0xFF for i in range(number(value))),
    "le8": integers("little", 1), "le16": integers("little", 2),
    "le32": integers("little", 4), "le64": integers("little", 8),
    "be16": integers("big", 2), "be32": integers("big", 4), "be64": integers("big", 8),
}


def item(token):
    kind, colon, value = token.partition(":")
    kind, _, times = kind.partition("*")
    if not colon or kind not in ITEMS:
        raise DescriptionError(f"not an item: {token}")
    return ITEMS[kind](value) * number(times or "1")


def items(tokens):
    return b"".join(map(item, tokens))


def options(tokens, *names):
    """Takes NAME=VALUE for these names out of the tokens: (dict of strings, the other tokens)."""
    found, rest = {}, []
    for token in tokens:
        name, equals, value = token.partition("=")
        if equals and name in names:
            found[name] = value
        else:
            rest.append(token)
    return found, rest


def whole_options(tokens, **defaults):
    """As options(), for a line that takes numbers only; an unknown word is an error."""
    found, rest = options(tokens, *defaults)
    if rest:
        raise DescriptionError(f"unknown words: {rest}")
    return [number(found[name]) if name in found else value for name, value in defaults.items()]


def page_entries(tokens):
    """PFN[-LAST][:TYPE][=FILL] ... as a list of (pfn, type, contents or None)."""
    entries = []
    for token in tokens:
        spec, _, fill = token.partition("=")
        pfns, _, kind = spec.partition(":")
        kind = kind or "notab"
        kind = PAGE_TYPES[kind] if kind in PAGE_TYPES else number(kind)
        for pfn in numbers(pfns):
            entries.append((pfn, kind, page(fill, pfn, kind) if has_data(kind) else None))
    return entries


def has_data(kind):
    return kind < 0xD


def page(fill, pfn, kind):
    """One page's contents; a page table is empty unless told, so that it names no frame."""
    fill = fill or ("ramp" if kind == 0 else "zero")
    how, _, value = fill.partition(":")
    contents = {
        "zero": lambda: b"",
        "fill": lambda: bytes([number(value)]) * PAGE,
        "ramp": lambda: bytes((pfn + i) & 0xFF for i in range(PAGE)),
        "text": lambda: value.encode(),
        "pte": lambda: b"".join(little(p << 12 | 1, 8) for p in numbers(value)),
        "random": lambda: random.Random(number(value)).randbytes(PAGE),
    }
    if how not in contents:
        raise DescriptionError(f"not a page's contents: {fill}")
    return contents[how]().ljust(PAGE, b"\0")


def page_contents(entries):
    return b"".join(contents for _, _, contents in entries if contents is not None)


def hvm_chain(tokens):
    """CODE[.INSTANCE][:LENGTH] ... or items, as the chain of an HVM context."""
    chain = b""
    for token in tokens:
        if not token[0].isdigit():
            chain += item(token)
            continue
        name, _, length = token.partition(":")
        code, _, instance = name.partition(".")
        length = number(length) if length else HVM_SAVE_LENGTHS[number(code)]
        body = HVM_SAVE_HEADER if number(code) == 1 else bytes(length)
        body = body[:length].ljust(length, b"\0")
        chain += little(number(code), 2) + little(number(instance or "0"), 2)
        chain += little(length, 4) + body
    return chain
