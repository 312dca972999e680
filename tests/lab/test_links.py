# SPDX-License-Identifier: LGPL-2.1-or-later
"""Moves over links that are slow, late or lose some of what is sent; that lose all of it one way; whose
connection is reset."""

import contextlib

import pytest

from moving import BEHIND, DEADLINE, ends, never_twice, places, settle, stop_source, wait_gone

BAD = {"late": "delay 200ms 50ms", "slow": "rate 16mbit", "losing some": "loss 1%"}

# One before the commit and one behind it.
STEPS = ["copy the running guest", "wait until it runs there"]


@contextlib.contextmanager
def suffers(what, *hosts):
    """What these send to other hosts."""
    for host in hosts:
        host.run(f"tc qdisc add dev eth1 root netem limit 10000 {what}")
    try:
        yield
    finally:
        for host in hosts:
            host.run("tc qdisc del dev eth1 root", check=False)


@pytest.mark.parametrize("kind", BAD)
def test_it_moves_over_a_link_that_is(moving, session_lab, kind):
    here, there = ends(moving, session_lab)
    with suffers(BAD[kind], here, there):
        here.wherry("migrate", moving.name, there.name, timeout=500)
        wait_gone(there, "wherry migrate-receive", timeout=60)
    assert places(here, there, name=moving.name) == ([there], [])
    assert settle(here, there, moving) == there


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("deaf", ["source", "target"])
def test_nothing_comes_through_to_the(moving, session_lab, deaf, step):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, step)
    assert came, here.read("/run/wherry-said")
    with suffers("loss 100%", there if deaf == "source" else here):
        here.run(f"kill -CONT {pid}")
        wait_gone(here, "wherry migrate -s", timeout=240)
        running = never_twice(here, there, moving.name)
        if step not in BEHIND:
            assert running == [here], here.read("/run/wherry-said")
        wait_gone(there, "wherry migrate-receive", timeout=2 * DEADLINE)
        never_twice(here, there, moving.name)
    settle(here, there, moving)


# The process that has the connection.
RESET = r"""
p=$(pgrep -of '[w]herry migrate-receive')
until [ "$p" = 1 ] || ps -o args= -p "$p" | grep -q '^sshd'; do p=$(ps -o ppid= -p "$p" | tr -d ' '); done
[ "$p" != 1 ] && kill -9 "$p"
"""


@pytest.mark.parametrize("step", STEPS)
def test_the_connection_is_reset(moving, session_lab, step):
    here, there = ends(moving, session_lab)
    pid, came = stop_source(here, there, moving.name, step)
    assert came, here.read("/run/wherry-said")
    there.run(RESET)
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate -s", timeout=240)
    running = never_twice(here, there, moving.name)
    if step not in BEHIND:
        assert running == [here], here.read("/run/wherry-said")
    wait_gone(there, "wherry migrate-receive", timeout=DEADLINE)
    settle(here, there, moving)
