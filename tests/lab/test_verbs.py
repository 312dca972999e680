# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small verbs on real Xen, side by side with xl: the same answers, the same effects, on the
same guests whichever of the two made them."""

import json
import pathlib
import re
import time

import pytest

MAN = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "man"
USAGE, GUEST = 2, 6

# What of `xl info` we leave out, and why: our view of the hypervisor does not have it (yet).
NOT_SAID = {"free_cpus", "cc_compile_domain", "build_id"}


@pytest.fixture(name="host")
def fixture_host(lab):
    host, = lab.hosts(1)
    yield host
    for name in host.domains():
        host.xl("destroy", name, check=False)


@pytest.fixture(name="guest")
def fixture_guest(host):
    """A stepper; it obeys poweroff and reboot, and says back what it is told on its console."""
    guest = host.guest("stepper-pvh", name="step", vcpus=1)
    guest.wait_for(r"^step \d+ ok")
    return guest


def without_time(table):
    """The table with what changes from one moment to the next masked, to the character."""
    table = re.sub(r" [r-][b-][p-]([s-])([-rscwS])([d-]) ( +\d+\.\d)",
                   lambda m: f" ???{m[1]}{m[2]}{m[3]} {'?' * len(m[4])}", table)
    return re.sub(r"(\d+|-) +[r-][b-][p-] ( +\d+\.\d)",
                  lambda m: "?" * len(m[0]), table)


def both(host, *words):
    """What xl and wherry say to the same words."""
    return host.xl(*words).out, host.wherry(*words).out


def found(host, *words):
    return json.loads(host.wherry(*words, "--json").out)


def node(host, path, guest):
    return host.run(["xenstore-read", f"/local/domain/{guest.domid}/{path}"]).out.strip()


def test_tables_are_xls_to_the_character(host, guest):
    assert guest.domid
    for words in (["list"], ["list", "-v"], ["list", "-c"], ["list", "step"],
                  ["vcpu-list"], ["vcpu-list", "step", "Domain-0"]):
        xl, wherry = both(host, *words)
        assert without_time(wherry) == without_time(xl), words
        assert "step" in wherry and "?" in without_time(wherry), words


@pytest.mark.parametrize("kind, more", [
    ("stepper-pvh", "maxmem = 32\nmaxvcpus = 2\non_crash = 'preserve'\n"),
    ("stepper-pv", "cpus = '0'\ncpu_weight = 512\n")])
def test_long_list_is_xls(host, kind, more):
    host.guest(kind, name="long", more=more, paused=True)
    xl, wherry = both(host, "list", "--long", "long")
    assert json.loads(wherry) == but_for_what_is_not_said(xl, wherry)
    assert re.sub(r"\d+", "", wherry.splitlines()[2]) == re.sub(r"\d+", "", xl.splitlines()[2])
    assert json.loads(wherry)[0]["config"]["c_info"]["name"] == "long"
    host.wherry("rename", "long", "longer")
    host.wherry("mem-set", "longer", "12")
    xl, wherry = both(host, "list", "--long", "longer")
    assert json.loads(wherry) == but_for_what_is_not_said(xl, wherry)
    assert json.loads(wherry)[0]["config"]["b_info"]["target_memkb"] == 12 << 10


def but_for_what_is_not_said(xl, wherry):
    """What xl lists, less the domid "any" that it stores, and with the vcpus that are online, which
    it leaves out where the configuration had none."""
    (ours,), listed = json.loads(wherry), json.loads(xl)
    for one in listed:
        assert one["config"]["c_info"].pop("domid", 0xffffffff) == 0xffffffff
        one["config"]["b_info"].setdefault("avail_vcpus", ours["config"]["b_info"]["avail_vcpus"])
    return listed


def test_info_is_xls(host):
    xl, wherry = (dict(re.findall(r"^(\w+) +: (.*)$", text, re.M)) for text in both(host, "info"))
    assert set(xl) - set(wherry) == NOT_SAID
    for key in wherry.keys() - {"free_memory", "virt_caps"}:
        assert wherry[key] == xl[key]
    assert set(wherry["virt_caps"].split()) <= set(xl["virt_caps"].split())
    assert abs(int(wherry["free_memory"]) - int(xl["free_memory"])) <= 16
    assert found(host, "info")["xen_version"] == xl["xen_version"]


def test_dmesg_is_xls_and_is_emptied(host):
    host.xl("debug-keys", "t")              # what it said as it came up may be overwritten by now
    host.xl("debug-keys", "r")              # which says it with tabs
    xl, wherry = both(host, "dmesg")
    assert "\t" in xl
    assert wherry == xl and "Synced stime" in wherry
    assert "Synced stime" in host.wherry("dmesg", "--clear").out
    assert "Synced stime" not in host.wherry("dmesg").out


def test_a_domain_is_found_by_name_number_and_uuid_and_a_new_name_is_seen_by_xl(host, guest):
    domid = guest.domid
    uuid = host.run(["xenstore-read", f"/local/domain/{domid}/vm"]).out.strip()[4:]
    assert host.wherry("domid", "step").out == host.xl("domid", "step").out == f"{domid}\n"
    assert host.wherry("domid", uuid).out == f"{domid}\n"
    assert host.wherry("domname", str(domid)).out == host.xl("domname", str(domid)).out == "step\n"
    for who in ("stepp", "9999", "99999999"):
        nobody = host.wherry("domid", who, check=False)
        assert (nobody.code, nobody.out) == (USAGE, "")
        assert nobody.err == f"wherry: there is no domain '{who}'\n"

    host.wherry("rename", "step", "other")
    assert host.xl("domid", "other").out == f"{domid}\n"
    vm = host.run(["xenstore-read", f"/local/domain/{domid}/vm"]).out.strip()
    assert host.run(["xenstore-read", f"{vm}/name"]).out == "other\n"
    used = host.wherry("rename", "other", "Domain-0", check=False)
    assert (used.code, host.xl("domname", str(domid)).out) == (USAGE, "other\n")
    assert "is called 'Domain-0' already" in used.err


def test_a_name_cannot_command_the_terminal(host, guest):
    domid = str(guest.domid)
    host.run(["xenstore-write", f"/local/domain/{domid}/name", "a\x1b[31mb\rc"])
    for words in (["list"], ["list", "-v"], ["vcpu-list"], ["domname", domid]):
        said = host.wherry(*words).out
        assert "a?[31mb?c" in said and "\x1b" not in said and "\r" not in said
    assert "a\x1b[31mb\rc" in [one["name"] for one in found(host, "list")]
    host.wherry("rename", domid, "step")


def test_a_paused_guest_stands_still(host, guest):
    host.wherry("pause", "step")
    before = guest.console()
    assert re.search(r"^step +\d+ .* --p---", host.xl("list").out, re.M)
    host.run("sleep 3")
    assert guest.console() == before
    deaf = host.wherry("shutdown", "step", check=False)
    assert deaf.code == GUEST and "is paused" in deaf.err
    assert node(host, "control/shutdown", guest) == ""
    host.wherry("unpause", "step")
    guest.wait_for(r"^step \d+ ok", after=len(before))


def test_shutdown_waits_until_it_is_over(host, guest):
    assert guest.domid
    done = host.wherry("shutdown", "-w", "step")
    assert done.out in ("step: shut down (poweroff)\n", "step: gone\n")
    gone = host.guest("stepper-pvh", name="gone")
    gone.wait_for(r"^step \d+ ok")
    assert host.wherry("shutdown", "-ww", "gone").out == "gone: gone\n"
    assert host.wherry("list", "gone", check=False).code == USAGE


def test_reboot_is_carried_out_by_the_monitor(host, guest):
    domid, deadline = guest.domid, time.monotonic() + 60
    host.wherry("reboot", "-w", "step")
    while guest.domid in (None, domid) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert guest.domid > domid
    guest.wait_for(r"^step \d+ ok", after=len(guest.console()))


def test_all_guests_are_asked_at_once(host, guest):
    other = host.guest("stepper-pvh", name="other")
    other.wait_for(r"^step \d+ ok")
    assert guest.domid
    told = json.loads(host.wherry("shutdown", "--all", "--wait", "--json").out)
    assert {one["name"] for one in told} == {"step", "other"}
    assert {one["stage"] for one in told} <= {"shutdown", "gone"}


def test_memory_is_set_as_xl_sets_it(host, guest):
    """Each change by xl, then the way back and the same change by wherry."""
    def state():
        one, = found(host, "list", "step")
        return (node(host, "memory/target", guest), node(host, "memory/static-max", guest),
                one["max_memory_kib"])

    for verb, size in (("mem-set", "12"), ("mem-max", "24"), ("mem-set", "20m"),
                       ("mem-max", "21504k"), ("mem-set", "8192k")):
        before = state()
        host.xl(verb, "step", size)
        by_xl = state()
        assert by_xl != before
        host.xl(verb, "step", f"{before[0 if verb == 'mem-set' else 1]}k")
        host.wherry(verb, "step", size)
        assert state() == by_xl
    more = host.wherry("mem-set", "step", "1g", check=False)
    assert more.code == USAGE and "expected at most" in more.err
    less = host.wherry("mem-max", "step", "4", check=False)
    assert less.code == USAGE and "expected at least" in less.err


def test_the_console_is_connected_both_ways(host, guest):
    """On a terminal: without one xenconsole only shows what the guest says."""
    said = host.run("(sleep 3; echo hello wherry; sleep 4; printf '\\035'; sleep 1) |"
                    " timeout 60 script -qec 'wherry console step' /dev/null").out
    assert re.search(r"^step \d+ ok", said, re.M)
    assert "heard hello wherry" in said
    guest.wait_for(r"^heard hello wherry")


def test_every_key_of_the_json_is_documented(host, guest):
    page = (MAN / "wherry-json.5.scd").read_text(encoding="utf-8").replace("\\_", "_")
    documented = set(re.findall(r"\*([a-z0-9_]+)\*", page))
    answers = [found(host, *words) for words in (
        ["list"], ["list", "--long"], ["info"], ["dmesg"], ["vcpu-list"], ["domid", "step"],
        ["domname", str(guest.domid)], ["rename", "step", "new"], ["pause", "new"],
        ["unpause", "new"], ["mem-max", "new", "16"], ["mem-set", "new", "16"],
        ["shutdown", "-w", "new"])]
    assert keys(answers) <= documented


def keys(value):
    """All keys in it but those of configurations, which are Xen's."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    if isinstance(value, dict):
        return set(value).union(*(keys(below) for key, below in value.items() if key != "config"))
    return set()
