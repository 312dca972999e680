# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's guests under stock xl: they come up, survive its save and restore unharmed, and see
what was done to their memory meanwhile."""

import re
import time

import pytest

IMAGE = "/images/guest.save"
STEP = r"^step (\d+) ok"
PATIENCE_SECONDS = 300          # a machine that does other things too is slow at emulating


def hear(guest, pattern, after=0):
    return guest.wait_for(pattern, timeout=PATIENCE_SECONDS, after=after)


@pytest.fixture(name="host")
def fixture_host(lab):
    """One host, and none of our files in it afterwards."""
    host, = lab.hosts(1)
    yield host
    for name in host.domains():
        host.xl("destroy", name, check=False)
    host.run("rm -f /images/*")


def assert_unharmed(guest):
    """It has found nothing wrong, its count has only grown, and it goes on."""
    said = guest.console()
    assert "BAD" not in said and "bad=" not in said, said
    counts = [int(number) for number in re.findall(STEP, said, re.M)]
    assert counts == sorted(set(counts)), counts
    hear(guest, STEP, after=len(said))


def save_and_restore(guest):
    guest.host.xl("save", guest.name, IMAGE)
    guest.host.xl("restore", IMAGE)


@pytest.mark.parametrize("kind, words", [
    ("stepper-pvh", "rate=4096"),
    ("stepper-pvh", "rate=0 random pages=2000"),
    ("stepper-pv", "rate=4096"),
    ("stepper-pv", "random p2m=tree pages=2000"),
])
def test_stepper_finds_nothing_after_a_save_and_restore(host, kind, words):
    guest = host.guest(kind, command_line=words, memory=24)
    hear(guest, STEP)
    save_and_restore(guest)
    hear(guest, r"^resumed 1 new after \d+ ms\s+checked \d+ pages, 0 bad")
    hear(guest, STEP, after=len(guest.console()))
    host.xl("save", "-c", guest.name, IMAGE)
    hear(guest, r"^resumed 2 fast after \d+ ms\s+checked \d+ pages, 0 bad")
    assert_unharmed(guest)


# In an image of the stepper, a page is found by what its first words hold: the page's number in
# bits 9 to 35, the step above, the word's number below.
DAMAGE = """
import re, sys
path = sys.argv[1]
data = bytearray(open(path, "rb").read())
def find(page):
    words = [(page << 9 | word).to_bytes(4, "little") for word in (0, 1)]
    pattern = rb"(?!\\0\\0\\0\\0)(?s:...)\\0".join(map(re.escape, words))
    found = [match.start() for match in re.finditer(pattern, data)]
    assert len(found) == 1, (hex(page), found)
    return found[0]
def age(page, first):
    for at in range(find(page) + 8 * first, find(page) + 4096, 8):
        word = int.from_bytes(data[at:at + 8], "little") - (1 << 36)
        data[at:at + 8] = word.to_bytes(8, "little")
