# SPDX-License-Identifier: LGPL-2.1-or-later
"""Save and restore, killed or interrupted at each of their steps on real Xen: afterwards, and after
`wherry recover`, the guest is in exactly one place and nothing else is left."""

import json
import pathlib
import re

import pytest

from moving import ARRIVING, ASIDE, LEAVING
from saving import (CANCELLED, IMAGE, QUICK, beats, goes_on, is_unharmed, log_dirty, sections,
                    stepper)

SOURCES = pathlib.Path(__file__).resolve().parent.parent.parent / "src"

# What a save goes through.  Killed at one of the first the guest runs on; from the others the file
# is whole.
SAVING = [
    "look at the domain",
    "open the file",
    "write what never changes",
    "ask the guest to suspend",
    "wait until the guest has suspended",
    "copy the suspended guest",
    "bring the file to disk",
]
SAVED = [
    "let go of the guest",
    "destroy the saved domain",
    "pause the domain",
    "end the domain's QEMU",
    "list the devices",
    "close the devices",
    "run a device's script for its end",
    "remove the devices' nodes",
    "remove the domain's nodes",
    "remove the domain's files",
    "destroy the domain",
]
# Those that a guest without devices does not come to, or where there is nothing to do for it.
OF_DEVICES = {
    "close the devices",
    "run a device's script for its end",
    "remove the devices' nodes",
    "remove the domain's nodes",
    "connect the devices",
    "make a disk",
    "run a device's script",
    "make a network interface",
    "wait for a device's backend",
}
# Instead, if the guest is to run on or to be paused.
KEPT = ["let the guest run on"]

# Killed at one of the first there is no domain; from the others the guest is whole.
RESTORING = [
    "open the image",
    "read the image",
    "make the domain",
    "fill the guest's memory",
    "set the processors",
    "connect the devices",
    "introduce the domain to xenstore",
    "make a disk",
    "run a device's script",
    "make the console",
    "make a network interface",
    "wait for a device's backend",
    "store the configuration",
]
RESTORED = ["let the guest run"]

# A guest that is copied while it runs.
LIVE = [
    "keep note of what the guest writes to",
    "copy the running guest",
]

# An image that goes into a pipe.
PIPED = ["hand over the end of the image"]

WITH_QEMU = ["start QEMU for the disks"]

# Of guests with emulated devices.
EMULATED_SAVING = [
    "reach the guest's QEMU",
    "stop the guest, which has no PV drivers",
    "stop the emulated devices",
    "take the state of the emulated devices",
]
EMULATED_RESTORING = [
    "ask QEMU for its machines",
    "make the keyboard",
    "start QEMU",
    "wait for QEMU",
    "set up QEMU",
]

# Of other operations.
OTHERS = [
    "ask the guest to shut down",
    "build the guest",
    "carry out what the configuration wants",
    "change the medium",
    "end the watches",
    "find the domain",
    "find the job",
    "keep the domain under another name",
    "look at the domains",
    "look at the drive",
    "look at the host",
    "look at the vcpus",
    "look at what is under way",
    "look for suspended guests",
    "read the configuration",
    "read the hypervisor's log",
    "record the drive as empty",
    "record the new medium",
    "remove what is left of the domain",
    "rename the domain",
    "see whether a guest without its QEMU goes",
    "set the domain's memory",
    "settle what was left",
    "unpause the domain",
    "wait before the next try",
    "wait for the guest to shut down",
    "wait for the job's end",
    "wait for the guest to take the request",
    "wait for the guest, which took the request to suspend",
    "withdraw the request",
]

