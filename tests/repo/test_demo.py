"""What the demo takes from its ledger: how much ran at once, although OS processes were killed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.repo.tree import ROOT

BEGUN = ["begin\ta\t1", "begin\tb\t2", "begin\tc\t2"]


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module of the demo. What it imports is no part of the package, and is forgotten after the test."""
    monkeypatch.setenv("LASH_DEMO_RUN", "demo-test")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from demo import ledger

    for name in [each for each in sys.modules if each.partition(".")[0] == "demo"]:
        monkeypatch.delitem(sys.modules, name)
    return ledger


@pytest.mark.parametrize(
    ("lines", "most", "interrupted"),
    [
        ([], 0, 0),
        (BEGUN, 3, 0),
        ([*BEGUN, "end\ta\t1", "begin\td\t1"], 3, 0),
        ([*BEGUN, "killed\tSIGKILL\t2", "begin\tb\t3", "begin\tc\t1"], 3, 2),
        ([*BEGUN, "killed\tSIGKILL\t1", "begin\td\t2", "begin\te\t2"], 4, 1),  # the slots of another one were taken
    ],
)
def test_the_demo_counts_what_runs_at_once(
    ledger: ModuleType, tmp_path: Path, lines: list[str], most: int, interrupted: int
) -> None:
    """A publication whose OS process was killed runs no more; one that has neither ended nor lost it still does."""
    path = tmp_path / "ledger.tsv"
    path.write_text("".join(f"{line}\n" for line in lines))
    assert ledger.Ledger(path).most_at_once() == (most, interrupted)
