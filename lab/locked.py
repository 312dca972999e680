# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is loaded into the QEMU of a host, so that OVMF does not end it: locked.c says why."""

import hashlib
import subprocess

from . import paths


def library():
    """Compiled once, into the cache."""
    source = paths.HERE / "locked.c"
    made = paths.cache() / f"locked-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
    with paths.locked(paths.cache() / "locked.lock"):
        if not made.exists():
            new = made.with_suffix(".new")
            subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", new, source], check=True)
            new.rename(made)
    return made
