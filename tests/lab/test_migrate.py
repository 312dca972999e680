# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests move between two real Xen hosts: every page, by wherry and by xl, and what fails on the way."""

import contextlib
import json
import os
import re
import time

import pytest

from moving import places, wait_gone
from saving import IMAGE, PEER, QUICK, SHELL, USAGE, beats, goes_on, last_line, left, stepper
from lab import guest as guests

RESTRICTED = "dm_restrict = 1\n"

# With time for more.
ALL = os.environ.get("WHERRY_SWEEP") == "all"

# A way to wherry for xl, which asks for itself there.
TO_WHERRY = """#!/bin/sh
host=$1; shift; exec ssh "$host" wherry migrate-receive
"""

# Its arguments are an image of xl's and a host, to which it is sent as xl migrate would; it ends as the
# receiver's status says.
AS_XL_SENDS = """import subprocess, sys
link = subprocess.Popen(["ssh", sys.argv[2], "wherry", "migrate-receive"], stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE)
def hear(text):
    came = link.stdout.read(len(text))
    assert came == text, came
hear(b"xl migration receiver ready, send binary domain data.\\n")
link.stdin.write(open(sys.argv[1], "rb").read())
link.stdin.flush()
hear(b"domain received, ready to unpause\\0")
link.stdin.write(b"domain is yours, you are cleared to unpause\\0")
link.stdin.flush()
hear(b"my copy unpause results are as follows\\0")
sys.exit(link.stdout.read(1)[0])
"""


@pytest.fixture(name="hosts")
def fixture_hosts(lab):
    """Two hosts, and none of our guests in them afterwards."""
    a, b = lab.hosts(2)
    yield a, b
    for host in (a, b):
        for name in host.domains():
            host.wherry("destroy", name, check=False, timeout=300)
        host.run("rm -f /images/* /root/* /var/lib/wherry/jobs/*", check=False)


def move(guest, to, *words, tool="wherry"):
    """It is there afterwards, and nowhere else; what the command has told."""
    source = guest.host
    if tool == "wherry":
        said = source.wherry("migrate", "--json", *words, guest.name, to.name, timeout=600)
    else:
        said = source.xl("migrate", *words, guest.name, to.name, timeout=600)
    guest.host = to
    wait_gone(to, "wherry migrate-receive")
    assert places(source, to, name=guest.name) == ([to], []), (source.xl("list").out,
                                                               to.xl("list").out)
    assert left(source) == [] and left(to) == []
    return said


def test_no_page_of_a_moving_guest_is_torn_lost_or_stale(hosts):
    """Nor is anything of its processors, three of which it never has started."""
    a, b = hosts
    guest = stepper(a, by="wherry", vcpus=4)
    for count in range(30 if ALL else 6):
        said = move(guest, a if count % 2 else b)
        goes_on(guest)
        told = last_line(said)
        assert told["guest"] == "moved" and told["live"] and told["rounds"] >= 2
        assert told["downtime_ms"] >= sum(told["downtime"].values()) - 5
    events = [json.loads(line) for line in said.out.splitlines()]
    assert [e["state"] for e in events if e["event"] == "state"] == [
        "suspended", "sent", "intent", "done"]
    assert all(check["ok"] for e in events if e["event"] == "checks" for check in e["checks"])


@pytest.mark.parametrize("more", [pytest.param("", id="plain"), pytest.param(RESTRICTED, id="restricted")])
def test_a_guest_of_emulated_devices_alone_moves(hosts, more):
    a, b = hosts
    guests.shelve(b, "beater")
    b.run(["cp", f"{guests.SHELF}/beater.img", "/root/beater.img"])
    guest = a.guest("beater", name="beater", by="wherry", more=more)
    count = beats(guest)
    move(guest, b)
    count = beats(guest, count)
    move(guest, a)
    beats(guest, count)


