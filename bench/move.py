#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Live migration on real Xen: wherry and xl in turn, the same two hosts, the same boot, the same guest,
the same link (ssh).

    move.py [PAIRS] [MEGABYTES]     `make bench-move`; 5 pairs, 256 MiB by default, after one that is not
                                    counted

idle      a Linux guest that does nothing: total time and bytes on the wire, of xl, of wherry with nothing
          compressed and of wherry as it comes
dirtying  a stepper that writes all the time: its pause, by its own clock
on target how many of ten pauses of such a guest are as short as --downtime asks for

The hosts are real Xen in QEMU without hardware virtualisation: only ratios travel.  Printed are medians,
and the medians of the pairwise ratios; what is asked for stands beside them."""

import json
import pathlib
import re
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lab import fleet  # noqa: E402  pylint: disable=C0413

WAYS = {
    "xl": ["xl", "migrate"],
    "plain": ["wherry", "migrate", "--compress=no"],
    "wherry": ["wherry", "migrate"],
}
TARGETS = [300, 500]            # ms
ASKED = {"plain": 0.5, "wherry": 0.2, "pause": 0.4}


def sent(host):
    """Bytes that have gone out on the link so far."""
    return int(host.read("/sys/class/net/eth1/statistics/tx_bytes"))


def move(guest, there, words):
    """Seconds, and bytes on the wire."""
    here = guest.host
    here.refresh()
    bytes_before, begun = sent(here), time.monotonic()
    here.run([*words, guest.name, there.name], timeout=1800)
    took = time.monotonic() - begun
    guest.host = there
    return took, sent(here) - bytes_before


def idle(hosts, megabytes, pairs):
    a, b = hosts
    guest = a.guest("linux-pvh", name="bench", memory=megabytes, by="wherry",
                    command_line="console=hvc0 quiet")
    guest.wait_for(r"tick 3 ", timeout=300)
    runs = {way: [] for way in WAYS}
    for turn in range(pairs + 1):
        for way in WAYS:
            runs[way].append(move(guest, b if guest.host == a else a, WAYS[way]))
            print(f"  idle {way}: {runs[way][-1][0]:.1f} s, {runs[way][-1][1] >> 20} MiB"
                  f"{'' if turn else ' (not counted)'}", file=sys.stderr, flush=True)
            time.sleep(2)
    guest.host.wherry("destroy", guest.name)
    for way in ("plain", "wherry"):
        for what, at, unit in (("total time", 0, 1), ("on the wire", 1, 1 << 20)):
            ours = [run[at] for run in runs[way][1:]]
            theirs = [run[at] for run in runs["xl"][1:]]
            ratio = statistics.median(x / y for x, y in zip(ours, theirs))
            print(f"idle      {way:7} {what:11} xl {statistics.median(theirs) / unit:7.2f}  wherry "
                  f"{statistics.median(ours) / unit:7.2f}  ratio {ratio:.2f}  asked {ASKED[way]:.2f}")


def pause(guest, hosts, words):
    """Of one move, by the guest's clock, in ms; and the move's seconds."""
    there, = (host for host in hosts if host != guest.host)
    before = len(there.run(f"cat /var/log/xen/console/guest-{guest.name}.log "
                           f"/var/log/xen/console/guest-{guest.name}--incoming.log 2>/dev/null",
                           check=False).out)
    took, _ = move(guest, there, words)
    found = guest.wait_for(r"^resumed \d+ new after (\d+) ms", timeout=120, after=before)
    return int(found.group(1)), took


def dirtying(hosts, megabytes, pairs):
    guest = hosts[0].guest("stepper-pvh", name="bench", memory=megabytes // 4, by="wherry",
                           command_line="rate=2000")
    guest.wait_for(r"^step \d+ ok pass 1", timeout=300)
    runs = {"xl": [], "wherry": []}
    for turn in range(pairs + 1):
        for way, gone in runs.items():
            ms, took = pause(guest, hosts, WAYS[way])
            gone.append(ms)
            print(f"  dirtying {way}: pause {ms} ms of {took:.1f} s"
                  f"{'' if turn else ' (not counted)'}", file=sys.stderr, flush=True)
    ratio = statistics.median(x / y for x, y in zip(runs["wherry"][1:], runs["xl"][1:]))
    print(f"dirtying  pause   xl {statistics.median(runs['xl'][1:]):7.0f} ms  wherry "
          f"{statistics.median(runs['wherry'][1:]):7.0f} ms  ratio {ratio:.2f}  asked {ASKED['pause']:.2f}")
    for target in TARGETS:
        found = [pause(guest, hosts, ["wherry", "migrate", f"--downtime={target}ms"])[0] for _ in range(10)]
        print(f"on target {target} ms: {sum(ms <= target for ms in found)} of {len(found)} within, median "
              f"{statistics.median(found):.0f}, longest {max(found)}, asked 9 of 10")
    assert not re.search("BAD", guest.console())
    guest.host.wherry("destroy", guest.name)


def main(pairs, megabytes):
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        hosts = fleet.Fleet(folder)
        try:
            two = hosts.up(2)
            for host in two:
                host.wait_ready()
            print(json.dumps({"pairs": pairs, "megabytes": megabytes}))
            idle(two, megabytes, pairs)
            dirtying(two, megabytes, pairs)
        finally:
            hosts.down()


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    main(*[*numbers, *[5, 256][len(numbers):]])
