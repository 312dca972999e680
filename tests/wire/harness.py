# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the command share: where it is, which cases there are, one way to run it."""

import os
import pathlib
import subprocess

import stream

HERE = pathlib.Path(__file__).resolve().parent
WHERRY = os.path.abspath(os.environ.get("WHERRY") or HERE.parent.parent / "build" / "wherry")
SANITIZER_WORDS = (b"Sanitizer", b"runtime error:")


def cases(kind):
    """The names of the good or the bad descriptions."""
    return sorted(path.stem for path in (HERE / kind).glob("*.stream"))


def description(kind, name):
    return stream.load(str(HERE / kind / f"{name}.stream"))


def build_all(kind, directory):
    """Writes each case's bytes to a file of its bare name, so that no path gets into an output."""
    for name in cases(kind):
        (directory / name).write_bytes(description(kind, name).data)
    return directory


def golden(kind, name, suffix):
    return HERE / kind / f"{name}{suffix}"


def run(*arguments, directory, stdin=b""):
    """The command's result; standard input is a pipe."""
    return subprocess.run([WHERRY, *arguments], cwd=directory, input=stdin, timeout=120,
                          capture_output=True, check=False)


def complaint(result):
    """Why this end of the command is a crash; empty when it ended as a command may."""
    if result.returncode not in (0, 1):
        return f"exit {result.returncode}: {result.stderr.decode(errors='replace')}"
    if any(word in result.stderr for word in SANITIZER_WORDS):
        return result.stderr.decode(errors="replace")
    return ""


def named_as_pipe(text, name):
    """An output about FILE as it must be about '-': each line that opens with the name."""
    lines = text.decode().splitlines(keepends=True)
    return "".join("-" + line[len(name):] if line.startswith(name) else line for line in lines)
