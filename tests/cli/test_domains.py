# SPDX-License-Identifier: LGPL-2.1-or-later
"""The verbs of domains where no Xen is: what they refuse, and that they say why.  What they do on
Xen is seen in tests/lab/test_verbs.py."""

import os

import pytest
from commands import OK, USAGE, run

XEN = 7
NOBODY = "no-such-domain"
ON_XEN = os.path.exists("/dev/xen/privcmd")

# Harmless also where there is a Xen: none of them finds its domain.
ASKS = [["list", NOBODY], ["list", "--long", "--json", NOBODY], ["domid", NOBODY],
        ["domname", "99999"], ["rename", NOBODY, "b"], ["pause", NOBODY], ["unpause", NOBODY],
        ["shutdown", NOBODY], ["reboot", "-w", NOBODY], ["console", NOBODY],
        ["vcpu-list", NOBODY], ["mem-set", NOBODY, "64"], ["mem-max", NOBODY, "64"],
        ["cd-insert", NOBODY, "hdc", "/x.iso"], ["cd-eject", NOBODY, "hdc"]]
JOBS = {"jobs": OK, "jobs --json": OK, "cancel save-99999": USAGE}
each_ask = pytest.mark.parametrize("arguments", ASKS, ids=" ".join)


@each_ask
def test_without_xen_it_is_7_and_one_line_says_so(tmp_path, arguments):
    result = run(*arguments, directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE if ON_XEN else XEN, b"")
    assert result.stderr.startswith(b"wherry: ") and result.stderr.count(b"\n") == 1
    assert (b"there is no domain" if ON_XEN else b"not on Xen") in result.stderr


@pytest.mark.parametrize("arguments", JOBS)
def test_looking_at_jobs_needs_xen(tmp_path, arguments):
    result = run(*arguments.split(), directory=tmp_path)
    assert result.returncode == (JOBS[arguments] if ON_XEN else XEN)
    assert ON_XEN or b"not on Xen" in result.stderr


@pytest.mark.parametrize("arguments", [["info"], ["info", "--json"], ["dmesg"], ["list"],
                                       ["vcpu-list"]], ids=" ".join)
def test_looking_at_the_host_needs_xen(tmp_path, arguments):
    result = run(*arguments, directory=tmp_path)
    assert result.returncode == (OK if ON_XEN else XEN)
    assert bool(result.stdout) == ON_XEN


@pytest.mark.parametrize("arguments", [
    ["list", "a", "b"], ["list", "--numa"], ["info", "a"], ["dmesg", "a"], ["dmesg", "--clear=1"],
    ["domid"], ["domid", "a", "b"], ["domname"], ["rename"], ["rename", "a"],
    ["rename", "a", "b", "c"], ["pause"], ["pause", "a", "b"], ["unpause"],
    ["shutdown"], ["shutdown", "a", "b"], ["shutdown", "--all", "a"], ["reboot"],
    ["reboot", "-a", "a"], ["console"], ["console", "a", "b"], ["console", "--type", "vuart", "a"],
    ["console", "--num", "one", "a"], ["console", "--num", "65536", "a"],
    ["console", "--json", "a"],
    ["mem-set"], ["mem-set", "a"], ["mem-set", "a", "1", "2"], ["mem-max", "a"],
    ["cd-insert"], ["cd-insert", "a", "hdc"], ["cd-insert", "a", "hdc", "/x", "y"],
    ["cd-eject", "a"], ["cd-eject", "a", "hdc", "/x"],
    ["jobs", "a"], ["cancel"], ["cancel", "a", "b"], ["cancel", "-w", "soon", "a"],
    ["cancel", "--wait=-1", "a"],
    ["migrate"], ["migrate", "a"], ["migrate", "a", "b", "c"], ["migrate", "--live=never", "a", "b"],
    ["migrate", "--protocol", "xl", "a", "b"], ["migrate", "--bandwidth", "fast", "a", "b"],
    ["migrate", "--bandwidth", "90kbit", "a", "b"],
    ["migrate", "--compress=20", "a", "b"], ["migrate", "--downtime", "0", "a", "b"],
    ["migrate", "--on-timeout", "wait", "a", "b"],
], ids=" ".join)
def test_wrong_usage_is_2_with_a_hint_and_no_output(tmp_path, arguments):
    result = run(*arguments, directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert b"--help" in result.stderr


@pytest.mark.parametrize("size", ["", "-1", "+1", " 1", "1 ", "1.5g", "1x", "1mb", "0x10", "m",
                                  "18446744073709551616", "17179869184t", "1\n"], ids=repr)
@pytest.mark.parametrize("verb", ["mem-set", "mem-max"])
def test_what_is_no_size_is_2(tmp_path, verb, size):
    result = run(verb, "--", NOBODY, size, directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert b"expected a size" in result.stderr


@pytest.mark.parametrize("size", ["1", "64m", "64M", "65536k", "1g", "1T", "67108864b"])
def test_sizes_have_xls_letters(tmp_path, size):
    assert b"expected a size" not in run("mem-set", NOBODY, size, directory=tmp_path).stderr


@pytest.mark.parametrize("number", ["web", "", "1a", "-1", "0x1"], ids=repr)
def test_domname_takes_only_a_number(tmp_path, number):
    result = run("domname", "--", number, directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert b"expected a domain's number" in result.stderr
