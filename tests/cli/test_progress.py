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
from commands import BAD, OK, build, good, run

CLEAR = b"\r\x1b[K"


class Terminal:
    """A terminal at the command's standard error, and what it has got so far."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        self.seen = b""

    def read(self, seconds):
        """What comes within that time; false: nothing did, or all is over."""
        if not select.select([self.ours], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.ours, 65536)
        except OSError:                 # Linux's way to say that the other end is closed
            return False
        self.seen += got
        return got != b""

    def wait_for(self, pattern):
        end = time.monotonic() + 60
        while not re.search(pattern, self.seen) and time.monotonic() < end:
            self.read(0.1)
        assert re.search(pattern, self.seen), self.seen

    def finish(self):
        while self.read(0.2):
            pass
        os.close(self.ours)


def start(arguments, directory, terminal):
    process = subprocess.Popen([harness.WHERRY, *arguments], cwd=directory, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=terminal.theirs)
    os.close(terminal.theirs)
    return process


def end(process, data):
    """(exit status, standard output) after the last of the input."""
    said, _ = process.communicate(data, timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("arguments", [["verify", "-"], ["inspect", "-"], ["convert", "-", "out"],
                                       ["extract", "--core", "out", "-"]], ids=lambda a: a[0])
def test_slow_work_shows_its_progress_and_clears_it(tmp_path, arguments):
    terminal, data = Terminal(), good("hvm")
    process = start(arguments, tmp_path, terminal)
    process.stdin.write(data[:3000])
    process.stdin.flush()
    terminal.wait_for(rb"(MiB/s.*){2}")
    code, said = end(process, data[3000:])
    terminal.finish()
    assert code == OK
    assert terminal.seen.startswith(CLEAR + b"read the image: 0 MiB, ")
    assert terminal.seen.endswith(CLEAR)
    assert b"read the image" not in said


def test_quick_work_shows_nothing(tmp_path):
    for _ in range(5):                  # on a busy machine nothing is sure to be quick
        terminal = Terminal()
        assert end(start(["verify", "-"], tmp_path, terminal), good("hvm")) == (OK, b"-: good\n")
        terminal.finish()
        if terminal.seen == b"":
            return
    assert terminal.seen == b""


def test_there_is_no_progress_where_no_terminal_is(tmp_path):
    with subprocess.Popen([harness.WHERRY, "verify", "-"], cwd=tmp_path, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(good("hvm")[:3000])
        process.stdin.flush()
        time.sleep(1.5)
        assert process.communicate(good("hvm")[3000:], timeout=60) == (b"-: good\n", b"")
        assert process.returncode == OK


def test_an_error_stands_on_a_line_of_its_own(tmp_path):
    terminal = Terminal()
    process = start(["convert", "-", "out"], tmp_path, terminal)
    process.stdin.write(good("hvm")[:2000])
    process.stdin.flush()
    terminal.wait_for(b"MiB/s")
    assert end(process, b"") == (BAD, b"")
    terminal.finish()
    assert terminal.seen.split(CLEAR)[-1].startswith(b"wherry: -: offset 0x7d0: ")


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
    """Stopped again and again, so that it takes long enough to be shown on any machine."""
    large_image(tmp_path / "image")
    assert run("verify", "image", directory=tmp_path).returncode == OK
    terminal = Terminal()
    process = start(["inspect", "--pages", "image"], tmp_path, terminal)
    wanted = rb"read the image: \d+ MiB of 1002, \d+%, \d+ MiB/s, \d+ s left"
    while process.poll() is None and not re.search(wanted, terminal.seen):
        process.send_signal(signal.SIGSTOP)
        terminal.read(0.3)
        process.send_signal(signal.SIGCONT)
        terminal.read(0.02)
    assert end(process, b"")[0] == OK
    terminal.finish()
    assert re.search(wanted, terminal.seen)
    assert terminal.seen.endswith(CLEAR)
