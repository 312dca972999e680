# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exit codes, what goes to which output, and JSON that stays JSON."""

import os
import subprocess

import harness
import pytest
from commands import (BAD, OK, SYSTEM, USAGE, build, flawed, good, listing, must, put, run, shell,
                      strict_json)

VERBS = {
    "inspect": ["inspect", "{}"],
    "records": ["inspect", "--records", "--json", "{}"],
    "page": ["inspect", "--page", "1", "{}"],
    "verify": ["verify", "{}"],
    "convert": ["convert", "{}", "out"],
    "config": ["extract", "--config", "{}"],
    "emulator": ["extract", "--emulator", "out", "{}"],
    "one page": ["extract", "--page", "1", "{}"],
    "core": ["extract", "--core", "out", "{}"],
}
each_verb = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture
def images(tmp_path):
    """good, bad (cut), flawed (padding that is not zero) and a directory."""
    data = good("hvm")
    put(tmp_path, "good", data)
    put(tmp_path, "bad", data[:500])
    put(tmp_path, "flawed", flawed())
    (tmp_path / "folder").mkdir()
    return tmp_path


def of(verb, name):
    return [word.replace("{}", name) for word in VERBS[verb]]


@each_verb
def test_a_good_image_is_success(images, verb):
    must(*of(verb, "good"), directory=images)


@each_verb
def test_a_good_image_from_a_pipe_is_success(images, verb):
    must(*of(verb, "-"), directory=images, stdin=good("hvm"))


@each_verb
@pytest.mark.parametrize("name", ["bad", "flawed"])
def test_a_bad_image_is_1_and_leaves_no_output(images, verb, name):
    before = listing(images)
    result = run(*of(verb, name), directory=images)
    if verb == "config":        # it stands before what is bad
        assert result.returncode == OK
        return
    assert result.returncode == BAD
    assert verb == "verify" or result.stderr.startswith(b"wherry: ")
    assert listing(images) == before


@each_verb
def test_an_empty_input_is_1(images, verb):
    assert run(*of(verb, "-"), directory=images).returncode == BAD


@each_verb
def test_a_file_that_is_not_there_is_3_with_its_name(images, verb):
    result = run(*of(verb, "nobody"), directory=images)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")
    assert b"nobody" in result.stderr and b"No such file" in result.stderr
    assert "out" not in listing(images)


@each_verb
def test_a_file_that_may_not_be_read_is_3(images, verb):
    if os.geteuid() == 0:       # nothing is forbidden to root: a file of the kernel's is
        name = "/proc/self/mem"
    else:
        (images / "bad").chmod(0)
        name = "bad"
    result = run(*of(verb, name), directory=images)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")
    assert result.stderr.startswith(b"wherry: ")


@each_verb
def test_a_directory_is_3(images, verb):
    result = run(*of(verb, "folder"), directory=images)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")
    assert b"Is a directory" in result.stderr


@each_verb
def test_a_directory_as_standard_input_is_3(images, verb):
    folder = os.open(images, os.O_RDONLY)
    result = subprocess.run([harness.WHERRY, *of(verb, "-")], stdin=folder, cwd=images,
                            capture_output=True, timeout=60, check=False)
    os.close(folder)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")


@each_verb
def test_a_closed_standard_input_is_3_and_no_hang(images, verb):
    words = " ".join(f"'{word}'" for word in of(verb, "-"))
    result = shell(f"timeout 20 \"$W\" {words} <&-", images)
    assert (result.returncode, result.stdout) == (SYSTEM, b"")
    assert result.stderr.startswith(b"wherry: ")
    assert "out" not in listing(images)


TO_STDOUT = {**{verb: of(verb, "good") for verb in ("inspect", "records", "page", "verify",
                                                    "config", "one page")},
             "convert": ["convert", "good", "-"],
             "emulator": ["extract", "--emulator", "-", "good"],
             "help": ["--help"], "version": ["--version"]}


@pytest.mark.parametrize("what", TO_STDOUT)
def test_a_full_disk_is_3_with_a_message(images, what):
    with open("/dev/full", "wb") as full:
        result = run(*TO_STDOUT[what], directory=images, stdout=full)
    assert result.returncode == SYSTEM
    assert result.stderr.startswith(b"wherry: ")


@pytest.mark.parametrize("what", TO_STDOUT)
def test_a_closed_standard_output_is_3_with_a_message(images, what):
    words = " ".join(f"'{word}'" for word in TO_STDOUT[what])
    result = shell(f"timeout 20 \"$W\" {words} >&-", images)
    assert result.returncode == SYSTEM
    assert result.stderr.startswith(b"wherry: ")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_do_no_harm_to_an_output_file(images, closed):
    assert shell(f"timeout 20 \"$W\" convert good out {closed}", images).returncode == OK
    assert run("verify", "--digest", "--quiet", "out", directory=images).returncode == OK
    assert shell(f"timeout 20 \"$W\" convert bad out2 {closed}", images).returncode == BAD


