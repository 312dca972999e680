# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `wherry inspect --json` must say of a stream, reckoned from the description's parts.

Headers are not records. Only what is whole counts: a record cut in its header, body or padding
is left out with all its page entries. `bytes` counts bodies, without header and padding.
A legacy stream counts the entries its conversion would carry, so filler entries are left out.
"""

import json

DATA, BROKEN, XALLOC, XTAB = range(0xD), 0xD, 0xE, 0xF


def expect(stream):
    """The keys this oracle vouches for; a key it leaves out is not for it to say."""
    whole = [part for part in stream.parts if part.is_whole]
    expected = {
        "container": container(stream.parts),
        "complete": is_complete(stream.parts),
        "size": len(stream.data),
        "xl": xl(first(whole, "xl")),
        "pages": pages(whole),
        "epochs": sum(part.name == "CHECKPOINT" for part in whole if part.layer == "libxc"),
        "trailer": None,
    }
    if first(stream.parts, "legacy"):
        return expected
    expected["libxl"] = says(first(whole, "libxl"))
    expected["libxc"] = libxc(first(whole, "libxc"), first(whole, "domain"))
    expected["records"] = tally(whole)
    return expected


def container(parts):
    return parts[0].name


def is_complete(parts):
    """The outermost layer's END is there; an old stream, which has none, was not cut."""
    if first(parts, "legacy"):
        return all(part.is_whole for part in parts)
    outer = "libxl" if first(parts, "libxl") else "libxc"
    return any(part.is_whole and (part.layer, part.name) == (outer, "END") for part in parts)


def first(parts, name):
    return next((part for part in parts if part.name == name), None)


def says(part):
    return dict(part.says) if part else None


def xl(part):
    """A config that is not JSON (flag bit 0 clear) is left to the golden files."""
    if not part:
        return None
    flags, config = part.says["mandatory_flags"], part.says["config"]
    found = {"mandatory_flags": flags}
    if config is None or flags & 1:
        found["config"] = json.loads(config.rstrip(b"\0")) if config else None
    return found


def libxc(image, domain):
    return {**image.says, **domain.says} if image and domain else None


def tally(parts):
    """{layer, type, count, bytes} of each kind of record, sorted: the tool's order is its own."""
    kinds = {}
    for part in filter(lambda part: part.layer, parts):
        count, length = kinds.get((part.layer, part.name), (0, 0))
        kinds[part.layer, part.name] = count + 1, length + part.body_length
    return [{"layer": layer, "type": name, "count": count, "bytes": length}
            for (layer, name), (count, length) in sorted(kinds.items())]


def pages(parts):
    entries = [entry for part in parts for entry in part.pages]
    kinds = [kind for _, kind in entries]
    return {
        "entries": len(entries),
        "data": sum(kind in DATA for kind in kinds),
        "xtab": kinds.count(XTAB),
        "xalloc": kinds.count(XALLOC),
        "broken": kinds.count(BROKEN),
        "distinct": len({pfn for pfn, _ in entries}),
    }


def disagreements(expected, found):
    """Each key in which an inspection differs from the oracle, as 'key: expected X, found Y'."""
    found = {**found, "records": sorted(found.get("records") or [],
                                        key=lambda r: (r["layer"], r["type"]))}
    wrong = []
    for key, value in expected.items():
        other = found.get(key)
        if isinstance(value, dict) and isinstance(other, dict):
            wrong += [f"{key}.{name}: expected {v}, found {other.get(name)}"
                      for name, v in value.items() if other.get(name) != v]
        elif key != "trailer" and value != other or key == "trailer" and other is not None:
            wrong.append(f"{key}: expected {value}, found {other}")
    return wrong