DEVICES = """
disk = [ "format=raw,vdev=xvda,access=rw,target=/images/disk.img" ]
vif = [ "bridge=xenbr0" ]
"""
QUICK_DEVICES = """
disk = [ "format=raw,vdev=xvda,access=rw,script=wh-quick,target=/images/disk.img" ]
vif = [ "bridge=xenbr0,script=wh-quick" ]
"""
QEMU_DISK = """
disk = [ "backendtype=qdisk,format=raw,vdev=xvda,access=rw,target=/images/disk.img" ]
"""


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host with a small disk image, and none of our files in it afterwards."""
    host, = lab.hosts(1)
    host.run("truncate -s 4M /images/disk.img")
    yield host
    for name in host.domains():         # its loop device before its file
        host.xl("destroy", name, check=False)
    host.run("rm -f /images/* /root/* /etc/xen/scripts/wh-*", check=False)


def steps_in_the_source():
    found = set()
    for path in SOURCES.glob("*/*.c"):
        for call in re.findall(r"\bwh_step\((.*?);", path.read_text(encoding="utf-8"), re.S):
            found |= set(re.findall(r'"([^"]+)"', call))
    return found


def test_no_step_of_the_source_is_forgotten_here():
    known = {*SAVING, *SAVED, *KEPT, *LIVE, *RESTORING, *RESTORED, *PIPED, *WITH_QEMU, *OTHERS,
             *EMULATED_SAVING, *EMULATED_RESTORING, *LEAVING, *ARRIVING, *ASIDE}
    assert steps_in_the_source() == known


# One kill, and what the host looks like at each moment after it.

KILL = r"""
look() { domains; find /images /var/lib/wherry/jobs -type f -printf '%p %s %i %m\n' | sort; }
hold "$step" $words
section stopped; echo $state
kill -9 $pid; wait $pid
section killed; look
section dry; wherry recover -n --json
section unchanged; look
section settled; wherry recover --json
section nothing; wherry recover
section left; left
section domains; domains
"""


def kill_at(host, step, *words):
    """Kills the command as it enters the step, and looks at what recover tells and does; the names
    of the domains that are there then, and what was recovered."""
    text = f"step={json.dumps(step)}; words='{' '.join(words)}'\n"
    said = sections(host, text + KILL)
    assert said["stopped"] == "T", f"it did not come to the step {step!r}"
    before, after = said["killed"], said["unchanged"]
    if step == "wait until the guest has suspended":    # which it does meanwhile
        before, after = (re.sub(r"\.\.-+s-*", "..----", text) for text in (before, after))
    assert before == after, "with -n nothing changes"
    told, done = json.loads(said["dry"]), json.loads(said["settled"])
    for one in done:                    # a device's script that had run fails a second time
        assert "/etc/xen/scripts/" in one.pop("warning", "/etc/xen/scripts/")
    assert [dict(one, done=True) for one in told] == done, "with -n the same is told"
    assert not any(one["done"] for one in told)
    assert said["nothing"] == "nothing to recover"
    assert said["left"] == ""
    return said["domains"], done


def every(steps, devices, attempt, renew):
    """Tries all steps, or those of devices, also behind one that goes wrong; tells of all that did."""
    wrong = []
    for step in steps:
        if bool(devices) != (step in OF_DEVICES):
            continue                    # scripts take longer than all the rest
        try:
            attempt(step)
        except AssertionError as error:
            wrong.append(f"killed at {step!r}: {error}")
            renew()
    assert not wrong, "\n\n".join(wrong)


class Sailor:
    """A stepper, made again when a test went wrong with it."""

    def __init__(self, host, more=""):
        self.host, self.more, self.guest, self.resumed = host, more, None, 0
        self.renew()

    def renew(self):
        for name in self.host.domains():
            self.host.xl("destroy", name, check=False)
        self.host.run("rm -f /images/guest* /images/*.wherry.* /var/lib/wherry/jobs/*"
                      " /var/log/xen/console/guest-stepper-pvh.log")
        self.guest = stepper(self.host, by="wherry", more=self.more)
        self.resumed = 0

    def is_running(self, domains, domid=None):
        """This domain and no other is there, it is not paused or suspended, and it steps on."""
        assert re.fullmatch(rf"stepper-pvh {domid or r'[0-9]+'} \.\.----", domains), domains
        goes_on(self.guest)

    def restores(self):
        """The image is whole and becomes the guest again."""
        self.host.wherry("restore", IMAGE)
        self.resumed += 1
        self.guest.wait_for(rf"(?s)(^resumed \d+ new .*?){{{self.resumed}}}^step \d+ ok",
                            timeout=200)
        is_unharmed(self.guest)


# That of a restore has the host's own scripts.
@pytest.mark.parametrize("devices", ["", QUICK_DEVICES], ids=["plain", "devices"])
def test_a_save_killed_at_any_step_leaves_the_guest_or_its_whole_image(host, devices):
    host.write("/etc/xen/scripts/wh-quick", QUICK)
    host.run("chmod +x /etc/xen/scripts/wh-quick")
    it = Sailor(host, devices)

    def attempt(step):
        domid = it.guest.domid
        host.run(f"echo old >{IMAGE}")
        domains, done = kill_at(host, step, "save", it.guest.name, IMAGE)
        assert {one["verb"] for one in done} <= {"save"} and len(done) <= 1
        if step in SAVING:
            it.is_running(domains, domid)
            assert host.read(IMAGE) == "old\n", "the file that was there is still there"
        else:
            assert domains == ""
            it.restores()

    every(SAVING + SAVED, devices, attempt, it.renew)


def test_a_checkpoint_killed_at_its_end_leaves_both(host):
    it = Sailor(host)
    domid = it.guest.domid
    domains, _ = kill_at(host, "let the guest run on", "save", "-c", it.guest.name, IMAGE)
    it.is_running(domains, domid)
    host.wherry("verify", "-d", IMAGE)
    domains, _ = kill_at(host, "let the guest run on", "save", "-p", it.guest.name, IMAGE)
    assert domains == f"{it.guest.name} {domid} ..p---", "it is left paused, as was asked"


def test_a_live_save_killed_while_it_copies_leaves_the_guest_and_no_log_dirty(host):
    it = Sailor(host)
    domid = it.guest.domid
    for step in LIVE + ["copy the suspended guest"]:
        domains, _ = kill_at(host, step, "save", "--live", it.guest.name, IMAGE)
        it.is_running(domains, domid)
        assert log_dirty(host) == [], step
    host.wherry("save", "--live", it.guest.name, IMAGE)
    it.restores()


PIPE = r"""
hold "hand over the end of the image" save $name -
section stopped; echo $state
kill -9 $pid; wait $pid
section told; wherry recover --json
section waits; domains
section asked; wherry recover --json $name
section steps; steps $name
wherry recover >/dev/null
section nothing; wherry recover
section left; rm /run/wherry-said; left
"""


def test_a_guest_whose_image_may_be_whole_beyond_a_pipe_waits_to_be_told(host):
    guest = stepper(host, by="wherry")
    said = sections(host, f"name={guest.name}\n" + PIPE)
    assert said["stopped"] == "T"
    told, = [one for one in json.loads(said["told"]) if "verb" in one]
    assert not told["done"] and "pipe" in told["found"]
    assert re.fullmatch(rf"{guest.name} \d+ \.\.-ss-", said["waits"]), "it runs nowhere by itself"
    assert any(one["done"] for one in json.loads(said["asked"]))
    assert (said["steps"], said["nothing"], said["left"]) == ("", "nothing to recover", "")
    goes_on(guest, "1 fast")


@pytest.mark.parametrize("devices", ["", DEVICES], ids=["plain", "devices"])
def test_a_restore_killed_at_any_step_leaves_nothing_or_the_guest(host, devices):
    it = Sailor(host, devices)
    host.wherry("save", it.guest.name, IMAGE)

    def renew():
        it.renew()
        host.wherry("save", it.guest.name, IMAGE)

    def attempt(step):
        domains, done = kill_at(host, step, "restore", IMAGE)
        assert {one["verb"] for one in done} <= {"restore"} and len(done) <= 1
        if step in RESTORING:
            assert domains == ""
        else:
            it.is_running(domains)
            host.wherry("save", it.guest.name, IMAGE)

    every(RESTORING + RESTORED, devices, attempt, renew)
    it.resumed = it.guest.console().count("resumed")
    it.restores()


def test_no_qemu_outlives_a_save_or_restore_that_is_killed(host):
    it = Sailor(host, QEMU_DISK)
    assert host.run("pgrep -c qemu").out == "1\n"
    domains, _ = kill_at(host, "end the domain's QEMU", "save", it.guest.name, IMAGE)
    assert domains == ""
    for step in WITH_QEMU + ["make the console"]:
        domains, _ = kill_at(host, step, "restore", IMAGE)
        assert domains == ""
    it.restores()


def test_a_guest_with_emulated_devices_is_in_one_place_as_well(host):
    guest = host.guest("beater", by="wherry")
    count = beats(guest)
    for step in EMULATED_SAVING + ["copy the suspended guest"]:
        domains, _ = kill_at(host, step, "save", guest.name, IMAGE)
        assert re.fullmatch(rf"beater {guest.domid} \.\.----", domains), (step, domains)
        count = beats(guest, count)
    for step in LIVE:
        domains, _ = kill_at(host, step, "save", "--live", guest.name, IMAGE)
        assert re.fullmatch(rf"beater {guest.domid} \.\.----", domains), (step, domains)
        count = beats(guest, count)
        assert log_dirty(host) == [], step
    host.wherry("save", guest.name, IMAGE)
    for step in EMULATED_RESTORING:
        domains, _ = kill_at(host, step, "restore", IMAGE)
        assert domains == "", step
    host.wherry("restore", IMAGE)
    beats(guest, count)


# A signal that asks it to stop.

INTERRUPT = r"""
hold "$step" $words
section stopped; echo $state
kill -INT $pid; kill -CONT $pid; wait $pid; code=$?
section code; echo $code
section said; cat /run/wherry-said
section nothing; wherry recover
section left; left
section domains; domains
"""


def interrupt_at(host, step, *words):
    """Ctrl-C as it enters the step: exit status, what it said, domains."""
    said = sections(host, f"step={json.dumps(step)}; words='{' '.join(words)}'\n" + INTERRUPT)
    assert said["stopped"] == "T", f"it did not come to the step {step!r}"
    assert said["nothing"] == "nothing to recover" and said["left"] == ""
    return int(said["code"]), said["said"], said["domains"]


def test_ctrl_c_in_a_save_lets_the_guest_run_on_and_leaves_no_file(host):
    it = Sailor(host)
    domid = it.guest.domid
    for step in SAVING[2:6]:
        code, said, domains = interrupt_at(host, step, "save", it.guest.name, IMAGE)
        assert code == CANCELLED and f"domain {domid} runs on" in said, said
        it.is_running(domains, domid)
        assert host.run(f"ls {IMAGE}", check=False).code != 0
    # Once the image is whole and has its name it is too late.
    code, said, domains = interrupt_at(host, SAVED[0], "save", it.guest.name, IMAGE)
    assert (code, domains) == (0, "")
    it.restores()


def test_ctrl_c_in_a_restore_leaves_no_domain(host):
    it = Sailor(host, DEVICES)
    host.wherry("save", it.guest.name, IMAGE)
    for step in ("make the domain", "fill the guest's memory", "set the processors",
                 "make a disk"):
        code, said, domains = interrupt_at(host, step, "restore", IMAGE)
        assert (code, domains) == (CANCELLED, ""), said
    it.restores()
