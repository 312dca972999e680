# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers off and on, legacy to version 2, the trailer, outputs that are whole or not there."""

import json
import os
import signal
import stat
import subprocess
import time

import harness
import pytest
import stream
from commands import BAD, OK, SYSTEM, USAGE, build, flawed, good, listing, must, put, run, shell

NAMES = harness.cases("good")
LEGACY = [name for name in NAMES if "legacy" in name]


def parts(name, *kinds):
    return [part for part in harness.description("good", name).parts if part.name in kinds]


def of_container(first):
    return [name for name in NAMES
            if harness.description("good", name).parts[0].name == first and name not in LEGACY]


XL, LIBXL, LIBXC = map(of_container, ("xl", "libxl", "libxc"))
XL_WITH_CONFIG = [name for name in XL if parts(name, "xl")[0].says["config"] and
                  parts(name, "xl")[0].says["mandatory_flags"] & 1]


def inner(name):
    """A good case without its xl header."""
    whole = harness.description("good", name)
    return b"".join(part.data for part in whole.parts if part.name != "xl")


def libxc_of(name):
    return b"".join(part.data for part in harness.description("good", name).parts
                    if part.layer == "libxc" or part.name in ("libxc", "domain"))


def canonical_xl(name):
    """The case with the header that xl writes: no optional flags, nothing behind the config."""
    config = parts(name, "xl")[0].says["config"]
    return build(f"xl flags=3 config={config.rstrip(bytes(1)).decode()}") + inner(name)


def convert(directory, data, *options, stdin=None):
    """The bytes that a conversion of these bytes gives."""
    put(directory, "in", data)
    must("convert", *options, "in", "out", directory=directory)
    return (directory / "out").read_bytes()


def without_trailer(directory, data):
    return convert(directory, data, "--no-trailer")


def digest_is(directory, name):
    result = run("verify", "--digest", "--json", name, directory=directory)
    return json.loads(result.stdout)["digest"]


def test_there_are_cases_of_each_kind():
    assert len(XL_WITH_CONFIG) > 20 and len(LIBXL) > 1 and len(LIBXC) > 3 and len(LEGACY) > 12


# ----------------------------------------------------------------------- containers off and on

@pytest.mark.parametrize("name", XL_WITH_CONFIG)
def test_xl_to_libxl_and_back_with_its_config_is_the_same(tmp_path, name):
    put(tmp_path, "image", good(name))
    must("extract", "--config", "-o", "config", "image", directory=tmp_path)
    must("convert", "--to", "libxl", "image", "bare", directory=tmp_path)
    assert (tmp_path / "bare").read_bytes() == inner(name)
    must("convert", "--to", "xl", "--no-trailer", "--config", "config", "bare", "back",
         directory=tmp_path)
    assert (tmp_path / "back").read_bytes() == canonical_xl(name)


def test_the_same_is_the_original_where_xl_wrote_it(tmp_path):
    """As the test above, spelled out: canonical_xl() must not hide a difference."""
    for name in ("pv64", "hvm", "hvm-remus", "pvh", "xl-utf8-config"):
        assert canonical_xl(name) == good(name)


@pytest.mark.parametrize("name", XL)
def test_xl_to_xl_without_a_trailer_keeps_every_byte(tmp_path, name):
    out = convert(tmp_path, good(name), "--no-trailer")
    assert out == good(name)
    assert must("verify", "out", directory=tmp_path) == b"out: good\n"


@pytest.mark.parametrize("name", LIBXC)
def test_libxc_to_libxl_and_back_is_the_same(tmp_path, name):
    wrapped = convert(tmp_path, good(name), "--to", "libxl")
    assert wrapped.startswith(b"LibxlFmt")
    assert must("verify", "out", directory=tmp_path) == b"out: good\n"
    assert convert(tmp_path, wrapped, "--to", "libxc") == good(name)


@pytest.mark.parametrize("name", LIBXC)
def test_libxc_to_xl_and_back_is_the_same(tmp_path, name):
    put(tmp_path, "config", b'{"c_info": {"name": "x"}}')
    wrapped = convert(tmp_path, good(name), "--to", "xl", "--config", "config")
    assert must("verify", "--digest", "out", directory=tmp_path) == b"out: good\n"
    assert convert(tmp_path, wrapped, "--to", "libxc") == good(name)


