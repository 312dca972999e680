# SPDX-License-Identifier: LGPL-2.1-or-later
"""Save and restore on real Xen when something is not as it should be: no room, a damaged file, a
name in use, a guest that refuses.  Each fails with a clear error, the guest is where it was, and
nothing is left."""

import json
import re

import pytest

from saving import (IMAGE, STREAM, SYSTEM, TIMEOUT, USAGE, XEN, goes_on, last_line, left,
                    sections, stepper)


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host, and no image in it afterwards."""
    host, = lab.hosts(1)
    yield host
    host.run("umount /mnt 2>/dev/null; rm -f /images/*", check=False)


def refused(host, *words, code, **how):
    """What it said when it failed with this code."""
    result = host.wherry(*words, check=False, **how)
    assert result.code == code, (result.code, result.out, result.err)
    assert result.err.startswith("wherry: ") and result.err.count("\n") == 1, result.err
    return result.err


# ---------------------------------------------------------------------------------- the file

def test_a_file_is_private_whole_and_has_holes_where_the_guest_is_zero(host):
    guest = stepper(host, words="pages=1000")
    host.run(f"umask 0; echo old >{IMAGE}; chmod 666 {IMAGE}")
    sparse = last_line(host.wherry("save", "--json", "-c", guest.name, IMAGE))
    whole = last_line(host.wherry("save", "--json", "-c", "--no-sparse", guest.name, "/images/w"))
    told = host.run(f"stat -c '%a %h %s %b' {IMAGE} /images/w").out.split()
    (mode, links, size, blocks), solid = told[:4], told[4:]
    assert (mode, links, solid[0]) == ("600", "1", "600")
    assert int(size) == sparse["file_bytes"] > 16 << 20
    assert sparse["hole_bytes"] > 8 << 20 and int(blocks) * 512 < int(size) - (8 << 20)
    assert whole["hole_bytes"] == 0 and int(solid[3]) * 512 >= int(solid[2])
    # The digest is of what was to be written, holes and all: read back, it is the same.
    for path in (IMAGE, "/images/w"):
        host.wherry("verify", "-d", path)
    host.run(f"cp --sparse=never {IMAGE} /images/copy && cmp {IMAGE} /images/copy")
    assert left(host) == []


# ---------------------------------------------------------------------------------- no room

# Options, what is said, and after which resume the guest goes on: None, it was not suspended yet.
FULL = [
    ([],                                 "needs up to", None),
    (["--no-sparse", "--no-room-check"], "No space left on device", None),
    (["--no-room-check"],                "No space left on device", "1 fast"),
    (["--compress"],                     "No space left on device", "2 fast"),
]


def test_a_full_disk_leaves_the_guest_running_and_no_file(host):
    guest = stepper(host, words="random")
    domid = guest.domid
    host.run("mount -t tmpfs -o size=6m none /mnt && echo old >/mnt/guest.save")
    for how, says, resumed in FULL:
        error = refused(host, "save", *how, guest.name, "/mnt/guest.save", code=SYSTEM)
        assert says in error, how
        assert guest.domid == domid
        goes_on(guest, resumed)
        assert host.run("cd /mnt; ls -A; cat *").out == "guest.save\nold\n", how
        assert left(host) == [], how


# ---------------------------------------------------------------------------- a damaged file

# Tries a restore of each: [what, kind, where], and tells how it ended.
DAMAGE = r"""
import json, os, subprocess, sys
path, plan = sys.argv[1], json.loads(sys.argv[2])
def restore(what):
    done = subprocess.run(["wherry", "restore", path], capture_output=True, text=True)
    print(json.dumps([what, done.returncode, done.stdout + done.stderr]), flush=True)
with open(path, "r+b", buffering=0) as file:
    for what, at in plan["altered"]:
        byte = os.pread(file.fileno(), 1, at)
        os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), at)
        restore(what)
        os.pwrite(file.fileno(), byte, at)
for what, size in plan["cut"]:
    os.truncate(path, size)
    restore(what)
