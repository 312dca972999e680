# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of save, restore and recover share: guests that prove their memory, a shell that
kills at a step, and what nothing may be left of."""

import json
import re

IMAGE = "/images/guest.save"

# Exit codes, as the man page has them.
STREAM, USAGE, SYSTEM, TIMEOUT, PEER, GUEST, XEN, CANCELLED = 1, 2, 3, 4, 5, 6, 7, 130

# A script of disks and network interfaces, for a host that is slow at its own: it does the least.
QUICK = """#!/bin/sh
bus=$XENBUS_PATH
case $1 in
add)    device=$(losetup -f --show "$(xenstore-read $bus/params)")
        xenstore-write $bus/node $device $bus/hotplug-status connected \\
            $bus/physical-device 7:$(printf %x ${device#/dev/loop}) ;;
online) ip link set $vif up && xenstore-write $bus/hotplug-status connected ;;
remove) losetup -d "$(xenstore-read $bus/node)" ;;
esac
"""

# Functions for the hosts' shell.  A section of the output begins with "## NAME".
SHELL = r"""
section() { echo "## $*"; }

# What wherry and its guests may not leave: files without their name, records, halves of domains,
# nodes and files and processes of domains that are no more.
left() {
    live=" $(xl list | awk 'NR > 1 { printf "%s ", $2 }')"
    find /images /root /mnt -name '*.wherry.*'
    find /var/lib/wherry/jobs /run/wherry -type f 2>/dev/null
    for file in /var/lib/xen/userdata-?.*; do
        of=${file#*userdata-?.}; of=${of%%.*}
        case $live in *" $of "*) ;; *) [ ! -e "$file" ] || echo "$file" ;; esac
    done
    xenstore-ls -f | awk -v live="$live" '
        { split($1, p, "/"); n = "" }
        p[2] == "libxl" { n = p[3] }
        p[2] == "local" { n = p[4] }
        p[2] == "local" && p[4] == 0 && p[5] == "backend" { n = p[7] }
        p[2] == "local" && p[4] == 0 && p[5] == "device-model" { n = p[6] }
        p[2] == "local" && p[5] == "vm" { gsub("\"", "", $3); used[$3] = 1 }
        p[2] == "vm" && p[3] ~ /[1-9a-f]/ { vm["/vm/" p[3]] = 1 }
        n != "" && !index(live, " " n " ") && !told[n]++ { print "node " $1 }
        END { for (path in vm) if (!used[path]) print "node " path }'
    ps -eo args= | awk -v live="$live" '
        $1 ~ /wherry$/ { if ($2 != "monitor" || !index(live, " " $3 " ")) print "process " $0 }
        $1 ~ /qemu/ { for (i = 2; i < NF; i++)
                if ($i == "-xen-domid" && !index(live, " " $(i + 1) " ")) print "process " $0 }'
    losetup -a | awk -v live="$live" 'live !~ / [1-9]/ { print "loop " $0 }'
}

# Each domain but dom0: its name, number and state; whether it sleeps at the moment is nobody's
# business.
domains() { xl list | awk 'NR > 1 && $2 != 0 { sub(/^[r-][b-]/, "..", $5); print $1, $2, $5 }'; }

# Starts wherry and waits until it stands at the step; sets pid, and state to T if it got there.
hold() {
    step=$1; shift
    WHERRY_STOP_AT="$step" env --default-signal=INT wherry "$@" >/run/wherry-said 2>&1 & pid=$!
    state=
    until [ "$state" = T ] || [ "$state" = Z ]; do
        sleep 0.05
        read -r _ _ state _ 2>/dev/null </proc/$pid/stat || state=Z
    done
}

# Until it has stepped on from here.
steps() {
    log=/var/log/xen/console/guest-$1.log; from=$(stat -c %s $log)
    for try in $(seq 600); do
        tail -c +$((from + 1)) $log | grep -q '^step [0-9]* ok' && return
        sleep 0.1
    done
    echo "it does not step on"
}
"""


def sections(host, script, timeout=900):
    """Runs it with the functions above: what it said, by section, without the last newline."""
    said = host.run(SHELL + script, timeout=timeout, check=False)
    assert said.code == 0, (said.out, said.err)
    parts = re.split(r"^## (.*)\n", said.out, flags=re.M)
    return {name: text.rstrip("\n") for name, text in zip(parts[1::2], parts[2::2])}


def left(host):
    """What was left that should not be; an empty list is what is wanted."""
    return sections(host, "section left; left")["left"].splitlines()


def stepper(host, kind="stepper-pvh", by="xl", words="", **how):
    """One that is stepping, not so fast that it keeps the host from its work."""
    guest = host.guest(kind, by=by, command_line=f"rate=1000 {words}".strip(), **how)
    guest.wait_for(r"^step \d+ ok", timeout=200)
    return guest


def goes_on(guest, resumed=None):
    """After that resume (`3 new`: the third, in a new domain) every page was right and it steps on."""
    if resumed:
        guest.wait_for(rf"^resumed {resumed} after \d+ ms\s+checked \d+ pages, 0 bad\s+step \d+ ok",
                       timeout=200)
    else:
        guest.wait_for(r"^step \d+ ok", timeout=200, after=len(guest.console()))
    is_unharmed(guest)


def is_unharmed(guest):
    """It has found nothing wrong, and its count has only grown."""
    said = guest.console()
    assert "BAD" not in said and "bad=" not in said, said
    counts = [int(number) for number in re.findall(r"^step (\d+) ok", said, re.M)]
    assert counts == sorted(set(counts)), counts


def beats(guest, beyond=0):
    """It beats on, each one right and the next of the one before; the last of them."""
    heard = guest.hear(r"(beat \S+ \S+\r?\n){3}")
    said = re.findall(r"^beat ([0-9a-f]{8}) (\w+)\r?\n", heard, re.M)
    assert len(said) >= 3, f"it does not beat: {heard}"
    numbers = [int(number, 16) for number, _ in said]
    assert {word for _, word in said} == {"ok"}, said
    assert numbers == list(range(numbers[0], numbers[0] + len(said))), said
    assert numbers[0] > beyond, "what it had counted is lost"
    return numbers[-1]


def log_dirty(host):
    """The domains of which Xen keeps note what they write to, as it tells itself."""
    host.xl("dmesg", "-c")
    host.xl("debug-keys", "q")
    domain, found = None, []
    for line in host.xl("dmesg").out.splitlines():
        head = re.search(r"General information for domain (\d+)", line)
        domain = int(head[1]) if head else domain
        if "paging assistance" in line and "log_dirty" in line:
            found.append(domain)
    assert domain is not None, "Xen says nothing of its domains"
    return found


def last_line(result):
    """The object in the last line that a command with --json has said."""
    return json.loads(result.out.splitlines()[-1])


def is_paused(guest):
    return re.search(rf"^{guest.name} .* --p---", guest.host.xl("list").out, re.M) is not None
