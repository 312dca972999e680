# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every good stream, cut at every place and with every header's bits flipped, through the program
cuts; and again behind Wherry's trailer, which convert writes. CUTS says where the program is."""

import os
import subprocess

import harness
import pytest

CUTS = os.path.abspath(os.environ.get("CUTS") or harness.HERE.parent.parent / "build" / "tests" /
                       "wire" / "cuts")
# One of each kind; what stands before the trailer is cut and flipped with all the others already.
WITH_TRAILER = ["hvm", "pv64", "pv32", "hvm-remus", "legacy64-pv64", "xl-legacy64-hvm"]


def cuts(directory, names):
    result = subprocess.run([CUTS, *names], cwd=directory, capture_output=True, text=True,
                            timeout=300, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    assert result.stdout.startswith(f"{len(names)} files, ")


def test_every_good_stream_is_refused_when_cut_and_read_in_order_with_bits_flipped(good):
    cuts(good, harness.cases("good"))


@pytest.mark.parametrize("name", WITH_TRAILER)
def test_a_file_with_a_trailer_is_refused_when_cut_but_where_the_trailer_begins(good, tmp_path,
                                                                               name):
    result = harness.run("convert", "--to", "xl", str(good / name), "out", directory=tmp_path)
    assert result.returncode == 0, result.stderr
    assert b"WherryTr" in (tmp_path / "out").read_bytes()
    cuts(tmp_path, ["out"])
