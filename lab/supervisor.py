# SPDX-License-Identifier: LGPL-2.1-or-later
"""The process that owns one host: QEMU, the kept ssh connection, the files.

    SIGHUP            start again, from nothing or from the saved state
    SIGTERM           end, and remove all
    end of stdin      the same, when tied: the other end is held by the run that started the host

Its children die with it, so that even SIGKILL leaves no process.  What it knows stands in the
folder's `status`: booting or loading, reaching, naming, ready, failed (with why)."""

import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

from . import build, locked, paths, qemu, reach, state

LIMIT_SECONDS = 180


class Supervisor:
    def __init__(self, folder, tied):
        self.folder = pathlib.Path(folder)
        self.spec = json.loads((self.folder / "spec.json").read_text())
        self.tied = tied
        self.turn = 0
        self.phase = None
        self.qemu = self.master = self.namer = None
        self.begun = 0.0
        self.wanted = set()
        self.wake, waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(waker)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda which, _frame: self.wanted.add(which))

    def run(self):
        try:
            self.begin()
            while not self.ending():
                if signal.SIGHUP in self.wanted:
                    self.wanted.discard(signal.SIGHUP)
                    self.stop()
                    self.begin()
                self.step()
        finally:
            self.stop()
            self.leave()

    def ending(self):
        """Waits a little, or until something happens; whether it is the end."""
        waiting = self.phase not in ("ready", "failed")
        fds = [self.wake] + ([0] if self.tied else [])
        ready, _, _ = select.select(fds, [], [], 0.05 if waiting else 5)
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 100)
        orphaned = self.tied and 0 in ready and not os.read(0, 1)
        return orphaned or bool({signal.SIGTERM, signal.SIGINT} & self.wanted)

    # What a host goes through.

    def begin(self):
        self.turn += 1
        self.begun = time.monotonic()
        try:
            self.start()
        except (OSError, subprocess.SubprocessError) as error:
            self.enter("failed", str(error))

    def start(self):
        for name in ("disk", "serial.log", "pushed"):
            (self.folder / name).unlink(missing_ok=True)
        saved = self.spec["state"]
        if saved:
            shutil.copy(f"{saved}/disk", self.folder / "disk")
        else:
            state.overlay(self.spec["image"], self.folder / "disk")
        arguments = qemu.machine(self.spec["options"], self.spec["image"]) + qemu.world(
            self.folder / "disk", self.spec["sockets"], self.folder / "serial.log",
            f"tcp:{reach.address(self.spec)}:{qemu.SSH_PORT}-:22",
            qemu.link(self.spec["net"], self.spec["name"]))
        if saved:
            arguments += ["-incoming", f"exec:zstd -dcq {saved}/memory"]
        with self.log() as log:
            self.qemu = qemu.start(arguments, log, locked.library())
        self.enter("loading" if saved else "booting")

    def step(self):
        if self.phase in ("failed", None):
            return
        if self.qemu.poll() is not None:
            self.fail(f"QEMU ended with {self.qemu.returncode}")
        elif self.phase != "ready" and time.monotonic() - self.begun > LIMIT_SECONDS:
            self.fail(f"still {self.phase} after {LIMIT_SECONDS} s")
        elif self.phase == "booting":
            if qemu.READY in state.serial_of(self.folder):
                self.enter("reaching")
        elif self.phase == "loading":
            # QEMU takes connections before the host can: those would wait in vain.
            if qemu.go(f"{self.spec['sockets']}.qmp"):
                self.enter("reaching")
        else:
            self.keep_connection()
            self.keep_naming()

    def keep_connection(self):
        if self.master is None or self.master.poll() is not None:
            # One that was killed has left it.
            pathlib.Path(f"{self.spec['sockets']}.ssh").unlink(missing_ok=True)
            with self.log() as log:
                log.write(f"{time.strftime('%T')} {self.phase}: connecting\n".encode())
                log.flush()
                self.master = subprocess.Popen(
                    reach.master(self.spec), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    preexec_fn=qemu.die_with_parent)
        elif self.phase == "reaching" and os.path.exists(f"{self.spec['sockets']}.ssh"):
            self.namer = os.fork()
            if self.namer == 0:
                self.name_and_leave()
            self.enter("naming")

    def keep_naming(self):
        if self.phase != "naming":
            return
        pid, status = os.waitpid(self.namer, os.WNOHANG)
        if pid:
            self.namer = None
            if status == 0:
                self.enter("ready")
            else:
                self.fail("the host did not take its name or our build")

    def name_and_leave(self):
        """In a child, so that nothing it waits for keeps the supervisor from its duty."""
        code = 1
        try:
            qemu.die_with_parent()
            name = ["lab-name", self.spec["name"], str(self.spec["number"]), str(time.time())]
            with self.log() as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
                subprocess.run([*reach.ssh(self.spec), *name], stdin=subprocess.DEVNULL, check=True,
                               timeout=120)
                build.push(self.spec)
            code = 0
        except (OSError, subprocess.SubprocessError) as error:
            with self.log() as log:
                log.write(f"{error}\n".encode())
        finally:
            os._exit(code)

    def fail(self, why):
        self.stop()
        self.enter("failed", why)

    def enter(self, phase, why=""):
        self.phase = phase
        said = {"phase": phase, "why": why, "turn": self.turn,
                "pid": os.getpid(), "qemu": self.qemu and self.qemu.pid,
                "seconds": round(time.monotonic() - self.begun, 1)}
        new = self.folder / "status.new"
        new.write_text(json.dumps(said))
        new.rename(self.folder / "status")

    # The end of it.

    def stop(self):
        """Ends the children; the host's files stay, for whoever asks why."""
        if self.namer:
            os.kill(self.namer, signal.SIGKILL)
            os.waitpid(self.namer, 0)
            self.namer = None
        for process in (self.master, self.qemu):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.master = None
        for end in ("ssh", "qmp", "console"):
            pathlib.Path(f"{self.spec['sockets']}.{end}").unlink(missing_ok=True)

    def leave(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        # The last host to leave finds these empty; while another is being brought up they stay.
        with paths.locked_folder(self.folder.parent, wait=False) as held:
            with contextlib.suppress(OSError):
                if held:
                    pathlib.Path(self.spec["sockets"]).parent.rmdir()
                    (self.folder.parent / "lab.json").unlink(missing_ok=True)
                    self.folder.parent.rmdir()

    def log(self):
        return open(self.folder / "log", "ab")


if __name__ == "__main__":
    Supervisor(sys.argv[1], tied="--tied" in sys.argv[2:]).run()
