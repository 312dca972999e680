# SPDX-License-Identifier: LGPL-2.1-or-later
"""One host as its users see it: run, put, get, read, write.  Every command has a timeout, and is
ended in the host too when it has passed."""

import dataclasses
import json
import os
import pathlib
import shlex
import subprocess
import tempfile
import time

from . import agent, build, guest, image, qemu, reach, vital

PATIENCE_SECONDS = 200
COPY_SECONDS = 600
# An emulated network moves a few MB/s: what is sent is packed.
PACKED = ("-I", "zstd -q -1", "-f", "-")


@dataclasses.dataclass
class Result:
    """What a command left: its outputs as text, its exit status."""
    out: str
    err: str
    code: int


class Failed(AssertionError):
    """A command ended otherwise than it had to."""

    def __init__(self, host, command, result):
        super().__init__(f"{host}: {reach.quoted(command)}: exit {result.code}\n"
                         f"{result.out}{result.err}")
        self.result = result


def ended(process):
    """The exit status of one that has no more to do; killed when it does not see that."""
    try:
        return process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


class Unreachable(OSError):
    """The command did not get to the host or its outcome back; nothing is known of either."""


class Dead(Unreachable):
    """The host itself hangs, or is gone."""


class Host:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.spec = json.loads((self.folder / "spec.json").read_text())
        self.name = self.spec["name"]
        self.shelved = (0, set())
        self.agents = agent.Pool()

    def __repr__(self):
        return f"host {self.name}"

    # Commands.

    def ssh(self, command, timeout=None):
        """The arguments that run the command here; it is ended there after the timeout."""
        text = reach.quoted(command)
        if timeout:
            text = f"exec timeout -k 5 {timeout} sh -c {shlex.quote(text)}"
        return [*reach.ssh(self.spec), text]

    def run(self, command, check=True, timeout=120, input=None):  # pylint: disable=W0622
        """Runs a string (by the host's shell) or a list of words; input is text or bytes."""
        if isinstance(input, str):
            input = input.encode()
        try:
            out, err, code = self.agents.ask(self.spec, self.status()["turn"],
                                             reach.quoted(command), timeout, input)
        except agent.Gone as error:
            said, dead = vital.signs(self)
            text = f"{self}: {reach.quoted(command)[-60:]}: {error}\n{said}"
            raise (Dead if dead else Unreachable)(text) from error
        result = Result(out.decode(errors="replace"), err.decode(errors="replace"), code)
        if check and result.code:
            raise Failed(self, command, result)
        return result

    def xl(self, *words, **how):
        return self.run(["xl", *words], **how)

    def wherry(self, *words, **how):
        self.refresh()
        return self.run(["wherry", *words], **how)

    def domains(self):
        """Names and numbers of the domains but dom0."""
        lines = [line.split() for line in self.xl("list").out.splitlines()[1:]]
        return {line[0]: int(line[1]) for line in lines if line[1] != "0"}

    # Guests.

    def guest(self, kind, **how):
        """A new one: guest.create's arguments."""
        return guest.create(self, kind, **how)

    def shelf(self):
        """Names of the guests' images that are in the host; empty again after a reset."""
        turn = self.status()["turn"]
        if self.shelved[0] != turn:
            self.shelved = (turn, set())
        return self.shelved[1]

    # Files.

    def put(self, *files, to):
        """Copies files and folders into the host's folder, which is made if it is not there."""
        tar = ["tar", "-cS", *PACKED]
        for path in map(lambda file: pathlib.Path(file).absolute(), files):
            tar += ["-C", str(path.parent), path.name]
        place = shlex.quote(str(to))
        unpack = self.ssh(f"mkdir -p {place} && tar -x --no-same-owner --zstd -f - -C {place}")
        self.pipe(tar, unpack, f"copying to {to}")

    def get(self, path, to):
        """Copies a file or a folder of the host into the folder here."""
        path = pathlib.PurePosixPath(path)
        pathlib.Path(to).mkdir(parents=True, exist_ok=True)
        pack = self.ssh(["tar", "-cS", *PACKED, "-C", str(path.parent), path.name])
        self.pipe(pack, ["tar", "-x", "--no-same-owner", "--zstd", "-f", "-", "-C", str(to)],
                  f"copying {path}")

    def pipe(self, first, second, what):
        with tempfile.TemporaryFile() as said:
            source = subprocess.Popen(first, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=said)
            try:
                sink = subprocess.run(second, stdin=source.stdout, stdout=said, stderr=said,
                                      timeout=COPY_SECONDS, check=False)
            finally:
                source.stdout.close()
                code = ended(source)
            said.seek(0)
            if code or sink.returncode:
                raise Failed(self, what, Result("", said.read().decode(errors="replace"),
                                                code or sink.returncode))

    def write(self, path, text):
        place = shlex.quote(str(path))
        self.run(f"mkdir -p \"$(dirname {place})\" && cat >{place}", input=text)

    def read(self, path):
        return self.run(["cat", str(path)]).out

    # Our build.

    def refresh(self):
        """Pushes our build when it has changed since it was pushed."""
        if build.stamp() != build.pushed(self.folder):
            build.push(self.spec)

    # Its life.

    def status(self):
        path = self.folder / "status"
        return json.loads(path.read_text()) if path.exists() else None

    def supervisor(self):
        """The number of the process that owns it, while that lives."""
        try:
            pid = int((self.folder / "pid").read_text())
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if os.fsencode(self.folder) in words else None

    def wait_ready(self, turn=1):
        seen = time.monotonic()
        deadline = seen + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            status = self.status()
            if status and status["turn"] >= turn and status["phase"] in ("ready", "failed"):
                break
            # One that was started this moment has no command line yet.
            if self.supervisor():
                seen = time.monotonic()
            elif time.monotonic() - seen > 2:
                raise image.Error(f"{self} has lost its supervisor\n{self.last_words()}")
            time.sleep(0.02)
        else:
            raise image.Error(f"{self} is not ready after {PATIENCE_SECONDS} s")
        if status["phase"] == "failed":
            raise image.Error(f"{self}: {status['why']}\n{self.last_words()}")
        return self

    def last_words(self):
        words = ""
        for name in ("serial.log", "log"):
            path = self.folder / name
            if path.exists():
                words += path.read_text(errors="replace")[-1500:]
        return words

    def monitor(self):
        return qemu.Monitor(f"{self.spec['sockets']}.qmp")

    def link(self, up):
        """This end of the link between hosts; what is sent while it is down is lost."""
        with self.monitor() as monitor:
            monitor.ask("set_link", name="link-nic", up=up)
