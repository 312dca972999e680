# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab itself: that hosts are what they are said to be, and leave nothing behind."""

import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest

from lab import fleet, host, image, locked, paths, sources, trace

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = TREE / "lab" / "lab"


def command(*words, folder, **how):
    """The lab's command for the hosts in the folder."""
    environment = dict(os.environ, WHERRY_LAB=str(folder))
    return subprocess.run([COMMAND, *words], env=environment, capture_output=True, text=True,
                          timeout=300, check=False, **how)


def processes_that_name(text):
    """Command lines of the living that hold the text, but for this process's own."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


def until(what, seconds=20):
    """Whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_two_hosts_run_xen_and_have_their_own_names_addresses_and_uuids(lab):
    told = []
    for one in lab.hosts(2):
        assert "xen_major              : 4" in one.xl("info").out
        assert "xenbr0" in one.run("bridge link").out
        told.append([one.run("hostname").out,
                     one.run("cat /sys/class/net/xenbr0/address /sys/class/net/eth1/address").out,
                     one.run("cat /proc/sys/kernel/random/uuid").out])
        assert one.domains() == {} and trace.leftovers(one) == []
    assert all(mine != theirs for mine, theirs in zip(*told))


def test_the_clock_of_a_host_is_right(lab):
    a, = lab.hosts(1)
    assert abs(float(a.run("date +%s.%N").out) - time.time()) < 2


def test_a_host_runs_what_was_built(lab):
    a, = lab.hosts(1)
    own = subprocess.run([TREE / "build" / "wherry", "--version"], capture_output=True, text=True,
                         check=True)
    assert a.wherry("--version").out == own.stdout


def test_a_command_gives_its_outputs_and_status_and_takes_input(lab):
    a, = lab.hosts(1)
    assert a.run("cat; echo no >&2; exit 7", input="yes\n", check=False) == host.Result(
        "yes\n", "no\n", 7)
    assert a.run(["printf", "%s|", "a b", "$HOME", "it's"]).out == "a b|$HOME|it's|"
    with pytest.raises(host.Failed, match="exit 1"):
        a.run("false")


def test_a_command_that_takes_too_long_is_ended_in_the_host(lab):
    a, = lab.hosts(1)
    assert a.run("sleep 4321", timeout=1, check=False).code == 124
    assert "sleep 4321" not in a.run(["ps", "-eo", "args"]).out


def test_a_hundred_commands_are_cheap(lab):
    a, = lab.hosts(1)
    begun = processor_seconds(a.status()["qemu"])
    for _ in range(100):
        a.run("true")
    # What the host computes for them, as other tests may run beside this one: it has two
    # processors, and a command may take it 0.3 s.
    assert processor_seconds(a.status()["qemu"]) - begun < 100 * 0.3 * 2


def test_the_command_line_gives_the_host_command_s_own_status(lab):
    lab.hosts(1)
    folder = lab.fleet.folder
    done = command("run", "a", "--", "cat; exit 9", folder=folder, input="through")
    assert (done.stdout, done.returncode) == ("through", 9)
    assert command("run", "a", "--", "echo", "a  b", folder=folder).stdout == "a  b\n"
    assert re.match(r"a  ready ", command("status", folder=folder).stdout)
    refused = command("run", "z", "--", "true", folder=folder)
    assert (refused.returncode, refused.stderr) == (1, "lab: no host z is up\n")


def test_files_come_back_as_they_went(lab, tmp_path):
    a, = lab.hosts(1)
    here = tmp_path / "here"
    (here / "deep").mkdir(parents=True)
    (here / "deep" / "noise").write_bytes(os.urandom(300_001))
    with open(here / "sparse", "wb") as file:
        file.seek(50 << 20)
        file.write(b"end")
    a.put(here, to="/images/new/place")
    a.get("/images/new/place/here", tmp_path / "back")
    for name in ("deep/noise", "sparse"):
        assert (tmp_path / "back" / "here" / name).read_bytes() == (here / name).read_bytes()
    assert int(a.run("du -k /images/new/place/here/sparse").out.split()[0]) < 1024
    with pytest.raises(host.Failed, match="No such file"):
        a.get("/images/nothing", tmp_path)
    a.write("/images/text", "one\ntwo\n")
    assert a.read("/images/text") == "one\ntwo\n"
    a.run("rm -r /images/*")


