# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test left in a host: what is to be cleared away, and what is kept when it failed."""

import pathlib
import shutil
import subprocess

# What a new host has none of.  Kernel threads (children of 2) and what serves this very command
# are not told of.
LOOK = r"""
known=" kthreadd init busybox xenstored xenconsoled sshd lab-agent bash dash sh timeout ps awk mawk cut "
look() {
    xl list | awk 'NR > 1 && $2 != 0 { print "domain " $1 }'
    xenstore-list /local/domain | awk '$1 != 0 { print "xenstore /local/domain/" $1 }'
    ps -eo ppid=,comm= | awk -v known="$known" \
        '$1 != 2 && !index(known, " " $2 " ") { print "process " $2 }'
    find /root /images /tmp /run/wherry /var/lib/xen /var/lib/wherry /var/crash -xdev ! -type d \
        ! -path '/root/.*' ! -name 'userdata-d.0.*' -printf 'file %p\n' 2>/dev/null
    losetup -a | sed 's/^/loop device /'
}
"""

# What tools leave to their background processes goes by itself in a while.
CLEAR = LOOK + r"""
for domain in $(xl list | awk 'NR > 1 && $2 != 0 { print $2 }'); do xl destroy $domain; done
rm -f /root/*.cfg /var/log/xen/console/*
seconds() { cut -d. -f1 /proc/uptime; }
limit=$(($(seconds) + 5))
while left=$(look); [ "$left" ] && [ $(seconds) -lt $limit ]; do sleep 0.25; done
echo "$left"
"""

COLLECT = r"""
trace=/run/lab-trace; rm -rf $trace; mkdir $trace
xl dmesg >$trace/xl-dmesg 2>&1
dmesg >$trace/dmesg 2>&1
timeout 10 xl list -l >$trace/xl-list 2>&1
timeout 10 xenstore-ls -fp >$trace/xenstore 2>&1
ps -eo pid,ppid,stat,wchan:20,args >$trace/processes 2>&1
cd / && tar -c --zstd -f - $(ls -d var/log run/lab-trace run/wherry var/lib/wherry var/crash \
    2>/dev/null) 2>/dev/null
true
"""


def leftovers(host):
    """What is in the host that a new one has not: domains, processes, files; one a line."""
    return host.run(LOOK + "look", check=False).out.split("\n")[:-1]


def clear(host):
    """Destroys the domains, removes their configurations; what is left over even so."""
    host.link(up=True)
    return host.run(CLEAR).out.strip().splitlines()


def collect(host, folder):
    """The host's logs and ours, into the folder here; as much of it as can still be had."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("serial.log", "log", "status"):
        if (host.folder / name).exists():
            shutil.copy(host.folder / name, folder)
    try:
        packed = subprocess.run(host.ssh(COLLECT, timeout=60), capture_output=True, timeout=90,
                                stdin=subprocess.DEVNULL, check=True).stdout
        subprocess.run(["tar", "-x", "--zstd", "--no-same-owner", "-f", "-", "-C", str(folder)],
                       input=packed, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        (folder / "not-all").write_text(f"the host gave no logs: {error}\n")
