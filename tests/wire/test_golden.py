# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each description against the command: its exact print when good, its exact error when bad.

Run as `python3 -m pytest tests/wire`; WHERRY names the binary. After a change of the output,
update_golden.py rewrites the golden files for review.
"""

import json

import harness
import oracle
import pytest

GOOD, BAD = harness.cases("good"), harness.cases("bad")


def read_golden(kind, name, suffix):
    path = harness.golden(kind, name, suffix)
    if not path.exists():
        pytest.fail(f"{kind}/{path.name} is missing: run tests/wire/update_golden.py and review it")
    return path.read_text(encoding="utf-8")


def as_pipe(directory, name, *arguments):
    """The same command on the same bytes, through a pipe."""
    return harness.run(*arguments, "-", directory=directory, stdin=(directory / name).read_bytes())


def without_name(found):
    """The JSON may say which file it is about, which is '-' for a pipe."""
    return {key: value for key, value in found.items() if key not in ("file", "name")}


@pytest.mark.parametrize("name", GOOD)
def test_inspect_prints_exactly_the_golden_text(good, name):
    result = harness.run("inspect", name, directory=good)
    assert not harness.complaint(result)
    assert result.returncode == 0
    assert result.stdout.decode() == read_golden("good", name, ".txt")


@pytest.mark.parametrize("name", GOOD)
def test_inspect_of_a_pipe_prints_the_same_text(good, name):
    result = as_pipe(good, name, "inspect")
    golden = read_golden("good", name, ".txt").encode()
    assert not harness.complaint(result)
    assert result.stdout.decode() == harness.named_as_pipe(golden, name)


@pytest.mark.parametrize("name", GOOD)
def test_inspect_json_is_the_golden_json(good, name):
    result = harness.run("inspect", "--json", name, directory=good)
    assert not harness.complaint(result)
    assert json.loads(result.stdout) == json.loads(read_golden("good", name, ".json"))


@pytest.mark.parametrize("name", GOOD)
def test_inspect_json_agrees_with_the_oracle(good, name):
    found = json.loads(harness.run("inspect", "--json", name, directory=good).stdout)
    expected = oracle.expect(harness.description("good", name))
    assert oracle.disagreements(expected, found) == []


@pytest.mark.parametrize("name", GOOD)
def test_inspect_json_of_a_pipe_is_the_same(good, name):
    of_file = json.loads(harness.run("inspect", "--json", name, directory=good).stdout)
    of_pipe = json.loads(as_pipe(good, name, "inspect", "--json").stdout)
    assert without_name(of_pipe) == without_name(of_file)


@pytest.mark.parametrize("name", GOOD)
def test_verify_says_good(good, name):
    result = harness.run("verify", name, directory=good)
    assert not harness.complaint(result)
    assert (result.returncode, result.stdout.decode()) == (0, f"{name}: good\n")


@pytest.mark.parametrize("name", GOOD)
def test_verify_of_a_pipe_says_good(good, name):
    result = as_pipe(good, name, "verify")
    assert not harness.complaint(result)
    assert (result.returncode, result.stdout.decode()) == (0, "-: good\n")


@pytest.mark.parametrize("name", BAD)
def test_verify_prints_exactly_the_golden_error(bad, name):
    result = harness.run("verify", name, directory=bad)
    assert not harness.complaint(result)
    assert result.returncode == 1
    assert result.stdout.decode() == read_golden("bad", name, ".err")


@pytest.mark.parametrize("name", BAD)
def test_verify_of_a_pipe_prints_the_same_error(bad, name):
    result = as_pipe(bad, name, "verify")
    golden = read_golden("bad", name, ".err").encode()
    assert not harness.complaint(result)
    assert (result.returncode, result.stdout.decode()) == (1, harness.named_as_pipe(golden, name))


@pytest.mark.parametrize("name", BAD)
def test_inspect_of_a_bad_stream_ends_in_order(bad, name):
    assert not harness.complaint(harness.run("inspect", name, directory=bad))
    assert not harness.complaint(as_pipe(bad, name, "inspect", "--json"))


def cuts(stream):
    """Places to cut a stream: a byte before the end of five of its parts, and of the last."""
    ends, offset = [], 0
    for part in stream.parts:
        offset += len(part.data)
        if part.name != "bytes":
            ends.append(offset - 1)
    return sorted({ends[len(ends) * i // 6] for i in range(1, 6)} | {ends[-1]})


@pytest.mark.parametrize("name", [name for name in GOOD if "legacy" not in name])
def test_inspect_of_a_stream_cut_short_counts_what_stands_whole_before_the_end(tmp_path, name):
    for end in cuts(harness.description("good", name)):
        stream = harness.description("good", name)
        stream.cut(str(end))
        (tmp_path / "cut").write_bytes(stream.data)
        result = harness.run("inspect", "--json", "cut", directory=tmp_path)
        assert not harness.complaint(result)
        assert oracle.disagreements(oracle.expect(stream), json.loads(result.stdout)) == [], end
        assert harness.run("verify", "cut", directory=tmp_path).returncode == 1
