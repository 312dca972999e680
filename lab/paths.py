# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where things are: the tree, the cache that outlives it, the folder of the hosts that run now."""

import contextlib
import fcntl
import os
import pathlib
import random
import shutil
import socket
import tempfile
import time

from . import qemu

HERE = pathlib.Path(__file__).resolve().parent
TREE = HERE.parent
KEEP = 3
KEEP_HOURS = 24


def cache():
    """What is dear to make: images and states.  WHERRY_CACHE names another place."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    place = os.environ.get("WHERRY_CACHE") or pathlib.Path(base) / "wherry"
    return pathlib.Path(place).absolute() / "lab"


def running():
    """The hosts of one user of the tree; WHERRY_LAB names another's."""
    return pathlib.Path(os.environ.get("WHERRY_LAB") or TREE / "build" / "lab").absolute()


def built():
    """The build that the hosts get; WHERRY_BUILD names another."""
    return pathlib.Path(os.environ.get("WHERRY_BUILD") or TREE / "build").absolute()


@contextlib.contextmanager
def locked(path):
    """Holds the file for as long as the block runs, against every other process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked_folder(path, wait=True):
    """Makes the folder and holds it.  Without waiting: yields False when it is not there or another
    holds it."""
    while True:
        if wait:
            path.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            yield False
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            # Its last holder may have removed it.
            if path.exists() and path.stat().st_ino == os.fstat(fd).st_ino:
                yield True
                return
        except BlockingIOError:
            yield False
            return
        finally:
            os.close(fd)


def prune(kind):
    """Removes what has the kind's name, is not among the last used, and was not used for a while;
    its users touch it."""
    def used(path):
        return path.stat().st_mtime

    for path in sorted(cache().glob(f"{kind}-*"), key=used)[:-KEEP]:
        with contextlib.suppress(OSError):
            if time.time() - used(path) > KEEP_HOURS * 3600:
                shutil.rmtree(path)


def unfinished(kind):
    """A new folder for what is being made, under the kind's lock: what is there already is what
    somebody did not live to finish."""
    for path in cache().glob(f"unfinished-{kind}-*"):
        shutil.rmtree(path, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"unfinished-{kind}-", dir=cache()))


def short_folder(kind="lab"):
    """A new folder for sockets, whose names may not be long."""
    return tempfile.mkdtemp(prefix=f"wherry-{kind}-", dir="/tmp")


def socket_folder_of_process():
    """The same for one process; those of the dead are removed."""
    for path in pathlib.Path("/tmp").glob("wherry-state-*-*"):
        if not pathlib.Path("/proc", path.name.split("-")[2]).exists():
            shutil.rmtree(path, ignore_errors=True)
    return pathlib.Path(short_folder(f"state-{os.getpid()}"))


def free_net():
    """The first three bytes of loopback addresses that nobody uses: hosts get NET.1, NET.2, ..."""
    while True:
        net = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((f"{net}.1", qemu.SSH_PORT))
            return net
