# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed images: every verb makes of one what it makes of the plain image."""

import json
import os
import re
import signal
import struct
import subprocess
import time

import harness
import pytest
from commands import BAD, OK, SYSTEM, USAGE, good, listing, must, put, run, shell, strict_json

FIXED = {"SOURCE_DATE_EPOCH": "1700000000"}
NAMES = harness.cases("good")
PIECES = ["pv64", "hvm-holes", "legacy32-hvm"]
WAYS = {                    # how the file "plain" becomes the file "image"
    "ours": "$W convert --compress plain image",
    "ours of many frames": "$W convert --compress=-5 plain image",
    "zstd's": "zstd -1q plain -o image",
    "zstd's of unknown length": "zstd -1cq < plain > image",
    "two files of zstd": "(head -c 100 plain | zstd -q; tail -c +101 plain | zstd -q) > image",
}


def compress(directory, data, way="ours"):
    """A file "plain" and its compressed one "image"; ours is of a plain one that has a trailer."""
    put(directory, "plain", data)
    if way.startswith("ours"):
        must("convert", "plain", "converted", directory=directory, environment=FIXED)
        (directory / "converted").rename(directory / "plain")
    result = subprocess.run(["sh", "-c", WAYS[way]], cwd=directory, check=True, capture_output=True,
                            env={**os.environ, **FIXED, "W": harness.WHERRY})
    assert result.stderr == b""


def page_record(first):
    """A MiB: a quarter zeros, a quarter text, a half noise."""
    contents = bytes(1 << 18) + (b"the wherry " * 23832)[:1 << 18] + os.urandom(1 << 19)
    return (struct.pack("<IIII", 1, 8 + 256 * 8 + len(contents), 256, 0) +
            struct.pack("<256Q", *range(first, first + 256)) + contents)


def big(directory, mebibytes=24):
    """A guest of some size, as "plain"."""
    parts = harness.description("good", "hvm").parts
    at = next(i for i, part in enumerate(parts) if part.name == "PAGE_DATA")
    parts[at].data = b"".join(page_record(first) for first in range(0, mebibytes * 256, 256))
    put(directory, "plain", b"".join(part.data for part in parts))


def without_zstd(text):
    return [line for line in text.splitlines() if not line.startswith(b"  zstd  ")]


def data_of(path):
    """What is in a file but for its holes: a core is as long as its guest's memory."""
    found, at = [], 0
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        while at < size:
            try:
                begun = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:         # a hole up to the end
                break
            at = os.lseek(file.fileno(), begun, os.SEEK_HOLE)
            found.append((begun, os.pread(file.fileno(), at - begun, begun)))
    return size, found


@pytest.mark.parametrize("name", NAMES)
def test_inspect_says_the_same(name, tmp_path):
    compress(tmp_path, good(name))
    plain = json.loads(must("inspect", "--json", "plain", directory=tmp_path))
    packed = json.loads(must("inspect", "--json", "image", directory=tmp_path))
    assert plain.pop("compression") is None
    assert packed.pop("compression") == {"format": "zstd", "frames": 1, "seek_table": True,
                                         "size": (tmp_path / "image").stat().st_size}
    assert packed == plain


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PIECES)
def test_every_verb_makes_the_same_of_it(name, way, tmp_path):
    compress(tmp_path, good(name), way)
    for words in (["inspect"], ["inspect", "--digest", "--pages"], ["inspect", "--records"],
                  ["inspect", "--page", "0x2"], ["verify"], ["verify", "--digest", "--pedantic"],
                  ["extract", "--page", "1"], ["extract", "--config"]):
        plain, packed = (run(*words, file, directory=tmp_path) for file in ("plain", "image"))
        assert packed.returncode == plain.returncode, words
        assert (without_zstd(packed.stdout.replace(b"image:", b"plain:")) ==
                plain.stdout.splitlines()), words
    for words in (["convert", "--no-trailer"], ["extract", "--core"]):
        order = ["from", "to"] if words[0] == "convert" else ["to", "from"]
        made = []
        for file in ("plain", "image"):
            names = {"from": file, "to": "out-" + file}
            result = run(*words, *(names[part] for part in order), directory=tmp_path)
            made.append((result.returncode, result.returncode or data_of(tmp_path / names["to"])))
        assert made[0] == made[1], words


@pytest.mark.parametrize("way", WAYS)
def test_a_pipe_is_read_too(way, tmp_path):
    compress(tmp_path, good("pv64"), way)
    result = shell("cat image | $W verify -d - && cat image | $W convert - out && cat image | "
                   "$W inspect --json -", tmp_path)
    assert (result.returncode, result.stderr) == (OK, b"")
    told = json.loads(result.stdout.partition(b"\n")[2])["compression"]
    assert told["size"] == (tmp_path / "image").stat().st_size
    assert not told["seek_table"]


def test_zstd_makes_the_plain_image_of_it(tmp_path):
    big(tmp_path, 9)
    for level in ("", "=-5", "=3", "=9"):
        must("convert", "--compress" + level, "plain", "image", directory=tmp_path,
             environment=FIXED)
        must("convert", "plain", "whole", directory=tmp_path, environment=FIXED)
        result = shell("zstd -tq image && zstd -dcq image | cmp - whole", tmp_path)
        assert (result.returncode, result.stdout + result.stderr) == (OK, b"")
        assert (tmp_path / "image").stat().st_size < 0.7 * (tmp_path / "whole").stat().st_size
        assert (tmp_path / "image").stat().st_mode & 0o777 == 0o600


