#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Saving and restoring on real Xen: wherry and xl in turn, the same host, the same boot, the same
guest, to tmpfs.

    lab.py [PAIRS] [MEGABYTES] [erms] [hvm]     `make bench-lab`; 5 pairs of each by default, after one
                                                that is not counted; of a PVH guest, or an HVM one

With erms the host's processor has the instruction that copies any length at once, which is emulated
byte by byte: copies then cost several times what they do beside hypercalls elsewhere.

The host is real Xen in QEMU without hardware virtualisation: only ratios travel.  Printed are medians
of wall time and of processor time in dom0 (the command's own and its children's), and the medians
of the pairwise ratios; what is asked for stands beside them."""

import json
import pathlib
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lab import fleet, guest  # noqa: E402  pylint: disable=C0413

# Wall and processor time of a command, printed as JSON; its output goes to /tmp/timed.
TIMED = """import os, sys, time
begun = time.monotonic()
child = os.fork()
if child == 0:
    out = os.open('/tmp/timed', os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1), os.dup2(out, 2)
    os.execvp(sys.argv[1], sys.argv[1:])
status, usage = os.wait4(child, 0)[1:]
wall = time.monotonic() - begun
print('{"status": %d, "wall": %.3f, "user": %.3f, "system": %.3f}'
      % (status, wall, usage.ru_utime, usage.ru_stime))
"""

IMAGE = "/images/bench.save"
GUESTS = {
    "idle": ("console=hvc0 quiet", "mostly zero pages"),
    "random": ("console=hvc0 quiet fill=random fillmb={fill}", "random data"),
}
ASKED = {("idle", "save"): 0.40, ("idle", "restore"): 0.55,
         ("random", "save"): 0.75, ("random", "restore"): 0.80}
TOOLS = {
    "xl": {"save": ["xl", "save", "{name}", IMAGE], "restore": ["xl", "restore", IMAGE]},
    "wherry": {"save": ["wherry", "save", "{name}", IMAGE], "restore": ["wherry", "restore", IMAGE]},
}


def timed(host, words):
    result = json.loads(host.run(["python3", "/tmp/timed.py", *words], timeout=900).out)
    if result["status"]:
        raise SystemExit(f"{' '.join(words)}: {host.read('/tmp/timed')}")
    return result


def one(host, tool, name, settle):
    """Save and restore once; what each took."""
    took = {}
    for what in ("save", "restore"):
        words = [word.format(name=name) for word in TOOLS[tool][what]]
        took[what] = timed(host, words)
        time.sleep(settle)
    took["size"] = int(host.run(f"stat -c %b {IMAGE}").out) * 512
    host.run(["rm", IMAGE])
    return took


def measure(host, guest_type, kind, megabytes, pairs):
    extra, _ = GUESTS[kind]
    name = f"bench-{kind}"                  # its console's log begins with it
    linux = host.guest(f"linux-{guest_type}", name=name, memory=megabytes, by="xl",
                       command_line=extra.format(fill=megabytes - 110))
    linux.wait_for(r"tick 3 ", timeout=300)
    runs = {"xl": [], "wherry": []}
    for pair in range(pairs + 1):
        for tool in ("xl", "wherry") if pair % 2 else ("wherry", "xl"):
            took = one(host, tool, name, 2)
            print(f"  {kind} {tool}: save {took['save']['wall']:.1f} s, restore "
                  f"{took['restore']['wall']:.1f} s{'' if pair else ' (not counted)'}",
                  file=sys.stderr, flush=True)
            if pair:
                runs[tool].append(took)
    linux.destroy()
    return runs


def cpu(took):
    return took["user"] + took["system"]


def tell(kind, runs):
    for what in ("save", "restore"):
        for label, value in (("wall", lambda took: took["wall"]), ("dom0 cpu", cpu)):
            ours = [value(took[what]) for took in runs["wherry"]]
            theirs = [value(took[what]) for took in runs["xl"]]
            ratio = statistics.median(a / b for a, b in zip(ours, theirs))
            print(f"{kind:8} {what:8} {label:9} xl {statistics.median(theirs):6.2f} s  "
                  f"wherry {statistics.median(ours):6.2f} s  ratio {ratio:.2f}  "
                  f"asked {ASKED[kind, what]:.2f}")
    sizes = {tool: statistics.median(took["size"] for took in runs[tool]) / 2**20 for tool in runs}
    print(f"{kind:8} file on disk: xl {sizes['xl']:.0f} MiB, wherry {sizes['wherry']:.0f} MiB")


def main(pairs, megabytes, words):
    guest_type = "hvm" if "hvm" in words else "pvh"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        hosts = fleet.Fleet(folder)
        try:
            host = hosts.up(1, memory="4G", dom0="2560M", cpus=2, erms="erms" in words)[0]
            host.wait_ready()
            host.write("/tmp/timed.py", TIMED)
            for kind in GUESTS:
                tell(kind, measure(host, guest_type, kind, megabytes, pairs))
        finally:
            hosts.down()


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    pairs, megabytes = [*numbers, *[5, 512][len(numbers):]]
    main(pairs, megabytes, sys.argv[1:])
