# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of migration share: where a guest is, and that it is in one place."""

import sys
import time

import pytest

from saving import SHELL, goes_on, left, stepper

# The steps of a move at its source.  Killed at one of the first it runs on there; from the others it may
# be the target's.
LEAVING = [
    "look at the domain",
    "ask what the guest needs",
    "reach the other host",
    "wait for the receiver",
    "ask whether the guest can go there",
    "look at the guest",
    "write what never changes",
    "wait until the other host is prepared",
    "keep note of what the guest writes to",
    "copy the running guest",
    "ask the guest to suspend",
    "wait until the guest has suspended",
    "copy the suspended guest",
    "wait until the other host has all of it",
    "hand it over",
    "wait until it runs there",
    "destroy the copy here",
    "list the devices",
    "remove the domain's files",
    "destroy the domain",
    "say goodbye",
]

# And at its target.
ARRIVING = [
    "greet the sender",
    "hear what the sender wants",
    "ask what the host has",
    "look for the guest's name",
    "receive the guest",
    "make the domain",
    "fill the guest's memory",
    "set the processors",
    "connect the devices",
    "introduce the domain to xenstore",
    "make the console",
    "store the configuration",
    "wait to be told to run it",
    "let the guest run",
    "wait for the goodbye",
]

# From here on the source does not let it run by itself.
BEHIND = LEAVING[LEAVING.index("wait until it runs there"):]

# What the link's ends are given to notice, and a little more.
DEADLINE = 60

# What neither comes to where all goes well, or that a guest without devices has no need of.
ASIDE = [
    "answer what became of a move",
    "ask for the device model",
    "ask the other host",
    "ask the other host how it ended",
    "compare the processors",
    "give the guest its name",
    "hear who asks",
    "hear why",
    "look at what was left",
    "look for the guest's disks",
    "look for the guest's networks",
    "read the guest's configuration",
    "send all pages again, to be compared",
    "settle a move",
    "tell the other host",
    "tell the sender",
    "wait for a sender",
    "wait to be asked how it ended",
    "wait until the guest can be let run",
]

# Where what is asked of the target stops: the first wherry that runs there, once.
AT = r"""#!/bin/sh
host=$1; shift
step=$(cat /run/stop-at 2>/dev/null); rm -f /run/stop-at
exec ssh -o ServerAliveInterval=5 -o ServerAliveCountMax=3 "$host" "WHERRY_STOP_AT=\"$step\"" "$@"
"""


def write_ssh_at(host):
    host.write("/run/ssh-at", AT)
    host.run("chmod +x /run/ssh-at")


def make_mover(session_lab, make):
    """One guest for all tests of a file, wherever the last one has left it."""
    a, b = session_lab.hosts(2)
    for host in (a, b):
        write_ssh_at(host)
    guest = make(a)
    yield guest
    guest.host.wherry("destroy", guest.name, check=False)
    for host in (a, b):
        host.run(f"rm -f /root/* /var/lib/wherry/jobs/* /run/ssh-at /var/log/xen/console/guest-{guest.name}*",
                 check=False)


def kept(session_lab, guest, request):
    """For one test; after one that failed the next finds it running somewhere, if that can be had."""
    yield guest
    if not request.node.stash.get(sys.modules["conftest"].FAILED, False):
        return
    a, b = session_lab.hosts(2)
    for host in (a, b):
        host.link(True)
        host.run("pkill -9 -f '[w]herry migrate'; rm -f /run/stop-at; tc qdisc del dev eth1 root 2>/dev/null",
                 check=False)
    for host, other in ((a, b), (b, a)):
        wait_gone(host, "wherry migrate")
        host.wherry("recover", "--fenced", other.name, check=False, timeout=300)
    guest.host = (places(a, b, name=guest.name)[0] or [guest.host])[0]


@pytest.fixture(name="mover", scope="module")
def fixture_mover(session_lab):
    yield from make_mover(session_lab, lambda host: stepper(host, by="wherry", name="mover"))


@pytest.fixture(name="hvm_mover", scope="module")
def fixture_hvm_mover(session_lab):
    def make(host):
        guest = host.guest("stepper-hvm", by="wherry", name="hvm-mover", more="dm_restrict = 1\n")
        guest.wait_for(r"^step \d+ ok", timeout=200)
        return guest
    yield from make_mover(session_lab, make)


@pytest.fixture(name="moving")
def fixture_moving(session_lab, mover, request):
    yield from kept(session_lab, mover, request)


@pytest.fixture(name="moving_hvm")
def fixture_moving_hvm(session_lab, hvm_mover, request):
    yield from kept(session_lab, hvm_mover, request)


def ends(guest, session_lab):
    """Where it is, and where it is to go."""
    here = guest.host
    there, = (host for host in session_lab.hosts(2) if host != here)
    return here, there


def stop_source(here, there, name, step):
    """A move that stands at the step; whether it came to it."""
    here.refresh()
    said = here.run(SHELL + f'hold "{step}" migrate -s /run/ssh-at {name} {there.name}\n'
                    'echo "$pid $state"', timeout=300)
    pid, state = said.out.split()[-2:]
    return int(pid), state == "T"


def recover(host, *words):
    """With a quarter of the patience for a host that does not answer."""
    return host.run(["env", "WHERRY_HURRY=4", "wherry", "recover", *words], check=False, timeout=300)


def places(*hosts, name):
    """The hosts where it runs, however it is called there; those where it stands still."""
    running, still = [], []
    for host in hosts:
        for line in host.xl("list").out.splitlines()[1:]:
            words = line.split()
            if words[0] in (name, name + "--incoming", name + "--migratedaway"):
                state = words[4]
                (still if "p" in state or "s" in state or "c" in state or "d" in state
                 else running).append(host)
    return running, still


def never_twice(here, there, name):
    running, _ = places(here, there, name=name)
    assert len(running) < 2, (here.xl("list").out, there.xl("list").out)
    return running


def kill(host, pid, timeout=60):
    """It is gone afterwards: until then it holds its record, and recover leaves that alone."""
    host.run(f"kill -9 {pid}; while [ -e /proc/{pid} ]; do sleep 0.05; done", timeout=timeout)


def wait_gone(host, pattern, timeout=90):
    """Until no process of that command line is left."""
    deadline = time.monotonic() + timeout
    while host.run(f"pgrep -f '[{pattern[0]}]{pattern[1:]}'", check=False).out:
        assert time.monotonic() < deadline, host.run("ps -eo pid,stat,args").out
        time.sleep(0.3)


def settle(a, b, guest):
    """Recover on both, as an operator would; the guest then runs in one place, which its host is set to,
    and nothing is left but records for who might ask."""
    for host in (b, a, b):
        host.wherry("recover", timeout=300)
    running, still = places(a, b, name=guest.name)
    assert len(running) == 1 and still == [], (a.xl("list").out, b.xl("list").out)
    guest.host = running[0]
    goes_on(guest)
    for host in (a, b):
        kept = [line for line in left(host) if "/jobs/receive-" not in line]
        assert kept == [], (host, kept)
    return guest.host
