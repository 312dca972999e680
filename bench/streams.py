#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Wherry's stream tools against their peers, whole processes, on the same input in the same run.

    streams.py [RUNS]         `make bench`; 9 runs of each, in turn, after one that is not counted

Inputs are made in /dev/shm, so that the disk is in none of the figures: 3 GiB are needed.  Printed
are medians and the median of the pairwise ratios; what is asked for stands beside them."""

import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WHERRY = str(ROOT / "build" / "wherry")
XEN = pathlib.Path("/usr/lib/xen-4.17")
STOCK = {"PYTHONPATH": str(XEN / "lib" / "python")}
XTAB = 0xF << 60
CONFIG = b'{"c_info": {"type": "hvm", "name": "bench"}, "b_info": {"type.hvm": {}}}\0'


def record(kind, body):
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def page_record(first, contents, kind=0):
    entries = struct.pack("<1024Q", *(kind | pfn for pfn in range(first, first + 1024)))
    return record(1, struct.pack("<II", 1024, 0) + entries + contents)


def hvm_context():
    return (struct.pack("<HHIIIQII", 1, 0, 24, 0x54381286, 1, 0, 0, 0) +
            struct.pack("<HHI", 0, 0, 0))


def write_libxl(out, mebibytes, holes):
    """An HVM guest's stream; with holes, every pfn to 0xFEFFF is named, as xl 4.17 does."""
    contents = os.urandom(4 << 20)
    out.write(b"LibxlFmt" + struct.pack(">II", 2, 0) + record(1, b""))
    out.write(b"\xff" * 8 + b"XENF" + struct.pack(">IHHI", 3, 0, 0, 0))
    out.write(struct.pack("<IHHII", 2, 12, 0, 4, 17) + record(0x10, b""))
    for batch in range(mebibytes // 4):
        out.write(page_record(batch * 1024, contents))
    for batch in range(mebibytes // 4, 1020 if holes else 0):
        out.write(page_record(batch * 1024, b"", XTAB))
    out.write(record(8, struct.pack("<IIQII", 0, 2000000, 1, 1, 0)) + record(9, hvm_context()))
    out.write(record(10, struct.pack("<IIQQ", 1, 0, 1, 5)) + record(0, b""))
    out.write(record(3, struct.pack("<II", 2, 0) + b"QEVM\0\0\0\3") + record(0, b""))


def write_legacy(out, mebibytes):
    contents = os.urandom(4 << 20)
    out.write(struct.pack("<Q", mebibytes * 256))
    for batch in range(mebibytes // 4):
        first = batch * 1024
        out.write(struct.pack("<i1024Q", 1024, *range(first, first + 1024)) + contents)
    out.write(struct.pack("<iiQ", -2, 0, 1) + struct.pack("<iIQII", -7, 0, 1, 2000000, 1))
    out.write(struct.pack("<i", 0) + struct.pack("<QQQ", 1, 2, 3))
    out.write(struct.pack("<I", len(hvm_context())) + hvm_context())
    out.write(b"DeviceModelRecord0002" + struct.pack("<I", 8) + b"QEVM\0\0\0\3")


def write_xl(out, flags):
    out.write(b"Xen saved domain, xl format\n \0 \r" +
              struct.pack("<IIIII", 0x01020304, flags, 0, len(CONFIG) + 4, len(CONFIG)) + CONFIG)


def measure(command, env, before):
    """Spawned without a copy of this process, which would count for as much as what is measured."""
    if before:
        before()
    words = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    quiet = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    begun = time.perf_counter()
    child = os.posix_spawnp(words[0], words, dict(os.environ, **env), file_actions=quiet)
    _, status = os.waitpid(child, 0)
    took = time.perf_counter() - begun
    if status:
        sys.exit(f"{command}: status {status}")
    return took


def compare(what, ours, peer, runs, goal, before=None, inverse=False):
    """The pairwise ratio's median: ours to the peer's, or with inverse the peer's to ours."""
    pairs = [(measure(ours, {}, before), measure(peer, STOCK, before)) for _ in range(runs + 1)]
    ratio = statistics.median((b / a) if inverse else (a / b) for a, b in pairs[1:])
    a, b = (statistics.median(column) for column in zip(*pairs[1:]))
    print(f"{what:52} {a * 1000:8.1f} ms {b * 1000:8.1f} ms {ratio:7.2f}   {goal}", flush=True)


def peak_kib(mebibytes):
    """The peak memory of a verification of a stream that is made as it is read."""
    out = subprocess.run(f"/usr/bin/python3 {__file__} --feed {mebibytes} | "
                         f"/usr/bin/time -f %M {WHERRY} verify -q -", shell=True, check=True,
                         capture_output=True, text=True).stderr
    return int(out)


def main():
    if sys.argv[1:2] == ["--feed"]:
        write_libxl(sys.stdout.buffer, int(sys.argv[2]), False)
        return
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    folder = pathlib.Path(tempfile.mkdtemp(dir="/dev/shm", prefix="wherry-bench-"))
    try:
        bench(folder, runs)
    finally:
        shutil.rmtree(folder)


def bench(folder, runs):
    dense, holes, legacy, legacy_xl = (folder / n for n in ("dense", "holes", "legacy", "legacyxl"))
    with open(dense, "wb") as out:
        write_libxl(out, 1024, False)
    with open(holes, "wb") as out:
        write_libxl(out, 1024, True)
    stock = str(XEN / "bin" / "verify-stream-v2")
    print(f"{'':52} {'wherry':>11} {'peer':>11} {'ratio':>7}   asked")
    for name, path in (("1 GiB, all pages", dense), ("1 GiB, holes named as xl does", holes)):
        peer = ["/usr/bin/python3", stock, "-i", str(path), "-f", "libxl"]
        for verb, options, goal in (("verify", [], ">= 50"), ("inspect", [], ">= 50"),
                                    ("verify", ["--digest"], ">= 5")):
            compare(f"{' '.join([verb, *options])}: {name}", [WHERRY, verb, *options, str(path)],
                    peer, runs, goal + " times stock's verifier", inverse=True)
    for options, goal in (("", ">= 0.8"), ("--digest", ">= 0.5")):
        compare(f"verify {options} of a pipe, rate to wc -c's".replace("  ", " "),
                f"cat {dense} | {WHERRY} verify {options} -", f"cat {dense} | wc -c", runs, goal,
                inverse=True)
    compare("read alone: cat to /dev/null, to stock's verifier", f"cat {dense} > /dev/null",
            ["/usr/bin/python3", stock, "-i", str(dense), "-f", "libxl"], runs,
            "(what --digest cannot beat)", inverse=True)
    print(f"peak memory of verify of 4 GiB from a pipe: {peak_kib(4096)} KiB   asked: under 8192")
    holes.unlink()
    dense.unlink()

    with open(legacy, "wb") as out:
        write_legacy(out, 512)
    with open(legacy_xl, "wb") as out:
        write_xl(out, 1)
        write_legacy(out, 512)
    target = folder / "out"
    fresh = lambda: target.unlink(missing_ok=True)
    stock = ["/usr/bin/python3", str(XEN / "bin" / "convert-legacy-stream"), "-w", "64", "-g",
             "hvm", "-f", "libxl", "-o", str(target), "-i"]
    compare("convert legacy 512 MiB to libxl, to cp", [WHERRY, "convert", str(legacy), str(target)],
            ["cp", str(legacy), str(target)], runs, "<= 1.3", fresh)
    compare("convert legacy 512 MiB in xl, trailer, to cp",
            [WHERRY, "convert", str(legacy_xl), str(target)],
            ["cp", str(legacy_xl), str(target)], runs, "<= 1.3", fresh)
    compare("convert legacy 512 MiB to libxl, to stock's", [WHERRY, "convert", str(legacy),
            str(target)], [*stock, str(legacy)], runs, "< 1", fresh)


if __name__ == "__main__":
    main()