@pytest.mark.parametrize("name", XL + LIBXL)
def test_to_libxc_leaves_the_libxc_image_alone(tmp_path, name):
    put(tmp_path, "in", good(name))
    result = run("convert", "--to", "libxc", "in", "out", directory=tmp_path)
    assert result.returncode == OK
    assert (tmp_path / "out").read_bytes() == libxc_of(name)
    had_emulator = bool(parts(name, "EMULATOR_CONTEXT"))
    assert (b"emulator's state: it was left out" in result.stderr) == had_emulator


@pytest.mark.parametrize("name", LIBXL + LIBXC)
def test_the_default_container_is_the_inputs(tmp_path, name):
    assert convert(tmp_path, good(name)) == good(name)


@pytest.mark.parametrize("name", ["pv64", "hvm-live", "hvm-remus", "pvh-libxc-checkpoints",
                                  "pv64-libxc"])
def test_a_config_replaces_the_one_in_the_image(tmp_path, name):
    text = b'{"c_info": {"name": "other"}}\n'
    put(tmp_path, "config", text)
    out = convert(tmp_path, good(name), "--to", "xl", "--config", "config")
    assert out.count(b'"other"') == 1
    assert must("extract", "--config", "out", directory=tmp_path) == text


# -------------------------------------------------------------------------------- the trailer

@pytest.mark.parametrize("name", XL)
def test_a_trailer_follows_the_stock_file_and_verifies(tmp_path, name):
    plain = without_trailer(tmp_path, good(name))
    trailed = convert(tmp_path, good(name))
    assert trailed.startswith(plain + b"WherryTr")
    assert digest_is(tmp_path, "out") == "good"
    assert must("verify", "--digest", "out", directory=tmp_path) == b"out: good\n"
    told = json.loads(must("inspect", "--json", "--digest", "out", directory=tmp_path))["trailer"]
    assert told["offset"] == told["stream_length"] == len(plain)
    assert told["digest"] == "good"


def test_a_trailer_is_made_anew_not_added_to(tmp_path):
    once = convert(tmp_path, good("pv64"), "--to", "xl")
    twice = convert(tmp_path, once)
    assert twice.count(b"WherryTr") == once.count(b"WherryTr") == 1
    assert without_trailer(tmp_path, twice) == good("pv64")


@pytest.mark.parametrize("name", ["pv64", "hvm-remus"])
def test_the_digest_finds_an_altered_byte_anywhere(tmp_path, name):
    """Every byte outside pages, a few of each page: for each the file is bad."""
    whole = convert(tmp_path, good(name))
    plain = len(without_trailer(tmp_path, good(name)))
    places = {*range(0, 2000, 37), *range(2000, plain, 997), plain - 1,
              *range(plain, len(whole), 3), len(whole) - 1}
    images = []
    for at in sorted(places):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        images.append(put(tmp_path, f"at-{at}", damaged).name)
    result = run("verify", "--digest", "--json", *images, directory=tmp_path)
    verdicts = {found["file"]: found["good"]
                for found in map(json.loads, result.stdout.splitlines())}
    assert result.returncode == BAD
    assert verdicts == {image: False for image in images}


def test_without_the_digest_a_byte_in_a_page_is_not_looked_at(tmp_path):
    whole = bytearray(convert(tmp_path, good("pv64")))
    whole[whole.index(b"A" * 4096) + 100] ^= 1
    put(tmp_path, "damaged", whole)
    assert run("verify", "damaged", directory=tmp_path).returncode == OK
    assert run("verify", "--digest", "damaged", directory=tmp_path).returncode == BAD
    assert run("inspect", "--digest", "damaged", directory=tmp_path).returncode == BAD


