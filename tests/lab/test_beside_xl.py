# SPDX-License-Identifier: LGPL-2.1-or-later
"""Save and restore beside stock xl on real Xen: each restores what the other has saved, as often as
one likes, and the guest finds every page as it left it.

Guests that xl restores have 64 MiB: with less, xl gives a PVH guest too small a pool for its page
tables and fails itself."""

import json
import re
import time

import pytest

from saving import IMAGE, goes_on, is_paused, last_line, left, sections, stepper

KINDS = ["stepper-pvh", "stepper-pv"]
CYCLES = {"stepper-pvh": 25, "stepper-pv": 10}
FOR_XL = {"memory": 64, "words": "pages=3000"}


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host, and no image in it afterwards."""
    host, = lab.hosts(1)
    yield host
    host.run("rm -f /images/*", check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_xl_restores_what_wherry_saved_and_wherry_restores_what_xl_saved(host, kind):
    guest = stepper(host, kind, by="xl", **FOR_XL)
    host.wherry("save", guest.name, IMAGE)
    assert guest.domid is None
    host.xl("restore", IMAGE)
    goes_on(guest, "1 new")
    host.xl("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    goes_on(guest, "2 new")


def listed(guest):
    """What `xl list -l` says of it, but for the number."""
    one, = json.loads(guest.host.xl("list", "-l", guest.name).out)
    assert one.pop("domid") == guest.domid
    return one


def nodes(guest):
    """Where the guest and the toolstack have something in xenstore, but for the number."""
    text = guest.host.run(["xenstore-ls", "-f", f"/local/domain/{guest.domid}"]).out
    return set(re.findall(rf"^/local/domain/{guest.domid}(\S+) = ", text, re.M))


@pytest.mark.parametrize("kind", KINDS)
def test_xl_shows_a_guest_of_wherrys_the_same_before_save_and_after_restore(host, kind):
    guest = stepper(host, kind, by="wherry", more="on_crash = 'preserve'\n")
    before, had = listed(guest), nodes(guest)
    assert before["config"]["c_info"]["name"] == guest.name
    assert before["config"]["b_info"]["max_memkb"] == 16 << 10
    assert before["config"]["on_crash"] == "preserve"
    host.wherry("save", guest.name, IMAGE)
    assert guest.domid is None
    host.wherry("restore", IMAGE)
    goes_on(guest, "1 new")
    assert listed(guest) == before
    assert nodes(guest) == had


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_image_is_restored_by_xl_through_zstd_and_by_wherry_as_it_is(host, kind):
    guest = stepper(host, kind, **FOR_XL)
    host.wherry("save", "--compress", guest.name, f"{IMAGE}.zst")
    host.run(f"zstd -dcq {IMAGE}.zst >{IMAGE} && test $(stat -c %s {IMAGE}.zst) -lt 30000000")
    host.xl("restore", IMAGE)
    goes_on(guest, "1 new")
    guest.destroy()
    host.run(["truncate", "-s", "0", guest_log(guest)])
    host.wherry("restore", f"{IMAGE}.zst")
    goes_on(guest, "1 new")


def guest_log(guest):
    return f"/var/log/xen/console/guest-{guest.name}.log"


@pytest.mark.parametrize("kind", KINDS)
def test_a_guest_runs_on_after_a_checkpoint_and_the_image_is_of_that_moment(host, kind):
    guest = stepper(host, kind)
    domid = guest.domid
    told = last_line(host.wherry("save", "--json", "-c", guest.name, IMAGE))
    assert (told["event"], told["guest"], told["domid"]) == ("saved", "running", domid)
    goes_on(guest, "1 fast")
    assert guest.domid == domid and left(host) == []
    last = max(map(int, re.findall(r"^step (\d+) ok", guest.console(), re.M)))
    guest.destroy()
    host.run(["truncate", "-s", "0", guest_log(guest)])
    host.wherry("restore", IMAGE)
    goes_on(guest, "1 new")
    first = int(re.search(r"^step (\d+) ok", guest.console(), re.M)[1])
    assert first < last + 3000, "it goes on from the checkpoint, not from when it was destroyed"


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_goes_through_a_pipe_both_ways_and_the_guest_is_left_paused_when_asked(host, kind):
    guest = stepper(host, kind)
    told = last_line(host.wherry("save", "--json", "-p", guest.name, IMAGE))
    assert told["guest"] == "paused" and is_paused(guest)
    host.xl("unpause", guest.name)
    goes_on(guest, "1 fast")
    host.run(f"wherry save {guest.name} - | cat >{IMAGE}")
    assert guest.domid is None
    told = last_line(host.run(f"cat {IMAGE} | wherry restore --json -p -"))
    assert told["guest"] == "paused" and is_paused(guest)
    assert "resumed 2" not in guest.console()
    host.wherry("unpause", guest.name)
    goes_on(guest, "2 new")
    host.run(f"wherry save --compress {guest.name} - | cat >{IMAGE}")
    host.run(f"cat {IMAGE} | wherry restore -")
    goes_on(guest, "3 new")


@pytest.mark.parametrize("kind", KINDS)
def test_a_guest_is_saved_and_restored_again_and_again(host, kind):
    cycles = CYCLES[kind]
    guest = stepper(host, kind, by="wherry", words="random", memory=16)
    said = sections(host, f"""
        section times
        for turn in $(seq {cycles}); do
            wherry save {guest.name} {IMAGE} && wherry restore {IMAGE} || exit 1
        done
        section left; left
        """, timeout=60 + 120 * cycles)
    assert said["left"] == ""
    goes_on(guest, f"{cycles} new")
    resumed = re.findall(r"^resumed (\d+) new", guest.console(), re.M)
    assert resumed == [str(turn + 1) for turn in range(cycles)]


# A real Linux: several processors, a disk, a network, a clock.

LINUX = "console=hvc0 quiet dirty=200 fill=random fillmb=16 disk=1 ip=10.99.0.50/24"
WORLD = """
disk = [ "format=raw,vdev=xvda,access=rw,target=/images/disk.img" ]
vif = [ "bridge=xenbr0" ]
"""


def ticks(guest):
    return [(int(n), int(epoch)) for n, epoch in
            re.findall(r"^tick (\d+) (\d+)", guest.console().replace("\r", ""), re.M)]


def ticks_on(guest, beyond):
    """Until it has ticked twice since; with what its clock and the host's said then."""
    deadline = time.monotonic() + 200
    while True:
        seen = guest.host.run(f"date +%s; tail -n 1 {guest_log(guest)}").out.replace("\r", "")
        match = re.match(r"(\d+)\n.*tick (\d+) (\d+)\n\Z", seen, re.S)
        if match and int(match[2]) > beyond + 1:
            return int(match[3]), int(match[1])
        assert time.monotonic() < deadline, guest.console()[-1000:]
        time.sleep(0.3)


