# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where outputs may go, what inputs may be, and how work is stopped."""

import os
import signal
import stat
import subprocess
import time

import harness
import pytest


def put(path, name="hvm"):
    path.write_bytes(harness.description("good", name).data)
    return path


def convert(directory, *arguments):
    return harness.run("convert", *arguments, directory=directory)


def test_a_fifo_or_a_device_as_output_is_refused_and_left_as_it_is(tmp_path):
    put(tmp_path / "in")
    os.mkfifo(tmp_path / "fifo")
    for target in ("fifo", "/dev/null"):
        result = convert(tmp_path, "in", target)
        assert result.returncode == 2 and b"no regular file" in result.stderr
    assert stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_directory_as_output_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "folder").mkdir()
    put(tmp_path / "in", "pvh")
    with open(tmp_path / "in", "r+b") as broken:
        broken.truncate(1000)           # were it read, that would be the error
    result = convert(tmp_path, "in", "folder")
    assert result.returncode == 3 and b"folder: Is a directory" in result.stderr


def test_a_link_as_output_stays_and_what_it_leads_to_is_written(tmp_path):
    put(tmp_path / "in")
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    assert convert(tmp_path, "in", "link").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_size > 1000


def test_a_link_to_nothing_as_output_is_refused(tmp_path):
    put(tmp_path / "in")
    (tmp_path / "link").symlink_to("nowhere")
    assert convert(tmp_path, "in", "link").returncode == 2
    assert sorted(os.listdir(tmp_path)) == ["in", "link"]


@pytest.mark.parametrize("verb", [("convert", "sealed", "out"), ("extract", "--core", "out", "sealed"),
                                  ("convert", "--to", "libxl", "sealed", "out")])
def test_an_image_that_does_not_match_its_digest_is_not_passed_on(tmp_path, verb):
    put(tmp_path / "in")
    assert convert(tmp_path, "in", "sealed").returncode == 0
    data = bytearray((tmp_path / "sealed").read_bytes())
    data[len(data) // 2] ^= 1           # within a page: nothing but the digest sees it
    (tmp_path / "sealed").write_bytes(data)
    assert harness.run("verify", "sealed", directory=tmp_path).returncode == 0
    result = harness.run(*verb, directory=tmp_path)
    assert result.returncode == 1 and b"digest" in result.stderr
    assert not (tmp_path / "out").exists()


def start(directory, *arguments, **options):
    return subprocess.Popen([harness.WHERRY, *arguments], cwd=directory, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


def test_a_fifo_that_nobody_writes_to_can_be_given_up(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with start(tmp_path, "verify", "fifo") as child:
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=5) == 130


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    data = harness.description("good", "hvm").data
    ignore = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with start(tmp_path, "verify", "fifo", preexec_fn=ignore) as child:
        with open(tmp_path / "fifo", "wb") as fifo:
            time.sleep(0.3)
            child.send_signal(signal.SIGHUP)
            time.sleep(0.2)
            fifo.write(data)
        assert child.wait(timeout=5) == 0


def test_a_second_signal_ends_what_cannot_notice_the_first(tmp_path):
    """It writes to a pipe that is full and that nobody reads."""
    (tmp_path / "in").write_bytes(harness.description("good", "pvh").data)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    with subprocess.Popen([harness.WHERRY, "inspect", "--records", "in"], cwd=tmp_path,
                          stdout=writing, stderr=subprocess.DEVNULL) as child:
        for _ in range(20):
            time.sleep(0.2)
            child.send_signal(signal.SIGINT)
            if child.poll() is not None:
                break
        assert child.wait(timeout=5) != 0
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("verb", ["inspect", "verify", "convert", "extract"])
def test_help_that_could_not_be_written_is_a_failure(tmp_path, verb):
    with open("/dev/full", "wb") as full:
        child = subprocess.run([harness.WHERRY, verb, "--help"], stdout=full, check=False,
                               stderr=subprocess.PIPE)
    assert child.returncode == 3 and b"could not be written" in child.stderr


def test_a_file_name_cannot_command_the_terminal(tmp_path):
    put(tmp_path / "a\x1b[31m\nb")
    for verb in ("verify", "inspect"):
        result = harness.run(verb, "a\x1b[31m\nb", "--digest", directory=tmp_path)
        assert result.stdout.startswith(b"a?[31m?b: ")
    result = harness.run("verify", "no\x1bfile", directory=tmp_path)
    assert b"\x1b" not in result.stderr


def test_standard_output_by_another_name_is_refused_and_keeps_what_it_has(tmp_path):
    put(tmp_path / "in")
    (tmp_path / "log").write_bytes(b"one\n")
    with open(tmp_path / "log", "ab") as log:
        child = subprocess.run([harness.WHERRY, "extract", "--config", "-o", "/dev/stdout", "in"],
                               cwd=tmp_path, stdout=log, stderr=subprocess.PIPE, check=False)
    assert child.returncode == 2 and b"standard output" in child.stderr
    assert (tmp_path / "log").read_bytes() == b"one\n"


def test_a_digest_counts_where_more_stands_behind_the_trailer(tmp_path):
    """As on a volume that is longer than the file."""
    put(tmp_path / "in")
    assert convert(tmp_path, "in", "sealed").returncode == 0
    data = bytearray((tmp_path / "sealed").read_bytes())
    (tmp_path / "volume").write_bytes(data + bytes(4096))
    assert convert(tmp_path, "volume", "out").returncode == 0
    data[len(data) // 2] ^= 1
    (tmp_path / "volume").write_bytes(data + bytes(4096))
    result = convert(tmp_path, "volume", "out2")
    assert result.returncode == 1 and b"digest" in result.stderr
    assert not (tmp_path / "out2").exists()


def test_two_signals_at_once_are_one_wish_and_leave_nothing(tmp_path):
    data = harness.description("good", "hvm").data
    for _ in range(5):
        with start(tmp_path, "convert", "-", "out", stdin=subprocess.PIPE) as child:
            child.stdin.write(data[:2000])
            child.stdin.flush()
            time.sleep(0.1)
            child.send_signal(signal.SIGTERM)
            child.send_signal(signal.SIGHUP)
            assert child.wait(timeout=5) != 0
            child.stdin.close()
        assert os.listdir(tmp_path) == []


def test_an_input_that_cannot_be_read_is_named(tmp_path):
    put(tmp_path / "in")
    result = harness.run("verify", "in", "/proc/self/mem", directory=tmp_path)
    assert result.returncode == 3 and b"/proc/self/mem" in result.stderr
