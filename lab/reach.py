# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a host is reached: ssh over one kept connection, to a loopback address of its own."""

import shlex

from . import qemu


def ssh(spec):
    """The arguments before the command.  With the kept connection gone, ssh makes a new one."""
    return ["ssh", "-T", "-F", "none", "-i", f"{spec['image']}/key", "-p", str(qemu.SSH_PORT),
            "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30", "-o", "BatchMode=yes",
            # What an emulated processor does fastest.
            "-o", "KexAlgorithms=curve25519-sha256", "-o", "Ciphers=aes128-ctr",
            "-o", "MACs=umac-64@openssh.com",
            "-S", f"{spec['sockets']}.ssh", f"root@{address(spec)}"]


def master(spec):
    """The command that makes the kept connection and stays."""
    arguments = ssh(spec)
    return [*arguments[:-1], "-M", "-N", arguments[-1]]


def address(spec):
    return f"{spec['net']}.{spec['number']}"


def quoted(command):
    """One string is for the host's shell as it is; a list is words, none of which it changes."""
    return command if isinstance(command, str) else shlex.join(map(str, command))
