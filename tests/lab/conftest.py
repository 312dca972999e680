# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab as fixtures.  One set of hosts serves the session; between tests each is looked at, and
started again when the test failed or left something in it, which is a failure too.

Several sessions can share the work: each takes the next test that none of them has taken, by a file
of its name in the folder WHERRY_TURNS.

    def test_something(lab):
        a, b = lab.hosts(2)
        guest = a.guest("stepper-pvh", by="xl")
        guest.wait_for(r"^step \\d+ ok")

What hosts and guests can do stands in lab/host.py and lab/guest.py.  When a test fails, its hosts'
logs are kept in build/lab-logs/TEST."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from _pytest.runner import runtestprotocol

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TREE))

from lab import fleet, trace  # noqa: E402  pylint: disable=C0413
from lab.host import Dead  # noqa: E402  pylint: disable=C0413
from moving import (fixture_hvm_mover, fixture_mover, fixture_moving,  # noqa: E402,F401  pylint: disable=C0413,W0611
                    fixture_moving_hvm)

LOGS = TREE / "build" / "lab-logs"


class Lab:
    """The session's hosts; its own folder, and a pipe that tells them when the session is dead."""

    def __init__(self, folder):
        lifeline, self.held = os.pipe()
        self.fleet = fleet.Fleet(folder, lifeline)
        self.live = []
        self.turns = {}
        self.used = set()

    def hosts(self, count, **options):
        """The first so many hosts, clean; fleet.DEFAULTS says which options there are."""
        wanted = {**fleet.DEFAULTS, **options}
        wanted.pop("fresh")
        if any(host.spec["options"] != wanted for host in self.live):
            self.down()
        if len(self.live) < count:
            self.live = [*self.live, *self.fleet.up(count, **options)[len(self.live):]]
        for host in self.live[:count]:
            host.wait_ready(self.turns.pop(host, 1))
            self.used.add(host)
        return self.live[:count]

    def clean(self, always=False):
        """Starts again the hosts that are not as new, and says why; hosts() waits for them."""
        told = []
        for host in sorted(self.used, key=str):
            left = ["the test failed"] if always else self.left_in(host)
            if left:
                told.append(f"{host} is started again: {', '.join(left[:10])}")
                self.turns[host] = self.fleet.reset(host)
        self.used.clear()
        return told

    @staticmethod
    def left_in(host):
        try:
            return trace.clear(host)
        except (OSError, AssertionError, subprocess.SubprocessError) as error:
            return [f"it does not answer ({str(error)[-300:]})"]

    def down(self):
        self.fleet.down()
        self.live, self.turns, self.used = [], {}, set()


SESSION = []


@pytest.fixture(scope="session", name="session_lab")
def fixture_session_lab():
    (TREE / "build").mkdir(exist_ok=True)
    folder = tempfile.mkdtemp(prefix="lab-", dir=TREE / "build")
    lab = Lab(folder)
    SESSION.append(lab)
    yield lab
    SESSION.remove(lab)
    lab.down()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def lab(session_lab, request):
    yield session_lab
    failed = request.node.stash.get(FAILED, False)
    told = session_lab.clean(always=failed)
    if told and not failed:
        pytest.fail("; ".join(told))


def take(item, turns):
    try:
        os.close(os.open(turns / re.sub(r"[^\w.-]+", "-", item.nodeid), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    turns = os.environ.get("WHERRY_TURNS")
    if not turns or session.testsfailed or session.config.option.collectonly:
        return None
    ours = (item for item in session.items if take(item, pathlib.Path(turns)))
    item = next(ours, None)
    while item:
        following = next(ours, None)        # taken by now: what it shares with this one stays
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following
    return True


# An emulated host has been seen to hang (once in some thousand tests): what cannot be told of the test
# is tried once more, on hosts that are new, and said.
DIED = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if DIED in item.stash and not item.config.stash.get(DIED, None):
        item.config.stash[DIED] = f"{item.nodeid} is run again: {item.stash[DIED]}"
        item.stash[FAILED] = False
        with contextlib.suppress(Exception):        # also what tests share is of the dead host
            item.session._setupstate.teardown_exact(None)   # pylint: disable=W0212
        item._initrequest()             # pylint: disable=W0212
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter, config):
    if died := config.stash.get(DIED, None):
        terminalreporter.section("a host died")
        terminalreporter.write_line(died)


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """On failure, before anything is cleared away: keep what the hosts have to say."""
    report = (yield).get_result()
    if call.when == "call" and call.excinfo and call.excinfo.errisinstance(Dead):
        item.stash[DIED] = str(call.excinfo.value)
    known = item.stash.get(FAILED, False)
    if not report.failed or known or "session_lab" not in item.fixturenames or not SESSION:
        return
    item.stash[FAILED] = True
    folder = LOGS / re.sub(r"[^\w.-]+", "-", item.name)
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    for host in SESSION[0].live:
        trace.collect(host, folder / host.name)
    report.sections.append(("the hosts' logs", f"kept in {folder}"))