def test_every_truncation_is_found_but_that_before_the_trailer(tmp_path):
    whole = convert(tmp_path, good("pv64"))
    plain = len(good("pv64"))
    cuts = [*range(1, plain, 701), plain - 1, *range(plain + 1, len(whole))]
    for name in (names := [put(tmp_path, f"cut-{at}", whole[:at]).name for at in cuts]):
        assert (tmp_path / name).stat().st_size
    result = run("verify", "--json", *names, directory=tmp_path)
    assert [json.loads(line)["good"] for line in result.stdout.splitlines()] == [False] * len(cuts)
    put(tmp_path, "stock", whole[:plain])
    assert must("verify", "--digest", "stock", directory=tmp_path) == b"stock: good\n"
    assert digest_is(tmp_path, "stock") == "none"


def test_source_date_epoch_makes_the_output_reproducible(tmp_path):
    put(tmp_path, "in", good("hvm"))
    fixed = {"SOURCE_DATE_EPOCH": "1234567890"}
    must("convert", "in", "a", directory=tmp_path, environment=fixed)
    time.sleep(1.1)
    must("convert", "in", "b", directory=tmp_path, environment=fixed)
    must("convert", "in", "c", directory=tmp_path)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()
    trailer = json.loads(must("inspect", "--json", "a", directory=tmp_path))["trailer"]
    assert trailer["time"] == 1234567890
    trailer = json.loads(must("inspect", "--json", "c", directory=tmp_path))["trailer"]
    assert abs(trailer["time"] - time.time()) < 120


# -------------------------------------------------------------------------------------- legacy

@pytest.mark.parametrize("name", LEGACY)
def test_a_legacy_image_becomes_a_good_one_of_version_2(tmp_path, name):
    out = convert(tmp_path, good(name))
    in_xl = harness.description("good", name).parts[0].name == "xl"
    assert out.startswith(stream.XL_MAGIC if in_xl else b"LibxlFmt")
    for options in ([], ["--to", "xl"], ["--to", "libxl"]):
        convert(tmp_path, good(name), *options)
        assert must("verify", "--digest", "out", directory=tmp_path) == b"out: good\n"
    told = json.loads(must("inspect", "--json", "out", directory=tmp_path))
    assert told["libxl"]["legacy"] is True
    assert told["libxc"]["xen"].startswith("0.")
    before = json.loads(must("inspect", "--json", "in", directory=tmp_path))
    assert told["pages"] == before["pages"]


@pytest.mark.parametrize("name", [name for name in LEGACY if name.startswith("xl-")])
def test_an_xl_file_of_a_legacy_stream_keeps_its_configuration(tmp_path, name):
    out = convert(tmp_path, good(name))
    told = json.loads(must("inspect", "--json", "out", directory=tmp_path))
    says = parts(name, "xl")[0].says
    assert told["container"] == "xl" and told["trailer"]
    assert told["xl"]["mandatory_flags"] == says["mandatory_flags"] | 2
    text = must("extract", "--config", "out", directory=tmp_path)
    assert text == says["config"].rstrip(b"\0")
    bare = put(tmp_path, "bare", inner(name))
    must("convert", "--to", "libxl", bare.name, "theirs", directory=tmp_path)
    assert (tmp_path / "theirs").read_bytes() in out


@pytest.mark.parametrize("name", LEGACY)
def test_width_and_guest_can_be_said_and_are_found_out(tmp_path, name):
    says = parts(name, "legacy")[0].says
    found = convert(tmp_path, good(name), "--to", "libxl")
    assert convert(tmp_path, good(name), "--to", "libxl", "--width", str(says["width"]),
                   "--guest", says["guest"]) == found


@pytest.mark.parametrize("name", LEGACY)
def test_the_index_of_a_converted_legacy_image_finds_its_pages(tmp_path, name):
    put(tmp_path, "in", good(name))
    must("convert", "--to", "xl", "in", "out", directory=tmp_path)
    must("convert", "--to", "xl", "--no-trailer", "in", "plain", directory=tmp_path)
    for pfn in list(dict(page for batch in parts(name, "batch") for page in batch.pages))[:8]:
        with_index, by_scan = (json.loads(must("inspect", "--json", "--page", str(pfn), image,
                                               directory=tmp_path)) for image in ("out", "plain"))
        assert with_index["indexed"] and not by_scan["indexed"]
        assert (with_index["type"], with_index["offset"]) == (by_scan["type"], by_scan["offset"])


