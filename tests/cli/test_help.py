# SPDX-License-Identifier: LGPL-2.1-or-later
"""--help, the manual pages and the completion speak of the same verbs and options."""

import json
import os
import pathlib
import pty
import re
import select
import subprocess
import time

import harness
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MAN = ROOT / "docs" / "man"
COMPLETION = ROOT / "completion" / "wherry.bash"
PAGES = sorted(path.name for path in MAN.glob("*.scd"))


def said(*arguments):
    result = subprocess.run([harness.WHERRY, *arguments], capture_output=True, check=True)
    return result.stdout.decode()


def verbs_of_help():
    return re.findall(r"^  ([a-z-]+) ", said("--help"), re.MULTILINE)


VERBS = verbs_of_help()


def options_of_help(verb):
    """{option: its argument or ''}, short ones too."""
    found = {}
    for line in said(verb, "--help").splitlines():
        match = re.match(r"  (?:(-.), |    )(--[a-z-]+)(\[?=\S+)?", line)
        if match:
            for option in filter(None, match.group(1, 2)):
                found[option] = (match.group(3) or "").removeprefix("=")
    return found


def section(page, title):
    text = (MAN / page).read_text(encoding="utf-8")
    return re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", text, re.MULTILINE | re.DOTALL).group(1)


def options_of_page(verb):
    """An option's lines begin at the margin: *-t*, *--to*=_xl_|_libxl_; *--compress*[=_LEVEL_]"""
    found = {}
    for line in re.findall(r"^\*-.*$", section(f"wherry-{verb}.1.scd", "OPTIONS"), re.MULTILINE):
        options, argument = re.match(r"([^=[]*)(.*)", line.replace("\\", "")).groups()
        argument = argument.removeprefix("=").replace("_", "").strip()
        for option in re.findall(r"\*(-[^*]+)\*", options):
            found[option] = argument
    return found


def complete(*words, directory="."):
    """What the function answers for a command line whose last word is to be completed."""
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wherry; '
              'printf "%s\\0" "${COMPREPLY[@]}"')
    result = subprocess.run(["bash", "--norc", "-c", script, "bash", str(COMPLETION), *words],
                            cwd=directory, capture_output=True, check=True)
    assert result.stderr == b""
    return {word for word in result.stdout.decode().split("\0") if word}


