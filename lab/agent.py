# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands in a host without a new connection for each: a program there takes them from its standard
input, one JSON object a line, runs them and answers.  Through ssh a command costs the emulated host a
third of a second, through this a few hundredths."""

import base64
import json
import os
import select
import subprocess
import tempfile
import threading
import time

from . import reach

THERE = r"""
import base64, json, os, signal, subprocess, sys, tempfile
open("/proc/self/comm", "w").write("lab-agent")
for line in sys.stdin.buffer:
    ask = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, \
         tempfile.TemporaryFile() as given:
        given.write(base64.b64decode(ask["input"] or ""))
        given.seek(0)
        there = subprocess.Popen(["sh", "-c", ask["text"]], stdout=out, stderr=err,
                                 stdin=subprocess.DEVNULL if ask["input"] is None else given,
                                 start_new_session=True)
        try:
            code = there.wait(ask["timeout"])
        except subprocess.TimeoutExpired:
            code = 124
            os.killpg(there.pid, signal.SIGTERM)
            try:
                there.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(there.pid, signal.SIGKILL)
                try:
                    there.wait(5)
                except subprocess.TimeoutExpired:
                    pass                # the kernel holds it
        out.seek(0), err.seek(0)
        answer = {"code": code if code >= 0 else 128 - code,
                  "out": base64.b64encode(out.read()).decode(),
                  "err": base64.b64encode(err.read()).decode()}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
"""


class Gone(OSError):
    """The agent cannot be reached any more; nothing is known of the command."""


class Agent:
    """One connection; one command at a time."""

    def __init__(self, spec):
        self.said = tempfile.TemporaryFile()  # pylint: disable=R1732
        self.process = subprocess.Popen(  # pylint: disable=R1732
            [*reach.ssh(spec), reach.quoted(["python3", "-ESsuc", THERE])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said)
        self.left = b""

    def alive(self):
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout, self.said):
            file.close()

    def ask(self, text, timeout, given):
        """Its outputs as bytes, and its exit status as a shell would say it."""
        words = {"text": text, "timeout": timeout,
                 "input": None if given is None else base64.b64encode(given).decode()}
        try:
            self.process.stdin.write(json.dumps(words).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.line(time.monotonic() + timeout + 60))
        except (OSError, ValueError) as error:
            self.said.seek(0)
            said = self.said.read().decode(errors="replace").strip() or str(error)
            self.close()
            raise Gone(said) from error
        return (base64.b64decode(answer["out"]), base64.b64decode(answer["err"]), answer["code"])

    def line(self, deadline):
        while b"\n" not in self.left:
            ready, _, _ = select.select([self.process.stdout], [], [],
                                        max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("it does not answer")
            if not (some := os.read(self.process.stdout.fileno(), 1 << 16)):
                raise ConnectionError("its connection was closed")
            self.left += some
        line, self.left = self.left.split(b"\n", 1)
        return line


class Pool:
    """As many agents as commands run at one time, all of one life of the host."""

    def __init__(self):
        self.lock = threading.Lock()
        self.idle = []
        self.turn = 0

    def ask(self, spec, turn, *what):
        agent = self.take(spec, turn)
        answer = agent.ask(*what)
        with self.lock:
            if turn == self.turn:
                self.idle.append(agent)
                return answer
        agent.close()
        return answer

    def take(self, spec, turn):
        with self.lock:
            stale = self.idle if turn != self.turn else [a for a in self.idle if not a.alive()]
            self.idle = [agent for agent in self.idle if agent not in stale]
            self.turn = turn
            found = self.idle.pop() if self.idle else None
        for agent in stale:
            agent.close()
        return found or Agent(spec)