@pytest.fixture(name="shared")
def fixture_shared(hosts):
    """A disk that both hosts see, as they would one of a storage network."""
    a, b = hosts
    a.run("truncate -s 4M /root/shared.img && "
          "qemu-nbd --fork -t -e 2 -f raw -b 10.99.0.1 -x disk /root/shared.img")
    for host in hosts:
        host.run("modprobe nbd && qemu-nbd -f raw -c /dev/nbd0 nbd://10.99.0.1/disk")
    yield "/dev/nbd0"
    for host in hosts:
        for name in host.domains():
            host.wherry("destroy", name, check=False, timeout=300)
    for host in (b, a):
        host.run("qemu-nbd -d /dev/nbd0; pkill -x qemu-nbd; while pgrep -x qemu-nbd; do sleep 0.1; done",
                 check=False)


@contextlib.contextmanager
def connected(host, address):
    """Each line comes back on one connection into the guest from the host, before, while and after."""
    host.run("(for i in $(seq 3000); do echo line $i; sleep 0.2; [ -e /run/enough ] && break; done | "
             f"timeout 600 socat -t 30 - TCP:{address}:7 > /run/echoed) >/dev/null 2>&1 &")
    yield
    host.run("touch /run/enough; while pgrep socat >/dev/null; do sleep 0.2; done; rm /run/enough",
             timeout=240)
    lines = host.read("/run/echoed").split("\n")[:-1]
    assert lines == [f"line {i + 1}" for i in range(len(lines))] and len(lines) > 30, lines[-3:]


def last_tick(guest):
    return int(re.findall(r"^tick (\d+) ", guest.console(), re.M)[-1])


def ticks_on(guest, before):
    """It was not started anew, and has found nothing wrong with its memory or its disk."""
    after = int(guest.wait_for(r"^tick (\d+) (?s:.*)^tick \d+ ", timeout=60).group(1))
    assert before <= last_tick(guest) and after < before + 240, (before, after)
    guest.wait_for(r"(^tick \d+ .*\s+){3}", timeout=120, after=len(guest.console()))
    assert "BAD" not in guest.console(), guest.console()


@pytest.mark.parametrize("kind", ["linux-pvh", "linux-hvm"])
def test_linux_moves_with_its_processors_its_disk_and_a_connection_into_it(hosts, shared, kind):
    """It writes faster than the link is.  An HVM guest comes back, too: to a QEMU that is not restricted."""
    a, b = hosts
    how = {"vcpus": 4, "command_line": "console=hvc0 quiet dirty=2000 disk=1 ip=10.99.0.50/24"}
    more = (f'disk = [ "format=raw,vdev=xvda,access=rw,target={shared}" ]\n'
            'vif = [ "bridge=xenbr0,mac=00:16:3e:00:00:50" ]\n')
    restricted = RESTRICTED if kind == "linux-hvm" else ""
    guests.shelve(b, kind)
    guest = a.guest(kind, by="wherry", more=more + restricted, **how)
    b.write("/root/back.cfg", guests.config(kind, guest.name, more=more, **how))
    guest.wait_for(r"^linux \S+ 4 cpus(?s:.*)^tick \d+ ", timeout=300)
    with connected(a, "10.99.0.50"):
        time.sleep(1)
        for there, words in [(b, ()), (a, ("-C", "/root/back.cfg"))][:2 if restricted or ALL else 1]:
            before = last_tick(guest)
            told = last_line(move(guest, there, *words))
            assert told["live"] and told["downtime_ms"] < 60000, told
            ticks_on(guest, before)
    b.run(["ping", "-c", "2", "-W", "5", "10.99.0.50"])
    cpus, = json.loads(guest.host.wherry("vcpu-list", "--json", guest.name).out)
    assert [cpu["online"] and cpu["cpu_ns"] > 0 for cpu in cpus["vcpus"]] == 4 * [True], cpus


def to_wherry(host):
    host.write("/run/to-wherry", TO_WHERRY)
    host.run("chmod +x /run/to-wherry")
    return "-s", "/run/to-wherry"


DEVICES = """
disk = [ "phy:/dev/loop7,xvda,w", "format=raw,vdev=xvdb,access=rw,script=wh-quick,target=/images/disk.img" ]
vif = [ "bridge=xenbr0,script=wh-quick" ]
"""

# What is connected there when the first page is about to be copied.
BEFORE = r"""
hold "keep note of what the guest writes to" migrate $guest $there
echo $state; ssh $there xenstore-ls -f /local/domain/0/backend
kill -CONT $pid; wait $pid; echo; echo $?
"""


