# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stock tools of Debian's xen-utils-4.17, and the streams as they are able to read them."""

import os
import subprocess

VERIFIER = "/usr/lib/xen-4.17/bin/verify-stream-v2"
CONVERTER = "/usr/lib/xen-4.17/bin/convert-legacy-stream"
LIBRARY = "/usr/lib/xen-4.17/lib/python"
UNREADABLE = ("xl", "EMULATOR_XENSTORE_DATA", "bytes")


def run(tool, *arguments):
    """One run under the system's Python with Xen's own library; fails where it is not installed."""
    assert os.path.exists(tool), f"{tool} is missing: install xen-utils-4.17 (`make deps` does)"
    return subprocess.run(["/usr/bin/python3", tool, *arguments], timeout=600, check=False,
                          env={**os.environ, "PYTHONPATH": LIBRARY}, capture_output=True)


def verify(path, form):
    result = run(VERIFIER, "-i", str(path), "-f", form)
    return "" if result.returncode == 0 else result.stderr.decode()


def convert(source, target, width, guest, *more):
    result = run(CONVERTER, "-i", str(source), "-o", str(target),
                 "-w", str(width), "-g", guest, *more)
    return "" if result.returncode == 0 else result.stderr.decode()


def readable_parts(stream):
    """The parts without what the stock verifier cannot read though stock Xen can.

    - Its test of the xl header compares text with bytes and finds none.
    - Its test of EMULATOR_XENSTORE_DATA's last byte compares a number with text and always fails.
    - It refuses optional records of libxc, which the specification lets a reader skip.
    - It reads a libxc image to its END, so the libxl records between a CHECKPOINT and the next
      epoch look to it like broken libxc records: of such streams it gets the libxc image alone.
    """
    parts = [part for part in stream.parts
             if part.name not in UNREADABLE and not is_optional(part)]
    if any(part.name == "CHECKPOINT_END" for part in parts):
        return [part for part in parts if part.name in ("libxc", "domain") or part.layer == "libxc"]
    return parts


def is_optional(part):
    return part.layer == "libxc" and part.data[3] & 0x80


def readable(stream):
    """(bytes, the verifier's name of their format)"""
    parts = readable_parts(stream)
    return b"".join(part.data for part in parts), parts[0].name