def test_the_link_between_hosts_is_cut_at_one_end_or_both_and_heals(lab):
    a, b = lab.hosts(2)

    def answers(one, other):
        return one.run(f"ping -c 1 -W 2 {other.name}", check=False).code == 0

    assert answers(a, b) and answers(b, a)
    folder = lab.fleet.folder
    assert command("cut", folder=folder).returncode == 0
    assert not answers(a, b) and not answers(b, a)
    assert command("heal", "a", folder=folder).returncode == 0
    assert not answers(a, b)
    assert command("heal", folder=folder).returncode == 0
    assert until(lambda: answers(a, b)) and until(lambda: answers(b, a))
    a.link(up=False)
    assert not answers(b, a)
    a.link(up=True)
    assert until(lambda: answers(b, a))


def test_hosts_reach_each_other_by_ssh(lab):
    a, b = lab.hosts(2)
    assert a.run("ssh b hostname").out == "b\n"
    assert b.run("ssh a hostname").out == "a\n"


def test_a_guest_lives_in_a_host_and_says_so_on_its_console(lab):
    a, = lab.hosts(1)
    guest = a.guest("stepper-pvh", name="first")
    assert guest.domid > 0 and list(a.domains()) == ["first"]
    one = int(guest.wait_for(r"^step (\d+) ok")[1])
    two = int(guest.wait_for(r"^step (\d+) ok", after=len(guest.console()))[1])
    assert two > one
    guest.destroy()
    assert guest.domid is None


def test_a_reset_host_is_new_and_the_other_one_goes_on(lab):
    a, b = lab.hosts(2)
    a.write("/root/mine", "a")
    b.write("/root/mine", "b")
    born = b.read("/proc/uptime").split()[0]
    assert command("reset", "a", folder=lab.fleet.folder).returncode == 0
    assert trace.leftovers(a) == []
    assert b.read("/root/mine") == "b"
    assert float(b.read("/proc/uptime").split()[0]) > float(born)
    assert until(lambda: a.run("ping -c 1 -W 2 b", check=False).code == 0)
    b.run("rm /root/mine")


def test_what_a_test_leaves_is_seen_and_cleared_away(lab):
    a, = lab.hosts(1)
    a.run("sleep 1000 >/dev/null 2>&1 </dev/null & touch /images/stray")
    a.guest("stepper-pvh", paused=True)
    told = lab.clean()
    assert len(told) == 1, told
    assert told[0].endswith("is started again: process sleep, file /images/stray"), told
    assert lab.hosts(1) == [a] and trace.leftovers(a) == [] and lab.clean() == []


