# SPDX-License-Identifier: LGPL-2.1-or-later
"""The image that hosts boot: Debian's packages of Xen and Linux, and lab/root on top.  It is kept
in the cache under a name made of all that it is made from, and appears there only when whole."""

import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

from . import paths, sources

# Drivers no QEMU has, and documents: a third of the tree.
LEFT_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*",
            *(f"/lib/modules/*/kernel/{part}/*" for part in (
                "sound", "drivers/gpu", "drivers/media", "drivers/net/wireless",
                "drivers/net/ethernet", "drivers/infiniband", "drivers/staging", "drivers/iio",
                "drivers/scsi", "drivers/hwmon", "drivers/usb", "drivers/hid", "drivers/input"))]


class Error(Exception):
    """What is told to the user as it is."""


def recipe():
    """What mmdebstrap is told on every machine."""
    packages = [line.strip() for line in (paths.HERE / "packages").read_text().splitlines()
                if line.strip() and not line.startswith("#")]
    return ["--variant=minbase", "--format=null", "--include=" + ",".join(packages),
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT)]


def key():
    digest = hashlib.sha256("\n".join(recipe() + sources.stanzas()).encode())
    for path in [paths.HERE / "finish.sh"] + sorted(
            path for path in (paths.HERE / "root").rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(paths.HERE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def ensure(tell=lambda text: None):
    """The image's folder (disk, xen, vmlinuz, initrd, key), built first if it is not there."""
    folder = paths.cache() / f"image-{key()}"
    if not folder.exists():
        with paths.locked(paths.cache() / "image.lock"):
            if not folder.exists():
                paths.prune("image")
                tell("building the hosts' image")
                build(folder)
    os.utime(folder)
    return folder


def build(folder):
    whole = paths.unfinished("image")
    # The root of a user namespace cannot reach into one's cache: it works in /tmp.
    root = os.geteuid() == 0
    work = whole if root else pathlib.Path(tempfile.mkdtemp(prefix="wherry-image-", dir="/tmp"))
    try:
        work.chmod(0o700 if root else 0o777)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f",
                        work / "key"], check=True)
        (work / "key").chmod(0o644)
        debootstrap(work)
        (work / "log").rename(paths.cache() / "image.log")
        if not root:
            subprocess.run(["cp", "-r", "--sparse=always", f"{work}/.", whole], check=True)
        (whole / "key").chmod(0o600)
        whole.chmod(0o755)
        whole.rename(folder)
    finally:
        for path in (work, whole):
            shutil.rmtree(path, ignore_errors=True)


def debootstrap(work):
    stanzas = sources.stanzas()
    finish = shlex.quote(str(paths.HERE / "finish.sh"))
    # The hosts have their own initrd; Debian's would take ten seconds to make.
    environment = dict(os.environ, OUT=str(work), LAB=str(paths.HERE), INITRD="No")
    with open(work / "log", "w", encoding="utf-8") as log:
        result = subprocess.run(
            ["mmdebstrap", *recipe(), *sources.apt_options(), f'--customize-hook=sh {finish} "$1"',
             sources.SUITE, "-", *(["-"] if stanzas else [])],
            input="\n".join(stanzas), env=environment, text=True, stdout=log, stderr=log,
            check=False)
    if result.returncode:
        tail = (work / "log").read_text(errors="replace").splitlines()[-15:]
        raise Error("mmdebstrap could not make the image:\n" + "\n".join(tail))
