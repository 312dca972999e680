# SPDX-License-Identifier: LGPL-2.1-or-later
"""Running the command in all the ways a shell can, and building images of a few lines."""

import json
import os
import pathlib
import subprocess

import harness
import stream

GOOD_FOLDER = str(harness.HERE / "good")
OK, BAD, USAGE, SYSTEM = 0, 1, 2, 3


def build(text):
    """The bytes of a description; it may include the good cases."""
    return stream.Stream(GOOD_FOLDER).read(text).data


def good(name):
    return harness.description("good", name).data


def flawed():
    """A whole image with one rule broken in it, behind which reading goes on."""
    whole = harness.description("good", "pv64")
    part = next(part for part in whole.parts if part.name == "X86_TSC_INFO")
    part.data = part.data[:-1] + b"\1"
    return whole.data


def strict_json(text):
    """As other readers of JSON have it: UTF-8, and no NaN."""
    def refuse(word):
        raise ValueError(word)
    return json.loads(text.decode(), parse_constant=refuse)


def run(*arguments, directory, stdin=b"", environment=None, **more):
    """A run in a directory; standard input is a pipe, output and errors are kept."""
    more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    return subprocess.run([harness.WHERRY, *map(os.fspath, arguments)], cwd=directory, input=stdin,
                          env={**os.environ, **(environment or {})}, timeout=120, check=False,
                          **more)


def must(*arguments, directory, **more):
    """A run that has to end with 0 and without a word on standard error."""
    result = run(*arguments, directory=directory, **more)
    assert (result.returncode, result.stderr) == (OK, b""), result
    return result.stdout


def shell(script, directory):
    """A line of sh, in which $W is the command."""
    return subprocess.run(["sh", "-c", script], cwd=directory, capture_output=True, timeout=120,
                          env={**os.environ, "W": harness.WHERRY}, check=False)


def listing(directory):
    return sorted(os.listdir(directory))


def put(directory, name, data):
    path = pathlib.Path(directory) / name
    path.write_bytes(data)
    return path
