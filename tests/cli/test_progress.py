# SPDX-License-Identifier: LGPL-2.1-or-later
"""The line of progress: on a terminal, for what takes long, and gone at the end."""

import os
import pty
import re
import select
import signal
import subprocess
import time

import harness
import pytest
from commands import OK, build, good, run

CLEAR = b"\r\x1b[K"


def feed_slowly(process, seconds):
    """A good image, a piece at a time."""
    data = good("hvm")
    pieces = 20
    for k in range(pieces):
        process.stdin.write(data[len(data) * k // pieces:len(data) * (k + 1) // pieces])
        process.stdin.flush()
        time.sleep(seconds / pieces)
    process.stdin.close()


def on_terminal(arguments, seconds, directory):
    """(exit status, standard output, what the terminal at standard error got)"""
    ours, theirs = pty.openpty()
    with subprocess.Popen([harness.WHERRY, *arguments], cwd=directory, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        feed_slowly(process, seconds)
        said = process.stdout.read()
        process.wait(timeout=30)
    seen = b""
    while select.select([ours], [], [], 0.2)[0]:
        try:
            seen += os.read(ours, 65536)
        except OSError:                 # Linux's way to say that the other end is closed
            break
    os.close(ours)
    return process.returncode, said, seen


@pytest.mark.parametrize("arguments", [["verify", "-"], ["inspect", "-"], ["convert", "-", "out"],
                                       ["extract", "--core", "out", "-"]], ids=lambda a: a[0])
def test_slow_work_shows_its_progress_and_clears_it(tmp_path, arguments):
    code, said, seen = on_terminal(arguments, 1.5, tmp_path)
    assert code == OK
    assert CLEAR + b"read the image: 0 MiB, " in seen
    assert seen.count(b"MiB/s") >= 2
    assert seen.endswith(CLEAR)
    assert b"read the image" not in said


def test_quick_work_shows_nothing(tmp_path):
    assert on_terminal(["verify", "-"], 0, tmp_path) == (OK, b"-: good\n", b"")


def test_there_is_no_progress_where_no_terminal_is(tmp_path):
    with subprocess.Popen([harness.WHERRY, "verify", "-"], cwd=tmp_path, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        feed_slowly(process, 1.5)
        assert process.stdout.read() == b"-: good\n"
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == OK


def test_an_error_stands_on_a_line_of_its_own(tmp_path):
    ours, theirs = pty.openpty()
    with subprocess.Popen([harness.WHERRY, "convert", "-", "out"], cwd=tmp_path,
                          stdin=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        process.stdin.write(good("hvm")[:2000])
        process.stdin.flush()
        time.sleep(1.2)
        process.stdin.close()
        process.wait(timeout=30)
    seen = os.read(ours, 65536)
    os.close(ours)
    assert b"MiB/s" in seen
    assert seen.split(CLEAR)[-1].startswith(b"wherry: -: offset 0x7d0: ")


def large_image(path):
    """A guest of a gigabyte that is all holes of the file."""
    count, length = 32000, 8 + 32000 * (8 + 4096)
    head = b"".join(n.to_bytes(size, "little") for n, size in ((1, 4), (length, 4), (count, 8)))
    with open(path, "wb") as image:
        image.write(build("libxl\nLIBXC_CONTEXT\nlibxc\ndomain type=hvm\nSTATIC_DATA_END"))
        for _ in range(8):
            image.write(head + b"".join(pfn.to_bytes(8, "little") for pfn in range(count)))
            image.seek(count * 4096, os.SEEK_CUR)
        image.write(build("libxc\nHVM_CONTEXT 1 2 0\nHVM_PARAMS\nEND")[24:] + bytes(8))


def test_of_a_file_it_is_known_how_much_there_is(tmp_path):
    """Stopped for a while, so that it takes long enough to be shown on any machine."""
    large_image(tmp_path / "image")
    assert run("verify", "image", directory=tmp_path).returncode == OK
    ours, theirs = pty.openpty()
    with subprocess.Popen([harness.WHERRY, "inspect", "--pages", "image"], cwd=tmp_path,
                          stdout=subprocess.DEVNULL, stderr=theirs) as process:
        os.close(theirs)
        time.sleep(0.02)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.8)
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=100) == OK
    seen = os.read(ours, 65536)
    os.close(ours)
    assert re.search(rb"read the image: \d+ MiB of 1002, \d+%, \d+ MiB/s, \d+ s left", seen)
    assert seen.endswith(CLEAR)
