#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tests: builds with gcc, clang and the sanitizers, two jobs at a time; with --lab also those that
take longer, and those on real Xen hosts, one after another.  Closes with "N passed, N failed".  What a
failing step printed is shown."""

import concurrent.futures
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
SANITIZE = ["-Dwerror=true", "-Db_lundef=false"]
ENV = dict(os.environ, ASAN_OPTIONS="abort_on_error=0:exitcode=99", UBSAN_OPTIONS="halt_on_error=1",
           TSAN_OPTIONS="exitcode=99")


class Step:
    """A name, commands to run in a row, and how the last one's outcome is counted."""

    def __init__(self, name, *commands, env=None, count=None):
        self.name, self.commands, self.env, self.count = name, commands, env or {}, count
        self.passed = self.failed = 0
        self.output = ""
        self.seconds = 0.0

    def run(self):
        begun = time.monotonic()
        code = 0
        for command in self.commands:
            result = subprocess.run(command, cwd=ROOT, env=ENV | self.env, text=True, check=False,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, errors="replace")
            self.output += result.stdout
            code = result.returncode
            if code:
                break
        self.passed, self.failed = self.count(self.output) if self.count else (1, 0)
        if code and not self.failed:
            self.passed, self.failed = 0, 1
        self.seconds = time.monotonic() - begun
        return self


def pytest_count(output):
    """A skipped test was not passed: nothing here may be skipped."""
    counts = dict((word, int(n)) for n, word in
                  re.findall(r"(\d+) (passed|failed|errors?|skipped)", output.splitlines()[-1]))
    bad = sum(n for word, n in counts.items() if word != "passed")
    return counts.get("passed", 0), bad


def meson_count(build, name):
    def count(_output):
        log = ROOT / build / "meson-logs" / f"{name}.json"
        results = [json.loads(line)["result"] for line in log.read_text().splitlines()]
        passed = sum(result == "OK" for result in results)
        return passed, len(results) - passed
    return count


def build(directory, *options, env=None):
    setup = ["meson", "setup", directory, *options]
    if (ROOT / directory / "build.ninja").exists():
        setup = ["true"]
    return Step(f"build {directory}", setup, ["ninja", "-C", directory], env=env)


def programs(directory, *suites):
    chosen = [part for suite in suites for part in ("--suite", suite)]
    log = f"{'-'.join(suites)}"
    return Step(f"{' '.join(suites)} in {directory}",
                ["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs",
                 "--num-processes", "2", "--logbase", log, *chosen],
                count=meson_count(directory, log))


def pytest(what, directory, *more, env=None):
    return Step(f"{what} with {directory}", [*PYTEST, what, *more], count=pytest_count,
                env={**(env or {}), "WHERRY": str(ROOT / directory / "wherry"),
                     "CUTS": str(ROOT / directory / "tests" / "wire" / "cuts"),
                     "EXAMPLE": str(ROOT / directory / "docs" / "example")})


# Each chain runs in order; chains run side by side.
CHAINS = [
    [programs("build", "unit", "fuzz", "docs", "sim"), pytest("tests/wire", "build"),
     pytest("tests/interop", "build")],
    [build("build-asan", "-Db_sanitize=address,undefined", *SANITIZE),
     programs("build-asan", "unit", "fuzz"),
     # Each golden once: the other ways to read them run the same code.
     pytest("tests/wire/test_golden.py", "build-asan", "-k", "exactly or in_order or golden_json")],
    [build("build-tsan", "-Db_sanitize=thread", *SANITIZE), programs("build-tsan", "threads"),
     build("build-clang", "-Dwerror=true", env={"CC": "clang"}), pytest("tests/cli", "build"),
     pytest("tests/style", "build")],
]


# What --lab adds, when the machine is free: the fault sweep under sanitizers, and the lab.
LAB = [
    programs("build-asan", "sim"),
    Step("the lab's image", ["lab/lab", "build"]),
    Step("the lab's guests", ["make", "-s", "-C", "lab/guests"]),
]


# Sessions of the lab's tests, each with hosts of its own, take turns: a host has one processor.
def lab_sessions(folder):
    return [[pytest("tests/lab", "build", "--durations=20", env={"WHERRY_TURNS": folder})]
            for _ in range(min(2, os.cpu_count()))]


def side_by_side(chains, most):
    with concurrent.futures.ThreadPoolExecutor(max_workers=most) as pool:
        return [step for done in pool.map(run_chain, chains) for step in done]


def run_chain(chain):
    done = []
    for step in chain:
        done.append(step.run())
        print(f"{step.name}: {step.passed} passed, {step.failed} failed, {step.seconds:.0f} s",
              flush=True)
        if step.failed:
            print(step.output, flush=True)
            if step.name.startswith("build"):
                break
        else:                           # where the time goes, if that was asked for
            print(*re.findall(r"^(?:[\d.]+s (?:call|setup) .*|.* is run again: .*)\n", step.output, re.M),
                  sep="", end="", flush=True)
    return done


def main(with_lab):
    begun = time.monotonic()
    for number in signal.SIGINT, signal.SIGHUP:     # ignored here, they would be so in what is tested
        signal.signal(number, signal.SIG_DFL)
    steps = side_by_side(CHAINS, os.cpu_count())
    chains = CHAINS
    if with_lab:
        steps += run_chain(LAB)
        with tempfile.TemporaryDirectory() as folder:
            sessions = lab_sessions(folder)
            steps += side_by_side(sessions, len(sessions))
        chains = [*CHAINS, LAB, *sessions]
    passed, failed = sum(s.passed for s in steps), sum(s.failed for s in steps)
    expected = sum(len(chain) for chain in chains)
    if len(steps) < expected:
        failed += expected - len(steps)
    print(f"{time.monotonic() - begun:.0f} s")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed > 0 or passed == 0)


if __name__ == "__main__":
    main("--lab" in sys.argv[1:])
