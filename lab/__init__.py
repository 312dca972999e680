# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real Xen hosts inside QEMU: what `lab/lab` and the tests drive."""
