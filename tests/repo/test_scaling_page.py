"""The page on scaling says what its model says, with the figures that were measured for it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from benchmarks.scaling import Constants, Fleet, load, most_workers, owners_near, room
from benchmarks.scaling_page import constants, filled, pictures

from tests.repo.tree import ROOT, read

PAGE = ROOT / "docs/scaling.md"
EACH = Constants(10, 20, 30, 1, 40, 50, 2, 3, 100, 5, 200)


def test_the_tables_are_those_of_the_model() -> None:
    """``scripts/scaling`` writes them; nobody edits them."""
    assert filled(read(PAGE), constants()) == read(PAGE)


def test_each_picture_of_the_model_is_shown() -> None:
    """And each that is shown is there."""
    shown = re.findall(r"\(pictures/(scaling-[\w-]+)\.svg\)", read(PAGE))

    assert sorted(shown) == sorted(each["name"] for each in pictures(constants()))
    assert all((ROOT / f"docs/pictures/{each}.svg").is_file() for each in shown)


def test_the_model_adds_what_each_call_takes() -> None:
    """One worker with one lease in one partition: what it does in a second, in µs of a core."""
    one = load(Fleet(1, leases=1, rate=10), EACH)

    assert owners_near(Fleet(1, leases=1)) == owners_near(Fleet(100, leases=1, per_pool=1)) == 1
    assert one.sweeps == pytest.approx(1e-6 * (20 + 30 + 1) / 5)
    assert one.polls == pytest.approx(1e-6 * 40 / 40)
    assert one.renewals == pytest.approx(1e-6 * (50 / 16 + 2 + 3) / 10)
    assert one.work == pytest.approx(1e-6 * 10 * 100)
    assert load(Fleet(1, leases=0), EACH).sweeps == pytest.approx(1e-6 * 10 / 5)
    assert load(Fleet(1, sweep_s=60, poll_s=30), EACH).polls == pytest.approx(1e-6 * 40 / 30)


def test_more_primaries_share_the_load_and_more_partitions_raise_it() -> None:
    """Room for work is what the workers leave of it."""
    fleet = Fleet(100, partitions=8)

    assert load(replace(fleet, primaries=4), EACH).fixed == pytest.approx(load(fleet, EACH).fixed / 4)
    assert load(replace(fleet, partitions=16), EACH).fixed > load(fleet, EACH).fixed
    assert room(replace(fleet, workers=1), EACH) > room(fleet, EACH) > 0
    assert room(replace(fleet, workers=100_000), EACH) == 0
    least = most_workers(fleet, EACH)
    assert load(replace(fleet, workers=least), EACH).fixed <= 0.35 < load(replace(fleet, workers=least + 1), EACH).fixed