@pytest.mark.parametrize("what", ["records", "convert", "one page"])
def test_a_reader_that_leaves_is_3_and_not_a_signal(images, what):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        result = run(*TO_STDOUT[what], directory=images, stdout=pipe)
    assert result.returncode == SYSTEM
    assert result.stderr.startswith(b"wherry: ")


@pytest.mark.parametrize("arguments", [
    [], ["inspekt", "good"], ["--nothing"], [""],
    ["inspect"], ["verify"], ["convert"], ["extract"], ["convert", "good"],
    ["inspect", "good", "good"], ["convert", "good", "a", "b"], ["extract", "--config", "a", "b"],
    ["extract", "good"], ["extract", "--config", "--page", "1", "good"],
    ["extract", "--config", "--config", "good"],
    ["extract", "--core", "a", "--emulator", "b", "good"],
    ["inspect", "--page", "good"], ["inspect", "--page", "", "good"],
    ["inspect", "--page", "-1", "good"], ["inspect", "--page", "1x", "good"],
    ["inspect", "--page", "0x10000000000000000", "good"], ["extract", "--page", "ten", "good"],
    ["convert", "--to", "elf", "good", "out"], ["convert", "--to", "", "good", "out"],
    ["convert", "--guest", "pvh", "good", "out"], ["convert", "--width", "16", "good", "out"],
    ["convert", "--width", "64bit", "good", "out"], ["convert", "--to"], ["extract", "--core"],
])
def test_wrong_usage_is_2_with_a_hint_and_no_output(images, arguments):
    before = listing(images)
    result = run(*arguments, directory=images)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert b"Usage:" in result.stderr or b"--help" in result.stderr
    assert listing(images) == before


@pytest.mark.parametrize("verb", ["inspect", "verify", "convert", "extract"])
@pytest.mark.parametrize("option", ["--nothing", "-Z"])
def test_an_unknown_option_is_2(images, verb, option):
    result = run(verb, option, "good", directory=images)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert option.strip("-").encode() in result.stderr


def test_the_unknown_verb_is_named(images):
    assert b"'inspekt'" in run("inspekt", directory=images).stderr


def test_what_is_not_in_an_image_is_2(images):
    put(images, "pv", good("pv64-libxl"))
    for asked in (["--config"], ["--emulator", "out"], ["--page", "0x999"]):
        result = run("extract", *asked, "pv", directory=images)
        assert (result.returncode, result.stdout) == (USAGE, b"")
        assert b"pv: " in result.stderr
    assert "out" not in listing(images)


def test_a_dash_dash_ends_the_options(images):
    put(images, "--json", good("hvm"))
    assert must("verify", "--", "--json", directory=images) == b"--json: good\n"


def test_help_and_version_go_to_standard_output(images):
    assert must("--help", directory=images).startswith(b"Usage: wherry ")
    assert must("--version", directory=images).startswith(b"wherry ")
    assert must("verify", "--help", directory=images).startswith(b"Usage: wherry verify ")


# ----------------------------------------------------------------------------- several files

def test_verify_tells_of_each_file_and_exits_with_the_worst(images):
    result = run("verify", "bad", "good", "nobody", "good", directory=images)
    assert result.returncode == SYSTEM
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("bad: offset 0x")
    assert lines[1:] == ["good: good", "good: good"]
    assert result.stderr.count(b"\n") == 1 and b"nobody" in result.stderr


@pytest.mark.parametrize("names, code", [
    (["good", "good"], OK), (["good", "bad", "good"], BAD), (["flawed"], BAD),
    (["nobody", "bad"], SYSTEM), (["bad", "nobody"], SYSTEM), (["folder", "good"], SYSTEM)])
def test_the_worst_status_counts_also_when_quiet(images, names, code):
    for options in ([], ["--quiet"], ["--json"], ["--quiet", "--json"]):
        assert run("verify", *options, *names, directory=images).returncode == code


@pytest.mark.parametrize("more", [[], ["--json"], ["--digest", "--pedantic"]])
def test_quiet_prints_nothing_of_good_and_bad_images(images, more):
    result = run("verify", "--quiet", *more, "good", "bad", "flawed", directory=images)
    assert (result.returncode, result.stdout, result.stderr) == (BAD, b"", b"")


def test_pedantic_reports_and_does_not_fail(images):
    lines = must("verify", "--pedantic", "good", directory=images).decode().splitlines()
    assert [": letter: " in line for line in lines] == [True, False]
    assert lines[1] == "good: good"
    found = strict_json(must("verify", "--pedantic", "--json", "good", directory=images))
    assert (found["good"], found["findings_total"]) == (True, 1)
    assert found["findings"][0]["pedantic"] is True


def test_verify_says_where_and_what_is_wrong(images):
    result = run("verify", "--json", "flawed", directory=images)
    found = strict_json(result.stdout)
    text = run("verify", "flawed", directory=images).stdout.decode()
    assert len(found["findings"]) == found["findings_total"] == 1
    f = found["findings"][0]
    assert text == (f"flawed: offset {f['offset']:#x}: {f['layer']} {f['record']}: {f['rule']}: "
                    f"expected {f['expected']}, found {f['found']}\n")
    assert (f["layer"], f["record"], f["rule"]) == ("libxc", "X86_TSC_INFO", "reserved")


