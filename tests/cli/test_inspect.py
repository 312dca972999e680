# SPDX-License-Identifier: LGPL-2.1-or-later
"""What inspect says beyond the golden texts: records, the map of memory, where a page is."""

import json
import re

import harness
import pytest
from commands import BAD, OK, build, good, must, put, run

NAMES = harness.cases("good")
FRAMED = [name for name in NAMES if "legacy" not in name]


def records(directory, name):
    lines = must("inspect", "--records", "--json", name, directory=directory).splitlines()
    return [json.loads(line) for line in lines[:-1]]


# ------------------------------------------------------------------------------------- records

def end_of(record, data):
    """Where the next one begins; the configuration stands in the optional data of the xl header."""
    at, length = record["offset"], record["length"]
    if record["type"] == "config":
        return 48 + int.from_bytes(data[44:48], "little")
    if record["type"].endswith("header"):
        return at + length
    return at + 8 + (length + 7) // 8 * 8


@pytest.mark.parametrize("name", FRAMED)
def test_the_records_follow_each_other_and_cover_the_file(tmp_path, name):
    for data, image in ((good(name), "image"), (None, "trailed")):
        if data is None:
            must("convert", "--to", "xl", "image", image, directory=tmp_path)
            data = (tmp_path / image).read_bytes()
        put(tmp_path, image, data)
        at = 0
        for record in records(tmp_path, image):
            assert record["offset"] == at
            at = end_of(record, data)
        assert at == len(data)


@pytest.mark.parametrize("name", [name for name in NAMES if "legacy" in name])
def test_the_records_of_a_legacy_image_ascend(tmp_path, name):
    put(tmp_path, "image", good(name))
    offsets = [record["offset"] for record in records(tmp_path, "image")]
    assert offsets == sorted(set(offsets)) and offsets[-1] < len(good(name))


@pytest.mark.parametrize("name", NAMES)
def test_the_records_are_the_same_as_text_as_json_and_from_a_pipe(tmp_path, name):
    put(tmp_path, "image", good(name))
    text = must("inspect", "--records", "image", directory=tmp_path).decode().split("\n\n")[0]
    found = records(tmp_path, "image")
    assert [line.split()[:4] for line in text.splitlines()] == \
        [[f"{r['offset']:#x}" if r["offset"] else "0", r["layer"], *r["type"].split()][:4] if
         " " in r["type"] else [f"{r['offset']:#x}" if r["offset"] else "0", r["layer"], r["type"],
                                str(r["length"])] for r in found]
    piped = must("inspect", "--records", "--json", "-", directory=tmp_path, stdin=good(name))
    assert [json.loads(line) for line in piped.splitlines()[:-1]] == found


def test_the_records_are_those_of_the_description(tmp_path):
    put(tmp_path, "image", good("hvm-remus"))
    parts = harness.description("good", "hvm-remus").parts
    named = {"xl": "header", "libxl": "header", "libxc": "image header", "domain": "domain header"}
    found = [r["type"] for r in records(tmp_path, "image") if r["type"] != "config"]
    assert found == [named.get(part.name, part.name) for part in parts]


def test_the_fields_of_a_record_are_told(tmp_path):
    put(tmp_path, "image", good("pv64"))
    fields = {record["type"]: record["fields"] for record in records(tmp_path, "image")}
    assert fields["X86_PV_INFO"] == "width=8 levels=4"
    assert fields["X86_TSC_INFO"] == "mode=0 khz=2000000 nsec=25095927020 incarnation=1"
    assert fields["X86_PV_VCPU_XSAVE"].startswith("vcpu=0 ")


def test_records_of_a_cut_image_are_those_before_the_cut(tmp_path):
    put(tmp_path, "image", good("pv64"))
    put(tmp_path, "cut", good("pv64")[:20000])
    whole = records(tmp_path, "image")
    result = run("inspect", "--records", "--json", "cut", directory=tmp_path)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == BAD
    assert lines[:-1] == whole[:len(lines) - 1] and len(lines) > 5
    assert lines[-1]["complete"] is False


# ------------------------------------------------------------------------------------- the map

