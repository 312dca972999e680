#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Linux guest: build.py TICKER FOLDER puts vmlinuz, vmlinux and initrd.gz there, made of the
kernel, modules and busybox of the hosts' image."""

import gzip
import lzma
import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))
from lab import image  # noqa: E402

MODULES = {"blk": "xen-blkfront", "net": "xen-netfront"}
APPLETS = ["sh", "poweroff", "reboot", "mount", "umount"]


class Disk:
    """Files of the image's file system, read without mounting it."""

    def __init__(self, path):
        self.path = path

    def debugfs(self, request):
        return subprocess.run(["debugfs", "-R", request, self.path], check=True,
                              capture_output=True).stdout

    def read(self, path):
        content = self.debugfs(f"cat {path}")
        if not content:
            raise SystemExit(f"the image has no {path}")
        return content

    def names(self, path):
        lines = self.debugfs(f"ls -p {path}").decode().splitlines()
        return [line.split("/")[5] for line in lines if line.startswith("/")]


def module_files(disk):
    """The modules and all they need: name in the archive, path in the image."""
    version = next(name for name in disk.names("/usr/lib/modules") if name[0] != ".")
    folder = f"/usr/lib/modules/{version}"
    needs = {}
    for line in disk.read(f"{folder}/modules.dep").decode().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {pathlib.PurePath(path).stem: path for path in needs}
    for use, name in MODULES.items():
        path = by_name[name]
        # Loaded in the order of their names: what a module needs goes first.
        for number, file in enumerate([*reversed(needs[path]), path]):
            yield f"modules/{use}-{number}.ko", f"{folder}/{file}"


def cpio_entry(name, mode, content=b"", device=(0, 0)):
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def initrd(disk, ticker):
    """A cpio archive that is the same whenever it is made of the same."""
    entries = [cpio_entry(name, 0o40755) for name in
               ("bin", "sbin", "dev", "proc", "sys", "modules", "www")]
    entries.append(cpio_entry("dev/console", 0o20600, device=(5, 1)))
    entries.append(cpio_entry("bin/busybox", 0o100755, disk.read("/usr/bin/busybox")))
    entries.append(cpio_entry("bin/ticker", 0o100755, ticker))
    entries += [cpio_entry(f"bin/{name}", 0o120777, b"busybox") for name in APPLETS]
    for name in ("poweroff", "reboot"):
        script = f"#!/bin/sh\nexec /bin/busybox {name} -f\n".encode()
        entries.append(cpio_entry(f"sbin/{name}", 0o100755, script))
    entries.append(cpio_entry("init", 0o100755, (HERE / "init").read_bytes()))
    for name, path in module_files(disk):
        entries.append(cpio_entry(name, 0o100644, disk.read(path)))
    return b"".join([*entries, cpio_entry("TRAILER!!!", 0)])


def vmlinux(bzimage):
    """The kernel as the ELF file it is: dom0 need not unpack it for each guest."""
    setup_sectors = bzimage[0x1f1]
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return without_zeros(bytearray(lzma.decompress(bzimage[start:start + length - 4])))


def without_zeros(elf):
    """Nearly half of the file are zeros at its end: the last segment need not hold them, and the
    sections behind it are for debuggers."""
    segments, = struct.unpack_from("<Q", elf, 0x20)
    size, count = struct.unpack_from("<HH", elf, 0x36)
    heads = [segments + size * number for number in range(count)]
    loads = [head for head in heads if elf[head:head + 4] == b"\1\0\0\0"]
    last = max(loads, key=lambda head: struct.unpack_from("<Q", elf, head + 8))
    offset, = struct.unpack_from("<Q", elf, last + 8)
    end = offset + struct.unpack_from("<Q", elf, last + 0x20)[0]
    content = elf[:end].rstrip(b"\0")
    struct.pack_into("<Q", content, last + 0x20, len(content) - offset)
    struct.pack_into("<Q", content, 0x28, 0)
    struct.pack_into("<HHH", content, 0x3a, 0, 0, 0)
    return content


def main():
    ticker, out = map(pathlib.Path, sys.argv[1:])
    folder = image.ensure(lambda text: print(text, file=sys.stderr))
    made_from = "\n".join([folder.name, *(str(path.stat().st_mtime_ns) for path in (
        ticker, HERE / "init", HERE / "build.py"))])
    stamp = out / "linux.made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return
    bzimage = (folder / "vmlinuz").read_bytes()
    (out / "vmlinuz").write_bytes(bzimage)
    (out / "vmlinux").write_bytes(vmlinux(bzimage))
    archive = initrd(Disk(folder / "disk"), ticker.read_bytes())
    (out / "initrd.gz").write_bytes(gzip.compress(archive, 6, mtime=0))
    stamp.write_text(made_from)


main()
