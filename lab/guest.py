# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests in a host: made of the images of lab/guests, found by name, read by their console."""

import dataclasses
import os
import pathlib
import re
import shlex
import time

from . import paths

# Where the images are in a host; they stay when guests go.
SHELF = "/guests"


@dataclasses.dataclass(frozen=True)
class Kind:
    type: str
    kernel: str
    ramdisk: str
    command_line: str
    memory: int
    more: str = ""
    disk: str = ""          # an image that each guest has a copy of, as its first


# Where a PVH Linux reads the time through Xen, about one boot in three under QEMU's emulation ends
# in a triple fault right behind an RDTSC, nothing else going on; natively read: 1 of 29.
NATIVE_TSC = 'tsc_mode = "native"\n'

# Of an HVM guest's devices the fewest; what it says on its serial port is for whoever looks.
EMULATED = 'vnc = 0\nserial = "pty"\n'

KINDS = {
    "stepper-pvh": Kind("pvh", "stepper-pvh.elf", "", "rate=4096", 16),
    "stepper-pv":  Kind("pv", "stepper-pv.elf", "", "rate=4096", 16),
    "linux-pvh":   Kind("pvh", "vmlinux", "initrd.gz", "console=hvc0 quiet dirty=500", 128,
                        NATIVE_TSC),
    "linux-hvm":   Kind("hvm", "vmlinuz", "initrd.gz", "console=hvc0 quiet dirty=500", 128,
                        NATIVE_TSC + EMULATED),
    # hvmloader's place is the stepper's: it starts as that does.
    "stepper-hvm": Kind("hvm", "", "", "", 32,
                        f'firmware_override = "{SHELF}/stepper-pvh.elf"\n' + EMULATED),
    "beater":      Kind("hvm", "", "", "", 32, EMULATED + 'boot = "c"\n', "beater.img"),
    "linux-pv":    Kind("pv", "vmlinux", "initrd.gz", "console=hvc0 quiet dirty=500", 128),
}


# Its arguments are a port, then in turn what is waited for and what is typed then.  It tells of what it
# reads at once: it may be ended before it has heard all.
HEAR = """import os, re, sys
port, said = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), b""
for pattern, typed in zip(sys.argv[2::2], sys.argv[3::2]):
    while not (match := re.search(pattern.encode(), said)):
        more = os.read(port, 4096)
        os.write(1, more)
        said += more
    said = said[match.end():]
    os.write(port, typed.encode())
"""


def images():
    """Where lab/guests leaves them; WHERRY_GUESTS names another place."""
    return pathlib.Path(os.environ.get("WHERRY_GUESTS") or paths.TREE / "build" / "lab" / "guests")


def config(kind, name, memory=None, vcpus=1, command_line=None, more=""):
    """The text of an xl.cfg; `more` is lines of its own (disk, vif, ...)."""
    kind = KINDS[kind]
    lines = [f'name = "{name}"', f'type = "{kind.type}"', f"memory = {memory or kind.memory}",
             f"vcpus = {vcpus}"]
    if kind.kernel:
        lines += [f'kernel = "{SHELF}/{kind.kernel}"',
                  f'cmdline = "{command_line or kind.command_line}"']
    if kind.ramdisk:
        lines.append(f'ramdisk = "{SHELF}/{kind.ramdisk}"')
    if kind.disk:
        lines.append(f'disk = [ "format=raw,vdev=hda,access=rw,target=/root/{name}.img" ]')
    return "\n".join(lines) + "\n" + kind.more + more


def shelve(host, kind):
    """Puts the kind's images into the host, once as long as it runs."""
    kind = KINDS[kind]
    files = [kind.kernel, kind.ramdisk, kind.disk, *re.findall(rf"{SHELF}/([\w.-]+)", kind.more)]
    wanted = [name for name in files if name and name not in host.shelf()]
    if wanted:
        host.put(*(images() / name for name in wanted), to=SHELF)
        host.shelf().update(wanted)


def gist(said):
    """Without the most of a stepper's steps."""
    return re.sub(r"((?:^step \d+ ok.*\n){2})(?:^step \d+ ok.*\n)+(?=^step \d+ ok)", r"\1...\n", said,
                  flags=re.M)


class Guest:
    """A domain by its name, wherever it is: `host` may be set to where it has gone."""

    def __init__(self, host, name, config_path=None):
        self.host, self.name, self.config_path = host, name, config_path

    def __repr__(self):
        return f"guest {self.name} on {self.host}"

    @property
    def domid(self):
        """None when the host has no such domain."""
        return self.host.domains().get(self.name)

    def console(self):
        """All that it has said since the host came up, by every domain of that name; one that arrives is
        called NAME--incoming when its log begins."""
        log = f"/var/log/xen/console/guest-{self.name}"
        return self.host.run(f"cat {log}.log {log}--incoming.log 2>/dev/null", check=False).out

    def hear(self, *turns, timeout=120):
        """What it says on its first serial port from now on: until the pattern is in it, or, of more turns,
        a pattern, what is typed then, the next pattern, ...; or until the time has passed."""
        tty = f"$(xenstore-read /local/domain/{self.domid}/serial/0/tty)"
        words = " ".join(map(shlex.quote, ["python3", "-c", HEAR])) + f" {tty} "
        words += " ".join(map(shlex.quote, [*turns, ""]))
        return self.host.run(f"timeout {timeout} {words}; true", timeout=timeout + 60).out

    def wait_for(self, pattern, timeout=60, after=0):
        """The match of what the guest says, beyond that many characters of its console."""
        deadline = time.monotonic() + timeout
        while True:
            said = self.console()
            match = re.compile(pattern, re.M).search(said, after)
            if match:
                return match
            if time.monotonic() > deadline:
                raise AssertionError(f"{self} did not say {pattern!r} in {timeout} s, but:\n"
                                     f"{gist(said[after:])[-2000:]}")
            time.sleep(0.2)

    def destroy(self):
        self.host.xl("destroy", self.name, check=False)


def create(host, kind, name=None, by="xl", paused=False, **how):
    """A new domain of the kind, made by xl or by wherry from /root/NAME.cfg."""
    shelve(host, kind)
    name = name or kind
    path = f"/root/{name}.cfg"
    host.write(path, config(kind, name, **how))
    if KINDS[kind].disk:
        host.run(["cp", f"{SHELF}/{KINDS[kind].disk}", f"/root/{name}.img"])
    tool = {"xl": host.xl, "wherry": host.wherry}[by]
    tool("create", *(["-p"] if paused else []), path)
    return Guest(host, name, path)
