# SPDX-License-Identifier: LGPL-2.1-or-later
"""Streams too large or too hostile to be stored, written as they are needed; and a way to run the
command on them that says what memory it took."""

import contextlib
import os
import random
import subprocess
import threading

import harness
import stream

BATCH = 1024                                # pages a record, as stock xl writes them
PAGE = 4096
XTAB = 0xF

PEAK = os.path.abspath(os.environ.get("PEAK") or harness.HERE.parent.parent / "build" / "tests" /
                       "wire" / "peak")

HVM = """
xl flags=3 config={"c_info": {"name": "large", "type": "hvm"}}
libxl
LIBXC_CONTEXT
libxc version=3
domain type=hvm xen=4.17
STATIC_DATA_END
PAGE_DATA 0:xtab
HVM_CONTEXT 1 2.0 0
HVM_PARAMS 1=0xfeffc
END
EMULATOR_CONTEXT id=2 text:QEVM zero:100
END
"""


class Run:
    """How a command ended: peak memory in KiB, exit status, output."""

    def __init__(self, peak, status, out, err):
        self.peak, self.status, self.out, self.err = peak, status, out, err


def run(*arguments, directory, feed=None):
    """The command's end; feed(fd) writes its standard input, which is a pipe."""
    report = directory / ".peak"
    command = [PEAK, str(report), harness.WHERRY, *arguments]
    with subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        feeder = threading.Thread(target=feed_and_close, args=(feed, process.stdin))
        feeder.start()
        out, err = read_both(process)
        feeder.join()
    peak, status = map(int, report.read_text().split())
    report.unlink()
    return Run(peak, status, out, err)


def feed_and_close(feed, pipe):
    """A command that has seen enough leaves; that is its right."""
    with contextlib.suppress(BrokenPipeError):
        if feed:
            feed(pipe.fileno())
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def read_both(process):
    errors = []
    other = threading.Thread(target=lambda: errors.append(process.stderr.read()))
    other.start()
    out = process.stdout.read()
    other.join()
    return out, errors[0]


def is_sanitized():
    """A sanitizer's shadow is no measure of anything."""
    with open(harness.WHERRY, "rb") as file:
        program = file.read()
    return any(word in program for word in (b"__asan_init", b"__tsan_init"))


# ------------------------------------------------------------------------------ streams

def write_all(fd, *pieces):
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(fd, rest):]


def around_pages(description=HVM):
    """The bytes of a good HVM file before and behind its one page record."""
    parts = stream.Stream().read(description).parts
    here = next(i for i, part in enumerate(parts) if part.name == "PAGE_DATA")
    return (b"".join(part.data for part in parts[:here]),
            b"".join(part.data for part in parts[here + 1:]))


def page_record(entries, contents_length):
    """The head of a page record whose entries, and contents, are still to be written."""
    return (b"\1\0\0\0" + (8 + entries * 8 + contents_length).to_bytes(4, "little") +
            entries.to_bytes(8, "little"))


def large(gibibytes):
    """feed(fd) for a good stream of a guest with so much memory, no page of which is zero."""
    head, tail = around_pages()
    contents = random.Random(1).randbytes(PAGE) * BATCH

    def feed(fd):
        write_all(fd, head)
        for first in range(0, (gibibytes << 30) // PAGE, BATCH):
            entries = b"".join(pfn.to_bytes(8, "little") for pfn in range(first, first + BATCH))
            write_all(fd, page_record(BATCH, len(contents)), entries, contents)
        write_all(fd, tail)
    return feed


def scattered(description=HVM):
    """feed(fd) for one record of the greatest length: 16777215 holes at random pfns."""
    head, tail = around_pages(description)
    count = ((128 << 20) - 8) // 8
    block = bytearray(random.Random(2).randbytes(8 << 20))
    block[5::8] = block[6::8] = bytes(len(block) // 8)      # pfns below 2^40
    block[7::8] = bytes([XTAB << 4]) * (len(block) // 8)

    def feed(fd):
        left = 8 * count
        write_all(fd, head, page_record(count, 0))
        while left > 0:
            write_all(fd, memoryview(block)[:left])
            left -= len(block)
            block[0::8] = block[0::8][1:] + block[0:1]      # others in the next block
        write_all(fd, tail)
    return feed


def bytes_of(description):
    """feed(fd) for a description's bytes."""
    data = stream.Stream().read(description).data
    return lambda fd: write_all(fd, data)


def with_config(config, context="1 2.0 0"):
    """A good file with this configuration, and this chain as its HVM context."""
    return (HVM.replace('{"c_info": {"name": "large", "type": "hvm"}}', config)
            .replace("1 2.0 0", context))
