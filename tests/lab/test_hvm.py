# SPDX-License-Identifier: LGPL-2.1-or-later
"""HVM guests on real Xen and QEMU: with PV drivers (the stepper, Linux) and without (the beater, which
lives by SeaBIOS, a timer, a disk and a serial port that are all emulated), QEMU restricted and not,
beside stock xl."""

import json
import re

import pytest

from saving import GUEST, IMAGE, beats, goes_on, last_line, left
from lab import guest as guests

RESTRICTED = "dm_restrict = 1\n"
BOTH = pytest.mark.parametrize("more", [pytest.param("", id="plain"),
                                        pytest.param(RESTRICTED, id="restricted")])

# Xen's own checker is given what the process has of Xen's devices: "CLASS FD NAME" each.
CHECK_FILES = """import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
pidfd = os.pidfd_open(pid)
words = []
for name in os.listdir(f"/proc/{pid}/fd"):
    path = os.readlink(f"/proc/{pid}/fd/{name}")
    if path in ("/dev/xen/privcmd", "/dev/xen/evtchn", "/dev/xen/gntdev"):
        fd = libc.syscall(438, pidfd, int(name), 0)
        os.set_inheritable(fd, True)
        words += [os.path.basename(path), str(fd), path]
print(len(words) // 3, flush=True)
os.execv("/usr/lib/xen-4.17/bin/depriv-fd-checker", ["depriv-fd-checker", *words])
"""


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host, and none of our files in it afterwards."""
    host, = lab.hosts(1)
    yield host
    for name in host.domains():
        host.wherry("destroy", name, check=False, timeout=300)
    host.run("rm -f /images/* /root/*", check=False)


def beater(host, more="", name="beater"):
    guest = host.guest("beater", name=name, by="wherry", more=more)
    beats(guest)
    return guest


def log(guest):
    """What its monitor has said."""
    return guest.host.read(f"/var/log/xen/wherry-{guest.name}.log")


def qemu(guest):
    return int(guest.host.run(["xenstore-read",
                               f"/local/domain/{guest.domid}/image/device-model-pid"]).out)


# ---------------------------------------------------------------------- saved and restored

@BOTH
def test_a_guest_of_emulated_devices_alone_goes_on_beating(host, more):
    guest = beater(host, more)
    count = beats(guest)
    host.wherry("save", guest.name, IMAGE)
    assert guest.domid is None and left(host) == []
    host.wherry("verify", "-d", IMAGE)
    host.wherry("restore", IMAGE)
    count = beats(guest, count)
    host.wherry("save", "-c", guest.name, IMAGE)
    count = beats(guest, count)
    host.wherry("pause", guest.name)
    assert guest.hear("beat", timeout=4) == ""
    host.wherry("unpause", guest.name)
    beats(guest, count)
    deaf = host.wherry("shutdown", guest.name, check=False)
    assert deaf.code == GUEST and "no PV drivers" in deaf.err, deaf.err
    assert host.wherry("shutdown", "-F", "-ww", guest.name).out == "beater: gone\n"
    assert "has shut down (poweroff)" in log(guest) and left(host) == []


# Stock xl cannot restore a restricted guest that has a disk: QEMU may not open it again.
@BOTH
def test_xl_and_wherry_restore_what_the_other_saved(host, more):
    guest = beater(host, more)
    count = beats(guest)
    if not more:
        host.wherry("save", guest.name, IMAGE)
        host.xl("restore", IMAGE)
        count = beats(guest, count)
    host.xl("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    beats(guest, count)


def test_the_stepper_finds_every_page_in_an_hvm_guest(host):
    guest = host.guest("stepper-hvm", by="wherry", memory=64)
    guest.wait_for(r"^step \d+ ok", timeout=200)
    host.wherry("save", guest.name, IMAGE)
    said = last_line(host.wherry("restore", "--json", IMAGE))
    assert said["superpages"] >= 26, json.dumps(said)     # of 28: video memory, holes
    goes_on(guest, "1 new")
    host.run(f"wherry save {guest.name} - | cat >{IMAGE}")
    assert guest.domid is None and left(host) == []
    host.run(f"cat {IMAGE} | wherry restore -")
    goes_on(guest, "2 new")
    host.wherry("save", "-c", "--compress", guest.name, IMAGE)
    goes_on(guest, "3 fast")
    guest.destroy()
    host.run(["truncate", "-s", "0", f"/var/log/xen/console/guest-{guest.name}.log"])
    host.wherry("restore", IMAGE)
    goes_on(guest, "3 new")
    host.xl("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    goes_on(guest, "4 new")


def test_linux_ticks_on_with_its_disk_and_network(host):
    more = ('disk = [ "format=raw,vdev=hda,access=rw,target=/images/disk.img" ]\n'
            'vif = [ "bridge=xenbr0" ]\n' + RESTRICTED)
    host.run("truncate -s 4M /images/disk.img")
    guest = host.guest("linux-hvm", by="wherry", more=more, vcpus=2,
                       command_line="console=hvc0 quiet dirty=200 disk=1 ip=10.99.0.50/24")
    guest.wait_for(r"^linux \S+ 2 cpus(?s:.*)^tick \d+ ", timeout=300)
    host.wherry("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    said = len(guest.console())
    guest.wait_for(r"(^tick \d+ .*\s+){3}", timeout=120, after=said)
    assert "BAD" not in guest.console()
    host.run("ping -c 1 -W 20 10.99.0.50")
    told = json.loads(host.wherry("vcpu-list", "--json", guest.name).out)
    assert [vcpu["online"] and vcpu["cpu_ns"] > 0 for vcpu in told[0]["vcpus"]] == [True, True]


def test_a_guest_of_uefi_answers_on_its_serial_port_again(host):
    host.write("/root/uefi.cfg", 'name = "uefi"\ntype = "hvm"\nmemory = 64\nbios = "ovmf"\n' +
               guests.EMULATED)
    host.wherry("create", "/root/uefi.cfg")
    guest = guests.Guest(host, "uefi")
    said = guest.hear("Press .*ESC", "\33", "Shell>")
    assert "BdsDxe: starting" in said and "Shell>" in said, said
    host.wherry("save", guest.name, IMAGE)
    assert guest.domid is None and left(host) == []
    host.wherry("restore", IMAGE)
    assert "UEFI v2" in guest.hear("", "ver\r", "UEFI v2")


# ------------------------------------------------------------------------ as xl makes them

RICH = {
    "plain": 'disk = [ "format=raw,vdev=hda,access=rw,target=/images/a.img",\n'
             '         "vdev=hdc,access=ro,devtype=cdrom,target=" ]\n'
             'vif = [ "bridge=xenbr0,mac=00:16:3e:01:02:03" ]\nvnc = 0\nserial = "pty"\nboot = "d"\n',
    "rich": 'disk = [ "format=raw,vdev=xvda,access=rw,target=/images/a.img",\n'
            '         "format=raw,vdev=sdb,access=rw,target=/images/b.img",\n'
            '         "format=raw,vdev=hdc,access=ro,devtype=cdrom,target=/images/c.img",\n'
            '         "format=raw,vdev=xvdf,access=rw,target=/images/d.img" ]\n'
            'vif = [ "bridge=xenbr0,mac=00:16:3e:01:02:03,model=e1000",\n'
            '        "bridge=xenbr0,mac=00:16:3e:01:02:04,type=vif" ]\n'
            'vnc = 1\nvnclisten = "127.0.0.1"\nvncdisplay = 7\nvncunused = 0\n'
            'keymap = "de"\nvga = "stdvga"\nvideoram = 16\nserial = [ "pty", "null" ]\nusb = 1\n'
            'usbdevice = "tablet"\nmaxvcpus = 3\nviridian = 1\nacpi = 0\nhpet = 0\nboot = "cd"\n',
    "ahci": 'disk = [ "format=raw,vdev=hda,access=rw,target=/images/a.img" ]\nhdtype = "ahci"\n'
            'xen_platform_pci = 0\nvga = "none"\nvnc = 0\n',
}
# xl's QEMU makes its sockets itself, where ours has them, and begins at once, if it is not restricted.
OURS_ALONE = {("-S",)}


def options(guest):
    """Its QEMU's options with their values, without what is only this process's."""
    words = guest.host.run(f"tr '\\0' '\\n' </proc/{qemu(guest)}/cmdline").out.splitlines()[1:]
    found = []
    for word in words:
        word = re.sub(r",(path=[^,]*|fd=\d+),server", ",server", word)
        word = re.sub(rf"vif{guest.domid}\.", "vifN.", word)
        if word.startswith("-") or not found:
            found.append([word])
        else:
            found[-1].append("N" if found[-1][0] == "-xen-domid" else word)
    return [tuple(option) for option in found if tuple(option) not in OURS_ALONE]


@pytest.mark.parametrize("config", RICH)
def test_qemu_and_the_stored_configuration_are_as_xl_makes_them(host, config):
    host.run("truncate -s 1M /images/a.img /images/b.img /images/c.img /images/d.img")
    host.write("/root/h.cfg", 'name = "h"\ntype = "hvm"\nmemory = 64\n' + RICH[config])
    seen = {}
    for tool in ("xl", "wherry"):
        getattr(host, tool)("create", "-p", "/root/h.cfg", timeout=300)
        guest = guests.Guest(host, "h")
        listed, = json.loads(host.xl("list", "-l", "h").out)
        listed["config"]["c_info"].pop("uuid")
        seen[tool] = options(guest), listed["config"], nodes(guest)
        getattr(host, tool)("destroy", "h", timeout=300)
    assert sorted(seen["wherry"][0]) == sorted(seen["xl"][0])
    pci = ("-device", "-usbdevice", "-usb")
    assert [option for option in seen["wherry"][0] if option[0] in pci] == \
        [option for option in seen["xl"][0] if option[0] in pci], "their slots are by their order"
    assert seen["wherry"][1:] == seen["xl"][1:]


def nodes(guest):
    """The names of its nodes, without what its QEMU is still about to write."""
    text = guest.host.run("xenstore-ls -f").out
    found = set(re.findall(rf"^(/local/domain|/libxl)/{guest.domid}(/\S+) = ", text, re.M))
    found |= set(re.findall(rf"^(/local/domain/0/backend/\w+)/{guest.domid}(/\S+) = ", text, re.M))
    return {(tree, path) for tree, path in found
            if not re.search(r"/(feature-|multi-queue|max-ring|node$|physical-|hotplug-status)", path)}


def test_vnc_answers_where_the_nodes_say(host):
    guest = host.guest("beater", by="wherry", more='vnc = 1\nvnclisten = "127.0.0.1"\n')
    port = host.run(["xenstore-read", f"/local/domain/{guest.domid}/console/vnc-port"]).out.strip()
    said = host.run(f"echo | socat -T 5 - TCP:127.0.0.1:{port} | head -c 12").out
    assert said.startswith("RFB 003"), said


# --------------------------------------------------------------------------- restricted

def restricted(guest):
    """How the guest's QEMU stands, as the kernel tells."""
    pid = qemu(guest)
    status = dict(re.findall(r"^(\w+):\s+(.*)$", guest.host.read(f"/proc/{pid}/status"), re.M))
    limits = dict(re.findall(r"^(Max [a-z ]+?)  +(\S+)", guest.host.read(f"/proc/{pid}/limits"), re.M))
    root = guest.host.run(["readlink", f"/proc/{pid}/root"]).out.strip()
    files = guest.host.run(f"ls -l /proc/{pid}/fd | sed -n 's/.* -> //p'").out.split("\n")
    return pid, status, limits, root, files


