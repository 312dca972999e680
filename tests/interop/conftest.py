# SPDX-License-Identifier: LGPL-2.1-or-later
"""The builder and the descriptions are those of tests/wire."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "wire"))
