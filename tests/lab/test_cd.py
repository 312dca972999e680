# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CD drive of an HVM guest on real Xen and QEMU: media put in and taken out while it runs, QEMU
restricted and not, kept by a save, and beside stock xl."""

import json
import re

import pytest

from saving import IMAGE, USAGE, beats, left, sections

DISC = "/images/disc.iso"
OTHER = "/images/other.iso"
HDC = 5632

DRIVES = ('disk = [ "format=raw,vdev=hda,access=rw,target=/root/beater.img",\n'
          '         "vdev=hdc,access=ro,devtype=cdrom,target=" ]\n')
PLAIN = pytest.param("", id="plain")
RESTRICTED = pytest.param("dm_restrict = 1\n", id="restricted")


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host with two discs of 1 MiB, and none of our files in it afterwards."""
    host, = lab.hosts(1)
    for path, word in ((DISC, "disc"), (OTHER, "other")):
        host.run(f"yes {word} | head -c 1M >{path}")
    yield host
    for name in host.domains():
        host.wherry("destroy", name, check=False, timeout=300)
    host.run("rm -f /images/* /root/*", check=False)


def beater(host, more=""):
    guest = host.guest("beater", by="wherry", more=DRIVES + more)
    beats(guest)
    return guest


def node(guest, path):
    return guest.host.run(["xenstore-read", path]).out.rstrip("\n")


def opened(guest):
    """The discs that its QEMU holds open."""
    pid = node(guest, f"/local/domain/{guest.domid}/image/device-model-pid")
    files = guest.host.run(f"ls -l /proc/{pid}/fd | sed -n 's/.* -> //p'").out.splitlines()
    return {path for path in files if path.endswith(".iso")}


def named(guest):
    """What xenstore and the stored configuration say is in the drive, in that order; "": nothing."""
    domid = guest.domid
    params = [node(guest, f"{path}/params") for path in (f"/local/domain/0/backend/qdisk/{domid}/{HDC}",
                                                         f"/libxl/{domid}/device/vbd/{HDC}")]
    listed, = json.loads(guest.host.xl("list", "-l", guest.name).out)
    drive, = [disk for disk in listed["config"]["disks"] if disk["vdev"] == "hdc"]
    path = drive.get("pdev_path") or ""
    assert drive["format"] == ("raw" if path else "empty"), drive
    return [re.sub(r"^\w*:", "", text) for text in params] + [path]


def assert_in(guest, path):
    """All say that this is in the drive ("": nothing), and the guest beats on.  QEMU may still hold one
    open that xl took out, or whose command was killed."""
    assert named(guest) == [path] * 3
    assert ({path} if path else set()) <= opened(guest)
    beats(guest)


# ---------------------------------------------------------------------------- in and out

@pytest.mark.parametrize("more", [PLAIN, RESTRICTED])
def test_a_medium_goes_in_is_kept_by_a_save_and_comes_out(host, more):
    guest = beater(host, more)
    assert_in(guest, "")
    said = json.loads(host.wherry("cd-insert", "--json", guest.name, "hdc", DISC).out)
    assert (said["vdev"], said["file"], said["old_file"]) == ("hdc", DISC, None)
    assert_in(guest, DISC)
    host.wherry("save", guest.name, IMAGE)
    assert guest.domid is None and left(host) == []
    host.wherry("restore", IMAGE)
    assert_in(guest, DISC)
    host.wherry("cd-insert", guest.name, "hdc", OTHER)
    assert_in(guest, OTHER)
    said = json.loads(host.wherry("cd-eject", "--json", guest.name, "hdc").out)
    assert (said["file"], said["old_file"]) == (None, OTHER)
    assert_in(guest, "")
    host.wherry("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    assert_in(guest, "")
    for path, word in ((DISC, "disc"), (OTHER, "other")):
        assert host.run(f"yes {word} | head -c 1M | cmp - {path}").code == 0


def test_xl_changes_what_wherry_put_in_and_the_other_way_round(host):
    guest = beater(host)
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    host.xl("cd-eject", guest.name, "hdc")
    assert named(guest) == [""] * 3
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    assert_in(guest, DISC)
    host.wherry("cd-eject", guest.name, "hdc")
    host.xl("cd-insert", guest.name, "hdc", OTHER)
    assert_in(guest, OTHER)
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    assert named(guest) == [DISC] * 3 and DISC in opened(guest)
    beats(guest)
    host.xl("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    assert_in(guest, DISC)


# -------------------------------------------------------------------------- what is refused

def test_what_does_not_go_in_leaves_what_was_in(host):
    guest = beater(host)
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    for vdev, path in (("hda", OTHER), ("hdd", OTHER), ("hdc", "/images"), ("hdc", "/images/none.iso")):
        assert host.wherry("cd-insert", guest.name, vdev, path, check=False).code != 0
        assert_in(guest, DISC)
    done = host.wherry("cd-insert", guest.name, "hdc", f"qcow2:{OTHER}", check=False)
    assert done.code != 0 and "blockdev-change-medium" in done.err, done.err
    assert "could not" not in done.err, done.err
    assert_in(guest, DISC)


def test_the_drive_of_a_guest_that_is_being_saved_is_let_be(host):
    guest = beater(host)
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    said = sections(host, f"""
        hold "copy the suspended guest" save -c {guest.name} {IMAGE}
        section stopped; echo $state
        section insert; wherry cd-insert {guest.name} hdc {OTHER} 2>&1; echo $?
        section eject; wherry cd-eject {guest.name} hdc 2>&1; echo $?
        kill -CONT $pid; wait $pid; code=$?
        section saved; echo $code
    """)
    assert said["stopped"] == "T" and said["saved"] == "0", said
    for verb in ("insert", "eject"):
        assert "is being created, saved or restored" in said[verb], said
        assert said[verb].splitlines()[-1] == str(USAGE), said
    assert_in(guest, DISC)


# ------------------------------------------------------------------------------ one is killed

@pytest.mark.parametrize("step", ["record the drive as empty", "change the medium",
                                  "record the new medium"])
def test_what_is_killed_names_no_medium_that_is_not_in_and_the_next_goes_in(host, step):
    guest = beater(host)
    host.wherry("cd-insert", guest.name, "hdc", DISC)
    said = sections(host, f"""
        hold "{step}" cd-insert {guest.name} hdc {OTHER}
        section stopped; echo $state
        kill -9 $pid; wait $pid
        section killed
    """)
    assert said["stopped"] == "T", f"it did not come to the step {step!r}"
    assert set(named(guest)) <= opened(guest) | {""}
    host.wherry("cd-insert", guest.name, "hdc", OTHER)
    assert_in(guest, OTHER)