# -------------------------------------------------------------------------------------- JSON

NAMES = [b"two words", b"a\nnewline", b"a\ttab", b'quo"te', b"back\\slash", b"\x1b[31mred",
         b"not\xffutf8", b"half\xe2\x82", b"latin\xe9\n\"", "f\u00e4hre".encode(), b"\xed\xa0\x80",
         b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\x7f"]


def as_json(name):
    """A name as JSON can hold it: every byte that is not UTF-8 becomes one U+FFFD."""
    text = name.decode(errors="surrogateescape")
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text)


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize("kind", ["good", "bad"])
def test_no_file_name_breaks_the_json(images, name, kind):
    os.rename(os.fsencode(images / kind), os.fsencode(images) + b"/" + name)
    result = run("verify", "--json", name, directory=images)
    assert result.returncode == (OK if kind == "good" else BAD)
    assert result.stdout.count(b"\n") == 1
    assert strict_json(result.stdout)["file"] == as_json(name)
    result = run("inspect", "--json", name, directory=images)
    assert strict_json(result.stdout)["complete"] is (kind == "good")


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_outputs_can_have_any_name(images, name):
    must("convert", "good", name, directory=images)
    assert os.path.exists(os.fsencode(images) + b"/" + name)
    must("extract", "--page", "1", "-o", name, "good", directory=images)
    assert os.path.getsize(os.fsencode(images) + b"/" + name) == 4096


@pytest.mark.parametrize("arguments", [["inspect", "--json"], ["inspect", "--json", "--pages"],
                                       ["inspect", "--json", "--records"],
                                       ["inspect", "--json", "--digest"], ["verify", "--json"],
                                       ["inspect", "--json", "--page", "0"]], ids=" ".join)
def test_json_is_json_whatever_the_input(tmp_path, arguments):
    for data in broken_inputs():
        put(tmp_path, "image", data)
        for result in (run(*arguments, "image", directory=tmp_path),
                       run(*arguments, "-", directory=tmp_path, stdin=data)):
            assert result.returncode in (OK, BAD)
            text = result.stdout
            for value in text.splitlines() if one_a_line(arguments) else [text]:
                is_none = value == b"" and "--page" in arguments
                assert is_none or isinstance(strict_json(value), dict)


def one_a_line(arguments):
    return "--records" in arguments or "verify" in arguments


def broken_inputs():
    yield from (b"", b"\n", b"{}", b"\xff" * 100, bytes(5000), bytes(range(256)) * 20)
    for name in ("hvm", "pv64", "hvm-remus", "xl-legacy64-hvm", "xl-cfg-text"):
        data = good(name)
        yield data
        for at in (1, 31, 47, 50, 60, len(data) // 2, len(data) - 1):
            yield data[:at]
            yield data[:at] + b"\xff\x1b\xc3" + data[at + 3:]


CONFIGS = [b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1.}', b'{"a": "\xff"}', b"{'a': 1}",
           b'{"a":', b'{"a": "\x1b"}', b'{"a": "\\ud800"}', b'{"\\u0000": "\\u0000"}',
           b'[1, 2]', b'7', b'null', b'{"a": 99999999999999999999}', b'{"a": 1e999}',
           b'\xef\xbb\xbf{}', b"\0\0", b"{}\0{}"]


@pytest.mark.parametrize("config", CONFIGS, ids=repr)
@pytest.mark.parametrize("flags", [2, 3])
def test_no_configuration_breaks_the_json(tmp_path, config, flags):
    put(tmp_path, "image", build(f"xl flags={flags} blob=hex:{config.hex()}00\ninclude pv64-libxl"))
    checked = run("verify", "--json", "image", directory=tmp_path)
    told = run("inspect", "--json", "image", directory=tmp_path)
    strict_json(checked.stdout)
    assert isinstance(strict_json(told.stdout)["xl"]["config"], (dict, str, list, int, type(None)))
    assert told.returncode == checked.returncode
    listed = run("inspect", "--records", "--json", "image", directory=tmp_path)
    assert strict_json(listed.stdout.splitlines()[-1]) == strict_json(told.stdout)


def test_records_as_json_end_with_the_summary(images):
    lines = [strict_json(line) for line in
             must("inspect", "--records", "--json", "good", directory=images).splitlines()]
    assert lines[-1] == strict_json(must("inspect", "--json", "good", directory=images))
    assert all(set(line) == {"offset", "layer", "type", "length", "fields"} for line in lines[:-1])


def test_errors_stay_out_of_the_json(images):
    result = run("inspect", "--json", "bad", directory=images)
    assert strict_json(result.stdout)["complete"] is False
    assert result.stderr.startswith(b"wherry: ")
    assert run("inspect", "--json", "nobody", directory=images).stdout == b""
