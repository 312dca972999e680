# SPDX-License-Identifier: LGPL-2.1-or-later
"""Live saves on real Xen: guests that write all the time are copied while they run, and what comes
back is each page as it was in one moment."""

import re

import pytest

from saving import IMAGE, TIMEOUT, beats, goes_on, last_line, left, log_dirty

MB = 1 << 20
RESTRICTED = "dm_restrict = 1\n"


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host, and no image in it afterwards."""
    host, = lab.hosts(1)
    yield host
    for name in host.domains():
        host.wherry("destroy", name, check=False, timeout=300)
    host.run("rm -f /images/* /root/*", check=False)


def writer(host, rate, memory=64):
    """A stepper that steps so many pages a second; 0: as fast as it can."""
    guest = host.guest("stepper-pvh", by="wherry", memory=memory, command_line=f"rate={rate}")
    guest.wait_for(r"^step \d+ ok", timeout=200)
    return guest


def save(guest, *words, host=None):
    """A live save's outcome."""
    said = last_line((host or guest.host).wherry("save", "--json", "--live", *words, guest.name, IMAGE,
                                                 timeout=300))
    assert said["live"] and said["rounds"] >= 1 and said["why"], said
    assert said["pause_pages"] <= said["pages"]
    return said


def right_again(guest, since):
    """Behind that much of its console it was resumed in a new domain, every page was right, and it
    steps on."""
    guest.wait_for(r"^resumed \d+ new after \d+ ms\s+checked \d+ pages, 0 bad\s+step \d+ ok", timeout=200,
                   after=since)
    assert not re.search("BAD|bad=", guest.console()), guest.console()


@pytest.mark.parametrize("rate", [2000, 0], ids=["some", "all the time"])
def test_every_page_of_a_guest_that_writes_is_of_one_moment(host, rate):
    guest = writer(host, rate)
    said = save(guest)
    assert guest.domid is None and left(host) == []
    size = int(host.run(["stat", "-c", "%s", IMAGE]).out)
    # What it writes faster than it is copied is there twice.
    assert size <= (2.5 if rate == 0 else 1.5) * 64 * MB + 10 * MB, said
    if rate:
        assert said["pause_pages"] * 4 < 16384, said
    host.wherry("verify", "-d", IMAGE)
    host.wherry("restore", IMAGE)
    goes_on(guest, "1 new")


def test_one_guest_is_saved_five_times_while_it_runs_and_the_last_is_restored(host):
    guest = writer(host, 4096)
    for number in range(1, 6):
        save(guest, "-c")
        goes_on(guest, f"{number} fast")
        assert not log_dirty(host)
    host.wherry("destroy", guest.name)
    since = len(guest.console())
    host.wherry("restore", IMAGE)
    right_again(guest, since)
    assert left(host) == []


def test_xl_restores_a_live_image(host):
    guest = writer(host, 4096)
    save(guest)
    host.xl("restore", IMAGE)
    goes_on(guest, "1 new")


def test_an_hvm_guest_is_copied_while_it_runs_restricted(host):
    guest = host.guest("stepper-hvm", by="wherry", more=RESTRICTED)
    guest.wait_for(r"^step \d+ ok", timeout=200)
    save(guest, "-c")
    goes_on(guest, "1 fast")
    assert not log_dirty(host)
    save(guest)
    host.wherry("restore", IMAGE)
    goes_on(guest, "2 new")


def test_what_qemu_writes_into_the_guest_is_not_lost(host):
    """It reads from its disk four times a second, without drivers: QEMU writes to its memory."""
    guest = host.guest("beater", by="wherry", more=RESTRICTED)
    count = beats(guest)
    for _ in range(2):
        save(guest, "-c")
        count = beats(guest, count)
    save(guest)
    host.wherry("restore", IMAGE)
    beats(guest, count)


def test_a_guest_that_writes_too_much_runs_on_when_the_time_is_over(host):
    guest = writer(host, 0)
    domid = guest.domid
    done = host.wherry("save", "--live", "--downtime=1ms", "--timeout=1s", "--on-timeout=cancel",
                       guest.name, IMAGE, check=False)
    assert done.code == TIMEOUT and f"domain {domid} runs on" in done.err, (done.code, done.err)
    assert host.run("ls /images").out == "" and left(host) == []
    assert not log_dirty(host) and guest.domid == domid
    goes_on(guest)


def test_a_guest_that_writes_too_much_is_stopped_when_the_time_is_over_if_so_asked_for(host):
    guest = writer(host, 0)
    said = save(guest, "-c", "--downtime=1ms", "--timeout=100ms", "--on-timeout=force")
    assert said["why"] == "the time for copying is over", said
    goes_on(guest, "1 fast")