def test_what_may_be_connected_before_the_guest_is_suspended_is(hosts):
    a, b = hosts
    for host in hosts:
        host.run("truncate -s 4M /images/disk.img /images/block.img; losetup /dev/loop7 /images/block.img")
        host.write("/etc/xen/scripts/wh-quick", QUICK)
        host.run("chmod +x /etc/xen/scripts/wh-quick")
    guest = stepper(a, by="wherry", more=DEVICES)
    said = a.run(SHELL + f"guest={guest.name}; there={b.name}" + BEFORE, timeout=300)
    assert said.out.startswith("T\n") and said.out.endswith("\n0\n"), said
    assert re.search(r"/vif/\d+/0/hotplug-status = .connected", said.out)
    assert re.search(r"/vbd/\d+/51712/physical-device = .7:7", said.out)
    assert "/51728" not in said.out, "a file is not opened while it is written to elsewhere"
    guest.host = b
    goes_on(guest)
    for device in ("vif/[0-9]*/0", "vbd/[0-9]*/51712", "vbd/[0-9]*/51728"):
        b.run(f"xenstore-ls -f /local/domain/0/backend | grep '/{device}/hotplug-status = .connected'")
    b.wherry("destroy", guest.name)
    for host in hosts:
        host.run("losetup -d /dev/loop7; rm /etc/xen/scripts/wh-quick")


def of_all_that_came(line, guest):
    """The target's report says the same as the source's does."""
    told = json.loads(line)
    assert told["event"] == "received" and told["name"] == guest.name and told["guest"] == "running"
    assert told["downtime_ms"] >= sum(told["downtime"].values()) and told["total_ms"] > told["downtime_ms"]
    assert set(told["downtime"]) == {"processors_ms", "devices_ms", "commit_ms", "run_ms"}
    return told


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-hvm", "stepper-pv"])
def test_what_is_sent_twice_is_the_same(hosts, kind):
    a, b = hosts
    guest = stepper(a, kind, by="wherry") if kind != "stepper-hvm" else a.guest(kind, by="wherry")
    guest.wait_for(r"^step \d+ ok", timeout=200)
    told = last_line(move(guest, b, "--debug"))
    assert told["compared_pages"] > 2000 and told["not_compared_pages"] < 100, told
    goes_on(guest)


def test_linux_is_the_same_twice_while_packets_come_for_it(hosts):
    a, b = hosts
    guest = a.guest("linux-pvh", by="wherry", vcpus=2, more='vif = [ "bridge=xenbr0" ]\n',
                    command_line="console=hvc0 quiet dirty=500 ip=10.99.0.50/24")
    guest.wait_for(r"^tick \d+ ", timeout=300)
    for there in (b, a):
        for host in hosts:
            host.run("for how in '-i 0.02 -s 1400 10.99.0.50' '-b -i 0.05 10.99.0.255'; do "
                     "timeout 120 ping $how >/dev/null 2>&1 & done")
        told = last_line(move(guest, there, "--debug"))
        assert told["compared_pages"] > 10000 and told["not_compared_pages"] > 2, told
        guest.wait_for(r"^tick \d+ ", timeout=60, after=len(guest.console()))
        for host in hosts:
            host.run("pkill -x ping; while pgrep -x ping; do sleep 0.1; done", check=False, timeout=30)


def test_the_target_tells_what_it_received(hosts):
    a, b = hosts
    guest = stepper(a, by="wherry")
    b.run("(wherry migrate-receive --json --listen tcp:0.0.0.0:7001 >/run/told 2>/run/said; echo $? >/run/code) &")
    b.run("until ss -ltn | grep -q :7001; do sleep 0.1; done", timeout=30)
    here = json.loads(a.wherry("migrate", "--json", guest.name, "tcp:10.99.0.2:7001").out.splitlines()[-1])
    b.run("until [ -e /run/code ]; do sleep 0.1; done", timeout=30)
    guest.host = b
    goes_on(guest)
    told = of_all_that_came(b.read("/run/told").splitlines()[-1], guest)
    assert told["job"] == here["job"] and told["stream_bytes"] == here["stream_bytes"]
    assert told["zero_pages"] == here["zero_pages"] and told["bytes"]["pages"] == here["bytes"]["pages"]
    assert b.read("/run/said") == ""
    b.run("rm /run/told /run/said /run/code")


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-hvm"])
def test_as_xl_speaks_there_and_back(hosts, kind):
    a, b = hosts
    guest = stepper(a, kind, by="wherry") if kind == "stepper-pvh" else a.guest(kind, by="wherry")
    guest.wait_for(r"^step \d+ ok", timeout=200)
    move(guest, b, "--protocol=stock", "--debug")
    goes_on(guest)
    move(guest, a, "--debug", *to_wherry(b), tool="xl")
    goes_on(guest)


