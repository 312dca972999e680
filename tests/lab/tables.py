# SPDX-License-Identifier: LGPL-2.1-or-later
"""Xen's own page tables of a guest, as the host's processor walks them: read from the host's memory by
the QEMU that it runs in, from the root that Xen tells of (debug key v: H_CR3)."""

import re
import struct
import tempfile

PRESENT, LARGE = 1 << 0, 1 << 7
FRAME = 0x000ffffffffff000
ENTRIES = 512
SIZES = ("1G", "2M", "4K")          # mapped by an entry of the second, third, fourth table


def root(host, domid):
    host.xl("dmesg", "-c")
    host.xl("debug-keys", "v")
    said = host.xl("dmesg").out
    of_domain = re.search(rf">>> Domain {domid} <<<(.*?)(?:>>>|\Z)", said, re.S)
    return int(re.search(r"H_CR3 = (0x[0-9a-f]+)", of_domain[1])[1], 16) & FRAME


def entries(monitor, at):
    with tempfile.NamedTemporaryFile() as page:
        monitor.ask("pmemsave", val=at, size=8 * ENTRIES, filename=page.name)
        return [entry for entry in struct.unpack(f"<{ENTRIES}Q", page.read()) if entry & PRESENT]


def mapped(host, domid):
    """How many entries of each size map the guest's memory: {"1G": 0, "2M": 27, "4K": 4513}."""
    counts = dict.fromkeys(SIZES, 0)

    def walk(at, depth):
        for entry in entries(monitor, at):
            if depth == len(SIZES) or (depth > 0 and entry & LARGE):
                counts[SIZES[depth - 1]] += 1
            else:
                walk(entry & FRAME, depth + 1)

    with host.monitor() as monitor:
        walk(root(host, domid), 0)
    return counts
