#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rewrites the golden files from what the command prints now, for review in the diff.

    update_golden.py [NAME ...]       all cases, or those named

A case that does not end as its folder says (good: exit 0, bad: exit 1) is reported and not
written: the golden files must never make a wrong outcome the expected one.
"""

import json
import pathlib
import sys
import tempfile

import harness


def update_good(name, directory):
    text = harness.run("inspect", name, directory=directory)
    found = harness.run("inspect", "--json", name, directory=directory)
    verdict = harness.run("verify", name, directory=directory)
    if any(result.returncode for result in (text, found, verdict)):
        return [f"good/{name}: {result.stdout.decode()}{result.stderr.decode()}"
                for result in (text, found, verdict) if result.returncode]
    harness.golden("good", name, ".txt").write_bytes(text.stdout)
    pretty = json.dumps(json.loads(found.stdout), indent=2, ensure_ascii=False) + "\n"
    harness.golden("good", name, ".json").write_text(pretty, encoding="utf-8")
    return []


def update_bad(name, directory):
    verdict = harness.run("verify", name, directory=directory)
    if verdict.returncode != 1:
        return [f"bad/{name}: exit {verdict.returncode}: "
                f"{verdict.stdout.decode()}{verdict.stderr.decode()}"]
    harness.golden("bad", name, ".err").write_bytes(verdict.stdout)
    return []


def remove_orphans():
    """A golden file whose description is gone."""
    for kind, suffixes in (("good", (".txt", ".json")), ("bad", (".err",))):
        for path in (harness.HERE / kind).iterdir():
            if path.suffix in suffixes and not path.with_suffix(".stream").exists():
                path.unlink()


def main(names):
    complaints = []
    for kind, update in (("good", update_good), ("bad", update_bad)):
        with tempfile.TemporaryDirectory() as directory:
            built = harness.build_all(kind, pathlib.Path(directory))
            for name in harness.cases(kind):
                if not names or name in names:
                    complaints += update(name, built)
    remove_orphans()
    sys.exit("\n".join(complaints) or None)


if __name__ == "__main__":
    main(sys.argv[1:])