def test_a_conversion_tells_both_lengths(tmp_path):
    put(tmp_path, "plain", good("pv64"))
    told = strict_json(must("convert", "-j", "--compress", "plain", "image", directory=tmp_path))
    must("convert", "plain", "whole", directory=tmp_path)
    assert told["size"] == (tmp_path / "whole").stat().st_size
    assert told["compressed_size"] == (tmp_path / "image").stat().st_size


def test_it_goes_to_a_pipe(tmp_path):
    big(tmp_path)
    result = shell("$W convert --compress plain - | zstd -dcq | $W verify -d -", tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (OK, b"-: good\n", b"")


@pytest.mark.parametrize("level", ["0", "20", "-6", "x", "", "1x", "99999999999999999999"])
def test_other_levels_are_refused(level, tmp_path):
    put(tmp_path, "plain", good("pv64"))
    result = run("convert", "--compress=" + level, "plain", "image", directory=tmp_path)
    assert result.returncode == USAGE
    assert b"a level of compression is -5 to 19" in result.stderr
    assert listing(tmp_path) == ["plain"]


def test_a_page_is_found_without_what_stands_before_it(tmp_path):
    """What stands before it is damaged."""
    big(tmp_path)
    must("convert", "--compress", "plain", "image", directory=tmp_path)
    must("convert", "plain", "whole", directory=tmp_path)
    whole = must("extract", "--page", "6000", "whole", directory=tmp_path)
    data = bytearray((tmp_path / "image").read_bytes())
    data[len(data) // 4:len(data) // 2] = bytes(len(data) // 2 - len(data) // 4)
    put(tmp_path, "image", data)
    assert len(whole) == 4096
    assert must("extract", "--page", "6000", "image", directory=tmp_path) == whole
    assert run("verify", "--digest", "image", directory=tmp_path).returncode == BAD


FLAW = re.compile(r"image: offset (0x[0-9a-f]+|0): zstd frame (\d+) at (0x[0-9a-f]+|0): "
                  r"compression: expected (.+), found (.+)\n")


def test_damage_is_told_with_the_frame(tmp_path):
    big(tmp_path)
    must("convert", "--compress", "plain", "image", directory=tmp_path)
    data = bytearray((tmp_path / "image").read_bytes())
    data[len(data) // 2] ^= 1
    put(tmp_path, "image", data)
    result = run("verify", "--digest", "image", directory=tmp_path)
    found = FLAW.fullmatch(result.stdout.decode())
    assert (result.returncode, result.stderr) == (BAD, b"") and found
    assert int(found[1], 0) == int(found[2]) * (2 << 20)
    assert int(found[3], 0) <= len(data) // 2

    result = run("inspect", "--json", "--digest", "image", directory=tmp_path)
    told = json.loads(result.stdout)
    assert result.returncode == BAD
    assert told["findings"] == 1 and "zstd frame" in told["first_finding"] and not told["complete"]
    result = run("convert", "image", "out", directory=tmp_path)
    assert result.returncode == BAD
    assert b"image: zstd frame " in result.stderr
    assert listing(tmp_path) == ["image", "plain"]


def test_every_cut_is_refused(tmp_path):
    """But for the one before the seek table, which leaves a whole zstd file."""
    put(tmp_path, "plain", good("pv64"))
    must("convert", "--compress", "plain", "image", directory=tmp_path)
    data = (tmp_path / "image").read_bytes()
    table = len(data) - 8 - 8 - 9
    for cut in (*range(0, 40), *range(40, len(data), 97), *range(table - 3, len(data))):
        put(tmp_path, "image", data[:cut])
        assert run("verify", "-q", "image", directory=tmp_path).returncode == \
            (OK if cut == table else BAD), cut


def test_what_needs_too_large_a_window_is_refused(tmp_path):
    put(tmp_path, "plain", good("pv64"))
    assert shell("zstd -q --long=31 < plain > image", tmp_path).returncode == OK
    result = run("verify", "image", directory=tmp_path)
    assert result.stdout.endswith(b"compression: expected a window of at most 128 MiB, found a "
                                  b"larger one (zstd --long)\n")
    assert result.returncode == BAD


def test_what_is_compressed_twice_is_said_to_be(tmp_path):
    put(tmp_path, "plain", good("pv64"))
    assert shell("zstd -q < plain | zstd -q > image", tmp_path).returncode == OK
    result = run("verify", "image", directory=tmp_path)
    assert b"found zstd-compressed data" in result.stdout
    assert result.returncode == BAD


def test_a_full_disk_leaves_nothing(tmp_path):
    big(tmp_path)
    result = shell("ulimit -f 2000; trap '' XFSZ; $W convert --compress plain image", tmp_path)
    assert result.returncode == SYSTEM
    assert b"image: File too large" in result.stderr
    assert listing(tmp_path) == ["plain"]


def test_a_signal_leaves_nothing(tmp_path):
    big(tmp_path)
    for delay in (0.02, 0.1, 0.3):
        child = subprocess.Popen([harness.WHERRY, "convert", "--compress=19", "plain", "image"],
                                 cwd=tmp_path, stderr=subprocess.PIPE)
        time.sleep(delay)
        child.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        _, errors = child.communicate(timeout=60)
        assert time.monotonic() - begun < 5
        assert child.returncode in (130, -signal.SIGTERM), errors
        assert listing(tmp_path) == ["plain"]
