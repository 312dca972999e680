#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""layers.py [SRC]: prints every line of src/ that is against the order of its layers.

A layer includes itself and those to its left, by folder and name. Nothing below cli/ prints. No
file is longer than 800 lines. Exit status: 0 nothing found, 1 something.
"""

import pathlib
import re
import sys

LAYERS = ["base", "wire", "xen", "link", "dm", "config", "mem", "flow", "cli"]
LIBRARIES = {"json-c": "base", "libsmartcols": "cli", "argp.h": "cli"}    # and to the right
WITHOUT = {"json-c": ["wire", "xen"]}
LINES_MAX = 800

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
PRINTS = re.compile(r"\b(v?f?printf|v?dprintf|f?puts|f?putc|putchar|perror|psignal|v?warnx?|errx?"
                    r"|syslog|printf_unlocked)\s*\(|\bstd(out|err)\b")
QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'')
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def main(src):
    files = [path for layer in LAYERS for path in sorted((src / layer).glob("**/*.[ch]"))]
    found = [line for path in files for line in complaints(path, path.relative_to(src))]
    if not files:
        found = [f"{src}: no layers here"]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


def complaints(path, name):
    text, layer = path.read_text(encoding="utf-8"), name.parts[0]
    found = includes(text, name, layer)
    if layer != "cli":
        found += prints(text, name)
    count = text.count("\n")
    if count > LINES_MAX:
        found.append(f"{name}:{LINES_MAX}: {count} lines, at most {LINES_MAX} are readable")
    return found


def includes(text, name, layer):
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        why = match and wrong_include(match[1], match[2], layer)
        if why:
            found.append(f"{name}:{number}: {line.strip()}: {why}")
    return found


def wrong_include(bracket, header, layer):
    """Why this layer may not include that header; empty where it may."""
    first = header.split("/")[0]
    if bracket == "<" and layer in WITHOUT.get(first, ()):
        return f"{first} is not for {layer}"
    if bracket == "<":
        needs = LIBRARIES.get(first, "base")
        return f"{first} is for {needs} and above" if above(needs, layer) else ""
    if header == "wherry.h":
        return ""
    if first not in LAYERS:
        return "a header is named with its layer"
    return f"{first} is above {layer}" if above(first, layer) else ""


def above(one, other):
    return LAYERS.index(one) > LAYERS.index(other)


def prints(text, name):
    bare = COMMENT.sub(blank, QUOTED.sub(blank, text))
    whole = text.splitlines()
    return [f"{name}:{number}: {whole[number - 1].strip()}: nothing below cli prints"
            for number, line in enumerate(bare.splitlines(), 1) if PRINTS.search(line)]


def blank(match):
    """The same number of lines, and nothing in them."""
    return "\n" * match[0].count("\n") or " "


if __name__ == "__main__":
    here = pathlib.Path(__file__).resolve().parent
    sys.exit(main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here.parent.parent / "src"))