def assert_restricted(guest):
    host, domid = guest.host, guest.domid
    pid, status, limits, root, files = restricted(guest)
    base = int(host.run("id -u xen-qemuuser-range-base").out)
    assert status["Uid"].split() == [str(base + domid)] * 4
    assert "0" not in status["Gid"].split() and "0" not in status["Groups"].split()
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert root == f"/run/xen/qemu-root-{domid}" and host.run(["ls", "-A", root]).out == ""
    assert limits["Max file size"] == str(1 << 20), "as large as its disk"
    assert {limits[f"Max {what}"] for what in ("core file size", "msgqueue size", "file locks",
                                               "locked memory")} == {"0"}
    for kind in ("mnt", "ipc"):
        assert host.run(["readlink", f"/proc/{pid}/ns/{kind}"]).out != \
            host.run(["readlink", f"/proc/self/ns/{kind}"]).out
    known = (r"|/dev/null|/dev/xen/(privcmd|evtchn|gntdev)|/dev/net/tun|/dev/ptmx|/root/\w+\.img"
             r"|/var/log/xen/qemu-dm-\w+\.log|socket:.*|pipe:.*|anon_inode:.*|/memfd:.*")
    assert [file for file in files if not re.fullmatch(known, file)] == []
    said = host.run(["python3", "-c", CHECK_FILES, str(pid)], check=False)
    count, *lines = said.out.splitlines()
    said_of = [line.split()[1] for line in lines]
    assert said.code == 0 and said_of.count("pass") >= int(count) >= 3, (said.out, said.err)
    assert set(said_of) <= {"pass", "checking"}, said.out