def answers(host):
    """It answers dom0, within a few seconds of its network being up."""
    host.run("for try in $(seq 20); do ping -c 1 -W 2 10.99.0.50 && exit; done; exit 1")


@pytest.mark.parametrize("kind", ["linux-pvh", "linux-pv"])
def test_linux_ticks_on_with_its_disk_network_and_clock_after_restore(host, kind):
    host.run("truncate -s 8M /images/disk.img")
    guest = host.guest(kind, by="wherry", vcpus=2, memory=128, command_line=LINUX, more=WORLD)
    guest.wait_for(r"^tick 3 ", timeout=300)
    answers(host)
    host.wherry("save", guest.name, IMAGE)
    before = ticks(guest)
    host.run("sleep 4")                     # which the guest's clock must make up for
    host.wherry("restore", IMAGE)
    its, ours = ticks_on(guest, beyond=before[-1][0])
    assert abs(its - ours) <= 3, "its clock is right"
    answers(host)
    answer = host.run("(echo still here; sleep 2) | timeout 30 socat - TCP:10.99.0.50:7").out
    assert answer == "still here\n"
    counts = [n for n, _ in ticks(guest)]
    assert counts == list(range(counts[0], counts[-1] + 1)), "no tick is lost or told twice"
    assert "BAD" not in guest.console()
    assert len(re.findall(rf"^{guest.name} ", host.xl("vcpu-list", guest.name).out, re.M)) == 2
    guest.destroy()
    written = host.run("tr -d '\\0' </images/disk.img").out.splitlines()
    numbers = [int(line.split()[1]) for line in written]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > before[-1][0]
