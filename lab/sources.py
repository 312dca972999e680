# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where this machine gets Debian from: the entries of its own apt sources that are the suite the
hosts are made of, as mmdebstrap takes them, so that a mirror or a snapshot set there is used."""

import pathlib
import re
import subprocess

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
ETC = pathlib.Path("/etc/apt")
# Settings of apt that say how to reach a mirror; the rest of the machine's is not the hosts'.
REACH = re.compile(r"Acquire::(https?(::\S*)?|Check-Valid-Until|Check-Date|Retries) ")


def stanzas():
    """deb822 stanzas of the suite; empty where the machine has none (another distribution)."""
    found = []
    for path in [ETC / "sources.list", *sorted((ETC / "sources.list.d").glob("*"))]:
        if path.suffix == ".list" and path.is_file():
            found += one_line_entries(path.read_text())
        elif path.suffix == ".sources" and path.is_file():
            found += deb822_entries(path.read_text())
    return found


def one_line_entries(text):
    pattern = re.compile(r"^deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$", re.M)
    for options, uri, suite, components in pattern.findall(text):
        if suite in SUITES and "main" in components.split():
            signed = re.search(r"signed-by=(\S+)", options)
            yield stanza(uri, suite, signed and signed[1])


def deb822_entries(text):
    for block in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        fields = {name.lower(): value.strip() for name, value in
                  re.findall(r"(?m)^([\w-]+):((?:.*)(?:\n[ \t].*)*)", block)}
        suites = [s for s in fields.get("suites", "").split() if s in SUITES]
        if (suites and "deb" in fields.get("types", "").split()
                and "main" in fields.get("components", "").split()
                and fields.get("enabled", "yes").lower() != "no"):
            yield stanza(fields["uris"], " ".join(suites), fields.get("signed-by"))


def stanza(uris, suites, signed_by):
    lines = ["Types: deb", f"URIs: {uris}", f"Suites: {suites}", "Components: main"]
    if signed_by:
        lines.append(f"Signed-By: {signed_by}")
    return "\n".join(lines) + "\n"


def apt_options():
    """The machine's own proxy and its like, as mmdebstrap's arguments."""
    try:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [f"--aptopt={line}" for line in dump.stdout.splitlines()
            if REACH.match(line) and not line.endswith('"";')]
