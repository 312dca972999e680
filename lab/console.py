# SPDX-License-Identifier: LGPL-2.1-or-later
"""A host's serial console on this terminal."""

import os
import select
import socket
import sys
import termios
import tty

LEAVE = b"\x1d"


def attach(host):
    """Until Ctrl-] or the end of input; the host's shell is there, Xen's messages come between."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"{host.spec['sockets']}.console")
        kept = termios.tcgetattr(0) if os.isatty(0) else None
        try:
            if kept:
                tty.setraw(0)
                print("Ctrl-] leaves\r", file=sys.stderr)
                line.sendall(b"\n")
            relay(line)
        finally:
            if kept:
                termios.tcsetattr(0, termios.TCSADRAIN, kept)


def relay(line):
    while True:
        ready, _, _ = select.select([0, line], [], [])
        if line in ready:
            said = line.recv(4096)
            if not said:
                return
            os.write(1, said)
        if 0 in ready:
            typed = os.read(0, 1024)
            if not typed or LEAVE in typed:
                return
            line.sendall(typed)
