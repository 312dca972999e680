# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is under way on real Xen is seen from another terminal, at both ends, and cancelled there."""

import json
import time

from moving import places
from saving import CANCELLED, PEER, goes_on, left, log_dirty, stepper

# So slow that there is time to look, and to cancel: a quarter of a minute for the first round.
SLOWLY = "--compress=no --bandwidth=1MB"


def begin(host, command):
    """In the background, as in another terminal; what it says and how it ends is in /run/job."""
    host.refresh()
    host.run("rm -rf /run/job; mkdir /run/job; mkfifo /run/job/pipe; "
             f"{{ env --default-signal=INT sh -c '{command}' >/run/job/out 2>/run/job/err; "
             "echo $? >/run/job/code; } >/dev/null 2>&1 &")


def ended(host):
    """Its exit status, and what it has said of its failure."""
    said = host.run("until [ -s /run/job/code ]; do sleep 0.1; done; cat /run/job/code /run/job/err; "
                    "rm -r /run/job").out
    code, said = said.split("\n", 1)
    return int(code), said


def seen(host, verb, beyond=0, timeout=100):
    """The one job that is listed there, once it has dealt with more bytes than that."""
    deadline = time.monotonic() + timeout
    while True:
        jobs = json.loads(host.wherry("jobs", "--json").out)
        assert len(jobs) < 2, jobs
        if jobs and (jobs[0]["bytes"] or 0) > beyond:
            assert jobs[0]["verb"] == verb and jobs[0]["can_cancel"], jobs
            return jobs[0]
        assert time.monotonic() < deadline, (jobs, host.run("tail /run/job/*", check=False).out)
        time.sleep(0.2)


def cancel(host, job):
    """It is cancelled, and is listed no more."""
    said = json.loads(host.wherry("cancel", "--json", job["job"]).out)
    assert (said["outcome"], said["verb"]) == ("cancelled", job["verb"]), said
    assert json.loads(host.wherry("jobs", "--json").out) == []


def runs_on(guest, domid, *hosts):
    """As if nothing had been: it is here and nowhere else, and nothing is left."""
    assert places(*hosts, name=guest.name) == ([guest.host], []) and guest.domid == domid
    assert [left(host) for host in hosts] == [[] for _ in hosts]
    assert log_dirty(guest.host) == []
    goes_on(guest)


def test_a_move_and_a_save_are_seen_and_cancelled_from_elsewhere_and_the_guest_runs_on(lab):
    a, b = lab.hosts(2)
    guest = stepper(a, by="wherry")
    domid = guest.domid

    begin(a, f"wherry migrate {SLOWLY} {guest.name} b")
    going, coming = seen(a, "send"), seen(b, "receive", 1 << 20)
    assert going["job"] == coming["job"] and going["uuid"] == coming["uuid"]
    assert (going["step"], coming["step"]) == ("copy the running guest", "fill the guest's memory")
    assert (going["state"], coming["state"]) == ("copying", "receiving")
    assert (going["domid"], going["name"], going["host"]) == (domid, guest.name, "b")
    assert seen(a, "send", going["bytes"])["total_bytes"] >= 16 << 20
    assert going["job"] in a.wherry("jobs").out and going["job"] in b.wherry("jobs").out
    cancel(a, going)
    code, said = ended(a)
    assert code == CANCELLED and f"domain {domid} runs on" in said, said
    runs_on(guest, domid, a, b)

    begin(a, f"wherry migrate {SLOWLY} {guest.name} b")
    cancel(b, seen(b, "receive"))
    code, said = ended(a)
    assert code == PEER and "cancelled" in said and f"domain {domid} runs on" in said, said
    runs_on(guest, domid, a, b)

    # Into a pipe of which somebody reads only the first half of it: it comes to no end.
    begin(a, "head -c 9000000 /run/job/pipe >/dev/null & "
             f"exec wherry save --live {guest.name} - 1<>/run/job/pipe")
    job = seen(a, "save", 1 << 20)
    assert (job["job"], job["domid"], job["step"]) == (f"save-{domid}", domid, "copy the running guest")
    cancel(a, job)
    code, said = ended(a)
    assert code == CANCELLED and f"domain {domid} runs on" in said, said
    runs_on(guest, domid, a, b)
