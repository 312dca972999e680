# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moves between two real Xen hosts that are killed, stopped or cut off at each of their steps: the guest
never runs twice, before the commit it runs on at its source, and `wherry recover` settles the rest.

`make lab-sweep` (WHERRY_SWEEP=all) tries every step with every fault; `make check` those below."""

import json
import os
import time

import pytest

from moving import (ARRIVING, BEHIND, DEADLINE, LEAVING, ends, kill, never_twice, places,
                    recover, settle, stop_source, wait_gone, write_ssh_at)
from saving import SHELL, USAGE, goes_on, left

ALL = os.environ.get("WHERRY_SWEEP") == "all"


def start(here, there, name, step):
    """A move of which the target is to stop at a step."""
    for host in (here, there):
        host.refresh()
    here.write("/run/stop-at", step)
    here.run(f"wherry migrate -s /run/ssh-at {name} {there.name} >/run/said 2>&1 &")


def stopped(here, host, timeout=240):
    """The wherry that stands still there; None: it came to its end without."""
    deadline = time.monotonic() + timeout
    begun = False
    while time.monotonic() < deadline and here.run("pgrep -f '[w]herry migrate -s'", check=False).out:
        lines = host.run("ps -eo pid,stat,args | grep '[w]herry migrate-receive' | grep -v WHERRY",
                         check=False).out.splitlines()
        begun = begun or bool(lines)
        for line in lines:
            pid, state = line.split()[:2]
            if state.startswith("T"):
                return int(pid)
        if begun and not lines:
            return None
        time.sleep(0.2)
    return None


def kill_the_source(guest, session_lab, step):
    here, there = ends(guest, session_lab)
    pid, came = stop_source(here, there, guest.name, step)
    assert came, here.read("/run/wherry-said")
    kill(here, pid)
    wait_gone(there, "wherry migrate-receive")
    never_twice(here, there, guest.name)
    settle(here, there, guest)
    if step not in BEHIND:
        assert guest.host == here


def kill_the_target(guest, session_lab, step):
    here, there = ends(guest, session_lab)
    start(here, there, guest.name, step)
    pid = stopped(here, there)
    assert pid, (here.read("/run/said"), there.run("ps -eo pid,stat,args").out)
    kill(there, pid)
    wait_gone(here, "wherry migrate -s", timeout=150)
    never_twice(here, there, guest.name)
    settle(here, there, guest)
    if step not in ("let the guest run", "wait for the goodbye"):
        assert guest.host == here


@pytest.mark.parametrize("step", LEAVING)
def test_the_source_is_killed(moving, session_lab, step):
    kill_the_source(moving, session_lab, step)


@pytest.mark.parametrize("step", ARRIVING)
def test_the_target_is_killed(moving, session_lab, step):
    kill_the_target(moving, session_lab, step)


def test_nobody_else_works_on_a_guest_that_moves(moving, session_lab):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, "copy the running guest")
    assert came, here.read("/run/wherry-said")
    for words in (["migrate", "-s", "/run/ssh-at", moving.name, there.name],
                  ["save", "--live", "--checkpoint", moving.name, "/root/mover.save"],
                  ["recover", moving.name], ["unpause", moving.name]):
        said = here.wherry(*words, check=False, timeout=120)
        assert said.code == USAGE and "a move is under way already" in said.err, (words, said.out, said.err)
    assert here.wherry("recover").out.strip() == "nothing to recover"
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate -s", timeout=240)
    wait_gone(there, "wherry migrate-receive")
    assert never_twice(here, there, moving.name) == [there], here.read("/run/wherry-said")
    settle(here, there, moving)


# Of a guest with a QEMU, which is restricted.
HVM_LEAVING = ["wait until it runs there", "copy the running guest", "copy the suspended guest",
               "stop the emulated devices", "destroy the copy here"]
HVM_ARRIVING = ["wait to be told to run it", "fill the guest's memory", "let the guest run"]


@pytest.mark.parametrize("step", HVM_LEAVING if ALL else HVM_LEAVING[:1])
def test_the_source_of_an_hvm_guest_is_killed(moving_hvm, session_lab, step):
    kill_the_source(moving_hvm, session_lab, step)


@pytest.mark.parametrize("step", HVM_ARRIVING if ALL else HVM_ARRIVING[:1])
def test_the_target_of_an_hvm_guest_is_killed(moving_hvm, session_lab, step):
    kill_the_target(moving_hvm, session_lab, step)


def locks(host, path):
    """Whether anybody (a guest's QEMU) has a lock of the file."""
    inode = host.run(f"stat -c %i {path}").out.strip()
    return [line for line in host.read("/proc/locks").splitlines()
            if "OFDLCK" in line and line.split()[5].endswith(":" + inode)]


DISK = "/images/locked.img"


@pytest.fixture(name="locked")
def fixture_locked(session_lab):
    """An HVM guest with a disk that its QEMU locks; on shared storage both hosts would see the lock."""
    a, b = session_lab.hosts(2)
    for host in (a, b):
        write_ssh_at(host)
        host.run(f"truncate -s 4M {DISK}")
    guest = a.guest("stepper-hvm", by="wherry", name="locked",
                    more=f"""disk = [ "format=raw,vdev=hda,access=rw,target={DISK}" ]\n""")
    guest.wait_for(r"^step \d+ ok", timeout=200)
    yield guest
    for host in (a, b):
        host.wherry("destroy", guest.name, check=False)
        host.run(f"rm -f {DISK} /var/lib/wherry/jobs/*", check=False)


def test_a_disk_is_one_qemus_at_a_time(locked, session_lab):
    here, there = ends(locked, session_lab)
    assert locks(here, DISK) != []
    pid, came = stop_source(here, there, locked.name, "wait until the other host has all of it")
    assert came, here.read("/run/wherry-said")
    there.run("until grep -q '\"state\":\"ready\"' /var/lib/wherry/jobs/receive-*; do sleep 0.1; done", timeout=120)
    # Suspended here and whole there, and neither's yet.
    assert locks(here, DISK) == [] and locks(there, DISK) == []
    kill(here, pid)
    wait_gone(there, "wherry migrate-receive", timeout=DEADLINE)
    recover(here)
    assert settle(here, there, locked) == here
    assert locks(here, DISK) != [] and locks(there, DISK) == []
    here.wherry("migrate", "-s", "/run/ssh-at", locked.name, there.name, timeout=300)
    locked.host = there
    goes_on(locked)
    assert locks(here, DISK) == [] and locks(there, DISK) != []


CUT = ["copy the running guest", "copy the suspended guest", "wait until the other host has all of it",
       "wait until it runs there", "say goodbye"]


@pytest.mark.parametrize("step", LEAVING if ALL else CUT)
def test_the_link_is_cut(moving, session_lab, step):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, step)
    assert came, here.read("/run/wherry-said")
    there.link(False)
    try:
        here.run(f"kill -CONT {pid}")
        wait_gone(here, "wherry migrate -s", timeout=240)
        running = never_twice(here, there, moving.name)
        # At these it stood, and then went on: what it waited for had come, or not.
        if step in ["wait until the other host has all of it", "hand it over"]:
            assert running in ([here], [])
        elif step not in BEHIND:
            assert running == [here]
        wait_gone(there, "wherry migrate-receive", timeout=DEADLINE)
        never_twice(here, there, moving.name)
    finally:
        there.link(True)
    settle(here, there, moving)


