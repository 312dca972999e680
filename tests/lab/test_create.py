# SPDX-License-Identifier: LGPL-2.1-or-later
"""wherry create, destroy and the monitor beside stock xl on a real host: the same guest, the same
nodes in xenstore, nothing left when it goes or when making it fails."""

import json
import re
import subprocess
import time

import pytest

from saving import QUICK
from lab import guest as guests

STEP = r"^step (\d+) ok"

# By the host's own scripts, and by one that does the least.
STOCK_DEVICES = """
disk = [ "vdev=xvda,access=rw,format=raw,target=/images/kernel.img",
         "vdev=xvdb,access=rw,format=raw,backendtype=qdisk,target=/images/qemu.img" ]
vif = [ "mac=00:16:3e:01:02:03,bridge=xenbr0,rate=10Mb/s,mtu=1400,ip=10.99.0.77" ]
"""

DEVICES = """
disk = [ "vdev=xvda,access=rw,format=raw,script=wh-quick,target=/images/kernel.img",
         "vdev=xvdb,access=rw,format=raw,backendtype=qdisk,target=/images/qemu.img" ]
vif = [ "mac=00:16:3e:01:02:03,bridge=xenbr0,script=wh-quick" ]
"""

# Accidents: one fails, one hangs with a child that hangs too.
FAILS = """#!/bin/sh
case $1 in
add|online) xenstore-write "$XENBUS_PATH/hotplug-error" "no luck"; exit 1 ;;
esac
"""

HANGS = """#!/bin/sh
case $1 in
add|online) sleep 1234 & sleep 1234 ;;
esac
"""

SCRIPTS = {"wh-quick": QUICK, "wh-fails": FAILS, "wh-hangs": HANGS}

LIMITS = """
maxvcpus = 3
max_event_channels = 512
max_grant_frames = 40
tsc_mode = "always_emulate"
cpus = "0-1"
cpu_weight = 300
cap = 50
pool = "Pool-0"
on_crash = "preserve"
"""


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host with two small disk images, and none of our files in it afterwards."""
    host, = lab.hosts(1)
    host.run("truncate -s 4M /images/kernel.img /images/qemu.img\n" + "".join(
        f"cat >/etc/xen/scripts/{name} <<'end'; chmod +x /etc/xen/scripts/{name}\n{script}end\n"
        for name, script in SCRIPTS.items()))
    yield host
    for name in host.domains():
        host.wherry("destroy", name, check=False)
    host.run("rm -f /images/* /root/* /etc/xen/scripts/wh-*")


# ------------------------------------------------------------------------------- xenstore

# What no two domains have in common, by either tool.
VARYING = {
    r"/local/domain/N/console/tty": r"/dev/pts/\d+",
    r"/local/domain/N/image/device-model-pid": r"\d+",
    r"/vm/UUID/start_time": r"\d+\.\d\d",
    r"/local/domain/N/(store|console)/ring-ref": r"\d+",
    r"/local/domain/0/backend/vbd/N/51712/node": r"/dev/loop\d+",
    r"/local/domain/0/backend/vbd/N/51712/physical-device": r"7:[0-9a-f]+",
    r"/local/domain/0/backend/vbd/N/51712/physical-device-path": r"/dev/loop\d+",
}

# Where ours differ from xl's, and why.  (path, what, reason)
DIFFERENCES = []


# Folders that stay when the first domain has gone, with xl as well.
FOLDERS = ("/vm", "/libxl", "/local/domain/0/backend", "/local/domain/0/device-model")


def nodes(host):
    """Every node: path to (value, permissions)."""
    lines = host.run("xenstore-ls -fp").out.splitlines()
    found = [re.fullmatch(r'(\S+) = "(.*)"   \((.*)\)', line) for line in lines]
    return {match[1]: (match[2], match[3]) for match in found if match and match[1] not in FOLDERS}


def common(text, domid, uuid):
    """The text of a path or a value without this domain's number and uuid."""
    text = text.replace(uuid, "UUID")
    text = re.sub(rf"^(/local/domain|/libxl)/{domid}(?=/|$)", r"\1/N", text)
    return re.sub(rf"^(/local/domain/0/(?:backend/\w+|device-model))/{domid}(?=/|$)", r"\1/N", text)


