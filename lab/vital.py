# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a host that does not answer is doing, seen from outside: its processors, a new connection."""

import re
import subprocess
import time

from . import reach

ASK = "cut -d' ' -f1 /proc/uptime; ps -eo stat,wchan:24,args | grep '^[DT]'; dmesg | tail -n 5"
PATIENCE_SECONDS = 40


def processors(host):
    """Where each is, twice: one that works is elsewhere, or halted, the second time."""
    said = []
    with host.monitor() as monitor:
        said.append(monitor.ask("query-status")["status"])
        for _ in range(2):
            text = monitor.ask("human-monitor-command", **{"command-line": "info registers -a"})
            said += [" ".join(words) for words in re.findall(r"(RIP=\w+).*?(HLT=\d)", text, re.S)]
            time.sleep(0.5)
    return ", ".join(said)


def connection(host):
    """What it says over a connection that shares nothing with the kept one."""
    told = subprocess.run([*reach.ssh(host.spec)[:-1], "-S", "none", reach.ssh(host.spec)[-1], ASK],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=PATIENCE_SECONDS)
    if told.returncode == 255:              # ssh's own
        raise OSError(told.stderr)
    return f"exit {told.returncode}: {told.stdout}"


def signs(host):
    """What is seen, and whether the host as a whole is dead: it does not answer anybody."""
    said, dead = [], False
    for what in (processors, connection):
        try:
            said.append(f"{what.__name__}: {what(host)}")
        except (OSError, subprocess.SubprocessError) as error:
            said.append(f"{what.__name__}: {error}")
            dead = what is connection
    return "\n".join(said), dead
