# SPDX-License-Identifier: LGPL-2.1-or-later
"""One QEMU that runs Xen: its command line, its monitor, and that it dies with who started it."""

import contextlib
import ctypes
import json
import os
import re
import signal
import socket
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1

# What the emulated processor (QEMU 7.2) must not have:
#   smap, smep  a PV dom0 crashes in its first instructions
#   rdtscp      a PVH guest is killed: Xen cannot tell how long the instruction is, as TCG's SVM does
#               not say where the next one begins
#   avx, mpx    while a guest boots that uses them (a PVH Linux, about one boot in two), an XRSTOR of
#               Xen's is refused with #GP and it resets the other guest's SSE and x87 registers.  With
#               SSE alone: none in 35 boots
CPU = {"tcg": "max,-smap,-smep,-la57,-pku,-rdtscp,-avx,-avx2,-mpx", "kvm": "host"}
# An option: the processor has the one instruction that copies any length (erms), which the kernel and
# libc take for fast, and QEMU carries out byte by byte.
WORDWISE = ",-erms,-fsrm"
ACCEL = {"tcg": "tcg,thread=multi", "kvm": "kvm"}
# QEMU's memory is zero as it is: scrubbing would only touch all of it.  eager-fpu: a process of
# dom0 was seen to go on with stale xmm registers where Xen left their switch to a #NM trap, as it
# does on AMD (once in some thousands of processes, on an overloaded machine).
XEN = ("console=com1 com1=115200 dom0_mem={dom0},max:{dom0} loglvl=info guest_loglvl=info noreboot "
       "bootscrub=0 spec-ctrl=eager-fpu")
DOM0 = "console=hvc0 earlyprintk=xen quiet net.ifnames=0"
READY = b"lab host is ready"
NAMES = "abcd"
LINK_PORT = 4000
SSH_PORT = 2200


def kvm_nests():
    """Whether this machine's KVM can run a hypervisor in a guest, as far as it tells."""
    for module in ("kvm_amd", "kvm_intel"):
        with contextlib.suppress(OSError):
            with open(f"/sys/module/{module}/parameters/nested", encoding="ascii") as file:
                return file.read(1) in "1Y" and os.access("/dev/kvm", os.R_OK | os.W_OK)
    return False


def machine(options, image):
    """What makes the machine and what boots on it; a saved state fits these arguments only."""
    accel = options["accel"]
    wordwise = "" if options["erms"] or accel != "tcg" else WORDWISE
    return ["-machine", "q35", "-accel", ACCEL[accel], "-cpu", CPU[accel] + wordwise,
            "-smp", str(options["cpus"]), "-m", options["memory"],
            "-nodefaults", "-no-user-config", "-display", "none",
            "-kernel", f"{image}/xen", "-append", XEN.format(dom0=options["dom0"]),
            "-initrd", f"{image}/vmlinuz {DOM0},{image}/initrd",
            "-device", "virtio-blk-pci,drive=disk,addr=4",
            "-device", "virtio-net-pci,id=user-nic,netdev=user,mac=52:54:00:10:01:00,addr=5",
            "-device", "virtio-net-pci,id=link-nic,netdev=link,mac=52:54:00:10:00:00,addr=6"]


def world(disk, sockets, serial, forward, link):
    """What the machine is joined to, different for each host."""
    return ["-drive", f"id=disk,if=none,format=qcow2,file={disk},cache=unsafe,discard=unmap",
            "-netdev", f"user,id=user,hostfwd={forward}", *link,
            "-chardev", f"socket,id=console,path={sockets}.console,server=on,wait=off,"
                        f"logfile={serial}",
            "-serial", "chardev:console",
            "-qmp", f"unix:{sockets}.qmp,server=on,wait=off"]


def link(net, name):
    """The private network, by datagrams, so that a host can come and go: all others' are joined to
    a's, which is a hub."""
    def joined(netdev, peer):
        own, other = NAMES.index(name) + 1, NAMES.index(peer) + 1
        return ["-netdev", f"dgram,id={netdev},local.type=inet,local.host={net}.{own},"
                           f"local.port={LINK_PORT + other},remote.type=inet,"
                           f"remote.host={net}.{other},remote.port={LINK_PORT + own}"]

    if name != NAMES[0]:
        return joined("link", NAMES[0])
    arguments = ["-netdev", "hubport,id=link,hubid=1"]
    for peer in NAMES[1:]:
        arguments += [*joined(f"to-{peer}", peer),
                      "-netdev", f"hubport,id=hub-{peer},hubid=1,netdev=to-{peer}"]
    return arguments


def die_with_parent():
    """Runs in the child before exec: it ends when its starter does, however that ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(arguments, log, preload):
    return subprocess.Popen(["qemu-system-x86_64", *arguments], stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log, preexec_fn=die_with_parent,
                            env=dict(os.environ, LD_PRELOAD=str(preload)))


def version():
    text = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True,
                          check=True).stdout
    return re.search(r"version (.*)", text)[1]


class Monitor:
    """QMP, one command at a time."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("r", encoding="utf-8")
        self.answer()
        self.ask("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.file.close()
        self.socket.close()

    def answer(self):
        """The next line that is not an event."""
        for line in self.file:
            said = json.loads(line)
            if "event" not in said:
                return said
        raise OSError("QEMU closed its monitor")

    def ask(self, command, **arguments):
        request = json.dumps({"execute": command, "arguments": arguments})
        self.socket.sendall(request.encode())
        said = self.answer()
        if "error" in said:
            raise OSError(f"QEMU refuses {command}: {said['error']['desc']}")
        return said["return"]


def go(path):
    """Lets a machine go on that has loaded its state; False while it has not, or has no monitor."""
    try:
        with Monitor(path, timeout=5) as monitor:
            if monitor.ask("query-status")["status"] != "paused":
                return False
            monitor.ask("cont")
            return True
    except OSError:
        return False