def normal(path, value, perms, domid, uuid):
    path = common(path, domid, uuid)
    value = "N" if re.search(r"/(domid|frontend-id)$", path) and value == str(domid) \
        else common(value, domid, uuid)
    for pattern, form in VARYING.items():
        if re.fullmatch(pattern, path) and re.fullmatch(form, value):
            value = "varying"
    return path, (value, re.sub(rf"\b([nrwb]){domid}\b", r"\1N", perms))


def looks(host, name):
    """What is not in xenstore: where its vCPUs may run, and its share of them."""
    placed = [line.split("/")[0].split()[-1] + line[line.index("/"):]
              for line in host.xl("vcpu-list", name).out.splitlines()[1:]]
    share = host.xl("sched-credit2", "-d", name).out.splitlines()[-1].split()[2:]
    return placed, share


def create(host, tool, *words):
    """On a slow host xl may kill a script that is only slow, after its 40 s: once more, then."""
    for _ in range(3):
        done = getattr(host, tool)("create", *words, check=False, timeout=400)
        if done.code == 0 or "because of timeout" not in done.err:
            break
        host.run("losetup -D")
    assert done.code == 0, done.err


def made(host, tool, config):
    """What creating it adds to xenstore, without what is its own; its stored configuration; what
    xl says of it.  Everything of it is gone again."""
    before = nodes(host)
    create(host, tool, "-p", config)
    (name, domid), = host.domains().items()
    uuid = host.run(["xenstore-read", f"/local/domain/{domid}/vm"]).out.strip().split("/")[-1]
    new = {path: node for path, node in nodes(host).items() if before.get(path) != node}
    stored = host.read(f"/var/lib/xen/userdata-d.{domid}.{uuid}.libxl-json")
    stored = json.loads(stored.rstrip("\0"))
    look = looks(host, name)
    getattr(host, tool)("destroy", name, timeout=300)
    assert stored["c_info"].pop("uuid") == uuid
    return dict(normal(path, *node, domid, uuid) for path, node in new.items()), stored, look


def differences(ours, theirs):
    paths = sorted({*ours, *theirs})
    return [f"{path}: ours {ours.get(path)}, xl's {theirs.get(path)}" for path in paths
            if ours.get(path) != theirs.get(path) and
            not any(re.fullmatch(known, path) for known, _ in DIFFERENCES)]


# What a PVH guest has unless it is told otherwise is seen with the host's own scripts.
@pytest.mark.parametrize("kind, more", [
    ("stepper-pv", ""),
    ("stepper-pvh", DEVICES + LIMITS),
    ("stepper-pv", DEVICES + LIMITS),
    ("stepper-pvh", STOCK_DEVICES),
], ids=["pv", "pvh-devices", "pv-devices", "stock-scripts"])
def test_all_that_is_seen_of_a_guest_is_what_xl_makes(host, kind, more):
    path = configure(host, kind, "same", memory=24, vcpus=2, more=more)
    theirs, theirs_stored, theirs_look = made(host, "xl", path)
    before = traces(host)
    ours, ours_stored, ours_look = made(host, "wherry", path)
    assert not differences(ours, theirs)
    assert len(ours) > 40
    assert ours_stored == theirs_stored == without_uuid(host.wherry("create", "-n", path).out)
    assert ours_look == theirs_look
    assert_gone(host, "wherry monitor")
    assert traces(host) == before


# -------------------------------------------------------------------------- beside xl

def configure(host, kind, name, **how):
    guests.shelve(host, kind)
    host.write(f"/root/{name}.cfg", guests.config(kind, name, **how))
    return f"/root/{name}.cfg"


def without_uuid(text):
    config = json.loads(text)
    config["c_info"].pop("uuid")
    return config


