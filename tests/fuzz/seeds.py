#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""First inputs for the fuzzers: `seeds.py OUT` makes OUT/TARGET/ of the descriptions in tests/wire.

Pages are long and say little to a parser, so of the random streams only the short ones are taken."""

import json
import pathlib
import re
import struct
import subprocess
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


def zstd():
    def compressed(data, *options):
        return subprocess.run(["zstd", "-cq", *options], input=data, stdout=subprocess.PIPE,
                              check=True).stdout

    text = b"the wherry carries people and cargo " * 200
    small = compressed(text)
    skipped = struct.pack("<II", 0x184D2A52, 5) + b"12345"
    table = struct.pack("<II4IIBI", 0x184D2A5E, 25, *(len(small), len(text)) * 2, 2, 0, 0x8F92EAB1)
    for whole in (small, small * 2 + table, skipped + small, small + skipped + small[:-1],
                  compressed(bytes(70000)), compressed(text, "--no-check"), compressed(b""),
                  compressed(text, "--long=31"), compressed(text, "-19"), table):
        yield b"\0" + whole
    yield b"\1\3" + b"\7\0\0\xff\0\0\1\0\0"
    yield b"\1\3" + b"\7\1\0\7\xff\0\1\0\0"
    yield b"\1\2" + b"\7\0\1\7\0\xff" + b"\x10\0\1"


def physmap():
    good = b"physmap/1f000/start_addr\0f0000000\0physmap/1f000/size\x00800000\0" \
           b"physmap/1f000/name\0vga.vram\0"
    yield from (b"", good, good * 3, good[:-1], good[:20], b"/" + good, b"state\0running\0",
                b"physmap/../a/size\x001\0", b"physmap/1/size\x001 2\0", b"physmap/1/size\0\0")
    yield b"".join(b"physmap/%x/size\x001\0" % k for k in range(769))
    yield b"physmap/0123456789abcdef/name\0" + b"x" * 255 + b"\0"


def qmp():
    greeting = b'{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""},' \
               b' "capabilities": ["oob"]}}\r\n'
    yes = [b'{"return": {}, "id": %d}\r\n' % (0x77680001 + k) for k in range(4)]
    stop = b'{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP", "data": {"a": [1]}}\r\n'
    no = b'{"id": 2003304450, "error": {"class": "GenericError", "desc": "no \\u001b[2J \\u00e9"}}\n'
    hello = greeting + b"\1" + yes[0]
    for said in (hello + b"\1" + b"\1".join(yes[1:]) + stop, hello + stop + b"\1" + no + b"\1" + yes[2],
                 hello + b"\1" + yes[1] * 2, hello + b"\1" + yes[3], hello + greeting,
                 hello + b'\1{"id": 2003304450}\n', hello + b'\1{"return": 7}\n', stop + greeting,
                 hello + b'\1{"id": "x", "return": 7}\n', hello + b'\1{"id": 2003304450, "error": 7}\n',
                 hello + b'\1{"event": {}}\n', hello + b"\1[1]\n", hello + b"\1" + b"[" * 3000 + b"\n",
                 hello + b"\1\n\r\n" + stop * 70, hello + b"\1" + b" " * 30000,
                 b'{"QMP": {"version": {"qemu": {"major": -7}}}}\n', b"qemu: no\n", b"\xff\n", b""):
        yield b"\0" + said
        yield b"\x07" + said
    yield b"\xc0" + hello + b"\1" + yes[1]
    yield b"\0" + hello + b"\1" + yes[1] + b"\0"


def main(out):
    made = {}
    for name, data in descriptions():
        for target, inputs in (("xl", xl(data)), ("libxl", libxl(data)), ("libxc", libxc(data)),
                               ("legacy", legacy(data, name)), ("config", config(data)),
                               ("chain", [data])):
            made.setdefault(target, set()).update(inputs)
    made["trailer"] = set(trailer(None))
    made["zstd"] = set(zstd())
    made["physmap"] = set(physmap())
    made["qmp"] = set(qmp())
    made["config"].update(texts())
    for target, inputs in made.items():
        folder = pathlib.Path(out) / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(sorted(inputs)):
            if len(data) <= LONGEST:
                (folder / f"{number:04}").write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1])
