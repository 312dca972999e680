#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The saving engine on a guest in memory beside memcpy and write of the same bytes.

    engine.py [MB] [ROUNDS]       part of `make bench`; medians, and the pairwise ratios'"""

import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEER = {"engine to /dev/null": ("memcpy", 0.7), "engine to /dev/null, digest": ("memcpy", None),
        "engine to a socket": ("write to a socket", 0.7),
        "engine to a socket, digest": ("write to a socket", None)}


def main(arguments):
    out = subprocess.run([ROOT / "build" / "bench" / "engine", *arguments], check=True, text=True,
                         stdout=subprocess.PIPE).stdout
    rates = {}
    for line in out.splitlines():
        run = json.loads(line)
        rates.setdefault(run["way"], []).append(run["bytes"] / run["seconds"] / 1e9)
    for way, measured in rates.items():
        line = f"{way:28} {statistics.median(measured):6.2f} GB/s"
        if way in PEER:
            peer, asked = PEER[way]
            ratio = statistics.median(a / b for a, b in zip(measured, rates[peer]))
            line += f"  {ratio:.2f} of {peer}" + (f", asked {asked}" if asked else "")
        print(line)


if __name__ == "__main__":
    main(sys.argv[1:])
