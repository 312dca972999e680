# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host that is lost in the middle of a move, with all that its disk knew: the guest lives on where it
is, or nowhere twice; and who moves it is told."""

import pytest

from moving import LEAVING, kill, places, recover, settle, stop_source, wait_gone, write_ssh_at
from saving import goes_on, left, stepper


@pytest.fixture(name="guest")
def fixture_guest(lab):
    for host in lab.hosts(2):
        write_ssh_at(host)
    return stepper(lab.hosts(2)[0], by="wherry", name="lost")


def lose(lab, host):
    """As if its power had failed, and with another disk after that."""
    host.wait_ready(lab.fleet.reset(host))


def held(guest, there, step):
    pid, came = stop_source(guest.host, there, guest.name, step)
    assert came, guest.host.read("/run/wherry-said")
    return pid


@pytest.mark.parametrize("step", ["copy the running guest", "wait until the other host has all of it"])
def test_a_target_that_is_lost_before_the_commit_costs_nothing(lab, guest, step):
    here, there = lab.hosts(2)
    pid = held(guest, there, step)
    lose(lab, there)
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate -s", timeout=240)
    assert places(here, there, name=guest.name) == ([here], []), here.read("/run/wherry-said")
    assert settle(here, there, guest) == here


def test_a_target_that_is_lost_behind_the_commit_is_told_of_and_fenced(lab, guest):
    here, there = lab.hosts(2)
    pid = held(guest, there, "wait until it runs there")
    lose(lab, there)
    here.run(f"kill -CONT {pid}")
    wait_gone(here, "wherry migrate -s", timeout=240)
    # The host is there and knows nothing of a move: that is no word that the guest does not run.
    assert places(here, there, name=guest.name)[0] == []
    said = recover(here)
    assert "--fenced" in said.out + said.err, (said.out, said.err)
    assert places(here, there, name=guest.name)[0] == []
    said = recover(here, "--fenced", there.name)
    assert said.code == 0, (said.out, said.err)
    assert settle(here, there, guest) == here


def test_of_a_source_that_is_lost_before_the_commit_the_target_keeps_nothing(lab, guest):
    here, there = lab.hosts(2)
    held(guest, there, "copy the running guest")
    lose(lab, here)
    wait_gone(there, "wherry migrate-receive", timeout=150)
    assert places(here, there, name=guest.name) == ([], [])
    there.wherry("recover")
    assert left(there) == []


@pytest.mark.parametrize("step", LEAVING[LEAVING.index("wait until it runs there") + 1:][::3])
def test_a_guest_runs_on_when_its_old_host_is_lost_behind_the_commit(lab, guest, step):
    here, there = lab.hosts(2)
    held(guest, there, step)
    lose(lab, here)
    wait_gone(there, "wherry migrate-receive", timeout=150)
    assert places(here, there, name=guest.name) == ([there], [])
    guest.host = there
    goes_on(guest)
    there.wherry("recover")
    assert [line for line in left(there) if "/jobs/receive-" not in line] == []
    there.wherry("destroy", guest.name)
    there.run("rm -f /var/lib/wherry/jobs/*")
