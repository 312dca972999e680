#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds a stream from its description, and says what an inspection of it must find.

    stream.py build NAME.stream OUT        writes the bytes
    stream.py expect NAME.stream           prints the oracle's JSON
    stream.py map NAME.stream              prints the parts and their offsets

A description is read line by line; '#' begins a comment (at a line's start, or after a space), a backslash at the end joins lines.

    xl flags=3 config={"c_info": ...}      the config is the rest of the line, its NUL is added
       (or blob='ITEMS'; and byteorder= optional_flags= optlen= config_len= extra=ITEM magic=ITEM)
    libxl version=2 options=0              and ident=ITEM
    libxc version=3 options=0              and marker=ITEM id= reserved=
    domain type=pv xen=4.17                and page_shift= reserved=
    PAGE_DATA 0-3 4:l1=pte:0,1 5:xtab      upper-case words are records: records.py
    record 0x13 name=NEW le32:1 zero:4     any other record, of the layer the stream is in
    legacy width=64 ...                    lower-case words of the old format: legacy.py
    bytes ITEMS                            anything, anywhere

Every record takes type= len= (what the header claims) pad=HEX tail=ITEM (more body).
To change what stands already (NAME is the line's first word; NAME#2 the second of it):

    include NAME                           another description's parts (here or in ../good)
    before NAME | after NAME | at-end      where the lines below put their parts
    drop NAME                              takes a part away
    replace NAME                           drops it, and puts what follows in its place
    poke NAME+OFFSET ITEMS                 writes over bytes of a part
    cut N | cut -N | cut NAME+OFFSET       ends the stream there
"""

import dataclasses
import json
import os
import shlex
import sys

import legacy
import oracle
import records
from fields import DescriptionError, item, items, little, number, options

XL_MAGIC = b"Xen saved domain, xl format\n \0 \r"
GUESTS = {"pv": 1, "hvm": 2}
COMMON = ("type", "len", "pad", "tail", "name")


@dataclasses.dataclass
class Part:
    """A header, a record or a run of bytes; what a line of a description makes."""
    name: str
    data: bytes
    layer: str = ""                                         # of a record, else empty
    body_length: int = 0
    pages: list = dataclasses.field(default_factory=list)   # (pfn, type) of each entry
    says: dict = dataclasses.field(default_factory=dict)    # what a header tells the oracle
    is_whole: bool = True


def xl_header(tokens):
    """The config= word, if any, is the last token and holds the rest of its line."""
    found, rest = options(tokens, "flags", "byteorder", "optional_flags", "optlen", "config_len",
                          "magic", "blob", "extra", "config")
    if rest:
        raise DescriptionError(f"unknown words: {rest}")
    config = items(found["blob"].split()) if "blob" in found else None
    if "config" in found:
        config = found["config"].encode() + b"\0"
    data = b""
    if config is not None:
        data = little(number(found.get("config_len", str(len(config)))), 4) + config
    data += item(found["extra"]) if "extra" in found else b""
    flags = number(found.get("flags", "3"))
    fields = (number(found.get("byteorder", "0x01020304")), flags,
              number(found.get("optional_flags", "0")), number(found.get("optlen", str(len(data)))))
    magic = item(found["magic"]) if "magic" in found else XL_MAGIC
    says = {"mandatory_flags": flags, "config": config}
    return Part("xl", magic + b"".join(little(f, 4) for f in fields) + data, says=says)


def libxl_header(tokens):
    found, _ = options(tokens, "version", "options", "ident")
    ident = item(found["ident"]) if "ident" in found else b"LibxlFmt"
    version, flags = number(found.get("version", "2")), number(found.get("options", "0"))
    says = {"version": version, "legacy": bool(flags & 2)}
    return Part("libxl", ident + version.to_bytes(4, "big") + flags.to_bytes(4, "big"), says=says)


def libxc_header(tokens):
    found, _ = options(tokens, "version", "options", "marker", "id", "reserved")
    version, flags = number(found.get("version", "3")), number(found.get("options", "0"))
    data = item(found["marker"]) if "marker" in found else b"\xff" * 8
    data += number(found.get("id", "0x58454E46")).to_bytes(4, "big")
    data += version.to_bytes(4, "big") + flags.to_bytes(2, "big")
    data += number(found.get("reserved", "0")).to_bytes(6, "big")
    return Part("libxc", data, says={"version": version})


def domain_header(tokens):
    found, _ = options(tokens, "type", "xen", "page_shift", "reserved")
    guest, xen = found.get("type", "pv"), found.get("xen", "4.17")
    kind = GUESTS[guest] if guest in GUESTS else number(guest)
    major, minor = map(number, xen.split("."))
    data = little(kind, 4) + little(number(found.get("page_shift", "12")), 2)
    data += little(number(found.get("reserved", "0")), 2) + little(major, 4) + little(minor, 4)
    return Part("domain", data, says={"guest": f"x86-{guest}", "xen": xen})


def record(word, tokens, layer):
    """One framed record; the header may lie, the oracle is told the truth."""
    found, rest = options(tokens, *COMMON)
    if word == "record":
        kind, write, name = number(rest[0]), items, found.get("name") or f"0x{number(rest[0]):08x}"
        rest = rest[1:]
    else:
        kind, write = records.LAYERS[layer][word]
        name = word
    body = write(rest) + (item(found["tail"]) if "tail" in found else b"")
    pad = bytes.fromhex(found["pad"]) if "pad" in found else bytes(-len(body) % 8)
    head = little(number(found.get("type", str(kind))), 4)
    head += little(number(found.get("len", str(len(body)))), 4)
    pages = records.page_pairs(rest) if name == "PAGE_DATA" else []
    return Part(name, head + body + pad, layer, len(body), pages)


def legacy_piece(word, tokens, parts):
    says = legacy.what_it_says(tokens) if word == "legacy" else {}
    ulong = 0 if word == "legacy" else legacy.ulong_size(parts)
    pages = legacy.batch_pairs(tokens) if word == "batch" else []
    data = legacy.PIECES[word](tokens, ulong)
    return Part(word, data, layer="legacy", pages=pages, says=says)


HEADERS = {"xl": xl_header, "libxl": libxl_header, "libxc": libxc_header, "domain": domain_header}


class Stream:
    """The parts a description has made so far, and where the next one goes."""

    def __init__(self, directory="."):
        self.directory = directory
        self.parts = []
        self.place = 0

    def read(self, text):
        for line in logical_lines(text):
            self.obey(*words(line))
        return self

    def obey(self, word, tokens):
        if word in COMMANDS:
            COMMANDS[word](self, *tokens)
        elif word in HEADERS:
            self.put(HEADERS[word](tokens))
        elif word in legacy.PIECES:
            self.put(legacy_piece(word, tokens, self.parts))
        else:
            layer = records.layer_of(word, self.current_layer())
            if not layer or word != "record" and word not in records.LAYERS[layer]:
                raise DescriptionError(f"unknown word, or a record outside a stream: {word}")
            self.put(record(word, tokens, layer))

    def put(self, part):
        self.parts.insert(self.place, part)
        self.place += 1

    def current_layer(self):
        """Who reads the next record: libxc between its header and END, or to a CHECKPOINT."""
        layer, has_libxl = "", False
        for part in self.parts[:self.place]:
            has_libxl |= part.name == "libxl"
            if part.name in ("libxl", "libxc"):
                layer = part.name
            elif (part.layer, part.name) in (("libxc", "END"), ("libxc", "CHECKPOINT")):
                layer = "libxl" if has_libxl else "libxc"
            elif part.name == "CHECKPOINT_END":
                layer = "libxc"
        return layer

    def find(self, name):
        word, _, count = name.partition("#")
        found = [i for i, part in enumerate(self.parts) if part.name == word]
        if len(found) < number(count or "1"):
            raise DescriptionError(f"no such part: {name}")
        return found[number(count or "1") - 1]

    def address(self, text):
        """NAME, NAME+OFFSET: the part's index and the offset in it."""
        name, _, offset = text.partition("+")
        return self.find(name), number(offset or "0")

    def include(self, name):
        paths = [f"{self.directory}/{folder}{name}.stream" for folder in ("", "../good/")]
        path = next(filter(os.path.exists, paths), None)
        if not path:
            raise DescriptionError(f"no such description: {name}")
        for part in load(path).parts:
            self.put(part)

    def before(self, name):
        self.place = self.find(name)

    def after(self, name):
        self.place = self.find(name) + 1

    def at_end(self):
        self.place = len(self.parts)

    def drop(self, name):
        index = self.find(name)
        del self.parts[index]
        self.place -= index < self.place

    def replace(self, name):
        self.place = self.find(name)
        del self.parts[self.place]

    def poke(self, where, *tokens):
        index, offset = self.address(where)
        part, new = self.parts[index], items(tokens)
        if offset + len(new) > len(part.data):
            raise DescriptionError(f"the poke reaches past the end of {part.name}")
        part.data = part.data[:offset] + new + part.data[offset + len(new):]

    def raw_bytes(self, *tokens):
        self.put(Part("bytes", items(tokens)))

    def cut(self, where):
        """A part that loses a byte is not whole, and counts for nothing."""
        if where.lstrip("-")[0].isdigit():
            end = number(where) if number(where) >= 0 else len(self.data) + number(where)
        else:
            index, offset = self.address(where)
            end = sum(len(part.data) for part in self.parts[:index]) + offset
        kept, start = [], 0
        for part in self.parts:
            whole = len(part.data)
            if end - start > 0 or start + whole <= end:
                part = dataclasses.replace(part, data=part.data[:end - start])
                part.is_whole = part.is_whole and len(part.data) == whole
                kept.append(part)
            start += whole
        self.parts, self.place = kept, len(kept)

    @property
    def data(self):
        return b"".join(part.data for part in self.parts)


COMMANDS = {
    "include": Stream.include, "before": Stream.before, "after": Stream.after,
    "at-end": Stream.at_end, "drop": Stream.drop, "replace": Stream.replace,
    "poke": Stream.poke, "cut": Stream.cut, "bytes": Stream.raw_bytes,
}


def logical_lines(text):
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.strip()


def words(line):
    """An xl line's config= is JSON or cfg text and runs, as it is, to the end of the line."""
    head, config, rest = line.partition(" config=") if line.startswith("xl ") else (line, "", "")
    tokens = shlex.split(head.split(" #")[0])
    return tokens[0], tokens[1:] + (["config=" + rest] if config else [])


def load(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return Stream(os.path.dirname(path) or ".").read(text)
    except (DescriptionError, ValueError, KeyError, IndexError) as error:
        raise DescriptionError(f"{path}: {error}") from error


def print_map(stream):
    offset = 0
    for part in stream.parts:
        print(f"{offset:#8x} {len(part.data):7} {part.layer or '-':6} {part.name}")
        offset += len(part.data)


def main(arguments):
    if len(arguments) == 3 and arguments[0] == "build":
        with open(arguments[2], "wb") as out:
            out.write(load(arguments[1]).data)
    elif len(arguments) == 2 and arguments[0] == "expect":
        print(json.dumps(oracle.expect(load(arguments[1])), indent=2))
    elif len(arguments) == 2 and arguments[0] == "map":
        print_map(load(arguments[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