# ------------------------------------------------------------------------- inputs and outputs

@pytest.mark.parametrize("name", NAMES)
def test_from_and_to_a_pipe_is_as_from_and_to_a_file(tmp_path, name):
    fixed = {"SOURCE_DATE_EPOCH": "1"}
    put(tmp_path, "in", good(name))
    must("convert", "in", "out", directory=tmp_path, environment=fixed)
    expected = (tmp_path / "out").read_bytes()
    assert must("convert", "-", "-", directory=tmp_path, stdin=good(name),
                environment=fixed) == expected
    assert must("convert", "in", "-", directory=tmp_path, environment=fixed) == expected
    must("convert", "-", "out2", directory=tmp_path, stdin=good(name), environment=fixed)
    assert (tmp_path / "out2").read_bytes() == expected


def test_a_pipe_that_trickles_is_as_one_that_does_not(tmp_path):
    put(tmp_path, "in", good("hvm"))
    result = shell("dd if=in bs=1009 status=none | SOURCE_DATE_EPOCH=1 $W convert - a && "
                   "SOURCE_DATE_EPOCH=1 $W convert in b && cmp a b", tmp_path)
    assert (result.returncode, result.stderr) == (OK, b"")


@pytest.mark.parametrize("name", ["pv64", "hvm-remus", "xl-legacy64-hvm", "legacy64-pv64"])
def test_in_and_out_can_be_the_same_file(tmp_path, name):
    fixed = {"SOURCE_DATE_EPOCH": "1"}
    put(tmp_path, "same", good(name))
    must("convert", "same", "other", directory=tmp_path, environment=fixed)
    must("convert", "same", "same", directory=tmp_path, environment=fixed)
    assert (tmp_path / "same").read_bytes() == (tmp_path / "other").read_bytes()
    assert listing(tmp_path) == ["other", "same"]


def test_a_link_is_followed_to_what_is_to_be_written(tmp_path):
    put(tmp_path, "in", good("pv64-libxl"))
    put(tmp_path, "real", b"old")
    os.symlink("real", tmp_path / "link")
    must("convert", "in", "link", directory=tmp_path)
    assert os.readlink(tmp_path / "link") == "real"
    assert (tmp_path / "real").read_bytes() == good("pv64-libxl")


def test_an_output_that_is_no_file_is_refused_not_replaced(tmp_path):
    put(tmp_path, "in", good("pv64-libxl"))
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", "/dev/null"):
        assert run("convert", "in", name, directory=tmp_path).returncode == USAGE
        assert not os.path.isfile(tmp_path / name)
    assert listing(tmp_path) == ["fifo", "in"]


def test_an_output_has_mode_0600_whatever_the_umask_and_the_file_before_it(tmp_path):
    put(tmp_path, "in", good("pv64"))
    put(tmp_path, "old", b"").chmod(0o644)
    assert shell("umask 0; $W convert in new && $W convert in old", tmp_path).returncode == OK
    for name in ("new", "old"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["cut", "flawed", "empty", "late"])
def test_a_bad_input_leaves_the_output_as_it_was(tmp_path, damage):
    data = good("pv64")
    data = {"cut": data[:-4], "empty": b"", "flawed": flawed(),
            "late": data[:-8] + b"\x07" + data[-7:]}[damage]
    put(tmp_path, "in", data)
    put(tmp_path, "out", b"what was there before")
    for arguments in (["in", "out"], ["in", "new"], ["in", "in"]):
        result = run("convert", *arguments, directory=tmp_path)
        assert (result.returncode, result.stdout) == (BAD, b"")
        assert result.stderr.startswith(b"wherry: in: offset 0x") or damage == "empty"
    assert (tmp_path / "out").read_bytes() == b"what was there before"
    assert (tmp_path / "in").read_bytes() == data
    assert listing(tmp_path) == ["in", "out"]


def test_a_trailer_that_lies_is_no_input(tmp_path):
    """Not to be given a new, good one without being looked at."""
    whole = bytearray(convert(tmp_path, good("pv64")))
    whole[-1] ^= 1
    put(tmp_path, "in", whole)
    assert run("convert", "in", "out2", directory=tmp_path).returncode == BAD


