# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random valid streams must be read as the oracle says; random damage must never crash a reader.

WHERRY_SEED shifts the seeds, for a run on others than everyday's.
"""

import json
import os
import random

import generate
import harness
import oracle
import pytest
import stream

FIRST = int(os.environ.get("WHERRY_SEED", "1"))
STREAMS, MUTATIONS, GROUP = 300, 4, 20
GROUPS = [range(first, first + GROUP) for first in range(FIRST, FIRST + STREAMS, GROUP)]


def built(seed, directory):
    made = stream.Stream().read(generate.description(seed))
    (directory / "random").write_bytes(made.data)
    return made


@pytest.mark.parametrize("seeds", GROUPS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_a_random_valid_stream_is_good_and_inspected_as_the_oracle_says(tmp_path, seeds):
    for seed in seeds:
        expected = oracle.expect(built(seed, tmp_path))
        verdict = harness.run("verify", "random", directory=tmp_path)
        assert not harness.complaint(verdict), seed
        assert verdict.stdout.decode() == "random: good\n", seed
        found = harness.run("inspect", "--json", "random", directory=tmp_path)
        assert not harness.complaint(found), seed
        assert oracle.disagreements(expected, json.loads(found.stdout)) == [], seed


@pytest.mark.parametrize("seeds", GROUPS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_one_changed_byte_never_crashes_verify_or_inspect(tmp_path, seeds):
    for seed in seeds:
        rng, made = random.Random(seed), built(seed, tmp_path)
        for _ in range(MUTATIONS):
            data, where = mutated(rng, made)
            (tmp_path / "random").write_bytes(data)
            verdict, found = both_tools(rng, data, tmp_path)
            assert not harness.complaint(verdict), (seed, where)
            assert not harness.complaint(found), (seed, where)
            assert found.returncode == 1 or json.loads(found.stdout), (seed, where)


def mutated(rng, made):
    """One byte of one part, near its beginning, where headers, counts and lengths are."""
    index = rng.randrange(len(made.parts))
    start = sum(len(part.data) for part in made.parts[:index])
    where = start + rng.randrange(min(64, len(made.parts[index].data)))
    data = bytearray(made.data)
    data[where] ^= rng.choice((1 << rng.randrange(8), rng.randrange(1, 256), 0xFF))
    return bytes(data), where


def both_tools(rng, data, directory):
    """Verify and inspect, half of the time through a pipe."""
    if rng.random() < 0.5:
        return (harness.run("verify", "random", directory=directory),
                harness.run("inspect", "--json", "random", directory=directory))
    return (harness.run("verify", "-", directory=directory, stdin=data),
            harness.run("inspect", "--json", "-", directory=directory, stdin=data))
