# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that does not grow with the stream, and failures that leave nothing behind."""

import json
import os
import signal
import subprocess
import time

import bounds
import harness
import pytest

LARGE_KIB, HOSTILE_KIB = 8 << 10, 16 << 10
MEASURED = pytest.mark.skipif(bounds.is_sanitized(), reason="a sanitizer's memory is its own")

LIBXC = "libxc version=3\ndomain type=hvm\nSTATIC_DATA_END\n"
# Each says that far more follows than does, or than anybody should hold.
HOSTILE = {
    "optional-data-4g": "xl flags=3 optlen=0xffffffff config={}\n",
    "config-4g": "xl flags=3 optlen=0xffffff config_len=0xffffffff config={}\n",
    "config-16m": "xl flags=3 optlen=0x1000000 config_len=0xfffffc config={}\n",
    "libxl-record-4g": "libxl\nLIBXC_CONTEXT\n" + LIBXC + "END\nrecord 3 len=0xffffffff zero:8\n",
    "emulator-64m": "libxl\nLIBXC_CONTEXT\n" + LIBXC + "END\nrecord 3 len=0x4000000 zero:8\n",
    "libxc-record-4g": LIBXC + "record 1 len=0xffffffff zero:8\n",
    "pages-128m": LIBXC + "record 1 len=0x8000000 le32:0xffffff le32:0\n",
    "pages-count-4g": LIBXC + "record 1 len=0x8000000 le32:0xffffffff le32:0\n",
    "hvm-context-128m": LIBXC + "record 9 len=0x8000000 zero:64\n",
    "hvm-context-8m": LIBXC + "record 9 len=0x800000 zero:64\n",
    "hvm-params-4g": LIBXC + "record 0xa len=0xffffffff le32:0xffffffff zero:12\n",
    "optional-128m": LIBXC + "record 0x80000001 len=0x8000000 zero:64\n",
    "policy-4g": "libxc version=3\ndomain type=hvm\nrecord 0x11 len=0xffffffff zero:24\n",
    "frames-128m": "libxc version=3\ndomain type=pv\nX86_PV_INFO width=8 levels=4\n"
                   "STATIC_DATA_END\nrecord 3 len=0x8000000 le32:0 le32:0xffffffff\n",
    "legacy-p2m-2-64": "bytes le64:0x0fffffffffffffff le64:0xffffffffffffffff zero:64\n",
}
# JSON of about n bytes, of the kinds that cost most to hold.
CONFIGS = {
    "one-string": lambda n: '{"a": "' + "x" * n + '"}',
    "escapes": lambda n: '{"a": "' + "\\u0001" * (n // 6) + '"}',
    "fractions": lambda n: '{"a": [' + "1.5," * (n // 4) + "1]}",
    "numbers": lambda n: '{"a": [' + "1," * (n // 2) + "1]}",
    "empty-objects": lambda n: '{"a": [' + "{}," * (n // 3) + "1]}",
    "deep-fractions": lambda n: '{"a": ' + "[" * 28 + "1.5," * (n // 4) + "1" + "]" * 28 + "}",
    "members": lambda n: "{" + ",".join(f'"{k}": 1' for k in range(n // 11)) + "}",
    "nested": lambda n: '{"a":' + "[" * (n // 2) + "]" * (n // 2) + "}",
    "nested-objects": lambda n: '{"a":' * (n // 6) + "1" + "}" * (n // 6),
}
# From beyond what is accepted to what is in any case, but of text nested deeper than 32.
SIZES = [int((1 << 20) * 0.7 ** k) - 100 for k in range(15)]
TOOLS = [("verify",), ("verify", "--digest"), ("verify", "--json"), ("inspect",),
         ("inspect", "--json"), ("inspect", "--pages")]


def named(tools):
    return " ".join(tools)


@MEASURED
@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_a_stream_of_4_gib_through_a_pipe_is_dealt_with_in_8_mib(tmp_path, tool):
    result = bounds.run(*tool, "-", directory=tmp_path, feed=bounds.large(4))
    assert result.status == 0, result.err
    assert result.peak < LARGE_KIB, f"{result.peak} KiB"
    if tool == ("inspect", "--json"):
        pages = json.loads(result.out)["pages"]
        assert pages["distinct"] == pages["data"] == 1 << 20


@MEASURED
@pytest.mark.parametrize("tool", TOOLS, ids=named)
def test_the_longest_record_of_scattered_pfns_is_dealt_with_in_16_mib(tmp_path, tool):
    result = bounds.run(*tool, "-", directory=tmp_path, feed=bounds.scattered())
    assert result.status == 0, result.err
    assert result.peak < HOSTILE_KIB, f"{result.peak} KiB"


@MEASURED
@pytest.mark.parametrize("tool", TOOLS, ids=named)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_length_that_lies_is_refused_in_16_mib(tmp_path, name, tool):
    result = bounds.run(*tool, "-", directory=tmp_path, feed=bounds.bytes_of(HOSTILE[name]))
    assert result.status == 1, result.err
    assert result.peak < HOSTILE_KIB, f"{result.peak} KiB"


@MEASURED
@pytest.mark.parametrize("tool", [("verify",), ("inspect", "--json")], ids=named)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_costly_configuration_is_dealt_with_in_16_mib(tmp_path, name, tool):
    statuses = set()
    for size in SIZES:
        feed = bounds.bytes_of(bounds.with_config(CONFIGS[name](size)))
        result = bounds.run(*tool, "-", directory=tmp_path, feed=feed)
        assert result.status in (0, 1), result.err
        assert result.peak < HOSTILE_KIB, f"{size} bytes: {result.peak} KiB"
        statuses.add(result.status)
    assert tool[0] == "inspect" or ("nested" in name) == (0 not in statuses)


@MEASURED
@pytest.mark.parametrize("tool", TOOLS, ids=named)
@pytest.mark.parametrize("name", ["one-string", "deep-fractions"])
def test_all_that_is_costly_at_once_is_dealt_with_in_16_mib(tmp_path, name, tool):
    for size in SIZES[:10:3]:
        description = bounds.with_config(CONFIGS[name](size), context="1 99:4190000 0")
        result = bounds.run(*tool, "-", directory=tmp_path, feed=bounds.scattered(description))
        assert result.status in (0, 1), result.err
        assert result.peak < HOSTILE_KIB, f"{size} bytes: {result.peak} KiB"


# ------------------------------------------------------------------------------ leftovers

MAKERS = {
    "convert": lambda source: ("convert", source, "out/file"),
    "convert to libxc": lambda source: ("convert", "--to", "libxc", source, "out/file"),
    "extract emulator": lambda source: ("extract", "--emulator", "out/file", source),
    "extract core": lambda source: ("extract", "--core", "out/file", source),
}


def leftovers(directory):
    return sorted(os.listdir(directory / "out"))


@pytest.fixture(name="folder")
def folder_fixture(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path


def cut_short(good, name):
    return (good / name).read_bytes()[:-9]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("name", ["hvm", "hvm-remus", "legacy64-hvm"])
def test_a_broken_image_leaves_no_output(good, folder, maker, name):
    (folder / "broken").write_bytes(cut_short(good, name))
    result = harness.run(*MAKERS[maker]("broken"), directory=folder)
    assert result.returncode == 1, result.stderr
    assert leftovers(folder) == []


@pytest.mark.parametrize("maker", MAKERS)
def test_a_broken_image_leaves_an_existing_output_alone(good, folder, maker):
    (folder / "out" / "file").write_text("old")
    result = harness.run(*MAKERS[maker]("-"), directory=folder, stdin=cut_short(good, "hvm"))
    assert result.returncode == 1, result.stderr
    assert leftovers(folder) == ["file"]
    assert (folder / "out" / "file").read_text() == "old"


# A sanitizer may not write files of its own then, and is killed before the command begins.
@pytest.mark.skipif(bounds.is_sanitized(), reason="a sanitizer writes files itself")
@pytest.mark.parametrize("maker", MAKERS)
def test_an_output_that_may_not_grow_leaves_nothing(good, folder, maker):
    command = [harness.WHERRY, *MAKERS[maker](str(good / "hvm-physmap"))]
    result = subprocess.run(["/bin/sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", *command],
                            cwd=folder, capture_output=True, timeout=60, check=False)
    assert result.returncode == 3, result.stderr
    assert leftovers(folder) == []


def wait_for(what):
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP],
                         ids=lambda number: number.name)
@pytest.mark.parametrize("maker", MAKERS)
def test_a_signal_in_the_midst_of_a_slow_input_leaves_nothing(good, folder, maker, number):
    command = [harness.WHERRY, *MAKERS[maker]("-")]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdin.write(cut_short(good, "hvm"))
        process.stdin.flush()
        wait_for(lambda: leftovers(folder))
        assert leftovers(folder) != ["file"]
        sent = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=20) == 130
        assert time.monotonic() - sent < 1
        assert b"cancelled" in process.stderr.read()
        process.stdin.close()
    assert leftovers(folder) == []
