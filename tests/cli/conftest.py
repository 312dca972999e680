# SPDX-License-Identifier: LGPL-2.1-or-later
"""The builder and the descriptions are those of tests/wire."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "wire"))

import harness  # pylint: disable=wrong-import-position


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    return harness.build_all("good", tmp_path_factory.mktemp("good"))