def test_dry_run_tells_the_configuration_and_makes_nothing(host):
    path = configure(host, "stepper-pvh", "dry", vcpus=2, more=DEVICES + LIMITS)
    before = traces(host)
    said = host.wherry("create", "-n", path, "memory=20", 'on_poweroff="preserve"').out
    assert without_uuid(said)["b_info"]["max_memkb"] == 20 << 10
    assert without_uuid(said)["on_poweroff"] == "preserve"
    assert traces(host) == before


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-pv"])
def test_xl_lists_saves_and_destroys_what_wherry_created(host, kind):
    guest = host.guest(kind, name="ours", by="wherry", memory=24, vcpus=2)
    guest.wait_for(STEP)
    listed, = json.loads(host.xl("list", "-l", "ours").out)
    assert listed["config"]["c_info"]["name"] == "ours"
    assert listed["config"]["b_info"]["max_memkb"] == 24 << 10
    host.xl("save", "ours", "/images/ours.save")
    assert_gone(host, "wherry monitor")
    host.xl("restore", "/images/ours.save")
    guest.wait_for(r"^checked \d+ pages, 0 bad")
    guest.wait_for(STEP, after=len(guest.console()))
    host.xl("destroy", "ours")
    assert guest.domid is None


def test_wherry_destroys_all_of_what_xl_created(host):
    path = configure(host, "stepper-pvh", "theirs", vcpus=2, more=DEVICES)
    before = traces(host)
    create(host, "xl", path)
    assert host.run("pgrep -f xen-attach").out
    host.wherry("destroy", "theirs", timeout=300)
    assert_gone(host, "xl create")
    assert traces(host) == before
    assert host.wherry("destroy", "theirs", check=False).code == 2


# ------------------------------------------------------------------------------ failing

def traces(host):
    """All that a domain leaves traces in."""
    lists = host.run("ls /var/lib/xen /run/xen | grep -v -e domid-history -e '^$'; losetup -a;"
                     "ls /sys/class/net; ps -eo args | grep -v '^\\[' | grep -e [q]emu -e [w]herry;"
                     "true")
    return nodes(host), host.domains(), lists.out


def assert_gone(host, process, seconds=30):
    deadline = time.monotonic() + seconds
    while (left := host.run(["pgrep", "-f", process.replace("w", "[w]").replace("x", "[x]")],
                            check=False).out) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left


FAILURES = {
    "no kernel": ('kernel = "/guests/none"', "/guests/none"),
    "no disk": ('disk = [ "format=raw,vdev=xvda,target=/images/none" ]', "disk xvda: /images/none"),
    "a kernel that is none": ('kernel = "/images/qemu.img"', "/images/qemu.img"),
    "no memory": ("memory = 100000", r"needs 100\d+ MiB, the host has \d+ MiB free"),
    "no pool": ('pool = "none"', "there is no cpupool 'none'"),
    "a name in use": ('name = "first"', "domain \\d+ is called 'first' already"),
    "a uuid in use": ('uuid = "%(uuid)s"', "domain \\d+ has the uuid %(uuid)s already"),
    "a script that fails": (DEVICES + 'vif = [ "script=wh-fails" ]', "no luck"),
    "a script that is not there": ('vif = [ "script=wh-none" ]', "/etc/xen/scripts/wh-none"),
    "a bridge that is not there": ('vif = [ "bridge=none0" ]', "none0"),
}


def test_a_failure_says_why_and_leaves_nothing(host):
    first = host.guest("stepper-pvh", name="first", by="xl", vcpus=2)
    uuid = host.run(["xenstore-read", f"/local/domain/{first.domid}/vm"]).out.strip()[4:]
    before = traces(host)
    for accident, (more, why) in FAILURES.items():
        path = configure(host, "stepper-pvh", "second", vcpus=2, more=more % {"uuid": uuid})
        done = host.wherry("create", path, check=False, timeout=300)
        assert done.code != 0, accident
        assert re.search(why % {"uuid": uuid}, done.err), (accident, done.err)
        assert traces(host) == before, accident