def test_a_pv_guest_goes_as_xl_speaks_and_comes_back_as_xl_saves_it(hosts):
    a, b = hosts
    guest = stepper(a, "stepper-pv", by="wherry")
    told = last_line(move(guest, b, "--protocol=stock"))
    assert told["protocol"] == "stock" and not told["live"]
    goes_on(guest)
    # xl knows no other move than a live one, and this Xen no such one of a PV guest.
    said = b.xl("migrate", *to_wherry(b), guest.name, a.name, check=False, timeout=300)
    assert said.code != 0 and "Failed to enable logdirty" in said.err, said.err
    assert places(a, b, name=guest.name) == ([b], []) and left(a) == [] and left(b) == []
    goes_on(guest)
    b.xl("save", guest.name, IMAGE)
    b.run(["python3", "-c", AS_XL_SENDS, IMAGE, a.name], timeout=300)
    guest.host = a
    assert places(a, b, name=guest.name) == ([a], []) and left(a) == [] and left(b) == []
    goes_on(guest)


def test_a_pv_guest_moves_suspended_and_live_is_refused_if_required(hosts):
    a, b = hosts
    guest = stepper(a, "stepper-pv", by="wherry")
    said = a.wherry("migrate", "--live=require", guest.name, b.name, check=False)
    assert said.code == USAGE and "cannot be copied while it runs" in said.err
    goes_on(guest)
    told = last_line(move(guest, b))
    assert not told["live"] and "PV" in told["not_live"]
    goes_on(guest)


def test_what_stands_against_a_move_is_named_before_anything_moves(hosts):
    a, b = hosts
    guest = stepper(a, by="wherry")
    said = a.wherry("migrate", "--dry-run", guest.name, b.name)
    assert "NO" not in said.out and re.search(r"^memory +ok", said.out, re.M)
    for words in ((guest.name, a.name), ("-s", "", guest.name, "wherry migrate-receive")):
        said = a.wherry("migrate", *words, check=False)
        assert said.code == USAGE and "is the guest itself, or a copy of it" in said.err, said.err
    said = a.wherry("migrate", "--force=name,uuid", guest.name, a.name, check=False)
    assert said.code == PEER and "has the uuid" in said.err and "runs on" in said.err, said.err
    goes_on(guest)
    assert left(a) == []
    b.guest("stepper-pvh", name=guest.name, by="xl")
    said = a.wherry("migrate", guest.name, b.name, check=False)
    assert said.code == USAGE and "name" in said.err
    b.wherry("destroy", guest.name)
    free = int(re.search(r"^free_memory +: (\d+)", b.xl("info").out, re.M).group(1))
    b.write("/root/fat.cfg", guests.config("stepper-pvh", "fat", memory=free - 24))
    b.xl("create", "-p", "/root/fat.cfg", timeout=300)
    said = a.wherry("migrate", guest.name, b.name, check=False)
    assert said.code == USAGE and "MiB are free on the target" in said.err
    assert places(a, b, name=guest.name) == ([a], [])
    goes_on(guest)
    b.wherry("destroy", "fat")


def test_a_peer_that_is_none_leaves_the_guest_running(hosts):
    a, b = hosts
    guest = stepper(a, by="wherry")
    for command in ("true", "echo hello; sleep 3", "cat /dev/zero"):
        said = a.wherry("migrate", "-s", "", guest.name, command, check=False, timeout=120)
        assert said.code == PEER, said.err
        goes_on(guest)
    assert left(a) == [] and left(b) == []