def test_these_are_the_verbs():
    assert VERBS == ["inspect", "verify", "convert", "extract",
                     "create", "destroy", "save", "restore", "migrate", "migrate-receive",
                     "recover", "jobs", "cancel",
                     "list", "info", "domid", "domname", "rename", "pause", "unpause", "shutdown",
                     "reboot", "console", "vcpu-list", "mem-set", "mem-max", "cd-insert",
                     "cd-eject", "dmesg"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_page_of_a_verb_has_the_options_of_its_help(verb):
    assert options_of_page(verb) == options_of_help(verb)


@pytest.mark.parametrize("verb", VERBS)
def test_the_completion_of_a_verb_has_the_options_of_its_help(verb):
    assert complete("wherry", verb, "-") == set(options_of_help(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_an_option_begun_is_completed(verb):
    longs = {option for option in options_of_help(verb) if option.startswith("--")}
    assert complete("wherry", verb, "--") == longs
    for option in longs:
        assert option in complete("wherry", verb, option[:-1])


def test_the_completion_has_the_verbs_and_what_stands_for_one():
    assert complete("wherry", "") == set(VERBS) | {"--help", "--version"}
    assert complete("wherry", "ver") == {"verify"}
    assert complete("wherry", "mem-") == {"mem-set", "mem-max"}


def test_the_values_that_help_lists_are_completed():
    values = {(verb, option): set(argument.split("|")) for verb in VERBS
              for option, argument in options_of_help(verb).items() if "|" in argument}
    assert len(values) == 11
    for (verb, option), expected in values.items():
        assert complete("wherry", verb, option, "") == expected
        if option.startswith("--"):
            assert complete("wherry", verb, option, "=") == expected
            assert complete("wherry", verb, option, "=", min(expected)) >= {min(expected)}


@pytest.mark.parametrize("verb", VERBS)
def test_file_names_are_left_to_readline(verb, tmp_path):
    (tmp_path / "a file").touch()
    assert complete("wherry", verb, "a", directory=tmp_path) == set()
    assert complete("wherry", verb, "--", "-", directory=tmp_path) == set()


XL_TABLE = r"""Name                                        ID   Mem VCPUs\tState\tTime(s)
Domain-0                                     0  1024     2     r-----     103.7
web                                          3   160     1     -b----      42.8
two words                                    4   160     1     ---sS-       0.0
a-name-that-is-longer-than-the-column-it-stands-in   12345 99999   128     --psc- 1234567.8
"""


@pytest.fixture
def host(tmp_path):
    """A command whose list is this; what completes is told its path."""
    command = tmp_path / "wherry"
    command.write_text(f"#!/bin/sh\n[ \"$*\" = list ] || exit 2\ncat <<'.'\n{XL_TABLE}.\n")
    command.chmod(0o755)
    return str(command)


@pytest.mark.parametrize("verb", ["list", "domid", "rename", "pause", "unpause", "shutdown",
                                  "reboot", "console", "vcpu-list", "mem-set", "mem-max",
                                  "cd-insert", "cd-eject",
                                  "destroy", "save", "migrate", "recover"])
def test_domains_are_completed_by_their_names(host, verb):
    long = "a-name-that-is-longer-than-the-column-it-stands-in"
    assert complete(host, verb, "") == {"Domain-0", "web", r"two\ words", long}
    assert complete(host, verb, "t") == {r"two\ words"}
    assert complete(host, verb, "x") == set()


def test_only_the_place_of_a_domain_is_completed_with_one(host):
    assert complete(host, "rename", "web", "") == set()
    assert complete(host, "save", "web", "w") == set()
    assert complete(host, "restore", "w") == set()
    assert complete(host, "recover", "-n", "w") == {"web"}
    assert complete(host, "save", "--live", "--downtime", "2s", "w") == {"web"}
    assert complete(host, "migrate", "-s", "ssh -p 1", "--force", "=", "cpu", "w") == {"web"}
    assert "web" not in complete(host, "migrate", "web", "w")
    assert complete(host, "migrate-receive", "w") == set()
    assert complete(host, "recover", "--fenced", "web2", "w") == {"web"}
    assert complete(host, "mem-set", "-j", "web", "") == set()
    assert complete(host, "shutdown", "-w", "w") == {"web"}
    assert complete(host, "cd-insert", "web", "hdc", "w") == set()
    assert complete(host, "console", "-n", "1", "w") == {"web"}
    assert complete(host, "console", "--type", "=", "pv", "w") == {"web"}
    assert complete(host, "vcpu-list", "web", "D") == {"Domain-0"}
    assert complete(host, "verify", "w") == set()


def test_values_that_may_be_left_out_are_completed_behind_a_sign_only(host):
    assert complete(host, "migrate", "--live", "=", "") == {"auto", "require", "no"}
    assert complete(host, "migrate", "--compress", "=", "a") == {"auto"}
    assert complete(host, "migrate", "--compress", "w") == {"web"}
    assert complete(host, "save", "--compress", "=") == set()


def test_each_of_several_checks_to_be_forced_is_completed(host):
    assert complete(host, "migrate", "--force", "=", "cp") == {"cpu"}
    assert complete(host, "migrate", "--force", "cpu,cl") == {"cpu,clock"}


def test_the_checks_are_those_that_there_are(host):
    """As the source has them, the page and the completion."""
    code = (ROOT / "src" / "flow" / "preflight.c").read_text(encoding="utf-8")
    names = set(re.findall(r'"([a-z]+)"', re.search(r"names\[\] = \{(.*?)\}", code, re.DOTALL)[1]))
    table = section("wherry-migrate.1.scd", "CHECKS")
    assert names == set(re.findall(r"\*([a-z]+)\*", "".join(re.findall(r"^\|.*$", table, re.MULTILINE)
                                                          [1:])))
    assert names == complete(host, "migrate", "--force", "")


def test_jobs_are_completed_by_what_they_are_called(tmp_path):
    command = tmp_path / "wherry"
    command.write_text("#!/bin/sh\n[ \"$*\" = jobs ] || exit 2\necho 'JOB  VERB'\necho 'save-3  save'\n")
    command.chmod(0o755)
    assert complete(str(command), "cancel", "") == {"save-3"}
    assert complete(str(command), "cancel", "-w", "5s", "s") == {"save-3"}
    assert complete(str(command), "cancel", "--wait", "") == set()
    command.write_text("#!/bin/sh\necho 'nothing is under way'\n")
    assert complete(str(command), "cancel", "") == set()


class Shell:
    """An interactive bash with the completion loaded, in a terminal."""

    def __init__(self, directory):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(directory)
            os.environ.update(PS1="ready> ", TERM="dumb", INPUTRC="/dev/null", HISTFILE="")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        self.type(f"bind 'set enable-bracketed-paste off'; source '{COMPLETION}'; echo on\\ duty\n")
        self.read_until(b"on duty\r\n")

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_until(self, wanted):
        seen, deadline = b"", time.monotonic() + 20
        while wanted not in seen and time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.2)[0]:
                seen += os.read(self.fd, 4096)
        assert wanted in seen, seen
        return seen

    def close(self):
        os.close(self.fd)
        os.waitpid(self.pid, 0)


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "a guest of two words.save").touch()
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.mark.parametrize("typed", ["verify a", "convert --to xl a", "verify -- a",
                                   "extract --emulator a", "convert --config=a"])
def test_tab_completes_a_file_name_with_spaces(shell, typed):
    shell.type(f"wherry() {{ printf '<%s>' \"$@\"; echo; }}\nwherry {typed}\t\n")
    shell.read_until(b"a guest of two words.save>\r\n")


def test_tab_completes_a_value_and_no_file(shell, tmp_path):
    (tmp_path / "64bit").touch()
    shell.type("wherry() { printf '<%s>' \"$@\"; echo; }\nwherry convert --width=6\t\n")
    shell.read_until(b"<--width=64>\r\n")


@pytest.mark.parametrize("page", PAGES)
def test_scdoc_accepts_the_page(page):
    result = subprocess.run(["scdoc"], input=(MAN / page).read_bytes(), capture_output=True,
                            check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout


def test_every_page_is_built_and_each_verb_has_one():
    listed = re.findall(r"'(wherry[a-z-]*\.[0-9])',", (MAN / "meson.build").read_text())
    assert sorted(page + ".scd" for page in listed) == PAGES
    assert {f"wherry-{verb}.1" for verb in VERBS} <= set(listed)


@pytest.mark.parametrize("page", PAGES)
def test_pages_refer_to_pages_that_are_there(page):
    text = (MAN / page).read_text(encoding="utf-8")
    for name, number in re.findall(r"\*(wherry[a-z-]*)\*\(([0-9])\)", text):
        assert f"{name}.{number}.scd" in PAGES


def test_the_json_page_has_every_key_that_is_printed(good):
    """And so a new key is documented: those of the configuration are Xen's."""
    page = (MAN / "wherry-json.5.scd").read_text(encoding="utf-8")
    documented = set(re.findall(r"\*([a-z0-9_]+)\*", page.replace("\\_", "_")))
    assert keys_printed(good) <= documented


def keys_printed(directory):
    found = set()

    def collect(value):
        if isinstance(value, dict):
            for key, below in value.items():
                found.add(key)
                if key != "config":
                    collect(below)
        if isinstance(value, list):
            for below in value:
                collect(below)

    harness.run("convert", "--to", "xl", "pv64", "trailed", directory=directory)
    (directory / "cut").write_bytes((directory / "pv64").read_bytes()[:20000])
    for arguments in (["inspect", "--json", "--pages", "trailed"],
                      ["inspect", "--json", "legacy64-hvm"],
                      ["inspect", "--json", "--records", "pv64"],
                      ["inspect", "--json", "--page", "1", "pv64"],
                      ["convert", "--json", "pv64", "trailed"],
                      ["verify", "--json", "pv64", "cut"]):
        for document in documents(harness.run(*arguments, directory=directory).stdout):
            collect(document)
    (directory / "trailed").unlink()
    (directory / "cut").unlink()
    return found


def documents(text):
    """Each of several JSON values that follow each other."""
    decoder, text, at = json.JSONDecoder(), text.decode().strip(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        while at < len(text) and text[at].isspace():
            at += 1
        yield value