STALLED = ["fill the guest's memory", "wait to be told to run it"]


@pytest.mark.parametrize("step", ARRIVING if ALL else STALLED)
def test_the_target_stands_still_for_longer_than_it_may(moving, session_lab, step):
    here, there = ends(moving, session_lab)
    start(here, there, moving.name, step)
    pid = stopped(here, there)
    assert pid, (here.read("/run/said"), there.run("ps -eo pid,stat,args").out)
    # It holds its record: the source asks for a while, and is told that it is not settled.
    wait_gone(here, "wherry migrate -s", timeout=240)
    never_twice(here, there, moving.name)
    there.run(f"kill -CONT {pid}")
    wait_gone(there, "wherry migrate-receive", timeout=DEADLINE)
    never_twice(here, there, moving.name)
    settle(here, there, moving)


@pytest.mark.parametrize("step", LEAVING if ALL else ["copy the running guest", "wait until it runs there"])
def test_the_source_stands_still_for_longer_than_it_may(moving, session_lab, step):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, step)
    assert came, here.read("/run/wherry-said")
    wait_gone(there, "wherry migrate-receive", timeout=DEADLINE + 60)
    never_twice(here, there, moving.name)
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate -s", timeout=240)
    never_twice(here, there, moving.name)
    settle(here, there, moving)


