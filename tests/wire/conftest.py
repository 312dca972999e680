# SPDX-License-Identifier: LGPL-2.1-or-later
"""The built streams, once a session, in a temporary folder."""

import harness
import pytest


@pytest.fixture(scope="session")
def good(tmp_path_factory):
    return harness.build_all("good", tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="session")
def bad(tmp_path_factory):
    return harness.build_all("bad", tmp_path_factory.mktemp("bad"))
