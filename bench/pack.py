#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed images against zstd itself, whole processes, on the same bytes in the same run.

    pack.py [RUNS]            9 runs of each, in turn, after one that is not counted

A guest of 768 MiB is made in /dev/shm (3 GiB are needed), of pages of zeros, of text and of noise,
a third each, in runs of eight.  Printed are medians of the rates and of the processor's seconds,
and the median of the pairwise ratios of rates, ours to zstd's; what is asked for stands beside
them.  Ours checks and digests the stream on the way."""

import os
import pathlib
import random
import shutil
import statistics
import struct
import sys
import tempfile
import time

import streams

MEBIBYTES = 768


def text(size):
    rng = random.Random(1)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9)))
             for _ in range(3000)]
    return " ".join(rng.choices(words, k=size // 5)).encode()[:size]


def batch(first, prose, rng):
    contents = bytearray()
    for run in range(128):
        at = rng.randrange(len(prose) - 32768)
        contents += (bytes(32768), prose[at:at + 32768], os.urandom(32768))[run % 3]
    return streams.page_record(first, bytes(contents))


def write_image(path):
    prose, rng = text(4 << 20), random.Random(2)
    with open(path, "wb") as out:
        streams.write_xl(out, 3)
        out.write(b"LibxlFmt" + struct.pack(">II", 2, 0) + streams.record(1, b""))
        out.write(b"\xff" * 8 + b"XENF" + struct.pack(">IHHI", 3, 0, 0, 0))
        out.write(struct.pack("<IHHII", 2, 12, 0, 4, 17) + streams.record(0x10, b""))
        for number in range(MEBIBYTES // 4):
            out.write(batch(number * 1024, prose, rng))
        out.write(streams.record(8, struct.pack("<IIQII", 0, 2000000, 1, 1, 0)))
        out.write(streams.record(9, streams.hvm_context()))
        out.write(streams.record(10, struct.pack("<IIQQ", 1, 0, 1, 5)) + streams.record(0, b""))
        out.write(streams.record(3, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3") +
                  streams.record(0, b""))


def measure(words, before):
    """Seconds, and seconds of a processor."""
    if before:
        before()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    begun = time.perf_counter()
    child = os.posix_spawnp(words[0], words, os.environ, file_actions=quiet)
    _, status, used = os.wait4(child, 0)
    took = time.perf_counter() - begun
    if status:
        sys.exit(f"{' '.join(words)}: status {status}")
    return took, used.ru_utime + used.ru_stime


def compare(what, ours, peer, runs, asked, before=None):
    pairs = [(measure(ours, before), measure(peer, before)) for _ in range(runs + 1)][1:]
    ratio = statistics.median(peer[0] / mine[0] for mine, peer in pairs)
    line = f"{what:40}"
    for side in zip(*pairs):
        took, used = (statistics.median(column) for column in zip(*side))
        line += f" {MEBIBYTES / took:6.0f} MiB/s {used:5.2f} s"
    print(f"{line} {ratio:6.2f}   {asked}", flush=True)


def main():
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm", prefix="wherry-bench-"))
    plain, packed, out = (str(folder / name) for name in ("plain", "packed", "out"))
    fresh = lambda: pathlib.Path(out).unlink(missing_ok=True)
    wherry = streams.WHERRY
    try:
        write_image(plain)
        print(f"{'':40} {'wherry':>20} {'zstd':>20} {'ratio':>6}   asked")
        for level in (1, 3):
            compare(f"convert --compress={level}, zstd -{level} -T2",
                    [wherry, "convert", f"--compress={level}", plain, out],
                    ["zstd", f"-{level}", "-T2", "-qf", plain, "-o", out], runs, ">= 0.9", fresh)
        measure([wherry, "convert", "--compress", plain, packed], None)
        length = os.path.getsize(packed) / os.path.getsize(plain)
        print(f"compressed to {length:.3f}")
        compare("convert of it, zstd -d", [wherry, "convert", packed, out],
                ["zstd", "-dqf", "--no-sparse", packed, "-o", out], runs, "", fresh)
        compare("verify --digest of it, zstd -t", [wherry, "verify", "--digest", packed],
                ["zstd", "-tq", packed], runs, "")
        compare("verify of it, zstd -t", [wherry, "verify", packed], ["zstd", "-tq", packed],
                runs, "")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
