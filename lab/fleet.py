# SPDX-License-Identifier: LGPL-2.1-or-later
"""The hosts of one user: brought up, found again, reset, taken down."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

from . import image, paths, qemu, state
from .host import Host

# One processor: with two, QEMU's emulation of SVM goes wrong every few minutes of guests' running.
# Seen were a guest whose VMCB held the hypervisor's own state (rip, cr3, gdt: a triple fault), and a
# processor that took no interrupt any more.  With one: nothing in a quarter of an hour of the same.
DEFAULTS = {"memory": "2560M", "dom0": "1G", "cpus": 1, "accel": "tcg", "erms": False,
            "fresh": False}


class Fleet:
    """The hosts under one folder.  With a lifeline (the read end of a pipe) they end when its other
    end is closed, which its holder's death does."""

    def __init__(self, folder=None, lifeline=None):
        self.folder = pathlib.Path(folder or paths.running()).absolute()
        self.lifeline = lifeline

    def up(self, count, tell=lambda text: None, **chosen):
        """The first so many hosts, ready; those that run already with these options are kept."""
        if not 1 <= count <= len(qemu.NAMES):
            raise image.Error(f"a lab has 1 to {len(qemu.NAMES)} hosts, not {count}")
        options = {**DEFAULTS, **chosen}
        made = image.ensure(tell)
        saved = "" if options.pop("fresh") else str(state.ensure(options, made, tell))
        with paths.locked_folder(self.folder):
            self.clear_dead()
            common = {"image": str(made), "state": saved, "options": options, **self.place()}
            hosts = [self.start(number, common) for number in range(1, count + 1)]
        return [host.wait_ready() for host in hosts]

    def place(self):
        """Where this lab's sockets are and which addresses it has; the same for all its hosts."""
        path = self.folder / "lab.json"
        if not path.exists():
            path.write_text(json.dumps({"sockets": paths.short_folder(),
                                        "net": paths.free_net()}))
        return json.loads(path.read_text())

    def start(self, number, common):
        name = qemu.NAMES[number - 1]
        folder = self.folder / name
        spec = {**common, "name": name, "number": number, "folder": str(folder),
                "sockets": f"{common['sockets']}/{name}"}
        if folder.exists():
            host = Host(folder)
            if any(host.spec[name] != spec[name] for name in ("image", "options")):
                raise image.Error(f"{host} runs with other options or another image: "
                                  "take it down first")
            return host
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(spec))
        tied = ["--tied"] if self.lifeline is not None else []
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lab.supervisor", str(folder), *tied], cwd=paths.TREE,
                stdin=subprocess.DEVNULL if self.lifeline is None else self.lifeline,
                stdout=log, stderr=log, start_new_session=True)
        (folder / "pid").write_text(str(process.pid))
        return Host(folder)

    def hosts(self):
        return [Host(path.parent) for path in sorted(self.folder.glob("?/spec.json"))]

    def host(self, name):
        if not (self.folder / name / "spec.json").exists():
            raise image.Error(f"no host {name} is up")
        return Host(self.folder / name)

    def reset(self, host):
        """Starts it again as if new; host.wait_ready of what this returns tells when it is."""
        turn = host.status()["turn"] + 1
        if not self.signal(host, signal.SIGHUP):
            raise image.Error(f"{host} has lost its supervisor: take the lab down")
        return turn

    def down(self):
        """Ends all hosts; returns when nothing of them is left."""
        if not self.folder.exists():
            return
        leaving = [self.signal(host, signal.SIGTERM) for host in self.hosts()]
        deadline = time.monotonic() + 20
        while any(map(alive, leaving)) and time.monotonic() < deadline:
            time.sleep(0.02)
        with paths.locked_folder(self.folder):
            self.clear_dead()
            with contextlib.suppress(OSError):
                self.folder.rmdir()

    def clear_dead(self):
        """Removes what supervisors that were killed have left."""
        for host in self.hosts():
            if not host.supervisor():
                shutil.rmtree(host.folder, ignore_errors=True)
        place = self.folder / "lab.json"
        if place.exists() and not self.hosts():
            shutil.rmtree(json.loads(place.read_text())["sockets"], ignore_errors=True)
            place.unlink()

    @staticmethod
    def signal(host, number):
        pid = host.supervisor()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid


def alive(pid):
    """Whether the process is there and not only its name (a zombie)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