PV_MAP = """
include pv64
replace X86_PV_P2M_FRAMES
X86_PV_P2M_FRAMES start=0 end=255 pfns=1
replace PAGE_DATA
PAGE_DATA 0-9=fill:1 10-19=zero 20-22:l1 23-24:l4pin 25-29:xtab 30=zero 31=fill:1 200=fill:9
PAGE_DATA 30=fill:1 31=zero 9:xtab
"""

HVM_MAP = """
include hvm
replace PAGE_DATA
PAGE_DATA 0-511=fill:1 512-600=zero 1024-1200=fill:1 1300=zero 1536-1600:xtab 0x80000=fill:1
"""


def picture(directory, text):
    put(directory, "image", build(text))
    said = must("inspect", "--pages", "image", directory=directory).decode()
    assert must("inspect", "--pages", "-", directory=directory, stdin=build(text)).decode() == \
        said.replace("image: xl", "-: xl")
    return said[said.index("\none character is "):].splitlines()[1:]


def test_the_map_shows_data_zeros_tables_and_holes(tmp_path):
    assert picture(tmp_path, PV_MAP) == [
        "one character is 4 KiB: # data  + some data  0 zeros  T page tables  . not there",
        "        0 MiB  " + "#" * 10 + "0" * 10 + "T" * 5 + "." * 5 + "#0" + " " * 32,
        "        0 MiB  (0 MiB not there)",
        "        1 MiB  " + " " * 8 + "#" + " " * 55,
    ]


def test_the_map_of_a_large_guest_has_large_cells_and_leaves_out_rows_of_holes(tmp_path):
    assert picture(tmp_path, HVM_MAP) == [
        "one character is 2048 KiB: # data  + some data  0 zeros  T page tables  . not there",
        "        0 MiB  #0+." + " " * 60,
        "      128 MiB  (1920 MiB not there)",
        "     2048 MiB  +" + " " * 63,
    ]


def test_the_map_counts_zero_pages_as_they_are_last(tmp_path):
    put(tmp_path, "image", build(PV_MAP))
    pages = json.loads(must("inspect", "--json", "--pages", "image", directory=tmp_path))["pages"]
    assert pages["zero"] == 10 + 5 + 1          # the empty tables, and page 31, which became zero
    assert "zero" not in json.loads(must("inspect", "--json", "image", directory=tmp_path))["pages"]
    assert b", 16 zero\n" in must("inspect", "--pages", "image", directory=tmp_path)


def test_an_image_without_pages_has_no_map(tmp_path):
    put(tmp_path, "image", good("hvm-no-pages"))
    assert b"one character" not in must("inspect", "--pages", "image", directory=tmp_path)


# ------------------------------------------------------------------------------- where a page is

@pytest.mark.parametrize("name", ["pv64-live", "pv64-page-tables", "hvm-live", "pv64-verify",
                                  "pv64-big-batch", "hvm-holes", "hvm", "pv64-two-p2m-pages"])
def test_a_page_is_found_at_the_same_place_with_and_without_an_index(tmp_path, name):
    put(tmp_path, "in", good(name))
    must("convert", "in", "trailed", directory=tmp_path)
    must("convert", "--no-trailer", "in", "plain", directory=tmp_path)
    data = (tmp_path / "plain").read_bytes()
    pfns = {pfn for part in harness.description("good", name).parts for pfn, _ in part.pages}
    for pfn in sorted(pfns)[:25]:
        by_index, by_scan = (json.loads(must("inspect", "--json", "--page", str(pfn), image,
                                             directory=tmp_path)) for image in ("trailed", "plain"))
        assert (by_index.pop("indexed"), by_scan.pop("indexed")) == (True, False)
        assert by_index.pop("versions") <= by_scan.pop("versions")
        assert by_index == by_scan
        if by_scan["offset"] is not None:
            contents = must("extract", "--page", str(pfn), "plain", directory=tmp_path)
            assert data[by_scan["offset"]:by_scan["offset"] + 4096] == contents