bit = find(0x500) + 8 * 7
zeroed, one, other = find(0x800), find(0x900), find(0xa00)
age(0x600, 256)
age(0x700, 0)
data[bit + 5] ^= 1
data[zeroed:zeroed + 4096] = bytes(4096)
data[one:one + 4096], data[other:other + 4096] = data[other:other + 4096], data[one:one + 4096]
open(path, "wb").write(data)
"""

SEEN = {
    "a flipped bit":     r"BAD page=0x500 expected=(\d+) found=\d+ word=7 wrong=1 ",
    "a torn page":       r"BAD page=0x600 expected=(\d+) found=(?!\1 )\d+ word=256 wrong=256 ",
    "a stale page":      r"BAD page=0x700 expected=(\d+) found=(?!\1 )\d+ word=0 wrong=512 ",
    "a zeroed page":     r"BAD page=0x800 expected=(\d+) found=0 word=0 wrong=512 value=0x0 ",
    "a swapped page":    r"BAD page=0x900 .* word=0 wrong=512 .*\(page 0xa00 word 0\)",
    "the one swapped with it": r"BAD page=0xa00 .* word=0 wrong=512 .*\(page 0x900 word 0\)",
}


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-pv"])
def test_stepper_sees_and_names_every_page_that_was_damaged(host, kind):
    guest = host.guest(kind)
    hear(guest, r"^step \d+ ok pass [3-9]")
    host.xl("save", guest.name, IMAGE)
    host.run(["python3", "-", IMAGE], input=DAMAGE)
    host.xl("restore", IMAGE)
    hear(guest, r"^checked \d+ pages, 6 bad")
    said = guest.console()
    for what, pattern in SEEN.items():
        assert re.search(pattern, said), f"{what} was not seen in:\n{said}"
    assert said.count("BAD") == len(SEEN)
    hear(guest, r"^step \d+ pass \d+ bad=6", after=len(said))


def ask(guest, wish):
    node = f"/local/domain/{guest.domid}/control/shutdown"
    guest.host.run(["xenstore-write", node, wish])
    return node


REFUSALS = {
    "refuse=ack":      ("asked to suspend: refused", "suspend"),
    "refuse=shutdown": ("asked to suspend: acknowledged, not done", ""),
}


def test_stepper_refuses_to_suspend_when_told_to(host):
    guests = {words: host.guest("stepper-pvh", name=words[7:], command_line=words)
              for words in REFUSALS}
    for words, guest in guests.items():
        said, left = REFUSALS[words]
        hear(guest, STEP)
        node = ask(guest, "suspend")
        hear(guest, f"^{said}")
        assert host.run(["xenstore-read", node]).out.strip() == left
        assert_unharmed(guest)


def test_stepper_takes_its_time_to_suspend_when_told_to(host):
    guest = host.guest("stepper-pvh", command_line="slow=4000")
    hear(guest, r"^step \d+ ok pass [5-9]")     # the watch has fired at first, of itself
    before = len(guest.console())
    ask(guest, "suspend")
    told = hear(guest, r"reading it in 4000 ms((?s:.*))^suspending", after=before)
    assert len(re.findall(STEP, told[1], re.M)) >= 3


def test_stepper_steps_on_without_xenstored_and_answers_it_afterwards(host):
    guest = host.guest("stepper-pvh")
    hear(guest, STEP)
    try:
        host.run("kill -STOP $(pidof xenstored)")
        before = len(guest.console())
        hear(guest, rf"(?s:({STEP}.*?){{3}})", after=before)
    finally:
        host.run("kill -CONT $(pidof xenstored)")
    save_and_restore(guest)
    hear(guest, "^resumed 1 new")
    assert_unharmed(guest)


def type_line(guest, line):
    node = f"/local/domain/{guest.domid}/console/tty"
    guest.host.run(f"echo {line} >$(xenstore-read {node})")


def await_end(guest, reason):
    """Its domain is gone, and xl was told this reason."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while guest.domid is not None and time.monotonic() < deadline:
        time.sleep(0.5)
    assert guest.domid is None
    assert f"reason code {reason}" in guest.host.read(f"/var/log/xen/xl-{guest.name}.log")


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-pv", "linux-pvh", "linux-pv"])
def test_guest_hears_its_console_and_powers_off(host, kind):
    guest = host.guest(kind)
    hear(guest, r"^(step|tick) [1-9]")
    type_line(guest, "hello")
    hear(guest, "^heard hello")
    guest.host.xl("shutdown", "-w", guest.name)
    await_end(guest, 0)


def test_stepper_reboots_and_crashes_when_asked_to(host):
    guest = host.guest("stepper-pvh")
    hear(guest, STEP)
    first = guest.domid
    ask(guest, "reboot")
    hear(guest, r"^stepper (?s:.*)^stepper (?s:.*)^step ")
    assert guest.domid not in (None, first)
    type_line(guest, "crash")
    await_end(guest, 3)


def test_stepper_ends_at_the_pass_it_is_told(host):
    ends = {3: host.guest("stepper-pv", name="crash", command_line="crash=2"),
            0: host.guest("stepper-pv", name="poweroff", command_line="poweroff=2")}
    for reason, guest in ends.items():
        await_end(guest, reason)
        assert "ending after pass 2" in guest.console()


DEVICES = """
disk = [ "format=raw,vdev=xvda,access=rw,target=/images/disk.img" ]
vif = [ "bridge=xenbr0" ]
"""


def assert_answers(host, address):
    host.run(["ping", "-c", "1", "-w", "60", address])
    heard = host.run(f"echo hello | socat -t5 - TCP:{address}:7,connect-timeout=20")
    assert heard.out == "hello\n"


@pytest.mark.parametrize("kind", ["linux-pvh", "linux-pv"])
def test_linux_ticks_on_with_its_disk_its_network_and_its_clock(host, kind):
    host.run("truncate -s 1M /images/disk.img")
    guest = host.guest(kind, more=DEVICES, command_line=(
        "console=hvc0 quiet disk=1 ip=10.99.0.50/24 dirty=500 fill=random fillmb=32"))
    hear(guest, "^tick 2 ")
    for words in (["save"], ["save", "-c"]):
        host.xl(*words, guest.name, IMAGE)
        if words == ["save"]:
            host.xl("restore", IMAGE)
        said = len(guest.console())
        tick = hear(guest, r"^tick (\d+) (\d+)(?=\s)", after=said)
        assert abs(int(tick[2]) - int(host.run("date +%s").out)) <= 3
        assert_answers(host, "10.99.0.50")
    hear(guest, rf"^tick {int(tick[1]) + 5} ")
    ticks = [int(number) for number in re.findall(r"^tick (\d+)", guest.console(), re.M)]
    assert ticks == list(range(1, len(ticks) + 1))
    assert "BAD" not in guest.console()
    written = re.findall(r"^\0*tick (\d+) ", host.read("/images/disk.img"), re.M)
    assert list(map(int, written)) == list(range(1, len(written) + 1))
    assert len(written) > int(tick[1])
