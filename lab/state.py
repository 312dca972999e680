# SPDX-License-Identifier: LGPL-2.1-or-later
"""A saved booted state: one boot of the image with some options, stopped when it was ready.  A host
that starts from it is there in a few seconds.  It has neither name nor open connections."""

import hashlib
import os
import pathlib
import shutil
import subprocess
import time

from . import image, locked, paths, qemu, reach

BOOT_SECONDS = 180
SAVE_SECONDS = 60
# What hosts do first runs once before, so that it is in memory.
WARM = "xl list; lab-name x 9 $(date +%s); ldconfig; ip address flush dev xenbr0; tar --version"


def key(options, folder):
    """The state fits one image, one machine and one QEMU; and one processor, whose clock Xen has
    measured at boot."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        processor = [line for line in file if line.startswith(("model name", "flags"))][:2]
    fits = [qemu.version(), *qemu.machine(options, folder), *processor, WARM]
    return hashlib.sha256("\0".join(fits).encode()).hexdigest()[:16]


def ensure(options, folder, tell=lambda text: None):
    """The state's folder (disk, memory), made first if it is not there."""
    saved = paths.cache() / f"state-{key(options, folder)}"
    if not saved.exists():
        with paths.locked(paths.cache() / "state.lock"):
            if not saved.exists():
                paths.prune("state")
                tell("booting once, to save the state that hosts start from")
                make(options, folder, saved)
    os.utime(saved)
    return saved


def make(options, folder, saved):
    work = paths.unfinished("state")
    sockets = paths.socket_folder_of_process()
    process = None
    try:
        spec = {"image": str(folder), "sockets": f"{sockets}/x", "net": paths.free_net(),
                "number": 1}
        overlay(folder, work / "disk")
        with open(work / "log", "wb") as log:
            process = qemu.start(
                qemu.machine(options, folder) + qemu.world(
                    work / "disk", spec["sockets"], work / "serial.log",
                    f"tcp:{reach.address(spec)}:{qemu.SSH_PORT}-:22",
                    ["-netdev", "hubport,id=link,hubid=1"]), log, locked.library())
            wait_ready(process, work)
            subprocess.run([*reach.ssh(spec), WARM], check=True, timeout=BOOT_SECONDS,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            save(spec, work)
            process.wait(timeout=SAVE_SECONDS)
        subprocess.run(["zstd", "-tq", work / "memory"], check=True)
        work.rename(saved)
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(sockets, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)


def overlay(folder, disk):
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", f"{folder}/disk",
                    str(disk)], check=True)


def wait_ready(process, work):
    deadline = time.monotonic() + BOOT_SECONDS
    while qemu.READY not in serial_of(work):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = serial_of(work).decode(errors="replace")[-2000:]
            said = (work / "log").read_text(errors="replace")
            raise image.Error(f"a host did not boot within {BOOT_SECONDS} s:\n{tail}{said}")
        time.sleep(0.1)


def serial_of(work):
    path = pathlib.Path(work) / "serial.log"
    return path.read_bytes() if path.exists() else b""


def save(spec, work):
    with qemu.Monitor(f"{spec['sockets']}.qmp") as monitor:
        # Stopped first: what TCG dirties while its memory is copied is not to be relied on.
        monitor.ask("stop")
        monitor.ask("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
        monitor.ask("migrate", uri=f"exec:zstd -q -1 -T0 >{work}/memory")
        deadline = time.monotonic() + SAVE_SECONDS
        while (status := monitor.ask("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > deadline:
                raise image.Error(f"QEMU did not save its state: {status}")
            time.sleep(0.05)
        monitor.ask("quit")