@pytest.mark.parametrize("out", ["nowhere/out", "folder", "in/out"])
def test_an_output_that_cannot_be_made_is_3(tmp_path, out):
    put(tmp_path, "in", good("pv64"))
    (tmp_path / "folder").mkdir()
    result = run("convert", "in", out, directory=tmp_path)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")
    assert out.encode() in result.stderr
    assert listing(tmp_path) == ["folder", "in"]


def test_a_signal_leaves_no_file(tmp_path):
    put(tmp_path, "in", good("pv64"))
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        assert interrupted(tmp_path, name) == 130
        assert listing(tmp_path) == ["in"]


def interrupted(directory, name):
    with subprocess.Popen([harness.WHERRY, "convert", "-", "out"], cwd=directory,
                          stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(good("pv64")[:3000])
        process.stdin.flush()
        wait_for(lambda: len(listing(directory)) == 2)
        process.send_signal(signal.Signals[name])
        assert b"cancelled" in process.stderr.read()
        return process.wait(timeout=20)


def wait_for(condition):
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


# ---------------------------------------------------------------------------------- --config

@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b'"text"', b"null", b"{}}", b"{'a': 1}",
                                  b'{"a": "\xff"}', b'{"a": 1}\0{', b'name = "x"\n',
                                  b'{"a": "\n"}', b'{"\x1b[31m": 1}', b'{"a": NaN}', b'{"a": 1.}',
                                  b'{"a": Infinity}',
                                  b"[" * 10000, b'{"a": ' * 40 + b"1" + b"}" * 40,
                                  b'{"a": "' + b"x" * (1 << 20) + b'"}'],
                         ids=lambda text: repr(text[:12]))
def test_a_config_that_is_not_json_is_2_and_nothing_is_written(tmp_path, text):
    put(tmp_path, "in", good("pv64-libxl"))
    put(tmp_path, "config", text)
    result = run("convert", "--to", "xl", "--config", "config", "in", "out", directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert result.stderr.startswith(b"wherry: config: ")
    assert listing(tmp_path) == ["config", "in"]


@pytest.mark.parametrize("to", ["libxl", "libxc"])
def test_a_config_for_a_container_that_has_none_is_2(tmp_path, to):
    put(tmp_path, "in", good("pv64"))
    put(tmp_path, "config", b"{}")
    result = run("convert", "--to", to, "--config", "config", "in", "out", directory=tmp_path)
    assert result.returncode == USAGE
    assert listing(tmp_path) == ["config", "in"]


def test_a_config_that_is_not_there_is_3(tmp_path):
    put(tmp_path, "in", good("pv64-libxl"))
    result = run("convert", "--to", "xl", "--config", "none", "in", "out", directory=tmp_path)
    assert result.returncode == SYSTEM
    assert b"none" in result.stderr
    assert listing(tmp_path) == ["in"]


# ------------------------------------------------------------------------------------ --json

@pytest.mark.parametrize("name, to, trailer, lost", [
    ("hvm", "xl", True, False), ("hvm", "libxl", False, False), ("hvm", "libxc", False, True),
    ("pv64", "libxc", False, False), ("legacy64-hvm", "libxc", False, True)])
def test_json_says_what_was_written(tmp_path, name, to, trailer, lost):
    put(tmp_path, "in", good(name))
    told = json.loads(must("convert", "--json", "--to", to, "in", "out", directory=tmp_path))
    assert told == {"in": "in", "out": "out", "container": to, "trailer": trailer,
                    "size": os.path.getsize(tmp_path / "out"), "compressed_size": None,
                    "emulator_left_out": lost}


def test_json_does_not_get_into_an_output_on_standard_output(tmp_path):
    put(tmp_path, "in", good("pv64-libxl"))
    result = run("convert", "--json", "in", "-", directory=tmp_path)
    assert result.stdout == good("pv64-libxl")
    assert json.loads(result.stderr)["size"] == len(result.stdout)


def test_json_says_nothing_after_a_failure(tmp_path):
    put(tmp_path, "in", good("pv64")[:-1])
    assert run("convert", "--json", "in", "out", directory=tmp_path).stdout == b""