"""

FLIPPED = "/images/flipped"
FLIP = """
import sys
image = bytearray(open(sys.argv[1], "rb").read())
image[int(sys.argv[3])] ^= 1
open(sys.argv[2], "wb").write(image)
"""


def records(host):
    """The first record of each kind: layer and type, offset, where the middle of its body is."""
    found = {}
    for line in host.wherry("inspect", "--records", "--json", IMAGE).out.splitlines():
        one = json.loads(line)
        if "layer" in one:
            head = 0 if one["type"] in ("header", "config") else 8
            middle = one["offset"] + head + one["length"] // 2 if one["length"] else None
            found.setdefault(f"{one['layer']} {one['type']}", (one["offset"], middle))
    return found


def places(host):
    """Bytes to alter and lengths to cut to, all over the file.  Cut where the trailer begins it is
    a whole image without one."""
    size = int(host.run(["stat", "-c", "%s", IMAGE]).out)
    page = json.loads(host.wherry("inspect", "--json", "--page=0x500", IMAGE).out)
    altered, ends = [["a page", page["offset"] + 1000], ["the digest", size - 20]], {1, size // 2}
    for name, (at, middle) in records(host).items():
        if name.split()[0] != "trailer":
            altered += [[f"the head of {name}", at]]
        if middle:
            altered += [[f"the body of {name}", middle]]
        if name != "trailer header":
            ends |= {at + 4}
    return altered, [[f"cut to {end}", end] for end in sorted(ends, reverse=True)]


def is_clear(what, code, said):
    """One line, which names the place; but what Xen is given before the digest can be looked at it
    may refuse itself."""
    if not re.match(r"wherry: [^\n]+\n\Z", said):
        return False
    if code == STREAM:
        return re.search(r": offset (0x)?[0-9a-f]+: .*: expected .*, found ", said)
    return code == XEN and re.search("POLICY|CONTEXT|PARAMS|VCPU|TSC|INFO", what)


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-pv"])
def test_a_file_cut_or_altered_anywhere_is_refused_or_unverified_seen_by_the_guest(host, kind):
    guest = stepper(host, kind)
    host.wherry("save", guest.name, IMAGE)
    page = json.loads(host.wherry("inspect", "--json", "--page=0x500", IMAGE).out)
    host.run(["python3", "-c", FLIP, IMAGE, FLIPPED, str(page["offset"] + 61)])
    altered, cut = places(host)
    plan = json.dumps({"altered": altered, "cut": cut})
    told = host.run(["python3", "-", IMAGE, plan], input=DAMAGE, timeout=3000).out
    outcomes = [json.loads(line) for line in told.splitlines()]
    assert len(outcomes) == len(altered) + len(cut) >= 30
    wrong = [one for one in outcomes if not is_clear(*one)]
    assert not wrong, "\n".join(map(str, wrong))
    assert host.domains() == {} and left(host) == []
    assert "digest" in refused(host, "restore", FLIPPED, code=STREAM)
    host.wherry("restore", "--no-verify", FLIPPED)
    guest.wait_for(r"^BAD page=0x500 expected=\d+ found=\d+ word=7 wrong=1 ", timeout=200)
    guest.wait_for(r"^checked \d+ pages, 1 bad")


# ---------------------------------------------------------------------- no place for the guest

def test_a_name_or_uuid_in_use_is_refused_and_a_second_guest_of_one_image_is_not(host):
    guest = stepper(host)
    host.wherry("save", "-c", guest.name, IMAGE)
    uuid = host.run(["xenstore-read", f"/local/domain/{guest.domid}/vm"]).out.strip()[4:]
    assert uuid in refused(host, "restore", IMAGE, code=USAGE)
    called = refused(host, "restore", guest.config_path, IMAGE, code=USAGE)
    assert f"is called '{guest.name}' already" in called
    config = host.read(guest.config_path).replace(f'"{guest.name}"', '"twin"')
    host.write("/root/same.cfg", config + f'uuid = "{uuid}"\n')
    assert uuid in refused(host, "restore", "/root/same.cfg", IMAGE, code=USAGE)
    assert host.domains() == {guest.name: guest.domid} and left(host) == []
    host.write("/root/twin.cfg", config)
    host.wherry("restore", "/root/twin.cfg", IMAGE)
    twin = type(guest)(host, "twin")
    goes_on(twin)
    goes_on(guest, "1 fast")
    assert set(host.domains()) == {guest.name, "twin"}


def test_a_guest_that_does_not_fit_is_refused_and_no_domain_is_left(host):
    guest = stepper(host, words="pages=1000", memory=64)
    host.wherry("save", guest.name, IMAGE)
    free = int(re.search(r"^free_memory +: (\d+)", host.xl("info").out, re.M)[1])
    hog = host.guest("stepper-pvh", name="hog", memory=free - 40, paused=True)
    error = refused(host, "restore", IMAGE, code=XEN, timeout=300)
    assert "memory" in error
    assert set(host.domains()) == {"hog"} and left(host) == []
    hog.destroy()
    host.wherry("restore", IMAGE)
    goes_on(guest, "1 new")


# ------------------------------------------------------------------- what cannot be saved now

def test_a_paused_guest_dom0_and_nobody_are_not_saved(host):
    guest = stepper(host)
    host.xl("pause", guest.name)
    assert "paused" in refused(host, "save", guest.name, IMAGE, code=USAGE)
    assert "domain 0" in refused(host, "save", "Domain-0", IMAGE, code=USAGE)
    assert "'nobody'" in refused(host, "save", "nobody", IMAGE, code=USAGE)
    host.xl("unpause", guest.name)
    assert "no/such" in refused(host, "save", guest.name, "/images/no/such", code=SYSTEM)
    assert host.run(f"ls {IMAGE}", check=False).code != 0 and left(host) == []
    goes_on(guest)


TWICE = f"""
hold "copy the suspended guest" save stepper-pvh {IMAGE}
section second; wherry save stepper-pvh /images/other 2>&1; echo $?
section recover; wherry recover --json
kill -CONT $pid; wait $pid; code=$?
section first; echo $code
section left; ls /images; left
"""


def test_a_guest_is_not_saved_twice_at_once_nor_recovered_from_under_a_save(host):
    stepper(host)
    said = sections(host, TWICE)
    assert "a save is under way already" in said["second"]
    assert said["second"].endswith(f"\n{USAGE}")
    assert all("action" in one and not one["done"] for one in json.loads(said["recover"]))
    assert (said["first"], said["left"]) == ("0", IMAGE[8:])
    host.wherry("restore", IMAGE)


# ------------------------------------------------------------------------------- xenstored stops

SHORT = f"""
trap 'kill -CONT $(pidof xenstored)' EXIT
kill -STOP $(pidof xenstored)
wherry save stepper-pvh {IMAGE} & pid=$!
sleep 5; kill -CONT $(pidof xenstored)
wait $pid; code=$?
section code; echo $code
"""

LONG = f"""
trap 'kill -CONT $(pidof xenstored)' EXIT
export WHERRY_HURRY=10
hold "ask the guest to suspend" save stepper-pvh {IMAGE}
unset WHERRY_HURRY
kill -STOP $(pidof xenstored); kill -CONT $pid
wait $pid; code=$?
section code; echo $code
section said; cat /run/wherry-said
kill -CONT $(pidof xenstored)
section recover; wherry recover
section again; wherry recover
section domains; domains
section left; ls /images; left
"""


def test_a_save_goes_through_when_xenstored_stops_for_a_moment(host):
    guest = stepper(host)
    assert sections(host, SHORT)["code"] == "0"
    host.wherry("restore", IMAGE)
    goes_on(guest, "1 new")


def test_a_save_gives_up_when_xenstored_does_not_answer_and_the_guest_runs_on(host):
    guest = stepper(host)
    domid = guest.domid
    said = sections(host, LONG)
    assert int(said["code"]) == TIMEOUT and "xenstored has not answered" in said["said"], said
    assert "wherry recover" in said["said"] or "runs on" in said["said"]
    assert said["again"] == "nothing to recover"
    assert said["domains"] == f"{guest.name} {domid} ..----" and said["left"] == ""
    goes_on(guest)


# -------------------------------------------------------------------------------- a guest refuses

REFUSALS = f"""
for name in $names; do
    (WHERRY_HURRY=10 wherry save $name {IMAGE}.$name >/run/$name 2>&1; echo $? >>/run/$name) &
done
wait
for name in $names; do section $name; cat /run/$name; rm /run/$name; done
section left; ls /images; left
"""
REFUSES = {
    "ack": "does not take the request to suspend.*; domain %d runs on, .* was not written",
    # Who took the request may yet suspend: that is waited for as long again, and told of.
    "shutdown": "took the request to suspend and does not.*wherry recover settles it.*may yet do so",
}


def test_a_guest_that_refuses_to_suspend_runs_on(host):
    guests = [stepper(host, name=name, words=f"refuse={name}") for name in REFUSES]
    domids = [guest.domid for guest in guests]
    said = sections(host, f"names='{' '.join(REFUSES)}'\n" + REFUSALS)
    for guest, domid in zip(guests, domids):
        assert re.search(REFUSES[guest.name].replace("%d", str(domid)), said[guest.name]), said
        assert said[guest.name].endswith(f"\n{TIMEOUT}"), said
        assert guest.domid == domid
        goes_on(guest)
    waits = [line for line in said["left"].splitlines() if "/jobs/" in line]
    assert said["left"] == "\n".join(waits) and len(waits) == 1, "of the one who took the request"
    host.run("rm -f /var/lib/wherry/jobs/*")