def test_a_coarse_index_finds_a_page_among_many_records(tmp_path):
    """More runs of records than an index has entries: each entry then covers several."""
    count = 9000
    whole = harness.description("good", "hvm-live")
    at = next(i for i, part in enumerate(whole.parts) if part.name == "PAGE_DATA")
    hole = "".join(f"PAGE_DATA {0x1000 + k}:xtab\n" for k in range(count))
    holes = build("libxc\ndomain type=hvm\n" + hole)[40:]
    data = [part.data for part in whole.parts]
    put(tmp_path, "plain", b"".join(data[:at + 1]) + holes + b"".join(data[at + 1:]))
    must("convert", "plain", "trailed", directory=tmp_path)
    told = json.loads(must("inspect", "--json", "--digest", "trailed", directory=tmp_path))
    assert told["pages"]["distinct"] > count > told["trailer"]["index_entries"] > 0
    for pfn in (0, 1, 2, 3, 0xf0000, 0x1000, 0x1000 + count - 1):
        by_index, by_scan = (json.loads(must("inspect", "--json", "--page", str(pfn), image,
                                             directory=tmp_path)) for image in ("trailed", "plain"))
        assert by_index["indexed"]
        assert (by_index["type"], by_index["offset"]) == (by_scan["type"], by_scan["offset"])


def test_the_page_is_told_to_people_too(tmp_path):
    put(tmp_path, "image", good("pv64-live"))
    told = json.loads(must("inspect", "--json", "--page", "2", "image", directory=tmp_path))
    assert must("inspect", "--page", "0x2", "image", directory=tmp_path).decode() == \
        f"page 0x2: notab, contents at offset {told['offset']:#x}\n"
    assert told["versions"] == 4
    assert must("inspect", "--page", "77", "image", directory=tmp_path) == b"page 0x4d: not named\n"


# ---------------------------------------------------------------------- nothing hostile gets out

EVIL = ["\x1b]0;owned\x07", "\x1b[2J", "a\nb", "a\rb", "\x7f", "\u009b31m", "\u0085",
        "\u009d0;x\u009c"]


def escaped(text):
    return "".join(f"\\u{ord(c):04x}" for c in text)


@pytest.mark.parametrize("evil", EVIL, ids=repr)
@pytest.mark.parametrize("options", [[], ["--records"], ["--pages"], ["--digest"]], ids=str)
def test_no_control_character_of_a_name_reaches_the_terminal(tmp_path, evil, options):
    put(tmp_path, "image", build('xl config={"c_info": {"name": "x' + escaped(evil) +
                                 'y"}}\ninclude pv64-libxl'))
    said = must("inspect", *options, "image", directory=tmp_path).decode()
    assert not [c for c in said if c != "\n" and (ord(c) < 0x20 or 0x7f <= ord(c) < 0xa0)]
    assert re.search(r"^  guest     x[^\n]*y: x86 PV", said, re.MULTILINE)


def test_a_name_in_another_script_is_left_as_it_is(tmp_path):
    put(tmp_path, "image", build('xl config={"c_info": {"name": "K\u00e4se \u30c1\u30fc\u30ba"}}\n'
                                 'include pv64-libxl'))
    assert "  guest     K\u00e4se \u30c1\u30fc\u30ba: x86 PV" in \
        must("inspect", "image", directory=tmp_path).decode()


@pytest.mark.parametrize("config", [b"\x1b[2J", b'{"c_info": {"name": "\x1b[2J"}}', b"\xff\x9b2J"])
@pytest.mark.parametrize("flags", [2, 3])
def test_no_control_character_of_a_configuration_reaches_the_terminal(tmp_path, config, flags):
    put(tmp_path, "image", build(f"xl flags={flags} blob=hex:{config.hex()}00\ninclude pv64-libxl"))
    for verb in (["inspect"], ["inspect", "--json"], ["inspect", "--records"], ["verify"],
                 ["verify", "--json"], ["convert", "--to", "libxl", "--json"]):
        more = ["out"] if verb[0] == "convert" else []
        result = run(*verb, "image", *more, directory=tmp_path)
        assert result.returncode in (OK, BAD)
        assert b"\x1b" not in result.stdout + result.stderr
        assert b"\x9b2J" not in result.stdout + result.stderr