def test_a_target_that_is_off_is_waited_for_until_it_is_said_to_be_fenced(moving, session_lab):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, "wait until it runs there")
    assert came, here.read("/run/wherry-said")
    there.link(False)
    try:
        kill(here, pid)
        said = recover(here)
        assert "--fenced" in said.out, (said.out, said.err)
        assert never_twice(here, there, moving.name) == []
        said = recover(here, moving.name + "--migratedaway")
        assert said.code != 0 and "may run on the host" in said.err, (said.out, said.err)
        wait_gone(there, "wherry migrate-receive", timeout=150)
        said = recover(here, "--fenced", there.name)
        assert said.code == 0 and never_twice(here, there, moving.name) == [here], (said.out, said.err)
    finally:
        there.link(True)
    settle(here, there, moving)
    assert moving.host == here


def listen(host):
    """Where a receiver waits for one caller."""
    host.refresh()
    address = host.run(f"getent hosts {host.name}").out.split()[0]
    host.run(f"wherry migrate-receive --listen tcp:{address}:7000 >/run/listens 2>&1 &")
    host.run("until grep -q ':1B58 00000000:0000 0A' /proc/net/tcp; do sleep 0.1; done", timeout=20)
    return f"tcp:{address}:7000"


def test_who_listens_is_asked_when_the_link_is_lost(moving, session_lab):
    """The target gives up before the commit comes, and has hung up: it is asked over a new link."""
    here, there = ends(moving, session_lab)
    before = {host: set(left(host)) for host in (here, there)}     # what earlier moves are asked of
    at = listen(there)
    here.refresh()
    pid, state = here.run(SHELL + f'hold "wait until it runs there" migrate {moving.name} {at}\n'
                          'echo "$pid $state"', timeout=300).out.split()[-2:]
    assert state == "T", here.read("/run/wherry-said")
    job, = json.loads(here.wherry("jobs", "--json").out)
    there.run(f"until grep -q aborted /var/lib/wherry/jobs/receive-{job['job']}*; do sleep 0.2; done", timeout=60)
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate ")
    assert "has not taken the guest" in here.read("/run/wherry-said")
    wait_gone(there, "wherry migrate-receive")
    assert places(here, there, name=moving.name) == ([here], [])
    goes_on(moving)
    for host in (here, there):
        assert set(left(host)) <= before[host], host.read("/run/listens" if host == there else "/run/wherry-said")


def test_it_moves_to_who_listens(moving, session_lab):
    here, there = ends(moving, session_lab)
    before = {host: set(left(host)) for host in (here, there)}
    at = listen(there)
    here.wherry("migrate", moving.name, at, timeout=300)
    wait_gone(there, "wherry migrate-receive")
    assert places(here, there, name=moving.name) == ([there], [])
    moving.host = there
    goes_on(moving)
    assert all(set(left(host)) <= before[host] for host in (here, there))
