# SPDX-License-Identifier: LGPL-2.1-or-later
"""Our build in a host: pushed when the host comes up, and again when it has changed since."""

import pathlib
import subprocess

from . import paths, reach

# Renamed into place: a running wherry goes on with what it was started from.
UNPACK = ("set -e; rm -rf /usr/local/lab.new; mkdir -p /usr/local/lab.new; cd /usr/local/lab.new; "
          "tar -x --zstd -f -; mkdir -p /usr/local/bin /usr/local/lib; "
          "for f in *; do case $f in *.so*) d=lib;; *) d=bin;; esac; mv -f $f ../$d/; done; "
          "ldconfig")


def files():
    """The command and the library, when they are built."""
    folder = paths.built()
    found = [folder / "wherry", *sorted((folder / "src").glob("libwherry.so*"))]
    return [path for path in found if path.is_symlink() or path.is_file()]


def stamp():
    return repr([(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files()])


def pushed(folder):
    path = pathlib.Path(folder) / "pushed"
    return path.read_text() if path.exists() else ""


def push(spec):
    """Whether there was something to push; CalledProcessError when the host did not take it."""
    now, chosen = stamp(), files()
    if not chosen:
        return False
    tar = ["tar", "-c", "--owner=0", "--group=0", "-I", "zstd -q -1", "-f", "-"]
    for path in chosen:
        tar += ["-C", str(path.parent), path.name]
    packed = subprocess.run(tar, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run([*reach.ssh(spec), UNPACK], input=packed, check=True, timeout=120)
    (pathlib.Path(spec["folder"]) / "pushed").write_text(now)
    return True