def test_an_interrupt_in_the_middle_leaves_nothing(host):
    path = configure(host, "stepper-pvh", "second", vcpus=2,
                     more=DEVICES + 'vif = [ "script=wh-hangs" ]')
    before = traces(host)
    host.refresh()
    with subprocess.Popen(host.ssh(f"echo $$; exec wherry create {path}"), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as create:
        pid = create.stdout.readline().strip()
        for _ in range(600):
            if host.run("pgrep -f 'sleep 1[2]34'", check=False).out:
                break
            time.sleep(0.2)
        host.run(f"kill -INT {pid}")
        _, err = create.communicate(timeout=120)
    assert create.returncode == 130 and "cancelled" in err, err
    assert not host.run("pgrep -f 'sleep 1[2]34'", check=False).out
    assert traces(host) == before


# ------------------------------------------------------------------------------ monitor

def ask(guest, wish):
    guest.host.run(["xenstore-write", f"/local/domain/{guest.domid}/control/shutdown", wish])


def wait_until(what, seconds=120):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert what()


def log(guest):
    return guest.host.read(f"/var/log/xen/wherry-{guest.name}.log")


def test_monitor_starts_a_guest_again_that_reboots_and_destroys_one_that_powers_off(host):
    before = traces(host)
    guest = host.guest("stepper-pvh", name="again", by="wherry", vcpus=2, more=DEVICES)
    guest.wait_for(STEP)
    first = guest.domid
    ask(guest, "reboot")
    guest.wait_for(r"^stepper (?s:.*)^stepper (?s:.*)^step \d+ ok", timeout=180)
    assert guest.domid not in (None, first)
    assert host.run(f"pgrep -f 'wherry monitor {guest.domid}'").out
    ask(guest, "poweroff")
    wait_until(lambda: guest.domid is None)
    wait_until(lambda: traces(host) == before)
    assert "(reboot)" in log(guest) and "(poweroff)" in log(guest)


def test_monitor_keeps_what_crashed_under_another_name(host):
    guest = host.guest("stepper-pvh", name="crash", by="wherry", vcpus=2, command_line="crash=2",
                       more=DEVICES + 'on_crash = "rename-restart"')
    first = guest.domid
    wait_until(lambda: len(host.domains()) >= 2)
    kept, = (name for name, domid in host.domains().items() if domid == first)
    assert re.fullmatch(r"crash-\d{8}T\d{6}Z", kept)
    guest.wait_for(r"^stepper (?s:.*)^stepper ")
    uuids = {domid: host.run(["xenstore-read", f"/local/domain/{domid}/vm"]).out
             for domid in host.domains().values()}
    assert len(set(uuids.values())) == len(uuids)


def test_monitor_does_not_start_a_guest_for_ever_that_dies_at_once(host):
    guest = host.guest("stepper-pvh", name="brief", by="wherry", vcpus=2,
                       command_line="rate=0 reboot=1")
    wait_until(lambda: guest.domid is None and "not started again" in log(guest), 240)
    assert log(guest).count("started again as domain") == 4
    assert_gone(host, "wherry monitor")


def test_monitor_lets_a_guest_be_saved_and_goes_on_when_it_runs_on(host):
    guest = host.guest("stepper-pvh", name="saved", by="wherry", vcpus=2,
                       more='on_poweroff = "preserve"')
    guest.wait_for(STEP)
    host.xl("save", "-c", "saved", "/images/saved.save")
    guest.wait_for(r"^resumed 1 fast")
    ask(guest, "poweroff")
    wait_until(lambda: "left as it is" in log(guest))
    assert guest.domid is not None


def test_no_monitor_and_paused_are_what_they_say(host):
    guest = host.guest("stepper-pvh", name="alone", vcpus=2, by="wherry", paused=True)
    assert host.run("pgrep -f 'wherry [m]onitor'").out
    assert guest.console() == ""
    host.xl("destroy", "alone")
    assert_gone(host, "wherry monitor")
    host.wherry("create", "-e", "-q", guest.config_path)
    guest.wait_for(STEP)
    assert not host.run("pgrep -f 'wherry [m]onitor'", check=False).out