def test_a_restricted_qemu_can_reach_nothing_fresh_or_restored(host):
    # An earlier test's xl may have left a folder of its guest's.
    before = host.run("ls -d /run/xen/qemu-root-*", check=False).out
    guest = beater(host, RESTRICTED)
    assert_restricted(guest)
    host.wherry("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    assert_restricted(guest)
    uid = host.run(["xenstore-read", f"/local/domain/{guest.domid}/image/device-model-kill-uid"]).out
    # What one that was taken over might have started goes with the domain; others' stay.
    host.run(f"setpriv --reuid {uid.strip()} --clear-groups sleep 1001 >/dev/null 2>&1 &"
             "setpriv --reuid 131071 --clear-groups sleep 1002 >/dev/null 2>&1 & sleep 1")
    host.wherry("destroy", guest.name)
    assert host.run("pgrep -f 'sleep 100[1]'", check=False).out == ""
    assert host.run("pkill -f 'sleep 100[2]'").code == 0
    assert left(host) == [] and host.run("ls -d /run/xen/qemu-root-*", check=False).out == before


def test_without_a_user_to_be_a_guest_is_refused_and_nothing_is_left(host):
    host.run("cp /etc/passwd /etc/passwd.kept && sed -i /xen-qemuuser/d /etc/passwd")
    try:
        guests.shelve(host, "beater")
        host.write("/root/b.cfg", guests.config("beater", "b", more=RESTRICTED))
        host.run("cp /guests/beater.img /root/b.img")
        done = host.wherry("create", "/root/b.cfg", check=False)
    finally:
        host.run("mv /etc/passwd.kept /etc/passwd")
    assert done.code == 2 and "xen-qemuuser-range-base" in done.err, done.err
    assert host.domains() == {} and left(host) == []


# ------------------------------------------------------------------------ what goes wrong

def test_a_qemu_that_does_not_answer_fails_the_save_and_one_that_dies_is_told_of(host):
    guest = beater(host)
    pid = qemu(guest)
    host.run(f"kill -STOP {pid}")
    done = host.run(f"WHERRY_HURRY=5 wherry save {guest.name} {IMAGE}", check=False, timeout=100)
    host.run(f"kill -CONT {pid}")
    assert done.code != 0 and re.search(r"greeting|QMP", done.err), done.err
    beats(guest)
    assert left(host) == [] and host.run("ls /images").out == ""
    # Without it the guest stands still: that is said, and done away with by whoever reads it.
    domid = guest.domid
    host.run(f"kill -KILL {pid}; for try in $(seq 100); do grep -q 'QEMU of domain {domid} has ended'"
             " /var/log/xen/wherry-beater.log && break; sleep 0.1; done")
    assert f"the QEMU of domain {domid} has ended, and the domain has not" in log(guest)
    assert guest.domid == domid
    host.wherry("destroy", guest.name)
    assert left(host) == []


def test_a_qemu_that_cannot_be_had_fails_the_restore_with_its_own_words(host):
    guest = beater(host)
    host.wherry("save", guest.name, IMAGE)
    host.run("mv /root/beater.img /root/gone.img")
    done = host.wherry("restore", IMAGE, check=False)
    assert done.code != 0 and "beater.img" in done.err, done.err
    assert host.domains() == {} and left(host) == []
    host.run("mv /root/gone.img /root/beater.img")
    host.wherry("restore", IMAGE)
    beats(guest)


# Of QEMU 2.11: it says so, and does not know sockets that are passed.
OLD = """#!/bin/sh
echo "$*" >>/run/old-qemu
case " $* " in
*" -version "*) echo "QEMU emulator version 2.11.1(Debian 1:2.11+dfsg-1)"; exit ;;
*,fd=*) echo "Invalid parameter 'fd'" >&2; exit 1 ;;
esac
exec /usr/libexec/qemu-of-today "$@"
"""


def test_an_old_qemu_is_heard_of_by_xenstore_and_a_restricted_one_refused(host):
    now = "/usr/libexec/xen-qemu-system-i386"
    host.run(f"mv {now} /usr/libexec/qemu-of-today")
    try:
        host.write(now, OLD)
        host.run(["chmod", "+x", now])
        guest = beater(host)
        assert "id=libxl-cmd,path=/" in host.read("/run/old-qemu")
        count = beats(guest)
        host.wherry("save", guest.name, IMAGE)
        host.wherry("restore", "-p", IMAGE)
        asked = """{"execute":"qmp_capabilities"}\n{"execute":"query-status"}\n"""
        said = host.run(f"socat -t 3 - UNIX-CONNECT:/run/xen/qmp-libxl-{guest.domid}", input=asked).out
        assert '"status": "paused"' in said, said
        host.wherry("unpause", guest.name)
        beats(guest, count)
        host.wherry("destroy", guest.name)
        with pytest.raises(AssertionError, match="older than 2.12 cannot be restricted.*Invalid parameter 'fd'"):
            beater(host, RESTRICTED)
        assert host.domains() == {} and left(host) == []
    finally:
        host.run(f"mv /usr/libexec/qemu-of-today {now}; rm -f /run/old-qemu")


def test_an_image_of_a_machine_that_qemu_does_not_have_is_refused_at_once(host):
    guest = beater(host)
    host.wherry("save", guest.name, IMAGE)
    assert host.run(f"grep -a -c '\"wherry_machine\": \"xenfv-3.1\"' {IMAGE}").out == "1\n"
    host.run(f"sed -i 's/\"xenfv-3.1\"/\"xenfv-9.9\"/' {IMAGE}")
    done = host.wherry("restore", "--no-verify", IMAGE, check=False)
    assert done.code == 2 and "xenfv-9.9" in done.err, done.err
    assert host.domains() == {} and left(host) == []
    host.run(f"sed -i 's/\"xenfv-9.9\"/\"xenfv-3.1\"/' {IMAGE}")
    host.wherry("restore", IMAGE)
    beats(guest)


def test_a_guest_that_may_have_guests_of_its_own_is_not_saved(host):
    guest = host.guest("beater", by="wherry", more="nestedhvm = 1\n")
    done = host.wherry("save", guest.name, IMAGE, check=False)
    assert done.code == 2 and "nestedhvm" in done.err, done.err
    beats(guest)
