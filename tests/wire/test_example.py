# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example program of docs/: many jobs in one poll loop. EXAMPLE says where it is."""

import os
import re
import subprocess

import harness

EXAMPLE = os.path.abspath(os.environ.get("EXAMPLE") or harness.HERE.parent.parent / "build" /
                          "docs" / "example")


def example(directory, *files):
    result = subprocess.run([EXAMPLE, *files], cwd=directory, capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_half_the_verifications_read_a_file_and_half_are_cancelled(good):
    for files in (["hvm"], ["pv64", "hvm-remus", "legacy64-pv64"], harness.cases("good")):
        assert example(good, *files) == "32 verifications: 16 ok 16 cancelled\n"


def test_a_broken_image_is_counted_as_one(bad):
    told = example(bad, "hvm-context-no-end" if "hvm-context-no-end" in harness.cases("bad")
                   else harness.cases("bad")[0])
    assert re.fullmatch(r"32 verifications: (\d+) stream( \d+ cancelled)?\n", told)


def test_a_missing_image_is_a_failure_of_the_system(tmp_path):
    assert example(tmp_path, "no-such-file") == "32 verifications: 16 system 16 cancelled\n"


def test_the_example_uses_the_public_library_only():
    needed = subprocess.run(["readelf", "-d", EXAMPLE], capture_output=True, text=True, check=True)
    assert "libwherry.so.0" in needed.stdout
    text = (harness.HERE.parent.parent / "docs" / "example.c").read_text(encoding="utf-8")
    assert not re.search(r'#include "', text)