HOLDER = """
import os, sys, time
sys.path.insert(0, {tree!r})
from lab import fleet
lifeline, held = os.pipe()
fleet.Fleet({folder!r}, lifeline).up(1)
print("up", flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("moment", ["ready", "coming up"])
def test_a_test_run_that_is_killed_leaves_nothing(tmp_path, moment):
    folder = tmp_path / "killed"
    run = subprocess.Popen([sys.executable, "-c", HOLDER.format(tree=str(TREE),
                                                                folder=str(folder))],
                           stdout=subprocess.PIPE, text=True)
    if moment == "ready":
        assert run.stdout.readline() == "up\n"
        spec = host.Host(folder / "a").spec
        assert pathlib.Path(spec["sockets"] + ".qmp").exists()
        assert len(processes_that_name(f"{folder}/a")) >= 2
    else:
        assert until(lambda: (folder / "a" / "status").exists(), 200)
        spec = host.Host(folder / "a").spec
    sockets = pathlib.Path(spec["sockets"]).parent
    run.kill()
    run.wait()
    assert until(lambda: not folder.exists()), list(folder.rglob("*"))
    assert until(lambda: not sockets.exists()), list(sockets.iterdir())
    assert until(lambda: not processes_that_name(f"{folder}/a")), processes_that_name(str(folder))
    assert until(lambda: not processes_that_name(str(sockets)))


def test_qemu_does_not_outlive_a_killed_supervisor_and_down_clears_up(tmp_path):
    folder = tmp_path / "lab"
    up = command("up", "1", folder=folder)
    assert (up.returncode, up.stdout) == (0, "a ready\n"), up.stderr
    spec = host.Host(folder / "a").spec
    os.kill(host.Host(folder / "a").status()["pid"], signal.SIGKILL)
    assert until(lambda: not processes_that_name(spec["sockets"]))
    assert command("down", folder=folder).returncode == 0
    assert not folder.exists() and not pathlib.Path(spec["sockets"]).parent.exists()


# The image, with a stand-in for mmdebstrap: it is built once, whole, or not at all.

STAND_IN = """#!/bin/sh
echo x >>"$COUNT"
sleep 0.3
touch "$OUT/disk"
[ -z "$FAILS" ] || { echo "E: no such mirror"; exit 1; }
touch "$OUT/xen" "$OUT/vmlinuz" "$OUT/initrd"
"""


@pytest.fixture(name="stand_in")
def fixture_stand_in(tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "mmdebstrap").write_text(STAND_IN)
    (tools / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("WHERRY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    return tmp_path / "count"


def test_the_image_is_built_once_for_all_who_ask_at_once(stand_in):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: image.ensure(), range(3)))
    assert len(set(folders)) == 1 and stand_in.read_text() == "x\n"
    assert {path.name for path in folders[0].iterdir()} == {
        "disk", "xen", "vmlinuz", "initrd", "key", "key.pub"}
    assert (folders[0] / "key").stat().st_mode & 0o777 == 0o600


def test_an_image_half_built_is_not_taken_for_whole(stand_in, monkeypatch):
    monkeypatch.setenv("FAILS", "yes")
    with pytest.raises(image.Error, match="no such mirror"):
        image.ensure()
    assert not list(paths.cache().glob("image-*")) and not list(paths.cache().glob("unfin*"))
    monkeypatch.delenv("FAILS")
    assert image.ensure().name.startswith("image-") and stand_in.read_text() == "x\nx\n"


def test_the_machine_s_own_sources_of_the_suite_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ETC", tmp_path)
    assert sources.stanzas() == []
    (tmp_path / "sources.list").write_text(
        "# deb http://old/ bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib\n"
        "deb-src http://mirror/debian bookworm main\n"
        "deb http://elsewhere cloud-sdk-bookworm main\n")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://sec/\nSuites: trixie bookworm-security\n"
        "Components: main\nSigned-By: /s.gpg\n\n"
        "Types: deb\nURIs: http://off/\nSuites: bookworm\nComponents: main\nEnabled: no\n")
    assert sources.stanzas() == [
        "Types: deb\nURIs: http://mirror/debian\nSuites: bookworm\nComponents: main\n"
        "Signed-By: /k.gpg\n",
        "Types: deb\nURIs: http://sec/\nSuites: bookworm-security\nComponents: main\n"
        "Signed-By: /s.gpg\n"]


CALLED = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
int main(int argc, char **argv)
{
    if (argc > 1 && !dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL))
        return 2;
    ((void (*)(void *, int))dlsym(RTLD_DEFAULT, "tcg_handle_interrupt"))(0, 7);
    return 0;
}
"""
OWN = r"""
#include <stdio.h>
void tcg_handle_interrupt(void *cpu, int mask) { printf("own %d\n", mask); }
"""


@pytest.mark.parametrize("module", [True, False])
def test_what_is_loaded_into_qemu_calls_qemu_s_own(module, tmp_path):
    """Also where it stands in no module of the name that is known."""
    program, own = tmp_path / "program", tmp_path / ("accel-tcg-x.so" if module else "libother.so")
    (tmp_path / "own.c").write_text(OWN)
    (tmp_path / "program.c").write_text(CALLED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", own, tmp_path / "own.c"], check=True)
    linked = [] if module else ["-Wl,--no-as-needed", own]
    subprocess.run(["cc", "-o", program, tmp_path / "program.c", *linked], check=True)
    done = subprocess.run([program, *([own] if module else [])], capture_output=True, text=True, check=False,
                          env=dict(os.environ, LD_PRELOAD=str(locked.library())))
    assert (done.stdout, done.returncode) == ("own 7\n", 0), done


def test_help_names_every_verb(tmp_path):
    told = command("--help", folder=tmp_path).stdout
    for verb in ("build", "up", "run", "put", "get", "push", "console", "reset", "cut", "heal",
                 "status", "down"):
        assert re.search(rf"^    {verb} ", told, re.M), verb
        assert command(verb, "--help", folder=tmp_path).returncode == 0


def test_options_that_running_hosts_do_not_have_are_refused(tmp_path):
    with pytest.raises(image.Error, match="1 to 4 hosts, not 9"):
        fleet.Fleet(tmp_path).up(9)
