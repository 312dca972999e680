#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""First inputs for the fuzzers: `seeds.py OUT` makes OUT/TARGET/ of the descriptions in tests/wire.

Pages are long and say little to a parser, so of the random streams only the short ones are taken."""

import json
import pathlib
import re
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
WIRE = HERE.parent / "wire"
sys.path.insert(0, str(WIRE))

import generate
import stream

LONGEST = 32 << 10
RANDOM = 600
XL_MAGIC = b"Xen saved domain, xl format\n \0 \r"
LIBXC_MAGIC = b"\xff" * 8 + b"XENF"


def descriptions():
    for path in sorted(WIRE.glob("*/*.stream")):
        yield path.parent.name + "-" + path.stem, stream.load(str(path)).data
    for seed in range(RANDOM):
        text = re.sub(r"^((?:PAGE_DATA|batch) \S+(?: \S+)?).*$", r"\1", generate.description(seed),
                      flags=re.MULTILINE)
        description = stream.Stream(str(WIRE / "good"))
        description.read(text)
        yield f"random-{seed}", description.data


def libxc(data):
    """The first byte chooses the headers, which the target supplies."""
    at = data.find(LIBXC_MAGIC)
    if at < 0 or len(data) < at + 40:
        return
    version = struct.unpack_from(">I", data, at + 12)[0]
    guest = struct.unpack_from("<I", data, at + 24)[0]
    if version in (2, 3) and guest in (1, 2):
        yield bytes([version - 2 | guest - 1 << 1]) + data[at + 40:]


def libxl(data):
    at = data.find(b"LibxlFmt")
    if at >= 0:
        yield data[at + 8:]


def xl(data):
    if data.startswith(XL_MAGIC[:8]):
        yield data


def legacy(data, name):
    if data.startswith(XL_MAGIC) and not data[36] & 2:
        length = struct.unpack_from("<I", data, 44)[0]
        data = data[48 + length:]
    elif "legacy" not in name and data[:4] in (b"Xen ", b"Libx", b"\xff" * 4):
        return
    yield b"\0" + data


def trailer(_):
    def record(kind, body):
        return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)

    entry = struct.pack("<QQQQ", 0x48, 0, 1, 1)
    head = b"WherryTr" + struct.pack("<II", 1, 0)
    whole = (record(1, bytes(24)), record(2, bytes(8) + b"wherry 0\0"), record(3, entry * 2),
             record(0x80000005, b"abc"), record(0, bytes(24) + b"Wherry.T"))
    for right in range(4):
        yield bytes([right]) + head + b"".join(whole)
    yield b"\3" + head + whole[0] + whole[4]
    yield b"\3" + b"more"


def config(data):
    at = data.find(b'{"')
    if at >= 0 and data.startswith(XL_MAGIC):
        yield data[at:data.find(b"\0", at)]


def texts():
    yield from (b"", b"{}", b"[" * 33, b"[" * 32 + b"]" * 32, b'{"a": [1, -1, 1.5e3, null, true]}',
                b'{"a": "\\u00e9\\ud83d\\ude00"}', b'{"a": NaN}', b"123", b'"text"', b"{}{}", b"\xff")
    yield json.dumps({str(k): [{}] * 9 for k in range(9)}).encode()


def main(out):
    made = {}
    for name, data in descriptions():
        for target, inputs in (("xl", xl(data)), ("libxl", libxl(data)), ("libxc", libxc(data)),
                               ("legacy", legacy(data, name)), ("config", config(data)),
                               ("chain", [data])):
            made.setdefault(target, set()).update(inputs)
    made["trailer"] = set(trailer(None))
    made["config"].update(texts())
    for target, inputs in made.items():
        folder = pathlib.Path(out) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(sorted(inputs)):
            if len(data) <= LONGEST:
                (folder / f"{number:04}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
